"""The first tutorial in a real JupyterLab: trained, stopped, saved and reopened."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from .lab import Lab
from .notebook import NotebookPage

pytestmark = pytest.mark.browser

TUTORIAL = Path(__file__).parents[2] / "notebooks" / "01_mnist.ipynb"
CURVES = "[...node(arg).querySelectorAll('.km-chart path, .km-chart polyline')]"
INK = f"{CURVES}.map(each => each.getAttribute('d') || each.getAttribute('points')).join('|')"
FIT, MODEL = "%keras_fit cnn", "%%keras_model cnn"
LONG = "%keras_fit cnn --data digits -e 60 -b 64 --val 0.1 -o long"
"""Seconds from the click on Stop to the end of the cell: what the README promises."""


@pytest.fixture
def tutorial(notebook: NotebookPage, lab: Lab) -> NotebookPage:
    fresh = nbformat.read(TUTORIAL, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(fresh, lab.root / "tutorial.ipynb")
    notebook.open("tutorial.ipynb")
    return notebook


def find(notebook: NotebookPage, start: str) -> int:
    return next(i for i in range(len(notebook)) if notebook.source(i).startswith(start))


def run_up_to(notebook: NotebookPage, start: str) -> int:
    """Run the code cells above the first cell that starts so; return that cell."""
    goal = find(notebook, start)
    for i in range(goal):
        if notebook.js("cell(arg).model.type", i) == "code":
            notebook.run_cell(i, timeout=120)
    return goal


def html(notebook: NotebookPage, i: int) -> str:
    return "".join(
        "".join(output.get("data", {}).get("text/html", "")) for output in notebook.outputs(i)
    )


def test_train_evaluate_save_and_reopen(tutorial: NotebookPage, lab: Lab) -> None:
    fit = run_up_to(tutorial, FIT)
    tutorial.run_cell(fit, wait=False)
    tutorial.show(fit)  # a chart that is out of sight is not drawn

    # The chart grows while the cell runs.
    first = tutorial.wait_until(INK, fit, timeout=60, what="the first curve")
    running = "cell(arg[0]).model.executionState === 'running'"
    grown = INK.replace("arg", "arg[0]")
    tutorial.wait_until(f"{running} && {grown} !== arg[1]", [fit, first], what="the chart to grow")
    assert tutorial.cell_state(fit) == "running"
    assert tutorial.cell(fit).get_by_role("button", name="Stop").is_visible()
    assert tutorial.output(fit).get_by_role("progressbar").is_visible()
    tutorial.wait_cell(fit, timeout=120)

    # At the end the card replaces the widget.
    (output,) = tutorial.outputs(fit)
    assert set(output["data"]) == {"text/plain", "text/html"}
    assert "3 epochs" in "".join(output["data"]["text/plain"])

    for i in range(fit + 1, len(tutorial)):
        if tutorial.js("cell(arg).model.type", i) == "code":
            tutorial.run_cell(i, timeout=180)
    tutorial.save()

    # Opened by someone else: no kernel and no trust.
    lab.copy_untrusted("tutorial.ipynb", "colleague.ipynb")
    tutorial.open("colleague.ipynb", kernel=False)
    assert not tutorial.has_kernel()
    assert not tutorial.is_trusted()
    _all_is_there(tutorial, fit)

    # Opened by its author: no kernel, but trusted.
    lab.trust("tutorial.ipynb")
    tutorial.open("tutorial.ipynb", kernel=False)
    assert tutorial.is_trusted()
    _all_is_there(tutorial, fit)
    tutorial.set_theme("dark")
    _all_is_there(tutorial, fit)
    tutorial.set_theme("light")


def _all_is_there(notebook: NotebookPage, fit: int) -> None:
    """Each card shows its words; the run's curves are drawn, and so are the digits."""
    for start, words in (
        ("%keras_data", "handwritten digits"),
        (MODEL, "600,810 parameters"),
        (FIT, "3 epochs"),
        ("%keras_evaluate", "accuracy"),
        ("%keras_confusion", "Most confused"),
        ("%keras_classify", "8 images, top 3"),
    ):
        i = find(notebook, start)
        notebook.show(i)
        notebook.wait_until(
            "node(arg[0]).innerText.includes(arg[1])", [i, words], timeout=15, what=words
        )
    seen = "[...node(arg).querySelectorAll('img, svg')].filter(each => each.clientWidth > 100)"
    notebook.show(fit)
    notebook.wait_until(f"{seen}.length >= 2", fit, what="the curves")
    digits = find(notebook, "%keras_classify")
    whole = "[...node(arg).querySelectorAll('img')].filter(each => each.naturalWidth > 0).length"
    notebook.show(digits)
    notebook.wait_until(f"{whole} >= 8", digits, what="the digits")


def test_stop_ends_the_cell_and_keeps_the_weights(tutorial: NotebookPage) -> None:
    fit = run_up_to(tutorial, FIT)
    tutorial.set_source(fit, LONG)
    tutorial.run_cell(fit, wait=False)
    tutorial.wait_until("node(arg).innerText.includes('epoch 2 of 60')", fit, timeout=60)
    tutorial.cell(fit).get_by_role("button", name="Stop").click()
    tutorial.wait_cell(fit, timeout=30)
    text = html(tutorial, fit)
    assert "stopped in epoch" in text or "stopped during validation of epoch" in text

    check = tutorial.append("long.status, len(long.history['loss']), cnn.history is not None")
    (output,) = tutorial.run_cell(check)
    status, epochs, _ = eval("".join(output["data"]["text/plain"]))  # noqa: S307 - our own cell
    assert status == "stopped"
    assert 1 <= epochs < 60


def test_an_interrupt_from_jupyter_is_not_an_error(tutorial: NotebookPage) -> None:
    fit = run_up_to(tutorial, FIT)
    tutorial.set_source(fit, LONG)
    tutorial.run_cell(fit, wait=False)
    tutorial.wait_until("node(arg).innerText.includes('epoch 2 of 60')", fit, timeout=60)
    tutorial.interrupt()
    outputs = tutorial.wait_cell(fit, timeout=30)
    assert [output["output_type"] for output in outputs] == ["display_data"]
    assert "interrupted in epoch" in html(tutorial, fit)
    again = tutorial.append("%keras_evaluate cnn --data digits")
    tutorial.run_cell(again)


def test_an_error_shows_the_line_of_the_cell(tutorial: NotebookPage) -> None:
    model = run_up_to(tutorial, MODEL)
    tutorial.set_source(model, "%%keras_model cnn\ninput 28x28x1\nconv2d 32 3x3 rleu")
    (error,) = tutorial.run_cell(model, allow_errors=True, timeout=60)
    shown = tutorial.output(model).inner_text()
    assert error["ename"] == "DSLError"
    assert "line 3, column 15" in shown
    assert "Did you mean relu?" in shown
    assert ".py" not in shown
