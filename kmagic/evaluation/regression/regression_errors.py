"""The errors of a regression as a result: metrics, residuals, and the worst rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.prediction.forecasts import Forecasts
from kmagic.evaluation.regression.error_comparison import ErrorComparison
from kmagic.evaluation.regression.error_metrics import Interval, metric_intervals, point_metrics
from kmagic.evaluation.regression.error_plot import plot_errors
from kmagic.evaluation.regression.target_arrays import Floats, TargetValues
from kmagic.support.errors import EvaluationError, check_integer
from kmagic.support.formatting import format_metric, isolate_direction, list_names
from kmagic.support.messages import Option, Text
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Range = tuple[float | None, float | None]
WORST = 8  # rows on the card
FACTS = ("MAE", "RMSE", "R2")


@dataclass(eq=False, repr=False)
class RegressionErrors(Renderable):
    """What a regression gets wrong; figures are computed when they are first used.

    An error is the prediction minus the true value: it is positive where the prediction is too
    high. ``errors["rain"]`` gives the result for one of several targets.

    Attributes:
        columns: True values and predictions, and the names of the targets.
        sample_weight: Weight of each row, or None.
        x: The rows themselves, or None.
        name: Name of the model.
        unit: What a row is, in the plural: "test houses".
        time: The time of each row, if the rows have an order: dates or numbers.
        row_names: A name for each row, or none.
        forecasts: The forecasts that the targets are the steps of, or None.
        trained_on: The targets of the training data, (rows, targets), or None.
        seed: Seed of the intervals.
        n_worst: Number of rows with the largest errors to show.
        selection: Indices of the rows that are selected in the notebook.
    """

    renderer: ClassVar[str] = "kmagic.display.regression.errors_card:errors_bundle"

    columns: TargetValues
    sample_weight: Floats | None = None
    x: Any = None
    name: str = ""
    unit: str = "samples"
    time: NDArray[Any] | None = None
    row_names: Sequence[str] = ()
    forecasts: Forecasts | None = None
    trained_on: NDArray[Any] | None = None
    seed: int = 0
    n_worst: int = WORST
    selection: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets; "" for a single one without a name."""
        return self.columns.names

    def __len__(self) -> int:
        return len(self.columns.true)

    def __getitem__(self, target: str) -> RegressionErrors:
        if target not in self.targets:
            known = list_names(self.targets, 10)
            raise EvaluationError(f"{target!r} is not one of the targets: {known}.")
        return self.parts[self.targets.index(target)]

    @cached_property
    def parts(self) -> Sequence[RegressionErrors]:
        """The results for the single targets, in their order."""
        if len(self.targets) == 1:
            return [self]
        return [
            replace(
                self,
                columns=TargetValues(true[:, None], predicted[:, None], (name,)),
                trained_on=None if self.trained_on is None else self.trained_on[:, [k]],
                forecasts=None,
                row_names=() if self.forecasts is None else self.forecasts.row_names(k),
                selection=np.empty(0, np.intp),
            )
            for k, (name, true, predicted) in enumerate(
                zip(self.targets, self.columns.true.T, self.columns.predicted.T, strict=True)
            )
        ]

    # --- values -------------------------------------------------------------------------------

    @property
    def y_true(self) -> Floats:
        """The true values, (rows,), or (rows, targets) of several targets."""
        return self._squeezed(self.columns.true)

    @property
    def y_pred(self) -> Floats:
        """The predictions, likewise."""
        return self._squeezed(self.columns.predicted)

    @cached_property
    def errors(self) -> Floats:
        """The predictions minus the true values, likewise."""
        return self.y_pred - self.y_true

    @property
    def residuals(self) -> Floats:
        """The true values minus the predictions, as statistics and scikit-learn define them."""
        return -self.errors

    def _squeezed(self, values: Floats) -> Floats:
        return values[:, 0] if values.shape[1] == 1 else values

    # --- metrics ------------------------------------------------------------------------------

    @cached_property
    def _point(self) -> tuple[dict[str, float], dict[str, str]]:
        values = self._single()
        return point_metrics(values.y_true, values.y_pred, self.sample_weight)

    @property
    def metrics(self) -> dict[str, Any]:
        """MAE, RMSE, R2, bias (mean error), MAPE, and quantiles of the error, by name.

        For several targets a dict of these for each target: their units may differ.
        """
        if len(self.targets) > 1:
            return {name: part.metrics for name, part in zip(self.targets, self.parts, strict=True)}
        return self._point[0]

    @property
    def undefined(self) -> dict[str, str]:
        """Why metrics of a single target are NaN, by name."""
        return self._point[1]

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The 95 % bootstrap intervals of the metrics of a single target.

        See :func:`kmagic.evaluation.regression.error_metrics.bootstrap`.
        """
        values = self._single()
        return metric_intervals(
            values.y_true,
            values.y_pred,
            self.sample_weight,
            self.metrics,
            seed=self.seed,
        )

    def summary(self) -> pd.DataFrame:
        """The metrics with their intervals: columns value, low, high.

        For several targets the first level of the index is the target.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        frames = [
            pd.DataFrame(
                [(value, *part.intervals[name]) for name, value in part.metrics.items()],
                index=list(part.metrics),
                columns=["value", "low", "high"],
            )
            for part in self.parts
        ]
        return (
            frames[0]
            if len(frames) == 1
            else pd.concat(dict(zip(self.targets, frames, strict=True)))
        )

    @cached_property
    def baseline(self) -> float:
        """The RMSE of always predicting the mean of the true values of a single target."""
        true = self._single().y_true
        mean = np.average(true, weights=self.sample_weight)
        return float(np.sqrt(np.average((true - mean) ** 2, weights=self.sample_weight)))

    # --- rows ---------------------------------------------------------------------------------

    def indices(
        self,
        *,
        true: Range | None = None,
        predicted: Range | None = None,
        error: Range | None = None,
        target: str | None = None,
        n: int | None = None,
    ) -> NDArray[np.intp]:
        """The rows whose values are within some ranges, the largest errors first.

        Args:
            true: Lowest and highest true value; None for an open end.
            predicted: Lowest and highest prediction.
            error: Lowest and highest error.
            target: Which of several targets.
            n: Maximum number of rows.

        Returns:
            Indices into ``x``.

        Example:
            >>> from kmagic.evaluation.regression.errors_of import errors
            >>> errors([1, 2, 30], [1.5, 2, 20]).indices(error=(None, -1)).tolist()
            [2]
        """
        if n is not None:
            check_integer(EvaluationError, "n", n, 0)
        part = self._single(target)
        matches = np.ones(len(self), dtype=bool)
        given = {"true": (true, part.y_true), "predicted": (predicted, part.y_pred)}
        for option, (bounds, values) in {**given, "error": (error, part.errors)}.items():
            low, high = _check_range(option, bounds)
            matches &= (values >= low) & (values <= high)
        found = np.flatnonzero(matches)
        return found[part.largest_first(found)][:n]

    def largest_first(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The order of some rows by the size of the error of a single target."""
        return np.argsort(-np.abs(self.errors[rows]), kind="stable")

    def worst(self, n: int = 10, *, target: str | None = None) -> pd.DataFrame:
        """The rows with the largest errors, with their features in original units.

        Args:
            n: Number of rows.
            target: Which of several targets.

        Returns:
            The index is the row's index; columns: true, predicted, error, then the features.

        Example:
            >>> from kmagic.evaluation.regression.errors_of import errors
            >>> errors([1, 2, 30], [1.5, 2, 20]).worst(1).to_dict("list")
            {'true': [30.0], 'predicted': [20.0], 'error': [-10.0]}
        """
        check_integer(EvaluationError, "n", n, 0)
        part = self._single(target)
        return part.rows_frame(part.largest(n))

    def largest(self, n: int) -> NDArray[np.intp]:
        """The indices of the largest errors of a single target, largest first."""
        size = np.abs(self.errors)
        n = min(n, len(size))
        if not n:
            return np.empty(0, np.intp)
        edge = np.partition(size, len(size) - n)[len(size) - n]
        found = np.flatnonzero(size >= edge)
        return found[self.largest_first(found)][:n]

    def selected(self) -> pd.DataFrame:
        """The rows that are selected in the notebook, as :meth:`worst` shows them."""
        return self.rows_frame(self.selection)

    def rows_frame(self, rows: NDArray[np.intp]) -> pd.DataFrame:
        """Some rows as a table: true values, predictions, errors, features."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        names = {"true": self.y_true, "predicted": self.y_pred, "error": self.errors}
        own: dict[str, Any]
        if len(self.targets) == 1:
            own = {name: values[rows] for name, values in names.items()}
        else:
            own = {
                f"{target} {name}": values[rows, k]
                for k, target in enumerate(self.targets)
                for name, values in names.items()
            }
        index = pd.Index(rows, name="row")
        if len(self.row_names) == len(self):
            index = pd.Index([self.row_names[k] for k in rows.tolist()], name="row")
        frame = pd.DataFrame(own, index=index)
        features = features_of(self.x, rows)
        renamed = {name: f"{name} (feature)" for name in features if name in own}
        for name, cells in features.items():
            frame[renamed.get(name, name)] = cells
        return frame

    def to_frame(self) -> pd.DataFrame:
        """All rows: true values, predictions and errors, without the features."""
        return replace(self, x=None).rows_frame(np.arange(len(self)))

    def _single(self, target: str | None = None) -> RegressionErrors:
        if target is not None:
            return self[target]
        if len(self.targets) == 1:
            return self
        raise EvaluationError(
            f"There are {len(self.targets):,} targets, which may have different units.",
            Text("Name one, e.g. ", Option("target", self.targets[0]), "."),
        )

    # --- two models ---------------------------------------------------------------------------

    def versus(self, other: RegressionErrors) -> ErrorComparison:
        """Compare with another model on the same rows.

        Args:
            other: The errors of the other model.

        Raises:
            EvaluationError: The rows are not the same.

        Example:
            >>> from kmagic.evaluation.regression.errors_of import errors
            >>> errors([1, 2, 3], [1, 2, 3]).versus(errors([1, 2, 3], [2, 2, 2])).closer
            (2, 0)
        """
        if not isinstance(other, RegressionErrors):
            raise EvaluationError(
                "Errors can only be compared with those of another regression; got "
                f"{type(other).__name__}."
            )
        same = self.columns.true.shape == other.columns.true.shape
        if not (same and np.array_equal(self.columns.true, other.columns.true)):
            raise EvaluationError(
                "Both models must be evaluated on the same rows; "
                f"got {len(self):,} and {len(other):,}, and the true values differ."
            )
        return ErrorComparison(self, other)

    # --- text and figure ----------------------------------------------------------------------

    def facts(self) -> str:
        """Size and quality: "102 test samples · MAE 2.2813 · RMSE 3.1022 · R2 0.8844"."""
        parts = [f"{len(self):,} {isolate_direction(self.unit)}"]
        if len(self.targets) == 1:
            parts += [f"{name} {self.format(name)}" for name in FACTS]
        else:
            steps = self.forecasts is not None
            parts.append(f"{len(self.targets):,} {'steps ahead' if steps else 'targets'}")
            scores = [part.metrics["R2"] for part in self.parts]
            defined = [score for score in scores if np.isfinite(score)]
            if defined:
                low, high = map(format_metric, (min(defined), max(defined)))
                parts.append(f"R2 {low}" if low == high else f"R2 {low} to {high}")
        return " · ".join(parts)

    def format(self, metric: str) -> str:
        """A metric of a single target as text."""
        value = self.metrics[metric]
        return format_error(metric, value) if np.isfinite(value) else "undefined"

    def compared_with_mean(self) -> str:
        """A single target's RMSE beside that of predicting the mean, in a sentence."""
        score, rmse = self.metrics["R2"], format_metric(self.metrics["RMSE"])
        if not np.isfinite(score):
            return f"R2 is undefined: {self.undefined['R2']}."
        baseline = f"{format_metric(self.baseline)} for always predicting the mean of these rows"
        if score <= 0:
            return f"No better than the mean: RMSE {rmse}, against {baseline}."
        share = f"The model explains {100 * score:.1f} % of the variance (R2)"
        return f"{share}: RMSE {rmse}, against {baseline}."

    def describe(self) -> str:
        """The figures in words."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        lines = [f"{title}{self.facts()}".replace(" · ", ", ") + "."]
        if len(self.targets) == 1:
            lines.append(self.compared_with_mean())
        elif self.forecasts is not None:
            lines.append(self.forecasts.describe())
        return "\n".join(filter(None, lines))

    def plot(self, *, target: str | None = None) -> Figure:
        """Predictions, errors and their distribution as a matplotlib figure.

        Args:
            target: Which of several targets.
        """
        return plot_errors(self._single(target))

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<RegressionErrors{name}: {self.facts()}>"


def format_error(metric: str, value: float) -> str:
    """The value of a metric as text; MAPE as a percentage.

    Example:
        >>> format_error("MAPE", 0.2476), format_error("MAE", 2.0)
        ('24.8 %', '2.0000')
    """
    if metric != "MAPE":
        return format_metric(value)
    share = 100 * value
    return f"{share:.1f} %" if abs(share) < 1000 else f"{format_metric(share)} %"  # noqa: PLR2004 - four digits


def _check_range(option: str, bounds: Any) -> tuple[float, float]:
    if bounds is None:
        return -np.inf, np.inf
    try:
        low, high = bounds
        ends = -np.inf if low is None else float(low), np.inf if high is None else float(high)
    except (TypeError, ValueError):
        ends = np.nan, np.nan
    if not ends[0] <= ends[1]:
        expected = "a pair of numbers (lowest, highest); None is an open end"
        raise EvaluationError(option=option, expected=expected, actual=bounds)
    return ends


def features_of(x: Any, rows: NDArray[np.intp]) -> dict[str, list[Any]]:
    """The features of some rows by name; none for images and windows."""
    if x is None or not len(rows):
        return {}
    if hasattr(x, "iloc"):
        part = x.iloc[rows]
        if not hasattr(part, "columns"):
            return {str(part.name or "x"): part.tolist()}
        names = map(str, part.columns)  # of which some may be equal
        return {name: part.iloc[:, k].tolist() for k, name in enumerate(names)}
    items = [x[int(k)] for k in rows]
    if isinstance(items[0], dict):
        found = dict.fromkeys(name for item in items for name in item)
        return {str(name): [item.get(name) for item in items] for name in found}
    if isinstance(items[0], str | bytes):
        return {"text": items}
    try:
        array = np.asarray(items)
    except ValueError:  # of different lengths
        return {}
    if array.ndim == 1 and array.dtype.kind in "biufU":
        return {"x": array.tolist()}
    if array.ndim != 2 or array.dtype.kind not in "biufU":  # noqa: PLR2004 - rows, columns
        return {}
    return {f"x{k}": column.tolist() for k, column in enumerate(array.T)}
