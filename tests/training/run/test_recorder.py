"""The recorder and its displays, with a controlled clock."""

from __future__ import annotations

from typing import Any

import pytest

from kmagic.training.run.recorder import EtaEstimator, Recorder
from kmagic.training.run.training_run import TrainingRun

from ...clocks import Clock
from ..fitting import Early, RecordingDisplay


def recorded(
    *displays: RecordingDisplay, epochs: int = 2, steps: int = 100, **keywords: Any
) -> tuple[Recorder, Clock]:
    clock = Clock(100.0)
    run = TrainingRun("cnn", epochs=epochs, steps=steps, **keywords)
    return Recorder(run, displays, clock=clock), clock


def train_epoch(recorder: Recorder, clock: Clock, number: int, *, batch: float = 0.01) -> None:
    recorder.begin_epoch(number, 0.001)
    for done in range(1, (recorder.run.steps or 0) + 1):
        clock.now += batch
        recorder.end_batches(done, {"loss": 1 / done})
    recorder.end_epoch({"loss": 1 / number})


def test_updates_are_throttled() -> None:
    quick, slow = RecordingDisplay(interval=0.1), RecordingDisplay(interval=1.0)
    recorder, clock = recorded(quick, slow)
    recorder.begin()
    for number in (1, 2):
        train_epoch(recorder, clock, number)  # a second each
    recorder.end("done")
    updates = [sum(moment == "update" for moment, _ in view.calls) for view in (quick, slow)]
    assert 17 <= updates[0] <= 21
    assert 2 <= updates[1] <= 3
    # Epochs are not throttled: a log has a line for each.
    assert sum(moment == "epoch" for moment, _ in slow.calls) == 2
    assert [view.calls[-1][0] for view in (quick, slow)] == ["end", "end"]


def test_a_display_is_shown_once_and_before_the_training() -> None:
    view = Early()
    recorder, _ = recorded(view)
    with recorder.discarding():
        recorder.prepare()
        recorder.prepare()
        recorder.begin()
    assert [moment for moment, _ in view.calls] == ["prepare", "begin"]


@pytest.mark.parametrize(
    ("steps", "moments"),
    [
        ([], []),
        (["prepare"], ["prepare", "discard"]),
        (["prepare", "failed"], ["prepare", "discard"]),
        (["prepare", "begin", "failed"], ["prepare", "begin", "end"]),
        (["prepare", "interrupted"], ["prepare", "begin", "end"]),
    ],
)
def test_a_display_is_discarded_only_if_the_training_does_not_begin(
    steps: list[str], moments: list[str]
) -> None:
    view = Early()
    recorder, _ = recorded(view)
    with pytest.raises(ValueError, match="data"), recorder.discarding():  # noqa: PT012 - a fit has steps
        for step in steps:
            method = getattr(recorder, step, None)
            method() if method else recorder.end(step)  # type: ignore[arg-type]
        raise ValueError("data")
    assert [moment for moment, _ in view.calls] == moments


