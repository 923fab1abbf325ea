"""``fit`` without displays and without checks of the data, and a display that records its calls."""

from __future__ import annotations

import functools

import kmagic
from kmagic.training.run.training_run import Display, TrainingRun

fit = functools.partial(kmagic.fit, checks=False, displays=())


class RecordingDisplay(Display):
    """Records its calls: the method's name and the run's position or outcome, as text."""

    def __init__(self, interval: float = 0.0) -> None:
        self.interval = interval
        self.calls: list[tuple[str, str]] = []

    def begin(self, run: TrainingRun) -> None:
        self.calls.append(("begin", run.where()))

    def update(self, run: TrainingRun) -> None:
        self.calls.append(("update", run.where()))

    def epoch(self, run: TrainingRun) -> None:
        self.calls.append(("epoch", run.where()))

    def end(self, run: TrainingRun) -> None:
        self.calls.append(("end", run.describe(times=False)))


class Early(RecordingDisplay):
    """Records also what precedes the training."""

    def prepare(self, run: TrainingRun) -> None:
        self.calls.append(("prepare", run.where()))

    def discard(self, run: TrainingRun) -> None:
        self.calls.append(("discard", run.where()))
