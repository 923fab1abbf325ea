"""Loss and metrics as a card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmagic.display.kit.card import Bundle, card_html, mime_bundle, name_html
from kmagic.support.formatting import format_metric

if TYPE_CHECKING:
    from kmagic.evaluation.prediction.evaluate import Evaluation


def evaluation_bundle(evaluation: Evaluation) -> Bundle:
    """The card of an evaluation, and its text."""
    metrics = "".join(
        '<div style="flex:0 1 auto;min-width:0">'
        f'<div class="km-muted">{name_html(name, 40)}</div>'
        '<div style="font-size:20px;line-height:1.3;font-variant-numeric:tabular-nums">'
        f"{format_metric(value)}</div></div>"
        for name, value in evaluation.items()
    )
    body = f'<div style="display:flex;flex-wrap:wrap;gap:8px 30px">{metrics}</div>'
    title = evaluation.name or "evaluation"
    return mime_bundle(evaluation.describe(), card_html(title, evaluation.facts(), body))
