"""Turn the progress that Keras prints into kmagic's progress bar."""

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
    """A stream that reads the download progress from what is written to it, and drops the rest.

    Args:
        new_progress: Creates the progress for a number of megabytes.
    """

    def __init__(self, new_progress: Callable[[int, str], Progress] = Progress) -> None:
        super().__init__()
        self._new_progress = new_progress
        self._stdout = sys.stdout
        self._progress: Progress | None = None
        self._total = 0

    def write(self, text: str) -> int:
        """Read Keras's output: "1234/170498071 ..."."""
        for done, total in _COUNT.findall(text):
            if int(total) >= SMALL:  # smaller ones finish at once, or are part of a URL
                self._show(int(done), int(total))
        return len(text)

    def finish(self) -> None:
        """Close the progress bar."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def _show(self, done: int, total: int) -> None:
        # A view may print to standard output itself: to the original one.
        with contextlib.redirect_stdout(self._stdout):
            if total != self._total:
                self.finish()
                self._total = total
                self._progress = self._new_progress(max(1, round(total / MEGABYTE)), "MB")
            if self._progress is not None:
                self._progress.advance(done // MEGABYTE - self._progress.done)


@contextlib.contextmanager
def show_download_progress() -> Iterator[None]:
    """Replace the progress that a download prints by a progress bar."""
    stream = ProgressReader()
    try:
        with contextlib.redirect_stdout(stream):
            yield
    finally:
        stream.finish()
