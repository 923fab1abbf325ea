"""Pictures, however they come, as a model takes them and as a person sees them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.errors import EvaluationError
from kmagic.evaluation.predictions import Shape, show_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

THUMB = 160  # pixels of a thumbnail's longer side
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> what Pillow calls them


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
        thumbnail: Shape (height, width) or (height, width, channels), small; for a person.
        raw: The values are 0 to 255 and still to be scaled.
    """

    pixels: NDArray[Any]
    thumbnail: NDArray[Any]
    raw: bool


def size_of(shape: Shape) -> Size:
    """The size of pictures that a model with samples of this shape takes.

    Args:
        shape: (height, width, channels), (height, width), or (pixels,) of a square picture.

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
            for channels in MODES:
                side = round((pixels / channels) ** 0.5)
                if side * side * channels == pixels:
                    return Size(side, side, channels, flat=True)
    raise EvaluationError(
        f"The model takes samples of shape {show_shape(shape)}, which are not pictures: "
        "(height, width, channels) with 1, 3 or 4 channels last.",
    )


def list_pictures(images: Any, shape: Shape | None) -> list[tuple[str, Any]]:
    """Each picture with its name, still unread.

    Args:
        images: One picture or many: an array of shape (n, height, width, channels), (n, height,
            width), or one picture's; a path; a Pillow image; or a list of any of these.
        shape: Shape of the model's samples, which tells one picture from several.

    Returns:
        Pairs of a name (the file's, or the number) and the array, path or Pillow image.

    Raises:
        EvaluationError: There is nothing, or nothing that a picture can be made of.
    """
    if isinstance(images, str | os.PathLike) or _is_pillow(images):
        found = [images]
    elif hasattr(images, "shape"):
        found = _split(images, shape)
    elif isinstance(images, Iterable):
        found = list(images)
    else:
        raise EvaluationError(
            "images must be arrays, paths or Pillow images, or a list of them; "
            f"received {type(images).__name__}."
        )
    if len(found) == 0:
        raise EvaluationError("images is empty: there is nothing to classify.")
    return [(_name(picture, number), picture) for number, picture in enumerate(found)]


def open_picture(
    picture: Any, size: Size, *, shape: Shape | None, raw_floats: bool = False
) -> Opened:
    """Read a picture and bring it to the model's size.

    Files, Pillow images and arrays of bytes are turned upright as their EXIF says, resized and
    given the model's channels. Arrays of floats are taken as the model's own input.

    Args:
        picture: One of ``list_pictures``.
        size: What the model sees.
        shape: Shape of the model's samples, None where any size will do.
        raw_floats: Arrays of floats are pictures of values 0 to 255 as well, and resized.

    Raises:
        EvaluationError: It cannot be read, or an array of floats does not fit.
    """
    opened = _open(picture, size, shape, raw_floats=raw_floats)
    if shape is None or opened.pixels.ndim == len(shape):
        return opened
    more = opened.pixels.ndim < len(shape)
    return replace(opened, pixels=opened.pixels[..., None] if more else opened.pixels[..., 0])


def to_thumbnail(image: Image) -> NDArray[Any]:
    """A small copy for a person to see, at most ``THUMB`` pixels wide and high."""
    small = image.copy()
    small.thumbnail((THUMB, THUMB))
    return np.asarray(small)


def _open(picture: Any, size: Size, shape: Shape | None, *, raw_floats: bool) -> Opened:
    if isinstance(picture, str | os.PathLike):
        return _prepare(_read_file(Path(picture)), size)
    if _is_pillow(picture):
        return _prepare(_upright(picture), size)
    array = np.asarray(picture)
    if raw_floats and array.dtype.kind == "f":
        array = _to_bytes(array)
    if array.dtype == np.uint8:
        return _prepare(_as_pillow(_unroll(array, size)), size)
    return _take(array, size, shape)


def _is_pillow(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "getexif")


def _name(picture: Any, number: int) -> str:
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    return str(getattr(picture, "filename", "") or number)


def _split(array: Any, shape: Shape | None) -> Any:
    """An array as a sequence of pictures, whether it holds one or many."""
    if shape is not None:
        if _fits(array.shape, shape):
            return array[None]
        if _fits(array.shape[1:], shape):
            return array
    match array.shape:
        case (_, _):
            return array[None]
        case (height, width, channels) if channels in MODES and min(height, width) > max(MODES):
            return array[None]
    return array


def _fits(received: tuple[int, ...], expected: Shape) -> bool:
    """Whether the shapes are alike, but for a last axis of one."""
    return (
        _alike(received, expected)
        or _alike((*received, 1), expected)
        or (received[-1:] == (1,) and _alike(received[:-1], expected))
    )


def _alike(received: tuple[int, ...], expected: Shape) -> bool:
    return len(received) == len(expected) and all(
        want is None or want == got for want, got in zip(expected, received, strict=True)
    )


def _read_file(path: Path) -> Image:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - 0.1 s to import

    path = path.expanduser()
    if path.is_dir():
        raise EvaluationError(f"{path} is a folder; give its files: sorted(Path(...).iterdir()).")
    try:
        with Image.open(path) as opened:
            opened.load()
            return _upright(opened)
    except FileNotFoundError as error:
        raise EvaluationError(f"There is no file {path}.") from error
    except UnidentifiedImageError as error:
        raise EvaluationError(f"{path} is not a picture that Pillow can read.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error


def _upright(image: Image) -> Image:
    from PIL import ImageOps  # noqa: PLC0415 - 0.1 s to import

    return ImageOps.exif_transpose(image)


def _to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if not np.isfinite(array).all():
        raise EvaluationError("The picture holds NaN or infinity.")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255 or 0 < high <= 1:  # noqa: PLR2004 - what a byte holds
        raise EvaluationError(
            "With app the values of a picture must be 0 to 255, because the application scales "
            f"them by itself; received {low:g} to {high:g}.",
            "Give the picture unscaled: 255 * picture.",
        )
    whole: NDArray[np.uint8] = np.rint(array).astype(np.uint8)
    return whole


def _unroll(array: NDArray[Any], size: Size) -> NDArray[Any]:
    """A row of pixels as a picture again."""
    side = size.height or 0
    if array.ndim == 1 and size.flat and array.size == side * side * size.channels:
        return array.reshape(side, side, size.channels)
    return array


def _as_pillow(array: NDArray[Any]) -> Image:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    match array.shape:
        case (_, _, 1):
            array = array[..., 0]
        case (_, _) | (_, _, 3) | (_, _, 4):
            pass
        case _:
            raise EvaluationError(
                "A picture has shape (height, width) or (height, width, channels) with 1, 3 or 4 "
                f"channels; received {array.shape}."
            )
    return Image.fromarray(np.ascontiguousarray(array))


def _prepare(image: Image, size: Size) -> Opened:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    seen = _recolour(image, MODES[size.channels])
    wide, high = size.width or seen.width, size.height or seen.height
    fitted = seen
    if (wide, high) != seen.size:
        fitted = seen.resize((wide, high), Image.Resampling[size.interpolation.upper()])
    pixels = np.asarray(fitted, dtype=np.float32)
    if size.channels == 1:
        pixels = pixels[..., None]
    return Opened(pixels.reshape(-1) if size.flat else pixels, to_thumbnail(seen), raw=True)


def _recolour(image: Image, mode: str) -> Image:
    """The picture in grey or in colours; what shines through is white, 16 bits become 8."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    clear = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if clear and mode != "RGBA":
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)


def _take(array: NDArray[Any], size: Size, shape: Shape | None) -> Opened:
    """An array of floats as it is: it is the model's own input."""
    if array.dtype.kind not in "biuf" or (shape is not None and not _fits(array.shape, shape)):
        raise EvaluationError(
            f"The model expects pictures of shape {show_shape(shape or ())}; "
            f"received {show_shape(array.shape)} of type {array.dtype}.",
            "Pictures of bytes (uint8, 0 to 255), files and Pillow images are resized by "
            "themselves.",
        )
    if not np.isfinite(array).all():
        raise EvaluationError("The picture holds NaN or infinity.")
    shown = _unroll(array, size)
    step = -(-max(shown.shape) // (2 * THUMB))
    return Opened(array, shown[::step, ::step] if shown.ndim > 1 else shown, raw=False)
