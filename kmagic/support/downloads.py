"""Files that Keras downloads into its cache, with a time limit and with kmagic's progress bar.

Keras itself waits without a limit and prints its progress as text.
"""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from kmagic.support.keras_cache import is_offline, keras_home, sha256_of, show_path
from kmagic.support.process_patches import socket_timeout
from kmagic.support.progress import Progress

CONNECT_TIMEOUT = 8.0
STALL_TIMEOUT = 30.0

# Keras raises a plain Exception for it: "URL fetch failure on URL: CODE -- REASON".
_FAILURE = re.compile(r"URL fetch failure on (?:.* -- (?P<reason>.+))?", re.DOTALL)


class DownloadError(Exception):
    """A download failed; the message says why, as the end of a sentence."""


@contextmanager
def quick_failure() -> Iterator[None]:
    """Let Keras download files with kmagic's progress bar; raise DownloadError if that fails."""
    try:
        with socket_timeout(STALL_TIMEOUT), show_download_progress():
            yield
    except (TimeoutError, ConnectionError, HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise DownloadError(f"the download was interrupted ({reason})") from error
    except Exception as error:
        failure = _FAILURE.match(str(error))
        if failure is None:
            raise
        reason = f" ({failure['reason']})" if failure["reason"] else ""
        raise DownloadError(f"the download failed{reason}") from error


def check_reachable(url: str) -> None:
    """Raise DownloadError unless downloads are allowed and the server of ``url`` responds."""
    if is_offline():
        raise DownloadError("KMAGIC_OFFLINE is set")
    if not is_reachable(url):
        raise DownloadError(f"{urlsplit(url).netloc} does not respond")


def is_reachable(url: str, *, timeout: float = CONNECT_TIMEOUT) -> bool:
    """Whether the server of ``url`` responds within ``timeout`` seconds, with any status.

    The timeout of the socket alone is not enough: name resolution can be slow and return many
    addresses.
    """
    responses: list[bool] = []

    def request() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=timeout):  # noqa: S310 - Keras's own address
                responses.append(True)
        except HTTPError:
            responses.append(True)
        except (OSError, HTTPException):
            pass

    thread = threading.Thread(target=request, name="kmagic-reachable", daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(responses)


_COUNT = re.compile(r"(\d+)/(\d+)")
MEGABYTE, SMALL = 1_000_000, 100_000


class ProgressReader(io.TextIOBase):
    """A stream that reads the download progress from what is written to it, and drops the rest."""

    def __init__(self, new_progress: Callable[[int, str], Progress] = Progress) -> None:
        super().__init__()
        self._new_progress = new_progress
        self._stdout = sys.stdout
        self._bar = ExitStack()
        self._progress: Progress
        self._total = 0
        self._is_finished = False

    def write(self, text: str) -> int:
        """Read Keras's output: "1234/170498071 ..."."""
        for done, total in _COUNT.findall(text):
            # Smaller ones finish at once, or are part of a URL.
            if int(total) >= SMALL and not self._is_finished:
                self._show(int(done), int(total))
        return len(text)

    def finish(self) -> None:
        """Close the progress bar. What kept this stream may go on writing to it: it is dropped."""
        self._bar.close()
        self._is_finished = True

    def _show(self, done: int, total: int) -> None:
        # A view may print to standard output itself: to the original one.
        with redirect_stdout(self._stdout):
            if total != self._total:
                self._bar.close()
                self._total = total
                progress = self._new_progress(max(1, round(total / MEGABYTE)), "MB")
                self._progress = self._bar.enter_context(progress)
            self._progress.advance(done // MEGABYTE - self._progress.done)


@contextmanager
def show_download_progress() -> Iterator[None]:
    """Replace the progress that a download prints by a progress bar."""
    stream = ProgressReader()
    try:
        with redirect_stdout(stream):
            yield
    finally:
        stream.finish()


UNREADABLE_REMEDY = (
    "Check that the files are complete and readable and that the disk has free space; kmagic has "
    "not changed them. To download a file again, move the old one to another folder first."
)
"""What to do about files that exist but cannot be read."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file that Keras downloads into a folder below its home."""

    name: str
    url: str
    sha256: str = ""  # that Keras checks; empty if it checks none, or none is known
    folder: str = "datasets"


def path_of(file: CachedFile) -> Path:
    """Path of a file in the cache, whether it exists or not."""
    return keras_home() / file.folder / file.name


def missing_files_message(
    wrong: Sequence[CachedFile], missing: Sequence[CachedFile], reason: str
) -> str:
    """Explain why files are not available, as the end of a sentence.

    Keras rejects the ``wrong`` files; ``reason`` says why files cannot be downloaded now.

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
