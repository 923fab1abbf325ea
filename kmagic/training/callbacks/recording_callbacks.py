"""Keras's callbacks as events of a run: progress, messages, confusion matrices, a stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kmagic.models.model_variables import learning_rate
from kmagic.support.errors import KmagicError, TrainingError
from kmagic.support.formatting import format_elapsed, format_metric, format_seconds, pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import Message, TrainingRun

if TYPE_CHECKING:
    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion

BATCHES_BEFORE_ESTIMATE = 3


class StopTraining(BaseException):
    """The user asked the training to stop.

    Like KeyboardInterrupt it is no Exception, so that code on its way does not handle it as an
    error.
    """


def stop_if_requested(run: TrainingRun) -> None:
    """Raise StopTraining if someone called ``run.stop()``."""
    if run.stopping:
        raise StopTraining


class RecordingCallback(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Passes Keras's events to a recorder, and stops the training if the run asks for it.

    It follows the user's callbacks: they have seen each event before the training ends, and what
    they add to the logs is recorded.
    """

    every_batch = False

    def __init__(self, recorder: Recorder, interrupts: InterruptGuard) -> None:
        super().__init__()
        self._interrupts = interrupts
        self._recorder = recorder
        self._run = recorder.run

    def on_train_begin(self, logs: object = None) -> None:
        """Keras has accepted the data."""
        self._recorder.begin(self.params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """An epoch begins; Keras counts from 0."""
        self._recorder.begin_epoch(epoch + 1, learning_rate(self.model))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A batch is done, or the last batch of an execution."""
        self._recorder.end_batches(batch + 1, scalar_logs(logs))
        self._interrupts.release()
        stop_if_requested(self._run)

    def on_test_begin(self, logs: object = None) -> None:
        """Validation begins."""
        self._recorder.begin_validation()

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:
        """A validation batch is done."""
        self._recorder.update_validation()
        stop_if_requested(self._run)

    def on_test_end(self, logs: object = None) -> None:
        """Validation is over."""
        self._recorder.end_validation()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """An epoch is over; one that a callback ended halfway is incomplete."""
        steps = self._run.steps
        cut = bool(self.model.stop_training and steps and self._run.now.batch < steps)
        self._recorder.end_epoch(scalar_logs(logs), complete=not cut)


def scalar_logs(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """The numbers of some logs; of a metric that has a value for each class, their mean."""
    numbers = {}
    for name, value in (logs or {}).items():
        with suppress(TypeError, ValueError):  # a custom step or a callback may log anything
            numbers[name] = value if type(value) in (int, float) else float(np.mean(value))
    return numbers


def stop_between_epochs(run: TrainingRun) -> keras.callbacks.Callback:
    """A callback that stops between two epochs, after all other callbacks have seen the first."""

    def stop(epoch: int, _: object) -> None:
        if epoch + 1 < run.epochs:
            stop_if_requested(run)

    return keras.callbacks.LambdaCallback(on_epoch_end=stop)


class EventMessages(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Adds messages about other callbacks: an early stop, a lower learning rate, a checkpoint.

    It follows them.
    """

    def __init__(self, run: TrainingRun, others: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._run = run
        self._others = others
        self._best: dict[int, object] = {}
        self._saved: Message | None = None

    def on_train_begin(self, logs: object = None) -> None:
        """The other callbacks are set up."""
        self._best = {id(callback): getattr(callback, "best", None) for callback in self._others}
        for callback in self._others:
            if lost := getattr(callback, "lost_epoch", 0):
                self._run.add_message(
                    f"The weights of epoch {lost:,}, the best so far, were not saved: the best "
                    "epoch is chosen from the epochs from here on."
                )

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The other callbacks have seen the epoch."""
        rate, before = learning_rate(self.model), self._run.now.learning_rate
        for callback in self._others:
            if isinstance(callback, keras.callbacks.EarlyStopping):
                if callback.stopped_epoch == epoch and epoch:
                    self._run.add_message(f"Stopped early: {_no_progress(callback)}.")
            elif isinstance(callback, keras.callbacks.ReduceLROnPlateau):
                if rate is not None and before is not None and rate < before:
                    self._run.add_message(
                        f"Lowered the learning rate to {rate:g}: {_no_progress(callback)}."
                    )
            elif isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_best_only:
                if callback.best != self._best.get(id(callback)):
                    self._saved = report_best(
                        self._run,
                        self._saved,
                        callback.monitor,
                        float(callback.best),
                        str(callback.filepath),
                    )
                self._best[id(callback)] = callback.best

    def on_train_end(self, logs: object = None) -> None:
        """The weights are final."""
        for callback in self._others:
            is_early_stopping = isinstance(callback, keras.callbacks.EarlyStopping)
            restores = is_early_stopping and callback.restore_best_weights
            if restores and callback.best_weights is not None:
                self._run.add_message(restored_message(callback.best_epoch + 1))


def report_best(
    run: TrainingRun, earlier: Message | None, monitor: str, value: float, path: str
) -> Message:
    """Add a message that the best weights are saved; it replaces the earlier one."""
    if earlier in run.messages:
        run.messages.remove(earlier)
    return run.add_message(f"Best so far: {monitor} {format_metric(value)}; saved in {path}.")


def restored_message(epoch: int) -> str:
    """The message after the best epoch's weights were restored."""
    return f"Restored the weights of epoch {epoch:,}."


def _no_progress(callback: keras.callbacks.Callback) -> str:
    return f"{callback.monitor} did not improve for {pluralize(callback.patience, 'epoch')}"


class Budget(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Ends the training at the time limit, and estimates how many epochs fit.

    No epoch is started that would not end in time. An epoch that takes longer than expected, or
    the first one, ends with the execution that reaches the limit. It follows the recorder's
    callback.
    """

    every_batch = False

    def __init__(
        self, recorder: Recorder, seconds: float, validation_batch_size: int | None = None
    ) -> None:
        super().__init__()
        self._recorder = recorder
        self._validation_batch_size = validation_batch_size or recorder.run.batch_size
        self.seconds = seconds
        self._start = recorder.clock()
        self._is_estimated = False
        self.used_up = False
        self.where = ""  # in an epoch that it ended

    @property
    def _is_reached(self) -> bool:
        return self._recorder.clock() - self._start >= self.seconds

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """End the training at the limit; after a few batches estimate how many epochs fit."""
        run = self._recorder.run
        if self._is_reached and not (run.validation_samples == 0 and run.steps == run.now.batch):
            of = f" of {run.steps:,}" if run.steps else ""
            batches = pluralize(run.now.batch, "batch", "batches")
            done = f"{run.now.batch:,}{of} batches" if of else batches
            self._end_within(f"after {done} of epoch {run.now.epoch:,}")
        if self._is_estimated or batch + 1 < BATCHES_BEFORE_ESTIMATE:
            return
        at = self._recorder.clock()
        eta = self._recorder.eta
        current, epoch = eta.epoch_left(at), eta.epoch_seconds()
        if current is None or not epoch:
            return
        self._is_estimated = True
        left = self.seconds - (at - self._start) - current
        fitting = run.now.epoch + int(left / epoch) if left >= 0 else run.now.epoch - 1
        limit = format_elapsed(self.seconds)
        if not fitting:
            run.add_message(f"The time limit of {limit} is shorter than the first epoch.")
        elif fitting < run.epochs:
            run.add_message(f"About {fitting:,} of {run.epochs:,} epochs fit into {limit}.")

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:
        """End the training at the limit, unless the epoch is complete."""
        run = self._recorder.run
        if not self._is_reached:
            return
        size, samples = self._validation_batch_size, run.validation_samples
        if not (size and samples) or (batch + 1) * size < samples:
            self._end_within(f"in the validation of epoch {run.now.epoch:,}")

    def _end_within(self, where: str) -> None:
        """End the training within an epoch."""
        self.used_up, self.where = True, where
        limit = format_elapsed(self.seconds)
        self._recorder.run.add_message(f"Reached the time limit of {limit} {where}.")
        raise StopTraining

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """End the training if the next epoch would not end in time."""
        run = self._recorder.run
        elapsed = self._recorder.clock() - self._start
        following = self._recorder.eta.epoch_seconds() or 0.0
        if epoch + 1 < run.epochs and elapsed + following > self.seconds:
            self.used_up = self.model.stop_training = True
            reached = f"Reached the time limit of {format_elapsed(self.seconds)}"
            left = self.seconds - elapsed
            why = (
                f": another epoch takes about {format_seconds(following)}, but only "
                f"{format_seconds(left)} are left"
            )
            run.add_message(reached + (why if left > 0 else "") + ".")


def confusion_data(arguments: Mapping[str, Any], confusion: ValidationConfusion) -> Any:
    """The validation data as a pair of arrays, or as a stream that can be read repeatedly.

    Raises:
        TrainingError: There is no validation data, or it has no confusion matrix.
    """
    watch = Option("watch", "confusion")
    validation = arguments.get("validation_data")
    if validation is None:
        remedy = Text("Keep some of the data for it: ", Option("validation_split", 0.1), ".")
        raise TrainingError(Text(watch, " needs validation data."), remedy)
    if isinstance(validation, tuple | list):
        try:
            confusion.check(validation[1])
        except KmagicError as error:
            raise TrainingError(error.message_text, error.remedy_text) from error
        return validation
    if hasattr(validation, "__next__"):
        why = " reads the validation data after each epoch, but a generator can be read only once."
        raise TrainingError(Text(watch, why), "Pass arrays or a tf.data.Dataset.")
    steps = arguments.get("validation_steps")
    return validation.take(steps) if steps and hasattr(validation, "take") else validation


class ConfusionCallback(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Adds each epoch's confusion matrix to the record; it precedes the recorder's callback."""

    def __init__(
        self,
        run: TrainingRun,
        confusion: ValidationConfusion,
        validation: Any,
        time_limit: float | None = None,
    ) -> None:
        super().__init__()
        self._run = run
        self._end = math.inf if time_limit is None else time.monotonic() + time_limit
        self._confusion = confusion
        self._validation = validation

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The epoch is validated; a stop, an interrupt or the time limit skips only the matrix."""
        if self._validation is None:
            return
        try:
            matrix = self._confusion(
                self._validation, lambda: self._run.stopping or time.monotonic() >= self._end
            )
        except KmagicError as error:
            self._validation = None
            self._run.add_message(error.message)
            return
        except KeyboardInterrupt:  # the epoch is complete: keep it, and stop after it
            self._run.stop()
            return
        if matrix is None:
            return
        classes = self._confusion.classes
        if self._run.confusion is None or self._run.confusion.classes != classes:
            self._run.confusion = ConfusionHistory(classes)
        self._run.confusion.add(epoch + 1, matrix)
