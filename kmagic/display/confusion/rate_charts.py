"""Square charts of two rates from 0 to 1: ROC, precision-recall and calibration curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import MIDTONES, drawing_html, escape_html, with_drawings
from kmagic.support.downsampling import Point

WIDTH, HEIGHT = 214, 206
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 22, 34
TICKS = (0.0, 0.5, 1.0)
MAX_RADIUS, MIN_RADIUS = 5.0, 2.0
CSS = (
    ".km-chart .km-threshold{fill:none;stroke:var(--km-fg);stroke-width:2}"
    ".km-chart .km-dot{fill:var(--km-orange)}"
)


@dataclass(frozen=True, slots=True)
class RateChart:
    """One square chart; both axes go from 0 to 1.

    Attributes:
        title: What is drawn, and its summary: "ROC curve, AUC 0.985".
        across: Title of the horizontal axis.
        up: Title of the vertical axis.
        points: The curve.
        diagonal: Whether to draw the diagonal: chance, or a perfect calibration.
        mark: The point of the threshold in use, or None.
        weights: Weight of each point, which is then a dot of that area.
    """

    title: str
    across: str
    up: str
    points: Sequence[Point]
    diagonal: bool = True
    mark: Point | None = None
    weights: Sequence[float] = ()

    def to_text(self) -> str:
        """What the chart shows, in a sentence."""
        text = f"{self.title}: {self.up} against {self.across}"
        if self.mark is not None:
            text += f"; at the threshold {self.mark[1]:.3f} against {self.mark[0]:.3f}"
        return text


def rate_charts_html(charts: Sequence[RateChart]) -> str:
    """Charts in a row: inline drawings in a trusted notebook, else images."""
    css = minified_css("kit/chart.css") + CSS
    parts = []
    for chart in charts:
        alone = rate_chart_svg(chart, style=f".km-chart{{{MIDTONES}}}{css}")
        drawing = drawing_html(
            rate_chart_svg(chart), alone, alt=chart.to_text(), width=WIDTH, height=HEIGHT
        )
        parts.append(f'<div style="flex:0 0 {WIDTH}px;max-width:100%">{drawing}</div>')
    row = "display:flex;flex-wrap:wrap;gap:6px 18px"
    return with_drawings("".join(parts), css, kind="km-rate-charts", style=row)


def rate_chart_svg(chart: RateChart, *, style: str = "") -> str:
    """The chart as SVG text; ``style`` is CSS to include, for an image that stands alone."""
    middle, right = (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    # The title of the vertical axis goes where there is no curve.
    x, anchor = (right - 4, "end") if chart.diagonal else (LEFT + 5, "start")
    parts = [
        (
            f'<svg class="km-chart" xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape_html(chart.to_text())}">'
        ),
        f"<style>{style}</style>" if style else "",
        *map(_tick, TICKS),
        f'<line class="km-dashed" x1="{LEFT}" y1="{_y(0)}" x2="{right}" y2="{_y(1)}"/>'
        if chart.diagonal
        else "",
        _curve(chart),
        _dot(*chart.mark, radius=4.5, kind="km-threshold") if chart.mark else "",
        (
            f'<text class="km-chart-title" x="0" y="13">{escape_html(chart.title)}</text>'
            f'<text x="{middle:.0f}" y="{HEIGHT - 3}" text-anchor="middle">'
            f"{escape_html(chart.across)}</text>"
            f'<text x="{x}" y="{_y(0) - 6}" text-anchor="{anchor}">'
            f"\N{UPWARDS ARROW} {escape_html(chart.up)}</text></svg>"
        ),
    ]
    return "".join(parts)


def _curve(chart: RateChart) -> str:
    points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in chart.points if _is_finite(x, y))
    largest = max(chart.weights, default=1.0)
    dots = "".join(
        _dot(x, y, radius=max(MIN_RADIUS, MAX_RADIUS * math.sqrt(weight / largest)), kind="km-dot")
        for (x, y), weight in zip(chart.points, chart.weights, strict=False)
    )
    return (f'<polyline class="km-val" points="{points}"/>' if points else "") + dots


def _dot(x: float, y: float, *, radius: float, kind: str) -> str:
    if not _is_finite(x, y):
        return ""
    return f'<circle class="{kind}" cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="{radius:.1f}"/>'


def _is_finite(x: float, y: float) -> bool:
    return math.isfinite(x) and math.isfinite(y)


def _tick(tick: float) -> str:
    x, y, right = _x(tick), _y(tick), WIDTH - RIGHT
    return (
        f'<line class="km-grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line class="km-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{_y(0)}"/>'
        f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick:g}</text>'
        f'<text x="{x:.1f}" y="{_y(0) + 14}" text-anchor="middle">{tick:g}</text>'
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - RIGHT - LEFT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
