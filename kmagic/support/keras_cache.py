"""Keras's cache on this machine, and whether downloads are allowed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from kmagic.support.caller_names import warn_caller
from kmagic.support.display_mode import is_static
from kmagic.support.errors import DataError


class CacheWarning(UserWarning):
    """A file in Keras's cache was not the expected one."""


def keras_home() -> Path:
    """The folder that Keras uses in this process, determined without importing Keras."""
    config = sys.modules.get("keras.src.backend.config")
    setting = getattr(config, "keras_home", lambda: None)() or os.environ.get("KERAS_HOME")
    if setting:
        home = Path(setting).expanduser()
    else:
        try:
            user = Path.home()
        except RuntimeError:  # no HOME, and no such user
            user = Path("~")
        home = (user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras's own choice
    if home.exists() and not os.access(home, os.W_OK):
        shared = Path("/tmp")  # noqa: S108 - Keras's own choice
        return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / ".keras"
    return home


def show_path(path: Path) -> str:
    """Format a path for a reader: the home folder is written ``~``.

    With ``KMAGIC_DISPLAY=static`` the result does not depend on the machine: Keras's folder is
    written ``~/.keras``, any other path relative to the working folder, or as its name alone.
    """
    if is_static():
        for folder, shown in ((keras_home(), "~/.keras"), (Path.cwd(), "")):
            with suppress(ValueError):
                return str(Path(shown) / path.absolute().relative_to(folder.absolute()))
        return path.name
    with suppress(ValueError, RuntimeError):
        return str(Path("~") / path.relative_to(Path.home()))
    return str(path)


def is_offline() -> bool:
    """Whether the user has disabled downloads by ``KMAGIC_OFFLINE=1``."""
    return os.environ.get("KMAGIC_OFFLINE", "0") not in ("", "0")


@contextmanager
def backup_file(path: Path) -> Iterator[None]:
    """Protect a file of the cache that Keras may overwrite or delete.

    Afterwards the file is restored, unless Keras has replaced it; then the original remains as a
    copy, and a :class:`CacheWarning` names its path. Raises DataError if it cannot be written.
    """
    copy = _free_name(path)
    try:
        shutil.copy2(path, copy)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise DataError(
            f"{show_path(path)} is not the file that Keras expects, and Keras would delete it. "
            f"Copying it first failed: {error.strerror}.",
            "Move the file to another folder, then load again.",
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
            warn_caller(
                f"{show_path(path)} was not the file that Keras expects, so Keras downloaded it "
                f"again. Your file is now {show_path(copy)}; delete it if you do not need it.",
                CacheWarning,
            )


def _free_name(path: Path) -> Path:
    endings = chain(["kept"], (f"kept-{number}" for number in count(2)))
    copies = (path.with_name(f"{path.name}.{ending}") for ending in endings)
    return next(copy for copy in copies if not copy.exists())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
