"""Folders as datasets: one subfolder per class, possibly below train/ and test/, as in Keras.

Here their files are found and split, and texts are read.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.data.assemble import (
    Parts,
    apply_options,
    choose_place,
    join_notes,
    require_length,
    split_parts,
    to_object_array,
)
from kmagic.data.dataset import Dataset
from kmagic.data.images.image_reader import is_image_file
from kmagic.data.load_options import LoadOptions, check_applies
from kmagic.data.paths import explain_read_errors, is_table_name
from kmagic.data.preparation.text_encoding import TextEncoding, learn_text
from kmagic.data.target_kind import Target
from kmagic.support.disk_arrays import convert_rows
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.progress import Progress

FolderKind: TypeAlias = Literal["images", "text", "table"]

TRAIN_NAMES = ("train", "training", "train_set", "training_set")
TEST_NAMES = ("test", "testing", "test_set", "testing_set")
VALIDATION_NAMES = ("validation", "val", "valid", "validation_set", "val_set")
TEXT_SUFFIXES = (".txt", ".text")
TEXT_BYTES = 2**16  # that a text takes, roughly, while it is encoded
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_IGNORED_NAMES = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
_ONE_FOLDER_PER_CLASS = "Make one subfolder per class: cats/ and dogs/."


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The contents of a folder.

    Attributes:
        path: The folder.
        kind: What its files are.
        parts: All files, or those of the training and of the test part.
        y: Labels of all files, indices of ``classes``; empty for tables.
        classes: Names of the subfolders, sorted.
        note: What was ignored, in sentences.
    """

    path: Path
    kind: FolderKind
    parts: list[NDArray[Any]]
    y: NDArray[np.int64]
    classes: tuple[str, ...] = ()
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
        if train is None:
            _reject_part_beside_classes(path, folders)
        if not folders:
            return _scan_tables(path, files)
        roots = [folder for folder in (train, test) if folder is not None] or [path]
        files_by_class = {
            (part, folder.name): files_below(folder, path)
            for part, root in enumerate(roots)
            for folder in _class_folders(root)
        }
    everything = [file for files in files_by_class.values() for file in files]
    kind = _most_frequent_kind(path, everything)
    is_usable = is_image_file if kind == "images" else _is_text_file
    usable = [
        (part, name, file)
        for (part, name), files in files_by_class.items()
        for file in filter(is_usable, files)
    ]
    classes, y = np.unique([name for _, name, _ in usable], return_inverse=True)
    if len(classes) < 2:  # noqa: PLR2004 - a classifier needs two
        raise DataError(
            f"{show_path(path)} contains only one class: {', '.join(classes)}.",
            _ONE_FOLDER_PER_CLASS,
        )
    notes = [f"{ignored.name}/ was ignored: the test part is {roots[1].name}/."] if ignored else []
    empty = files_by_class.keys() - {(part, name) for part, name, _ in usable}
    if empty:
        notes.append(f"Without readable files: {', '.join(sorted({name for _, name in empty}))}.")
    if len(usable) < len(everything):
        notes.append(f"{pluralize(len(everything) - len(usable), 'other file')} ignored.")
    parts = [
        to_object_array([file for part, _, file in usable if part == index])
        for index in range(len(roots))
    ]
    return DataFolder(path, kind, parts, y, tuple(classes.tolist()), " ".join(notes))


def split_files(
    folder: DataFolder, options: LoadOptions, name: str
) -> tuple[Parts, str, tuple[str, ...]]:
    """Split the files of a folder, shuffled, before any of them is read.

    Returns:
        Both parts, a note, and the names of the classes.
    """
    if options.task not in (None, "classification"):
        what = "numbers" if options.task == "regression" else "several labels per sample"
        raise DataError(
            f"{name} is a folder of classes, but {options.task} predicts {what}.",
            Text("Leave out ", Option("task"), ", or pass arrays: (x, y)."),
        )
    y, classes = folder.y, folder.classes
    if options.class_names is not None:
        if sorted(options.class_names) != sorted(classes):
            raise DataError(
                option="class_names",
                expected=f"the names of the folders of {name}, {', '.join(classes)}",
                actual=Text(", ".join(options.class_names)),
                remedy="Name all folders, in the order of their labels.",
            )
        y = np.array([options.class_names.index(each) for each in classes])[y]
        classes = options.class_names
    split, note = split_parts(folder.parts, Target(y, classes), options, name)
    if len(folder.parts) > 1 and options.split is None:  # these are in the order of the classes
        rng = np.random.default_rng(options.seed)
        train, test = rng.permutation(len(split.x_train)), rng.permutation(len(split.x_test))
        rows = (train, train, test, test)
        split = Parts(*(part[order] for part, order in zip(split, rows, strict=True)))
    return split, note, classes


def load_text_folder(folder: DataFolder, options: LoadOptions) -> Dataset:
    """Load a folder of texts, one per file."""
    name = options.name or folder.path.resolve().name
    check_applies(options, "text", f"{name} contains text")
    split, note, classes = split_files(folder, options, name)
    files = [*split.x_train, *split.x_test]
    with explain_read_errors(folder.path):
        size = sum(file.stat().st_size for file in files)
    remedy = Text("Or use fewer files.")
    options, place_note = choose_place(options, 2 * size, f"{len(files):,} texts", remedy)
    encoding = None
    if options.stream:
        require_length(options, name)
        split, encoding = _encode_files(split, options)
    else:
        split = split.convert(read_texts)
    data = Dataset(
        name,
        *split,
        classes,
        source=show_path(folder.path),
        note_text=join_notes(folder.note, place_note, note),
        encoding=encoding,
    )
    return apply_options(data, options)


