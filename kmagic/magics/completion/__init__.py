"""What can be written at the cursor in a model's text. Knows no IPython and starts no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.magics.completion.candidates import Candidates, Completion
from kmagic.magics.completion.cursor_position import locate
from kmagic.magics.completion.names_in_scope import scope_at

__all__ = ["Completion", "complete"]


def complete(text: str, cursor: int, names: Mapping[str, Any]) -> list[Completion]:
    r"""What can stand at the cursor, the likeliest first.

    Args:
        text: A model's text, without the line of the magic.
        cursor: Offset into it.
        names: The notebook's names.

    Returns:
        Completions, each with the offset from which it replaces the text up to the cursor.

    Example:
        >>> text = "block res(f):\n  conv2d {f}\nre"
        >>> [each.text for each in complete(text, len(text), {})][:2]
        ['res', 'reuse']
    """
    place = locate(text, cursor)
    found = Candidates(place, scope_at(text, cursor), names).all()
    start = cursor - len(place.fragment)
    return [each.at(start) for each in found]
