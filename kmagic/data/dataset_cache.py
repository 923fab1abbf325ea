"""Keras's cache of data sets, used so that no file in it is lost.

Keras itself deletes a file whose hash is wrong.
"""

from __future__ import annotations

from contextlib import ExitStack
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
    from collections.abc import Callable, Sequence

    from kmagic.support.downloads import CachedFile

T = TypeVar("T")
FileState: TypeAlias = Literal["missing", "right", "wrong", "unchecked"]


class NotCachedError(Exception):
    """A data set is not in the cache and cannot be downloaded now; the message says why."""


def state_of(file: CachedFile) -> FileState:
    """Whether the file exists, and is the one that Keras expects."""
    path = path_of(file)
    if not path.exists():
        return "missing"
    if not file.sha256:
        return "unchecked"
    return "right" if sha256_of(path) == file.sha256 else "wrong"


def load_through_keras(files: Sequence[CachedFile], load: Callable[[], T]) -> T:
    """Run one of Keras's loaders; without a network it is not called where files are missing."""
    try:
        states = {file: state_of(file) for file in files}
        wrong = [file for file, state in states.items() if state == "wrong"]
        missing = [file for file, state in states.items() if state == "missing"]
        if wrong or missing:
            check_reachable((wrong + missing)[0].url)
        with ExitStack() as backups, quick_failure():
            for file in wrong:
                backups.enter_context(backup_file(path_of(file)))
            return load()
    except DownloadError as error:
        raise NotCachedError(missing_files_message(wrong, missing, str(error))) from error
    except DataError:
        raise
    except Exception as error:
        paths = ", ".join(show_path(path_of(file)) for file in files)
        reason = str(error).strip() or type(error).__name__
        raise DataError(f"Keras could not read {paths}: {reason}", UNREADABLE_REMEDY) from error
