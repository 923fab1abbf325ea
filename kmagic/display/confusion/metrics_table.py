"""The metrics below a matrix: of the whole, of each class, and the curves of two classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.confusion.matrix_table import UNDEFINED
from kmagic.display.confusion.rate_charts import RateChart, rate_charts_html
from kmagic.display.kit.card import details_html, name_html, table_html
from kmagic.support.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

HEADLINE = ("accuracy", "balanced accuracy", "kappa", "MCC", "macro F1", "weighted F1")
MAX_CLASSES = 30
"""With more classes, only those with the lowest F1 have a row."""
CURVE_POINTS = 120
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
AXIS_NAME = 12
"""Characters of a class name at an axis."""


def headline_html(matrix: ConfusionMatrix) -> str:
    """The main metrics in a row, each above its interval."""
    intervals = matrix.intervals().overall
    top = [name for name in matrix.overall if name.startswith("top-")]
    names = [*HEADLINE[:2], *top, *HEADLINE[2:]]
    return metrics_html({name: matrix.overall[name] for name in names}, intervals)


def metrics_html(
    values: Mapping[str, float], intervals: Mapping[str, Sequence[float]] | None = None
) -> str:
    """Metrics in a row, each below its name and above its interval."""
    blocks = []
    for name, value in values.items():
        low, high = (intervals or {}).get(name, (math.nan, math.nan))
        interval = "" if math.isnan(low) else f"{format_score(low)} to {format_score(high)}"
        blocks.append(
            '<div style="flex:0 0 auto">'
            f'<div class="km-muted" style="font-size:11px">{name}</div>'
            '<div class="km-number" style="text-align:left;font-size:15px">'
            f"{format_score(value)}</div>"
            '<div class="km-muted km-number" style="text-align:left;font-size:11px">'
            f"{interval}</div></div>"
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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def all_metrics_html(matrix: ConfusionMatrix) -> str:
    """All metrics, and those of each class, with their intervals; folded."""
    intervals = matrix.intervals().overall
    rows = (
        [name, *map(format_score, (value, *intervals[name]))]
        for name, value in matrix.overall.items()
    )
    classes = len(matrix.classes)
    title = (
        "Each class"
        if classes <= MAX_CLASSES
        else f"The {MAX_CLASSES} classes with the lowest F1, of {classes:,}"
    )
    table = table_html(("", "value", "from", "to"), rows)
    return details_html("All metrics, with 95 % intervals", table) + details_html(
        title, _class_metrics(matrix)
    )


def _class_metrics(matrix: ConfusionMatrix) -> str:
    figures, intervals = matrix.per_class, matrix.intervals()
    order = matrix.ordered()
    if len(order) > MAX_CLASSES:
        order = np.argsort(figures.f1, kind="stable")[:MAX_CLASSES]
    predicted = matrix.matrix.sum(axis=0)
    rows = []
    for k in order:
        cells = []
        for name, weight in (
            ("precision", predicted[k]),
            ("recall", figures.support[k]),
            ("f1", predicted[k] + figures.support[k]),
        ):
            value, (low, high) = getattr(figures, name)[k], getattr(intervals, name)[:, k]
            interval = f'<br><small class="km-muted">{low:.3f} to {high:.3f}</small>'
            cells.append(f"{value:.3f}{interval}" if weight else UNDEFINED)
        rows.append([name_html(matrix.classes[k]), *cells, format_count(figures.support[k])])
    return table_html(("", "precision", "recall", "F1", "support"), rows)


# --- curves ---------------------------------------------------------------------------------------


def curves_html(matrix: ConfusionMatrix) -> str:
    """ROC, precision-recall and calibration curves, as far as there are scores."""
    charts = [*_threshold_curves(matrix), *_calibration_curve(matrix)]
    if not charts:
        return ""
    drawn = rate_charts_html(charts)
    if matrix.threshold_curve is None and matrix.calibration is not None:
        error = f"{100 * matrix.calibration.error:.1f}"
        title = f"Calibration: probabilities are off by {error} % on average"
        return details_html(title, drawn)
    return (
        f'<div class="km-curves" style="margin-top:12px">{drawn}{_other_thresholds(matrix)}</div>'
    )


def _threshold_curves(matrix: ConfusionMatrix) -> list[RateChart]:
    sweep = matrix.threshold_curve
    if sweep is None:
        return []
    name = matrix.classes[1]
    of = f" of {name}" if len(name) <= AXIS_NAME else ""
    points = sweep.sample_indices(CURVE_POINTS)
    roc = [(sweep.false_positive_rate[k + 1], sweep.true_positive_rate[k + 1]) for k in points]
    precision_recall = [(sweep.true_positive_rate[k + 1], sweep.precision[k]) for k in points]
    _, false_positives, _, true_positives = sweep.counts(matrix.predictions.threshold or 0.0)
    predicted = true_positives + false_positives
    false_positive_rate = _ratio(false_positives, sweep.negatives)
    recall = _ratio(true_positives, sweep.positives)
    return [
        RateChart(
            f"ROC curve, AUC {format_score(sweep.auc)}",
            "false positive rate",
            f"recall{of}",
            [(0.0, 0.0), *roc],
            mark=(false_positive_rate, recall),
        ),
        RateChart(
            f"Average precision {format_score(sweep.average_precision)}",
            f"recall{of}",
            "precision",
            precision_recall,
            diagonal=False,
            mark=(recall, _ratio(true_positives, predicted)) if predicted else None,
        ),
    ]


def _calibration_curve(matrix: ConfusionMatrix) -> list[RateChart]:
    calibration = matrix.calibration
    if calibration is None:
        return []
    points = list(
        zip(
            calibration.mean_probability.tolist(),
            calibration.observed_frequency.tolist(),
            strict=True,
        )
    )
    return [
        RateChart(
            f"Calibration, error {calibration.error:.3f}",
            "predicted probability",
            "observed frequency",
            points,
            weights=calibration.samples.tolist(),
        )
    ]


def _other_thresholds(matrix: ConfusionMatrix) -> str:
    """The metrics at a few thresholds, for a reader without the slider."""
    sweep, scores = matrix.threshold_curve, matrix.predictions.scores
    if sweep is None or scores is None or (scores.given.ndim == 1 and not scores.are_probabilities):
        return ""
    rows = []
    for threshold in THRESHOLDS:
        true_negatives, false_positives, false_negatives, true_positives = sweep.counts(threshold)
        correct, wrong = true_negatives + true_positives, false_positives + false_negatives
        metrics = (
            _ratio(correct, correct + wrong),
            _ratio(true_positives, true_positives + false_positives),
            _ratio(true_positives, true_positives + false_negatives),
        )
        counts = map(format_count, (false_negatives, false_positives))
        rows.append([f"{threshold:g}", *map(format_score, metrics), *counts])
    heads = ("threshold", "accuracy", "precision", "recall", "false negatives", "false positives")
    return details_html("Other thresholds", table_html(heads, rows))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def format_score(value: float) -> str:
    """A metric with four decimals; a dash if it is undefined."""
    return UNDEFINED if math.isnan(value) else f"{value:.4f}"
