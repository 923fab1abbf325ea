"""Cells of the layer language in the editor: highlighting, shapes, diagnostics and help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat.v4
import pytest

from .lab import LabTimeoutError
from .notebook import notebook_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, Locator

    from .lab import App, Json, Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(
    browser: Browser, servers: Callable[[App], Lab]
) -> Iterator[Callable[[App], NotebookPage]]:
    """One page of each application for all tests, because opening one takes longer than a test."""
    with notebook_pages(browser, servers) as page:
        yield page


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


def show(notebook: NotebookPage, cells: Sequence[str | Json]) -> None:
    """Show a notebook with these cells; its kernel is that of the last test."""
    if notebook.is_open:
        notebook.page.mouse.move(0, 0)
        notebook.set_cells(cells)
    else:
        notebook.lab.write("editor.ipynb", cells)
        notebook.open("editor.ipynb")


def close_other_tabs(notebook: NotebookPage) -> None:
    """Close all that a test has opened beside the notebook."""
    notebook.js("[...app.shell.widgets('main')].forEach(tab => tab === panel || tab.dispose())")
    notebook.wait_until("[...app.shell.widgets('main')].length === 1")


def restart(notebook: NotebookPage) -> None:
    """Restart the kernel, and wait until it answers."""
    notebook.js("harness.begin('restart', panel.sessionContext.session.kernel.restart())")
    notebook.wait_until(
        "!harness.pending('restart') && panel.sessionContext.session.kernel.status === 'idle'"
    )


def answer_meanwhile(notebook: NotebookPage) -> None:
    """Let the kernel answer something while a cell runs, after which its status is "idle"."""
    kernel = "panel.sessionContext.session.kernel"
    notebook.js(f"harness.begin('subshell', {kernel}.requestCreateSubshell({{}}).done)")
    notebook.wait_until(f"!harness.pending('subshell') && {kernel}.status === 'idle'")


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
    for theme in ("dark", "light"):
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
def test_a_cell_changes_its_language_while_it_is_written(notebook: NotebookPage) -> None:
    show(notebook, ["%%keras_mode\ndense 3x3", "%%keras_model a\ndense 3x3"])
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


def test_editing_follows_the_language(notebook: NotebookPage) -> None:
    show(notebook, ["%%keras_model net\nresidual:", "%%keras_model b\na:\n  dense 3\nb"])
    keyboard = notebook.page.keyboard
    notebook.cell(0).locator(".cm-line").last.click()
    keyboard.press("End")
    for line in ("# first:", "dense add(", "x"):
        keyboard.press("Enter")
        keyboard.type(line)
    expected = "%%keras_model net\nresidual:\n    # first:\n    dense add(\n        x"
    assert notebook.source(0) == expected
    keyboard.press("Shift+ArrowUp")
    keyboard.press("Control+/")
    assert notebook.source(0).splitlines()[3:] == ["    # dense add(", "    #     x"]
    keyboard.press("Control+/")
    assert notebook.source(0) == expected
    keyboard.press("Control+a")
    keyboard.press("Control+/")
    assert notebook.source(0).splitlines()[1] == "# residual:"


def test_brackets_match(notebook: NotebookPage) -> None:
    line = 'dense (3, [{(n + 1)}, "])}"], a(2)) # )'
    pairs = "      a   bcd     dc       b   e ea    "
    show(notebook, [f"%%keras_model net\n{line}"])
    for name in "abcde":
        at = [pairs.index(name), pairs.rindex(name)]
        matched = notebook.js(
            """(editor => {
              const start = editor.state.doc.line(2).from;
              editor.dispatch({ selection: { anchor: start + arg + 1 } });
              return [...node(0).querySelectorAll('.cm-matchingBracket')]
                .map(mark => editor.posAtDOM(mark) - start);
            })(cell(0).editor.editor)""",
            at[0],
        )
        assert matched == at, name


def test_bodies_fold(notebook: NotebookPage) -> None:
    residual = ["residual:  # a (comment", "  dense 3", "", "# anywhere", "  repeat 2:", "    relu"]
    block = ["block up(n, act=relu):", "  dense n"]
    around = ["%%keras_model net", "input 3  # in:"]
    show(notebook, ["\n".join([*around, *residual, "# not in it", *block, "up 3"])])
    notebook.js("cell(0).editor.setOption('codeFolding', true)")
    lines = "[...node(0).querySelectorAll('.cm-line')].map(line => line.innerText.trimEnd())"
    for number, folded in enumerate(
        [
            [*around, f"{residual[0]}…", "# not in it", *block, "up 3"],
            [*around, *residual[:4], f"{residual[4]}…", "# not in it", *block, "up 3"],
            [*around, *residual, "# not in it", f"{block[0]}…", "up 3"],
        ]
    ):
        mark = notebook.cell(0).locator(".cm-foldGutter span:visible").nth(number)
        mark.click()
        notebook.wait_until(f"{lines}.length === arg", len(folded))
        assert notebook.js(lines) == folded
        mark.click()
    assert notebook.cell(0).locator(".cm-foldGutter span:visible").count() == number + 1


# --- with the kernel ------------------------------------------------------------------------------

KERNEL = """# stands for kmagic
import re
from comm import create_comm, get_comm_manager

