"""The confusion matrix as a result: counts, metrics, and the samples of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.confusion.comparison import Comparison
from kmagic.evaluation.confusion.confusion_metrics import (
    LEVEL,
    Calibration,
    ClassMetrics,
    Intervals,
    ThresholdCurve,
    calibrate,
    classification_report_frame,
    count_confusions,
    divide,
    metric_intervals,
)
from kmagic.evaluation.confusion.label_arrays import Label, LabeledPredictions
from kmagic.evaluation.confusion.matrix_plot import plot_matrix
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    isolate_names,
    list_names,
    natural_sort_key,
)
from kmagic.support.messages import Option, Text
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Order: TypeAlias = Literal["given", "name", "support", "error", "similarity"]
Normalize: TypeAlias = Literal["true", "pred", "all"]
Scale: TypeAlias = Literal["linear", "log"]

TOP_K = 5
EPSILON = float(np.finfo(np.float64).eps)  # scikit-learn's log_loss clips probabilities to it
MAX_NAME = 60  # characters of a class name in a sentence
MAX_OPTIMAL = 300  # classes up to which the order within the clusters is optimized too


@dataclass(frozen=True, eq=False, repr=False)
class ConfusionMatrix(Renderable):
    """A confusion matrix with its samples; every metric is computed when it is first used.

    Attributes:
        matrix: Counts of shape (classes, classes): rows are true, columns predicted classes.
            Sums of weights if there are weights.
        predictions: Indices of the true and predicted class of each sample, and the scores.
        sample_weight: Weight of each sample, or None.
        x: The samples themselves, or None.
        normalize: What the percentages refer to: "true" (None too), "pred" or "all".
        order: How the classes are sorted on the card.
        scale: Whether colours follow the counts or their logarithm.
        diagonal: Whether the diagonal is included in the colour scale.
        n_top_losses: Number of samples with the highest loss to show.
        name: Name of the model.
        unit: What a sample is, in the plural: "test digits".
        selection: Cells selected in the notebook, as (true, predicted) labels.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.matrix_cards:confusion_bundle"

    matrix: NDArray[Any]
    predictions: LabeledPredictions
    sample_weight: NDArray[np.float64] | None = None
    x: Any = None
    normalize: Normalize | None = None
    order: Order = "given"
    scale: Scale = "linear"
    diagonal: bool = False
    n_top_losses: int = 0
    name: str = ""
    unit: str = "samples"
    selection: list[tuple[Label, Label]] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of rows and columns."""
        return self.predictions.class_names

    @property
    def labels(self) -> tuple[Label, ...]:
        """What the data calls the classes: ids or strings."""
        return self.predictions.class_ids

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.predictions.true)

    @property
    def wrong(self) -> int:
        """Number of misclassified samples."""
        return self.samples - int(self.predictions.correct.sum())

    @property
    def confidence(self) -> NDArray[np.float64] | None:
        """Probability of the predicted class of each sample; None if unknown."""
        return self.predictions.confidence

    def normalized(self, over: Normalize = "true") -> NDArray[np.float64]:
        """The matrix as shares from 0 to 1.

        Args:
            over: "true": each row sums to 1. "pred": each column. "all": the whole matrix.

        Returns:
            Shape (classes, classes); a class without samples has zeros, as in scikit-learn.
        """
        check_normalize(over)
        axis = {"true": 1, "pred": 0, "all": None}[over]
        return divide(self.matrix, self.matrix.sum(axis=axis, keepdims=True))

    def ordered(self, by: Order | None = None) -> NDArray[np.intp]:
        """Indices of the classes, sorted.

        Args:
            by: "given"; "name", where numbers in names count by their value; "support", the largest
                class first; "error", the lowest recall first; "similarity", often confused classes
                next to each other. Default: ``self.order``.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> confusion(["b", "a", "c"], ["c", "a", "b"]).ordered("similarity").tolist()
            [1, 2, 0]
        """
        by = by or self.order
        check_choice("order", by, Order)
        support = self.per_class.support
        match by:
            case "name":
                return natural_order(self.classes)
            case "support":
                return np.argsort(-support, kind="stable")
            case "error":
                error_rate = divide(support - self.per_class.correct, support)
                return np.lexsort((-support, -error_rate))
            case "similarity":
                return _cluster(self.matrix)
            case "given":
                return np.arange(len(support))

    # --- metrics ------------------------------------------------------------------------------

    @cached_property
    def per_class(self) -> ClassMetrics:
        """Precision, recall, F1 and support of each class."""
        return ClassMetrics.of(self.matrix)

    @cached_property
    def overall(self) -> dict[str, float]:
        """Accuracy, balanced accuracy, kappa, MCC, macro and weighted means, top-k, by name."""
        metrics = {name: float(value) for name, value in self.per_class.overall().items()}
        for name, hits in self._top_k_hits().items():
            metrics[name] = float(np.average(hits, weights=self.sample_weight))
        return metrics

    @property
    def accuracy(self) -> float:
        """Share of correctly classified samples, from 0 to 1."""
        return float(self.per_class.correct.sum() / self.per_class.support.sum())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        return self.overall["balanced accuracy"]

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond chance; NaN for a single class."""
        return self.overall["kappa"]

    @property
    def mcc(self) -> float:
        """Matthews's correlation coefficient, from -1 to 1."""
        return self.overall["MCC"]

    def top_k_accuracy(self, k: int = TOP_K) -> float:
        """Share of samples whose true class is among the ``k`` most probable ones.

        Args:
            k: Number of classes, from 1.

        Raises:
            EvaluationError: There is no score for each class.
        """
        scores = self.predictions.scores
        if scores is None or scores.given.ndim == 1:
            advice = "Pass the output of model.predict(x), shape (n, classes), as "
            raise EvaluationError(
                "Top-k accuracy needs a score for each class.",
                Text(advice, Option("y_pred"), "."),
            )
        hits = scores.ranks(self.predictions.true) < k
        return float(np.average(hits, weights=self.sample_weight))

    def intervals(self, *, level: float = LEVEL) -> Intervals:
        """Intervals of all metrics (``metric_intervals``); the default ones are computed once.

        Args:
            level: Coverage probability of an interval.
        """
        if level == LEVEL:
            return self._intervals
        hits = self._top_k_hits()
        return metric_intervals(self.predictions, self.sample_weight, hits=hits, level=level)

    @cached_property
    def _intervals(self) -> Intervals:
        return metric_intervals(self.predictions, self.sample_weight, hits=self._top_k_hits())

    def summary(self) -> pd.DataFrame:
        """The overall metrics with their intervals: columns value, low, high."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        intervals = self.intervals().overall
        rows = [(value, *intervals[name]) for name, value in self.overall.items()]
        return pd.DataFrame(rows, index=list(self.overall), columns=["value", "low", "high"])

    def report(self) -> pd.DataFrame:
        """scikit-learn's classification report as a data frame.

        Returns:
            Rows: the classes, then "accuracy", "macro avg" and "weighted avg". Columns: precision,
            recall, f1-score, support.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> confusion([0, 1, 1], [0, 1, 0]).report().loc["1", "recall"].item()
            0.5
        """
        true, predicted = np.nonzero(self.matrix)  # each cell is a sample with a weight
        counts = self.matrix[true, predicted]
        return classification_report_frame(true, predicted, self.classes, counts)

    @cached_property
    def threshold_curve(self) -> ThresholdCurve | None:
        """ROC and precision against recall of two classes; None without scores."""
        true, scores = self.predictions.true, self.predictions.scores
        if scores is None or len(self.classes) != 2:  # noqa: PLR2004
            return None
        return ThresholdCurve.of(true == 1, scores.second, self.sample_weight)

    @cached_property
    def calibration(self) -> Calibration | None:
        """How well probabilities match frequencies; None without probabilities."""
        return calibrate(self.predictions, self.sample_weight)

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each sample, shape (n,).

        Its mean is scikit-learn's ``log_loss`` if the probabilities of a sample sum to 1.

        Raises:
            EvaluationError: No probabilities are known.
        """
        scores = self.predictions.scores
        probability = None if scores is None else scores.of(self.predictions.true)
        if probability is None:
            actual = "only predicted classes" if scores is None else "logits of one output"
            raise EvaluationError(
                f"A loss needs the probability of each class; got {actual}.",
                Text("Pass the output of model.predict(x) as ", Option("y_pred"), "."),
            )
        return -np.log(np.clip(probability, EPSILON, 1 - EPSILON))

    def top_losses(self, n: int = 12) -> pd.DataFrame:
        """The samples with the highest loss, highest first.

        Args:
            n: Number of samples.

        Returns:
            The index is the sample's index; columns: true, predicted, probability (of the
            predicted class), true_probability, loss.

        Raises:
            EvaluationError: No probabilities are known.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        names = np.array(self.classes, dtype=object)
        losses = pd.Series(self.losses).nlargest(n, keep="first")
        index = losses.index.to_numpy()
        assert self.confidence is not None  # noqa: S101 - there are losses
        return pd.DataFrame(
            {
                "true": names[self.predictions.true[index]],
                "predicted": names[self.predictions.predicted[index]],
                "probability": self.confidence[index],
                "true_probability": np.exp(-losses.to_numpy()),
                "loss": losses.to_numpy(),
            },
            index=pd.Index(index, name="sample"),
        )

    def _top_k_hits(self) -> dict[str, NDArray[np.bool_]]:
        """Whether each true class is among the top 5 (or a third of few classes), by name."""
        scores, k = self.predictions.scores, min(TOP_K, len(self.classes) // 3)
        if scores is None or scores.given.ndim == 1 or k < 2:  # noqa: PLR2004 - top-1 is accuracy
            return {}
        return {f"top-{k} accuracy": scores.ranks(self.predictions.true) < k}

    # --- samples ------------------------------------------------------------------------------

    def indices(
        self, true: object = None, pred: object = None, *, n: int | None = None
    ) -> NDArray[np.intp]:
        """The indices of the samples in a cell of the matrix.

        Args:
            true: True class, by name or by id; None for any.
            pred: Predicted class, by name or by id; None for any.
            n: Maximum number of indices.

        Returns:
            Indices into ``x``; the most confident predictions first if probabilities are known.

        Raises:
            EvaluationError: There is no such class.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> confusion([0, 1, 1, 1], [0, 0, 1, 0]).indices(true=1, pred=0)
            array([1, 3])
        """
        matches = np.ones(self.samples, dtype=bool)
        for label, classes in ((true, self.predictions.true), (pred, self.predictions.predicted)):
            if label is not None:
                matches &= classes == self.class_index(label)
        return self.predictions.most_confident(matches)[:n]

    def selected(self) -> NDArray[np.intp]:
        """The indices of the samples in the cells that are selected in the notebook."""
        indices = [self.indices(true=true, pred=pred) for true, pred in self.selection]
        return np.concatenate(indices) if indices else np.zeros(0, dtype=np.intp)

    def pairs(self, n: int | None = 10) -> list[ConfusedPair]:
        """The most confused pairs of classes: by count, then by share of the true class.

        Args:
            n: Maximum number of pairs; None for all.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> matrix = confusion(["cat", "dog", "dog"], ["cat", "dog", "cat"])
            >>> print(matrix.pairs()[0].to_text())
            dog taken for cat: 1 of 2
        """
        mistakes = np.array(self.matrix)
        np.fill_diagonal(mistakes, 0)
        rows, columns = np.nonzero(mistakes)
        counts, support = mistakes[rows, columns], self.matrix.sum(axis=1)[rows]
        order = np.lexsort((-counts / support, -counts))[:n]
        pairs = (values[order].tolist() for values in (rows, columns, counts, support))
        return [
            ConfusedPair(true, predicted, self.classes[true], self.classes[predicted], count, of)
            for true, predicted, count, of in zip(*pairs, strict=True)
        ]

    def class_index(self, label: object) -> int:
        """The row and column of a class.

        Args:
            label: Its name, or its id.

        Raises:
            EvaluationError: There is no such class.
        """
        return find_label(label, self.labels, self.classes, "classes")

    # --- other matrices of the same samples ---------------------------------------------------

    def at(self, threshold: float) -> ConfusionMatrix:
        """The matrix of the same two classes at another threshold.

        Args:
            threshold: The second class is predicted above this score.

        Raises:
            EvaluationError: There are more than two classes, or no scores.
        """
        scores = self.predictions.scores
        if self.threshold_curve is None or scores is None:
            raise EvaluationError("A threshold needs two classes and the scores of the second.")
        predicted = (scores.second > threshold).astype(np.intp)
        predictions = replace(self.predictions, predicted=predicted, threshold=threshold)
        matrix = count_confusions(predictions, self.sample_weight)
        result = replace(self, matrix=matrix, predictions=predictions, selection=[])
        vars(result)["threshold_curve"] = self.threshold_curve  # of all thresholds
        return result

    def versus(self, other: ConfusionMatrix) -> Comparison:
        """Compare with another model on the same samples.

        Args:
            other: The matrix of the other model.

        Raises:
            EvaluationError: The samples are not the same.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> result = confusion([0, 1, 1], [0, 1, 1]).versus(confusion([0, 1, 1], [0, 1, 0]))
            >>> result.errors(), result.fixed, result.p_value
            ('errors 0 against 1', 1, 1.0)
        """
        if type(other) is not type(self):
            raise EvaluationError(
                "A matrix can only be compared with another confusion matrix of one class per "
                f"sample; got {type(other).__name__}."
            )
        if self.classes != other.classes:
            raise EvaluationError(
                "Both models must have the same classes; "
                f"got {len(self.classes):,} and {len(other.classes):,}.",
                Text("Pass the same ", Option("class_names"), " for both."),
            )
        if not np.array_equal(self.predictions.true, other.predictions.true):
            raise EvaluationError(
                "Both models must be evaluated on the same samples; "
                f"got {self.samples:,} and {other.samples:,}, and the true classes differ."
            )
        return Comparison(self, other)

    # --- text and figure ----------------------------------------------------------------------

    def describe(self) -> str:
        """A summary with the most confused pairs."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        pairs = "; ".join(pair.to_text() for pair in self.pairs(5))
        confused = f"\nMost confused: {pairs}." if pairs else ""
        return f"{title}{', '.join(self._facts())}.{confused}"

    def facts(self) -> str:
        """Size and accuracy: "10,000 test digits · 193 wrong · accuracy 0.9807"."""
        return " · ".join(self._facts())

    def _facts(self) -> list[str]:
        wrong = f"{self.wrong:,} wrong" if self.wrong else "none wrong"
        samples = f"{self.samples:,} {isolate_direction(self.unit)}"
        return [samples, wrong, f"accuracy {self.accuracy:.4f}"]

    def plot(self) -> Figure:
        """The matrix as a matplotlib figure, for a paper or a file.

        It is independent of pyplot: ``confusion(...).plot().savefig("confusion.pdf")``.
        """
        return plot_matrix(self)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<ConfusionMatrix{name}: {len(self.classes):,} classes, {self.facts()}>"


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two classes, the first of which was taken for the second.

    Attributes:
        true: Index of the true class.
        predicted: Index of the predicted class.
        true_name: Name of the true class.
        predicted_name: Name of the predicted class.
        count: Number of samples, or their weight.
        support: Number of samples of the true class, or their weight.
    """

    true: int
    predicted: int
    true_name: str
    predicted_name: str
    count: float
    support: float

    def to_text(self) -> str:
        """The pair in words: "9 taken for 4: 7 of 1,009"."""
        true, predicted = isolate_names((self.true_name, self.predicted_name), MAX_NAME)
        counts = f"{format_count(self.count)} of {format_count(self.support)}"
        return f"{true} taken for {predicted}: {counts}"


def find_label(label: object, ids: Sequence[Label], names: Sequence[str], plural: str) -> int:
    """The index of a class (or label) by its name or its id."""
    if isinstance(label, np.generic):
        label = label.item()
    known: Sequence[Label] = names if isinstance(label, str) else ids
    if label not in known:
        raise EvaluationError(f"{label!r} is not one of the {plural}: {list_names(known, 10)}.")
    return known.index(label)


def check_choice(option: str, value: str, choices: Any, expected: str = "") -> None:
    """Reject a value that is not among the choices of a literal type."""
    names = get_args(choices)
    if value not in names:
        expected = expected or f"one of {', '.join(names)}"
        raise EvaluationError(option=option, expected=expected, actual=value)


def check_normalize(over: str) -> None:
    """Reject an unknown way to normalize."""
    expected = "'true' (per row), 'pred' (per column) or 'all'"
    check_choice("normalize", over, Normalize, expected)


def natural_order(names: Sequence[str]) -> NDArray[np.intp]:
    """Indices that sort names alphabetically, with numbers in them by their value.

    Names that differ in leading zeros only keep their order.
    """
    return np.array(sorted(range(len(names)), key=lambda k: natural_sort_key(names[k])), np.intp)


def _cluster(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Average-linkage clusters, where classes are close that are often confused."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - slow to import
    from scipy.spatial.distance import squareform  # noqa: PLC0415 - as above

    shares = divide(matrix, matrix.sum(axis=1, keepdims=True))
    confused = shares + shares.T
    np.fill_diagonal(confused, 0)
    is_confused = confused.any(axis=1)
    among, rest = np.flatnonzero(is_confused), np.flatnonzero(~is_confused)
    if len(among) > 2:  # noqa: PLR2004 - two have only one order
        near = confused[np.ix_(among, among)]
        distance = 1 - near / near.max()
        np.fill_diagonal(distance, 0)
        tree = linkage(
            squareform(distance, checks=False),
            method="average",
            optimal_ordering=len(among) <= MAX_OPTIMAL,
        )
        among = among[leaves_list(tree)]
    return np.concatenate([among, rest]).astype(np.intp)
