"""Read text samples from lists, arrays, tensors and data frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from kmagic.support.data_values import check_has_values
from kmagic.support.errors import DataError

NUMERIC_KINDS = frozenset("biufcmMV")
"""NumPy's kinds of data type that cannot contain text."""


def as_sentences(raw: Any) -> list[str] | None:
    """The sentences in ``raw``, or None if it contains something else.

    It is a sentence; or a list, array, tensor or column of them, or a data frame with one column,
    of shape (n,) or (n, 1). Bytes are decoded as UTF-8.

    Raises:
        DataError: Some values are text and some are not, or bytes are not UTF-8.

    Example:
        >>> as_sentences("a great film"), as_sentences(["good", b"bad"]), as_sentences([1, 2])
        (['a great film'], ['good', 'bad'], None)
    """
    check_has_values(raw)
    if isinstance(raw, str | bytes):
        return [_text(raw, 0)]
    if isinstance(raw, dict):
        return None
    if hasattr(raw, "columns") and hasattr(raw, "iloc"):
        if len(raw.columns) != 1:
            return None
        raw = raw.iloc[:, 0]
    if not isinstance(raw, list | tuple):
        # The type is asked first, so that an array of numbers is not loaded.
        kind = getattr(getattr(raw, "dtype", None), "kind", "")
        if not hasattr(raw, "__array__") or kind in NUMERIC_KINDS:
            return None
        raw = np.asanyarray(raw)  # masked values stay masked
        if raw.dtype.kind in NUMERIC_KINDS or raw.size != (len(raw) if raw.ndim else 1):
            return None
        raw = raw.reshape(-1).tolist()
    if not raw or not any(isinstance(value, str | bytes) for value in raw):
        return None
    return [_text(value, index) for index, value in enumerate(raw)]


def _text(value: Any, index: int) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"The bytes at index {index:,} must be UTF-8; got {error.reason} at byte "
                f"{error.start:,}.",
                'Decode them first: raw.decode("latin-1").',
            ) from error
    if not isinstance(value, str):
        raise DataError(
            f"Every row must be text; the row at index {index:,} is {value!r} "
            f"({type(value).__name__}).",
            "Drop the rows without text, or replace them with empty text.",
        )
    return str(value)
