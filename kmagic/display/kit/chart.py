"""Curves over epochs as SVG text. ``static/training/live_chart.js`` draws the same chart live.

The SVG names its parts by class and sets no colours, so one drawing serves both the notebook's
theme (``static/kit/chart.css``) and an ``<img>`` (:func:`standalone_chart_svg`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal, TypeAlias

import numpy as np

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import MIDTONES, drawing_html, escape_html
from kmagic.support.downsampling import Point, drop_collinear, limit_per_column
from kmagic.support.formatting import format_metric, format_power

CurveKind: TypeAlias = Literal["train", "val", "batches", "previous", "other-train", "other-val"]

WIDTH, HEIGHT = 330, 172
LEFT, RIGHT, TOP, BOTTOM = 44, 72, 34, 22
LABEL_HEIGHT = 13
CHARACTER_WIDTH = 6.2
PADDING = 4
EPSILON, TINY = 1e-9, 1e-300
MAX_DOTS = 40  # with more epochs than this, only the last one gets a dot
UNITS = 4  # coordinates of a curve per pixel, which are integers
TOLERANCE = 0.4  # pixels that a curve may be off where points are left out
FAINT_RESOLUTION = 4  # pixels; curves of previous runs need no details
MAX_DECIMALS = 4
PASSES = 40
MIN_CLIPPED, CLIPPED_RATIO = 5, 10
"""Values of a curve of which one may be cut off, and the part of the range that it must take."""
STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a chart.

    "train" is dashed, "val" is solid with dots, "batches" (the values within an epoch) is thin,
    "previous" is faint; "other-train" and "other-val" are those of another run, in grey.
    """

    kind: CurveKind
    points: Sequence[Point]  # (x, y) in the order of x; a y that is not finite is a gap
    label: str = ""  # at the end of the curve

    @property
    def visible(self) -> list[Point]:
        """The points whose y is finite."""
        return [point for point in self.points if math.isfinite(point[1])]


@dataclass(frozen=True, slots=True)
class Chart:
    """Several curves over the same epochs."""

    title: str  # what is measured
    lines: Sequence[Curve]  # later ones on top
    start: float  # where the axis begins: the number of epochs before the first
    end: float  # where the axis ends, in epochs
    mark: tuple[float, str] | None = None  # the best epoch and its label
    scale: Sequence[float] = ()  # values that the vertical axis must include; default: all
    notes: Sequence[float] = ()  # epochs of messages, drawn as short ticks on the axis
    x_ticks: Sequence[tuple[float, str]] = ()  # of an axis that does not show epochs

    def ticks(self) -> tuple[float, float, float]:
        """Values of the vertical axis."""
        curves = [[y for _, y in line.points] for line in self.lines]
        return axis_ticks(self.scale or shown_range(*curves))

    def shown_curves(self, kind: CurveKind) -> int:
        """How many curves of a kind have a point within the axes."""
        low, _, high = self.ticks()
        return sum(
            any(self.start <= x <= self.end and low <= y <= high for x, y in line.points)
            for line in self.lines
            if line.kind == kind
        )


def chart_svg(chart: Chart, *, width: int = WIDTH) -> str:
    """The chart as SVG text."""
    plot = _Plot(chart, width)
    return (
        f'<svg class="km-chart" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        f'role="img" aria-label="{escape_html(chart_to_text(chart))}">'
        f'<text class="km-chart-title" x="0" y="13">{escape_html(chart.title)}</text>'
        f"{plot.axes()}{plot.notes()}{plot.mark()}{plot.curves()}{plot.clipped()}{plot.labels()}</svg>"
    )


