"""Predictions part by part on a cluster of this machine."""

from __future__ import annotations

import h5py
import keras
import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.cluster import connection
from kmagic.evaluation.prediction import file_prediction
from kmagic.support.errors import EvaluationError


@pytest.fixture(scope="module", autouse=True)
def cluster():
    pytest.importorskip("ray")
    yield kmagic.connect("local")
    connection.disconnect()


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def test_a_table_of_numbers_that_was_predicted_but_not_written(model, tmp_path, monkeypatch):
    folder = tmp_path / "tables"
    folder.mkdir()
    for index in range(2):
        pd.DataFrame({"a": [1.0 + index, 7.0]}).to_parquet(folder / f"{index}.parquet")
    monkeypatch.chdir(tmp_path)
    expected = kmagic.predict_to_file(model, "tables", "here.parquet").to_frame()

    def full(*_):
        raise OSError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(file_prediction._Parts, "join", full)
        with pytest.raises(OSError, match="full"):
            kmagic.predict_to_file(model, "tables", "there.parquet", on="local")
    result = kmagic.predict_to_file(model, "tables", "there.parquet", on="local")
    assert result.earlier == 4
    pd.testing.assert_frame_equal(result.to_frame(), expected, rtol=1e-5)


def test_the_settings_of_keras_are_those_of_the_notebook():
    class Rounded(keras.layers.Layer):
        def call(self, x):
            return keras.ops.cast(keras.ops.cast(x, keras.config.floatx()), "float32")

    x = np.full((5000, 1), 1 / 3, "float32")  # two parts
    model = keras.Sequential([keras.Input((1,)), Rounded(dtype="float32")])
    keras.config.set_floatx("float16")
    try:
        there = kmagic.predict(model, x, on="local")
    finally:
        keras.config.set_floatx("float32")
    np.testing.assert_array_equal(there, x.astype("float16"))


class Scaled(keras.layers.Layer):
    factor = 1.0

    def call(self, x):
        return self.factor * x


def test_a_copy_that_computes_something_else_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((1,)), Scaled()])
    x = np.ones((5000, 1), "float32")  # two parts
    model.layers[0].factor = 3.0
    with pytest.raises(EvaluationError, match=r"its copy computes \[1.\] instead of \[3.\]"):
        kmagic.predict(model, x, on="local")
    pd.DataFrame({"a": [1.0, 7.0]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(EvaluationError, match="get_config"):
        kmagic.predict_to_file(model, tmp_path / "t.parquet", tmp_path / "o.parquet", on="local")


def test_random_outputs_are_not_compared():
    class Noise(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    model = keras.Sequential([keras.Input((1,)), Noise()])
    assert kmagic.predict(model, np.ones((5000, 1), "float32"), on="local").shape == (5000, 1)


def test_arrays_that_cannot_be_predicted_there(model, tmp_path):
    with pytest.raises(EvaluationError, match="is empty"):
        kmagic.predict(model, np.zeros((0, 1)), on="local")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones((5000, 1))
        with pytest.raises(EvaluationError, match="A Dataset cannot be copied to the cluster"):
            kmagic.predict(model, file["x"], on="local")
