"""The confusion matrix as a result: what is taken for what, how good, and which samples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from kmagic.evaluation.confusion.class_metrics import count_confusions
from kmagic.evaluation.confusion.class_order import Order, order_classes
from kmagic.evaluation.confusion.confusion_metrics import ConfusionMetrics
from kmagic.evaluation.confusion.label_arrays import Label, LabeledPredictions
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import format_count, isolate_direction, shorten_name
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

Normalize: TypeAlias = Literal["true", "pred", "all"]
Scale: TypeAlias = Literal["linear", "log"]

SHOWN = 10  # of many classes, so many are named in a message


@dataclass(frozen=True, eq=False, repr=False)
class ConfusionMatrix(ConfusionMetrics, Renderable):
    """A confusion matrix that knows its samples.

    Attributes:
        matrix: Counts of shape (classes, classes): rows are true, columns predicted classes.
            Sums of weights where there are weights.
        predictions: Position of the true and of the predicted class of each sample, and the scores.
        sample_weight: Weight of each sample, or None.
        x: The samples themselves, or None.
        normalize: What the percentages are of: "true" (None too), "pred" or "all".
        order: How the classes are sorted where they are shown.
        scale: Whether colours follow the counts or their logarithm.
        diagonal: Whether what is right takes part in the scale of colours.
        n_top_losses: So many samples with the highest loss are shown too.
        name: Name of the model.
        unit: What a sample is, in the plural: "test digits".
        selection: Cells chosen in the notebook, as (true, predicted) labels.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.confusion_card:confusion_bundle"

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

    # --- what it is ---------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of rows and columns."""
        return self.predictions.names

    @property
    def labels(self) -> tuple[Label, ...]:
        """What the data calls the classes: ids or strings."""
        return self.predictions.labels

    @property
    def samples(self) -> int:
        """How many samples were compared."""
        return len(self.predictions.true)

    @cached_property
    def wrong(self) -> int:
        """How many samples were taken for another class."""
        return int((self.predictions.true != self.predictions.predicted).sum())

    @property
    def confidence(self) -> NDArray[np.float64] | None:
        """Probability of the predicted class of each sample; None where only classes came."""
        return self.predictions.confidence

    def normalized(self, over: Normalize = "true") -> NDArray[np.float64]:
        """The matrix as shares from 0 to 1.

        Args:
            over: "true": each row sums to 1. "pred": each column. "all": the whole.

        Returns:
            Shape (classes, classes); a class without samples has zeros, as in scikit-learn.
        """
        check_over(over)
        axis = {"true": 1, "pred": 0, "all": None}[over]
        whole = self.matrix.sum(axis=axis, keepdims=True)
        shares = np.zeros(self.matrix.shape)
        np.divide(self.matrix, whole, out=shares, where=whole != 0)
        return shares

    def ordered(self, by: Order | None = None) -> NDArray[np.intp]:
        """Positions of the classes, sorted.

        Args:
            by: "given", "name", "support", "error" or "similarity"; default: as this matrix is
                shown.
        """
        return order_classes(self.matrix, self.classes, by or self.order)

    # --- which samples ------------------------------------------------------------------------

    def indices(
        self, true: object = None, pred: object = None, *, n: int | None = None
    ) -> NDArray[np.intp]:
        """The numbers of the samples in a cell of the matrix.

        Args:
            true: True class, by name or by id; None for any.
            pred: Predicted class, by name or by id; None for any.
            n: At most so many.

        Returns:
            Positions in ``x``, shape (samples,); the most confident predictions come first where
            probabilities are known, else in the order of the data.

        Raises:
            EvaluationError: There is no such class.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> confusion([0, 1, 1, 1], [0, 0, 1, 0]).indices(true=1, pred=0)
            array([1, 3])
        """
        here = np.ones(self.samples, dtype=bool)
        for wanted, found in ((true, self.predictions.true), (pred, self.predictions.predicted)):
            if wanted is not None:
                here &= found == self.class_index(wanted)
        numbers = np.flatnonzero(here)
        if self.confidence is not None:
            numbers = numbers[np.argsort(-self.confidence[numbers], kind="stable")]
        return numbers[:n]

    def selected(self) -> NDArray[np.intp]:
        """The numbers of the samples in the cells that are selected in the notebook."""
        found = [self.indices(true=true, pred=pred) for true, pred in self.selection]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)

    def pairs(self, n: int | None = 10) -> list[ConfusedPair]:
        """The most confused pairs of classes, worst first.

        Args:
            n: At most so many; None for all that occur.

        Returns:
            Pairs ordered by count, then by share of the true class.

        Example:
            >>> from kmagic.evaluation.confusion.confusion import confusion
            >>> print(confusion(["cat", "dog", "dog"], ["cat", "dog", "cat"]).pairs()[0].to_text())
            dog taken for cat: 1 of 2
        """
        return most_confused_pairs(self.matrix, self.classes, n)

    # --- other matrices of the same samples ---------------------------------------------------

    def at(self, threshold: float) -> ConfusionMatrix:
        """The same two classes, told apart at another threshold.

        Args:
            threshold: The second class is meant where its score is above.

        Raises:
            EvaluationError: There are more classes than two, or no scores.
        """
        scores = self.predictions.scores
        if self.threshold_curve is None or scores is None:
            raise EvaluationError("A threshold needs two classes and the scores of the second.")
        predicted = (scores.second() > threshold).astype(np.intp)
        targets = replace(self.predictions, predicted=predicted, threshold=threshold)
        matrix = count_confusions(targets, self.sample_weight)
        return replace(self, matrix=matrix, predictions=targets, selection=[])

    def versus(self, other: ConfusionMatrix) -> Comparison:
        """This model beside another one, on the same samples.

        Args:
            other: The matrix of the model to compare with.

        Raises:
            EvaluationError: The two do not judge the same samples.
        """
        from kmagic.evaluation.confusion.comparison import compare  # noqa: PLC0415 - it imports this file

        return compare(self, other)

    # --- in words and pictures ----------------------------------------------------------------

    def describe(self) -> str:
        """The whole in words: how many, how good, and what is confused most."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        worst = self.pairs(5)
        tail = "; ".join(pair.to_text() for pair in worst)
        return f"{title}{self.facts().replace(' · ', ', ')}." + (
            f"\nMost confused: {tail}." if worst else ""
        )

    def facts(self) -> str:
        """How many and how good: "10,000 test digits · 193 wrong · accuracy 0.9807"."""
        wrong = f"{self.wrong:,} wrong" if self.wrong else "none wrong"
        return f"{self.samples:,} {self.unit} · {wrong} · accuracy {self.accuracy:.4f}"

    def plot(self) -> Figure:
        """The matrix as a matplotlib figure, for a paper or a file.

        It belongs to no pyplot state: ``confusion(...).plot().savefig("confusion.pdf")``.
        """
        from kmagic.evaluation.confusion.matrix_plot import draw  # noqa: PLC0415 - matplotlib, a second to import

        return draw(self)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Confusion{name}: {len(self.classes):,} classes, {self.facts()}>"

    def class_index(self, wanted: object) -> int:
        """The row and column of a class.

        Args:
            wanted: Its name, or its id.

        Raises:
            EvaluationError: There is no such class.
        """
        if isinstance(wanted, np.generic):
            wanted = wanted.item()
        places = self.classes if isinstance(wanted, str) else self.labels
        if wanted in places:
            return places.index(wanted)
        raise EvaluationError(
            f"{wanted!r} is not one of the classes: {', '.join(map(str, places[:SHOWN]))}"
            f"{' ...' if len(places) > SHOWN else '.'}"
        )


def check_over(over: str) -> None:
    """Refuse a way of normalizing that does not exist."""
    if over not in get_args(Normalize):
        raise EvaluationError(
            f"normalize must be 'true' (of the row), 'pred' (of the column) or 'all'; "
            f"received {over!r}."
        )


LONGEST = 40  # signs of a name in a sentence


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two classes, the first of which was taken for the second.

    Attributes:
        true: Position of the true class.
        predicted: Position of the class it was taken for.
        true_name: Name of the true class.
        predicted_name: Name of the class it was taken for.
        count: How many samples, or their weight.
        support: How many samples the true class has, or their weight.
    """

    true: int
    predicted: int
    true_name: str
    predicted_name: str
    count: float
    support: float

    def to_text(self) -> str:
        """The pair as a sentence's worth of words: "9 taken for 4: 7 of 1,009"."""
        return f"{self.title()}: {format_count(self.count)} of {format_count(self.support)}"

    def title(self) -> str:
        """What was taken for what: "9 taken for 4"."""
        true, pred = (
            isolate_direction(shorten_name(n, LONGEST))
            for n in (self.true_name, self.predicted_name)
        )
        return f"{true} taken for {pred}"


def most_confused_pairs(
    matrix: NDArray[Any], classes: Sequence[str], n: int | None = None
) -> list[ConfusedPair]:
    """The pairs of a matrix, worst first: by count, then by share of the true class.

    Args:
        matrix: Counts, shape (classes, classes).
        classes: Names of the classes.
        n: At most so many; None for all that occur.
    """
    cells = worst_cells(matrix)[:n]
    rows, columns = np.divmod(cells, len(classes))
    support = matrix.sum(axis=1)
    return [
        ConfusedPair(
            row,
            column,
            classes[row],
            classes[column],
            matrix[row, column].item(),
            support[row].item(),
        )
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def worst_cells(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """The numbers (row * classes + column) of all mistakes' cells, in the order of the pairs."""
    mistakes = np.array(matrix)
    np.fill_diagonal(mistakes, 0)
    cells = np.flatnonzero(mistakes)
    rows, columns = np.divmod(cells, len(matrix))
    found, support = mistakes.ravel()[cells], matrix.sum(axis=1)
    return cells[np.lexsort((columns, rows, -found / support[rows], -found))]
