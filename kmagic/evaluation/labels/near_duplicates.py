"""Rows with the same input, or nearly the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.support.disk_arrays import is_on_disk, row_chunks

MAX_QUERIES, REFERENCES, NEIGHBOURS = 2000, 1000, 6
MAX_BYTES, MAX_VALUES, MAX_ROWS = 4_000_000_000, 500_000_000, 300_000
"""Of the inputs: for any search, and for a search of near rows."""
DIMENSIONS = 32  # of the random projection that finds candidates
NEAR = 0.1  # of the median distance to the nearest different row
EXACT_ONLY = "equal inputs"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that have (nearly) the same input as others.

    Attributes:
        equal: For some rows those with an equal input.
        near: For some rows those with nearly the same input, the nearest first.
        method: What was searched, as a clause.
    """

    equal: dict[int, list[int]] = field(default_factory=dict)
    near: dict[int, list[int]] = field(default_factory=dict)
    method: str = "not searched"

    def of(self, row: int) -> list[int]:
        """The rows with (nearly) the same input as one of them, equal ones first."""
        return [*self.equal.get(row, ()), *self.near.get(row, ())]


def find_duplicates(x: Any, rows: Sequence[int], *, has_distances: bool = True) -> Duplicates:
    """Find the duplicates of some rows among all.

    Equal inputs are found by a digest of each row. Near ones are those whose Euclidean distance is
    at most a tenth of the median distance from a row to the nearest different one (of 1,000 rows);
    candidates are the nearest rows in a random projection. The cost is bounded: near inputs of the
    first 2,000 rows only, and nothing in large data.

    Args:
        x: Inputs, samples first: an array of numbers, texts, or rows of different lengths.
        rows: The rows whose duplicates are wanted, the most important ones first.
        has_distances: Whether a small distance means that two inputs are alike; not for word
            indices.

    Example:
        >>> x = np.array([[0.0, 1.0], [5.0, 2.0], [0.0, 1.0], [9.0, 9.0]])
        >>> find_duplicates(x, [0, 1]).of(0)
        [2]
    """
    if hasattr(x, "iloc"):
        x = x.to_numpy()
    if not isinstance(x, np.ndarray) or x.nbytes > MAX_BYTES:
        return Duplicates()
    groups = defaultdict(list)
    digests = [_digest(row) for chunk in row_chunks(x) for row in chunk]
    for row, digest in enumerate(digests):
        groups[digest].append(row)
    equal = {int(row): [k for k in groups[digests[row]] if k != row] for row in rows}
    equal = {row: others for row, others in equal.items() if others}
    is_small = len(x) <= MAX_ROWS and x.size <= MAX_VALUES and not is_on_disk(x)
    if not (has_distances and is_small and x.dtype.kind in "biuf" and len(x) > NEIGHBOURS):
        return Duplicates(equal, method=EXACT_ONLY)
    with np.errstate(over="ignore"):
        values = x.reshape(len(x), -1).astype(np.float32)
    if not np.isfinite(values.sum(axis=1)).all():  # missing values have no distance
        return Duplicates(equal, method=EXACT_ONLY)
    return Duplicates(equal, _near(values, rows, equal), "equal and near inputs")


def _digest(row: Any) -> bytes:
    values = np.ascontiguousarray(row)
    if values.dtype.kind in "OU":  # whose bytes are addresses, or padded
        data = repr(values.tolist()).encode()
    else:
        data = (values + 0 if values.dtype.kind == "f" else values).tobytes()  # -0.0 equals 0.0
    return hashlib.blake2b(data, digest_size=16).digest()


def _near(
    values: NDArray[Any], rows: Sequence[int], equal: dict[int, list[int]]
) -> dict[int, list[int]]:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - a second to import
    from sklearn.random_projection import GaussianRandomProjection  # noqa: PLC0415 - as above

    projected = values
    if values.shape[1] > 2 * DIMENSIONS:
        projected = GaussianRandomProjection(DIMENSIONS, random_state=0).fit_transform(values)
    wanted = np.asarray(rows[:MAX_QUERIES], np.intp)
    count = min(REFERENCES, len(values))
    references = np.random.default_rng(0).choice(len(values), count, replace=False)
    queries = np.concatenate([wanted, references])
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(projected)
    found = search.kneighbors(projected[queries], return_distance=False)
    distances = np.stack([
        np.linalg.norm(values[found[:, k]] - values[queries], axis=1) for k in range(NEIGHBOURS)
    ]).T  # fmt: skip
    different = np.where(distances[len(wanted) :] > 0, distances[len(wanted) :], np.inf).min(axis=1)
    limit = NEAR * float(np.median(different))
    near: dict[int, list[int]] = {}
    for row, others, apart in zip(wanted.tolist(), found, distances, strict=False):
        order = np.argsort(apart, kind="stable")
        known = {row, *equal.get(row, ())}
        close = [k for k in others[order][apart[order] <= limit].tolist() if k not in known]
        near |= {row: close} if close else {}
    return near if np.isfinite(limit) else {}
