"""A ``tf.data.Dataset`` as arrays: read to its end, if it has one that fits into memory."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.arrays import Four
from kmagic.data.memory import SHARE, available, in_words
from kmagic.support.errors import DataError
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNBOUNDED = 4_000_000_000  # bytes that are read where nobody knows how much is free
_SMALLER = "Take a part, stream.take(n), or fit the model on the stream itself."


def is_stream(value: Any) -> bool:
    """Whether it is a ``tf.data.Dataset``, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.data.Dataset)


def class_names(stream: Any) -> tuple[str, ...] | None:
    """Names of the classes that Keras's ``image_dataset_from_directory`` leaves with a stream."""
    names = getattr(stream, "class_names", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def collect(stream: Any, name: str) -> Four:
    """All that a stream gives, as arrays.

    Args:
        stream: A ``tf.data.Dataset`` of pairs (x, y), in batches or one by one.
        name: What it is called.

    Raises:
        DataError: It never ends, gives no pairs, or would not fit into memory.
    """
    import tensorflow as tf  # noqa: PLC0415 - whoever has a stream has it already

    x_spec, y_spec = _pair(stream.element_spec, name, tf)
    many = int(stream.cardinality().numpy())
    if many == tf.data.INFINITE_CARDINALITY:
        raise DataError(f"{name} never ends: it repeats itself.", _SMALLER)
    batched = _is_batched(x_spec, y_spec)
    free = available()
    most = UNBOUNDED if free is None else int(SHARE * free / 2)  # the parts are put together then
    known = _bytes(x_spec) + _bytes(y_spec)
    if many > 0 and known and many * known > most:
        raise _too_large(name, many * known, most)
    x, y, used = [], [], 0
    with Progress(max(many, 0), "batches" if batched else "samples") as work:
        for one, label in stream:
            x.append(one.numpy())
            y.append(label.numpy())
            used += getattr(x[-1], "nbytes", 0) + getattr(y[-1], "nbytes", 0)
            if used > most:
                raise _too_large(name, used, most)
            if many > 0:
                work.advance()
    if not x:
        raise DataError(f"{name} is empty: the stream gives nothing.")
    return Four(_joined(x, batched=batched), _joined(y, batched=batched))


def _pair(spec: Any, name: str, tf: Any) -> tuple[Any, Any]:
    if not isinstance(spec, tuple) or len(spec) != 2:  # noqa: PLR2004 - x and y
        what = f"{len(spec)} parts" if isinstance(spec, tuple) else type(spec).__name__
        raise DataError(
            f"{name} gives {what}: expected pairs of x and y.",
            "Make pairs: stream.map(lambda ...: (x, y)).",
        )
    for part, called in zip(spec, "xy", strict=True):
        if not isinstance(part, tf.TensorSpec):
            raise DataError(
                f"{called} of {name} is {type(part).__name__}: expected one dense tensor.",
                "Choose one with stream.map, or fit the model on the stream itself.",
            )
    return spec[0], spec[1]


def _is_batched(x: Any, y: Any) -> bool:
    """Whether an element is many samples: it has an axis of them that both parts share."""
    if x.shape.rank is None or y.shape.rank is None:
        return False
    if not x.shape.rank or not y.shape.rank:
        return False
    return bool(x.shape[0] == y.shape[0])


def _bytes(spec: Any) -> int:
    """Bytes of one element, as far as its shape says; 0 if it does not."""
    if not spec.shape.is_fully_defined() or not hasattr(spec.dtype, "size"):
        return 0
    return int(math.prod(spec.shape.as_list()) * spec.dtype.size)


def _joined(parts: list[Any], *, batched: bool) -> NDArray[Any]:
    shapes = {np.shape(part)[batched:] for part in parts}
    if len(shapes) > 1:
        some = sorted({" x ".join(map(str, shape)) or "one value" for shape in shapes})
        raise DataError(
            f"The stream gives samples of {len(shapes):,} sizes: {', '.join(some[:5])}.",
            "Bring them to one size first, with stream.map or padded_batch.",
        )
    return np.concatenate(parts) if batched else np.stack(parts)


def _too_large(name: str, size: int, most: int) -> DataError:
    return DataError(
        f"{name} takes {in_words(size)} or more; {in_words(most)} can be held beside the rest.",
        _SMALLER,
    )
