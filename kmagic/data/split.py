"""Split samples into a training and a test part; seeded, with every class in its proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.load_options import DEFAULT_SPLIT
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Option, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.data.load_options import LoadOptions


def stratified_sample(labels: NDArray[Any], count: int, seed: int) -> NDArray[np.intp]:
    """Choose ``count`` rows so that each class keeps its proportion.

    Args:
        labels: One label per row.
        count: Number of rows.
        seed: The same seed gives the same rows.

    Returns:
        Sorted row indices.

    Example:
        >>> import numpy as np
        >>> labels = np.array([0] * 8 + [1] * 4)
        >>> labels[stratified_sample(labels, 3, seed=0)].tolist()
        [0, 0, 1]
    """
    rng = np.random.default_rng(seed)
    classes, class_indices = np.unique(labels, return_inverse=True)
    sizes = _proportional(np.bincount(class_indices, minlength=len(classes)), count)
    chosen = [
        rng.permutation(np.flatnonzero(class_indices == index))[:size]
        for index, size in enumerate(sizes)
    ]
    return np.sort(np.concatenate(chosen))


def _proportional(counts: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """Integers in proportion to ``counts`` that add up to ``total``, by largest remainders."""
    exact = counts * total / counts.sum()
    sizes = np.floor(exact).astype(np.intp)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: total - sizes.sum()]] += 1
    minimum = (counts > 1).astype(np.intp)
    clipped: NDArray[np.intp] = np.clip(sizes, minimum, np.maximum(counts - 1, minimum))
    return clipped


def train_test_indices(
    rows: int, fraction: float, seed: int, labels: NDArray[Any] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into a training and a test part, both shuffled.

    Unlike scikit-learn's stratified split this one has every class of two rows or more in both
    parts, and takes classes of one row and test parts smaller than the number of classes.

    Args:
        rows: Number of rows.
        fraction: Share of the test part, between 0 and 1.
        seed: The same seed gives the same parts.
        labels: One label per row, to keep the proportion of each class.

    Returns:
        Indices of the training rows, indices of the test rows.

    Example:
        >>> train, test = train_test_indices(10, 0.3, seed=1)
        >>> len(train), len(test)
        (7, 3)
    """
    rng = np.random.default_rng(seed)
    count = min(max(round(rows * fraction), 1), rows - 1)
    chosen = (
        rng.permutation(rows)[:count]
        if labels is None
        else rng.permutation(stratified_sample(labels, count, seed))
    )
    is_train = np.ones(rows, dtype=bool)
    is_train[chosen] = False
    return rng.permutation(np.flatnonzero(is_train)), chosen


def split_rows(
    rows: int,
    options: LoadOptions,
    name: str,
    labels: NDArray[Any] | None = None,
    classes: Sequence[str] | None = (),
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split data that have no parts of their own, as the options say."""
    if rows < 2:  # noqa: PLR2004 - one for each part
        raise DataError(
            f"{name} has {pluralize(rows, 'row')}, too few for a training and a test part."
        )
    if labels is not None and classes:
        single = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1)
        if single.size:
            has = "has one row" if single.size == 1 else "have one row each"
            raise DataError(
                f"{_class_list(single, classes)} of {name} {has}; at least 2 are needed, one for "
                "each part.",
                "Add rows, merge these classes into another one, or leave them out; or pass the "
                "training and the test part yourself.",
            )
    return train_test_indices(rows, options.split or DEFAULT_SPLIT, options.seed, labels)


def check_test_classes(
    train: NDArray[Any], test: NDArray[Any], classes: Sequence[str], name: str
) -> str:
    """Compare the classes of given parts.

    Returns:
        A note on classes without test rows, or "".
    """
    in_train, in_test = (np.bincount(part, minlength=len(classes)) > 0 for part in (train, test))
    unseen = np.flatnonzero(in_test & ~in_train)
    if unseen.size:
        is_in = "is" if unseen.size == 1 else "are"
        raise DataError(
            f"{_class_list(unseen, classes)} of {name} {is_in} in the test part, but not in the "
            "training part: a model cannot learn a class without training rows.",
            Text(
                "Add training rows, leave these out, or pass ",
                Option("split", 0.2),
                " to split all rows again.",
            ),
        )
    missing = np.flatnonzero(in_train & ~in_test)
    if not missing.size:
        return ""
    has = "has" if missing.size == 1 else "have"
    return f"{_class_list(missing, classes)} {has} no rows in the test part."


def _class_list(indices: NDArray[np.intp], classes: Sequence[str]) -> str:
    names = [classes[index] for index in indices.tolist()]
    return f"{'Class' if len(names) == 1 else 'Classes'} {list_names(names, 5)}"
