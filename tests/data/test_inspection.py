"""What an inspection says about arrays and streams, and that it leaves them as they are."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

from kmagic.data.dataset import Dataset
from kmagic.data.inspection import inspect_data, sample_count, stream_kind
from kmagic.models.model_arrays import as_array
from kmagic.support.errors import DataError

X, Y = np.arange(40.0).reshape(10, 4), np.arange(10) % 3


class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
    """Batches of four samples; reading one draws a random number."""

    def __init__(self, count: int | None) -> None:
        super().__init__()
        self.count = count
        self.epochs = 0

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> Any:
        np.random.rand()  # noqa: NPY002 - as users do
        random.random()  # noqa: S311 - as users do
        return X[:4], Y[:4]

    def on_epoch_end(self) -> None:
        self.epochs += 1


def batches(count: int | None = None) -> Iterator[Any]:
    for index in itertools.count() if count is None else range(count):
        yield X[index % 3 :][:2], Y[:2]


FRAME = pd.DataFrame(X)


@pytest.mark.parametrize(
    "x",
    [
        X,
        X.tolist(),
        X.astype(object),
        FRAME,
        FRAME.convert_dtypes(),
        FRAME.convert_dtypes(dtype_backend="pyarrow"),
        FRAME.astype({0: bool}),
        np.vectorize(Decimal)(X),
        tf.constant(X),
        scipy.sparse.csr_matrix(X),
        scipy.sparse.coo_array(X),
        Dataset("few", X, Y, X, Y),
    ],
)
def test_arrays_of_any_kind(x: Any) -> None:
    data = inspect_data(x, pd.Series(Y, dtype="Int64"))
    assert (data.kind, data.samples, data.is_stream, data.part_counts) == (
        "arrays",
        10,
        False,
        set(),
    )
    assert (data.x.shape, data.y.tolist()) == (X.shape, Y.tolist())
    np.testing.assert_array_equal(data.x[:, 1:].astype(float), X[:, 1:])


def test_structures_of_arrays() -> None:
    named, listed = inspect_data({"a": X, "b": FRAME}), inspect_data([X, tf.constant(X)])
    assert named.samples == listed.samples == 10
    assert named.x["b"].shape == listed.x[1].shape == X.shape


def test_a_large_sparse_matrix_is_looked_at_in_part() -> None:
    data = inspect_data(scipy.sparse.random(5000, 4, format="csr"), np.zeros(5000))
    assert (data.samples, data.x.shape, data.is_complete) == (5000, (1000, 4), False)


@pytest.mark.parametrize("x", [None, "text", object(), 3, [[1], [2, 3]]])
def test_what_is_not_an_array_has_no_samples(x: Any) -> None:
    assert inspect_data(x).samples is None
    assert sample_count(x) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, None], dtype="Int64"), [1, np.nan]),
        (pd.Series([True, None], dtype="boolean"), [1, np.nan]),
        (np.array([1.5, None], dtype=object), [1.5, np.nan]),
        (pd.Series([np.zeros(2), np.ones(2)]), [[0, 0], [1, 1]]),
        (np.array([True, False], dtype=object), [True, False]),
    ],
)
def test_objects_become_numbers(values: Any, expected: Any) -> None:
    np.testing.assert_array_equal(as_array(values), np.array(expected))


@pytest.mark.parametrize(
    "values", [np.array(["a", 1], dtype=object), np.array([None, None]), pd.Series(["a", "b"])]
)
def test_objects_that_are_no_numbers_are_unchanged(values: Any) -> None:
    assert as_array(values).dtype.kind in "OUST"


DATA = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


@pytest.mark.parametrize(
    ("stream", "kind", "count", "endless", "samples"),
    [
        (DATA, "tf.data.Dataset", 3, False, 10),
        (DATA.repeat(), "tf.data.Dataset", None, True, None),
        (DATA.repeat(9), "tf.data.Dataset", 27, False, None),
        (DATA.filter(lambda *_: True), "tf.data.Dataset", None, False, None),
        (Batches(3), "PyDataset", 3, False, 12),
        (Batches(None), "PyDataset", None, True, None),
        (batches(3), "PyDataset", 3, False, 6),
        (zip([X, X], [Y, Y], strict=True), "PyDataset", 2, False, 20),
        (batches(), "generator", None, False, None),
        (itertools.cycle([(X, Y)]), "generator", None, False, None),
    ],
)
def test_the_length_of_streams(
    stream: Any, kind: str, count: int | None, endless: bool, samples: int | None
) -> None:
    data = inspect_data(stream)
    assert (data.kind, data.batches, data.is_endless, data.samples) == (
        kind,
        count,
        endless,
        samples,
    )
    assert data.is_stream
    assert data.part_counts == {2}
    assert data.x.shape[1:] == (4,)
    assert len(data.x) == len(data.y) > 0


@pytest.mark.parametrize("stream", [DATA.take(0), Batches(0), iter([])])
def test_an_empty_stream_has_no_parts(stream: Any) -> None:
    data = inspect_data(stream)
    assert (data.batches, data.part_counts, data.x) == (0, set(), None)


def test_parts_of_batches() -> None:
    weighted = inspect_data(DATA.map(lambda x, y: (x, y, y)))
    assert weighted.sample_weight.shape == (10,)
    assert inspect_data(DATA.map(lambda x, _: {"a": x})).x["a"].shape == X.shape
    assert inspect_data(iter([X, X])).part_counts == {1}
    assert inspect_data(iter([(X, Y), (X, Y, Y)])).part_counts == {2, 3}
    assert inspect_data(iter([(X, Y), (X[:, :2], Y)])).x.shape == (10, 4)  # the first batch


def test_batches_of_a_generator_are_not_lost() -> None:
    generator = batches()
    for _ in range(2):  # also if it is inspected again, after an error
        data = inspect_data(generator, steps=5)
    read = [x[0, 0] for x, _ in itertools.islice(data.data, 4)]
    assert read == [0, 4, 8, 0]


def test_a_generator_that_ends_can_be_read_again() -> None:
    data = inspect_data(batches(3)).data
    assert stream_kind(data) == "PyDataset"
    for _ in range(2):
        assert [data[index][0][0, 0] for index in range(len(data))] == [0, 4, 8]


def test_a_generator_with_steps_is_read_no_further_than_needed() -> None:
    read: list[int] = []

    def observed() -> Iterator[Any]:
        for index in itertools.count():
            read.append(index)
            yield X, Y

    inspect_data(observed(), steps=1)
    assert read == [0]


def test_reading_a_pydataset_changes_no_state() -> None:
    data = Batches(3)
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - as users do
    inspect_data(data)
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert data.epochs == 0


@pytest.mark.parametrize("value", [np, np.ndarray, pd.DataFrame])
def test_modules_and_classes(value) -> None:
    for given in ((value,), (np.ones(3), value), ({"a": np.ones(3), "b": value},)):
        with pytest.raises(DataError, match="has no values"):
            inspect_data(*given)
    assert inspect_data([value, value]).x.dtype == object


def test_an_array_of_arrays_and_numbers() -> None:
    mixed = np.array([np.ones(2), 1], dtype=object)
    assert inspect_data(mixed).x.dtype == object
