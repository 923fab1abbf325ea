"""Keras's cache of data sets, used so that nothing in it is lost.

Left alone, Keras deletes a file whose hash is wrong.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from kmagic.support.downloads import (
    UNREADABLE_REMEDY,
    DownloadError,
    check_reachable,
    missing_files_message,
    path_of,
    quick_failure,
)
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import backup_file, sha256_of, show_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kmagic.support.downloads import CachedFile

T = TypeVar("T")
State: TypeAlias = Literal["missing", "right", "wrong", "unchecked"]


class NotHereError(Exception):
    """A data set is not in the cache and cannot be fetched now; the message says why."""


def state_of(file: CachedFile) -> State:
    """Whether the file is there, and is the one that Keras expects."""
    path = path_of(file)
    if not path.exists():
        return "missing"
    if not file.sha256:
        return "unchecked"
    return "right" if sha256_of(path) == file.sha256 else "wrong"


def load_through_keras(files: Sequence[CachedFile], load: Callable[[], T]) -> T:
    """Run one of Keras's loaders.

    Args:
        files: What it reads, or fetches if it must.
        load: The loader.

    Raises:
        NotHereError: If a file is missing or wrong and cannot be fetched.
        DataError: If a file is there and cannot be read, or the disk is full.
    """
    try:
        states = {file: state_of(file) for file in files}
    except OSError as error:
        raise _unreadable(files, error) from error
    wrong = [file for file, state in states.items() if state == "wrong"]
    missing = [file for file, state in states.items() if state == "missing"]
    try:
        if wrong or missing:
            check_reachable((wrong + missing)[0].url)
        with _kept(wrong), quick_failure():
            return load()
    except DownloadError as error:
        raise NotHereError(missing_files_message(wrong, missing, str(error))) from error
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(files, error) from error


def _unreadable(files: Sequence[CachedFile], error: Exception) -> DataError:
    shown = ", ".join(show_path(path_of(file)) for file in files)
    said = str(error).strip() or type(error).__name__
    return DataError(f"Keras could not read {shown}: {said}", UNREADABLE_REMEDY)


@contextmanager
def _kept(files: list[CachedFile]) -> Iterator[None]:
    """Copies of files that Keras may delete or write over; given back unless it replaced them."""
    with ExitStack() as stack:
        for file in files:
            stack.enter_context(backup_file(path_of(file)))
        yield
