"""Data with and without a last axis of size one, as in grey images: Keras accepts both.

But Keras traces a model's train and test function for the rank that came first, and fails from
then on if the other one follows. So arrays get the axes of the model's inputs before they reach
it, and if data has other axes than before, the function is traced again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kmagic.models.model_arrays import match_arrays
from kmagic.support.keras_import import keras
from kmagic.support.model_registry import record_for

OTHER_AXES = "the data has a different number of axes than before."
REMEDY = "Run it again: Keras then traces the model again. Data with the same axes avoids this."
_RANK_ERROR = re.compile(r"unknown (rank|TensorShape)", re.IGNORECASE)


def with_axes_of(model: Any, x: Any) -> Any:
    """Inputs with the axes of the model's inputs; anything but arrays is unchanged.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        >>> with_axes_of(model, numpy.zeros((5, 28, 28))).shape
        (5, 28, 28, 1)
    """
    fitted = [_with_axes(part.values, part.tensor) for part in match_arrays(model, x)]
    if isinstance(x, Mapping):
        return dict(zip(x, fitted, strict=True))
    if isinstance(x, list | tuple):
        several = len(fitted) == len(x) > 1
        return (fitted if isinstance(x, list) else tuple(fitted)) if several else x
    return fitted[0]


def _with_axes(array: Any, tensor: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    shape = getattr(tensor, "shape", None)
    if shape is None or not isinstance(array, np.ndarray):
        return array
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def retrace_for(model: Any, kind: str, data: Any) -> None:
    """Let a model's function be traced again if data has other axes than earlier data."""
    axes = _count_axes(data)
    if not axes:
        return
    seen = record_for(model).axes_seen
    key = f"{kind}, {len(axes)} arrays"  # Keras traces it with and without weights anyway
    if seen.get(key, axes) != axes:
        setattr(model, f"{kind}_function", None)
    seen[key] = axes


def reset_functions(model: Any) -> None:
    """Drop a model's train and test function, because one of them is broken."""
    record_for(model).axes_seen.clear()
    model.train_function = model.test_function = None


def _count_axes(data: Any) -> tuple[int, ...] | None:
    """The number of axes of each array; None if it is unknown."""
    axes = []
    parts = (getattr(leaf, "element_spec", leaf) for leaf in keras.tree.flatten(data))
    for leaf in keras.tree.flatten(list(parts)):
        if leaf is None:
            continue
        shape = getattr(leaf, "shape", None)
        if shape is None or getattr(shape, "rank", 0) is None:
            return None
        is_column = hasattr(leaf, "iloc") and len(shape) == 1  # Keras makes a column of a Series
        axes.append(2 if is_column else len(shape))
    return tuple(axes)


def is_rank_error(error: Exception) -> bool:
    """Whether a model failed on data with other axes than it was traced for.

    Example:
        >>> is_rank_error(ValueError("Cannot take the length of shape with unknown rank."))
        True
    """
    return _RANK_ERROR.search(str(error)) is not None
