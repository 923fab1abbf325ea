"""A ``tf.data.Dataset`` as arrays: read to its end, if that fits into memory."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.arrays import ArrayParts
from kmagic.data.memory import MAX_SHARE, available_memory
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes, format_shape, list_names
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_LIMIT = 4_000_000_000  # bytes that are read where the available memory is unknown
_READ_LESS = "Take a part, stream.take(n), or fit the model on the stream itself."


def is_stream(value: Any) -> bool:
    """Whether it is a ``tf.data.Dataset``, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.data.Dataset)


def stream_class_names(stream: Any) -> tuple[str, ...] | None:
    """The class names that Keras's ``image_dataset_from_directory`` attaches to a stream."""
    names = getattr(stream, "class_names", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def read_stream(stream: Any, name: str) -> ArrayParts:
    """Read a stream into arrays."""
    import tensorflow as tf  # noqa: PLC0415 - imported already, if there is a stream

    x_spec, y_spec = _check_pairs(stream.element_spec, name, tf)
    length = int(stream.cardinality().numpy())
    if length == tf.data.INFINITE_CARDINALITY:
        raise DataError(f"{name} is endless: it repeats itself.", _READ_LESS)
    is_batched = bool(x_spec.shape.rank and y_spec.shape.rank) and bool(
        x_spec.shape[0] == y_spec.shape[0]
    )
    available = available_memory()
    # Half of it, because the elements are concatenated then.
    limit = DEFAULT_LIMIT if available is None else int(MAX_SHARE * available / 2)
    element_size = _size_of(x_spec) + _size_of(y_spec)
    if length > 0 and element_size and length * element_size > limit:
        raise _too_large(name, length * element_size, limit)
    x, y, size = [], [], 0
    with Progress(max(length, 0), "batches" if is_batched else "samples") as progress:
        for inputs, targets in stream:
            x.append(inputs.numpy())
            y.append(targets.numpy())
            size += getattr(x[-1], "nbytes", 0) + getattr(y[-1], "nbytes", 0)
            if size > limit:
                raise _too_large(name, size, limit)
            if length > 0:
                progress.advance()
    if not x:
        raise DataError(f"The stream {name} is empty.")
    return ArrayParts(_join(x, is_batched=is_batched), _join(y, is_batched=is_batched))


def _check_pairs(spec: Any, name: str, tf: Any) -> tuple[Any, Any]:
    if not isinstance(spec, tuple) or len(spec) != 2:  # noqa: PLR2004 - x and y
        actual = f"{len(spec)} parts" if isinstance(spec, tuple) else type(spec).__name__
        raise DataError(
            f"The elements of {name} must be pairs of x and y; got {actual}.",
            "Make pairs: stream.map(lambda ...: (x, y)).",
        )
    for part, part_name in zip(spec, "xy", strict=True):
        if not isinstance(part, tf.TensorSpec):
            raise DataError(
                f"{part_name} of {name} must be one dense tensor; got {type(part).__name__}.",
                "Select one with stream.map, or fit the model on the stream itself.",
            )
    return spec[0], spec[1]


def _size_of(spec: Any) -> int:
    """Bytes of one element; 0 if its shape does not tell."""
    if not spec.shape.is_fully_defined() or not hasattr(spec.dtype, "size"):
        return 0
    return int(math.prod(spec.shape.as_list()) * spec.dtype.size)


def _join(elements: list[Any], *, is_batched: bool) -> NDArray[Any]:
    shapes = {np.shape(element)[is_batched:] for element in elements}
    if len(shapes) > 1:
        sizes = list_names(sorted(format_shape(shape) or "one value" for shape in shapes), 5)
        raise DataError(
            f"The samples of the stream have {len(shapes):,} sizes: {sizes}.",
            "Bring them to one size first, with stream.map or padded_batch.",
        )
    return np.concatenate(elements) if is_batched else np.stack(elements)


def _too_large(name: str, size: int, limit: int) -> DataError:
    return DataError(
        f"{name} takes {format_bytes(size)} of memory or more, but only {format_bytes(limit)} can "
        "be used.",
        _READ_LESS,
    )
