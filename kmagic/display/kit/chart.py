"""Curves as SVG text: pure, from points to picture. ``static/curves.js`` draws the same live.

The picture names its parts by class and says nothing of colours, so that one drawing serves the
notebook's theme (``static/chart.css`` in the page) and an ``<img>`` that no theme reaches
(:func:`standalone_chart_svg`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from kmagic.display.kit.card import escape_html, read_static
from kmagic.support.formatting import format_metric, format_power

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point: TypeAlias = tuple[float, float]
CurveKind: TypeAlias = Literal["train", "val", "course", "ghost", "other-train", "other-val"]

WIDTH, HEIGHT = 330, 172
LEFT, RIGHT, TOP, BOTTOM = 44, 72, 34, 22
LABEL_HEIGHT = 13
CHARACTER = 6.2
PAD = 4
EPSILON, TINY = 1e-9, 1e-300
MAX_DOTS = 40
PASSES = 40
MOST_DECIMALS = 4
STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
MIDTONES = "--km-blue:#1f83c6;--km-orange:#d9660f;--km-mute:#7b828a;--km-fg:#7b828a;"
"""Colours that can be told from white and from black, where the theme is out of reach."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve.

    Attributes:
        kind: How it is drawn: "train" is dashed, "val" is solid with points, "course" (what
            happens within an epoch) is thin, "ghost" is faint; "other-train" and "other-val" are
            another run's, the same in grey.
        points: (x, y) in the order of x; a y that is not finite is a gap.
        label: What stands at its end; "" for nothing.
    """

    kind: CurveKind
    points: Sequence[Point]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Several curves over the same epochs.

    Attributes:
        title: What is measured.
        lines: The curves; later ones are drawn above.
        start: Where the axis begins: the number of epochs before the first.
        end: Where the axis ends, in epochs.
        mark: The best epoch's hairline, as (epoch, words above it), or None.
        scale: Values that the vertical axis must hold; by default all of the curves'.
        notes: Epochs at which something happened: short ticks on the axis.
    """

    title: str
    lines: Sequence[Curve]
    start: float
    end: float
    mark: tuple[float, str] | None = None
    scale: Sequence[float] = ()
    notes: Sequence[float] = ()


def chart_svg(chart: Chart, *, width: int = WIDTH, height: int = HEIGHT, style: str = "") -> str:
    """The chart as SVG text; ``style`` is CSS that goes inside, for a picture that stands alone."""
    plot = _Plot(chart, width, height)
    frame = (
        f'<svg class="km-chart" xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape_html(chart_to_text(chart))}">'
    )
    parts = [
        frame,
        f"<style>{style}</style>" if style else "",
        f'<text class="km-ttl" x="0" y="13">{escape_html(chart.title)}</text>',
        plot.axes(),
        plot.notes(),
        plot.mark(),
        plot.curves(),
        plot.labels(),
        "</svg>",
    ]
    return "".join(parts)


def standalone_chart_svg(chart: Chart, *, width: int = WIDTH) -> str:
    """The chart as an SVG document for an ``<img>``: it brings its colours with it."""
    used = {f".{name}" for name in re.findall(r'class="([\w-]+)"', chart_svg(chart, width=width))}
    rules = re.findall(r"^\.km-chart[^{]*\{.*\}$", read_static("chart.css"), re.MULTILINE)
    needed = [rule for rule in rules if used & {*re.findall(r"\.km-[\w-]+(?=[ ,]*[{,])", rule)}]
    needed += [rule for rule in rules if rule.startswith(".km-chart text ")]
    return chart_svg(chart, width=width, style=f".km-chart{{{MIDTONES}}}{''.join(needed)}")


def chart_to_text(chart: Chart) -> str:
    """What the picture shows, in a sentence."""
    said = []
    for line in chart.lines:
        real = [y for _, y in line.points if math.isfinite(y)]
        if line.label and real:
            said.append(f"{line.label} from {format_metric(real[0])} to {format_metric(real[-1])}")
    if chart.mark:
        said.append(f"epoch {chart.mark[0]:g}: {chart.mark[1]}")
    return f"{chart.title}: {', '.join(said) or 'nothing yet'}"


