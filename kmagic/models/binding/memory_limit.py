"""Rejects models whose weights do not fit into memory, before they are created."""

from __future__ import annotations

import math
from typing import Any

from kmagic.support.formatting import format_bytes
from kmagic.support.keras_import import keras
from kmagic.support.memory import available_memory

MAX_SHARE = 0.25
"""Of the available memory: training also needs gradients and two averages of each weight."""
_DEFAULT_BYTES = 4


class MemoryLimitError(Exception):
    """Something would take more memory than is available; the message says how much."""


class WeightCounter:
    """Counts the bytes of a model's weights before they are created."""

    def __init__(self) -> None:
        self.size = 0
        self.available = available_memory()

    def add(self, variable: Any) -> None:
        """Count a variable of Keras.

        Raises:
            MemoryLimitError: The weights so far and this one do not fit into memory.
        """
        self.size += array_bytes(variable._shape, variable._dtype)  # noqa: SLF001 - it has no value yet
        if self.available is not None and self.size > MAX_SHARE * self.available:
            raise MemoryLimitError(
                f"would bring the weights to {format_bytes(self.size)}, "
                f"more than a quarter of the available memory, {format_bytes(self.available)}"
            )


def check_array(shape: Any, dtype: Any) -> None:
    """Refuse an array that does not fit into memory.

    Raises:
        MemoryLimitError: With its size.
    """
    size, available = array_bytes(shape, dtype), available_memory()
    if available is not None and size > MAX_SHARE * available:
        raise MemoryLimitError(
            f"would take {format_bytes(size)}, "
            f"more than a quarter of the available memory, {format_bytes(available)}"
        )


def array_bytes(shape: Any, dtype: Any) -> int:
    """The size of an array; an unknown dimension counts as 1."""
    try:
        bits = keras.backend.standardize_dtype(str(getattr(dtype, "name", dtype)))
        digits = "".join(char for char in bits if char.isdigit())
    except ValueError:
        digits = ""
    count: int = math.prod(size or 1 for size in shape)
    return count * (int(digits) // 8 if digits else _DEFAULT_BYTES)
