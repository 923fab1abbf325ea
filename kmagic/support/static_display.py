"""Whether what is shown must be the same each time: ``KMAGIC_DISPLAY=static``."""

from __future__ import annotations

import os

VARIABLE = "KMAGIC_DISPLAY"
STATIC = "static"


def requested_display() -> str:
    """How the variable says that results are to be shown; "" where it says nothing."""
    return os.environ.get(VARIABLE, "").strip().lower()


def is_static() -> bool:
    """Whether to leave out what another run or another machine has otherwise: times, folders.

    Example:
        >>> is_static()
        False
    """
    return requested_display() == STATIC
