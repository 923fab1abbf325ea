"""Values that several processes read: arrays as memory-mapped files, everything else pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.models.object_copies import (
    load_with_classes,
    pickle_for_process,
    pickle_with_classes,
)
from kmagic.support.errors import TrainingError
from kmagic.support.file_system import not_written
from kmagic.support.formatting import describe_error
from kmagic.support.messages import Option, Text

MIN_SHARED_BYTES = 2**16
"""Smaller arrays are pickled."""
_NUMBERS = "biufc"
_STATEFUL = (
    *(keras.Operation, keras.optimizers.Optimizer, keras.metrics.Metric, keras.losses.Loss),
    keras.optimizers.schedules.LearningRateSchedule,
)
TRAIN_HERE = Text("Train in this process: ", Option("in_process", value=True), ".")
_WRITE_IT = "Write it in the text by its class, as a layer with its arguments."


@dataclass(frozen=True, slots=True)
class SharedArray:
    """An array in a file, which processes map into their memory instead of reading it."""

    path: str

    def open(self) -> np.ndarray:
        """The array, read-only; its pages are those of all other processes."""
        # A plain array: the training pipeline leaves large memory-mapped files to Keras. And of a
        # file that nobody writes to: the pipeline uses it without a copy.
        array: np.ndarray = np.load(self.path, mmap_mode="c").view(np.ndarray)
        array.flags.writeable = False
        return array


def for_cluster(values: Any) -> Any:
    """A structure whose arrays other machines store as they are; windows as their rows."""
    return keras.tree.map_structure(_as_rows, values)


def _as_rows(value: Any) -> Any:
    sliding = SlidingRows.of(value)
    if sliding is None:
        return _with_float_type(value)
    return replace(sliding, rows=_with_float_type(sliding.rows))


def _with_float_type(value: Any) -> Any:
    """An array as the training converts it, or each process had a converted copy."""
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    floats = keras.config.floatx()
    converts = floats in ("float16", "float32", "float64")
    is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(floats, copy=False) if converts and is_float else value


class ArrayFolder:
    """A folder for shared arrays; an array that is used twice is written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._written: dict[tuple[int, bool], tuple[Any, Any]] = {}

    def share(self, values: Any) -> Any:
        """A structure with its large arrays in files; floats have the type that Keras computes in.

        Raises:
            PersistenceError: The disk is full.
        """
        return keras.tree.map_structure(lambda value: self.share_one(value, converts=True), values)

    def share_one(self, value: Any, *, converts: bool = False) -> Any:
        """An array in a file if it is large, perhaps converted; else the value itself."""
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS
        if not is_array or value.nbytes < MIN_SHARED_BYTES:
            return value
        key = id(value), converts
        if key not in self._written:
            path = self._folder / f"array-{next(self._numbers)}.npy"
            sliding = SlidingRows.of(value)
            stored = value if sliding is None else sliding.rows
            try:
                np.save(path, _with_float_type(stored) if converts else stored)
            except OSError as error:
                raise not_written(error, path) or error from error
            file: Any = SharedArray(str(path))
            shared = file if sliding is None else replace(sliding, rows=file)
            self._written[key] = value, shared
        return self._written[key][1]


def open_shared(values: Any) -> Any:
    """A structure with its shared arrays opened."""
    return keras.tree.map_structure(_open_one, values)


def _open_one(value: Any) -> Any:
    if isinstance(value, SlidingRows):
        return replace(value, rows=_open_one(value.rows)).windows()
    return value.open() if isinstance(value, SharedArray) else value


class PickledNames:
    """Variables of the notebook that a text mentions, as new objects for each trial.

    A layer, optimizer or model in braces belongs to the model that is built from it: the next
    trial must not continue from its weights. All other values are those of the process.

    Args:
        names: The variables.
        folder: Where to write large arrays, if other processes need the variables.

    Raises:
        TrainingError: A variable cannot be pickled, which other processes need, and a layer that
            is used by several trials.
    """

    def __init__(self, names: Mapping[str, Any], folder: ArrayFolder | None = None) -> None:
        self._pickled: dict[str, bytes] = {}
        self._shared: dict[str, Any] = {}
        for name, value in names.items():
            if isinstance(value, _STATEFUL):
                remedy = _WRITE_IT if folder is None else TRAIN_HERE
                self._pickled[name] = pickle_with_classes(name, value, remedy)
            elif folder is None:
                self._shared[name] = value
            else:
                self._shared[name] = shared = folder.share_one(value)
                if shared is value and not isinstance(value, int | float | str | None):
                    pickle_for_process(name, value, TRAIN_HERE)  # to name what cannot be pickled

    def load(self) -> dict[str, Any]:
        """The variables by name, for one trial."""
        loaded = {}
        for name, value in self._pickled.items():
            try:
                loaded[name] = load_with_classes(value)
            except Exception as error:
                raise TrainingError(
                    f"{name} cannot be copied for a trial: {describe_error(error)}.",
                    _WRITE_IT,
                ) from error
        return {name: _open_one(value) for name, value in self._shared.items()} | loaded
