"""Writes down what happens in a training, and tells the displays, no more often than they bear."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from typing import TYPE_CHECKING

from kmagic.support.downsampling import BoundedSeries
from kmagic.training.callbacks.eta import Pace
from kmagic.training.run.training_run import Display, Epoch, Partial, Status, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TAIL_POINTS = 64


class Recorder:
    """The one way into a :class:`~kmagic.training.run.training_run.TrainingRun`: moments come in as plain figures.

    It is the one place where displays are throttled and where their mistakes are caught: a view
    that breaks is left alone and told of at the end, the training goes on.

    Args:
        run: The record that is written.
        displays: Who is told.
        clock: Seconds, from anywhere; it never goes back.
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
        self._views = [_View(display) for display in displays]
        self._start = clock()
        self._due = math.inf
        self._epoch_start = 0.0
        self._begun = False
        self._pace = self._new_pace()

    def _new_pace(self) -> Pace:
        run = self.run
        share = None
        if run.samples and run.validation_samples is not None:
            share = run.validation_samples / run.samples
        return Pace(run.epochs - run.initial_epoch - run.resumed, run.steps, share)

    @property
    def pace(self) -> Pace:
        """How long things take, as far as it is known."""
        return self._pace

    # --- moments ------------------------------------------------------------------------------

    def begin(self, steps: int | None = None) -> None:
        """The training is ready for its first epoch of ``steps`` batches, if that is known."""
        self.run.steps = steps or self.run.steps
        self._pace = self._new_pace()
        self._begun = True
        self._due = 0.0
        for view in self._views:
            view.tell("begin", self.run)

    def epoch_begins(self, number: int, learning_rate: float | None = None) -> None:
        """Epoch ``number``, counted from 1, begins."""
        at = self._epoch_start = self.clock()
        now = self.run.now
        now.phase, now.epoch, now.batch, now.logs = "training", number, 0, {}
        now.learning_rate = learning_rate
        self.run.tail = {}
        self._pace.epoch_begins(at)
        self._refresh(at)

    def batches_done(self, done: int, logs: Mapping[str, float]) -> None:
        """So many batches of the epoch are done; ``logs`` are its figures up to here."""
        at = self.clock()
        now, tail, steps = self.run.now, self.run.tail, self.run.steps
        done = min(done, steps or done)  # Keras counts whole executions of several batches
        now.batch, now.logs = done, logs
        if steps:
            x = now.epoch - 1 + done / steps
            for key, value in logs.items():
                if key not in tail:
                    tail[key] = BoundedSeries(TAIL_POINTS)
                tail[key].append(x, value)
        self._pace.batches_done(done, at)
        if at >= self._due:
            self._refresh(at)

    def validation_begins(self) -> None:
        """The epoch's batches are trained, it is validated now."""
        at = self.clock()
        self.run.now.phase = "validating"
        self._pace.validation_begins(at)
        self._refresh(at)

    def validation_goes_on(self) -> None:
        """A batch of validation is done."""
        at = self.clock()
        if at >= self._due:
            self._refresh(at)

    def validation_ends(self) -> None:
        """The epoch is validated."""
        self._pace.validation_ends(self.clock())

    def epoch_ends(self, logs: Mapping[str, float], *, whole: bool = True) -> None:
        """The epoch is over with these figures; not ``whole`` if batches of it were left out."""
        at = self.clock()
        if not whole:
            self._keep_partial(logs)
            return
        run, now = self.run, self.run.now
        if not run.log:
            run.opening = {key: series.points() for key, series in run.tail.items()}
        if run.steps is None and now.batch:
            run.steps = now.batch
        now.phase, now.logs = "training", dict(logs)
        self._pace.epoch_ends(at)
        run.add(Epoch(now.epoch, now.logs, at - self._epoch_start, now.learning_rate))
        run.tail = {}
        self._estimate(at)
        for view in self._views:
            view.tell("epoch", run)
        self._refresh(at)

    def end(self, status: Status, note: str = "") -> None:
        """The training is over. Called once, whatever happened."""
        run = self.run
        self._estimate(self.clock())
        run.now.left = None
        run.note = note
        unfinished = run.now.epoch > run.initial_epoch + len(run.log)
        if unfinished and status != "done":
            self._keep_partial(run.now.logs)
        run.status = status
        run.tail = {} if run.log else run.tail
        if not self._begun and status == "failed":
            return
        for view in self._views:
            if not self._begun:
                view.tell("begin", run)
            view.tell("end", run)
        self._report()

    def _keep_partial(self, logs: Mapping[str, float]) -> None:
        now = self.run.now
        fraction = min(1.0, now.batch / self.run.steps) if self.run.steps else None
        self.run.partial = Partial(now.epoch, fraction, dict(logs))

    # --- telling ------------------------------------------------------------------------------

    def _estimate(self, at: float) -> None:
        now = self.run.now
        now.elapsed = at - self._start
        now.left = self._pace.left(at)
        batch = self._pace.batch_seconds()
        now.rate = 1 / batch if batch else None

    def _refresh(self, at: float) -> None:
        if at < self._due:
            return
        self._estimate(at)
        for view in self._views:
            if at >= view.due:
                view.due = at + view.display.interval
                view.tell("update", self.run)
        self._due = min((view.due for view in self._views), default=math.inf)

    def _report(self) -> None:
        for view in self._views:
            if view.trouble:
                warnings.warn(
                    f"A view of this training broke; the training is whole.\n\n{view.trouble}",
                    RuntimeWarning,
                    stacklevel=2,
                )


class _View:
    """A display, when it wants the next update, and what went wrong with it."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.due = 0.0
        self.trouble = ""

    def tell(self, moment: str, run: TrainingRun) -> None:
        if self.trouble and moment != "end":
            return
        try:
            getattr(self.display, moment)(run)
        except Exception:  # noqa: BLE001 - a view must never end a training; it is told of at the end
            self.trouble = self.trouble or traceback.format_exc()
            self.due = math.inf
