"""Metrics of a regression, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Interval: TypeAlias = tuple[float, float]

LEVEL = 0.95
RESAMPLES, CHUNK = 1000, 100
MAX_ROWS = 2000  # of a resample
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
EPSILON = float(np.finfo(np.float64).eps)  # scikit-learn's MAPE divides by at least this


def quantile_name(share: float) -> str:
    """The name of a quantile of the error: "5 % quantile"."""
    return f"{100 * share:g} % quantile"


def point_metrics(
    true: Floats, predicted: Floats, weight: Floats | None
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of one target by name, NaN where undefined; and why those are undefined.

    Example:
        >>> values, undefined = point_metrics(np.array([0.0, 4.0]), np.array([1.0, 2.0]), None)
        >>> values["MAE"], values["bias"], round(values["R2"], 3)
        (1.5, -0.5, 0.375)
        >>> undefined
        {'MAPE': 'a true value is 0 in 1 row'}
    """
    from sklearn import metrics  # noqa: PLC0415 - a second to import

    undefined = {}
    counted = true if weight is None else true[weight > 0]
    zeros = int((np.abs(counted) < EPSILON).sum())
    if zeros:
        undefined["MAPE"] = f"a true value is 0 in {zeros:,} row{'s' if zeros > 1 else ''}"
    if np.ptp(counted) == 0:
        undefined["R2"] = "all true values are equal"
    functions: dict[str, Callable[..., float]] = {
        "MAE": metrics.mean_absolute_error,
        "RMSE": metrics.root_mean_squared_error,
        "R2": metrics.r2_score,
        "bias": lambda y, p, sample_weight: np.average(p - y, weights=sample_weight),
        "median absolute error": metrics.median_absolute_error,
        "MAPE": metrics.mean_absolute_percentage_error,
    }
    values = {
        name: float("nan" if name in undefined else function(true, predicted, sample_weight=weight))
        for name, function in functions.items()
    }
    quantiles = error_quantiles(predicted - true, weight)
    values |= zip(map(quantile_name, QUANTILES), map(float, quantiles), strict=True)
    return values, undefined


def error_quantiles(errors: Floats, weight: Floats | None = None) -> Floats:
    """The quantiles of the error along the last axis, the first axis of the result.

    They are those of :func:`numpy.quantile`; with weights, of its method "inverted_cdf".
    """
    if weight is None:
        return np.quantile(errors, QUANTILES, axis=-1)
    order = np.argsort(errors, axis=-1)
    values = np.take_along_axis(errors, order, axis=-1)
    sums = np.take_along_axis(weight, order, axis=-1).cumsum(axis=-1)
    found = [(sums < q * sums[..., -1:]).sum(axis=-1, keepdims=True) for q in QUANTILES]
    return np.stack([np.take_along_axis(values, at, axis=-1)[..., 0] for at in found])


def weighted_mean(values: Floats, weight: Floats | None = None) -> Floats:
    """The mean along the last axis."""
    if weight is None:
        return np.asarray(values.mean(axis=-1))
    return np.asarray((weight * values).sum(axis=-1) / weight.sum(axis=-1))


def metric_intervals(
    true: Floats,
    predicted: Floats,
    weight: Floats | None,
    values: Mapping[str, float],
    *,
    seed: int = 0,
) -> dict[str, Interval]:
    """The intervals of the metrics of one target, by :func:`bootstrap`."""
    centre = float(np.average(true, weights=weight))  # so that squares can be subtracted

    def statistics(true: Floats, errors: Floats, weight: Floats | None = None) -> Iterator[Floats]:
        def mean(values: Floats) -> Floats:
            return weighted_mean(values, weight)

        sizes, squares, centred = np.abs(errors), mean(errors**2), true - centre
        yield mean(sizes)
        yield np.sqrt(squares)
        yield 1 - squares / (mean(centred**2) - mean(centred) ** 2)
        yield mean(errors)
        yield (
            np.median(sizes, axis=-1)
            if weight is None
            else error_quantiles(sizes, weight)[QUANTILES.index(0.5)]
        )
        yield mean(sizes / np.abs(true))
        yield from error_quantiles(errors, weight)

    arrays = [true, predicted - true, *([] if weight is None else [weight])]
    ends = bootstrap(statistics, arrays, list(values.values()), seed=seed)
    return dict(zip(values, ends, strict=True))


def bootstrap(
    statistics: Callable[..., Iterator[Floats]],
    arrays: Sequence[Floats],
    values: Sequence[float],
    *,
    seed: int = 0,
) -> list[Interval]:
    """Percentile intervals of some statistics, from 1,000 resamples of the rows.

    Rows are drawn with replacement. Of many rows each resample draws m = 2,000 < n, and the
    deviations from the statistic of all rows are multiplied by sqrt(m / n): the m out of n
    bootstrap (Bickel, Goetze and van Zwet, "Resampling fewer than n observations", Statistica
    Sinica 7, 1997). So time and memory are bounded. Rows count as independent.

    Args:
        statistics: From resampled arrays, (resamples, m), the statistics, (resamples,) each.
        arrays: The values of the rows, (n,) each.
        values: The statistics of all rows; NaN where undefined, as is then the interval.
        seed: Seed of the resamples.

    Returns:
        Lower and upper end for each statistic.

    Example:
        >>> def mean(x): yield x.mean(axis=-1)
        >>> [(low, high)] = bootstrap(mean, [np.arange(100.0)], [49.5])
        >>> bool(43 < low < 45 and 54 < high < 56)
        True
    """
    rows = len(arrays[0])
    drawn = min(rows, MAX_ROWS)
    rng = np.random.default_rng(seed)
    chunks = []
    for _ in range(RESAMPLES // CHUNK):
        indices = rng.integers(0, rows, (CHUNK, drawn))
        with np.errstate(divide="ignore", invalid="ignore"):  # such resamples do not count
            chunks.append(list(statistics(*(array[indices] for array in arrays))))
    scale = (drawn / rows) ** 0.5
    tail = (1 - LEVEL) / 2
    ends = []
    for value, parts in zip(values, zip(*chunks, strict=True), strict=True):
        found = np.concatenate(parts)
        found = found[np.isfinite(found)]
        if not (np.isfinite(value) and len(found)):
            ends.append((float("nan"), float("nan")))
            continue
        low, high = np.quantile(found, (tail, 1 - tail))
        ends.append((float(value + scale * (low - value)), float(value + scale * (high - value))))
    return ends
