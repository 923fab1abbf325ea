"""Earlier runs of the same model behind a run's curves."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

import kmagic
from kmagic.display.training.training_card import (
    previous_metric_curves,
    previous_scale_values,
    run_charts,
    training_bundle,
)
from kmagic.display.training.widget_feed import WidgetFeed
from kmagic.training.run.run_history import PREVIOUS_COLUMNS, downsampled_curves, previous_curves
from kmagic.training.run.training_run import Epoch, TrainingRun


def trained(
    name: str = "cnn", *, by: float = 1.0, epochs: int = 5, val: bool = True
) -> TrainingRun:
    run = TrainingRun(name, epochs=epochs)
    for number in range(1, epochs + 1):
        logs = {"loss": by / number} | ({"val_loss": 2 * by / number} if val else {})
        run.add(Epoch(number, logs, 1.0))
    run.now.epoch = epochs
    run.status = "done"
    return run


def test_the_last_three_of_the_same_model_are_kept() -> None:
    runs = [trained(by=by) for by in (1, 2, 3, 4)]
    empty = TrainingRun("cnn")
    run = trained(by=9)
    run.earlier = previous_curves(run, [*runs[:2], trained("other"), empty, *runs[2:], run])
    assert [each["loss"][0] for each in run.earlier] == [(1, 2), (1, 3), (1, 4)]
    assert "grey: 3 previous runs" in training_bundle(run)["text/html"]
    run.earlier = previous_curves(run, runs[:1])
    assert "grey: previous run<" in training_bundle(run)["text/html"]


def test_previous_runs_outside_the_axes_are_not_mentioned() -> None:
    run = trained(by=1)
    run.earlier = previous_curves(run, [trained(by=1000)])
    assert "grey" not in training_bundle(run)["text/html"]
    run.earlier = [{"loss": [(7.0, 0.5), (8.0, 0.4)]}]  # after the last epoch
    assert "grey" not in training_bundle(run)["text/html"]


def test_a_continued_run_is_not_a_previous_one() -> None:
    first = trained(epochs=2)
    run = trained(epochs=5)
    run.earlier = previous_curves(run, [first])
    assert run.earlier == []
    assert "grey" not in training_bundle(run)["text/html"]


def test_previous_curves_are_drawn_first_and_included_in_the_scale() -> None:
    run = trained(by=1.0)
    run.earlier = previous_curves(run, [trained(by=1.5)])
    (loss,) = run_charts(run)
    assert [line.kind for line in loss.lines] == ["previous", "batches", "train", "val"]
    assert loss.lines[0].points[0] == (1, 3.0)
    assert max(loss.scale) == 3.0
    assert training_bundle(run)["text/html"].count('class="km-previous"') == 1


def test_comparable_metrics_are_chosen() -> None:
    run = trained(val=False)
    run.earlier = previous_curves(run, [trained(by=3.0)])
    assert previous_metric_curves(run, "loss")[0][0] == (1, 3.0)  # both on the training data
    assert previous_metric_curves(run, "accuracy") == []
    begun = TrainingRun("cnn")
    begun.earlier = run.earlier
    assert previous_metric_curves(begun, "loss")[0][0] == (
        1,
        6.0,
    )  # nothing is known yet, so the validation


def test_the_curves_of_a_long_run_are_downsampled() -> None:
    run = trained(epochs=5000)
    kept = downsampled_curves(run)
    assert set(kept) == {"loss", "val_loss"}
    assert all(len(points) <= 2 + 2 * PREVIOUS_COLUMNS for points in kept.values())
    new = trained()
    new.earlier = [kept] * 3
    assert len(json.dumps(WidgetFeed(new).previous_runs())) < 100_000


@pytest.mark.parametrize(
    ("values", "curves", "expected"),
    [
        ([], [[(1, 5.0)]], [5.0]),
        ([0.5], [[(1, 5.0)]], [5.0]),
        ([0.2, 0.3], [[(1, 9.0), (2, -9.0)], [(1, 0.25), (11, 7.0)]], [0.4, 0.1, 0.25]),
    ],
)
def test_previous_curves_stretch_the_scale_within_limits(
    values: list[float], curves: list[list[tuple[float, float]]], expected: list[float]
) -> None:
    assert previous_scale_values(values, curves, 10) == pytest.approx(expected)
    assert previous_scale_values(values, [[(1, math.nan)]], 10) == []
    if node := shutil.which("node"):
        module = Path(kmagic.__file__).parent / "static" / "kit" / "scales.js"
        program = (
            f"import {{ previousScaleValues }} from {json.dumps(module.as_uri())};"
            f"console.log(JSON.stringify(previousScaleValues({values}, {json.dumps(curves)}, 10)))"
        )
        command = [node, "--no-warnings", "--input-type=module", "-e", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == pytest.approx(expected)
