"""A picture with the places that speak for a class laid over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.thumbnail import MAX_BYTE, MAX_PIXELATED, PixelRange, to_uint8

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 168  # pixels of the longer side: two for each on the screen
TINT = np.array([232, 110, 16], np.float64)  # the orange of the cards, a little lighter
INK = np.array([20, 20, 20], np.float64)
PALE, SPAN = 60, 0.7  # the picture below is grey, from here, with so much of its contrast
MIDDLE = 128.0  # the grey that becomes the tint itself: darker ones darken it, lighter ones pale it
MOST = 0.9  # how much of the strongest place is tinted
LINE = 0.5  # of the strongest: where the line runs


def overlay_heatmap(
    picture: NDArray[Any], heat: NDArray[Any], look: PixelRange
) -> NDArray[np.uint8]:
    """The picture in grey, tinted where the heat is, with a line around the hotter half.

    The line tells the place without colours, too.

    Args:
        picture: Shape (height, width) or (height, width, channels).
        heat: From 0 to 1, any number of rows and columns over the whole picture.
        look: How the picture's values become bytes.

    Returns:
        Shape (height, width, 3), the longer side about 168 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    below = Image.fromarray(to_uint8(picture, look))
    if below.mode == "RGBA":
        white = Image.new("RGBA", below.size, "white")
        below = Image.alpha_composite(white, below)
    below = below.convert("L")
    scale = SIDE / max(below.size)
    size = [max(1, round(side * scale)) for side in below.size]
    small = max(below.size) <= MAX_PIXELATED
    way = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    grey = PALE + SPAN * np.asarray(below.resize(size, way), np.float64)[..., None]
    shares = np.nan_to_num(np.asarray(heat, np.float32)).clip(0, 1)
    hot = np.asarray(Image.fromarray(shares).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    tint = MOST * hot[..., None]
    drawn = grey * (1 - tint) + _duotone(grey) * tint
    drawn[_edge(hot >= LINE)] = INK
    return np.asarray(np.rint(drawn).clip(0, MAX_BYTE), dtype=np.uint8)


def _duotone(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """From black over the tint to nearly white, so that the picture is still to be seen."""
    dark = TINT * np.minimum(grey / MIDDLE, 1)
    light = np.maximum(grey - MIDDLE, 0) / (MAX_BYTE - MIDDLE)
    return dark + 0.6 * light * (MAX_BYTE - dark)


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of what is inside, where the outside is within the picture."""
    wide = np.pad(inside, 1, mode="edge")
    all_around = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return inside & ~all_around
