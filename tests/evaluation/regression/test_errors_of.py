"""The errors of a model and its data, in every way that Keras takes data."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.evaluation.regression.errors_of import errors, errors_of, errors_of_models
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import set_dataset
from kmagic.training.run.cross_validation import CrossValidation

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"size": RNG.normal(100, 20, 80), "town": ["Ulm", "Bonn"] * 40})
TABLE["price"] = 3.0 * TABLE["size"] + RNG.normal(0, 9, 80)
DAYS = pd.DataFrame(
    {"day": pd.date_range("2024-01-01", periods=90), "sales": 50 + 9 * np.sin(np.arange(90) / 5)}
)


class Last:
    """Predicts the mean of each row, for a number of steps."""

    name = "last"

    def __init__(self, steps=1):
        self.steps = steps

    def predict_on_batch(self, x):
        return np.repeat(np.reshape(x, (len(x), -1)).mean(axis=1, keepdims=True), self.steps, 1)


@pytest.fixture(scope="module")
def houses():
    return kmagic.load_data(TABLE, target="price", scale="standard")


@pytest.fixture(scope="module")
def sales():
    return kmagic.load_data(DAYS, target="sales", window=10, horizon=3)


def test_the_signature_is_that_of_errors():
    of_arrays, of_models = (set(inspect.signature(f).parameters) for f in (errors, errors_of))
    assert of_arrays - of_models == {"y_true", "y_pred"}


def test_a_model_and_a_dataset(houses):
    result = errors_of(Last(), houses)
    assert (result.name, result.unit, result.targets) == ("last", "test samples", ("price",))
    expected = errors(houses.y_test, Last().predict_on_batch(houses.x_test))
    assert (result.errors == expected.errors).all()
    assert result.worst(1)["town"].item() in ("Ulm", "Bonn")
    assert result.trained_on.shape == (64, 1)


def test_a_model_and_arrays():
    x = RNG.random((20, 3))
    result = errors_of(Last(), x, x.sum(axis=1), name="other", unit="rows", samples=list("a" * 20))
    assert (result.name, result.unit, result.targets) == ("other", "rows", ("",))
    assert result.x == list("a" * 20)
    with pytest.raises(EvaluationError, match="true values are missing"):
        errors_of(Last(), x)


def test_a_stream_is_read_once():
    import tensorflow as tf

    x = RNG.random((20, 3)).astype("float32")
    stream = tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1))).shuffle(20).batch(6)
    one, two = errors_of_models([("a", Last()), ("b", Last())], stream)
    expected = np.sort(np.abs(x.mean(axis=1) - x.sum(axis=1)))
    assert np.sort(np.abs(one.errors)) == pytest.approx(expected)
    assert one.versus(two).p_value == 1
    with pytest.raises(EvaluationError, match="must be left out"):
        errors_of(Last(), stream, x[:, 0])


def test_steps_ahead_are_targets(sales):
    result = errors_of(Last(3), sales)
    assert result.targets == ("sales, step 1", "sales, step 2", "sales, step 3")
    assert result.unit == "test windows"
    assert result.forecasts.errors()[0] == pytest.approx(np.abs(result.errors).mean())
    assert "relative MAE" in result.describe()
    worst = result["sales, step 3"].worst(1)
    day = DAYS["day"].dt.strftime("%Y-%m-%d") == worst.index[0]
    assert DAYS["sales"][day].item() == pytest.approx(worst["true"].item())
    assert list(worst) == ["true", "predicted", "error"]
    assert result.time.dtype.kind == "M"


def test_raw_rows_of_a_time_series_have_their_targets(sales):
    model = Last(3)
    set_dataset(model, sales)
    result = errors_of(model, DAYS)
    assert len(result) == 90 - 10 - 3 + 1
    assert result.unit == "windows"
    assert result["sales, step 2"].worst(1).index[0].startswith("2024-")
    assert result.y_true[0] == pytest.approx(DAYS["sales"][10:13])


def test_classes_and_several_outputs_are_refused():
    kinds = kmagic.load_data(TABLE[["size", "town"]], target="town")
    model = Last()
    with pytest.raises(EvaluationError, match="are classes, not numbers"):
        errors_of(model, kinds)

    class Two:
        name = "two"

        def predict_on_batch(self, x):
            return [x, x]

    with pytest.raises(EvaluationError, match="2 outputs"):
        errors_of(Two(), np.zeros((4, 1)), np.zeros(4))


def test_several_targets_of_a_dataset():
    x = RNG.random((60, 2))
    table = pd.DataFrame({"a": x[:, 0], "rain": x.sum(axis=1), "wind": x[:, 1]})
    assert errors_of(Last(2), kmagic.load_data(table, target=["rain", "wind"])).targets == (
        "rain",
        "wind",
    )
    y = table[["wind", "rain"]]
    data, model = kmagic.load_data(table, target=["rain", "wind"]), Last(2)
    set_dataset(model, data)
    swapped = errors_of(model, data.x_test, pd.DataFrame(data.y_test[:, ::-1], columns=list(y)))
    fits = errors_of(model, data.x_test, pd.DataFrame(data.y_test, columns=["rain", "wind"]))
    assert swapped.metrics == fits.metrics == errors_of(model, data).metrics
    named = kmagic.load_data((x, {"kind": ["a", "b"] * 30, "size": RNG.normal(5, 1, 60)}))
    with pytest.raises(EvaluationError, match="data has 2 targets, kind, size"):
        errors_of(Last(), named)
    assert errors_of(Last(), named.of("size")).targets == ("size",)


def test_values_in_another_order_than_the_samples_are_refused():
    x = pd.DataFrame(RNG.random((9, 2)))
    y = x.mean(axis=1)
    with pytest.raises(EvaluationError, match="The samples and the true values have the same rows"):
        errors_of(Last(), x, y[::-1])
    shuffled = y.sample(frac=1, random_state=0)
    assert errors_of(Last(), x.loc[shuffled.index], shuffled).metrics["MAE"] < 1e-6


def test_a_model_or_no_predictions_in_the_place_of_values():
    with pytest.raises(EvaluationError, match="got a model"):
        errors(Last(), [1, 2])
    with pytest.raises(EvaluationError, match="y_pred= is missing"):
        errors([1, 2])


def test_a_cross_validation_gives_its_out_of_fold_rows():
    result = CrossValidation("net", folds=2)
    with pytest.raises(EvaluationError, match="no predictions"):
        errors(result)
    result.y_true, result.x = np.arange(6.0), np.zeros((6, 2))
    result.predictions = np.array([np.nan, 1.5, 2, 3, 4, 6])[:, None]
    result.predicted = np.arange(6) > 0
    found = errors(result)
    assert (found.name, found.unit, len(found)) == ("net", "out-of-fold rows", 5)
    assert found.errors.tolist() == [0.5, 0, 0, 0, 1]
    result.classes = ("a", "b")
    with pytest.raises(EvaluationError, match="predicts classes"):
        errors(result)


def test_other_rows_of_a_shuffled_stream_are_refused():
    import tensorflow as tf

    model = kmagic.build("input 1 / dense 1")
    stream = tf.data.Dataset.from_tensor_slices((np.ones((9, 1)), np.arange(9.0))).shuffle(9)
    predictions = kmagic.predict(model, stream.batch(3))
    values = np.sort(predictions.info.y_true)[::-1]
    with pytest.raises(EvaluationError, match="another order"):
        errors(values, predictions)
