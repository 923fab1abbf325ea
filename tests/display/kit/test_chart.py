from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmagic.display.kit.chart import (
    HEIGHT,
    LEFT,
    MAX_DOTS,
    RIGHT,
    TOP,
    UNITS,
    WIDTH,
    Chart,
    Curve,
    CurveKind,
    _Plot,
    axis_ticks,
    chart_svg,
    chart_to_text,
    epoch_ticks,
    format_tick,
    spread_labels,
    standalone_chart_svg,
    unclipped_range,
)

TRAIN = [(1.0, 0.7), (2.0, 0.3), (3.0, 0.2)]
VAL = [(1.0, 0.5), (2.0, 0.25), (3.0, 0.3)]


def chart(**changes: object) -> Chart:
    lines = [Curve("train", TRAIN, "training"), Curve("val", VAL, "validation")]
    given: dict[str, object] = {
        "title": "loss", "lines": lines, "start": 1, "end": 3, "mark": (2.0, "best 0.2500"),
    }  # fmt: skip
    return Chart(**(given | changes))  # type: ignore[arg-type]


def drawn(picture: str, kind: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(picture).iter() if each.get("class") == f"km-{kind}"]  # noqa: S314 - our own text


def texts(picture: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(picture).iter("text")]  # noqa: S314 - as above


def points_of(path: str) -> list[tuple[float, float]]:
    """The points of a path in pixels."""
    steps = np.array([int(number) for number in re.findall(r"-?\d+", path.replace("h0", " "))])
    points = steps.reshape(-1, 2).cumsum(axis=0) / UNITS
    return [(x, y) for x, y in points.tolist()]


def corners(line: ET.Element) -> list[tuple[float, float]]:
    return points_of(line.get("d") or "")


# --- the drawing ----------------------------------------------------------------------------------


def test_curves_extend_from_edge_to_edge() -> None:
    picture = chart_svg(chart())
    (train,), (val,) = drawn(picture, "train"), drawn(picture, "val")
    assert [x for x, _ in corners(train)] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    first, best, last = (y for _, y in corners(val))
    assert first < last < best
    assert all(TOP <= y <= HEIGHT for _, y in corners(train) + corners(val))
    # Higher on the page is a higher value.
    assert [y for _, y in corners(train)] == sorted(y for _, y in corners(train))


def test_texts_in_the_chart() -> None:
    said = texts(chart_svg(chart()))
    assert said[0] == "loss"
    assert {"1", "2", "3", "best 0.2500", "training", "validation", "0.20", "0.70"} <= set(said)


def test_labels_at_the_ends_do_not_overlap() -> None:
    close = [Curve("train", [(1.0, 0.5), (2.0, 0.3)], "training")]
    close.append(Curve("val", [(1.0, 0.6), (2.0, 0.301)], "validation"))
    root = ET.fromstring(chart_svg(chart(lines=close, end=2, mark=None)))  # noqa: S314 - our own text
    labels = {each.text: each for each in root.iter("text")}
    ends = [labels[name] for name in ("validation", "training")]
    heights = [float(each.get("y") or 0) for each in ends]
    assert heights[1] - heights[0] >= 12.9
    for each in ends:
        assert WIDTH - RIGHT < float(each.get("x") or 0) < WIDTH - 6 * len(each.text or "")


@given(
    st.lists(st.sampled_from([-900.0, -3, 0.2, 0.3, 0.5, 900, math.nan]), min_size=1, max_size=9),
    st.lists(st.sampled_from([0.2, 0.25, 0.5, 0.9, 1e-7, 900, math.inf]), min_size=9, max_size=9),
    st.integers(0, 90),
    st.integers(1, 9),
    st.sampled_from([300, 330, 460]),
)
@settings(max_examples=500, deadline=None)
def test_no_texts_overlap(
    train: list[float], val: list[float], more: int, best: int, width: int
) -> None:
    lines = [
        Curve("train", [*enumerate(train, 1)], "training"),
        Curve("val", [*enumerate(val[: len(train)], 1)], "validation"),
    ]
    mark = (min(best, len(train)), "best 0.2500")
    root = ET.fromstring(  # noqa: S314 - our own text
        chart_svg(chart(lines=lines, start=1, end=len(train) + more, mark=mark), width=width)
    )
    boxes = []
    for group in root.iter():
        for node in group.findall("text"):
            anchor = node.get("text-anchor") or group.get("text-anchor")
            length = 6 * len(node.text or "")
            before = {"end": length, "middle": length / 2}.get(anchor or "", 0)
            x, y = float(node.get("x") or 0) - before, float(node.get("y") or 0)
            boxes.append((x, x + length, y - 9, y + 1, node.text))
    for one, other in itertools.combinations(boxes, 2):
        assert (
            one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
        ), (one, other)
        assert one[0] >= 0
        assert one[1] <= width


