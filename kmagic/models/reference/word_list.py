"""Lists of words: all layers by family, one family, one role, the functions of keras.ops."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.language.vocabulary import snake_case
from kmagic.models.catalogue import Role
from kmagic.models.reference.docstring import docstring
from kmagic.models.reference.language_words import LANGUAGE_WORDS
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
        word: The word.
        summary: What it is, in one sentence.
        aliases: Other words for it.
        shown_alias: The alias to show in a list of words alone: the Keras name of a short word, or
            the short word for a long name.
    """

    word: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    shown_alias: str = ""


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Words under a common title."""

    title: str
    items: tuple[WordSummary, ...]


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
    groups = [WordGroup(title, _summaries(known)) for title, known in families().items()]
    own = tuple(notebook_layers(names))
    if own:
        groups.insert(0, WordGroup("of this notebook", _summaries(own)))
    layers = sum(len(group.items) for group in groups)
    language = tuple(WordSummary(known.word, known.summary) for known in LANGUAGE_WORDS)
    groups.append(WordGroup("the language", language))
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
    return WordList(title, facts, (WordGroup("", _summaries(members)),))


def role_list(role: Role) -> WordList:
    """The words of one role."""
    known = keras_words(role)
    facts = f"{len(known)}"
    if role != "dtype":
        facts += f" · help on one: %keras_layers {known[0].word}"
    groups = (WordGroup("", _summaries(known)),)
    return WordList(KINDS[role], facts, groups, foot=_USES.get(role, ""))


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
        WordSummary(f"ops.{name}", docstring(value).summary)
        for name, value in sorted(vars(keras.ops).items())
        if inspect.isfunction(value) and not name.startswith("_")
    )
    facts = f"{len(functions)} · help on one: %keras_layers {functions[0].word}"
    foot = "Applied like a layer: ops.maximum <- a, b   or   ops.expand_dims axis=1"
    return WordList("ops", facts, (WordGroup("", functions),), is_brief=True, foot=foot)


def _summaries(words: Sequence[KerasWord]) -> tuple[WordSummary, ...]:
    return tuple(
        WordSummary(known.word, word_summary(known), known.aliases, _shown_alias(known))
        for known in words
    )


def _shown_alias(known: KerasWord) -> str:
    own = snake_case(getattr(known.value, "__name__", ""))
    if own in known.aliases:
        return own
    shorter = (alias for alias in known.aliases if len(alias) < len(known.word))
    return min(shorter, key=len, default="")


def word_summary(known: KerasWord) -> str:
    """What a word stands for, in one sentence."""
    summary = docstring(known.value).summary if known.value is not None else ""
    return summary or _UNDOCUMENTED.get(known.word, "")


_UNDOCUMENTED = {
    "abs_max_quantizer": "Scales weights by the largest absolute value along an axis.",
    "float_dtype_policy": "The dtypes of computations and weights, by name.",
    "quantized_dtype_policy": "The policy of a layer with weights quantized to int8.",
    "quantized_float8_dtype_policy": "The policy of a layer with weights quantized to float8.",
    "input_layer": "The layer of an `input 28x28x1` line.",
    "accuracy": "The share of correct predictions; the kind that fits the loss and the outputs.",
    "acc": "The same as accuracy.",
    "crossentropy": "The crossentropy that fits the loss and the outputs.",
    "ce": "The same as crossentropy.",
    "mixed_float16": "Computes in float16, stores weights in float32.",
    "mixed_bfloat16": "Computes in bfloat16, stores weights in float32.",
    "string": "Text, for preprocessing layers.",
}
"""Summaries of words that Keras does not document."""
