"""``%keras_errors`` in a bare IPython shell, with models that need no training."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kmagic
from kmagic.evaluation.regression.error_comparison import ErrorComparison
from kmagic.training.run.cross_validation import CrossValidation

from ..shells import run_cell, value_of

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"size": RNG.normal(100, 20, 60), "town": ["Ulm", "Bonn"] * 30})
TABLE["price"] = 3.0 * TABLE["size"] + RNG.normal(0, 9, 60)
X = RNG.random((40, 3)).astype("float32")


@pytest.fixture(scope="module")
def names():
    import keras

    keras.utils.set_random_seed(0)
    nets = {
        "net": [keras.Input((3,)), keras.layers.Dense(1)],
        "deep": [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)],
        "two": [keras.Input((3,)), keras.layers.Dense(2)],
        "cat": [keras.Input((1,)), keras.layers.Dense(2, activation="softmax")],
    }
    folds = CrossValidation("cv", folds=2, y_true=np.arange(8.0), predictions=np.ones((8, 1)))
    folds.predicted = np.arange(8) > 1
    return {name: keras.Sequential(layers, name=name) for name, layers in nets.items()} | {
        "houses": kmagic.load_data(TABLE, target="price", scale="standard"),
        "towns": kmagic.load_data(TABLE[["size", "town"]], target="town"),
        "x": X, "y": X.sum(axis=1), "labels": np.array(["a", "b"] * 20), "w": np.arange(1.0, 41),
        "pred": X[:, 0], "other": X[:, 1], "both": X[:, :2], "days": np.arange(40),
        "stream": tf.data.Dataset.from_tensor_slices((X, X.sum(axis=1))).batch(7), "cv": folds,
    }  # fmt: skip


@pytest.fixture
def shell(shell, names):
    shell.user_ns |= names
    return shell


def show(shell, line):
    value, captured = value_of(shell, line)
    assert len(captured.outputs) == 1
    return value


def fail(shell, line):
    result, _ = run_cell(shell, line)
    assert result.error_in_exec is not None
    return str(result.error_in_exec)


def test_a_model_and_a_dataset(shell):
    found = show(shell, "%keras_errors net --data houses -o err")
    assert shell.user_ns["err"] is found
    expected = kmagic.errors_of(shell.user_ns["net"], shell.user_ns["houses"])
    assert found.metrics == expected.metrics
    assert (found.name, found.unit, found.targets) == ("net", "test samples", ("price",))
    assert show(shell, "%keras_errors net houses").unit == "test samples"


def test_options_reach_the_result(shell):
    line = "%keras_errors two x both --target-names rain,wind --sample-weight w --worst 3 --seed 4 "
    found = show(shell, line + "--time days -b 7 --x x")
    assert found.targets == ("rain", "wind")
    assert (found.n_worst, found.seed) == (3, 4)
    assert found.sample_weight.sum() == 820
    assert found.time[3] == 3
    found = show(shell, "%keras_errors --true y --pred pred --target-names price")
    assert found.targets == ("price",)


def test_values_and_predictions(shell):
    found = show(shell, "%keras_errors --true y --pred pred --x x")
    assert found.metrics["bias"] < 0
    assert found.x is shell.user_ns["x"]
    found = show(shell, "%keras_errors --true y --pred pred --vs other")
    assert isinstance(found, ErrorComparison)
    assert found.names == ("this model", "other")


def test_two_models_are_compared_on_the_same_rows(shell):
    found = show(shell, "%keras_errors net --data houses --vs deep")
    assert found.names == ("net", "deep")
    assert (found.new.y_true == found.old.y_true).all()
    assert show(shell, "%keras_errors net stream --vs deep").names == ("net", "deep")
    assert "is not a model of this notebook" in fail(shell, "%keras_errors net x y --vs dep")
    text = fail(shell, "%keras_errors net --data houses --vs houses")
    assert "is a dataset, not a model or predictions" in text
    assert "Name the dataset after --data: `--data houses`." in text


def test_a_cross_validation(shell):
    found = show(shell, "%keras_errors cv")
    assert (found.name, found.unit, len(found)) == ("cv", "out-of-fold rows", 6)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("%keras_confusion net --data houses", "%keras_errors net --data houses"),
        ("%keras_confusion net x y", "%keras_errors net x y"),
        ("%keras_errors cat --data towns", "%keras_confusion cat --data towns"),
    ],
)
def test_the_line_that_a_refusal_names_works(shell, line, instead):
    message = fail(shell, line)
    assert re.findall("`([^`]+)`", message) == [instead]
    assert show(shell, instead) is not None


def test_labels_and_predictions_of_the_other_kind(shell):
    assert "use `%keras_confusion net x labels`" in fail(shell, "%keras_errors net x labels")
    assert "For classes use %keras_confusion" in fail(
        shell, "%keras_errors --true {y > 1} --pred pred"
    )
    assert "use %keras_errors" in fail(shell, "%keras_confusion --true y --pred pred")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%keras_errors net x", "true values are missing"),
        ("%keras_errors --true y", "--pred is missing; a list of errors needs both"),
        ("%keras_errors net --true y --pred pred", "already give the data"),
        ("%keras_errors two x y", "y_true has 1 columns and y_pred 2"),
        ("%keras_errors net x y --worst 0", "--worst must be a whole number"),
        ("%keras_errors net x y --target-names a,b", "--target-names must be 1 name"),
        ("%keras_errors net x y --time w[:3]", "--time must be a date or a number for each row"),
    ],
)
def test_mistakes(shell, line, message):
    assert message in fail(shell, line)
