"""The order in which the classes of a matrix are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from kmagic.evaluation.confusion.class_metrics import divide
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Order: TypeAlias = Literal["given", "name", "support", "error", "similarity"]

SMOOTHED = 300  # up to so many classes, neighbours within a block are put in the best order too


def order_classes(matrix: NDArray[Any], names: Sequence[str], by: Order) -> NDArray[np.intp]:
    """Positions of the classes in the order asked for.

    Args:
        matrix: Counts of shape (classes, classes).
        names: Names of the classes.
        by: "given"; "name", numbers within names by their value; "support", the largest class
            first; "error", the class with the largest share of mistakes first; "similarity",
            classes that are taken for one another beside each other, as blocks.

    Raises:
        EvaluationError: There is no such order.

    Example:
        >>> counts = np.array([[5, 0, 4], [0, 9, 0], [4, 0, 5]])
        >>> order_classes(counts, ["b", "a", "c"], "similarity").tolist()
        [0, 2, 1]
    """
    check_order(by)
    classes = np.arange(len(names))
    if by == "name":
        return natural_order(names)
    support = matrix.sum(axis=1)
    if by == "support":
        return np.lexsort((classes, -support))
    if by == "error":
        missed = divide(support - np.diagonal(matrix), support)
        return np.lexsort((classes, -support, -missed))
    if by == "similarity":
        return _blocks(matrix)
    return classes


def natural_order(names: Sequence[str]) -> NDArray[np.intp]:
    """Positions of the names by alphabet, numbers within them by their value."""
    places = sorted(range(len(names)), key=lambda place: _natural(names[place]))
    return np.array(places, dtype=np.intp)


def check_order(by: str) -> None:
    """Refuse an order that does not exist."""
    if by not in get_args(Order):
        raise EvaluationError(
            f"order must be one of {', '.join(get_args(Order))}; received {by!r}."
        )


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A name's parts so that "class 10" comes after "class 2"."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts]


def _blocks(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Average-linkage clusters of classes, as near as they are often confused."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - slow to import
    from scipy.spatial.distance import squareform  # noqa: PLC0415 - as above

    classes = len(matrix)
    shares = divide(matrix, matrix.sum(axis=1, keepdims=True))
    confused = shares + shares.T
    np.fill_diagonal(confused, 0)
    among = np.flatnonzero(confused.any(axis=1))
    if len(among) < 3:  # noqa: PLR2004 - two have one order, and it is the given one
        rest = np.setdiff1d(np.arange(classes), among)
        return np.concatenate([among, rest])
    near = confused[np.ix_(among, among)]
    distance = 1 - near / near.max()
    np.fill_diagonal(distance, 0)
    tree = linkage(
        squareform(distance, checks=False),
        method="average",
        optimal_ordering=len(among) <= SMOOTHED,
    )
    rest = np.setdiff1d(np.arange(classes), among)
    return np.concatenate([among[leaves_list(tree)], rest]).astype(np.intp)