for earlier in list(get_comm_manager().comms.values()):
    if earlier.target_name == "kmagic.editor":
        earlier.close()
requests = []


def spans(lines, word):
    for number, line in enumerate(lines):
        for found in re.finditer(word, line):
            start, end = found.span()
            yield {"line": number, "column": start, "end_line": number, "end_column": end}


def receive(message):
    request = message["content"]["data"]
    requests.append(request)
    known = {key: request[key] for key in ("kind", "client", "id")}
    if request["kind"] == "help":
        column = request["column"]
        where = {"line": request["line"], "column": column, "end_column": column}
        comm.send({**known, **where, "html": "<b>helpful</b>"})
        return
    rows = request["code"].split("\\n")
    lines = [
        {"line": number, "shape": row.split()[1], "parameters": "many" if "1000" in row else ""}
        for number, row in enumerate(rows)
        if row.lstrip().startswith("dense ")
    ]
    problems = [
        {**span, "severity": "error", "message": "is `wrong`", "remedy": "Write right.",
         "fix": {**span, "text": "right"}}
        for span in spans(rows, "wrong")
    ] + [
        {**span, "severity": "advice", "message": "It is slow", "remedy": "", "fix": None}
        for span in spans(rows, "slow")
    ]
    comm.send({**known, "lines": lines, "problems": problems})


