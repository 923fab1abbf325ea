"""The variable ``KMAGIC_DISPLAY``, and whether it asks for reproducible output."""

from __future__ import annotations

import os

VARIABLE = "KMAGIC_DISPLAY"
STATIC = "static"


def requested_display() -> str:
    """The value of the variable; "" if it is not set."""
    return os.environ.get(VARIABLE, "").strip().lower()


def is_static() -> bool:
    """Whether to leave out what differs between runs and machines: times, folders.

    Example:
        >>> is_static()
        False
    """
    return requested_display() == STATIC
