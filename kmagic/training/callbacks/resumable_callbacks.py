"""Keras's callbacks that count epochs, continuing the count of an earlier run.

Keras starts counting with each fit. In a resumed run the count follows from the record of the
earlier epochs; only the best epoch's weights have to be kept.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kmagic.training.callbacks.recording_callback import learning_rate
from kmagic.training.run.training_run import Epoch


class BestWeights(NamedTuple):
    """The weights of the best epoch.

    Attributes:
        epoch: From 1.
        value: The monitored metric.
        weights: As returned by ``model.get_weights()``.
    """

    epoch: int
    value: float
    weights: list[Any]


class EpochCount(NamedTuple):
    """The state of a callback after a number of epochs.

    Attributes:
        best: The lowest value of the metric; None if there is none.
        epoch: Its epoch, from 1.
        wait: Epochs since then, or since the count was reset.
    """

    best: float | None
    epoch: int
    wait: int


def count_epochs(
    log: Sequence[Epoch], monitor: str, *, min_delta: float = 0.0, rate: float | None = None
) -> EpochCount:
    """Count epochs without progress, as Keras's callbacks do.

    Args:
        log: Finished epochs.
        monitor: The metric that measures progress; lower is better.
        min_delta: Progress is more than this.
        rate: The learning rate after the last epoch: the count is reset where the rate fell. None
            ignores learning rates.

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


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc] # Keras is untyped
    """Keras's EarlyStopping that continues an earlier run.

    If the earlier epochs used up the patience, it starts again in full. If the best epoch's
    weights are to be restored but nobody kept them, the best epoch is chosen from the new ones.

    Attributes:
        lost_epoch: The best earlier epoch if its weights are not known; else 0.
    """

    def __init__(
        self,
        monitor: str,
        *,
        log: Sequence[Epoch] = (),
        best_known: BestWeights | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(monitor, **keywords)
        self._log = tuple(log)
        self._best_known = best_known
        self.best: float | None = None
        self.lost_epoch = 0

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        before = count_epochs(self._log, self.monitor)
        if before.best is None:
            return
        self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0
        if not self.restore_best_weights:
            return
        if self._best_known is not None:
            self.best, self.best_epoch = self._best_known.value, self._best_known.epoch - 1
            self.best_weights = self._best_known.weights
        else:
            self.best, self.lost_epoch = None, before.epoch

    @property
    def best_seen(self) -> BestWeights | None:
        """The best epoch and its weights, if kept."""
        if self.best_weights is None or self.best is None:
            return None
        return BestWeights(self.best_epoch + 1, float(self.best), self.best_weights)


class ResumableReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc] # as above
    """Keras's ReduceLROnPlateau that continues an earlier run."""

    def __init__(self, monitor: str, *, log: Sequence[Epoch] = (), **keywords: Any) -> None:
        super().__init__(monitor, **keywords)
        self._log = tuple(log)

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        before = count_epochs(
            self._log,
            self.monitor,
            min_delta=abs(self.min_delta),
            rate=learning_rate(self.model),
        )
        if before.best is not None:
            self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0


class ResumableCSVLogger(keras.callbacks.CSVLogger):  # type: ignore[misc] # as above
    """Keras's CSVLogger that keeps the columns of a file it appends to.

    Keras would write this run's metrics in its own order below the names of the earlier ones.
    """

    every_batch = False

    def on_train_begin(self, logs: object = None) -> None:
        """Open the file."""
        columns = _metric_columns(Path(self.filename)) if self.append else None
        super().on_train_begin(logs)
        self.keys = columns


def _metric_columns(file: Path) -> list[str] | None:
    """The names of the metrics in a file; None if it has none."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            names = next(csv.reader(lines), [])
    except (OSError, ValueError):  # writing to it reports the error
        return None
    return names[1:] if names[:1] == ["epoch"] else None
