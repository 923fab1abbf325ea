"""A file that is replaced whole or not at all.

It is written beside its place under another name, brought to the disk, and then takes the place
in one step of the file system. Whoever is killed in between leaves the old file as it was; the
part that was written is put away by the next writer in that folder.
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
from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_ago, format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.static_display import is_static

_PART = re.compile(r"\.kmagic-(\w+)-(\d+)-\w+\.part\.")


@contextmanager
def replacing(
    path: Path, suffix: str, *, force: bool = False, now: Callable[[], float] = time.time
) -> Iterator[Path]:
    """Give a name to write to; at the end what was written takes the file's place.

    Folders are made. Whatever is raised inside leaves the old file as it was.

    Args:
        path: The file.
        suffix: How the name to write to must end.
        force: Whether a file that is there may be replaced.
        now: The clock, for the age of the file that is there.

    Yields:
        The path to write to, in the same folder.

    Raises:
        PersistenceError: The file is there, or it is a folder, or the disk refused.
    """
    place = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    _allow(path, place, force=force, now=now)
    made = [each for each in place.parents if not each.exists()]
    part = place.with_name(f".kmagic-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{suffix}")
    done = False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _put_away_stale(place.parent)
        yield part
        _to_disk(part)
        if place.exists():
            _allow(path, place, force=force, now=now)
            with suppress(OSError):
                shutil.copymode(place, part)
        part.replace(place)
        done = True
        with suppress(OSError):  # not every file system knows it
            _to_disk(place.parent)
    except Exception as error:
        found = None if isinstance(error, PersistenceError) else not_written(error, path)
        if found is None:
            raise
        raise found from error
    finally:
        if not done:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            for each in made:
                with suppress(OSError):  # something else is in it by now
                    each.rmdir()


def _allow(path: Path, place: Path, *, force: bool, now: Callable[[], float]) -> None:
    if place.is_dir():
        raise PersistenceError(
            f"{show_path(path)} is a folder.", f"Name a file in it: {show_path(path)}/model.keras"
        )
    if force or not place.exists():
        return
    about = place.stat()
    age = format_ago(max(0.0, now() - about.st_mtime))
    which = "" if is_static() else f": {format_bytes(about.st_size)}, written {age}"
    raise PersistenceError(
        f"{show_path(path)} is there already{which}.",
        "--force (in Python: force=True) replaces it; or name another file.",
    )


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _put_away_stale(folder: Path) -> None:
    """Remove the parts of this machine's processes that are no more."""
    for each in folder.glob(".kmagic-*.part.*"):
        told = _PART.match(each.name)
        if told and told[1] == _host() and not _lives(int(told[2])):
            with suppress(OSError):
                each.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or not to be known
    return True


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
