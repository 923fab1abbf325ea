"""Sentences, in whatever they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from kmagic.support.errors import DataError

NUMBERS = frozenset("biufcmMV")


def as_sentences(raw: Any) -> list[str] | None:
    """The sentences in what was given, or None where it holds none.

    Args:
        raw: A sentence; or a list, an array, a tensor, a column of a data frame, or a data frame
            of one column of them, of shape (n,) or (n, 1). Bytes are read as UTF-8.

    Raises:
        DataError: Some are sentences and some are not.

    Example:
        >>> as_sentences("a great film"), as_sentences(["good", b"bad"]), as_sentences([1, 2])
        (['a great film'], ['good', 'bad'], None)
    """
    if isinstance(raw, str | bytes):
        return [_text(raw, 0)]
    if isinstance(raw, dict):
        return None
    if hasattr(raw, "columns") and hasattr(raw, "iloc"):
        if len(raw.columns) != 1:
            return None
        raw = raw.iloc[:, 0]
    if not isinstance(raw, list | tuple | np.ndarray):
        if not hasattr(raw, "__array__") or _kind(raw) in NUMBERS:
            return None
        raw = np.asarray(raw)
    if isinstance(raw, np.ndarray):
        if raw.dtype.kind in NUMBERS:
            return None
        if raw.size != (len(raw) if raw.ndim else 1):
            return None
        raw = raw.reshape(-1).tolist()
    if not raw or not any(isinstance(each, str | bytes) for each in raw):
        return None
    return [_text(each, place) for place, each in enumerate(raw)]


def _kind(raw: Any) -> str:
    """NumPy's letter for what an array holds, asked before a file is read for it."""
    return str(getattr(getattr(raw, "dtype", None), "kind", ""))


def _text(value: Any, place: int) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"Text {place:,} (from 0) is bytes that are not UTF-8: {error.reason} at byte "
                f"{error.start:,}.",
                'Decode it first, as in raw.decode("latin-1").',
            ) from error
    if not isinstance(value, str):
        raise DataError(
            f"Expected a text in every row; row {place:,} (from 0) is {value!r}, "
            f"{type(value).__name__}.",
            "Leave out the rows without a text, or give them an empty one.",
        )
    return str(value)
