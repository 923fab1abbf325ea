"""Paths given by the user: whether they exist, and the nearest existing path if they do not."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from kmagic.data.images.image_reader import is_image_file, is_url
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.support.errors import DataError, KmagicError
from kmagic.support.formatting import list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.regular_files import file_problem
from kmagic.support.suggestions import did_you_mean, nearest
from kmagic.support.user_path import user_path

PARQUET_SUFFIXES = (".parquet", ".pq")
EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
RECORD_SUFFIXES = (".tfrecord", ".tfrecords")
TEXT_TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".psv", ".txt", ".dat", ".data")
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz")
MAX_FILE_NAME = 300  # characters of a path
MAX_NAMES = 500  # values that show whether all are names
MAX_NAME_WORDS = 5  # of a file name with spaces, which is not a sentence
_FILE = re.compile(r"\S*?([/\\]?)[^/\\\s]*\.([A-Za-z][A-Za-z0-9]{0,4})")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def table_suffix(path: Path) -> str:
    """The suffix of a file in lower case, without that of a compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED_SUFFIXES else suffix


def is_table_name(path: Path) -> bool:
    """Whether the name of a file is that of a table, possibly compressed.

    Example:
        >>> [is_table_name(Path(name)) for name in ("a.CSV", "a.tsv.gz", "a.tar.gz")]
        [True, True, False]
    """
    if path.suffix.lower() in COMPRESSED_SUFFIXES:
        return table_suffix(path) in TEXT_TABLE_SUFFIXES
    others = (*PARQUET_SUFFIXES, *EXCEL_SUFFIXES, *RECORD_SUFFIXES)
    return table_suffix(path) in (*TEXT_TABLE_SUFFIXES, *others)


