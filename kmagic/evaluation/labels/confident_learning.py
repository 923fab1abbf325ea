"""Confident learning: which labels are probably wrong, from out-of-sample probabilities.

The method is that of C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", Journal of Artificial Intelligence Research 70, 2021. The figures
are those of cleanlab for the same probabilities; the tests compare them. In all functions ``y`` is
the index of each sample's given class, shape (n,), and ``probabilities`` has shape (n, classes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.confusion.confusion_metrics import LEVEL, divide

TOLERANCE = 1e-6  # of a comparison with a threshold
NEVER = 2.0  # the threshold of a class without samples
RESAMPLES, MAX_CELLS = 1000, 20_000_000  # of the bootstrap, and the counts that it draws

Labels = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConfidentJoint:
    """How often each given class is confidently predicted as each class.

    Attributes:
        thresholds: The mean probability of each class over the samples that are given it, (k,):
            equation 2 of the paper. A class without samples has a threshold that none reaches.
        counts: Samples by given class and by confidently predicted class, (k, k): equation 1. The
            diagonal is at least 1.
        support: Samples of each given class, (k,).

    Example:
        >>> odds = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]])
        >>> joint = ConfidentJoint.of(np.array([0, 0, 0, 1]), odds)
        >>> joint.counts.tolist(), joint.calibrated.tolist()
        ([[2, 1], [0, 1]], [[2, 1], [0, 1]])
        >>> joint.noise
        0.25
    """

    thresholds: Floats
    counts: NDArray[np.intp]
    support: NDArray[np.intp]

    @classmethod
    def of(cls, y: Labels, probabilities: Floats) -> ConfidentJoint:
        """Count the samples whose probability of a class reaches its threshold."""
        classes = probabilities.shape[1]
        support = np.bincount(y, minlength=classes)
        means = [
            probabilities[:, k][y == k].mean() if support[k] else NEVER for k in range(classes)
        ]
        thresholds = np.maximum(means, 2 * TOLERANCE)
        confident = probabilities >= thresholds - TOLERANCE
        several = confident.sum(axis=1) > 1  # then the most probable one counts
        guess = np.where(several, probabilities.argmax(axis=1), confident.argmax(axis=1))
        known = confident.any(axis=1)
        counts = np.zeros((classes, classes), np.intp)
        np.add.at(counts, (y[known], guess[known]), 1)
        np.fill_diagonal(counts, counts.diagonal().clip(min=1))
        return cls(thresholds, counts, support)

    @cached_property
    def calibrated(self) -> NDArray[np.intp]:
        """The counts scaled to the support of each given class, and rounded: they sum to n."""
        return _rounded(_calibrate(self.counts, self.support))

    @property
    def noise(self) -> float:
        """The estimated share of wrong labels, from 0 to 1."""
        wrong = self.calibrated.sum() - self.calibrated.trace()
        return float(wrong / self.calibrated.sum())

    def noise_interval(self, seed: int = 0) -> tuple[float, float]:
        """The 95 % interval of the noise: percentile bootstrap over samples, thresholds kept.

        With fixed thresholds, resampled counts are multinomial. It covers the chance of the draw,
        and not what the model gets wrong.
        """
        unsure = np.maximum(self.support - self.counts.sum(axis=1), 0)
        cells = np.column_stack([self.counts, unsure])
        filled = np.flatnonzero(cells)
        times = int(min(RESAMPLES, max(MAX_CELLS // len(filled), 20)))
        shares = cells.flat[filled] / cells.sum()
        draws = np.random.default_rng(seed).multinomial(self.support.sum(), shares, size=times)
        rows, columns = np.divmod(filled, cells.shape[1])
        wrong = np.zeros(times)
        for row in np.unique(rows):
            own, sure = rows == row, columns < len(self.support)
            right = draws[:, own & (columns == row)].sum(axis=1)
            total = draws[:, own & sure].sum(axis=1)
            wrong += draws[:, own].sum(axis=1) * divide(total - right, total)
        ends = np.quantile(wrong / self.support.sum(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(ends[0]), float(ends[1])


def find_issues(y: Labels, probabilities: Floats, joint: ConfidentJoint) -> NDArray[np.bool_]:
    """Which labels are probably wrong, (n,): "prune by noise rate", section 3.2 of the paper.

    For each pair of a given and another class these are as many samples as the calibrated joint
    has, those with the largest difference of the two probabilities; without samples whose given
    class is the most probable one. At least one sample of each class remains.
    """
    counts = _prune_counts(joint.calibrated)
    issues = np.zeros(len(y), dtype=bool)
    for given in np.flatnonzero(joint.support > 1):
        rows = np.flatnonzero(y == given)
        own = probabilities[rows]
        for other in np.flatnonzero(counts[given]):
            if other != given:
                margin = own[:, other] - own[:, given]
                issues[rows[np.argsort(-margin)[: counts[given, other]]]] = True
    favoured = probabilities.copy()
    favoured[np.arange(len(y)), y] += TOLERANCE
    return np.asarray(issues & (favoured.argmax(axis=1) != y))


def self_confidence(y: Labels, probabilities: Floats) -> Floats:
    """The probability of the given class, (n,): the lower, the more likely the label is wrong."""
    return np.take_along_axis(probabilities, y[:, None], axis=1)[:, 0]


def normalized_margin(y: Labels, probabilities: Floats) -> Floats:
    """Half of 1 + the probability of the given class - that of the best other class, (n,)."""
    others = probabilities.copy()
    np.put_along_axis(others, y[:, None], -np.inf, axis=1)
    return np.asarray((self_confidence(y, probabilities) - others.max(axis=1) + 1) / 2)


SCORES = {"self_confidence": self_confidence, "normalized_margin": normalized_margin}
"""The scores of label quality by name."""


def _calibrate(counts: NDArray[np.intp], support: NDArray[np.intp]) -> Floats:
    """Rows that sum to the support of their class: equation 3 of the paper, times n."""
    # In cleanlab's order of memory, which decides on the last bit of the sum, and so on ties.
    columns = np.ascontiguousarray(counts.T)
    rows = (columns / np.clip(counts.sum(axis=1), 1e-100, None) * support).T
    return np.asarray(rows / np.clip(rows.sum(), 1e-100, None) * support.sum())


def _rounded(rows: Floats) -> NDArray[np.intp]:
    """Rounded values; those with the largest remainders are changed, so row sums are kept."""
    whole = rows.round()
    for values, result in zip(rows, whole, strict=True):
        while diff := int(values.sum().round() - result.sum().round()):
            step = 1 if diff > 0 else -1
            order = np.argsort(values - result)[::-step]
            result[order[: abs(diff)]] += step
    return whole.astype(np.intp)


def _prune_counts(calibrated: NDArray[np.intp]) -> NDArray[np.intp]:
    """The joint with at least 1 on its diagonal, taken from the other counts of the given class."""
    diagonal = np.maximum(calibrated.diagonal(), 1)
    others = np.maximum(np.count_nonzero(calibrated, axis=1) - 1.0, 1.0)
    missing = (diagonal - calibrated.diagonal()) / others
    counts = np.maximum(calibrated - missing[:, None], 0)
    np.fill_diagonal(counts, diagonal)
    return np.asarray(counts, dtype=np.intp)
