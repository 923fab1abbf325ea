"""Keras's download, so that nobody waits for a silent network and nothing is printed.

Left alone, Keras hangs for as long as the network lets it, and writes its progress into the
notebook as text.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from kmagic.support.downloads.download_progress import show_download_progress
from kmagic.support.keras_cache import is_offline

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_WITHIN = 8.0
STALL_AFTER = 30.0

# Keras tells of a failed download by a plain Exception: "URL fetch failure on URL: CODE -- REASON".
_FAILURE = re.compile(r"URL fetch failure on (?:.* -- (?P<reason>.+))?", re.DOTALL)


class DownloadError(Exception):
    """A file has not come; the message says why, as the end of a sentence."""


@contextmanager
def quick_failure() -> Iterator[None]:
    """Let Keras fetch what it needs, with our progress, and only while something comes.

    Raises:
        NotFetchedError: The download failed or broke off.
    """
    try:
        with _patience(), show_download_progress():
            yield
    except (TimeoutError, ConnectionError, HTTPException) as error:
        said = str(error) or type(error).__name__
        raise DownloadError(f"the download broke off ({said})") from error
    except Exception as error:
        failure = _FAILURE.match(str(error))
        if failure is None:
            raise
        reason = f" ({failure['reason']})" if failure["reason"] else ""
        raise DownloadError(f"the download failed{reason}") from error


def check_reachable(url: str) -> None:
    """Make sure that ``url`` may be asked for and that its server answers.

    Raises:
        NotFetchedError: It may not, or it does not.
    """
    if is_offline():
        raise DownloadError("KMAGIC_OFFLINE is set")
    if not is_reachable(url):
        raise DownloadError(f"{urlsplit(url).netloc} cannot be reached")


def is_reachable(url: str, *, within: float = ANSWER_WITHIN) -> bool:
    """Whether the server of ``url`` answers within so many seconds, whatever it answers.

    A time-out of the socket alone is no limit: a name may resolve slowly, to many addresses.
    """
    answered: list[bool] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=within):  # noqa: S310 - Keras's own address
                answered.append(True)
        except HTTPError:
            answered.append(True)
        except (OSError, HTTPException):
            pass

    asking = threading.Thread(target=ask, name="kmagic-reachable", daemon=True)
    asking.start()
    asking.join(within)
    return bool(answered)


@contextmanager
def _patience() -> Iterator[None]:
    """Give up a download that stalls: Keras sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_AFTER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
