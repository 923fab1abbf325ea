"""The variables of a model and of its optimizer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kmagic.models.keras_history import flat_layers
from kmagic.support.keras_import import keras


def all_variables(model: Any) -> list[Any]:
    """The variables of a model and of its optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer is not None else ())]


def stored_size(model: Any) -> tuple[int, int]:
    """The size of all variables in bytes, and their number."""
    variables = all_variables(model)
    sizes = (math.prod(variable.shape) * _item_size(variable.dtype) for variable in variables)
    return sum(sizes), len(variables)


def count_parameters(layer: Any, seen: set[int]) -> tuple[int, bool]:
    """A layer's parameters that were not counted before, and whether they were.

    Args:
        layer: A layer; before it is built, it has no parameters.
        seen: The ids of the layers that were counted; this one is added.
    """
    method = getattr(layer, "count_params", None)
    count = int(method()) if getattr(layer, "built", False) and inspect.ismethod(method) else 0
    is_known = id(layer) in seen
    seen.add(id(layer))
    return (0, count > 0) if is_known else (count, False)


def _item_size(dtype: str) -> int:
    try:
        return np.dtype(dtype).itemsize
    except TypeError:  # bfloat16 and others that NumPy does not know
        return 8


def learning_rate(model: Any) -> float | None:
    """The optimizer's current learning rate; None if it has none."""
    try:
        rate = getattr(getattr(model, "optimizer", None), "learning_rate", None)
    except Exception:  # noqa: BLE001 - a function of the user as the rate; a training shows its error
        rate = None
    if rate is None:
        return None
    value = rate.numpy() if hasattr(rate, "numpy") else rate
    return float(f"{float(value):.7g}")  # a float32 has no more digits


def precisions(model: Any) -> list[str]:
    """The dtype policies of a model's layers with floating-point numbers other than float32."""
    policies = (getattr(layer, "dtype_policy", None) for layer in flat_layers(model))
    names = dict.fromkeys(str(getattr(policy, "name", "")) for policy in policies)
    return [name for name in names if "float" in name and name != "float32"]


@contextmanager
def variables_kept(model: Any) -> Iterator[None]:
    """Restore a model's variables, its metrics and the states of its recurrent layers."""
    states = keras.tree.flatten([getattr(layer, "states", ()) for layer in flat_layers(model)])
    known = [*model.variables, *model.metrics_variables, *states]
    values = [(v, v.numpy()) for v in {id(v): v for v in known if hasattr(v, "assign")}.values()]
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)


@contextmanager
def unchanged_after_error(model: Any) -> Iterator[None]:
    """Restore all variables after an exception."""
    before = [(variable, variable.numpy()) for variable in all_variables(model)]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise
