"""What the matrix of a million labels costs, against scikit-learn's, in one run.

    python benchmarks/confusion.py [--rounds 5] [--labels 1000000]

Both count the same integer labels; the ways take turns, the median of the rounds' ratios is shown.
kmagic's time is that of the whole ``confusion()``, which also checks the labels and keeps what the
per-class figures need; scikit-learn's is that of ``confusion_matrix`` alone.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from sklearn.metrics import confusion_matrix

import kmagic

CLASSES = (10, 100, 1000)
MISTAKES = 0.1
"""Share of the labels that are drawn anew."""


def seconds(work: object) -> tuple[float, np.ndarray]:
    """How long a call takes, and the matrix it gives."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Print a row for each number of classes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=1_000_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{'classes':>8} {'kmagic':>10} {'scikit-learn':>13} {'ratio':>7}")
    for classes in CLASSES:
        true = rng.integers(0, classes, options.labels)
        missed = rng.random(options.labels) < MISTAKES
        pred = np.where(missed, rng.integers(0, classes, options.labels), true)
        ours, theirs = [], []
        for turn in range(options.rounds + 1):
            mine, matrix = seconds(lambda t=true, p=pred: kmagic.confusion(t, p).matrix)
            other, same = seconds(lambda t=true, p=pred: confusion_matrix(t, p))
            if not np.array_equal(matrix, same):
                raise SystemExit("the two matrices differ")
            if turn:  # the first imports what it needs
                ours.append(mine)
                theirs.append(other)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{classes:>8,} {statistics.median(ours):>8.3f} s {statistics.median(theirs):>11.3f} s"
            f" {ratio:>7.3f}"
        )


if __name__ == "__main__":
    main()
