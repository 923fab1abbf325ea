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
        self._owner = (0, 0)

    def acquire(self) -> str:
        """Lock the folder, which exists; returns who has locked it, or "" if this lock has."""
        owner = (os.getpid(), threading.get_ident())
        other = self._in_process.get(self.path)
        if other is not None:
            if other.is_held_by_another_thread:
                return "another thread of this process"
            other.release()  # inherited by a fork, or of a training that did not end as it should
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            holder = self._holder(descriptor)
            if holder:
                return holder
            about = {"host": platform.node(), "process": owner[0], "since": time.time()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(about | _start_of(owner[0])).encode(), 0)
            self._descriptor, self._owner = descriptor, owner
            self._in_process[self.path] = self
        finally:
            if self._descriptor is None:
                os.close(descriptor)
        return ""

    def __del__(self) -> None:
        self.release()

    @property
    def is_held_by_another_thread(self) -> bool:
        """Whether another thread of this process has locked the folder."""
        process, thread = self._owner
        return process == os.getpid() and thread != threading.get_ident()

    def release(self) -> None:
        """Release the folder; a lock that is not held is left as it is."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if self._owner[0] == os.getpid():
            with suppress(OSError):
                os.ftruncate(
                    descriptor, 0
                )  # the file stays, so that all processes lock the same one
        self._owner = (0, 0)
        self._in_process.pop(self.path, None)
        os.close(descriptor)

    def _holder(self, descriptor: int) -> str:
        """Lock the open file; returns who else has locked it, or ""."""
        is_locked = False
        try:
            if fcntl is not None:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_locked = True
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                return _describe(_read(descriptor)) or "another process"
        about = _read(descriptor)
        if not about:
            return ""
        is_here = about.get("host") == platform.node()
        if is_locked or (is_here and not _is_same_process(about)):
            return ""  # its process has ended without releasing it
        return _describe(about)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _describe(about: dict[str, Any]) -> str:
    process, host, since = about.get("process"), about.get("host"), about.get("since")
    if not isinstance(process, int):
        return ""
    where = "" if host == platform.node() else f" on {host}"
    if not isinstance(since, int | float):
        return f"process {process}{where}"
    return (
        f"process {process}{where}, since {time.strftime('%Y-%m-%d %H:%M', time.localtime(since))}"
    )


def _is_same_process(about: dict[str, Any]) -> bool:
    """Whether the process that wrote the file runs, and its number is not used by another one."""
    process = about.get("process")
    if not isinstance(process, int) or not is_process_running(process):
        return False
    start = _start_of(process)
    return not start or "start" not in about or start["start"] == about["start"]


def _start_of(process: int) -> dict[str, str]:
    """When a process started, as Linux counts it; empty elsewhere."""
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
        return {"start": fields[19]}
    except (OSError, IndexError):
        return {}
