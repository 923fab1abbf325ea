"""Two models on the same samples: what one gets right and the other does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.confusion.matrix_plot import plot_difference
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    isolate_names,
    join_with_and,
    pluralize,
    shorten_name,
)
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

SIGNIFICANCE = 0.05  # p-value below which a difference counts as more than chance
MIN_P = 0.001  # smaller p-values are not written out
MAX_NAMED = 6  # classes named in a sentence
MAX_NAME = 60  # characters of a name in a sentence


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Renderable):
    """A model compared with another one.

    Attributes:
        new: The matrix of the model.
        old: The matrix of the other model.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.matrix_cards:comparison_bundle"

    new: ConfusionMatrix
    old: ConfusionMatrix

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.new.classes

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two models."""
        return names_of_two(self.new.name, self.old.name)

    @cached_property
    def difference(self) -> NDArray[Any]:
        """The model's matrix minus the other's; off the diagonal, negative is better."""
        return np.asarray(self.new.matrix - self.old.matrix)

    @cached_property
    def _only_one_correct(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which samples only the new model classifies correctly, and which only the old one."""
        new, old = self.new.predictions.correct, self.old.predictions.correct
        return new & ~old, old & ~new

    def indices(
        self, *, fixed: bool = False, broken: bool = False, n: int | None = None
    ) -> NDArray[np.intp]:
        """The samples that only one of the two models classifies correctly.

        Args:
            fixed: Those that only the new model classifies correctly.
            broken: Those that only the old model classifies correctly.
            n: Maximum number of indices.

        Returns:
            Indices into ``x``; the most confident mistakes first if probabilities are known.

        Raises:
            EvaluationError: Not exactly one of the two is requested.
        """
        if fixed == broken:
            raise EvaluationError("Pass either fixed=True or broken=True.")
        mistaken = self.old if fixed else self.new
        return mistaken.predictions.most_confident(self._only_one_correct[0 if fixed else 1])[:n]

    @property
    def fixed(self) -> int:
        """Number of samples that only the new model classifies correctly."""
        return int(self._only_one_correct[0].sum())

    @property
    def broken(self) -> int:
        """Number of samples that only the old model classifies correctly."""
        return int(self._only_one_correct[1].sum())

    @cached_property
    def p_value(self) -> float:
        """McNemar's exact test: probability of such a difference between equally good models.

        Sample weights are ignored.
        """
        return mcnemar(self.fixed, self.broken)

    @cached_property
    def better(self) -> list[int]:
        """Indices of the classes with a significantly higher recall, largest gain first."""
        return self._changed_classes(1)

    @cached_property
    def worse(self) -> list[int]:
        """Indices of the classes with a significantly lower recall, largest loss first."""
        return self._changed_classes(-1)

    def _per_class(self) -> list[NDArray[np.intp]]:
        """Numbers of fixed and of broken samples of each class."""
        true, classes = self.new.predictions.true, len(self.classes)
        return [np.bincount(true[only], minlength=classes) for only in self._only_one_correct]

    def _changed_classes(self, sign: int) -> list[int]:
        fixed, broken = self._per_class()
        change = sign * (fixed - broken)
        return [
            int(index)
            for index in np.argsort(-change, kind="stable")
            if change[index] > 0 and mcnemar(fixed[index], broken[index]) < SIGNIFICANCE
        ]

    def to_frame(self) -> pd.DataFrame:
        """Recall, precision and F1 of each class in both models, and its fixed and broken samples.

        Columns: recall, recall_before, precision, precision_before, f1, f1_before, fixed, broken.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        columns: dict[str, NDArray[Any]] = {}
        for name in ("recall", "precision", "f1"):
            columns[name] = getattr(self.new.per_class, name)
            columns[f"{name}_before"] = getattr(self.old.per_class, name)
        columns["fixed"], columns["broken"] = self._per_class()
        return pd.DataFrame(columns, index=list(self.classes))

    # --- text and figure ----------------------------------------------------------------------

    def facts(self) -> str:
        """Size and change: "10,000 test digits · errors 122 against 400"."""
        return f"{self.new.samples:,} {isolate_direction(self.new.unit)} · {self.errors()}"

    def errors(self) -> str:
        """The errors of both models, in the order of their names: "errors 122 against 400"."""
        return f"errors {self.new.wrong:,} against {self.old.wrong:,}"

    def class_changes(self) -> str:
        """The classes that changed: "better on 5 and 8, worse on 2"."""
        parts = [
            f"{word} on {self._list_classes(indices)}"
            for word, indices in (("better", self.better), ("worse", self.worse))
            if indices
        ]
        return ", ".join(parts) or "no single class differs by more than chance"

    def significance(self) -> str:
        """The result of McNemar's test in words."""
        new, old = (isolate_direction(shorten_name(name, MAX_NAME)) for name in self.names)
        if not self.fixed + self.broken:
            return "Both models classify the same samples correctly."
        result = describe_test("McNemar's test", self.p_value)
        return (
            f"Only {new} is right for {pluralize(self.fixed, 'sample')}, only {old} for "
            f"{self.broken:,}: {result}."
        )

    def describe(self) -> str:
        """The whole comparison in words."""
        new, old = (isolate_direction(name) for name in self.names)
        changes = f"{self.errors()}; {self.class_changes()}"
        return f"{new} against {old}: {changes}.\n{self.significance()}"

    def changed_cells(self, n: int | None = None) -> list[tuple[int, int]]:
        """The mistakes whose counts changed, as indices (true, predicted), largest change first.

        Args:
            n: Maximum number of cells.
        """
        size = np.abs(np.array(self.difference, dtype=np.float64))
        np.fill_diagonal(size, 0)
        rows, columns = np.nonzero(size)
        order = np.argsort(-size[rows, columns], kind="stable")[:n]
        return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))

    def changed_cells_text(self, n: int = MAX_NAMED) -> list[str]:
        """The mistakes whose counts changed most: "4 taken for 9: 8 against 31"."""
        lines = []
        for cell in self.changed_cells(n):
            before, after = self.old.matrix[cell], self.new.matrix[cell]
            true, predicted = (self._short_names[index] for index in cell)
            counts = f"{format_count(after)} against {format_count(before)}"
            lines.append(f"{true} taken for {predicted}: {counts}")
        return lines

    def plot(self) -> Figure:
        """The signed matrix as a matplotlib figure."""
        return plot_difference(self)

    @cached_property
    def _short_names(self) -> list[str]:
        return isolate_names(self.classes, MAX_NAME)

    def _list_classes(self, indices: Sequence[int]) -> str:
        # One more name is shorter than "and 1 more".
        limit = len(indices) if len(indices) <= MAX_NAMED + 1 else MAX_NAMED
        names = [self._short_names[index] for index in indices[:limit]]
        if len(indices) > limit:
            return f"{', '.join(names)} and {len(indices) - limit:,} more"
        return join_with_and(names)

    def __repr__(self) -> str:
        return f"<Comparison: {self.facts()}>"


def names_of_two(new: str, old: str) -> tuple[str, str]:
    """Different names of two models that are compared."""
    new, old = new or "this model", old or "the other"
    return (new, old) if new != old else (f"{new}, new", f"{old}, old")


def describe_test(test: str, p: float) -> str:
    """The result of a test in words: "may be chance (McNemar's test, p = 0.344)"."""
    shown = f"p\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}{MIN_P}" if p < MIN_P else f"p = {p:.3f}"
    return f"{'more than chance' if p < SIGNIFICANCE else 'may be chance'} ({test}, {shown})"


def mcnemar(fixed: int, broken: int) -> float:
    """The two-sided p-value of McNemar's exact test.

    Example:
        >>> round(mcnemar(8, 1), 4), mcnemar(3, 3), mcnemar(0, 0)
        (0.0391, 1.0, 1.0)
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - a second to import

    discordant = int(fixed) + int(broken)
    return float(binomtest(int(fixed), discordant).pvalue) if discordant else 1.0
