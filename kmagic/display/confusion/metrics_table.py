"""The metrics below a matrix: of the whole, of each class, and the curves of two classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card import (
    MIDTONES,
    details_html,
    drawing_html,
    escape_html,
    full_name_html,
    image_html,
    table_html,
    with_drawings,
)
from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix
from kmagic.evaluation.confusion.confusion_metrics import ThresholdCurve
from kmagic.evaluation.confusion.multilabel import MultilabelConfusion
from kmagic.support.downsampling import Point
from kmagic.support.formatting import format_count, text_width

UNDEFINED = "\N{EN DASH}"
HEADLINE = ("accuracy", "balanced accuracy", "kappa", "MCC", "macro F1", "weighted F1")
MAX_CLASSES = 30  # with more classes, only those with the lowest F1 have a row
CURVE_POINTS = 120
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
AXIS_NAME = 12  # characters of a class name at an axis
WIDTH, HEIGHT = 214, 206
METHOD = (
    "Intervals: Wilson's for shares; kappa and MCC follow from that of the accuracy; averages "
    "combine those of the classes."
)
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 22, 34
TICKS = (0.0, 0.5, 1.0)
MAX_RADIUS, MIN_RADIUS = 5.0, 2.0
CSS = (
    ".km-chart text{font:11px var(--jp-ui-font-family,system-ui,sans-serif);fill:var(--km-muted)}"
    ".km-chart .km-chart-title{font-size:12px;font-weight:600;fill:var(--km-fg)}"
    ".km-chart line{stroke:#8883}.km-chart .km-dashed{stroke:var(--km-muted);stroke-dasharray:2 3}"
    ".km-chart .km-val{fill:none;stroke:var(--km-orange);stroke-width:1.8}"
    ".km-chart .km-threshold{fill:none;stroke:var(--km-fg);stroke-width:2}"
    ".km-chart .km-dot{fill:var(--km-orange)}"
)
IMAGE_STYLE = f".km-chart{{{MIDTONES}}}{CSS}".replace(".km-chart ", "")


def headline_html(matrix: ConfusionMatrix) -> str:
    """The main metrics in a row, each above its interval."""
    names = _headline_names(matrix)
    return metrics_html({name: matrix.overall[name] for name in names}, matrix.intervals().overall)


def _headline_names(matrix: ConfusionMatrix) -> list[str]:
    top = [name for name in matrix.overall if name.startswith("top-")]
    return [*HEADLINE[:2], *top, *HEADLINE[2:]]


def metrics_html(
    values: Mapping[str, float], intervals: Mapping[str, Sequence[float]] | None = None
) -> str:
    """Metrics in a row, each below its name and above its interval."""
    blocks = []
    for name, value in values.items():
        low, high = (intervals or {}).get(name, (math.nan, math.nan))
        interval = "" if math.isnan(low) else f"{format_score(low)} to {format_score(high)}"
        blocks.append(
            f"<div class=km-figure><small>{name}</small><div>{format_score(value)}"
            f"</div><small>{interval}</small></div>"
        )
    return (
        '<div class="km-metrics" style="display:flex;flex-wrap:wrap;gap:6px 22px;margin-top:12px">'
        f"{''.join(blocks)}</div>"
    )


def metrics_to_text(matrix: ConfusionMatrix) -> list[str]:
    """All metrics as plain text: "balanced accuracy 0.9805 (0.9777 to 0.9832)"."""
    intervals = matrix.intervals().overall
    return [
        f"{name} {format_score(value)} ({' to '.join(map(format_score, intervals[name]))})"
        for name, value in matrix.overall.items()
    ]


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines of text: the first column left, the others right.

    Example:
        >>> text_table([["class", "F1"], ["a", "0.50"]])
        ['class    F1', 'a      0.50']
    """
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        fills = [" " * (width - text_width(c)) for c, width in zip(row, widths, strict=True)]
        cells = [fill + cell for fill, cell in zip(fills, row, strict=True)]
        lines.append("  ".join([row[0] + fills[0], *cells[1:]]))
    return lines


def all_metrics_html(matrix: ConfusionMatrix) -> str:
    """The metrics that are not in the headline, and those of each class, with intervals; folded."""
    intervals, above = matrix.intervals().overall, _headline_names(matrix)
    rows = (
        [name, *map(format_score, (value, *intervals[name]))]
        for name, value in matrix.overall.items()
        if name not in above
    )
    classes = len(matrix.classes)
    title = (
        "Each class"
        if classes <= MAX_CLASSES
        else f"The {MAX_CLASSES} classes with the lowest F1, of {classes:,}"
    )
    table = table_html(("", "value", "from", "to"), rows)
    note = f'<div class="km-muted" style="font-size:11px">{escape_html(METHOD)}</div>'
    return details_html(
        "Other metrics, with 95 % intervals", f'<div class="km-all-metrics">{table}</div>{note}'
    ) + details_html(title, f'<div class="km-class-metrics">{_class_metrics(matrix)}</div>')


