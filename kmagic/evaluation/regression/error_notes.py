"""What stands out in the errors of one target, in sentences that a figure or a test justifies."""

from __future__ import annotations

import numpy as np

from kmagic.evaluation.regression.regression_errors import RegressionErrors
from kmagic.support.formatting import format_metric, format_value, pluralize

MIN_ROWS = 20
MAX_TESTED = 20_000  # rows
MIN_CORRELATION, SIGNIFICANCE = 0.3, 0.01
MIN_REPEATED, MIN_REPEATED_SHARE = 3, 0.02  # of rows with exactly the same extreme value


def error_notes(errors: RegressionErrors) -> list[str]:
    """The sentences about one target.

    Example:
        >>> from kmagic.evaluation.regression.errors_of import errors
        >>> error_notes(errors(np.arange(30.0), np.arange(30.0) + 2))[0]
        'Predictions are too high by 2.0000 on average (95 % interval 2.0000 to 2.0000).'
    """
    if np.ptp(errors.y_pred) == 0:
        return [
            f"All predictions are {format_value(errors.y_pred[0])}: the model ignores its input."
        ]
    if len(errors) < MIN_ROWS:
        rows = f"Only {pluralize(len(errors), 'row')}: the figures are uncertain"
        return [f"{rows}, and bootstrap intervals of so few rows are too narrow."]
    return [*_bias(errors), *_spread(errors), *_caps(errors), *_range(errors)]


def _bias(errors: RegressionErrors) -> list[str]:
    low, high = errors.intervals["bias"]
    if low <= 0 <= high:
        return []
    side = "high" if low > 0 else "low"
    size = format_metric(abs(errors.metrics["bias"]))
    ends = map(format_metric, sorted((abs(low), abs(high))))
    return [f"Predictions are too {side} by {size} on average (95 % interval {' to '.join(ends)})."]


def _spread(errors: RegressionErrors) -> list[str]:
    """Whether errors grow with the prediction, by Spearman's rank correlation."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - a second to import

    step = max(1, len(errors) // MAX_TESTED)
    predicted, size = errors.y_pred[::step], np.abs(errors.errors[::step])
    if not np.ptp(size):
        return []
    correlation, p = spearmanr(predicted, size)
    if abs(correlation) < MIN_CORRELATION or p >= SIGNIFICANCE:
        return []
    lower, upper = np.quantile(predicted, (0.25, 0.75))
    low, high = (
        format_metric(float(size[part].mean())) for part in (predicted <= lower, predicted >= upper)
    )
    change = "grow" if correlation > 0 else "shrink"
    sentence = (
        f"Errors {change} with the prediction: mean absolute error {low} in the lowest quarter of "
        f"the predictions, {high} in the highest (Spearman's rank correlation {correlation:.2f})."
    )
    return [sentence]


def _caps(errors: RegressionErrors) -> list[str]:
    """Extreme values that many rows share exactly, as where data were capped."""
    notes = []
    trained = errors.trained_on
    for extreme, word in ((np.max, "largest"), (np.min, "smallest")):
        for values, what in (
            (errors.y_true, "true values"),
            (errors.y_pred, "predictions"),
        ):
            edge = extreme(values)
            rows = np.flatnonzero(values == edge)
            few = len(rows) < max(MIN_REPEATED, MIN_REPEATED_SHARE * len(values))
            # Whole numbers repeat without a cap.
            if few or len(np.unique(values[:MAX_TESTED])) < len(values[:MAX_TESTED]) / 4:
                continue
            also = ""
            if trained is not None and what == "true values" and extreme(trained) == edge:
                also = ", as in the training data"
            bias = float(errors.errors[rows].mean())
            side = "low" if bias < 0 else "high"
            notes.append(
                f"{len(rows):,} {what} are exactly {format_value(edge)}, the {word}{also}: they "
                f"may be capped. Predictions there are too {side} by {format_metric(abs(bias))}."
            )
    return notes


def _range(errors: RegressionErrors) -> list[str]:
    """True values outside the range that the model was trained on."""
    if errors.trained_on is None:
        return []
    low, high = errors.trained_on.min(), errors.trained_on.max()
    outside = (errors.y_true < low) | (errors.y_true > high)
    if not outside.any():
        return []
    size = format_metric(float(np.abs(errors.errors[outside]).mean()))
    sentence = (
        f"{pluralize(int(outside.sum()), 'true value is', 'true values are')} outside the range of "
        f"the training data, {format_value(low)} to {format_value(high)}; mean absolute error "
        f"there {size}."
    )
    return [sentence]
