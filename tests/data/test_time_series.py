"""Tables as windows: as Keras cuts them, and without a look at the future."""

import json

import numpy as np
import pandas as pd
import pytest

from kmagic.data import load_data, time_series
from kmagic.data.preparation import windowing
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import DataError

ROWS = 120


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=rows),
            "temp": rng.normal(15, 5, rows).astype("float32"),
            "load": (100 + np.arange(rows) + rng.normal(0, 3, rows)).astype("float32"),
            "sky": rng.choice(["sun", "rain"], rows),
        }
    )


def load(frame=None, window=10, **options):
    return load_data(table() if frame is None else frame, target="load", window=window, **options)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("horizon", [1, 2])
def test_the_same_windows_as_keras(stride, horizon):
    keras = pytest.importorskip("keras")
    frame = table()
    data = load(frame, features="temp,load", stride=stride, horizon=horizon, split=0.25)
    values, load_ = frame[["temp", "load"]].to_numpy(), frame["load"].to_numpy()
    targets = np.stack([load_[10 + step : ROWS - horizon + 1 + step] for step in range(horizon)], 1)
    count = ROWS - horizon - 10 + 1
    stream = keras.utils.timeseries_dataset_from_array(
        values[: count + 9], targets[:count], 10, sequence_stride=stride, batch_size=200
    )
    ((x, y),) = stream.as_numpy_iterator()
    train, test = len(data.x_train), len(data.x_test)
    np.testing.assert_array_equal(data.x_train, x[:train])
    np.testing.assert_array_equal(data.x_test, x[-test:])
    np.testing.assert_array_equal(data.y_train.reshape(train, -1), y[:train])
    np.testing.assert_array_equal(data.y_test.reshape(test, -1), y[-test:])
    assert test == round(0.25 * len(x))
    assert len(x) - train - test == data.time_gap == -(-(10 + horizon) // stride) - 1


def test_no_row_is_stored_twice():
    data = load(scale="standard")
    for x in (data.x_train, data.x_test):
        assert np.shares_memory(x[0, 1], x[1, 0])
        assert not x.flags.owndata
    assert data.x_train.shape == (78, 10, 4)
    assert data.columns == ("temp", "sky=rain", "sky=sun", "load")


def shops(frame):
    other = frame.assign(load=frame["load"] * 3)
    return pd.concat([frame.assign(shop="Ulm"), other.assign(shop="Bonn")], ignore_index=True)


@pytest.mark.parametrize("by", [None, "shop"])
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_future_changes_nothing_in_the_training_part(by, horizon, seed):
    frame = table()
    frame.loc[[3, 50, 90], "temp"] = np.nan
    options = {"scale": "standard", "missing": "mean", "horizon": horizon, "by": by}
    before = load(frame if by is None else shops(frame), **options)
    end = len(before.x_train) // (1 if by is None else 2) + 10 + horizon - 1
    rng = np.random.default_rng(seed)
    rows = rng.choice(np.arange(end, ROWS), 5, replace=False)
    frame.loc[rows, "temp"] = rng.normal(1e4, 1e3, 5).astype("float32")
    frame.loc[rows, "load"] *= 50
    frame.loc[rows[0], "sky"] = "snow"
    after = load(frame if by is None else shops(frame), **options)
    np.testing.assert_array_equal(before.x_train, after.x_train)
    np.testing.assert_array_equal(before.y_train, after.y_train)
    assert before.scaling.get_config() == after.scaling.get_config()
    assert before.features.get_config() == after.features.get_config()
    assert not np.array_equal(before.x_test, after.x_test)
    frame.loc[end - 1, "load"] += 1  # the last target of the training part
    changed = load(frame if by is None else shops(frame), **options)
    assert not np.array_equal(before.y_train, changed.y_train)


def rows_of(data, part):
    """The rows of the windows of a part, and of their targets, by the load that is unique."""
    x, y = (data.x_train, data.y_train) if part == "train" else (data.x_test, data.y_test)
    return set(x[..., -1].ravel().tolist()) | set(np.float32(y).ravel().tolist())


@pytest.mark.parametrize("by", [None, "shop"])
@pytest.mark.parametrize("stride", [1, 4])
def test_no_row_is_in_both_parts(by, stride):
    frame = table() if by is None else shops(table()).drop(index=[5, 6, 170])
    data = load(frame, horizon=3, stride=stride, by=by)
    assert not rows_of(data, "train") & rows_of(data, "test")
    dates = frame.set_index(np.float32(frame["load"]))["date"]
    train, test = (dates[list(rows_of(data, part))] for part in ("train", "test"))
    assert train.max() < test.min()


@pytest.mark.parametrize("by", [None, "shop"])
def test_the_gap_separates_any_two_parts_of_the_training_windows(by):
    frame = table() if by is None else shops(table()).drop(index=range(60, 64))
    data = load(frame, horizon=2, by=by)
    loads, y = data.x_train[..., -1], np.float32(data.y_train)
    for cut in range(20, len(loads) - data.time_gap, 7):
        earlier = {*loads[:cut].ravel().tolist(), *y[:cut].ravel().tolist()}
        later = slice(cut + data.time_gap, None)
        assert not earlier & {*loads[later].ravel().tolist(), *y[later].ravel().tolist()}


def test_integers_of_numpy():
    options = {"horizon": 2, "stride": 3}
    data = load(window=np.int64(10), **{name: np.int32(n) for name, n in options.items()})
    np.testing.assert_array_equal(data.x_train, load(**options).x_train)
    json.dumps(data.preparation.get_config())


def test_what_a_window_contains():
    note = "Each window contains the past of load, temp, sky."
    assert note in load().note
    assert load(drop="load").columns == ("temp", "sky=rain", "sky=sun")
    assert "The past of load is left out." in load(drop="load").note
    assert load(features="temp").columns == ("temp",)
    assert load(features="load,temp").columns == ("temp", "load")
    assert load(features="load").columns == ("load",)
    assert load(table()[["date", "load"]]).columns == ("load",)
    with_shop = load(shops(table()), by="shop", features="shop,load")
    assert with_shop.columns == ("shop=Bonn", "shop=Ulm", "load")
    with pytest.raises(DataError, match="no column to learn from"):
        load(table()[["date", "load"]], drop="load")


def test_the_card_says_how_the_table_was_cut():
    data = load(shops(table()), by="shop", horizon=7, stride=1, scale="standard")
    assert data.title == "windows of 10 rows, horizon 7, 2 series"
    assert "by date, in steps of 1 day" in data.note
    assert (
        "Training part: 2024-01-01 to 2024-03-23; test part: 2024-03-24 to 2024-04-29" in data.note
    )
    assert "the 32 windows between them" in data.note
    html = data._bundle()["text/html"]
    assert "windows of 10 rows, horizon 7, 2 series" in html
    assert html.count("<td") == 5 + 2 + 5  # temp, sky and load, which is listed once
    assert "rescaling" in data.note


def test_the_line_for_the_scale_of_the_target_works():
    import kmagic

    frame = table().assign(load=-1e5 - 1e3 * np.arange(ROWS))
    line = load(frame, scale="standard").note.partition("`")[2].partition("`")[0]
    model = kmagic.build(f"input 10x4 / flatten / dense 1 kernel_initializer=zeros / {line}")
    made = float(model.predict(np.zeros((1, 10, 4)), verbose=0)[0, 0])
    assert made == pytest.approx(frame["load"][:88].mean(), rel=1e-3)


def test_a_gap_and_a_short_series_are_reported():
    frame = table().drop(index=[40, 41])
    data = load(frame)
    assert "10 windows left out, because there is a gap in date." in data.note
    assert len(data.x_train) + len(data.x_test) + 10 == ROWS - 2 - 10 - 10
    frame = pd.concat([shops(table()), table(8).assign(shop="Kiel")])
    assert "In shop, these series have no window: Kiel." in load(frame, by="shop").note


def test_windows_that_cannot_share_rows_are_on_disk_if_they_are_large(monkeypatch):
    frame = table().drop(index=[40, 41])
    expected = load(frame, scale="standard")
    assert not is_on_disk(expected.x_train)
    monkeypatch.setattr(windowing, "MAX_COPY_BYTES", 1000)
    monkeypatch.setattr(time_series, "MAX_SILENT_BYTES", 1000)
    data = load(frame, scale="standard")
    assert is_on_disk(data.x_train)
    np.testing.assert_array_equal(data.x_train, expected.x_train)
    np.testing.assert_array_equal(data.y_test, expected.y_test)
    assert "The windows take 15.7 kB on disk" in data.note
    assert not is_on_disk(load(scale="standard").x_train)  # without a gap


def test_the_remedy_for_irregular_steps():
    frame = table()[np.random.default_rng(0).random(ROWS) < 0.6]
    with pytest.raises(DataError, match="steps in date are irregular") as caught:
        load(frame)
    assert "sort the table and leave out the dates: drop='date'" in str(caught.value.remedy)
    assert "there is no column of dates" in load(frame, drop="date").note
    with pytest.raises(DataError, match="are irregular") as caught:
        load(frame, features="load")  # which cannot be combined with drop
    assert "drop=" not in str(caught.value.remedy)


@pytest.mark.parametrize(("zone", "closed"), [(None, (4, 5)), ("Europe/Berlin", (5, 6))])
def test_rows_of_five_days_a_week(zone, closed):
    days = pd.date_range("2024-01-01", periods=2 * ROWS, tz=zone)
    frame = table().assign(date=days[~days.day_of_week.isin(closed)][:ROWS])
    data = load(frame)
    np.testing.assert_array_equal(data.x_train, load().x_train)
    assert "left out, because there is a gap" not in data.note
    with pytest.raises(DataError, match="irregular"):
        load(table().assign(date=days[~days.day_of_week.isin(closed[:1])][:ROWS]))


def test_days_in_a_time_zone_are_named_as_there():
    frame = table().assign(date=pd.date_range("2024-03-01", periods=ROWS, tz="Europe/Berlin"))
    data = load(frame)
    assert "Training part: 2024-03-01 to 2024-05-27" in data.note
    assert data.preparation.cut(frame)[1].window_names()[0] == "2024-03-10"
    hours = pd.date_range("2024-10-26", periods=ROWS, freq="h", tz="Europe/Berlin")
    assert "in steps of 1 hour" in load(table().assign(date=hours)).note  # one hour comes twice


@pytest.mark.parametrize("write", [str, int])
@pytest.mark.parametrize("unit", ["day", "s", "ms"])
def test_raw_rows_whose_dates_are_numbers(unit, write):
    dates = table()["date"].astype("datetime64[ms]")
    numbers = dates.astype("int64") // (1000 if unit == "s" else 1)
    numbers = dates.dt.strftime("%Y%m%d").astype(int) if unit == "day" else numbers
    raw = table().assign(date=numbers)
    data = load(raw)
    windows, series = data.preparation.cut(raw.assign(date=numbers.map(write)))
    assert len(windows) == ROWS - 10 + 1
    assert series.window_names()[0] == "2024-01-10"
    np.testing.assert_array_equal(windows[: len(data.x_train)], data.x_train)


def test_rows_with_empty_cells_that_are_left_out_are_gaps():
    frame = table().drop(columns="date")
    frame.loc[50, "temp"] = np.nan
    assert "10 windows left out" in load(frame, missing="drop").note
    with pytest.raises(DataError, match="empty cells"):
        load(frame)


def test_a_file_and_a_date_index(tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "power.csv", index=False)
    data = load_data(tmp_path / "power.csv", target="load", window=10)
    np.testing.assert_allclose(data.x_train, load(frame).x_train, rtol=1e-6)
    indexed = load(frame.set_index("date"))
    np.testing.assert_array_equal(indexed.x_train, load(frame).x_train)
    assert indexed.preparation.windowing.time == "date"


def test_two_tables_are_joined_only_on_request():
    halves = [table()[:60], table()[60:]]
    with pytest.raises(DataError, match="cuts one table") as caught:
        load(halves)
    assert "split=0.2" in str(caught.value.remedy)
    np.testing.assert_array_equal(load(halves, split=0.2).x_test, load().x_test)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window= must be a positive integer; got 0"),
        ({"window": 2.5}, "window= must be a positive integer"),
        ({"horizon": 0}, "horizon= must be a positive integer; got 0"),
        ({"stride": -1}, "stride= must be a positive integer"),
        ({"window": 200}, "The table has 120 rows, fewer than a window of 200"),
        ({"window": 100}, "too few for a chronological split"),
        ({"window": 119}, "has 1 window, too few"),
        ({"by": "town"}, "has no column town"),
        ({"by": "load"}, "is the target"),
        ({"target": "sky"}, "The target sky contains words, e.g. '(sun|rain)'"),
        ({"task": "classification"}, "only applies to classes"),
        ({"onehot": True}, "only applies to classes"),
        ({"scale": "255"}, "only applies to pixel values"),
        ({"flatten": True}, "flatten= only applies to images"),
    ],
)
def test_options_that_are_refused(options, message):
    arguments = {"target": "load", "window": 10, **options}
    with pytest.raises(DataError, match=message):
        load_data(table(), **arguments)


@pytest.mark.parametrize("option", ["horizon", "stride", "by"])
def test_options_of_windows_need_a_window(option):
    value = "sky" if option == "by" else 2
    with pytest.raises(DataError, match=f"{option}= only applies to windows") as caught:
        load_data(table(), target="load", **{option: value})
    assert "window=30" in str(caught.value.remedy)


def test_windows_of_other_data_are_refused():
    with pytest.raises(DataError, match="window= only applies to tables"):
        load_data((np.zeros((9, 8, 8), "uint8"), np.arange(9) % 2), window=3)
    with pytest.raises(DataError, match="window= only applies to"):
        load_data("mnist", window=3)
    texts = [f"a sentence about the number {number}" for number in range(30)]
    frame = pd.DataFrame({"text": texts, "y": np.arange(30.0) ** 2})
    with pytest.raises(DataError, match="but text contains texts or names of files"):
        load_data(frame, target="y", window=3)
    assert load(table().assign(sky="a little rain")).columns[1] == "sky=a little rain"
