from __future__ import annotations

import math
import pickle
import threading
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.support.downsampling import BoundedSeries, drop_collinear, limit_per_column
from kmagic.support.formatting import format_approximate_duration, format_metric, format_seconds
from kmagic.training.run.training_run import Epoch, PartialEpoch, TrainingRun

from ..fitting import RecordingDisplay


def trained(*logs: dict[str, float], epochs: int = 0, **keywords: object) -> TrainingRun:
    run = TrainingRun("cnn", epochs=epochs or len(logs), **keywords)  # type: ignore[arg-type]
    for number_, each in enumerate(logs, run.initial_epoch + 1):
        run.add(Epoch(number_, each, seconds=2.0, learning_rate=0.001))
        run.now.epoch = number_
    run.now.elapsed = 2.0 * len(logs)
    return run


# --- the record -----------------------------------------------------------------------------------


def test_history_has_the_form_of_keras() -> None:
    # With validation_freq=2 Keras's lists are of different lengths too.
    run = trained({"loss": 3.0}, {"loss": 2.0, "val_loss": 2.5}, {"loss": 1.0})
    assert run.history == {"loss": [3.0, 2.0, 1.0], "val_loss": [2.5]}
    assert run.curve("val_loss") == [(2, 2.5)]
    assert run.epoch_times == [2.0, 2.0, 2.0]
    assert run.learning_rates == [0.001] * 3


def test_metrics_are_named_once_and_loss_first() -> None:
    run = trained({"accuracy": 0.5, "learning_rate": 0.1, "loss": 1.0, "val_accuracy": 0.4})
    assert run.metrics == ["loss", "accuracy"]
    fresh = TrainingRun()
    fresh.now.logs = {"mae": 1.0, "loss": 2.0}
    assert fresh.metrics == ["loss", "mae"]


def test_best_is_by_validation_and_the_first_of_equals() -> None:
    run = trained({"loss": 1.0, "val_loss": 0.5}, {"loss": 0.1, "val_loss": 0.5})
    assert run.best is not None
    assert (run.best.epoch, run.best.monitor, run.best.value) == (1, "val_loss", 0.5)
    run.add(Epoch(3, {"loss": 0.2, "val_loss": 0.4}, 2.0))
    assert run.best.epoch == 3


def test_best_ignores_nan() -> None:
    assert TrainingRun().best is None
    assert trained({"loss": math.nan}).best is None
    run = trained({"loss": math.nan}, {"loss": 2.0})
    assert run.best is not None
    assert run.best.epoch == 2


def test_progress_counts_the_epochs_of_this_run() -> None:
    run = trained({"loss": 1.0}, epochs=4, steps=10, initial_epoch=2)
    assert run.progress == 0.5
    run.now.epoch, run.now.batch = 4, 5
    assert run.progress == 0.75
    run.steps = None
    assert run.progress == 0.5


def test_to_frame_has_a_row_an_epoch() -> None:
    frame = trained({"loss": 1.0}, {"loss": 0.5, "val_loss": 0.6}).to_frame()
    assert list(frame.index) == [1, 2]
    assert frame.index.name == "epoch"
    assert list(frame.columns) == ["loss", "val_loss", "learning_rate", "seconds"]
    assert frame["val_loss"].isna().tolist() == [True, False]
    assert TrainingRun().to_frame().empty


def test_plot_has_axes_per_metric_and_does_not_use_pyplot() -> None:
    run = trained(*({"loss": 1 / n, "val_loss": 2 / n, "accuracy": 0.5} for n in (1, 2, 3)))
    axes = run.plot().axes
    assert [each.get_title() for each in axes] == ["loss", "accuracy"]
    assert [len(each.lines) for each in axes] == [2, 1]
    assert axes[0].lines[1].get_ydata().tolist() == [2.0, 1.0, 2 / 3]
    assert TrainingRun().plot().axes[0].get_title() == "loss"


