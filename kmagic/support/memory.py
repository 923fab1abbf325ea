"""How much memory is available, checked before it is filled."""

from __future__ import annotations

import os
from pathlib import Path

from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes
from kmagic.support.messages import Text

MAX_SHARE = 0.8  # of the available memory that a dataset may take
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes available without swapping, also within a container; None if unknown."""
    limits = [limit for limit in (_of_machine(), _of_container()) if limit is not None]
    return min(limits, default=None)


def require_memory(size: int, subject: str, remedy: str | Text) -> None:
    """Reject what does not fit into memory."""
    available = available_memory()
    if available is not None and size > MAX_SHARE * available:
        raise DataError(
            f"{subject} would take {format_bytes(size)} of memory, but only "
            f"{format_bytes(available)} are available.",
            remedy,
        )


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        stat = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        reclaimable = int(stat[stat.index("inactive_file") + 1])
        return max(0, limit - used + reclaimable)
    except (OSError, ValueError):  # no container, or no limit: "max"
        return None
