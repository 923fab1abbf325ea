"""Two regression models on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.confusion.comparison import MAX_NAME, describe_test, names_of_two
from kmagic.evaluation.regression.error_metrics import Interval, bootstrap, weighted_mean
from kmagic.evaluation.regression.target_arrays import Floats
from kmagic.support.errors import EvaluationError, check_integer
from kmagic.support.formatting import format_metric, isolate_direction, shorten_name
from kmagic.support.messages import Text
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd

    from kmagic.evaluation.regression.regression_errors import RegressionErrors

MANY_STEPS = "Forecasts of neighbouring rows have similar errors, so this test is too optimistic."


@dataclass(frozen=True, eq=False, repr=False)
class ErrorComparison(Renderable):
    """A regression model compared with another one, row by row.

    Attributes:
        new: The errors of the model.
        old: The errors of the other model.
    """

    renderer: ClassVar[str] = "kmagic.display.regression.error_comparison_card:comparison_bundle"

    new: RegressionErrors
    old: RegressionErrors

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return self.new.targets

    @cached_property
    def parts(self) -> list[ErrorComparison]:
        """The comparison for each target."""
        if len(self.targets) == 1:
            return [self]
        pairs = zip(self.new.parts, self.old.parts, strict=True)
        return [ErrorComparison(new, old) for new, old in pairs]

    def __getitem__(self, target: str) -> ErrorComparison:
        return self.new[target].versus(self.old.parts[self.targets.index(target)])

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two models."""
        return names_of_two(self.new.name, self.old.name)

    @cached_property
    def difference(self) -> Floats:
        """The absolute error of the model minus that of the other, row by row: negative is better.

        Shape (rows,), or (rows, targets) of several targets.
        """
        return np.abs(self.new.errors) - np.abs(self.old.errors)

    @property
    def closer(self) -> tuple[int, int]:
        """For how many rows the new model is closer to a single target, and the old one."""
        self._require_one_target()
        return int((self.difference < 0).sum()), int((self.difference > 0).sum())

    @cached_property
    def mean_difference(self) -> float:
        """The difference of the mean absolute errors of a single target, weighted if they are."""
        self._require_one_target()
        return float(np.average(self.difference, weights=self.new.sample_weight))

    @cached_property
    def interval(self) -> Interval:
        """The 95 % bootstrap interval of the mean difference; rows count as independent."""

        def mean(values: Floats, weight: Floats | None = None) -> Iterator[Floats]:
            yield weighted_mean(values, weight)

        weight = self.new.sample_weight
        arrays = [self.difference, *([] if weight is None else [weight])]
        return bootstrap(mean, arrays, [self.mean_difference], seed=self.new.seed)[0]

    @cached_property
    def p_value(self) -> float:
        """Wilcoxon's signed-rank test of the absolute errors of a single target.

        The probability of such a difference between models that are equally often closer by
        equal amounts. Weights are ignored; 1.0 where no row differs.
        """
        self._require_one_target()
        if not self.difference.any():
            return 1.0
        from scipy.stats import wilcoxon  # noqa: PLC0415 - a second to import

        return float(wilcoxon(self.difference).pvalue)

    def indices(
        self, *, better: bool = False, worse: bool = False, n: int | None = None
    ) -> NDArray[np.intp]:
        """The rows for which the new model is better, or worse, by the largest differences.

        Args:
            better: Rows where the new model is closer to the true value.
            worse: Rows where the old model is closer.
            n: Maximum number of indices.

        Raises:
            EvaluationError: Not exactly one of the two is requested, or several targets.
        """
        if better == worse:
            raise EvaluationError("Pass either better=True or worse=True.")
        if n is not None:
            check_integer(EvaluationError, "n", n, 0)
        self._require_one_target()
        gain = -self.difference if better else self.difference
        found = np.flatnonzero(gain > 0)
        return found[np.argsort(-gain[found], kind="stable")][:n]

    def to_frame(self) -> pd.DataFrame:
        """One row per target: the mean absolute errors, their difference, and the test."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        columns = ("MAE", "MAE_before", "difference", "low", "high", "p_value")
        rows = [
            (
                part.new.metrics["MAE"],
                part.old.metrics["MAE"],
                part.mean_difference,
                *part.interval,
                part.p_value,
            )
            for part in self.parts
        ]
        return pd.DataFrame(rows, index=list(self.targets), columns=list(columns))

    def _require_one_target(self) -> None:
        if len(self.targets) > 1:
            raise EvaluationError(
                f"There are {len(self.targets):,} targets, which may have different units.",
                Text("Choose one: ", f"comparison[{self.targets[0]!r}]", "."),
            )

    # --- text ---------------------------------------------------------------------------------

    def facts(self) -> str:
        """Size and change: "102 test houses · MAE 2.2813 against 2.9024"."""
        rows = f"{len(self.new):,} {isolate_direction(self.new.unit)}"
        if len(self.targets) > 1:
            return f"{rows} · {len(self.targets):,} targets"
        new, old = (each.format("MAE") for each in (self.new, self.old))
        return f"{rows} · MAE {new} against {old}"

    def significance(self) -> str:
        """The result of the test of a single target in words."""
        new, old = (isolate_direction(shorten_name(name, MAX_NAME)) for name in self.names)
        if not self.difference.any():
            return "The absolute errors of both models are equal in every row."
        closer = self.closer
        low, high = map(format_metric, self.interval)
        change = format_metric(abs(self.mean_difference))
        direction = "lower" if self.mean_difference < 0 else "higher"
        sentence = (
            f"{new} is closer for {closer[0]:,} rows, {old} for {closer[1]:,}: "
            f"{describe_test('Wilcoxon signed-rank test', self.p_value)}. "
            f"The mean absolute error of {new} is {change} {direction} "
            f"(95 % interval of the difference {low} to {high})."
        )
        return sentence if self.new.time is None else f"{sentence} {MANY_STEPS}"

    def describe(self) -> str:
        """The whole comparison in words."""
        new, old = (isolate_direction(name) for name in self.names)
        title = f"{new} against {old}: {self.facts().replace(' · ', ', ')}."
        if len(self.targets) == 1:
            return f"{title}\n{self.significance()}"
        lines = [
            f"  {isolate_direction(name)}: {part.significance()}"
            for name, part in zip(self.targets, self.parts, strict=True)
        ]
        return "\n".join([title, *lines])

    def __repr__(self) -> str:
        return f"<ErrorComparison: {self.facts()}>"
