"""The live view in JupyterLab and Notebook 7: grows, stops, reloads, shows itself twice."""

from __future__ import annotations

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


def start(notebook: NotebookPage, lab: Lab, line: str = FIT) -> int:
    """Start a training that would go on for long; return its cell when it has drawn curves."""
    lab.write("live.ipynb", [SETUP, line, "run.status"])
    notebook.open("live.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    notebook.wait_until(f"{EPOCH} >= 3", 1, timeout=60, what="the third epoch")
    return 1


def stop(notebook: NotebookPage, cell: int) -> None:
    """Click on Stop, and wait until the cell has ended.

    On a machine so busy that the kernel does not answer in time, the view interrupts it instead.
    """
    notebook.cell(cell).get_by_role("button", name="Stop").first.click()
    ended = "/(stopped|interrupted) (in|after) /.test(node(arg).innerText)"
    notebook.wait_until(ended, cell, timeout=30, what="the end of the training")


@both_apps
def test_it_grows_and_stops(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    seen = notebook.js(EPOCH, fit)
    notebook.wait_until(f"{EPOCH.replace('arg', 'arg[0]')} > arg[1]", [fit, seen])
    assert notebook.js("node(arg).querySelectorAll('.km-chart').length", fit) == 2
    stop(notebook, fit)
    (status,) = notebook.run_cell(2)
    assert status["data"]["text/plain"] in ("'stopped'", "'interrupted'")


def test_curves_are_drawn_as_wished_with_the_run_before_behind(
    notebook: NotebookPage, lab: Lab
) -> None:
    fit = start(notebook, lab, f"%keras_fit net x y -e 8 -b 640 --val 0.1 -q\n{FIT}")
    view = notebook.output(fit)
    assert notebook.js("node(arg).querySelectorAll('.km-ghost').length", fit) == 2
    assert "grey: the run before" in view.inner_text()
    log, smooth = (view.get_by_role("button", name=name) for name in ("log", "smooth"))
    log.focus()
    for pressed in ("true", "false"):
        notebook.page.keyboard.press("Enter")
        assert log.get_attribute("aria-pressed") == pressed
    smooth.click()
    notebook.wait_until("node(arg).querySelectorAll('.km-raw').length >= 4", fit)
    right = "node(arg).querySelector(SELECTOR).getBoundingClientRect().right"
    edge, button = (right.replace("SELECTOR", f"'{each}'") for each in (".km-live-run", "button"))
    assert notebook.js(f"Math.abs({edge} - {button})", fit) < 1
    # The page has said that it shows the widget, so no card is sent beside it.
    notebook.wait_until("/0:0[5-9]/.test(node(arg).innerText)", fit)
    assert "text/html" not in notebook.outputs(fit)[-1]["data"]
    stop(notebook, fit)


def test_the_matrix_of_each_epoch_stands_beside_the_curves(
    notebook: NotebookPage, lab: Lab
) -> None:
    fit = start(notebook, lab, f"{FIT} --watch confusion")
    picture = "node(arg).querySelector('.km-live-matrix')"
    notebook.wait_until(f"{picture}.naturalWidth > 99", fit, what="the matrix")
    title = "Number(node(arg).innerText.match(/confusion, epoch ([\\d,]+)/)[1].replace(',', ''))"
    seen = notebook.js(title, fit)
    notebook.wait_until(f"{title.replace('arg', 'arg[0]')} > arg[1]", [fit, seen])
    assert "confusion after epoch" in notebook.js(f"{picture}.alt", fit)
    notebook.output(fit).locator(".km-live-matrix").hover()
    notebook.wait_until("/[01] (right|taken for [01]): \\d/.test(node(arg).innerText)", fit)
    notebook.output(fit).locator(".km-live-matrix").focus()
    for key in ("Escape", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        notebook.page.keyboard.press(key)
    notebook.wait_until("/1 taken for 0: \\d/.test(node(arg).innerText)", fit)
    stop(notebook, fit)
    card = "node(arg).querySelector('img[alt^=\"confusion after epoch\"]')"
    notebook.wait_until(f"{card}.naturalWidth > 99", fit, what="the card's matrix")


def test_where_no_widget_is_seen_the_card_comes_beside_it(notebook: NotebookPage, lab: Lab) -> None:
    deaf = "from kmagic.display import live\nlive.seen = lambda **_: False\nlive.PATIENCE = 1.0"
    fit = start(notebook, lab, f"{deaf}\n{FIT}")
    html = "cell(arg).model.outputs.get(0).data['text/html'] || ''"
    notebook.wait_until(f"({html}).length > 999", fit)
    assert notebook.js("node(arg).querySelectorAll('.km-live').length", fit) == 1
    stop(notebook, fit)


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
    notebook.wait_until("/(stopped|interrupted) (in|after) /.test(node(arg).innerText)", fit)
    seen = "[...node(arg).querySelectorAll('img, svg')].filter(each => each.clientWidth > 100)"
    notebook.wait_until(f"{seen}.length >= 2", fit, what="the curves")
