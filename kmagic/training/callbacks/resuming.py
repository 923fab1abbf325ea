"""Continuing an earlier run, and callbacks that continue its count.

Keras's callbacks start counting epochs with each fit. In a resumed run they first see the earlier
epochs in its record; only the best epoch's weights have to be kept.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras

from kmagic.support.model_registry import record_for
from kmagic.support.regular_files import file_problem
from kmagic.training.callbacks.checkpoint import Checkpoint
from kmagic.training.fit_options import FitOptions
from kmagic.training.run.training_run import Epoch, TrainingRun


@contextmanager
def open_checkpoint(
    run: TrainingRun, model: keras.Model, options: FitOptions
) -> Iterator[Checkpoint | None]:
    """Add the epochs of the run to continue to a new record, and open the checkpoint folder.

    The folder is locked until the end of the block.

    Raises:
        TrainingError: The run to continue is another model's.
    """
    checkpoint = None if options.checkpoint is None else Checkpoint(options.checkpoint)
    if checkpoint is not None:
        checkpoint.lock()
    try:
        _continue(run, model, checkpoint, options.resume)
        yield checkpoint
    finally:
        if checkpoint is not None:
            checkpoint.release()


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
    monitored = [epoch for epoch in run.log if run.monitor in epoch.logs]
    best = min(monitored, key=lambda epoch: epoch.logs[run.monitor], default=None)
    if best is None:
        return None
    kept: BestWeights | None = record_for(model).best
    value = best.logs[run.monitor]
    if kept is not None and (kept.epoch, kept.value) == (best.number, value):
        return kept
    weights = checkpoint.best_weights(model) if checkpoint is not None else None
    return None if weights is None else BestWeights(best.number, value, weights)


# --- callbacks that continue --------------------------------------------------------------------


class BestWeights(NamedTuple):
    """The best epoch, counted from 1, with the monitored metric and the model's weights."""

    epoch: int
    value: float
    weights: list[Any]


def _replay(callback: Any, log: Sequence[Epoch]) -> None:
    """Let a callback of Keras's see earlier epochs, without a model that it could change.

    If they used up its patience, it starts again in full.
    """
    model, rates = callback.model, (epoch.learning_rate for epoch in log)
    optimizer = SimpleNamespace(learning_rate=next(filter(None, rates), 1.0))
    callback.set_model(SimpleNamespace(optimizer=optimizer, metrics=[], get_weights=list))
    for epoch in log:
        if callback.monitor in epoch.logs:
            callback.on_epoch_end(epoch.number - 1, dict(epoch.logs))
    callback.set_model(model)
    callback.wait = callback.wait if callback.wait < callback.patience else 0


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc] # as above
    """Keras's EarlyStopping that continues an earlier run.

    If the best epoch's weights are to be restored but nobody kept them, the best epoch is chosen
    from the new ones.
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
        _replay(self, self._log)
        self.stopped_epoch = 0
        if self.restore_best_weights and self.best is not None:
            self.best_weights = None
            if self._best_known is None:
                self.best, self.lost_epoch = None, self.best_epoch + 1
            else:
                self.best_weights = self._best_known.weights

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
        _replay(self, self._log)


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
