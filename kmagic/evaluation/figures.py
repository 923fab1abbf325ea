"""Figures for each class, as scikit-learn computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.targets import Targets


@dataclass(frozen=True, eq=False, slots=True)
class ClassFigures:
    """How well each class is told from the others; every array has shape (classes,).

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


def count_pairs(targets: Targets, weights: NDArray[np.float64] | None) -> NDArray[np.generic]:
    """scikit-learn's confusion matrix: rows are true classes, columns predicted ones.

    Args:
        targets: Positions of the true and the predicted classes.
        weights: Weight of each sample, or None.

    Returns:
        Shape (classes, classes): whole numbers without weights, floats with them.
    """
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415 - a second to import

    count = len(targets.names)
    matrix: NDArray[np.generic] = confusion_matrix(
        targets.true,
        targets.predicted,
        labels=np.arange(max(count, 2)),  # of a single class it warns, whatever it was told
        sample_weight=weights,
    )
    return matrix[:count, :count]


def class_figures(targets: Targets, weights: NDArray[np.float64] | None) -> ClassFigures:
    """scikit-learn's precision, recall, F1 and support of each class.

    A figure that does not exist, such as the precision of a class that was never predicted, is
    0, which is scikit-learn's default too.
    """
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 - slow to import

    found = precision_recall_fscore_support(
        targets.true,
        targets.predicted,
        labels=np.arange(len(targets.names)),
        sample_weight=weights,
        zero_division=0,
    )
    return ClassFigures(*(np.asarray(row, dtype=np.float64) for row in found))


def accuracy(targets: Targets, weights: NDArray[np.float64] | None) -> float:
    """scikit-learn's accuracy: the share, from 0 to 1, of samples whose class was found."""
    from sklearn.metrics import accuracy_score  # noqa: PLC0415 - a second to import

    return float(accuracy_score(targets.true, targets.predicted, sample_weight=weights))


def report_frame(
    targets: Targets, names: Sequence[str], weights: NDArray[np.float64] | None
) -> pd.DataFrame:
    """scikit-learn's classification report as a table, laid out as its text is.

    Args:
        targets: Positions of the true and the predicted classes.
        names: Names of the rows, one a class.
        weights: Weight of each sample, or None.

    Returns:
        Rows: the classes, then "accuracy", "macro avg", "weighted avg". Columns: precision,
        recall, f1-score, support. The row of accuracy has a value under f1-score only.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import
    from sklearn.metrics import classification_report  # noqa: PLC0415 - a second to import

    count = len(names)
    found = classification_report(
        targets.true,
        targets.predicted,
        labels=np.arange(count),
        target_names=[f"class {position}" for position in range(count)],
        sample_weight=weights,
        output_dict=True,
        zero_division=0,
    )
    rows = list(found.values())
    kinds = list(found)[count:]
    columns = ["precision", "recall", "f1-score", "support"]
    table = [[row[column] for column in columns] for row in rows[:count]]
    for kind, row in zip(kinds, rows[count:], strict=True):
        if kind == "accuracy":
            support = found["macro avg"]["support"]
            table.append([float("nan"), float("nan"), row, support])
        else:
            table.append([row[column] for column in columns])
    return pd.DataFrame(table, index=[*names, *kinds], columns=columns, dtype=float)
