"""The functions that exist in Python and in JavaScript give the same results."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from kmagic.display.confusion.matrix_cards import cell_title, format_percent
from kmagic.display.kit.chart import (
    axis_ticks,
    epoch_ticks,
    format_tick,
    shown_range,
    spread_labels,
)
from kmagic.display.training.training_card import previous_scale_values
from kmagic.evaluation.confusion.confusion import confusion
from kmagic.support.colour_scale import colour_values, difference_values
from kmagic.support.formatting import (
    format_approximate_duration,
    format_count,
    format_duration,
    format_metric,
)

from .conftest import RunJs

SPANS = [
    [0.0786, 0.7012],
    [0.85, 0.9712],
    [2.0, 2.0],
    [-5.0, 3.0],
    [1e-6, 3e-6],
    [1e3, 5e8],
    [-3.26e8, -3.37000001e8],
    [],
]


def test_formatting(run_js: RunJs) -> None:
    values = [0.0, 0.0806, -3.5, 9.99999, 12.0583, 100.0, 1002.26, 98765.4, 1.2e7, 4.2e-5, 0.001]
    counts = [0, 7, 1009, 1234567, 12.5, 0.25, 1001.75]
    times = [0.0, 7.2, 19.9, 93.0, 500.0, 4000.0, 86399.5]
    shares = [0.0, 0.1234, 0.5, 0.98765, 1.0]
    found = run_js(
        "{metrics: given.values.map(m.formatNumber), counts: given.counts.map(m.formatCount),"
        " durations: given.times.map(m.formatDuration),"
        " remaining: given.times.map(m.formatRemaining),"
        " percents: given.shares.map(v => [m.formatPercent(v), m.formatPercent(v, 2)]),"
        " ratios: [m.ratio(1, 4), m.ratio(3, 0)]}",
        "kit/formatting.js",
        given={"values": values, "counts": counts, "times": times, "shares": shares},
    )
    assert found["metrics"] == [format_metric(value) for value in values]
    assert found["counts"] == [format_count(value) for value in counts]
    assert found["durations"] == [format_duration(time) for time in times]
    assert found["remaining"] == [format_approximate_duration(time) for time in times]
    assert found["percents"] == [[format_percent(v), format_percent(v, 2)] for v in shares]
    assert found["ratios"] == [0.25, 0]


def test_scales(run_js: RunJs) -> None:
    axes = [[0, 3, 10], [1, 50, 6], [10, 12, 8], [1, 3000, 5.3]]
    heights = [[100, 104], [5, 1, 9], [50], [150, 149, 151], []]
    found = run_js(
        "(scales => ({scales,"
        " texts: scales.map(t => t.map(v => m.formatTick(v, t[1] - t[0]))),"
        " axes: given.axes.map(a => m.epochTicks(...a)),"
        " heights: given.heights.map(h => m.spreadLabels(h, 20, 150)),"
        " gap: m.LABEL_HEIGHT}))(given.spans.map(m.axisTicks))",
        "kit/scales.js",
        given={"spans": SPANS, "axes": axes, "heights": heights},
    )
    scales = [axis_ticks(span) for span in SPANS]
    for mine, other in zip(scales, found["scales"], strict=True):
        assert other == pytest.approx(mine)
    assert found["texts"] == [[format_tick(v, s[1] - s[0]) for v in s] for s in scales]
    assert found["axes"] == [epoch_ticks(*axis) for axis in axes]  # type: ignore[arg-type]
    for labels, other in zip(heights, found["heights"], strict=True):
        assert other == pytest.approx(spread_labels(labels, found["gap"], 20, 150))


def test_shown_ranges(run_js: RunJs) -> None:
    outlier = [500.0, 2.0, 1.4, 1.1, 1.0, 0.9]
    cases = [
        [outlier],
        [[-value for value in outlier], [0.5]],
        [[2.3, 0.6, 0.4, 0.3, 0.3, 0.2]],
        [[-900.0, *np.linspace(0, 1, 60), 800.0]],
        [[], [1.0, 2.0]],
        [[]],
    ]
    given = [[list(curve) for curve in case] for case in cases]
    found = run_js("given.map(c => m.shownRange(...c))", "kit/scales.js", given=given)
    assert found == [pytest.approx(shown_range(*case)) for case in cases]


def test_values_of_previous_runs(run_js: RunJs) -> None:
    cases = [
        ([0.2, 0.3], [[(1, 0.25), (2, 9.0)]], 10),
        ([], [[(1, 0.25), (2, 9.0)], [(1, 0.5)]], 1),
        ([1.0], [[(1, 4.0)]], 5),
        ([1.0, 3.0], [[(1, -9.0), (20, 2.0)]], 5),
    ]
    found = run_js("given.map(c => m.previousScaleValues(...c))", "kit/scales.js", given=cases)
    for case, other in zip(cases, found, strict=True):
        assert other == pytest.approx(previous_scale_values(*case))


@pytest.mark.parametrize("classes", [2, 5])
def test_colours(run_js: RunJs, classes: int) -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 60, (classes, classes)) * rng.integers(0, 2, (classes, classes))
    change = counts - counts.T - 2 * np.eye(classes, dtype=int)
    options = [{"log": log, "diagonal": d} for log, d in itertools.product((False, True), repeat=2)]
    rows, columns = np.indices(counts.shape).reshape(2, -1)
    given = {
        "counts": counts.ravel().tolist(),
        "change": change.ravel().tolist(),
        "rows": rows.tolist(),
        "columns": columns.tolist(),
        "options": options,
    }
    found = run_js(
        "(correct => ({"
        " opacities: given.options.map(o => [...m.cellOpacities(given.counts, correct, o)]),"
        " difference: [...m.differenceOpacities(given.change, correct)],"
        " shares: ['true', 'pred', 'counts'].map(over =>"
        " [...m.normalizedCounts(given.counts, given.rows, given.columns, over)])}))"
        "(k => given.rows[k] === given.columns[k])",
        "confusion/colour_scale.js",
        given=given,
    )
    for how, other in zip(options, found["opacities"], strict=True):
        np.testing.assert_allclose(other, colour_values(counts, **how).ravel(), atol=1e-6)
    np.testing.assert_allclose(found["difference"], difference_values(change).ravel(), atol=1e-6)
    for axis, other in zip((1, 0), found["shares"], strict=False):
        sums = counts.sum(axis=axis, keepdims=True)
        shares = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
        np.testing.assert_allclose(other, shares.ravel(), atol=1e-9)
    assert found["shares"][2] == counts.ravel().tolist()


def test_cells_in_words_and_as_calls(run_js: RunJs) -> None:
    names = ["ant", "bee's \\ hive", "cow"]
    state = {"kind": "matrix", "names": names, "labels": [0, names[1], "cow"]}
    found = run_js(
        "{texts: [[0, 0], [0, 1]].map(c => m.cellToText(given.names, c)),"
        " calls: [[[[0, 1]], null], [[[1, 2]], 0.7], [[[0, 0], [0, 1]], null]]"
        ".map(([cells, threshold]) => m.cellCall(given, cells, threshold)),"
        " difference: m.cellCall({...given, kind: 'difference'}, [[2, 0]], null)}",
        "confusion/cell_text.js",
        given=state,
    )
    plain = ["ant", "bee", "cow"]
    assert found["texts"] == ["ant correct", "ant taken for bee's \\ hive"]
    assert [cell_title(plain, cell) for cell in ((0, 0), (0, 1))] == [
        "ant correct",
        "ant taken for bee",
    ]
    assert found["calls"] == [
        ".indices(true=0, pred='bee\\'s \\\\ hive')",
        ".at(0.7).indices(true='bee\\'s \\\\ hive', pred='cow')",
        ".selected()",
    ]
    assert found["difference"] == ".new.indices(true='cow', pred=0)"
    # The calls are valid Python and give the samples of the cells.
    matrix = confusion(["a", "b'"], ["b'", "b'"], class_names=["a", "b'"])
    call = run_js(
        "m.cellCall(given, [[0, 1]], null)",
        "confusion/cell_text.js",
        given={"kind": "matrix", "names": ["a", "b'"], "labels": ["a", "b'"]},
    )
    assert eval(f"matrix{call}", {"matrix": matrix}).tolist() == [0]  # noqa: S307 - our own call


# --- functions of the live view only --------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0602, 0.9376], [0.05, 0.2, 1]),
        ([1.2e-5, 3.0], [1e-5, 0.005, 5]),
        ([3.0, 9.0], [2, 5, 10]),
        ([0.85, 0.99], None),  # a logarithm would show the same
        ([0.0, 1.0], None),
        ([-1.0, 10.0], None),
        ([], None),
    ],
)
def test_a_logarithmic_axis(
    run_js: RunJs, values: list[float], expected: list[float] | None
) -> None:
    found = run_js("m.logTicks(given)", "kit/scales.js", given=values)
    assert found == (expected and pytest.approx(expected))


def test_smoothing_removes_noise_and_keeps_the_trend(run_js: RunJs) -> None:
    curve = [[x, 100.0 - x + (-1) ** x] for x in range(1, 101)]
    smooth = run_js("m.smooth(given)", "kit/scales.js", given=curve)
    assert [x for x, _ in smooth] == [x for x, _ in curve]
    assert smooth[0] == curve[0]
    steps = [b[1] - a[1] for a, b in itertools.pairwise(smooth[20:])]
    assert all(-1.6 < step < -0.4 for step in steps)
    assert all(0 < y - (100 - x) < 6 for x, y in smooth[20:])
    gaps = run_js("m.smooth([[1, NaN], [2, 3], [3, NaN], [4, 3]])", "kit/scales.js")
    assert gaps == [[1, None], [2, 3], [3, None], [4, 3]]
    assert run_js("m.smooth([])", "kit/scales.js") == []


def test_a_value_that_is_not_finite(run_js: RunJs) -> None:
    found = run_js("[null, NaN, -Infinity].map(m.formatNumber)", "kit/formatting.js")
    assert found == ["not finite"] * 3
    assert not math.isfinite(float(format_metric(math.nan)))
