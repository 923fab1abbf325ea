"""A lock on a folder that one process at a time may write to.

The system holds the lock (POSIX record locks) and releases it when the process ends, however it
ends. The lock file only says who has it. Where the system cannot lock files, such as on some
network drives, the file itself is the lock.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from kmagic.support.file_system import is_process_running

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class FolderLock:
    """The lock of a folder, in its file ``.lock``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock = FolderLock(Path(folder))
        ...     print(repr(lock.acquire()))
        ...     lock.release()
        ''
    """

    _in_process: ClassVar[WeakValueDictionary[Path, FolderLock]] = WeakValueDictionary()
    """The locks of this process: the system does not distinguish its threads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve() / ".lock"
        self._descriptor: int | None = None
        self.owner = (0, 0)  # the process and its thread

    def acquire(self) -> str:
        """Lock the folder, which exists; returns who has locked it, or "" if this lock has."""
        owner = (os.getpid(), threading.get_ident())
        if other := self._in_process.get(self.path):
            if other.owner == owner:
                return "a training of this process that has not ended"
            if other.owner[0] == owner[0]:
                return "another thread of this process"
            other.release()  # inherited by a fork
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if holder := _holder(descriptor):
                return holder
            about = {"host": platform.node(), "process": owner[0], "since": time.time()}
            _write(descriptor, json.dumps(about))
            self._descriptor, self.owner = descriptor, owner
            self._in_process[self.path] = self
        finally:
            if self._descriptor is None:
                os.close(descriptor)
        return ""

    def release(self) -> None:
        """Release the folder; a lock that is not held is left as it is."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if self.owner[0] == os.getpid():
            with suppress(OSError):  # the file stays, so that all processes lock the same one
                _write(descriptor, "")
        self._in_process.pop(self.path, None)
        os.close(descriptor)

    __del__ = release


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def _holder(descriptor: int) -> str:
    """Lock the open file; returns who else has locked it, or ""."""
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return ""  # whatever the file says, its process has ended
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            return _read(descriptor)[0] or "another process"
    holder, is_running = _read(descriptor)
    return holder if is_running else ""


def _read(descriptor: int) -> tuple[str, bool]:
    """Who wrote the file ("" if it does not say so), and whether that process may still run."""
    try:
        about: dict[str, Any] = json.loads(os.read(descriptor, 4096))
        process, host = int(about["process"]), str(about["host"])
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(about["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return "", False
    if host != platform.node():
        return f"process {process} on {host}, since {since}", True
    return f"process {process}, since {since}", is_process_running(process)
