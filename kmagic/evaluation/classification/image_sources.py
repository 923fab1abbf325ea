"""Finding images: files, folders, patterns, URLs, bytes, arrays, Pillow images."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_reader import (
    is_image_file,
    is_pillow_image,
    is_url,
    natural_sort_key,
)
from kmagic.data.paths import nearest_path
from kmagic.evaluation.classification.image_preprocessor import MODES
from kmagic.evaluation.prediction.batch_prediction import option_error
from kmagic.evaluation.prediction.model_inputs import USE_PREDICT
from kmagic.models.model_arrays import fits_shape
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Text

if TYPE_CHECKING:
    from kmagic.models.model_arrays import Shape

MAX_SUGGESTED = 3  # missing files for which similar names are suggested


@dataclass(frozen=True, eq=False, slots=True)
class ImageSource:
    """One image, not read yet.

    Attributes:
        name: The file, the URL, or the index within the list of images.
        image: A path, a URL, bytes, an open file, a Pillow image or an array; or the error that
            replaces it.
        folder: Name of the folder in which a folder or a pattern found it.
    """

    name: str
    image: Any
    folder: str = ""


def list_images(images: Any, shape: Shape | None) -> list[ImageSource]:
    """Each image with its name.

    Folders and patterns become the image files in them, in natural order: 2 before 10. A missing
    file stays in the list.
    """
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
        yield from _from_array(np.asarray(images), shape)
    elif isinstance(images, Iterable) and not isinstance(images, dict):
        for image in images:
            yield from _expand(image, shape)
    else:
        raise EvaluationError(
            option="images",
            expected="paths, folders, patterns, URLs, bytes, arrays or Pillow images, or a list of "
            "them",
            actual=Text(type(images).__name__),
            remedy="Pass some images of the data set: `{digits.x_test[:8]}`."
            if hasattr(images, "x_test")
            else "",
        )


def suggest_files(sources: Sequence[ImageSource]) -> str | Text:
    """A remedy for missing files: files with similar names, or another function for sentences."""
    names = [source.name for source in sources if _is_missing(source)]
    if any(" " in name and not is_image_file(Path(name)) for name in names):
        return USE_PREDICT
    paths = [nearest_path(Path(name).expanduser()) for name in names[:MAX_SUGGESTED]]
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
    path = Path(name).expanduser()
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # it cannot be a file name
        is_folder, exists = False, True
    if not is_folder and (exists or not glob.has_magic(name)):
        yield ImageSource(name, path)
        return
    if is_folder:
        found = [Path(folder, file) for folder, _, files in os.walk(path) for file in files]
        missing = f"The folder {name} contains no images."
    else:
        found = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [file for file in found if file.is_file()]
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
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return first is not images and isinstance(first, int | float | np.number)


def _from_array(array: Any, shape: Shape | None) -> Iterator[ImageSource]:
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    if kind in "OUS" and kind:  # a column of paths, or images of several sizes
        for item in np.asarray(array).tolist() if kind != "O" else np.asarray(array).ravel():
            yield from _expand(item, shape)
        return
    for image in _split(array, shape):
        yield ImageSource("", image)


def _split(array: Any, shape: Shape | None) -> Any:
    """An array as a sequence of images, whether it contains one or many."""
    if shape is not None:
        if fits_shape(array.shape, shape):
            return array[None]
        if fits_shape(array.shape[1:], shape):
            return array
    match tuple(array.shape):
        case ():
            raise EvaluationError(
                option="images", expected="images", actual=Text("a single number")
            )
        case (length,):
            raise EvaluationError(
                option="images",
                expected="images",
                actual=Text(f"{length:,} numbers"),
                remedy="An image has shape (height, width) or (height, width, channels).",
            )
        case (_, _):
            return array[None]
        case (height, width, channels) if channels in MODES and min(height, width) > max(MODES):
            return array[None]
    return array
