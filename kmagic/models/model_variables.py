"""The variables of a model and of its optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kmagic.models.keras_history import flat_layers


def all_variables(model: Any) -> list[Any]:
    """The variables of a model and of its optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer is not None else ())]


def stored_size(model: Any) -> tuple[int, int]:
    """The size of all variables in bytes, and their number."""
    variables = all_variables(model)
    sizes = (math.prod(variable.shape) * _item_size(variable.dtype) for variable in variables)
    return sum(sizes), len(variables)


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
def unchanged_after_error(model: Any) -> Iterator[None]:
    """Restore all variables after an exception."""
    before = [(variable, variable.numpy()) for variable in all_variables(model)]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise
