"""An image with a heatmap laid over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.samples import MAX_BYTE, MAX_PIXELATED, PixelRange, to_uint8

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 168  # pixels of the longer side: two for each on the screen
TINT = np.array([232, 110, 16], np.float64)  # the orange of the cards, a little lighter
OUTLINE_COLOUR = np.array([20, 20, 20], np.float64)
LIGHTEN, CONTRAST = 60, 0.7  # of the grey image
MIDDLE_GREY = 128.0  # becomes the tint itself; darker greys darken it, lighter ones lighten it
MAX_TINT = 0.9  # opacity of the tint at the maximum
OUTLINE_LEVEL = 0.5  # of the maximum


def overlay_heatmap(
    image: NDArray[Any], heatmap: NDArray[Any], pixel_range: PixelRange
) -> NDArray[np.uint8]:
    """The image in grey, tinted by the heatmap, with an outline at half of the maximum.

    The outline shows the region also without colours.

    Returns:
        Shape (height, width, 3), the longer side about 168 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    background = Image.fromarray(to_uint8(image, pixel_range))
    if background.mode == "RGBA":
        white = Image.new("RGBA", background.size, "white")
        background = Image.alpha_composite(white, background)
    background = background.convert("L")
    scale = SIDE / max(background.size)
    size = [max(1, round(side * scale)) for side in background.size]
    is_small = max(background.size) <= MAX_PIXELATED
    method = Image.Resampling.NEAREST if is_small else Image.Resampling.BICUBIC
    grey = LIGHTEN + CONTRAST * np.asarray(background.resize(size, method), np.float64)[..., None]
    values = np.nan_to_num(np.asarray(heatmap, np.float32)).clip(0, 1)
    heat = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    opacity = MAX_TINT * heat[..., None]
    pixels = grey * (1 - opacity) + _duotone(grey) * opacity
    pixels[_outline(heat >= OUTLINE_LEVEL)] = OUTLINE_COLOUR
    return np.asarray(np.rint(pixels).clip(0, MAX_BYTE), dtype=np.uint8)


def _duotone(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Greys as colours from black over the tint to nearly white, so details remain visible."""
    dark = TINT * np.minimum(grey / MIDDLE_GREY, 1)
    light = np.maximum(grey - MIDDLE_GREY, 0) / (MAX_BYTE - MIDDLE_GREY)
    return dark + 0.6 * light * (MAX_BYTE - dark)


def _outline(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of a region, except at the border of the image."""
    padded = np.pad(inside, 1, mode="edge")
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~surrounded