def looks_like_files(values: Sequence[Any]) -> bool:
    """Whether values are names of files, existing or not, rather than texts.

    Example:
        >>> looks_like_files(["trian/a.jpg", "trian/b.jpg"]), looks_like_files(["and/or", "n/a"])
        (True, False)
    """
    values = values[:: max(1, len(values) // MAX_NAMES)]
    names = [value for value in values if isinstance(value, str | os.PathLike)]
    if not names or len(names) < len(values) / 2:
        return False
    images = [os.fspath(name) for name in names if _is_image_name(name)]
    certain = [name for name in images if not re.search(r"\s", name) or re.search(r"[/\\]", name)]
    if 2 * len(certain) >= len(names) or len(images) == len(names):
        return True
    suffixes: Counter[str] = Counter()
    for name in names:
        text = os.fspath(name)
        match = _FILE.fullmatch(text[: MAX_FILE_NAME + 1])
        if match and not _ADDRESS.match(text) and (match[1] or _is_media(match[2])):
            suffixes[match[2].lower()] += 1
    return bool(suffixes) and suffixes.most_common(1)[0][1] == len(names)


def _is_image_name(name: str | os.PathLike[str]) -> bool:
    text = os.fspath(name)
    words = text.split()
    is_short = len(text) <= MAX_FILE_NAME and len(words) <= MAX_NAME_WORDS
    names_address = any(map(_ADDRESS.match, words[1:]))  # in a sentence
    return is_short and "\n" not in text and not names_address and is_image_file(Path(text))


def _is_media(suffix: str) -> bool:
    """Whether it is the suffix of a recording, an image or a text, not of an internet domain."""
    kind, _ = mimetypes.guess_type(f"file.{suffix}")
    return kind is not None and kind.startswith(("audio/", "video/", "image/", "text/"))


def existing_files(names: Sequence[Any], label: str) -> list[Path]:
    """The files of these names; an error names those that do not exist."""
    urls = [name for name in names if isinstance(name, str) and _ADDRESS.match(name)]
    if urls:
        example = ", e.g. keras.utils.get_file(origin=url)," if is_url(urls[0]) else ""
        raise DataError(
            f"{label} contains addresses such as {urls[0]}, which are not downloaded.",
            f"Download them first{example} and pass their paths.",
        )
    files = [local_path(name) for name in names]
    are_there = [file is not None and _is_file(file) for file in files]
    if not all(are_there):
        missing = [index for index, is_there in enumerate(are_there) if not is_there]
        first = files[missing[0]]
        near = nearest_path(first) if first is not None else None
        remedy = "Pass paths of existing files, absolute or relative to the working folder."
        raise DataError(
            f"{len(missing):,} of {len(files):,} files in {label} do not exist: "
            f"{list_names((names[index] for index in missing), 3)} (relative to "
            f"{show_path(Path.cwd())}).",
            remedy if near is None else f"Did you mean {quote_path(near)}?",
        )
    others = [file for file in files if file is not None and not is_image_file(file)]
    if others:
        raise DataError(
            f"{label} contains names of files that are not images, e.g. {others[0]}.",
            "Pass image files, or read others first, e.g. [open(path).read() for path in paths].",
        )
    return [file for file in files if file is not None]


def local_path(name: Any) -> Path | None:
    """A path as this system writes it; None if it cannot be one."""
    if not isinstance(name, str | os.PathLike):
        return None
    try:
        path = user_path(name)
        if "\\" in os.fspath(name) and not _is_file(path):
            return user_path(PureWindowsPath(name).as_posix())
    except KmagicError:
        return None
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # such as a name that is too long
        return False


def existing_path(text: str | Path) -> Path:
    """Return the file or folder of this name, which may begin with "~"."""
    try:
        path = user_path(text)
    except KmagicError as error:
        raise DataError(error.message, error.remedy) from None
    with explain_read_errors(path):
        if path.exists():
            problem = "" if path.is_dir() else file_problem(path)
            if "regular" in problem:
                raise DataError(f"{show_path(path)} {problem}.")
            return path
    near = nearest_path(path)
    if near is not None:
        remedy = f"Did you mean {quote_path(near)}?"
    else:
        missing = _first_missing(path)
        remedy = f"{show_path(missing.parent.resolve())} exists, but contains no {missing.name}."
    raise DataError(f"There is no file or folder {show_path(path)}.", remedy)


def quote_path(path: Path) -> str:
    """A path as a reader can copy it: in quotation marks if it contains spaces."""
    shown = show_path(path)
    return repr(shown) if re.search(r"\s", shown) else shown


def nearest_path(path: Path) -> Path | None:
    """Return the existing path whose name is most like that of a missing one, if one is alike."""
    try:
        missing = _first_missing(path)
        names = [file.name for file in missing.parent.iterdir() if file.name[0] != "."]
    except (OSError, ValueError):  # no readable folder
        return None
    near = nearest(missing.name, names)
    return missing.parent / near[0] if near and near[0] != missing.name else None


def unknown_dataset(name: str) -> DataError:
    """The error for a word that is neither the name of a dataset nor a path."""
    try:
        files = [file.name for file in Path().iterdir() if not file.name.startswith(".")]
    except OSError:
        files = []
    guess = did_you_mean(name, KNOWN_DATASETS) or did_you_mean(name, files)
    available = f"Available: {', '.join(KNOWN_DATASETS)}; or pass a folder, a file, a data frame"
    return DataError(
        f"There is no dataset, file or folder {name!r}.", f"{guess} {available} or arrays.".strip()
    )


@contextlib.contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into messages for the user."""
    try:
        yield
    except PermissionError as error:
        raise DataError(
            f"{show_path(Path(error.filename or path))} cannot be read: permission denied.",
            "Its owner can allow it: chmod u+r for a file, u+rx for a folder.",
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"{show_path(Path(error.filename or path))} no longer exists.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{show_path(path)} cannot be read: {reason}.") from error


def _first_missing(path: Path) -> Path:
    """The part of a path up to the first folder or file that does not exist."""
    while path.parent != path and not path.parent.is_dir():
        path = path.parent
    return path
