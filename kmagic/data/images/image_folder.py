"""Image files as a dataset: sizes are checked first, then the files are read in threads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kmagic.data import assemble
from kmagic.data.arrays import check_lengths, concatenate_targets, to_label_rows
from kmagic.data.dataset import Dataset, take_targets
from kmagic.data.folders import DataFolder, split_files
from kmagic.data.images.image_reader import (
    convert_mode,
    image_size,
    read_image,
    suppress_pillow_warnings,
)
from kmagic.data.load_options import LoadOptions, check_applies
from kmagic.data.paths import existing_files
from kmagic.data.target_kind import Target, Targets, decide_targets
from kmagic.support.disk_arrays import disk_array, release
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.progress import Progress

T = TypeVar("T")
CHUNK = 32  # images per task of a thread
JPEG_OVERSAMPLING = 2.0  # a JPEG is decoded at no less than this many times the requested size
INTERPOLATION = "bilinear"  # as in Keras's image_dataset_from_directory
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "F")
MAX_LISTED = 3


def load_image_folder(folder: DataFolder, options: LoadOptions) -> Dataset:
    """Load a folder of images."""
    name = options.name or folder.path.resolve().name
    check_applies(options, "images", f"{name} contains images")
    split, _, classes = split_files(folder, options, name)
    reader = _FileReader(name, options, folder.path)
    target = Target(split.y_train, classes, folder.note)
    return _load(reader, split, target, show_path(folder.path))


def load_image_list(
    parts: assemble.Parts,
    options: LoadOptions,
    name: str,
    source: str,
    columns: Sequence[str] = (),
) -> Dataset:
    """Load image files given as x, with their labels or numbers to predict as y.

    ``columns`` are the names of y, if it is from a table.
    """
    check_applies(options, "images", f"{name} contains images")
    parts = to_label_rows(parts, options)
    check_lengths(parts.x_train, parts.y_train, "x", "y")
    lists, y = [parts.x_train], parts.y_train
    if parts.x_test is not None:
        check_lengths(parts.x_test, parts.y_test, "x_test", "y_test")
        lists.append(parts.x_test)
        y = concatenate_targets(y, parts.y_test)
    files = []
    for paths, label in zip(lists, ("x", "x_test"), strict=False):
        listed = list(paths)
        are_records = bool(listed) and hasattr(listed[0], "read")
        found = listed if are_records else existing_files(listed, label)
        files.append(assemble.to_object_array(found))
    named = list_names(columns) or "y"
    target = decide_targets(y, options, named, images=True, columns=columns)
    if len(files) > 1 and options.split is None:  # the classes are checked after reading
        rows = len(files[0])
        y_train, y_test = (
            take_targets(target.y, part) for part in (slice(rows), slice(rows, None))
        )
        split = assemble.Parts(files[0], y_train, files[1], y_test)
    else:
        split, _ = assemble.split_parts(files, target, options, name)
    return _load(_FileReader(name, options), split, target, source, columns)


def _load(
    reader: _FileReader,
    split: assemble.Parts,
    target: Target | Targets,
    source: str,
    columns: Sequence[str] = (),
) -> Dataset:
    name, size = reader.name, reader.options.size
    files, y = [split.x_train, split.x_test], [split.y_train, split.y_test]
    with suppress_pillow_warnings():
        if size is None:
            readable, size = reader.common_size(np.concatenate(files))
            rows = np.split(readable, [len(files[0])])
            files = [part[good] for part, good in zip(files, rows, strict=True)]
            y = [take_targets(part, good) for part, good in zip(y, rows, strict=True)]
        bytes_per_value, leave_out = 1, Text()
        if reader.options.scale != "none":
            bytes_per_value = 5  # as a byte, and as float32
            rescale = " (a fifth), and put a layer into the model: `rescaling {1 / 255}`"
            leave_out = Text("; or leave out ", Option("scale"), rescale)
        count = sum(map(len, files))
        options, place_note = assemble.choose_place(
            reader.options,
            count * size[0] * size[1] * (1 if reader.options.gray else 3) * bytes_per_value,
            f"{count:,} images of {size[0]} x {size[1]}",
            Text(
                "Request a smaller size, e.g. ",
                Option("size", "64x64"),
                "; use ",
                Option("gray", True),
                " (a third of the space)",
                leave_out,
                ".",
            ),
        )
        reader.options = options
        (x_train, train_rows, all_grey), (x_test, test_rows, _) = (
            reader.read_pixels(part, size) for part in files
        )
    if not len(x_train) or not len(x_test):
        raise reader.unreadable()
    y = [take_targets(part, rows) for part, rows in zip(y, (train_rows, test_rows), strict=True)]
    split = assemble.Parts(x_train, y[0], x_test, y[1])
    errors, grey_note, error_note = reader.errors, Text(), ""
    if errors:
        more = f" And {len(errors) - MAX_LISTED:,} more." if len(errors) > MAX_LISTED else ""
        listed = " ".join(errors[:MAX_LISTED])
        error_note = f"{pluralize(len(errors), 'image')} left out: {listed}{more}"
    class_note = assemble.class_note(split, target, name)
    if all_grey and not options.gray:
        gray = Option("gray", True)
        grey_note = Text("All images are grey: ", gray, " takes a third of the memory.")
    is_values = target.fields.get("classes", ()) is None
    data = Dataset(
        name,
        *split,
        **target.fields,
        source=source,
        targets=tuple(columns) if len(columns) > 1 and is_values else (),
        note_text=assemble.join_notes(target.note, place_note, error_note, class_note, grey_note),
        image_shape=x_train.shape[1:],
        interpolation=INTERPOLATION,
    )
    return assemble.apply_options(data, options)


@dataclass(slots=True)
class _FileReader:
    """Reads image files in threads, and collects why some cannot be read."""

    name: str
    options: LoadOptions
    root: Path | None = None  # the folder that contains the files, if there is one
    errors: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.name if self.root is None else show_path(self.root)

    def common_size(self, files: NDArray[Any]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Which files are readable, and the size of all images."""
        results = self._map(lambda _, file, name: image_size(file, name), files, "headers")
        sizes = Counter(size for size in results if size is not None)
        if not sizes:
            raise self.unreadable()
        if len(sizes) > 1:
            (height, width), count = sizes.most_common(1)[0]
            heights, widths = (sorted(sides) for sides in zip(*sizes.elements(), strict=True))
            median = f"{heights[len(heights) // 2]}x{widths[len(widths) // 2]}"
            raise DataError(
                f"The images of {self.label} have {len(sizes):,} sizes: {height} x {width} (height "
                f"x width) in {count:,} of {sizes.total():,}; heights {heights[0]} to "
                f"{heights[-1]}, widths {widths[0]} to {widths[-1]}.",
                Text(
                    "Choose one size for all: ",
                    Option("size", median),
                    " is the median; smaller ones train faster.",
                ),
            )
        return np.array([size is not None for size in results]), next(iter(sizes))

    def read_pixels(
        self, files: NDArray[Any], size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], list[int], bool]:
        """Pixels of the readable files, their indices, and whether all images were grey."""
        from PIL import Image  # noqa: PLC0415 - 0.1 s to import

        mode, channels = ("L", ()) if self.options.gray else ("RGB", (3,))
        shape = (len(files), *size, *channels)
        x = disk_array(shape, np.uint8) if self.options.stream else np.empty(shape, dtype=np.uint8)

        def read(row: int, file: Any, name: str) -> bool:
            image = read_image(file, name, min_size=round(JPEG_OVERSAMPLING * max(size)))
            was_grey = image.mode in GREY_MODES
            image = convert_mode(image, mode)
            if image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling[INTERPOLATION.upper()])
            x[row] = np.asarray(image)
            return was_grey

        results = self._map(read, files, "images", x)
        good = [row for row, was_grey in enumerate(results) if was_grey is not None]
        if len(good) < len(x):
            for new_row, row in enumerate(good):  # in place: a copy may not fit into memory
                x[new_row] = x[row]
        return x[: len(good)], good, all(results[row] for row in good)

    def unreadable(self) -> DataError:
        return DataError(
            f"No image of {self.label}, or of one of its parts, can be read: "
            f"{' '.join(self.errors[:MAX_LISTED])}",
            "Download or write them again.",
        )

    def _map(
        self,
        work: Callable[[int, Any, str], T],
        files: NDArray[Any],
        unit: str,
        written: NDArray[Any] | None = None,  # by the work
    ) -> list[T | None]:
        """Results in the order of the files; None, and an error, where a file cannot be read."""

        def attempt(row: int) -> T | EvaluationError:
            file = files[row]
            in_record = hasattr(file, "read")
            if in_record or self.root is None:
                name = str(file) if in_record else show_path(file)
            else:
                name = str(file.relative_to(self.root))
            try:
                return work(row, file.read() if in_record else file, name)
            except EvaluationError as error:
                return error

        rows = range(len(files))
        chunks = [rows[start : start + CHUNK] for start in rows[::CHUNK]]
        results: list[T | EvaluationError] = []
        pool = ThreadPoolExecutor(os.cpu_count() or 1, "kmagic-read")
        try:
            with Progress(len(files), unit) as progress:
                for chunk in pool.map(lambda chunk: [attempt(row) for row in chunk], chunks):
                    results += chunk
                    release(written)
                    progress.advance(len(chunk))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        self.errors += [each.message for each in results if isinstance(each, EvaluationError)]
        return [None if isinstance(each, EvaluationError) else each for each in results]
