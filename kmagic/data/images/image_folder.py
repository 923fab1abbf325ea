"""Image files as a data set: sizes are checked first, then the files are read in threads."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from kmagic.data.arrays import check_lengths, concatenate_targets
from kmagic.data.assemble import apply_options
from kmagic.data.dataset import Dataset
from kmagic.data.folders import LabeledFiles, split_files
from kmagic.data.images.image_reader import (
    convert_mode,
    image_size,
    read_image,
    suppress_pillow_warnings,
)
from kmagic.data.load_options import check_applies
from kmagic.data.memory import require_memory
from kmagic.data.split import check_test_classes, split_rows
from kmagic.data.target_kind import decide_target
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.formatting import pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kmagic.data.arrays import ArrayParts
    from kmagic.data.folders import DataFolder
    from kmagic.data.load_options import LoadOptions

T = TypeVar("T")
CHUNK = 32  # images per task of a thread
JPEG_OVERSAMPLING = 2.0  # a JPEG is decoded at no less than this many times the requested size
INTERPOLATION = "bilinear"  # as in Keras's image_dataset_from_directory
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "F")
MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class _FileResult:
    """What reading one file gave."""

    size: tuple[int, int] | None = None
    grey: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class _ImageSource:
    """What is known of the images before they are read."""

    name: str
    root: Path | None
    classes: tuple[str, ...] | None
    note: str | Text
    source: str

    @property
    def label(self) -> str:
        return show_path(self.root) if self.root is not None else self.name

    def file_name(self, file: Path) -> str:
        return show_path(file) if self.root is None else str(file.relative_to(self.root))


def load_image_folder(folder: DataFolder, options: LoadOptions) -> Dataset:
    """Load a folder of images."""
    name = options.name or folder.path.resolve().name
    check_applies(options, "images", name, "contains images")
    parts, classes, _ = split_files(folder, options, name)
    source = _ImageSource(name, folder.path, classes, folder.note, show_path(folder.path))
    return _load(parts, source, options)


def load_image_list(parts: ArrayParts, options: LoadOptions, name: str, source: str) -> Dataset:
    """Load image files given as x, with their labels or numbers to predict as y."""
    check_applies(options, "images", name, "contains images")
    check_lengths(parts.x, parts.y, "x", "y")
    files = [Path(path).expanduser() for path in parts.x]
    train_rows, y = len(files), parts.y
    if parts.x_test is not None:
        check_lengths(parts.x_test, parts.y_test, "x_test", "y_test")
        files += [Path(path).expanduser() for path in parts.x_test]
        y = concatenate_targets(y, parts.y_test)
    target = decide_target(y, options, images=True)
    if parts.x_test is not None and options.split is None:
        train, test = np.arange(train_rows), np.arange(train_rows, len(files))
    else:
        train, test = split_rows(len(files), options, name, target.labels, target.classes)
    all_files = LabeledFiles(files, target.y)
    image_source = _ImageSource(name, None, target.classes, target.note, source)
    return _load([all_files.take(train), all_files.take(test)], image_source, options)


def _load(parts: Sequence[LabeledFiles], source: _ImageSource, options: LoadOptions) -> Dataset:
    errors: list[str] = []
    size = options.size
    with suppress_pillow_warnings():
        if size is None:
            parts, size = _common_size(parts, source, errors)
        bytes_per_value = 5 if options.scale != "none" else 1  # as a byte, and as float32
        count = sum(len(part.files) for part in parts)
        require_memory(
            count * size[0] * size[1] * (1 if options.gray else 3) * bytes_per_value,
            f"{count:,} images of {size[0]} x {size[1]}",
            Text(
                "Request a smaller size, e.g. ",
                Option("size", "64x64"),
                "; use ",
                Option("gray", True),
                " (a third of the memory); or leave the files on disk: "
                "keras.utils.image_dataset_from_directory.",
            ),
        )
        (x_train, y_train, all_grey), (x_test, y_test, _) = (
            _read_part(part, source, size, errors, grey=options.gray) for part in parts
        )
    if not len(x_train) or not len(x_test):
        _fail_unreadable(errors, source)
    notes: list[str | Text] = [source.note]
    if errors:
        more = f" And {len(errors) - MAX_LISTED:,} more." if len(errors) > MAX_LISTED else ""
        listed = " ".join(errors[:MAX_LISTED])
        notes.append(f"{pluralize(len(errors), 'image')} left out: {listed}{more}")
    if source.classes is not None:
        train, test = (y.argmax(axis=1) if y.ndim > 1 else y for y in (y_train, y_test))
        notes.append(check_test_classes(train, test, source.classes, source.name))
    if all_grey and not options.gray:
        notes.append(
            Text("All images are grey: ", Option("gray", True), " takes a third of the memory.")
        )
    data = Dataset(
        name=source.name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=source.classes,
        source=source.source,
        note_text=Text.join(" ", filter(None, notes)),
        image_shape=x_train.shape[1:],
        interpolation=INTERPOLATION,
    )
    return apply_options(data, options)


def _common_size(
    parts: Sequence[LabeledFiles], source: _ImageSource, errors: list[str]
) -> tuple[list[LabeledFiles], tuple[int, int]]:
    """The size of all images, and the parts without unreadable files."""

    def read_size(file: Path) -> _FileResult:
        try:
            return _FileResult(image_size(file, source.file_name(file)))
        except EvaluationError as error:
            return _FileResult(error=error.message)

    files = [file for part in parts for file in part.files]
    results = dict(zip(files, _map_in_threads(read_size, files, "headers"), strict=True))
    errors += [result.error for result in results.values() if result.error]
    sizes = Counter(result.size for result in results.values() if result.size is not None)
    if not sizes:
        _fail_unreadable(errors, source)
    if len(sizes) > 1:
        (height, width), count = sizes.most_common(1)[0]
        heights, widths = (sorted(size[axis] for size in sizes.elements()) for axis in (0, 1))
        median = f"{heights[len(heights) // 2]}x{widths[len(widths) // 2]}"
        raise DataError(
            f"The images of {source.label} have {len(sizes):,} sizes: {height} x {width} (height "
            f"x width) in {count:,} of {sizes.total():,}; heights {heights[0]} to {heights[-1]}, "
            f"widths {widths[0]} to {widths[-1]}.",
            Text(
                "Choose one size for all: ",
                Option("size", median),
                " is the median; smaller ones train faster.",
            ),
        )
    readable = [
        part.take(np.flatnonzero([not results[file].error for file in part.files]))
        for part in parts
    ]
    return readable, next(iter(sizes))


def _read_part(
    part: LabeledFiles,
    source: _ImageSource,
    size: tuple[int, int],
    errors: list[str],
    *,
    grey: bool,
) -> tuple[NDArray[np.uint8], NDArray[Any], bool]:
    """Pixels and targets of one part, and whether all images were grey."""
    height, width = size
    x = np.empty((len(part.files), height, width, *(() if grey else (3,))), dtype=np.uint8)
    row_of = {file: row for row, file in enumerate(part.files)}

    def read(file: Path) -> _FileResult:
        from PIL import Image  # noqa: PLC0415 - 0.1 s to import

        try:
            min_size = round(JPEG_OVERSAMPLING * max(size))
            image = read_image(file, source.file_name(file), min_size=min_size)
            was_grey = image.mode in GREY_MODES
            image = convert_mode(image, "L" if grey else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling[INTERPOLATION.upper()])
        except EvaluationError as error:
            return _FileResult(error=error.message)
        x[row_of[file]] = np.asarray(image)
        return _FileResult(grey=was_grey)

    results = _map_in_threads(read, part.files, "images")
    errors += [result.error for result in results if result.error]
    good = [row for row, result in enumerate(results) if not result.error]
    if len(good) < len(x):
        for new_row, row in enumerate(good):  # in place: a copy may not fit into memory
            x[new_row] = x[row]
        x = x[: len(good)]
    return x, part.y[good], all(results[row].grey for row in good)


def _map_in_threads(work: Callable[[Path], T], files: Sequence[Path], unit: str) -> list[T]:
    """Results in the order of the files, with a progress bar."""
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    results: list[T] = []
    pool = ThreadPoolExecutor(os.cpu_count() or 1, "kmagic-read")
    try:
        with Progress(len(files), unit) as progress:
            for chunk in pool.map(lambda chunk: [work(file) for file in chunk], chunks):
                results += chunk
                progress.advance(len(chunk))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results


def _fail_unreadable(errors: list[str], source: _ImageSource) -> NoReturn:
    raise DataError(
        f"No image of {source.label}, or of one of its parts, can be read: "
        f"{' '.join(errors[:MAX_LISTED])}",
        "Download or write them again.",
    )
