"""The look of the cards, compared with stored pictures.

After an intended change, write the pictures again and look at them:

    KMAGIC_APPEARANCE=write pytest tests/browser/test_appearance.py

The pictures are small and have few colours, and the comparison blurs both: it ignores how another
version of Chromium smooths a letter, and finds what moves, disappears or changes its colour.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from .gallery import VARYING, open_gallery
from .notebook import NotebookPage
from .page import Theme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from .lab import App, Lab

pytestmark = pytest.mark.browser

STORED = Path(__file__).with_name("appearance")
WRITE = os.environ.get("KMAGIC_APPEARANCE") == "write"
# Not "confusion": its names have characters that DejaVu lacks.
CARDS = ("model", "data", "training", "animals", "two_classes", "labels", "comparison", "errors")
WIDTHS = {"wide": 1000, "narrow": 400}
COLOURS = 64
MAX_BYTES = 600_000

BLUR = 2.0  # pixels
VISIBLE = 24  # of 255: a difference of a blurred pixel that a reader notices
MAX_VISIBLE, MAX_MEAN = 0.01, 2.0  # share of such pixels; mean difference
MAX_RESIZE = 4  # pixels that a card's height may differ

# DejaVu is the only font that .ci/run installs.
STYLE = """
:root {
  --jp-ui-font-family: "DejaVu Sans" !important;
  --jp-content-font-family: "DejaVu Sans" !important;
  --jp-code-font-family: "DejaVu Sans Mono" !important;
}
"""

Gallery = tuple[NotebookPage, dict[str, int]]


@pytest.fixture(scope="module")
def gallery(browser: Browser, servers: Callable[[App], Lab]) -> Iterator[Gallery]:
    lab = servers("lab")
    with NotebookPage(lab, browser, width=WIDTHS["wide"]) as page:
        cells = open_gallery(page, lab, CARDS)
        page.page.add_style_tag(content=STYLE)
        yield page, cells
        page.check()


def difference(actual: Image.Image, stored: Image.Image) -> tuple[Image.Image, float, float]:
    """What differs after a blur, the share of visible pixels in it, and its mean."""
    size = (max(actual.width, stored.width), max(actual.height, stored.height))
    blurred = []
    for image in (actual, stored):
        whole = Image.new("RGB", size, image.convert("RGB").getpixel((image.width // 2, 4)))
        whole.paste(image, (0, 0))
        blurred.append(whole.filter(ImageFilter.GaussianBlur(BLUR)))
    changed = ImageChops.difference(*blurred)
    values = np.asarray(changed, dtype=np.float64).max(axis=2)
    return changed, float((values > VISIBLE).mean()), float(values.mean())


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CARDS)
def test_the_card_looks_as_before(
    gallery: Gallery,
    tmp_path: Path,
    name: str,
    width: str,
    theme: Theme,
) -> None:
    assert name not in VARYING
    page, cells = gallery
    page.set_theme(theme)
    page.page.set_viewport_size({"width": WIDTHS[width], "height": 1000})
    page.show(cells[name])
    card = page.output(cells[name]).locator(".kmagic")
    # At a fraction of a pixel, each letter would be smoothed in another way.
    card.evaluate(
        "card => { const { y } = card.getBoundingClientRect();"
        " card.style.marginTop = `${4 + Math.ceil(y) - y}px`; }"
    )
    page.page.mouse.move(2, 2)
    page.page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    taken = page.screenshot(tmp_path / "actual.png", card)
    with Image.open(taken) as opened:
        actual = opened.convert("RGB")
    path = STORED / f"{name}-{width}-{theme}.png"
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        actual.quantize(
            # keeps rare colours; then the frequent ones are exact, too
            COLOURS,
            Image.Quantize.MAXCOVERAGE,
            kmeans=2,
            dither=Image.Dither.NONE,
        ).save(path, optimize=True)
        return
    assert path.exists(), f"Run KMAGIC_APPEARANCE=write pytest {Path(__file__).name}"
    with Image.open(path) as opened:
        stored = opened.convert("RGB")
    changed, visible, mean = difference(actual, stored)
    if visible > MAX_VISIBLE or mean > MAX_MEAN or abs(actual.height - stored.height) > MAX_RESIZE:
        changed.point(lambda value: min(255, 4 * value)).save(tmp_path / "difference.png")
        pytest.fail(
            f"{path.name} differs: {visible:.2%} of the pixels visibly, {mean:.2f} of 255 on "
            f"average, {actual.size} instead of {stored.size}. See {tmp_path / 'difference.png'} "
            f"and {taken}. If it is intended, write the pictures again (CONTRIBUTING.md)."
        )


def test_the_stored_pictures_are_few_and_small() -> None:
    stored = {path.name: path.stat().st_size for path in STORED.iterdir()}
    themes = get_args(Theme)
    assert set(stored) == {f"{n}-{w}-{t}.png" for n in CARDS for w in WIDTHS for t in themes}
    assert sum(stored.values()) <= MAX_BYTES


def test_the_comparison_ignores_smoothing_and_finds_changes() -> None:
    with Image.open(STORED / "model-wide-light.png") as opened:
        stored = opened.convert("RGB")
    smoothed = stored.filter(ImageFilter.GaussianBlur(0.6))
    _, visible, mean = difference(smoothed, stored)
    assert visible <= MAX_VISIBLE
    assert mean <= MAX_MEAN
    moved = ImageChops.offset(stored, 0, 6)
    _, visible, _ = difference(moved, stored)
    assert visible > MAX_VISIBLE