def _encode_files(split: Parts, options: LoadOptions) -> tuple[Parts, TextEncoding]:
    """The texts in both parts' files as rows of word indices on disk, and their encoding."""
    train = split.x_train
    with Progress(len(train), "texts") as progress:

        def read(file: Path) -> str:
            progress.advance()
            return str(read_texts([file])[0])

        encoding = learn_text(map(read, train), **options.text_encoding)

    def encode(files: Sequence[Path]) -> NDArray[Any]:
        return encoding.encode(map(str, read_texts(files)))

    return split.convert(lambda files: convert_rows(files, encode, row_bytes=TEXT_BYTES)), encoding


def read_texts(files: Sequence[Path]) -> NDArray[Any]:
    """Read files in UTF-8, each as one string."""
    texts = np.empty(len(files), dtype=object)
    with Progress(len(files), "texts") as progress:
        for index, file in enumerate(files):
            with explain_read_errors(file):
                raw = file.read_bytes()
            try:
                texts[index] = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise DataError(
                    f"{show_path(file)} is not UTF-8: byte {raw[error.start]:#04x} in line "
                    f"{line:,}.",
                    "Save it as UTF-8, or move it out of the folder if it is not a text: "
                    f"iconv -f latin1 -t utf-8 {file.name} converts it to UTF-8.",
                ) from error
            progress.advance()
    return texts


# --- scan -----------------------------------------------------------------------------------------


def _innermost(path: Path) -> Path:
    """The folder, or the only subfolder in it that contains everything, as archives unpack."""
    while True:
        folders, files = _list_folder(path)
        are_other = not any(is_image_file(file) or is_table_name(file) for file in files)
        is_outer = len(folders) == 1 and are_other and folders[0].name.lower() not in TRAIN_NAMES
        if not is_outer or not _list_folder(folders[0])[0]:
            return path
        path = folders[0]


def _list_folder(path: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files, sorted by name, without hidden ones."""
    entries = sorted(entry for entry in path.iterdir() if not is_ignored(entry.name))
    return [entry for entry in entries if entry.is_dir()], [e for e in entries if e.is_file()]


def _find_parts(folders: list[Path]) -> tuple[Path | None, Path | None, Path | None]:
    """The folders of the training part, of the test part, and the one that is ignored."""
    by_name = {folder.name.lower(): folder for folder in folders}

    def find(names: tuple[str, ...]) -> Path | None:
        return next((by_name[name] for name in names if name in by_name), None)

    train, test, validation = find(TRAIN_NAMES), find(TEST_NAMES), find(VALIDATION_NAMES)
    if train is None and (test is None or len(folders) > 1 + (validation is not None)):
        return None, None, None  # classes with such names
    return train, test or validation, validation if test else None


def _reject_part_beside_classes(path: Path, folders: list[Path]) -> None:
    for folder in folders:
        is_part = folder.name.lower() in (*TEST_NAMES, *VALIDATION_NAMES)
        if is_part and {each.name for each in _list_folder(folder)[0]} & {f.name for f in folders}:
            raise DataError(
                f"{show_path(path)} contains classes, and {folder.name}/ with the same classes.",
                "Move the other folders into train/.",
            )


def _class_folders(path: Path) -> list[Path]:
    folders, _ = _list_folder(path)
    if not folders:
        raise DataError(f"{show_path(path)} contains no folders.", _ONE_FOLDER_PER_CLASS)
    return folders


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name was made by a program, not by the user.

    Example:
        >>> [is_ignored(name) for name in (".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "cats")]
        [True, True, True, False]
    """
    return name.startswith(".") or name in _IGNORED_NAMES


def files_below(folder: Path, whole: Path | None = None) -> list[Path]:
    """All files in a folder and its subfolders, sorted by name, without those of programs.

    Links to other folders are followed; links within the folder, or to what contains it, are not.
    If it is a part of a folder that is read, ``whole`` is that folder.
    """
    root = (whole or folder).resolve()
    linked: set[Path] = set()

    def is_entered(path: Path) -> bool:
        if not path.is_symlink():
            return True
        target = path.resolve()
        is_known = target in linked or target.is_relative_to(root) or root.is_relative_to(target)
        linked.add(target)
        return not is_known

    def fail(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=fail, followlinks=True):
        names = sorted(name for name in folders if not is_ignored(name))
        folders[:] = [name for name in names if is_entered(Path(parent, name))]
        found += [Path(parent, file) for file in sorted(files) if not is_ignored(file)]
    return found


def files_matching(pattern: Path) -> list[Path]:
    """The files that a pattern such as ``photos/*.jpg`` matches; if none, those in its folders.

    Files of programs are left out, and hidden ones unless the pattern names them.
    """
    depth = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    matches = [
        match
        for match in map(Path, sorted(glob.glob(str(pattern), recursive=True)))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not any(name in _IGNORED_NAMES for name in match.parts[depth:])
    ]
    files = [match for match in matches if match.is_file()]
    return files or [file for match in matches if match.is_dir() for file in files_below(match)]


def _is_text_file(file: Path) -> bool:
    return file.suffix.lower() in TEXT_SUFFIXES and not file.name.startswith(".")


def _most_frequent_kind(path: Path, files: list[Path]) -> Literal["images", "text"]:
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
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    train = [file for file in tables if file.stem.lower() in TRAIN_NAMES]
    test = [file for file in tables if file.stem.lower() in (*TEST_NAMES, *VALIDATION_NAMES)]
    parts = [train, test] if len(train) == 1 and len(test) <= 1 else [tables]
    if len(parts[0]) == 1:
        arrays = [to_object_array(part) for part in parts if part]
        return DataFolder(path, "table", arrays, np.empty(0, dtype=np.int64))
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