def standalone_chart_svg(chart: Chart, *, width: int = WIDTH) -> str:
    """The chart as an SVG document for an ``<img>``, with the colours that it needs."""
    drawing = chart_svg(chart, width=width)
    used = {"text", *re.findall(r'class="([\w-]+)"', drawing)}
    css = minified_css("kit/chart.css")
    for name, colour in re.findall(r"(--km-\w+):(#\w+)", MIDTONES):
        css = css.replace(f"var({name})", colour)
    css = re.sub(r"var\(--[\w-]+,([^()]+)\)", r"\1", css)
    style = ""
    for selectors, declarations in re.findall(r"([^{}]+)(\{[^}]*\})", css):
        names = [selector.removeprefix(".km-chart ") for selector in selectors.split(",")]
        needed = [name for name in names if name.removesuffix(" *").removeprefix(".") in used]
        if needed and names != [".km-chart"]:  # what remains is about its place in a page
            style += ",".join(needed) + declarations
    drawing = re.sub(r' role="img" aria-label="[^"]*"', "", drawing, count=1)
    start = f' xmlns="http://www.w3.org/2000/svg"><style>{style.replace(".km-", ".")}</style>'
    drawing = drawing.replace(">", start, 1)
    return drawing.replace('class="km-', 'class="').replace('"', "'")


def chart_html(chart: Chart, width: int = WIDTH) -> str:
    """The chart for :func:`kmagic.display.kit.card.with_drawings`."""
    return drawing_html(
        chart_svg(chart, width=width),
        standalone_chart_svg(chart, width=width),
        alt=chart_to_text(chart),
        width=width,
        height=HEIGHT,
    )


def chart_to_text(chart: Chart) -> str:
    """What the chart shows, in a sentence."""
    parts = []
    for line in chart.lines:
        values = [y for _, y in line.visible]
        if line.label and values:
            first, last = format_metric(values[0]), format_metric(values[-1])
            parts.append(f"{line.label} from {first} to {last}")
    if chart.mark:
        where = "" if chart.x_ticks else f"epoch {chart.mark[0]:g}: "
        parts.append(f"{where}{chart.mark[1]}")
    return f"{chart.title}: {', '.join(parts) or 'no values yet'}"


# --- scales: static/kit/scales.js mirrors these functions -----------------------------------------


