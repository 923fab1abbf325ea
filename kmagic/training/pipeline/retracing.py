"""A last axis of one value, which a sample or a target may have or not: Keras takes both.

But it traces a function for the shape that came first, and breaks when the other one follows, from
then on for both. So arrays get the axes that the model's inputs have before they reach it, and
where data have other axes than those before, the function is traced anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

REMEDY = "Run it again: Keras traces the model anew. Data of the same axes need no such thing."
_seen: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
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


def trace_for(model: Any, kind: str, data: Any) -> None:
    """Let a model's function be traced anew if data have other axes than those that it has seen.

    Args:
        model: A compiled Keras model.
        kind: "train" or "test".
        data: Inputs, targets and weights as they are given to it, or a stream of them.
    """
    axes = _axes(data)
    if not axes:
        return
    seen = _seen.setdefault(model, {})
    parts = f"{kind}, {len(axes)} arrays"  # with and without weights Keras traces it twice anyway
    if seen.get(parts, axes) != axes:
        setattr(model, f"{kind}_function", None)
    seen[parts] = axes


def trace_anew(model: Any) -> None:
    """Forget a model's functions, since one of them is broken."""
    _seen.pop(model, None)
    model.train_function = model.test_function = None


def _axes(data: Any) -> tuple[Any, ...] | None:
    """How many axes each array has; None where that cannot be told."""
    import keras  # noqa: PLC0415 - takes seconds; there is a model, so it is loaded

    if hasattr(data, "element_spec"):
        return _axes(data.element_spec)
    if isinstance(data, tuple | list) and data and hasattr(data[0], "element_spec"):
        return _axes(data[0].element_spec)
    found = []
    for leaf in keras.tree.flatten(data):
        if leaf is None:
            continue
        shape = getattr(leaf, "shape", None)
        if shape is None or getattr(shape, "rank", 0) is None:
            return None
        column = hasattr(leaf, "iloc") and len(shape) == 1  # Keras makes one of a Series
        found.append(2 if column else len(shape))
    return tuple(found)


def other_axes(error: Exception) -> bool:
    """Whether a model broke on samples that have other axes than those that it was given before.

    Example:
        >>> other_axes(ValueError("Cannot take the length of shape with unknown rank."))
        True
    """
    return _TRACED.search(str(error)) is not None
