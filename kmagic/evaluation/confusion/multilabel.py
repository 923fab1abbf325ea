"""Samples with several labels each: one matrix of no and yes per label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.evaluation.confusion.confusion_matrix import (
    ConfusionMatrix,
    Order,
    find_label,
    natural_order,
)
from kmagic.evaluation.confusion.confusion_metrics import (
    ClassMetrics,
    ThresholdCurve,
    classification_report_frame,
    divide,
)
from kmagic.evaluation.confusion.label_arrays import (
    ClassNames,
    ClassScores,
    Label,
    LabeledPredictions,
    as_label_array,
    parse_class_names,
)
from kmagic.evaluation.confusion.matrix_plot import plot_labels
from kmagic.models.model_arrays import dense_rows, sparse_rows
from kmagic.support.data_values import check_has_values
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import isolate_direction, isolate_names, pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Thresholds: TypeAlias = "ArrayLike | Mapping[Any, float] | None"
TABLE = 2  # axes of a table: samples and labels
N_WORST = 3


@dataclass(frozen=True, eq=False, slots=True)
class MultilabelPredictions:
    """True and predicted labels.

    Attributes:
        label_ids: What the data calls each label: its column, or an id.
        label_names: What is shown for each label.
        true: Whether a sample has a label, shape (n, labels).
        predicted: Whether the model predicts it, shape (n, labels).
        scores: Score of each label, shape (n, labels); None if only yes and no are known.
        thresholds: A label is predicted above these scores, shape (labels,).
    """

    label_ids: tuple[Label, ...]
    label_names: tuple[str, ...]
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    scores: NDArray[Any] | None
    thresholds: NDArray[np.float64]


def has_several_labels(y_true: object, y_pred: object) -> bool:
    """Whether both are tables, and the labels are rows of 0 and 1 that are not all one-hot."""
    y_true, y_pred = (dense_rows(sparse_rows(value)) for value in (y_true, y_pred))
    check_has_values(y_true)
    check_has_values(y_pred)
    try:
        true_labels, predicted_labels = np.asarray(y_true), np.asarray(y_pred)
    except ValueError:
        return False
    return bool(
        true_labels.ndim == TABLE
        and true_labels.shape[1] > 1
        and true_labels.dtype.kind in "biuf"
        and len(true_labels)
        and true_labels.shape == predicted_labels.shape
        and np.isin(true_labels, (0, 1)).all()
        and (true_labels.sum(axis=1) != 1).any()
    )


def read_multilabel(
    y_true: object, y_pred: object, *, class_names: ClassNames | None = None, threshold: Any = None
) -> MultilabelPredictions:
    """Convert the labels of both sides."""
    true_labels = as_label_array(y_true, "y_true")
    predicted_labels = as_label_array(y_pred, "y_pred")
    if true_labels.ndim == predicted_labels.ndim == 1:  # one label
        true_labels, predicted_labels = true_labels[:, None], predicted_labels[:, None]
    if true_labels.ndim != TABLE or true_labels.shape != predicted_labels.shape:
        raise EvaluationError(
            "With several labels per sample, labels and predictions must have the same shape "
            f"(n, labels); got {true_labels.shape} and {predicted_labels.shape}."
        )
    if not true_labels.size:
        raise EvaluationError("Labels and predictions are empty: nothing to compare.")
    if true_labels.dtype.kind == "U" or not np.isin(true_labels, (0, 1)).all():
        raise EvaluationError("With several labels per sample, labels must be only 0 and 1.")
    labels = true_labels.shape[1]
    ids, names = parse_class_names(range(labels) if class_names is None else class_names, labels)
    are_scores = predicted_labels.dtype.kind == "f" and not np.isin(predicted_labels, (0, 1)).all()
    scores = predicted_labels if are_scores else None
    is_best = isinstance(threshold, str) and threshold == "best"
    if is_best and scores is None:
        raise EvaluationError(
            Text(Option("threshold", "best"), " needs probabilities; got only 0 and 1.")
        )
    thresholds = read_thresholds(0.5 if is_best else threshold, names, ids)
    if scores is not None and threshold is None and not ClassScores(scores).are_probabilities:
        raise EvaluationError(
            option="y_pred",
            expected="probabilities between 0 and 1",
            actual=Text(f"{scores.min():g} to {scores.max():g}"),
            remedy=Text("For logits, pass ", Option("threshold", 0), "."),
        )
    return MultilabelPredictions(
        ids, names, true_labels == 1, predicted_labels > thresholds, scores, thresholds
    )


def read_thresholds(
    threshold: Thresholds, names: Sequence[str], ids: Sequence[Label] = (), known: Any = 0.5
) -> NDArray[np.float64]:
    """One threshold for each label; a label that a mapping does not contain has the known one.

    Raises:
        EvaluationError: There is no such label, or the values are not numbers.
    """
    labels = len(names)
    series: Any = threshold if hasattr(threshold, "to_dict") else None
    if series is not None and list(series.index) != list(range(labels)):
        threshold = series.to_dict()
    if isinstance(threshold, Mapping):
        values = np.array(np.broadcast_to(known, (labels,)), dtype=object)
        for label, value in threshold.items():
            values[find_label(label, ids or range(labels), names, "labels")] = value
        threshold = values.tolist()
    return _broadcast_threshold(threshold, labels)


def _broadcast_threshold(threshold: Any, labels: int) -> NDArray[np.float64]:
    try:
        thresholds = np.asarray(0.5 if threshold is None else threshold, dtype=np.float64)
        thresholds = np.array(np.broadcast_to(thresholds, (labels,)))
    except (TypeError, ValueError):
        thresholds = np.array([np.nan])
    if np.isfinite(thresholds).all():
        return thresholds
    raise EvaluationError(
        option="threshold",
        expected=f"one number, or one for each of the {labels} labels",
        actual=threshold,
    )


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelConfusion(Renderable):
    """A matrix of no and yes for each label; ``result["cat"]`` is that of one label.

    Attributes:
        predictions: True and predicted labels.
        sample_weight: Weight of each sample, or None.
        x: The samples themselves, or None.
        order: How the labels are sorted on the card.
        name: Name of the model.
        unit: What a sample is, in the plural.
        selection: Cells selected in the notebook, as (label, true, predicted).
        are_fitted: Whether the thresholds were chosen for the highest F1 on these samples.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.matrix_cards:multilabel_bundle"

    predictions: MultilabelPredictions
    sample_weight: NDArray[np.float64] | None = None
    x: Any = None
    order: Order = "given"
    name: str = ""
    unit: str = "samples"
    selection: list[tuple[Label, bool, bool]] = field(default_factory=list)
    are_fitted: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.predictions.label_names

    @property
    def labels(self) -> tuple[Label, ...]:
        """What the data calls the labels: columns or ids."""
        return self.predictions.label_ids

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.predictions.true)

    @cached_property
    def matrices(self) -> NDArray[Any]:
        """The counts, shape (labels, 2, 2): rows are true no and yes, columns predicted.

        As scikit-learn's ``multilabel_confusion_matrix``, but thirty times as fast, which the
        threshold slider needs.
        """
        true, predicted = self.predictions.true, self.predictions.predicted
        weights = self.sample_weight
        cells = [[~true & ~predicted, ~true & predicted], [true & ~predicted, true & predicted]]
        counts = [
            [cell.sum(axis=0) if weights is None else weights @ cell for cell in row]
            for row in cells
        ]
        return np.moveaxis(np.array(counts), 2, 0)

    @cached_property
    def per_class(self) -> ClassMetrics:
        """Precision, recall, F1 and support of each label."""
        counts = self.matrices
        return ClassMetrics(counts[:, 1, 1], counts[:, 1].sum(axis=1), counts[:, :, 1].sum(axis=1))

    @cached_property
    def overall(self) -> dict[str, float]:
        """The overall metrics, by name, as scikit-learn defines them.

        Subset accuracy is the share of samples with all labels correct, Hamming loss the share of
        wrong labels; Jaccard is the share of a sample's true and predicted labels that are both,
        0 for a sample without any, on average; micro F1 counts all labels together.
        """
        weights, averages = self.sample_weight, self.averages
        is_wrong = self.predictions.true != self.predictions.predicted
        metrics = {
            "subset accuracy": float(np.average(~is_wrong.any(axis=1), weights=weights)),
            "Hamming loss": float(np.average(is_wrong.mean(axis=1), weights=weights)),
        }
        together = self.predictions.true & self.predictions.predicted
        union = self.predictions.true | self.predictions.predicted
        shares = divide(together.sum(axis=1), union.sum(axis=1))
        metrics["Jaccard"] = float(np.average(shares, weights=weights))
        for name in ("micro", "macro", "weighted"):
            *_, metrics[f"{name} F1"] = averages[f"{name} avg"]
        return metrics

    @cached_property
    def averages(self) -> dict[str, tuple[float, float, float]]:
        """Mean precision, recall and F1, by the names of :meth:`report`."""
        true, predicted, figures = self.predictions.true, self.predictions.predicted, self.per_class
        together = ClassMetrics(
            *(np.sum(each) for each in (figures.correct, figures.support, figures.predicted))
        )
        samples = ClassMetrics(
            (true & predicted).sum(axis=1), true.sum(axis=1), predicted.sum(axis=1)
        )
        weights = np.ones(len(true)) if self.sample_weight is None else self.sample_weight
        means = {
            "micro avg": (together, np.ones(())),
            "macro avg": (figures, np.ones(len(self))),
            "weighted avg": (figures, figures.support),
            "samples avg": (samples, weights),
        }

        def mean(values: NDArray[np.float64], weight: NDArray[Any]) -> float:
            return float(divide((values * weight).sum(), weight.sum()))

        return {
            name: (mean(each.precision, of), mean(each.recall, of), mean(each.f1, of))
            for name, (each, of) in means.items()
        }

    @cached_property
    def threshold_curve(self) -> ThresholdCurve | None:
        """ROC and precision against recall, all labels counted together; None without scores."""
        true, scores, weight = self.predictions.true, self.predictions.scores, self.sample_weight
        weights = None if weight is None else np.repeat(weight, len(self))
        return None if scores is None else ThresholdCurve.of(true.ravel(), scores.ravel(), weights)

    @property
    def wrong(self) -> int:
        """Number of samples with a wrong label."""
        return int((self.predictions.true != self.predictions.predicted).any(axis=1).sum())

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ConfusionMatrix]:
        return (self[name] for name in self.classes)

    def __getitem__(self, label: object) -> ConfusionMatrix:
        """The matrix of one label, by its name or its id; its classes are no and yes."""
        index = self.class_index(label)
        labels, name = self.predictions, self.classes[index]
        predictions = LabeledPredictions(
            class_ids=(0, 1),
            class_names=(f"not {name}", name),
            true=labels.true[:, index].astype(np.intp),
            predicted=labels.predicted[:, index].astype(np.intp),
            scores=None if labels.scores is None else ClassScores(labels.scores[:, index]),
            threshold=float(labels.thresholds[index]),
        )
        return ConfusionMatrix(
            self.matrices[index],
            predictions,
            self.sample_weight,
            x=self.x,
            name=f"{self.name}, {name}" if self.name else name,
            unit=self.unit,
        )

    def instead(self, labels: Sequence[object] | None = None) -> pd.DataFrame:
        """Which labels were predicted wrongly where others were missed.

        Args:
            labels: The missed labels, by name or by id. Default: all.

        Returns:
            A row for each missed label, a column for each label: in how many samples the first is
            missed and the second is predicted wrongly.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> names = ["cat", "dog"]
            >>> result = confusion([[1, 0], [1, 1]], [[0, 1], [1, 0]], class_names=names)
            >>> int(result.instead().loc["cat", "dog"])
            1
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        true, predicted = self.predictions.true, self.predictions.predicted
        rows = self._indices(labels)
        counts = self._pair_counts((true & ~predicted)[:, rows], predicted & ~true)
        names = [self.classes[k] for k in rows]
        return pd.DataFrame(counts, index=pd.Index(names, name="missed"), columns=self.classes)

    def together(self, labels: Sequence[object] | None = None) -> pd.DataFrame:
        """The pairs of labels that samples have, or are predicted to have, together.

        Args:
            labels: The labels, by name or by id. Default: all.

        Returns:
            A row for each pair that occurs, the most frequent first. Columns: ``label`` and
            ``with``, their names; ``true`` and ``predicted``, in how many samples; ``both``, in how
            many of these the pair is correct.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        chosen = self._indices(labels)
        true, predicted = (
            rows[:, chosen] for rows in (self.predictions.true, self.predictions.predicted)
        )
        counts = [
            np.triu(self._pair_counts(rows, rows), 1)
            for rows in (true, predicted, true & predicted)
        ]
        one, other = np.nonzero(counts[0] + counts[1])
        names = np.array([self.classes[k] for k in chosen], dtype=object)
        columns = {"label": names[one], "with": names[other]}
        keys = ("true", "predicted", "both")
        columns |= {key: each[one, other] for key, each in zip(keys, counts, strict=True)}
        frame = pd.DataFrame(columns)
        order = np.argsort(-frame[["true", "predicted"]].max(axis=1).to_numpy(), kind="stable")
        return frame.iloc[order].reset_index(drop=True)

    def _indices(self, labels: Sequence[object] | None) -> list[int]:
        return list(range(len(self)) if labels is None else map(self.class_index, labels))

    def _pair_counts(self, rows: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[Any]:
        """In how many samples, or with which weight, a label of each side is set."""
        from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

        dtype = np.int64 if self.sample_weight is None else np.float64
        left = csr_array(rows.astype(dtype))
        if self.sample_weight is not None:
            left = left.multiply(self.sample_weight[:, None]).tocsr()
        return np.asarray((left.T @ csr_array(others.astype(dtype))).toarray())

    def label_scores(self) -> pd.DataFrame:
        """Average precision and ROC AUC of each label, which need no threshold.

        Returns:
            A row for each label, by name: ``average precision``, ``ROC AUC`` (NaN for a label that
            all samples have, or none) and ``threshold``.

        Raises:
            EvaluationError: There are no scores.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        curves = self._label_curves()
        figures = {
            "average precision": [
                curve.average_precision if curve.positives else float("nan") for curve in curves
            ],
            "ROC AUC": [curve.auc for curve in curves],
            "threshold": self.predictions.thresholds,
        }
        return pd.DataFrame(figures, index=pd.Index(self.classes, name="label"))

    def _label_curves(self) -> list[ThresholdCurve]:
        scores, true = self.predictions.scores, self.predictions.true
        if scores is None:
            raise EvaluationError("This needs the scores of the labels; got only 0 and 1.")
        weight = self.sample_weight
        return [ThresholdCurve.of(true[:, k], scores[:, k], weight) for k in range(len(self))]

    def indices(self, label: object, *, true: bool, pred: bool) -> NDArray[np.intp]:
        """The indices of the samples in a cell of a label's matrix.

        Args:
            label: By name or by id.
            true: Whether they have the label.
            pred: Whether the model predicts it.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> names = ["cat", "dog"]
            >>> result = confusion([[1, 1], [0, 1]], [[1, 0], [0, 1]], class_names=names)
            >>> result.indices("dog", true=True, pred=False)
            array([0])
        """
        return self[label].indices(true=int(true), pred=int(pred))

    def selected(self) -> NDArray[np.intp]:
        """The indices of the samples in the cells that are selected in the notebook, each once."""
        found = [self.indices(name, true=true, pred=pred) for name, true, pred in self.selection]
        return np.array(list(dict.fromkeys(np.concatenate([[], *found]))), dtype=np.intp)

    def at(self, threshold: ArrayLike | Mapping[Any, float]) -> MultilabelConfusion:
        """The same samples with other thresholds.

        Args:
            threshold: One number for all labels, one for each, or a mapping from labels to numbers;
                a label that it does not contain keeps its threshold.

        Raises:
            EvaluationError: There are no scores, or no such label.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> result = confusion([[1, 1], [0, 1]], [[0.9, 0.4], [0.2, 0.8]])
            >>> result.wrong, result.at({"1": 0.3}).wrong
            (1, 0)
        """
        scores = self.predictions.scores
        if scores is None:
            raise EvaluationError("A threshold needs the scores of the labels; got only 0 and 1.")
        known = self.predictions.thresholds
        thresholds = read_thresholds(threshold, self.classes, self.labels, known)
        predictions = replace(
            self.predictions, predicted=scores > thresholds, thresholds=thresholds
        )
        result = replace(self, predictions=predictions, selection=[], are_fitted=False)
        vars(result)["threshold_curve"] = self.threshold_curve  # of all thresholds
        return result

    def best_thresholds(self) -> dict[str, float]:
        """For each label the threshold with the highest F1 on these samples.

        It is halfway between two scores that occur; of several the middle one. A label that no
        sample has keeps its threshold. Choose thresholds on validation data: on the samples that
        they were chosen for, the metrics are too good.

        Raises:
            EvaluationError: There are no scores.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> y, scores = [[1, 1], [0, 1], [0, 0]], [[0.9, 0.4], [0.2, 0.8], [0.1, 0.3]]
            >>> result = confusion(y, scores, class_names=["cat", "dog"])
            >>> result.best_thresholds()
            {'cat': 0.55, 'dog': 0.35}
            >>> result.at(result.best_thresholds()).wrong
            0
        """
        found = {}
        for k, (name, curve) in enumerate(zip(self.classes, self._label_curves(), strict=True)):
            predicted = curve.true_positives + curve.false_positives
            f1 = divide(2 * curve.true_positives, predicted + curve.positives)
            best = np.flatnonzero(np.isclose(f1, f1.max(), rtol=0, atol=1e-12))
            at = int(best[(len(best) - 1) // 2])
            lowest = float(curve.thresholds[-1])
            steps = np.append(curve.thresholds, 0.0 if lowest > 0 else lowest - 1)
            middle = float(steps[at : at + 2].mean(dtype=np.float64))
            found[name] = middle if curve.positives > 0 else float(self.predictions.thresholds[k])
        return found

    @property
    def note(self) -> str:
        """What to consider about thresholds that were chosen on these samples; or ""."""
        if not self.are_fitted:
            return ""
        return (
            f"Each threshold gives the highest F1 of its label on these {self.unit}, so the "
            "metrics are too good. Choose thresholds on validation data or out-of-fold rows, and "
            "use them for the test part: result.best_thresholds() gives them."
        )

    def ordered(self, by: Order | None = None) -> NDArray[np.intp]:
        """Indices of the labels as they are shown; "similarity" keeps the given order."""
        match by or self.order:
            case "name":
                return natural_order(self.classes)
            case "support":
                return np.argsort(-self.per_class.support, kind="stable")
            case "error":
                return np.argsort(self.per_class.f1, kind="stable")
            case _:
                return np.arange(len(self))

    def report(self) -> pd.DataFrame:
        """scikit-learn's classification report as a data frame.

        Returns:
            Rows: the labels, then "micro avg", "macro avg", "weighted avg", "samples avg".
            Columns: precision, recall, f1-score, support.
        """
        return classification_report_frame(
            self.predictions.true, self.predictions.predicted, self.classes, self.sample_weight
        )

    def facts(self) -> str:
        """Size and F1."""
        return " · ".join(self._facts())

    def _facts(self) -> list[str]:
        wrong = f"{self.wrong:,} with a wrong label" if self.wrong else "none wrong"
        f1 = f"F1 {self.overall['micro F1']:.4f}"
        samples = f"{self.samples:,} {isolate_direction(self.unit)}"
        return [samples, pluralize(len(self), "label"), wrong, f1]

    def describe(self) -> str:
        """A summary with the labels of lowest F1."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        f1 = self.per_class.f1
        names = isolate_names(self.classes, 40)
        worst = [f"{names[k]} {f1[k]:.3f}" for k in np.argsort(f1, kind="stable")[:N_WORST]]
        lowest = f"Lowest F1: {', '.join(worst)}."
        return "\n".join(filter(None, [f"{title}{', '.join(self._facts())}.", lowest, self.note]))

    def plot(self) -> Figure:
        """The matrices as a matplotlib figure."""
        return plot_labels(self)

    def class_index(self, label: object) -> int:
        """The column of a label, by its name or its id."""
        return find_label(label, self.labels, self.classes, "labels")

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<MultilabelConfusion{name}: {self.facts()}>"
