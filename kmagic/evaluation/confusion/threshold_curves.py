"""Effects of a threshold: ROC, precision against recall, and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kmagic.evaluation.confusion.class_metrics import divide

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

BINS = 10


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """The confusion matrix of two classes at every threshold.

    Counts, not rates as in scikit-learn's ``roc_curve``: the threshold slider of the card shows
    the matrix at each of its steps.

    Attributes:
        thresholds: The scores that occur, highest first, shape (steps,).
        true_positives: Weight of the second class's samples with at least that score.
        false_positives: Weight of the first class's samples with at least that score.
    """

    thresholds: NDArray[np.float64]
    true_positives: NDArray[np.float64]
    false_positives: NDArray[np.float64]

    @classmethod
    def of(
        cls, predictions: LabeledPredictions, weights: NDArray[np.float64] | None = None
    ) -> ThresholdCurve | None:
        """The curve of two classes; None for more classes or without scores."""
        if predictions.scores is None or len(predictions.class_names) != 2:  # noqa: PLR2004
            return None
        scores = predictions.scores.second()
        order = np.argsort(-scores, kind="stable")
        sorted_scores = scores[order]
        last = np.r_[np.flatnonzero(np.diff(sorted_scores)), len(sorted_scores) - 1]
        weight = np.ones(len(scores)) if weights is None else weights
        positive = weight * (predictions.true == 1)
        true_positives = np.cumsum(positive[order])[last]
        false_positives = np.cumsum((weight - positive)[order])[last]
        return cls(sorted_scores[last], true_positives, false_positives)

    @property
    def positives(self) -> float:
        """Weight of the second class."""
        return float(self.true_positives[-1])

    @property
    def negatives(self) -> float:
        """Weight of the first class."""
        return float(self.false_positives[-1])

    @cached_property
    def true_positive_rate(self) -> NDArray[np.float64]:
        """Recall of the second class, starting at the threshold infinity."""
        hits = np.r_[0.0, self.true_positives]
        return divide(hits, self.true_positives[-1], undefined=np.nan)

    @cached_property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """Share of the first class predicted as the second, starting at infinity."""
        alarms = np.r_[0.0, self.false_positives]
        return divide(alarms, self.false_positives[-1], undefined=np.nan)

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Precision of the second class, one value per threshold."""
        return divide(self.true_positives, self.true_positives + self.false_positives)

    @property
    def auc(self) -> float:
        """Area under the ROC curve; NaN if one of the classes does not occur."""
        from scipy.integrate import trapezoid  # noqa: PLC0415 - not needed without scores

        return float(trapezoid(self.true_positive_rate, self.false_positive_rate))

    @property
    def average_precision(self) -> float:
        """Mean precision, weighted by the increase in recall, as in scikit-learn."""
        return float((np.diff(self.true_positive_rate) * self.precision).sum())

    def roc(self) -> pd.DataFrame:
        """The ROC curve: columns threshold, false_positive_rate, true_positive_rate."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame(
            {
                "threshold": np.r_[np.inf, self.thresholds],
                "false_positive_rate": self.false_positive_rate,
                "true_positive_rate": self.true_positive_rate,
            }
        )

    def precision_recall(self) -> pd.DataFrame:
        """Precision against recall: columns threshold, recall, precision."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame(
            {
                "threshold": self.thresholds,
                "recall": self.true_positive_rate[1:],
                "precision": self.precision,
            }
        )

    def counts(self, threshold: float) -> tuple[float, float, float, float]:
        """The matrix row by row, if the second class is predicted above ``threshold``."""
        above = int(np.searchsorted(-self.thresholds, -threshold, side="left"))
        hits = float(self.true_positives[above - 1]) if above else 0.0
        alarms = float(self.false_positives[above - 1]) if above else 0.0
        return self.negatives - alarms, alarms, self.positives - hits, hits

    def sample_indices(self, limit: int) -> NDArray[np.intp]:
        """Indices of at most ``limit`` thresholds that preserve the shape of the ROC curve."""
        steps = len(self.thresholds)
        if steps <= limit:
            return np.arange(steps)
        length = np.cumsum(
            np.abs(np.diff(self.true_positive_rate)) + np.abs(np.diff(self.false_positive_rate))
        )
        if not np.isfinite(length[-1]) or length[-1] == 0:
            return np.unique(np.linspace(0, steps - 1, limit).astype(np.intp))
        indices = np.searchsorted(length, np.linspace(0, length[-1], limit))
        return np.unique(np.minimum(indices, steps - 1))


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """How well predicted probabilities match frequencies; one value per non-empty bin.

    Attributes:
        mean_probability: Mean predicted probability of the bin.
        observed_frequency: Share of the bin's samples for which the prediction was true.
        samples: Number of samples, or the sum of their weights.
    """

    mean_probability: NDArray[np.float64]
    observed_frequency: NDArray[np.float64]
    samples: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap of the two, weighted by samples."""
        gaps = np.abs(self.mean_probability - self.observed_frequency)
        return float(np.average(gaps, weights=self.samples))

    def to_frame(self) -> pd.DataFrame:
        """The bins: columns mean_probability, observed_frequency, samples."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame(
            {
                "mean_probability": self.mean_probability,
                "observed_frequency": self.observed_frequency,
                "samples": self.samples,
            }
        )


def calibrate(
    predictions: LabeledPredictions,
    weights: NDArray[np.float64] | None = None,
    *,
    bins: int = BINS,
) -> Calibration | None:
    """The calibration curve, as scikit-learn's ``calibration_curve`` but with weights.

    Of two classes the probability of the second is compared, of more that of the predicted class.

    Returns:
        None if no probabilities are known.
    """
    scores = predictions.scores
    if scores is None or not scores.given.size or predictions.confidence is None:
        return None
    if len(predictions.class_names) == 2:  # noqa: PLR2004 - two classes
        probability, is_true = scores.second(), predictions.true == 1
    else:
        probability = predictions.confidence
        is_true = predictions.true == predictions.predicted
    weight = np.ones(len(probability)) if weights is None else weights
    bin_index = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    samples, sums, hits = (
        np.bincount(bin_index, weight * values, minlength=bins)
        for values in (np.ones(1), probability, is_true)
    )
    filled = samples > 0
    total = samples[filled].astype(np.float64)
    return Calibration(sums[filled] / total, hits[filled] / total, total)
