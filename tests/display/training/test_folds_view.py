"""A cross-validation has one output, whatever shows it."""

import numpy as np
import pytest

import kmagic
from kmagic.display.training import live_view
from kmagic.support.errors import KmagicError

from ...shells import run_cell, value_of

SETUP = """import numpy as np
x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)"""
MODEL = """%%keras_model net -q
input 4 / dense 1 sigmoid / compile adam loss=binary_crossentropy metrics=accuracy"""
FIT = "%keras_fit net x y -e 2 -b 16 --folds 3 --seed 1 -o cv"


@pytest.fixture
def notebook(shell, monkeypatch):
    monkeypatch.setattr(live_view, "_running", {})
    run_cell(shell, SETUP)
    value_of(shell, MODEL)
    return shell


@pytest.mark.parametrize("mode", ["widget", "html"])
def test_all_runs_share_an_output(notebook, monkeypatch, mode):
    monkeypatch.setenv("KMAGIC_DISPLAY", mode)
    result, output = value_of(notebook, FIT)
    assert result is notebook.user_ns["cv"]
    assert [each.update for each in output.outputs].count(False) == 1
    assert not output.outputs[0].update
    assert "3 folds, stratified" in output.outputs[-1].data["text/html"]
    seen = "".join(each.data.get("text/html", "") for each in output.outputs[:-1])
    assert ("net fold 3 of 3" in seen) == (mode == "html")
    assert not live_view._running


def test_lines_in_a_terminal(notebook, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    _, output = value_of(notebook, FIT)
    lines = output.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == [
        f"net fold {fold} of 3" for fold in (1, 2, 3)
    ]
    text = "\n".join(lines[3:]) + "".join(o.data["text/plain"] for o in output.outputs)
    assert text.startswith("net: 3 folds, stratified; mean of 3 runs")


@pytest.mark.parametrize("mode", ["log", "static"])
def test_a_card_at_the_end(notebook, monkeypatch, mode):
    monkeypatch.setenv("KMAGIC_DISPLAY", mode)
    _, output = value_of(notebook, FIT)
    (card,) = output.outputs
    assert "3 folds, stratified" in card.data["text/html"]
    assert bool(output.stdout) == (mode == "log")


@pytest.mark.parametrize("mode", ["widget", "html"])
def test_an_error_leaves_no_output(notebook, monkeypatch, mode):
    monkeypatch.setenv("KMAGIC_DISPLAY", mode)
    monkeypatch.setattr(
        "keras.Sequential.predict", lambda *_, **__: (_ for _ in ()).throw(OSError("no memory"))
    )
    result, output = run_cell(notebook, FIT)
    assert isinstance(result.error_in_exec, OSError)
    assert output.outputs[-1].data.get("text/html", "") in (
        "",
        output.outputs[0].data.get("text/html"),
    )
    assert not live_view._running


def test_nothing_is_shown_quietly(notebook, monkeypatch):
    for mode, line in (("none", FIT), ("html", f"{FIT} -q")):
        monkeypatch.setenv("KMAGIC_DISPLAY", mode)
        _, output = value_of(notebook, line)
        assert not output.outputs
        assert not output.stdout


# --- the magics -----------------------------------------------------------------------------------


def test_the_matrix_of_the_out_of_fold_predictions(notebook):
    value_of(notebook, f"{FIT} -q")
    matrix, _ = value_of(notebook, "%keras_confusion cv -q")
    cv = notebook.user_ns["cv"]
    right = (cv.predictions[:, 0] > 0.5) == notebook.user_ns["y"]
    assert matrix.samples == 60
    assert matrix.accuracy == pytest.approx(right.mean())
    assert (matrix.name, matrix.unit) == ("net", "out-of-fold rows")
    value_of(notebook, "%keras_fit net x y -e 1 --repeat 2 --folds 3 -q -o other")
    compared, _ = value_of(notebook, "%keras_confusion cv --vs other -q")
    assert compared.names == ("net", "other")
    result, _ = run_cell(notebook, "%keras_confusion cv --vs y")
    assert "is not a cross-validation" in str(result.error_in_exec)
    result, _ = run_cell(notebook, "%keras_confusion cv x y")
    assert "has its own data" in str(result.error_in_exec)
    named, _ = value_of(notebook, "%keras_confusion cv --class-names no,yes --threshold 0.9 -q")
    assert named.classes == ("no", "yes")


def test_the_images_of_a_cell(notebook):
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6)).astype("uint8")
    data = kmagic.load_data((images, np.arange(60) % 2), scale=255, flatten=True)
    notebook.user_ns["data"] = data
    value_of(notebook, MODEL.replace("input 4", "input 36"))
    value_of(notebook, "%keras_fit net --data data --folds 2 -q -o cv")
    matrix, _ = value_of(notebook, "%keras_confusion cv -q")
    assert matrix.x.shape == (48, 6, 6)  # rows of 36 values are known to be images


def test_the_runs_are_in_the_history(notebook):
    value_of(notebook, f"{FIT} -q")
    runs, _ = value_of(notebook, "%keras_history -q")
    assert [run.model_name for run in runs.runs.values()] == [
        f"net fold {fold} of 3" for fold in (1, 2, 3)
    ]
    one, _ = value_of(notebook, "%keras_history #2 -q")
    assert one is notebook.user_ns["cv"].runs[1]
    folds, _ = value_of(notebook, "%keras_history cv -q")
    assert list(folds.runs) == ["fold 1", "fold 2", "fold 3"]


def test_mistakes_on_the_line_are_marked(notebook):
    for line, message in (
        ("--folds 1", "--folds must be a whole number of at least 2"),
        ("--folds 99", "fewer than the 99 folds"),
        ("--repeat 2", "Hold out a part: --val 0.1, or add --folds 5"),
        ("--folds 3 --val 0.1", "Remove --val"),
        ("--folds 3 --groups town", "--groups names a column"),
        ("--groups y", "Add --folds 5"),
        ("--folds 3 --resume", "--resume cannot be used"),
        ("--folds 3 --checkpoint there", "Remove it"),
        ("--cv 3", "Write `--folds 3`"),
    ):
        result, _ = run_cell(notebook, f"%keras_fit net x y {line}")
        assert isinstance(result.error_in_exec, KmagicError), line
        assert message in str(result.error_in_exec)
