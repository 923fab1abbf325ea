"""The interactive confusion matrix: clicks, keys, the threshold slider, and the saved card."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from kmagic.support.colour_scale import colour_values

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

SETUP = """
import numpy as np
from kmagic import confusion
rng = np.random.default_rng(0)
true = rng.integers(0, 6, 600)
odds = rng.dirichlet(np.ones(6), 600) + 1.2 * np.eye(6)[true] * rng.random((600, 1))
odds /= odds.sum(axis=1, keepdims=True)
x = rng.integers(0, 255, (600, 16, 16), dtype="uint8")
"""
NAMES = ["ant", "bee", "<script>window.bad = 1</script>", "\u05d3\u05d2", "e" * 300, "f'\"g"]
MATRIX = SETUP + f"cm = confusion(true, odds, x=x, class_names={NAMES!r}, name='net')\ncm"
TWO = SETUP + (
    "two = true < 3\n"
    "cm = confusion(two.astype(int), odds[:, :3].sum(axis=1), x=x, class_names=['no', 'yes'],"
    " top_losses=3)\ncm"
)
LABELS = SETUP + (
    "labels = rng.integers(0, 2, (600, 3))\n"
    "cm = confusion(labels, 0.3 * labels + 0.7 * rng.random((600, 3)), x=x,"
    " class_names=['ant', 'cat', 'dog'])\ncm"
)
LARGE = """
import numpy as np
from kmagic import confusion
rng = np.random.default_rng(0)
true = rng.integers(0, 1000, 50_000)
pred = np.where(rng.random(50_000) < 0.8, true, (true // 5) * 5 + rng.integers(0, 5, 50_000))
cm = confusion(true, pred, class_names=[f"kind {k}" for k in range(1000)])
cm
"""
INTERACTIVE = "node(0).querySelector('.km-interactive') !== null"


def start(notebook: NotebookPage, lab: Lab, cell: str, *more: str) -> Locator:
    """Run a cell in a fresh notebook, and wait until its card is interactive."""
    lab.write("cm.ipynb", [cell, *more])
    notebook.open("cm.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.wait_until(INTERACTIVE, what="the card to be interactive")
    return notebook.output(0)


def python(notebook: NotebookPage, expression: str) -> Any:
    """What an expression gives in the kernel."""
    cell = notebook.append(f"print(repr({expression}))")
    (output,) = notebook.run_cell(cell)
    return eval("".join(output["text"]))  # noqa: S307 - our own cell


def body_cell(card: Locator, row: int, column: int) -> Locator:
    return card.locator("table.km-matrix tbody tr").nth(row).locator("td").nth(column)


def shown(card: Locator) -> list[int]:
    """The indices of the samples in the panel, once it is shown."""
    card.locator(".km-samples .km-call").wait_for()
    titles = card.locator(".km-samples .km-thumb").evaluate_all("all => all.map(e => e.title)")
    return [int(title.removeprefix("#").split(":")[0].replace(",", "")) for title in titles]


def test_a_click_shows_the_samples_of_any_cell(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, MATRIX)
    body_cell(card, 1, 0).click()
    numbers = shown(card)
    found = python(notebook, "cm.indices(true='bee', pred='ant').tolist()")
    assert numbers == found[:12]
    slot = card.locator(".km-samples")
    assert "bee taken for ant" in slot.inner_text()
    assert f"{len(found)} of " in slot.inner_text()
    loaded = "all => all.every(e => e.complete && e.naturalWidth === 16 && e.width === 56)"
    assert slot.locator("img").evaluate_all(loaded)
    assert python(notebook, "cm.selection") == [(1, 0)]

    # Correct cells have samples too, and more of them are fetched by a click.
    body_cell(card, 0, 0).click()
    card.locator(".km-samples", has_text="ant correct").wait_for()
    many = python(notebook, "cm.indices(true=0, pred=0).tolist()")
    assert len(many) > 24
    slot.get_by_role("button", name="more").click()
    notebook.page.wait_for_function(
        "document.querySelectorAll('.km-samples .km-thumb').length === 24"
    )
    assert shown(card) == many[:24]

    # Several cells, also in Python.
    body_cell(card, 1, 0).click()
    body_cell(card, 0, 1).click(modifiers=["Control"])
    card.locator(".km-samples", has_text="2 cells").wait_for()
    both = "[*cm.indices(true=1, pred=0), *cm.indices(true=0, pred=1)]"
    assert python(notebook, f"cm.selected().tolist() == {both}")
    assert card.locator("td.km-selected").count() == 2
    slot.get_by_role("button", name="close").click()
    assert card.locator("td.km-selected").count() == 0
    assert python(notebook, "cm.selection") == []

    # Names are always text.
    body_cell(card, 2, 3).click()
    card.locator(".km-samples", has_text="window.bad = 1</script> taken for").wait_for()
    assert not notebook.js("window.bad")


def test_keyboard_navigation(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, MATRIX)
    assert card.get_by_role("grid").count() == 1
    body_cell(card, 0, 0).focus()
    keys = notebook.page.keyboard
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    focused = "[document.activeElement.parentElement.rowIndex, document.activeElement.cellIndex]"
    assert notebook.js(focused) == [3, 2]
    keys.press("Enter")
    assert shown(card) == python(notebook, "cm.indices(true=2, pred=1, n=12).tolist()")
    body_cell(card, 2, 1).focus()
    keys.press("End")
    assert notebook.js(focused) == [3, 6]
    keys.press("ArrowRight")  # nothing after the last column
    assert notebook.js(focused) == [3, 6]
    keys.press("Control+Enter")
    card.locator(".km-samples", has_text="2 cells").wait_for()
    status = card.get_by_role("status")
    assert "2 cells" in status.inner_text()
    keys.press("Escape")
    assert card.locator(".km-samples .km-call").count() == 0
    # The Tab key stops once, not at every cell.
    assert card.locator("table.km-matrix [tabindex='0']").count() == 1
    # The list of pairs works by keys too.
    card.locator(".km-pairs li button").first.focus()
    keys.press("Enter")
    worst = python(notebook, "[(p.true, p.predicted) for p in cm.pairs(1)][0]")
    assert shown(card) == python(notebook, f"cm.indices(*{worst}, n=12).tolist()")


def colours(card: Locator) -> dict[str, str]:
    """The colour of each cell, by what it says."""
    return dict(
        card.locator("table.km-matrix td[style*=background]").evaluate_all(
            "all => all.map(e => [`${e.parentElement.rowIndex},${e.cellIndex}`,"
            " getComputedStyle(e).backgroundColor])"
        )
    )


def alpha(colour: str) -> float:
    return float(colour.rstrip(")").split(",")[-1])


def test_buttons_orders_and_colours(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, MATRIX)
    percentages = (
        "all => all.map(e => { const after = getComputedStyle(e, '::after').content;"
        " return after === '\"%\"' ? e.textContent : after.replace(/[\"% ]/g, ''); })"
    )
    seen = card.locator("table.km-matrix tbody td[style] i")
    counts = np.array(python(notebook, "cm.matrix.tolist()"))
    for name, over in (("of column", "pred"), ("of all", "all"), ("of row", "true")):
        card.get_by_role("radio", name=name).check()
        shares = np.array(python(notebook, f"cm.normalized({over!r}).tolist()"))
        expected = [f"{100 * share:.1f}" for share in shares[counts > 0]]
        assert seen.evaluate_all(percentages) == expected
        wanted = colour_values(counts if over == "all" else shares)
        for cell, colour in colours(card).items():
            row, column = (int(k) - 1 for k in cell.split(","))
            assert math.isclose(alpha(colour), abs(wanted[row, column]), abs_tol=0.006)

    card.get_by_text("log colour scale").click()
    card.get_by_text("include the diagonal").click()
    wanted = colour_values(shares, log=True, diagonal=True)
    for cell, colour in colours(card).items():
        row, column = (int(k) - 1 for k in cell.split(","))
        assert math.isclose(alpha(colour), abs(wanted[row, column]), abs_tol=0.006)

    card.get_by_role("combobox").select_option("error")
    order = python(notebook, "cm.ordered('error').tolist()")
    body = card.locator("table.km-matrix tbody")
    for row, true in enumerate(order):
        cells = body.locator("tr").nth(row).locator("td b:visible").all_inner_texts()
        assert cells == [f"{counts[true, pred]:,}" for pred in order if counts[true, pred]]
    body_cell(card, 0, 1).click()
    label = f"cm.indices(true={order[0]}, pred={order[1]}, n=12).tolist()"
    assert shown(card) == python(notebook, label)


def test_the_threshold_slider(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, TWO)
    slider = card.get_by_role("slider")
    at_first = notebook.js(CHANGING_TEXTS)
    body_cell(card, 1, 0).click()
    assert shown(card) == python(notebook, "cm.indices(true=1, pred=0, n=12).tolist()")
    fold = card.locator(".km-curves .km-fold")
    fold.locator("summary").click()
    slider.focus()
    for _ in range(40):
        notebook.page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.7"
    wait_for_card(notebook, "cm.at(0.7)")
    # Every text is that of a card of this threshold; what was open stays so.
    assert fold.locator("table").is_visible()
    assert "0.7 (in use)" in fold.inner_text()
    assert "above 0.7" in card.locator(".km-header").inner_text()
    rates = python(
        notebook,
        "[float(v) for v in (cm.at(0.7).per_class.recall[1], 1 - cm.at(0.7).per_class.recall[0])]",
    )
    at = card.locator(".km-inline .km-threshold").first
    mark = [float(at.get_attribute(name) or "nan") for name in ("cx", "cy")]
    assert mark == pytest.approx([34 + rates[1] * 170, 172 - rates[0] * 150], abs=0.1)
    assert f"{rates[0]:.3f} against {rates[1]:.3f}" in (
        card.locator(".km-inline svg").first.get_attribute("aria-label") or ""
    )
    card.locator(".km-pairs li button").first.click()
    first = python(notebook, "[(p.true, p.predicted) for p in cm.at(0.7).pairs(1)][0]")
    call = f".at(0.7).indices(true={first[0]}, pred={first[1]})"
    card.locator(".km-samples .km-call", has_text=call).wait_for()
    body_cell(card, 1, 0).click()
    # The samples follow the threshold.
    call = card.locator(".km-samples .km-call", has_text=".at(0.7).indices(true=1, pred=0)")
    call.wait_for()
    assert shown(card) == python(notebook, "cm.at(0.7).indices(true=1, pred=0, n=12).tolist()")
    card.get_by_role("button", name="reset").click()
    notebook.wait_until(f"{CHANGING_TEXTS} === {json.dumps(at_first)}", what="the card's threshold")
    slider.focus()
    notebook.page.keyboard.press("End")
    wait_for_card(notebook, "cm.at(1.0)")
    # Without the kernel the card is as before: no threshold slider and no grid.
    restart(notebook)
    notebook.wait_until(f"!({INTERACTIVE})", what="the card to be static again")
    assert notebook.js(CHANGING_TEXTS) == at_first
    assert (
        card.locator(".km-threshold-slider, [role=grid], table.km-matrix td[tabindex]").count() == 0
    )
    assert python(notebook, "1 + 1") == 2  # so that there is a kernel to end


def test_several_labels(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, LABELS)
    at_first = notebook.js(CHANGING_TEXTS)
    # A click and Enter show the samples of each outcome, and more of them.
    outcomes = ((True, True), (True, False), (False, True), (False, False))
    for column, (true, pred) in enumerate(outcomes):
        if column % 2:
            body_cell(card, 1, column - 1).focus()
            notebook.page.keyboard.press("ArrowRight")
            notebook.page.keyboard.press("Enter")
        else:
            body_cell(card, 1, column).click()
        call = f".indices(1, true={true}, pred={pred})"
        card.locator(".km-samples .km-call", has_text=call).wait_for()
        assert shown(card) == python(notebook, f"cm{call}[:12].tolist()")
    total = python(notebook, f"len(cm{call})")
    card.locator(".km-samples").get_by_role("button", name="more").click()
    notebook.page.wait_for_function(
        "document.querySelectorAll('.km-samples .km-thumb').length === 24"
    )
    assert f"{total} of" in card.locator(".km-samples").inner_text()
    body_cell(card, 0, 1).click(modifiers=["Control"])
    card.locator(".km-samples", has_text="2 cells").wait_for()
    assert python(notebook, "cm.selection") == [(1, False, False), (0, True, False)]

    # One threshold for all labels.
    slider = card.get_by_role("slider")
    slider.focus()
    for _ in range(40):
        notebook.page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.7"
    wait_for_card(notebook, "cm.at(0.7)")
    body_cell(card, 2, 1).click()
    call = ".at(0.7).indices(2, true=True, pred=False)"
    card.locator(".km-samples .km-call", has_text=call).wait_for()
    assert shown(card) == python(notebook, f"cm{call}[:12].tolist()")
    # And another one for one of them.
    menu = card.get_by_role("combobox", name="Predict")
    menu.select_option("cat")
    slider.focus()
    for _ in range(80):
        notebook.page.keyboard.press("ArrowLeft")
    wait_for_card(notebook, "cm.at([0.7, 0.3, 0.7])")
    body_cell(card, 1, 2).click()
    call = ".at({0: 0.7, 1: 0.3, 2: 0.7}).indices(1, true=False, pred=True)"
    card.locator(".km-samples .km-call", has_text=call).wait_for()
    assert shown(card) == python(notebook, f"cm{call}[:12].tolist()")
    # In another order, the cells are still those of their labels.
    card.get_by_role("combobox", name="sort").select_option("error")
    at = "__import__('dataclasses').replace(cm.at([0.7, 0.3, 0.7]), order='error')"
    wait_for_card(notebook, at)
    first = python(notebook, f"{at}.ordered()[0].item()")
    body_cell(card, 0, 1).click()
    call = f".indices({first}, true=True, pred=False)"
    card.locator(".km-samples .km-call", has_text=call).wait_for()
    restart(notebook)
    notebook.wait_until(f"!({INTERACTIVE})", what="the card to be static again")
    assert notebook.js(CHANGING_TEXTS) == at_first
    card.locator("details.km-cell summary").first.click()
    assert card.locator("details.km-cell .km-popup img").first.is_visible()
    assert python(notebook, "1 + 1") == 2  # so that there is a kernel to end


CHANGING_TEXTS = (
    "[...document.querySelectorAll('.km-header > .km-muted, table.km-matrix > *, .km-metrics,"
    " .km-all-metrics, .km-class-metrics, .km-averages, .km-pairs, .km-worst, .km-curves')]"
    ".map(part => (part.closest('table.km-matrix') ? [...part.querySelectorAll('th, td')]"
    " .map(cell => (cell.querySelector('summary') ?? cell).textContent).join(' ')"
    " : part.textContent + [...part.querySelectorAll('[aria-label], [alt]')]"
    " .map(image => image.ariaLabel ?? image.alt).join('|')).replace(/\\s+/g, ' ')).join('|')"
)


def wait_for_card(notebook: NotebookPage, result: str) -> None:
    """Wait until the card has the texts of the card that Python makes of a result."""
    html = python(notebook, f"{result}._repr_mimebundle_()['text/html']")
    card = f"new DOMParser().parseFromString({json.dumps(html)}, 'text/html')"
    expected = notebook.js(f"(document => {CHANGING_TEXTS})({card})")
    notebook.wait_until(
        f"{CHANGING_TEXTS} === {json.dumps(expected)}", what=f"the card of {result}"
    )


def restart(notebook: NotebookPage) -> None:
    notebook.js("harness.begin('restart', panel.sessionContext.session.kernel.restart())")
    notebook.wait_until("harness.call('restart').done", what="the kernel to start anew")


def test_a_thousand_classes_on_a_canvas(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, LARGE)
    canvas = card.locator("canvas")
    canvas.wait_for()
    ink = (
        "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data"
        ".reduce((n, v, k) => n + (k % 4 === 3 && v > 0), 0)"
    )
    notebook.page.wait_for_function(f"({ink})(document.querySelector('canvas')) > 300")
    # All cells that are not zero are drawn.
    row, column = python(notebook, "[(p.true, p.predicted) for p in cm.pairs(1)][0]")
    canvas.focus()
    notebook.page.keyboard.press("+")
    for _ in range(3):
        notebook.page.keyboard.press("+")
    card.get_by_role("button", name="next of the worst cells").click()
    words = f"kind {row} taken for kind {column}: "
    card.locator(".km-readout", has_text=words).wait_for()
    assert words in (canvas.get_attribute("aria-label") or "")
    card.locator(".km-samples", has_text=f"kind {row} taken for kind {column}").wait_for()
    assert python(notebook, "cm.selection") == [(row, column)]
    # The arrow keys move the cursor, and Enter shows the samples.
    canvas.focus()
    for _ in range(abs(row - column)):
        notebook.page.keyboard.press("ArrowRight" if row > column else "ArrowLeft")
    card.locator(".km-readout", has_text=f"kind {row} correct").wait_for()
    notebook.page.keyboard.press("Enter")
    card.locator(".km-samples", has_text=f"kind {row} correct").wait_for()
    # The readout describes the cell under the pointer.
    notebook.page.keyboard.press("0")
    box = canvas.bounding_box()
    assert box is not None
    canvas.hover(position={"x": 100.4 * box["width"] / 1000, "y": 100.4 * box["width"] / 1000})
    card.locator(".km-readout", has_text="kind 1").wait_for()
    # Every key is drawn in the next frame.
    drawn = notebook.page.evaluate(
        "async () => { const c = document.querySelector('canvas'); const images = [];"
        " for (const key of ['+', '+', '-', '-']) {"
        " c.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
        " await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);"
        " images.push(c.toDataURL()); } return images; }"
    )
    assert drawn[0] != drawn[1] != drawn[2] == drawn[0]
    # Sorted, the canvas shows the classes in another order.
    card.get_by_role("combobox").select_option("error")
    card.get_by_text("classes sorted by error").wait_for(state="attached")
    first = python(notebook, "cm.ordered('error').tolist()[0]")
    card.get_by_role("button", name="show all classes").click()
    canvas.focus()
    for key in ("ArrowUp", "ArrowLeft") * 100:
        notebook.page.keyboard.press(f"Shift+{key}")
    card.locator(".km-readout", has_text=f"kind {first} correct").wait_for()
    # The matrix itself stays a table.
    assert card.locator("table.km-matrix tbody tr").count() <= 15


@pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)
def test_it_is_interactive_after_a_reload_and_static_after_the_kernel(
    notebook: NotebookPage, lab: Lab
) -> None:
    card = start(notebook, lab, MATRIX)
    notebook.save()
    notebook.reload()
    notebook.wait_until(INTERACTIVE, what="the card to be interactive again")
    card = notebook.output(0)
    body_cell(card, 1, 0).click()
    assert shown(card) == python(notebook, "cm.indices(true=1, pred=0, n=12).tolist()")
    # The file contains only the card: no widget that could not be shown later.
    (output,) = notebook.outputs(0)
    assert set(output["data"]) == {"text/plain", "text/html"}
    if lab.app == "notebook":
        return  # its debugger complains on the console of a kernel that starts anew
    restart(notebook)
    notebook.wait_until(f"!({INTERACTIVE})", what="the card to be static again")
    assert card.locator(".km-tools, .km-samples .km-call").count() == 0
    opened = card.locator("details.km-cell").first
    opened.locator("summary").click()
    assert opened.locator(".km-popup img").first.is_visible()
    assert python(notebook, "1 + 1") == 2  # so that there is a kernel to end


def test_a_second_view_is_interactive_too(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, MATRIX)
    notebook.js("panel.content.activeCellIndex = 0")
    notebook.command("notebook:create-output-view")
    second = notebook.page.locator(".jp-LinkedOutputView")
    second.locator(".km-interactive").wait_for()
    body_cell(second, 1, 0).click()
    assert shown(second) == python(notebook, "cm.indices(true=1, pred=0, n=12).tolist()")
    assert card.locator(".km-samples .km-call").count() == 0
    # Each view has its own buttons.
    second.get_by_role("radio", name="of column").check()
    checked = "input[name='km-normalize']:checked"
    assert second.locator(checked).get_attribute("value") == "pred"
    assert card.locator(checked).get_attribute("value") == "counts"


def test_a_table_that_fits_does_not_scroll(notebook: NotebookPage, lab: Lab) -> None:
    cell = (
        "import numpy as np\nfrom kmagic import confusion\nrng = np.random.default_rng(0)\n"
        "for classes in (6, 8, 10, 11):\n"
        "    true, other = rng.integers(0, classes, (2, 3000))\n"
        "    x = rng.integers(0, 255, (3000, 28, 28), dtype='uint8')\n"
        "    display(confusion(true, np.where(rng.random(3000) < 0.9, true, other), x=x))"
    )
    lab.write("cm.ipynb", [cell])
    notebook.open("cm.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.wait_until("node(0).querySelectorAll('.km-interactive').length === 4")
    hidden = (
        "[...node(0).querySelectorAll('.km-scroll')].map(e => e.scrollWidth - e.clientWidth)"
        ".filter(pixels => pixels > 1)"
    )
    for width in range(1280, 600, -80):
        notebook.page.set_viewport_size({"width": width, "height": 900})
        assert notebook.js(hidden) == [], width


def test_names_stay_in_view_and_hidden_columns_are_hinted_at(
    notebook: NotebookPage, lab: Lab
) -> None:
    cell = (
        "import numpy as np\nfrom kmagic import confusion\nrng = np.random.default_rng(0)\n"
        "true, pred = rng.integers(0, 12, (2, 900))\n"
        "display(confusion(true, pred, class_names=[f'animal number {k}' for k in range(12)]))\n"
        "labels = rng.integers(0, 2, (2, 90, 3))\nconfusion(*labels, class_names=['a', 'b', 'c'])"
    )
    lab.write("cm.ipynb", [cell])
    notebook.open("cm.ipynb")
    notebook.page.set_viewport_size({"width": 400, "height": 900})
    notebook.run_cell(0, timeout=60)
    notebook.wait_until("node(0).querySelectorAll('.km-interactive').length === 2")
    scroll, labels = notebook.output(0).locator(".km-scroll").all()
    assert labels.evaluate("e => e.scrollWidth <= e.clientWidth")
    scroll.scroll_into_view_if_needed()
    assert scroll.evaluate("e => e.scrollWidth > e.clientWidth + 20")
    # The shadow is painted where columns are hidden, and covered at an end of the table.
    assert shadows(scroll) == (False, True)
    scroll.evaluate("e => { e.scrollLeft = 30; }")
    assert shadows(scroll) == (True, True)
    scroll.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    assert shadows(scroll) == (True, False)
    assert scroll.evaluate(
        "e => { const left = e.getBoundingClientRect().left;"
        " return [...e.querySelectorAll('tbody th')].every(name => {"
        "  const box = name.getBoundingClientRect();"
        "  const seen = document.elementFromPoint(box.x + box.width / 2, box.y + 8);"
        "  return Math.abs(box.left - left) < 3 && name.contains(seen); }); }"
    )


def shadows(scroll: Locator) -> tuple[bool, bool]:
    """Whether the left and the right edge are darker than the middle of the same empty line."""
    # Without the table, only the background is left.
    scroll.evaluate("e => { e.firstElementChild.style.visibility = 'hidden'; }")
    with Image.open(io.BytesIO(scroll.screenshot())) as opened:
        row = np.asarray(opened.convert("L"), dtype=float)[opened.height // 2]
    scroll.evaluate("e => { e.firstElementChild.style.visibility = ''; }")
    middle = row[len(row) // 2]
    return bool(row[2] < middle - 8), bool(row[-3] < middle - 8)


def check_popups(page: Page, card: Locator) -> None:
    """A cell opens by a click and by Enter, with its images visible."""
    cells = card.locator("details.km-cell")
    assert cells.count() > 10
    for index, act in ((3, "click"), (5, "Enter")):
        cell = cells.nth(index)
        summary = cell.locator("summary")
        if act == "click":
            summary.click()
        else:
            summary.focus()
            page.keyboard.press("Enter")
        pop = cell.locator(".km-popup")
        pop.locator("img").first.wait_for()
        assert pop.locator("img").first.evaluate(
            "e => { const b = e.getBoundingClientRect();"
            " const seen = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);"
            " return e.naturalWidth > 0 && e.parentElement.contains(seen); }"
        ), "the image is covered"
        summary.focus()
        page.keyboard.press("Enter")
        assert not pop.is_visible()


def test_without_a_kernel(notebook: NotebookPage, lab: Lab) -> None:
    start(notebook, lab, MATRIX)
    notebook.save()
    # Opened by someone else: no kernel, no trust, no style sheet.
    lab.copy_untrusted("cm.ipynb", "mail.ipynb")
    notebook.open("mail.ipynb", kernel=False)
    assert not notebook.is_trusted()
    notebook.wait_until("node(0).querySelector('table.km-matrix') !== null")
    card = notebook.output(0)
    assert card.locator("input[name='km-normalize']:visible").count() == 0
    assert len(set(colours(card).values())) > 5
    check_popups(notebook.page, card)

    lab.trust("cm.ipynb")
    notebook.open("cm.ipynb", kernel=False)
    assert notebook.is_trusted()
    card = notebook.output(0)
    check_popups(notebook.page, card)
    card.get_by_role("radio", name="of column").check()
    assert card.locator("table.km-matrix td i:visible").first.inner_text().rstrip("%")

    # A page of nbconvert has neither Jupyter nor a kernel.
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "cm.ipynb"]
    subprocess.run(command, cwd=lab.root, check=True, capture_output=True)
    page = notebook.page.context.new_page()
    page.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
    page.goto((lab.root / "cm.html").as_uri())
    check_popups(page, page.locator(".kmagic").first)
    page.close()


def test_several_labels_in_an_untrusted_notebook(notebook: NotebookPage, lab: Lab) -> None:
    start(notebook, lab, LABELS)
    notebook.save()
    lab.copy_untrusted("cm.ipynb", "mail.ipynb")
    notebook.open("mail.ipynb", kernel=False)
    assert not notebook.is_trusted()
    notebook.wait_until("node(0).querySelector('table.km-labels') !== null")
    card = notebook.output(0)
    assert len(set(colours(card).values())) > 3
    cells = card.locator("details.km-cell")
    assert cells.count() == 5  # two errors of three labels, without the one shown beside
    cells.first.locator("summary").focus()
    notebook.page.keyboard.press("Enter")
    image = cells.first.locator("img")
    image.wait_for()
    assert image.evaluate("e => e.naturalWidth") > 0
