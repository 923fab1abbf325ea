"""Metrics of a confusion matrix, as scikit-learn defines them, and the effects of a threshold.

The metrics of classes follow from three sums per class. They are computed from these sums for any
number of matrices at once, which resampling needs and scikit-learn does not offer. The tests
compare every metric with scikit-learn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

LEVEL = 0.95
RESAMPLES = 1000
GROUPS = 1000  # units that are drawn, which bounds the time
CHUNK_VALUES = 2_000_000  # class sums held in memory at once
BINS = 10  # of the calibration
RESAMPLED = (*("kappa", "MCC", "macro precision", "macro F1", "weighted precision", "weighted F1"),)


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
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Intervals of all metrics, and of further ones that are shares of ``hits``.

    Shares (accuracy, precision, recall) have Wilson's score interval, which is valid for few
    samples and for 0 or 100 percent. F1 increases with the share of true positives among the
    samples that are of the class or predicted as it, so it has the interval of that share. Averages
    over classes combine the intervals of the classes (MOVER, Zou and Donner 2008); those of
    precision and F1 also include the interval by resampling. Kappa and MCC are resampled; where all
    resamples agree, as without any mistake, kappa follows from the interval of the accuracy, and
    MCC, which is then nearly the same, has the interval of kappa. With weights the effective number
    of samples counts (Kish 1965).

    Example:
        >>> from kmagic.evaluation.confusion.label_arrays import read_labels_and_predictions
        >>> labeled = read_labels_and_predictions([0, 1] * 60, [0, 1] * 60)
        >>> [round(bound, 3) for bound in metric_intervals(labeled).overall["accuracy"]]
        [0.969, 1.0]
    """
    true, predicted, classes = predictions.true, predictions.predicted, len(predictions.class_names)
    weight = np.ones(len(true)) if weights is None else weights
    correct = true == predicted

    def sums(index: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(index, values, minlength=classes), dtype=np.float64)

    def sizes(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        rows, columns = sums(true, values), sums(predicted, values)
        return rows, columns, rows + columns - sums(true, values * correct)

    metrics = ClassMetrics(
        sums(true, weight * correct), sums(true, weight), sums(predicted, weight)
    )
    support, of_predicted, of_either = (
        divide(total**2, squares)
        for total, squares in zip(sizes(weight), sizes(weight**2), strict=True)
    )
    size = float(weight.sum() ** 2 / (weight**2).sum())
    share = divide(metrics.f1, 2 - metrics.f1)  # f1 = 2 share / (1 + share)
    share = wilson_interval(share, of_either, level)
    limits = {
        "precision": wilson_interval(metrics.precision, of_predicted, level),
        "recall": wilson_interval(metrics.recall, support, level),
        "F1": 2 * share / (1 + share),
    }
    values = metrics.overall()
    overall = {"accuracy": _pair(wilson_interval(values["accuracy"], size, level))}
    occurs = metrics.support > 0
    means = {
        "macro": np.full(classes, 1 / classes),
        "weighted": metrics.support / metrics.support.sum(),
    }
    overall["balanced accuracy"] = _mean_interval(
        metrics.recall, limits["recall"], occurs / occurs.sum()
    )
    resampled = _resampled_intervals(predictions, weights, level, resamples, seed)
    overall |= {name: resampled[name] for name in ("kappa", "MCC")}
    if overall["kappa"][0] == overall["kappa"][1]:
        chance = 1 - divide(1 - values["accuracy"], 1 - values["kappa"], undefined=np.nan)
        if not np.isfinite(chance):  # no mistake
            chance = (metrics.support * metrics.predicted).sum() / metrics.support.sum() ** 2
        overall["kappa"] = _pair((np.array(overall["accuracy"]) - chance) / (1 - chance))
    if overall["MCC"][0] == overall["MCC"][1] and values["MCC"]:
        overall["MCC"] = overall["kappa"]
    for mean, shares in means.items():
        for name, rates in (
            ("precision", metrics.precision), ("recall", metrics.recall), ("F1", metrics.f1)
        ):  # fmt: skip
            limits_of_mean = _mean_interval(rates, limits[name], shares)
            # A mistake counts for two classes in precision and F1, so those are resampled as well.
            others = resampled.get(f"{mean} {name}", limits_of_mean)
            pairs = zip((min, max), limits_of_mean, others, strict=True)
            low, high = (choose(one, other) for choose, one, other in pairs)
            overall[f"{mean} {name}"] = low, high
    overall["weighted recall"] = overall["accuracy"]
    for name, hit in (hits or {}).items():
        rate = np.average(hit, weights=weights)
        overall[name] = _pair(wilson_interval(rate, size, level))
    ordered = {name: overall[name] for name in (*values, *(hits or {}))}
    return Intervals(level, ordered, *limits.values())


def wilson_interval(share: Any, samples: Any, level: float = LEVEL) -> NDArray[np.float64]:
    """Wilson's score interval of a share of some samples; NaN without any.

    Returns:
        Low and high, shape (2, ...).

    Example:
        >>> wilson_interval(1.0, 120).round(3).tolist()
        [0.969, 1.0]
    """
    from scipy.special import ndtri  # noqa: PLC0415 - not before it is needed

    share, samples = np.asarray(share, dtype=float), np.asarray(samples, dtype=float)
    z2 = ndtri((1 + level) / 2) ** 2
    centre = (share * samples + z2 / 2) / (samples + z2)
    half = np.sqrt(z2 * (samples * share * (1 - share) + z2 / 4)) / (samples + z2)
    return np.where(samples > 0, np.clip([centre - half, centre + half], 0, 1), np.nan)


def _mean_interval(
    rates: NDArray[np.float64], limits: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[float, float]:
    """The interval of a weighted mean of rates, from the intervals of those that are defined."""
    mean = (shares * rates).sum()
    low, high = np.sqrt(np.nansum((shares * (limits - rates)) ** 2, axis=1))
    return float(max(mean - low, 0.0)), float(min(mean + high, 1.0))


def _pair(limits: NDArray[np.float64]) -> tuple[float, float]:
    return float(limits[0]), float(limits[1])


def _resampled_intervals(
    predictions: LabeledPredictions,
    weights: NDArray[np.float64] | None,
    level: float,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of metrics whose terms depend on each other.

    ``scipy.stats.bootstrap`` would draw every sample of every resample. Samples in the same cell of
    the matrix are interchangeable, so counts of cells are drawn instead. With weights, or with more
    than 1,000 different cells, the samples are divided at random into 1,000 groups of equal size,
    and whole groups are drawn.
    """
    samples, classes = len(predictions.true), len(predictions.class_names)
    rng = np.random.default_rng(seed)
    cell = predictions.true * classes + predictions.predicted
    _, rows, counts = np.unique(cell, return_index=True, return_counts=True)
    if weights is None and len(rows) <= GROUPS:
        unit, units, draws, shares = np.arange(len(rows)), len(rows), samples, counts / samples
    else:
        rows, units = np.arange(samples), min(samples, GROUPS)
        unit, draws, shares = rng.permutation(samples) % units, units, np.full(units, 1 / units)
    weight = np.ones(len(rows)) if weights is None else weights
    true, predicted = predictions.true[rows], predictions.predicted[rows]

    def unit_sums(index: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float32]:
        sums = np.bincount(unit * classes + index, values, minlength=units * classes)
        return sums.reshape(units, classes).astype(np.float32)

    per_unit = (
        unit_sums(true, weight * (true == predicted)),
        unit_sums(true, weight),
        unit_sums(predicted, weight),
    )
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in RESAMPLED}
    step = max(1, CHUNK_VALUES // (3 * classes))
    for start in range(0, resamples, step):
        times = rng.multinomial(draws, shares, size=min(step, resamples - start))
        times = times.astype(np.float32)
        metrics = ClassMetrics(*((times @ part).astype(np.float64) for part in per_unit)).overall()
        for name in RESAMPLED:
            drawn[name].append(metrics[name])
    edges = np.array([(1 - level) / 2, (1 + level) / 2])
    return {name: _quantiles(np.concatenate(chunks), edges) for name, chunks in drawn.items()}


def _quantiles(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, float]:
    """Quantiles of the resamples in which the metric is defined."""
    defined = values[np.isfinite(values)]
    if len(defined) < 2:  # noqa: PLR2004 - one value has no spread
        return float("nan"), float("nan")
    return _pair(np.quantile(defined, edges))


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
        cls, predictions: LabeledPredictions, weights: NDArray[np.float64] | None = None
    ) -> ThresholdCurve | None:
        """The curve of two classes; None for more classes or without scores."""
        if predictions.scores is None or len(predictions.class_names) != 2:  # noqa: PLR2004
            return None
        scores = predictions.scores.second
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
