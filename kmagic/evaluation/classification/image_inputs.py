"""Images as a model takes them: found, read, and in its size, its colours and its scale."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.folders import files_below, files_matching
from kmagic.data.images.image_reader import (
    MAX_8_BIT,
    MAX_16_BIT,
    convert_mode,
    is_image_file,
    is_pillow_image,
    is_url,
    read_image,
)
from kmagic.data.paths import explain_read_errors, local_path, nearest_path
from kmagic.evaluation.classification.applications import DEFAULT_SIDE, Application
from kmagic.evaluation.prediction.batch_prediction import (
    match_axes,
    model_phrase,
    option_error,
    shape_tuple,
)
from kmagic.evaluation.prediction.model_inputs import USE_PREDICT
from kmagic.models.keras_history import nested_layers
from kmagic.models.model_arrays import Shape, dense_rows, fits_shape, sample_shape, sparse_rows
from kmagic.support.data_values import check_has_values
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import natural_sort_key
from kmagic.support.messages import Function, Option, Text
from kmagic.support.nesting import MAX_DEPTH

if TYPE_CHECKING:
    from PIL.Image import Image

THREADS = 4  # that read images while the model computes
BATCHES_AHEAD = 2  # loaded while one is predicted
MAX_THUMBNAILS = 24  # images on a card, whose thumbnails are kept
SCALING_LAYERS = ("Rescaling", "Normalization")
MAX_SCALED = 1.0  # maximum of images divided by 255
THUMBNAIL_SIDE = 168  # pixels of the longer side
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
MAX_SUGGESTED = 3  # missing files for which similar names are suggested
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> mode of Pillow
UNSCALED_NOTE = Text(
    "The model received pixel values from 0 to 255. If it was trained on scaled values, pass ",
    Option("scaling", 255),
    ".",
)
NO_IMAGES_REMEDY = Text(
    "Use ", Function("predict"), " for arrays and tables with one row per sample."
)


@dataclass(frozen=True, eq=False, slots=True)
class ImageSource:
    """One image, not read yet."""

    name: str  # the file, the URL, or the index within the list of images
    image: Any  # a path, a URL, bytes, an open file, a Pillow image, an array; or its error
    folder: str = ""  # in which a folder or a pattern found it


@dataclass(frozen=True, slots=True)
class ImageSize:
    """The image size of a model in pixels; None where it takes any."""

    height: int | None
    width: int | None
    channels: int  # 1 grey, 3 colours, 4 with transparency
    flat: bool = False  # the model takes all pixels in one row
    interpolation: str = "nearest"  # by the names of Keras's load_img


@dataclass(frozen=True, eq=False, slots=True)
class LoadedImage:
    """An image that was read."""

    pixels: NDArray[Any]  # what the model takes, shape (height, width, channels), or flat
    thumbnail: NDArray[Any] | None  # shape (height, width) or (height, width, channels)
    raw: bool  # the values are 0 to 255 and not scaled yet


@dataclass(frozen=True, eq=False, slots=True)
class ImagePreprocessor:
    """The preprocessing of images for one model."""

    shape: Shape | None  # of the model's samples; None if it takes any
    size: ImageSize
    scale: Callable[[NDArray[Any]], Any] | None = None  # a batch from 0 to 255 to that of training
    application: Application | None = None
    inverse: Callable[[NDArray[Any]], Any] | None = None  # back to 0 to 255, if known
    scaling_note: str | Text = ""  # a warning if the scale of the training data is unknown

    @classmethod
    def for_model(
        cls,
        model: Any,
        application: Application | None,
        data: Any,
        scaling: Any,
        interpolation: str | None = None,
    ) -> ImagePreprocessor:
        """The preprocessing for a model."""
        interpolation = interpolation or getattr(data, "interpolation", "") or INTERPOLATIONS[0]
        if interpolation not in INTERPOLATIONS:
            raise EvaluationError(
                option="interpolation",
                expected=f"one of {', '.join(INTERPOLATIONS)}",
                actual=interpolation,
            )
        shape = sample_shape(model)
        if shape is None and data is not None:
            shape = data.preparation.sample_shape
        size = ImageSize(None, None, 3 if application else 1)
        if shape is not None:
            size = size_of(model, shape, getattr(data, "image_shape", None))
        size = replace(size, interpolation=interpolation)
        if application is not None and size.height is None:
            size = replace(size, height=DEFAULT_SIDE, width=DEFAULT_SIDE)
        if scaling is None and application is not None:
            return cls(shape, size, application.preprocess, application)
        if scaling is None and data is not None:
            scaling = data.scaling
        scale, inverse = _scaling_functions(scaling)
        is_known = scaling is not None or _has_scaling_layer(model)
        return cls(shape, size, scale, application, inverse, "" if is_known else UNSCALED_NOTE)

    def load(self, source: ImageSource, *, keep: bool = True) -> LoadedImage:
        """Read an image and resize it.

        Files, Pillow images and arrays of integers are images of values 0 to 255, which are
        resized and scaled; arrays of floats are the model's own input.
        """
        image = source.image
        if isinstance(image, EvaluationError):
            raise image
        if hasattr(image, "shape"):
            loaded = self._load_array(np.asarray(image), keep=keep)
        else:
            loaded = fit_image(read_image(image, source.name), self.size, keep=keep)
        return replace(loaded, pixels=match_axes(loaded.pixels[None], self.shape)[0])

    def to_batch(self, images: Sequence[LoadedImage]) -> NDArray[Any]:
        """Images of the same shape as a batch that the model takes."""
        raw = np.array([image.raw for image in images])
        batch = np.stack([image.pixels for image in images]).astype(np.float32)
        if self.scale is None or not raw.any():
            return batch
        if raw.all():
            return np.asarray(self.scale(batch))
        batch[raw] = self.scale(batch[raw])
        return batch

    def note(self, sources: Sequence[ImageSource], batch: NDArray[Any]) -> str | Text:
        """A warning if the scale of the images is unknown or wrong."""
        if not all(hasattr(source.image, "shape") for source in sources):
            return self.scaling_note
        largest = batch.max(initial=0)
        if self.inverse is not None and largest / 2 > MAX_SCALED and self._scales_to_one():
            return (
                f"Values go up to {largest:g}, but the model was trained on values up to 1. "
                "Divide them by 255."
            )
        return ""

    def _scales_to_one(self) -> bool:
        white = np.full((1, *(n or 1 for n in self.shape or (1,))), MAX_8_BIT, np.float32)
        return self.scale is not None and bool(np.allclose(self.scale(white), MAX_SCALED))

    def _load_array(self, array: NDArray[Any], *, keep: bool) -> LoadedImage:
        kind = array.dtype.kind
        if kind not in "biuf":
            raise EvaluationError(f"An image must consist of numbers; got {array.dtype}.")
        raw = self.application is not None or array.dtype in (np.uint8, np.uint16)
        if kind in "iu" and array.size and 1 < array.max() <= MAX_8_BIT and array.min() >= 0:
            raw = True
        if raw:
            return fit_image(to_pillow(to_bytes(array), self.size), self.size, keep=keep)
        if self.shape is not None and not fits_shape(array.shape, self.shape):
            raise EvaluationError(
                f"The model expects images of shape {shape_tuple(self.shape)}; "
                f"got {shape_tuple(array.shape)} of type {array.dtype}.",
                "Only images of bytes (uint8, 0 to 255), files and Pillow images are resized.",
            )
        if not array.ndim:
            raise EvaluationError("An image cannot be a single number.")
        if not np.isfinite(array).all():
            raise EvaluationError("The image contains NaN or infinity.")
        return LoadedImage(array, self._thumbnail(array) if keep else None, raw=False)

    def _thumbnail(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.inverse is not None:
            raw = np.asarray(self.inverse(array[None]))[0]
            array = np.rint(raw).clip(0, MAX_8_BIT).astype(np.uint8)
        shown = unflatten(array, self.size)
        step = -(-max(shown.shape) // (2 * THUMBNAIL_SIDE))
        return shown[::step, ::step] if shown.ndim > 1 else shown


def load_batches(
    sources: Sequence[ImageSource], preprocessor: ImagePreprocessor, batch_size: int
) -> Generator[list[LoadedImage | EvaluationError]]:
    """Batches of images in order, loaded by threads while the caller works; errors are yielded.

    At most two batches are loaded in advance, which bounds the memory. The images of a card get a
    thumbnail.
    """

    def load(index: int) -> LoadedImage | EvaluationError:
        try:
            return preprocessor.load(sources[index], keep=index < MAX_THUMBNAILS)
        except EvaluationError as error:
            return error

    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), "kmagic-read")
    indices = iter(range(len(sources)))
    pending: deque[Future[LoadedImage | EvaluationError]] = deque()
    try:
        while True:
            ahead = (1 + BATCHES_AHEAD) * batch_size - len(pending)
            pending += [pool.submit(load, index) for index in islice(indices, ahead)]
            if not pending:
                return
            count = min(batch_size, len(pending))
            yield [pending.popleft().result() for _ in range(count)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _scaling_functions(
    scaling: Any,
) -> tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
    """The functions that scale a batch, and back."""
    apply, inverse = getattr(scaling, "apply", None), getattr(scaling, "inverse", None)
    if callable(apply):
        return apply, inverse if callable(inverse) else None
    if scaling is None or callable(scaling):
        return scaling, None
    if isinstance(scaling, int | float) and scaling:
        return (lambda pixels: pixels / scaling), (lambda pixels: pixels * scaling)
    raise EvaluationError(
        option="scaling",
        expected="a number to divide by, a function, or an object with apply",
        actual=scaling,
    )


def _has_scaling_layer(model: Any) -> bool:
    layers = [*nested_layers(model)]
    return any(kind.__name__ in SCALING_LAYERS for layer in layers for kind in type(layer).__mro__)


# --- sizes and pixels ---------------------------------------------------------------------------


def size_of(model: Any, shape: Shape, image_shape: tuple[int, ...] | None = None) -> ImageSize:
    """The image size of a model.

    Example:
        >>> size_of(None, (784,))
        ImageSize(height=28, width=28, channels=1, flat=True, interpolation='nearest')
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
        model_phrase(model) + f" expects samples of shape {shape_tuple(shape)}, not images: "
        "(height, width, channels) with 1, 3 or 4 channels.",
        NO_IMAGES_REMEDY,
    )


