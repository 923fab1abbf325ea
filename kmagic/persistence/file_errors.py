"""What the disk refused, in words: full, forbidden, not there."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.suggestions import did_you_mean, nearest

WHOLE = "Nothing was changed."


def error_number(error: BaseException) -> int | None:
    """The system's number for what went wrong, also where a library put it into words.

    Example:
        >>> error_number(RuntimeError("cannot write (errno = 28, error message = ...)"))
        28
    """
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno:
            return each.errno
        told = re.search(r"errno = (\d+)", str(each))
        if told:
            return int(told[1])
    return None


def not_written(error: BaseException, path: Path) -> PersistenceError | None:
    """Why a file could not be written, or None if the disk is not the reason.

    Args:
        error: What was raised.
        path: The file.
    """
    number = error_number(error)
    name, folder = show_path(path), show_path(path.parent)
    if number in (errno.ENOSPC, errno.EDQUOT):
        free = _free(path.parent) if number == errno.ENOSPC else None
        left = f": {format_bytes(free)} are left for {folder}" if free is not None else ""
        reason = "the disk is full" if number == errno.ENOSPC else "your share of it is used up"
        return PersistenceError(
            f"{name} was not written, because {reason}{left}.",
            f"{WHOLE} Make room, or name a path on another disk.",
        )
    if number == errno.EFBIG:
        return PersistenceError(
            f"{name} was not written: files may not become so large here.",
            f"{WHOLE} The limit is `ulimit -f`; or name a path on another disk.",
        )
    if number in (errno.EACCES, errno.EPERM):
        return PersistenceError(
            f"{name} was not written: you have no permission to write into {folder}.",
            f"{WHOLE} Name a path in a folder of your own, such as ~/{path.name}.",
        )
    if number == errno.EROFS:
        return PersistenceError(
            f"{name} was not written: that disk can only be read.",
            f"{WHOLE} Name a path on another disk, such as ~/{path.name}.",
        )
    if number == errno.ENAMETOOLONG:
        return PersistenceError(f"{path.name[:40]}... is too long a name for a file.", WHOLE)
    if number in (errno.ENOTDIR, errno.EEXIST):
        wrong = next((each for each in path.parents if each.exists() and not each.is_dir()), None)
        if wrong is not None:
            return PersistenceError(
                f"{name} was not written: {show_path(wrong)} is a file, not a folder.", WHOLE
            )
    if isinstance(error, OSError) and number is not None:
        return PersistenceError(f"{name} was not written: {os.strerror(number)}.", WHOLE)
    return None


def not_read(error: BaseException, path: Path) -> PersistenceError | None:
    """Why a file could not be opened, or None if the disk is not the reason."""
    number = error_number(error)
    name = show_path(path)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return not_there(path)
    if number in (errno.EACCES, errno.EPERM):
        return PersistenceError(
            f"{name} is there, but you have no permission to read it.",
            f"Its owner can give it: chmod a+r {path.name}",
        )
    if isinstance(error, OSError) and number is not None:
        return PersistenceError(f"{name} cannot be read: {os.strerror(number)}.")
    return None


def not_there(path: Path) -> PersistenceError:
    """That there is no such file, with the nearest name in its folder.

    Example:
        >>> print(not_there(Path("no_such_folder/cnn.keras")).message)
        there is no file no_such_folder/cnn.keras: there is no folder no_such_folder.
    """
    name = show_path(path)
    folder = path.parent
    if not folder.is_dir():
        parent = folder.parent
        near = did_you_mean(folder.name, _names(parent))
        return PersistenceError(
            f"there is no file {name}: there is no folder {show_path(folder)}.",
            near or f"The notebook works in {show_path(Path.cwd())}.",
        )
    known = _names(folder)
    found = nearest(path.name, known)
    near = f"Did you mean {show_path(folder / found[0])}?" if found else ""
    if not near:
        models = [each for each in known if each.endswith((".keras", ".h5", ".json", ".kmagic"))]
        where = show_path(folder.resolve())
        near = (
            f"In {where}: {', '.join(models[:8])}."
            if models
            else f"In {where} there is no model at all."
        )
    return PersistenceError(f"there is no file {name}.", near)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _free(folder: Path) -> int | None:
    there = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
    try:
        return shutil.disk_usage(there).free if there is not None else None
    except OSError:
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
