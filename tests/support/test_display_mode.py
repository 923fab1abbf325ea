"""``KMAGIC_DISPLAY=static``: every magic gives one display, the same in two processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kmagic.support.keras_cache import show_path
from kmagic.training.run.training_run import Epoch, TrainingRun

DISPLAYS = """
%keras_data mnist --scale 255 --channel -o digits
---
%keras_data boston_housing --scale standard -o homes
---
%%keras_model mlp --seed 1
input 28x28x1 / flatten / dense 16 relu / dropout 0.3 / dense 10 softmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy
---
%%keras_model cnn --seed 2
input 28x28x1 / conv2d 4 3x3 relu / maxpool 2x2
residual: conv2d 4 3x3 same relu
flatten / dense 10 softmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy
---
%keras_fit mlp --data digits -e 2 -b 64 --val 0.1 --seed 1 -o first
---
%keras_fit cnn --data digits -e 1 -b 64 --seed 1 -o second
---
%keras_fit cnn --data digits -e 3 -b 64 --val 0.1 --patience 1 --plain --seed 1
---
first
---
%keras_history
---
%keras_history first
---
%keras_history first second
---
%keras_fit mlp --data digits -e 1 -b 64 --val 0.1 --seed 2 --watch confusion
---
%keras_evaluate cnn --data digits
---
%keras_predict cnn {digits.x_test[:3]}
---
%keras_predict cnn {digits.x_test[:3]} --classes
---
%keras_save cnn nets/cnn.keras
---
%keras_load nets/cnn.keras again
---
%keras_save cnn nets/cnn.weights.h5
---
%keras_load nets/cnn.weights.h5 again
---
%keras_confusion cnn --data digits
---
%keras_confusion cnn --data digits --vs mlp --top-losses 3
---
%keras_classify cnn {digits.x_test[:8]}
---
%keras_classify cnn {digits.x_test[:2]} --explain
---
%keras_summary cnn
---
%keras_plot cnn
---
%keras_code cnn
---
%keras_code cnn --as dsl
---
%keras_compile cnn sgd --loss sparse_categorical_crossentropy
---
%keras_layers
---
%keras_layers conv2d
---
cnn
---
digits
"""
OTHERS = """
%keras_summary cnn --keras
---
[first, second]
---
first.history
"""
TWO = """
%%keras_model from_r --from-r
mod <- Sequential()
mod$add(Dense(units = 50, input_shape = 13))
mod$add(Activation("relu"))
mod$add(Dense(units = 1))
"""  # the text with its Python, and the model
TIME = re.compile(r"\b\d+:\d\d\b|\b\d+(\.\d)? m?s\b|samples/s|\b20\d\d-\d\d")


RUNNER = """
import sys
import nbformat
from nbclient import NotebookClient

class Client(NotebookClient):
    changes = 0

    def process_message(self, msg, *args, **kwargs):
        self.changes += msg["msg_type"] in ("update_display_data", "clear_output", "comm_open")
        return super().process_message(msg, *args, **kwargs)

notebook = nbformat.read(sys.argv[1], as_version=4)
client = Client(notebook, timeout=300)
client.execute()
notebook.metadata.changes = client.changes
nbformat.write(notebook, sys.argv[1])
"""


def cells(text: str) -> list[Any]:
    return [nbformat.v4.new_code_cell(each.strip()) for each in text.split("---\n")]


@pytest.fixture(scope="module")
def twice(tmp_path_factory) -> list[Any]:
    """Two notebooks with the same cells, each executed by a kernel of its own."""
    load = nbformat.v4.new_code_cell("%load_ext kmagic")
    notebook = nbformat.v4.new_notebook(cells=[load, *cells(DISPLAYS), *cells(TWO), *cells(OTHERS)])
    paths = [tmp_path_factory.mktemp("once") / "all.ipynb" for _ in range(2)]
    running = []
    for path in paths:
        nbformat.write(notebook, path)
        command = [sys.executable, "-c", RUNNER, str(path)]
        environment = {**os.environ, "KMAGIC_DISPLAY": "static"}
        running.append(
            subprocess.Popen(command, cwd=path.parent, env=environment, stderr=subprocess.PIPE)
        )
    for each in running:
        _, said = each.communicate(timeout=600)
        assert each.returncode == 0, said.decode()
    return [nbformat.read(path, as_version=4) for path in paths]


def test_the_same_bytes_in_two_processes(twice) -> None:
    first, second = twice
    for one, other in zip(first.cells, second.cells, strict=True):
        assert one.outputs == other.outputs, one.source


def test_one_display_a_magic_that_never_changes(twice) -> None:
    first, second = twice
    assert first.metadata.changes == second.metadata.changes == 0
    for cell in first.cells[1 : len(cells(DISPLAYS)) + 1]:
        assert len(cell.outputs) == 1, (cell.source, cell.outputs)
        (output,) = cell.outputs
        assert output.output_type == "display_data", cell.source
        assert set(output.data) == {"text/plain", "text/html"}, cell.source
    for cell in first.cells[-len(cells(OTHERS)) :]:
        assert len(cell.outputs) == 1, cell.source


def test_no_times_and_no_folders_of_this_machine(twice) -> None:
    first, _ = twice
    for cell in first.cells:
        for output in cell.outputs:
            for text in output.get("data", {"text": output.get("text", "")}).values():
                shown = re.sub(r"data:image/[^\"]*|<style>.*?</style>", "", text, flags=re.DOTALL)
                assert str(Path.home()) not in shown
                assert os.environ["KERAS_HOME"] not in shown
                assert not TIME.search(re.sub(r"<[^>]*>", " ", shown)), cell.source


def test_a_run_tells_its_time_elsewhere(monkeypatch) -> None:
    run = TrainingRun("cnn", epochs=1)
    run.add(Epoch(1, {"loss": 0.5}, seconds=3.0))
    run.status = "done"
    monkeypatch.delenv("KMAGIC_DISPLAY", raising=False)
    assert repr(run) == "cnn: 1 epoch in 0:03; loss 0.5000"
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    assert repr(run) == "cnn: 1 epoch; loss 0.5000"


def test_folders_are_told_as_everywhere(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    monkeypatch.chdir(tmp_path)
    kept = Path(os.environ["KERAS_HOME"]) / "datasets" / "mnist.npz"
    assert show_path(kept) == "~/.keras/datasets/mnist.npz"
    assert show_path(tmp_path / "lesson" / "a.csv") == "lesson/a.csv"
    assert show_path(Path("lesson/a.csv")) == "lesson/a.csv"
    assert show_path(Path("/elsewhere/a.csv")) == "a.csv"


@pytest.mark.parametrize("missing", ["anywidget", "ipywidgets"])
def test_without_the_packages_for_widgets_results_are_cards(monkeypatch, missing):
    from kmagic.support import display_mode

    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    assert display_mode.display_mode() == "widget"
    monkeypatch.setattr(display_mode, "find_spec", lambda name: None if name == missing else name)
    assert display_mode.display_mode() == "html"