def axis_ticks(values: Iterable[float]) -> tuple[float, float, float]:
    """Three round values whose range includes all of ``values``.

    Example:
        >>> axis_ticks([0.0786, 0.7012])
        (0.0, 0.4, 0.8)
        >>> axis_ticks([0.8506, 0.9712])
        (0.84, 0.92, 1.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low < EPSILON * max(abs(high), abs(low), EPSILON):  # a constant is centred
        margin = abs(high) / 10 if abs(high) > TINY else 1.0
        low, high = low - margin, high + margin
    power = math.floor(math.log10((high - low) / 2))
    for exponent in (power, power + 1):
        unit = 10.0**exponent
        for step in STEPS:
            span = 2 * step * unit
            base = math.floor(low / unit + EPSILON) * unit
            if high <= 1 < base + span - EPSILON:
                base = 1 - span  # a share is at most 1
            if base <= low + EPSILON * unit and base + span >= high - EPSILON * unit:
                return _clean(base), _clean(base + span / 2), _clean(base + span)
    return low, (low + high) / 2, high


def _clean(value: float) -> float:
    return float(f"{value:.12g}")


def unclipped_range(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest of a curve's values, without a few that would flatten all others.

    A twentieth of the values, at least one, is ignored at an end if the others take less than a
    tenth of the range.

    Example:
        >>> unclipped_range([500.0, 2.0, 1.4, 1.1, 1.0, 0.9])
        (0.9, 2.0)
        >>> unclipped_range([2.3, 0.6, 0.4, 0.3, 0.3, 0.2])
        (0.2, 2.3)
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if len(ordered) < MIN_CLIPPED:
        return (ordered[0], ordered[-1]) if ordered else (math.inf, -math.inf)
    few = max(1, len(ordered) // 20)
    low, high = ordered[0], ordered[-1]
    for start, stop in ((0, -few), (few, len(ordered)), (few, -few)):
        rest = ordered[start:stop]
        if 0 < CLIPPED_RATIO * (rest[-1] - rest[0]) < high - low:
            return rest[0], rest[-1]
    return low, high


def shown_range(*curves: Iterable[float]) -> list[float]:
    """Lowest and highest value that the axis of some curves includes; empty without values."""
    ranges = [unclipped_range(values) for values in curves]
    low = min((low for low, _ in ranges), default=math.inf)
    high = max((high for _, high in ranges), default=-math.inf)
    return [low, high] if low <= high else []


def format_tick(value: float, step: float) -> str:
    """A tick's value with just the decimals that distinguish it from its neighbours.

    Example:
        >>> format_tick(0.4, 0.4), format_tick(0.96, 0.04), format_tick(1500.0, 500.0)
        ('0.4', '0.96', '1,500')
    """
    if value and not (step >= 1e-4 and max(abs(value), step) < 1e6):  # noqa: PLR2004 - the range of plain notation
        size = math.floor(math.log10(step) + EPSILON)
        share = step / 10.0**size
        extra = abs(share - round(share)) > EPSILON * share
        decimals = math.floor(math.log10(abs(value)) + EPSILON) - size + extra
        return format_power(value, min(max(1, decimals), MAX_DECIMALS))
    decimals = max(0, -math.floor(math.log10(step) + EPSILON))
    if max(abs(part - round(part, decimals)) for part in (step, value)) > EPSILON * step:
        decimals += 1
    return f"{value:,.{decimals}f}"


def epoch_ticks(start: float, end: float, limit: float) -> list[int]:
    """Round epoch numbers for the axis, about ``limit`` of them at most.

    Example:
        >>> epoch_ticks(0, 4, 10), epoch_ticks(1, 50, 6)
        ([1, 2, 3, 4], [10, 20, 30, 40, 50])
    """
    step = 1
    while (end - start) / step > max(limit, 1):
        step = _next_step(step)
    first = math.ceil(max(start, 1) / step) * step
    return list(range(first, math.floor(end) + 1, step))


def _next_step(step: int) -> int:
    return step * 5 // 2 if str(step)[0] == "2" else step * 2


def place_beside(centre: float, other: float, distance: float, end: float) -> float:
    """The centre of a text that keeps its distance from another one and begins before ``end``.

    Example:
        >>> place_beside(100, 120, 50, 300), place_beside(280, 270, 50, 300)
        (70, 220)
    """
    if abs(centre - other) >= distance:
        return centre
    before, after = other - distance, other + distance
    is_before = centre <= other if before > distance and after < end else before > distance
    return before if is_before else after


def spread_labels(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights moved apart until they differ by ``gap``, within the bounds.

    Example:
        >>> spread_labels([100.0, 104.0], 13, 0, 200)
        [95.5, 108.5]
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [min(max(heights[index], low), high) for index in order]
    for _ in range(PASSES):
        for above in range(len(placed) - 1):
            overlap = gap - (placed[above + 1] - placed[above])
            if overlap > 0:
                placed[above] -= overlap / 2
                placed[above + 1] += overlap / 2
    if placed:
        shift = max(0.0, low - placed[0]) - max(0.0, placed[-1] - high)
        placed = [height + shift for height in placed]
    return [height for _, height in sorted(zip(order, placed, strict=True))]


# --- drawing ------------------------------------------------------------------------------------


def visible_points(pixels: Sequence[Point], resolution: float = 1) -> list[Point]:
    """A curve in pixels without the points that make no difference of ``resolution`` pixels.

    Example:
        >>> visible_points([(0.0, 0.0), (0.5, 0.6), (1.0, 1.0), (2.0, 0.0)])
        [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]
    """
    columns = math.ceil((pixels[-1][0] - pixels[0][0]) / resolution) if pixels else 0
    return drop_collinear(limit_per_column(pixels, max(1, columns)), TOLERANCE * resolution)


def curve_path(pixels: Sequence[Point], *, dots: bool = False) -> str:
    """A curve as the data of an SVG path, in quarters of a pixel; or its points, as dots.

    Each point is relative to the one before it, so that a saved chart takes little room.

    Example:
        >>> curve_path([(1.0, 2.0), (2.5, 0.0), (3.0, 0.5)])
        'M4 8l6-8 2 2'
        >>> curve_path([(1.0, 2.0), (2.5, 0.0)], dots=True)
        'M4 8h0m6-8h0'
    """
    steps = np.diff(np.rint(np.array(pixels) * UNITS).astype(int), axis=0, prepend=0).tolist()
    first, *rest = [f"{x} {y}".replace(" -", "-") for x, y in steps]
    if dots:
        return f"M{first}h0" + "".join(f"m{step}h0" for step in rest)
    return f"M{first}" + (f"l{' '.join(rest).replace(' -', '-')}" if rest else "")


class _Plot:
    """A chart's scales, and its parts drawn by them."""

    bottom = HEIGHT - BOTTOM

    def __init__(self, chart: Chart, width: int) -> None:
        self.chart, self.width, self.right = chart, width, width - RIGHT
        self.ticks = chart.ticks()
        step = self.ticks[1] - self.ticks[0]
        self.tick_texts = [format_tick(tick, step) for tick in self.ticks]
        self.left = max(LEFT, 8 + math.ceil(CHARACTER_WIDTH * max(map(len, self.tick_texts))))
        self.cut_off = self._cut_off()

    def x(self, epoch: float) -> float:
        span = max(self.chart.end - self.chart.start, EPSILON)
        return self.left + (epoch - self.chart.start) / span * (self.right - self.left)

    def y(self, value: float) -> float:
        low, _, high = self.ticks
        share = (value - low) / (high - low)
        return self.bottom - min(max(share, -1.0), 2.0) * (self.bottom - TOP)

    def axes(self) -> str:
        heights = [round(self.y(tick)) for tick in self.ticks]
        grid = "".join(f"M{self.left} {y}H{self.right}" for y in heights)
        values = "".join(
            f'<text x="{self.left - 7}" y="{y + 4}">{text}</text>'
            for y, text in zip(heights, self.tick_texts, strict=True)
        )
        limit = (self.right - self.left) / (14 + CHARACTER_WIDTH * len(f"{self.chart.end:.0f}"))
        ticks = self.chart.x_ticks or [
            (tick, str(tick)) for tick in epoch_ticks(self.chart.start, self.chart.end, limit)
        ]
        epochs = "".join(
            f'<text x="{self.x(x):.0f}" y="{self.bottom + 17}">{text}</text>' for x, text in ticks
        )
        return (
            f'<path class="km-grid" d="{grid}"/><g text-anchor="end">{values}</g>'
            f'<g text-anchor="middle">{epochs}</g>'
        )

    def notes(self) -> str:
        ticks = [max(self.x(epoch), self.left) for epoch in self.chart.notes]
        path = "".join(f"M{x:.1f},{self.bottom}v-7" for x in ticks)
        return f'<path class="km-event" d="{path}"/>' if path else ""

    def _cut_off(self) -> list[tuple[float, int, str, Point]]:
        """The extreme values above and below the axis: left edge and height of the text, text."""
        low, _, high = self.ticks
        lines = [line for line in self.chart.lines if line.kind not in ("batches", "previous")]
        points = [point for line in lines for point in line.visible]
        texts = []
        for extreme, sign, y in ((max, "\u2191", TOP - 7), (min, "\u2193", self.bottom - 4)):
            point = extreme(points, key=itemgetter(1), default=(0.0, low))
            if low <= point[1] <= high:
                continue
            text = f"{sign} {format_metric(point[1])}"
            x, width = self._centre(point[0], text), len(text) * CHARACTER_WIDTH
            if y < TOP and self.chart.mark:
                distance = (width + len(self.chart.mark[1]) * CHARACTER_WIDTH) / 2 + 6
                room = self.width - width / 2
                x = place_beside(x, self._centre(*self.chart.mark), distance, room)
            elif y > TOP and self.x(point[0]) - width > self.left:
                x = self.x(point[0]) - width / 2 - 4
            texts.append((x - width / 2, y, text, point))
        return texts

    def _centre(self, epoch: float, text: str) -> float:
        """The middle of a text at an epoch that does not leave the chart."""
        half = len(text) * CHARACTER_WIDTH / 2
        return min(max(self.x(epoch), self.left + half), self.width - half)

    def clipped(self) -> str:
        """The extreme values above and below the axis, at their epochs."""

        def where(epoch: float) -> str:
            return "" if self.chart.x_ticks else f" at epoch {epoch:g}"

        return "".join(
            f'<text x="{x:.1f}" y="{y}">{text}'
            f"<title>outside the axis: {format_metric(value)}{where(epoch)}</title></text>"
            for x, y, text, (epoch, value) in self.cut_off
        )

    def mark(self) -> str:
        if not self.chart.mark:
            return ""
        (epoch, label), x = self.chart.mark, self.x(self.chart.mark[0])
        centre = self._centre(epoch, label)
        return (
            f'<path class="km-dashed" d="M{x:.0f} {TOP - 3}V{self.bottom}"/>'
            f'<text x="{centre:.0f}" y="{TOP - 7}" text-anchor="middle">{escape_html(label)}</text>'
        )

    def curves(self) -> str:
        """The curves within a nested ``<svg>``, which clips what leaves the plot."""
        x, y = self.left - PADDING, TOP - PADDING
        width, height = self.right - self.left + 2 * PADDING, self.bottom - TOP + 2 * PADDING
        view = " ".join(str(UNITS * length) for length in (x, y, width, height))
        box = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        parts = [f'<svg class="km-curves" {box} viewBox="{view}">']
        for line in self.chart.lines:
            # Between gaps, stretches of two and more points are drawn.
            for is_drawn, group in groupby(line.points, lambda point: math.isfinite(point[1])):
                if is_drawn and len(points := list(group)) > 1:
                    resolution = FAINT_RESOLUTION if line.kind == "previous" else 1
                    pixels = [(self.x(x), self.y(y)) for x, y in points]
                    pixels = visible_points(pixels, resolution)
                    parts.append(f'<path class="km-{line.kind}" d="{curve_path(pixels)}"/>')
            dots = line.visible
            if line.kind != "val" and (len(dots) > 1 or line.kind == "batches"):
                dots = []
            elif len(dots) > MAX_DOTS:
                dots = dots[-1:]
            if dots:
                path = curve_path([(self.x(x), self.y(y)) for x, y in dots], dots=True)
                parts.append(f'<path class="km-{line.kind}-dot" d="{path}"/>')
        return "".join(parts) + "</svg>"

    def labels(self) -> str:
        labelled = [line for line in self.chart.lines if line.label and line.visible]
        ends = [(*line.visible[-1], line) for line in labelled]
        heights = [self.y(y) for _, y, _ in ends]
        high = self.bottom
        first = min((self.x(x) for x, _, _ in ends), default=self.width)
        for x, y, text, _ in self.cut_off:  # labels keep clear of these texts
            if y > TOP and x + len(text) * CHARACTER_WIDTH > first:
                high = y - 14
        heights = spread_labels(heights, LABEL_HEIGHT, TOP, high)
        parts = []
        for height, (x, _, line) in zip(heights, ends, strict=True):
            left = min(self.x(x) + 7, self.width - len(line.label) * CHARACTER_WIDTH)
            parts.append(
                f'<text class="km-label-{line.kind}" x="{left:.0f}" y="{height + 4:.1f}">'
                f"{escape_html(line.label)}</text>"
            )
        return "".join(parts)
