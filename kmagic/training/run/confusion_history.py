"""What a model takes for what while it is trained: the last confusion matrix, and the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmagic.support.downsampling import BoundedSeries
from kmagic.support.formatting import format_count, isolate_direction, pluralize, shorten_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.support.downsampling import Point

MOST_CLASSES = 100
"""Of more classes the last matrix is kept, and no curve of each."""
CLASS_POINTS = 64
LONGEST = 24
"""Signs of a name in a sentence."""


class Watched:
    """The confusion matrix of the validation data after each epoch, in bounded memory.

    Args:
        classes: Names of the classes.

    Attributes:
        classes: The same.
        matrix: That of the last epoch: counts of shape (classes, classes), rows are true classes.
            None before there is one.
        epoch: Its epoch, from 1; 0 before there is one.

    Example:
        >>> import numpy as np
        >>> seen = Watched(["cat", "dog"])
        >>> seen.add(1, np.array([[8, 2], [5, 5]]))
        >>> seen.words(), seen.accuracy["dog"]
        ('worst: dog taken for cat, 5 times', [(1, 0.5)])
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.matrix: NDArray[Any] | None = None
        self.epoch = 0
        kept = len(self.classes) <= MOST_CLASSES
        self._curves = [BoundedSeries(CLASS_POINTS) for _ in self.classes] if kept else []

    def add(self, epoch: int, matrix: NDArray[Any]) -> None:
        """Put down an epoch's matrix; it takes the place of the one before."""
        self.epoch, self.matrix = epoch, matrix
        for place, curve in enumerate(self._curves):
            support = float(matrix[place].sum())
            if support:
                curve.append(epoch, float(matrix[place, place]) / support)

    @property
    def accuracy(self) -> dict[str, list[Point]]:
        """The share of each class that is told right, as (epoch, share).

        Of many epochs only the extremes of each stretch; of more than a hundred classes nothing.
        """
        return {
            name: curve.points() for name, curve in zip(self.classes, self._curves, strict=False)
        }

    def worst(self, n: int = 3) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: true class, predicted class (by position), how often."""
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        if self.matrix is None:
            return []
        mistakes = np.array(self.matrix)
        np.fill_diagonal(mistakes, 0)
        cells = np.argsort(-mistakes, axis=None, kind="stable")[:n]
        rows, columns = np.divmod(cells, len(mistakes))
        return [
            (row, column, int(mistakes[row, column]))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if mistakes[row, column]
        ]

    def pair(self, true: int, predicted: int) -> str:
        """Two classes in words: "4 taken for 9"."""
        names = (
            isolate_direction(shorten_name(self.classes[place], LONGEST))
            for place in (true, predicted)
        )
        return " taken for ".join(names)

    def words(self) -> str:
        """The worst mistake in a line; "" before there is a matrix."""
        if self.matrix is None:
            return ""
        worst = self.worst(1)
        if not worst:
            return "no mistake"
        true, predicted, times = worst[0]
        return f"worst: {self.pair(true, predicted)}, {pluralize(times, 'time')}"

    def summary(self) -> str:
        """What a picture of the matrix shows, for those who do not see it."""
        if self.matrix is None:
            return "no confusion matrix yet"
        right, all_ = int(self.matrix.diagonal().sum()), int(self.matrix.sum())
        said = [f"{self.pair(t, p)}, {pluralize(times, 'time')}" for t, p, times in self.worst()]
        mistakes = f"; worst: {'; '.join(said)}" if said else ""
        return f"confusion after epoch {self.epoch:,}: {format_count(right)} of {format_count(all_)} right{mistakes}"

    # --- kept ---------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """All of it as plain values, for a record that is written down.

        Of the matrix those cells that are not empty: (true, predicted, times).

        Example:
            >>> import numpy as np
            >>> seen = Watched(["cat", "dog"])
            >>> seen.add(1, np.array([[8, 2], [0, 5]]))
            >>> seen.kept()["cells"], Watched.of(seen.kept(), upto=1).words()
            ([[0, 0, 8], [0, 1, 2], [1, 1, 5]], 'worst: cat taken for dog, 2 times')
        """
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        cells: list[list[int]] = []
        if self.matrix is not None:
            rows, columns = np.nonzero(self.matrix)
            cells = np.stack([rows, columns, self.matrix[rows, columns]], axis=1).tolist()
        curves = [curve.points() for curve in self._curves]
        return {"classes": self.classes, "epoch": self.epoch, "cells": cells, "curves": curves}

    @classmethod
    def of(cls, kept: Mapping[str, Any], *, upto: int) -> Watched:
        """What :meth:`kept` gave, up to an epoch; a later one's matrix is left out.

        Args:
            kept: As it was written down, perhaps as lists.
            upto: The last epoch that counts.

        Raises:
            KeyError, TypeError, ValueError, IndexError: It is nothing of the kind.
        """
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        found = cls([str(name) for name in kept["classes"]])
        for curve, points in zip(found._curves, kept["curves"], strict=True):
            for epoch, share in points:
                if epoch <= upto:
                    curve.append(int(epoch), float(share))
        if 0 < kept["epoch"] <= upto:
            found.epoch = int(kept["epoch"])
            found.matrix = np.zeros((len(found.classes),) * 2, "int64")
            for true, predicted, times in kept["cells"]:
                found.matrix[true, predicted] = times
        return found

    def to_frame(self) -> pd.DataFrame:
        """The last matrix as a table: rows are true classes, columns predicted ones."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        names = pd.Index(self.classes, name="true")
        return pd.DataFrame(self.matrix, index=names, columns=names.rename("predicted"))
