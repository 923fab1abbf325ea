"""A folder as a data set: a folder a class, perhaps below train/ and test/, as Keras has it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from kmagic.data.images.image_paths import is_image_file
from kmagic.data.paths import explain_read_errors
from kmagic.support.errors import DataError
from kmagic.support.formatting import pluralize
from kmagic.support.keras_cache import show_path

Kind: TypeAlias = Literal["pictures", "text", "table"]

TRAIN = ("train", "training")
TEST = ("test", "testing")
VALIDATION = ("validation", "val", "valid")
TEXTS = (".txt", ".text")
TABLES = (".csv", ".tsv", ".parquet")
_NOT_OURS = ("__MACOSX", "__pycache__")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """Files and the numbers of their classes."""

    files: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds.

    Attributes:
        path: The folder.
        kind: What its files are.
        classes: Names of the folders, sorted: the number of a class is its place here.
        train: Files of the training part, or all files.
        test: Files of the test part; None where the folder has no parts.
        note: What was left aside, in sentences.
    """

    path: Path
    kind: Kind
    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None
    note: str = ""


def scan_folder(path: Path) -> Folder:
    """Look through a folder.

    Args:
        path: The folder: a folder a class below it, or below its ``train`` and ``test`` (or
            ``val``, ``validation``); or tables ``train`` and ``test``.

    Raises:
        DataError: It may not be read, is empty, or has no classes.
    """
    with explain_read_errors(path):
        path = _innermost(path)
        folders, files = _entries(path)
        train, test, aside = _parts(folders)
        if train is None and test is not None:
            raise DataError(
                f"{show_path(path)} has {test.name}/ and no train/.",
                "Name the folder of the training part train, or give a folder with a folder for "
                "each class.",
            )
        if not folders:
            return _of_files(path, files)
        parts = [folder for folder in (train, test) if folder is not None] or [path]
        found = [_by_class(part) for part in parts]
    kind = _kind_of(path, found)
    suits = {"pictures": is_image_file, "text": is_text}[kind]
    notes = [f"{aside.name}/ was left aside: the test part is {parts[1].name}/."] if aside else []
    return _labelled(path, kind, found, suits, notes)


def is_text(file: Path) -> bool:
    """Whether a file is a text by its name."""
    return file.suffix.lower() in TEXTS and not file.name.startswith(".")


def _labelled(
    path: Path,
    kind: Kind,
    found: list[dict[str, list[Path]]],
    suits: object,
    notes: list[str],
) -> Folder:
    assert callable(suits)  # noqa: S101 - one of the two above
    kept = [
        {name: [file for file in files if suits(file)] for name, files in part.items()}
        for part in found
    ]
    empty = sorted({name for part in kept for name, files in part.items() if not files})
    names = sorted({name for part in kept for name, files in part.items() if files})
    if empty:
        notes.append(f"Without a file of a kind that can be read: {', '.join(empty)}.")
    left = sum(map(len, _flat(found))) - sum(map(len, _flat(kept)))
    if left:
        notes.append(f"{pluralize(left, 'other file')} left aside.")
    if len(names) < 2:  # noqa: PLR2004 - to tell apart takes two
        raise DataError(
            f"{show_path(path)} holds one class only: {', '.join(names)}.",
            "Each class needs its own folder: cats/ and dogs/.",
        )
    parts = [
        Labelled(
            [file for name in names for file in part.get(name, ())],
            [label for label, name in enumerate(names) for _ in part.get(name, ())],
        )
        for part in kept
    ]
    test = parts[1] if len(parts) > 1 else None
    return Folder(path, kind, tuple(names), parts[0], test, " ".join(notes))


def _innermost(path: Path) -> Path:
    """The folder itself, or the single one in it that holds all: as an archive unpacks."""
    while True:
        folders, files = _entries(path)
        if len(folders) != 1 or files or folders[0].name.lower() in TRAIN:
            return path
        inner, _ = _entries(folders[0])
        if not inner:
            return path
        path = folders[0]


def _entries(path: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files, sorted by name; hidden ones are nobody's."""
    there = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    folders = [each for each in there if each.is_dir() and each.name not in _NOT_OURS]
    return folders, [each for each in there if each.is_file()]


def _parts(folders: list[Path]) -> tuple[Path | None, Path | None, Path | None]:
    """The folders of the training part, of the test part, and the one left aside."""
    by_name = {folder.name.lower(): folder for folder in folders}

    def find(names: tuple[str, ...]) -> Path | None:
        return next((by_name[name] for name in names if name in by_name), None)

    train, test, validation = find(TRAIN), find(TEST), find(VALIDATION)
    if train is None and (test is None or len(folders) > 1 + (validation is not None)):
        return None, None, None  # they are classes with such names
    return train, test or validation, validation if test else None


def _by_class(path: Path) -> dict[str, list[Path]]:
    """All files below each folder of a class."""
    folders, _ = _entries(path)
    if not folders:
        raise DataError(
            f"{show_path(path)} has no folders in it.",
            "Each class needs its own folder: cats/ and dogs/.",
        )
    return {folder.name: _below(folder) for folder in folders}


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for inner, folders, files in os.walk(folder, onerror=_fail):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        found += [Path(inner, file) for file in sorted(files) if not file.startswith(".")]
    return found


def _fail(error: OSError) -> None:
    raise error


def _flat(parts: list[dict[str, list[Path]]]) -> list[list[Path]]:
    return [files for part in parts for files in part.values()]


def _kind_of(path: Path, found: list[dict[str, list[Path]]]) -> Literal["pictures", "text"]:
    """What most files are."""
    files = [file for group in _flat(found) for file in group]
    pictures, texts = sum(map(is_image_file, files)), sum(map(is_text, files))
    if not pictures and not texts:
        endings = Counter(file.suffix.lower() or "no ending" for file in files)
        seen = ", ".join(f"{name} ({many:,})" for name, many in endings.most_common(_SHOWN))
        raise DataError(
            f"{show_path(path)} holds neither pictures nor texts"
            f"{': its files are ' + seen if seen else ': its folders are empty'}.",
            "Expected a folder for each class, with picture files or .txt files in them.",
        )
    return "pictures" if pictures >= texts else "text"


def _of_files(path: Path, files: list[Path]) -> Folder:
    """A folder without folders: tables named train and test, or a mistake."""
    tables = [file for file in files if file.suffix.lower() in TABLES]
    train = [file for file in tables if file.stem.lower() in TRAIN]
    test = [file for file in tables if file.stem.lower() in (*TEST, *VALIDATION)]
    if len(train) == 1 and len(test) <= 1:
        return Folder(path, "table", (), Labelled(train), Labelled(test) if test else None)
    if len(tables) == 1:
        return Folder(path, "table", (), Labelled(tables), None)
    if tables:
        names = ", ".join(file.name for file in tables[:_SHOWN])
        raise DataError(
            f"{show_path(path)} holds {len(tables):,} tables: {names}.",
            "Name one of them; or call them train.csv and test.csv; or give a list of files, "
            "which are put together.",
        )
    if not files:
        raise DataError(f"The folder {show_path(path)} is empty.")
    pictures = sum(map(is_image_file, files))
    what = pluralize(pictures, "picture") if pictures else pluralize(len(files), "file")
    raise DataError(
        f"{show_path(path)} holds {what} and no folders, so nothing tells their classes.",
        "Each class needs its own folder: cats/ and dogs/.",
    )