def fit_image(image: Image, size: ImageSize, *, keep: bool = True) -> LoadedImage:
    """Convert a Pillow image to the model's colours and size, with values 0 to 255."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    converted = convert_mode(image, MODES[size.channels])
    target = size.width or converted.width, size.height or converted.height
    fitted = converted
    if target != converted.size:
        fitted = converted.resize(target, Image.Resampling[size.interpolation.upper()])
    pixels = np.asarray(fitted)
    if size.channels == 1:
        pixels = pixels[..., None]
    thumbnail = None
    if keep:
        scale = min(1.0, THUMBNAIL_SIDE / max(converted.size))
        sides = [max(1, round(side * scale)) for side in converted.size]
        small = converted if scale == 1 else converted.resize(sides, reducing_gap=3.0)
        thumbnail = np.array(small)
    return LoadedImage(pixels.reshape(-1) if size.flat else pixels, thumbnail, raw=True)


def to_pillow(array: NDArray[Any], size: ImageSize) -> Image:
    """An array of bytes as a Pillow image."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    array = unflatten(array, size)
    if array.ndim > 2 and array.shape[-1] == 1:  # noqa: PLR2004 - rows and columns
        array = array[..., 0]
    if not array.size or array.shape[2:] not in ((), (3,), (4,)) or array.ndim < 2:  # noqa: PLR2004 - as above
        raise EvaluationError(
            "An image must have shape (height, width) or (height, width, channels) with 1, 3 or 4 "
            f"channels; got {shape_tuple(array.shape)}."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from 0 to 255, or 16-bit integers, as bytes."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(MAX_8_BIT)
    if not np.isfinite(array).all():
        raise EvaluationError("The image contains NaN or infinity.")
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low >= 0 and array.dtype.kind in "iu" and MAX_8_BIT < high <= MAX_16_BIT:
        array, high = array / (MAX_16_BIT / MAX_8_BIT), MAX_8_BIT
    if low < 0 or high > MAX_8_BIT or (0 < high <= 1 and array.dtype.kind == "f"):
        raise EvaluationError(
            "Pixel values must be 0 to 255, since they are scaled as the network expects; "
            f"got {low:g} to {high:g}.",
            "Pass the image unscaled: 255 * image.",
        )
    rounded: NDArray[np.uint8] = np.rint(array).astype(np.uint8)
    return rounded


def unflatten(array: NDArray[Any], size: ImageSize) -> NDArray[Any]:
    """A row of pixels as an image; other arrays are unchanged."""
    height, width = size.height or 0, size.width or 0
    if array.ndim == 1 and size.flat and array.size == height * width * size.channels:
        return array.reshape(height, width, size.channels)
    return array


# --- finding images ----------------------------------------------------------------------------


def list_images(images: Any, shape: Shape | None) -> list[ImageSource]:
    """Each image with its name; folders and patterns become the image files in them."""
    sources = [
        replace(source, name=source.name or str(index))
        for index, source in enumerate(_expand(images, shape))
    ]
    if not sources:
        raise option_error("images", "is empty: nothing to classify.")
    return sources


def _expand(images: Any, shape: Shape | None) -> Iterator[ImageSource]:
    if is_url(images):
        yield ImageSource(images, images)
    elif isinstance(images, str | os.PathLike):
        yield from _from_path(os.fspath(images))
    elif isinstance(images, bytes | bytearray | memoryview):
        yield ImageSource("", bytes(images))
    elif is_pillow_image(images) or hasattr(images, "read"):
        name = getattr(images, "filename", "") or getattr(images, "name", "")
        yield ImageSource(os.fspath(name) if isinstance(name, str | os.PathLike) else "", images)
    elif hasattr(images, "shape"):
        yield from _from_array(images, shape)
    elif _are_numbers(images):
        yield from _from_array(_as_array(images), shape)
    elif isinstance(images, Iterable) and not isinstance(images, dict):
        for image in images:
            yield from _expand(image, shape)
    else:
        kinds = "paths, folders, patterns, URLs, bytes, arrays or Pillow images, or a list of them"
        example = "Pass some images of the dataset: `{digits.x_test[:8]}`."
        remedy = example if hasattr(images, "x_test") else ""
        received = Text(type(images).__name__)
        raise EvaluationError(option="images", expected=kinds, actual=received, remedy=remedy)


def _as_array(images: Sequence[Any]) -> NDArray[Any]:
    try:
        return np.asarray(images)
    except ValueError:  # NumPy's message is about an inhomogeneous shape
        raise EvaluationError(
            "Images as lists of numbers must have rows of the same length.",
            "Pass images of several sizes as a list of arrays.",
        ) from None


def suggest_files(sources: Sequence[ImageSource]) -> str | Text:
    """A remedy for missing files: files with similar names, or another function for sentences."""
    names = [source.name for source in sources if _is_missing(source)]
    if any(" " in name and not is_image_file(Path(name)) for name in names):
        return USE_PREDICT
    paths = [nearest_path(local_path(name) or Path(name)) for name in names[:MAX_SUGGESTED]]
    similar = " or ".join(dict.fromkeys(str(path) for path in paths if path))
    return f"Did you mean {similar}?" if similar else ""


def _is_missing(source: ImageSource) -> bool:
    image = source.image
    try:
        return isinstance(image, EvaluationError) or (
            isinstance(image, Path) and not image.exists()
        )
    except (OSError, ValueError):  # it cannot be a file name
        return True


# --- files --------------------------------------------------------------------------------------


def _from_path(text: str | bytes) -> Iterator[ImageSource]:
    name = os.fsdecode(text)
    path = local_path(name) or Path(name)  # what cannot be a path is reported as missing
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # it cannot be a file name
        is_folder, exists = False, True
    if not is_folder and (exists or not glob.has_magic(name)):
        yield ImageSource(name, path)
        return
    if is_folder:
        with explain_read_errors(path):
            found = files_below(path)
        missing = f"The folder {name} contains no images."
    else:
        found = files_matching(path)
        missing = f"No file matches {name}."
    images = [file for file in found if is_image_file(file)]
    files = images if images or is_folder else found
    if not files:
        yield ImageSource(name, EvaluationError(missing))
    for file in sorted(files, key=natural_sort_key):
        yield ImageSource(str(file), file, "" if file.parent == path else file.parent.name)


# --- arrays -------------------------------------------------------------------------------------


def _are_numbers(images: Any) -> bool:
    """Whether images are written as nested lists of numbers."""
    first = images
    for _ in range(MAX_DEPTH):
        if not isinstance(first, list | tuple) or not first:
            break
        first = first[0]
    return first is not images and isinstance(first, int | float | np.number)


def _from_array(array: Any, shape: Shape | None) -> Iterator[ImageSource]:
    check_has_values(array)
    array = dense_rows(sparse_rows(array))
    if not hasattr(array, "dtype"):  # a data frame
        array = np.asarray(array)
    kind = getattr(array.dtype, "kind", "")
    if kind in "OUS" and kind:  # a column of paths, or images of several sizes
        for item in np.asarray(array).tolist() if kind != "O" else np.asarray(array).ravel():
            yield from _expand(item, shape)
        return
    for image in _split_array(array, shape):
        yield ImageSource("", image)


def _split_array(array: Any, shape: Shape | None) -> Any:
    """An array as a sequence of images, whether it contains one or many."""
    if shape is not None:
        if fits_shape(array.shape, shape):
            return array[None]
        if fits_shape(array.shape[1:], shape):
            return array
    match tuple(array.shape):
        case ():
            raise option_error("images", "must be images; got a single number.")
        case (length,):
            remedy = "An image has shape (height, width) or (height, width, channels)."
            raise option_error("images", f"must be images; got {length:,} numbers.", remedy)
        case (_, _):
            return array[None]
        case (height, width, channels) if channels in MODES and min(height, width) > max(MODES):
            return array[None]
    return array
