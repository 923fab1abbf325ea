"""Wide tables and code in a browser: narrow windows, keyboard, copying without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .gallery import CARDS, SETUP
from .notebook import NotebookPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .lab import Lab

pytestmark = pytest.mark.browser

WIDE = (
    "wide = pd.DataFrame(rng.normal(size=(80, 12)), columns=[f'measurement_{k}' for k in range(12)"
    "])\nwide['outcome'] = rng.normal(size=80)\nkmagic.load_data(wide, target='outcome')"
)
CELLS = [
    *(CARDS[name] for name in ("model", "code", "data", "many_metrics", "history", "layers")),
    "keras.applications.MobileNetV2(weights=None)",
    WIDE,
]
MODEL, CODE, *_, LARGE, TABLE = range(1, 1 + len(CELLS))
# What ends to the right of its card, unless it can be scrolled there.
OUTSIDE = """[...node(arg).querySelectorAll('.kmagic')].flatMap(card => {
  const right = card.getBoundingClientRect().right;
  const scrolls = e => e.closest('.km-table-scroll, .km-listing pre, details:not([open])');
  return [...card.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > right + 1
    && !scrolls(e)).map(e => e.outerHTML.slice(0, 80));
})"""
UNREACHABLE = """[...node(arg).querySelectorAll('.kmagic *')].filter(e =>
  e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
  && !(e.tabIndex === 0 && e.getAttribute('aria-label'))).map(e => e.outerHTML.slice(0, 80))"""
# The last table of a card, scrolled to its end: how far its first cell and its last one are from
# the edges.
SCROLLED = """(() => {
  const area = [...node(arg).querySelectorAll('.km-table-scroll')].pop();
  area.focus();
  area.scrollLeft = 10000;
  const box = area.getBoundingClientRect(), cells = area.querySelector('tbody tr').cells;
  const first = cells[0].getBoundingClientRect();
  const last = cells[cells.length - 1].getBoundingClientRect();
  return [document.activeElement === area, area.scrollLeft > 0, first.left - box.left,
          last.right - box.right, getComputedStyle(cells[0]).backgroundColor];
})()"""
COPY = "node(arg).querySelector('.km-copy')"


@pytest.fixture
def cards(notebook: NotebookPage, lab: Lab) -> NotebookPage:
    lab.write("tables.ipynb", [SETUP, *CELLS])
    notebook.open("tables.ipynb")
    notebook.run_all(timeout=120)
    notebook.save()
    return notebook


def test_tables_and_code_in_narrow_windows(cards: NotebookPage, browser: Browser, lab: Lab) -> None:
    for width in (1300, 700, 400):
        cards.page.set_viewport_size({"width": width, "height": 1000})
        for cell in range(1, len(CELLS) + 1):
            cards.show(cell)
            assert cards.js(OUTSIDE, cell) == [], (width, CELLS[cell - 1])
            assert cards.js(UNREACHABLE, cell) == [], (width, CELLS[cell - 1])
        if width == 1300:
            box = cards.output(LARGE).bounding_box()
            assert box is not None
            assert box["height"] < 1500
    cards.show(TABLE)
    has_focus, is_scrolled, first, last, colour = cards.js(SCROLLED, TABLE)
    assert (has_focus, is_scrolled) == (True, True)
    assert (abs(first) < 1, abs(last) < 1) == (True, True)
    assert colour == "rgb(255, 255, 255)"  # what scrolls below the first column is hidden

    # Reopened without a kernel: the code can be copied if the notebook is trusted.
    lab.copy_untrusted("tables.ipynb", "mail.ipynb")
    for path, is_trusted in (("tables", True), ("mail", False)):
        with NotebookPage(lab, browser) as reader:
            reader.open(f"{path}.ipynb", kernel=False)
            reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            reader.show(CODE)
            assert reader.is_trusted() == is_trusted
            assert reader.js(f"{COPY}?.offsetWidth > 0", CODE) == is_trusted
            if is_trusted:
                reader.output(CODE).get_by_role("button", name="Copy").click()
                copied = reader.page.evaluate("navigator.clipboard.readText()")
                assert copied.startswith("import keras\nfrom keras import layers\n\ncnn = ")
                assert copied.rstrip().endswith(")")
                assert reader.js(f"{COPY}.textContent", CODE) == "Copied"
            reader.check()
