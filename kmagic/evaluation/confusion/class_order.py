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

MAX_OPTIMAL = 300  # classes up to which the order within the clusters is optimized too


def order_classes(matrix: NDArray[Any], names: Sequence[str], by: Order) -> NDArray[np.intp]:
    """Indices of the classes in an order.

    "name" sorts numbers in names by their value, "support" the largest class first, "error" the
    lowest recall first, "similarity" often confused classes next to each other.

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
        error_rate = divide(support - np.diagonal(matrix), support)
        return np.lexsort((classes, -support, -error_rate))
    if by == "similarity":
        return _cluster(matrix)
    return classes


def natural_order(names: Sequence[str]) -> NDArray[np.intp]:
    """Indices that sort names alphabetically, with numbers in them by their value."""
    return np.array(
        sorted(range(len(names)), key=lambda index: _natural_key(names[index])), np.intp
    )


def check_order(by: str) -> None:
    """Reject an unknown order."""
    if by not in get_args(Order):
        orders = ", ".join(get_args(Order))
        raise EvaluationError(option="order", expected=f"one of {orders}", actual=by)


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """A name's parts, so that "class 10" comes after "class 2"."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts]


def _cluster(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Average-linkage clusters, where classes are close that are often confused."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - slow to import
    from scipy.spatial.distance import squareform  # noqa: PLC0415 - as above

    shares = divide(matrix, matrix.sum(axis=1, keepdims=True))
    confused = shares + shares.T
    np.fill_diagonal(confused, 0)
    is_confused = confused.any(axis=1)
    among, rest = np.flatnonzero(is_confused), np.flatnonzero(~is_confused)
    if len(among) > 2:  # noqa: PLR2004 - two have only one order
        near = confused[np.ix_(among, among)]
        distance = 1 - near / near.max()
        np.fill_diagonal(distance, 0)
        tree = linkage(
            squareform(distance, checks=False),
            method="average",
            optimal_ordering=len(among) <= MAX_OPTIMAL,
        )
        among = among[leaves_list(tree)]
    return np.concatenate([among, rest]).astype(np.intp)
