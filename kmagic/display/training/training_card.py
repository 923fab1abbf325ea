"""A training run as text and as a static card: pure functions of the record.

Each chart is included twice: as inline SVG in the theme's colours, and as an image for notebooks
that are not trusted, where JupyterLab removes ``<style>`` and with it the rule that hides the
image. The image's colours are readable on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from kmagic.display.confusion.matrix_image import epoch_confusion_html
from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    escape_html,
    mime_bundle,
    scroll_html,
    with_drawings,
)
from kmagic.display.kit.chart import (
    Chart,
    Curve,
    chart_html,
    shown_range,
)
from kmagic.support.display_mode import is_static
from kmagic.support.downsampling import Point
from kmagic.support.formatting import (
    format_approximate_duration,
    format_duration,
    format_metric,
    format_seconds,
    pluralize,
)
from kmagic.support.rendering import running_shell
from kmagic.training.run.run_history import metrics_at_best
from kmagic.training.run.training_run import Epoch, TrainingRun

MAX_METRICS = 12
MAX_MESSAGES = 6
MAX_MARKED_MESSAGES = 8
FIRST_ROWS, LAST_ROWS = 2, 5
NOISY_PART, UNSCALED_PART = 0.03, 0.1
"""The first part of an epoch's curve, whose means are of few batches: not drawn, not scaled by."""
SINGLE_CHART, CHART, MIN_CHART, MAX_CHART = 460, 300, 250, 360
"""Pixels of a chart's width: of a single one, of others as they are drawn, and when scaled."""


def training_bundle(run: TrainingRun, *, times: bool = True) -> Bundle:
    """The current state of a run as text and as a card.

    The size of the card does not depend on the number of epochs: about 20 KB for two metrics, and
    50 KB for noise and three previous runs in four charts.

    ``times=False`` omits durations, which differ between repeated runs; ``KMAGIC_DISPLAY=static``
    always omits them.
    """
    times = times and not is_static()
    is_running = run.status == "running"
    key = f"run-{run.id}" if times and not is_running else ""
    charts = run_charts(run)
    body = charts_html(charts, epoch_confusion_html(run.confusion), key=key)
    body += messages_html(run) + table_html(run, times=times)
    if is_running:
        body = bar_html(run.progress, label=f"{100 * run.progress:.0f} % trained") + body
        facts = f"{'; '.join(filter(None, [run.where(), run.result()]))} · {clock_text(run)}"
    else:
        facts = run.describe(times=times)
    foot = " · ".join(filter(None, [foot_text(run, times=times), _previous_text(charts)]))
    card = card_html(run.model_name, facts, body, foot=foot)
    lines = [summary_line(run, times=times)]
    if run.confusion is not None and run.confusion.matrix is not None:
        lines.append(run.confusion.describe())
    if times:  # messages contain measured values, which differ between repeated runs
        lines += message_lines(run)
    return mime_bundle("\n".join(lines), card)


# --- text ---------------------------------------------------------------------------------------


def heading_line(run: TrainingRun) -> str:
    """What is about to be trained: "cnn: 3 epochs of 844 batches, 54,000 samples"."""
    epochs = pluralize(run.epochs - run.initial_epoch, "epoch")
    steps = f" of {pluralize(run.steps, 'batch', 'batches')}" if run.steps else ""
    samples = f", {pluralize(run.samples, 'sample')}" if run.samples else ""
    return f"{run.model_name}: {epochs}{steps}{samples}"


def summary_line(run: TrainingRun, *, times: bool = True) -> str:
    """The run in one sentence, with all metrics at its best epoch or at its last one.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> run = TrainingRun("cnn", epochs=1)
        >>> run.add(Epoch(1, {"accuracy": 0.9, "loss": 0.3, "val_loss": 0.4}, seconds=2.0))
        >>> run.status = "done"
        >>> summary_line(run, times=False)
        'cnn: 1 epoch; best epoch 1, val_loss 0.4000, loss 0.3000, accuracy 0.9000'
    """
    summary = f"{run.model_name}: {run.describe(times=times)}"
    if run.best is None:
        return summary
    logs = metrics_at_best(run)
    others = [key for key in metric_columns(run, logs) if key != run.best.monitor]
    return ", ".join([summary, *(f"{key} {format_metric(logs[key])}" for key in others)])


