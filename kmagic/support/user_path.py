"""Paths as users write them: ``~`` is expanded, and what cannot be a path is refused."""

from __future__ import annotations

import os
from pathlib import Path

from kmagic.support.errors import KmagicError

MAX_PART = 255
"""Bytes of a file's or folder's name; the limit of the usual file systems."""
MAX_PATH = 4095
"""Bytes of a whole path."""


def user_path(name: str | os.PathLike[str]) -> Path:
    """The path that a user names.

    Raises:
        KmagicError: It cannot be a path: it is too long, contains a zero character, or begins with
            ``~`` and an unknown user.

    Example:
        >>> user_path("models/cnn.keras").name
        'cnn.keras'
    """
    text = os.fspath(name)
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise KmagicError(
            "A path must be valid text; it contains half of a surrogate pair."
        ) from None
    if b"\0" in encoded:
        raise KmagicError("A path must not contain a zero character.")
    longest = max(map(len, encoded.split(os.fsencode(os.sep))))
    if longest > MAX_PART or len(encoded) > MAX_PATH:
        raise KmagicError(
            f"A name in a path must have at most {MAX_PART} bytes, and a path {MAX_PATH:,}; got "
            f"{longest:,} and {len(encoded):,}.",
            "Use a shorter name.",
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.split(os.sep, maxsplit=1)[0]
        raise KmagicError(
            f"{user} must be the home folder of a user; there is no such user.",
            "Check the user's name, or write the whole path.",
        ) from None
