"""Keep the shape of a long curve with few points."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Point: TypeAlias = tuple[float, float]


class BoundedSeries:
    """A growing series of points in bounded memory.

    Above ``limit`` points, only the lowest and the highest point of each interval are kept. All
    intervals have the same length, which doubles whenever the series is full, so no peak is lost.

    Args:
        limit: Maximum number of points, not counting the newest interval.

    Example:
        >>> series = BoundedSeries(limit=4)
        >>> for x in range(1000):
        ...     series.append(x, 100.0 if x == 321 else 0.0)
        >>> len(series.points()) <= 8, max(y for _, y in series.points())
        (True, 100.0)
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = max(4, limit)
        self._points: list[Point] = []
        self._length = 1
        self._count = 0
        self._interval: tuple[Point, Point] | None = None  # its lowest and highest point
        self._newest: Point | None = None

    def append(self, x: float, y: float) -> None:
        """Add the next point; ``x`` must not decrease."""
        point = self._newest = (x, y)
        low, high = self._interval or (point, point)
        if y < low[1] or low[1] != low[1]:  # any value replaces a NaN
            low = point
        if y > high[1] or high[1] != high[1]:
            high = point
        self._interval = (low, high)
        self._count += 1
        if self._count >= self._length:
            self._points += sorted({low, high})
            self._interval, self._count = None, 0
            if len(self._points) >= self._limit:
                self._points = _extremes_by_interval(self._points, 4)
                self._length = 4 if self._length == 1 else 2 * self._length

    def points(self) -> list[Point]:
        """The points that are kept, including the newest one."""
        points = [*self._points, *(sorted(set(self._interval)) if self._interval else ())]
        if self._newest and points[-1][0] != self._newest[0]:
            points.append(self._newest)
        return points


def downsample(points: Sequence[Point], limit: int) -> list[Point]:
    """Reduce a finished curve to about ``limit`` points: both ends and each interval's extremes.

    Example:
        >>> curve = [(float(x), 1.0 if x == 70 else 0.0) for x in range(100)]
        >>> few = downsample(curve, 10)
        >>> len(few) <= 12, (70.0, 1.0) in few, few[0], few[-1]
        (True, True, (0.0, 0.0), (99.0, 0.0))
    """
    if len(points) <= limit:
        return list(points)
    length = -(-2 * len(points) // max(limit, 4))
    inner = _extremes_by_interval(points[1:-1], length)
    return [points[0], *inner, points[-1]]


def _extremes_by_interval(points: Sequence[Point], length: int) -> list[Point]:
    extremes: list[Point] = []
    for start in range(0, len(points), length):
        extremes += _extremes(points[start : start + length])
    return extremes


def _extremes(points: Sequence[Point]) -> list[Point]:
    """The lowest and the highest point, in their order; NaN only if there is nothing else."""
    real = [point for point in points if point[1] == point[1]]
    if not real:
        return list(points[:1])
    low = min(real, key=lambda point: point[1])
    high = max(real, key=lambda point: point[1])
    return sorted({low, high})