# --- scales -------------------------------------------------------------------------------------


def axis_ticks(values: Iterable[float]) -> tuple[float, float, float]:
    """Three round figures that hold all of ``values`` between the first and the last.

    Example:
        >>> axis_ticks([0.0786, 0.7012])
        (0.0, 0.4, 0.8)
        >>> axis_ticks([0.8506, 0.9712])
        (0.84, 0.92, 1.0)
    """
    real = [value for value in values if math.isfinite(value)]
    low, high = (min(real), max(real)) if real else (0.0, 1.0)
    if high - low < EPSILON * max(
        abs(high), abs(low), EPSILON
    ):  # a level line stands in the middle
        room = abs(high) / 10 if abs(high) > TINY else 1.0
        low, high = low - room, high + room
    exponent_of_step = math.floor(math.log10((high - low) / 2))
    for exponent in (exponent_of_step, exponent_of_step + 1):
        unit = 10.0**exponent
        for step in STEPS:
            reach = 2 * step * unit
            base = math.floor(low / unit + EPSILON) * unit
            if high <= 1 < base + reach - EPSILON:
                base = 1 - reach  # a share is never more than one
            if base <= low + EPSILON * unit and base + reach >= high - EPSILON * unit:
                return _clean(base), _clean(base + reach / 2), _clean(base + reach)
    return low, (low + high) / 2, high


def _clean(value: float) -> float:
    return float(f"{value:.12g}")


def format_tick(value: float, step: float) -> str:
    """A tick's figure with just the decimals that tell it from its neighbours.

    Example:
        >>> format_tick(0.4, 0.4), format_tick(0.96, 0.04), format_tick(1500.0, 500.0)
        ('0.4', '0.96', '1,500')
    """
    if value and not (step >= 1e-4 and max(abs(value), step) < 1e6):  # noqa: PLR2004 - the margin
        return format_power(value, _power_decimals(value, step))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step - round(step, decimals)) > EPSILON * step:
        decimals += 1
    return f"{value:,.{decimals}f}"


def _power_decimals(value: float, step: float) -> int:
    """How many decimals tell powers of ten apart that are a step from each other."""
    size = math.floor(math.log10(step) + EPSILON)
    share = step / 10.0**size
    more = abs(share - round(share)) > EPSILON * share
    return min(max(1, math.floor(math.log10(abs(value)) + EPSILON) - size + more), MOST_DECIMALS)


def epoch_ticks(start: float, end: float, room: float) -> list[int]:
    """Round epoch numbers for the axis, no more than ``room`` of them.

    Example:
        >>> epoch_ticks(0, 4, 10), epoch_ticks(1, 50, 6)
        ([1, 2, 3, 4], [10, 20, 30, 40, 50])
    """
    step = 1
    while (end - start) / step > max(room, 1):
        step = _next_step(step)
    first = math.ceil(max(start, 1) / step) * step
    return list(range(first, math.floor(end) + 1, step))


def axis_end(done: float, asked: int, start: int = 0) -> float:
    """Where the axis of a run that goes on ends: at the end asked for, or for now well before.

    Example:
        >>> axis_end(3, 8), axis_end(3, 1000), axis_end(90, 1000)
        (8.0, 10.0, 200.0)
    """
    length = 10
    while length < 1.25 * (done - start):
        length = _next_step(length)
    return float(min(asked, start + length))


def _next_step(step: int) -> int:
    return step * 5 // 2 if str(step)[0] == "2" else step * 2


# --- drawing ------------------------------------------------------------------------------------


