"""How a training is ended from outside, on its own thread and between two batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmagic.run import TrainingRun


class Stopped(BaseException):
    """The user asked the training to end.

    Like KeyboardInterrupt it is no Exception: nothing on its way to :func:`kmagic.training.fit`
    shall take it for a mistake.
    """


def check(run: TrainingRun) -> None:
    """End the training here if somebody asked for it."""
    if run.stopping:
        raise Stopped