def test_short_validation_curves_have_dots() -> None:
    (dots,) = drawn(chart_svg(chart()), "val-dot")
    assert (dots.get("d") or "").count("h0") == 3
    many = Curve("val", [(float(x), 1 / x) for x in range(1, MAX_DOTS + 2)], "validation")
    (last,) = drawn(chart_svg(chart(lines=[many], end=MAX_DOTS + 1)), "val-dot")
    assert (last.get("d") or "").count("M") == 1
    assert not drawn(chart_svg(chart()), "train-dot")
    lone = Curve("train", [(1.0, 0.5)], "training")
    assert drawn(chart_svg(chart(lines=[lone])), "train-dot")


def test_a_value_that_is_not_finite_is_a_gap() -> None:
    broken = Curve("train", [(1, 1.0), (2, 0.5), (3, math.nan), (4, 0.4), (5, 0.3)], "training")
    picture = chart_svg(chart(lines=[broken], end=5))
    assert [len(corners(piece)) for piece in drawn(picture, "train")] == [2, 2]
    assert "nan" not in picture
    nothing = chart_svg(chart(lines=[Curve("train", [(1, math.inf)], "training")], mark=None))
    assert not drawn(nothing, "train")


def test_the_scale_may_exclude_clipped_values() -> None:
    wild = Curve("batches", [(1.0, 50.0), (2.0, 0.5), (3.0, 0.4)])
    picture = chart_svg(chart(lines=[wild], scale=[0.5, 0.4]))
    assert "50" not in texts(picture)
    (plot,) = (each for each in ET.fromstring(picture).iter("svg") if each.get("x"))  # noqa: S314 - our own text
    assert float(plot.get("height") or 0) < HEIGHT - TOP


def test_names_are_text() -> None:
    evil = "<script>alert('1')</script>&\"\u202e"
    picture = chart_svg(chart(title=evil, mark=(2.0, evil)))
    assert "<script" not in picture
    shown = evil.replace("\u202e", r"\u202e")
    assert texts(picture)[0] == shown
    assert shown in (ET.fromstring(picture).get("aria-label") or "")  # noqa: S314 - our own text


def test_a_standalone_chart_contains_its_colours() -> None:
    picture = standalone_chart_svg(chart(), width=400)
    root = ET.fromstring(picture)  # noqa: S314 - our own text
    style = root.findtext("{http://www.w3.org/2000/svg}style") or ""
    assert "var(" not in style
    assert re.search(r"\.train\{stroke-dasharray", style)
    assert ".curves *,.val{vector-effect" in style
    assert ".previous" not in style
    assert root.get("width") == "400"
    assert "<style" not in chart_svg(chart())


def test_the_description_of_a_chart() -> None:
    assert chart_to_text(chart()) == (
        "loss: training from 0.7000 to 0.2000, validation from 0.5000 to 0.3000, "
        "epoch 2: best 0.2500"
    )
    assert chart_to_text(chart(lines=[], mark=None)) == "loss: no values yet"


# --- scales ---------------------------------------------------------------------------------------

reals = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(reals, min_size=1, max_size=9))
def test_ticks_include_all_values_tightly(values: list[float]) -> None:
    low, middle, high = axis_ticks(values)
    size = max(abs(low), abs(high))
    assert low < middle < high
    assert low <= min(values) + 1e-8 * size
    assert max(values) - 1e-8 * size <= high
    assert middle == pytest.approx((low + high) / 2, abs=1e-9 * size)
    spanned = max(values) - min(values)
    if spanned > 1e-6 * size:
        assert high - low <= 3.5 * spanned


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_axis_of_shares_ends_at_one(values: list[float]) -> None:
    if max(values) - min(values) > 1e-6:
        assert axis_ticks(values)[2] <= 1 + 1e-9


def test_ticks_without_values_and_of_a_constant() -> None:
    assert axis_ticks([]) == (0.0, 0.5, 1.0)
    assert axis_ticks([math.nan, math.inf]) == (0.0, 0.5, 1.0)
    assert axis_ticks([2.0, 2.0])[1] == pytest.approx(2.0)


@given(st.lists(reals, min_size=1, max_size=5))
def test_neighbouring_ticks_have_different_texts(values: list[float]) -> None:
    found = axis_ticks(values)
    if found[1] - found[0] > 1e-3 * max(map(abs, found)):
        assert len({format_tick(tick, found[1] - found[0]) for tick in found}) == 3


@given(st.integers(0, 50), st.integers(1, 100_000), st.floats(1, 30))
def test_the_number_of_epoch_ticks_is_limited(start: int, length: int, room: float) -> None:
    found = epoch_ticks(start, start + length, room)
    assert len(found) <= room + 1
    assert all(start <= each <= start + length for each in found)
    assert 0 not in found


@given(st.lists(st.floats(0, 100), max_size=6))
def test_spread_labels_keep_order_and_distance(heights: list[float]) -> None:
    placed = spread_labels(heights, 10, 0, 100)
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    gaps = [placed[b] - placed[a] for a, b in itertools.pairwise(order)]
    assert all(gap >= 9 for gap in gaps)


