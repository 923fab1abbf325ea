"""Folders as data sets: one subfolder per class, possibly below train/ and test/, as in Keras."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kmagic.data.images.image_paths import is_image_file
from kmagic.data.paths import explain_read_errors
from kmagic.data.split import check_test_classes, split_rows
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.data.load_options import LoadOptions

FolderKind: TypeAlias = Literal["images", "text", "table"]

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing")
VALIDATION_NAMES = ("validation", "val", "valid")
TEXT_SUFFIXES = (".txt", ".text")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_IGNORED_FOLDERS = ("__MACOSX", "__pycache__")
_ONE_FOLDER_PER_CLASS = "Make one subfolder per class: cats/ and dogs/."


@dataclass(frozen=True, eq=False, slots=True)
class LabeledFiles:
    """Files with their targets: class indices, or values to predict."""

    files: list[Path]
    y: NDArray[Any]

    def take(self, indices: NDArray[Any]) -> LabeledFiles:
        """The files at some indices, in that order."""
        return LabeledFiles([self.files[index] for index in indices], self.y[indices])


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The contents of a folder.

    Attributes:
        path: The folder.
        kind: What its files are.
        classes: Names of the subfolders, sorted; a label is an index into it.
        train: Files of the training part, or all files.
        test: Files of the test part; None where the folder has no parts.
        note: What was ignored, in sentences.
    """

    path: Path
    kind: FolderKind
    classes: tuple[str, ...]
    train: LabeledFiles
    test: LabeledFiles | None
    note: str = ""


def scan_folder(path: Path) -> DataFolder:
    """Find the classes, parts and files of a folder."""
    with explain_read_errors(path):
        path = _innermost(path)
        folders, files = _list_folder(path)
        train, test, ignored = _find_parts(folders)
        if train is None and test is not None:
            raise DataError(
                f"{show_path(path)} contains {test.name}/, but no train/.",
                "Name the folder of the training part train, or pass a folder with one subfolder "
                "per class.",
            )
        if not folders:
            return _scan_tables(path, files)
        parts = [folder for folder in (train, test) if folder is not None] or [path]
        files_by_class = [_files_by_class(part) for part in parts]
    notes = [f"{ignored.name}/ was ignored: the test part is {parts[1].name}/."] if ignored else []
    return _label_files(path, files_by_class, notes)


def split_files(
    folder: DataFolder, options: LoadOptions, name: str
) -> tuple[list[LabeledFiles], tuple[str, ...], str]:
    """Split the files of a folder, shuffled, before any of them is read.

    Returns:
        Files of the training and of the test part, names of the classes, and a note.
    """
    if options.task == "regression":
        raise DataError(
            f"{name} is a folder of classes, but regression predicts numbers.",
            Text("Leave out ", Option("task"), ", or pass arrays: (x, y)."),
        )
    parts = [folder.train] + ([folder.test] if folder.test else [])
    classes = folder.classes
    if options.class_names is not None:
        if sorted(options.class_names) != sorted(classes):
            raise DataError(
                option="class_names",
                expected=f"the names of the folders of {name}, {', '.join(classes)}",
                actual=Text(", ".join(options.class_names)),
                remedy="Name all folders, in the order of their labels.",
            )
        new_labels = np.array([options.class_names.index(name) for name in classes])
        parts = [LabeledFiles(part.files, new_labels[part.y]) for part in parts]
        classes = options.class_names
    if len(parts) > 1 and options.split is None:
        note = check_test_classes(parts[0].y, parts[1].y, classes, name)
        rng = np.random.default_rng(options.seed)
        return [part.take(rng.permutation(len(part.files))) for part in parts], classes, note
    files = [file for part in parts for file in part.files]
    all_files = LabeledFiles(files, np.concatenate([part.y for part in parts]))
    train, test = split_rows(len(files), options, name, all_files.y, classes)
    return [all_files.take(train), all_files.take(test)], classes, ""


def _label_files(
    path: Path, files_by_class: list[dict[str, list[Path]]], notes: list[str]
) -> DataFolder:
    kind = _most_frequent_kind(path, files_by_class)
    is_usable = is_image_file if kind == "images" else _is_text_file
    usable = [
        {name: [file for file in files if is_usable(file)] for name, files in part.items()}
        for part in files_by_class
    ]
    empty = sorted({name for part in usable for name, files in part.items() if not files})
    classes = sorted({name for part in usable for name, files in part.items() if files})
    if empty:
        notes.append(f"Without readable files: {', '.join(empty)}.")
    ignored = len(_all_files(files_by_class)) - len(_all_files(usable))
    if ignored:
        notes.append(f"{pluralize(ignored, 'other file')} ignored.")
    if len(classes) < 2:  # noqa: PLR2004 - a classifier needs two
        raise DataError(
            f"{show_path(path)} contains only one class: {', '.join(classes)}.",
            _ONE_FOLDER_PER_CLASS,
        )
    parts = []
    for part in usable:
        files = [file for name in classes for file in part.get(name, ())]
        sizes = [len(part.get(name, ())) for name in classes]
        parts.append(LabeledFiles(files, np.repeat(np.arange(len(classes), dtype=np.int64), sizes)))
    test = parts[1] if len(parts) > 1 else None
    return DataFolder(path, kind, tuple(classes), parts[0], test, " ".join(notes))


