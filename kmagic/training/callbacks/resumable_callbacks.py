"""Keras's callbacks that count epochs without progress, and know those of an earlier run.

Keras begins to count with each fit. A run that is resumed goes on: what the epochs before have
come to follows from their record, and only the best one's weights have to be kept.

Imported only when Keras is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from kmagic.training.callbacks.recording_callback import learning_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.training.run.training_run import Epoch


class Best(NamedTuple):
    """The weights of an epoch.

    Attributes:
        epoch: From 1.
        value: The figure that it was judged by.
        weights: As ``model.get_weights()`` gives them.
    """

    epoch: int
    value: float
    weights: list[Any]


class Count(NamedTuple):
    """How far epochs have come.

    Attributes:
        best: The lowest figure; None where there is none.
        epoch: Its epoch, from 1.
        wait: Epochs since then, or since the count began anew.
    """

    best: float | None
    epoch: int
    wait: int


def count(
    log: Sequence[Epoch], monitor: str, *, least: float = 0.0, now: float | None = None
) -> Count:
    """Count as Keras's callbacks do.

    Args:
        log: Finished epochs.
        monitor: The figure that tells progress; lower is better.
        least: Progress is more than this.
        now: The learning rate behind the last epoch; where a rate fell, counting began anew.
            None leaves the rates out.

    Example:
        >>> from kmagic.training.run.training_run import Epoch
        >>> log = [Epoch(n, {"loss": loss}, 1.0) for n, loss in enumerate([3.0, 2.0, 2.5], 1)]
        >>> count(log, "loss")
        Count(best=2.0, epoch=2, wait=1)
    """
    best, at, wait = None, 0, 0
    rates = [each.learning_rate for each in log[1:]] + [now]
    for epoch, following in zip(log, rates, strict=False):  # of no epochs there is one rate
        value = epoch.logs.get(monitor)
        if value is None:
            continue
        wait += 1
        if best is None or value + least < best:
            best, at, wait = value, epoch.number, 0
        rate = epoch.learning_rate
        if now is not None and rate is not None and following is not None and following < rate:
            wait = 0
    return Count(best, at, wait)


class Patience(keras.callbacks.EarlyStopping):  # type: ignore[misc] # Keras ships no types
    """Keras's own, that goes on with the epochs of an earlier run.

    Where those have used the patience up, it is whole again. Where the best one's weights are to
    be put back and nobody has kept them, the best is sought among what is still to come.

    Args:
        monitor: The figure that tells progress.
        log: Epochs of the run that this one goes on with.
        known: The best one's weights, if somebody has kept them.
        **how: As Keras has them.
    """

    def __init__(
        self, monitor: str, *, log: Sequence[Epoch] = (), known: Best | None = None, **how: Any
    ) -> None:
        super().__init__(monitor, **how)
        self._log = tuple(log)
        self._known = known
        self.best: float | None = None
        self.lost = 0
        """The best epoch before, where its weights are not known; else 0."""

    def on_train_begin(self, logs: object = None) -> None:
        """Go on counting."""
        super().on_train_begin(logs)
        before = count(self._log, self.monitor)
        if before.best is None:
            return
        self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0
        if not self.restore_best_weights:
            return
        if self._known is not None:
            self.best, self.best_epoch = self._known.value, self._known.epoch - 1
            self.best_weights = self._known.weights
        else:
            self.best, self.lost = None, before.epoch

    @property
    def found(self) -> Best | None:
        """The best epoch and its weights, where they are kept."""
        if self.best_weights is None or self.best is None:
            return None
        return Best(self.best_epoch + 1, float(self.best), self.best_weights)


class Plateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc] # as above
    """Keras's own, that goes on with the epochs of an earlier run.

    Args:
        monitor: The figure that tells progress.
        log: Epochs of the run that this one goes on with.
        **how: As Keras has them.
    """

    def __init__(self, monitor: str, *, log: Sequence[Epoch] = (), **how: Any) -> None:
        super().__init__(monitor, **how)
        self._log = tuple(log)

    def on_train_begin(self, logs: object = None) -> None:
        """Go on counting."""
        super().on_train_begin(logs)
        rate = learning_rate(self.model)
        before = count(self._log, self.monitor, least=abs(self.min_delta), now=rate)
        if before.best is not None:
            self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0