class Broken(RecordingDisplay):
    """Raises at one moment."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def update(self, run: TrainingRun) -> None:
        super().update(run)
        if self.moment == "update":
            raise RuntimeError("no paper")

    def end(self, run: TrainingRun) -> None:
        super().end(run)
        if self.moment == "end":
            raise RuntimeError("no paper")


@pytest.mark.parametrize("moment", ["update", "end"])
def test_a_failing_display_is_reported_once_and_training_continues(moment: str) -> None:
    broken, whole = Broken(moment), RecordingDisplay()
    recorder, clock = recorded(broken, whole)
    recorder.begin()
    train_epoch(recorder, clock, 1)
    with pytest.warns(RuntimeWarning, match=r"Training was not affected[\s\S]*no paper") as caught:
        recorder.end("done")
    assert len(caught) == 1
    assert sum(each == "update" for each, _ in broken.calls) == (1 if moment == "update" else 102)
    assert broken.calls[-1][0] == whole.calls[-1][0] == "end"


def test_time_left_covers_the_whole_run_with_validation() -> None:
    recorder, clock = recorded(epochs=4, steps=100, samples=3200, validation_samples=320)
    recorder.begin()
    now = recorder.run.now
    recorder.begin_epoch(1)
    clock.now += 8.0  # the graph is made: once
    recorder.end_batches(1, {"loss": 1.0})
    for done in range(2, 101):
        clock.now += 0.1
        recorder.end_batches(done, {"loss": 1.0})
    recorder.begin_validation()
    clock.now += 2.0
    recorder.end_validation()
    recorder.end_epoch({"loss": 1.0, "val_loss": 1.0})
    assert now.left == pytest.approx(3 * (10 + 2), rel=0.02)
    recorder.begin_epoch(2)
    for done in range(1, 51):
        clock.now += 0.1
        recorder.end_batches(done, {"loss": 1.0})
    recorder._estimate(clock.now)
    assert now.left == pytest.approx(5 + 2 + 2 * 12, rel=0.02)
    assert now.rate == pytest.approx(10.0)
    assert now.elapsed == pytest.approx(8 + 9.9 + 2 + 5)
    recorder.end("stopped")
    assert now.left is None


def test_the_tracing_of_the_first_validation_is_not_expected_again() -> None:
    eta = EtaEstimator(6, 100, 0.1)
    eta.begin_epoch(0.0)
    eta.end_batches(1, 9.0)  # tracing
    eta.end_batches(100, 9.0 + 0.99)
    eta.begin_validation(10.0)
    eta.end_validation(16.0)  # tracing, too
    eta.end_epoch(16.0)
    assert eta.left(16.0) == pytest.approx(5 * 1.1, rel=1 / 3)


def test_the_first_validation_counts_only_until_the_second() -> None:
    eta = EtaEstimator(10, 1, 1.0)
    at = 0.0
    for validation in (9.0, 1.0):  # the first one includes tracing
        eta.begin_epoch(at)
        eta.end_batches(1, at + 1.0)
        eta.begin_validation(at + 1.0)
        eta.end_validation(at + 1.0 + validation)
        at += 1.0 + validation
        eta.end_epoch(at)
    assert eta.left(at) == pytest.approx(8 * 2.0, abs=1.0)


def test_time_left_is_unknown_at_first() -> None:
    eta = EtaEstimator(3, 10, 0.5)
    assert eta.left(0.0) is None
    eta.begin_epoch(0.0)
    eta.end_batches(1, 5.0)
    assert eta.left(5.0) is None
    eta.end_batches(2, 6.0)
    # Validation, not seen yet, is taken for less than its share of batches.
    assert eta.left(6.0) == pytest.approx(8 + 2 + 2 * 12)
    eta.end_batches(10, 14.0)
    eta.begin_validation(14.0)
    assert eta.left(15.0) == pytest.approx(1 + 2 * 12)


def test_the_time_between_two_epochs_counts() -> None:
    eta = EtaEstimator(10, 1, 0.0)
    at = 0.0
    for _ in range(5):
        eta.begin_epoch(at)
        eta.end_batches(1, at + 1.0)
        eta.end_epoch(at + 1.5)
        at += 4.0
    assert eta.left(at - 2.5) == pytest.approx(5 * 4.0)


def test_a_slow_batch_does_not_increase_time_left() -> None:
    eta = EtaEstimator(1, 10, 0.0)
    eta.begin_epoch(0.0)
    for done in range(1, 6):
        eta.end_batches(done, float(done))
    assert eta.left(5.0) == pytest.approx(5.0)
    assert eta.left(5.5) == pytest.approx(4.5)
    assert eta.left(60.0) == pytest.approx(4.0)


@pytest.fixture
def long_run() -> TrainingRun:
    recorder, clock = recorded(epochs=1, steps=1_000_000)
    recorder.begin()
    recorder.begin_epoch(1)
    for done in range(1, 200_001):
        clock.now += 0.001
        recorder.end_batches(done, {"loss": 9.0 if done == 12_345 else 1 / done})
    return recorder.run


def test_the_curve_of_a_long_epoch_stays_short(long_run: TrainingRun) -> None:
    points = long_run.epoch_curves["loss"].points()
    assert len(points) < 600
    assert (12_345 / 1_000_000, 9.0) in points
    assert points[-1] == (0.2, 1 / 200_000)
