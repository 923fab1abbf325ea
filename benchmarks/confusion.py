"""Time of the confusion matrix of a million labels, compared with scikit-learn.

    python benchmarks/confusion.py [--rounds 5] [--labels 1000000]

Both count the same integer labels, in turns; the median of the ratios is printed. kmagic's time
is that of the whole ``confusion()``, which also checks the labels and keeps what the metrics per
class need; scikit-learn's is that of ``confusion_matrix`` alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import confusion_matrix

import kmagic

CLASSES = (10, 100, 1000)
ERROR_RATE = 0.1
"""Share of the labels that are drawn again for the predictions."""


def timed(count: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds that a call takes, and the matrix that it returns."""
    start = time.perf_counter()
    matrix = count()
    return time.perf_counter() - start, matrix


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
        is_error = rng.random(options.labels) < ERROR_RATE
        predicted = np.where(is_error, rng.integers(0, classes, options.labels), true)
        ours, theirs = [], []
        for number in range(options.rounds + 1):
            our_time, matrix = timed(lambda t=true, p=predicted: kmagic.confusion(t, p).matrix)
            their_time, expected = timed(lambda t=true, p=predicted: confusion_matrix(t, p))
            if not np.array_equal(matrix, expected):
                raise SystemExit("the two matrices differ")
            if number:  # the first round imports modules
                ours.append(our_time)
                theirs.append(their_time)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{classes:>8,} {statistics.median(ours):>8.3f} s {statistics.median(theirs):>11.3f} s"
            f" {ratio:>7.3f}"
        )


if __name__ == "__main__":
    main()