def _class_metrics(matrix: ConfusionMatrix) -> str:
    figures, intervals = matrix.per_class, matrix.intervals()
    order = matrix.ordered()
    if len(order) > MAX_CLASSES:
        order = np.argsort(figures.f1, kind="stable")[:MAX_CLASSES]
    rows = []
    for k in order:
        predicted, support = figures.predicted[k], figures.support[k]
        weights = {"precision": predicted, "recall": support, "f1": predicted + support}
        cells = []
        for name, weight in weights.items():
            value, (low, high) = getattr(figures, name)[k], getattr(intervals, name)[:, k]
            interval = f"<br><small>{low:.3f} to {high:.3f}</small>"
            cells.append(f"{value:.3f}{interval}" if weight else UNDEFINED)
        rows.append([full_name_html(matrix.classes[k]), *cells, format_count(support)])
    return table_html(("", "precision", "recall", "F1", "support"), rows)


# --- curves ---------------------------------------------------------------------------------------


def curves_html(matrix: ConfusionMatrix) -> str:
    """ROC, precision-recall and calibration curves, as far as there are scores."""
    sweep, calibration = matrix.threshold_curve, matrix.calibration
    charts = []
    if sweep is not None:
        name = matrix.classes[1]
        recall = f"recall of {name}" if len(name) <= AXIS_NAME else "recall"
        charts = _threshold_curves(sweep, matrix.matrix, recall)
    if calibration is not None:
        points = zip(calibration.mean_probability, calibration.observed_frequency, strict=True)
        charts.append(
            RateChart(
                f"Calibration, error {calibration.error:.3f}",
                "predicted probability",
                "observed frequency",
                list(points),
                weights=calibration.samples.tolist(),
            )
        )
    if not charts:
        return ""
    if sweep is None and calibration is not None:
        error = f"{100 * calibration.error:.1f}"
        title = f"Calibration: probabilities are off by {error} % on average"
        return details_html(title, _chart_image(charts[0]))
    return _curves_html(rate_charts_html(charts) + _other_thresholds(matrix))


def label_curves_html(confusion: MultilabelConfusion) -> str:
    """ROC and precision-recall curves of all labels counted together, if there are scores."""
    sweep = confusion.threshold_curve
    if sweep is None:
        return ""
    charts = _threshold_curves(sweep, confusion.matrices.sum(axis=0), "recall, all labels")
    return _curves_html(rate_charts_html(charts))


def _curves_html(inside: str) -> str:
    return f'<div class="km-curves" style="margin-top:12px">{inside}</div>'


def _threshold_curves(sweep: ThresholdCurve, matrix: NDArray[Any], recall: str) -> list[RateChart]:
    """The curves with a mark at the matrix in use; ``recall`` is the title of an axis."""
    points = sweep.sample_indices(CURVE_POINTS)
    roc = [(sweep.false_positive_rate[k + 1], sweep.true_positive_rate[k + 1]) for k in points]
    precision_recall = [(sweep.true_positive_rate[k + 1], sweep.precision[k]) for k in points]
    _, false_positives, _, true_positives = matrix.ravel()
    predicted = true_positives + false_positives
    share = _ratio(true_positives, sweep.positives)
    return [
        RateChart(
            f"ROC curve, AUC {format_score(sweep.auc)}",
            "false positive rate",
            recall,
            [(0.0, 0.0), *roc],
            mark=(_ratio(false_positives, sweep.negatives), share),
        ),
        RateChart(
            f"Average precision {format_score(sweep.average_precision)}",
            recall,
            "precision",
            precision_recall,
            diagonal=False,
            mark=(share, _ratio(true_positives, predicted)) if predicted else None,
        ),
    ]


