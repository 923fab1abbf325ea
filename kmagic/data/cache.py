"""Keras's cache of data sets, used so that nothing in it is lost, nobody waits and nothing prints.

Left alone, Keras deletes a file whose hash is wrong, hangs for as long as a silent network lets
it, and writes its progress into the notebook as text.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from kmagic.data.fetching import listening
from kmagic.errors import DataError
from kmagic.keras_cache import kept_file, keras_home, offline, sha256_of, show_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kmagic.data.catalogue import CachedFile

T = TypeVar("T")
State: TypeAlias = Literal["missing", "right", "wrong", "unchecked"]

ANSWER_WITHIN = 8.0
STALL_AFTER = 30.0


class NotHereError(Exception):
    """A data set is not in the cache and cannot be fetched now; the message says why."""


def path_of(file: CachedFile) -> Path:
    """Where a file of a data set lies, or would lie."""
    return keras_home() / file.folder / file.name


def state_of(file: CachedFile) -> State:
    """Whether the file is there, and is the one that Keras expects."""
    path = path_of(file)
    if not path.exists():
        return "missing"
    if not file.sha256:
        return "unchecked"
    return "right" if sha256_of(path) == file.sha256 else "wrong"


def reachable(url: str, *, within: float = ANSWER_WITHIN) -> bool:
    """Whether the server of ``url`` answers within so many seconds, whatever it answers.

    A time-out of the socket alone is no limit: a name may resolve slowly, to many addresses.
    """
    answered: list[bool] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=within):  # noqa: S310 - our own table's address
                answered.append(True)
        except HTTPError:
            answered.append(True)
        except (OSError, HTTPException):
            pass

    asking = threading.Thread(target=ask, name="kmagic-reachable", daemon=True)
    asking.start()
    asking.join(within)
    return bool(answered)


def through_keras(files: Sequence[CachedFile], load: Callable[[], T]) -> T:
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
    if wrong or missing:
        url = (wrong + missing)[0].url
        if offline():
            raise NotHereError(_why(wrong, missing, "KMAGIC_OFFLINE is set"))
        if not reachable(url):
            raise NotHereError(_why(wrong, missing, f"{urlsplit(url).netloc} cannot be reached"))
    try:
        with _kept(wrong), _patience(), listening():
            return load()
    except (TimeoutError, ConnectionError) as error:
        raise NotHereError(_why(wrong, missing, f"the download broke off ({error})")) from error
    except OSError as error:
        raise _unreadable(files, error) from error
    except Exception as error:
        if str(error).startswith("URL fetch failure"):
            raise NotHereError(_why(wrong, missing, "the download failed")) from error
        raise _unreadable(files, error) from error


def what_to_do(files: Sequence[CachedFile]) -> str:
    """Which file goes where, for a machine without a network."""
    steps = []
    for file in files:
        hashed = f"\n    sha256 {file.sha256}" if file.sha256 else ""
        steps.append(f"  {show_path(path_of(file))}\n    from {file.url}{hashed}")
    return (
        "With a network, Keras fetches it at the next call. Without, copy from another machine's "
        f"~/.keras, or download there:\n{chr(10).join(steps)}"
    )


def what_to_do_briefly(files: Sequence[CachedFile]) -> str:
    """The same in one sentence, for a note."""
    steps = []
    for file in files:
        hashed = f" (sha256 {file.sha256[:16]}...)" if file.sha256 else ""
        steps.append(f"{file.url}{hashed} goes to {show_path(path_of(file))}")
    return f"Keras fetches it at the next call with a network; by hand, {', '.join(steps)}."


def _why(wrong: list[CachedFile], missing: list[CachedFile], network: str) -> str:
    parts = []
    for file in wrong:
        path = path_of(file)
        parts.append(
            f"{show_path(path)} is not the file that Keras expects "
            f"({path.stat().st_size:,} bytes, sha256 {sha256_of(path)[:16]}..., expected "
            f"{file.sha256[:16]}...: cut off, or another edition; it was left as it is)"
        )
    if missing:
        first, more = missing[0].name, len(missing) - 1
        others = f" (nor {more} more of its files)" if more else ""
        parts.append(f"Keras's cache has no {first}{others}")
    return ", and ".join([*parts, network])


def _unreadable(files: Sequence[CachedFile], error: Exception) -> DataError:
    shown = ", ".join(show_path(path_of(file)) for file in files)
    said = str(error).strip() or type(error).__name__
    return DataError(
        f"Keras could not read {shown}: {said}",
        "Check that the files are whole, may be read, and that the disk has room; kmagic has not "
        "changed them. To have Keras fetch one again, move it away first.",
    )


@contextlib.contextmanager
def _kept(files: list[CachedFile]) -> Iterator[None]:
    """Copies of files that Keras may delete or write over; given back unless it replaced them."""
    with contextlib.ExitStack() as stack:
        for file in files:
            stack.enter_context(kept_file(path_of(file)))
        yield


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Give up a download that stalls: Keras sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_AFTER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
