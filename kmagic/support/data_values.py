"""Whether what is passed as data has values, and its shape."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from kmagic.support.errors import DataError
from kmagic.support.memory import require_memory
from kmagic.support.messages import Option, Text


def check_has_values(value: object) -> None:
    """Reject what has attributes of an array but no values, or too many.

    Raises:
        DataError: It is a symbolic tensor of Keras, a module, a class, or a very long range.
    """
    if type(value).__name__ == "KerasTensor":  # without importing Keras
        raise DataError(
            "A symbolic tensor, such as keras.Input(...) or an output of a model, has no values.",
            "Pass an array, a tensor with values or a dataset.",
        )
    if isinstance(value, ModuleType | type):  # numpy.shape is a function
        kind = "module" if isinstance(value, ModuleType) else "class"
        message = f"The {kind} {value.__name__} has no values."
        raise DataError(message, "Pass an array or a dataset.")
    if isinstance(value, range):
        size = 8 * ((value.stop - value.start) // value.step)  # which may be too long for len
        require_memory(size, "The range", "Pass a shorter one.")


def reject_masked(value: Any, option: str) -> None:
    """Reject a masked array with masked values, since NumPy computes with what is below the mask.

    Raises:
        DataError: Some values are masked.
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if np.ma.is_masked(value):
        count = f"{np.ma.getmaskarray(value).sum():,} masked values"
        message = Text(Option(option), f" is a masked array with {count}.")
        raise DataError(message, "Leave out these rows.")


def shape_of_data(value: Any) -> tuple[Any, ...]:
    """The shape of an array or a tensor; () if it is unknown, and for anything else.

    Example:
        >>> import numpy as np
        >>> shape_of_data(np.zeros((2, 3))), shape_of_data([1]), shape_of_data(np)
        ((2, 3), (), ())
    """
    try:
        return tuple(value.shape)
    except (AttributeError, TypeError, ValueError):
        return ()
