"""A picture made small, as a PNG or JPEG that travels inside the notebook."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.card import image_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CHANNELS = (1, 3, 4)
MAX_PIXELATED = 64  # pixels: what is smaller is drawn with its pixels visible
LEAST, MOST = 4, 4096  # pixels of a picture's side
MAX_BYTE = 255


@dataclass(frozen=True, slots=True)
class PixelRange:
    """How the values of some pictures become bytes.

    Attributes:
        low: Value that becomes 0.
        high: Value that becomes 255.
        paper: They are small drawings on an empty ground, such as digits: shown as ink on paper.
    """

    low: float
    high: float
    paper: bool


def are_images(x: Any) -> bool:
    """Whether samples of this shape are pictures: (n, height, width[, 1, 3 or 4])."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) == len(("n", "height", "width", "channels")) and shape[3] in CHANNELS:
        shape = shape[:3]
    return len(shape) == len(("n", "height", "width")) and all(
        LEAST <= side <= MOST for side in shape[1:]
    )


def pixel_range(pictures: Sequence[NDArray[Any]]) -> PixelRange:
    """The look that all of some pictures share.

    Args:
        pictures: Shape (height, width) or (height, width, channels) each.
    """
    low = min((float(np.min(one)) for one in pictures), default=0.0)
    high = max((float(np.max(one)) for one in pictures), default=1.0)
    paper = bool(pictures) and all(_is_drawing(one) for one in pictures)
    if all(one.dtype == np.uint8 for one in pictures) or (low >= 0 and 1 < high <= MAX_BYTE):
        return PixelRange(0, MAX_BYTE, paper)
    if low >= -1 and high <= 1:
        return PixelRange(-1 if low < 0 and not paper else min(low, 0), 1, paper)
    return PixelRange(low, high, paper)


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A small picture as a file.

    Attributes:
        data: The file.
        mime: What kind of file it is.
        width: On the screen, in pixels.
        height: On the screen, in pixels.
        pixelated: Its pixels are to be seen.
    """

    data: bytes
    mime: str
    width: int
    height: int
    pixelated: bool


def thumbnail_html(picture: NDArray[Any], look: PixelRange, *, box: int, alt: str) -> str:
    """One picture as an ``<img>`` of at most ``box`` pixels, in its own proportions.

    Args:
        picture: Shape (height, width) or (height, width, channels).
        look: What ``look_of`` said of it and its neighbours.
        box: The longest side on the screen, in pixels.
        alt: What it shows, in words.
    """
    made = encode_image(picture, look, box=box)
    return image_html(
        made.data,
        made.mime,
        alt=alt,
        width=made.width,
        height=made.height,
        style="image-rendering:pixelated" if made.pixelated else "",
    )


def encode_image(picture: NDArray[Any], look: PixelRange, *, box: int) -> EncodedImage:
    """One picture as a small file; the arguments are those of :func:`thumbnail_html`."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    shown = Image.fromarray(to_uint8(picture, look))
    longest = max(shown.size)
    grow = box / longest
    if longest <= MAX_PIXELATED:
        grow = max(1, box // longest)
        shown = shown.resize((shown.width * int(grow), shown.height * int(grow)), _nearest())
    elif longest > 2 * box:
        shown.thumbnail((2 * box, 2 * box))
    scale = min(1.0, box / max(shown.size))
    width, height = (max(1, round(side * scale)) for side in shown.size)
    held = io.BytesIO()
    if longest > MAX_PIXELATED and shown.mode in ("L", "RGB"):
        shown.save(held, "JPEG", quality=82)
        return EncodedImage(held.getvalue(), "image/jpeg", width, height, pixelated=False)
    shown.save(held, "PNG", optimize=True)
    return EncodedImage(
        held.getvalue(), "image/png", width, height, pixelated=longest <= MAX_PIXELATED
    )


def _nearest() -> Any:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    return Image.Resampling.NEAREST


def _is_drawing(picture: NDArray[Any]) -> bool:
    """Small, of one channel, and more than half of it is the darkest value."""
    one_channel = picture.ndim == 2 or picture.shape[2] == 1  # noqa: PLR2004 - height, width
    if not one_channel or max(picture.shape) > MAX_PIXELATED:
        return False
    return float(np.mean(picture <= np.min(picture))) > 0.5  # noqa: PLR2004 - the greater part


def to_uint8(picture: NDArray[Any], look: PixelRange) -> NDArray[np.uint8]:
    """A picture's values as bytes, an axis of one channel left out."""
    flat = picture[..., 0] if picture.ndim > 2 and picture.shape[2] == 1 else picture  # noqa: PLR2004 - height, width, channels
    values = np.nan_to_num(np.asarray(flat, dtype=np.float64))
    span = (look.high - look.low) or 1.0
    shares = np.clip((values - look.low) / span, 0, 1)
    if look.paper:
        shares = 1 - shares
    return np.asarray(np.rint(shares * MAX_BYTE), dtype=np.uint8)
