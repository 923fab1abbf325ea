"""Cards for a saved file and for a loaded model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmagic.display.kit.card import Bundle, card_html, escape_html, mime_bundle
from kmagic.display.model.model_card import model_bundle

if TYPE_CHECKING:
    from kmagic.persistence.model_reading import LoadResult
    from kmagic.persistence.save_load import SaveResult


def save_bundle(saved: SaveResult) -> Bundle:
    """A saved file as text and as a card of one line."""
    parts = escape_html(", ".join(saved.parts))
    body = f'<div class="km-muted">{parts}</div>' if parts else ""
    notes = "".join(f'<div class="km-footer">{escape_html(note)}</div>' for note in saved.notes)
    return mime_bundle(repr(saved), card_html(saved.name, saved.location(), body + notes))


def load_bundle(loaded: LoadResult) -> Bundle:
    """A loaded model as its own card, with its file in the footer."""
    return model_bundle(loaded.model, loaded.name, loaded.origin, loaded.lines())
