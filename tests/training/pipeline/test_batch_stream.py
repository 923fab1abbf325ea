from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.training.pipeline import batch_stream
from kmagic.training.pipeline.batch_stream import from_disk, ordered, shuffled

rng = np.random.default_rng(0)
SIZES = [(12, 4), (13, 4), (3, 4), (4, 4), (1, 1), (7, 1)]


def epochs(stream: tf.data.Dataset, samples: int, batch: int, count: int) -> list[list[Any]]:
    batches = stream.as_numpy_iterator()
    return [list(islice(batches, math.ceil(samples / batch))) for _ in range(count)]


@pytest.mark.parametrize(("samples", "batch"), SIZES)
@pytest.mark.parametrize("stream", [shuffled, ordered])
def test_every_sample_once_an_epoch(stream: Any, samples: int, batch: int) -> None:
    short = samples % batch or batch
    for epoch in epochs(stream(np.arange(samples), samples, batch), samples, batch, 3):
        assert [len(each) for each in epoch] == [batch] * (len(epoch) - 1) + [short]
        assert sorted(np.concatenate(epoch)) == list(range(samples))


def blocks(arrays: Any, samples: int, batch: int) -> tf.data.Dataset:
    return from_disk(arrays, samples, batch, shuffle=True).repeat()


def in_order(arrays: Any, samples: int, batch: int) -> tf.data.Dataset:
    return from_disk(arrays, samples, batch, shuffle=False).repeat()


@pytest.fixture(params=[None, 64])
def group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows in memory together, or eight of them, which are blocks of three."""
    if request.param:
        monkeypatch.setattr(batch_stream, "CHUNK_BYTES", request.param)
        monkeypatch.setattr(batch_stream, "BLOCK_BYTES", 24)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(("samples", "batch"), SIZES)
@pytest.mark.parametrize("stream", [blocks, in_order])
def test_every_row_of_a_file_once_an_epoch(stream: Any, samples: int, batch: int) -> None:
    rows, short = np.arange(samples), samples % batch or batch
    for epoch in epochs(stream({"a": rows, "b": -rows}, samples, batch), samples, batch, 3):
        assert [len(each["a"]) for each in epoch] == [batch] * (len(epoch) - 1) + [short]
        read = np.concatenate([each["a"] for each in epoch])
        assert sorted(read) == list(rows)
        assert all((each["a"] == -each["b"]).all() for each in epoch)
        if stream is in_order:
            assert read.tolist() == rows.tolist()


@pytest.mark.usefixtures("group")
def test_each_epoch_of_a_file_has_a_new_order() -> None:
    rounds = epochs(blocks(np.arange(50), 50, 8), 50, 8, 4)
    assert len({tuple(np.concatenate(each)) for each in rounds}) == 4
    members = {frozenset(each.tolist()) for epoch in rounds for each in epoch[:-1]}
    assert len(members) == 4 * 6  # no batch is repeated


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "float64"])
@pytest.mark.parametrize(
    "view",
    [
        lambda rows: rows,
        lambda rows: rows[7:],
        lambda rows: rows[1:20].reshape(-1, 3, 2),
        lambda rows: rows[3:].view(np.ndarray)[..., None],
        lambda rows: rows[::2],
        lambda rows: rows[:, 1:4],
        lambda rows: rows.reshape(-1)[2:-4].reshape(-1, 6),
    ],
)
def test_views_of_a_file(tmp_path: Path, mode: str, dtype: str, view: Any) -> None:
    np.save(tmp_path / "x.npy", rng.integers(0, 200, (41, 6)).astype(dtype))
    rows = view(np.load(tmp_path / "x.npy", mmap_mode=mode))
    stream = from_disk((rows, np.arange(len(rows))), len(rows), 8, shuffle=True)
    for x, number in stream.as_numpy_iterator():
        assert x.dtype == ("float32" if dtype == "float64" else dtype)
        np.testing.assert_array_equal(x, rows[number])


def test_each_epoch_has_a_new_order() -> None:
    rounds = epochs(shuffled(np.arange(50), 50, 8), 50, 8, 4)
    orders = {tuple(np.concatenate(each)) for each in rounds}
    assert len(orders) == 4
    assert tuple(range(50)) not in orders


def test_a_seed_repeats_the_shuffle() -> None:
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        made.append(np.concatenate(epochs(shuffled(np.arange(40), 40, 7), 40, 7, 2)[1]))
    np.testing.assert_array_equal(*made)


def test_every_position_is_equally_likely() -> None:
    # Where does the first of four samples go? 800 epochs, and chi-square with 3 degrees of freedom
    # is above 25 once in 60,000 times.
    keras.utils.set_random_seed(1)
    rounds = epochs(shuffled(np.arange(4), 4, 4), 4, 4, 800)
    places = np.bincount([int(np.argmin(np.concatenate(each))) for each in rounds], minlength=4)
    assert ((places - 200) ** 2 / 200).sum() < 25


def test_order_is_kept() -> None:
    for epoch in epochs(ordered(np.arange(10), 10, 4), 10, 4, 2):
        assert [each.tolist() for each in epoch] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("stream", [shuffled, ordered])
def test_samples_of_all_arrays_stay_aligned(stream: Any) -> None:
    rows = np.arange(20)
    arrays = ({"a": rows, "b": np.stack([rows, rows], axis=1)}, (rows, rows * 2.0), rows % 3)
    (epoch,) = epochs(stream(arrays, 20, 6), 20, 6, 1)
    for x, (first, second), weight in epoch:
        np.testing.assert_array_equal(x["a"], first)
        np.testing.assert_array_equal(x["b"][:, 1], first)
        np.testing.assert_array_equal(second, first * 2.0)
        np.testing.assert_array_equal(weight, first % 3)


@pytest.mark.parametrize("stream", [shuffled, ordered])
@pytest.mark.parametrize("samples", [12, 13])
def test_tensors_have_the_shapes_of_keras(stream: Any, samples: int) -> None:
    # So that a layer that asks for it sees a fixed batch where there is no short one.
    seen = []

    class See(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
        def call(self, x: Any) -> Any:
            seen.append(tuple(x.shape))
            return x

    model = keras.Sequential([See(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((samples, 5), "float32"), np.ones((samples, 1), "float32")
    model.fit(x, y, batch_size=4, verbose=0)
    spec = stream((x, y), samples, 4).element_spec[0]
    assert tuple(spec.shape) == seen[-1]


def test_nothing_is_tuned() -> None:
    for stream in (shuffled, ordered):
        options = stream(np.arange(4), 4, 2).options()
        assert options.autotune.enabled is False


@pytest.mark.parametrize("stream", [shuffled, ordered])
@pytest.mark.parametrize("samples", [12, 13])
@pytest.mark.parametrize(("step", "every"), [(1, 1), (2, 1), (1, 3)])
def test_windows_that_share_rows_are_read_from_them(
    stream: Any, samples: int, step: int, every: int
) -> None:
    rows = np.random.default_rng(0).random((60, 2)).astype("float32")
    x = SlidingRows(rows, 5, samples, step, every).windows()
    data = stream((x, np.arange(samples)), samples, 4)
    assert data.element_spec[0].shape.as_list() == [4 if samples == 12 else None, 5, 2]
    for epoch in epochs(data, samples, 4, 2):
        numbers = np.concatenate([y for _, y in epoch])
        assert sorted(numbers) == list(range(samples))
        np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch]), x[numbers])
