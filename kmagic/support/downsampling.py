"""Keep the shape of a long curve with few points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

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
        self.newest: Point | None = None

    def append(self, x: float, y: float) -> None:
        """Add the next point; ``x`` must not decrease."""
        point = self.newest = (x, y)
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
        if self.newest and points[-1][0] != self.newest[0]:
            points.append(self.newest)
        return points


def limit_per_column(points: Sequence[Point], columns: int) -> list[Point]:
    """Reduce a curve to what can be seen when its x axis is divided into equal columns.

    Of each column the lowest and the highest point are kept, and both ends of the curve, so a
    drawing with a column per pixel differs by a pixel at most. A gap (y is not finite) remains a
    gap. A curve of up to two points per column is unchanged.

    Example:
        >>> curve = [(float(x), 1.0 if x == 70 else 0.0) for x in range(100)]
        >>> few = limit_per_column(curve, 5)
        >>> len(few) <= 12, (70.0, 1.0) in few, few[0], few[-1]
        (True, True, (0.0, 0.0), (99.0, 0.0))
    """
    if len(points) <= 2 * columns:
        return list(points)
    start, span = points[0][0], points[-1][0] - points[0][0]

    def place(point: Point) -> tuple[bool, int]:
        share = (point[0] - start) / span if span else 0.0
        return math.isfinite(point[1]), min(int(share * columns), columns - 1)

    few = [points[0]]
    for _, column in groupby(points[1:-1], place):
        few += _extremes(list(column))
    return [*few, points[-1]]


def drop_collinear(points: Sequence[Point], tolerance: float) -> list[Point]:
    """Leave out points that are at most ``tolerance`` above or below the line without them.

    Example:
        >>> drop_collinear([(0, 0), (1, 1.1), (2, 2), (3, 0)], 0.2)
        [(0, 0), (2, 2), (3, 0)]
    """
    kept = list(points[:1])
    low, high = -math.inf, math.inf  # slopes from the last kept point that pass all since
    previous = None
    for x, y in points[1:]:
        if previous is not None:
            slope = (y - kept[-1][1]) / (x - kept[-1][0]) if x > kept[-1][0] else math.nan
            if not low <= slope <= high:
                kept.append(previous)
                low, high = -math.inf, math.inf
        if (width := x - kept[-1][0]) > 0:
            low = max(low, (y - tolerance - kept[-1][1]) / width)
            high = min(high, (y + tolerance - kept[-1][1]) / width)
        previous = (x, y)
    return kept if previous is None else [*kept, previous]


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
