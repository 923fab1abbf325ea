"""What a threshold does: ROC, precision against recall, and whether probabilities can be believed.

The tests hold all of it against scikit-learn.
"""

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

TWO = 2
BINS = 10


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Two classes, told apart at every threshold there is.

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
        cls, targets: LabeledPredictions, weights: NDArray[np.float64] | None = None
    ) -> ThresholdCurve | None:
        """The sweep of two classes' scores; None for more classes, or without scores."""
        if targets.scores is None or len(targets.names) != TWO:
            return None
        scores = targets.scores.second()
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        last = np.r_[np.flatnonzero(np.diff(ranked)), len(ranked) - 1]
        heavy = np.ones(len(scores)) if weights is None else weights
        second = heavy * (targets.true == 1)
        hits = np.cumsum(second[order])[last]
        alarms = np.cumsum((heavy - second)[order])[last]
        return cls(ranked[last], hits, alarms)

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
        """Share of the second class that is found, from threshold infinity down."""
        return divide(np.r_[0.0, self.true_positives], self.true_positives[-1], none=np.nan)

    @cached_property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """Share of the first class that is taken for the second, from threshold infinity down."""
        return divide(np.r_[0.0, self.false_positives], self.false_positives[-1], none=np.nan)

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Of what is taken for the second class, the share that is, one a threshold."""
        return divide(self.true_positives, self.true_positives + self.false_positives)

    @property
    def auc(self) -> float:
        """Area under the ROC curve; NaN where one of the classes does not occur."""
        heights = (self.true_positive_rate[1:] + self.true_positive_rate[:-1]) / 2
        return float((np.diff(self.false_positive_rate) * heights).sum())

    @property
    def average_precision(self) -> float:
        """scikit-learn's average precision: precision, weighted by the recall it adds."""
        return float((np.diff(self.true_positive_rate) * self.precision).sum())

    def roc(self) -> pd.DataFrame:
        """The ROC curve as a table: threshold, false_positive_rate, true_positive_rate."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame(
            {
                "threshold": np.r_[np.inf, self.thresholds],
                "false_positive_rate": self.false_positive_rate,
                "true_positive_rate": self.true_positive_rate,
            }
        )

    def precision_recall(self) -> pd.DataFrame:
        """Precision against recall as a table: threshold, recall, precision."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame(
            {
                "threshold": self.thresholds,
                "recall": self.true_positive_rate[1:],
                "precision": self.precision,
            }
        )

    def counts(self, threshold: float) -> tuple[float, float, float, float]:
        """The matrix, row by row, if the second class is meant strictly above ``threshold``."""
        above = int(np.searchsorted(-self.thresholds, -threshold, side="left"))
        hits = float(self.true_positives[above - 1]) if above else 0.0
        alarms = float(self.false_positives[above - 1]) if above else 0.0
        return self.negatives - alarms, alarms, self.positives - hits, hits

    def sample_indices(self, most: int) -> NDArray[np.intp]:
        """Places of at most ``most`` thresholds that keep the shape of the ROC curve."""
        steps = len(self.thresholds)
        if steps <= most:
            return np.arange(steps)
        way = np.cumsum(
            np.abs(np.diff(self.true_positive_rate, prepend=0)) + np.abs(np.diff(self.false_positive_rate, prepend=0))
        )[1:]
        if not np.isfinite(way[-1]) or way[-1] == 0:
            return np.unique(np.linspace(0, steps - 1, most).astype(np.intp))
        places = np.searchsorted(way, np.linspace(0, way[-1], most))
        return np.unique(np.minimum(places, steps - 1))


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """How often the model is right where it says so much; one value a bin that is not empty.

    Attributes:
        mean_probability: Mean probability of the bin.
        observed_frequency: Share of the bin's samples of which it was true.
        samples: How many samples, or their weight.
        what: "of the second class" or "of the predicted class".
    """

    mean_probability: NDArray[np.float64]
    observed_frequency: NDArray[np.float64]
    samples: NDArray[np.float64]
    what: str

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap between said and found, over the samples."""
        gaps = np.abs(self.mean_probability - self.observed_frequency)
        return float((gaps * self.samples).sum() / self.samples.sum())

    def to_frame(self) -> pd.DataFrame:
        """The bins as a table: said, found, samples."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.DataFrame({"said": self.mean_probability, "found": self.observed_frequency, "samples": self.samples})


def calibrate(
    targets: LabeledPredictions, weights: NDArray[np.float64] | None = None, *, bins: int = BINS
) -> Calibration | None:
    """The calibration curve: of two classes the second's probability, of more the predicted's.

    Args:
        targets: What is true and what the model said of it.
        weights: Weight of each sample, or None.
        bins: Into how many equal parts 0 to 1 is cut.

    Returns:
        The bins with samples, as scikit-learn's ``calibration_curve`` has them; None where no
        probabilities are known.
    """
    if targets.scores is None or not targets.scores.given.size:
        return None
    if len(targets.names) == TWO:
        if targets.scores.given.ndim == 1 and not targets.scores.are_probabilities:
            return None
        said, true = targets.scores.second(), targets.true == 1
    else:
        sure = targets.confidence
        if sure is None:
            return None
        said, true = sure, targets.true == targets.predicted
    heavy = np.ones(len(said)) if weights is None else weights
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], said)
    samples, sums, hits = (
        np.bincount(place, heavy * each, minlength=bins) for each in (np.ones(1), said, true)
    )
    full = samples > 0
    what = "of the second class" if len(targets.names) == TWO else "of the predicted class"
    whole = samples[full].astype(np.float64)
    return Calibration(sums[full] / whole, hits[full] / whole, whole, what)
