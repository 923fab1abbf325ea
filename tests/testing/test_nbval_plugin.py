"""The sanitize file and the pytest plugin for testing tutorials with nbval."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from kmagic.testing import SANITIZE

RULES = get_sanitize_patterns(Path(SANITIZE).read_text(encoding="utf-8"))


def sanitized(text: str) -> str:
    """As nbval does it."""
    for pattern, put in RULES:
        text = re.sub(pattern, put, text)
    return text


MATRIX = """cnn: 1,000 test samples, 82 wrong, accuracy 0.9180.

true \\ predicted   0    1  precision  recall     F1  support
0                 93    0      0.930   0.949  0.939       98
1                  0  111      0.965   0.974  0.969      114

Most confused:
  1 taken for 0: 7 of 98
"""
ALIKE = [
    ("mlp: 2 epochs; best epoch 2, val_loss 0.42", "mlp: 2 epochs; best epoch 1, val_loss 10.5"),
    (
        "cnn: 9 epochs; best epoch 8, val_loss 0.2",
        "cnn: 6 of 9 epochs (stopped early); best epoch 5, val_loss 0.2468",
    ),
    ("cnn: 1 epoch; loss 1.1985", "cnn: 1 epoch in 0:03; loss 1.31e-5"),
    (
        "cnn: 4 epochs in 0.4 s; best epoch 3, loss 1.1985",
        "cnn: 4 epochs in 31 ms; best epoch 1, loss 2.5",
    ),
    (
        "1,000 test samples, accuracy 0.9180, loss 0.3",
        "1,000 test samples, accuracy 1.0, loss 12.3",
    ),
    (MATRIX, MATRIX.replace("82 wrong", "none wrong").replace("  93  ", "   7  ")),
    (MATRIX, MATRIX.replace("1 taken for 0", "0 taken for 1").replace("0.930", "0.1  ")),
    (
        "cnn against mlp: errors 126 -> 82; better on 5.\nOnly cnn is right in 61 samples.",
        "cnn against mlp: errors 1,126 -> 8; better on 5, 8.\nOnly mlp is right.",
    ),
    (
        "cnn: 8 pictures, top 3 · none wrong\n0: 2 97.5%, 6 1.6% (right)\n1: 1 99.7% (right)",
        "cnn: 8 pictures, top 3 · 2 wrong\n0: 6 57.5%, 2 1% (it is 2)\n1: 1 9.7% (right)",
    ),
    (
        "{'accuracy': [0.57911, 0.81],\n 'loss': [1.35, 0.63]}",
        "{'accuracy': [0.6, 1.0],\n 'loss': [1.35e-05, 1e-3]}",
    ),
    (
        "array([[ 0.25, -1.5e-04],\n       [ 1.  ,  2.5]], dtype=float32)",
        "array([[-0.25, 1.5],\n [1.25, 2.]], dtype=float32)",
    ),
    ("        loss\nepoch       \n1     0.5381", "         loss\nepoch        \n1     10.5381"),
    ("it took 3.5 s, 81 % of the time", "it took 12 s, 7 % of the time"),
    ("<keras.Foo at 0x7f3a> of keras 3.15.1", "<keras.Foo at 0x10ab> of keras 3.6.0"),
    (
        "mnist: 60 rows. From Keras's cache, ~/.keras/datasets. Only a sample of 6 rows: no net.",
        "mnist: 60 rows. From Keras's cache, /srv/keras. Only a sample of 6 rows: it is offline.",
    ),
    (
        '<img src="data:image/png;base64,aa+/=" alt="a">',
        '<img src="data:image/png;base64,b" alt="a">',
    ),
]
UNLIKE = [
    ("mlp: 2 epochs; best epoch 2, val_loss 0.4", "mlp: 3 epochs; best epoch 2, val_loss 0.4"),
    ("mlp: 2 epochs; best epoch 2, val_loss 0.4", "cnn: 2 epochs; best epoch 2, val_loss 0.4"),
    ("cnn: 1,000 test samples, accuracy 0.9", "cnn: 1,000 test samples, mae 0.9"),
    ("cnn: 1,000 test samples, accuracy 0.9", "cnn: 100 test samples, accuracy 0.9"),
    (MATRIX, MATRIX.replace("0    1", "0    2")),
    ("cnn: 600,810 parameters", "cnn: 600,811 parameters"),
    ("[0.5, 0.25]", "[0.5]"),
    ("0: 2 97.5%, 6 1.6% (right)", "1: 2 97.5%, 6 1.6% (right)"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_figures_may_differ(one, other) -> None:
    assert sanitized(one) == sanitized(other)
    assert one != other


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_words_and_counts_may_not(one, other) -> None:
    assert sanitized(one) != sanitized(other)


def test_of_a_card_the_header_counts() -> None:
    from kmagic.display.kit.card import card_html

    one = card_html("cnn", "600,810 parameters", "<table>a</table>", foot="b")
    other = card_html("cnn", "600,810 parameters", '<img src="data:image/png;base64,a">')
    assert sanitized(one) == sanitized(other) == "card: cnn: 600,810 parameters"
    assert sanitized(card_html("cnn", "3 parameters", "")) != sanitized(one)


def test_of_a_data_frame_the_plain_text_counts() -> None:
    import pandas as pd

    frame = pd.DataFrame({"accuracy": [0.25]}, index=["cnn"])
    other = pd.DataFrame({"accuracy": [12.5]}, index=["cnn"])
    assert sanitized(frame._repr_html_()) == "data frame"
    assert sanitized(repr(frame)) == sanitized(repr(other))
    assert sanitized(repr(frame)) != sanitized(repr(other.rename(index={"cnn": "mlp"})))


def test_rules_do_not_hang_on_blanks_that_an_editor_cuts() -> None:
    text = Path(SANITIZE).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert len(RULES) == sum(line.startswith("regex: ") for line in text.splitlines())


def test_its_place_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kmagic.testing"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == SANITIZE


SOURCE = """import os
print(os.environ["KMAGIC_DISPLAY"], "loss", 0.5)"""


def compared(folder):
    """What pytest says of lesson.ipynb, run anew."""
    options = ["-p", "kmagic.testing.plugin", "--nbval", "--nbval-current-env", "lesson.ipynb"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize(
    ("recorded", "passes"),
    [("static loss 0.7321\n", True), ("static accuracy 0.5\n", False), ("log loss 0.5\n", False)],
)
def test_the_plugin_compares_words_of_a_static_display(tmp_path, recorded, passes) -> None:
    cell = nbformat.v4.new_code_cell(SOURCE, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text=recorded)]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "lesson.ipynb")
    said = compared(tmp_path)
    assert ("1 passed" in said) is passes, said
    assert ("1 failed" in said) is not passes, said


def test_a_lesson_is_recorded_and_passes(tmp_path) -> None:
    lines = ["import kmagic, random", "kmagic.parse('input 4 / dense 3')", "random.random()"]
    cells = [nbformat.v4.new_code_cell(line) for line in lines]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "lesson.ipynb")
    record = ["-m", "jupyter", "execute", "--inplace", "lesson.ipynb"]
    subprocess.run(
        [sys.executable, *record],
        cwd=tmp_path,
        env={**os.environ, "KMAGIC_DISPLAY": "static"},
        capture_output=True,
        check=True,
    )
    assert nbformat.read(tmp_path / "lesson.ipynb", as_version=4).cells[1].outputs
    said = compared(tmp_path)
    assert "3 passed" in said, said


def test_our_own_tutorials_are_found_without_the_other_tests(root: Path) -> None:
    notebook = "notebooks/05_language.ipynb"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", notebook],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
