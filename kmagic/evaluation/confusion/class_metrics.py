"""How good: the figures of a confusion matrix, each as scikit-learn defines it.

All of them follow from three sums for each class, so they are computed from these: at once for
many matrices, as the intervals of :mod:`kmagic.evaluation.confusion.intervals` need it, and without a
second pass over the samples. The tests hold every one against scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions


@dataclass(frozen=True, eq=False, slots=True)
class ClassSums:
    """The sums of one confusion matrix, or of many; every array has shape (..., classes).

    Attributes:
        right: The diagonal: what is of the class and was taken for it.
        true: Sums of the rows: what is of the class.
        called: Sums of the columns: what was taken for the class.
    """

    right: NDArray[np.float64]
    true: NDArray[np.float64]
    called: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: NDArray[np.generic]) -> ClassSums:
        """The sums of a matrix of shape (classes, classes)."""
        counts = np.asarray(matrix, dtype=np.float64)
        return cls(np.diagonal(counts).copy(), counts.sum(axis=1), counts.sum(axis=0))


@dataclass(frozen=True, eq=False, slots=True)
class ClassMetrics:
    """How well each class is told from the others; every array has shape (..., classes).

    Attributes:
        precision: Of what was taken for the class, the share that is of it.
        recall: Of what is of the class, the share that was taken for it.
        f1: Harmonic mean of the two.
        support: How many samples are of the class.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.float64]


def count_confusions(
    targets: LabeledPredictions, weights: NDArray[np.float64] | None
) -> NDArray[np.generic]:
    """The confusion matrix: rows are true classes, columns predicted ones.

    Args:
        targets: Positions of the true and the predicted classes.
        weights: Weight of each sample, or None.

    Returns:
        Shape (classes, classes): whole numbers without weights, floats with them.
    """
    classes = len(targets.names)
    cells = targets.true * classes
    cells += targets.predicted
    counts = np.bincount(cells, weights=weights, minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_metrics(margins: ClassSums) -> ClassMetrics:
    """Precision, recall, F1 and support of each class.

    A figure that does not exist, such as the precision of a class that was never predicted, is
    0, which is scikit-learn's default too.
    """
    return ClassMetrics(
        precision=divide(margins.right, margins.called),
        recall=divide(margins.right, margins.true),
        f1=divide(2 * margins.right, margins.true + margins.called),
        support=margins.true,
    )


def overall_metrics(margins: ClassSums) -> dict[str, NDArray[np.float64]]:
    """The figures of the whole, by name, each of shape (...).

    Returns:
        "accuracy"; "balanced accuracy", the mean recall of the classes that occur; "kappa",
        Cohen's; "MCC", Matthews's correlation coefficient; then "macro precision" ... , plain
        means over the classes, and "weighted precision" ... , means by support. Where a figure
        does not exist it is NaN, for MCC 0, as in scikit-learn.
    """
    right, true, called = margins.right, margins.true, margins.called
    figures = class_metrics(margins)
    whole = true.sum(axis=-1)
    hits = right.sum(axis=-1)
    there = true > 0
    chance = (true * called).sum(axis=-1)
    spread = (whole**2 - (called**2).sum(axis=-1)) * (whole**2 - (true**2).sum(axis=-1))
    found = {
        "accuracy": hits / whole,
        "balanced accuracy": (figures.recall * there).sum(axis=-1) / there.sum(axis=-1),
        # The disagreement that was seen, by the one that chance would bring.
        "kappa": 1 - divide((whole - hits) * whole, whole**2 - chance, none=np.nan),
        "MCC": divide(hits * whole - chance, np.sqrt(np.maximum(spread, 0))),
    }
    for name in ("precision", "recall", "f1"):
        found[f"macro {_shown(name)}"] = np.mean(getattr(figures, name), axis=-1)
    for name in ("precision", "recall", "f1"):
        values = getattr(figures, name)
        found[f"weighted {_shown(name)}"] = (values * true).sum(axis=-1) / whole
    return found


def divide(
    above: NDArray[np.float64], below: NDArray[np.float64], none: float = 0.0
) -> NDArray[np.float64]:
    """A quotient, or ``none`` where it does not exist."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    found = np.full(below.shape, none)
    np.divide(above, below, out=found, where=below != 0)
    return found


def report_frame(margins: ClassSums, names: Sequence[str]) -> pd.DataFrame:
    """scikit-learn's classification report as a table, laid out as its text is.

    Args:
        margins: The sums of the matrix.
        names: Names of the rows, one a class.

    Returns:
        Rows: the classes, then "accuracy", "macro avg", "weighted avg". Columns: precision,
        recall, f1-score, support. The row of accuracy has a value under f1-score only.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    figures = class_metrics(margins)
    columns = [figures.precision, figures.recall, figures.f1]
    support = margins.true
    whole = float(support.sum())
    rows = [
        *zip(*columns, support, strict=True),
        (np.nan, np.nan, margins.right.sum() / whole, whole),
        (*(np.average(column) for column in columns), whole),
        (*(np.average(column, weights=support) for column in columns), whole),
    ]
    return pd.DataFrame(
        rows,
        index=[*names, "accuracy", "macro avg", "weighted avg"],
        columns=["precision", "recall", "f1-score", "support"],
        dtype=float,
    )


def _shown(name: str) -> str:
    return "F1" if name == "f1" else name
