"""Keras's callbacks, turned into moments of a run. Imported only when Keras is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from kmagic.training.callbacks.stop_request import HeldInterrupt, check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmagic.training.run.recorder import Recorder


class Watch(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Tells a recorder what Keras does, and ends the training where the run asks for it.

    It belongs behind the user's callbacks: then those have seen each moment before the training
    ends, and what they add to the logs is recorded.
    """

    every_batch = False
    """It need not be told of each batch."""

    def __init__(self, recorder: Recorder, interrupts: HeldInterrupt) -> None:
        super().__init__()
        self._interrupts = interrupts
        self._recorder = recorder
        self._run = recorder.run

    def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002 - Keras's signature
        """Keras has taken the data."""
        self._recorder.begin(self.params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 - as above
        """An epoch, which Keras counts from 0."""
        self._recorder.epoch_begins(epoch + 1, learning_rate(self.model))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A batch, or the last of those that Keras ran in one go."""
        self._recorder.batches_done(batch + 1, logs or {})
        self._interrupts.release()
        check(self._run)

    def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002 - as above
        """Validation begins."""
        self._recorder.validation_begins()

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002 - as above
        """A batch of validation."""
        self._recorder.validation_goes_on()
        check(self._run)

    def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002 - as above
        """Validation is over."""
        self._recorder.validation_ends()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002 - as above
        """An epoch is over; one that a callback ended half-way is not a whole one."""
        steps = self._run.steps
        cut = bool(self.model.stop_training and steps and self._run.now.batch < steps)
        self._recorder.epoch_ends(logs or {}, complete=not cut)


def learning_rate(model: keras.Model) -> float | None:
    """The rate that the optimizer would use now, or None if it has none."""
    rate = getattr(model.optimizer, "learning_rate", None)
    if rate is None:
        return None
    return float(f"{float(keras.ops.convert_to_numpy(rate)):.7g}")  # a float32: no more digits
