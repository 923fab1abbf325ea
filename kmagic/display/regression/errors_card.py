"""The card of a regression's errors: charts, metrics with intervals, and the worst rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.windowing import time_names
from kmagic.display.confusion.metrics_table import text_table
from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import (
    Bundle,
    card_html,
    details_html,
    escape_html,
    full_name_html,
    message_html,
    mime_bundle,
    name_html,
    scroll_html,
    table_html,
    with_drawings,
)
from kmagic.display.kit.chart import Chart, Curve, chart_html
from kmagic.display.kit.samples import samples_html
from kmagic.display.prediction.forecast_chart import forecast_charts_html
from kmagic.display.regression.error_charts import MAX_DOTS, charts_html, target_charts
from kmagic.display.regression.interactive_errors import attach_widget, row_samples
from kmagic.evaluation.regression.error_notes import error_notes
from kmagic.evaluation.regression.regression_errors import RegressionErrors, format_error
from kmagic.support.formatting import (
    format_metric,
    format_value,
    isolate_direction,
    isolate_names,
    shorten_name,
    to_single_line,
)

MAX_TARGETS = 3  # with charts
MAX_LISTED = 12  # targets in the table
MAX_FEATURES = 8  # columns of the table of the worst rows
MAX_CELL, NAME_LENGTH = 24, 30  # characters
TIME_WIDTH = 660
BUCKETS = 300  # of a long chart over time, each with its lowest and highest value
TIME_TICKS = (0.1, 0.4, 0.7, 0.98)
OVER_TIME = 3  # largest errors that are marked
HEADLINE = ("MAE", "RMSE", "R2", "bias")
METHOD = (
    "Intervals: 95 %, from 1,000 bootstrap resamples of the rows. Bias is the mean error, and an "
    "error is the prediction minus the true value."
)
SERIES = "They treat the rows as independent; errors that follow one another often are not."


def errors_bundle(errors: RegressionErrors) -> Bundle:
    """The card of a regression's errors, as text and as HTML."""
    return mime_bundle(errors_text(errors), errors_html(errors, attach_widget(errors)))


def errors_html(errors: RegressionErrors, key: str = "") -> str:
    """The card as HTML, with the key of its widget, if any."""
    parts = errors.parts
    if len(parts) == 1:
        shown = [0]
        body = _section(errors, 0)
        notes = [errors.compared_with_mean(), *error_notes(errors)]
    else:
        shown = shown_targets(errors)
        body = _targets_table(parts)
        for number in shown:
            title = f'<div style="margin-top:12px"><b>{full_name_html(errors.targets[number])}</b>'
            facts = escape_html(parts[number].facts().partition(" · ")[2])
            body += f'{title} <span class="km-muted">{facts}</span></div>'
            body += _section(parts[number], number, shown)
        notes = [
            f"{isolate_direction(errors.targets[number])}: {note}"
            for number in shown
            for note in error_notes(parts[number])
        ]
        if len(shown) < len(parts):
            charted = f"The charts show {len(shown)} of {len(parts):,} targets"
            notes.insert(0, f"{charted}; `errors[errors.targets[{len(parts) - 1}]]` shows another.")
    body = _over_time(errors) + body + notes_html(notes)
    attributes = f' data-km="{key}"' if key else ""
    body = f'<div class="km-errors"{attributes}>{body}<div class="km-selected-rows"></div></div>'
    return card_html(errors.name or "errors", errors.facts(), body)


def notes_html(notes: Iterable[str]) -> str:
    """Sentences below the tables, each on its own line."""
    lines = "".join(f"<div>{message_html(note)}</div>" for note in notes)
    return f'<div class="km-footer">{lines}</div>'


def shown_targets(errors: RegressionErrors) -> list[int]:
    """The targets that have charts: the first ones; of steps ahead the first and the last."""
    count = len(errors.targets)
    if count > MAX_TARGETS and errors.forecasts is not None:
        return [0, count - 1]
    # A chart over time takes the place of a target.
    return list(range(min(count, MAX_TARGETS - (count > 1 and errors.time is not None))))


