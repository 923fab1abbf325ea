"""Whether two parts of the data were scaled in the same way: by how far their values spread."""

from __future__ import annotations

from typing import Any

from kmagic.lineage import recall_spread

LOOKED_AT = 2**20
"""So many values are looked at, evenly spread over the samples."""
SHIFTED = 12.0
"""Data whose spread differs by more than this was scaled in another way."""
REMEDY = "Prepare both alike: `digits.scaling.apply(x)`, or divide both by 255."


def spread(x: Any) -> float | None:
    """How far the values of samples spread; None where they are not one array of numbers.

    Args:
        x: Samples along the first axis, two or more.

    Example:
        >>> import numpy as np
        >>> spread(np.array([[0, 255], [0, 255]])), spread("a text")
        (127.5, None)
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if not hasattr(x, "__array__") or not hasattr(x, "shape"):
        return None
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or not array.ndim or len(array) < 2 or not array.size:  # noqa: PLR2004 - one tells no spread
        return None
    return float(array[:: max(1, -(-array.size // LOOKED_AT))].std(dtype="float64"))


def differing(what: str, theirs: float | None, mine: float | None) -> str:
    """A sentence on data that were scaled in another way than the training data; or "".

    Args:
        what: Which part of the data: "validation".
        theirs: Its spread.
        mine: That of the training data.

    Example:
        >>> differing("test", 79.2, 0.31)
        'the test data are scaled in another way: they spread by 79.2, the training data by 0.31.'
    """
    if not theirs or not mine or 1 / SHIFTED < theirs / mine < SHIFTED:
        return ""
    return (
        f"the {what} data are scaled in another way: they spread by {theirs:,.3g}, "
        f"the training data by {mine:,.3g}."
    )


def scaled_otherwise(model: Any, x: Any) -> str:
    """What to know of samples that a model is to be judged by; "" if there is nothing.

    Args:
        model: A model; that of which it is known what it was trained on is looked at.
        x: The samples.
    """
    mine = recall_spread(model)
    message = differing("test", spread(x), mine) if mine else ""
    return f"{message[:1].upper()}{message[1:]} {REMEDY}" if message else ""
