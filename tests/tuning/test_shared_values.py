"""Large arrays are read from a file that all processes map; layers are new for each trial."""

import pickle
from pathlib import Path

import keras
import numpy as np
import pytest

from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.support.errors import PersistenceError
from kmagic.training.pipeline.batch_stream import as_tensor
from kmagic.tuning.shared_values import (
    ArrayFolder,
    PickledNames,
    SharedArray,
    for_cluster,
    open_shared,
)

LARGE = np.arange(40_000, dtype="float64").reshape(-1, 4)


def test_an_array_is_written_once_and_opened_read_only(tmp_path):
    folder = ArrayFolder(tmp_path)
    labels = np.arange(10_000)
    words = np.array(["a", "b"] * 50_000, dtype=object)
    given = {"x": [LARGE, LARGE], "y": labels, "few": np.ones(3), "words": words, "none": None}
    shared = folder.share(given)
    assert len(list(tmp_path.iterdir())) == 2
    assert shared["x"][0] is shared["x"][1]
    assert isinstance(shared["y"], SharedArray)
    assert shared["few"] is given["few"]
    opened = open_shared(shared)
    assert opened["x"][0].dtype == "float32"
    assert opened["y"].dtype == labels.dtype
    np.testing.assert_array_equal(opened["x"][0], LARGE)
    np.testing.assert_array_equal(opened["y"], labels)
    assert opened["words"] is words
    with pytest.raises(ValueError, match="read-only"):
        opened["x"][0][0] = 1
    # The pipeline leaves memory-mapped files to Keras, and copies what may change.
    assert type(opened["x"][0]) is np.ndarray
    assert np.shares_memory(as_tensor(opened["x"][0])._numpy(), opened["x"][0])
    assert np.shares_memory(as_tensor(opened["x"][0][16:])._numpy(), opened["x"][0])
    assert not np.shares_memory(as_tensor(opened["x"][0][1:])._numpy(), opened["x"][0])
    assert not np.shares_memory(as_tensor(labels)._numpy(), labels)
    fixed = labels.copy()
    fixed.flags.writeable = False
    assert not np.shares_memory(as_tensor(fixed)._numpy(), fixed)


def test_tensors_become_arrays(tmp_path):
    shared = ArrayFolder(tmp_path).share(keras.ops.convert_to_tensor(LARGE))
    np.testing.assert_array_equal(open_shared(shared), LARGE)


def test_windows_that_share_rows_are_written_as_rows(tmp_path):
    rows = np.arange(60_000.0).reshape(-1, 2)
    windows = SlidingRows(rows, 30, 9000, 3, 2).windows()
    (shared,) = ArrayFolder(tmp_path).share([windows])
    opened = open_shared(shared)
    np.testing.assert_array_equal(opened, windows)
    assert opened.dtype == "float32"
    assert SlidingRows.of(opened).rows.nbytes < rows.nbytes
    assert Path(shared.rows.path).stat().st_size < 1.01 * rows.nbytes / 2 < windows.nbytes / 8


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(PersistenceError, match="was not written"):
        ArrayFolder(tmp_path / "missing").share(LARGE)


@pytest.mark.parametrize("in_other_process", [False, True])
def test_layers_are_new_each_time_and_other_values_are_not(tmp_path, in_other_process):
    layer, note = keras.layers.Dense(3), {"text": "same"}
    layer.build((None, 2))
    names = {"layer": layer, "note": note, "units": 3, "table": LARGE, "nothing": None}
    folder = ArrayFolder(tmp_path) if in_other_process else None
    one, other = (PickledNames(names, folder).load() for _ in range(2))
    assert one.keys() == names.keys()
    assert one["layer"] is not other["layer"]
    np.testing.assert_array_equal(one["layer"].get_weights()[0], layer.get_weights()[0])
    assert one["note"] is note
    np.testing.assert_array_equal(one["table"], LARGE)
    assert one["table"].dtype == "float64"


def test_windows_travel_to_other_machines_as_their_rows():
    rows = np.random.default_rng(0).normal(size=(1000, 2)).astype("float32")
    windows = SlidingRows(rows, 30, 971).windows()
    sent = for_cluster({"x": windows, "y": np.ones(3)})
    assert len(pickle.dumps(sent)) < 1.1 * rows.nbytes
    opened = open_shared(pickle.loads(pickle.dumps(sent)))  # noqa: S301 - our own
    assert np.array_equal(opened["x"], windows)
    assert SlidingRows.of(opened["x"]) is not None
    assert opened["y"].dtype == "float32"
