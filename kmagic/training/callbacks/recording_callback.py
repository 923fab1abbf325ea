"""Keras's callbacks as events of a run, and how a training ends early with its model intact."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from kmagic.support.process_patches import InterruptGuard
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import TrainingRun


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
        del logs
        self._recorder.begin(self.params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """An epoch begins; Keras counts from 0."""
        del logs
        self._recorder.begin_epoch(epoch + 1, learning_rate(self.model))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A batch is done, or the last batch of an execution."""
        self._recorder.end_batches(batch + 1, logs or {})
        self._interrupts.release()
        stop_if_requested(self._run)

    def on_test_begin(self, logs: object = None) -> None:
        """Validation begins."""
        del logs
        self._recorder.begin_validation()

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:
        """A validation batch is done."""
        del batch, logs
        self._recorder.update_validation()
        stop_if_requested(self._run)

    def on_test_end(self, logs: object = None) -> None:
        """Validation is over."""
        del logs
        self._recorder.end_validation()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """An epoch is over; one that a callback ended halfway is incomplete."""
        del epoch
        steps = self._run.steps
        cut = bool(self.model.stop_training and steps and self._run.now.batch < steps)
        self._recorder.end_epoch(logs or {}, complete=not cut)


class StopBetweenEpochs(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Stops the training between two epochs, after all other callbacks have seen the first."""

    every_batch = False

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self._run = run

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stop, except after the last epoch."""
        del logs
        if epoch + 1 < self._run.epochs:
            stop_if_requested(self._run)


def learning_rate(model: keras.Model) -> float | None:
    """The optimizer's current learning rate; None if it has none."""
    rate = getattr(model.optimizer, "learning_rate", None)
    if rate is None:
        return None
    return float(f"{float(keras.ops.convert_to_numpy(rate)):.7g}")  # a float32 has no more digits
