"""Training runs beside each other, as cards: a table with small curves, and two overlaid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kmagic.display.kit import chart
from kmagic.display.kit.card import Bundle, card_html, escape_html, image_html
from kmagic.display.kit.card import mime_bundle as as_bundle
from kmagic.display.kit.chart import MIDTONES, Chart, Curve
from kmagic.display.training.training_card import pictures
from kmagic.support.display_mode import is_static
from kmagic.support.downsampling import downsample
from kmagic.support.formatting import format_duration, pluralize
from kmagic.training.run.run_history import metric_text, metrics_at_best, outcome_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.display.kit.chart import CurveKind
    from kmagic.support.downsampling import Point
    from kmagic.training.run.run_history import RunComparison, RunHistory
    from kmagic.training.run.training_run import TrainingRun

MOST_ROWS, MOST_FIGURES = 24, 4
MOST_CHARTS, MOST_POINTS = 4, 60
MOST_NAME = 11
SPARK = (96, 24)
SPARK_POINTS = 24
LEFT = ' class="km-left" style="text-align:left"'


# --- all runs -----------------------------------------------------------------------------------


def history_bundle(runs: RunHistory) -> Bundle:
    """All runs as a table: a small curve, the figures at the best epoch, how it ended."""
    newest = dict(list(runs.runs.items())[-MOST_ROWS:])
    keys = list(dict.fromkeys(key for run in newest.values() for key in metrics_at_best(run)))
    keys = keys[:MOST_FIGURES]
    best = runs.best()
    times = [] if is_static() else ["time"]
    heads = ["run", "model", "course", "epochs", *keys, *times, "end"]
    left = {"run", "model", "course", "end"}
    parts = [
        f'<th scope="col"{LEFT if head in left else ""}>{escape_html(head)}</th>' for head in heads
    ]
    rows = [f"<thead><tr>{''.join(parts)}</tr></thead>"]
    for name, run in newest.items():
        figures = metrics_at_best(run)
        strong = ' style="font-weight:600"' if name in best else ""
        cells = [
            f'<th scope="row"{LEFT}>{escape_html(name)}</th>',
            f"<td{LEFT}>{escape_html(run.model_name)}</td>",
            f"<td{LEFT}>{_spark(run)}</td>",
            f"<td>{len(run.log):,}</td>",
            *(f"<td{strong}>{_figure(figures.get(key))}</td>" for key in keys),
            *(f"<td>{format_duration(run.seconds)}</td>" for _ in times),
            f"<td{LEFT}>{escape_html(outcome_text(run))}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    table = (
        '<div style="overflow-x:auto"><table class="km-table">'
        f"{rows[0]}<tbody>{''.join(rows[1:])}</tbody></table></div>"
    )
    foot = ["figures at the best epoch" if newest else "train a model: %keras_fit"]
    if best:
        foot.append("bold: the lowest val_loss of its model")
    if len(runs.runs) > len(newest):
        foot.append(f"{pluralize(len(runs.runs) - len(newest), 'earlier run')} in to_frame()")
    markup = card_html("Runs", pluralize(len(runs.runs), "run"), table, foot=" · ".join(foot))
    return as_bundle(repr(runs), markup)


def _figure(value: float | None) -> str:
    return "" if value is None else metric_text(value)


def _spark(run: TrainingRun) -> str:
    """The loss as a curve of a line's height; validation solid, training dashed."""
    width, height = SPARK
    curves = [("val", run.curve("val_loss")), ("train", run.curve("loss"))]
    real = [(x, y) for _, points in curves for x, y in points if math.isfinite(y)]
    if not real:
        return ""
    left, right = min(x for x, _ in real), max(x for x, _ in real)
    low, high = min(y for _, y in real), max(y for _, y in real)

    def place(point: Point) -> str:
        x = 3 + (point[0] - left) / ((right - left) or 1) * (width - 6)
        y = height - 3 - (point[1] - low) / ((high - low) or 1) * (height - 6)
        return f"{x:.0f},{y:.1f}"

    drawn = []
    for kind, points in reversed(curves):
        some = [point for point in downsample(points, SPARK_POINTS) if math.isfinite(point[1])]
        if some:
            dash = ' stroke-dasharray="4 2"' if kind == "train" else ""
            colour = "--km-orange" if kind == "val" else "--km-blue"
            # A lone point is drawn as a line of no length.
            path = " ".join(map(place, some if len(some) > 1 else some * 2))
            drawn.append(
                f'<polyline points="{path}" fill="none" stroke="{_tone(colour)}" '
                f'stroke-width="1.6" stroke-linecap="round"{dash}/>'
            )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(drawn)}</svg>'
    )
    said = chart.chart_to_text(
        Chart("loss", [Curve("train", curves[1][1], "training")], left, right)
    )
    shown = image_html(svg.encode(), "image/svg+xml", alt=said, width=width, height=height)
    return shown.replace('style="max-width:100%', 'style="display:block;max-width:none')


