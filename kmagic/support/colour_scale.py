"""The colour scale of confusion matrices, independent of what draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_OPACITY, MAX_OPACITY = 0.15, 0.75  # text on the darkest cell stays legible
DIAGONAL_TINT = 0.15


def colour_values(
    values: NDArray[Any], *, log: bool = False, diagonal: bool = False
) -> NDArray[np.float64]:
    """The signed opacity of each cell: errors are positive, correct predictions negative.

    Args:
        values: Counts or fractions, shape (classes, classes).
        log: Use a logarithmic scale.
        diagonal: Include the diagonal in the scale; otherwise it gets a constant tint.

    Returns:
        Values from -0.75 to 0.75; 0 for empty cells.

    Example:
        >>> colour_values(np.array([[90, 4], [2, 80]])).round(2).tolist()
        [[-0.15, 0.75], [0.45, -0.15]]
    """
    values = np.asarray(values, dtype=np.float64)
    correct = np.eye(len(values), dtype=bool)
    scaled = values if diagonal else np.where(correct, 0, values)
    opacity = _to_opacity(scaled, log=log)
    if not diagonal:
        opacity = np.where(correct & (values > 0), DIAGONAL_TINT, opacity)
    return np.asarray(np.where(correct, -opacity, opacity))


def difference_values(change: NDArray[Any]) -> NDArray[np.float64]:
    """The signed opacity of each cell of new counts minus old counts, from -0.75 to 0.75.

    Improvements are negative: fewer errors and more correct predictions.
    """
    values = np.array(change, dtype=np.float64)
    correct = np.eye(len(values), dtype=bool)
    values[correct] *= -1
    # A diagonal cell changes by the sum of its row, so it would dominate the scale.
    largest = np.abs(values[~correct]).max(initial=0) or np.abs(values).max(initial=0)
    size = np.minimum(np.abs(values), largest)
    return np.asarray(np.sign(values) * _to_opacity(size, log=False))


def _to_opacity(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    """Scale positive values to between the minimum and maximum opacity; zero stays zero."""
    positive = values > 0
    if not positive.any():
        return np.zeros_like(values)
    high, low = float(values.max()), float(values[positive].min())
    if log and high > low:
        fraction = np.zeros_like(values)
        np.log(values / low, out=fraction, where=positive)
        fraction /= np.log(high / low)
    else:
        fraction = values / high
    opacity = MIN_OPACITY + (MAX_OPACITY - MIN_OPACITY) * fraction
    return np.asarray(np.where(positive, opacity, 0))
