"""Values that are neither Keras's nor the notebook's, and that only a call can make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def slice_of(start: Any = None, stop: Any = None, step: Any = None) -> slice:
    """``slice(1, 5)``: a stretch of an axis, for ``ops.get_item``.

    Example:
        >>> slice_of(1, 5)
        slice(1, 5, None)
    """
    return slice(start, stop, step)


def array(values: Any, dtype: str | None = None) -> Any:
    """``array([0.5, 1.5])``: numbers in a NumPy array.

    Example:
        >>> array([1, 2], "float32").dtype.name
        'float32'
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    return np.array(values, dtype)


def tensor(values: Any, dtype: str | None = None) -> Any:
    """``tensor([0.5, 1.5])``: numbers in a tensor of Keras's backend."""
    import keras  # noqa: PLC0415 - takes seconds, so only when a model is built

    return keras.ops.convert_to_tensor(values, dtype)


PLAIN_OBJECTS: dict[str, Callable[..., Any]] = {
    "array": array,
    "slice": slice_of,
    "tensor": tensor,
}
"""Word -> what makes the value."""
