"""Which rows go where: seeded choices that keep every class's share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stratified_sample(labels: NDArray[Any], count: int, seed: int) -> NDArray[np.intp]:
    """Choose ``count`` rows so that each class keeps its share, in the rows' own order.

    Args:
        labels: One label a row.
        count: How many rows.
        seed: The same seed gives the same rows.

    Returns:
        Sorted positions.

    Example:
        >>> import numpy as np
        >>> labels = np.array([0] * 8 + [1] * 4)
        >>> labels[stratified_sample(labels, 3, seed=0)].tolist()
        [0, 0, 1]
    """
    rng = np.random.default_rng(seed)
    names, members = np.unique(labels, return_inverse=True)
    wanted = _shares(np.bincount(members, minlength=len(names)), count)
    chosen = [
        rng.permutation(np.flatnonzero(members == each))[:some] for each, some in enumerate(wanted)
    ]
    return np.sort(np.concatenate(chosen))


def train_test_indices(
    rows: int, fraction: float, seed: int, labels: NDArray[Any] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Divide rows into a training and a test part, both in shuffled order.

    Args:
        rows: How many rows there are.
        fraction: The test part, between 0 and 1.
        seed: The same seed gives the same parts.
        labels: One label a row, to keep each class's share in both parts; a class of two rows
            or more then has a row in each.

    Returns:
        Positions of the training rows, positions of the test rows.

    Example:
        >>> train, test = train_test_indices(10, 0.3, seed=1)
        >>> len(train), len(test)
        (7, 3)
    """
    rng = np.random.default_rng(seed)
    count = min(max(round(rows * fraction), 1), rows - 1)
    if labels is None:
        test = rng.permutation(rows)[:count]
    else:
        test = rng.permutation(stratified_sample(labels, count, seed))
    is_train = np.ones(rows, dtype=bool)
    is_train[test] = False
    return rng.permutation(np.flatnonzero(is_train)), test


def _shares(counts: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """Largest remainders: whole numbers that add up to ``total`` in proportion to ``counts``."""
    exact = counts * total / counts.sum()
    given = np.floor(exact).astype(np.intp)
    neediest = np.argsort(given - exact, kind="stable")
    given[neediest[: total - given.sum()]] += 1
    least = (counts > 1).astype(np.intp)
    shares: NDArray[np.intp] = np.clip(given, least, np.maximum(counts - 1, least))
    return shares
