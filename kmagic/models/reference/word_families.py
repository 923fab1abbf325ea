"""All words of Keras: by role ("layer", "loss" ...), layers by family, and lists of both."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kmagic.language.vocabulary import ALIASES, snake_case
from kmagic.models import catalogue
from kmagic.models.catalogue import Role
from kmagic.models.reference.docstring import docstring
from kmagic.models.reference.language_words import LANGUAGE_WORDS, WORD_TEXTS, LanguageWord
from kmagic.support.formatting import pluralize
from kmagic.support.keras_import import keras
from kmagic.support.rendering import Renderable

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
"""In this order, the meanings of a word are listed."""

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
"""A layer's folder in Keras -> the name of the family; in the order of the list."""
OTHER = "other"

KINDS: dict[Role, str] = {role: catalogue.plural_of(role) for role in ROLES}
"""Role -> the word that lists it: "activations", "losses" ..."""

BY_KIND: dict[str, Role] = {
    **{plural: role for role, plural in KINDS.items()},
    **{role: role for role in ROLES},
}


@dataclass(frozen=True, slots=True)
class KerasWord:
    """A word and the class or function that it means; None if only Keras interprets it."""

    word: str
    role: Role
    value: Any = None
    aliases: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it stands for, in one sentence."""
        summary = docstring(self.value).summary if self.value is not None else ""
        return summary or WORD_TEXTS["summaries"].get(self.word, "")

    @property
    def shown_alias(self) -> str:
        """The alias in a list of words alone: Keras's name of a short word, or a shorter word."""
        own = snake_case(getattr(self.value, "__name__", ""))
        shorter = (alias for alias in self.aliases if len(alias) < len(self.word))
        return own if own in self.aliases else min(shorter, key=len, default="")


def family_of(cls: Any) -> str:
    """The family of a layer, from its folder in Keras.

    Example:
        >>> import keras
        >>> family_of(keras.layers.Conv2D), family_of(keras.layers.RandomFlip)
        ('convolution', 'image preprocessing')
    """
    _, _, path = f".{cls.__module__}".partition(".layers.")
    folders = path.split(".")[:-1]
    return FAMILIES.get(folders[-1], folders[-1].replace("_", " ")) if folders else OTHER


def families() -> dict[str, list[KerasWord]]:
    """All layers by family; families of new folders in Keras come last."""
    by_family: dict[str, list[KerasWord]] = {name: [] for name in FAMILIES.values()}
    for layer in keras_words("layer"):
        by_family.setdefault(family_of(layer.value), []).append(layer)
    other = by_family.pop(OTHER, [])
    return {name: layers for name, layers in {**by_family, OTHER: other}.items() if layers}


@cache
def keras_words(role: Role) -> tuple[KerasWord, ...]:
    """All words of a role, in alphabetical order."""
    base = _base(role)
    groups: dict[Any, list[str]] = {}  # words with the same meaning
    words = list(catalogue.words_for_role(role))
    if role == "layer":
        words += [snake_case(name) for name in catalogue.members("layer")]
    if role == "dtype":
        words += [catalogue.word_for(policy) for policy in catalogue.members(role).values()]
    for word in words:
        value = find_word(role, word)
        if value is None and catalogue.accepts_string(role, word):
            groups[word] = [word]
        elif value is not None and value is not base:
            groups.setdefault(value, []).append(word)
    entries = []
    for key, same in groups.items():
        value = None if isinstance(key, str) else key
        first = _preferred(value, same)
        aliases = dict.fromkeys(word for word in same if _is_alias(word, first))
        entries.append(KerasWord(first, role, value, tuple(aliases)))
    return tuple(sorted(entries, key=lambda entry: entry.word))


def _preferred(value: Any, same: list[str]) -> str:
    own = catalogue.word_for(value) if inspect.isclass(value) else ""
    return min(same, key=lambda word: (word != own, word in ALIASES))


def _is_alias(word: str, preferred: str) -> bool:
    """Whether a word differs from the preferred one by more than underscores."""
    return word != preferred and (
        word in ALIASES or catalogue.normalize_word(word) != catalogue.normalize_word(preferred)
    )


def _base(role: Role) -> Any:
    """The base class of a role: it has a name in Keras, but cannot be used itself."""
    name = "LearningRateSchedule" if role == "schedule" else role.title()
    return catalogue.members(role).get(name)


def find_word(role: Role, word: str) -> Any:
    """The class or function of a word in a role, also of short forms such as "mse"; or None."""
    value = catalogue.find_object(role, word)
    if value is None and role in ("loss", "metric"):
        try:
            function = catalogue.keras_module(role).get(word)
        except ValueError:  # "accuracy" is only interpreted when a model is compiled
            return None
        name = getattr(function, "__name__", "") or type(function).__name__
        return catalogue.find_object(role, name)
    return value


def word_meanings(word: str, names: Mapping[str, Any]) -> list[KerasWord]:
    """All meanings of a word in Keras, in the order of the roles, or else in the notebook."""
    meanings = []
    for role in ROLES:
        value = find_word(role, word)
        if value is not None and value is not _base(role):
            meanings += [known for known in keras_words(role) if known.value is value]
        elif value is None and catalogue.accepts_string(role, word):
            meanings.append(KerasWord(word, role))
    if not meanings and _is_layer_class(names.get(word)):
        meanings.append(KerasWord(word, "layer", names[word]))
    return meanings


def notebook_layers(names: Mapping[str, Any]) -> Iterator[KerasWord]:
    """The layer classes that the notebook defines."""
    for name, value in names.items():
        is_keras = getattr(value, "__module__", "").split(".")[0] == "keras"
        if not name.startswith("_") and _is_layer_class(value) and not is_keras:
            yield KerasWord(name, "layer", value)


def _is_layer_class(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, catalogue.layer_class())


# --- lists ------------------------------------------------------------------------------------


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
    return WordList(
        KINDS[role], facts, (WordGroup("", known),), foot=WORD_TEXTS["uses"].get(role, "")
    )


def ops_list() -> WordList:
    """The functions of keras.ops."""
    functions = tuple(
        KerasWord(f"ops.{name}", "any", value)
        for name, value in sorted(vars(keras.ops).items())
        if inspect.isfunction(value) and not name.startswith("_")
    )
    facts = f"{len(functions)} · help on one: %keras_layers {functions[0].word}"
    foot = "Applied like a layer: ops.maximum <- a, b   or   ops.expand_dims axis=1"
    return WordList("ops", facts, (WordGroup("", functions),), is_brief=True, foot=foot)
