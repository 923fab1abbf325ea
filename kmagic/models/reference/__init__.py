"""Help on the language: its words by family, and one word with Keras's documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.models import catalogue
from kmagic.models.reference import word_families
from kmagic.models.reference.language_words import LANGUAGE_WORDS_BY_NAME
from kmagic.models.reference.word_families import BY_KIND, WordList, keras_words, word_meanings
from kmagic.models.reference.word_help import WordHelp, language_word_help, ops_help, word_help
from kmagic.support.errors import KmagicError
from kmagic.support.suggestions import did_you_mean

__all__ = ["WordHelp", "WordList", "reference"]


def reference(word: str = "", names: Mapping[str, Any] | None = None) -> WordHelp | WordList:
    """List the words of the layer language, or show the help on one.

    Args:
        word: A layer ("conv2d"), a family ("pooling"), a kind of words ("activations", "losses",
            "optimizers" ...), a word of such a kind ("adam", "l2"), or a word of the language
            itself ("residual"); "" lists all layers. Put the kind before a word with several
            meanings: "metric hinge", "family normalization".
        names: The notebook's variables, for its own layer classes.

    Raises:
        KmagicError: The word is unknown.

    Example:
        >>> conv2d = reference("conv2d")
        >>> conv2d.name, conv2d.shape_in, [argument.name for argument in conv2d.arguments][:2]
        ('keras.layers.Conv2D', 'height x width x channels', ['filters', 'kernel_size'])
    """
    names = names or {}
    query = word.strip()
    first, _, rest = query.partition(" ")
    key = first.lower()
    if not query:
        return word_families.all_words_list(names)
    members = word_families.families()
    title = query.lower().removeprefix("family ")
    if title in members and (
        title != query.lower() or catalogue.find_object("layer", title) is None
    ):
        return word_families.family_list(title, members[title])
    if rest and key in BY_KIND:
        return _help_in_role(first, rest.strip(), names)
    if rest:
        raise KmagicError(f"{query} is more than one word", "Ask for one word at a time.")
    if key in BY_KIND and catalogue.find_object("layer", key) is None:
        return word_families.role_list(BY_KIND[key])
    if key == "ops":
        return word_families.ops_list()
    if key in LANGUAGE_WORDS_BY_NAME:
        return language_word_help(LANGUAGE_WORDS_BY_NAME[key])
    if key.startswith("ops."):
        return ops_help(key.removeprefix("ops."))
    meanings = word_meanings(first, names)
    if meanings:
        others = [f"{other.role} {other.word}" for other in meanings[1:]]
        return word_help(meanings[0], others + [f"family {key}"] * (key in members))
    known = [*LANGUAGE_WORDS_BY_NAME, *BY_KIND, *members]
    for role in catalogue.OBJECT_ROLES:
        known += [text for entry in keras_words(role) for text in (entry.word, *entry.aliases)]
    remedy = did_you_mean(first, known) or "List all words: %keras_layers"
    raise KmagicError(f"{first} is not a word of the language", remedy)


def _help_in_role(kind: str, word: str, names: Mapping[str, Any]) -> WordHelp:
    role = BY_KIND[kind.lower()]
    meanings = [known for known in word_meanings(word, names) if known.role == role]
    if not meanings:
        remedy = did_you_mean(word, (known.word for known in keras_words(role)))
        remedy = remedy or f"List all: %keras_layers {catalogue.plural_of(role)}"
        raise KmagicError(f"there is no {role} {word}", remedy)
    return word_help(meanings[0])
