"""Keras's cache on this machine, and whether the network may be asked to fill it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kmagic.support.errors import DataError
from kmagic.support.static_display import is_static


class CacheWarning(UserWarning):
    """Something in Keras's cache was not as it should be."""


def keras_home() -> Path:
    """The folder that Keras uses in this process, found without importing Keras."""
    config = sys.modules.get("keras.src.backend.config")
    told = getattr(config, "keras_home", lambda: None)() or os.environ.get("KERAS_HOME")
    if told:
        home = Path(told).expanduser()
    else:
        user = Path.home()
        home = (user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras's own choice
    if home.exists() and not os.access(home, os.W_OK):
        shared = Path("/tmp")  # noqa: S108 - Keras's own choice
        return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / ".keras"
    return home


def show_path(path: Path) -> str:
    """A path as a reader writes it: the home folder is ``~``.

    Where what is shown must be the same everywhere, Keras's own folder stands where it stands by
    default, and of any other path only the part below the working folder is told, or the name.
    """
    if is_static():
        for folder, said in ((keras_home(), "~/.keras"), (Path.cwd(), "")):
            with suppress(ValueError):
                return str(Path(said) / path.absolute().relative_to(folder.absolute()))
        return path.name
    with suppress(ValueError, RuntimeError):
        return str(Path("~") / path.relative_to(Path.home()))
    return str(path)


def is_offline() -> bool:
    """Whether the user has said, by ``KMAGIC_OFFLINE=1``, that the network is not to be asked."""
    return os.environ.get("KMAGIC_OFFLINE", "0") not in ("", "0")


@contextmanager
def backup_file(path: Path) -> Iterator[None]:
    """Keep a file of the cache that Keras may write over or delete.

    At the end it is given back, unless Keras has put another in its place; then the user's stands
    beside it, and a :class:`CacheWarning` says where.

    Args:
        path: The file.

    Raises:
        DataError: No copy can be made.
    """
    copy = _free_name(path)
    try:
        shutil.copy2(path, copy)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise DataError(
            f"{show_path(path)} is not the file that Keras expects, and Keras would delete it; "
            f"no copy could be made first: {error.strerror}.",
            "Move the file away by hand, then load again.",
        ) from error
    before = sha256_of(copy)
    done = False
    try:
        yield
        done = True
    finally:
        if not done or not path.exists() or sha256_of(path) == before:
            copy.replace(path)
        else:
            warnings.warn(
                f"{show_path(path)} was not the file that Keras expects, so Keras fetched it "
                f"anew. Yours is now {show_path(copy)}; delete it if you do not need it.",
                CacheWarning,
                stacklevel=2,
            )


def _free_name(path: Path) -> Path:
    copy, number = path.with_name(f"{path.name}.kept"), 2
    while copy.exists():
        copy, number = path.with_name(f"{path.name}.kept-{number}"), number + 1
    return copy


def sha256_of(path: Path) -> str:
    """The digest of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