def epoch_line(epoch: Epoch, run: TrainingRun) -> str:
    """A finished epoch in one line, for a terminal or a log."""
    width = len(f"{run.epochs:,}")
    columns = metric_columns(run, epoch.logs)
    metrics = "  ".join(f"{key} {format_metric(epoch.logs[key])}" for key in columns)
    seconds = format_seconds(epoch.seconds)
    return f"epoch {epoch.number:>{width},} of {run.epochs:,}  {metrics}  {seconds}"


def progress_line(run: TrainingRun) -> str:
    """The position of a running training in one line, for a terminal."""
    columns = metric_columns(run, run.now.logs)[:2]
    metrics = [f"{key} {format_metric(run.now.logs[key])}" for key in columns]
    return "  ".join([run.where(), *metrics, clock_text(run)])


def clock_text(run: TrainingRun) -> str:
    """Elapsed and remaining time: "0:48, about 0:10 left"."""
    elapsed = format_duration(run.now.elapsed)
    if run.now.left is None:
        return elapsed
    return f"{elapsed}, about {format_approximate_duration(run.now.left)} left"


def foot_text(run: TrainingRun, *, times: bool = True) -> str:
    """What changes rarely: the number of samples, the learning rate, the speed, why plain Keras."""
    parts = []
    if run.status in ("stopped", "interrupted") and run.log:
        parts.append(f"to continue: `{_resuming_code(run)}`")
    if run.samples:
        batch = f", batch size {run.batch_size:,}" if run.batch_size else ""
        parts.append(pluralize(run.samples, "sample") + batch)
    if run.optimizer:
        parts.append(run.optimizer)
    known = (*run.learning_rates, run.now.learning_rate)
    if rates := [rate for rate in known if rate is not None]:
        shown = (f"{rate:.4g}" for rate in (rates[0], max(rates), rates[-1]))
        parts.append(f"learning rate {' to '.join(dict.fromkeys(shown))}")
    if times and run.now.rate:
        is_counted = run.batch_size is not None
        speed = run.now.rate * (run.batch_size or 1)
        parts.append(f"{speed:,.0f} samples/s" if is_counted else f"{speed:,.1f} batches/s")
    if ": " in run.pipeline:
        parts.append(f"plain Keras: {run.pipeline.partition(': ')[2]}")
    elif ", " in run.pipeline:
        parts.append(run.pipeline.partition(", ")[2])
    hidden = len(run.metrics) - MAX_METRICS
    if hidden > 0:
        parts.append(f"{pluralize(hidden, 'more metric')} in run.history")
    return " · ".join(parts)


def _previous_text(charts: Sequence[Chart]) -> str:
    """What the grey curves are, if any is within the axes."""
    number = max((chart.shown_curves("previous") for chart in charts), default=0)
    return f"grey: {number} previous runs" if number > 1 else "grey: previous run" * number


def _resuming_code(run: TrainingRun) -> str:
    """What continues a run, as a magic if these are loaded."""
    name = run.model_name if run.model_name.isidentifier() else "MODEL"
    shell = running_shell()
    if shell is not None and shell.find_line_magic("keras_fit"):
        return f"%keras_fit {name} --resume"
    return f"kmagic.fit({name}, resume=True)"


def message_lines(run: TrainingRun) -> list[str]:
    """The run's messages, one line each; of many the last ones."""
    newest = run.messages[-MAX_MESSAGES:]
    lines = [f"epoch {epoch:,}: {text}" if epoch else text for epoch, text in newest]
    if len(run.messages) > len(newest):
        lines.insert(0, f"{len(run.messages) - len(newest):,} earlier in run.messages")
    return lines


