"""The displays of a running training, except the live widget: log lines and static cards."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import Any, TextIO

from kmagic.display.kit.card import Bundle
from kmagic.display.training import training_card
from kmagic.display.training.live_view import LiveView
from kmagic.support.display_mode import DisplayMode, display_mode
from kmagic.support.formatting import escape_control_characters
from kmagic.support.rendering import display_bundle, display_in_cell, mark_displayed
from kmagic.training.run.training_run import Display, TrainingRun

MAX_LOGGED_EPOCHS = 200
LOG_INTERVAL = 1.0
"""Seconds between two lines of a run with more epochs."""


def displays_for(mode: DisplayMode | None = None) -> list[Display]:
    """The displays for the current environment, or for a display mode."""
    match mode or display_mode():
        case "widget":
            return [LiveView()]
        case "html":
            return [UpdatedCard()]
        case "log":
            return [LogLines(), FinalCard()]
        case "text":
            return [LogLines()]
        case "static":
            return [FinalCard(times=False)]
        case _:
            return []


class UpdatedCard(Display):
    """The card, replaced twice a second."""

    interval = 0.5
    _handle: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether the card is in the output."""
        return self._handle is not None

    def prepare(self, run: TrainingRun) -> None:
        """Show the card in the running cell; a further run is shown in its place."""
        if self.is_shown:
            self.update(run)
        else:
            card = training_card.training_bundle(run)
            self._handle = display_in_cell(card, raw=True, display_id=True)

    def replace(self, card: Bundle) -> None:
        """Show a card in the output."""
        self._handle.update(card, raw=True)

    def discard(self, run: TrainingRun) -> None:  # noqa: ARG002 - of this run
        """Remove the card from the output."""
        self.replace({})

    def update(self, run: TrainingRun) -> None:
        """Replace it."""
        self.replace(training_card.training_bundle(run))

    def end(self, run: TrainingRun) -> None:
        """Replace it for the last time."""
        self.update(run)
        mark_displayed(run)


class FinalCard(Display):
    """The card at the end."""

    def __init__(self, *, times: bool = True) -> None:
        self._times = times

    def end(self, run: TrainingRun) -> None:
        """Show the card."""
        display_bundle(training_card.training_bundle(run, times=self._times))
        mark_displayed(run)


class LogLines(Display):
    """One line per epoch, and on a terminal a line that is updated in place.

    Of more than 200 epochs only one line per second is written, and the last.
    """

    interval = 0.1

    def __init__(self, stream: TextIO | None = None) -> None:
        self._given_stream = stream
        self._moving_line = ""
        self._written_at = -LOG_INTERVAL
        self._unwritten = ""
        self._messages_written = 0

    @property
    def _stream(self) -> TextIO:
        return self._given_stream or sys.stdout

    def begin(self, run: TrainingRun) -> None:
        """Write the heading and the messages of the checks."""
        self._messages_written = 0
        self._write(training_card.heading_line(run))
        self._write_messages(run)

    def update(self, run: TrainingRun) -> None:
        """Update the moving line on a terminal."""
        if not self._stream.isatty():
            return
        self._write(training_card.progress_line(run)[: get_terminal_size().columns - 1], end="")

    def epoch(self, run: TrainingRun) -> None:
        """Write the epoch's line."""
        self._unwritten = training_card.epoch_line(run.log[-1], run)
        if run.epochs <= MAX_LOGGED_EPOCHS or run.now.elapsed >= self._written_at + LOG_INTERVAL:
            self._written_at = run.now.elapsed
            self._write(self._unwritten)
            if run.confusion is not None and run.confusion.epoch == run.log[-1].number:
                self._write(f"  {run.confusion.to_text()}")
            self._unwritten = ""
        self._write_messages(run)

    def end(self, run: TrainingRun) -> None:
        """Write the summary."""
        if self._unwritten:
            self._write(self._unwritten)
        self._write_messages(run)
        self._write(training_card.summary_line(run))
        mark_displayed(run)

    def _write_messages(self, run: TrainingRun) -> None:
        """Write new messages, except those that were replaced meanwhile."""
        new = run.messages[self._messages_written :]
        self._messages_written = len(run.messages)
        for message in new:
            self._write(f"  {message.text}")

    def _write(self, text: str, end: str = "\n") -> None:
        text = escape_control_characters(text)
        start = "\r" if self._moving_line or not end else ""
        blank = " " * (len(self._moving_line) - len(text))
        self._stream.write(f"{start}{text}{blank}{end}")
        self._stream.flush()
        self._moving_line = "" if end else text
