"""Files that are replaced completely or not at all, and errors of the file system as messages.

A file is written next to its path under another name, flushed to the disk, and renamed in one step.
A process that is killed in between leaves the old file unchanged; the next write in that folder
removes what it left.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kmagic.support.display_mode import is_static
from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_ago, format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean, nearest

UNCHANGED = "Nothing was changed."
_BYTES_PER_VARIABLE = 4096
_CONTAINER_BYTES = 2**20
"""For the rest of a file: the configuration, the metadata, HDF5's own tables."""
_PART_NAME = re.compile(r"\.kmagic-(\w+)-(\d+)-\w+\.part\.")


@contextmanager
def atomic_write(
    path: Path, suffix: str, *, force: bool = False, now: Callable[[], float] = time.time
) -> Iterator[Path]:
    """Give a path to write to; at the end, what was written replaces the file.

    Missing folders are created. Any exception leaves the old file unchanged.

    Args:
        path: The file.
        suffix: What the path to write to must end in.
        force: Whether an existing file may be replaced.
        now: The clock, for the age of an existing file.
    """
    target = Path(os.path.realpath(path))  # a link stays, and its target is replaced
    try:
        _check_target(path, target, force=force, now=now)
        new_folders = [parent for parent in target.parents if not parent.exists()]
    except OSError as error:  # such as a name that is too long
        raise not_written(error, path) or error from error
    name = f".kmagic-{_host_id()}-{os.getpid()}-{secrets.token_hex(4)}.part{suffix}"
    part = target.with_name(name)
    is_done = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_parts(target.parent)
        yield part
        _flush(part)
        if target.exists():
            _check_target(path, target, force=force, now=now)
            with suppress(OSError):
                shutil.copymode(target, part)
        part.replace(target)
        is_done = True
        with suppress(OSError):  # not every file system can flush a folder
            _flush(target.parent)
    except Exception as error:
        reason = None if isinstance(error, PersistenceError) else not_written(error, path)
        if reason is None:
            raise
        raise reason from error
    finally:
        if not is_done:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            for folder in new_folders:
                with suppress(OSError):  # no longer empty
                    folder.rmdir()


def _check_target(path: Path, target: Path, *, force: bool, now: Callable[[], float]) -> None:
    if target.is_dir():
        raise PersistenceError(
            f"{show_path(path)} is a folder.", f"Name a file in it: {show_path(path)}/model.keras"
        )
    if target.exists() and not target.is_file():
        raise PersistenceError(
            f"{show_path(path)} was not written: it is a device, a pipe or a socket.",
            f"{UNCHANGED} Choose another name.",
        )
    if force or not target.exists():
        return
    details = target.stat()
    age = format_ago(max(0.0, now() - details.st_mtime))
    about = "" if is_static() else f" ({format_bytes(details.st_size)}, written {age})"
    raise PersistenceError(
        f"{show_path(path)} already exists{about}.",
        Text("Replace it with ", Option("force", value=True), ", or choose another name."),
    )


def _host_id() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_stale_parts(folder: Path) -> None:
    """Remove what processes of this machine left that no longer run."""
    for path in folder.glob(".kmagic-*.part.*"):
        match = _PART_NAME.match(path.name)
        if match and match[1] == _host_id() and not is_process_running(int(match[2])):
            with suppress(OSError):
                path.unlink()


def is_process_running(process_id: int) -> bool:
    """Whether a process of this machine runs, as far as the system says."""
    try:
        os.kill(process_id, 0)
    except (OSError, OverflowError) as error:  # of another user, or unknown: it may run
        return not isinstance(error, ProcessLookupError)
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_free_space(path: Path, size: int, variables: int) -> None:
    """Raise PersistenceError if the disk has not enough room for a file of a model.

    HDF5 does not survive a full disk: the process may end while it closes the file.

    Args:
        path: The file, in a folder that exists.
        size: Bytes of the values.
        variables: Their number; each needs a header in the file.
    """
    needed = size + size // 50 + variables * _BYTES_PER_VARIABLE + _CONTAINER_BYTES
    free = _free_space(path.parent)
    if free is not None and needed > free:
        raise PersistenceError(
            f"{show_path(path)} was not written: it needs {format_bytes(needed)}, and the disk has "
            f"{format_bytes(free)} left.",
            f"{UNCHANGED} Free some space, or choose a path on another disk.",
        )


# --- errors ---------------------------------------------------------------------------------------


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
    elsewhere = "choose a path on another disk"
    match number:
        case errno.ENOSPC:
            free = _free_space(path.parent)
            left = f"; {folder} has {format_bytes(free)} left" if free is not None else ""
            reason, remedy = f"the disk is full{left}", f"Free some space, or {elsewhere}."
        case errno.EDQUOT:
            reason, remedy = "your disk quota is used up", f"Free some space, or {elsewhere}."
        case errno.EFBIG:
            reason = "the file is larger than allowed here"
            remedy = f"Raise the limit (`ulimit -f`), or {elsewhere}."
        case errno.EACCES | errno.EPERM:
            reason = f"you have no permission to write to {folder}"
            remedy = f"Choose a path in a folder of your own, such as ~/{path.name}."
        case errno.EROFS:
            reason = "the disk is read-only"
            remedy = f"Choose a path on another disk, such as ~/{path.name}."
        case errno.ENAMETOOLONG:
            name = f"{path.name[:40]}..."
            reason, remedy = "the file name is too long", "Choose a shorter name."
        case errno.ENOTDIR | errno.EEXIST if file := _first_file(path):
            reason, remedy = f"{show_path(file)} is a file, not a folder", "Choose another folder."
        case int() if isinstance(error, OSError):
            reason, remedy = os.strerror(number), "Choose another path."
        case _:
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


def _first_file(path: Path) -> Path | None:
    """The file that stands where a folder of the path should be."""
    existing = next((parent for parent in path.parents if parent.exists()), Path())
    return None if existing.is_dir() else existing


def _free_space(folder: Path) -> int | None:
    existing = next((each for each in (folder, *folder.parents) if each.is_dir()), Path())
    try:
        return shutil.disk_usage(existing).free
    except OSError:
        return None
