"""The interactive charts of a regression's errors, and the saved card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

SETUP = """
import numpy as np, pandas as pd, kmagic
rng = np.random.default_rng(0)
true = rng.gamma(2, 10, 600)
pred = true + rng.normal(0, 3, 600)
x = rng.integers(0, 255, (600, 16, 16), dtype="uint8")
"""
ERRORS = SETUP + "err = kmagic.errors(true, pred, x=x, name='net')\nerr"
INTERACTIVE = "node(0).querySelector('.km-selectable') !== null"


def start(notebook: NotebookPage, lab: Lab, cell: str, *more: str) -> Locator:
    lab.write("err.ipynb", [cell, *more])
    notebook.open("err.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.wait_until(INTERACTIVE, what="the card to be interactive")
    return notebook.output(0)


def python(notebook: NotebookPage, expression: str) -> Any:
    """What an expression gives in the kernel."""
    cell = notebook.append(f"print(repr({expression}))")
    (output,) = notebook.run_cell(cell)
    return eval("".join(output["text"]))  # noqa: S307 - our own cell


def drag(notebook: NotebookPage, chart: Locator, ends: tuple[float, float, float, float]) -> None:
    """Drag a rectangle, given in shares of the axes: left, bottom, right, top."""
    chart.scroll_into_view_if_needed()
    place = chart.bounding_box()
    assert place is not None
    left, top, right, bottom = map(float, (chart.get_attribute("data-box") or "").split(","))
    scale = place["width"] / float((chart.get_attribute("viewBox") or "").split()[2])
    x1, y1, x2, y2 = ends
    mouse = notebook.page.mouse
    points = [
        (
            place["x"] + scale * (left + x * (right - left)),
            place["y"] + scale * (bottom - y * (bottom - top)),
        )
        for x, y in ((x1, y1), (x2, y2))
    ]
    mouse.move(*points[0])
    mouse.down()
    mouse.move(*points[1], steps=4)
    mouse.up()


def ranges(chart: Locator, ends: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """The values at the ends of a rectangle, of both axes."""
    found = []
    for axis, (low, high) in zip("xy", ((ends[0], ends[2]), (ends[1], ends[3])), strict=True):
        _, first, last = (chart.get_attribute(f"data-{axis}") or "").split(",")
        span = float(last) - float(first)
        found.append((float(first) + low * span, float(first) + high * span))
    return found


def shown(card: Locator) -> list[int]:
    """The indices of the samples in the panel."""
    card.locator(".km-selected-rows .km-call").wait_for()
    titles = card.locator(".km-selected-rows .km-thumb").evaluate_all(
        "all => all.map(e => e.title)"
    )
    return [int(title.removeprefix("#").split(":")[0].replace(",", "")) for title in titles]


def test_a_rectangle_selects_rows_by_pointer_and_keys(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, ERRORS)
    charts = card.locator(".km-inline svg.km-error-chart")
    assert charts.count() == 3
    drag(notebook, charts.nth(0), (0.2, 0.2, 0.6, 0.5))
    card.locator(".km-selected-rows", has_text=" of 600").wait_for()
    numbers = shown(card)
    (x1, x2), (y1, y2) = ranges(charts.nth(0), (0.2, 0.2, 0.6, 0.5))
    selected = python(notebook, "err.selection.tolist()")
    assert numbers == selected[:12]
    assert len(selected) > 50
    inside = python(
        notebook, f"err.indices(true=({x1 + 1}, {x2 - 1}), predicted=({y1 + 1}, {y2 - 1})).tolist()"
    )
    around = python(
        notebook, f"err.indices(true=({x1 - 1}, {x2 + 1}), predicted=({y1 - 1}, {y2 + 1})).tolist()"
    )
    assert set(inside) <= set(selected) <= set(around)
    card.locator(".km-selected-rows").get_by_role("button", name="more").click()
    notebook.page.wait_for_function(
        "document.querySelectorAll('.km-selected-rows .km-thumb').length === 24"
    )
    assert shown(card) == selected[:24]
    rectangles = card.locator(".km-error-selection")
    assert rectangles.evaluate_all("all => all.map(e => e.getAttribute('visibility'))") == [
        "visible",
        "hidden",
        "hidden",
    ]

    # In a histogram the height does not matter, and the other rectangle goes.
    drag(notebook, charts.nth(2), (0.1, 0.9, 0.3, 0.95))
    low, high = ranges(charts.nth(2), (0.1, 0.9, 0.3, 0.95))[0]
    middle = (low + high) / 2
    notebook.page.wait_for_function(
        "document.querySelector('.km-error-selection').getAttribute('visibility') === 'hidden'"
    )
    far = python(notebook, "err.errors[err.selection].tolist()")
    assert far
    assert all(low - 0.5 < value < high + 0.5 for value in far)
    assert middle < 0

    # A click removes the selection.
    charts.nth(2).click(position={"x": 100, "y": 100})
    assert card.locator(".km-selected-rows .km-call").count() == 0
    assert python(notebook, "err.selection.tolist()") == []

    # Keys: the arrows move and resize; Jupyter does not see them.
    charts.nth(1).focus()
    keys = notebook.page.keyboard
    keys.press("ArrowLeft")
    keys.press("Shift+ArrowRight")
    keys.press("ArrowDown")
    card.locator(".km-selected-rows .km-call").wait_for()
    assert notebook.js("document.activeElement.classList.contains('km-error-chart')")
    status = card.get_by_role("status")
    assert "of 600" in status.inner_text()
    (x1, x2), (y1, y2) = ranges(charts.nth(1), (0.4, 0.35, 0.65, 0.55))
    expected = f"err.indices(predicted=({x1}, {x2}), error=({y1}, {y2})).tolist()"
    assert python(notebook, "err.selection.tolist()") == python(notebook, expected)
    charts.nth(1).focus()
    keys.press("Escape")
    assert card.locator(".km-selected-rows .km-call").count() == 0
    assert python(notebook, "err.selection.tolist()") == []


def test_the_saved_card_needs_no_kernel(notebook: NotebookPage, lab: Lab) -> None:
    card = start(notebook, lab, ERRORS)
    notebook.save()
    notebook.reload()
    notebook.wait_until(INTERACTIVE, what="the card to be interactive again")
    card = notebook.output(0)
    drag(notebook, card.locator(".km-inline svg.km-error-chart").nth(0), (0.2, 0.2, 0.6, 0.5))
    assert shown(card) == python(notebook, "err.selection.tolist()[:12]")
    (output,) = notebook.outputs(0)
    assert set(output["data"]) == {"text/plain", "text/html"}
    notebook.js("harness.begin('restart', panel.sessionContext.session.kernel.restart())")
    notebook.wait_until("harness.call('restart').done", what="the kernel to start anew")
    notebook.wait_until(f"!({INTERACTIVE})", what="the card to be static again")
    left = ".km-error-selection, .km-error-hint, svg[tabindex], .km-selected-rows *"
    assert card.locator(left).count() == 0
    assert card.locator(".km-inline svg").first.is_visible()
    assert python(notebook, "1 + 1") == 2  # so that there is a kernel to end


def test_an_untrusted_card_has_its_charts_as_images(notebook: NotebookPage, lab: Lab) -> None:
    start(notebook, lab, ERRORS)
    notebook.save()
    lab.copy_untrusted("err.ipynb", "mail.ipynb")
    notebook.open("mail.ipynb")
    assert not notebook.is_trusted()
    images = notebook.output(0).locator(".km-fallback img")
    images.first.wait_for()
    assert images.count() == 3
    loaded = "all => all.every(e => e.complete && e.naturalWidth > 0)"
    notebook.page.wait_for_function(
        f"({loaded})([...document.querySelectorAll('.km-fallback img')])"
    )
