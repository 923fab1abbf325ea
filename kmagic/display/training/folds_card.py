"""A cross-validation as a card: the scores, the curves of all runs, and a row for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kmagic.display.kit.card import (
    Bundle,
    card_html,
    escape_html,
    figure_html,
    message_html,
    mime_bundle,
    scroll_html,
    table_html,
)
from kmagic.display.kit.chart import Chart, Curve
from kmagic.display.training.runs_card import MAX_CHARTS, loss_curve_html
from kmagic.display.training.training_card import charts_html
from kmagic.support.display_mode import is_static
from kmagic.support.downsampling import Point
from kmagic.support.formatting import format_duration, format_metric, pluralize
from kmagic.training.run.cross_validation import CrossValidation
from kmagic.training.run.run_history import outcome_text
from kmagic.training.run.training_run import VALIDATION

MAX_ROWS, MAX_SCORES = 50, 5
_FIGURES = "display:flex;flex-wrap:wrap;gap:6px 36px;margin:4px 0 8px"
_SMALL = 'style="font-size:12px;margin-top:6px;overflow-wrap:anywhere"'


def cross_validation_bundle(result: CrossValidation) -> Bundle:
    """The result as text and as a card."""
    names = list(result.score_texts())[:MAX_SCORES]
    body = _figures_html(result, names) + charts_html(_charts(result, names))
    body += _runs_html(result, names)
    body += "".join(f"<div {_SMALL}>{message_html(text)}</div>" for text in result.messages)
    foot = [f"metrics of the {'held-out rows' if result.folds else 'validation data'}"]
    if len(result.finished) > 1:
        correction = "corrected for overlapping training rows" if result.folds else "seeds alone"
        foot.append(f"± standard deviation of {len(result.finished)} runs")
        foot.append(f"interval of the mean, {correction}")
    if hidden := len(result.scores) - len(names):
        foot.append(f"{pluralize(hidden, 'more metric')} in to_frame()")
    foot.append("the model has the weights that it had before")
    card = card_html(result.name, result.describe(), body, foot=" · ".join(foot))
    return mime_bundle("\n".join([repr(result), *_text_rows(result)]), card)


def _text_rows(result: CrossValidation) -> list[str]:
    """The runs and the messages as lines."""
    lines = [f"{result.label(each)}: {_scores_text(each.logs)}" for each in result.finished]
    return [*lines[:MAX_ROWS], *result.messages]


def _scores_text(logs: dict[str, float]) -> str:
    names = [name for name in logs if name.startswith(VALIDATION)][:MAX_SCORES]
    return ", ".join(f"{name} {format_metric(logs[name])}" for name in names)


def _figures_html(result: CrossValidation, names: Sequence[str]) -> str:
    figures = []
    for name in names:
        value, ends = result.score_texts()[name]
        small = '<div class="km-muted" style="font-size:12px">'
        interval = f"{small}95 % interval {ends}</div>" if ends else ""
        figures.append(f"<div>{figure_html(escape_html(name), value)}{interval}</div>")
    return f'<div style="{_FIGURES}">{"".join(figures)}</div>' if figures else ""


def _charts(result: CrossValidation, names: Sequence[str]) -> list[Chart]:
    """A chart for each score: each run in grey, and the mean of the runs."""
    charts = []
    for name in names[:MAX_CHARTS]:
        curves = [each.run.curve(name) for each in result.finished]
        end = max((points[-1][0] for points in curves if points), default=1)
        if end == 1:
            return []  # one epoch has no curve
        lines = [Curve("previous", points) for points in curves]
        charts.append(Chart(name, [*lines, Curve("val", _mean(curves), "mean")], 1, end))
    return charts


def _mean(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """The mean of curves, where all of them have a point."""
    import pandas as pd  # noqa: PLC0415 - half a second

    means: Any = pd.DataFrame([dict(points) for points in curves]).dropna(axis=1).mean()
    return [(x, float(y)) for x, y in means.items() if math.isfinite(y)]


def _runs_html(result: CrossValidation, names: Sequence[str]) -> str:
    """The runs as a table, with the mean and the deviation below."""
    times = [] if is_static() else ["time"]
    rows = []
    for each in result.results[:MAX_ROWS]:
        run = each.run
        scores = [format_metric(each.logs[name]) if name in each.logs else "" for name in names]
        seconds = [format_duration(run.seconds) for _ in times]
        outcome = "" if run.status == "done" and not run.note else escape_html(outcome_text(run))
        label = result.label(each)
        rows.append([label, loss_curve_html(run), f"{len(run.log):,}", *scores, *seconds, outcome])
    heads = ["run", "loss curve", "epochs", *map(escape_html, names), *times, ""]
    table = scroll_html(table_html(heads, rows), f"Runs of {result.name}")
    if hidden := len(result.results) - len(rows):
        table += f'<div class="km-muted">{pluralize(hidden, "more run")} in to_frame()</div>'
    return table if rows else ""
