"""A training run as lines of text: one an epoch, and on a terminal a line that moves."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TextIO

from kmagic.display.training.training_card import closing, heading, line, progress
from kmagic.support.rendering import mark_displayed

if TYPE_CHECKING:
    from kmagic.training.run.training_run import TrainingRun

FEW = 200
PAUSE = 1.0


class Lines:
    """One tidy line an epoch; of more than 200 epochs only one a second, and the last.

    Args:
        stream: Where to write; standard output as it is when the run begins, if not given.
    """

    interval = 0.1

    def __init__(self, stream: TextIO | None = None) -> None:
        self._given = stream
        self._moving = ""
        self._written = -PAUSE
        self._last = ""
        self._told = 0

    @property
    def _stream(self) -> TextIO:
        return self._given or sys.stdout

    def begin(self, run: TrainingRun) -> None:
        """Say what is trained, and what was found before."""
        self._told = 0
        self._write(heading(run))
        self._tell(run)

    def update(self, run: TrainingRun) -> None:
        """Move the moving line, where there is a terminal to move it on."""
        if not self._stream.isatty():
            return
        text = progress(run)[: get_terminal_size().columns - 1]
        blank = " " * max(0, len(self._moving) - len(text))
        self._stream.write(f"\r{text}{blank}")
        self._stream.flush()
        self._moving = text

    def epoch(self, run: TrainingRun) -> None:
        """Write the epoch's line."""
        self._last = line(run.log[-1], run)
        if run.epochs <= FEW or run.now.elapsed >= self._written + PAUSE:
            self._written = run.now.elapsed
            self._write(self._last)
            if run.confusion is not None and run.confusion.epoch == run.log[-1].number:
                self._write(f"  {run.confusion.to_text()}")
            self._last = ""
        self._tell(run)

    def end(self, run: TrainingRun) -> None:
        """Sum up."""
        if self._last:
            self._write(self._last)
        self._tell(run)
        self._write(closing(run))
        mark_displayed(run)

    def _tell(self, run: TrainingRun) -> None:
        """Write the messages that are new; a passing one that another has replaced is left out."""
        new = run.messages[self._told :]
        self._told = len(run.messages)
        for message in new:
            self._write(f"  {message.text}")

    def _write(self, text: str) -> None:
        blank = " " * max(0, len(self._moving) - len(text))
        self._stream.write(f"\r{text}{blank}\n" if self._moving else f"{text}\n")
        self._stream.flush()
        self._moving = ""
