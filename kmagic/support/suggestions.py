"""The nearest known word to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

BEGINNING = 5
"""A word of so many letters that others begin with is meant for the shortest of these."""
IPYTHON_NAMES = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})
"""Names that a notebook has without its user's doing."""


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> list[str]:
    """The known words most like ``word``, best first; none if nothing is close.

    Example:
        >>> nearest("rleu", ["relu", "elu", "tanh"]), nearest("boston", ["boston_housing", "mnist"])
        (['relu'], ['boston_housing'])
    """
    pool = sorted({each for each in known if each})
    wanted = _squeeze(word)
    by_form = {_squeeze(each): each for each in reversed(pool)}
    if wanted in by_form:
        return [by_form[wanted]]
    longer = [each for each in by_form if len(wanted) >= BEGINNING and each.startswith(wanted)]
    if longer:
        return [by_form[each] for each in sorted(longer, key=len)[:count]]
    close = get_close_matches(wanted, by_form, n=max(count, 3), cutoff=0.66)
    close.sort(key=lambda each: (-_likeness(wanted, each), each))
    return [by_form[each] for each in close[:count]]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest known word, or nothing.

    Example:
        >>> did_you_mean("conv2", ["conv2d", "dense"])
        'Did you mean conv2d?'
    """
    found = nearest(word, known)
    return f"Did you mean {found[0]}?" if found else ""


def _squeeze(word: str) -> str:
    return word.replace("_", "").lower()


def _likeness(one: str, other: str) -> float:
    same_letters = 0.1 * (sorted(one) == sorted(other))
    return SequenceMatcher(None, one, other).ratio() + same_letters
