"""A learning rate test as a card: the loss over the rate, and the suggested rate."""

from __future__ import annotations

import math

import numpy as np

from kmagic.display.kit.card import Bundle, card_html, figure_html, message_html, mime_bundle
from kmagic.display.kit.chart import Chart, Curve
from kmagic.display.training.training_card import charts_html
from kmagic.support.formatting import pluralize
from kmagic.training.learning_rate_test import LearningRateTest

_SMALL_POWER = -3
"""Smaller powers of ten are written with an exponent."""
_ROW = "display:flex;flex-wrap:wrap;gap:6px 30px"


def learning_rate_bundle(test: LearningRateTest) -> Bundle:
    """The card of a test, and its text."""
    rate = "none found" if test.rate is None else f"{test.rate:g}"
    texts = "".join(
        f'<p style="margin:6px 0">{message_html(text)}</p>'
        for text in filter(None, (test.reason, test.usage))
    )
    value = figure_html("suggested learning rate", rate)
    body = (
        f'<div style="{_ROW}"><div style="flex:1 1 290px;max-width:420px">{value}{texts}</div>'
        f"{charts_html([_chart(test)])}</div>"
    )
    facts = f"learning rate test · {pluralize(len(test.rates), 'batch', 'batches')}"
    foot = "The weights, the optimizer and the random states are as before the test."
    return mime_bundle(repr(test), card_html(test.name, facts, body, foot=foot))


def _chart(test: LearningRateTest) -> Chart:
    """The loss of each batch, thin, and the smoothed one; the axis is logarithmic."""
    positions = np.log10(test.rates).tolist()
    smoothed = test.smoothed
    finite = smoothed[np.isfinite(smoothed)]
    # A loss that explodes would flatten the part that matters.
    high = min(finite.max(initial=0.0), 1.5 * finite[: max(1, len(finite) // 4)].max(initial=0.0))
    mark = None if test.rate is None else (math.log10(test.rate), f"{test.rate:g}")
    return Chart(
        "loss by learning rate",
        [
            Curve("batches", list(zip(positions, test.losses, strict=True))),
            Curve("train", list(zip(positions, smoothed.tolist(), strict=True))),
        ],
        positions[0],
        positions[-1],
        mark,
        scale=(float(finite.min(initial=high)), float(high)),
        x_ticks=[(power, _power_text(power)) for power in _powers(positions[0], positions[-1])],
    )


def _powers(low: float, high: float) -> range:
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    return range(first, last + 1, max(1, math.ceil((last - first) / 5)))


def _power_text(power: int) -> str:
    return f"1e{power}" if power < _SMALL_POWER else f"{10.0**power:g}"
