"""The card of a regression's errors: complete, small, escaped, and the same as text."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.display.regression.error_charts import MAX_DOTS, histogram_chart, target_charts
from kmagic.display.regression.errors_card import time_chart
from kmagic.evaluation.regression.errors_of import errors, errors_of

from ...cards import HOSTILE, html, text

MAX_BYTES = 60_000
RNG = np.random.default_rng(0)
TRUE = RNG.gamma(2, 10, 300)
PRED = TRUE + RNG.normal(0, 3, 300)


def test_the_card_has_charts_metrics_and_the_worst_rows():
    frame = pd.DataFrame({"size": np.arange(300), "town": ["Ulm", "Bonn"] * 150})
    result = errors(TRUE, PRED, x=frame, name="net", target_names=["price"], unit="test houses")
    card = html(result)
    assert f'net</bdi></b></span> <span class="km-muted">{result.facts()}' in card
    assert card.count("<svg") == 3
    assert "true price" in card
    for name in result.metrics:
        assert result.format(name) in card
    worst = result.worst(8)
    assert all(f">{index}</bdi></th>" in card for index in worst.index)
    assert "Bonn" in card
    shown = text(result)
    assert result.describe() in shown
    assert "95 % interval" in shown
    assert f"{worst['error'].iloc[0]:.4g}" in shown
    assert len(card) < MAX_BYTES


def test_a_million_rows_are_a_small_card_in_bounded_memory():
    true = RNG.gamma(2, 10, 1_000_000)
    pred = true + RNG.normal(0, 3, 1_000_000)
    result = errors(true, pred, x=np.zeros((1_000_000, 20), "float32"), time=np.arange(1_000_000))
    assert result.metrics["R2"] > 0
    tracemalloc.start()
    card = html(result)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(card) < MAX_BYTES
    assert peak < 200e6
    assert card.count("data:image/png") >= 2


@pytest.mark.parametrize("targets", [2, 5, 40])
def test_several_targets_are_a_small_card(targets):
    names = [f"quite a long target {k}" for k in range(targets)]
    true, pred = np.tile(TRUE[:, None], targets), np.tile(PRED[:, None], targets)
    x = pd.DataFrame(RNG.normal(size=(300, 30)), columns=[f"feature {k}" for k in range(30)])
    result = errors(true, pred, target_names=names, x=x)
    card = html(result)
    assert len(card) < MAX_BYTES
    assert card.count('class="km-chart km-error-chart"') == 3 * min(targets, 3)
    assert ("shows another" in card) == (targets > 3)
    assert names[min(targets, 12) - 1] in text(result)


def test_several_targets_over_time_are_a_small_card():
    true, pred = RNG.gamma(2, 10, (5000, 4)), RNG.gamma(2, 10, (5000, 4))
    card = html(errors(true, pred, target_names=list("abcd"), time=np.arange(5000)))
    assert "a over time" in card
    assert card.count('class="km-chart km-error-chart"') == 6
    assert len(card) < MAX_BYTES


def test_dots_become_a_density():
    few, many = (errors(np.resize(TRUE, n), np.resize(PRED, n)) for n in (MAX_DOTS, MAX_DOTS + 1))
    worst = few.largest(3)
    assert [chart.drawing.count("<image") for chart in target_charts(few, worst)] == [0, 0, 0]
    assert [chart.drawing.count("<image") for chart in target_charts(many, worst)] == [1, 1, 0]
    dots = re.search(r'km-error-dots" transform="scale\(0.25\)" d="([^"]+)', html(few))
    assert dots is not None
    assert dots.group(1).count("h0") == MAX_DOTS


def test_the_histogram_counts_every_row_within_its_axis():
    chart = histogram_chart(np.r_[np.zeros(999), 1e9], "Errors", "x", np.zeros(5))
    assert chart.title == "Errors"  # all rows are the same value but one
    values = np.r_[RNG.normal(size=9999), 1e6]
    chart = histogram_chart(values, "Errors", "x", np.zeros(5))
    assert re.fullmatch(r"Errors; \d+ rows are outside", chart.title)
    assert chart.x_ticks[2] < 10


def test_images_are_thumbnails():
    images = RNG.integers(0, 255, (300, 12, 12)).astype("uint8")
    result = errors(TRUE, PRED, x=images)
    card = html(result)
    assert "km-sheet" in card
    assert f"{PRED[result.largest(1)[0]]:.4g} (" in card
    assert len(card) < MAX_BYTES


def test_names_and_values_are_escaped():
    x = pd.DataFrame({name: [name] * 300 for name in HOSTILE})
    for name in HOSTILE:
        result = errors(TRUE, PRED, x=x, name=name, unit=name, target_names=[name])
        card = html(result) + html(result.versus(errors(TRUE, PRED + 1, name=name)))
        assert "<script>" not in card
        assert "<img src=x" not in card
        assert "\u202e" not in text(result)
    both = errors(np.c_[TRUE, TRUE], np.c_[PRED, PRED], target_names=HOSTILE[:2])
    assert "<script>" not in html(both)


def test_the_largest_errors_over_time_are_marked():
    dates = pd.date_range("2024-01-01", periods=300)
    shuffled = RNG.permutation(300)
    result = errors(TRUE[shuffled], PRED[shuffled], time=dates[shuffled])
    chart = time_chart(result)
    worst = np.argsort(-np.abs(PRED - TRUE))[:3]
    assert sorted(chart.notes) == sorted(worst.tolist())
    assert [y for _, y in chart.lines[0].points] == TRUE.tolist()
    assert chart.x_ticks[0][1] == "2024-01-30"
    assert "over time" in html(result)
    long = time_chart(
        errors(np.resize(TRUE, 100_000), np.resize(PRED, 100_000), time=range(100_000))
    )
    assert max(y for _, y in long.lines[0].points) == TRUE.max()
    assert len(long.lines[0].points) < 1000


def test_forecasts_are_drawn_over_time_and_by_step():
    days = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=200), "sales": range(200)})
    data = kmagic.load_data(days, target="sales", window=10, horizon=4)

    class Last:
        name = "last"

        def predict_on_batch(self, x):
            return x[:, -1:, 0] + np.arange(4.0)

    result = errors_of(Last(), data)
    card = html(result)
    assert "mean absolute error by step ahead" in card
    assert "Ticks at the axis mark the largest errors." in card
    assert "sales, step 4" in card
    assert len(card) < MAX_BYTES


@pytest.mark.parametrize("n", [2, 3, 20])
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e140])
def test_any_values_have_a_card(n, scale):
    for true, pred in (
        (np.arange(n), np.zeros(n)),
        (np.ones(n), np.ones(n)),
        (-TRUE[:n], PRED[:n]),
    ):
        result = errors(scale * np.asarray(true, float), scale * np.asarray(pred, float))
        assert "nan" not in html(result).replace("tabular-nums", "").lower().split("<svg", 1)[1]
        assert text(result)
        assert html(result.versus(errors(result.y_true, result.y_true)))


def test_the_card_of_two_models():
    new, old = errors(TRUE, PRED, name="new"), errors(TRUE, PRED * 1.2, name="old")
    comparison = new.versus(old)
    card = html(comparison)
    assert "new against old" in card
    assert card.count('class="km-chart km-error-chart"') == 3
    assert "Wilcoxon signed-rank test" in card
    assert "new</bdi> is closer" in card
    assert len(card) < MAX_BYTES
    assert comparison.describe() in text(comparison)
    several = errors(np.c_[TRUE, TRUE], np.c_[PRED, PRED], target_names=["a", "b"])
    other = errors(np.c_[TRUE, TRUE], np.c_[TRUE, TRUE], target_names=["a", "b"])
    assert html(several.versus(other)).count("Wilcoxon") == 2
