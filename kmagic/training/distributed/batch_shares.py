"""How the samples of a batch are divided between workers.

The batches, and their order, do not depend on the number of workers. A worker gets consecutive
rows of each batch. The gradient of the batch is the sum of the workers' gradients, each weighted by
its fraction of the rows, so unequal shares give the same result as one worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kmagic.support.formatting import pluralize


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of a batch.

    Attributes:
        rows: The indices of its samples.
        weight: The weight of its gradient in the sum over all workers.
        counts: Whether it counts. If a batch has fewer rows than there are workers, each computes
            the whole batch, and only the first one counts.
    """

    rows: NDArray[np.intp]
    weight: float
    counts: bool = True


def epoch_order(samples: int, seed: int | None, epoch: int) -> NDArray[np.intp]:
    """The order of the samples in an epoch: shuffled, or with the seed None as they are.

    Example:
        >>> epoch_order(4, None, 0).tolist(), sorted(epoch_order(4, 7, 0).tolist())
        ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    if seed is None:
        return np.arange(samples)
    return np.random.default_rng([seed, epoch]).permutation(samples)


def shares_of(rows: NDArray[np.intp], workers: int) -> list[Share]:
    """The shares of all workers.

    Example:
        >>> [(share.rows.tolist(), share.weight) for share in shares_of(np.arange(5), 2)]
        [([0, 1, 2], 0.6), ([3, 4], 0.4)]
    """
    if len(rows) < workers:
        return [Share(rows, float(worker == 0), worker == 0) for worker in range(workers)]
    return [Share(part, len(part) / len(rows)) for part in np.array_split(rows, workers)]


def batches_of(
    order: NDArray[np.intp], batch_size: int, first: int, count: int
) -> Iterator[NDArray[np.intp]]:
    """The rows of some batches of an epoch, from batch ``first``, counted from 0."""
    for start in range(first * batch_size, (first + count) * batch_size, batch_size):
        yield order[start : start + batch_size]


def describe_split(batch_size: int, workers: int, noun: str = "worker") -> str:
    """How a full batch is divided, as a phrase.

    Example:
        >>> describe_split(256, 2)
        '2 workers with 128 of 256 samples each'
        >>> describe_split(256, 3)
        '3 workers with 85 to 86 of 256 samples each'
    """
    least, most = batch_size // workers, math.ceil(batch_size / workers)
    samples = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"{pluralize(workers, noun)} with {samples} of {batch_size:,} samples each"
