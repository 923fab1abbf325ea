"""The arrays that data consist of: one, or one for each of several inputs or outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parts_of(what: str, values: Any, model: Any, side: str) -> dict[str, Any]:
    """The arrays of a structure by what one writes for each: "x", "x['left']", "x[0]".

    Args:
        what: "x" or "y".
        values: What the user gave.
        model: The model.
        side: "inputs" or "outputs": of several of these a list has an entry each.
    """
    tensors: list[Any] = list(getattr(model, side, None) or ())
    if isinstance(values, Mapping):
        found = {f"{what}[{key!r}]": array_of(part) for key, part in values.items()}
    elif _is_list_of_arrays(values) and len(tensors) > 1:
        found = {f"{what}[{place}]": array_of(part) for place, part in enumerate(values)}
    elif _is_list_of_arrays(values) and len(values) == len(tensors):
        alone = values[0].ndim == len(tensors[0].shape)  # else a list of one sample
        found = {what: array_of(values[0] if alone else values)}
    else:
        found = {what: array_of(values)}
    return {key: array for key, array in found.items() if array is not None}


def _is_list_of_arrays(values: Any) -> bool:
    is_list = isinstance(values, list | tuple) and bool(values)
    return is_list and all(hasattr(each, "ndim") for each in values)


def array_of(values: Any) -> Any:
    """An array as it is, or None for all that is none; a list of numbers is one."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if isinstance(values, list):
        try:
            values = np.asarray(values)
        except ValueError:  # rows of different length
            return None
    if not hasattr(values, "__array__") or not hasattr(values, "shape"):
        return None
    array = np.asarray(values)
    return array if array.ndim and array.size else None
