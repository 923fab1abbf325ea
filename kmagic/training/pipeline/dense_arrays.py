"""Training data as dense arrays of one length, which the fast pipeline needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import psutil

from kmagic.data.preparation.sliding_rows import stored_bytes
from kmagic.support.disk_arrays import mapped_file
from kmagic.support.memory import available_memory

NUMBERS = "biuf"
"""NumPy's kinds of numbers that an array may hold: bool, integers, floats."""
MAX_MEMORY_SHARE = 1 / 4
"""Larger data is left to Keras."""
MAX_MAPPED_BYTES = 256 * 2**20
"""Larger memory-mapped files are read in batches."""


class UnsuitedError(Exception):
    """Data that the fast pipeline cannot use; the message is the reason in the run's record."""


@dataclass(frozen=True, slots=True)
class DenseArrays:
    """Inputs and perhaps targets and weights: arrays of one length, or structures of them."""

    x: Any
    y: Any = None
    sample_weight: Any = None

    @property
    def packed(self) -> Any:
        """The argument of a training step: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``."""
        return keras.utils.pack_x_y_sample_weight(self.x, self.y, self.sample_weight)

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(keras.tree.flatten(self.x)[0])

    def weighted(self, class_weight: Any) -> DenseArrays:
        """The same with a weight per sample by its class; None changes nothing."""
        if class_weight is None:
            return self
        if self.y is None or keras.tree.is_nested(self.y) or self.sample_weight is not None:
            raise UnsuitedError("class_weight needs a single output, and no sample_weight")
        return DenseArrays(self.x, self.y, weights_by_class(self.y, class_weight))


def dense_arrays(x: Any, y: Any = None, sample_weight: Any = None) -> DenseArrays:
    """Convert data as Keras does, if it is dense arrays of numbers, or of texts in ``x``.

    Floats get the type ``keras.config.floatx()``; a pandas Series becomes a column.

    Raises:
        UnsuitedError: It is anything else, or something that Keras itself will reject.
    """
    inputs = _convert_structure(x, "x")
    targets = _convert_structure(y, "y")
    weights = _convert_structure(sample_weight, "sample_weight")
    if inputs is None:
        raise UnsuitedError("there is no x")
    if weights is not None:
        parts = (keras.tree.map_structure(lambda _: 0, part) for part in (weights, targets))
        if targets is None or next(parts) != next(parts):
            raise UnsuitedError("sample_weight has a different structure than y")
    arrays = DenseArrays(inputs, targets, weights)
    leaves = keras.tree.flatten(arrays.packed)
    if len({len(leaf) for leaf in leaves}) != 1:
        raise UnsuitedError("x and y differ in length")
    if not arrays.samples:
        raise UnsuitedError("there are no samples")
    size = sum(stored_bytes(leaf) for leaf in leaves if not is_large_file(leaf))
    if size > machine_memory() * MAX_MEMORY_SHARE:
        raise UnsuitedError(f"the data is large, {size / 2**30:.1f} GB")
    return arrays


def is_large_file(array: Any) -> bool:
    """Whether an array is in a file that is too large to be copied into memory.

    One that several processes read is not copied (``batch_stream.as_tensor``).
    """
    file = mapped_file(array)
    if file is None:
        return False
    if file.mode == "c" and not array.flags.writeable:
        return bool(array.nbytes > machine_memory() * MAX_MEMORY_SHARE)
    return bool(array.nbytes > min(MAX_MAPPED_BYTES, available_memory() * MAX_MEMORY_SHARE))


def dense_validation(validation_data: Any) -> DenseArrays | None:
    """Convert validation data; None if it is a dataset or otherwise unsuited."""
    if isinstance(validation_data, tuple | list) and len(validation_data) in {1, 2, 3}:
        with suppress(UnsuitedError):
            return dense_arrays(*validation_data)
    return None


def weights_by_class(y: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """The weight of each sample by its class index or one-hot row; missing classes weigh 1.

    Example:
        >>> weights_by_class(np.array([0, 2, 2]), {2: 0.5})
        array([1. , 0.5, 0.5], dtype=float32)
    """
    if y.ndim > 1:
        y = y[..., 0] if y.shape[-1] == 1 else y.argmax(axis=-1)
    if y.ndim != 1:
        raise UnsuitedError("class_weight needs one class per sample")
    classes, inverse = np.unique(np.round(y).astype("int32"), return_inverse=True)
    weights = [class_weight.get(int(index), 1.0) for index in classes]
    return np.asarray(weights, dtype=keras.config.floatx())[inverse]


def machine_memory() -> int:
    """Bytes of memory that the machine has."""
    return int(psutil.virtual_memory().total)


def _convert_structure(value: Any, label: str) -> Any:
    """A structure's leaves as arrays, its lists as tuples; None stays None."""
    if value is None:
        return None
    if not isinstance(value, dict | list | tuple):
        return _convert_leaf(value, label)
    if not value:
        raise UnsuitedError(f"{label} is empty")
    structure = keras.tree.lists_to_tuples(value)
    return keras.tree.map_structure(lambda leaf: _convert_leaf(leaf, label), structure)


def _convert_leaf(value: Any, label: str) -> np.ndarray:
    if not hasattr(value, "__array__"):
        raise UnsuitedError(f"{label} is a {_type_name(value)}")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        raise UnsuitedError(f"{label} is a {_type_name(value)}") from None
    may_be_text = label == "x" and array.dtype.kind == "O" and array.size > 0
    if may_be_text and all(isinstance(value, str | bytes) for value in array.flat):
        return array
    if array.dtype.kind not in NUMBERS:
        raise UnsuitedError(f"{label} holds values of type {array.dtype}, not numbers")
    if not array.ndim:
        raise UnsuitedError(f"{label} is a single number")
    is_other = array.dtype.kind == "f" and array.dtype != keras.config.floatx()
    if is_other and not is_large_file(array):  # its batches are converted
        array = array.astype(keras.config.floatx())
    is_column = array.ndim == 1 and _type_name(value) == "Series"
    return array[:, None] if is_column else array


def _type_name(value: Any) -> str:
    if isinstance(value, keras.utils.PyDataset):
        return "PyDataset"
    module, name = type(value).__module__, type(value).__name__
    return "tf.data.Dataset" if module.startswith("tensorflow.") and "Dataset" in name else name
