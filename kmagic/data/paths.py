"""A path that was given as a source: whether it is there, and what is nearest if not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.suggestions import did_you_mean, nearest


def existing_path(text: str | Path) -> Path:
    """The file or folder of this name.

    Args:
        text: A path, "~" too.

    Raises:
        DataError: It is not there; the nearest name that is there is told.
    """
    path = Path(text).expanduser()
    with explain_read_errors(path):
        if path.exists():
            return path
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    missing = path.relative_to(parent).parts[0] if parent != path else path.name
    try:
        near = nearest(missing, [each.name for each in parent.iterdir()])
    except OSError:
        near = []
    if near:
        remedy = f"Did you mean {show_path(parent / near[0])}?"
    else:
        remedy = f"{show_path(parent.resolve())} is there, and holds no {missing}."
    raise DataError(f"There is no file or folder {show_path(path)}.", remedy)


def unknown(word: str) -> DataError:
    """What to say of a word that is neither a data set's name nor a path."""
    known = (
        f"Known are: {', '.join(KNOWN_DATASETS)}; or give a folder, a file, a data frame or arrays."
    )
    try:
        here = [each.name for each in Path().iterdir() if not each.name.startswith(".")]
    except OSError:
        here = []
    guess = did_you_mean(word, KNOWN_DATASETS) or did_you_mean(word, here)
    return DataError(f"There is no data set {word!r}.", f"{guess} {known}".strip())


@contextlib.contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Put what the system says of a path in our words.

    Raises:
        DataError: The path may not be read, or cannot be.
    """
    try:
        yield
    except PermissionError as error:
        raise DataError(
            f"{show_path(Path(error.filename or path))} may not be read: permission denied.",
            "Its owner can allow it: chmod u+r for a file, u+rx for a folder.",
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"{show_path(Path(error.filename or path))} is gone.") from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{show_path(path)} cannot be read: {said}.") from error
