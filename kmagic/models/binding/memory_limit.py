"""Rejects models whose weights do not fit into memory, before they are created."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from kmagic.support.formatting import format_bytes
from kmagic.support.memory import available_memory

MAX_SHARE = 1 / 8
"""Of the available memory: training also needs gradients, two averages of each weight, and as much
again to compute them."""
_ALWAYS_FREE = 10_000_000
"""Bytes of weights from which on the memory is looked up."""
_PREVIEW_SHARE = MAX_SHARE / 8
"""Of the available memory: larger weights are created only after all weights were counted."""
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
    """Counts the bytes of a model's weights before they are created.

    Args:
        preview: Counts all weights here without creating them, and raises an error if they do not
            fit; called once, when the weights become large.
    """

    def __init__(self, preview: Callable[[], None] | None = None) -> None:
        self.size = 0
        self.is_exceeded = False
        self.available: int | None = None
        self.preview = preview

    def add(self, shape: Any, dtype: Any) -> None:
        """Count a variable of Keras.

        Raises:
            StepError: The weights so far and this one do not fit into memory; without a message if
                this is known already.
        """
        self.size += array_bytes(shape, dtype)
        if self.is_exceeded:
            raise StepError("", "")
        if self.size <= _ALWAYS_FREE:
            return
        self.available = self.available or available_memory()
        if self.preview is not None and self.size > _PREVIEW_SHARE * self.available:
            preview, self.preview, before = self.preview, None, self.size
            self.size = 0
            preview()
            self.size, self.is_exceeded = before, False
        try:
            _check(self.size, self.available, "would bring the weights to")
        except StepError:
            self.is_exceeded = True
            raise


def check_array(shape: Any, dtype: Any) -> None:
    """Refuse an array that does not fit into memory.

    Raises:
        StepError: With its size.
    """
    _check(array_bytes(shape, dtype), available_memory(), "would take")


def _check(size: int, available: int, verb: str) -> None:
    if size > MAX_SHARE * available:
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
