"""How much memory is available, checked before it is filled."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil

from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes
from kmagic.support.messages import Text

MAX_SHARE = 0.8  # of the available memory that a dataset may take
LIMIT_VARIABLE = "KMAGIC_MEMORY_LIMIT"
_CGROUP = Path("/sys/fs/cgroup")
_USED = {"AS": "vms", "DATA": "data"}
"""What counts for a limit of the process, among its figures."""
_UNITS = {unit: 1000**power for power, unit in enumerate(("", "K", "M", "G", "T"))}


def available_memory() -> int:
    """Bytes available without swapping.

    Limits of a container, of ``ulimit`` and of ``KMAGIC_MEMORY_LIMIT`` count, too. The latter is
    the memory that this process may take, such as "4GB".
    """
    limits = [_of_container(), *map(_of_process, _USED), _of_variable()]
    free = int(psutil.virtual_memory().available)
    return min(free, *(free if limit is None else limit for limit in limits))


def fits_memory(size: int) -> bool:
    """Whether data of this size fits into memory."""
    return size <= MAX_SHARE * available_memory()


def require_memory(size: int, subject: str, remedy: str | Text) -> None:
    """Reject what does not fit into memory."""
    available = available_memory()
    if size > MAX_SHARE * available:
        raise DataError(
            f"{subject} would take {format_bytes(size)} of memory, but only "
            f"{format_bytes(available)} are available.",
            remedy,
        )


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
    if not hasattr(psutil, "RLIMIT_AS"):  # only Linux has it
        return None
    process = psutil.Process()
    limit, _ = process.rlimit(getattr(psutil, f"RLIMIT_{kind}"))
    used = getattr(process.memory_info(), _USED[kind])
    return None if limit == psutil.RLIM_INFINITY else max(0, limit - used)


def _of_variable() -> int | None:
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text, re.IGNORECASE)
    if match is None:
        raise DataError(f"{LIMIT_VARIABLE} must be a size such as 4GB; got {text!r}.")
    limit = int(float(match[1]) * _UNITS[match[2].upper()])
    return max(0, limit - private_memory())


def private_memory() -> int:
    """Bytes of memory of this process, without the files that it shares with others."""
    used = psutil.Process().memory_info()
    return int(used.rss - getattr(used, "shared", 0))
