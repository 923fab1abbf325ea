"""What makes a run reproducible: library versions, a digest of the data, and the seed."""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import keras
import numpy as np

from kmagic.data.preparation.sliding_rows import SlidingRows

DIGEST_PIECES = 16
PIECE_BYTES = 2**16
"""The digest reads this many evenly spread pieces of each array."""


@cache
def library_versions() -> dict[str, str]:
    """The versions of Python and the libraries, by name."""
    versions = {"python": platform.python_version(), "keras": keras.__version__}
    for name in ("kmagic", keras.config.backend(), "numpy"):
        with suppress(PackageNotFoundError):  # installed under another name, or not at all
            versions[name] = version(name)
    return versions


def fingerprint(*data: Any) -> str:
    """Shapes and types of arrays and a digest of their values; "" if any value is not an array.

    The digest covers up to 1 MB of each array.

    Example:
        >>> import numpy as np
        >>> fingerprint(np.zeros((60, 28, 28), "uint8"), np.zeros(60, "int64")).split("; ")[0]
        '60x28x28 uint8, 60 int64'
    """
    digest, shapes = hashlib.sha256(), []
    for values in keras.tree.flatten(data):
        if values is None:
            continue
        if not hasattr(values, "__array__") or not hasattr(values, "shape"):
            return ""
        array = np.asarray(values)
        if array.dtype.kind not in "biuf" or not array.size:
            return ""
        shapes.append(f"{'x'.join(map(str, array.shape))} {array.dtype}")
        sliding = SlidingRows.of(array)
        array = array if sliding is None else sliding.rows
        digest.update(shapes[-1].encode())
        flat = array.reshape(-1) if array.flags.c_contiguous else array[:DIGEST_PIECES].ravel()
        size = max(1, PIECE_BYTES // array.itemsize)
        pieces = DIGEST_PIECES if len(flat) > size else 1
        for start in np.linspace(0, max(0, len(flat) - size), pieces).astype(int):
            digest.update(flat[start : start + size].tobytes())
    return f"{', '.join(shapes)}; {digest.hexdigest()[:12]}" if shapes else ""


def set_seed(model: keras.Model, seed: int) -> None:
    """Seed Python, NumPy, Keras, and the model's layers with random state, such as dropout."""
    keras.utils.set_random_seed(seed % 2**32)
    variables = model.non_trainable_variables
    states = [state for state in variables if "seed_generator_state" in state.path]
    for number, state in enumerate(states):
        state.assign([seed % 2**32, number])
