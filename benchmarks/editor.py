"""What the extension of the editor costs the page: milliseconds per keystroke.

A real JupyterLab in Chromium, and cells of 300 lines. A keystroke is a change of the text with all
that follows before the browser can draw: colours, marks and layout. Cells of Python are measured in
a page with the extension and in one without it.

    python -m benchmarks.editor [--keys 200]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import Lab
from tests.browser.notebook import NotebookPage
from tests.browser.page import launch

SETUP = "%load_ext kmagic\nimport keras\nwidth = 32"
BODY = ["dense {width} relu / dropout 0.1  # hidden", "dense 64 kernel_regularizer=l2(1e-4) tanh"]
MODEL = "\n".join(["%%keras_model deep", "input 32", *(BODY * 150)[:298]])
PYTHON = "\n".join([f"layer_{k} = dense({k}, 'relu')(layer_{k - 1})  # hidden" for k in range(300)])
KEYS = """((editor, keys) => {
  const times = [];
  for (let i = 0; i < keys; i += 1) {
    const at = editor.state.doc.line(150).to;
    const change = i % 2 ? { from: at - 1, to: at } : { from: at, insert: '1' };
    const start = performance.now();
    editor.dispatch({ changes: change, userEvent: i % 2 ? 'delete.backward' : 'input.type' });
    editor.contentDOM.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return times;
})(cell(arg[0]).editor.editor, arg[1])"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keys", type=int, default=200)
    keys = parser.parse_args().keys
    with sync_playwright() as playwright, launch(playwright) as browser:
        with Lab() as lab:
            measure("with the extension", lab, browser, keys)
        with Lab() as lab:
            config = lab.home / "config" / "labconfig"
            config.mkdir(parents=True)
            (config / "page_config.json").write_text('{"disabledExtensions": {"kmagic": true}}')
            measure("without it", lab, browser, keys)


def measure(what: str, lab: Lab, browser: Browser, keys: int) -> None:
    """Print the times of keystrokes in a model cell and in a cell of Python."""
    lab.write("cells.ipynb", [SETUP, MODEL, PYTHON])
    with NotebookPage(lab, browser, timeout=120.0) as notebook:
        notebook.open("cells.ipynb")
        notebook.run_cell(0)
        if what.startswith("with "):
            notebook.wait_until("node(1).querySelector('.km-shape')", what="the shapes")
        for i, name in ((1, "model"), (2, "Python")):
            notebook.show(i)
            notebook.js(KEYS, [i, 20])
            print(f"{what}, {name} cell: {summary(notebook.js(KEYS, [i, keys]))}")


def summary(times: Sequence[float]) -> str:
    """Return the median and the slowest of ten."""
    tenth = statistics.quantiles(times, n=10)[-1]
    return f"{statistics.median(times):.1f} ms per keystroke, {tenth:.1f} ms for the slowest tenth"


if __name__ == "__main__":
    main()
