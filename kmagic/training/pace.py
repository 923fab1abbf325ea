"""How long things take, learned while they happen, and what is therefore still to come."""

from __future__ import annotations

from collections import deque

RECENT = 3
FORWARD_ONLY = 0.4  # a batch of validation costs about this much of a batch of training


class Pace:
    """Learns the time of a batch, of a validation and of all else in an epoch.

    All times are seconds. The very first batch is left out, since it holds the tracing of the
    graph, and so are all epochs but the last three: a machine's speed changes.

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
        self._epoch_batches: deque[float] = deque(maxlen=RECENT)
        self._validations: deque[float] = deque(maxlen=RECENT)
        self._rests: deque[float] = deque(maxlen=RECENT)

    def epoch_begins(self, at: float) -> None:
        """An epoch begins."""
        self._begun = self._trained = at
        self._batches = 0
        self._checking = None
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
            self._validations.append(at - self._checking)
        self._checking = None

    def epoch_ends(self, at: float) -> None:
        """The epoch is over, callbacks and all."""
        self.steps = self._batches or self.steps
        batch = self.batch_seconds()
        if batch is not None:
            self._epoch_batches.append(batch)
        validation = self._validations[-1] if self._validations else 0.0
        if self._done:  # what the first epoch does besides, it does once
            self._rests.append(max(0.0, at - self._trained - validation))
        self._done += 1
        self._first = None
        self._batches, self._trained = 0, at

    def batch_seconds(self) -> float | None:
        """Time of a batch: this epoch's, leaning on the epochs before while it is young."""
        before = (
            sum(self._epoch_batches) / len(self._epoch_batches) if self._epoch_batches else None
        )
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

    def left(self, at: float) -> float | None:
        """Time to the end of the run; None while there is nothing to tell it from."""
        batch = self.batch_seconds()
        if batch is None or not self.steps:
            return None
        validation = self._validation_seconds(batch * self.steps)
        rest = sum(self._rests) / len(self._rests) if self._rests else 0.0
        epoch = self.steps * batch + validation + rest
        if self._checking is not None:
            this = max(0.0, validation - (at - self._checking)) + rest
        else:
            gone = min(at - self._trained, batch)  # of the batch that runs
            this = max(0.0, (self.steps - self._batches) * batch - gone) + validation + rest
        return this + max(0, self._epochs - self._done - 1) * epoch

    def _validation_seconds(self, training: float) -> float:
        if self._validations:
            return sum(self._validations) / len(self._validations)
        return FORWARD_ONLY * training * (self._validation or 0.0)
