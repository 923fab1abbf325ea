"""Create the screenshots in docs/images: the first tutorial in JupyterLab, light and dark.

    python scripts/screenshots.py [FOLDER] [--mnist PATH/TO/mnist.npz] [--editor]

With the full MNIST data the screenshots show what a user with a network connection sees, which
takes minutes; without it, the bundled sample. The script runs the cells of the notebook in a real
JupyterLab, saves it, and captures a longer training while it runs. The other screenshots are of the
saved notebook without a kernel. Each is saved as NAME-light.png and NAME-dark.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402 - beside the next ones
from playwright.sync_api import sync_playwright  # noqa: E402 - the harness is found by this path

from tests.browser.lab import Lab  # noqa: E402
from tests.browser.notebook import NotebookPage  # noqa: E402
from tests.browser.page import Theme, launch  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

TUTORIAL = ROOT / "notebooks" / "01_mnist.ipynb"

HISTORY = "%keras_history"
MISTAKE = "%%keras_model oops\ninput 28x28x1\nflatten\ndense 128 rleu\ndense 10 softmax"

SCREENSHOTS = {
    "model": "%%keras_model cnn",
    "confusion": "%keras_confusion",
    "comparison": "%keras_confusion cnn --data digits --vs",
    "classification": "%keras_classify",
    "history": HISTORY,
    "mistake": MISTAKE,
}
"""Name of a screenshot -> beginning of the cell whose output it shows."""

LAST = "%keras_classify"
"""Beginning of the last cell of the tutorial that is run."""

EDITED = """%%keras_model cnn
input 28x28x1
conv2d 32 3x3 relu / conv2d 32 3x3 relu
maxpool 2x2 / dropout 0.25
residual:
  conv2d 32 3x3 relu same
  conv2d 32 3x3 same
flatten / dense 128 relu / dropout 0.5
dense {classes} sofmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy"""
"""A cell that is being written, with a mistake."""
AREA = """((cell, tooltip) => {
  const { x, y, width, bottom } = cell.getBoundingClientRect();
  return { x, y, width, height: Math.max(bottom, tooltip.getBoundingClientRect().bottom) + 8 - y };
})(node(arg), document.querySelector('.km-tooltip'))"""
"""The part of the page with a cell and its tooltip."""

TRAINING = "%keras_fit cnn"
COLOURS = 256
"""Cards have few colours, so a palette makes the files smaller without a visible difference."""


def main() -> None:
    """Run the tutorial and write the screenshots."""
    parser = argparse.ArgumentParser(description="Create the screenshots in docs/images.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--mnist", type=Path, help="the full dataset; default: the bundled sample")
    parser.add_argument("--editor", action="store_true", help="only the screenshots of the editor")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    # Enough epochs for a curve, and for two screenshots while they run.
    half, epochs = (4, 7) if arguments.mnist else (8, 20)
    with Lab() as lab, sync_playwright() as playwright, launch(playwright) as browser:
        editor(lab, browser, folder)
        if arguments.editor:
            return
        (lab.root / TUTORIAL.name).write_text(json.dumps(tutorial_start()), encoding="utf-8")
        if arguments.mnist:
            cache = lab.home / "keras" / "datasets"
            cache.mkdir(parents=True)
            shutil.copyfile(arguments.mnist, cache / "mnist.npz")
        with page(lab, browser) as notebook:
            notebook.open(TUTORIAL.name)
            notebook.run_all()
            notebook.run_cell(notebook.append(HISTORY))
            notebook.run_cell(notebook.append(MISTAKE), allow_errors=True)
            notebook.save()
            live(notebook, folder, half, epochs)
            notebook.check()
        for theme in get_args(Theme):
            with page(lab, browser) as notebook:
                notebook.open(TUTORIAL.name, kernel=False)
                notebook.set_theme(theme)
                for name, words in SCREENSHOTS.items():
                    take(notebook, find(notebook, words), folder / f"{name}-{theme}.png")
                notebook.check()


def tutorial_start() -> dict[str, Any]:
    """Return the tutorial up to LAST without outputs, so that it is trusted later."""
    tutorial: dict[str, Any] = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    cells = tutorial["cells"]
    last = next(i for i, cell in enumerate(cells) if "".join(cell["source"]).startswith(LAST))
    for cell in cells:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return tutorial | {"cells": cells[: last + 1]}


def page(lab: Lab, browser: Browser) -> NotebookPage:
    """Return a page as wide as the screenshots are shown, with twice the resolution."""
    return NotebookPage(lab, browser, width=1000, height=860, scale=2.0, timeout=300.0)


def editor(lab: Lab, browser: Browser, folder: Path) -> None:
    """Capture a cell that is being written, with its shapes and the explanation of a mistake."""
    lab.write("editor.ipynb", ["%load_ext kmagic\nimport keras\nclasses = 10", EDITED])
    with page(lab, browser) as notebook:
        notebook.open("editor.ipynb")
        notebook.run_cell(0)
        for theme in get_args(Theme):
            notebook.set_theme(theme)
            cell = notebook.cell(1)
            cell.locator(".km-problem").wait_for()
            cell.locator(".cm-line").first.click()
            notebook.page.keyboard.press("F8")
            notebook.page.locator(".km-tooltip").wait_for()
            path = folder / f"editor-{theme}.png"
            notebook.page.screenshot(path=path, clip=notebook.js(AREA, 1))
            reduce_colours(path)
        notebook.check()


def live(notebook: NotebookPage, folder: Path, half: int, epochs: int) -> None:
    """Capture a training while it runs."""
    training = find(notebook, TRAINING)
    notebook.set_source(training, f"%keras_fit cnn --data digits -e {epochs} -b 64 --val 0.1")
    notebook.run_cell(training, wait=False)
    for theme in get_args(Theme):
        notebook.set_theme(theme)
        notebook.wait_until(
            r"(node(arg[0]).innerText.match(/epoch (\d+) of/)?.[1] ?? 0) >= arg[1]",
            [training, half],
            what=f"epoch {half}",
        )
        take(notebook, training, folder / f"live-{theme}.png")
    if notebook.cell_state(training) != "running":
        raise SystemExit("The training ended before its screenshot: train longer")
    notebook.interrupt()
    notebook.wait_cell(training, allow_errors=True)


def find(notebook: NotebookPage, words: str) -> int:
    """Return the first cell that begins with a text."""
    for i in range(len(notebook)):
        if notebook.source(i).startswith(words):
            return i
    raise SystemExit(f"{TUTORIAL.name} has no cell that begins with {words!r}")


def take(notebook: NotebookPage, i: int, path: Path) -> None:
    """Capture a cell's last output, with a palette."""
    notebook.screenshot(path, output(notebook, i))
    reduce_colours(path)


def reduce_colours(path: Path) -> None:
    """Write an image with a palette."""
    with Image.open(path) as taken:
        few = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def output(notebook: NotebookPage, i: int) -> Locator:
    """Return a cell's last output, without the prompt beside it."""
    return notebook.output(i).locator(".jp-OutputArea-output").last


if __name__ == "__main__":
    main()
