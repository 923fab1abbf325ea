"""A whole matrix as a small picture: every mistake of a thousand classes is still a dot."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.kit.card import image_html

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 360  # pixels on the screen
ORANGE, BLUE = (213, 94, 0), (0, 114, 178)
LEVELS = 24  # of a colour: few enough for a palette
STRONGER = 0.25  # a dot must be seen better than a cell with a figure in it


def heatmap_html(tones: NDArray[np.float64], alt: str) -> str:
    """Tones as a picture on a clear ground, so that it fits a light and a dark page.

    Args:
        tones: From -1 (blue) to 1 (orange), 0 for nothing, shape (classes, classes).
        alt: What it shows, in words.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    small = pool_strongest(tones, SIDE)
    strength = np.where(small != 0, np.minimum(1, STRONGER + np.abs(small)), 0)
    level = np.rint(strength * LEVELS).astype(np.uint8)
    places = np.where(small < 0, level + LEVELS * (level > 0), level).astype(np.uint8)
    picture = Image.fromarray(places, "P")
    colours = [(128, 128, 128), *[ORANGE] * LEVELS, *[BLUE] * LEVELS]
    picture.putpalette([value for colour in colours for value in colour])
    clear = [0, *2 * [round(255 * step / LEVELS) for step in range(1, LEVELS + 1)]]
    held = io.BytesIO()
    picture.save(held, "PNG", optimize=True, transparency=bytes(clear))
    side = len(small) * max(1, SIDE // len(small))
    return image_html(
        held.getvalue(), "image/png", alt=alt, width=side, height=side,
        style="image-rendering:pixelated",
    )  # fmt: skip


def pool_strongest(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """A matrix made smaller: of the cells that fall together the strongest stays.

    Example:
        >>> pool_strongest(np.diag([-0.1, -0.1, -0.1, 0.7]), 2).tolist()
        [[-0.1, 0.0], [0.0, 0.7]]
    """
    classes = len(values)
    if classes <= most:
        return values
    starts = np.unique(np.arange(most) * classes // most)
    strongest = values
    for axis in (0, 1):
        high = np.maximum.reduceat(strongest, starts, axis=axis)
        low = np.minimum.reduceat(strongest, starts, axis=axis)
        strongest = np.where(high >= -low, high, low)
    return strongest
