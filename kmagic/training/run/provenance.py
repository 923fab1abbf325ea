"""What a run's record says about where it came from: versions, and a fingerprint of the data."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PIECES = 16
PIECE = 2**16
"""Of each array so many pieces of so many bytes are digested: large data is not read through."""


def versions() -> dict[str, str]:
    """The versions of Python and the libraries, by name."""
    import keras  # noqa: PLC0415 - takes seconds

    found = {"python": platform.python_version(), "keras": keras.__version__}
    for name in ("kmagic", keras.config.backend(), "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # installed under another name, or not at all
            continue
    return found


def fingerprint(*data: Any) -> str:
    """Shapes and types of arrays and a digest of their values; "" for what is no array.

    The digest is of up to 1 MB of each array, evenly spread.

    Example:
        >>> import numpy as np
        >>> fingerprint(np.zeros((60, 28, 28), "uint8"), np.zeros(60, "int64")).split("; ")[0]
        '60x28x28 uint8, 60 int64'
    """
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    digest, shapes = hashlib.sha256(), []
    for each in keras.tree.flatten(data):
        if each is None:
            continue
        if not hasattr(each, "__array__") or not hasattr(each, "shape"):
            return ""
        array = np.asarray(each)
        if array.dtype.kind not in "biuf" or not array.size:
            return ""
        shapes.append(f"{'x'.join(map(str, array.shape))} {array.dtype}")
        digest.update(shapes[-1].encode())
        flat = array.reshape(-1) if array.flags.c_contiguous else array[:PIECES].ravel()
        size = max(1, PIECE // array.itemsize)
        starts = np.linspace(0, max(0, len(flat) - size), PIECES if len(flat) > size else 1)
        for start in starts.astype(int):
            digest.update(flat[start : start + size].tobytes())
    return f"{', '.join(shapes)}; {digest.hexdigest()[:12]}" if shapes else ""
