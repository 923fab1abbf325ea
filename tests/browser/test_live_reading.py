"""The controls of the live view: pointer and keys, scales, and what screen readers get."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from .axe_core import serious_violations
from .training import EPOCH, FIT, start, stop

if TYPE_CHECKING:
    from .lab import Lab
    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

LINES = """[...node(arg).querySelectorAll('.km-chart')].map(chart =>
  [...chart.querySelectorAll('path:not(.km-event)')].map(path => {
    const style = getComputedStyle(path);
    const numbers = path.getAttribute('d').match(/[-+.\\d]+/g) ?? [];
    return {
      kind: path.getAttribute('class'), broken: path.getAttribute('d').includes('NaN'),
      colour: style.stroke, opacity: Number(style.strokeOpacity), dashes: style.strokeDasharray,
      heights: numbers.filter((_, at) => at % 2).map(Number),
    };
  }))"""
READ = """[...node(arg).querySelectorAll('.km-live-figure:has(.km-chart)')].map(figure => [
  figure.querySelector('.km-live-readout').textContent,
  figure.querySelectorAll('.km-cursor').length,
  figure.querySelector('svg').getAttribute('aria-valuetext')])"""
READS = "/^epoch \\d+: training [\\d.]+, validation [\\d.]+$/"


def lines(notebook: NotebookPage, cell: int) -> list[list[dict[str, Any]]]:
    """What each chart draws, in the order in which it is drawn."""
    found: list[list[dict[str, Any]]] = notebook.js(LINES, cell)
    return found


def kind(drawn: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [line for line in drawn if line["kind"] == name]


def way(line: dict[str, Any]) -> float:
    """How far a curve goes up and down."""
    return sum(abs(one - other) for one, other in pairwise(line["heights"]))


def test_previous_runs_are_faint_and_in_the_background(notebook: NotebookPage, lab: Lab) -> None:
    before = "%keras_fit net x y -e 3 -b 640 --val 0.1 -q\n"
    fit = start(notebook, lab, f"{4 * before}{FIT}")
    notebook.wait_until("node(arg).innerText.includes('3 previous runs')", fit)
    for drawn in lines(notebook, fit):
        previous = kind(drawn, "km-previous")
        (trained,), (checked,) = kind(drawn, "km-train"), kind(drawn, "km-val")
        assert drawn[:3] == previous
        assert {len(curve["heights"]) for curve in previous} == {3}
        assert all(curve["opacity"] <= 0.5 for curve in previous)
        colours = {line["colour"] for line in (*previous, trained, checked)}
        assert len(colours) == 3
        # Training and validation differ without colour, too.
        assert trained["dashes"] != "none" == checked["dashes"]
    stop(notebook, fit)


def test_scale_and_smoothing_by_a_click_and_by_keys(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    view = notebook.output(fit)
    log, smooth = (view.get_by_role("button", name=name) for name in ("log", "smooth"))
    scale = "node(arg).querySelector('.km-live-caption .km-muted').textContent"
    ticks = (
        "[...node(arg).querySelectorAll('.km-chart')[0].querySelectorAll('text[text-anchor=end]')]"
    )
    round_figures = f"{ticks}.every(each => /^0?\\.?0*[125]0*$/.test(each.textContent))"
    # A logarithmic scale is available once it helps.
    notebook.wait_until("![...node(arg).querySelectorAll('button')].at(-2).disabled", fit)
    log.click()
    notebook.wait_until(f"{scale} === 'log' && {round_figures}", fit)
    assert log.get_attribute("aria-pressed") == "true"
    assert not any(line["broken"] for drawn in lines(notebook, fit) for line in drawn)
    log.click()
    notebook.wait_until(f"{scale} === ''", fit)
    for key, words in (("Enter", "log"), ("Space", ""), ("Space", "log")):
        log.focus()
        notebook.page.keyboard.press(key)
        notebook.wait_until(f"{scale} === '{words}'", fit, what=f"the scale after {key}")
        assert log.get_attribute("aria-pressed") == str(words == "log").lower()
    notebook.page.keyboard.press("Tab")
    notebook.page.keyboard.press("Space")
    notebook.wait_until(f"{scale} === 'log, smooth'", fit)
    assert smooth.get_attribute("aria-pressed") == "true"
    notebook.wait_until(f"{EPOCH} >= 12", fit)
    for drawn in lines(notebook, fit):
        for name in ("km-train", "km-val"):
            (calm,), (raw,) = kind(drawn, name), kind(drawn, f"km-raw {name}")
            # Epochs that share a column of pixels are drawn as its extremes.
            assert min(len(calm["heights"]), len(raw["heights"])) >= 2
            assert way(calm) < way(raw)
            assert raw["opacity"] <= 0.5
    smooth.click()
    notebook.wait_until(f"{scale} === 'log'", fit)
    assert not any(kind(drawn, "km-raw km-train") for drawn in lines(notebook, fit))
    # The notebook has used none of the keys: the cell is not edited, and none was added.
    assert notebook.js("panel.content.mode") == "command"
    assert len(notebook) == 3
    stop(notebook, fit)


def test_values_at_the_pointer_and_by_keys(notebook: NotebookPage, lab: Lab) -> None:
    fit = start(notebook, lab)
    loss = notebook.output(fit).locator(".km-chart").first
    box = loss.bounding_box()
    assert box is not None
    loss.hover(position={"x": 60, "y": box["height"] / 2})
    reads = f"{READ}.every(([text, lines]) => {READS}.test(text) && lines === 1)"
    notebook.wait_until(reads, fit, what="the values at the pointer")
    seen = {"pointer": notebook.js(READ, fit)}
    notebook.page.mouse.move(2, 2)  # where nothing comes under it when the page is scrolled
    notebook.wait_until(f"{READ}.every(([text, lines]) => text === '' && lines === 0)", fit)
    # Tab goes from the button to the charts; arrow keys, Home and End choose an epoch.
    active = notebook.js("panel.content.activeCellIndex")
    notebook.output(fit).get_by_role("button", name="Stop").focus()
    notebook.page.keyboard.press("Tab")
    for keys, epoch in ((["Home"], 1), (["ArrowRight"], 2), (["ArrowRight", "ArrowLeft"], 2)):
        for key in keys:
            notebook.page.keyboard.press(key)
        notebook.wait_until(
            f"{READ.replace('arg', 'arg[0]')}.every(([text]) => text.startsWith(arg[1]))",
            [fit, f"epoch {epoch}: "],
        )
        seen[f"{epoch}"] = notebook.js(READ, fit)
    notebook.page.keyboard.press("End")
    notebook.wait_until(f"{READ}.every(([text]) => /^epoch ([3-9]|\\d\\d)/.test(text))", fit)
    notebook.page.keyboard.press("Escape")
    notebook.wait_until(f"{READ}.every(([text]) => text === '')", fit)
    assert notebook.js("panel.content.activeCellIndex") == active
    stop(notebook, fit)
    # The values are those of the run, formatted as in Python.
    cell = notebook.append(
        "from kmagic.support.formatting import format_metric\n"
        "print([[format_metric(v) for v in values] for values in run.history.values()])"
    )
    (output,) = notebook.run_cell(cell)
    figures = eval("".join(output["text"]))  # noqa: S307 - our own cell
    by_name = dict(zip(("accuracy", "loss", "val_accuracy", "val_loss"), figures, strict=True))
    for read in seen.values():
        for name, (text, _, label) in zip(("loss", "accuracy"), read, strict=True):
            at = int(text.removeprefix("epoch ").split(":")[0]) - 1
            trained, checked = by_name[name][at], by_name[f"val_{name}"][at]
            assert text == f"epoch {at + 1}: training {trained}, validation {checked}"
            assert label == text


def test_it_is_described_for_screen_readers_and_respects_reduced_motion(
    notebook: NotebookPage, lab: Lab
) -> None:
    fit = start(notebook, lab)
    view = notebook.output(fit)
    group = view.get_by_role("group", name="training of net")
    group.wait_for()
    bar = group.get_by_role("progressbar", name="training progress")
    assert 0 <= int(bar.get_attribute("aria-valuenow") or "-1") <= 100
    assert "of 4,000" in (bar.get_attribute("aria-valuetext") or "")
    for name in ("loss", "accuracy"):
        # The arrow keys of a chart choose an epoch, so to a screen reader it is a slider.
        chart = view.get_by_role("slider", name=f"{name} by epoch")
        assert chart.get_attribute("aria-roledescription") == "line chart"
        value = "^epoch \\d+: training [\\d.]+, validation [\\d.]+$"
        notebook.wait_until(
            "[...node(arg[0]).querySelectorAll('[role=slider]')].every(each =>"
            " new RegExp(arg[1]).test(each.getAttribute('aria-valuetext')))",
            [fit, value],
        )
    assert not serious_violations(notebook.page)
    # The last row of the table is announced politely.
    spoken = "node(arg).querySelector('[role=status]').textContent"
    notebook.wait_until(
        f"/^epoch \\d+, loss [\\d.]+, val_loss [\\d.]+, accuracy [\\d.]+/.test({spoken})", fit
    )
    assert group.get_by_role("log", name="messages").count() == 1
    assert group.get_by_role("group", name="chart options").count() == 1
    heads = "[...node(arg).querySelectorAll('th')].every(each => each.scope === 'col')"
    assert notebook.js(heads, fit)
    moves = "getComputedStyle(node(arg).querySelector('.km-live-fill')).transitionDuration"
    assert notebook.js(moves, fit) == "0.15s"
    notebook.page.emulate_media(reduced_motion="reduce")
    notebook.wait_until(f"{moves} === '0s'", fit)
    still = (
        "[...node(arg).querySelectorAll('.kmagic, .kmagic *')].every(each => {"
        " const { transitionDuration, animationName } = getComputedStyle(each);"
        " return transitionDuration === '0s' && animationName === 'none'; })"
    )
    assert notebook.js(still, fit)
    stop(notebook, fit)
