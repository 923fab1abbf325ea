"""A folder of pictures as a data set: sizes looked at first, then read by threads."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kmagic.data.arrays import same_length, together
from kmagic.data.assemble import Raw, check_classes, divide, finish
from kmagic.data.images.image_reader import (
    convert_mode,
    image_size,
    read_image,
    suppress_pillow_warnings,
)
from kmagic.data.images.labelled_files import Files, divide_files
from kmagic.data.load_options import check_kind
from kmagic.data.memory import require
from kmagic.data.target_kind import decide_target
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.formatting import pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kmagic.data.arrays import Four
    from kmagic.data.dataset import Dataset
    from kmagic.data.folders import Folder
    from kmagic.data.load_options import Options

T = TypeVar("T")
CHUNK = 32  # pictures that a thread takes at once
AHEAD = 2.0  # a JPEG is decoded at no less than this many times the size that is wanted
INTERPOLATION = "bilinear"  # as Keras's image_dataset_from_directory has it
GREY = ("1", "L", "LA", "La", "I", "I;16", "F")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Opened:
    """What became of one file."""

    size: tuple[int, int] | None = None
    grey: bool = False
    problem: str = ""


def load_pictures(folder: Folder, options: Options) -> Dataset:
    """A folder of pictures.

    Args:
        folder: What it holds.
        options: ``size``, ``gray`` and what all take.

    Raises:
        DataError: The pictures are of several sizes and none is asked for, would not fit into
            memory, or cannot be read, all of them.
    """
    name = options.name or folder.path.resolve().name
    check_kind(options, "pictures", name, "pictures")
    parts, classes = divide_files(folder, options, name)
    made = _Made(name, folder.path, classes, folder.note, show_path(folder.path))
    return _load(parts, made, options)


def load_listed(four: Four, options: Options, name: str, source: str) -> Dataset:
    """Picture files that are given with their labels, or with numbers to predict.

    Args:
        four: Paths as x, and what belongs to them as y.
        options: As for a folder.
        name: What they are called.
        source: Where they are from.

    Raises:
        DataError: As for a folder; or paths and labels are not as many.
    """
    check_kind(options, "pictures", name, "pictures")
    same_length(four.x, four.y, "x", "y")
    files = [Path(each).expanduser() for each in four.x]
    rows = len(files)
    y = four.y
    if four.x_test is not None:
        same_length(four.x_test, four.y_test, "x_test", "y_test")
        files += [Path(each).expanduser() for each in four.x_test]
        y = together(y, four.y_test)
    target = decide_target(y, options, pictures=True)
    every = Files(files, target.y)
    if four.x_test is not None and options.split is None:
        places = [np.arange(rows), np.arange(rows, len(files))]
    else:
        places = list(divide(len(files), options, name, target.labels, target.classes or ()))
    made = _Made(name, None, target.classes, target.said, source)
    return _load([every.at(each) for each in places], made, options)


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of the pictures before they are read."""

    name: str
    root: Path | None
    classes: tuple[str, ...] | None
    note: str
    source: str

    @property
    def shown(self) -> str:
        return show_path(self.root) if self.root is not None else self.name


def _load(parts: Sequence[Files], made: _Made, options: Options) -> Dataset:
    broken: list[str] = []
    size = options.size
    with suppress_pillow_warnings():
        if size is None:
            parts, size = _common_size(parts, made, broken)
        channels = 1 if options.gray else 3
        rows = sum(len(part.files) for part in parts)
        bytes_each = 5 if options.scale != "none" else 1
        require(
            rows * size[0] * size[1] * channels * bytes_each,
            f"{rows:,} pictures of {size[0]} x {size[1]}",
            "Ask for a smaller size, such as size=64x64; gray=True takes a third; or leave them on "
            "the disk: keras.utils.image_dataset_from_directory.",
        )
        read = [_read(part, made, size, broken, grey=options.gray) for part in parts]
    (x_train, y_train, grey), (x_test, y_test, _) = read
    if not len(x_train) or not len(x_test):
        _all_broken(broken, made)
    notes = [made.note, _told(broken)]
    if made.classes is not None:
        labels = [y.argmax(axis=1) if y.ndim > 1 else y for y in (y_train, y_test)]
        notes.append(check_classes(labels[0], labels[1], made.classes, made.name))
    if grey and not options.gray:
        notes.append("All pictures are grey: gray=True takes a third of the memory.")
    raw = Raw(
        name=made.name,
        kind="pictures",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=made.classes,
        source=made.source,
        note=" ".join(filter(None, notes)),
        interpolation=INTERPOLATION,
    )
    return finish(raw, options)


