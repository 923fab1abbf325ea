"""A file in Keras's cache, and the messages for one that is missing or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmagic.support.keras_cache import keras_home, sha256_of, show_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNREADABLE_REMEDY = (
    "Check that the files are complete and readable and that the disk has free space; kmagic has "
    "not changed them. To download a file again, move the old one to another folder first."
)
"""What to do about files that exist but cannot be read."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file in Keras's cache.

    Attributes:
        name: Its name in the cache.
        url: Where Keras downloads it from.
        sha256: The hash that Keras checks; empty if it checks none, or none is known.
        folder: Folder below Keras's home.
    """

    name: str
    url: str
    sha256: str = ""
    folder: str = "datasets"


def path_of(file: CachedFile) -> Path:
    """Path of a file in the cache, whether it exists or not."""
    return keras_home() / file.folder / file.name


def missing_files_message(
    wrong: Sequence[CachedFile], missing: Sequence[CachedFile], reason: str
) -> str:
    """Explain why files are not available, as the end of a sentence.

    Args:
        wrong: Files that exist and that Keras rejects.
        missing: Files that do not exist.
        reason: Why they cannot be downloaded now.

    Example:
        >>> file = CachedFile("a.npz", "https://example.org/a.npz")
        >>> missing_files_message([], [file], "example.org does not respond")
        "Keras's cache does not contain a.npz, and example.org does not respond"
    """
    parts = []
    for file in wrong:
        path = path_of(file)
        expected = f", expected {file.sha256[:16]}..." if file.sha256 else ""
        parts.append(
            f"{show_path(path)} is not the file that Keras expects "
            f"({path.stat().st_size:,} bytes, sha256 {sha256_of(path)[:16]}...{expected}: "
            "incomplete, or another version; it was not changed)"
        )
    if missing:
        first, more = missing[0].name, len(missing) - 1
        others = f" or {more} more of its files" if more else ""
        parts.append(f"Keras's cache does not contain {first}{others}")
    return ", and ".join([*parts, reason])


def download_remedy(files: Sequence[CachedFile]) -> str:
    """Explain which file goes where, for a machine without a network."""
    steps = []
    for file in files:
        hashed = f"\n    sha256 {file.sha256}" if file.sha256 else ""
        steps.append(f"  {show_path(path_of(file))}\n    from {file.url}{hashed}")
    return (
        "With a network connection, Keras downloads it at the next call. Without one, copy it from "
        f"~/.keras of another machine, or download it there:\n{chr(10).join(steps)}"
    )


def short_download_remedy(files: Sequence[CachedFile]) -> str:
    """The same as one sentence, for a note."""
    steps = []
    for file in files:
        hashed = f" (sha256 {file.sha256[:16]}...)" if file.sha256 else ""
        steps.append(f"{file.url}{hashed} to {show_path(path_of(file))}")
    return (
        "With a network connection, Keras downloads it at the next call; or copy "
        f"{', '.join(steps)}."
    )
