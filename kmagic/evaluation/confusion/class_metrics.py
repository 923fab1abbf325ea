"""Metrics of a confusion matrix, as scikit-learn defines them.

All of them follow from three sums per class. They are computed from these sums for any number of
matrices at once, which the bootstrap of :mod:`kmagic.evaluation.confusion.intervals` needs and
scikit-learn does not offer. The tests compare every metric with scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        correct: The diagonal.
        true: Sums of the rows: samples of the class.
        predicted: Sums of the columns: predictions of the class.
    """

    correct: NDArray[np.float64]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: NDArray[np.generic]) -> ClassSums:
        """The sums of a matrix of shape (classes, classes)."""
        counts = np.asarray(matrix, dtype=np.float64)
        return cls(np.diagonal(counts).copy(), counts.sum(axis=1), counts.sum(axis=0))


@dataclass(frozen=True, eq=False, slots=True)
class ClassMetrics:
    """Metrics of each class; every array has shape (..., classes)."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.float64]


def count_confusions(
    predictions: LabeledPredictions, weights: NDArray[np.float64] | None
) -> NDArray[np.generic]:
    """The confusion matrix: rows are true classes, columns predicted ones.

    Four times as fast as scikit-learn's ``confusion_matrix``, since the labels are indices.

    Returns:
        Shape (classes, classes): integers without weights, floats with them.
    """
    classes = len(predictions.class_names)
    cells = predictions.true * classes
    cells += predictions.predicted
    counts = np.bincount(cells, weights=weights, minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_metrics(sums: ClassSums) -> ClassMetrics:
    """Precision, recall, F1 and support of each class; undefined values are 0."""
    return ClassMetrics(
        precision=divide(sums.correct, sums.predicted),
        recall=divide(sums.correct, sums.true),
        f1=divide(2 * sums.correct, sums.true + sums.predicted),
        support=sums.true,
    )


def overall_metrics(sums: ClassSums) -> dict[str, NDArray[np.float64]]:
    """The metrics of whole matrices, by name, each of shape (...).

    Returns:
        "accuracy"; "balanced accuracy", the mean recall of the classes that occur; "kappa",
        Cohen's; "MCC", Matthews's correlation coefficient; then "macro precision" ..., means over
        the classes, and "weighted precision" ..., means by support. Undefined values are NaN, for
        MCC 0, as in scikit-learn.
    """
    correct, true, predicted = sums.correct, sums.true, sums.predicted
    per_class = class_metrics(sums)
    total = true.sum(axis=-1)
    hits = correct.sum(axis=-1)
    occurs = true > 0
    chance = (true * predicted).sum(axis=-1)
    spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
    metrics = {
        "accuracy": hits / total,
        "balanced accuracy": (per_class.recall * occurs).sum(axis=-1) / occurs.sum(axis=-1),
        # Observed disagreement divided by the disagreement expected by chance.
        "kappa": 1 - divide((total - hits) * total, total**2 - chance, undefined=np.nan),
        "MCC": divide(hits * total - chance, np.sqrt(np.maximum(spread, 0))),
    }
    values = {"precision": per_class.precision, "recall": per_class.recall, "F1": per_class.f1}
    metrics |= {f"macro {name}": value.mean(axis=-1) for name, value in values.items()}
    metrics |= {
        f"weighted {name}": (value * true).sum(axis=-1) / total for name, value in values.items()
    }
    return metrics


def divide(
    numerator: NDArray[Any], denominator: NDArray[Any], undefined: float = 0.0
) -> NDArray[np.float64]:
    """A quotient, or ``undefined`` where the denominator is 0."""
    above, below = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    quotient = np.full(below.shape, undefined)
    np.divide(above, below, out=quotient, where=below != 0)
    return quotient


def classification_report_frame(
    y_true: NDArray[Any],
    y_pred: NDArray[Any],
    names: Sequence[str],
    sample_weight: NDArray[Any] | None = None,
) -> pd.DataFrame:
    """scikit-learn's classification report as a data frame, with any class names.

    Returns:
        Rows: the classes, then the averages. Columns: precision, recall, f1-score, support. The
        row "accuracy" has no precision and recall.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import
    from sklearn.metrics import classification_report  # noqa: PLC0415 - a second to import

    report = classification_report(
        y_true,
        y_pred,
        labels=range(len(names)),
        target_names=[f"class {index}" for index in range(len(names))],  # a name may be "accuracy"
        sample_weight=sample_weight,
        output_dict=True,
        zero_division=0,
    )
    if "accuracy" in report:
        total = report["macro avg"]["support"]
        undefined = {"precision": np.nan, "recall": np.nan}
        report["accuracy"] = undefined | {"f1-score": report["accuracy"], "support": total}
    columns = ["precision", "recall", "f1-score", "support"]
    frame = pd.DataFrame.from_dict(report, orient="index", columns=columns, dtype=float)
    return frame.set_axis([*names, *frame.index[len(names) :]])
