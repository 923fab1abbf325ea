"""Paths given by the user: whether they exist, and the nearest existing path if they do not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.suggestions import did_you_mean, nearest


def existing_path(text: str | Path) -> Path:
    """Return the file or folder of this name, which may begin with "~"."""
    path = Path(text).expanduser()
    with explain_read_errors(path):
        if path.exists():
            return path
    near = nearest_path(path)
    if near is not None:
        remedy = f"Did you mean {show_path(near)}?"
    else:
        missing = _first_missing(path)
        remedy = f"{show_path(missing.parent.resolve())} exists, but contains no {missing.name}."
    raise DataError(f"There is no file or folder {show_path(path)}.", remedy)


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
