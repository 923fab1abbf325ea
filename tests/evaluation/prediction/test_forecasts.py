"""Forecasts of windows, from a data set and from raw rows, compared with naive ones."""

import json

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.data.preparation.preparation import Preparation
from kmagic.evaluation.prediction.forecasts import forecasts_of
from kmagic.support.errors import DataError
from kmagic.support.model_registry import set_dataset

ROWS = 80


def table(rows=ROWS):
    rng = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=rows)
    load = rng.normal(100, 5, rows)
    return pd.DataFrame({"date": dates, "load": load, "temp": rng.normal(15, 5, rows)})


def model_for(data, horizon=1):
    """A model that always predicts 100."""
    columns = len(data.columns)
    model = kmagic.build(
        f"input {data.x_train.shape[1]}x{columns} / flatten / dense {horizon} "
        "kernel_initializer=zeros bias_initializer={start} / compile sgd loss=mae",
        start=__import__("keras").initializers.Constant(100.0),
    )
    set_dataset(model, data)
    return model


def load(frame=None, window=8, **options):
    return kmagic.load_data(
        table() if frame is None else frame,
        target="load",
        window=window,
        scale="standard",
        **options,
    )


@pytest.fixture(scope="module")
def data():
    return load()


@pytest.fixture(scope="module")
def net(data):
    return model_for(data)


def test_the_test_part(data, net):
    evaluation = kmagic.evaluate(net, data)
    loads = table()["load"].to_numpy()[-len(data.y_test) - 1 :]
    error, naive = np.abs(100 - loads[1:]).mean(), np.abs(np.diff(loads)).mean()
    assert evaluation.forecasts.errors() == pytest.approx((error, naive))
    assert evaluation["loss"] == pytest.approx(error, rel=1e-5)
    assert evaluation.forecasts.figures()["relative MAE"] == pytest.approx(error / naive)
    text = evaluation.describe()
    assert f"Mean absolute error of load over the next row: {error:.4f}" in text
    assert "relative MAE, Hyndman and Koehler 2006): better than the naive forecast" in text
    predictions = kmagic.predict(net, data)
    assert predictions.shape == (len(data.x_test), 1)
    assert str(predictions.to_frame().index[-1]) == "2024-03-19"  # the last row before the target


def test_raw_rows_give_the_forecast_after_each_window(data, net):
    frame = table()[-20:]
    predictions = kmagic.predict(net, frame.sample(frac=1, random_state=0))
    assert len(predictions) == 13
    assert list(predictions.to_frame().index) == [str(date.date()) for date in frame["date"][7:]]
    np.testing.assert_allclose(data.prepare(frame)[:12], data.x_test[-12:], rtol=1e-6)
    actual = predictions.info.forecasts.actual[:, 0]
    np.testing.assert_allclose(actual[:-1], frame["load"][8:])
    assert np.isnan(actual[-1])
    text = repr(predictions)
    assert "after 2024-03-20: 100" in text
    assert "nan" not in text
    evaluation = kmagic.evaluate(net, frame)
    assert evaluation.facts() == "12 windows"
    assert evaluation["loss"] == pytest.approx(np.abs(100 - frame["load"][8:]).mean(), rel=1e-5)


def test_other_forms_of_raw_rows(net, tmp_path):
    frame = table()[-20:]
    expected = kmagic.predict(net, frame)
    frame.to_csv(tmp_path / "new.csv", index=False)
    for raw in (
        tmp_path / "new.csv",
        frame.to_dict("records"),
        frame.to_dict("list"),
        frame.set_index("date"),
    ):
        np.testing.assert_allclose(kmagic.predict(net, raw), expected, rtol=1e-5)


def test_rows_that_cannot_be_forecast(net):
    with pytest.raises(DataError, match="The table has 7 rows, fewer than a window of 8") as caught:
        kmagic.predict(net, table()[:7])
    assert "at least 8 rows" in str(caught.value.remedy)
    with pytest.raises(DataError, match="has no column temp"):
        kmagic.predict(net, table()[["date", "load"]])
    with pytest.raises(DataError, match="has no column date"):
        kmagic.predict(net, table()[["temp", "load"]])
    with pytest.raises(DataError, match="the usual step is 1 day"):
        kmagic.predict(net, table()[::2])


