"""Lists of words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.language.vocabulary import snake_case
from kmagic.models.catalogue import Role
from kmagic.models.reference import language_words
from kmagic.models.reference.docstring import docstring
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
class WordSummary:
    """A word in a list.

    Attributes:
        word: As it is written.
        summary: What it is, in one sentence.
        aliases: Other words for the same.
        shown_alias: The one of them that is worth its room where only words are shown: Keras's own
            name of a short word, or the short word for a long one.
    """

    word: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    shown_alias: str = ""


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Words that belong together."""

    title: str
    items: tuple[WordSummary, ...]


@dataclass(frozen=True)
class WordList(Renderable):
    """Words of one or several groups.

    Attributes:
        title: What is listed.
        facts: How many there are, and how to ask on.
        groups: The words.
        is_brief: Whether only the words are shown, not what each is.
        foot: What else there is to see.
    """

    renderer = "kmagic.display.model.reference_card:listing_bundle"

    title: str
    facts: str
    groups: tuple[WordGroup, ...]
    is_brief: bool = False
    foot: str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title}: {self.facts}>"


def all_words_list(names: Mapping[str, Any]) -> WordList:
    """All layers by family, and the language's own words."""
    groups = [WordGroup(title, _items(known)) for title, known in families().items()]
    own = tuple(notebook_layers(names))
    if own:
        groups.insert(0, WordGroup("of this notebook", _items(own)))
    layers = sum(len(group.items) for group in groups)
    groups.append(
        WordGroup(
            "the language",
            tuple(WordSummary(each.word, each.summary) for each in language_words.LANGUAGE_WORDS),
        )
    )
    kinds = ", ".join(plural for role, plural in KINDS.items() if role != "layer")
    return WordList(
        "Words",
        f"{pluralize(layers, 'layer')} · one of them: %keras_layers conv2d",
        tuple(groups),
        is_brief=True,
        foot=f"More lists: %keras_layers {kinds}, ops, or a family such as pooling.",
    )


def family_list(title: str, members: Sequence[KerasWord]) -> WordList:
    """The layers of one family, with what each does."""
    facts = f"{pluralize(len(members), 'layer')} · one of them: %keras_layers {members[0].word}"
    return WordList(title, facts, (WordGroup("", _items(members)),))


def role_list(role: Role) -> WordList:
    """The words of one kind, with what each is."""
    known = keras_words(role)
    facts = f"{len(known)}"
    if role != "dtype":
        facts += f" · one of them: %keras_layers {known[0].word}"
    return WordList(KINDS[role], facts, (WordGroup("", _items(known)),), foot=_USES.get(role, ""))


_USES: dict[Role, str] = {
    "activation": "Anywhere in a layer's line: dense 64 relu. On a line of its own it is a layer.",
    "initializer": "By the argument's name: dense 64 kernel_initializer=he_normal(seed=1).",
    "regularizer": "By the argument's name: dense 64 kernel_regularizer=l2(1e-4).",
    "constraint": "By the argument's name: dense 64 kernel_constraint=max_norm(2).",
    "loss": "compile adam loss=huber, with arguments in brackets: loss=huber(delta=0.5).",
    "metric": "compile adam loss=mse metrics=mae,auc(curve=PR).",
    "optimizer": "compile adam(1e-3) loss=mse",
    "schedule": "In the place of a learning rate: compile adam(cosine_decay(0.01, 1000)) loss=mse",
    "quantizer": "dense 64 quantization_config=int8_quantization_config",
    "seed": "dense 64 kernel_initializer=he_normal(seed=seed_generator(1))",
    "dtype": "An argument of every layer: dense 64 dtype=float16, or input 80 int32.",
}


def ops_list() -> WordList:
    """The functions of keras.ops."""
    import keras  # noqa: PLC0415 - takes seconds

    found = [
        WordSummary(f"ops.{name}", docstring(value).summary)
        for name, value in sorted(vars(keras.ops).items())
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    facts = f"{len(found)} · one of them: %keras_layers {found[0].word}"
    return WordList("ops", facts, (WordGroup("", tuple(found)),), is_brief=True, foot=_OPS)


_OPS = "Applied as a layer is: ops.maximum <- a, b   or   ops.expand_dims axis=1"


def _items(known: Sequence[KerasWord]) -> tuple[WordSummary, ...]:
    return tuple(
        WordSummary(each.word, word_summary(each), each.aliases, _beside(each)) for each in known
    )


def _beside(known: KerasWord) -> str:
    own = snake_case(getattr(known.value, "__name__", ""))
    if own in known.aliases:
        return own
    return min(
        (alias for alias in known.aliases if len(alias) < len(known.word)), key=len, default=""
    )


def word_summary(known: KerasWord) -> str:
    """What a word stands for, in a sentence."""
    told = docstring(known.value).summary if known.value is not None else ""
    return told or UNSAID.get(known.word, "")


UNSAID = {
    "abs_max_quantizer": "Scales weights by the largest of them along an axis.",
    "float_dtype_policy": "The dtypes of computations and weights, by a name.",
    "quantized_dtype_policy": "The policy of a layer whose weights are quantized to int8.",
    "quantized_float8_dtype_policy": "The policy of a layer whose weights are quantized to float8.",
    "input_layer": "The layer behind `input 28x28x1`.",
    "accuracy": "How often the answer is right; of the kind that fits loss and outputs.",
    "acc": "The same as accuracy.",
    "crossentropy": "The crossentropy that fits the loss and the outputs.",
    "ce": "The same as crossentropy.",
    "mixed_float16": "Computes in float16, keeps weights in float32.",
    "mixed_bfloat16": "Computes in bfloat16, keeps weights in float32.",
    "string": "Text, for preprocessing layers.",
}
"""What Keras leaves unsaid."""
