"""Keras's download, whose progress is told on the standard output, shown as our own."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from typing import TYPE_CHECKING

from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COUNT = re.compile(r"(\d+)/(\d+)")
MEGABYTE, SMALL = 1_000_000, 100_000


class ProgressReader(io.TextIOBase):
    """A stream that keeps what is written to it, but for how far a download is.

    Args:
        make: Makes the progress of so many megabytes.
    """

    def __init__(self, make: Callable[[int, str], Progress] = Progress) -> None:
        super().__init__()
        self._make = make
        self._outside = sys.stdout
        self._progress: Progress | None = None
        self._total = 0

    def write(self, text: str) -> int:
        """Take what Keras says: "1234/170498071 ..."."""
        for done, total in _COUNT.findall(text):
            if int(total) >= SMALL:  # what is smaller is soon there, or a part of an address
                self._show(int(done), int(total))
        return len(text)

    def finish(self) -> None:
        """Take the view away."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def _show(self, done: int, total: int) -> None:
        # A view may write to the standard output itself: to the one outside.
        with contextlib.redirect_stdout(self._outside):
            if total != self._total:
                self.finish()
                self._total = total
                self._progress = self._make(max(1, round(total / MEGABYTE)), "MB")
            if self._progress is not None:
                self._progress.advance(done // MEGABYTE - self._progress.done)


@contextlib.contextmanager
def show_download_progress() -> Iterator[None]:
    """Keep the standard output, and show how far a download is that tells of itself there."""
    stream = ProgressReader()
    try:
        with contextlib.redirect_stdout(stream):
            yield
    finally:
        stream.finish()
