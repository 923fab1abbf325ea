"""Wrong labels that are found in MNIST and CIFAR-10, and those that cleanlab finds.

    python benchmarks/label_errors.py ../shared/data [--rows 6000]

The folder has mnist.npz and cifar10_sample_jpg.zip. In each data set 5 % of the labels are changed:
to any other class (symmetric), or to the next one (pairs). A small CNN is cross-validated. "top" is
the share of the changed labels among as many candidates of the highest rank, "all" their share
among all candidates, and "precision" the share of candidates that were changed. cleanlab gets the
same probabilities; the last column is its time divided by ours.
"""

from __future__ import annotations

import argparse
import io
import os
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kmagic

MODEL = """
input {side}x{side}x{depth} / rescaling {scale}
conv2d 32 3x3 relu / maxpool / conv2d 64 3x3 relu / maxpool / flatten
dropout 0.3 / dense 64 relu / dense 10 softmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy
"""
SHARE, CLASSES, ROUNDS = 0.05, 10, 5
EPOCHS = {"mnist": 6, "cifar": 20}

Labels = np.ndarray[Any, Any]


def mnist(folder: Path, rows: int) -> tuple[Labels, Labels]:
    """Some digits, drawn at random."""
    with np.load(folder / "mnist.npz") as file:
        x, y = file["x_train"], file["y_train"]
    chosen = np.random.default_rng(0).choice(len(x), min(rows, len(x)), replace=False)
    return x[chosen, ..., None], y[chosen].astype(int)


def cifar(folder: Path, rows: int) -> tuple[Labels, Labels]:
    """The photos of the sample, in random order."""
    with zipfile.ZipFile(folder / "cifar10_sample_jpg.zip") as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        images = [np.asarray(Image.open(io.BytesIO(file.read(name)))) for name in names]
    y = np.unique([Path(name).parent.name for name in names], return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(y))[:rows]
    return np.stack(images)[order], y[order]


def change(y: Labels, kind: str) -> tuple[Labels, Labels]:
    """The labels with some that are wrong, and the rows of these."""
    rng = np.random.default_rng(1)
    rows = rng.choice(len(y), round(SHARE * len(y)), replace=False)
    noisy = y.copy()
    steps = 1 if kind == "pairs" else rng.integers(1, CLASSES, len(rows))
    noisy[rows] = (y[rows] + steps) % CLASSES
    return noisy, rows


def timed(find: Callable[[], Labels]) -> tuple[float, list[int]]:
    """Seconds that a search takes, and its candidates by rank."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = find()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found.tolist()


def quality(ranked: list[int], wrong: Labels) -> str:
    """Recall of the first and of all candidates, and their precision, as columns."""
    hits = {*ranked} & {*wrong.tolist()}
    top = hits & {*ranked[: len(wrong)]}
    shares = (len(top) / len(wrong), len(hits) / len(wrong), len(hits) / max(len(ranked), 1))
    return " ".join(f"{share:>9.1%}" for share in shares)


def compare(name: str, kind: str, x: Labels, y: Labels) -> None:
    """Print a row for kmagic, and one for cleanlab."""
    noisy, wrong = change(y, kind)
    model = kmagic.build(MODEL, side=x.shape[1], depth=x.shape[3], scale=1 / 255)
    result = kmagic.cross_validate(
        model, x, noisy, folds=5, epochs=EPOCHS[name], batch_size=64, seed=0, displays=[]
    )
    labels = kmagic.find_label_errors(result)
    odds = labels.probabilities
    ours, found = timed(lambda: kmagic.find_label_errors(y=noisy, probabilities=odds).indices)
    about = f"{name:6} {kind:10} {len(y):>6,} {result.mean['val_accuracy']:>9.1%}"
    columns = f"{labels.noise.share:>9.1%} {len(found):>6,} {quality(found, wrong)}"
    print(f"{about} {columns}  {1000 * ours:.1f} ms", flush=True)
    if not find_spec("cleanlab"):
        return
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - optional

    options = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    theirs, expected = timed(lambda: find_label_issues(noisy, odds, **options))
    same = "the same" if {*found} == {*expected} else "OTHERS"
    columns = f"{len(expected):>6,} {quality(expected, wrong)}"
    print(f"{'  cleanlab':44} {columns}  {theirs / ours:.2f} x, {same}", flush=True)


def main() -> None:
    """Print the rows of both data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=6000)
    options = parser.parse_args()
    os.environ.setdefault("KMAGIC_DISPLAY", "none")
    heads = ("accuracy", "estimate", "found", "top", "all", "precision")
    print(f"data   changed      rows {heads[0]:>9} {heads[1]:>9} {heads[2]:>6}", end=" ")
    print(" ".join(f"{head:>9}" for head in heads[3:]))
    for name, load in (("mnist", mnist), ("cifar", cifar)):
        x, y = load(options.data, options.rows)
        for kind in ("symmetric", "pairs"):
            compare(name, kind, x, y)


if __name__ == "__main__":
    main()
