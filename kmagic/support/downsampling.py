"""A curve of any length in bounded memory, without losing its extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Point: TypeAlias = tuple[float, float]


class BoundedSeries:
    """Points in the order they came; beyond ``limit`` only the lowest and highest of each stretch.

    All stretches are of the same length, and it doubles whenever the series is full: so a
    million points cost no more room than ``limit``, and no peak is ever lost.

    Args:
        limit: How many points are kept at most, not counting the newest stretch.

    Example:
        >>> series = BoundedSeries(limit=4)
        >>> for x in range(1000):
        ...     series.append(x, 100.0 if x == 321 else 0.0)
        >>> len(series.points()) <= 8, max(y for _, y in series.points())
        (True, 100.0)
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = max(4, limit)
        self._kept: list[Point] = []
        self._length = 1
        self._count = 0
        self._stretch: tuple[Point, Point] | None = None  # its lowest and its highest
        self._newest: Point | None = None

    def append(self, x: float, y: float) -> None:
        """Add the next point; ``x`` never falls."""
        point = self._newest = (x, y)
        low, high = self._stretch or (point, point)
        if y < low[1] or low[1] != low[1]:  # a NaN gives way to any figure
            low = point
        if y > high[1] or high[1] != high[1]:
            high = point
        self._stretch = (low, high)
        self._count += 1
        if self._count >= self._length:
            self._kept += sorted({low, high})
            self._stretch, self._count = None, 0
            if len(self._kept) >= self._limit:
                self._kept = _by_stretch(self._kept, 4)
                self._length = 4 if self._length == 1 else 2 * self._length

    def points(self) -> list[Point]:
        """What is kept, the newest point among it."""
        points = [*self._kept, *(sorted(set(self._stretch)) if self._stretch else ())]
        if self._newest and points[-1][0] != self._newest[0]:
            points.append(self._newest)
        return points


def downsample(points: Sequence[Point], limit: int) -> list[Point]:
    """At most about ``limit`` points of a finished curve: both ends, and each stretch's extremes.

    Example:
        >>> curve = [(float(x), 1.0 if x == 70 else 0.0) for x in range(100)]
        >>> few = downsample(curve, 10)
        >>> len(few) <= 12, (70.0, 1.0) in few, few[0], few[-1]
        (True, True, (0.0, 0.0), (99.0, 0.0))
    """
    if len(points) <= limit:
        return list(points)
    length = -(-2 * len(points) // max(limit, 4))
    inner = _by_stretch(points[1:-1], length)
    return [points[0], *inner, points[-1]]


def _by_stretch(points: Sequence[Point], length: int) -> list[Point]:
    kept: list[Point] = []
    for start in range(0, len(points), length):
        kept += _extremes(points[start : start + length])
    return kept


def _extremes(points: Sequence[Point]) -> list[Point]:
    """The lowest and the highest point, in their order; a NaN counts only among its like."""
    real = [point for point in points if point[1] == point[1]]
    if not real:
        return list(points[:1])
    low = min(real, key=lambda point: point[1])
    high = max(real, key=lambda point: point[1])
    return sorted({low, high})
