"""Suggest the nearest known word for an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from typing import Self

MIN_PREFIX = 5
"""From this length on, a word is taken for the shortest known word that it is a prefix of."""
IPYTHON_NAMES = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})
"""Notebook variables that IPython defines."""


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> list[str]:
    """The known words most similar to ``word``, best first; empty if none is close.

    Example:
        >>> nearest("rleu", ["relu", "elu", "tanh"]), nearest("boston", ["boston_housing", "mnist"])
        (['relu'], ['boston_housing'])
    """
    return list(_nearest(word, frozenset(known), count))


@lru_cache(1000)
def _nearest(word: str, known: frozenset[str], count: int) -> list[str]:
    pool = sorted(known - {""})
    wanted = _squeeze(word)
    by_form = {_squeeze(name): name for name in reversed(pool)}
    if wanted in by_form:
        return [by_form[wanted]]
    longer = [form for form in by_form if len(wanted) >= MIN_PREFIX and form.startswith(wanted)]
    if longer:
        return [by_form[form] for form in sorted(longer, key=len)[:count]]
    close = get_close_matches(wanted, by_form, n=max(count, 3), cutoff=0.66)
    close.sort(key=lambda form: (-_similarity(wanted, form), form))
    return [by_form[form] for form in close[:count]]


class Suggestion(str):  # noqa: SLOT000 - it has attributes
    """A remedy that replaces one word of the text, so an editor can offer it as a change.

    Args:
        word: The word.
        replacement: What to write instead.
        remedy: The remedy, if it is not the sentence "Did you mean ...?".
    """

    word: str
    replacement: str

    def __new__(cls, word: str, replacement: str, remedy: str = "") -> Self:
        """Write the sentence."""
        self = super().__new__(cls, remedy or f"Did you mean {replacement}?")
        self.word, self.replacement = word, replacement
        return self


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The sentence "Did you mean ...?" for the nearest known word; empty if none is close.

    Example:
        >>> did_you_mean("conv2", ["conv2d", "dense"])
        'Did you mean conv2d?'
    """
    suggestions = nearest(word, known)
    return Suggestion(word, suggestions[0]) if suggestions else ""


def _squeeze(word: str) -> str:
    return word.replace("_", "").lower()


def _similarity(one: str, other: str) -> float:
    same_letters = 0.1 * (sorted(one) == sorted(other))
    return SequenceMatcher(None, one, other).ratio() + same_letters
