"""A page that is reloaded, or a notebook that is reopened, while a training runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .training import EPOCH, start, stop

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)
LATER = f"{EPOCH.replace('arg', 'arg[0]')} > arg[1]"
SAVED = "!panel.context.model.dirty && arg"


def saved_output(lab: Lab, cell: int) -> dict[str, str]:
    """The data of a cell's only output in the file."""
    (output,) = lab.read("live.ipynb")["cells"][cell]["outputs"]
    data: dict[str, str] = output["data"]
    return data


@both_apps
def test_a_reloaded_page_shows_the_training_and_stops_it(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    # The live view has saved the notebook, so that its output is in the file.
    notebook.wait_until(SAVED, 1, what="the notebook to be saved")
    assert "application/vnd.jupyter.widget-view+json" in saved_output(lab, fit)
    for _ in range(2):
        seen = notebook.js(EPOCH, fit)
        notebook.reload()
        notebook.show(fit)
        notebook.wait_until(LATER, [fit, seen], timeout=10, what="the latest state")
        assert "Loading widget" not in notebook.output(fit).inner_text()
        notebook.wait_until(LATER, [fit, notebook.js(EPOCH, fit)], what="a later epoch")
    stop(notebook, fit)
    # The card replaces the widget here too, so it is in the saved notebook.
    notebook.wait_until("cell(arg).model.outputs.get(0).data['text/html']", fit, what="the card")
    notebook.save()
    assert "application/vnd.jupyter.widget-view+json" not in saved_output(lab, fit)
    (status,) = notebook.run_cell(2)
    assert status["data"]["text/plain"] in ("'stopped'", "'interrupted'")


def test_a_reopened_notebook_shows_the_training(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    seen = notebook.js(EPOCH, fit)
    notebook.save()
    notebook.js("panel.close()")
    notebook.command("docmanager:open", {"path": "live.ipynb"})
    notebook.wait_until("panel.sessionContext.session?.kernel", what="the kernel")
    notebook.show(fit)
    notebook.wait_until(LATER, [fit, seen], timeout=10, what="the latest state")
    stop(notebook, fit)
