"""Downloads by Keras, with a time limit and with kmagic's progress bar.

Keras itself waits without a limit and prints its progress as text.
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

CONNECT_TIMEOUT = 8.0
STALL_TIMEOUT = 30.0

# Keras raises a plain Exception for it: "URL fetch failure on URL: CODE -- REASON".
_FAILURE = re.compile(r"URL fetch failure on (?:.* -- (?P<reason>.+))?", re.DOTALL)


class DownloadError(Exception):
    """A download failed; the message says why, as the end of a sentence."""


@contextmanager
def quick_failure() -> Iterator[None]:
    """Let Keras download files with kmagic's progress bar, and fail if the transfer stalls.

    Raises:
        DownloadError: The download failed or was interrupted.
    """
    try:
        with _stall_timeout(), show_download_progress():
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
    """Check that downloads are allowed and that the server of ``url`` responds.

    Raises:
        DownloadError: They are not, or it does not.
    """
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


@contextmanager
def _stall_timeout() -> Iterator[None]:
    """Abort a download that stalls: Keras sets no limit itself."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
