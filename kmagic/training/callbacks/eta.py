"""How long things take, learned while they happen, and what is therefore still to come."""

from __future__ import annotations

FORWARD_ONLY = 0.4  # a batch of validation costs about this much of a batch of training


MEMORY = 10.0
LEAST, MOST = 0.02, 0.5


class _Mean:
    """A mean that leans on what came last: a machine's speed changes."""

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, value: float, share: float) -> None:
        """Let ``value`` count for ``share`` of the mean."""
        self.value = value if self.value is None else self.value + share * (value - self.value)


class Pace:
    """Learns the time of a batch, of a validation and of all else in an epoch.

    All times are seconds. The very first batch is left out, since it holds the tracing of the
    graph. An epoch counts for the more the longer it takes: about ten seconds are remembered.

    Args:
        epochs: How many epochs the run has.
        steps: Batches in an epoch, where known.
        validation: Batches of validation for one of training, where known; 0 without.
    """

    def __init__(self, epochs: int, steps: int | None, validation: float | None) -> None:
        self.steps = steps
        self._epochs = epochs
        self._validation = validation
        self._done = 0
        self._batch: float | None = None
        self._first: tuple[int, float] | None = None
        self._begun = 0.0
        self._batches = 0
        self._trained = 0.0
        self._checking: float | None = None
        self._checked = 0.0
        self._worked_until: float | None = None
        self._share = MOST
        self._epoch_batch, self._epoch_check, self._epoch_rest = _Mean(), _Mean(), _Mean()

    def epoch_begins(self, at: float) -> None:
        """An epoch begins."""
        if self._worked_until is not None:  # callbacks, and what Keras does between two epochs
            self._epoch_rest.add(max(0.0, at - self._worked_until), self._share)
        self._begun = self._trained = at
        self._batches = 0
        self._checked, self._checking = 0.0, None
        self._first = None if self._done == 0 else (0, at)

    def batches_done(self, done: int, at: float) -> None:
        """So many batches of the epoch are done."""
        self._batches, self._trained = done, at
        if self._first is None:
            self._first = (done, at)

    def validation_begins(self, at: float) -> None:
        """The epoch's training is over, its validation begins."""
        self._checking = at

    def validation_ends(self, at: float) -> None:
        """The epoch's validation is over."""
        if self._checking is not None:
            self._checked = at - self._checking
        self._checking = None

    def epoch_ends(self, at: float) -> None:
        """The epoch is over."""
        self.steps = self._batches or self.steps
        batch = self.batch_seconds()
        self._share = min(max((at - self._begun) / MEMORY, LEAST), MOST)
        if batch is not None:
            self._epoch_batch.add(batch, self._share)
        if self._checked:
            self._epoch_check.add(self._checked, self._share)
        self._worked_until = self._trained + self._checked
        self._done += 1
        self._first = None
        self._batches, self._trained = 0, at

    def batch_seconds(self) -> float | None:
        """Time of a batch: this epoch's, leaning on the epochs before while it is young."""
        before = self._epoch_batch.value
        if self._first is None:
            return before
        batches = self._batches - self._first[0]
        if batches < 1:
            return before
        current = (self._trained - self._first[1]) / batches
        if before is None or not self.steps:
            return current
        weight = min(1.0, self._batches / self.steps)
        return weight * current + (1 - weight) * before

    def epoch_seconds(self) -> float | None:
        """Time of a whole epoch, validation included; None while nobody can know."""
        batch = self.batch_seconds()
        if batch is None or not self.steps:
            return None
        training = batch * self.steps
        return training + self._validation_seconds(training) + (self._epoch_rest.value or 0.0)

    def this_epoch(self, at: float) -> float | None:
        """Time to the end of the epoch that runs; None while nobody can know."""
        batch = self.batch_seconds()
        if batch is None or not self.steps:
            return None
        validation = self._validation_seconds(batch * self.steps)
        rest = self._epoch_rest.value or 0.0
        if self._checking is not None:
            return max(0.0, validation - (at - self._checking)) + rest
        gone = min(at - self._trained, batch)  # of the batch that runs
        return max(0.0, (self.steps - self._batches) * batch - gone) + validation + rest

    def left(self, at: float) -> float | None:
        """Time to the end of the run; None while there is nothing to tell it from."""
        this, epoch = self.this_epoch(at), self.epoch_seconds()
        if this is None or epoch is None:
            return None
        return this + max(0, self._epochs - self._done - 1) * epoch

    def _validation_seconds(self, training: float) -> float:
        if self._epoch_check.value is not None:
            return self._epoch_check.value
        return FORWARD_ONLY * training * (self._validation or 0.0)
