"""95 % intervals of all metrics by the bootstrap, reproducible and in bounded time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kmagic.evaluation.confusion.class_metrics import ClassSums, class_metrics, overall_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

LEVEL = 0.95
RESAMPLES = 1000
GROUPS = 1000  # units that are drawn, which bounds the time
CHUNK_VALUES = 2_000_000  # class sums held in memory at once


@dataclass(frozen=True, eq=False, slots=True)
class Intervals:
    """Intervals in which the metrics would lie for other samples from the same source.

    Attributes:
        level: Coverage probability, 0 to 1.
        overall: (low, high) of each metric of
            :func:`~kmagic.evaluation.confusion.class_metrics.overall_metrics`, by its name.
        precision: Shape (2, classes): low and high of each class.
        recall: The same.
        f1: The same.
    """

    level: float
    overall: dict[str, tuple[float, float]]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def bootstrap(
    predictions: LabeledPredictions,
    weights: NDArray[np.float64] | None = None,
    *,
    hits: dict[str, NDArray[np.bool_]] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals of all metrics, and of further ones that are shares of ``hits``.

    ``scipy.stats.bootstrap`` would draw every sample of every resample. Samples in the same cell of
    the matrix are interchangeable, so counts of cells are drawn instead. With weights, or with more
    than 1,000 different cells, the samples are divided at random into 1,000 groups of equal size,
    and whole groups are drawn.

    Example:
        >>> from kmagic.evaluation.confusion.label_arrays import read_labels_and_predictions
        >>> labeled = read_labels_and_predictions([0, 1] * 50, [0, 1] * 45 + [1, 0] * 5)
        >>> [round(bound, 1) for bound in bootstrap(labeled).overall["accuracy"]]
        [0.8, 0.9]
    """
    samples, classes = len(predictions.true), len(predictions.class_names)
    rng = np.random.default_rng(seed)
    cell = predictions.true * classes + predictions.predicted
    for hit in (hits or {}).values():
        cell = 2 * cell + hit
    _, rows, counts = np.unique(cell, return_index=True, return_counts=True)
    if weights is None and len(rows) <= GROUPS:
        unit, units, draws, shares = np.arange(len(rows)), len(rows), samples, counts / samples
    else:
        rows, units = np.arange(samples), min(samples, GROUPS)
        unit, draws, shares = rng.permutation(samples) % units, units, np.full(units, 1 / units)
    weight = np.ones(len(rows)) if weights is None else weights
    true, predicted = predictions.true[rows], predictions.predicted[rows]

    def unit_sums(index: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float32]:
        sums = np.bincount(unit * classes + index, values, minlength=units * classes)
        return sums.reshape(units, classes).astype(np.float32)

    per_unit = (
        unit_sums(true, weight * (true == predicted)),
        unit_sums(true, weight),
        unit_sums(predicted, weight),
    )
    hits_per_unit = {
        name: np.bincount(unit, weight * hit[rows], minlength=units)
        for name, hit in (hits or {}).items()
    }
    overall: dict[str, list[NDArray[np.float64]]] = {}
    per_class: dict[str, list[NDArray[np.float64]]] = {"precision": [], "recall": [], "f1": []}
    step = max(1, CHUNK_VALUES // (3 * classes))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = rng.multinomial(draws, shares, size=size).astype(np.float32)
        sums = ClassSums(*((times @ part).astype(np.float64) for part in per_unit))
        total = sums.true.sum(axis=-1)
        metrics = overall_metrics(sums)
        metrics |= {name: times @ hit / total for name, hit in hits_per_unit.items()}
        for name, values in metrics.items():
            overall.setdefault(name, []).append(values)
        for name, chunks in per_class.items():
            chunks.append(getattr(class_metrics(sums), name))
    edges = np.array([(1 - level) / 2, (1 + level) / 2])
    return Intervals(
        level,
        {name: _quantiles(np.concatenate(chunks), edges) for name, chunks in overall.items()},
        **{
            name: np.quantile(np.concatenate(chunks), edges, axis=0)
            for name, chunks in per_class.items()
        },
    )


def _quantiles(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, float]:
    """Quantiles of the resamples in which the metric is defined."""
    defined = values[np.isfinite(values)]
    if len(defined) < 2:  # noqa: PLR2004 - one value has no spread
        return float("nan"), float("nan")
    low, high = np.quantile(defined, edges)
    return float(low), float(high)