class _Plot:
    """One chart's scales, and its parts drawn by them."""

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self.chart = chart
        self.right, self.bottom = width - RIGHT, height - BOTTOM
        self.width = width
        values = chart.scale or [y for line in chart.lines for _, y in line.points]
        self.ticks = axis_ticks(values)

    def x(self, epoch: float) -> float:
        span = max(self.chart.end - self.chart.start, 1e-9)
        return LEFT + (epoch - self.chart.start) / span * (self.right - LEFT)

    def y(self, value: float) -> float:
        low, _, high = self.ticks
        share = (value - low) / (high - low)
        return self.bottom - min(max(share, -1.0), 2.0) * (self.bottom - TOP)

    def axes(self) -> str:
        step = self.ticks[1] - self.ticks[0]
        parts = []
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(
                f'<line class="km-grid" x1="{LEFT}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">'
                f"{format_tick(tick, step)}</text>"
            )
        room = (self.right - LEFT) / (14 + CHARACTER * len(f"{self.chart.end:.0f}"))
        parts += [
            f'<text x="{self.x(epoch):.1f}" y="{self.bottom + 17}" text-anchor="middle">'
            f"{epoch}</text>"
            for epoch in epoch_ticks(self.chart.start, self.chart.end, room)
        ]
        return "".join(parts)

    def notes(self) -> str:
        places = [max(self.x(epoch), LEFT) for epoch in self.chart.notes]
        path = "".join(f"M{x:.1f},{self.bottom}v-7" for x in places)
        return f'<path class="km-note" d="{path}"/>' if path else ""

    def mark(self) -> str:
        if not self.chart.mark:
            return ""
        epoch, said = self.chart.mark
        x = self.x(epoch)
        half = len(said) * CHARACTER / 2
        middle = min(max(x, LEFT + half), self.width - half)
        return (
            f'<line class="km-hair" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 3}" y2="{self.bottom}"/>'
            f'<text x="{middle:.1f}" y="{TOP - 7}" text-anchor="middle">{escape_html(said)}</text>'
        )

    def curves(self) -> str:
        """Inside a picture of its own, which cuts off what leaves the plot."""
        x, y = LEFT - PAD, TOP - PAD
        width, height = self.right - LEFT + 2 * PAD, self.bottom - TOP + 2 * PAD
        box = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        parts = [f'<svg {box} viewBox="{x} {y} {width} {height}">']
        for line in self.chart.lines:
            for piece in _pieces(line.points):
                path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in piece)
                parts.append(f'<polyline class="km-{line.kind}" points="{path}"/>')
            dots = [point for point in line.points if math.isfinite(point[1])]
            if line.kind != "val" and (len(dots) > 1 or line.kind == "course"):
                dots = []
            elif len(dots) > MAX_DOTS:
                dots = dots[-1:]
            if dots:
                path = "".join(f"M{self.x(x):.1f},{self.y(y):.1f}h0" for x, y in dots)
                parts.append(f'<path class="km-{line.kind}-dot" d="{path}"/>')
        return "".join(parts) + "</svg>"

    def labels(self) -> str:
        ends = []
        for line in self.chart.lines:
            real = [point for point in line.points if math.isfinite(point[1])]
            if line.label and real:
                x, y = real[-1]
                ends.append((self.y(y), self.x(x), line))
        heights = spread_labels([y for y, _, _ in ends], LABEL_HEIGHT, TOP, self.bottom)
        parts = []
        for height, (_, x, line) in zip(heights, ends, strict=True):
            left = min(x + 7, self.width - len(line.label) * CHARACTER)
            parts.append(
                f'<text class="km-l{line.kind}" x="{left:.1f}" y="{height + 4:.1f}">'
                f"{escape_html(line.label)}</text>"
            )
        return "".join(parts)


def spread_labels(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights moved apart until none is nearer to another than ``gap``, within the bounds.

    Example:
        >>> spread_labels([100.0, 104.0], 13, 0, 200)
        [95.5, 108.5]
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [min(max(heights[index], low), high) for index in order]
    for _ in range(PASSES):
        for above in range(len(placed) - 1):
            lacking = gap - (placed[above + 1] - placed[above])
            if lacking > 0:
                placed[above] -= lacking / 2
                placed[above + 1] += lacking / 2
    if placed:
        shift = max(0.0, low - placed[0]) - max(0.0, placed[-1] - high)
        placed = [height + shift for height in placed]
    result = [0.0] * len(placed)
    for place, index in enumerate(order):
        result[index] = placed[place]
    return result


def _pieces(points: Iterable[Point]) -> list[list[Point]]:
    """The stretches between gaps; a lone point is no stretch."""
    pieces: list[list[Point]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if len(piece) > 1]
