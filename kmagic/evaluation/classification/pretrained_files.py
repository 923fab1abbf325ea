"""Weights and class names that Keras keeps in a folder of the user's, or fetches into it."""

from __future__ import annotations

import os
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kmagic.support.downloads.cached_file import (
    UNREADABLE_REMEDY,
    CachedFile,
    download_remedy,
    missing_files_message,
    path_of,
)
from kmagic.support.downloads.network import DownloadError, check_reachable, quick_failure
from kmagic.support.errors import EvaluationError
from kmagic.support.keras_cache import backup_file, keras_home, show_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FOLDER = "models"


@contextmanager
def through_keras(what: str) -> Iterator[None]:
    """Let Keras read from its cache, or fetch; say which file goes where if it cannot.

    Args:
        what: What is read, as the first words of the message: "The weights of VGG16".

    Raises:
        EvaluationError: It is not there and cannot be fetched, or cannot be read.
        DataError: A file would be deleted, and there is no room for a copy.
    """
    asked: list[tuple[CachedFile, bool]] = []  # what Keras fetches, and whether it was there
    try:
        with ExitStack() as kept:

            def keep(url: str) -> None:
                """Keep what is there: Keras writes into it, or deletes it if nothing comes."""
                file = CachedFile(PurePosixPath(urlsplit(url).path).name, url, folder=_FOLDER)
                path = path_of(file)
                asked.append((file, path.exists()))
                kept.enter_context(_second_name(path))
                check_reachable(url)
                if path.exists():
                    kept.enter_context(backup_file(path))

            with quick_failure(), _before_fetching(keep):
                yield
    except DownloadError as error:
        raise _not_here(what, asked, str(error)) from error
    except Exception as error:
        if not isinstance(error, OSError) and not str(error).startswith("Incomplete or corrupted"):
            raise
        where = path_of(asked[-1][0]) if asked else keras_home() / _FOLDER
        said = f"{what} could not be read from {show_path(where)}: {error}"
        raise EvaluationError(said, UNREADABLE_REMEDY) from error


def _not_here(what: str, asked: list[tuple[CachedFile, bool]], reason: str) -> EvaluationError:
    if not asked:
        return EvaluationError(
            f"{what} cannot be loaded: {reason}.",
            "With a network Keras fetches them once. Without one, put the file into "
            f"{show_path(keras_home() / _FOLDER)}.",
        )
    file, was_there = asked[-1]
    wrong, missing = ([file], []) if was_there else ([], [file])
    said = f"{what} cannot be loaded: {missing_files_message(wrong, missing, reason)}."
    return EvaluationError(said, download_remedy([file]))


@contextmanager
def _second_name(file: Path) -> Iterator[None]:
    """Keep a file that is only deleted: a second name costs nothing."""
    other = file.with_name(f".{file.name}.{os.getpid()}.kept")
    with suppress(OSError):  # there is no file, or its disk knows no second names
        os.link(file, other, follow_symlinks=False)
    try:
        yield
    finally:
        if os.path.lexists(file):
            other.unlink(missing_ok=True)
        elif os.path.lexists(other):
            other.rename(file)


@contextmanager
def _before_fetching(look: Callable[[str], None]) -> Iterator[None]:
    """Show every address to ``look`` before it is fetched; Keras does so by ``urllib``."""

    class Look(urllib.request.BaseHandler):
        handler_order = 0  # before all others

        def default_open(self, request: urllib.request.Request) -> None:
            # Neither where an address leads on to, nor the question whether its server answers.
            if request.get_method() == "GET" and not request.unverifiable:
                look(request.full_url)

    before = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(urllib.request.build_opener(Look))
    try:
        yield
    finally:
        urllib.request.install_opener(before)
