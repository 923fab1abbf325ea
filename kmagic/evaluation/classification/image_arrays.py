"""Pictures as a model takes them and as a person sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_reader import MAX_8_BIT, MAX_16_BIT, convert_mode
from kmagic.evaluation.prediction.batch_prediction import Shape, show_shape
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

THUMB = 168  # pixels of a thumbnail's longer side
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> what Pillow calls them
NO_PICTURES = (
    "Ask it by %keras_predict (kmagic.predict): for an array or a table, one row a sample."
)
"""What to do with a model that takes no pictures."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a model sees of a picture; None where it takes any.

    Attributes:
        height: Pixels.
        width: Pixels.
        channels: 1 grey, 3 colours, 4 with transparency.
        flat: The model takes all pixels in one row.
        interpolation: How a picture of another size is resized, in the words of Keras's
            ``load_img``.
    """

    height: int | None
    width: int | None
    channels: int
    flat: bool = False
    interpolation: str = "nearest"


@dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """A picture that was read.

    Attributes:
        pixels: Shape (height, width, channels), or flat; what the model takes.
        thumbnail: Shape (height, width) or (height, width, channels), small, for a person; None
            if nobody will look.
        raw: The values are 0 to 255 and still to be scaled.
    """

    pixels: NDArray[Any]
    thumbnail: NDArray[Any] | None
    raw: bool


def size_of(shape: Shape, image_shape: tuple[int, ...] | None = None) -> Size:
    """The size of pictures that a model with samples of this shape takes.

    Args:
        shape: (height, width, channels), (height, width), or (pixels,).
        image_shape: What a row of pixels is, where that is known; else it is a square.

    Raises:
        EvaluationError: These are not pictures.

    Example:
        >>> size_of((784,))
        Size(height=28, width=28, channels=1, flat=True, interpolation='nearest')
    """
    match shape:
        case (height, width, channels) if channels in MODES:
            return Size(height, width, channels or 1)
        case (height, width):
            return Size(height, width, 1)
        case (int(pixels),):
            if image_shape and np.prod(image_shape) == pixels:
                height, width, channels = (*image_shape, 1)[:3]
                return Size(height, width, channels, flat=True)
            for channels in MODES:
                side = round((pixels / channels) ** 0.5)
                if side * side * channels == pixels:
                    return Size(side, side, channels, flat=True)
    raise EvaluationError(
        f"The model takes samples of shape {show_shape(shape)}, which are not pictures: "
        "(height, width, channels) with 1, 3 or 4 channels last.",
        NO_PICTURES,
    )


def fits(received: tuple[int, ...], expected: Shape) -> bool:
    """Whether the shapes are alike, but for a last axis of one."""
    return (
        _alike(received, expected)
        or _alike((*received, 1), expected)
        or (received[-1:] == (1,) and _alike(received[:-1], expected))
    )


def prepare(image: Image, size: Size, *, keep: bool = True) -> Opened:
    """A Pillow image in the model's colours and size, its values 0 to 255.

    Args:
        image: The picture, upright.
        size: What the model sees.
        keep: Whether somebody will look at the picture.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    seen = convert_mode(image, MODES[size.channels])
    wide, high = size.width or seen.width, size.height or seen.height
    fitted = seen
    if (wide, high) != seen.size:
        fitted = seen.resize((wide, high), Image.Resampling[size.interpolation.upper()])
    pixels = np.asarray(fitted)
    if size.channels == 1:
        pixels = pixels[..., None]
    shown = to_thumbnail(seen) if keep else None
    return Opened(pixels.reshape(-1) if size.flat else pixels, shown, raw=True)


def to_thumbnail(image: Image) -> NDArray[Any]:
    """A small copy for a person to see, at most ``THUMB`` pixels wide and high."""
    scale = min(1.0, THUMB / max(image.size))
    if scale == 1.0:
        return np.array(image)
    wide, high = (max(1, round(side * scale)) for side in image.size)
    return np.asarray(image.resize((wide, high), reducing_gap=3.0))


def as_image(array: NDArray[Any], size: Size) -> Image:
    """An array of bytes as a Pillow image.

    Args:
        array: uint8 of shape (height, width), (height, width, channels) or, if the model takes
            its pixels in one row, (pixels,).
        size: What the model sees.

    Raises:
        EvaluationError: It is no picture.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    array = unroll(array, size)
    if array.ndim > 2 and array.shape[-1] == 1:  # noqa: PLR2004 - height, width
        array = array[..., 0]
    if not array.size or array.shape[2:] not in ((), (3,), (4,)) or array.ndim < 2:  # noqa: PLR2004 - as above
        raise EvaluationError(
            "A picture has shape (height, width) or (height, width, channels) with 1, 3 or 4 "
            f"channels; received {show_shape(array.shape)}."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Values of 0 to 255, or whole numbers of 16 bits, as bytes.

    Raises:
        EvaluationError: They are something else, most often scaled already.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(MAX_8_BIT)
    if not np.isfinite(array).all():
        raise EvaluationError("The picture holds NaN or infinity.")
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low >= 0 and array.dtype.kind in "iu" and MAX_8_BIT < high <= MAX_16_BIT:
        array, high = array / (MAX_16_BIT / MAX_8_BIT), MAX_8_BIT
    if low < 0 or high > MAX_8_BIT or (0 < high <= 1 and array.dtype.kind == "f"):
        raise EvaluationError(
            "The values of a picture must be 0 to 255, because they are scaled as the network "
            f"expects them; received {low:g} to {high:g}.",
            "Give the picture unscaled: 255 * picture.",
        )
    whole: NDArray[np.uint8] = np.rint(array).astype(np.uint8)
    return whole


def unroll(array: NDArray[Any], size: Size) -> NDArray[Any]:
    """A row of pixels as a picture again."""
    height, width = size.height or 0, size.width or 0
    if array.ndim == 1 and size.flat and array.size == height * width * size.channels:
        return array.reshape(height, width, size.channels)
    return array


def _alike(received: tuple[int, ...], expected: Shape) -> bool:
    return len(received) == len(expected) and all(
        want is None or want == got for want, got in zip(expected, received, strict=True)
    )
