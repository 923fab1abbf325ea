"""How strongly each cell of a matrix is coloured, whatever draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAINT, FULL = 0.15, 0.75  # of the least and of the worst mistake: text stays legible on it
DIAGONAL_TINT = 0.15  # of what is right


def colour_values(
    shown: NDArray[Any], *, log: bool = False, diagonal: bool = False
) -> NDArray[np.float64]:
    """The opacity of each cell: mistakes positive, what is right negative.

    Args:
        shown: Counts or shares, shape (classes, classes).
        log: Whether the colours follow the logarithm.
        diagonal: Whether the diagonal takes part in the scale; else it is only tinted.

    Returns:
        Values from -0.75 to 0.75; 0 where there is nothing.

    Example:
        >>> colour_values(np.array([[90, 4], [2, 80]])).round(2).tolist()
        [[-0.15, 0.75], [0.45, -0.15]]
    """
    values = np.asarray(shown, dtype=np.float64)
    right = np.eye(len(values), dtype=bool)
    scaled = values if diagonal else np.where(right, 0, values)
    strength = _spread(scaled, log=log)
    if not diagonal:
        strength = np.where(right & (values > 0), DIAGONAL_TINT, strength)
    return np.asarray(np.where(right, -strength, strength))


def difference_values(change: NDArray[Any]) -> NDArray[np.float64]:
    """The opacity of each cell of a signed matrix: better negative, worse positive.

    Args:
        change: Counts now minus counts before, shape (classes, classes).

    Returns:
        Values from -0.75 to 0.75; fewer mistakes and more hits are better.
    """
    values = np.array(change, dtype=np.float64)
    right = np.eye(len(values), dtype=bool)
    values[right] *= -1
    # The diagonal gathers what its row loses, so it would outshine all mistakes.
    most = np.abs(values[~right]).max(initial=0) or np.abs(values).max(initial=0)
    size = np.minimum(np.abs(values), most)
    return np.asarray(np.sign(values) * _spread(size, log=False))


def _spread(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    """Positive values between faint and full, nought as nought."""
    there = values > 0
    if not there.any():
        return np.zeros_like(values)
    most, least = float(values.max()), float(values[there].min())
    if log and most > least:
        share = np.zeros_like(values)
        np.log(values / least, out=share, where=there)
        share /= np.log(most / least)
    else:
        share = values / most
    return np.asarray(np.where(there, FAINT + (FULL - FAINT) * share, 0))
