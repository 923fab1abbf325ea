"""All callbacks of one fit in their order, and what happens with them when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import keras

from kmagic.support.errors import TrainingError
from kmagic.support.messages import Option, Text
from kmagic.support.model_registry import best_for, run_for
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.callbacks.checkpoint import Checkpoint
from kmagic.training.callbacks.event_callbacks import Budget, EventMessages, restored_message
from kmagic.training.callbacks.nan_guard import (
    NanGate,
    NanGuard,
    NotFiniteError,
    nan_origin,
    weight_layers,
)
from kmagic.training.callbacks.recording_callback import (
    RecordingCallback,
    StopBetweenEpochs,
)
from kmagic.training.callbacks.resumable_callbacks import (
    BestWeights,
    ResumableCSVLogger,
    ResumableEarlyStopping,
    ResumableReduceLROnPlateau,
    count_epochs,
)
from kmagic.training.fit_options import FitOptions, create_folder
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import VALIDATION, Display, Epoch, TrainingRun


class CallbackSet:
    """The callbacks of one fit.

    Attributes:
        callbacks: All of them in the order of their calls: the user's and Keras's, messages about
            those, the recorder's, the nan guard, then those that need the epoch in the record.
        others: Those of them that are Keras's or the user's.
    """

    def __init__(
        self,
        run: TrainingRun,
        displays: Sequence[Display],
        options: FitOptions,
        checkpoint: Checkpoint | None,
        *,
        before: Sequence[Any] = (),
        best_known: BestWeights | None = None,
    ) -> None:
        self.recorder = Recorder(run, displays)
        self.interrupts = InterruptGuard()
        self._options = options
        monitor = monitor_of(run)
        others = keras.tree.flatten(options.callbacks) if options.callbacks else []
        if not any(isinstance(callback, keras.callbacks.History) for callback in others):
            others.append(keras.callbacks.History())
        self._early_stopping = _early_stopping(options, run, monitor, best_known)
        self._own = [
            *([self._early_stopping] if self._early_stopping else []),
            *_option_callbacks(options, run, monitor),
        ]
        self.others = [*others, *self._own]
        after: list[Any] = []
        if checkpoint is not None:
            best_saver, after = checkpoint.callbacks(run, monitor)
            self.others.append(best_saver)
        saves_weights = checkpoint is not None or options.restore_best
        self._guard = NanGuard()
        self._budget = None
        if options.budget_seconds is not None:
            self._budget = Budget(self.recorder, options.budget_seconds)
            after.append(self._budget)
        self.others.append(EventMessages(run, self.others))
        self.callbacks = [
            *([NanGate()] if saves_weights else []),
            *self.others,
            *before,
            RecordingCallback(self.recorder, self.interrupts),
            self._guard,
            *after,
            StopBetweenEpochs(run),
        ]

    def set_exact(self, *, stops_at_nan: bool) -> None:
        """Tell whether an execution ends with the batch in which the loss becomes nan."""
        self._guard.is_exact = stops_at_nan

    def early_end(self) -> str:
        """Why the training ended before the requested epochs; "" if it did not."""
        run = self.recorder.run
        if len(run.log) >= run.epochs - run.initial_epoch:
            return ""
        if self._budget is not None and self._budget.used_up:
            return f"time limit of {self._options.budget_text}"
        return "stopped early"

    @property
    def best(self) -> BestWeights | None:
        """The best epoch and its weights, with ``restore_best``."""
        return self._early_stopping.best_seen if self._early_stopping is not None else None

    def restore_best(self, model: keras.Model) -> None:
        """After an interrupt: restore the best weights, if requested and known."""
        early = self._early_stopping
        if self._options.restore_best and early is not None and early.best_weights is not None:
            model.set_weights(early.best_weights)
            self.recorder.run.add_message(restored_message(early.best_epoch + 1))

    def close_files(self) -> None:
        """After a fit that Keras has not finished: close the files of the options' callbacks.

        The user's own are not called, as in Keras.
        """
        for callback in self._own:
            if getattr(callback, "best_weights", None) is None:
                callback.on_train_end()

    def finish(self, model: keras.Model, *, average: bool = True) -> None:
        """After a stop: do what Keras does at the end of a fit."""
        if average and isinstance(model.optimizer, keras.optimizers.Optimizer):
            model.optimizer.finalize_variable_values(model.trainable_weights)
        log = self.recorder.run.log
        for callback in self.others:
            callback.on_train_end(dict(log[-1].logs) if log else {})

    def recover(self, model: keras.Model, error: NotFiniteError, x: Any) -> str:
        """After a loss that is nan or infinite: restore good weights.

        Returns:
            What happened, as a phrase.
        """
        broken, names = model.get_weights(), weight_layers(model)
        restored = self._guard.restore()
        origin = nan_origin(model, x, broken, names)
        reason = f"{error.reason}; first in {origin}" if origin else error.reason
        weights = (
            f"Restored the weights from the start of epoch {self._guard.epoch:,}."
            if restored
            else "The weights are lost, because there is no good copy."
        )
        self.recorder.run.add_message(
            f"{reason[0].upper()}{reason[1:]}. {weights} What helps most often: a lower learning "
            "rate, scaled data, or clipnorm=1 in the optimizer."
        )
        return reason


def _early_stopping(
    options: FitOptions, run: TrainingRun, monitor: str, best_known: BestWeights | None
) -> ResumableEarlyStopping | None:
    if options.patience is None and not options.restore_best:
        return None
    return ResumableEarlyStopping(
        monitor,
        log=run.log,
        best_known=best_known,
        patience=run.epochs + 1 if options.patience is None else options.patience,
        restore_best_weights=options.restore_best,
    )


def _option_callbacks(options: FitOptions, run: TrainingRun, monitor: str) -> list[Any]:
    callbacks: list[Any] = []
    if options.plateau is not None:
        callbacks.append(ResumableReduceLROnPlateau(monitor, log=run.log, patience=options.plateau))
    if options.csv is not None:
        callbacks.append(ResumableCSVLogger(str(options.csv), append=bool(run.log)))
    if options.tensorboard is not None:
        create_folder("tensorboard", Path(options.tensorboard))
        callbacks.append(keras.callbacks.TensorBoard(str(options.tensorboard), write_graph=False))
    return callbacks


# --- resuming -----------------------------------------------------------------------------------


def open_checkpoint(run: TrainingRun, model: keras.Model, options: FitOptions) -> Checkpoint | None:
    """Add the epochs of the run to continue to a new record, and open the checkpoint folder.

    Raises:
        TrainingError: There is no run to continue, or it is another model's.
    """
    resume = options.resume
    checkpoint = None if options.checkpoint is None else Checkpoint(options.checkpoint)
    earlier = run_for(model) if resume is True else resume or None
    if not resume:
        if checkpoint is not None and checkpoint.move_to_before():
            run.add_message(
                f"Moved an earlier run in {checkpoint.folder} to its folder before/; resume would "
                "have continued it."
            )
    elif checkpoint is not None and checkpoint.exists:
        log = checkpoint.restore(model)
        run.confusion = checkpoint.confusion(log[-1].number) if log else None
        _continue_log(run, log)
    elif isinstance(earlier, TrainingRun):
        run.first_epoch_curves = earlier.first_epoch_curves
        run.initial_epoch = earlier.initial_epoch
        run.confusion = deepcopy(earlier.confusion)  # the earlier run's must not change
        _continue_log(run, earlier.log)
        if earlier.fingerprint != run.fingerprint:
            run.add_message("The data differs from that of the earlier epochs.")
    elif checkpoint is None:
        raise TrainingError(
            f"{run.model_name} has no earlier run to continue.",
            Text(
                "Train it without ",
                Option("resume"),
                " first; to continue in another process, use ",
                Option("checkpoint"),
                ".",
            ),
        )
    return checkpoint


def _continue_log(run: TrainingRun, log: Sequence[Epoch]) -> None:
    for epoch in log:
        run.add(epoch)
    run.resumed = len(log)
    if not log:
        return
    if log[-1].number >= run.epochs:
        run.add_message(
            f"All {run.epochs:,} epochs are already trained; request more epochs to continue."
        )
    else:
        run.add_message(f"Continued after epoch {log[-1].number:,}.")


def best_before(
    run: TrainingRun, model: keras.Model, checkpoint: Checkpoint | None
) -> BestWeights | None:
    """The best weights of the run that this one continues, if they are still known."""
    if not run.log:
        return None
    before = count_epochs(run.log, monitor_of(run))
    kept: BestWeights | None = best_for(model)
    if kept is not None and (kept.epoch, kept.value) == (before.epoch, before.best):
        return kept
    weights = checkpoint.best_weights(model) if checkpoint is not None else None
    if weights is None or before.best is None:
        return None
    return BestWeights(before.epoch, before.best, weights)


def monitor_of(run: TrainingRun) -> str:
    """The metric that measures progress: the validation loss, or the loss without validation."""
    return "loss" if run.validation_samples == 0 else VALIDATION + "loss"