def messages_html(run: TrainingRun) -> str:
    """The run's messages as HTML."""
    items = "".join(
        f'<div style="overflow-wrap:anywhere">{escape_html(line)}</div>'
        for line in message_lines(run)
    )
    return f'<div style="margin:6px 0;font-size:12px">{items}</div>' if items else ""


# --- table --------------------------------------------------------------------------------------


def metric_columns(run: TrainingRun, logs: Mapping[str, float] | None = None) -> list[str]:
    """The metrics in the order of a table: each beside its validation."""
    known = run.logged_keys if logs is None else set(logs)
    names = [key for name in run.metrics[:MAX_METRICS] for key in (name, f"val_{name}")]
    return [name for name in names if name in known]


def table_rows(
    run: TrainingRun, first: int = FIRST_ROWS, last: int = LAST_ROWS
) -> list[Epoch | None]:
    """The first, the best and the last epochs; None stands for those in between."""
    log = run.log
    indices = {*range(min(first, len(log))), *range(max(0, len(log) - last), len(log))}
    if best := run.best:
        indices.add(best.epoch - log[0].number)
    rows: list[Epoch | None] = []
    for before, index in pairwise([min(indices, default=0) - 1, *sorted(indices)]):
        if index == before + 2:
            rows.append(log[index - 1])
        elif index > before + 1:
            rows.append(None)
        rows.append(log[index])
    return rows


def table_html(run: TrainingRun, *, times: bool = True) -> str:
    """The epochs as an HTML table; the best one is bold."""
    rows = table_rows(run)
    if not rows:
        return ""
    columns = metric_columns(run)
    best = run.best.epoch if run.best and run.best.monitor != "loss" else 0
    heads = ["epoch", *columns, *(["time"] if times else [])]
    head = "".join(
        f'<th scope="col">{escape_html(name).replace("_", "_<wbr>")}</th>' for name in heads
    )
    body = ""
    for epoch in rows:
        if epoch is None:
            body += f'<tr><td>...</td><td colspan="{len(heads) - 1}"></td></tr>'
            continue
        style = ' style="font-weight:600"' if epoch.number == best else ""
        cells = epoch_cells(epoch, columns)[: len(heads)]
        body += f"<tr>{''.join(f'<td{style}>{cell}</td>' for cell in cells)}</tr>"
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    label = f"Epochs of {run.model_name}"
    return scroll_html(f'<table class="km-table">{table}</table>', label)


def epoch_cells(epoch: Epoch, columns: Sequence[str]) -> list[str]:
    """An epoch's table row as text: its number, its metrics, its time."""
    metrics = [format_metric(epoch.logs[name]) if name in epoch.logs else "" for name in columns]
    return [f"{epoch.number:,}", *metrics, format_seconds(epoch.seconds)]


# --- charts -------------------------------------------------------------------------------------


def run_charts(run: TrainingRun) -> list[Chart]:
    """A chart for the loss and one for each of the first metrics."""
    if not (run.log or run.epoch_curves):
        return []
    return [_metric_chart(run, name) for name in charted_metrics(run)]


def charted_metrics(run: TrainingRun) -> list[str]:
    """The metrics that have a chart; after the end only those with a value to draw."""
    names = run.metrics[:MAX_METRICS]
    if run.status == "running":
        return names
    inner = _inner_curves(run)
    curves = (
        (name, [*run.curve(name), *run.curve(f"val_{name}"), *inner.get(name, [])])
        for name in names
    )
    return [name for name, points in curves if any(math.isfinite(y) for _, y in points)]


def epoch_axis(run: TrainingRun) -> tuple[int, float]:
    """Start and end of the charts' axis, in epochs."""
    # One finished epoch is a point, not a curve: its inner curve deserves the room.
    start = run.initial_epoch + (1 if len(run.log) > 1 else 0)
    if run.status == "running":
        return start, run.epochs
    if run.log:
        end: float = run.log[-1].number
    else:
        end = max((points[-1][0] for points in _inner_curves(run).values() if points), default=0.0)
    return start, math.ceil(end)


