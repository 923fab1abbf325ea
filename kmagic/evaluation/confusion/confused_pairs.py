"""The most confused pairs of classes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST = 40  # signs of a name in a sentence


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classes, the first of which was taken for the second.

    Attributes:
        true: Position of the true class.
        predicted: Position of the class it was taken for.
        true_name: Name of the true class.
        predicted_name: Name of the class it was taken for.
        count: How many samples, or their weight.
        support: How many samples the true class has, or their weight.
    """

    true: int
    predicted: int
    true_name: str
    predicted_name: str
    count: float
    support: float

    def words(self) -> str:
        """The pair as a sentence's worth of words: "9 taken for 4: 7 of 1,009"."""
        return f"{self.title()}: {format_count(self.count)} of {format_count(self.support)}"

    def title(self) -> str:
        """What was taken for what: "9 taken for 4"."""
        true, pred = (
            isolate_direction(shorten_name(n, LONGEST))
            for n in (self.true_name, self.predicted_name)
        )
        return f"{true} taken for {pred}"


def worst_pairs(matrix: NDArray[Any], classes: Sequence[str], n: int | None = None) -> list[Pair]:
    """The pairs of a matrix, worst first: by count, then by share of the true class.

    Args:
        matrix: Counts, shape (classes, classes).
        classes: Names of the classes.
        n: At most so many; None for all that occur.
    """
    cells = worst_cells(matrix)[:n]
    rows, columns = np.divmod(cells, len(classes))
    support = matrix.sum(axis=1)
    return [
        Pair(
            row,
            column,
            classes[row],
            classes[column],
            matrix[row, column].item(),
            support[row].item(),
        )
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def worst_cells(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """The numbers (row * classes + column) of all mistakes' cells, in the order of the pairs."""
    mistakes = np.array(matrix)
    np.fill_diagonal(mistakes, 0)
    cells = np.flatnonzero(mistakes)
    rows, columns = np.divmod(cells, len(matrix))
    found, support = mistakes.ravel()[cells], matrix.sum(axis=1)
    return cells[np.lexsort((columns, rows, -found / support[rows], -found))]
