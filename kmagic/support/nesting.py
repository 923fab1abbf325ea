"""Containers that are nested too deeply to be data, or contain themselves."""

from __future__ import annotations

import gc
from itertools import chain
from typing import Any

MAX_DEPTH = 64
"""Levels of lists, tuples and dictionaries; as many as an array of NumPy can have axes."""
MAX_ITEMS = 1_000_000


def nesting_problem(value: Any) -> str:
    """Why the lists, tuples and dictionaries in a value must not be walked; "" if they may.

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
        # Of numbers and texts there may be millions, which the garbage collector does not track.
        inner = [item for item in filter(gc.is_tracked, items) if isinstance(item, _CONTAINERS)]
        level = list({id(item): item for item in inner}.values())
        is_repeated = is_repeated or len(level) < len(inner)
        if not level:
            is_too_large = is_repeated and _repeats_too_much(value)
            return f"has more than {MAX_ITEMS:,} items" if is_too_large else ""
    return f"contains itself, or is nested more than {MAX_DEPTH} levels deep"


_CONTAINERS = list, tuple, dict


def _children(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _repeats_too_much(value: Any) -> bool:
    """Whether a list contains an inner list so often that it has too many items in all."""
    sizes: dict[int, int] = {}  # with the items of inner lists, as often as they occur
    own_sizes: list[int] = []

    def size(part: Any) -> int:
        if not isinstance(part, _CONTAINERS):
            return 1
        if id(part) not in sizes:
            own_sizes.append(len(part))
            sizes[id(part)] = sum(map(size, _children(part)))
        return sizes[id(part)]

    return size(value) > max(MAX_ITEMS, 100 * sum(own_sizes))