def _section(errors: RegressionErrors, target: int, shown: Sequence[int] = (0,)) -> str:
    """The charts and tables of one target, smaller if the card shows several."""
    count = len(shown)
    worst = errors.largest(errors.n_worst if count == 1 else max(1, errors.n_worst // 2))
    drawn = target_charts(errors, worst, MAX_DOTS // count)
    charts = charts_html(drawn, target, is_first=target == shown[0])
    tables = _metrics_table(errors, with_method=target == shown[0]) + worst_rows_html(
        errors, worst, MAX_FEATURES // count
    )
    return (
        f'{charts}<div style="display:flex;flex-wrap:wrap;gap:12px 28px;align-items:flex-start;'
        f'margin-top:10px">{tables}</div>'
    )


def _metrics_table(errors: RegressionErrors, *, with_method: bool) -> str:
    quantiles = [name for name in errors.metrics if name.endswith("quantile")]
    names = [name for name in errors.metrics if name not in quantiles]
    rows = table_html(("", "value", "95 % interval"), metric_rows(errors, names))
    others = table_html(("", "error", "95 % interval"), metric_rows(errors, quantiles))
    undefined = "".join(
        f'<div class="km-muted" style="font-size:11px">{name} is undefined: {reason}.</div>'
        for name, reason in errors.undefined.items()
    )
    method = METHOD if errors.time is None else f"{METHOD} {SERIES}"
    method = method if with_method else ""
    note = f'<div class="km-muted" style="font-size:11px;max-width:300px">{method}</div>'
    rows = scroll_html(rows, "Metrics with intervals")
    folded = details_html("Quantiles of the error", others + note)
    return f'<div style="flex:0 1 400px;min-width:0">{rows}{undefined}{folded}</div>'


def metric_rows(errors: RegressionErrors, names: Iterable[str]) -> list[list[str]]:
    """Metrics as rows of a table: name, value, interval."""
    rows = []
    for name in names:
        low, high = errors.intervals[name]
        ends = f"{format_error(name, low)} to {format_error(name, high)}"
        rows.append([name, errors.format(name), ends if np.isfinite(low) else ""])
    return rows


def _targets_table(parts: Sequence[RegressionErrors]) -> str:
    """The headline metrics of each target, with the interval of the first."""
    rows = []
    for part in parts[:MAX_LISTED]:
        low, high = map(format_metric, part.intervals["MAE"])
        figures = [part.format(name) for name in HEADLINE]
        cells = [figures[0], f"{low} to {high}", *figures[1:]]
        rows.append([full_name_html(part.targets[0]), *cells])
    heads = ("target", HEADLINE[0], "95 % interval", *HEADLINE[1:])
    table = scroll_html(table_html(heads, rows), "Metrics of each target")
    if len(rows) == len(parts):
        return table
    more = f"The first {len(rows)} of {len(parts):,} targets are listed; .summary() has all."
    return f'{table}<div class="km-muted">{more}</div>'


# --- rows -----------------------------------------------------------------------------------------


def worst_rows_html(errors: RegressionErrors, rows: NDArray[np.intp], features: int) -> str:
    """The rows with the largest errors: thumbnails of images, else a table."""
    samples = row_samples(errors, rows.tolist())
    title = '<div style="margin-bottom:4px"><b>Largest errors</b>{}</div>'
    if any(sample.image is not None for sample in samples):
        note = ' <span class="km-muted">predictions</span>'
        return f"<div>{title.format(note)}{samples_html(samples, rows=4)}</div>"
    table = rows_table(errors.rows_frame(rows), features)
    scroll = scroll_html(table, "Rows with the largest errors", "max-width:100%")
    return f'<div style="flex:1 1 340px;min-width:0">{title.format("")}{scroll}</div>'


def rows_table(frame: Any, features: int = MAX_FEATURES) -> str:
    """Rows of a data frame as a table; of many columns the first ones."""
    shown = frame.iloc[:, : 3 + features]
    heads = ["row", *(name_html(str(name), NAME_LENGTH) for name in shown.columns)]
    rows = [
        [
            name_html(f"{index:,}" if isinstance(index, int) else str(index), NAME_LENGTH),
            *(_cell(value) for value in cells),
        ]
        for index, *cells in shown.itertuples(name=None)
    ]
    hidden = frame.shape[1] - shown.shape[1]
    if hidden:
        heads.append(f"{hidden:,} more")
        rows = [[*row, ""] for row in rows]
    return table_html(heads, rows)


def _cell(value: Any) -> str:
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return escape_html(format_value(float(value)))
    return name_html(to_single_line(str(value)), MAX_CELL)


# --- over time ------------------------------------------------------------------------------------


def _over_time(errors: RegressionErrors) -> str:
    """The values of the first target over time; of forecasts also the errors of each step."""
    if errors.forecasts is not None:
        return forecast_charts_html(errors.forecasts, marked=OVER_TIME) + _by_step(errors)
    if errors.time is None:
        return ""
    chart = chart_html(time_chart(errors.parts[0]), TIME_WIDTH)
    figure = f'<div style="max-width:{TIME_WIDTH}px">{chart}</div>'
    return with_drawings(figure, minified_css("kit/chart.css"), style="margin:8px 0")


def time_chart(errors: RegressionErrors) -> Chart:
    """True values and predictions of one target in the order of time, the largest errors marked."""
    assert errors.time is not None  # noqa: S101 - the caller has checked it
    order = np.argsort(errors.time, kind="stable")
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    worst = errors.largest(OVER_TIME)
    ticks = [int(share * (len(order) - 1)) for share in TIME_TICKS]
    times = errors.time[order[ticks]]
    names = time_names(times) if times.dtype.kind == "M" else list(map(format_value, times))
    largest = format_value(errors.errors[worst[0]])
    return Chart(
        f"{errors.targets[0] or 'values'} over time",
        [
            Curve("other-val", _points(errors.y_true[order]), "true"),
            Curve("val", _points(errors.y_pred[order]), "predicted"),
        ],
        0.0,
        float(len(order) - 1),
        (float(places[worst[0]]), f"largest error {largest}"),
        notes=[float(place) for place in places[worst]],
        x_ticks=list(dict.fromkeys(zip(map(float, ticks), names, strict=True))),
    )


def _points(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    """The points of a curve; of a long one the lowest and the highest value of each bucket."""
    if len(values) <= 2 * BUCKETS:
        return list(enumerate(values.tolist()))
    kept = {0, len(values) - 1}
    edges = np.linspace(0, len(values), BUCKETS + 1).astype(int)
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[first:last]
        kept |= {first + int(part.argmin()), first + int(part.argmax())}
    return [(float(k), float(values[k])) for k in sorted(kept)]


def _by_step(errors: RegressionErrors) -> str:
    """The mean absolute error of each step ahead, beside that of the naive forecast."""
    forecasts, parts = errors.forecasts, errors.parts
    if forecasts is None or len(parts) == 1:
        return ""
    naive = np.nanmean(np.abs(forecasts.naive - forecasts.actual), axis=0).tolist()
    model = [part.metrics["MAE"] for part in parts]
    steps = range(1, len(parts) + 1)
    chart = Chart(
        "mean absolute error by step ahead",
        [
            Curve("other-train", list(zip(steps, naive, strict=True)), "naive"),
            Curve("val", list(zip(steps, model, strict=True)), "forecast"),
        ],
        1.0,
        float(len(parts)),
        scale=[0.0, *naive, *model],
    )
    figure = f'<div style="max-width:330px">{chart_html(chart)}</div>'
    return with_drawings(figure, minified_css("kit/chart.css"), style="margin:8px 0")


# --- text -----------------------------------------------------------------------------------------


def errors_text(errors: RegressionErrors) -> str:
    """The card as plain text."""
    lines = [errors.describe()]
    if len(errors.targets) > 1:
        parts = errors.parts[:MAX_LISTED]
        names = isolate_names([part.targets[0] for part in parts], NAME_LENGTH)
        rows = [
            [name, *(part.format(metric) for metric in HEADLINE)]
            for name, part in zip(names, parts, strict=True)
        ]
        return "\n".join([*lines, "", *text_table([["target", *HEADLINE], *rows])])
    table = [["", "value", "95 % interval"], *metric_rows(errors, errors.metrics)]
    lines += ["", *text_table(table)]
    lines += [f"{name} is undefined: {reason}." for name, reason in errors.undefined.items()]
    frame = errors.worst(errors.n_worst).iloc[:, : 3 + MAX_FEATURES]
    lines += ["", "Largest errors:", *frame_text(frame)]
    notes = error_notes(errors)
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def frame_text(frame: Any) -> list[str]:
    """Rows of a data frame as aligned lines."""
    rows = [["row", *isolate_names([str(name) for name in frame.columns], NAME_LENGTH)]]
    for index, *cells in frame.itertuples(name=None):
        texts = [
            format_value(float(cell))
            if isinstance(cell, int | float | np.number)
            else shorten_name(to_single_line(str(cell)), MAX_CELL)
            for cell in cells
        ]
        rows.append([str(index), *map(isolate_direction, texts)])
    return text_table(rows)
