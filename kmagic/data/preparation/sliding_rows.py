"""Windows that share their rows, as a view: no row is stored more than once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

_AXES = 3  # of windows: samples, steps, columns


@dataclass(frozen=True, slots=True, eq=False)
class SlidingRows:
    """Rows, and how windows of them follow one another.

    Attributes:
        rows: The rows, (rows, columns).
        window: Number of rows of a window.
        count: Number of windows.
        step: Rows from the beginning of a window to that of the next one.
        every: Rows from one step of a window to the next one; several series that alternate have
            one row each.
    """

    rows: NDArray[Any]
    window: int
    count: int
    step: int = 1
    every: int = 1

    @classmethod
    def of(cls, x: Any) -> Self | None:
        """The rows that windows share, (windows, steps, columns); None if they share none.

        Example:
            >>> rows = np.arange(20.0).reshape(10, 2)
            >>> windows = SlidingRows(rows, 4, 3, step=2).windows()
            >>> SlidingRows.of(windows).rows.shape, SlidingRows.of(windows.copy()) is None
            ((8, 2), True)
        """
        if not isinstance(x, np.ndarray) or x.ndim != _AXES or not x.size or len(x) == 1:
            return None
        size = x.itemsize * x.shape[2]
        step, every = (stride // size for stride in x.strides[:2])
        are_rows = x.strides == (step * size, every * size, x.itemsize) and min(step, every) > 0
        length = (len(x) - 1) * step + (x.shape[1] - 1) * every + 1
        if not are_rows or length >= len(x) * x.shape[1]:
            return None
        rows = as_strided(x, (length, x.shape[2]), (size, x.itemsize), writeable=False)
        return cls(rows, x.shape[1], len(x), step, every)

    def windows(self) -> NDArray[Any]:
        """The windows as a view, (windows, steps, columns), which is read-only."""
        rows = np.ascontiguousarray(self.rows)
        span = (self.window - 1) * self.every + 1
        spans = sliding_window_view(rows, span, axis=0).swapaxes(1, 2)
        return spans[:: self.step, :: self.every][: self.count]

    def with_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The same windows of other values of the rows, which may have other columns."""
        return replace(self, rows=rows).windows()


def stored_bytes(x: Any) -> int:
    """Bytes of memory of an array; rows that windows share count once."""
    sliding = SlidingRows.of(x)
    return int(x.nbytes if sliding is None else sliding.rows.nbytes)
