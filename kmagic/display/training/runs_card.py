"""Training runs side by side, as cards: a table with small curves, and two runs compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kmagic.display.kit.card import (
    Bundle,
    breakable_html,
    card_html,
    escape_html,
    mime_bundle,
    scroll_html,
    table_html,
)
from kmagic.display.kit.chart import Chart, Curve, CurveKind, chart_to_text
from kmagic.display.kit.sparkline import sparkline_html
from kmagic.display.training.training_card import charts_html
from kmagic.support.display_mode import is_static
from kmagic.support.formatting import format_duration, pluralize
from kmagic.training.run.run_history import (
    RunComparison,
    RunHistory,
    metric_text,
    metrics_at_best,
    outcome_text,
    shorten,
)
from kmagic.training.run.training_run import TrainingRun

MAX_ROWS, MAX_METRICS = 24, 4
MAX_VARIABLES, MAX_VALUE = 6, 24
MAX_CHARTS = 4
MAX_LABEL = 11
LEFT = ' class="km-left" style="text-align:left"'


# --- all runs -----------------------------------------------------------------------------------


def history_bundle(history: RunHistory) -> Bundle:
    """All runs as a table: a small curve, the metrics at the best epoch, the outcome."""
    newest = dict(list(history.runs.items())[-MAX_ROWS:])
    keys, with_others = _metric_columns(list(newest.values()))
    others = ["other metrics"] if with_others else []
    best = history.best()
    times = [] if is_static() else ["time"]
    variables = dict(list(RunHistory(newest).variable_heads().items())[:MAX_VARIABLES])
    heads = ["run", "model", *variables.values(), "loss curve", "epochs", *keys, *others]
    heads += [*times, "outcome"]
    left = {"run", "model", "loss curve", "outcome", *others}
    head = "".join(
        f'<th scope="col"{LEFT if name in left else ""}>{breakable_html(escape_html(name))}</th>'
        for name in heads
    )
    rows = []
    for name, run in newest.items():
        metrics = metrics_at_best(run)
        bold = ' style="font-weight:600"' if name in best else ""
        cells = [
            f'<th scope="row"{LEFT}>{escape_html(name)}</th>',
            f"<td{LEFT}>{escape_html(run.model_name)}</td>",
            *(f"<td>{_variable_html(run, variable)}</td>" for variable in variables),
            f"<td{LEFT}>{loss_curve_html(run)}</td>",
            f"<td>{len(run.log):,}</td>",
            *(f"<td{bold}>{_cell(metrics.pop(key, None))}</td>" for key in keys),
            *(f"<td{LEFT}>{_other_metrics_html(metrics)}</td>" for _ in others),
            *(f"<td>{format_duration(run.seconds)}</td>" for _ in times),
            f"<td{LEFT}>{escape_html(outcome_text(run))}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    foot = ["metrics at the best epoch" if newest else "train a model: %keras_fit"]
    if best:
        foot.append("bold: lowest val_loss of its model")
    if len(history.runs) > len(newest):
        hidden = pluralize(len(history.runs) - len(newest), "earlier run")
        foot.append(f"{hidden} in to_frame()")
    table = (
        f'<table class="km-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    body = scroll_html(table, "Training runs")
    card = card_html("Runs", pluralize(len(history.runs), "run"), body, foot=" · ".join(foot))
    return mime_bundle(repr(history), card)


def _metric_columns(runs: Sequence[TrainingRun]) -> tuple[list[str], bool]:
    """The metrics with a column of their own, and whether a run has others.

    These are metrics of the newest run that at least half of the runs have, so no column is empty
    because of a few runs.
    """
    metrics = [found for run in runs if (found := metrics_at_best(run))]
    newest = metrics[-1] if metrics else {}
    keys = [key for key in newest if 2 * sum(key in found for found in metrics) >= len(metrics)]
    keys = keys[:MAX_METRICS]
    return keys, any(set(found) - set(keys) for found in metrics)


def _other_metrics_html(metrics: Mapping[str, float]) -> str:
    shown = [f"{key} {metric_text(value)}" for key, value in metrics.items()]
    more = ["..."] if len(shown) > MAX_METRICS else []
    text = escape_html(" \u00b7 ".join([*shown[:MAX_METRICS], *more])).replace("_", "_<wbr>")
    return f'<div style="min-width:190px;white-space:normal;line-height:1.25">{text}</div>'


def _variable_html(run: TrainingRun, name: str) -> str:
    value = run.variables.get(name)
    return "" if value is None else escape_html(shorten(value, MAX_VALUE))


def _cell(value: float | None) -> str:
    return "" if value is None else metric_text(value)


def loss_curve_html(run: TrainingRun) -> str:
    """The loss as a curve one line high."""
    curves = (run.curve("loss"), run.curve("val_loss"))
    end = max((x for curve in curves for x, _ in curve), default=0)
    text = chart_to_text(Chart("loss", [Curve("train", curves[0], "training")], 0, end))
    return sparkline_html(*curves, alt=text)


# --- two runs -----------------------------------------------------------------------------------


def comparison_bundle(comparison: RunComparison) -> Bundle:
    """Two runs: their curves in shared charts, their metrics side by side, what differs."""
    one, other = comparison.names
    body = charts_html(comparison_charts(comparison))
    body += _metrics_html(comparison) + _differences_html(comparison)
    facts = f"compared with {one}" + _loss_change(comparison)
    foot = f"grey: {one} · colour: {other} · dashed: training, solid: validation"
    return mime_bundle(repr(comparison), card_html(other, facts, body, foot=foot))


def _loss_change(comparison: RunComparison) -> str:
    for key in ("val_loss", "loss"):
        before, after = comparison.metrics.get(key, (None, None))
        if before is not None and after is not None:
            return f": {key} {metric_text(after)}, was {metric_text(before)}"
    return ""


def comparison_charts(comparison: RunComparison) -> list[Chart]:
    """One chart per metric: the first run's curves in grey, the second's in colour above."""
    first, second = comparison.first, comparison.second
    names = [name for name in second.metrics if name in first.metrics]
    names = (names or second.metrics)[:MAX_CHARTS]
    end = max([epoch.number for run in (first, second) for epoch in run.log[-1:]], default=1)
    start = min(first.initial_epoch, second.initial_epoch) + (1 if end > 1 else 0)
    labels = [shorten(name, MAX_LABEL) for name in comparison.names]
    charts = []
    for name in names:
        curves = []
        for run, label, is_grey in ((first, labels[0], True), (second, labels[1], False)):
            training, validation = run.curve(name), run.curve(f"val_{name}")
            kind: CurveKind = "other-train" if is_grey else "train"
            training_label = "" if validation else label
            curves.append(Curve(kind, training, training_label))
            if validation:
                kind = "other-val" if is_grey else "val"
                curves.append(Curve(kind, validation, label))
        charts.append(Chart(name, curves, start, max(end, start + 1e-9)))
    return charts


def _metrics_html(comparison: RunComparison) -> str:
    rows = []
    for key, (before, after) in comparison.metrics.items():
        difference = ""
        if before is not None and after is not None:
            change = after - before
            sign = "+" if change > 0 else "-" if change < 0 else ""
            difference = sign + metric_text(abs(change))
        rows.append([key, _cell(before), _cell(after), difference])
    runs = (comparison.first, comparison.second)
    best = [f"{run.best.epoch:,}" if run.best else "" for run in runs]
    rows.append(["best epoch", *best, ""])
    if not is_static():
        rows.append(["time", *(format_duration(run.seconds) for run in runs), ""])
    rows.append(["outcome", *map(outcome_text, runs), ""])
    return _texts_html(["at the best epoch", *comparison.names, "difference"], rows)


def _differences_html(comparison: RunComparison) -> str:
    rows = [[key, *pair] for key, pair in comparison.differences.items()]
    lines = comparison.changed_lines
    if not rows and not lines:
        return '<div style="margin-top:8px">Both runs used the same settings.</div>'
    table = _texts_html(["different settings", *comparison.names], rows) if rows else ""
    html = f'<div style="margin-top:8px">{table}</div>'
    if lines:
        one, other = map(escape_html, comparison.names)
        code = "".join(f"{escape_html(line)}\n" for line in lines)
        html += (
            f'<div style="margin-top:8px">The model, {one} to {other}:</div>'
            '<pre class="km-code" style="margin:2px 0;overflow-x:auto;word-break:normal;'
            f'color:inherit;background:none">{code}</pre>'
        )
    return html


def _texts_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = table_html(map(escape_html, heads), (map(escape_html, row) for row in rows))
    return scroll_html(table, f"{heads[0]}: {' and '.join(heads[1:3])}")
