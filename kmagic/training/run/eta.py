"""An estimate of the time left in a training, from the times measured so far."""

from __future__ import annotations

VALIDATION_COST = 0.4
"""Time of a validation batch, in training batches, before it is measured."""
MEMORY_SECONDS = 10.0
MIN_WEIGHT, MAX_WEIGHT = 0.02, 0.5


class EtaEstimator:
    """Measures the time per batch, per validation and per epoch overhead.

    All times are in seconds. The very first batch does not count, because it includes tracing. The
    longer an epoch, the more it counts: about the last ten seconds matter. ``validation`` is the
    number of validation batches per training batch, if known; 0 without validation.
    """

    def __init__(self, epochs: int, steps: int | None, validation: float | None) -> None:
        self.steps = steps
        self._epochs = epochs
        self._validation = validation
        self._epochs_done = 0
        self._first: tuple[int, float] | None = None
        self._epoch_start = 0.0
        self._batches = 0
        self._last_batch = 0.0
        self._validation_start: float | None = None
        self._validated = 0.0
        self._work_end: float | None = None
        self._weight = MAX_WEIGHT
        self._batch_mean: float | None = None
        self._validation_mean: float | None = None
        self._overhead_mean: float | None = None

    def begin_epoch(self, at: float) -> None:
        """An epoch begins."""
        if self._work_end is not None:  # callbacks, and what Keras does between two epochs
            self._overhead_mean = self._mix(self._overhead_mean, max(0.0, at - self._work_end))
        self._epoch_start = self._last_batch = at
        self._batches = 0
        self._validated, self._validation_start = 0.0, None
        self._first = None if self._epochs_done == 0 else (0, at)

    def end_batches(self, done: int, at: float) -> None:
        """So many batches of the epoch are done."""
        self._batches, self._last_batch = done, at
        if self._first is None:
            self._first = (done, at)

    def begin_validation(self, at: float) -> None:
        """The epoch's batches are trained; its validation begins."""
        self._validation_start = at

    def end_validation(self, at: float) -> None:
        """The epoch's validation is over."""
        if self._validation_start is not None:
            self._validated = at - self._validation_start
        self._validation_start = None

    def end_epoch(self, at: float) -> None:
        """The epoch is over."""
        self.steps = self._batches or self.steps
        batch = self.batch_seconds()
        self._weight = min(max((at - self._epoch_start) / MEMORY_SECONDS, MIN_WEIGHT), MAX_WEIGHT)
        if batch is not None:
            self._batch_mean = self._mix(self._batch_mean, batch)
        if self._validated:
            self._validation_mean = self._mix(self._validation_mean, self._validated)
        self._work_end = self._last_batch + self._validated
        self._epochs_done += 1
        self._first = None
        self._batches, self._last_batch = 0, at

    def _mix(self, mean: float | None, value: float) -> float:
        """An exponential moving average: a machine's speed changes."""
        return value if mean is None else mean + self._weight * (value - mean)

    def batch_seconds(self) -> float | None:
        """Time per batch: this epoch's, mixed with earlier epochs' near its start."""
        before = self._batch_mean
        if self._first is None or self._batches <= self._first[0]:
            return before
        batches = self._batches - self._first[0]
        current = (self._last_batch - self._first[1]) / batches
        if before is None or not self.steps:
            return current
        weight = min(1.0, self._batches / self.steps)
        return weight * current + (1 - weight) * before

    def epoch_seconds(self) -> float | None:
        """Time of a whole epoch, including validation; None if unknown."""
        batch = self.batch_seconds()
        if batch is None or not self.steps:
            return None
        training = batch * self.steps
        return training + self._validation_seconds(training) + (self._overhead_mean or 0.0)

    def epoch_left(self, at: float) -> float | None:
        """Time to the end of the current epoch; None if unknown."""
        batch = self.batch_seconds()
        if batch is None or not self.steps:
            return None
        validation = self._validation_seconds(batch * self.steps)
        overhead = self._overhead_mean or 0.0
        if self._validation_start is not None:
            return max(0.0, validation - (at - self._validation_start)) + overhead
        since_batch = min(at - self._last_batch, batch)
        left = max(0.0, (self.steps - self._batches) * batch - since_batch)
        return left + validation + overhead

    def left(self, at: float) -> float | None:
        """Time to the end of the run; None if unknown."""
        current, epoch = self.epoch_left(at), self.epoch_seconds()
        if current is None or epoch is None:
            return None
        return current + max(0, self._epochs - self._epochs_done - 1) * epoch

    def _validation_seconds(self, training: float) -> float:
        if self._validation_mean is not None:
            return self._validation_mean
        return VALIDATION_COST * training * (self._validation or 0.0)
