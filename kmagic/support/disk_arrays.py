"""Arrays in temporary files, for data larger than memory.

Such an array is a ``numpy.memmap``: it is used like any other, and the system reads and drops its
pages as it needs memory. Its file has no name, so the space is free again when the last array that
uses it is gone, however the process ends.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes
from kmagic.support.messages import Text
from kmagic.support.progress import Progress

CHUNK_BYTES = 2**22
"""Bytes of rows that are in memory at a time."""
MIN_FREE = 2**28
"""Bytes that stay free on the disk."""
GROUPED_CHUNKS = 4
"""Chunks of rows that are arranged in memory."""
_OTHER_DISK = "Free some space, or set the environment variable TMPDIR to a folder on another disk."


def disk_folder() -> Path:
    """The folder for arrays: ``TMPDIR``, or /var/tmp, because /tmp may be in memory."""
    usual = Path("/var/tmp")  # noqa: S108 - files without a name
    if "TMPDIR" not in os.environ and os.access(usual, os.W_OK):
        return usual
    return Path(tempfile.gettempdir())


def require_disk(size: int, subject: str, remedy: str | Text = "") -> None:
    """Reject what does not fit on the disk."""
    folder = disk_folder()
    free = shutil.disk_usage(folder).free
    if size + MIN_FREE > free:
        raise DataError(
            f"{subject} would take {format_bytes(size)} on disk, but only {format_bytes(free)} are "
            f"free in {folder}.",
            Text.join(" ", filter(None, (_OTHER_DISK, remedy))),
        )


def disk_array(shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap[Any, Any]:
    """An array of zeros in a file whose space is reserved.

    Raises:
        DataError: The disk has too little space.

    Example:
        >>> rows = disk_array((2, 3), "uint8")
        >>> rows[1] = 7
        >>> rows.sum().item(), is_on_disk(rows[1:]), is_on_disk(rows + 1)
        (21, True, False)
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    require_disk(size, "The data")
    with explain_disk_errors(), tempfile.TemporaryFile(dir=disk_folder()) as file:
        if size and hasattr(os, "posix_fallocate"):  # a write to a full disk would end the process
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+" if size else "w+", shape=shape)


@contextmanager
def explain_disk_errors() -> Iterator[None]:
    """Turn errors of the disk, or of mapping a file, into messages for the user."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The data cannot be kept in {disk_folder()}: {error.strerror or error}.", _OTHER_DISK
        ) from error


def mapped_file(array: Any) -> np.memmap[Any, Any] | None:
    """The mapped file that an array is, or is a view of, as a whole; None if there is none."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array._mmap, mmap.mmap):  # type: ignore[attr-defined] # noqa: SLF001 - has no other name
            found = array
        array = array.base
    return found


def is_on_disk(array: Any) -> bool:
    """Whether an array is in a file, not in memory."""
    return mapped_file(array) is not None


def release(array: Any) -> None:
    """Remove an array's pages from the memory of this process; the file keeps what was written."""
    file = mapped_file(array)
    # Of a copy-on-write file, changes would be lost.
    if file is not None and file.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        file._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined] # noqa: SLF001 - has no other name


def row_chunks(x: Any, row_bytes: int | None = None) -> Iterator[Any]:
    """The rows of an array, a few megabytes at a time; ``row_bytes`` is the size of a row."""
    rows = max(1, CHUNK_BYTES // max(1, x[:1].nbytes if row_bytes is None else row_bytes))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
        release(x)


def convert_rows(
    x: Any,
    function: Callable[[Any], NDArray[Any]],
    *,
    row_bytes: int | None = None,
    unit: str = "rows prepared",
) -> NDArray[Any]:
    """What a function makes of rows, as an array on disk.

    Args:
        x: The rows: an array, or anything of known length that can be sliced.
        function: It gets some of the rows, and returns as many.
        row_bytes: The memory that a row takes meanwhile; by default that of the row in ``x``.
        unit: What is counted while it takes long.

    Example:
        >>> convert_rows(np.arange(5), lambda rows: rows * 2.0, row_bytes=2**22).tolist()
        [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    result, done = None, 0
    with Progress(len(x), unit) as progress:
        for chunk in row_chunks(x, row_bytes):
            rows = function(chunk)
            if result is None:
                result = disk_array((len(x), *rows.shape[1:]), rows.dtype)
            result[done : done + len(rows)] = rows
            release(result)
            done += len(rows)
            progress.advance(len(rows))
    return function(x) if result is None else result


def scatter_rows(
    chunks: Iterable[tuple[NDArray[np.intp], NDArray[Any]]], count: int
) -> NDArray[Any]:
    """Rows on disk, each at its place.

    They are written near their place first, and then arranged some megabytes at a time: a disk
    takes long to write single rows anywhere.

    Args:
        chunks: Places, and the rows for them; all places together are 0 to ``count`` - 1.
        count: Number of rows.

    Example:
        >>> chunks = [(np.array([2, 0]), np.array([5.0, 3.0])), (np.array([1]), np.array([4.0]))]
        >>> scatter_rows(chunks, 3).tolist()
        [3.0, 4.0, 5.0]
    """
    result = places = ends = None
    size = 1
    with Progress(count, "rows prepared") as progress:
        for where, rows in chunks:
            if result is None or places is None or ends is None:
                result = disk_array((count, *rows.shape[1:]), rows.dtype)
                places = disk_array((count,), np.int64)
                size = max(1, GROUPED_CHUNKS * CHUNK_BYTES // max(1, rows[:1].nbytes))
                ends = np.arange(0, count, size)
            order = np.argsort(where // size, kind="stable")
            groups, first = np.unique(where[order] // size, return_index=True)
            for group, members in zip(groups, np.split(order, first[1:]), strict=True):
                rows_of_group = slice(ends[group], ends[group] + len(members))
                result[rows_of_group], places[rows_of_group] = rows[members], where[members]
                ends[group] += len(members)
            release(result)
            release(places)
            progress.advance(len(rows))
    if result is None or places is None:
        raise ValueError("scatter_rows needs at least one chunk")
    for start in range(0, count, size):
        group = slice(start, start + size)
        result[group] = result[group][np.argsort(places[group])]
        release(result)
    return result
