"""Keras's configs: which names Keras invented, and whether two configs say the same."""

from __future__ import annotations

import math
import re
from typing import Any

_WRAPPED = re.compile(r"(?:forward_|backward_)+")
_UNNAMED = re.compile(r"keras_tensor(?:_\d+)?(?:CLONE|_clone)*")
_OWN_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Public names of classes that call themselves otherwise."""
_NOISE = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id"})


def invented(name: str, class_name: str) -> bool:
    """Whether Keras made up a layer's name from its class.

    Example:
        >>> invented("conv2d_12", "Conv2D"), invented("stem", "Conv2D")
        (True, False)
    """
    stem = _WRAPPED.sub("", name, count=1) if name.startswith(("forward_", "backward_")) else name
    snake = _snake(_OWN_NAMES.get(class_name, class_name))
    if re.fullmatch(rf"{re.escape(snake)}(?:_\d+)?", stem):
        return True
    return _UNNAMED.fullmatch(name) is not None


def _snake(name: str) -> str:
    """As Keras does it when it names a layer, which is not quite as this language does it."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def is_object(value: Any) -> bool:
    """Whether a part of a config stands for an object of a class."""
    return isinstance(value, dict) and "class_name" in value and "config" in value


def comparable(value: Any, class_name: str = "") -> Any:
    """A config without what does not matter: invented names, notes on building."""
    if isinstance(value, dict):
        inner = str(value.get("class_name", "")) if is_object(value) else ""
        found = {}
        for key, item in value.items():
            if key in _NOISE:
                continue
            if (
                key == "name"
                and class_name
                and isinstance(item, str)
                and invented(item, class_name)
            ):
                continue
            is_config = bool(inner) and key == "config"
            found[key] = comparable(item, inner if is_config else "")
        return found
    if isinstance(value, list | tuple):
        return type(value)(comparable(item) for item in value)
    if hasattr(value, "get_config") and not isinstance(value, type):
        kind = type(value).__name__
        return {"class_name": kind, "config": comparable(value.get_config(), kind)}
    return plain(value)


def plain(value: Any) -> Any:
    """A number of NumPy's as Python's own; all else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def same(first: Any, second: Any) -> bool:
    """Whether two comparable configs are equal; nan is nan here."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple) and type(first) is type(second):
        return len(first) == len(second) and all(
            same(one, other) for one, other in zip(first, second, strict=True)
        )
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    if hasattr(first, "__array__") or hasattr(second, "__array__"):
        return type(first) is type(second) and _same_arrays(first, second)
    if isinstance(first, int | float) and type(first) is not type(second):
        return False  # 1, 1.0 and true are equal in Python, and not the same in a config
    return bool(first == second)


def _same_arrays(first: Any, second: Any) -> bool:
    import numpy as np  # noqa: PLC0415 - where there is an array, NumPy is loaded

    one, other = np.asarray(first), np.asarray(second)
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
