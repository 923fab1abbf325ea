"""Square charts of shares against shares: ROC, precision against recall, calibration.

Drawn as :mod:`kmagic.display.kit.chart` draws curves: parts are named by class, so that one drawing
serves the notebook's theme and an ``<img>`` that no theme reaches.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kmagic.display.kit.card import escape_html, image_html, read_static
from kmagic.display.kit.chart import MIDTONES

if TYPE_CHECKING:
    from collections.abc import Sequence

Point: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 214, 206
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 22, 34
TICKS = (0.0, 0.5, 1.0)
LARGEST, LEAST = 5.0, 2.0  # radii of dots, by how many samples they stand for
RULES = (
    ".km-chart .km-at{fill:none;stroke:var(--km-fg);stroke-width:2}"
    ".km-chart .km-dot{fill:var(--km-orange)}"
)


@dataclass(frozen=True, slots=True)
class RateChart:
    """One square chart; both axes go from 0 to 1.

    Attributes:
        title: What it is, and how good: "ROC, area 0.985".
        across: What the horizontal axis says.
        up: What the vertical axis says.
        points: The curve, in its order.
        diagonal: Whether the diagonal is drawn: chance, or what is said being so.
        mark: Where the threshold in use stands, or None.
        weights: How much each point stands for: then it is a dot, and larger for more.
    """

    title: str
    across: str
    up: str
    points: Sequence[Point]
    diagonal: bool = True
    mark: Point | None = None
    weights: Sequence[float] = ()

    def words(self) -> str:
        """What it shows, in a sentence."""
        said = f"{self.title}: {self.up} against {self.across}"
        if self.mark is not None:
            said += f"; at the threshold {self.mark[1]:.3f} against {self.mark[0]:.3f}"
        return said


def rate_charts_html(shown: Sequence[RateChart]) -> str:
    """Charts beside each other: drawn inline where that is trusted, else as images."""
    drawn = "".join(
        f'<div style="flex:0 0 {WIDTH}px;max-width:100%">'
        f'<span class="km-drawn" style="display:none">{rate_chart_svg(each)}</span>'
        f'<span class="km-bare">{_picture(each)}</span></div>'
        for each in shown
    )
    # The rules that change image for drawing are for this place alone: another, which is not
    # trusted, may stand in the same page.
    key = "km-" + hashlib.sha256(drawn.encode()).hexdigest()[:10]
    return (
        f"<style>{read_static('chart.css')}{RULES}.{key} .km-bare{{display:none}}"
        f".{key} .km-drawn{{display:block!important}}</style>"
        f'<div class="km-rates {key}" style="display:flex;flex-wrap:wrap;gap:6px 18px">'
        f"{drawn}</div>"
    )


def rate_chart_svg(chart: RateChart, *, style: str = "") -> str:
    """The chart as SVG text; ``style`` is CSS that goes inside, for a picture that stands alone."""
    axes = "".join(_tick(tick) for tick in TICKS)
    middle, right = (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    labels = (
        f'<text class="km-ttl" x="0" y="13">{escape_html(chart.title)}</text>'
        f'<text x="{middle:.0f}" y="{HEIGHT - 3}" text-anchor="middle">'
        f"{escape_html(chart.across)}</text>"
        # Where there is no curve: below the diagonal, or at the left of it.
        f'<text x="{right - 4 if chart.diagonal else LEFT + 5}" y="{_y(0) - 6}" '
        f'text-anchor="{"end" if chart.diagonal else "start"}">'
        f"\N{UPWARDS ARROW} {escape_html(chart.up)}</text>"
    )
    chance = (
        f'<line class="km-hair" x1="{LEFT}" y1="{_y(0)}" x2="{right}" y2="{_y(1)}"/>'
        if chart.diagonal
        else ""
    )
    path = " ".join(
        f"{_x(x):.1f},{_y(y):.1f}" for x, y in chart.points if math.isfinite(x) and math.isfinite(y)
    )
    curve = f'<polyline class="km-val" points="{path}"/>' if path else ""
    most = max(chart.weights, default=1.0)
    dots = "".join(
        f'<circle class="km-dot" cx="{_x(x):.1f}" cy="{_y(y):.1f}" '
        f'r="{max(LEAST, LARGEST * math.sqrt(weight / most)):.1f}"/>'
        for (x, y), weight in zip(chart.points, chart.weights, strict=False)
    )
    mark = ""
    if chart.mark is not None and all(map(math.isfinite, chart.mark)):
        x, y = chart.mark
        mark = f'<circle class="km-at" cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="4.5"/>'
    return (
        f'<svg class="km-chart" xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape_html(chart.words())}">'
        f"{f'<style>{style}</style>' if style else ''}{axes}{chance}{curve}{dots}{mark}{labels}"
        "</svg>"
    )


def _picture(chart: RateChart) -> str:
    alone = rate_chart_svg(chart, style=f".km-chart{{{MIDTONES}}}{read_static('chart.css')}{RULES}")
    return image_html(
        alone.encode(), "image/svg+xml", alt=chart.words(), width=WIDTH, height=HEIGHT
    )


def _tick(tick: float) -> str:
    x, y, right = _x(tick), _y(tick), WIDTH - RIGHT
    said = f"{tick:g}"
    return (
        f'<line class="km-grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line class="km-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{_y(0)}"/>'
        f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{said}</text>'
        f'<text x="{x:.1f}" y="{_y(0) + 14}" text-anchor="middle">{said}</text>'
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - RIGHT - LEFT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
