"""Loss and metrics as a card."""

from __future__ import annotations

from typing import Protocol

from kmagic.display.kit.card import Bundle, card_html, name_html
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.support.formatting import format_metric


class Shown(Protocol):
    """What an evaluation must tell to be drawn: it is a dict, too."""

    name: str

    def items(self) -> list[tuple[str, float]]:
        """Metrics by name."""

    def facts(self) -> str:
        """What was judged."""

    def describe(self) -> str:
        """All in words."""


def evaluation_bundle(evaluation: Shown) -> Bundle:
    """The card of some metrics, and the same in words."""
    figures = "".join(
        '<div style="flex:0 1 auto;min-width:0">'
        f'<div class="km-mute">{name_html(name, 40)}</div>'
        '<div style="font-size:20px;line-height:1.3;font-variant-numeric:tabular-nums">'
        f"{format_metric(value)}</div></div>"
        for name, value in evaluation.items()
    )
    body = f'<div style="display:flex;flex-wrap:wrap;gap:8px 30px">{figures}</div>'
    return carry(
        evaluation.describe(), card_html(evaluation.name or "evaluation", evaluation.facts(), body)
    )
