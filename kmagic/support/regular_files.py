"""Whether a path is a file that can be read to its end."""

from __future__ import annotations

import stat
from pathlib import Path

EMPTY = "is empty"


def file_problem(path: Path) -> str:
    """Why an existing path cannot be read as a file, as the end of a sentence; "" if it can.

    Devices, pipes and sockets may have no end, and reading them may wait forever. So may files of
    the system that have no size, such as ``/proc/kmsg``.

    Example:
        >>> file_problem(Path("/dev/zero")), file_problem(Path("/"))
        ('is not a regular file', 'is a folder')
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    return "" if status.st_size else EMPTY
