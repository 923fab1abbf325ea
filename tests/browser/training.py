"""A training for the tests of the live view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

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
    """Start a long training; return its cell once curves are drawn."""
    lab.write("live.ipynb", [SETUP, line, "run.status"])
    notebook.open("live.ipynb")
    notebook.run_cell(0, timeout=120)
    notebook.run_cell(1, wait=False)
    notebook.wait_until(f"{EPOCH} >= 3", 1, timeout=60, what="the third epoch")
    return 1


ENDED = "/(stopped|interrupted) (in|after|during) /"


def stop(notebook: NotebookPage, cell: int, ended: str = ENDED) -> None:
    """Click on Stop, and wait until the cell's text matches what says that it has ended.

    On a machine so busy that the kernel does not answer in time, the view interrupts it instead.
    """
    notebook.cell(cell).get_by_role("button", name="Stop").first.click()
    ended = f"{ended}.test(node(arg).innerText)"
    notebook.wait_until(ended, cell, timeout=30, what="the end of the training")
