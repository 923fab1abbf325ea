"""Continuing an earlier run, and callbacks that continue its count.

Keras's callbacks start counting epochs with each fit. In a resumed run the count follows from the
record of the earlier epochs; only the best epoch's weights have to be kept.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kmagic.support.model_registry import record_for
from kmagic.support.regular_files import file_problem
from kmagic.training.callbacks.checkpoint import Checkpoint
from kmagic.training.callbacks.recording_callbacks import learning_rate
from kmagic.training.fit_options import FitOptions
from kmagic.training.run.training_run import Epoch, TrainingRun


def open_checkpoint(run: TrainingRun, model: keras.Model, options: FitOptions) -> Checkpoint | None:
    """Add the epochs of the run to continue to a new record, and open the checkpoint folder.

    Raises:
        TrainingError: The run to continue is another model's.
    """
    checkpoint = None if options.checkpoint is None else Checkpoint(options.checkpoint)
    if checkpoint is not None:
        checkpoint.lock()
    try:
        _continue(run, model, checkpoint, options.resume)
    except BaseException:
        if checkpoint is not None:
            checkpoint.release()
        raise
    return checkpoint


def _continue(
    run: TrainingRun, model: keras.Model, checkpoint: Checkpoint | None, resume: Any
) -> None:
    earlier = record_for(model).run if resume is True else resume or None
    if not resume:
        if checkpoint is not None and checkpoint.move_to_before():
            run.add_message(
                f"Moved an earlier run in {checkpoint.folder} to its folder before/; resume would "
                "have continued it."
            )
    elif checkpoint is not None and checkpoint.exists:
        log = checkpoint.restore(model)
        for note in checkpoint.notes:
            run.add_message(note)
        run.confusion = checkpoint.confusion(log[-1].number) if log else None
        _continue_log(run, log)
    elif isinstance(earlier, TrainingRun):
        run.first_epoch_curves = earlier.first_epoch_curves
        run.initial_epoch = earlier.initial_epoch
        run.confusion = deepcopy(earlier.confusion)  # the earlier run's must not change
        _continue_log(run, earlier.log)


def _continue_log(run: TrainingRun, log: Sequence[Epoch]) -> None:
    run.log += log
    run.resumed = len(log)
    if log and log[-1].number >= run.epochs:
        run.add_message(
            f"All {run.epochs:,} epochs are already trained; request more epochs to continue."
        )
    elif log:
        run.add_message(f"Continued after epoch {log[-1].number:,}.")


def best_before(
    run: TrainingRun, model: keras.Model, checkpoint: Checkpoint | None
) -> BestWeights | None:
    """The best weights of the run that this one continues, if they are still known."""
    if not run.log:
        return None
    before = count_epochs(run.log, run.monitor)
    kept: BestWeights | None = record_for(model).best
    if kept is not None and (kept.epoch, kept.value) == (before.epoch, before.best):
        return kept
    weights = checkpoint.best_weights(model) if checkpoint is not None else None
    if weights is None or before.best is None:
        return None
    return BestWeights(before.epoch, before.best, weights)


# --- counting epochs ----------------------------------------------------------------------------


class BestWeights(NamedTuple):
    """The best epoch, counted from 1, with the monitored metric and the model's weights."""

    epoch: int
    value: float
    weights: list[Any]


class EpochCount(NamedTuple):
    """The lowest value of a metric, its epoch, and the epochs since then or since a reset."""

    best: float | None
    epoch: int
    wait: int


def count_epochs(
    log: Sequence[Epoch], monitor: str, *, min_delta: float = 0.0, rate: float | None = None
) -> EpochCount:
    """Count epochs without progress, as Keras's callbacks do: progress is more than ``min_delta``.

    With ``rate``, the learning rate after the last epoch, the count is reset where the rate fell.

    Example:
        >>> log = [Epoch(n, {"loss": loss}, 1.0) for n, loss in enumerate([3.0, 2.0, 2.5], 1)]
        >>> count_epochs(log, "loss")
        EpochCount(best=2.0, epoch=2, wait=1)
    """
    best, best_epoch, wait = None, 0, 0
    rates = [epoch.learning_rate for epoch in log[1:]] + [rate]
    for epoch, next_rate in zip(log, rates, strict=False):  # without epochs there is one rate
        value = epoch.logs.get(monitor)
        if value is None:
            continue
        wait += 1
        if best is None or value + min_delta < best:
            best, best_epoch, wait = value, epoch.number, 0
        before = epoch.learning_rate
        if rate is not None and before is not None and next_rate is not None and next_rate < before:
            wait = 0
    return EpochCount(best, best_epoch, wait)


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc] # as above
    """Keras's EarlyStopping that continues an earlier run.

    If the earlier epochs used up the patience, it starts again in full. If the best epoch's
    weights are to be restored but nobody kept them, the best epoch is chosen from the new ones.
    """

    def __init__(
        self, log: Sequence[Epoch], best_known: BestWeights | None, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self._log = tuple(log)
        self._best_known = best_known
        self.best: float | None = None
        self.lost_epoch = 0  # the best earlier epoch if its weights are not known

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        before = count_epochs(self._log, self.monitor)
        if before.best is None:
            return
        self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0
        if self.restore_best_weights and self._best_known is not None:
            self.best, self.best_epoch = self._best_known.value, self._best_known.epoch - 1
            self.best_weights = self._best_known.weights
        elif self.restore_best_weights:
            self.best, self.lost_epoch = None, before.epoch

    @property
    def best_seen(self) -> BestWeights | None:
        """The best epoch and its weights, if kept."""
        if self.best_weights is None or self.best is None:
            return None
        return BestWeights(self.best_epoch + 1, float(self.best), self.best_weights)


class ResumableReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc] # as above
    """Keras's ReduceLROnPlateau that continues an earlier run."""

    def __init__(self, log: Sequence[Epoch], **keywords: Any) -> None:
        super().__init__(**keywords)
        self._log = tuple(log)

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        delta, rate = abs(self.min_delta), learning_rate(self.model)
        before = count_epochs(self._log, self.monitor, min_delta=delta, rate=rate)
        if before.best is not None:
            self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0


class ResumableCSVLogger(keras.callbacks.CSVLogger):  # type: ignore[misc] # as above
    """Keras's CSVLogger that keeps the columns of a file it appends to.

    Keras would write this run's metrics in its own order below the names of the earlier ones.
    """

    def on_train_begin(self, logs: object = None) -> None:
        """Open the file."""
        columns = _metric_columns(Path(self.filename)) if self.append else None
        super().on_train_begin(logs)
        self.keys = columns


def _metric_columns(file: Path) -> list[str] | None:
    try:
        if file_problem(file):
            return None
        with file.open(encoding="utf-8", newline="") as lines:
            names = next(csv.reader(lines), [])
    except (OSError, ValueError):  # writing to it reports the error
        return None
    return names[1:] if names[:1] == ["epoch"] else None
