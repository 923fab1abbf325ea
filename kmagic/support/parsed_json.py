"""JSON of files that others wrote."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 150
"""Nesting that no model needs, and that Python's recursion still survives."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, or nested too deeply.

    Example:
        >>> parse_json('{"units": [4, 8]}')
        {'units': [4, 8]}
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [
            item for each in inner for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
