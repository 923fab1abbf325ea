"""The words that layers of a model have learned, for files in which Keras does not keep them.

A ``.keras`` file holds them as assets. An ``.h5``, weights and architectures do not, and the layer
that comes out of them answers to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def words_of(model: Any) -> list[list[Any]]:
    """The vocabularies of a model's layers, in their order; [] if it has no such layer.

    Args:
        model: A Keras model.
    """
    return [list(layer.get_vocabulary(include_special_tokens=False)) for layer in layers(model)]


def give_words(model: Any, words: Sequence[Sequence[Any]]) -> list[str]:
    """Give a model's layers the words that were kept for them.

    Args:
        model: The model.
        words: From :func:`words_of`.

    Returns:
        What could not be done, in words.
    """
    found = list(layers(model))
    if len(found) != len(words):
        return [f"the words of {len(words)} layers came along, and {len(found)} here take any"]
    notes = []
    for layer, own in zip(found, words, strict=True):
        try:
            if own:
                layer.set_vocabulary(list(own))
        except (ValueError, RuntimeError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            notes.append(f"{layer.name} does not take the words that came along: {first}")
    return notes


def layers(model: Any) -> Iterator[Any]:
    """The layers that learn words, those of nested models too."""
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "get_vocabulary") and hasattr(layer, "set_vocabulary"):
            yield layer
        yield from layers(layer)
