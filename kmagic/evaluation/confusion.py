"""The confusion matrix: what is taken for what, and which samples they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from kmagic.errors import EvaluationError
from kmagic.evaluation.figures import (
    ClassFigures,
    accuracy,
    class_figures,
    count_pairs,
    report_frame,
)
from kmagic.evaluation.targets import Classes, Label, Targets, read_targets
from kmagic.labels import isolate, shorten, tally
from kmagic.rich import Rich

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

Over: TypeAlias = Literal["true", "pred", "all"]


@dataclass(frozen=True, slots=True)
class Pair:
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

    def words(self) -> str:
        """The pair as a sentence's worth of words: "9 taken for 4: 7 of 1,009"."""
        return f"{self.title()}: {tally(self.count)} of {tally(self.support)}"

    def title(self) -> str:
        """What was taken for what: "9 taken for 4"."""
        true, pred = (isolate(shorten(n, 40)) for n in (self.true_name, self.predicted_name))
        return f"{true} taken for {pred}"


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Rich):
    """A confusion matrix that knows its samples.

    Attributes:
        matrix: Counts of shape (classes, classes): rows are true, columns predicted classes.
            Sums of weights where there are weights.
        classes: Names of the classes, in the order of rows and columns.
        labels: What the data calls the classes: ids or strings.
        figures: Precision, recall, F1 and support of each class, by scikit-learn.
        accuracy: Share of right samples, from 0 to 1, by scikit-learn.
        targets: Position of the true and of the predicted class of each sample.
        sample_weight: Weight of each sample, or None.
        x: The samples themselves, or None.
        normalize: What the percentages are of: "true" (None too), "pred" or "all".
        name: Name of the model.
        unit: What a sample is, in the plural: "test digits".
    """

    picture: ClassVar[str] = "kmagic.display.confusion:bundle"

    matrix: NDArray[Any]
    classes: tuple[str, ...]
    labels: tuple[Label, ...]
    figures: ClassFigures
    accuracy: float
    targets: Targets
    sample_weight: NDArray[np.float64] | None = None
    x: Any = None
    normalize: Over | None = None
    name: str = ""
    unit: str = "samples"

    @property
    def samples(self) -> int:
        """How many samples were compared."""
        return len(self.targets.true)

    @property
    def wrong(self) -> int:
        """How many samples were taken for another class."""
        return int((self.targets.true != self.targets.predicted).sum())

    @property
    def confidence(self) -> NDArray[np.float64] | None:
        """Probability of the predicted class of each sample; None where only classes came."""
        return self.targets.confidence

    def normalized(self, over: Over = "true") -> NDArray[np.float64]:
        """The matrix as shares from 0 to 1.

        Args:
            over: "true": each row sums to 1. "pred": each column. "all": the whole.

        Returns:
            Shape (classes, classes); a class without samples has zeros, as in scikit-learn.
        """
        _check_over(over)
        axis = {"true": 1, "pred": 0, "all": None}[over]
        whole = self.matrix.sum(axis=axis, keepdims=True)
        shares = np.zeros(self.matrix.shape)
        np.divide(self.matrix, whole, out=shares, where=whole != 0)
        return shares

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
            >>> confusion([0, 1, 1, 1], [0, 0, 1, 0]).indices(true=1, pred=0)
            array([1, 3])
        """
        here = np.ones(self.samples, dtype=bool)
        for wanted, found in ((true, self.targets.true), (pred, self.targets.predicted)):
            if wanted is not None:
                here &= found == self._position(wanted)
        numbers = np.flatnonzero(here)
        if self.confidence is not None:
            numbers = numbers[np.argsort(-self.confidence[numbers], kind="stable")]
        return numbers[:n]

    def pairs(self, n: int | None = 10) -> list[Pair]:
        """The most confused pairs of classes, worst first.

        Args:
            n: At most so many; None for all that occur.

        Returns:
            Pairs ordered by count, then by share of the true class.

        Example:
            >>> print(confusion(["cat", "dog", "dog"], ["cat", "dog", "cat"]).pairs()[0].words())
            dog taken for cat: 1 of 2
        """
        mistakes = np.array(self.matrix)
        np.fill_diagonal(mistakes, 0)
        rows, columns = np.nonzero(mistakes)
        found, support = mistakes[rows, columns], self.matrix.sum(axis=1)
        order = np.lexsort((columns, rows, -found / support[rows], -found))[:n]
        return [
            Pair(
                int(row),
                int(column),
                self.classes[row],
                self.classes[column],
                mistakes[row, column].item(),
                support[row].item(),
            )
            for row, column in zip(rows[order], columns[order], strict=True)
        ]

    def report(self) -> pd.DataFrame:
        """scikit-learn's classification report as a DataFrame.

        Returns:
            Rows: the classes, then "accuracy", "macro avg" and "weighted avg". Columns: precision,
            recall, f1-score, support.

        Example:
            >>> confusion([0, 1, 1], [0, 1, 0]).report().loc["1", "recall"].item()
            0.5
        """
        return report_frame(self.targets, self.classes, self.sample_weight)

    def describe(self) -> str:
        """The whole in words: how many, how good, and what is confused most."""
        title = f"{isolate(self.name)}: " if self.name else ""
        worst = self.pairs(5)
        tail = "; ".join(pair.words() for pair in worst)
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
        from kmagic.evaluation.chart import draw  # noqa: PLC0415 - matplotlib, a second to import

        return draw(self)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Confusion{name}: {len(self.classes):,} classes, {self.facts()}>"

    def _position(self, wanted: object) -> int:
        if isinstance(wanted, np.generic):
            wanted = wanted.item()
        places = self.classes if isinstance(wanted, str) else self.labels
        if wanted in places:
            return places.index(wanted)
        raise EvaluationError(
            f"{wanted!r} is not one of the classes: {', '.join(map(str, places[:10]))}"
            f"{' ...' if len(places) > 10 else '.'}"  # noqa: PLR2004 - what a line holds
        )


def confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    classes: Classes | None = None,
    normalize: Over | None = None,
    threshold: float | None = None,
    sample_weight: ArrayLike | None = None,
    x: Any = None,
    name: str = "",
    unit: str = "samples",
) -> Confusion:
    """Compare predictions with the truth, class by class.

    Args:
        y_true: Class ids or strings of shape (n,) or (n, 1), or one-hot rows of shape (n, k).
        y_pred: The same, or what a model predicts: a probability (or logit) for each class, shape
            (n, k), or for two classes the probability of the second, shape (n,) or (n, 1).
        classes: Names in the order of the ids 0, 1, 2 ...; or the ids themselves; or a
            mapping from id to name.
        normalize: What the percentages are of: "true" (the default), "pred" or "all". The
            matrix itself always holds counts.
        threshold: For two classes: the second one is meant where its probability is above.
        sample_weight: Weight of each sample, shape (n,).
        x: The samples, to show what was confused: pictures of shape (n, height, width) or
            (n, height, width, channels), or anything of length n.
        name: Name of the model, for the heading.
        unit: What a sample is, in the plural, for the heading: "test digits".

    Returns:
        The matrix, its figures, and the samples behind each cell.

    Raises:
        EvaluationError: Lengths differ, labels are outside the classes, values are missing.

    Example:
        >>> found = confusion([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], classes=["a", "b"])
        >>> found.matrix.tolist(), round(found.accuracy, 2)
        ([[1, 0], [1, 1]], 0.67)
    """
    if normalize is not None:
        _check_over(normalize)
    targets = read_targets(y_true, y_pred, classes=classes, threshold=threshold)
    weights = None if sample_weight is None else _read_weights(sample_weight, len(targets.true))
    if x is not None and _length(x) != len(targets.true):
        raise EvaluationError(
            f"x must hold as many samples as y_true, {len(targets.true):,}; "
            f"received {_length(x):,}."
        )
    return Confusion(
        matrix=count_pairs(targets, weights),
        classes=targets.names,
        labels=targets.labels,
        figures=class_figures(targets, weights),
        accuracy=accuracy(targets, weights),
        targets=targets,
        sample_weight=weights,
        x=x,
        normalize=normalize,
        name=name,
        unit=unit,
    )


def _check_over(over: str) -> None:
    if over not in get_args(Over):
        raise EvaluationError(
            f"normalize must be 'true' (of the row), 'pred' (of the column) or 'all'; "
            f"received {over!r}."
        )


def _length(x: Any) -> int:
    shape = getattr(x, "shape", None)
    return int(shape[0]) if shape else len(x)


def _read_weights(value: ArrayLike, samples: int) -> NDArray[np.float64]:
    try:
        weights = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"sample_weight must be numbers; {error}.") from error
    if weights.shape != (samples,):
        raise EvaluationError(
            f"sample_weight must have one value a sample, shape ({samples},); "
            f"received shape {weights.shape}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise EvaluationError(
            "sample_weight must be finite, not negative, and not all zero; "
            f"received values from {weights.min():g} to {weights.max():g}."
        )
    return weights
