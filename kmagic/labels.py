"""Names that a user gave and counts of samples, as a line of words can carry them."""

from __future__ import annotations

import unicodedata

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
    """A name of at most ``most`` signs, with its middle left out.

    Example:
        >>> shorten("photos/2024/elephant.jpg", 15)
        'photos/…ant.jpg'
    """
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def tally(value: float) -> str:
    """A count with commas; a sum of weights keeps two digits behind the point.

    Example:
        >>> tally(1009), tally(12.5)
        ('1,009', '12.5')
    """
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0")