def test_a_notebook_shows_a_figure_without_pyplot(shell) -> None:
    shown, _ = shell.display_formatter.format(trained({"loss": 1.0}).plot())
    assert b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_a_notebook_with_its_own_figure_format_keeps_it(shell) -> None:
    from matplotlib.figure import Figure

    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, str)
    shown, _ = shell.display_formatter.format(trained({"loss": 1.0}).plot())
    assert "image/png" not in shown


def test_a_run_can_be_pickled() -> None:
    run = trained({"loss": 1.0})
    run.stop()
    kept = pickle.loads(pickle.dumps(run))  # noqa: S301 - our own bytes
    assert kept.history == run.history
    assert not kept.stopping


def test_stop_works_from_any_thread() -> None:
    run = TrainingRun()
    thread = threading.Thread(target=run.stop)
    thread.start()
    thread.join()
    assert run.stopping


def interrupt_and_wait(run: TrainingRun) -> None:
    run.interrupt()
    threading.Event().wait(1)  # the signal ends it at once


def test_interrupt_reaches_the_training_and_nothing_after_it() -> None:
    run = TrainingRun()
    with pytest.raises(KeyboardInterrupt):
        interrupt_and_wait(run)
    run.status = "done"
    run.interrupt()
    sum(range(1000))  # where a signal would arrive


def test_interrupt_leaves_the_main_thread_alone_when_another_trains() -> None:
    made: list[TrainingRun] = []
    thread = threading.Thread(target=lambda: made.append(TrainingRun()))
    thread.start()
    thread.join()
    made[0].interrupt()
    sum(range(1000))


# --- in words -------------------------------------------------------------------------------------


BEST = "; best epoch 1, val_loss 0.2500"


def ended(status: str, **state: object) -> str:
    run = trained({"loss": 0.5, "val_loss": 0.25}, {"loss": 0.4, "val_loss": 0.3}, epochs=4)
    run.status = status  # type: ignore[assignment]
    run.steps = 50
    for name, value in state.pop("now", {}).items():  # type: ignore[attr-defined]
        setattr(run.now, name, value)
    for name, value in state.items():
        setattr(run, name, value)
    return run.describe()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ended("done", epochs=2),
            "2 epochs in 0:04; best epoch 1, val_loss 0.2500",
        ),
        (
            ended("done", note="stopped early"),
            "2 of 4 epochs in 0:04 (stopped early); best epoch 1, val_loss 0.2500",
        ),
        (
            ended("stopped", now={"epoch": 3}, partial=PartialEpoch(3, 0.62, {})),
            "stopped in epoch 3 of 4 at 62 %, after 0:04; 2 epochs kept" + BEST,
        ),
        (
            ended(
                "interrupted",
                now={"epoch": 3, "phase": "validating"},
                partial=PartialEpoch(3, 1, {}),
            ),
            "interrupted during validation of epoch 3 of 4, after 0:04; 2 epochs kept" + BEST,
        ),
        (
            ended("stopped"),
            "stopped after epoch 2 of 4, after 0:04; 2 epochs kept; best epoch 1, val_loss 0.2500",
        ),
        (
            ended("interrupted", now={"epoch": 0}, log=[]),
            "interrupted before the first batch, after 0:04; 0 epochs kept",
        ),
        (
            ended(
                "failed", now={"epoch": 3}, partial=PartialEpoch(3, None, {}), note="no more disk"
            ),
            "failed in epoch 3 of 4, after 0:04 (no more disk); 2 epochs kept" + BEST,
        ),
        (
            ended("running", now={"epoch": 3, "batch": 7}),
            "running: epoch 3 of 4, batch 7 of 50; best epoch 1, val_loss 0.2500",
        ),
        (
            ended("running", now={"epoch": 3, "phase": "validating"}),
            "running: epoch 3 of 4, validating; best epoch 1, val_loss 0.2500",
        ),
    ],
)
def test_a_run_as_text(words: str, expected: str) -> None:
    assert words == expected