def test_gaps_in_raw_rows_are_reported(net):
    predictions = kmagic.predict(net, table().drop(index=[40]))
    assert "7 windows left out, because there is a gap in date." in repr(predictions)
    assert len(predictions) == ROWS - 1 - 7 - 7


def test_a_table_without_the_target(tmp_path):
    data = load(drop="load")
    net = model_for(data)
    predictions = kmagic.predict(net, table().drop(columns="load"))
    assert len(predictions) == ROWS - 7
    assert predictions.info.forecasts.errors() is None
    assert predictions.info.forecasts.describe() == ""
    assert "true" not in repr(predictions)
    assert "naive" not in predictions._bundle()["text/html"]
    assert kmagic.evaluate(net, data).forecasts.errors() is not None  # the table has the target


def test_several_steps_and_series(tmp_path):
    frame = pd.concat([table().assign(shop="Ulm"), table().assign(shop="Bonn")])
    data = load(frame, horizon=3, by="shop")
    net = model_for(data, 3)
    predictions = kmagic.predict(net, frame[frame["date"] > "2024-03-01"])
    columns = predictions.to_frame()
    assert list(columns.columns) == ["load +1", "load +2", "load +3"]
    assert list(columns.index[-2:]) == ["Bonn, 2024-03-20", "Ulm, 2024-03-20"]
    unknown = np.isnan(predictions.info.forecasts.actual).sum(axis=1)
    assert unknown[-8:].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    kmagic.save(net, tmp_path / "net.keras")
    loaded = kmagic.load(tmp_path / "net.keras")
    again = kmagic.predict(loaded, frame[frame["date"] > "2024-03-01"])
    np.testing.assert_allclose(again, predictions)
    assert list(again.to_frame().index) == list(columns.index)
    with pytest.raises(DataError, match="has no column shop"):
        kmagic.predict(loaded, table())


def test_another_output_is_no_forecast(data):
    assert forecasts_of(data.series, np.zeros((len(data.x_test), 2))) is None
    assert forecasts_of(data.series, np.zeros((3, 1))) is None
    assert forecasts_of(None, np.zeros((3, 1))) is None


def test_a_constant_series_has_no_ratio():
    data = load(table().assign(load=5.0))
    made = forecasts_of(data.series, np.zeros(len(data.x_test)))
    assert made.figures() == {"MAE": 5.0, "naive MAE": 0.0}
    assert "ratio" not in made.describe()


def test_raw_arrays_of_windows_are_scaled(data, net):
    raw = data.scaling.inverse(data.x_test)
    np.testing.assert_allclose(kmagic.predict(net, raw), kmagic.predict(net, data), rtol=1e-5)


def test_raw_targets_are_read_as_in_training_without_their_past():
    written = [f"{value:.3f} kWh".replace(".", ",") for value in table()["load"] / 100]
    frame = table().assign(load=written)
    data = load(frame, drop="load")
    config = json.loads(json.dumps(data.preparation.get_config()))
    for preparation in (data.preparation, Preparation.from_config(config)):
        target = preparation.cut(frame)[1].target
        np.testing.assert_allclose(target, table()["load"] / 100, atol=1e-3)


@pytest.mark.parametrize("missing", [None, "mean"])
def test_rows_whose_target_is_unknown_are_no_past(missing):
    data = load(missing=missing)
    frame = table()
    frame.loc[ROWS - 3 :, "load"] = np.nan
    with pytest.raises(DataError, match=r"load, whose past .* no value in 3 of 80 rows") as caught:
        data.prepare(frame)
    assert "Leave these rows out" in caught.value.remedy
    assert load(missing=missing, drop="load").prepare(frame).shape == (ROWS - 7, 8, 1)