def _other_thresholds(matrix: ConfusionMatrix) -> str:
    """The metrics at the threshold in use and at a few others, for a reader without the slider."""
    sweep, current = matrix.threshold_curve, matrix.predictions.threshold
    if sweep is None or matrix.confidence is None:
        return ""
    rows = []
    for threshold in sorted({*THRESHOLDS, current}):
        true_negatives, false_positives, false_negatives, true_positives = sweep.counts(threshold)
        correct, wrong = true_negatives + true_positives, false_positives + false_negatives
        metrics = (
            _ratio(correct, correct + wrong),
            _ratio(true_positives, true_positives + false_positives),
            _ratio(true_positives, true_positives + false_negatives),
        )
        counts = map(format_count, (false_negatives, false_positives))
        name = f"{threshold:g}{' (in use)' if threshold == current else ''}"
        rows.append([name, *map(format_score, metrics), *counts])
    heads = ("threshold", "accuracy", "precision", "recall", "false negatives", "false positives")
    return details_html("Other thresholds", table_html(heads, rows))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def format_score(value: float) -> str:
    """A metric with four decimals; a dash if it is undefined."""
    return UNDEFINED if math.isnan(value) else f"{value:.4f}"


# --- drawing --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RateChart:
    """One square chart; both axes go from 0 to 1."""

    title: str  # what is drawn, and its summary: "ROC curve, AUC 0.985"
    across: str  # title of the horizontal axis
    up: str  # title of the vertical axis
    points: Sequence[Point]
    diagonal: bool = True  # chance, or a perfect calibration
    mark: Point | None = None  # the point of the threshold in use
    weights: Sequence[float] = ()  # of each point, which is then a dot of that area

    def to_text(self) -> str:
        """What the chart shows, in a sentence."""
        text = f"{self.title}: {self.up} against {self.across}"
        if self.mark is not None:
            text += f"; at the threshold {self.mark[1]:.3f} against {self.mark[0]:.3f}"
        return text


def rate_charts_html(charts: Sequence[RateChart]) -> str:
    """Charts in a row: inline drawings in a trusted notebook, else images."""
    parts = []
    for chart in charts:
        drawing = drawing_html(
            rate_chart_svg(chart),
            rate_chart_svg(chart, style=IMAGE_STYLE),
            alt=chart.to_text(),
            width=WIDTH,
            height=HEIGHT,
        )
        parts.append(f'<div style="flex:0 0 {WIDTH}px;max-width:100%">{drawing}</div>')
    row = "display:flex;flex-wrap:wrap;gap:6px 18px"
    return with_drawings("".join(parts), CSS, kind="km-rate-charts", style=row)


def _chart_image(chart: RateChart) -> str:
    """A chart as an image, which is half as large as one that follows the theme."""
    svg = rate_chart_svg(chart, style=IMAGE_STYLE)
    return image_html(
        svg.encode(), "image/svg+xml", alt=chart.to_text(), width=WIDTH, height=HEIGHT
    )


def rate_chart_svg(chart: RateChart, *, style: str = "") -> str:
    """The chart as SVG text; ``style`` is CSS to include, for an image that stands alone."""
    middle, right = (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    # The title of the vertical axis goes where there is no curve.
    x, anchor = (right - 4, "end") if chart.diagonal else (LEFT + 5, "start")
    diagonal = f'<line class="km-dashed" x1="{LEFT}" y1="{_y(0)}" x2="{right}" y2="{_y(1)}"/>'
    return (
        f'<svg class="km-chart" xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape_html(chart.to_text())}">'
        f"{f'<style>{style}</style>' if style else ''}"
        f"{''.join(map(_tick, TICKS))}{diagonal if chart.diagonal else ''}{_curve(chart)}"
        f"{_dot(*chart.mark, radius=4.5, kind='km-threshold') if chart.mark else ''}"
        f'<text class="km-chart-title" x="0" y="13">{escape_html(chart.title)}</text>'
        f'<text x="{middle:.0f}" y="{HEIGHT - 3}" text-anchor="middle">'
        f"{escape_html(chart.across)}</text>"
        f'<text x="{x}" y="{_y(0) - 6}" text-anchor="{anchor}">'
        f"\N{UPWARDS ARROW} {escape_html(chart.up)}</text></svg>"
    )


def _curve(chart: RateChart) -> str:
    finite = [point for point in chart.points if np.isfinite(point).all()]
    points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in finite)
    largest = max(chart.weights, default=1.0)
    dots = "".join(
        _dot(x, y, radius=max(MIN_RADIUS, MAX_RADIUS * math.sqrt(weight / largest)), kind="km-dot")
        for (x, y), weight in zip(chart.points, chart.weights, strict=False)
    )
    return (f'<polyline class="km-val" points="{points}"/>' if points else "") + dots


def _dot(x: float, y: float, *, radius: float, kind: str) -> str:
    if not np.isfinite((x, y)).all():
        return ""
    return f'<circle class="{kind}" cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="{radius:.1f}"/>'


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
