"""A file that was written, and a model that came out of one, as cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kmagic.display.kit.card import Bundle, card_html, escape_html
from kmagic.display.kit.card import mime_bundle as as_bundle
from kmagic.display.model.model_card import model_bundle


class File(Protocol):
    """A file that was written."""

    name: str
    parts: Sequence[str]
    notes: Sequence[str]

    def facts(self) -> str:
        """Where it is and how large."""


class Model(Protocol):
    """A model that came out of a file."""

    model: Any
    name: str
    built: Any

    def lines(self) -> list[str]:
        """Where it came from, and what became otherwise."""


def bundle(saved: File) -> Bundle:
    """A saved file in words, and as a card of one line."""
    body = (
        f'<div class="km-mute">{escape_html(", ".join(saved.parts))}</div>' if saved.parts else ""
    )
    notes = "".join(f'<div class="km-foot">{escape_html(note)}</div>' for note in saved.notes)
    return as_bundle(repr(saved), card_html(saved.name, saved.facts(), body + notes))


def loaded_bundle(loaded: Model) -> Bundle:
    """A loaded model as its own card, with where it came from below."""
    return model_bundle(loaded.model, loaded.name, loaded.built, loaded.lines())
