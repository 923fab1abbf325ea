"""A file in Keras's cache: where it lies, and what to tell of it where it cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmagic.support.keras_cache import keras_home, sha256_of, show_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOK_AT_THEM = (
    "Check that the files are whole, may be read, and that the disk has room; kmagic has not "
    "changed them. To have Keras fetch one again, move it away first."
)
"""What to do about files that are there and cannot be read."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file in Keras's cache.

    Attributes:
        name: As Keras stores it.
        url: Where Keras fetches it.
        sha256: What Keras checks; empty where Keras takes any file, or the hash is not known.
        folder: Below Keras's home.
    """

    name: str
    url: str
    sha256: str = ""
    folder: str = "datasets"


def path_of(file: CachedFile) -> Path:
    """Where a file lies, or would lie."""
    return keras_home() / file.folder / file.name


def missing_files_message(
    wrong: Sequence[CachedFile], missing: Sequence[CachedFile], reason: str
) -> str:
    """Why files cannot be had, as the end of a sentence.

    Args:
        wrong: Files that are there and that Keras does not take.
        missing: Files that are not there.
        reason: Why they cannot be fetched now.

    Example:
        >>> missing_files_message([], [CachedFile("a.npz", "https://example.org/a.npz")], "nobody answers")
        "Keras's cache has no a.npz, and nobody answers"
    """
    parts = []
    for file in wrong:
        path = path_of(file)
        expected = f", expected {file.sha256[:16]}..." if file.sha256 else ""
        parts.append(
            f"{show_path(path)} is not the file that Keras expects "
            f"({path.stat().st_size:,} bytes, sha256 {sha256_of(path)[:16]}...{expected}: "
            "cut off, or another edition; it was left as it is)"
        )
    if missing:
        first, more = missing[0].name, len(missing) - 1
        others = f" (nor {more} more of its files)" if more else ""
        parts.append(f"Keras's cache has no {first}{others}")
    return ", and ".join([*parts, reason])


def download_remedy(files: Sequence[CachedFile]) -> str:
    """Which file goes where, for a machine without a network."""
    steps = []
    for file in files:
        hashed = f"\n    sha256 {file.sha256}" if file.sha256 else ""
        steps.append(f"  {show_path(path_of(file))}\n    from {file.url}{hashed}")
    return (
        "With a network, Keras fetches it at the next call. Without, copy from another machine's "
        f"~/.keras, or download there:\n{chr(10).join(steps)}"
    )


def short_download_remedy(files: Sequence[CachedFile]) -> str:
    """The same in one sentence, for a note."""
    steps = []
    for file in files:
        hashed = f" (sha256 {file.sha256[:16]}...)" if file.sha256 else ""
        steps.append(f"{file.url}{hashed} goes to {show_path(path_of(file))}")
    return f"Keras fetches it at the next call with a network; by hand, {', '.join(steps)}."
