"""How sure the figures are: 95 % intervals by the bootstrap, repeatable and in bounded time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.confusion.class_metrics import (
    ClassSums,
    class_metrics,
    count_confusions,
    overall_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import LabeledPredictions

LEVEL = 0.95
RESAMPLES = 1000
MOST_DRAWS = 10_000_000  # numbers drawn, about a second
GROUPS = 1000
AT_ONCE = 2_000_000  # values of the sums held at a time
FEWEST = 2


@dataclass(frozen=True, eq=False, slots=True)
class Intervals:
    """Between which values a figure lies, were the samples drawn again from the same source.

    Attributes:
        level: How often the interval holds the figure, 0 to 1.
        overall: By the names of :func:`~kmagic.evaluation.confusion.class_metrics.overall_metrics`: (low, high).
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
    targets: LabeledPredictions,
    weights: NDArray[np.float64] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals of all figures.

    Without weights a resample of the samples is a multinomial draw of the matrix's cells, so that
    is what is drawn. With weights, or with so many different cells that this would take seconds,
    the samples are cut at random into at most 1,000 groups, and the groups are drawn.

    Args:
        targets: Positions of the true and the predicted classes.
        weights: Weight of each sample, or None.
        level: How often an interval shall hold the figure.
        resamples: How many times the samples are drawn anew.
        seed: The same seed gives the same intervals.

    Example:
        >>> from kmagic.evaluation.confusion.label_arrays import read_targets
        >>> found = bootstrap(read_targets([0, 1] * 50, [0, 1] * 45 + [1, 0] * 5))
        >>> [round(bound, 2) for bound in found.overall["accuracy"]]
        [0.84, 0.95]
    """
    rng = np.random.default_rng(seed)
    edges = np.array([(1 - level) / 2, (1 + level) / 2])
    totals: dict[str, list[NDArray[np.float64]]] = {}
    per_class: dict[str, list[NDArray[np.float64]]] = {"precision": [], "recall": [], "f1": []}
    for margins in _resampled(targets, weights, resamples, rng):
        for name, values in overall_metrics(margins).items():
            totals.setdefault(name, []).append(values)
        figures = class_metrics(margins)
        for name, held in per_class.items():
            held.append(getattr(figures, name).astype(np.float32))
    whole = {name: _between(np.concatenate(parts), edges) for name, parts in totals.items()}
    classes = {
        name: np.quantile(np.concatenate(parts), edges, axis=0).astype(np.float64)
        for name, parts in per_class.items()
    }
    return Intervals(level, whole, **classes)


def share_interval(
    hits: NDArray[np.bool_],
    weights: NDArray[np.float64] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a share, such as that of samples whose class is in the top five.

    Args:
        hits: Which samples count, shape (n,).
        weights: Weight of each sample, or None.
        level: As in :func:`bootstrap`.
        resamples: As in :func:`bootstrap`.
        seed: As in :func:`bootstrap`.
    """
    rng = np.random.default_rng(seed)
    edges = np.array([(1 - level) / 2, (1 + level) / 2])
    if weights is None:
        drawn = rng.binomial(len(hits), hits.mean(), resamples) / len(hits)
        return _between(drawn, edges)
    group, groups = _groups(len(hits), rng)
    sums = np.stack(
        [np.bincount(group, each, minlength=groups) for each in (weights * hits, weights)], axis=1
    )
    times = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    found = times @ sums
    return _between(found[:, 0] / found[:, 1], edges)


def _between(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, float]:
    real = values[np.isfinite(values)]
    if len(real) < FEWEST:
        return float("nan"), float("nan")
    low, high = np.quantile(real, edges)
    return float(low), float(high)


def _resampled(
    targets: LabeledPredictions,
    weights: NDArray[np.float64] | None,
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[ClassSums]:
    classes = len(targets.names)
    step = max(1, AT_ONCE // (3 * classes))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    if weights is None:
        matrix = count_confusions(targets, None).ravel()
        cells = np.flatnonzero(matrix)
        if len(cells) * resamples <= MOST_DRAWS:
            yield from _by_cell(cells, matrix[cells], classes, sizes, rng)
            return
    yield from _by_group(targets, weights, sizes, rng)


def _by_cell(
    cells: NDArray[np.intp],
    counts: NDArray[Any],
    classes: int,
    sizes: list[int],
    rng: np.random.Generator,
) -> Iterator[ClassSums]:
    samples = int(counts.sum())
    rows, columns = np.divmod(cells, classes)
    diagonal = rows == columns
    for size in sizes:
        drawn = rng.multinomial(samples, counts / samples, size=size)
        yield ClassSums(
            _gather(drawn[:, diagonal], rows[diagonal], classes),
            _gather(drawn, rows, classes),
            _gather(drawn, columns, classes),
        )


def _gather(drawn: NDArray[np.int64], place: NDArray[np.intp], classes: int) -> NDArray[np.float64]:
    """Sums of the columns of ``drawn`` by class, shape (resamples, classes)."""
    size = len(drawn)
    into = np.arange(size)[:, None] * classes + place
    sums = np.bincount(into.ravel(), drawn.ravel(), minlength=size * classes)
    return np.asarray(sums.reshape(size, classes), dtype=np.float64)


def _by_group(
    targets: LabeledPredictions,
    weights: NDArray[np.float64] | None,
    sizes: list[int],
    rng: np.random.Generator,
) -> Iterator[ClassSums]:
    classes = len(targets.names)
    group, groups = _groups(len(targets.true), rng)
    right = targets.true == targets.predicted
    held = []
    for chosen, place in ((right, targets.true), (None, targets.true), (None, targets.predicted)):
        into, heavy = group * classes + place, weights
        if chosen is not None:
            into, heavy = into[chosen], None if weights is None else weights[chosen]
        sums = np.bincount(into, heavy, minlength=groups * classes)
        held.append(sums.reshape(groups, classes).astype(np.float32))
    for size in sizes:
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=size)
        drawn = times.astype(np.float32)
        yield ClassSums(*((drawn @ sums).astype(np.float64) for sums in held))


def _groups(samples: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], int]:
    """A group for each sample, all equally large but for one sample."""
    groups = min(samples, GROUPS)
    return rng.permutation(samples) % groups, groups
