"""Charts of forecasts: which windows they draw, for which series."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.display.prediction.forecast_chart import MAX_ROWS, _chart, forecast_charts_html
from kmagic.evaluation.prediction.forecasts import forecasts_of


def forecasts(rows=60, shops=("",), horizon=1, stride=1, future=0):
    dates = pd.date_range("2024-01-01", periods=rows, freq="h")
    frames = [
        pd.DataFrame({"date": dates, "load": np.arange(rows) * 1.0, "shop": shop}) for shop in shops
    ]
    by = "shop" if len(shops) > 1 else None
    options = {"window": 5, "horizon": horizon, "stride": stride, "by": by, "features": "load"}
    data = kmagic.load_data(pd.concat(frames), target="load", split=0.5, **options)
    series = data.series if not future else data.preparation.cut(pd.concat(frames)[-future:])[1]
    return forecasts_of(series, np.full((len(series.starts), horizon), 30.0))


def chart_of(made, code=0):
    codes = made.series.codes[made.series.starts]
    return _chart(made, np.flatnonzero(codes == code), made.series.names[code])


def test_each_row_has_its_forecast_its_value_and_the_one_before():
    actual, naive, forecast = chart_of(forecasts()).lines
    assert [line.label for line in (actual, naive, forecast)] == ["actual", "naive", "forecast"]
    assert all(x == y for x, y in actual.points)
    assert all(x == y + 1 for x, y in naive.points)
    assert forecast.points[-1] == (59.0, 30.0)
    assert [x for x, _ in forecast.points] == [x for x, _ in actual.points][1:]


@pytest.mark.parametrize("horizon", [1, 4])
def test_forecasts_that_follow_one_another(horizon):
    *_, forecast = chart_of(forecasts(horizon=horizon)).lines
    rows = [x for x, _ in forecast.points]
    assert rows == list(np.arange(rows[0], 60))


def test_rows_without_a_forecast_are_gaps():
    *_, forecast = chart_of(forecasts(stride=3)).lines
    assert [np.isfinite(y) for _, y in forecast.points[:4]] == [True, False, True, False]


def test_the_future_has_no_value_but_a_forecast():
    chart = chart_of(forecasts(future=20, horizon=3))
    actual, _, forecast = chart.lines
    assert actual.points[-1] == (19.0, 59.0)
    assert forecast.points[-1] == (22.0, 30.0)
    assert chart.end == 22
    assert [text for _, text in chart.x_ticks] == sorted(text for _, text in chart.x_ticks)
    assert all(text.startswith("2024-01-0") for _, text in chart.x_ticks)


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_single_window(horizon):
    chart = chart_of(forecasts(future=5, horizon=horizon))
    assert chart.mark == (4.0, "actual until 2024-01-03 11:00")
    assert chart.lines[-1].points == [(5.0 + step, 30.0) for step in range(horizon)]
    assert "<svg" in forecast_charts_html(forecasts(future=5, horizon=horizon))


def test_a_target_that_is_unknown_is_not_drawn():
    made = forecasts(future=20)
    series = replace(made.series, target=np.full(20, np.nan))
    chart = chart_of(forecasts_of(series, made.values))
    assert [line.label for line in chart.lines] == ["forecast"]
    assert chart.mark is None


def test_a_long_test_part_ends_the_chart():
    made = forecasts(rows=1000)
    *_, forecast = chart_of(made).lines
    assert len(forecast.points) == MAX_ROWS
    assert f"The charts end with the last {MAX_ROWS} rows." in forecast_charts_html(made)


def test_the_first_of_many_series():
    html = forecast_charts_html(forecasts(shops="edcba"))
    assert re.findall(r'km-chart-title"[^>]*>([^<]*)<', html) == ["load, a", "load, b", "load, c"]
    assert "The first 3 of 5 series are drawn." in html
    assert html.count("<img") == 3  # without a kernel and in an untrusted notebook
