"""The confusion matrix of the validation data after each epoch of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kmagic.support.downsampling import BoundedSeries, Point
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    pluralize,
    shorten_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MAX_CURVES = 100
"""With more classes only the last matrix is kept, without accuracy curves."""
CURVE_POINTS = 64
MAX_NAME = 60
"""Characters of a class name in a sentence."""


class ConfusionHistory:
    """The last epoch's confusion matrix and each class's accuracy curve, in bounded memory.

    Args:
        classes: Names of the classes.

    Attributes:
        classes: The same.
        matrix: The last epoch's counts, of shape (classes, classes); rows are true classes. None
            before the first epoch.
        epoch: The matrix's epoch, from 1; 0 before the first.

    Example:
        >>> import numpy as np
        >>> history = ConfusionHistory(["cat", "dog"])
        >>> history.add(1, np.array([[8, 2], [5, 5]]))
        >>> history.to_text(), history.accuracy["dog"]
        ('most confused: dog taken for cat, 5 times', [(1, 0.5)])
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.matrix: NDArray[Any] | None = None
        self.epoch = 0
        has_curves = len(self.classes) <= MAX_CURVES
        self._curves = [BoundedSeries(CURVE_POINTS) for _ in self.classes] if has_curves else []

    def add(self, epoch: int, matrix: NDArray[Any]) -> None:
        """Replace the last matrix with an epoch's."""
        self.epoch, self.matrix = epoch, matrix
        for index, curve in enumerate(self._curves):
            support = float(matrix[index].sum())
            if support:
                curve.append(epoch, float(matrix[index, index]) / support)

    @property
    def accuracy(self) -> dict[str, list[Point]]:
        """The share of each class's samples predicted correctly, as (epoch, share).

        Long curves keep their extremes only; with more than a hundred classes there are none.
        """
        return {
            name: curve.points() for name, curve in zip(self.classes, self._curves, strict=False)
        }

    def worst(self, n: int = 3) -> list[tuple[int, int, int]]:
        """The most frequent errors as (true class, predicted class, count), by class index."""
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        if self.matrix is None:
            return []
        errors = np.array(self.matrix)
        np.fill_diagonal(errors, 0)
        cells = np.argsort(-errors, axis=None, kind="stable")[:n]
        rows, columns = np.unravel_index(cells, errors.shape)
        return [
            (row, column, int(errors[row, column]))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if errors[row, column]
        ]

    def pair_text(self, true: int, predicted: int) -> str:
        """Two classes as text: "4 taken for 9"."""
        names = (
            isolate_direction(shorten_name(self.classes[index], MAX_NAME))
            for index in (true, predicted)
        )
        return " taken for ".join(names)

    def to_text(self) -> str:
        """The most frequent error in one line; "" without a matrix."""
        if self.matrix is None:
            return ""
        for true, predicted, errors in self.worst(1):
            return f"most confused: {self.pair_text(true, predicted)}, {pluralize(errors, 'time')}"
        return "no errors"

    def describe(self) -> str:
        """The matrix in one sentence, as alternative text for its image."""
        if self.matrix is None:
            return "no confusion matrix yet"
        correct, total = int(self.matrix.diagonal().sum()), int(self.matrix.sum())
        pairs = [f"{self.pair_text(t, p)}, {pluralize(n, 'time')}" for t, p, n in self.worst()]
        errors = f"; most confused: {'; '.join(pairs)}" if pairs else ""
        counts = f"{format_count(correct)} of {format_count(total)} correct"
        return f"confusion after epoch {self.epoch:,}: {counts}{errors}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values for JSON; cells are (true, predicted, count) where not zero.

        Example:
            >>> import numpy as np
            >>> history = ConfusionHistory(["cat", "dog"])
            >>> history.add(1, np.array([[8, 2], [0, 5]]))
            >>> values = history.to_dict()
            >>> values["cells"], ConfusionHistory.from_dict(values, last_epoch=1).to_text()
            ([[0, 0, 8], [0, 1, 2], [1, 1, 5]], 'most confused: cat taken for dog, 2 times')
        """
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        cells: list[list[int]] = []
        if self.matrix is not None:
            rows, columns = np.nonzero(self.matrix)
            cells = np.stack([rows, columns, self.matrix[rows, columns]], axis=1).tolist()
        curves = [curve.points() for curve in self._curves]
        return {"classes": self.classes, "epoch": self.epoch, "cells": cells, "curves": curves}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, last_epoch: int) -> ConfusionHistory:
        """Read what :meth:`to_dict` returned, up to an epoch; a later matrix is dropped.

        Raises:
            KeyError, TypeError, ValueError, IndexError: The values have another form.
        """
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        history = cls([str(name) for name in values["classes"]])
        for curve, points in zip(history._curves, values["curves"], strict=True):
            for epoch, share in points:
                if epoch <= last_epoch:
                    curve.append(int(epoch), float(share))
        if 0 < values["epoch"] <= last_epoch:
            history.epoch = int(values["epoch"])
            history.matrix = np.zeros((len(history.classes),) * 2, "int64")
            for true, predicted, number in values["cells"]:
                history.matrix[true, predicted] = number
        return history

    def to_frame(self) -> pd.DataFrame:
        """The last matrix as a table: rows are true classes, columns predicted classes."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        names = pd.Index(self.classes, name="true")
        return pd.DataFrame(self.matrix, index=names, columns=names.rename("predicted"))
