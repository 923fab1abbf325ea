"""Predictions in a file as a card: how many, how fast, and the most likely classes."""

from __future__ import annotations

from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    mime_bundle,
    name_html,
    scroll_html,
    table_html,
)
from kmagic.evaluation.prediction.file_prediction import PredictionFile
from kmagic.support.keras_cache import show_path

MAX_CLASSES = 12


def file_bundle(result: PredictionFile) -> Bundle:
    """The card of a file of predictions, and its text."""
    file = show_path(result.path)
    foot = f"The predictions are in `{file}`: `pandas.read_parquet`. {result.note}".strip()
    if result.count < result.total:
        foot = f"`{file}` is not written yet. The same cell continues."
    shown = list(result.counts.items())[:MAX_CLASSES]
    largest = max(result.counts.values(), default=1)
    rows = [
        (
            name_html(name, 40),
            f"{count:,}",
            f"{count / result.count:.1%}",
            f'<div style="width:160px">{bar_html(count / largest)}</div>',
        )
        for name, count in shown
    ]
    body = ""
    if rows:
        heads = ("predicted class", f"{result.unit}s", "share", "")
        body = scroll_html(table_html(heads, rows), "Predicted classes")
    lines = [f"  {name}: {count:,}" for name, count in shown]
    if more := len(result.counts) - len(shown):
        lines.append(f"  and {more:,} other classes")
        body += f'<p class="km-muted" style="margin:6px 0">and {more:,} other classes</p>'
    text = "\n".join([f"{result.name}: {result.facts()}", *lines, foot])
    return mime_bundle(text, card_html(result.name, result.facts(), body, foot=foot))
