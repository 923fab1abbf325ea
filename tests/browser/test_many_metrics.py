"""The live view of runs that are extreme: many metrics, many epochs, values that are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

SETUP = """%load_ext kmagic
import math, time
from kmagic.display.training.run_displays import displays_for
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import TrainingRun

def train(epochs, requested, metrics, loss=lambda epoch: math.exp(-epoch / 9)):
    run = TrainingRun("many", epochs=requested, steps=1, validation_samples=8)
    recorder = Recorder(run, displays_for("widget"))
    recorder.begin(1)
    for epoch in range(1, epochs + 1):
        recorder.begin_epoch(epoch)
        logs = {"loss": loss(epoch)} | {f"metric_{k}": 1 / epoch for k in range(metrics - 1)}
        recorder.end_epoch(logs | {f"val_{name}": value for name, value in logs.items()})
        time.sleep(0.05)
    time.sleep(5)
    recorder.end("stopped")
"""


def test_all_of_ten_metrics_are_drawn_within_the_card(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("many.ipynb", [SETUP, "train(5, 4000, 10)"])
    notebook.open("many.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    curves = "node(arg).querySelectorAll('.km-live .km-val').length"
    for width in (1300, 500):
        notebook.page.set_viewport_size({"width": width, "height": 2200})
        notebook.wait_until(f"{curves} === 10", 1, what="ten curves")
        inside = (
            "[...node(arg).querySelectorAll('.km-live-figure')].every(figure => "
            "figure.getBoundingClientRect().right <= "
            "node(arg).querySelector('.km-live').getBoundingClientRect().right + 1)"
        )
        assert notebook.js(inside, 1)
    # Five of 4,000 epochs are a point of the axis; the button shows only these.
    ticks = (
        "[...node(arg).querySelector('.km-chart').querySelectorAll('text')].map(t => t.textContent)"
    )
    assert "4000" in notebook.js(ticks, 1)
    notebook.output(1).get_by_role("button", name="trained").click()
    notebook.wait_until(f"({ticks}).includes('5') && !({ticks}).includes('4000')", 1)
    notebook.wait_cell(1)
