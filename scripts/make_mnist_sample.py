"""Create the bundled sample of MNIST from the full file.

    python scripts/make_mnist_sample.py PATH/TO/mnist.npz [OUTPUT]

The same file gives the same bytes: the seed is fixed, and NumPy writes no dates into its zip files.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np

from kmagic.data.assemble import stratified_sample
from kmagic.data.known_datasets import KNOWN_DATASETS

SIZES = {"train": 5_000, "test": 1_000}
SEED = 1998
OUTPUT = Path(__file__).parents[1] / "kmagic" / "data" / "samples" / "mnist_sample.npz"


def sample(full: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Select rows, with their positions in the full set."""
    parts = {}
    for part, size in SIZES.items():
        chosen = stratified_sample(full[f"y_{part}"], size, SEED)
        parts[f"x_{part}"] = full[f"x_{part}"][chosen]
        parts[f"y_{part}"] = full[f"y_{part}"][chosen]
        parts[f"position_{part}"] = chosen.astype(np.uint16)
    return parts


def main() -> None:
    """Read the full file, check that it is Keras's, write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=Path, help="Keras's own mnist.npz")
    parser.add_argument("output", type=Path, nargs="?", default=OUTPUT)
    paths = parser.parse_args()
    found = hashlib.sha256(paths.full.read_bytes()).hexdigest()
    expected = KNOWN_DATASETS["mnist"].files[0].sha256
    if found != expected:
        sys.exit(f"{paths.full} has sha256 {found}; Keras's mnist.npz has {expected}")
    with np.load(paths.full, allow_pickle=False) as archive:
        parts = sample(dict(archive))
    np.savez_compressed(paths.output, **parts)
    print(f"{paths.output}: {paths.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
