"""Saved cards in Chromium, without Jupyter: nothing is out of view, no row has a single part.

The widths are those of a card in a window of 400, 700 and 1,000 pixels, and the largest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from kmagic import confusion, load_data
from kmagic.display.kit.assets import minified_css
from kmagic.training.run.training_run import Epoch, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    Measure = Callable[[Any, int, str, str], Any]

pytestmark = pytest.mark.browser

WIDTHS = (264, 400, 564, 700, 800, 980)

# The rows of some elements: the left and right edges of each, relative to their card.
ROWS = """selector => {
  const edge = document.querySelector(".kmagic").getBoundingClientRect().left;
  const rows = new Map();
  for (const each of document.querySelectorAll(selector)) {
    const { top, left, right } = each.getBoundingClientRect();
    if (!rows.has(top)) rows.set(top, []);
    rows.get(top).push([left - edge, right - edge]);
  }
  return [...rows.entries()].sort(([a], [b]) => a - b).map(([, row]) => row);
}"""
# Elements with text that are wider than their place, or begin to the right of what is visible.
OUT_OF_VIEW = """selector => [...document.querySelectorAll(selector)].filter((each) => {
  const { left, right } = document.querySelector(".kmagic").getBoundingClientRect();
  const text = document.createRange();
  text.selectNodeContents(each);
  const box = text.getBoundingClientRect();
  return box.width && (box.left < left || box.right > right);
}).map((each) => each.textContent)"""


@pytest.fixture
def measure(browser: Browser) -> Iterator[Measure]:
    """Evaluates a function of a selector in a page that shows the card of a result."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})

    def measured(result: Any, width: int, function: str, selector: str) -> Any:
        bundle = result._repr_mimebundle_()
        markup = (bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"]
        style = "<style>body { font: 13px 'DejaVu Sans', sans-serif }</style>"
        page.set_content(f'<!doctype html>{style}<div style="width:{width}px">{markup}</div>')
        return page.evaluate(function, selector)

    yield measured
    page.close()


def run_of(metrics: int) -> TrainingRun:
    run = TrainingRun("net", epochs=5)
    for number in range(1, 6):
        logs = {f"metric_{k}": 1 / (number + k) for k in range(metrics)}
        logs |= {f"val_{name}": 1.1 * value for name, value in logs.items()}
        run.add(Epoch(number, logs, seconds=1.0))
    run.status = "done"
    return run


@pytest.mark.parametrize("metrics", [2, 3, 4, 5, 10])
@pytest.mark.parametrize("width", WIDTHS)
def test_charts_have_one_size_and_fill_the_card(measure: Measure, metrics: int, width: int) -> None:
    rows = measure(run_of(metrics), width, ROWS, ".km-run-chart")
    sizes = [round(right - left) for row in rows for left, right in row]
    assert len(sizes) == metrics
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(250, width - 40)  # so that its text is readable
    assert rows[0][-1][1] > 0.7 * width
    if metrics in {2, 4}:
        assert {len(row) for row in rows} == {1 if width < 564 else 2}


@pytest.mark.parametrize("metrics", [6, 7])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_main_metrics_break_evenly(measure: Measure, metrics: int, width: int) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 400)
    odds = rng.dirichlet(np.ones(10), 400) + np.eye(10)[true]
    predicted = odds / odds.sum(axis=1, keepdims=True) if metrics == 7 else odds.argmax(axis=1)
    matrix = confusion(true, predicted)
    rows = measure(matrix, width, ROWS, ".km-figure")
    assert sum(map(len, rows)) == metrics
    assert len(rows) == 1 or len(rows[-1]) > 1
    assert max(right for row in rows for _, right in row) < width


@pytest.mark.parametrize("thresholds", [0.5, [0.5, 0.3, 0.4]])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_metrics_of_labels_are_in_view(
    measure: Measure, thresholds: float | list[float], width: int
) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, (300, 3))
    scores = 0.3 * true + 0.7 * rng.random((300, 3))
    names = ["sea", "contains_a_person", "a label with a very long name"]
    labels = confusion(true, scores, class_names=names, threshold=thresholds)
    assert not measure(labels, width, OUT_OF_VIEW, ".km-labels :is(th, td)")
    cells = measure(labels, width, ROWS, ".km-labels tr > :nth-child(n + 2):nth-child(-n + 5)")
    assert [len(row) for row in cells] == [4, 4, 4, 4]
    heights = "selector => [...document.querySelectorAll(selector)].map(e => e.offsetHeight)"
    assert max(measure(labels, width, heights, ".km-labels tbody th")) < 75


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_of_a_column_takes_few_lines(measure: Measure, width: int) -> None:
    names = [f"the_average_of_the_measurement_number_{k}_in_the_first_quarter" for k in range(4)]
    values = np.random.default_rng(0).normal(size=(40, 4))
    table = pd.DataFrame(values, columns=names).assign(kind=["a", "b"] * 20)
    lines = "selector => [...document.querySelectorAll(selector)].map(e => e.offsetHeight / 18)"
    heights = measure(load_data(table, target="kind"), width, lines, ".km-long-name")
    assert len(heights) == 8
    assert max(heights) < 8


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_of_a_comparison_is_not_indented(measure: Measure, width: int) -> None:
    true = np.arange(200) % 6
    new, old = np.where(np.arange(200) < 150, true, 0), np.where(np.arange(200) < 90, true, 1)
    compared = confusion(true, new, name="new").versus(confusion(true, old, name="old"))
    [(left, right)] = measure(compared, width, ROWS, ".km-scroll")[0]
    [(pairs, _)] = measure(compared, width, ROWS, ".km-pairs")[0]
    assert pairs >= right or abs(pairs - left) < 1


@pytest.mark.parametrize(("charts", "columns"), [(2, 2), (3, 3), (4, 2), (5, 3)])
def test_live_charts_are_in_even_rows_beside_a_hidden_matrix(
    browser: Browser, charts: int, columns: int
) -> None:
    style = minified_css("kit/card.css") + minified_css("training/live_view.css")
    figures = "<figure class=km-live-figure>chart</figure>" * charts
    with browser.new_page() as page:
        page.set_content(
            f"<style>{style}</style><div class=kmagic><div class=km-live><div "
            f"class=km-live-figures>{figures}<figure class=km-live-figure hidden></figure></div>"
        )
        rows = page.evaluate(ROWS, ".km-live-figure:not([hidden])")
    assert len(rows[0]) == columns
