"""How much memory there is, asked before it is filled."""

from __future__ import annotations

import os
from pathlib import Path

from kmagic.support.errors import DataError

SHARE = 0.8  # of what is free, that a data set may take
_CGROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that can be had without swapping, also within a container; None if nobody knows."""
    free = [each for each in (_of_machine(), _of_container()) if each is not None]
    return min(free) if free else None


def require(size: int, what: str, remedy: str) -> None:
    """Refuse what would not fit.

    Args:
        size: Bytes that it takes.
        what: What it is: "2,000 pictures of 32 x 32".
        remedy: What to do instead.

    Raises:
        DataError: It takes more than most of the memory that is free.
    """
    free = available()
    if free is not None and size > SHARE * free:
        raise DataError(
            f"{what} would take {in_words(size)} of memory; {in_words(free)} are free.", remedy
        )


def in_words(size: float) -> str:
    """Bytes as a person says them.

    Example:
        >>> in_words(6_144_000), in_words(2_500_000_000), in_words(300)
        ('6.1 MB', '2.5 GB', '300 bytes')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"


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
        most = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii").strip()
        stat = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        cached = int(stat[stat.index("inactive_file") + 1])  # given back when it is needed
        return max(0, int(most) - int(used) + cached)
    except (OSError, ValueError):  # no container, or no limit: "max"
        return None
