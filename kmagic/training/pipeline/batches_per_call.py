"""How many batches one execution takes: as many as fit into a tenth of a second."""

from __future__ import annotations

import math

LONGEST = 0.1
"""Seconds that one execution may take: a view stays live, and a stop is quick."""
GROWTH = 8
"""One execution's time foretells that of another so many times as long, and no longer."""


class Stride:
    """Chooses the length of the next execution by the time that those before it took.

    The first execution is of one batch and tells nothing, since the graph is made in it; the
    second is of one batch as well.

    Args:
        most: Batches in an execution at most, where somebody watches each of them.
        longest: Seconds that an execution may take.

    Attributes:
        batch: Seconds that a batch takes; None until that is known.

    Example:
        >>> stride = Stride()
        >>> stride.next(1000)
        1
        >>> stride.took(1, 2.0)  # most of it for the graph
        >>> stride.took(stride.next(999), 0.002)
        >>> stride.next(998)
        8
    """

    def __init__(self, most: int | None = None, *, longest: float = LONGEST) -> None:
        self._most = most
        self._longest = longest
        self.batch: float | None = None
        self._last = 0

    def next(self, left: int) -> int:
        """Batches for the next execution.

        Args:
            left: Batches to the end of the epoch, 1 or more. They are shared out evenly, so that
                no short execution is left for the end.
        """
        if self.batch is None:
            return 1
        fitting = int(self._longest / self.batch) if self.batch > 0 else left
        most = max(1, min(fitting, GROWTH * self._last, self._most or left))
        return math.ceil(left / math.ceil(left / most))

    def took(self, batches: int, seconds: float | None) -> None:
        """The execution of so many batches took so long; None where that tells nothing."""
        if self._last and seconds is not None:
            batch = seconds / batches
            self.batch = batch if self.batch is None else (self.batch + batch) / 2
        self._last = batches
