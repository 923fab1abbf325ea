"""Containers that are nested too deeply to be data, or contain themselves."""

from __future__ import annotations

from collections import UserDict, deque
from collections.abc import Mapping
from itertools import chain
from typing import Any

MAX_DEPTH = 64
"""Levels of lists, tuples and dictionaries; as many as an array of NumPy can have axes."""
MAX_ITEMS = 1_000_000


def nesting_problem(value: Any) -> str:
    """Why the lists, dictionaries and arrays in a value must not be walked; "" if they may.

    Example:
        >>> circle = [1]
        >>> circle.append({"circle": circle})
        >>> nesting_problem(circle)
        'contains itself, or is nested more than 64 levels deep'
    """
    level: list[Any] = [[value]]
    is_repeated = False
    for _ in range(MAX_DEPTH + 1):
        items = chain.from_iterable(map(_children, level))
        inner = [item for item in items if type(item) not in _LEAVES and _is_container(item)]
        level = list({id(item): item for item in inner}.values())
        is_repeated = is_repeated or len(level) < len(inner)
        if not level:
            is_too_large = is_repeated and _repeats_too_much(value)
            return f"has more than {MAX_ITEMS:,} items" if is_too_large else ""
    return f"contains itself, or is nested more than {MAX_DEPTH} levels deep"


_LEAVES = frozenset((int, float, str, bytes, bool, type(None)))
"""Of these there may be millions."""


def _is_container(value: Any) -> bool:
    if isinstance(value, list | tuple | dict | deque | UserDict):
        return True
    return type(value).__name__ == "ndarray" and value.dtype.kind == "O"


def _children(container: Any) -> Any:
    if isinstance(container, Mapping):
        return container.values()
    return container.ravel().tolist() if hasattr(container, "ravel") else container


def _repeats_too_much(value: Any) -> bool:
    """Whether a list contains an inner list so often that it has too many items in all."""
    sizes: dict[int, int] = {}  # with the items of inner lists, as often as they occur
    own_sizes: list[int] = []

    def size(part: Any) -> int:
        if not _is_container(part):
            return 1
        if id(part) not in sizes:
            children = list(_children(part))
            own_sizes.append(len(children))
            sizes[id(part)] = sum(map(size, children))
        return sizes[id(part)]

    return size(value) > max(MAX_ITEMS, 100 * sum(own_sizes))
