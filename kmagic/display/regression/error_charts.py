"""Predictions against true values, errors against predictions, and the distribution of errors.

The size of a drawing is limited for any number of rows: a few hundred are dots, more are a density,
which is a small image. The page reads from the drawing's attributes what a selected rectangle means
(``static/regression/interactive_errors.js``).
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card import MIDTONES, drawing_html, escape_html, with_drawings
from kmagic.display.kit.chart import CHARACTER_WIDTH, UNITS, axis_ticks, curve_path, format_tick
from kmagic.evaluation.regression.error_metrics import QUANTILES, error_quantiles
from kmagic.evaluation.regression.regression_errors import RegressionErrors
from kmagic.support.formatting import format_value, shorten_name

Floats: TypeAlias = NDArray[np.float64]
Axis: TypeAlias = Literal["true", "predicted", "error", "other", "difference"]
Ticks: TypeAlias = tuple[float, float, float]

WIDTH, HEIGHT, MAX_WIDTH = 240, 206, 300
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 24, 36
MAX_DOTS = 400  # rows; more are a density
COLUMNS, ROWS = 56, 42  # cells of a density
LEVELS = 8
BLUE = (31, 131, 198)  # visible on white and on black
MIN_ALPHA = 80
BINS = 40
CLIPPED = (0.002, 0.998)  # quantiles between which a long-tailed histogram is drawn
MAX_TAIL = 3  # how much longer than this part the whole range may be
NAME_LENGTH = 22  # characters of a target's name
CSS = (
    ".km-chart text{font:11px var(--jp-ui-font-family,system-ui,sans-serif);fill:var(--km-muted)}"
    ".km-chart .km-chart-title{font-size:12px;font-weight:600;fill:var(--km-fg)}"
    ".km-chart.km-error-chart{display:block;width:100%;height:auto}"
    ".km-chart .km-error-grid{stroke:#8883}"
    ".km-chart .km-error-line{stroke:var(--km-muted);stroke-dasharray:4 3;fill:none}"
    ".km-chart .km-error-mark{stroke:var(--km-orange);fill:none}"
    ".km-chart .km-error-dots,.km-chart .km-error-worst{fill:none;stroke:var(--km-blue);"
    "stroke-opacity:.55;stroke-width:5;stroke-linecap:round;vector-effect:non-scaling-stroke}"
    ".km-chart .km-error-worst{stroke:var(--km-orange);stroke-opacity:1}"
    ".km-chart .km-error-bars{fill:var(--km-blue);fill-opacity:.75}"
)


@dataclass(frozen=True, slots=True)
class ErrorChart:
    """One chart of rows; what a rectangle in it selects is named by the axes.

    Attributes:
        title: What is drawn.
        description: What it shows, in a sentence.
        x: What is on the horizontal axis.
        y: What is on the vertical axis; "" for a count of rows.
        x_ticks: Values of the horizontal axis.
        y_ticks: Values of the vertical axis.
        x_title: Title of the horizontal axis.
        drawing: What is within the axes, as SVG.
    """

    title: str
    description: str
    x: Axis
    y: Axis | Literal[""]
    x_ticks: Ticks
    y_ticks: Ticks
    x_title: str
    drawing: str = field(repr=False)

    def svg(self, target: int, *, style: str = "") -> str:
        """The chart as SVG text; ``style`` is CSS to include, for an image that stands alone."""
        left, right, bottom = _left(self.y_ticks), WIDTH - RIGHT, HEIGHT - BOTTOM
        grid, texts = "", ""
        for number, text in enumerate(_texts(self.x_ticks)):
            x = left + number * (right - left) / 2
            anchor = "end" if number > 1 else "middle"
            texts += f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="{anchor}">{text}</text>'
        for number, text in enumerate(_texts(self.y_ticks)):
            y = round(bottom - number * (bottom - TOP) / 2)
            grid += f"M{left} {y}H{right}"
            texts += f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{text}</text>'
        box = f"{left},{TOP},{right},{bottom}"
        ranges = "".join(
            f' data-{axis}="{name},{ticks[0]!r},{ticks[2]!r}"'
            for axis, name, ticks in (("x", self.x, self.x_ticks), ("y", self.y, self.y_ticks))
        )
        return (
            f'<svg class="km-chart km-error-chart" xmlns="http://www.w3.org/2000/svg" '
            f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape_html(self.description)}" data-target="{target}" '
            f'data-box="{box}"{ranges}>{f"<style>{style}</style>" if style else ""}'
            f'<path class="km-error-grid" d="{grid}"/>{self.drawing}{texts}'
            f'<text class="km-chart-title" x="0" y="13">{escape_html(self.title)}</text>'
            f'<text x="{(left + right) // 2}" y="{HEIGHT - 6}" text-anchor="middle">'
            f"{escape_html(self.x_title)}</text></svg>"
        )


def charts_html(charts: Iterable[ErrorChart], target: int, *, is_first: bool = True) -> str:
    """The charts of a target in a row; the first row of a card brings the style sheet."""
    parts = []
    for chart in charts:
        standalone = chart.svg(target, style=_image_style(chart))
        drawing = drawing_html(
            chart.svg(target), standalone, alt=chart.description, width=WIDTH, height=HEIGHT
        )
        size = f"flex:1 1 {WIDTH}px;max-width:{MAX_WIDTH}px"
        parts.append(f'<div style="{size}">{drawing}</div>')
    row = "display:flex;flex-wrap:wrap;gap:8px 16px"
    return with_drawings("".join(parts), CSS if is_first else "", kind="km-error-charts", style=row)


def _image_style(chart: ErrorChart) -> str:
    """The rules that a chart uses, for an image that no style sheet reaches."""
    rules = re.findall(r"[^{}]+\{[^}]*\}", f".km-chart{{{MIDTONES}}}{CSS}")
    unused = [
        rule
        for rule in rules
        if "km-error-" in rule
        and "-grid" not in rule
        and not any(name in chart.drawing for name in re.findall(r"km-error-\w+", rule))
    ]
    return "".join(rule for rule in rules if rule not in unused).replace(".km-chart ", "")


def target_charts(
    errors: RegressionErrors, marked: NDArray[np.intp], max_dots: int = MAX_DOTS
) -> list[ErrorChart]:
    """The charts of one target, with some rows marked."""
    return [
        prediction_chart(errors, marked, max_dots=max_dots),
        _error_chart(errors, marked, max_dots),
        histogram_chart(
            errors.errors,
            "Distribution of the errors",
            f"predicted - true{_name(errors, ', ')}",
            error_quantiles(errors.errors, errors.sample_weight),
        ),
    ]


def prediction_chart(
    errors: RegressionErrors,
    marked: NDArray[np.intp],
    *,
    title: str = "Predicted against true",
    beside: RegressionErrors | None = None,
    y: Axis = "predicted",
    max_dots: int = MAX_DOTS,
) -> ErrorChart:
    """Predictions against true values; ``beside`` is a result whose chart has the same axes."""
    true, predicted = errors.y_true, errors.y_pred
    shown = [true, predicted, *([] if beside is None else [beside.y_pred])]
    ticks = axis_ticks([float(end) for values in shown for end in (values.min(), values.max())])
    line = (
        f'<path class="km-error-line" d="M{_left(ticks)} {HEIGHT - BOTTOM}L{WIDTH - RIGHT} {TOP}"/>'
    )
    score = errors.format("R2")
    return ErrorChart(
        title,
        f"predicted against true values of {len(true):,} rows, R2 {score}; the diagonal is exact",
        "true",
        y,
        ticks,
        ticks,
        f"true{_name(errors, ' ')}",
        line + _rows(true, predicted, (ticks, ticks), marked, max_dots),
    )


def _error_chart(errors: RegressionErrors, marked: NDArray[np.intp], max_dots: int) -> ErrorChart:
    predicted, values = errors.y_pred, errors.errors
    x_ticks = axis_ticks([float(predicted.min()), float(predicted.max())])
    y_ticks = _around_zero(values)
    middle = HEIGHT - BOTTOM - _share(np.zeros(1), y_ticks)[0] * (HEIGHT - BOTTOM - TOP)
    line = f'<path class="km-error-line" d="M{_left(y_ticks)} {middle:.1f}H{WIDTH - RIGHT}"/>'
    bias = errors.format("bias")
    return ErrorChart(
        "Error (predicted - true)",
        f"errors against predictions of {len(values):,} rows, on average {bias}; the line is zero",
        "predicted",
        "error",
        x_ticks,
        y_ticks,
        f"predicted{_name(errors, ' ')}",
        line + _rows(predicted, values, (x_ticks, y_ticks), marked, max_dots),
    )


def histogram_chart(
    values: Floats, title: str, x_title: str, marks: Floats, x: Axis = "error"
) -> ErrorChart:
    """The distribution of errors, with dashed lines at some quantiles."""
    low, high = float(values.min()), float(values.max())
    first, last = map(float, np.quantile(values, CLIPPED))
    if high - low > MAX_TAIL * (last - first) > 0:
        low, high = first, last
    ticks = axis_ticks([low, high])
    counts, _ = np.histogram(values, BINS, (ticks[0], ticks[2]))
    outside = len(values) - int(counts.sum())
    most = int(counts.max())
    y_ticks = axis_ticks([0.0, float(max(2, most + most % 2))])  # whole numbers
    left = _left(y_ticks)
    width, height = (WIDTH - RIGHT - left) / BINS, HEIGHT - BOTTOM - TOP
    bars = ""
    for number, count in enumerate(counts.tolist()):
        if count:
            size = max(1.0, count / y_ticks[2] * height)
            start = left + number * width + 0.5
            bars += f"M{start:.1f} {HEIGHT - BOTTOM}v-{size:.1f}h{width - 1:.1f}v{size:.1f}z"
    places = left + _share(marks, ticks) * (WIDTH - RIGHT - left)
    lines = "".join(f"M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" for at in places if left <= at <= WIDTH)
    shares = ", ".join(f"{100 * share:g}" for share in QUANTILES)
    ends = " to ".join(format_value(float(mark)) for mark in (marks[0], marks[-1]))
    more = f"; {outside:,} rows are outside" if outside else ""
    return ErrorChart(
        f"{title}{more}",
        f"{title.lower()}: 90 % are between {ends}{more}; lines at the quantiles {shares} %",
        x,
        "",
        ticks,
        y_ticks,
        x_title,
        f'<path class="km-error-bars" d="{bars}"/><path class="km-error-mark" '
        f'stroke-dasharray="3 3" d="{lines}"/>',
    )


def _name(errors: RegressionErrors, before: str) -> str:
    name = errors.targets[0]
    return f"{before}{shorten_name(name, NAME_LENGTH)}" if name else ""


def _around_zero(values: Floats) -> Ticks:
    """Ticks whose middle is zero, so that both signs are compared at one scale."""
    size = float(np.abs(values).max()) or 1.0
    _, _, high = axis_ticks([0.0, size])
    return -high, 0.0, high


def _share(values: Floats, ticks: Ticks) -> Floats:
    """Where values are between the first tick and the last, from 0 to 1."""
    return (values - ticks[0]) / (ticks[2] - ticks[0])


def _left(ticks: Ticks) -> int:
    """The left edge of the axes, which leaves room for the texts of the vertical axis."""
    return max(LEFT, 8 + math.ceil(CHARACTER_WIDTH * max(map(len, _texts(ticks)))))


def _texts(ticks: Ticks) -> list[str]:
    return [format_tick(tick, ticks[1] - ticks[0]) for tick in ticks]


def _rows(
    x: Floats,
    y: Floats,
    ticks: tuple[Ticks, Ticks],
    marked: NDArray[np.intp],
    max_dots: int,
) -> str:
    """The rows as dots or as a density, and the marked ones as dots above it."""
    left, right, bottom = _left(ticks[1]), WIDTH - RIGHT, HEIGHT - BOTTOM

    def dots(rows: NDArray[np.intp], kind: str) -> str:
        if not len(rows):
            return ""
        pixels = np.stack(
            [
                left + _share(x[rows], ticks[0]) * (right - left),
                bottom - _share(y[rows], ticks[1]) * (bottom - TOP),
            ],
            axis=1,
        )
        path = curve_path(pixels[np.lexsort(pixels.T[::-1])].tolist(), dots=True)
        return f'<path class="{kind}" transform="scale({1 / UNITS})" d="{path}"/>'

    is_few = len(x) <= max_dots
    drawn = dots(np.arange(len(x)), "km-error-dots") if is_few else _density(x, y, ticks)
    return drawn + dots(marked, "km-error-worst")


def _density(x: Floats, y: Floats, ticks: tuple[Ticks, Ticks]) -> str:
    """How many rows are in each cell, as an image; the opacity follows the logarithm."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    ranges = [(low, high) for low, _, high in ticks]
    left = _left(ticks[1])
    counts = np.histogram2d(x, y, (COLUMNS, ROWS), ranges)[0].T[::-1]
    share = np.log(np.maximum(counts, 1)) / max(np.log(counts.max()), 1)
    levels = np.where(counts > 0, 1 + np.rint(share * (LEVELS - 1)), 0).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    image.putpalette([*BLUE] * (LEVELS + 1))
    alphas = bytes([0, *np.linspace(MIN_ALPHA, 255, LEVELS).astype(int).tolist()])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=alphas)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<image x="{left}" y="{TOP}" width="{WIDTH - RIGHT - left}" '
        f'height="{HEIGHT - BOTTOM - TOP}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )
