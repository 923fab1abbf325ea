"""Splits in the order of time: dates of tables, and windows that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from kmagic.data import load_data
from kmagic.data.time_order import Overlap, find_lag, find_overlap, looks_like_date, parse_dates
from kmagic.support.errors import DataError

SERIES = np.random.default_rng(0).random((120, 2))
STEPS = 10
WINDOWS = sliding_window_view(SERIES, STEPS, axis=0).transpose(0, 2, 1)
NEXT = np.arange(STEPS - 1, len(SERIES)) * 1.5


def steps_of(data: Any) -> list[set[bytes]]:
    return [
        {step.tobytes() for window in part for step in window}
        for part in (data.x_train, data.x_test)
    ]


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 3, 9])
@pytest.mark.parametrize("rate", [1, 2])
def test_windows_that_overlap_are_split_with_a_gap(stride: int, rate: int) -> None:
    x = sliding_window_view(SERIES, STEPS * rate, axis=0).transpose(0, 2, 1)[::stride, ::rate]
    data = load_data((x, NEXT[: len(x)]), split=0.3)
    train, test = steps_of(data)
    assert not train & test
    np.testing.assert_array_equal(data.x_train, x[: len(data.x_train)])
    np.testing.assert_array_equal(data.x_test, x[-len(data.x_test) :])
    assert len(data.x_test) == round(0.3 * len(x))
    assert "The windows overlap, so the split is chronological" in data.note


def test_a_stream_of_windows_from_keras() -> None:
    keras = pytest.importorskip("keras")
    make = keras.utils.timeseries_dataset_from_array
    stream = make(SERIES.astype("float32"), NEXT.astype("float32"), STEPS, batch_size=16)
    data = load_data(stream)
    train, test = steps_of(data)
    assert not train & test
    shuffled = make(SERIES, NEXT, STEPS, batch_size=16, shuffle=True, seed=1)
    with pytest.raises(DataError, match="overlap and are shuffled") as caught:
        load_data(shuffled)
    assert "shuffle=False" in caught.value.remedy


def test_rows_of_a_single_series() -> None:
    data = load_data((sliding_window_view(SERIES[:, 0], STEPS), NEXT))
    assert "split is chronological" in data.note
    assert len(data.x_train) + len(data.x_test) == len(NEXT) - STEPS + 1


def test_given_parts_are_kept() -> None:
    data = load_data((WINDOWS[:60], NEXT[:60], WINDOWS[80:], NEXT[80:]))
    assert (len(data.x_train), len(data.x_test)) == (60, len(WINDOWS) - 80)


def test_too_few_windows() -> None:
    with pytest.raises(DataError, match="too few for a chronological split"):
        load_data((WINDOWS[:10], NEXT[:10]))


@pytest.mark.parametrize(
    "x",
    [
        SERIES.reshape(12, 10, 2),
        np.random.default_rng(1).random((60, 8)),
        np.random.default_rng(1).integers(0, 2, (200, 6)),
        np.zeros((40, 8)),
        np.eye(20),
        np.arange(40.0)[:, np.newaxis],
        np.repeat(np.arange(30.0), 5).reshape(30, 5),
        WINDOWS[::10],
    ],
)
def test_other_samples_are_no_windows(x: np.ndarray[Any, Any]) -> None:
    assert find_overlap(x) is None


def test_periodic_and_discrete_series() -> None:
    for series in (np.tile(np.arange(5), 30), np.sin(np.arange(150) / 9), np.arange(150) % 2):
        overlap = find_overlap(sliding_window_view(series, 12))
        assert overlap is not None
        assert overlap.in_order
        assert overlap.gap == 11


def test_windows_with_the_latest_first_or_scaled_one_by_one() -> None:
    walk = np.random.default_rng(0).normal(size=500).cumsum()
    windows = sliding_window_view(walk, 20)
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    for x in (windows[:, ::-1], windows[::-1], (windows - low) / (high - low)):
        assert find_overlap(x) == Overlap(gap=19, in_order=True)
    shuffled = windows[np.random.default_rng(0).permutation(len(windows))]
    assert find_overlap(shuffled) == Overlap(gap=0, in_order=False)


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_is_sorted_by_its_dates() -> None:
    days = pd.date_range("2020-01-01", periods=50).strftime("%d.%m.%Y")
    frame = pd.DataFrame({"day": days, "size": np.arange(50) ** 2, "y": np.arange(50) * 1.5})
    shuffled = frame.sample(frac=1, random_state=1)
    data = load_data(shuffled, target="y", chronological=True)
    np.testing.assert_array_equal(data.y_train, np.arange(40) * 1.5)
    np.testing.assert_array_equal(data.y_test, np.arange(40, 50) * 1.5)
    assert "The test part contains the last rows by the dates in day" in data.note
    assert "chronological" not in data.note


def test_a_table_whose_index_contains_dates() -> None:
    days = pd.date_range("2020-01-01", periods=50)
    frame = pd.DataFrame({"size": np.arange(50) ** 2, "y": np.arange(50) * 1.5}, index=days)
    for dated in (frame, frame.to_period("D"), frame.rename_axis("day").reset_index()):
        assert "dates, but the rows are split at random" in load_data(dated, target="y").note
        data = load_data(dated.sample(frac=1, random_state=1), target="y", chronological=True)
        assert data.y_test.tolist() == [row * 1.5 for row in range(40, 50)]


def test_a_column_of_values_some_rows_before_is_reported() -> None:
    series = pd.Series(SERIES[:, 0])
    frame = pd.DataFrame({"lag": series.shift(3), "size": SERIES[:, 1], "y": series})[3:]
    assert "lag is y of 3 rows before, but the rows are split at random" in load_data(frame).note
    assert "lag is" not in load_data(frame, chronological=True).note
    assert not find_lag(frame.sample(frac=1, random_state=0))
    counters = pd.DataFrame({"a": np.arange(50), "b": np.arange(50) + 3, "c": np.arange(50) % 5})
    assert not find_lag(counters)


@pytest.mark.parametrize("write", ["2020-{:02d}-01T10:00:00+0{}:00", "2020-{:02d}-01 10:0{}"])
def test_time_zones_that_differ(write: str) -> None:
    days = [write.format(month, month % 3) for month in range(1, 13)]
    days[3] = "2020-04-01T10:00:00Z"
    frame = pd.DataFrame({"day": days, "size": np.arange(12) ** 2, "y": np.arange(12) * 1.5})
    data = load_data(frame.sample(frac=1, random_state=0), target="y", chronological=True)
    assert data.y_test.tolist() == [15, 16.5]


def test_a_date_that_does_not_exist_is_named() -> None:
    days = [f"2021-02-{day:02d}" for day in range(1, 31)]
    frame = pd.DataFrame({"day": days, "size": np.arange(30) ** 2, "y": np.arange(30) * 1.5})
    with pytest.raises(DataError, match="day contains '2021-02-29', which is not a date"):
        load_data(frame, target="y", chronological=True)


def test_a_table_with_several_or_missing_dates() -> None:
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=30),
            "due": pd.date_range("2021-01-01", periods=30),
            "size": np.arange(30) ** 2,
            "y": np.arange(30) * 1.5,
        }
    )
    with pytest.raises(DataError, match="More than one column contains dates: day, due") as caught:
        load_data(frame, target="y", chronological=True)
    assert "drop='due'" in caught.value.remedy
    assert load_data(frame, target="y", chronological=True, drop="due").columns == ("size",)
    frame.loc[3, "day"] = None
    with pytest.raises(DataError, match="Column day has no date in 1 rows"):
        load_data(frame, target="y", chronological=True, drop="due")
    dropped = load_data(frame, target="y", chronological=True, drop="due", missing="drop")
    assert len(dropped.x_train) + len(dropped.x_test) == 29
    plain = load_data(frame.drop(columns=["day", "due"]), target="y", chronological=True)
    assert "in the order of the rows" in plain.note
    assert plain.y_test.tolist() == [36.0, 37.5, 39.0, 40.5, 42.0, 43.5]


def test_rows_of_arrays_in_their_order() -> None:
    data = load_data((np.random.default_rng(0).random((20, 3)), NEXT[:20]), chronological=True)
    np.testing.assert_array_equal(data.y_test, NEXT[16:20])


def test_samples_that_have_no_order_or_a_test_part() -> None:
    frame = pd.DataFrame({"size": np.arange(20) * 1.5, "y": np.arange(20) % 2})
    for source in ((frame, frame), (SERIES[:9], NEXT[:9], SERIES[:9], NEXT[:9])):
        with pytest.raises(DataError, match="chronological= only applies to tables and arrays"):
            load_data(source, chronological=True)
    both = load_data((frame, frame), chronological=True, split=0.5)
    assert both.x_test[:, 0].tolist() == frame["size"].tolist()


def test_day_and_month() -> None:
    read = {
        "13/2/2020 1/2/2020": "2020-02-13",
        "1/13/2020 1/2/2020": "2020-01-13",
        "1.2.2020 5.2.2020": "2020-02-01",
        "1/2/2020 2/2/2020 1/3/2020": "2020-02-01",  # in order only if the day comes first
        "2020-02-01 2020-02-02": "2020-02-01",
    }
    for words, first in read.items():
        assert parse_dates(pd.Series(words.split()), "day")[0] == pd.Timestamp(first, tz="UTC")
    with pytest.raises(DataError, match="are not all written in one way"):
        parse_dates(pd.Series(["2020-02-01", "1/2/2020"]), "day")
    with pytest.raises(DataError, match=r"can be day/month or month/day, e\.g\. '3/4/2020'"):
        parse_dates(pd.Series(["3/4/2020", "1/1/2020", "5/2/2020"]), "day")


def test_what_looks_like_a_date() -> None:
    for word in ("2020-01-31", "31/12/20", "12-31-2020", "2020-01", "5. März 2020", "Jan 5, 2020"):
        assert looks_like_date(word)
    for word in ("2020", "1.5", "2020.5", "1.2.3", "10:15", "555-1234", "May", "1-2"):
        assert not looks_like_date(word)
