"""Cards for all readers: axe-core's rules, contrast, keyboard, screen readers, reduced motion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from .axe_core import serious_violations
from .gallery import CARDS, open_gallery
from .notebook import NotebookPage
from .page import Theme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from .lab import App, Lab

pytestmark = pytest.mark.browser

WIDTHS = (1300, 400)
HEIGHT = 1000
WITH_CONTROLS = (
    *("fit", "confusion", "two_classes", "fifty", "comparison", "labels", "layers"),
    *("wrong_labels", "errors"),
)
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
SCOPE = """
const cards = [...document.querySelectorAll('[data-test-card] .kmagic')];
const card = each => each.closest('[data-test-card]').dataset.testCard;
const name = each => (each.getAttribute('alt') ?? each.getAttribute('aria-label') ?? '').trim();
const isHidden = each => each.closest('[aria-hidden=true]') || !each.checkVisibility();
"""
FOCUS = """() => {
  const focused = document.activeElement;
  // A radio button is invisible; the text after it shows the focus.
  const shown = focused.type === 'radio' ? focused.nextElementSibling : focused;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  return { step: Number(focused.dataset.testStep ?? -1),
           outline: outlineStyle === 'none' ? 0 : parseFloat(outlineWidth) };
}"""
STEPS = """root => {
  // A group of radio buttons is one step, and so is the grid of cells.
  const controls = 'a[href], button, input, select, summary, [tabindex]';
  const steps = [...root.querySelectorAll(controls)].filter(each =>
    each.tabIndex >= 0 && !each.disabled && each.checkVisibility() &&
    (each.type !== 'radio' || each.checked));
  steps.forEach((each, at) => { each.dataset.testStep = at; });
  root.tabIndex = -1;
  root.focus();
  return steps.map(each => each.outerHTML.slice(0, 80));
}"""


class Gallery:
    """The cards of the gallery, all of them rendered and with open folds."""

    def __init__(self, page: NotebookPage, cells: dict[str, int]) -> None:
        self.page, self.cells = page, cells
        page.js(
            "panel.content.notebookConfig ="
            " { ...panel.content.notebookConfig, windowingMode: 'none' }"
        )
        for card, cell in cells.items():
            page.wait_until("node(arg).isConnected", cell)
            page.js("(node(arg[0]).dataset.testCard = arg[1], 1)", [cell, card])
        self.js(
            "cards.flatMap(each => [...each.querySelectorAll('details:not(.km-cell)')])"
            ".forEach(fold => { fold.open = true; })"
        )

    def set_width(self, width: int) -> None:
        self.page.page.set_viewport_size({"width": width, "height": HEIGHT})

    def js(self, expression: str) -> Any:
        """What an expression that may use SCOPE gives in the page."""
        return self.page.page.evaluate(f"() => {{ {SCOPE} return {expression}; }}")


@pytest.fixture(scope="module")
def gallery(browser: Browser, servers: Callable[[App], Lab]) -> Iterator[Gallery]:
    lab = servers("lab")
    with NotebookPage(lab, browser, width=WIDTHS[0]) as page:
        yield Gallery(page, open_gallery(page, lab))
        page.check()


def test_all_cards_are_checked(gallery: Gallery) -> None:
    # A message of an error is text, and not a card.
    assert set(gallery.js("cards.map(card)")) == set(CARDS) - {"mistake"}


def test_axe_core_finds_nothing_serious(gallery: Gallery) -> None:
    # Only colours depend on the theme, and the next test measures all of them.
    assert not serious_violations(gallery.page.page)


@pytest.mark.parametrize("theme", get_args(Theme))
def test_all_text_has_enough_contrast(gallery: Gallery, theme: Theme) -> None:
    # axe-core does not measure text on a drawing or above an element that overlaps another.
    gallery.page.set_theme(theme)
    low = gallery.js(f"cards.flatMap(each => ({CONTRAST})(each).map(low => [card(each), ...low]))")
    assert low == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_its_card(gallery: Gallery, width: int) -> None:
    gallery.set_width(width)
    wide = gallery.js(
        "cards.flatMap(root => [...root.querySelectorAll('*')].filter(each => {"
        " for (let box = each.parentElement; box !== root; box = box.parentElement)"
        "  if (getComputedStyle(box).overflowX !== 'visible' || box.ownerSVGElement) return false;"
        " return !each.ownerSVGElement && !isHidden(each) && each !== root &&"
        "  each.getBoundingClientRect().right > root.getBoundingClientRect().right + 1;"
        "}).map(each => [card(each), each.outerHTML.slice(0, 120)]))"
    )
    gallery.set_width(WIDTHS[0])
    assert wide == []


@pytest.mark.parametrize(
    ("selector", "named"),
    {
        "img, [role=img], canvas, svg:not(svg svg)": "name(each)",
        "table": "each.caption || each.closest('[role=region][aria-label]') || name(each)",
        "button, select, input": "each.labels?.length || each.textContent.trim() || name(each)",
        "th, summary": "each.textContent.trim()",
    }.items(),
)
def test_images_tables_and_controls_have_names(gallery: Gallery, selector: str, named: str) -> None:
    unnamed = gallery.js(
        f"cards.flatMap(root => [...root.querySelectorAll('{selector}')])"
        f".filter(each => !isHidden(each) && !({named}))"
        ".map(each => [card(each), each.outerHTML.slice(0, 120)])"
    )
    assert unnamed == []


def test_a_screen_reader_reads_nothing_twice(gallery: Gallery) -> None:
    # The name of a bar or an image does not repeat the text beside it.
    repeated = gallery.js(
        "cards.flatMap(root => [...root.querySelectorAll('tr, li')])"
        ".flatMap(row => [...row.querySelectorAll('[role=img], img')]"
        " .filter(each => !isHidden(each) && row.innerText.includes(name(each)))"
        " .map(each => [card(row), name(each)]))"
    )
    assert repeated == []


@pytest.mark.parametrize("name", WITH_CONTROLS)
def test_tab_reaches_every_control_in_order(gallery: Gallery, name: str) -> None:
    card = gallery.page.output(gallery.cells[name]).locator(".kmagic")
    steps = card.evaluate(STEPS)
    assert steps
    for number, step in enumerate(steps):
        gallery.page.page.keyboard.press("Tab")
        focus = gallery.page.page.evaluate(FOCUS)
        assert focus["step"] == number, step
        assert focus["outline"] >= 1, step


def test_nothing_moves_if_the_reader_prefers_reduced_motion(gallery: Gallery) -> None:
    gallery.page.page.emulate_media(reduced_motion="reduce")
    moving = gallery.js(
        "cards.flatMap(root => [root, ...root.querySelectorAll('*')])"
        ".flatMap(each => [null, '::before', '::after']"
        " .map(part => [each, getComputedStyle(each, part)]))"
        ".filter(([, style]) => style.transitionDuration !== '0s' ||"
        " style.animationName !== 'none' || style.scrollBehavior === 'smooth')"
        ".map(([each]) => [card(each), each.className])"
    )
    assert moving == []
