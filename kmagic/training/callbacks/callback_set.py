"""All callbacks of one fit in their order, and what happens with them when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kmagic.support.formatting import format_elapsed
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.callbacks import nan_guard, resuming
from kmagic.training.callbacks.checkpoint import Checkpoint, CheckpointSaver
from kmagic.training.callbacks.recording_callbacks import (
    Budget,
    EventMessages,
    RecordingCallback,
    restored_message,
    stop_between_epochs,
)
from kmagic.training.fit_options import FitOptions, create_folder
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import TrainingRun


class CallbackSet:
    """The callbacks of one fit.

    Attributes:
        callbacks: All of them in the order of their calls: the user's and Keras's, messages about
            those, the recorder's, the nan guard, then those that need the epoch in the record.
        others: Those of them that are Keras's or the user's.
    """

    def __init__(
        self,
        model: keras.Model,
        recorder: Recorder,
        options: FitOptions,
        checkpoint: Checkpoint | None,
        *,
        before: Sequence[Any] = (),
    ) -> None:
        self.recorder = recorder
        self.interrupts = InterruptGuard()
        self.guard = nan_guard.NanGuard()
        run = recorder.run
        self._model, self._run, self._options = model, run, options
        others = keras.tree.flatten(options.callbacks) if options.callbacks else []
        if not any(isinstance(callback, keras.callbacks.History) for callback in others):
            others.append(keras.callbacks.History())
        self._early_stopping = self._new_early_stopping(checkpoint)
        self._own = [*filter(None, [self._early_stopping]), *_option_callbacks(options, run)]
        self.others = [*others, *self._own]
        after: list[Any] = []
        if checkpoint is not None:
            after.append(CheckpointSaver(checkpoint, run))
        self._budget = None
        if options.budget_seconds is not None:
            size = options.validation_batch_size
            self._budget = Budget(recorder, options.budget_seconds, size)
            after.append(self._budget)
        self.others.append(EventMessages(run, self.others))
        saves_weights = checkpoint is not None or options.restore_best
        self.callbacks = [
            *([nan_guard.NanGate()] if saves_weights else []),
            *self.others,
            *before,
            RecordingCallback(recorder, self.interrupts),
            self.guard,
            *after,
            stop_between_epochs(run),
        ]

    def _new_early_stopping(
        self, checkpoint: Checkpoint | None
    ) -> resuming.ResumableEarlyStopping | None:
        options, run = self._options, self._run
        if options.patience is None and not options.restore_best:
            return None
        return resuming.ResumableEarlyStopping(
            run.log,
            resuming.best_before(run, self._model, checkpoint) if options.restore_best else None,
            monitor=run.monitor,
            patience=run.epochs + 1 if options.patience is None else options.patience,
            restore_best_weights=options.restore_best,
        )

    def early_end(self) -> str:
        """Why the training ended before the requested epochs; "" if it did not."""
        run, budget = self._run, self._budget
        if budget is not None and budget.where:
            return f"time limit of {format_elapsed(budget.seconds)} {budget.where}"
        if len(run.log) >= run.epochs - run.initial_epoch:
            return ""
        if budget is not None and budget.used_up:
            return f"time limit of {format_elapsed(budget.seconds)}"
        return "stopped early"

    @property
    def best(self) -> resuming.BestWeights | None:
        """The best epoch and its weights, with ``restore_best``."""
        return self._early_stopping.best_seen if self._early_stopping is not None else None

    def restore_best(self) -> None:
        """After an interrupt: restore the best weights, if requested and known."""
        early = self._early_stopping
        if self._options.restore_best and early is not None and early.best_weights is not None:
            self._model.set_weights(early.best_weights)
            self._run.add_message(restored_message(early.best_epoch + 1))

    def close_files(self) -> None:
        """After a fit that Keras has not finished: close the files of the options' callbacks.

        The user's own are not called, as in Keras.
        """
        for callback in self._own:
            if getattr(callback, "best_weights", None) is None:
                callback.on_train_end()

    def finish(self, *, average: bool = True) -> None:
        """After a stop: do what Keras does at the end of a fit."""
        if average and isinstance(self._model.optimizer, keras.optimizers.Optimizer):
            self._model.optimizer.finalize_variable_values(self._model.trainable_weights)
        log = self._run.log
        for callback in self.others:
            callback.on_train_end(dict(log[-1].logs) if log else {})

    def recover(self, error: nan_guard.NotFiniteError, x: Any) -> str:
        """After a loss that is nan or infinite: restore good weights; returns what happened."""
        broken = nan_guard.nan_weights(self._model)
        restored = self.guard.restore()
        origin = nan_guard.nan_source(self._model, x) or broken
        reason = f"{error}; first in {origin}" if origin else str(error)
        weights = (
            f"Restored the weights from the start of epoch {self.guard.epoch:,}."
            if restored
            else "The weights are lost, because there is no good copy."
        )
        self._run.add_message(
            f"{reason[0].upper()}{reason[1:]}. {weights} What helps most often: a lower learning "
            "rate, scaled data, or clipnorm=1 in the optimizer."
        )
        return reason


def _option_callbacks(options: FitOptions, run: TrainingRun) -> list[Any]:
    callbacks: list[Any] = []
    if options.plateau is not None:
        keywords = {"monitor": run.monitor, "patience": options.plateau}
        callbacks.append(resuming.ResumableReduceLROnPlateau(run.log, **keywords))
    if options.csv is not None:
        callbacks.append(resuming.ResumableCSVLogger(str(options.csv), append=bool(run.log)))
    if options.tensorboard is not None:
        create_folder("tensorboard", Path(options.tensorboard))
        callbacks.append(keras.callbacks.TensorBoard(str(options.tensorboard), write_graph=False))
    return callbacks
