"""The classification card: progress, interruption, narrow windows, dark theme, reopened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from .notebook import NotebookPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .lab import Lab

pytestmark = pytest.mark.browser

NAMES = [
    "bright",
    "<script>window.bad = 1</script>",
    "\u05d7\u05ea\u05d5\u05dc",
    "American_Staffordshire_terrier",
]
NET = f"""
import keras
layers = keras.layers
net = keras.Sequential([
    keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"),
    layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax"),
], name="net")
names = {NAMES!r}
%load_ext kmagic
"""
# Two hundred batches of a tenth of a second each.
SLOW = """
from threading import Event
class Slow(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = net
    input_shape = (None, 32, 32, 3)
    def predict_on_batch(self, x):
        Event().wait(0.1)
        return self.inner(x).numpy()
slow = Slow()
found = %keras_classify slow many -b 1
"""
BROKEN = "[...node(arg).querySelectorAll('img')].filter(e => !e.complete || !e.naturalWidth).length"
OVER = (
    "[...node(arg).querySelectorAll('.jp-OutputArea-output *')].filter(e => e.scrollWidth > "
    "e.clientWidth + 1 && getComputedStyle(e).display !== 'inline' "
    "&& !e.matches('.km-file')).map(e => e.outerHTML.slice(0, 80))"
)


@pytest.fixture
def photos(lab: Lab) -> None:
    rng = np.random.default_rng(0)
    for k in range(200):
        folder = "photos" if k < 5 else "many"
        (lab.root / folder).mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC)
        photo.save(lab.root / folder / f"{k}.jpg")
    (lab.root / "photos" / "broken.jpg").write_bytes(b"no picture")


@pytest.mark.usefixtures("photos")
def test_a_long_classification_shows_progress_and_can_be_interrupted(
    notebook: NotebookPage, lab: Lab
) -> None:
    lab.write("a.ipynb", [NET, SLOW, "len(found), found.requested"])
    notebook.open("a.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.run_cell(1, wait=False)
    bar = notebook.output(1).get_by_role("progressbar")
    bar.wait_for(timeout=30_000)
    first = int(bar.get_attribute("aria-valuenow") or 0)
    assert "left" in (bar.get_attribute("aria-valuetext") or "")
    further = "+node(1).querySelector('[role=progressbar]').ariaValueNow > arg"
    notebook.wait_until(further, first, timeout=30, what="the bar to grow")

    notebook.interrupt()
    notebook.wait_cell(1, timeout=30)
    assert bar.count() == 0
    shown = notebook.output(1).inner_text()
    assert "interrupted after" in shown
    assert "of 195 images" in shown
    (kept,) = notebook.run_cell(2)
    done, asked = eval(kept["data"]["text/plain"])  # noqa: S307 - our own cell
    assert 0 < done < asked == 195


@pytest.mark.usefixtures("photos")
def test_the_card_is_readable_at_every_width_and_theme(
    notebook: NotebookPage, lab: Lab, browser: Browser
) -> None:
    lab.write("b.ipynb", [NET, "%keras_classify net photos --class-names names --explain --top 4"])
    notebook.open("b.ipynb")
    notebook.run_cell(0, timeout=60)
    notebook.run_cell(1, timeout=60)
    card = notebook.output(1)
    assert card.get_by_role("list").count() == 1
    assert card.get_by_role("listitem").count() == 6
    assert card.get_by_role("table").count() == 5
    assert card.get_by_role("rowheader").count() == 20
    assert card.get_by_role("img").count() == 10
    assert "the model looks" in (card.get_by_role("img").nth(1).get_attribute("alt") or "")
    assert "✗ not read" in card.inner_text()
    assert notebook.js("window.bad") is None
    assert notebook.js(BROKEN, 1) == 0
    notebook.save()
    notebook.close()

    lab.copy_untrusted("b.ipynb", "c.ipynb")
    # Cards of about 360 and 460 pixels.
    for path, trusted, width in (("b", True, 560), ("c", False, 560), ("c", False, 660)):
        with NotebookPage(lab, browser, width=width) as narrow:
            narrow.open(f"{path}.ipynb", kernel=False)
            narrow.show(1)
            assert narrow.is_trusted() == trusted
            for theme in ("light", "dark"):
                narrow.set_theme(theme)
                card = narrow.output(1)
                assert narrow.js(BROKEN, 1) == 0
                narrow.wait_until(f"{OVER}.length === 0", 1, what=f"room at {width} pixels")
                assert card.get_by_role("table").count() == 5
                assert "map of conv2d" in card.inner_text()
                assert NAMES[1] in card.inner_text()
                bars = card.locator("span[style*='background-color']").count()
                assert bars == 20, "the bars keep their colour without a style sheet"
            narrow.check()
