"""The live view in JupyterLab and Notebook 7: growing, stopping, reloading, a second view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .training import EPOCH, FIT, SETUP, start, stop

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)


@both_apps
def test_it_grows_and_stops(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    seen = notebook.js(EPOCH, fit)
    notebook.wait_until(f"{EPOCH.replace('arg', 'arg[0]')} > arg[1]", [fit, seen])
    assert notebook.js("node(arg).querySelectorAll('.km-chart').length", fit) == 2
    stop(notebook, fit)
    (status,) = notebook.run_cell(2)
    assert status["data"]["text/plain"] in ("'stopped'", "'interrupted'")


def test_it_fills_its_card_and_no_card_is_sent(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    right = "node(arg).querySelector(SELECTOR).getBoundingClientRect().right"
    edge, button = (
        right.replace("SELECTOR", f"'{each}'") for each in (".km-live-progress", "button")
    )
    assert notebook.js(f"Math.abs({edge} - {button})", fit) < 1
    # The page has announced that it shows the widget, so no card is sent too.
    notebook.wait_until("/0:0[5-9]/.test(node(arg).innerText)", fit)
    assert "text/html" not in notebook.outputs(fit)[-1]["data"]
    stop(notebook, fit)


def test_the_matrix_of_each_epoch_is_beside_the_curves(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab, f"{FIT} --watch confusion")
    picture = "node(arg).querySelector('.km-live-matrix')"
    notebook.wait_until(f"{picture}.naturalWidth > 99", fit, what="the matrix")
    title = (
        "Number(node(arg).innerText.match(/confusion matrix, epoch ([\\d,]+)/)[1].replace(',', ''))"
    )
    seen = notebook.js(title, fit)
    notebook.wait_until(f"{title.replace('arg', 'arg[0]')} > arg[1]", [fit, seen])
    label = "node(arg).querySelector('.km-live-focusable').getAttribute('aria-label')"
    assert "after epoch" in notebook.js(label, fit)
    notebook.output(fit).locator(".km-live-matrix").hover()
    notebook.wait_until("/[01] (correct|taken for [01]): \\d/.test(node(arg).innerText)", fit)
    notebook.output(fit).locator(".km-live-focusable").focus()
    for key in ("Escape", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        notebook.page.keyboard.press(key)
    notebook.wait_until("/1 taken for 0: \\d/.test(node(arg).innerText)", fit)
    stop(notebook, fit)
    card = "node(arg).querySelector('img[alt^=\"confusion after epoch\"]')"
    notebook.wait_until(f"{card}.naturalWidth > 99", fit, what="the card's matrix")


def test_one_view_shows_all_folds_also_in_a_reloaded_page(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("live.ipynb", [SETUP, "%keras_fit net x y -e 400 -b 32 --folds 3 -o run"])
    notebook.open("live.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    text = "node(arg)?.querySelector('.km-live')?.innerText"
    fold = f"new RegExp('fold {{}} of 3[^]*epoch [1-9]').test({text})"
    notebook.wait_until(fold.format(1), 1, timeout=60, what="the first fold")
    notebook.reload()
    notebook.wait_until(fold.format(2), 1, timeout=120, what="the second fold")
    assert notebook.js("node(arg).querySelectorAll('.km-live').length", 1) == 1
    stop(notebook, 1, "/1 of 3 runs finished: fold 2 (stopped|interrupted)/")


def test_a_training_that_cannot_start_leaves_no_card(notebook: NotebookPage, lab: Lab) -> None:
    stream = """import keras, time
class Unreadable(keras.utils.PyDataset):
    def __len__(self):
        return 2
    def __getitem__(self, index):
        time.sleep(3)
        raise OSError("no disk")
