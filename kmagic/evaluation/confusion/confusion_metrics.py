"""Metrics of a confusion matrix, as scikit-learn defines them, and the effects of a threshold.

The metrics of classes follow from three sums per class. They are computed from these sums for any
number of matrices at once, which a threshold slider needs and scikit-learn does not offer. The
tests compare every metric with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

LEVEL = 0.95
BINS = 10  # of the calibration
EPSILON = 1e-12  # below which a difference of shares is a rounding error


@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """The sums of one confusion matrix, or of many, and the metrics of each class.

    Every array has shape (..., classes). Undefined metrics are 0.

    Attributes:
        correct: The diagonal.
        support: Sums of the rows: samples of the class.
        predicted: Sums of the columns: predictions of the class.
    """

    correct: NDArray[Any]
    support: NDArray[Any]
    predicted: NDArray[Any]

    @classmethod
    def of(cls, matrix: NDArray[Any]) -> ClassMetrics:
        """The metrics of a matrix of shape (classes, classes)."""
        counts = np.asarray(matrix, dtype=np.float64)
        return cls(np.diagonal(counts).copy(), counts.sum(axis=1), counts.sum(axis=0))

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Share of the predictions of a class that are correct."""
        return divide(self.correct, self.predicted)

    @cached_property
    def recall(self) -> NDArray[np.float64]:
        """Share of the samples of a class that are predicted correctly."""
        return divide(self.correct, self.support)

    @cached_property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall."""
        return divide(2 * self.correct, self.support + self.predicted)

    def overall(self) -> dict[str, NDArray[np.float64]]:
        """The metrics of whole matrices, by name, each of shape (...).

        Returns:
            "accuracy"; "balanced accuracy", the mean recall of the classes that occur; "kappa",
            Cohen's; "MCC", Matthews's correlation coefficient; then "macro precision" ..., means
            over the classes, and "weighted precision" ..., means by support. Undefined values are
            NaN, for MCC 0, as in scikit-learn.
        """
        true, predicted = self.support, self.predicted
        total, hits = true.sum(axis=-1), self.correct.sum(axis=-1)
        occurs = true > 0
        chance = (true * predicted).sum(axis=-1)
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
        values = {"precision": self.precision, "recall": self.recall, "F1": self.f1}
        return {
            "accuracy": hits / total,
            "balanced accuracy": (self.recall * occurs).sum(axis=-1) / occurs.sum(axis=-1),
            # Observed disagreement divided by the disagreement expected by chance.
            "kappa": 1 - divide((total - hits) * total, total**2 - chance, undefined=np.nan),
            "MCC": divide(hits * total - chance, np.sqrt(np.maximum(spread, 0))),
            **{f"macro {name}": value.mean(axis=-1) for name, value in values.items()},
            **{
                f"weighted {name}": (value * true).sum(axis=-1) / total
                for name, value in values.items()
            },
        }


def count_confusions(
    predictions: LabeledPredictions, weights: NDArray[np.float64] | None
) -> NDArray[np.generic]:
    """The confusion matrix: rows are true classes, columns predicted ones.

    Four times as fast as scikit-learn's ``confusion_matrix``, since the labels are indices. Without
    weights the counts are integers.
    """
    classes = len(predictions.class_names)
    cells = predictions.true * classes
    cells += predictions.predicted
    counts = np.bincount(cells, weights=weights, minlength=classes * classes)
    return counts.reshape(classes, classes)


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
    frame = pd.DataFrame(report).T
    if "accuracy" in report:
        frame.loc["accuracy", ["precision", "recall"]] = np.nan
        frame.loc["accuracy", "support"] = report["macro avg"]["support"]
    return frame.set_axis([*names, *frame.index[len(names) :]])


# --- intervals ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Intervals:
    """Intervals in which the metrics would lie for other samples from the same source.

    Attributes:
        level: Coverage probability, 0 to 1.
        overall: (low, high) of each metric of :meth:`ClassMetrics.overall`, by its name.
        precision: Shape (2, classes): low and high of each class.
        recall: The same.
        f1: The same.
    """

    level: float
    overall: dict[str, tuple[float, float]]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def metric_intervals(
    predictions: LabeledPredictions,
    weights: NDArray[np.float64] | None = None,
    *,
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
    level: float = LEVEL,
) -> Intervals:
    """Intervals of all metrics, and of further ones that are shares of ``hits``.

    Shares (accuracy, precision, recall) have Wilson's score interval, which is valid for few
    samples and for 0 or 100 percent. F1 increases with the share of true positives among the
    samples that are of the class or predicted as it, so it has the interval of that share. Kappa
    and MCC follow from the interval of the accuracy, as in Cohen (1960): how often each class
    occurs and is predicted counts as given. Averages over classes have the wider one of two
    intervals: that of the classes combined (MOVER, Zou and Donner 2008), and that of the delta
    method, since a mistake counts for two classes. With weights the effective number of samples
    counts (Kish 1965).

    Example:
        >>> from kmagic.evaluation.confusion.label_arrays import read_labels_and_predictions
        >>> labeled = read_labels_and_predictions([0, 1] * 60, [0, 1] * 60)
        >>> [round(bound, 3) for bound in metric_intervals(labeled).overall["accuracy"]]
        [0.969, 1.0]
    """
    true, predicted, classes = predictions.true, predictions.predicted, len(predictions.class_names)
    weight = np.ones(len(true)) if weights is None else weights
    correct = true == predicted
    total = weight.sum()

    def sums(index: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(index, values, minlength=classes), dtype=np.float64)

    def sizes(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        rows, columns = sums(true, values), sums(predicted, values)
        return rows, columns, rows + columns - sums(true, values * correct)

    metrics = ClassMetrics(
        sums(true, weight * correct), sums(true, weight), sums(predicted, weight)
    )
    of_true, of_predicted, of_either = (
        divide(whole**2, squares)
        for whole, squares in zip(sizes(weight), sizes(weight**2), strict=True)
    )
    size = float(total**2 / (weight**2).sum())
    share = divide(metrics.f1, 2 - metrics.f1)  # f1 = 2 share / (1 + share)
    share = wilson_interval(share, of_either, level)
    rates = {"precision": metrics.precision, "recall": metrics.recall, "F1": metrics.f1}
    limits = {
        "precision": wilson_interval(metrics.precision, of_predicted, level),
        "recall": wilson_interval(metrics.recall, of_true, level),
        "F1": 2 * share / (1 + share),
    }
    counted = {"precision": (predicted,), "recall": (true,), "F1": (true, predicted)}
    occurs = metrics.support > 0

    def of_mean(name: str, shares: NDArray[np.float64], *, by_support: bool = False) -> Any:
        """The interval of a mean over classes, weighted by ``shares``."""
        rate, sides = rates[name], counted[name]
        # Nothing is known about the precision of a class that is never predicted.
        is_unknown = occurs & np.isnan(limits[name])
        own = np.where(is_unknown, [[0.0], [1.0]], limits[name])
        mean = (shares * rate).sum()
        squares = np.nansum((shares * (own - rate)) ** 2, axis=1)
        change = divide(shares, np.sum([sums(side, weight) for side in sides], axis=0))
        effect = len(sides) * change[true] * correct - sum((change * rate)[k] for k in sides)
        if by_support:
            effect = effect + (rate[true] - mean) / total
        delta = _quantile(level) ** 2 * ((weight * effect) ** 2).sum()
        low, high = np.sqrt(np.maximum(squares, delta))
        return np.clip([mean - low, mean + high], 0, 1)

    values = metrics.overall()
    accuracy = wilson_interval(values["accuracy"], size, level)
    row_shares, column_shares = metrics.support / total, metrics.predicted / total
    chance = (row_shares * column_shares).sum()
    variety = (1 - (row_shares**2).sum()) * (1 - (column_shares**2).sum())
    overall = {"accuracy": accuracy}
    overall["balanced accuracy"] = of_mean("recall", occurs / occurs.sum())
    for name, most in (("kappa", 1 - chance), ("MCC", np.sqrt(max(variety, 0.0)))):
        beyond_chance = (accuracy - chance) / (most if most > EPSILON else np.nan)
        overall[name] = beyond_chance.clip(-1, 1)
    for name in rates:
        overall[f"macro {name}"] = of_mean(name, np.full(classes, 1 / classes))
        overall[f"weighted {name}"] = of_mean(name, row_shares, by_support=True)
    overall["weighted recall"] = accuracy
    for name, hit in (hits or {}).items():
        overall[name] = wilson_interval(np.average(hit, weights=weights), size, level)
    pairs = {name: overall[name].tolist() for name in (*values, *(hits or {}))}
    overall_pairs = {name: (low, high) for name, (low, high) in pairs.items()}
    return Intervals(level, overall_pairs, *limits.values())


def wilson_interval(share: Any, samples: Any, level: float = LEVEL) -> NDArray[np.float64]:
    """Wilson's score interval of a share of some samples; NaN without any.

    Returns:
        Low and high, shape (2, ...).

    Example:
        >>> wilson_interval(1.0, 120).round(3).tolist()
        [0.969, 1.0]
    """
    share, samples = np.asarray(share, dtype=float), np.asarray(samples, dtype=float)
    z2 = _quantile(level) ** 2
    centre = (share * samples + z2 / 2) / (samples + z2)
    half = np.sqrt(z2 * (samples * share * (1 - share) + z2 / 4)) / (samples + z2)
    return np.where(samples > 0, np.clip([centre - half, centre + half], 0, 1), np.nan)


def _quantile(level: float) -> float:
    """The quantile of the normal distribution for a two-sided interval."""
    from scipy.special import ndtri  # noqa: PLC0415 - not before it is needed

    return float(ndtri((1 + level) / 2))


# --- thresholds and probabilities ----------------------------------------------------------------


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
        cls, is_second: NDArray[Any], scores: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> ThresholdCurve:
        """The curve of samples, some of the second class, with their scores of that class."""
        order = np.argsort(-scores, kind="stable")
        sorted_scores = scores[order]
        last = np.r_[np.flatnonzero(np.diff(sorted_scores)), len(sorted_scores) - 1]
        weight = np.ones(len(scores)) if weights is None else weights
        positive = weight * is_second
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
        return divide(np.r_[0.0, self.true_positives], self.true_positives[-1], np.nan)

    @cached_property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """Share of the first class predicted as the second, starting at infinity."""
        return divide(np.r_[0.0, self.false_positives], self.false_positives[-1], np.nan)

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

    def counts(self, threshold: float) -> tuple[float, float, float, float]:
        """The matrix row by row, if the second class is predicted above ``threshold``."""
        above = int(np.searchsorted(-self.thresholds, -threshold))
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

        return pd.DataFrame(asdict(self))


def calibrate(
    predictions: LabeledPredictions, weights: NDArray[np.float64] | None = None
) -> Calibration | None:
    """The calibration curve, as scikit-learn's ``calibration_curve`` but with weights.

    Of two classes the probability of the second is compared, of more that of the predicted class.
    None if no probabilities are known.
    """
    scores = predictions.scores
    if scores is None or predictions.confidence is None:
        return None
    if len(predictions.class_names) == 2:  # noqa: PLR2004 - two classes
        probability, is_true = scores.second, predictions.true == 1
    else:
        probability, is_true = predictions.confidence, predictions.correct
    weight = np.ones(len(probability)) if weights is None else weights
    bin_index = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], probability)
    samples, sums, hits = (
        np.bincount(bin_index, weight * values, minlength=BINS)
        for values in (np.ones(1), probability, is_true)
    )
    filled = samples > 0
    total = samples[filled].astype(np.float64)
    return Calibration(sums[filled] / total, hits[filled] / total, total)
