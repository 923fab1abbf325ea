"""The language's own help: its words by family, and each with what Keras says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.models import catalogue
from kmagic.models.reference import language_words
from kmagic.models.reference.entry import Argument, Entry, Line, entry_of, native_entry, ops_entry
from kmagic.models.reference.listing import (
    Group,
    Item,
    Listing,
    all_words,
    family,
    kind,
    ops_listing,
)
from kmagic.models.reference.word_families import BY_KIND, families, known_words, look_up
from kmagic.support.errors import KmagicError
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean

__all__ = ["Argument", "Entry", "Group", "Item", "Line", "Listing", "reference"]


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
        A :class:`Listing` or an :class:`Entry`; a notebook shows it as a card.

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
        return all_words(names)
    members = families()
    title = word.lower().removeprefix("family ")
    if title in members and (title != word.lower() or catalogue.find("layer", title) is None):
        return family(title, members[title])
    if rest and wanted in BY_KIND:
        return _of_kind(first, rest.strip(), names)
    if rest:
        raise KmagicError(f"{word} is more than one word", "Ask for one word at a time.")
    if wanted in BY_KIND and catalogue.find("layer", wanted) is None:
        return kind(BY_KIND[wanted])
    if wanted == "ops":
        return ops_listing()
    if wanted in language_words.BY_WORD:
        return native_entry(language_words.BY_WORD[wanted])
    if wanted.startswith("ops."):
        return ops_entry(wanted.removeprefix("ops."))
    found = look_up(first, names)
    if found:
        also = [f"{each.role} {each.word}" for each in found[1:]]
        return entry_of(found[0], also + [f"family {wanted}"] * (wanted in members))
    raise KmagicError(f"{first} is not a word of the language", _hint(first))


def _of_kind(kind_word: str, word: str, names: Mapping[str, Any]) -> Renderable:
    role = BY_KIND[kind_word.lower()]
    found = [known for known in look_up(word, names) if known.role == role]
    if not found:
        remedy = did_you_mean(word, (known.word for known in known_words(role)))
        raise KmagicError(f"there is no {role} {word}", remedy or f"All: %keras_layers {role}s")
    return entry_of(found[0], ())


def _hint(word: str) -> str:
    pool = [*language_words.BY_WORD, *BY_KIND, *families()]
    for role in catalogue.OBJECT_ROLES:
        pool += [each for known in known_words(role) for each in (known.word, *known.aliases)]
    return did_you_mean(word, pool) or "All words: %keras_layers"
