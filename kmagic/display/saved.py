"""A file that was written, and a model that came out of one, as cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from kmagic.display.card import Bundle, card, escape
from kmagic.display.card import bundle as as_bundle
from kmagic.display.model import model_bundle
from kmagic.keras_cache import show_path
from kmagic.words import memory


class File(Protocol):
    """A file that was written."""

    name: str
    path: Path
    size: int
    parts: Sequence[str]
    notes: Sequence[str]

    def describe(self) -> str:
        """The file in one sentence."""


class Model(Protocol):
    """A model that came out of a file."""

    model: Any
    name: str
    built: Any
    notes: Sequence[str]

    def describe(self) -> str:
        """Where it came from and what came with it."""


def bundle(saved: File) -> Bundle:
    """A saved file in words, and as a card of one line."""
    facts = f"saved as {show_path(saved.path)} \u00b7 {memory(saved.size)}"
    body = f'<div class="km-mute">{escape(", ".join(saved.parts))}</div>' if saved.parts else ""
    notes = "".join(f'<div class="km-foot">{escape(note)}</div>' for note in saved.notes)
    return as_bundle(repr(saved), card(saved.name, facts, body + notes))


def loaded_bundle(loaded: Model) -> Bundle:
    """A loaded model as its own card, with where it came from below."""
    notes = [f"{each[0].upper()}{each[1:]}" for each in (loaded.describe(), *loaded.notes)]
    return model_bundle(loaded.model, loaded.name, loaded.built, notes)
