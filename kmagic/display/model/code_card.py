"""Code as a card: its lines, as they stand."""

from __future__ import annotations

from typing import Protocol

from kmagic.display.kit.card import Bundle, card_html, escape_html
from kmagic.display.kit.card import mime_bundle as as_bundle
from kmagic.support.formatting import pluralize


class Lines(Protocol):
    """What is shown: a string that knows whose code it is."""

    name: str
    language: str

    def __str__(self) -> str:
        """The code."""


def bundle(code: Lines) -> Bundle:
    """The code in plain text and as a card."""
    text = str(code)
    facts = f"{code.language} \u00b7 {pluralize(len(text.splitlines()), 'line')}"
    body = (
        '<pre class="km-code" style="margin:0;overflow-x:auto;word-break:normal;background:none">'
        f"{escape_html(text)}</pre>"
    )
    return as_bundle(text, card_html(code.name, facts, body))