stream = Unreadable()"""
    lab.write("live.ipynb", [SETUP, stream, "%keras_fit net stream"])
    notebook.open("live.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1)
    notebook.run_cell(2, wait=False)
    notebook.wait_until("/starting/.test(node(arg).querySelector('.km-live')?.innerText)", 2)
    view, error = notebook.wait_cell(2, allow_errors=True)
    assert (view["data"], error["output_type"]) == ({}, "error")
    notebook.wait_until("!node(arg).querySelector('.kmagic')", 2)
    heights = "[...node(arg).querySelectorAll('.jp-OutputArea > *')].map(each => each.clientHeight)"
    assert notebook.js(heights, 2)[0] == 0


def test_without_an_announcement_the_card_is_sent_too(notebook: NotebookPage, lab: Lab) -> None:
    unseen = (
        "from kmagic.display.training import live_view\n"
        "live_view.mark_seen = lambda **_: False\n"
        "live_view.MAX_SECONDS_UNSEEN = 1.0"
    )
    fit = start(notebook, lab, f"{unseen}\n{FIT}")
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
    value = "each => each.getAttribute('aria-valuetext')"
    assert all("training" in text for text in notebook.js(f"{charts}.map({value})"))
    stop(notebook, fit)


def test_a_reload_in_mid_training_loses_nothing(notebook: NotebookPage, lab: Lab) -> None:
    enough = (
        "import keras, pathlib\n"
        "until_requested = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(\n"
        "    net, 'stop_training', pathlib.Path('enough').exists()))\n"
    )
    fit = start(notebook, lab, f"{enough}{FIT} --callbacks until_requested")
    assert notebook.cell_state(fit) == "running"
    seen = notebook.js(EPOCH, fit)
    notebook.save()
    # The kernel continues while the page is reloaded, and answers when its cell has ended.
    notebook.page.once("domcontentloaded", lambda _: (lab.root / "enough").touch())
    notebook.reload()
    notebook.show(fit)
    notebook.wait_until("/of 4,000 epochs/.test(node(arg).innerText)", fit, what="the whole run")
    assert notebook.js("node(arg).querySelectorAll('.km-chart').length", fit) == 2
    (output,) = notebook.run_cell(notebook.append("print(len(run.history['loss']))"), timeout=60)
    epochs = int("".join(output["text"]))
    assert epochs > seen
    assert f"{epochs:,} of 4,000 epochs" in notebook.output(fit).inner_text()


@both_apps
def test_reopened_without_a_kernel_it_shows_the_card(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    stop(notebook, fit)
    notebook.save()
    notebook.open("live.ipynb", kernel=False)
    notebook.show(fit)
    notebook.wait_until("/(stopped|interrupted) (in|after|during) /.test(node(arg).innerText)", fit)
    seen = "[...node(arg).querySelectorAll('img, svg')].filter(each => each.clientWidth > 100)"
    notebook.wait_until(f"{seen}.length >= 2", fit, what="the curves")


def test_a_finished_run_stays_interactive(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    notebook.wait_until(f"{EPOCH} > 20", fit)
    stop(notebook, fit)
    # In the card that takes the place of the live view.
    chart = notebook.output(fit).locator("[data-km] .km-chart[role=slider]").first
    chart.focus()
    notebook.page.keyboard.press("Home")
    notebook.wait_until("/epoch 1: training [\\d.]+/.test(node(arg).innerText)", fit)
    for name in ("log", "smooth"):
        notebook.output(fit).get_by_role("button", name=name, exact=True).click()
    last = "node(arg).querySelectorAll('.km-chart text[text-anchor=middle]')"
    chart.hover()  # waits until the buttons' changes have moved it to its place
    box = chart.bounding_box()
    assert box is not None
    rectangle = "Boolean(node(arg).querySelector('.km-zoom'))"
    for width in (3, 170):  # of less than two epochs, and of some
        notebook.page.mouse.move(box["x"] + 60, box["y"] + 60)
        notebook.page.mouse.down()
        notebook.page.mouse.move(box["x"] + 60 + width, box["y"] + 60, steps=3)
        notebook.wait_until(rectangle, fit)
        notebook.page.mouse.up()
        notebook.wait_until(f"!{rectangle}", fit, what="a chart without the rectangle")
    zoomed = notebook.output(fit).get_by_role("button", name="all epochs")
    zoomed.wait_for()
    assert notebook.js(f"[...{last}].length", fit) > 1
    zoomed.click()
    zoomed.wait_for(state="hidden")
    # What is shown needs no kernel, and does not return to the images when it stops.
    notebook.lab.end_kernels()
    chart.focus()
    notebook.page.keyboard.press("End")
    notebook.wait_until("/epoch \\d+: training [\\d.]+/.test(node(arg).innerText)", fit)
