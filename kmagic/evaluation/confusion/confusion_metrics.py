"""How good a matrix is: all figures that follow from it and from what the model said."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.confusion.class_metrics import (
    ClassMetrics,
    ClassSums,
    class_metrics,
    overall_metrics,
    report_frame,
)
from kmagic.evaluation.confusion.intervals import (
    LEVEL,
    RESAMPLES,
    Intervals,
    bootstrap,
    share_interval,
)
from kmagic.evaluation.confusion.threshold_curves import Calibration, ThresholdCurve, calibrate
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

TOP = 5


class ConfusionMetrics:
    """The figures of a confusion matrix; each is computed when it is first asked for.

    Attributes:
        matrix: Counts of shape (classes, classes): rows are true, columns predicted classes.
        predictions: What is true, what was predicted, and the scores.
        sample_weight: Weight of each sample, or None.
    """

    matrix: NDArray[Any]
    predictions: LabeledPredictions
    sample_weight: NDArray[np.float64] | None

    @cached_property
    def class_sums(self) -> ClassSums:
        """Sums of rows, of columns and of the diagonal."""
        return ClassSums.of(self.matrix)

    @cached_property
    def per_class(self) -> ClassMetrics:
        """Precision, recall, F1 and support of each class."""
        return class_metrics(self.class_sums)

    @cached_property
    def overall(self) -> dict[str, float]:
        """Accuracy, balanced accuracy, kappa, MCC, macro and weighted means, top-k, by name."""
        found = {name: float(value) for name, value in overall_metrics(self.class_sums).items()}
        if (hits := self._top_hits()) is not None:
            found[self._top_name()] = float(np.average(hits, weights=self.sample_weight))
        return found

    @property
    def accuracy(self) -> float:
        """Share of right samples, from 0 to 1."""
        return float(self.class_sums.right.sum() / self.class_sums.true.sum())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        return self.overall["balanced accuracy"]

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond chance; NaN where there is but one class."""
        return self.overall["kappa"]

    @property
    def mcc(self) -> float:
        """Matthews's correlation coefficient, from -1 to 1."""
        return self.overall["MCC"]

    def top_k_accuracy(self, k: int = TOP) -> float:
        """Share of samples whose true class is among the ``k`` likeliest.

        Args:
            k: How many classes count, from 1.

        Raises:
            EvaluationError: There is no score for each class.
        """
        hits = self._top_hits(k)
        if hits is None:
            raise EvaluationError(
                "Top-k accuracy needs a score for each class: y_pred of shape (n, classes), as "
                "model.predict(x) answers it."
            )
        return float(np.average(hits, weights=self.sample_weight))

    def intervals(
        self, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
    ) -> Intervals:
        """Bootstrap intervals of all figures; the default ones are computed once.

        Args:
            level: How often an interval holds the figure, were the samples drawn again.
            resamples: How many times they are drawn.
            seed: The same seed gives the same intervals.
        """
        if (level, resamples, seed) == (LEVEL, RESAMPLES, 0):
            return self._intervals
        return self._bootstrap(level, resamples, seed)

    def summary(self) -> pd.DataFrame:
        """The figures of the whole with their intervals: columns value, low, high."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        found = self.intervals().overall
        rows = [(value, *found[name]) for name, value in self.overall.items()]
        return pd.DataFrame(rows, index=list(self.overall), columns=["value", "low", "high"])

    def report(self) -> pd.DataFrame:
        """scikit-learn's classification report as a DataFrame.

        Returns:
            Rows: the classes, then "accuracy", "macro avg" and "weighted avg". Columns: precision,
            recall, f1-score, support.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> confusion([0, 1, 1], [0, 1, 0]).report().loc["1", "recall"].item()
            0.5
        """
        return report_frame(self.class_sums, self.predictions.names)

    @cached_property
    def threshold_curve(self) -> ThresholdCurve | None:
        """ROC and precision against recall of two classes; None without scores."""
        return ThresholdCurve.of(self.predictions, self.sample_weight)

    @cached_property
    def calibration(self) -> Calibration | None:
        """How far the probabilities can be believed; None without probabilities."""
        return calibrate(self.predictions, self.sample_weight)

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each sample, shape (n,); needs probabilities."""
        return sample_losses(self.predictions)

    def top_losses(self, n: int = 12) -> pd.DataFrame:
        """The samples with the highest loss, worst first.

        Args:
            n: How many.

        Returns:
            The index is the sample's number; columns: true, predicted, probability (of the
            predicted class), true_probability, loss.

        Raises:
            EvaluationError: Only classes are known, no probabilities.
        """
        return worst_samples(self.predictions, n)

    # --- inside -------------------------------------------------------------------------------

    def _top_hits(self, k: int | None = None) -> NDArray[np.bool_] | None:
        """Whether the true class is among the likeliest; None where that says nothing."""
        scores = self.predictions.scores
        if scores is None or scores.given.ndim == 1:
            return None
        if k is None:
            k = self._top()
            if k < 2:  # noqa: PLR2004 - the first is what accuracy counts
                return None
        return np.asarray(scores.ranks(self.predictions.true) < k)

    def _top(self) -> int:
        """How many of the likeliest classes are worth counting: 5, of few classes fewer."""
        return min(TOP, len(self.predictions.names) // 3)

    def _top_name(self) -> str:
        return f"top-{self._top()} accuracy"

    @cached_property
    def _intervals(self) -> Intervals:
        return self._bootstrap(LEVEL, RESAMPLES, 0)

    def _bootstrap(self, level: float, resamples: int, seed: int) -> Intervals:
        keywords: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
        found = bootstrap(self.predictions, self.sample_weight, **keywords)
        if (hits := self._top_hits()) is not None:
            found.overall[self._top_name()] = share_interval(hits, self.sample_weight, **keywords)
        return found


EPSILON = float(np.finfo(np.float64).eps)  # scikit-learn's log_loss cuts probabilities there


def sample_losses(targets: LabeledPredictions) -> NDArray[np.float64]:
    """The cross-entropy of each sample: minus the logarithm of the true class's probability.

    Args:
        targets: What is true and what the model said of it.

    Returns:
        Shape (n,); its mean is scikit-learn's ``log_loss`` where the probabilities sum to 1.

    Raises:
        EvaluationError: Only classes are known, no probabilities.
    """
    sure = None if targets.scores is None else targets.scores.of(targets.true)
    if sure is None:
        came = "only predicted classes" if targets.scores is None else "logits of one output"
        raise EvaluationError(
            f"A loss needs the probability of each class; {came} came.",
            "Give what model.predict(x) answers as y_pred.",
        )
    return -np.log(np.clip(sure, EPSILON, 1 - EPSILON))


def worst_samples(targets: LabeledPredictions, n: int) -> pd.DataFrame:
    """The samples with the highest loss, worst first.

    Args:
        targets: What is true and what the model said of it.
        n: How many.

    Returns:
        The index is the sample's number; columns: true, predicted (names), probability (of the
        predicted class), true_probability, loss.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    losses = sample_losses(targets)
    numbers = _largest(losses, n)
    sure = targets.confidence
    assert sure is not None  # noqa: S101 - there are losses, so there are probabilities
    names = np.array(targets.names, dtype=object)
    return pd.DataFrame(
        {
            "true": names[targets.true[numbers]],
            "predicted": names[targets.predicted[numbers]],
            "probability": sure[numbers],
            "true_probability": np.exp(-losses[numbers]),
            "loss": losses[numbers],
        },
        index=pd.Index(numbers, name="sample"),
    )


def _largest(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Places of the ``n`` largest, largest first, the earlier of equal ones first."""
    if n < len(values):
        bound = np.partition(values, len(values) - n)[len(values) - n]
        near = np.flatnonzero(values >= bound)
    else:
        near = np.arange(len(values))
    return near[np.argsort(-values[near], kind="stable")][:n]
