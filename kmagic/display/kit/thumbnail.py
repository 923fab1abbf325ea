"""Images reduced to small PNG or JPEG files that are saved within the notebook."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card import image_html

CHANNELS = (1, 3, 4)
IMAGE_AXES = 3
"""Number, height and width; channels are optional."""
MIN_SIDE, MAX_SIDE = 4, 4096
MAX_PIXELATED = 64
"""Images up to this side are enlarged with visible pixels."""
MAX_BYTE = 255


@dataclass(frozen=True, slots=True)
class PixelRange:
    """How the values of some images become bytes.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 255.
        inverted: Whether to invert them: small drawings such as digits are shown as ink on paper.
    """

    low: float
    high: float
    inverted: bool


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A small image as a file.

    Attributes:
        data: The content of the file.
        mime: Its MIME type.
        width: Width on the screen, in pixels.
        height: Height on the screen, in pixels.
        pixelated: Whether its pixels should be visible.
    """

    data: bytes
    mime: str
    width: int
    height: int
    pixelated: bool


def are_images(x: Any) -> bool:
    """Whether samples have the shape of images: (n, height, width[, 1, 3 or 4])."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) == IMAGE_AXES + 1 and shape[-1] in CHANNELS:
        shape = shape[:-1]
    return len(shape) == IMAGE_AXES and all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:])


def pixel_range(images: Sequence[NDArray[Any]]) -> PixelRange:
    """The range of values that some images share.

    Args:
        images: Shape (height, width) or (height, width, channels) each.
    """
    low = min((float(np.min(image)) for image in images), default=0.0)
    high = max((float(np.max(image)) for image in images), default=1.0)
    inverted = bool(images) and all(map(_is_drawing, images))
    if all(image.dtype == np.uint8 for image in images) or (low >= 0 and 1 < high <= MAX_BYTE):
        return PixelRange(0, MAX_BYTE, inverted)
    if low >= -1 and high <= 1:
        return PixelRange(-1 if low < 0 and not inverted else min(low, 0), 1, inverted)
    return PixelRange(low, high, inverted)


def thumbnail_html(image: NDArray[Any], pixels: PixelRange, *, box: int, alt: str) -> str:
    """An image as an ``<img>`` of at most ``box`` pixels, in its own proportions.

    Args:
        image: Shape (height, width) or (height, width, channels).
        pixels: The range of its values.
        box: The longest side on the screen, in pixels.
        alt: What the image shows.
    """
    file = encode_image(image, pixels, box=box)
    style = "image-rendering:pixelated" if file.pixelated else ""
    return image_html(
        file.data, file.mime, alt=alt, width=file.width, height=file.height, style=style
    )


def encode_image(image: NDArray[Any], pixels: PixelRange, *, box: int) -> EncodedImage:
    """An image as a small file; the arguments are those of :func:`thumbnail_html`."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    small = Image.fromarray(to_uint8(image, pixels))
    longest = max(small.size)
    if longest <= MAX_PIXELATED:
        factor = max(1, box // longest)
        size = (small.width * factor, small.height * factor)
        small = small.resize(size, Image.Resampling.NEAREST)
    elif longest > 2 * box:
        small.thumbnail((2 * box, 2 * box))
    scale = min(1.0, box / max(small.size))
    width, height = (max(1, round(side * scale)) for side in small.size)
    file = io.BytesIO()
    if longest > MAX_PIXELATED and small.mode in ("L", "RGB"):
        small.save(file, "JPEG", quality=82)
        return EncodedImage(file.getvalue(), "image/jpeg", width, height, pixelated=False)
    small.save(file, "PNG", optimize=True)
    pixelated = longest <= MAX_PIXELATED
    return EncodedImage(file.getvalue(), "image/png", width, height, pixelated=pixelated)


def to_uint8(image: NDArray[Any], pixels: PixelRange) -> NDArray[np.uint8]:
    """An image's values as bytes; a single channel loses its axis."""
    values = image[..., 0] if image.ndim == IMAGE_AXES and image.shape[-1] == 1 else image
    values = np.nan_to_num(np.asarray(values, dtype=np.float64))
    shares = np.clip((values - pixels.low) / ((pixels.high - pixels.low) or 1.0), 0, 1)
    if pixels.inverted:
        shares = 1 - shares
    return np.asarray(np.rint(shares * MAX_BYTE), dtype=np.uint8)


def _is_drawing(image: NDArray[Any]) -> bool:
    """Whether a small image has one channel, more than half of which is its lowest value."""
    if (image.ndim == IMAGE_AXES and image.shape[-1] != 1) or max(image.shape) > MAX_PIXELATED:
        return False
    return float(np.mean(image <= np.min(image))) > 0.5  # noqa: PLR2004 - more than half