comm = create_comm(target_name="kmagic.editor", primary=False)
comm.on_msg(receive)
get_comm_manager().register_comm(comm)"""
"""Registers a comm as kmagic does, with answers that tests can predict."""

SHAPES = "[...node(arg).querySelectorAll('.km-shape')].map(shape => shape.textContent)"
MARKED = """[...node(arg).querySelectorAll('.km-problem')].map(mark =>
  [mark.textContent, mark.classList.contains('km-error') ? 'error' : 'advice'])"""
TOOLTIP = "document.querySelector('.km-tooltip')?.innerText"


def wait_for(notebook: NotebookPage, expression: str, cell: int, expected: object) -> None:
    """Wait until an expression about a cell has a value."""
    wanted = "JSON.stringify((arg => {0})(arg[0])) === JSON.stringify(arg[1])"
    try:
        notebook.wait_until(wanted.format(expression), [cell, expected], timeout=20)
    except LabTimeoutError:
        assert notebook.js(expression, cell) == expected
        raise


def point_at_end(notebook: NotebookPage, text: Locator, left: float = 2) -> None:
    """Move the mouse pointer onto the last letters of a text, so many pixels from its end."""
    box = text.bounding_box()
    assert box is not None
    notebook.page.mouse.move(box["x"] + box["width"] - left, box["y"] + box["height"] / 2)


@both_apps
def test_shapes_follow_the_text(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\ndense 3\nsoftmax relu relu relu\ndense 1000"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3", "1000 \u00b7 many"])
    shapes = "[...node(arg).querySelectorAll('.km-shape')]"
    first, second = notebook.js(f"{shapes}.map(shape => shape.getBoundingClientRect().left)", 1)
    assert first == pytest.approx(second, abs=1), "they stand in a column"
    heights = "[...node(arg).querySelectorAll('.cm-line')].map(line => line.offsetHeight)"
    assert len(set(notebook.js(heights, 1))) == 1
    assert notebook.js("node(arg).querySelector('.km-shape').ariaHidden", 1) == "true"
    # They move with their lines, and are never part of the text.
    notebook.cell(1).locator(".cm-line").nth(1).click()
    keyboard = notebook.page.keyboard
    keyboard.press("End")
    keyboard.type("2")
    keyboard.press("Enter")
    keyboard.type("dense 8")
    wait_for(notebook, SHAPES, 1, ["32", "8", "1000 \u00b7 many"])
    assert notebook.source(1).splitlines()[1:3] == ["dense 32", "dense 8"]
    keyboard.press("Control+a")
    assert notebook.page.evaluate("getSelection().toString()").count("many") == 0


def test_folded_lines_have_no_shapes(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\nresidual:\n  dense 3\n  dense 4\ndense 5"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3", "4", "5"])
    notebook.js("cell(1).editor.setOption('codeFolding', true)")
    mark = notebook.cell(1).locator(".cm-foldGutter span:visible")
    mark.click()
    wait_for(notebook, SHAPES, 1, ["5"])
    mark.click()
    wait_for(notebook, SHAPES, 1, ["3", "4", "5"])


@both_apps
def test_a_busy_kernel_and_a_restart(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\ndense 3", "input()"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3"])
    opacity = "getComputedStyle(node(arg).querySelector('.km-shape')).opacity"
    assert notebook.js(opacity, 1) == "1"
    notebook.run_cell(2, wait=False)
    notebook.wait_until(f"{opacity} === '0.5'", 1)
    answer_meanwhile(notebook)
    assert notebook.js("node(1).querySelector('[data-kmagic-busy]') !== null")
    notebook.cell(1).locator(".cm-line").last.click()
    notebook.page.keyboard.press("End")
    notebook.page.keyboard.type("2 relu")
    assert notebook.js(SHAPES, 1) == ["3"], "what was known stays"
    assert "relu" in notebook.js(COLOURS, 1)
    notebook.cell(2).locator("input").fill("done")
    notebook.cell(2).locator("input").press("Enter")
    wait_for(notebook, SHAPES, 1, ["32"])
    notebook.wait_until(f"{opacity} === '1'", 1)
    # Only the last text was sent after the cell.
    notebook.run_cell(notebook.append("[request['code'][-9:] for request in requests][-2:]"))
    assert notebook.outputs(3)[0]["data"]["text/plain"] == "['a\\ndense 3', 'e 32 relu']"
    restart(notebook)
    wait_for(notebook, SHAPES, 1, [])
    notebook.page.keyboard.type("1")
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["32"])


def test_notebooks_and_views_do_not_interfere(notebook: NotebookPage) -> None:
    notebook.lab.write("two.ipynb", ["1", "%%keras_model a\ndense 4"])
    show(notebook, [KERNEL, "%%keras_model a\ndense 3"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3"])
    notebook.command("docmanager:clone")
    views = "[...app.shell.widgets('main')].filter(view => view.context?.path === arg)"
    shapes = f"{views}.map(view => view.node.querySelectorAll('.km-shape').length)"
    notebook.wait_until(f"JSON.stringify({shapes}) === '[1,1]'", notebook.path)
    notebook.command("docmanager:open", {"path": "two.ipynb"})
    notebook.wait_until(
        f"{views}[0]?.content.widgets[1]?.node.querySelector('.cm-line span')", "two.ipynb"
    )
    notebook.wait_until(
        f"{views}[0].sessionContext.session?.kernel?.status === 'idle'", "two.ipynb"
    )
    notebook.set_source(1, "%%keras_model a\ndense 5")
    notebook.wait_until(
        f"{views}.every(view => view.node.querySelector('.km-shape').textContent === '5')",
        notebook.path,
    )
    assert notebook.js(shapes, "two.ipynb") == [0]
    close_other_tabs(notebook)


@both_apps
def test_problems_are_marked_explained_and_fixed(notebook: NotebookPage) -> None:
    text = "%%keras_model \U0001f600\ndense 3 # \U0001f600 wrong\nslow\nwrong"
    show(notebook, [KERNEL, text])
    notebook.run_cell(0)
    wait_for(notebook, MARKED, 1, [["wrong", "error"], ["slow", "advice"], ["wrong", "error"]])
    keyboard = notebook.page.keyboard
    notebook.cell(1).locator(".cm-line").first.click()
    notebook.cell(1).locator(".km-problem").nth(1).hover()
    notebook.wait_until(f"{TOOLTIP} === 'It is slow'")
    keyboard.press("Escape")  # closes this, and does not end editing
    notebook.wait_until(f"{TOOLTIP} === undefined")
    point_at_end(notebook, notebook.cell(1).locator(".km-problem").first)
    notebook.wait_until(f"{TOOLTIP}?.startsWith('wrong is wrong')")
    assert notebook.js("panel.content.mode") == "edit"
    # F8 goes from problem to problem, and around.
    for key, words in (
        ("F8", "wrong is wrong"),
        ("F8", "It is slow"),
        ("Shift+F8", "wrong is wrong"),
    ):
        keyboard.press(key)
        notebook.wait_until(f"{TOOLTIP}?.startsWith(arg)", words)
    announced = "node(1).querySelector('.cm-announced').textContent"
    assert notebook.js(announced).endswith("Write right.")
    keyboard.press("Escape")
    notebook.wait_until(f"{TOOLTIP} === undefined")
    keyboard.press("Control+.")
    assert notebook.source(1).splitlines()[1] == "dense 3 # \U0001f600 right"
    wait_for(notebook, MARKED, 1, [["slow", "advice"], ["wrong", "error"]])
    keyboard.press("Shift+F8")
    notebook.page.locator(".km-tooltip button").click()
    assert notebook.source(1).splitlines()[3] == "right"
    wait_for(notebook, MARKED, 1, [["slow", "advice"]])


def test_no_problems_are_marked_while_a_line_is_typed(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\ndense 3\n"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3"])
    # All that is marked from now on, with the milliseconds since the last change.
    notebook.js(
        """(cell => {
          window.seen = [];
          let changed = 0;
          cell.addEventListener('keydown', () => { changed = performance.now(); }, true);
          new MutationObserver(() => {
            const marks = [...cell.querySelectorAll('.km-problem')].map(mark => mark.textContent);
            if (marks.length) window.seen.push([marks.join(), performance.now() - changed]);
          }).observe(cell, { childList: true, subtree: true, attributes: true });
        })(node(arg))""",
        1,
    )
    keyboard = notebook.page.keyboard
    notebook.cell(1).locator(".cm-line").last.click()
    for part in ("dense 4 wr", "ong", " relu"):
        keyboard.type(part)
        notebook.wait_until("node(arg).querySelectorAll('.km-shape').length === 2", 1)
    wait_for(notebook, MARKED, 1, [["wrong", "error"]])
    assert all(wait > 600 for _, wait in notebook.page.evaluate("window.seen"))
    # The mark goes with the first change of its text.
    for _ in range(len(" relu")):
        keyboard.press("ArrowLeft")
    keyboard.press("Backspace")
    assert notebook.js(MARKED, 1) == []
    # Leaving the line shows what is wrong in it.
    keyboard.type("g")
    keyboard.press("ArrowUp")
    wait_for(notebook, MARKED, 1, [["wrong", "error"]])


def test_settings_apply_at_once(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\ndense 3 wrong"])
    notebook.run_cell(0)
    wait_for(notebook, SHAPES, 1, ["3"])
    wait_for(notebook, MARKED, 1, [["wrong", "error"]])
    notebook.command("settingeditor:open", {"query": "kmagic"})
    words = f"Object.keys({COLOURS}).filter(word => word === 'dense')"
    shown = {"shapes": SHAPES, "diagnostics": MARKED, "highlighting": words}
    for name, expression in shown.items():
        box = notebook.page.locator(f"input[type=checkbox][id$='kmagic:plugin_{name}']")
        for count in (0, 1):
            box.click()
            notebook.wait_until(f"(arg => {expression})(arg[0]).length === arg[1]", [1, count])
    close_other_tabs(notebook)


@both_apps
def test_without_kmagic_nothing_is_asked(notebook: NotebookPage) -> None:
    show(notebook, ["%%keras_model a\ndense 3", "1 + 1"])
    restart(notebook)
    notebook.js(
        "(kernel => { window.sent = []; kernel.anyMessage.connect((_, { direction, msg }) => {"
        "if (direction === 'send') window.sent.push(msg.header.msg_type); }); })"
        "(panel.sessionContext.session.kernel)"
    )
    notebook.run_cell(1)
    notebook.js("window.sent.splice(0)")
    notebook.cell(0).locator(".cm-line").last.click()
    notebook.page.keyboard.type("2")
    notebook.run_cell(1)
    sent = notebook.page.evaluate("window.sent")
    assert [kind for kind in sent if "comm" in kind] == []
    assert notebook.js(SHAPES, 0) == []


def test_help_on_a_word(notebook: NotebookPage) -> None:
    show(notebook, [KERNEL, "%%keras_model a\ndense 3 wrong # \U0001f600 relu"])
    notebook.run_cell(0)
    wait_for(notebook, MARKED, 1, [["wrong", "error"]])
    notebook.cell(1).locator(".cm-line").first.click()
    notebook.cell(1).get_by_text("dense").hover()
    notebook.page.locator(".km-help b").wait_for()
    notebook.page.keyboard.press("ArrowRight")
    notebook.page.locator(".km-help b").wait_for(state="detached")
    # A problem comes before help, and columns are code points.
    notebook.cell(1).locator(".km-problem").hover()
    notebook.wait_until(f"{TOOLTIP} !== undefined && !document.querySelector('.km-help')")
    comment = notebook.cell(1).get_by_text("relu")
    for left in (12, 2):
        notebook.page.mouse.move(0, 0)
        point_at_end(notebook, comment, left)
        notebook.page.locator(".km-help b").wait_for()
    notebook.page.keyboard.press("Escape")
    notebook.page.locator(".km-help b").wait_for(state="detached")
    assert notebook.js("panel.content.mode") == "edit"
    notebook.page.keyboard.press("Escape")
    notebook.wait_until("panel.content.mode === 'command'")
    asked = notebook.append("[r['column'] for r in requests if r['kind'] == 'help'][-2:]")
    notebook.run_cell(asked)
    column = len("dense 3 wrong # \U0001f600 re")
    assert notebook.outputs(asked)[0]["data"]["text/plain"] == f"[{column}, {column + 2}]"


@both_apps
def test_the_answers_of_kmagic(notebook: NotebookPage) -> None:
    text = "%%keras_model net\ninput 28x28x1\nconv2d 32 3x3 / maxpol 2x2\nflatten\ndense {units}"
    show(notebook, ["%load_ext kmagic\nimport keras\nunits = 9", text, "units = 1000"])
    restart(notebook)
    notebook.run_cell(0, timeout=120)
    wait_for(notebook, MARKED, 1, [["maxpol", "error"]])
    assert len(notebook.js(SHAPES, 1)) == 2
    notebook.cell(1).locator(".cm-line").last.click()
    notebook.page.keyboard.press("F8")
    notebook.wait_until(f"{TOOLTIP}?.startsWith('maxpol is not a layer')")
    notebook.page.keyboard.press("Control+.")
    assert "maxpool 2x2" in notebook.source(1)
    wait_for(notebook, f"{SHAPES}.slice(-2).map(shape => shape.split(' ')[0])", 1, ["5,408", "9"])
    # A variable of the notebook changes.
    notebook.run_cell(2)
    wait_for(notebook, f"{SHAPES}.slice(-1).map(shape => shape.split(' ')[0])", 1, ["1,000"])
    assert notebook.js(SHAPES, 1)[-1].endswith("parameters")
    notebook.cell(1).get_by_text("flatten").hover()
    notebook.page.locator(".km-help .km-title", has_text="flatten").wait_for()
    notebook.page.mouse.move(2, 2)
    notebook.wait_until("!document.querySelector('.km-help')")
    # The kernel's order of words is kept, although it is not that of the alphabet.
    notebook.cell(1).locator(".cm-line").last.click()
    notebook.page.keyboard.press("End")
    notebook.page.keyboard.type(" / ma")
    notebook.page.keyboard.press("Tab")
    assert offered(notebook)[0] == "maxpool"
    first = notebook.page.locator(".jp-Completer-item").first
    assert "Max pooling operation for 2D spatial data" in first.inner_text()
    notebook.page.keyboard.press("Escape")


def offered(notebook: NotebookPage) -> list[str]:
    """The words that Tab offers, once it does."""
    words = notebook.page.locator(".jp-Completer-item .jp-Completer-match")
    words.first.wait_for()
    return [word.strip() for word in words.all_inner_texts()]


@both_apps
def test_words_are_completed_while_the_kernel_is_busy(notebook: NotebookPage) -> None:
    show(notebook, ["%%keras_model a\ninput 3 / ", "input()"])
    notebook.run_cell(1, wait=False)
    notebook.cell(1).locator("input").wait_for()
    answer_meanwhile(notebook)
    notebook.cell(0).locator(".cm-line").last.click()
    keyboard = notebook.page.keyboard
    keyboard.press("End")
    for begun, word in (("ma", "maxpool"), (" / dro", "dropout")):
        keyboard.type(begun)
        keyboard.press("Tab")
        assert word in offered(notebook)
        keyboard.press("Enter")
    assert notebook.source(0).endswith(" / dropout")
    notebook.cell(1).locator("input").press("Enter")
