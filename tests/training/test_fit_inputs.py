from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import kmagic
from kmagic.support.errors import DataError, TrainingError
from kmagic.training.fit_inputs import convert_arguments, convert_list, split_validation
from kmagic.training.pipeline.dense_arrays import UnsuitedError, dense_arrays

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])


def model(*shape: int) -> keras.Model:
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])


def test_lists_of_numbers_and_words_become_arrays() -> None:
    assert convert_list(X.tolist()).shape == (6, 2)
    assert convert_list(list(Y)).dtype == "int64"
    assert convert_list(["good", "bad"]).dtype == object
    ragged = [[1], [2, 3]]
    assert convert_list(ragged) is ragged
    for other in (None, X, [], {"a": [1]}, [X, Y]):
        assert convert_list(other) is other


@pytest.mark.parametrize(
    "given",
    [
        ["good", "bad"],
        np.array(["good", "bad"]),
        np.array(["good", "bad"], dtype=object),
        pd.Series(["good", "bad"], index=[4, 2]),
        pd.Series(["good", "bad"], dtype="string"),
    ],
)
def test_texts_become_objects(given: Any) -> None:
    model = keras.Sequential([keras.Input((1,), dtype="string")])
    taken = convert_arguments(model, {"x": given, "validation_data": (given, Y[:2])})
    for x in (taken["x"], taken["validation_data"][0]):
        assert x.dtype == object
        assert x.tolist() == ["good", "bad"]
        assert dense_arrays(x).x.tolist() == ["good", "bad"]
    named = convert_arguments(model, {"x": {"text": given, "size": Y}})["x"]
    assert named["size"] is Y
    if not isinstance(given, list):
        assert named["text"].tolist() == ["good", "bad"]


def test_bytes_and_tables_of_texts() -> None:
    model = keras.Sequential([keras.Input((1,), dtype="string")])
    assert convert_arguments(model, {"x": np.array([b"a"])})["x"].tolist() == ["a"]
    assert convert_arguments(model, {"x": np.array([["a"], ["b"]])})["x"].tolist() == ["a", "b"]
    for other in (pd.DataFrame({"a": ["x"], "b": [1]}), np.array([["a", "b"]]), X):
        assert convert_arguments(model, {"x": other})["x"] is other
    with pytest.raises(DataError, match="row at index 1 is None"):
        convert_arguments(model, {"x": np.array(["a", None], dtype=object)})


def test_a_list_of_images_is_samples_for_one_input_and_inputs_for_several() -> None:
    pictures = [np.zeros((4, 4))] * 3
    assert convert_list(pictures, model(4, 4).inputs).shape == (3, 4, 4)
    assert convert_list(pictures, None) is pictures
    assert convert_list(pictures, model(4).inputs) is pictures  # one batch of vectors each
    ends = [keras.Input((4, 4)), keras.Input((4, 4))]
    both = keras.Model(ends, keras.layers.Add()(ends))
    assert convert_list(pictures, both.inputs) is pictures


def test_all_arguments_of_a_fit() -> None:
    given = {"x": X.tolist(), "y": Y.tolist(), "validation_data": [X.tolist(), Y], "epochs": 2}
    taken = convert_arguments(model(2), given)
    assert taken["x"].shape == (6, 2)
    assert taken["validation_data"][0].shape == (6, 2)
    assert taken["validation_data"][1] is Y
    assert (taken["epochs"], taken["sample_weight"]) == (2, None)
    assert isinstance(given["x"], list)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    assert convert_arguments(unbuilt, {"x": [[1.0]]})["x"].shape == (1, 1)


def test_a_split_is_cut_off_the_end():
    frame, column = pd.DataFrame({"a": range(6)}), pd.Series(range(6), index=np.arange(6) / 2)
    x = {"a": np.arange(6), "b": frame, "c": csr_array(np.eye(6))}
    given = {"x": x, "y": column, "sample_weight": np.arange(6), "validation_split": 0.3}
    parts = split_validation(given)
    assert [parts["x"][name].shape[0] for name in x] == [4, 4, 4]
    held_out, y, weights = parts["validation_data"]
    for values in (held_out["a"], held_out["b"]["a"], y, weights):
        assert [*values] == [4, 5]
    assert (
        split_validation({"x": x, "validation_split": 0.3})["validation_data"][0].keys() == x.keys()
    )
    for other in ({"x": iter([1])}, {"x": x, "y": np.arange(5)}, {"x": [1, 2]}):
        assert split_validation({**other, "validation_split": 0.3})["validation_split"] == 0.3


def series(rows: int = 90) -> Any:
    """Windows of 6 rows, each with a target: 7 rows in all."""
    frame = pd.DataFrame({"load": np.random.default_rng(0).random(rows).astype("float32")})
    return kmagic.load_data(frame, target="load", window=6)


@pytest.mark.parametrize("plain", [True, False])
def test_windows_that_share_rows_with_the_validation_part_are_not_trained_on(plain: bool) -> None:
    data = series()
    parts = split_validation({"x": data.x_train, "y": data.y_train, "validation_split": 0.25})
    x, y, (x_val, y_val) = parts["x"], parts["y"], parts["validation_data"]
    assert len(x) + 6 + len(x_val) == len(data.x_train)
    assert not {*x.ravel(), *y} & {*x_val.ravel(), *y_val}
    net = kmagic.build("input 6x1 / flatten / dense 1 / compile sgd loss=mse")
    run = kmagic.fit(net, data, validation_split=0.25, epochs=1, plain=plain, displays=[])
    assert (run.samples, run.validation_samples) == (len(x), len(x_val))
    note = "6 windows left out before the validation part, because they share rows with it."
    assert note in [message.text for message in run.messages]
    copy = {"x": data.x_train.copy(), "y": data.y_train, "validation_split": 0.25}
    assert len(split_validation(copy)["x"]) == len(x) + 6  # it is unknown what these are


def test_a_validation_part_that_leaves_no_window_is_refused() -> None:
    data = series(40)
    with pytest.raises(TrainingError, match="5 samples before the validation part are too few"):
        split_validation({"x": data.x_train, "y": data.y_train, "validation_split": 0.75})


def test_the_size_of_windows_is_that_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = series(1000)
    memory = 4 * (data.x_train.nbytes - 1)  # of which a quarter may be used
    monkeypatch.setattr("kmagic.training.pipeline.dense_arrays.machine_memory", lambda: memory)
    assert dense_arrays(data.x_train, data.y_train).samples == len(data.x_train)
    with pytest.raises(UnsuitedError, match="the data is large"):
        dense_arrays(data.x_train.copy(), data.y_train)
