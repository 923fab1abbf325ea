"""Tab in a cell of the language, and the diagram that stays in the file."""

from __future__ import annotations

import pytest

from .lab import Lab
from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)
MODEL = "%%keras_model net\ninput 8x8x3\n"
SOURCE = "cell(arg[0]).model.sharedModel.getSource() === arg[1]"
DIAGRAM = """%load_ext kmagic
import kmagic
from IPython.display import display
from kmagic.models.build import origin_of
from kmagic.display.model.diagram import diagram_bundle
net = kmagic.build('''input 8x8x3
merge concatenate:
  branch: conv2d 4 1x1
  branch: conv2d 4 3x3 same / conv2d 8 3x3 same
  branch: identity
gap / dense 3''')
display(diagram_bundle(net, origin_of(net), "net"), raw=True)"""


def type_and_tab(notebook: NotebookPage, cell: int, text: str) -> None:
    """Put a text into a cell, the cursor at its end, and press Tab."""
    notebook.set_source(cell, text)
    notebook.cell(cell).locator(".cm-content").click()
    notebook.page.keyboard.press("Control+End")
    notebook.page.keyboard.press("Tab")


def offered(notebook: NotebookPage) -> list[str]:
    """The words that Tab offers, once it does."""
    notebook.page.locator(".jp-Completer-item").first.wait_for(timeout=30_000)
    texts = notebook.page.locator(".jp-Completer-item .jp-Completer-match").all_inner_texts()
    return [text.strip() for text in texts]


@both_apps
def test_tab_in_a_cell(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("tab.ipynb", ["%load_ext kmagic\nimport keras\nwidth = 64", MODEL])
    notebook.open("tab.ipynb")
    notebook.run_cell(0, timeout=120)
    # What fits is offered, and Enter puts it in.
    for begun, done in (
        ("conv2d 8 3x3 kernel_reg", "conv2d 8 3x3 kernel_regularizer="),
        ("dense {wid", "dense {width"),
        ("compile adam loss=hub", "compile adam loss=huber"),
    ):
        type_and_tab(notebook, 1, MODEL + begun)
        offered(notebook)
        notebook.page.keyboard.press("Enter")
        notebook.wait_until(SOURCE, [1, MODEL + done], timeout=30)
    # None of Python's words is among the words.
    type_and_tab(notebook, 1, f"{MODEL}conv")
    words = offered(notebook)
    assert "conv2d" in words
    assert all("conv" in word for word in words)
    notebook.page.keyboard.press("Escape")


def test_the_diagram_stays_in_an_untrusted_notebook(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("diagram.ipynb", [DIAGRAM])
    notebook.open("diagram.ipynb")
    notebook.run_cell(0, timeout=120)
    assert notebook.js("node(arg).querySelectorAll('svg.km-diagram').length", 0) == 1
    drawn = notebook.js(
        "node(arg).querySelector('svg.km-diagram').getBoundingClientRect().height", 0
    )
    assert drawn > 100
    notebook.save()
    notebook.close()
    lab.copy_untrusted("diagram.ipynb", "untrusted.ipynb")
    notebook.open("untrusted.ipynb", kernel=False)
    image = "node(arg).querySelector('.jp-OutputArea-output img')"
    notebook.wait_until(f"{image} && {image}.complete", 0, timeout=30)
    assert notebook.js("node(arg).querySelectorAll('svg.km-diagram').length", 0) == 0
    assert notebook.js(f"{image}.naturalHeight", 0) == pytest.approx(drawn, abs=2)
    assert notebook.js(f"{image}.alt", 0).startswith("Diagram of net, from top to bottom: input")
