"""Lists of words: all layers by family, one family, one role, the functions of keras.ops."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.models.catalogue import Role
from kmagic.models.reference.language_words import LANGUAGE_WORDS, LanguageWord
from kmagic.models.reference.word_families import (
    KINDS,
    KerasWord,
    families,
    keras_words,
    notebook_layers,
)
from kmagic.support.formatting import pluralize
from kmagic.support.rendering import Renderable


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Words under a common title."""

    title: str
    items: tuple[KerasWord | LanguageWord, ...]


@dataclass(frozen=True)
class WordList(Renderable):
    """Words in one or several groups.

    Attributes:
        title: What is listed.
        facts: How many there are, and an example of a query.
        groups: The words.
        is_brief: Whether the words are shown without their summaries.
        foot: A note below the list.
    """

    renderer = "kmagic.display.model.reference_card:word_list_bundle"

    title: str
    facts: str
    groups: tuple[WordGroup, ...]
    is_brief: bool = False
    foot: str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title}: {self.facts}>"


def all_words_list(names: Mapping[str, Any]) -> WordList:
    """All layers by family, and the language's own words."""
    own = tuple(notebook_layers(names))
    groups = [WordGroup("of this notebook", own)] if own else []
    groups += [WordGroup(title, tuple(known)) for title, known in families().items()]
    layers = sum(len(group.items) for group in groups)
    groups.append(WordGroup("the language", LANGUAGE_WORDS))
    kinds = ", ".join(plural for role, plural in KINDS.items() if role != "layer")
    return WordList(
        "Words",
        f"{pluralize(layers, 'layer')} · help on one: %keras_layers conv2d",
        tuple(groups),
        is_brief=True,
        foot=f"More lists: %keras_layers {kinds}, ops, or a family such as pooling.",
    )


def family_list(title: str, members: Sequence[KerasWord]) -> WordList:
    """The layers of one family."""
    facts = f"{pluralize(len(members), 'layer')} · help on one: %keras_layers {members[0].word}"
    return WordList(title, facts, (WordGroup("", tuple(members)),))


def role_list(role: Role) -> WordList:
    """The words of one role."""
    known = keras_words(role)
    facts = f"{len(known)}"
    if role != "dtype":
        facts += f" · help on one: %keras_layers {known[0].word}"
    return WordList(KINDS[role], facts, (WordGroup("", known),), foot=_USES.get(role, ""))


_USES: dict[Role, str] = {
    "activation": "In a layer's line: dense 64 relu; or on a line of its own, as a layer.",
    "initializer": "As an argument: dense 64 kernel_initializer=he_normal(seed=1)",
    "regularizer": "As an argument: dense 64 kernel_regularizer=l2(1e-4)",
    "constraint": "As an argument: dense 64 kernel_constraint=max_norm(2)",
    "loss": "compile adam loss=huber; with arguments: loss=huber(delta=0.5)",
    "metric": "compile adam loss=mse metrics=mae,auc(curve=PR)",
    "optimizer": "compile adam(1e-3) loss=mse",
    "schedule": "Instead of a learning rate: compile adam(cosine_decay(0.01, 1000)) loss=mse",
    "quantizer": "dense 64 quantization_config=int8_quantization_config",
    "seed": "dense 64 kernel_initializer=he_normal(seed=seed_generator(1))",
    "dtype": "As an argument of any layer: dense 64 dtype=float16, or input 80 int32",
}


def ops_list() -> WordList:
    """The functions of keras.ops."""
    import keras  # noqa: PLC0415 - takes seconds

    functions = tuple(
        KerasWord(f"ops.{name}", "any", value)
        for name, value in sorted(vars(keras.ops).items())
        if inspect.isfunction(value) and not name.startswith("_")
    )
    facts = f"{len(functions)} · help on one: %keras_layers {functions[0].word}"
    foot = "Applied like a layer: ops.maximum <- a, b   or   ops.expand_dims axis=1"
    return WordList("ops", facts, (WordGroup("", functions),), is_brief=True, foot=foot)
