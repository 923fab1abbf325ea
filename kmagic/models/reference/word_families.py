"""Which words there are, in the order in which a reader looks for them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kmagic.language.vocabulary import ALIASES, snake_case
from kmagic.models import catalogue
from kmagic.models.catalogue import Role

ROLES: tuple[Role, ...] = (
    "layer",
    "activation",
    "initializer",
    "regularizer",
    "constraint",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "quantizer",
    "seed",
    "dtype",
)
"""In this order a word is looked for, where it means several things."""

FAMILIES: dict[str, str] = {
    "core": "core",
    "convolutional": "convolution",
    "pooling": "pooling",
    "rnn": "recurrent",
    "attention": "attention",
    "normalization": "normalization",
    "regularization": "regularization",
    "activations": "activation",
    "merging": "merging",
    "reshaping": "reshaping",
    "preprocessing": "preprocessing",
    "image_preprocessing": "image preprocessing",
}
"""Keras's folder of a layer -> what the family is called here; in the order of the list."""
OTHER = "other"

KINDS: dict[Role, str] = {role: catalogue.PLURALS.get(role, f"{role}s") for role in ROLES}
"""Role -> the word that lists it: "activations", "losses" ..."""

BY_KIND: dict[str, Role] = {
    **{plural: role for role, plural in KINDS.items()},
    **{role: role for role in ROLES},
}


SHORT_FORMS: tuple[Role, ...] = ("loss", "metric")
"""Where Keras takes strings that are no name of its module: mse, bce ..."""


@dataclass(frozen=True, slots=True)
class KerasWord:
    """One thing that has a word.

    Attributes:
        word: As it is written.
        role: What it is.
        value: The class or function, or None for a word that only Keras's strings know.
        aliases: Other words for it.
    """

    word: str
    role: Role
    value: Any = None
    aliases: tuple[str, ...] = ()


def family_of(cls: Any) -> str:
    """The family of a layer: the folder in which Keras keeps it.

    Example:
        >>> import keras
        >>> family_of(keras.layers.Conv2D), family_of(keras.layers.RandomFlip)
        ('convolution', 'image preprocessing')
    """
    parts: list[str] = cls.__module__.split(".")
    if "layers" not in parts:
        return OTHER
    folders = parts[parts.index("layers") + 1 : -1]
    if not folders:
        return OTHER
    return FAMILIES.get(folders[-1], folders[-1].replace("_", " "))


def families() -> dict[str, list[KerasWord]]:
    """All layers by family; families that this list does not know come last."""
    found: dict[str, list[KerasWord]] = {name: [] for name in FAMILIES.values()}
    for known in keras_words("layer"):
        found.setdefault(family_of(known.value), []).append(known)
    other = found.pop(OTHER, [])
    return {name: members for name, members in {**found, OTHER: other}.items() if members}


@cache
def keras_words(role: Role) -> tuple[KerasWord, ...]:
    """All things of a role, by their words."""
    base = _base(role)
    words: dict[int, list[str]] = {}
    values: dict[int, Any] = {}
    for word in _all_words(role):
        value = find_word(role, word)
        if value is None and not catalogue.accepts_string(role, word):
            continue
        if value is not None and value is base:
            continue
        key = id(value) if value is not None else hash(word)
        values[key] = value
        words.setdefault(key, []).append(word)
    found = []
    for key, same in words.items():
        first = _preferred(values[key], same)
        aliases = tuple(dict.fromkeys(each for each in same if _is_other(each, first)))
        found.append(KerasWord(first, role, values[key], aliases))
    return tuple(sorted(found, key=lambda known: known.word))


def find_word(role: Role, word: str) -> Any:
    """The class or function that a word stands for in a role, or None."""
    found = catalogue.find_object(role, word)
    if found is None and role in SHORT_FORMS:
        try:
            function = catalogue.keras_module(role).get(word)
        except ValueError:  # Keras tells such a word only while it compiles: accuracy
            return None
        name = getattr(function, "__name__", "") or type(function).__name__
        return catalogue.find_object(role, name)
    return found


def word_meanings(word: str, names: Mapping[str, Any]) -> list[KerasWord]:
    """All meanings of a word, the likeliest first."""
    found = []
    for role in ROLES:
        value = find_word(role, word)
        if value is not None and value is not _base(role):
            found += [each for each in keras_words(role) if each.value is value]
        elif value is None and catalogue.accepts_string(role, word):
            found.append(KerasWord(word, role))
    if not found and is_layer_class(names.get(word)):
        found.append(KerasWord(word, "layer", names[word]))
    return found


def notebook_layers(names: Mapping[str, Any]) -> Iterator[KerasWord]:
    """The layer classes that the notebook has made itself."""
    for name, value in names.items():
        inside = getattr(value, "__module__", "").split(".")[0] == "keras"
        if not name.startswith("_") and is_layer_class(value) and not inside:
            yield KerasWord(name, "layer", value)


def is_layer_class(value: Any) -> bool:
    """Whether a value is a class of layers."""
    return inspect.isclass(value) and issubclass(value, catalogue.layer_class())


def _all_words(role: Role) -> list[str]:
    found = list(catalogue.words_for_role(role))
    if role == "layer":
        found += [snake_case(name) for name in catalogue.members("layer")]
    if role == "dtype":
        found += [catalogue.word_for(policy) for policy in catalogue.members(role).values()]
    return found


def _preferred(value: Any, same: list[str]) -> str:
    word = catalogue.word_for(value) if inspect.isclass(value) else ""
    return word if word in same else next((each for each in same if each not in ALIASES), same[0])


def _is_other(alias: str, word: str) -> bool:
    """Whether an alias is more than the word with its underscores elsewhere."""
    return alias != word and (
        alias in ALIASES or catalogue.normalize_word(alias) != catalogue.normalize_word(word)
    )


def _base(role: Role) -> Any:
    """The class that all of a role derive from: it has a name in Keras, but makes nothing."""
    name = "LearningRateSchedule" if role == "schedule" else role.title()
    return catalogue.members(role).get(name)
