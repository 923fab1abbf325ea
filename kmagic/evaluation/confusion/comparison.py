"""Two models on the same samples: what one gets right that the other does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import format_count, isolate_direction, pluralize, shorten_name
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

CERTAIN = 0.05  # below such a probability a difference is taken for more than chance
EXACT = 10_000  # samples in which the two differ: up to so many, the test is exact
NAMED = 6  # classes named in a sentence
LONGEST = 24  # signs of a name in a sentence
LEAST = 0.001


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Renderable):
    """A model beside another one.

    Attributes:
        new: The model that is judged.
        old: The model it is compared with.
    """

    renderer: ClassVar[str] = "kmagic.display.confusion.comparison_card:comparison_bundle"

    new: ConfusionMatrix
    old: ConfusionMatrix

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.new.classes

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called: the judged one first."""
        new, old = self.new.name or "this model", self.old.name or "the other"
        return (new, old) if new != old else (f"{new}, new", f"{old}, old")

    @cached_property
    def difference(self) -> NDArray[Any]:
        """The judged model's matrix minus the other's: a negative mistake is one less."""
        change: NDArray[Any] = self.new.matrix - self.old.matrix
        return change

    @cached_property
    def _right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        new, old = self.new.predictions, self.old.predictions
        return new.true == new.predicted, old.true == old.predicted

    def indices(
        self, *, fixed: bool = False, broken: bool = False, n: int | None = None
    ) -> NDArray[np.intp]:
        """The samples that only one of the two gets right.

        Args:
            fixed: Those that the judged model gets right and the other wrong.
            broken: Those that the judged model gets wrong and the other right.
            n: At most so many.

        Returns:
            Positions in ``x``; the most confident mistakes come first where probabilities are
            known, else in the order of the data.

        Raises:
            EvaluationError: Not exactly one of the two was asked for.
        """
        if fixed == broken:
            raise EvaluationError("Ask for fixed=True or for broken=True.")
        new, old = self._right
        numbers = np.flatnonzero(new & ~old if fixed else ~new & old)
        sure = (self.old if fixed else self.new).confidence
        if sure is not None:
            numbers = numbers[np.argsort(-sure[numbers], kind="stable")]
        return numbers[:n]

    @cached_property
    def fixed(self) -> int:
        """How many samples only the judged model gets right."""
        new, old = self._right
        return int((new & ~old).sum())

    @cached_property
    def broken(self) -> int:
        """How many samples only the other model gets right."""
        new, old = self._right
        return int((~new & old).sum())

    @cached_property
    def p_value(self) -> float:
        """McNemar's test: how probable such a difference is if the two are equally good.

        Exact (binomial) up to 10,000 samples in which they differ, above that by chi-squared
        with the continuity correction. Weights of samples play no part in it.
        """
        return mcnemar(self.fixed, self.broken)

    @cached_property
    def better(self) -> list[int]:
        """Positions of the classes that the judged model finds more often, most gained first."""
        return self._changed(1)

    @cached_property
    def worse(self) -> list[int]:
        """Positions of the classes that the judged model finds less often, most lost first."""
        return self._changed(-1)

    def _changed(self, sign: int) -> list[int]:
        """Classes whose samples differ by more than chance."""
        new, old = self._right
        true, classes = self.new.predictions.true, len(self.classes)
        gained = np.bincount(true[new & ~old], minlength=classes)
        lost = np.bincount(true[~new & old], minlength=classes)
        change = sign * (gained - lost)
        return [
            int(place)
            for place in np.argsort(-change, kind="stable")
            if change[place] > 0 and mcnemar(gained[place], lost[place]) < CERTAIN
        ]

    def to_frame(self) -> pd.DataFrame:
        """Each class's recall, precision and F1 of both, and how many samples were won and lost.

        Columns: recall, recall_before, precision, precision_before, f1, f1_before, fixed, broken.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        new, old = self._right
        true, classes = self.new.predictions.true, len(self.classes)
        columns: dict[str, NDArray[Any]] = {}
        for name in ("recall", "precision", "f1"):
            columns[name] = getattr(self.new.per_class, name)
            columns[f"{name}_before"] = getattr(self.old.per_class, name)
        columns["fixed"] = np.bincount(true[new & ~old], minlength=classes)
        columns["broken"] = np.bincount(true[~new & old], minlength=classes)
        return pd.DataFrame(columns, index=list(self.classes))

    # --- in words -----------------------------------------------------------------------------

    def facts(self) -> str:
        """How many and how much better: "10,000 test digits · errors 400 -> 122"."""
        return f"{self.new.samples:,} {self.new.unit} · {self.errors()}"

    def errors(self) -> str:
        """The errors before and now: "errors 400 -> 122"."""
        return f"errors {self.old.wrong:,} -> {self.new.wrong:,}"

    def class_changes(self) -> str:
        """Where it is better and where worse: "better on 5 and 8, worse on 2"."""
        parts = [
            f"{word} on {self._list(places)}"
            for word, places in (("better", self.better), ("worse", self.worse))
            if places
        ]
        return ", ".join(parts) or "no single class differs by more than chance"

    def significance(self) -> str:
        """McNemar's test in words."""
        new, old = (isolate_direction(shorten_name(name, LONGEST)) for name in self.names)
        if not self.fixed + self.broken:
            return "Both get the same samples right."
        p = self.p_value
        shown = f"p < {LEAST}" if p < LEAST else f"p = {p:.3f}"
        says = "more than chance" if p < CERTAIN else "may well be chance"
        only = f"Only {new} is right in {pluralize(self.fixed, 'sample')}, only {old} in"
        return f"{only} {self.broken:,}: {says} (McNemar's test, {shown})."

    def describe(self) -> str:
        """All of it in words."""
        new, old = (isolate_direction(name) for name in self.names)
        return f"{new} against {old}: {self.errors()}; {self.class_changes()}.\n{self.significance()}"

    def changed_cells(self, n: int | None = None) -> list[tuple[int, int]]:
        """The mistakes that changed, as positions (true, predicted), the most changed first.

        Args:
            n: At most so many.
        """
        size = np.abs(np.array(self.difference, dtype=np.float64))
        np.fill_diagonal(size, 0)
        cells = np.flatnonzero(size)
        order = cells[np.argsort(-size.ravel()[cells], kind="stable")][:n]
        rows, columns = np.divmod(order, len(size))
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def changed_cells_text(self, n: int = NAMED) -> list[str]:
        """The mistakes that changed most: "4 taken for 9: 31 -> 8"."""
        said = []
        for cell in self.changed_cells(n):
            before, now = self.old.matrix[cell], self.new.matrix[cell]
            true, guess = (isolate_direction(shorten_name(self.classes[k], LONGEST)) for k in cell)
            said.append(f"{true} taken for {guess}: {format_count(before)} -> {format_count(now)}")
        return said

    def plot(self) -> Figure:
        """The signed matrix as a matplotlib figure."""
        from kmagic.evaluation.confusion.matrix_plot import draw_difference  # noqa: PLC0415 - matplotlib, a second

        return draw_difference(self)

    def _list(self, places: list[int]) -> str:
        most = len(places) if len(places) <= NAMED + 1 else NAMED  # never "and 1 more"
        named = [
            isolate_direction(shorten_name(self.classes[place], LONGEST)) for place in places[:most]
        ]
        if len(places) > most:
            return f"{', '.join(named)} and {len(places) - most:,} more"
        return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))

    def __repr__(self) -> str:
        return f"<Comparison: {self.facts()}>"


