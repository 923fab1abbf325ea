"""A file that is replaced completely or not at all.

It is written next to its path under another name, flushed to the disk, and renamed in one step. A
process that is killed in between leaves the old file unchanged; the next write in that folder
removes what it left.
"""

from __future__ import annotations

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

from kmagic.persistence.file_errors import not_written
from kmagic.support.display_mode import is_static
from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_ago, format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text

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

    Yields:
        The path to write to, in the same folder.

    Raises:
        PersistenceError: The file exists or is a folder, or the file system reports an error.
    """
    target = Path(os.path.realpath(path))  # a link stays, and its target is replaced
    _check_target(path, target, force=force, now=now)
    new_folders = [parent for parent in target.parents if not parent.exists()]
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
        if match and match[1] == _host_id() and not _is_running(int(match[2])):
            with suppress(OSError):
                path.unlink()


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or unknown
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
