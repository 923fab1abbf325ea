"""Cells of the layer language in the editor: highlighting, shapes, diagnostics and help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat.v4
import pytest

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)

MODEL = """%%keras_model net
input 28x28x1   # digits
conv2d 32 3x3 relu
residual:
  dense {units} kernel_regularizer=l2(1e-4)
compile adam"""

COLOURS = """(() => {
  const found = {};
  for (const span of node(arg).querySelectorAll('.cm-line span'))
    found[span.textContent] = getComputedStyle(span).color;
  return found;
})()"""
"""Marked text of a cell -> its colour."""


def colour(notebook: NotebookPage, variable: str) -> str:
    """A colour of the theme's editor, as the browser computes it."""
    return str(
        notebook.js(
            "(span => { span.style.color = `var(--jp-mirror-editor-${arg}-color)`;"
            "document.body.append(span); const found = getComputedStyle(span).color; span.remove();"
            "return found; })(document.createElement('span'))",
            variable,
        )
    )


@both_apps
def test_only_model_cells_are_highlighted(notebook: NotebookPage, lab: Lab) -> None:
    conv = "conv2d 32 3x3 relu"
    cells = [
        MODEL,
        f"%%time\n%%capture out\n{MODEL}",
        conv,
        f"%%html\n%%keras_model\n{conv}",
        f"# a comment\n%%keras_model net\n{conv}",
        f"%%keras_model net --from-r\n{conv}",
        nbformat.v4.new_markdown_cell(f"%%keras_model net\n{conv}"),
        nbformat.v4.new_raw_cell(f"%%keras_model net\n{conv}"),
    ]
    lab.write("cells.ipynb", cells)
    notebook.open("cells.ipynb")
    notebook.js("panel.content.widgets[6].rendered = false")
    notebook.wait_until("node(6).querySelector('.cm-line')")
    for theme in ("light", "dark"):
        notebook.set_theme(theme)
        for cell in (0, 1):
            found = notebook.js(COLOURS, cell)
            for word, variable in {
                "conv2d": "keyword",
                "dense": "keyword",
                "l2": "keyword",
                "relu": "variable-2",
                "kernel_regularizer": "property",
                "{units}": "string-2",
                "compile": "operator",
                "# digits": "comment",
            }.items():
                assert found[word] == colour(notebook, variable), (word, found)
            # A shape is one number, with the colour of Python's numbers.
            assert found["28x28x1"] == notebook.js(COLOURS, 2)["32"]
        for cell in range(2, 8):
            assert "conv2d" not in notebook.js(COLOURS, cell), cell


@both_apps
def test_a_cell_changes_its_language_while_it_is_written(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("switch.ipynb", ["%%keras_mode\ndense 3x3", "%%keras_model a\ndense 3x3"])
    notebook.open("switch.ipynb")
    keyboard = notebook.page.keyboard
    assert "3x3" not in notebook.js(COLOURS, 0)
    assert "3x3" in notebook.js(COLOURS, 1)
    notebook.cell(0).locator(".cm-line").first.click()
    keyboard.press("End")
    keyboard.type("l")
    notebook.wait_until(f"'3x3' in {COLOURS}", 0)
    keyboard.press("Backspace")
    notebook.wait_until(f"!('3x3' in {COLOURS})", 0)
    # Changes that come from elsewhere, such as another user, count too.
    notebook.set_source(1, "%%time\n%%keras_model b\ndense 3x3")
    notebook.wait_until(f"'3x3' in {COLOURS}", 1)
    notebook.set_source(1, "%%bash\n%%keras_model b\ndense 3x3")
    notebook.wait_until(f"!('3x3' in {COLOURS})", 1)


def test_editing_follows_the_language(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("edit.ipynb", ["%%keras_model net\nresidual:", "%%keras_model b\na:\n  dense 3\nb"])
    notebook.open("edit.ipynb")
    keyboard = notebook.page.keyboard
    notebook.cell(0).locator(".cm-line").last.click()
    keyboard.press("End")
    keyboard.press("Enter")
    keyboard.type("dense add(")
    keyboard.press("Enter")
    keyboard.type("x")
    source = "cell(0).model.sharedModel.getSource()"
    expected = "%%keras_model net\nresidual:\n    dense add(\n        x"
    assert notebook.js(source) == expected
    keyboard.press("Control+a")
    keyboard.press("Control+/")
    assert notebook.js(source).splitlines()[1] == "# residual:"
