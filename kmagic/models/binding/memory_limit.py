"""Rejects models whose weights do not fit into memory, before they are created."""

from __future__ import annotations

import math
import re
from typing import Any

from kmagic.support.formatting import format_bytes
from kmagic.support.memory import available_memory

MAX_SHARE = 1 / 8
"""Of the available memory: training also needs gradients, two averages of each weight, and as much
again to compute them."""
_ALWAYS_FREE = 10_000_000
"""Bytes of weights from which on the memory is looked up."""
_ENOUGH = 10**18
"""Bytes; larger sizes need not be told apart, and could not be shown."""


class StepError(Exception):
    """A step cannot be built; the message continues the line of the caret.

    Args:
        message: What is wrong.
        remedy: What to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class WeightCounter:
    """Counts the bytes of a model's weights before they are created."""

    def __init__(self) -> None:
        self.size = 0
        self.available: int | None = None

    def add(self, variable: Any) -> None:
        """Count a variable of Keras.

        Raises:
            StepError: The weights so far and this one do not fit into memory.
        """
        self.size += array_bytes(variable._shape, variable._dtype)  # noqa: SLF001 - it has no value yet
        if self.size > _ALWAYS_FREE:
            self.available = self.available or available_memory()
            _check(self.size, self.available, "would bring the weights to")


def check_array(shape: Any, dtype: Any) -> None:
    """Refuse an array that does not fit into memory.

    Raises:
        StepError: With its size.
    """
    _check(array_bytes(shape, dtype), available_memory(), "would take")


def _check(size: int, available: int | None, verb: str) -> None:
    if available is not None and size > MAX_SHARE * available:
        raise StepError(
            f"{verb} {format_bytes(size)}, "
            f"more than an eighth of the available memory, {format_bytes(available)}",
            "Use smaller sizes.",
        )


def array_bytes(shape: Any, dtype: Any) -> int:
    """The size of an array; an unknown dimension counts as 1."""
    digits = re.sub(r"\D", "", str(getattr(dtype, "name", dtype)))
    count: int = math.prod(size or 1 for size in shape) * (int(digits or 32) // 8 or 1)
    return min(count, _ENOUGH)
