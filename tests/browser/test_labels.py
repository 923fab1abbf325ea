"""The review of probably wrong labels: keys, a reload, and the saved card."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

SETUP = """
import numpy as np
from kmagic import find_label_errors
rng = np.random.default_rng(0)
y = rng.integers(0, 10, 900)
odds = rng.dirichlet(np.full(10, 0.2), 900) + 4 * np.eye(10)[y] * rng.random((900, 1))
odds /= odds.sum(axis=1, keepdims=True)
y[:90] = (y[:90] + 1) % 10
x = rng.integers(0, 255, (900, 16, 16), dtype="uint8")
labels = find_label_errors(None, x, y, probabilities=odds)
labels
"""
INTERACTIVE = "node(0).querySelector('.km-review.km-reviewing [aria-selected=true]') !== null"
REVIEWED = "node(0).querySelector('.km-progress')?.textContent.includes(arg)"
FOCUSED = "document.activeElement.closest('.km-review') !== null"
SAVED = "JSON.stringify(cell(0).model.outputs?.toJSON() ?? []).includes(arg)"


def python(notebook: NotebookPage, expression: str) -> Any:
    """What an expression gives in the kernel."""
    cell = notebook.append(f"print(repr({expression}))")
    (output,) = notebook.run_cell(cell)
    return eval("".join(output["text"]))  # noqa: S307 - our own cell


def selected(card: Locator) -> int:
    marks = card.locator(".km-candidate").evaluate_all(
        "all => all.map(e => e.getAttribute('aria-selected'))"
    )
    return int(marks.index("true"))


def start(notebook: NotebookPage, lab: Lab) -> Locator:
    lab.write("labels.ipynb", [SETUP])
    notebook.open("labels.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.wait_until(INTERACTIVE, what="the card to be interactive")
    return notebook.output(0)


@pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)
def test_review_by_keyboard(notebook: NotebookPage, lab: Lab) -> None:
    card, keys = start(notebook, lab), notebook.page.keyboard
    rows = python(notebook, "labels.indices.tolist()")
    total, page = len(rows), card.locator(".km-candidate").count()
    assert 8 <= page < total
    cells = notebook.js("panel.content.widgets.length")

    # D D would delete the cell, and each key goes to the next candidate.
    card.get_by_role("listbox").focus()
    for key in ("k", "r", "d", "d"):
        keys.press(key)
    notebook.wait_until(REVIEWED, "1 kept, 1 relabelled, 2 dropped", what="four decisions")
    assert selected(card) == 4
    assert notebook.js("panel.content.widgets.length") == cells
    decided = python(notebook, "[labels.decisions[k][0] for k in labels.candidates[:4].tolist()]")
    assert decided == ["keep", "relabel", "drop", "drop"]

    # The list of classes: Enter takes the chosen one.
    card.get_by_role("listbox").focus()
    keys.press("c")
    card.get_by_role("combobox").select_option("5")
    keys.press("Enter")
    notebook.wait_until(REVIEWED, "2 relabelled", what="a class from the list")
    assert python(notebook, f"int(labels.y[{rows[4]}])") == 5
    card.get_by_role("listbox").focus()
    keys.press("u")
    notebook.wait_until(REVIEWED, "1 kept, 1 relabelled, 2 dropped", what="the undo")

    # A digit is a class; U takes it back, and selects the candidate again.
    card.get_by_role("listbox").focus()
    keys.press("ArrowRight")
    keys.press("7")
    notebook.wait_until(REVIEWED, "2 relabelled", what="a class chosen by its name")
    assert python(notebook, f"int(labels.y[{rows[5]}])") == 7
    card.get_by_role("listbox").focus()
    keys.press("u")
    notebook.wait_until(REVIEWED, "1 kept, 1 relabelled, 2 dropped", what="the undo")
    assert selected(card) == 5

    # Further candidates, by keys and by the mouse.
    keys.press("End")
    notebook.wait_until(f"node(0).innerText.includes('of {total}')", what="the pages")
    last = f"#{rows[-1]:,}"
    card.locator(".km-candidate", has_text=last).wait_for()
    card.get_by_role("button", name="previous page").click()
    card.locator(".km-candidate", has_text=last).wait_for(state="detached")
    keys.press("Home")
    card.locator(".km-candidate", has_text=f"#{rows[0]:,}").wait_for()


def test_the_saved_card_and_a_reloaded_page_have_the_decisions(
    notebook: NotebookPage, lab: Lab
) -> None:
    card, keys = start(notebook, lab), notebook.page.keyboard
    card.get_by_role("listbox").focus()
    keys.press("r")
    notebook.wait_until(SAVED, "1 relabelled", what="the card in the document")
    notebook.wait_until(FOCUSED, what="the focus in the new card")
    for key in "kdd":
        keys.press(key)
    notebook.wait_until(SAVED, "1 kept, 1 relabelled, 2 dropped", what="the card in the document")
    notebook.save()
    notebook.reload()
    notebook.show(0)
    notebook.wait_until(INTERACTIVE, what="the card of the reloaded page")
    card = notebook.output(0)
    assert "1 kept, 1 relabelled, 2 dropped" in card.inner_text()
    card.locator(".km-candidate").nth(4).click()
    card.get_by_role("button", name="Keep").click()
    notebook.wait_until(REVIEWED, "2 kept", what="a decision after the reload")
    notebook.wait_until(SAVED, "2 kept", what="the card in the document")
    notebook.save()

    # Without a kernel the card is static, and nbconvert shows it.
    check_saved(lab)


def check_saved(lab: Lab) -> None:
    lab.end_kernels("labels.ipynb")
    (output,) = lab.read("labels.ipynb")["cells"][0]["outputs"]
    html = output["data"]["text/html"]
    assert len(html) <= 60_000
    assert "2 kept, 1 relabelled, 2 dropped" in html
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", "--stdin"]
    text = json.dumps(lab.read("labels.ipynb"))
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert "2 kept, 1 relabelled, 2 dropped" in io.StringIO(done.stdout).read()
