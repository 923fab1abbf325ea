"""The variables of a model and of its optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


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


@contextmanager
def unchanged_after_error(model: Any) -> Iterator[None]:
    """Restore all variables after an exception."""
    before = [(variable, np.array(variable)) for variable in all_variables(model)]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise
