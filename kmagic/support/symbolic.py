"""Symbolic tensors of Keras where data is expected."""

from __future__ import annotations

from kmagic.support.errors import DataError


def check_has_values(value: object) -> None:
    """Reject the input or output of a model, which has no values.

    Raises:
        DataError: It is a symbolic tensor.
    """
    if type(value).__name__ == "KerasTensor":  # without importing Keras
        raise DataError(
            "A symbolic tensor, such as keras.Input(...) or an output of a model, has no values.",
            "Pass an array, a tensor with values or a dataset.",
        )
