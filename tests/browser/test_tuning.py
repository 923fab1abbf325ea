"""A search in JupyterLab: the live card, its Stop button, and the card in the saved notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

SETUP = """%load_ext kmagic
import numpy as np
x = np.random.default_rng(0).normal(size=(640, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)"""
SEARCH = """%%keras_tune net x y -t 4000 -e 2 --val 0.1 --in-process -o study
input 4
dense 2..64 relu|tanh
dense 2 softmax
compile adam(1e-4..1e-1~log) loss=sparse_categorical_crossentropy"""
TRIAL = r"Number((node(arg).innerText.match(/([\d,]+) of 4,000 trials/) || [0, '-1'])[1])"
CHECK = """kept = float(net.evaluate(x[576:], y[576:], verbose=0))
(study.status, len(study.trials) < 4000, abs(kept - study.best.value) < 1e-4)"""


def test_a_search_is_watched_stopped_and_saved(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("tuning.ipynb", [SETUP, SEARCH, CHECK])
    notebook.open("tuning.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    notebook.wait_until(f"{TRIAL} >= 1", 1, timeout=120, what="the first trial")
    seen = notebook.js(TRIAL, 1)
    notebook.wait_until(f"{TRIAL.replace('arg', 'arg[0]')} > arg[1]", [1, seen])
    assert "text/html" not in notebook.outputs(1)[-1]["data"]  # the widget alone is shown

    notebook.cell(1).get_by_role("button", name="Stop").click()
    notebook.wait_cell(1, timeout=120)
    (status,) = notebook.run_cell(2)
    assert status["data"]["text/plain"] == "('stopped', True, True)"
    notebook.wait_until("/· stopped ·/.test(node(arg).innerText)", 1)
    assert not notebook.cell(1).get_by_role("button", name="Stop").count()

    text = notebook.js("node(arg).querySelector('.kmagic').innerText", 1)
    notebook.save()
    lab.copy_untrusted("tuning.ipynb", "mailed.ipynb")
    notebook.open("mailed.ipynb", kernel=False)
    notebook.wait_until("node(arg).querySelector('.kmagic')", 1, what="the card")
    mailed = notebook.js("node(arg).querySelector('.kmagic').innerText", 1)
    for part in ("of 4,000 trials", "dense", "val_loss by trial", "best trials"):
        assert part in text
        assert part in mailed or part.endswith("by trial")  # which is an image there
