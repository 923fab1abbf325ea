"""Samples with several labels each: one matrix of yes and no a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kmagic.evaluation.confusion.class_metrics import ClassMetrics, divide
from kmagic.evaluation.confusion.class_order import Order, natural_order
from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix
from kmagic.evaluation.confusion.label_arrays import (
    ROUNDING,
    Classes,
    ClassScores,
    Label,
    LabeledPredictions,
    as_label_array,
    parse_class_names,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import isolate_direction, shorten_name
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TABLE = 2  # axes of a table: samples and labels
WORST = 3


@dataclass(frozen=True, eq=False, slots=True)
class MultilabelPredictions:
    """Which labels are true and which were predicted.

    Attributes:
        labels: What the data calls each label: its column, or an id.
        names: What a person calls it.
        true: Whether a sample has a label, shape (n, labels).
        predicted: Whether the model says so, shape (n, labels).
        scores: What the model said of each label, shape (n, labels); None where only yes and no
            came.
        thresholds: Above which a label is meant, shape (labels,).
    """

    labels: tuple[Label, ...]
    names: tuple[str, ...]
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    scores: NDArray[Any] | None
    thresholds: NDArray[np.float64]


def has_several_labels(y_true: object, y_pred: object) -> bool:
    """Whether the labels are rows of nought and one that are not all one-hot, on both sides."""
    if not all(_is_table(each) for each in (y_true, y_pred)):
        return False
    try:
        truth, guess = np.asarray(y_true), np.asarray(y_pred)
    except ValueError:
        return False
    if truth.ndim != TABLE or truth.shape[1] < TABLE:
        return False
    if truth.dtype.kind not in "biuf" or not len(truth) or truth.shape != guess.shape:
        return False
    return bool(np.isin(truth, (0, 1)).all() and (truth.sum(axis=1) != 1).any())


def _is_table(value: Any) -> bool:
    """Whether it has rows; asked before a long list is made an array."""
    if hasattr(value, "shape"):
        return len(value.shape) == TABLE
    return isinstance(value, list | tuple) and bool(value) and np.ndim(value[0]) == 1


def read_multilabel(
    y_true: object, y_pred: object, *, classes: Classes | None = None, threshold: Any = None
) -> MultilabelPredictions:
    """Bring the labels of both sides together.

    Args:
        y_true: Rows of nought and one, shape (n, labels).
        y_pred: The same, or a probability for each label.
        classes: Names of the labels in the order of the columns.
        threshold: Above which probability a label is meant: one for all, or one a label.
            Default 0.5.

    Raises:
        EvaluationError: The two do not fit each other, or do not fit the names.
    """
    truth, guess = as_label_array(y_true, "y_true"), as_label_array(y_pred, "y_pred")
    if truth.ndim != TABLE or truth.shape != guess.shape:
        raise EvaluationError(
            "With several labels a sample y_true and y_pred must both have the shape (n, labels); "
            f"received {truth.shape} and {guess.shape}."
        )
    if not truth.size:
        raise EvaluationError("y_true and y_pred are empty: there is nothing to compare.")
    if truth.dtype.kind == "U" or not np.isin(truth, (0, 1)).all():
        raise EvaluationError("With several labels a sample y_true must hold nought and one only.")
    labels = truth.shape[1]
    ids: tuple[Label, ...] | None = None
    names = tuple(map(str, range(labels)))
    if classes is not None:
        ids, names = parse_class_names(classes)
        if len(names) != labels:
            raise EvaluationError(
                f"classes must name {labels} labels, one a column; received {len(names)}."
            )
    scores = guess if guess.dtype.kind == "f" and not np.isin(guess, (0, 1)).all() else None
    bounds = _bounds(threshold, labels)
    if scores is not None and threshold is None and not _probable(scores):
        raise EvaluationError(
            "y_pred must hold probabilities between 0 and 1; "
            f"received {scores.min():g} to {scores.max():g}.",
            "Logits of a model: give threshold=0.",
        )
    return MultilabelPredictions(
        ids if ids is not None else tuple(range(labels)),
        names,
        truth == 1,
        guess > bounds,
        scores,
        bounds,
    )


def _bounds(threshold: Any, labels: int) -> NDArray[np.float64]:
    try:
        bounds = np.asarray(0.5 if threshold is None else threshold, dtype=np.float64)
        return np.array(np.broadcast_to(bounds, (labels,)))
    except (TypeError, ValueError):
        raise EvaluationError(
            f"threshold must be one number, or one for each of the {labels} labels; "
            f"received {threshold!r}."
        ) from None


def _probable(scores: NDArray[Any]) -> bool:
    return bool(scores.min() >= 0 and scores.max() <= 1 + ROUNDING)


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelConfusion(Renderable):
    """A matrix of yes and no for each label; ``found["cat"]`` is that of one label.

    Attributes:
        predictions: Which labels are true and which were predicted.
        sample_weight: Weight of each sample, or None.
        x: The samples themselves, or None.
        order: How the labels are sorted where they are shown.
        name: Name of the model.
        unit: What a sample is, in the plural.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.multilabel_card:multilabel_bundle"

    predictions: MultilabelPredictions
    sample_weight: NDArray[np.float64] | None = None
    x: Any = None
    order: Order = "given"
    name: str = ""
    unit: str = "samples"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.predictions.names

    @property
    def samples(self) -> int:
        """How many samples were compared."""
        return len(self.predictions.true)

    @cached_property
    def matrices(self) -> NDArray[Any]:
        """The counts, shape (labels, 2, 2): rows are no and yes in truth, columns as predicted."""
        true, guess = self.predictions.true, self.predictions.predicted
        weights = np.ones(self.samples, dtype=np.intp)
        heavy = weights if self.sample_weight is None else self.sample_weight
        hits = heavy @ (true & guess)
        missed, alarms = heavy @ (true & ~guess), heavy @ (~true & guess)
        rest = heavy.sum() - hits - missed - alarms
        return np.stack([rest, alarms, missed, hits], axis=1).reshape(-1, 2, 2)

    @cached_property
    def per_class(self) -> ClassMetrics:
        """Precision, recall, F1 and support of each label."""
        hits, alarms, missed = (self.matrices[:, *at] for at in ((1, 1), (0, 1), (1, 0)))
        return ClassMetrics(
            divide(hits, hits + alarms),
            divide(hits, hits + missed),
            divide(2 * hits, 2 * hits + missed + alarms),
            np.asarray(hits + missed, dtype=np.float64),
        )

    @cached_property
    def overall(self) -> dict[str, float]:
        """The figures of the whole, by name, as scikit-learn has them.

        Subset accuracy is the share of samples with every label right; Hamming loss the share
        of wrong labels; micro F1 is over all labels together.
        """
        true, guess = self.predictions.true, self.predictions.predicted
        (alarms, missed, hits) = (float(self.matrices[:, *at].sum()) for at in _MISTAKES)
        support = self.per_class.support
        return {
            "subset accuracy": float(
                np.average((true == guess).all(axis=1), weights=self.sample_weight)
            ),
            "Hamming loss": float(
                np.average((true != guess).mean(axis=1), weights=self.sample_weight)
            ),
            "micro F1": float(divide(np.array(2 * hits), np.array(2 * hits + alarms + missed))),
            "macro F1": float(np.mean(self.per_class.f1)),
            "weighted F1": float(
                divide(np.array((self.per_class.f1 * support).sum()), np.array(support.sum()))
            ),
        }

    @property
    def wrong(self) -> int:
        """How many samples have a wrong label."""
        return int((self.predictions.true != self.predictions.predicted).any(axis=1).sum())

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ConfusionMatrix]:
        return (self[name] for name in self.classes)

    def __getitem__(self, label: object) -> ConfusionMatrix:
        """The matrix of one label, by its name or its id: its classes are no and yes."""
        place = self.class_index(label)
        targets, name = self.predictions, self.classes[self.class_index(label)]
        scores = targets.scores
        found = LabeledPredictions(
            labels=(0, 1),
            names=(f"not {name}", name),
            true=targets.true[:, place].astype(np.intp),
            predicted=targets.predicted[:, place].astype(np.intp),
            scores=None if scores is None else ClassScores(scores[:, place]),
            threshold=float(targets.thresholds[place]),
        )
        matrix = self.matrices[place]
        title = f"{self.name}, {name}" if self.name else name
        return ConfusionMatrix(
            matrix, found, self.sample_weight, x=self.x, name=title, unit=self.unit
        )

    def indices(self, label: object, *, true: bool, pred: bool) -> NDArray[np.intp]:
        """The samples that have a label or not, and of which the model says so or not.

        Args:
            label: By name or by id.
            true: Whether they have it.
            pred: Whether the model says so.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> found = confusion([[1, 1], [0, 1]], [[1, 0], [0, 1]], classes=["cat", "dog"])
            >>> found.indices("dog", true=True, pred=False)
            array([0])
        """
        return self[label].indices(true=int(true), pred=int(pred))

    def ordered(self) -> NDArray[np.intp]:
        """Positions of the labels as they are shown: "similarity" leaves them as given."""
        places = np.arange(len(self))
        if self.order == "name":
            return natural_order(self.classes)
        if self.order == "support":
            return np.lexsort((places, -self.per_class.support))
        if self.order == "error":
            return np.lexsort((places, self.per_class.f1))
        return places

    def report(self) -> pd.DataFrame:
        """scikit-learn's classification report of several labels.

        Returns:
            Rows: the labels, then "micro avg", "macro avg", "weighted avg", "samples avg".
            Columns: precision, recall, f1-score, support.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import
        from sklearn.metrics import classification_report  # noqa: PLC0415 - a second to import

        found = classification_report(
            self.predictions.true,
            self.predictions.predicted,
            target_names=[f"label {place}" for place in range(len(self))],
            sample_weight=self.sample_weight,
            output_dict=True,
            zero_division=0,
        )
        rows = [list(row.values()) for row in found.values()]
        names = [*self.classes, *list(found)[len(self) :]]
        columns = ["precision", "recall", "f1-score", "support"]
        return pd.DataFrame(rows, index=names, columns=columns, dtype=float)

    def facts(self) -> str:
        """How many and how good."""
        wrong = f"{self.wrong:,} with a wrong label" if self.wrong else "none wrong"
        micro = self.overall["micro F1"]
        return f"{self.samples:,} {self.unit} · {len(self)} labels · {wrong} · F1 {micro:.4f}"

    def describe(self) -> str:
        """The whole in words."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        worst = [
            f"{isolate_direction(shorten_name(self.classes[place], 40))} {self.per_class.f1[place]:.3f}"
            for place in np.argsort(self.per_class.f1, kind="stable")[:WORST]
        ]
        return f"{title}{self.facts().replace(' · ', ', ')}.\nLowest F1: {', '.join(worst)}."

    def plot(self) -> Figure:
        """The matrices as a matplotlib figure, one beside the other."""
        from kmagic.evaluation.confusion.matrix_plot import draw_all  # noqa: PLC0415 - matplotlib, a second

        return draw_all(self)

    def class_index(self, wanted: object) -> int:
        """The column of a label, by its name or its id."""
        if isinstance(wanted, np.generic):
            wanted = wanted.item()
        places = self.classes if isinstance(wanted, str) else self.predictions.labels
        if wanted in places:
            return places.index(wanted)
        raise EvaluationError(
            f"{wanted!r} is not one of the labels: {', '.join(map(str, places[:10]))}."
        )

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<MultiConfusion{name}: {self.facts()}>"


_MISTAKES = ((0, 1), (1, 0), (1, 1))
