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
GROUPS = 1000  # more samples are drawn in groups, which bounds the time
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
    """Percentile intervals of all metrics.

    ``scipy.stats.bootstrap`` would draw every sample of every resample. Here the samples are
    divided at random into at most 1,000 groups of equal size, and whole groups are drawn.

    Example:
        >>> from kmagic.evaluation.confusion.label_arrays import read_labels_and_predictions
        >>> labeled = read_labels_and_predictions([0, 1] * 50, [0, 1] * 45 + [1, 0] * 5)
        >>> [round(bound, 1) for bound in bootstrap(labeled).overall["accuracy"]]
        [0.8, 1.0]
    """
    samples, classes = len(predictions.true), len(predictions.class_names)
    rng = np.random.default_rng(seed)
    groups = min(samples, GROUPS)
    group = rng.permutation(samples) % groups
    weight = np.ones(samples) if weights is None else weights
    correct = predictions.true == predictions.predicted

    def group_sums(index: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float32]:
        sums = np.bincount(group * classes + index, values, minlength=groups * classes)
        return sums.reshape(groups, classes).astype(np.float32)

    per_group = (
        group_sums(predictions.true, weight * correct),
        group_sums(predictions.true, weight),
        group_sums(predictions.predicted, weight),
    )
    hits_per_group = {
        name: np.bincount(group, weight * hit, minlength=groups)
        for name, hit in (hits or {}).items()
    }
    overall: dict[str, list[NDArray[np.float64]]] = {}
    per_class: dict[str, list[NDArray[np.float64]]] = {"precision": [], "recall": [], "f1": []}
    step = max(1, CHUNK_VALUES // (3 * classes))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=size).astype(np.float32)
        sums = ClassSums(*((times @ part).astype(np.float64) for part in per_group))
        total = sums.true.sum(axis=-1)
        metrics = overall_metrics(sums)
        metrics |= {name: times @ hit / total for name, hit in hits_per_group.items()}
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
