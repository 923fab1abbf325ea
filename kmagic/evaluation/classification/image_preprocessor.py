"""How a picture reaches a model: in its size, its colours and its scale."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_reader import MAX_8_BIT, MAX_16_BIT, convert_mode, read_image
from kmagic.evaluation.prediction.batch_prediction import Shape, sample_shape, shape_tuple
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from kmagic.evaluation.classification.applications import Application
    from kmagic.evaluation.classification.image_sources import ImageSource

THREADS = 4  # that read pictures while the model answers
SCALERS = ("Rescaling", "Normalization")  # layers of Keras that scale within the model
UNSCALED = "The pictures reached the model as values 0 to 255; scaling= says otherwise."
WHOLE = 1.0  # what pictures divided by 255 reach at most


@dataclass(frozen=True, eq=False, slots=True)
class ImagePreprocessor:
    """How a picture reaches one model.

    Attributes:
        shape: Shape of the model's samples; None where any will do.
        size: The same as a picture's size.
        scale: From values 0 to 255 to what the model learned from, a batch at a time; None
            leaves them.
        application: What belongs to the pretrained model, if it is one.
        inverse: Back from there to 0 to 255, where known.
        learned: Why the values are what the model expects, or a warning, for a reader.
    """

    shape: Shape | None
    size: ImageSize
    scale: Callable[[NDArray[Any]], Any] | None = None
    application: Application | None = None
    inverse: Callable[[NDArray[Any]], Any] | None = None
    learned: str = ""

    @classmethod
    def of(
        cls,
        model: Any,
        application: Application | None,
        data: Any,
        scaling: Any,
        how: str | None = None,
    ) -> ImagePreprocessor:
        """The eye of a model.

        Args:
            model: The model.
            application: What belongs to it, if it is a pretrained one.
            data: The data set that it learned from, if that is known.
            scaling: What the user says of the scale, before all else.
            how: The interpolation by which pictures are resized; None asks ``data``.

        Raises:
            EvaluationError: The model does not take pictures, or an argument is wrong.
        """
        how = how or getattr(data, "interpolation", "") or INTERPOLATIONS[0]
        if how not in INTERPOLATIONS:
            raise EvaluationError(
                f"interpolation must be one of {', '.join(INTERPOLATIONS)}; received {how!r}."
            )
        shape = sample_shape(model)
        if shape is None and data is not None:
            shape = data.preparation.sample_shape
        size = ImageSize(None, None, 3 if application else 1)
        if shape is not None:
            size = size_of(shape, getattr(data, "image_shape", None))
        size = replace(size, interpolation=how)
        if application is not None and size.height is None:
            size = replace(size, height=application.side, width=application.side)
        if scaling is None and application is not None:
            return cls(shape, size, application.preprocess, application)
        if scaling is None and data is not None:
            scaling = data.scaling
        scale, inverse = _read_scaling(scaling)
        learned = "" if scaling is not None or _scales_itself(model) else UNSCALED
        return cls(shape, size, scale, application, inverse, learned)

    def open(self, source: ImageSource, *, keep: bool = True) -> LoadedImage:
        """Read a picture and bring it to the model's size.

        Files, Pillow images and arrays of whole numbers are pictures of values 0 to 255, which
        are resized and scaled; arrays of floats are the model's own input.

        Args:
            source: The picture.
            keep: Whether somebody will look at it.

        Raises:
            EvaluationError: It cannot be read, or an array of floats does not fit.
        """
        picture = source.picture
        if isinstance(picture, EvaluationError):
            raise picture
        if hasattr(picture, "shape"):
            opened = self._open_array(np.asarray(picture), keep=keep)
        else:
            opened = prepare(read_image(picture, source.name), self.size, keep=keep)
        if self.shape is None or opened.pixels.ndim == len(self.shape):
            return opened
        more = opened.pixels.ndim < len(self.shape)
        return replace(opened, pixels=opened.pixels[..., None] if more else opened.pixels[..., 0])

    def see(self, opened: Sequence[LoadedImage]) -> NDArray[Any]:
        """Pictures of one shape as a batch that the model takes."""
        raw = [number for number, one in enumerate(opened) if one.raw]
        batch = np.stack([one.pixels for one in opened]).astype(np.float32)
        if not raw or self.scale is None:
            return batch
        if len(raw) == len(opened):
            return np.asarray(self.scale(batch))
        batch[raw] = self.scale(batch[raw])
        return batch

    def note(self, sources: Sequence[ImageSource], batch: NDArray[Any]) -> str:
        """What a reader should know of how the pictures reached the model.

        Args:
            sources: All the pictures.
            batch: Some of them as the model saw them.
        """
        own = all(hasattr(one.picture, "shape") for one in sources)
        if not own:
            return self.learned
        if self.inverse is not None and batch.max(initial=0) / 2 > WHOLE and self._is_share():
            return (
                f"The values reach {batch.max():g}, but the model learned from values up to 1: "
                "were they divided by 255?"
            )
        return ""

    def _is_share(self) -> bool:
        probe = np.full((1, *(n or 1 for n in self.shape or (1,))), MAX_8_BIT, np.float32)
        return self.scale is not None and bool(np.allclose(self.scale(probe), WHOLE))

    def _open_array(self, array: NDArray[Any], *, keep: bool) -> LoadedImage:
        kind = array.dtype.kind
        if kind not in "biuf":
            raise EvaluationError(f"A picture must hold numbers; received {array.dtype}.")
        raw = self.application is not None or array.dtype in (np.uint8, np.uint16)
        if kind in "iu" and array.size and 1 < array.max() <= MAX_8_BIT and array.min() >= 0:
            raw = True
        if raw:
            image = as_image(unroll(to_bytes(array), self.size), self.size)
            return prepare(image, self.size, keep=keep)
        return self._take(array, keep=keep)

    def _take(self, array: NDArray[Any], *, keep: bool) -> LoadedImage:
        """An array as it is: it is the model's own input."""
        if self.shape is not None and not fits(array.shape, self.shape):
            raise EvaluationError(
                f"The model expects pictures of shape {shape_tuple(self.shape)}; "
                f"received {shape_tuple(array.shape)} of type {array.dtype}.",
                "Pictures of bytes (uint8, 0 to 255), files and Pillow images are resized by "
                "themselves.",
            )
        if not array.ndim:
            raise EvaluationError("A picture is more than a single number.")
        if not np.isfinite(array).all():
            raise EvaluationError("The picture holds NaN or infinity.")
        return LoadedImage(array, self._shown(array) if keep else None, raw=False)

    def _shown(self, array: NDArray[Any]) -> NDArray[Any]:
        shown = array
        if self.inverse is not None:
            raw = np.asarray(self.inverse(array[None]))[0]
            shown = np.rint(raw).clip(0, MAX_8_BIT).astype(np.uint8)
        shown = unroll(shown, self.size)
        step = -(-max(shown.shape) // (2 * THUMB))
        return shown[::step, ::step] if shown.ndim > 1 else shown


def read_ahead(
    sources: Sequence[ImageSource], eye: ImagePreprocessor, *, ahead: int, keep: int
) -> Generator[LoadedImage | EvaluationError]:
    """The pictures in their order, read by threads while whoever asks is busy.

    No more than ``ahead`` wait to be asked for, so that the memory stays flat.

    Args:
        sources: The pictures.
        eye: The model's eye.
        ahead: How many are read before they are asked for.
        keep: So many from the beginning keep a small copy to be looked at.
    """

    def read(number: int) -> LoadedImage | EvaluationError:
        try:
            return eye.open(sources[number], keep=number < keep)
        except EvaluationError as error:
            return error

    pool = ThreadPoolExecutor(min(THREADS, cpu_count() or 1), "kmagic-read")
    waiting: deque[Future[LoadedImage | EvaluationError]] = deque()
    try:
        for number in range(len(sources)):
            waiting.append(pool.submit(read, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read_scaling(scaling: Any) -> tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
    """What scales a batch, and what undoes it."""
    if scaling is None:
        return None, None
    apply, inverse = getattr(scaling, "apply", None), getattr(scaling, "inverse", None)
    if callable(apply):
        return apply, inverse if callable(inverse) else None
    if callable(scaling):
        return scaling, None
    if isinstance(scaling, int | float) and scaling:
        return (lambda pixels: pixels / scaling), (lambda pixels: pixels * scaling)
    raise EvaluationError(
        "scaling must be a number to divide by, a function, or an object with apply; "
        f"received {scaling!r}."
    )


def _scales_itself(model: Any) -> bool:
    """Whether a layer of the model scales the pictures."""
    layers = getattr(model, "layers", None) or ()
    return any(kind.__name__ in SCALERS for layer in layers for kind in type(layer).__mro__) or any(
        _scales_itself(layer) for layer in layers if hasattr(layer, "layers")
    )


THUMB = 168  # pixels of a thumbnail's longer side
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> what Pillow calls them
NO_PICTURES = (
    "Ask it by %keras_predict (kmagic.predict): for an array or a table, one row a sample."
)
"""What to do with a model that takes no pictures."""


@dataclass(frozen=True, slots=True)
class ImageSize:
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
class LoadedImage:
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


def size_of(shape: Shape, image_shape: tuple[int, ...] | None = None) -> ImageSize:
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
            return ImageSize(height, width, channels or 1)
        case (height, width):
            return ImageSize(height, width, 1)
        case (int(pixels),):
            if image_shape and np.prod(image_shape) == pixels:
                height, width, channels = (*image_shape, 1)[:3]
                return ImageSize(height, width, channels, flat=True)
            for channels in MODES:
                side = round((pixels / channels) ** 0.5)
                if side * side * channels == pixels:
                    return ImageSize(side, side, channels, flat=True)
    raise EvaluationError(
        f"The model takes samples of shape {shape_tuple(shape)}, which are not pictures: "
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


def prepare(image: Image, size: ImageSize, *, keep: bool = True) -> LoadedImage:
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
    return LoadedImage(pixels.reshape(-1) if size.flat else pixels, shown, raw=True)


def to_thumbnail(image: Image) -> NDArray[Any]:
    """A small copy for a person to see, at most ``THUMB`` pixels wide and high."""
    scale = min(1.0, THUMB / max(image.size))
    if scale == 1.0:
        return np.array(image)
    wide, high = (max(1, round(side * scale)) for side in image.size)
    return np.asarray(image.resize((wide, high), reducing_gap=3.0))


def as_image(array: NDArray[Any], size: ImageSize) -> Image:
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
            f"channels; received {shape_tuple(array.shape)}."
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


def unroll(array: NDArray[Any], size: ImageSize) -> NDArray[Any]:
    """A row of pixels as a picture again."""
    height, width = size.height or 0, size.width or 0
    if array.ndim == 1 and size.flat and array.size == height * width * size.channels:
        return array.reshape(height, width, size.channels)
    return array


def _alike(received: tuple[int, ...], expected: Shape) -> bool:
    return len(received) == len(expected) and all(
        want is None or want == got for want, got in zip(expected, received, strict=True)
    )
