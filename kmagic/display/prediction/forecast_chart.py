"""Forecasts over time, with what came and the naive forecasts, one chart per series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.windowing import time_names
from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import with_drawings
from kmagic.display.kit.chart import Chart, Curve, chart_html
from kmagic.evaluation.prediction.forecasts import Forecasts
from kmagic.support.downsampling import Point

WIDTH = 660
MAX_SERIES = 3
MAX_ROWS = 300  # of a chart
TICKS = (0.1, 0.4, 0.7, 0.98)  # of the axis of time


def forecast_charts_html(forecasts: Forecasts, *, marked: int = 0) -> str:
    """The charts of the first series, and what they leave out; some largest errors are marked."""
    series = forecasts.series
    codes = series.codes[series.starts]
    shown = np.unique(codes)[:MAX_SERIES]
    figures, notes = [], []
    for code in shown.tolist():
        chart = _chart(forecasts, np.flatnonzero(codes == code), series.names[code], marked)
        figures.append(f'<div style="max-width:{WIDTH}px">{chart_html(chart, WIDTH)}</div>')
    if (count := len(np.unique(codes))) > len(shown):
        notes.append(f"The first {len(shown)} of {count:,} series are drawn.")
    longest = int(np.bincount(codes).max()) * series.windowing.stride
    if longest > MAX_ROWS:
        notes.append(f"The charts end with the last {MAX_ROWS} rows.")
    if marked:
        notes.append("Ticks at the axis mark the largest errors.")
    if series.windowing.horizon > 1:
        notes.append("Each row is drawn with one forecast, of windows that follow one another.")
    css = minified_css("kit/chart.css")
    body = with_drawings("".join(figures), css, style="margin:8px 0")
    return f'{body}<div class="km-muted">{" ".join(notes)}</div>' if notes else body


def _chart(forecasts: Forecasts, windows: NDArray[np.intp], name: str, marked: int = 0) -> Chart:
    """The last forecasts of one series, of windows whose forecasts do not overlap."""
    rows, used = forecasts.rows, [int(windows[-1])]
    limit = rows[used[0], -1] - MAX_ROWS
    for window in windows[::-1].tolist():
        if rows[window, 0] <= limit:
            break
        if rows[window, -1] < rows[used[-1], 0]:
            used.append(window)
    chosen = used[::-1]
    series, first, last = forecasts.series, int(rows[chosen[0], 0]), int(rows[chosen[-1], -1])
    known = np.arange(max(first - 1, 0), min(last + 1, len(series.target)))
    known = known[series.codes[known] == series.codes[series.starts[chosen[0]]]]
    naive = np.broadcast_to(forecasts.naive, forecasts.values.shape)
    is_future = bool(last > known[-1] and np.isfinite(series.target[known[-1]]))
    now = time_names(series.times[known[-1:]])[0]
    lines = [
        Curve("other-val", _points(known, series.target[known]), "" if is_future else "actual"),
        Curve("train", _points(rows[chosen], naive[chosen]), "naive"),
        Curve("val", _points(rows[chosen], forecasts.values[chosen]), "forecast"),
    ]
    ticks = known[[int(share * (len(known) - 1)) for share in TICKS]]
    labels = zip(ticks.tolist(), time_names(series.times[ticks]), strict=True)
    target = series.windowing.target
    return Chart(
        ", ".join(filter(None, (target, name))),
        [line for line in lines if line.visible],
        float(known[0]),
        float(last),
        (float(known[-1]), f"actual until {now}") if is_future else None,
        notes=_largest_errors(forecasts, chosen, marked),
        x_ticks=list(dict.fromkeys(labels)),
    )


def _largest_errors(forecasts: Forecasts, windows: list[int], count: int) -> list[float]:
    """The rows of the largest errors in some windows."""
    size = np.abs(forecasts.values[windows] - forecasts.actual[windows])
    largest = np.argsort(-np.nan_to_num(size.reshape(-1)), kind="stable")[:count]
    return [float(row) for row in forecasts.rows[windows].reshape(-1)[largest]]


def _points(rows: NDArray[np.intp], values: NDArray[np.float64]) -> list[Point]:
    """The points of a curve, with a gap where rows are left out."""
    x, y = rows.reshape(-1).astype(float), values.reshape(-1).astype(float)
    gaps = np.flatnonzero(np.diff(x) > 1) + 1
    x, y = np.insert(x, gaps, x[gaps - 1]), np.insert(y, gaps, np.nan)
    return list(zip(x.tolist(), y.tolist(), strict=True))