def _common_size(
    parts: Sequence[Files], made: _Made, broken: list[str]
) -> tuple[list[Files], tuple[int, int]]:
    """The size that all pictures have, and the parts without those that cannot be read."""

    def look(file: Path) -> _Opened:
        name = _name(file, made.root)
        try:
            return _Opened(image_size(file, name))
        except EvaluationError as error:
            return _Opened(problem=error.message)

    files = [file for part in parts for file in part.files]
    found = dict(zip(files, _in_threads(look, files, "headers"), strict=True))
    broken += [each.problem for each in found.values() if each.problem]
    sizes = Counter(each.size for each in found.values() if each.size is not None)
    if not sizes:
        _all_broken(broken, made)
    if len(sizes) > 1:
        (high, wide), most = sizes.most_common(1)[0]
        tall, broad = (sorted(sizes.elements(), key=lambda each: each[at]) for at in (0, 1))
        middle = tall[len(tall) // 2][0], broad[len(broad) // 2][1]
        raise DataError(
            f"The pictures of {made.shown} have {len(sizes):,} sizes: {high} x {wide} (height "
            f"x width) in {most:,} of {sizes.total():,}; {tall[0][0]} to {tall[-1][0]} high and "
            f"{broad[0][1]} to {broad[-1][1]} wide.",
            f"Say to which all are to be brought: size={middle[0]}x{middle[1]} is the middle; "
            "smaller ones learn faster.",
        )
    kept = [part.only([not found[file].problem for file in part.files]) for part in parts]
    return kept, next(iter(sizes))


def _read(
    part: Files, made: _Made, size: tuple[int, int], broken: list[str], *, grey: bool
) -> tuple[NDArray[np.uint8], NDArray[Any], bool]:
    """Pixels and labels of one part, and whether all pictures were grey."""
    high, wide = size
    x = np.empty((len(part.files), high, wide, *(() if grey else (3,))), dtype=np.uint8)
    place = {file: at for at, file in enumerate(part.files)}

    def read(file: Path) -> _Opened:
        from PIL import Image  # noqa: PLC0415 - 0.1 s to import

        try:
            image = read_image(file, _name(file, made.root), least=round(AHEAD * max(size)))
            was_grey = image.mode in GREY
            image = convert_mode(image, "L" if grey else "RGB")
            if image.size != (wide, high):
                image = image.resize((wide, high), Image.Resampling[INTERPOLATION.upper()])
        except EvaluationError as error:
            return _Opened(problem=error.message)
        x[place[file]] = np.asarray(image)
        return _Opened(grey=was_grey)

    opened = _in_threads(read, part.files, "pictures")
    broken += [each.problem for each in opened if each.problem]
    good = [at for at, each in enumerate(opened) if not each.problem]
    if len(good) < len(x):
        for to, at in enumerate(good):  # in place: a copy may not fit into memory
            x[to] = x[at]
        x = x[: len(good)]
    all_grey = all(each.grey for each in opened if not each.problem)
    return x, part.labels[good], all_grey


def _in_threads(work: Callable[[Path], T], files: Sequence[Path], unit: str) -> list[T]:
    """The answers in the files' order."""
    chunks = [files[at : at + CHUNK] for at in range(0, len(files), CHUNK)]
    answers: list[T] = []
    pool = ThreadPoolExecutor(os.cpu_count() or 1, "kmagic-read")
    try:
        with Progress(len(files), unit) as progress:
            for chunk in pool.map(lambda some: [work(file) for file in some], chunks):
                answers += chunk
                progress.advance(len(chunk))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return answers


def _name(file: Path, root: Path | None) -> str:
    return show_path(file) if root is None else str(file.relative_to(root))


def _told(broken: list[str]) -> str:
    if not broken:
        return ""
    more = f" And {len(broken) - _SHOWN:,} more." if len(broken) > _SHOWN else ""
    return f"{pluralize(len(broken), 'picture')} left out: {' '.join(broken[:_SHOWN])}{more}"


def _all_broken(broken: list[str], made: _Made) -> None:
    raise DataError(
        f"None of the pictures of {made.shown}, or of one of its parts, can be read: "
        f"{' '.join(broken[:_SHOWN])}",
        "Fetch or write them again.",
    )
