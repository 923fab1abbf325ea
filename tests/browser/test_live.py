"""The live view in JupyterLab and Notebook 7: grows, stops, reloads, shows itself twice."""

from __future__ import annotations

import time

import pytest

from .lab import Lab
from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)

SETUP = """%load_ext kmagic
import numpy as np
rng = np.random.default_rng(0)
x = rng.normal(size=(6400, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)
import kmagic
net = kmagic.build("input 8 / dense 16 relu / dense 1 sigmoid\\n"
                   "compile adam loss=binary_crossentropy metrics=accuracy")"""
FIT = "%keras_fit net x y -e 4000 -b 32 --val 0.1 -o run"
EPOCH = r"Number((node(arg).innerText.match(/epoch ([\d,]+) of/) || [0, '0'])[1].replace(',', ''))"
SOON = 1.0
"""Seconds from a click on Stop to the end of the cell."""


def start(notebook: NotebookPage, lab: Lab, line: str = FIT) -> int:
    """Start a training that would go on for long; return its cell when it has drawn curves."""
    lab.write("live.ipynb", [SETUP, line, "run.status"])
    notebook.open("live.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    notebook.wait_until(f"{EPOCH} >= 3", 1, timeout=60, what="the third epoch")
    return 1


def stop(notebook: NotebookPage, cell: int) -> float:
    """Click on Stop; return how long it took until the cell had ended."""
    clicked = time.monotonic()
    notebook.cell(cell).get_by_role("button", name="Stop").first.click()
    notebook.wait_until("node(arg).innerText.includes('stopped in epoch')", cell, timeout=30)
    return time.monotonic() - clicked


@both_apps
def test_it_grows_and_stops(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    seen = notebook.js(EPOCH, fit)
    notebook.wait_until(f"{EPOCH.replace('arg', 'arg[0]')} > arg[1]", [fit, seen])
    assert notebook.js("node(arg).querySelectorAll('.km-chart').length", fit) == 2
    assert stop(notebook, fit) < SOON
    (status,) = notebook.run_cell(2)
    assert "stopped" in status["data"]["text/plain"]


def test_a_second_view_shows_the_same(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    notebook.show(fit)
    notebook.command("notebook:create-output-view")
    charts = "[...document.querySelectorAll('.jp-LinkedOutputView .km-chart')]"
    notebook.wait_until(f"{charts}.length === 2", what="the second view's charts")
    label = "each => each.getAttribute('aria-label')"
    assert all("training" in text for text in notebook.js(f"{charts}.map({label})"))
    stop(notebook, fit)


def test_a_reload_in_mid_training_loses_nothing(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab, "%keras_fit net x y -e 250 -b 640 --val 0.1 -o run")
    assert notebook.cell_state(fit) == "running"
    notebook.save()
    notebook.reload()  # the kernel goes on, and answers when its cell has ended
    notebook.show(fit)
    notebook.wait_until("node(arg).innerText.includes('250 epochs')", fit, what="the whole run")
    assert notebook.js("node(arg).querySelectorAll('.km-chart').length", fit) == 2
    (status,) = notebook.run_cell(2, timeout=60)
    assert "done" in status["data"]["text/plain"]
    assert notebook.append("run") == len(notebook) - 1
    (output,) = notebook.run_cell(len(notebook) - 1)
    assert "250 epochs" in "".join(output["data"]["text/plain"])


@both_apps
def test_reopened_without_a_kernel_it_shows_its_picture(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    stop(notebook, fit)
    notebook.save()
    notebook.open("live.ipynb", kernel=False)
    notebook.show(fit)
    notebook.wait_until("node(arg).innerText.includes('stopped in epoch')", fit)
    seen = "[...node(arg).querySelectorAll('img, svg')].filter(each => each.clientWidth > 100)"
    notebook.wait_until(f"{seen}.length >= 2", fit, what="the curves")
