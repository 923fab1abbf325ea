"""Which windows rows in the order of time contain, for one series and for several."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kmagic.data.preparation.windowing import Windowing
from kmagic.support.errors import DataError

DAYS = pd.date_range("2024-01-01", periods=40)
DAILY = Windowing(5, 2, target="load", time="date")


def arrange(frame, windowing=DAILY, ahead=2, *, learn=True):
    positions = np.arange(len(frame)) if learn else None
    target = frame["load"].to_numpy(dtype=float)
    return windowing.arrange(frame, target, ahead=ahead, positions=positions)


def daily(dates=DAYS, **columns):
    return pd.DataFrame({"date": dates, "load": np.arange(len(dates)) * 1.5, **columns})


def test_rows_in_any_order():
    frame = daily().sample(frac=1, random_state=0)
    series = arrange(frame)
    assert frame["date"].iloc[series.order].is_monotonic_increasing
    assert series.starts.tolist() == list(range(40 - 5 - 2 + 1))
    assert series.window_names()[0] == "2024-01-05"
    rows, values = series.future(2)
    np.testing.assert_array_equal(rows[3], [8, 9])
    np.testing.assert_array_equal(values[3], [12.0, 13.5])


def test_forecasts_follow_every_window_and_the_future_is_unknown():
    series = arrange(daily(), replace(DAILY, stride=3), ahead=0)
    assert len(series.starts) == 36
    _, values = series.future(2)
    assert np.isnan(values).sum(axis=1).tolist() == [0] * 34 + [1, 2]


@pytest.mark.parametrize(
    ("rule", "step", "named"),
    [("D", 86_400, "1 day"), ("15min", 900, "15 minutes"), ("h", 3600, "1 hour")],
)
def test_the_usual_step_and_a_gap(rule, step, named):
    times = pd.date_range("2024-01-01", periods=60, freq=rule).delete([30, 31])
    series = arrange(daily(times))
    assert series.windowing.step == step
    assert series.windowing.describe_step() == named
    assert series.lost == 6  # of 7 rows, those that would contain both sides of the gap
    assert not {25, 29} & set(series.starts.tolist())
    assert {23, 30} <= set(series.starts.tolist())


@pytest.mark.parametrize("rule", ["MS", "B", "QS", "YS"])
def test_steps_of_the_calendar_are_no_gaps(rule):
    assert arrange(daily(pd.date_range("2020-01-01", periods=60, freq=rule))).lost == 0


def test_holidays_of_weekdays_are_no_gaps_but_weeks_are():
    days = pd.date_range("2024-01-01", periods=100, freq="B")
    assert arrange(daily(days.delete([20, 40, 41]))).lost == 0
    assert arrange(daily(days.delete(range(20, 26)))).lost == 6


def test_irregular_steps_are_refused():
    dates = DAYS[np.random.default_rng(0).random(40) < 0.6]
    with pytest.raises(DataError, match="steps in date are irregular") as caught:
        arrange(daily(dates))
    assert "resample" in str(caught.value.remedy)
    known = arrange(daily()).windowing
    with pytest.raises(DataError, match="the usual step is 1 day"):  # of the training data
        arrange(daily(DAYS[::7]), known, 0, learn=False)


def test_series_alternate_and_no_window_crosses_them():
    frame = pd.concat([daily(shop="b"), daily(shop="a")]).sample(frac=1, random_state=1)
    series = arrange(frame, replace(DAILY, by="shop"))
    assert series.names == ("a", "b")
    assert series.window_names()[:3] == ["a, 2024-01-05", "b, 2024-01-05", "a, 2024-01-06"]
    assert (series.codes[series.starts] == series.codes[series.starts + 6]).all()
    rows = series.target[:, np.newaxis]
    windows = series.windows(rows)
    spans = series.starts[:, np.newaxis] + np.arange(5)
    np.testing.assert_array_equal(windows[..., 0], series.target[spans])
    assert np.shares_memory(windows[0], windows[2])


def test_windows_of_series_with_different_times_are_a_copy():
    frame = pd.concat([daily(DAYS[7:], shop="b"), daily(shop="a")])
    series = arrange(frame, replace(DAILY, by="shop"))
    windows = series.windows(series.target[:, np.newaxis])
    spans = series.starts[:, np.newaxis] + np.arange(5)
    np.testing.assert_array_equal(windows[..., 0], series.target[spans])
    assert series.places[series.starts].tolist() == sorted(series.places[series.starts])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("holes", [[], [17]])
def test_all_windows_have_the_rows_that_their_starts_say(stride, holes):
    frame = pd.concat([daily(shop="b"), daily(shop="a")]).reset_index(drop=True).drop(holes)
    series = arrange(frame, replace(DAILY, by="shop", stride=stride))
    values = np.stack([series.target, series.codes], axis=1)
    for offset, length in ((0, 5), (5, 2)):
        spans = series.starts[:, np.newaxis] + offset + np.arange(length)
        np.testing.assert_array_equal(series.windows(values, offset, length), values[spans])
    assert (series.places[series.starts] % stride == 0).all()


def test_repeated_dates_name_the_column_of_the_series():
    shops = pd.concat([daily(shop="b", price=1.25), daily(shop="a", price=2.5)])
    shops["noise"] = np.random.default_rng(0).random(80)
    with pytest.raises(DataError, match="40 rows of date repeat a date, first 2024") as caught:
        arrange(shops)
    assert str(caught.value.remedy) == "Name the column that tells the series apart: by='shop'."
    twice = pd.concat([daily(), daily()[:3]])
    with pytest.raises(DataError, match="3 rows of date repeat a date") as caught:
        arrange(twice)
    assert len(arrange(twice.drop_duplicates(["date"])).starts) == 34  # as the remedy says
    with pytest.raises(DataError, match="repeat a date of the same series in shop"):
        arrange(pd.concat([shops, shops[:1]]), replace(DAILY, by="shop"))


def test_series_without_dates():
    rows = replace(DAILY, time="", by="shop")
    frame = pd.concat([daily(shop="b"), daily(shop="a")]).drop(columns="date")
    series = arrange(frame.sample(frac=1, random_state=0).sort_values("shop"), rows)
    assert series.window_names()[:2] == ["a, row 4", "b, row 4"]
    with pytest.raises(DataError, match="The series in shop lack rows, and there is no column of"):
        arrange(frame[1:], rows)
    holes = np.delete(np.arange(82), [3, 44])  # rows without values, that were left out
    with pytest.raises(DataError, match="The series in shop lack rows"):
        rows.arrange(frame, frame["load"].to_numpy(), ahead=2, positions=holes)


def test_rows_that_were_left_out_are_gaps_without_dates_too():
    holes = np.delete(np.arange(41), 20)
    target = np.arange(40.0)
    series = replace(DAILY, time="").arrange(daily(), target, ahead=2, positions=holes)
    assert series.lost == 6


@pytest.mark.parametrize(
    ("frame", "windowing", "message"),
    [
        (daily(DAYS[:6]), DAILY, "The table has 6 rows, fewer than a window of 5 followed by 2"),
        (daily(DAYS[:6], shop="a"), replace(DAILY, by="shop"), "longest series in shop has 6"),
        (daily(shop=[None] * 2 + ["a"] * 38), replace(DAILY, by="shop"), "no value in 2 rows"),
        (daily()[["load"]], DAILY, "The table has no column date; it has load."),
        (daily(), replace(DAILY, by="shop"), "The table has no column shop"),
        (daily(DAYS[:4]).assign(date=[*DAYS[:3], None]), DAILY, "date has no date in 1 rows"),
    ],
)
def test_what_is_refused(frame, windowing, message):
    with pytest.raises(DataError, match=message):
        arrange(frame, windowing)
