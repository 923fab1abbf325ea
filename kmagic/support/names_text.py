"""Names that a user gave and counts of samples, as a line of words can carry them."""

from __future__ import annotations

import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"

_STEERING = {"RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def plain(name: str) -> str:
    r"""A name without the signs that steer the line it stands in: breaks, turns, bells.

    Example:
        >>> plain("a\nb"), plain("\u202ecat")
        ('a b', 'cat')
    """
    return "".join(
        " " if unicodedata.category(sign) == "Cc" else sign
        for sign in name
        if unicodedata.bidirectional(sign) not in _STEERING
    )


def isolate(name: str) -> str:
    """A plain name that cannot turn the words around it, if it runs from right to left.

    Example:
        >>> isolate("cat"), isolate("\u05d0") == "\u2068\u05d0\u2069"
        ('cat', True)
    """
    bare = plain(name)
    if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in bare):
        return f"{FIRST_STRONG_ISOLATE}{bare}{POP_ISOLATE}"
    return bare


def shorten(name: str, most: int) -> str:
    """A name of at most ``most`` signs, with its middle left out; of a text, whole words.

    Example:
        >>> shorten("photos/2024/elephant.jpg", 15), shorten("the [UNK] of a great film", 16)
        ('photos/…ant.jpg', 'the … film')
    """
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    start, end = name[:head], name[len(name) - (most - 1 - head) :]
    if not name[head].isspace():
        start = start[: _near(start, start.rfind(" ") + 1)]
    if not name[-len(end) - 1].isspace():
        end = end[::-1][: _near(end, len(end) - end.find(" ") if " " in end else 0)][::-1]
    return f"{start}…{end}"


def _near(part: str, place: int) -> int:
    """Where a part is cut: between two words, if that leaves the better part of it."""
    return place if 2 * place > len(part) else len(part)


def join(values: Sequence[str], most: int, *, more: bool = False) -> str:
    """Values with commas in at most ``most`` signs or a little more, none of them cut.

    Args:
        values: The values; the last ones are left out where they are too many.
        most: So many signs, if the first value alone is not longer.
        more: Whether there are more behind them.

    Example:
        >>> join(["1.554", "-0.4836", "1.028"], 15), join(["1", "2"], 15, more=True)
        ('1.554, -0.4836 ...', '1, 2 ...')
    """
    ends = list(accumulate(len(value) + 2 for value in values))
    kept = max(1, sum(end - 2 <= most for end in ends))
    said = ", ".join(values[:kept])
    return said + (" ..." if more or kept < len(values) else "")


def tally(value: float) -> str:
    """A count with commas; a sum of weights keeps two digits behind the point.

    Example:
        >>> tally(1009), tally(12.5)
        ('1,009', '12.5')
    """
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0")