def _tone(name: str) -> str:
    return dict(pair.split(":") for pair in MIDTONES.split(";") if pair)[name]


# --- two runs -----------------------------------------------------------------------------------


def comparison_bundle(comparison: RunComparison) -> Bundle:
    """Two runs: their curves in one picture, their figures side by side, what differs."""
    one, other = comparison.names
    body = pictures(overlaid(comparison)) + _figures(comparison) + _differences(comparison)
    facts = f"against {one}" + _verdict(comparison)
    foot = f"grey: {one} · in colour: {other} · dashed: training, solid: validation"
    return as_bundle(repr(comparison), card_html(other, facts, body, foot=foot))


def _verdict(comparison: RunComparison) -> str:
    for key in ("val_loss", "loss"):
        before, now = comparison.metrics.get(key, (None, None))
        if before is not None and now is not None:
            return f": {key} {metric_text(now)}, was {metric_text(before)}"
    return ""


def overlaid(comparison: RunComparison) -> list[Chart]:
    """A chart a figure: the first run's curves grey, the second's in colour above them."""
    first, second = comparison.first, comparison.second
    names = [name for name in second.metrics if name in first.metrics]
    names = (names or second.metrics)[:MOST_CHARTS]
    length = max([epoch.number for run in (first, second) for epoch in run.log[-1:]], default=1)
    begin = min([run.initial_epoch for run in (first, second)]) + (1 if length > 1 else 0)
    short = [_cut(name) for name in comparison.names]
    charts = []
    for name in names:
        lines = []
        for run, label, grey in ((first, short[0], True), (second, short[1], False)):
            trained, checked = run.curve(name), run.curve(f"val_{name}")
            kind: CurveKind = "other-train" if grey else "train"
            lines.append(Curve(kind, _few(trained), "" if checked else label))
            if checked:
                lines.append(Curve("other-val" if grey else "val", _few(checked), label))
        charts.append(Chart(name, lines, begin, max(length, begin + 1e-9)))
    return charts


def _few(points: Sequence[Point]) -> list[Point]:
    return downsample(points, MOST_POINTS)


def _cut(name: str) -> str:
    return name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 3]}..."


def _figures(comparison: RunComparison) -> str:
    rows = []
    for key, (before, now) in comparison.metrics.items():
        change = "" if before is None or now is None else _signed(now - before)
        rows.append([key, _figure(before), _figure(now), change])
    for word, say in (
        ("best epoch", lambda run: f"{run.best.epoch:,}" if run.best else ""),
        ("time", lambda run: format_duration(run.seconds)),
        ("end", outcome_text),
    ):
        if word != "time" or not is_static():
            rows.append([word, say(comparison.first), say(comparison.second), ""])
    return _table(["at the best epoch", *comparison.names, "difference"], rows)


def _signed(value: float) -> str:
    words = metric_text(abs(value))
    return words if not value else f"{'+' if value > 0 else '-'}{words}"


def _differences(comparison: RunComparison) -> str:
    rows = [[key, *pair] for key, pair in comparison.differences.items()]
    lines = comparison.changed_lines
    if not rows and not lines:
        return '<div style="margin-top:8px">Both were asked for alike.</div>'
    table = _table(["what differs", *comparison.names], rows) if rows else ""
    code = "".join(f"{escape_html(line)}\n" for line in lines)
    model = (
        f'<div style="margin-top:8px">The model, {escape_html(comparison.names[0])} to '
        f'{escape_html(comparison.names[1])}:</div><pre class="km-code" style="margin:2px 0;'
        f'overflow-x:auto;word-break:normal;color:inherit;background:none">{code}</pre>'
    )
    return f'<div style="margin-top:8px">{table}</div>' + (model if lines else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(
        f'<th scope="col"{LEFT if not place else ""}>{escape_html(text)}</th>'
        for place, text in enumerate(heads)
    )
    body = "".join(
        f'<tr><th scope="row"{LEFT}><span style="font-weight:400">{escape_html(row[0])}</span></th>'
        + "".join(f"<td>{escape_html(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table class="km-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
