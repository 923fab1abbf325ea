"""A last axis of one value, which a sample may have or not: Keras takes it either way.

But it traces a function for the shape that came first, and breaks when the other one follows. So
arrays get the axes that the model's inputs have before they reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REMEDY = "Give all data the same axes: x[..., None] adds the last one, x[..., 0] drops it."
_TRACED = re.compile(r"unknown (rank|TensorShape)", re.IGNORECASE)


def with_axes_of(model: Any, x: Any) -> Any:
    """Inputs with the axes that the model's inputs have; whatever is no array stays as it is.

    Args:
        model: A Keras model.
        x: An array of shape (samples, ...), or a list or a dict of them.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        >>> with_axes_of(model, numpy.zeros((5, 28, 28))).shape
        (5, 28, 28, 1)
    """
    inputs: list[Any] = list(getattr(model, "inputs", None) or ())
    if isinstance(x, Mapping):
        by_name = {each.name: each for each in inputs}
        return {name: _fitted(each, by_name.get(name)) for name, each in x.items()}
    if isinstance(x, list | tuple):
        if len(x) != len(inputs) or not hasattr(x[0], "shape"):
            return x
        fitted = [_fitted(each, tensor) for each, tensor in zip(x, inputs, strict=True)]
        return fitted if isinstance(x, list) else tuple(fitted)
    return _fitted(x, inputs[0]) if len(inputs) == 1 else x


def _fitted(array: Any, tensor: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    shape = getattr(tensor, "shape", None)
    if shape is None or not isinstance(array, np.ndarray):
        return array
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def other_axes(error: Exception) -> bool:
    """Whether a model broke on samples that have other axes than those that it was given before.

    Example:
        >>> other_axes(ValueError("Cannot take the length of shape with unknown rank."))
        True
    """
    return _TRACED.search(str(error)) is not None
