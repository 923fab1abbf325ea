"""How good a model is, below its matrix: the figures, those of each class, and its curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion.matrix_table import UNDEFINED
from kmagic.display.confusion.rate_charts import RateChart, rate_charts_html
from kmagic.display.kit.card import name_html
from kmagic.support.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADLINE = ("accuracy", "balanced accuracy", "kappa", "MCC", "macro F1", "weighted F1")
WORST_ROWS = 30  # of more classes, so many with the lowest F1
STEPS = 120  # points of a curve
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
TWO = 2


def headline(found: Any) -> str:
    """The figures of the whole beside each other, each above its interval."""
    intervals = found.intervals().overall
    names = [*HEADLINE[:2], *(name for name in found.overall if name.startswith("top-"))]
    names += [name for name in HEADLINE[2:] if name not in names]
    blocks = "".join(_block(name, found.overall[name], intervals[name]) for name in names)
    return (
        '<div class="km-figs" style="display:flex;flex-wrap:wrap;gap:6px 22px;margin-top:12px">'
        f"{blocks}</div>"
    )


def lines(found: Any) -> list[str]:
    """The same as plain text: "balanced accuracy 0.9805 (0.9777 to 0.9832)"."""
    intervals = found.intervals().overall
    return [
        f"{name} {_figure(value)} ({' to '.join(map(_figure, intervals[name]))})"
        for name, value in found.overall.items()
    ]


def details(found: Any) -> str:
    """All figures, and those of each class with their intervals, folded away."""
    return details_html("All figures, with 95 % intervals", _whole(found)) + details_html(
        _classes_title(found), _classes(found)
    )


def curves(found: Any) -> str:
    """ROC, precision against recall and calibration, as far as the scores allow."""
    shown = [*_two_classes(found), *_calibration(found)]
    if not shown:
        return ""
    drawn = rate_charts_html(shown)
    if found.threshold_curve is None:
        off = f"{100 * found.calibration.error:.1f}"
        return details_html(f"Calibration: probabilities are off by {off} % on average", drawn)
    return f'<div class="km-curves" style="margin-top:12px">{drawn}{_thresholds(found)}</div>'


def _block(name: str, value: float, interval: Sequence[float]) -> str:
    low, high = interval
    between = "" if math.isnan(low) else f"{_figure(low)} to {_figure(high)}"
    return (
        '<div style="flex:0 0 auto">'
        f'<div class="km-mute" style="font-size:11px">{name}</div>'
        f'<div class="km-num" style="text-align:left;font-size:15px">{_figure(value)}</div>'
        f'<div class="km-mute km-num" style="text-align:left;font-size:11px">{between}</div></div>'
    )


def _whole(found: Any) -> str:
    intervals = found.intervals().overall
    rows = "".join(
        f'<tr><th scope="row" class="km-left" style="text-align:left">{name}</th>'
        f"<td>{_figure(value)}</td><td>{_figure(intervals[name][0])}</td>"
        f"<td>{_figure(intervals[name][1])}</td></tr>"
        for name, value in found.overall.items()
    )
    return table_html(("", "value", "from", "to"), rows)


def _classes_title(found: Any) -> str:
    classes = len(found.classes)
    if classes <= WORST_ROWS:
        return "Each class"
    return f"The {WORST_ROWS} classes with the lowest F1, of {classes:,}"


def _classes(found: Any) -> str:
    figures, intervals = found.per_class, found.intervals()
    order = found.ordered()
    if len(order) > WORST_ROWS:
        order = np.argsort(figures.f1, kind="stable")[:WORST_ROWS]
    called = found.matrix.sum(axis=0)
    rows = []
    for k in order:
        cells = []
        for name, there in (
            ("precision", called[k] > 0),
            ("recall", figures.support[k] > 0),
            ("f1", called[k] + figures.support[k] > 0),
        ):
            value, (low, high) = getattr(figures, name)[k], getattr(intervals, name)[:, k]
            between = f'<br><small class="km-mute">{low:.3f} to {high:.3f}</small>'
            cells.append(f"<td>{value:.3f}{between}</td>" if there else f"<td>{UNDEFINED}</td>")
        rows.append(
            f'<tr><th scope="row" class="km-left" style="text-align:left">'
            f"{name_html(found.classes[k])}</th>{''.join(cells)}"
            f"<td>{format_count(figures.support[k])}</td></tr>"
        )
    return table_html(("", "precision", "recall", "F1", "support"), "".join(rows))


def _two_classes(found: Any) -> list[RateChart]:
    sweep = found.threshold_curve
    if sweep is None:
        return []
    places = sweep.sample_indices(STEPS)
    name = found.classes[1]
    said = name if len(name) <= 12 else "the second class"  # noqa: PLR2004 - what an axis holds
    rates = [(sweep.false_positive_rate[k + 1], sweep.true_positive_rate[k + 1]) for k in places]
    found_rates = [(sweep.true_positive_rate[k + 1], sweep.precision[k]) for k in places]
    _, alarms, _, hits = sweep.counts(found.predictions.threshold)
    false, true = _share(alarms, sweep.negatives), _share(hits, sweep.positives)
    return [
        RateChart(
            f"ROC, area {_figure(sweep.auc)}",
            "false alarms",
            f"{said} found",
            [(0.0, 0.0), *rates],
            mark=(false, true),
        ),
        RateChart(
            f"Precision, average {_figure(sweep.average_precision)}",
            f"{said} found",
            "precision",
            found_rates,
            diagonal=False,
            mark=(true, _share(hits, hits + alarms)) if hits + alarms else None,
        ),
    ]


def _calibration(found: Any) -> list[RateChart]:
    calibration = found.calibration
    if calibration is None:
        return []
    points = list(zip(calibration.mean_probability.tolist(), calibration.observed_frequency.tolist(), strict=True))
    title = f"Calibration, off by {calibration.error:.3f}"
    return [RateChart(title, "said", "found true", points, weights=calibration.samples.tolist())]


def _thresholds(found: Any) -> str:
    """What a few thresholds would bring, for a reader without a slider."""
    scores = found.predictions.scores
    if scores.given.ndim == 1 and not scores.are_probabilities:
        return ""
    rows = []
    for threshold in THRESHOLDS:
        rest, alarms, missed, hits = found.threshold_curve.counts(threshold)
        right = _share(rest + hits, rest + alarms + missed + hits)
        cells = (right, _share(hits, hits + alarms), _share(hits, hits + missed))
        rows.append(
            f'<tr><th scope="row">{threshold:g}</th>'
            f"{''.join(f'<td>{_figure(value)}</td>' for value in cells)}"
            f"<td>{format_count(missed)}</td><td>{format_count(alarms)}</td></tr>"
        )
    head = ("above", "accuracy", "precision", "recall", "missed", "false alarms")
    return details_html("Other thresholds", table_html(head, "".join(rows)))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def details_html(title: str, inside: str) -> str:
    """Something that opens by a click; ``title`` and ``inside`` are HTML."""
    return (
        f'<details class="km-fold" style="margin-top:8px"><summary style="cursor:pointer">{title}'
        f'</summary><div style="overflow-x:auto;margin-top:6px">{inside}</div></details>'
    )


def table_html(heads: Sequence[str], rows: str) -> str:
    """A table of figures; heads and rows are HTML."""
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        '<table class="km-table" style="width:auto">'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _figure(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.4f}"
