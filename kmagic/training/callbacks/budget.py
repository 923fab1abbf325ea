"""Callbacks that say what happened beside the figures, keep to a budget, and end an epoch.

Imported only when Keras is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from kmagic.support.formatting import format_elapsed, format_metric, format_seconds, pluralize
from kmagic.training.callbacks.recording_callback import learning_rate
from kmagic.training.callbacks.stop_request import check
from kmagic.training.run.training_run import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kmagic.training.run.recorder import Recorder
    from kmagic.training.run.training_run import TrainingRun

FEW_BATCHES = 3


class Notes(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Puts down what other callbacks did: an early stop, a lower rate, a checkpoint.

    It belongs behind them.

    Args:
        run: The record.
        others: The callbacks.
    """

    every_batch = False

    def __init__(self, run: TrainingRun, others: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._run = run
        self._others = others
        self._best: dict[int, object] = {}
        self._saved: Message | None = None

    def on_train_begin(self, logs: object = None) -> None:
        """The others are set up."""
        del logs
        self._best = {id(each): getattr(each, "best", None) for each in self._others}
        for each in self._others:
            if lost := getattr(each, "lost", 0):
                self._run.add_message(
                    f"the weights of epoch {lost:,}, the best before, were not kept: "
                    "the best is sought among the epochs from here on."
                )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """The others have seen the epoch."""
        del logs
        rate = learning_rate(self.model)
        for each in self._others:
            if isinstance(each, keras.callbacks.EarlyStopping):
                if each.stopped_epoch == epoch and epoch:
                    self._run.add_message(f"stopped early: {_stuck(each)}.")
            elif isinstance(each, keras.callbacks.ReduceLROnPlateau):
                before = self._run.now.learning_rate
                if rate is not None and before is not None and rate < before:
                    self._run.add_message(f"learning rate lowered to {rate:g}: {_stuck(each)}.")
            elif isinstance(each, keras.callbacks.ModelCheckpoint) and each.save_best_only:
                if each.best != self._best.get(id(each)):
                    self._told_of_best(each)
                self._best[id(each)] = each.best

    def on_train_end(self, logs: object = None) -> None:
        """The weights are as they will stay."""
        del logs
        for each in self._others:
            early = isinstance(each, keras.callbacks.EarlyStopping)
            if early and each.restore_best_weights and each.best_weights is not None:
                self._run.add_message(f"the weights of epoch {each.best_epoch + 1:,} are put back.")

    def _told_of_best(self, saver: keras.callbacks.ModelCheckpoint) -> None:
        if self._saved in self._run.messages:  # of many, the last one is enough
            self._run.messages.remove(self._saved)
        words = f"{saver.monitor} {format_metric(float(saver.best))}"
        self._saved = self._run.add_message(f"best so far, {words}: saved in {saver.filepath}.")


def _stuck(callback: keras.callbacks.Callback) -> str:
    return f"{callback.monitor} no better for {pluralize(callback.patience, 'epoch')}"


class Budget(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Begins no epoch that would not end in time, and says beforehand how many will.

    It belongs behind what tells the recorder. The first epoch is always trained.

    Args:
        recorder: Knows how long things take.
        seconds: The time there is.
        clock: Seconds.
    """

    every_batch = False

    def __init__(
        self, recorder: Recorder, seconds: float, *, clock: Callable[[], float] | None = None
    ) -> None:
        super().__init__()
        self._recorder = recorder
        self._seconds = seconds
        self._clock = clock or recorder.clock
        self._start = self._clock()
        self._told = False
        self.used_up = False

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """After a few batches it can be told how many epochs fit."""
        del logs
        if not self._told and batch + 1 >= FEW_BATCHES:
            at = self._clock()
            eta, run = self._recorder.eta, self._recorder.run
            this, epoch = eta.epoch_left(at), eta.epoch_seconds()
            if this is None or not epoch:
                return
            self._told = True
            more = max(0, int((self._seconds - (at - self._start) - this) / epoch))
            fitting = run.now.epoch + more
            if fitting < run.epochs:
                budget = format_elapsed(self._seconds)
                run.add_message(f"about {fitting:,} of {run.epochs:,} epochs fit into {budget}.")

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """End here if the next epoch would not."""
        del logs
        run = self._recorder.run
        gone = self._clock() - self._start
        following = self._recorder.eta.epoch_seconds() or 0.0
        if epoch + 1 < run.epochs and gone + following > self._seconds:
            self.used_up = self.model.stop_training = True
            run.add_message(
                f"the budget of {format_elapsed(self._seconds)} ends here: "
                f"another epoch takes about {format_seconds(following)}, "
                f"and {format_seconds(max(0.0, self._seconds - gone))} are left."
            )


class Ending(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Ends the training between two epochs, when all others have seen the first to its end."""

    every_batch = False

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self._run = run

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Nothing is to be ended behind the last one."""
        del logs
        if epoch + 1 < self._run.epochs:
            check(self._run)
