"""Containers that are nested too deeply to be data, or contain themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kmagic.support.errors import DataError


@contextmanager
def reject_deep_nesting() -> Iterator[None]:
    """Say what is wrong where a structure of data cannot be walked to its end.

    Raises:
        DataError: It is nested too deeply.
    """
    try:
        yield
    except RecursionError as error:
        raise DataError(
            "The data is nested too deeply, or contains itself.",
            "Pass an array, or a list or dictionary of arrays.",
        ) from error