def test_a_first_epoch_far_away_does_not_flatten_the_rest() -> None:
    steps = [500.0, 2.0, 1.6, 1.3, 1.1, 1.0]
    curve = [(float(k), value) for k, value in enumerate(steps, 1)]
    other = [(x, y * 0.9) for x, y in curve]
    lines = [Curve("train", curve, "training"), Curve("val", other, "validation")]
    picture = chart_svg(chart(lines=lines, end=6, mark=None))
    assert "2.1" in texts(picture)
    assert "\u2191 500.00" in texts(picture)
    assert "outside the axis: 500.00 at epoch 1" in picture
    # Curves whose first value is only somewhat higher are shown whole.
    usual = [Curve("train", [(x, min(y, 3.0)) for x, y in curve], "training")]
    assert not any("\u2191" in text for text in texts(chart_svg(chart(lines=usual, end=6))))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_at_most_a_twentieth_of_the_values_is_cut_off_at_an_end(values: list[float]) -> None:
    low, high = unclipped_range(values)
    few = max(1, len(values) // 20)
    assert sum(value > high for value in values) <= few
    assert sum(value < low for value in values) <= few


# --- what is drawn of many epochs -----------------------------------------------------------------


def _drawn(curve: list[tuple[float, float]], kind: CurveKind = "val") -> tuple[Any, Any, str]:
    """The x and y of the drawn line in pixels, and its dots."""
    svg = chart_svg(Chart("loss", [Curve(kind, curve)], 1, curve[-1][0]), width=600)
    lines = re.findall(r'<path class="km-(?:train|val|batches)" d="([^"]*)"', svg)
    pixels = [point for line in lines for point in points_of(line)]
    dots = re.findall(r'class="km-val-dot" d="([^"]*)"', svg)
    return *np.array(pixels).T, dots[0] if dots else ""


@pytest.mark.parametrize("shape", ["decay", "cliff", "noise", "peak", "steps"])
@pytest.mark.parametrize("epochs", [41, 200, 450, 900])
def test_a_drawn_curve_is_within_a_pixel_of_all_epochs(shape: str, epochs: int) -> None:
    x = np.arange(1, epochs + 1)
    noise = np.random.default_rng(1).normal(size=epochs)
    y = {
        "decay": np.exp(-x / 30) + 0.1,
        "cliff": np.where(x < epochs // 3, 1.0, 0.1) + x / 1e4,
        "noise": noise,
        "peak": np.where(x == epochs - 2, 9.0, 0.5),
        "steps": np.floor(x / 17) + noise / 50,
    }[shape]
    drawn_x, drawn_y, _ = _drawn(list(zip(x.tolist(), y.tolist(), strict=True)))
    plot = _Plot(Chart("loss", [Curve("val", list(zip(x, y, strict=True)))], 1, epochs), 600)
    wanted_x, wanted_y = np.array(
        [(plot.x(n), plot.y(value)) for n, value in zip(x, y, strict=True)]
    ).T
    rounding = np.linspace(-0.25, 0.25, 81)[:, None]  # coordinates are written in quarters
    assert np.abs(np.interp(wanted_x + rounding, drawn_x, drawn_y) - wanted_y).min(0).max() < 1


def test_thousands_of_epochs_look_the_same_in_each_column_of_pixels() -> None:
    y = np.random.default_rng(1).normal(size=20_000)
    y[7_000] = 50
    drawn_x, drawn_y, _ = _drawn([(n + 1, float(value)) for n, value in enumerate(y)])
    assert len(drawn_x) < 2 * 600
    plot = _Plot(Chart("loss", [Curve("val", [*enumerate(y, 1)])], 1, 20_000), 600)
    all_x = np.array([plot.x(n + 1) for n in range(len(y))])
    all_y = np.array([plot.y(value) for value in y])
    for left in range(45, 520, 60):
        inside = all_y[(all_x >= left) & (all_x < left + 3)]
        drawn = drawn_y[(drawn_x > left - 1) & (drawn_x < left + 4)]
        assert drawn.min() <= inside.min() + 1
        assert drawn.max() >= inside.max() - 1
    assert drawn_y.min() == pytest.approx(all_y.min(), abs=0.25)


def test_each_dot_is_an_epoch_and_each_epoch_a_dot_or_none_is() -> None:
    for epochs in (8, 40):
        assert _drawn([(n, 1 / n) for n in range(1, epochs + 1)])[2].count("h0") == epochs
    for epochs in (41, 52, 200, 2000):  # the last one marks the end
        assert _drawn([(n, 1 / n) for n in range(1, epochs + 1)])[2].count("h0") == 1


def test_gaps_of_a_long_curve_stay_open() -> None:
    curve = [(n, math.nan if 500 <= n < 600 else 1.0) for n in range(1, 3001)]
    svg = chart_svg(Chart("loss", [Curve("train", curve)], 1, 3000))
    assert svg.count('class="km-train"') == 2
