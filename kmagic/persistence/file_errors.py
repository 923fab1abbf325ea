"""Errors of the file system (full disk, no permission, no such file) as messages."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.suggestions import did_you_mean, nearest

UNCHANGED = "Nothing was changed."
_OTHER_DISK = "choose a path on another disk"


def error_number(error: BaseException | None) -> int | None:
    """The system's error number, also if a library only mentions it in its message.

    Example:
        >>> error_number(RuntimeError("cannot write (errno = 28, error message = ...)"))
        28
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        match = re.search(r"errno = (\d+)", str(error))
        if match:
            return int(match[1])
        error = error.__cause__ or error.__context__
    return None


def first_line(error: object, limit: int = 300) -> str:
    r"""The first line of an exception's message, or its class if it has no message.

    Example:
        >>> first_line(ValueError("\n  wrong shape\nmore")), first_line(KeyError())
        ('wrong shape', 'KeyError')
    """
    lines = (line.strip() for line in str(error).splitlines())
    line = next(filter(None, lines), type(error).__name__)
    return line if len(line) <= limit else f"{line[:limit]} ..."


def not_written(error: BaseException, path: Path) -> PersistenceError | None:
    """Why a file could not be written; None if the file system is not the reason."""
    number = error_number(error)
    name, folder = show_path(path), show_path(path.parent)
    reason, remedy = "", ""
    match number:
        case errno.ENOSPC:
            free = _free_space(path.parent)
            left = f"; {folder} has {format_bytes(free)} left" if free is not None else ""
            reason, remedy = f"the disk is full{left}", f"Free some space, or {_OTHER_DISK}."
        case errno.EDQUOT:
            reason = "your disk quota is used up"
            remedy = f"Free some space, or {_OTHER_DISK}."
        case errno.EFBIG:
            reason = "the file is larger than allowed here"
            remedy = f"Raise the limit (`ulimit -f`), or {_OTHER_DISK}."
        case errno.EACCES | errno.EPERM:
            reason = f"you have no permission to write to {folder}"
            remedy = f"Choose a path in a folder of your own, such as ~/{path.name}."
        case errno.EROFS:
            reason = "the disk is read-only"
            remedy = f"Choose a path on another disk, such as ~/{path.name}."
        case errno.ENAMETOOLONG:
            name = f"{path.name[:40]}..."
            reason, remedy = "the file name is too long", "Choose a shorter name."
        case errno.ENOTDIR | errno.EEXIST:
            parents = (parent for parent in path.parents if parent.exists())
            file = next((parent for parent in parents if not parent.is_dir()), None)
            if file is not None:
                reason = f"{show_path(file)} is a file, not a folder"
                remedy = "Choose another folder."
    if not reason and isinstance(error, OSError) and number is not None:
        reason, remedy = os.strerror(number), "Choose another path."
    if not reason:
        return None
    return PersistenceError(f"{name} was not written: {reason}.", f"{UNCHANGED} {remedy}")


def not_read(error: BaseException, path: Path) -> PersistenceError | None:
    """Why a file could not be opened; None if the file system is not the reason."""
    number = error_number(error)
    name = show_path(path)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return file_missing(path)
    if number in (errno.EACCES, errno.EPERM):
        return PersistenceError(
            f"{name} exists, but you have no permission to read it.",
            f"Ask its owner to run: chmod a+r {path.name}",
        )
    if isinstance(error, OSError) and number is not None:
        return PersistenceError(f"{name} cannot be read: {os.strerror(number)}.")
    return None


def file_missing(path: Path) -> PersistenceError:
    """The error for a file that does not exist, with the nearest name in its folder.

    Example:
        >>> print(file_missing(Path("no_such_folder/cnn.keras")).message)
        No such file: no_such_folder/cnn.keras (the folder no_such_folder does not exist).
    """
    name, folder = show_path(path), path.parent
    if not folder.is_dir():
        return PersistenceError(
            f"No such file: {name} (the folder {show_path(folder)} does not exist).",
            did_you_mean(folder.name, _names_in(folder.parent))
            or f"Relative paths start in {show_path(Path.cwd())}.",
        )
    names = _names_in(folder)
    near = nearest(path.name, names)
    where = show_path(folder.resolve())
    models = [name for name in names if name.endswith((".keras", ".h5", ".json", ".kmagic"))]
    if near:
        remedy = f"Did you mean {show_path(folder / near[0])}?"
    elif models:
        remedy = f"Model files in {where}: {', '.join(models[:8])}."
    else:
        remedy = f"{where} contains no model files."
    return PersistenceError(f"No such file: {name}.", remedy)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _free_space(folder: Path) -> int | None:
    existing = next((parent for parent in (folder, *folder.parents) if parent.is_dir()), None)
    try:
        return shutil.disk_usage(existing).free if existing is not None else None
    except OSError:
        return None