def compare(new: ConfusionMatrix, old: ConfusionMatrix) -> Comparison:
    """Put two models beside each other.

    Args:
        new: The matrix of the model that is judged.
        old: The matrix of the model it is compared with.

    Raises:
        EvaluationError: The two do not judge the same samples.

    Example:
        >>> from kmagic.evaluation.confusion.confusion import confusion
        >>> found = compare(confusion([0, 1, 1], [0, 1, 1]), confusion([0, 1, 1], [0, 1, 0]))
        >>> found.errors(), found.fixed, found.p_value
        ('errors 1 -> 0', 1, 1.0)
    """
    if type(old) is not type(new):
        raise EvaluationError(
            f"A matrix is compared with another one; received {type(old).__name__}."
        )
    if new.classes != old.classes:
        raise EvaluationError(
            f"Both models must tell the same classes apart; received {len(new.classes):,} and "
            f"{len(old.classes):,}.",
            "Give both the same classes=...",
        )
    if not np.array_equal(new.predictions.true, old.predictions.true):
        raise EvaluationError(
            f"Both must judge the same samples: received {new.samples:,} and {old.samples:,}, "
            "and the true classes differ."
        )
    return Comparison(new, old)


def mcnemar(fixed: int, broken: int) -> float:
    """The two-sided p-value of McNemar's test.

    Args:
        fixed: Samples that only the one gets right.
        broken: Samples that only the other gets right.

    Example:
        >>> round(mcnemar(8, 1), 4), mcnemar(3, 3), mcnemar(0, 0)
        (0.0391, 1.0, 1.0)
    """
    differing = int(fixed) + int(broken)
    if differing > EXACT:
        statistic = max(0, abs(int(fixed) - int(broken)) - 1) ** 2 / differing
        return math.erfc(math.sqrt(statistic / 2))  # chi-squared with one degree of freedom
    # Twice the smaller tail of throws of a coin, summed by logarithms so that nothing underflows.
    log_half = differing * math.log(2)
    tail = sum(
        math.exp(
            math.lgamma(differing + 1)
            - math.lgamma(k + 1)
            - math.lgamma(differing - k + 1)
            - log_half
        )
        for k in range(min(int(fixed), int(broken)) + 1)
    )
    return min(1.0, 2 * tail)