def _inner_curves(run: TrainingRun) -> dict[str, list[Point]]:
    return {key: series.points() for key, series in run.epoch_curves.items()}


def _metric_chart(run: TrainingRun, name: str) -> Chart:
    start, end = epoch_axis(run)
    training, validation = run.curve(name), run.curve(f"val_{name}")
    first = _steady(run.first_epoch_curves.get(name, [])) if len(run.log) == 1 else []
    inner = _inner_curves(run).get(name, [])
    current = _steady(inner)
    if not training:
        current = current or inner
    if is_static() and training:  # the measured positions differ between repeated runs
        first, current = [], []
    inner_values = [y for x, y in (*first, *current) if x % 1 > UNSCALED_PART]
    scale = shown_range(inner_values, *((y for _, y in curve) for curve in (training, validation)))
    notes = sorted({epoch for epoch, _ in run.messages[-MAX_MARKED_MESSAGES:]})
    previous = previous_metric_curves(run, name)
    scale += previous_scale_values(scale, previous, end)
    course = [*first[:-1], *training[-1:], *current]
    label = "training" if validation else ""
    curves = [
        *(Curve("previous", points) for points in previous),
        Curve("batches", course, label if current else ""),
        Curve("train", training, "" if current else label),
    ]
    if validation:
        curves.append(Curve("val", validation, "validation"))
    return Chart(name, curves, start, end, best_mark(run, name), scale, notes)


def _steady(curve: Sequence[Point]) -> list[Point]:
    """An epoch's curve without the means of its first few batches."""
    return [point for point in curve if (point[0] % 1 or 1.0) > NOISY_PART]


def previous_metric_curves(run: TrainingRun, name: str) -> list[list[Point]]:
    """A metric's curve in each previous run: its validation if this run has one."""
    validates = not run.log or f"val_{name}" in run.log[-1].logs
    keys = (f"val_{name}", name) if validates else (name,)
    curves = (next((old[key] for key in keys if key in old), []) for old in run.earlier)
    return [points for points in curves if points]


def previous_scale_values(
    values: Sequence[float], curves: Iterable[Sequence[Point]], end: float
) -> list[float]:
    """Values for the scale, so that previous curves are visible and never flatten the new ones.

    ``values`` are those of the new curves; points after the axis's ``end`` do not count.

    Example:
        >>> previous_scale_values([0.2, 0.3], [[(1, 0.25), (2, 9.0)]], 10)
        [0.25, 0.4]
    """
    previous = [y for points in curves for x, y in points if x <= end and math.isfinite(y)]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = high - low
    if not span:
        return previous
    return [float(f"{min(max(y, low - span), high + span):.12g}") for y in previous]


def best_mark(run: TrainingRun, name: str) -> tuple[float, str] | None:
    """The best epoch and the metric there, for a chart's vertical line."""
    best = run.best
    if best is None or best.monitor == "loss":
        return None
    value = run.log[best.epoch - run.log[0].number].logs.get(f"val_{name}")
    if value is None:
        return None
    prefix = "best " if best.monitor == f"val_{name}" else ""
    return best.epoch, prefix + format_metric(value)


def charts_html(charts: Sequence[Chart], beside: str = "", *, key: str = "") -> str:
    """Charts in rows, each as inline SVG and as an image.

    A widget with this key makes them interactive (``static/training/finished_charts.js``).
    """
    if not charts:
        return ""
    width, most = (CHART, MAX_CHART) if len(charts) > 1 else (SINGLE_CHART, SINGLE_CHART)
    figures = []
    for chart in charts:
        style = f"flex:1 1 {MIN_CHART}px;max-width:{most}px"
        figures.append(
            f'<div class="km-run-chart" style="{style}">{chart_html(chart, width)}</div>'
        )
    row = "display:flex;flex-wrap:wrap;gap:6px 18px;margin:6px 0"
    css = minified_css("kit/chart.css")
    body = "".join(figures) + beside
    return with_drawings(body, css, kind="km-run-charts", style=row, key=key)