def test_text_without_times_is_the_same_for_repeated_runs() -> None:
    run = trained({"loss": 0.5})
    run.status = "done"
    assert run.describe(times=False) == "1 epoch; loss 0.5000"
    run.now.elapsed = 99.0
    assert run.describe(times=False) == "1 epoch; loss 0.5000"
    assert repr(run) == "cnn: 1 epoch in 1:39; loss 0.5000"


def test_a_recording_display_records_its_calls() -> None:
    display = RecordingDisplay()
    run = trained({"loss": 0.5}, epochs=2)
    display.begin(run)
    display.epoch(run)
    run.status = "stopped"
    display.end(run)
    assert [moment for moment, _ in display.calls] == ["begin", "epoch", "end"]
    assert display.calls[-1][1] == "stopped after epoch 1 of 2; 1 epoch kept; loss 0.5000"


@given(st.floats(1e-9, 1e9))
def test_a_number_keeps_its_size(value: float) -> None:
    assert float(format_metric(value).replace(",", "")) == pytest.approx(value, rel=0.05)


@given(st.floats(0, 1e6))
def test_an_approximate_duration_is_close(left: float) -> None:
    parts = [int(part) for part in format_approximate_duration(left).split(":")]
    told = sum(part * 60**power for power, part in enumerate(reversed(parts)))
    assert abs(told - left) <= max(1.0, 0.25 * left)


def test_seconds_change_their_unit() -> None:
    assert [format_seconds(value) for value in (0.004, 0.25, 59.0, 61.0)] == [
        "4 ms",
        "0.2 s",
        "59.0 s",
        "1:01",
    ]


# --- curves of any length -------------------------------------------------------------------------

values = st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), max_size=400)


@given(values, st.integers(4, 64))
def test_a_bounded_series_is_short_and_keeps_both_extremes(ys: list[float], limit: int) -> None:
    series = BoundedSeries(limit)
    for x, y in enumerate(ys):
        series.append(x, y)
    points = series.points()
    assert len(points) <= 2 * limit + 3
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    assert set(points) <= {*enumerate(ys)} or any(map(math.isnan, ys))
    real = [y for y in ys if not math.isnan(y)]
    kept = [y for _, y in points if not math.isnan(y)]
    assert (min(kept, default=0), max(kept, default=0)) == (
        min(real, default=0),
        max(real, default=0),
    )
    assert [x for x, _ in points[-1:]] == [*range(len(ys))][-1:]


@given(values, st.integers(1, 64))
def test_each_column_keeps_its_ends_and_extremes(ys: list[float], columns: int) -> None:
    points = [(float(x), y) for x, y in enumerate(ys)]
    few = limit_per_column(points, columns)
    assert set(map(repr, few)) <= set(map(repr, points))
    assert [x for x, _ in few] == sorted({x for x, _ in few})
    finite, kept = ([y for _, y in part if math.isfinite(y)] for part in (points, few))
    assert (finite[:1], finite[-1:]) == (kept[:1], kept[-1:])
    assert {*finite[:0], *(f(finite) for f in (min, max) if finite)} <= set(kept)
    if len(finite) == len(points):
        assert len(few) <= 2 * columns + 2


def test_a_gap_survives() -> None:
    curve = [(float(x), math.nan if x == 500 else 1.0) for x in range(1000)]
    assert [math.isnan(y) for _, y in limit_per_column(curve, 10)].count(True) == 1


@given(values.map(lambda ys: [y for y in ys if abs(y) < 1e6]))
def test_no_point_that_is_left_out_is_off_the_line(ys: list[float]) -> None:
    kept = drop_collinear(list(enumerate(ys)), 0.4)
    assert set(kept) <= {*enumerate(ys)}
    if ys:
        drawn = np.interp(range(len(ys)), *zip(*kept, strict=True))
        assert np.abs(drawn - ys).max() <= 0.4 + 1e-6


def test_the_newest_point_is_always_there() -> None:
    series = BoundedSeries(8)
    for x in range(1000):
        series.append(x, float(-x % 7))
        assert series.points()[-1][0] == x
