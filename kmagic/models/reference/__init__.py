"""The language's own help: its words by family, and each with what Keras says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.models import catalogue
from kmagic.models.reference import language_words
from kmagic.models.reference.word_families import BY_KIND, families, keras_words, word_meanings
from kmagic.models.reference.word_help import (
    ArgumentHelp,
    ExampleLine,
    WordHelp,
    language_word_help,
    ops_help,
    word_help,
)
from kmagic.models.reference.word_list import (
    WordGroup,
    WordList,
    WordSummary,
    all_words_list,
    family_list,
    ops_list,
    role_list,
)
from kmagic.support.errors import KmagicError
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean

__all__ = [
    "ArgumentHelp",
    "ExampleLine",
    "WordGroup",
    "WordHelp",
    "WordList",
    "WordSummary",
    "reference",
]


def reference(word: str = "", names: Mapping[str, Any] | None = None) -> Renderable:
    """The words of the layer language, or the help of one.

    Args:
        word: A layer ("conv2d"), a family ("pooling"), a kind of words ("activations",
            "initializers", "losses", "metrics", "optimizers", "schedules", "dtypes" ...), a word
            of such a kind ("adam", "l2"), or a word of the language itself ("residual"); "" for
            all layers. Where a word means several things, its kind before it tells which:
            "metric hinge", "family normalization".
        names: The notebook's names: layer classes of its own have help too.

    Returns:
        A :class:`WordList` or an :class:`WordHelp`; a notebook shows it as a card.

    Raises:
        KmagicError: The word is not known.

    Example:
        >>> conv2d = reference("conv2d")
        >>> conv2d.name, conv2d.shape_in, [each.name for each in conv2d.arguments][:2]
        ('keras.layers.Conv2D', 'height x width x channels', ['filters', 'kernel_size'])
    """
    names = names or {}
    word = word.strip()
    first, _, rest = word.partition(" ")
    wanted = first.lower()
    if not word:
        return all_words_list(names)
    members = families()
    title = word.lower().removeprefix("family ")
    if title in members and (
        title != word.lower() or catalogue.find_object("layer", title) is None
    ):
        return family_list(title, members[title])
    if rest and wanted in BY_KIND:
        return _of_kind(first, rest.strip(), names)
    if rest:
        raise KmagicError(f"{word} is more than one word", "Ask for one word at a time.")
    if wanted in BY_KIND and catalogue.find_object("layer", wanted) is None:
        return role_list(BY_KIND[wanted])
    if wanted == "ops":
        return ops_list()
    if wanted in language_words.LANGUAGE_WORDS_BY_NAME:
        return language_word_help(language_words.LANGUAGE_WORDS_BY_NAME[wanted])
    if wanted.startswith("ops."):
        return ops_help(wanted.removeprefix("ops."))
    found = word_meanings(first, names)
    if found:
        also = [f"{each.role} {each.word}" for each in found[1:]]
        return word_help(found[0], also + [f"family {wanted}"] * (wanted in members))
    raise KmagicError(f"{first} is not a word of the language", _hint(first))


def _of_kind(kind_word: str, word: str, names: Mapping[str, Any]) -> Renderable:
    role = BY_KIND[kind_word.lower()]
    found = [known for known in word_meanings(word, names) if known.role == role]
    if not found:
        remedy = did_you_mean(word, (known.word for known in keras_words(role)))
        raise KmagicError(f"there is no {role} {word}", remedy or f"All: %keras_layers {role}s")
    return word_help(found[0], ())


def _hint(word: str) -> str:
    pool = [*language_words.LANGUAGE_WORDS_BY_NAME, *BY_KIND, *families()]
    for role in catalogue.OBJECT_ROLES:
        pool += [each for known in keras_words(role) for each in (known.word, *known.aliases)]
    return did_you_mean(word, pool) or "All words: %keras_layers"
