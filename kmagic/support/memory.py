"""How much memory is available, checked before it is filled."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes
from kmagic.support.messages import Text

MAX_SHARE = 0.8  # of the available memory that a dataset may take
LIMIT_VARIABLE = "KMAGIC_MEMORY_LIMIT"
_CGROUP = Path("/sys/fs/cgroup")
_USED = {"AS": "VmSize", "DATA": "VmData"}
"""What counts for a limit of the process, in ``/proc/self/status``."""
_UNITS = {unit: 1000**power for power, unit in enumerate(("", "K", "M", "G", "T"))}


def available_memory() -> int | None:
    """Bytes available without swapping; None if unknown.

    Limits of a container, of ``ulimit`` and of ``KMAGIC_MEMORY_LIMIT`` count, too. The latter is
    the memory that this process may take, such as "4GB".
    """
    limits = (_of_machine(), _of_container(), *map(_of_process, _USED), _of_variable())
    return min((limit for limit in limits if limit is not None), default=None)


def fits_memory(size: int) -> bool:
    """Whether data of this size fits into memory, as far as that is known."""
    available = available_memory()
    return available is None or size <= MAX_SHARE * available


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


def _of_process(kind: str) -> int | None:
    """What ``ulimit -v`` ("AS") or ``-d`` ("DATA") leaves to this process; None without a limit."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        limit, _ = resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))
    except (ImportError, OSError):
        return None
    used = _used(_USED[kind])
    return None if limit == resource.RLIM_INFINITY or used is None else max(0, limit - used)


def _of_variable() -> int | None:
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text, re.IGNORECASE)
    if match is None:
        raise DataError(f"{LIMIT_VARIABLE} must be a size such as 4GB; got {text!r}.")
    limit = int(float(match[1]) * _UNITS[match[2].upper()])
    return max(0, limit - (_used("RssAnon") or 0))


def _used(kind: str) -> int | None:
    """Bytes of a kind that this process uses; None if unknown."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    used = re.search(rf"{kind}:\s*(\d+) kB", status)
    return None if used is None else int(used[1]) * 1024
