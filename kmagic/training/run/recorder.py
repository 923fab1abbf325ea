"""Writes training events into the run's record, and updates its displays at their rates."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kmagic.support.caller_names import warn_caller
from kmagic.support.downsampling import BoundedSeries
from kmagic.training.run.training_run import Display, Epoch, PartialEpoch, Status, TrainingRun

CURVE_POINTS = 256  # within an epoch
VALIDATION_COST, MAX_VALIDATION_COST = 0.4, 2.0
"""Time of a validation batch, in training batches: before it is measured, and at most."""
MEMORY_SECONDS = 10.0
MIN_WEIGHT, MAX_WEIGHT = 0.02, 0.5


class Recorder:
    """Fills a :class:`~kmagic.training.run.training_run.TrainingRun` from plain numbers.

    Displays are throttled here, and only here. A display that raises is dropped and reported at
    the end; the training continues.
    """

    def __init__(
        self,
        run: TrainingRun,
        displays: Sequence[Display] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.clock = clock
        self._views = [SafeDisplay(display) for display in displays]
        self._start = clock()
        self._due = math.inf
        self._epoch_start = 0.0
        self._is_prepared = self._begun = False
        self.eta = self._new_eta()

    def _new_eta(self) -> EtaEstimator:
        run = self.run
        share = None
        if run.samples and run.validation_samples is not None:
            share = run.validation_samples / run.samples
        return EtaEstimator(run.epochs - run.initial_epoch - run.resumed, run.steps, share)

    @contextmanager
    def discarding(self) -> Iterator[None]:
        """Remove the displays if the training does not begin."""
        try:
            yield
        finally:
            if self._is_prepared and not self._begun:
                self._call("discard")

    def prepare(self) -> None:
        """Show the displays, while the training is prepared; only the first call counts."""
        if not self._is_prepared:
            self._is_prepared = True
            self._call("prepare")

    def begin(self, steps: int | None = None) -> None:
        """Training is ready for its first epoch of ``steps`` batches, if their number is known."""
        self.run.steps = steps or self.run.steps
        self.eta = self._new_eta()
        self._due = 0.0
        self._begin()

    def _begin(self) -> None:
        self.prepare()
        self._begun = True
        self._call("begin")

    def _call(self, method: str) -> None:
        for view in self._views:
            view.call(method, self.run)

    def begin_epoch(self, number: int, learning_rate: float | None = None) -> None:
        """Epoch ``number``, counted from 1, begins."""
        at = self._epoch_start = self.clock()
        now = self.run.now
        now.phase, now.epoch, now.batch, now.logs = "training", number, 0, {}
        now.learning_rate = learning_rate
        self.run.epoch_curves = {}
        self.eta.begin_epoch(at)
        self._refresh(at)

    def end_batches(self, done: int, logs: Mapping[str, float]) -> None:
        """So many batches of the epoch are done; ``logs`` are its metrics so far."""
        at = self.clock()
        now, curves, steps = self.run.now, self.run.epoch_curves, self.run.steps
        done = min(done, steps or done)  # Keras counts whole executions of several batches
        now.batch, now.logs = done, logs
        if steps:
            x = now.epoch - 1 + done / steps
            for key, value in logs.items():
                if key not in curves:
                    curves[key] = BoundedSeries(CURVE_POINTS)
                curves[key].append(x, value)
        self.eta.end_batches(done, at)
        self._refresh(at)

    def begin_validation(self) -> None:
        """The epoch's batches are trained; its validation begins."""
        at = self.clock()
        self.run.now.phase = "validating"
        self.eta.begin_validation(at)
        self._refresh(at)

    def update_validation(self) -> None:
        """A validation batch is done."""
        self._refresh(self.clock())

    def end_validation(self) -> None:
        """The epoch's validation is over."""
        self.eta.end_validation(self.clock())

    def end_epoch(self, logs: Mapping[str, float], *, complete: bool = True) -> None:
        """The epoch is over with these metrics; not ``complete`` if it skipped batches."""
        at = self.clock()
        if not complete:
            self._set_partial(logs)
            return
        run, now = self.run, self.run.now
        if not run.log:
            curves = run.epoch_curves.items()
            run.first_epoch_curves = {key: series.points() for key, series in curves}
        if run.steps is None and now.batch:
            run.steps = now.batch
        now.phase, now.logs = "training", dict(logs)
        self.eta.end_epoch(at)
        run.add(Epoch(now.epoch, now.logs, at - self._epoch_start, now.learning_rate))
        run.epoch_curves = {}
        self._estimate(at)
        self._call("epoch")
        self._refresh(at)

    def end(self, status: Status, note: str = "") -> None:
        """Training is over; called once, however it ended."""
        run = self.run
        self._estimate(self.clock())
        run.now.left = None
        run.note = note
        unfinished = run.now.epoch > run.initial_epoch + len(run.log)
        if unfinished and status != "done":
            self._set_partial(run.now.logs)
        run.status = status
        run.epoch_curves = {} if run.log else run.epoch_curves
        if not self._begun:
            if status == "failed":
                return
            self._begin()
        self._call("end")
        for view in self._views:
            view.warn()

    def _set_partial(self, logs: Mapping[str, float]) -> None:
        now = self.run.now
        fraction = min(1.0, now.batch / self.run.steps) if self.run.steps else None
        self.run.partial = PartialEpoch(now.epoch, fraction, dict(logs))

    def _estimate(self, at: float) -> None:
        now = self.run.now
        now.elapsed = at - self._start
        now.left = self.eta.left(at)
        batch = self.eta.batch_seconds()
        now.rate = 1 / batch if batch else None

    def _refresh(self, at: float) -> None:
        if at < self._due:
            return
        self._estimate(at)
        for view in self._views:
            view.update(self.run, at)
        self._due = min((view.due for view in self._views), default=math.inf)


class SafeDisplay:
    """A display that cannot end a training: after an error it is called only once, at the end.

    Attributes:
        due: The time of its next update.
        error: The traceback of its first error; "" if there was none.
    """

    def __init__(self, display: Any) -> None:
        self.display = display
        self.due = 0.0
        self.error = ""

    def call(self, method: str, subject: Any) -> None:
        """Call a method of the display with the run, or whatever it shows."""
        if self.error and method != "end":
            return
        try:
            getattr(self.display, method)(subject)
        except Exception:  # noqa: BLE001 - see above
            self.error = self.error or traceback.format_exc()
            self.due = math.inf

    def update(self, subject: Any, at: float) -> None:
        """Call ``update``, unless the display's interval has not passed."""
        if at >= self.due:
            self.due = at + self.display.interval
            self.call("update", subject)

    def warn(self) -> None:
        """Report the error, if there was one."""
        if self.error:
            message = f"A display failed. Training was not affected.\n\n{self.error}"
            warn_caller(message, RuntimeWarning)


# --- the time left --------------------------------------------------------------------------------


class EtaEstimator:
    """Measures the time per batch, per validation and per epoch overhead.

    All times are in seconds. The first batch does not count, and the first validation only until
    there is a second, because both include tracing. The longer an epoch, the more it counts: about
    the last ten seconds matter. ``validation`` is the number of validation batches per training
    batch, if known; 0 without validation.
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
            known = self._validation_mean if self._epochs_done > 1 else None
            self._validation_mean = self._mix(known, self._validated)
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
        share = self._validation or 0.0
        if self._validation_mean is None:
            return VALIDATION_COST * training * share
        if self._epochs_done == 1 and share:  # it included tracing
            return min(self._validation_mean, MAX_VALIDATION_COST * training * share)
        return self._validation_mean
