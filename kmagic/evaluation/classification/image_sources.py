"""What stands for pictures: files, folders, patterns, addresses, bytes, arrays, Pillow images."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_paths import (
    is_image_file,
    is_pillow_image,
    is_url,
    natural_sort_key,
)
from kmagic.data.paths import nearest_path
from kmagic.evaluation.classification.image_preprocessor import MODES, fits
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from kmagic.evaluation.prediction.batch_prediction import Shape

SOME = 3  # files that are not there, of which it is told what was meant


@dataclass(frozen=True, eq=False, slots=True)
class ImageSource:
    """One picture, still unread.

    Attributes:
        name: The file, the address, or the number within what was given.
        picture: A path, an address, bytes, an open file, a Pillow image or an array; or the
            error that stands in its place.
        folder: Name of the folder in which a folder or a pattern had it.
    """

    name: str
    picture: Any
    folder: str = ""


def list_images(images: Any, shape: Shape | None) -> list[ImageSource]:
    """Each picture with its name.

    Folders and patterns become the picture files in them, in the order a person counts: 2 before
    10. What cannot be found keeps its place.

    Args:
        images: One picture or many: a path, a folder, a pattern such as ``photos/*.jpg``, an
            address, bytes of a file, an open file, a Pillow image, an array of one picture or of
            many along its first axis; or a list of any of these.
        shape: Shape of the model's samples, which tells one array from several.

    Raises:
        EvaluationError: There is nothing, or nothing that a picture can be made of.
    """
    found = [
        replace(source, name=source.name or str(number))
        for number, source in enumerate(_expand(images, shape))
    ]
    if not found:
        raise EvaluationError("images is empty: there is nothing to classify.")
    return found


def _expand(images: Any, shape: Shape | None) -> Iterator[ImageSource]:
    if is_url(images):
        yield ImageSource(images, images)
    elif isinstance(images, str | os.PathLike):
        yield from _of_path(os.fspath(images))
    elif isinstance(images, bytes | bytearray | memoryview):
        yield ImageSource("", bytes(images))
    elif is_pillow_image(images) or hasattr(images, "read"):
        name = getattr(images, "filename", "") or getattr(images, "name", "")
        yield ImageSource(os.fspath(name) if isinstance(name, str | os.PathLike) else "", images)
    elif hasattr(images, "shape"):
        yield from _of_array(images, shape)
    elif _are_numbers(images):
        yield from _of_array(np.asarray(images), shape)
    elif isinstance(images, Iterable) and not isinstance(images, dict):
        for image in images:
            yield from _expand(image, shape)
    else:
        raise EvaluationError(
            "images must be paths, folders, patterns, addresses, bytes, arrays or Pillow images, "
            f"or a list of them; received {type(images).__name__}.",
            "Of a data set take some: `{digits.x_test[:8]}`." if hasattr(images, "x_test") else "",
        )


def suggest_files(sources: Sequence[ImageSource]) -> str:
    """A hint on files that are not there: what has nearly their names, or that they are sentences.

    Args:
        sources: Of which none could be read.
    """
    names = [one.name for one in sources if _is_missing(one)]
    if any(" " in name and not is_image_file(Path(name)) for name in names):
        return "Sentences are for kmagic.predict (`%keras_predict`)."
    near = [found for name in names[:SOME] if (found := nearest_path(Path(name).expanduser()))]
    meant = " or ".join(dict.fromkeys(map(str, near)))
    return f"Did you mean {meant}?" if meant else ""


def _is_missing(source: ImageSource) -> bool:
    picture = source.picture
    try:
        return isinstance(picture, EvaluationError) or (
            isinstance(picture, Path) and not picture.exists()
        )
    except (OSError, ValueError):  # no name that a file can have
        return True


# --- files ---------------------------------------------------------------------------------------


def _of_path(text: str | bytes) -> Iterator[ImageSource]:
    name = os.fsdecode(text)
    path = Path(name).expanduser()
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError):  # no name that a file can have
        is_folder, is_there = False, True
    if is_folder:
        yield from _of_folder(path, name)
    elif is_there or not glob.has_magic(name):
        yield ImageSource(name, path)
    else:
        yield from _of_pattern(path, name)


def _of_folder(path: Path, name: str) -> Iterator[ImageSource]:
    files = [
        Path(folder, file)
        for folder, _, files in os.walk(path)
        for file in files
        if is_image_file(Path(file))
    ]
    if not files:
        yield ImageSource(name, EvaluationError(f"The folder {name} holds no pictures."))
    for file in sorted(files, key=natural_sort_key):
        yield ImageSource(str(file), file, "" if file.parent == path else file.parent.name)


def _of_pattern(path: Path, name: str) -> Iterator[ImageSource]:
    files = [Path(hit) for hit in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = [file for file in files if file.is_file()]
    files = [file for file in files if is_image_file(file)] or files
    if not files:
        yield ImageSource(name, EvaluationError(f"No file matches {name}."))
    for file in sorted(files, key=natural_sort_key):
        yield ImageSource(str(file), file, file.parent.name)


# --- arrays --------------------------------------------------------------------------------------


def _are_numbers(images: Any) -> bool:
    """Whether it is a picture or several written as lists of numbers."""
    first = images
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return first is not images and isinstance(first, int | float | np.number)


def _of_array(array: Any, shape: Shape | None) -> Iterator[ImageSource]:
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    if kind in "OUS" and kind:  # a column of paths, or pictures of several sizes
        for item in np.asarray(array).tolist() if kind != "O" else np.asarray(array).ravel():
            yield from _expand(item, shape)
        return
    for picture in _split(array, shape):
        yield ImageSource("", picture)


def _split(array: Any, shape: Shape | None) -> Any:
    """An array as a sequence of pictures, whether it holds one or many."""
    if shape is not None:
        if fits(array.shape, shape):
            return array[None]
        if fits(array.shape[1:], shape):
            return array
    match tuple(array.shape):
        case ():
            raise EvaluationError("images must be pictures; received a single number.")
        case (length,):
            raise EvaluationError(
                f"images must be pictures; received {length:,} numbers.",
                "A picture has shape (height, width) or (height, width, channels).",
            )
        case (_, _):
            return array[None]
        case (height, width, channels) if channels in MODES and min(height, width) > max(MODES):
            return array[None]
    return array
