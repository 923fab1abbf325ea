from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kmagic.training.pipeline import dense_arrays as dense
from kmagic.training.pipeline.dense_arrays import (
    UnsuitedError,
    dense_arrays,
    dense_validation,
    weights_by_class,
)

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])


def model(*shape: int) -> keras.Model:
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("given", "shape", "dtype"),
    [
        (X, (6, 2), "float32"),
        (X.astype("float16"), (6, 2), "float32"),
        (X.astype("uint8"), (6, 2), "uint8"),
        (X > 3, (6, 2), "bool"),
        (tf.constant(X), (6, 2), "float32"),
        (tf.Variable(X), (6, 2), "float32"),
        (pd.DataFrame(X), (6, 2), "float32"),
        (pd.DataFrame({"a": Y, "b": X[:, 0]}), (6, 2), "float32"),
        (pd.DataFrame({"a": Y}), (6, 1), "int64"),
        (pd.Series(Y), (6, 1), "int64"),
        (pd.Index(Y), (6,), "int64"),
    ],
)
def test_arrays_are_converted_as_in_keras(given: Any, shape: Any, dtype: str) -> None:
    taken = dense_arrays(given).x
    assert (taken.shape, str(taken.dtype)) == (shape, dtype)
    probe = model(2)
    probe.compile("sgd", "mse")
    seen = []

    class See(keras.Model):  # type: ignore[misc] # Keras ships no types
        def train_step(self, data: Any) -> Any:
            seen.append((data.shape[1:], data.dtype))
            return {"loss": 0.0}

    see = See()
    see.compile("sgd")
    see.fit(given, verbose=0)
    assert seen == [(shape[1:], dtype)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((tf.data.Dataset.from_tensor_slices(X),), "x is a tf.data.Dataset"),
        ((tf.data.Dataset.from_tensor_slices(X).batch(2),), "x is a tf.data.Dataset"),
        (((row for row in X),), "x is a generator"),
        ((keras.utils.PyDataset(),), "x is a PyDataset"),
        ((tf.ragged.constant([[1], [2, 3]]),), "x is a RaggedTensor"),
        ((tf.sparse.from_dense(X),), "x is a SparseTensor"),
        ((np.array(["a", None], dtype=object),), "x holds values of type object, not numbers"),
        ((X, np.array(["a"] * 6)), "y holds values of type <U1, not numbers"),
        ((X, np.array(["a"] * 6, dtype=object)), "y holds values of type object"),
        ((X + 1j,), "x holds values of type complex128, not numbers"),
        ((None, Y), "there is no x"),
        (([],), "x is empty"),
        ((X[:0], Y[:0]), "there are no samples"),
        ((np.float64(1.0),), "x is a single number"),
        (({"a": X, "b": None},), "x is a NoneType"),
        ((X, Y[:5]), "x and y differ in length"),
        (({"a": X, "b": X[:2]}, Y), "x and y differ in length"),
        ((X, None, Y), "sample_weight has a different structure than y"),
        ((X, Y, (Y, Y)), "sample_weight has a different structure than y"),
        ((X, (Y, Y), {"a": Y, "b": Y}), "sample_weight has a different structure than y"),
        ((X, (Y, Y), X), "sample_weight has a different structure than y"),
    ],
)
def test_what_is_left_to_keras(given: Any, why: str) -> None:
    with pytest.raises(UnsuitedError) as caught:
        dense_arrays(*given)
    assert str(caught.value).startswith(why)


def test_large_data_is_left_to_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = np.memmap(tmp_path / "x", dtype="float32", mode="w+", shape=(6, 2))
    assert not dense.is_large_file(mapped)
    monkeypatch.setattr(dense, "MAX_MAPPED_BYTES", 20)
    monkeypatch.setattr(dense, "machine_memory", lambda: 80)
    assert dense.is_large_file(mapped[1:].view(np.ndarray))
    assert dense_arrays(mapped).samples == 6  # its pages need not be in memory
    shared = np.memmap(tmp_path / "x", dtype="float32", mode="c", shape=(6, 2))
    shared.flags.writeable = False
    assert dense.is_large_file(shared)
    assert not dense.is_large_file(shared[:1])
    monkeypatch.undo()
    # An array of zeros that nobody has written to takes no memory.
    memory = dense.machine_memory()
    with pytest.raises(UnsuitedError, match="the data is large"):
        dense_arrays(np.zeros(memory // 4 + 1, dtype="uint8"))


@pytest.mark.parametrize(
    "y", [Y, Y[:, None], Y.astype("float32") + 0.2, np.eye(3)[Y], np.array([5, 0, 7, 7, 1, 5])]
)
def test_class_weights_equal_those_of_keras(y: np.ndarray) -> None:
    weights = {0: 0.5, 2: 3.0, 7: 9.0}
    seen = []

    class See(keras.Model):  # type: ignore[misc] # Keras ships no types
        def train_step(self, data: Any) -> Any:
            seen.extend(data[2].numpy().tolist())
            return {"loss": 0.0}

    see = See()
    see.compile("sgd", run_eagerly=True)
    see.fit(X, y, class_weight=weights, shuffle=False, verbose=0)
    ours = weights_by_class(y, weights)
    assert ours.tolist() == seen
    assert ours.dtype == "float32"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((X, Y, Y), "class_weight needs a single output"),
        ((X, (Y, Y)), "class_weight needs a single output"),
        ((X,), "class_weight needs a single output"),
        ((X, X[:, None]), "class_weight needs one class per sample"),
    ],
)
def test_class_weights_that_keras_rejects(given: Any, why: str) -> None:
    with pytest.raises(UnsuitedError, match=why):
        dense_arrays(*given).weighted({0: 1.0})


def test_validation_data() -> None:
    for held in ((X, Y), [X, Y], (X, Y, Y), (X,)):
        taken = dense_validation(held)
        assert taken is not None
        assert taken.samples == 6
    for other in (tf.data.Dataset.from_tensor_slices((X, Y)), X, (X, Y[:2]), (X, Y, Y, Y), ()):
        assert dense_validation(other) is None