def _innermost(path: Path) -> Path:
    """The folder, or the only subfolder in it that contains everything, as archives unpack."""
    while True:
        folders, files = _list_folder(path)
        if len(folders) != 1 or files or folders[0].name.lower() in TRAIN_NAMES:
            return path
        if not _list_folder(folders[0])[0]:
            return path
        path = folders[0]


def _list_folder(path: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files, sorted by name, without hidden ones."""
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir() and entry.name not in _IGNORED_FOLDERS]
    return folders, [entry for entry in entries if entry.is_file()]


def _find_parts(folders: list[Path]) -> tuple[Path | None, Path | None, Path | None]:
    """The folders of the training part, of the test part, and the one that is ignored."""
    by_name = {folder.name.lower(): folder for folder in folders}

    def find(names: tuple[str, ...]) -> Path | None:
        return next((by_name[name] for name in names if name in by_name), None)

    train, test, validation = find(TRAIN_NAMES), find(TEST_NAMES), find(VALIDATION_NAMES)
    if train is None and (test is None or len(folders) > 1 + (validation is not None)):
        return None, None, None  # classes with such names
    return train, test or validation, validation if test else None


def _files_by_class(path: Path) -> dict[str, list[Path]]:
    """All files below each subfolder."""
    folders, _ = _list_folder(path)
    if not folders:
        raise DataError(f"{show_path(path)} contains no folders.", _ONE_FOLDER_PER_CLASS)
    return {folder.name: _files_below(folder) for folder in folders}


def _files_below(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, file) for file in sorted(files) if not file.startswith(".")]
    return found


def _all_files(parts: Sequence[dict[str, list[Path]]]) -> list[Path]:
    return [file for part in parts for files in part.values() for file in files]


def _is_text_file(file: Path) -> bool:
    return file.suffix.lower() in TEXT_SUFFIXES and not file.name.startswith(".")


def _most_frequent_kind(
    path: Path, files_by_class: list[dict[str, list[Path]]]
) -> Literal["images", "text"]:
    files = _all_files(files_by_class)
    images, texts = sum(map(is_image_file, files)), sum(map(_is_text_file, files))
    if not images and not texts:
        suffixes = Counter(file.suffix.lower() or "no suffix" for file in files).most_common()
        counts = list_names((f"{suffix} ({count:,})" for suffix, count in suffixes), 5)
        raise DataError(
            f"{show_path(path)} contains neither images nor texts: "
            + (f"its files are {counts}." if counts else "its folders are empty."),
            "Expected one subfolder per class, with image files or .txt files in it.",
        )
    return "images" if images >= texts else "text"


def _scan_tables(path: Path, files: list[Path]) -> DataFolder:
    """A folder without subfolders: tables named train and test, or a mistake."""

    def table_folder(train: list[Path], test: list[Path] | None = None) -> DataFolder:
        no_labels = np.empty(0, dtype=np.int64)
        test_files = LabeledFiles(test, no_labels) if test else None
        return DataFolder(path, "table", (), LabeledFiles(train, no_labels), test_files)

    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    train = [file for file in tables if file.stem.lower() in TRAIN_NAMES]
    test = [file for file in tables if file.stem.lower() in (*TEST_NAMES, *VALIDATION_NAMES)]
    if len(train) == 1 and len(test) <= 1:
        return table_folder(train, test)
    if len(tables) == 1:
        return table_folder(tables)
    if tables:
        raise DataError(
            f"{show_path(path)} contains {len(tables):,} tables: "
            f"{list_names((file.name for file in tables), 5)}.",
            "Pass one of them, name them train.csv and test.csv, or pass a list of files to be "
            "concatenated.",
        )
    if not files:
        raise DataError(f"The folder {show_path(path)} is empty.")
    images = sum(map(is_image_file, files))
    content = pluralize(images, "image") if images else pluralize(len(files), "file")
    raise DataError(
        f"{show_path(path)} contains {content} and no folders, so their classes are unknown.",
        _ONE_FOLDER_PER_CLASS,
    )
