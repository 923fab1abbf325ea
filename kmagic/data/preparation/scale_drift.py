"""Whether two parts of the data were scaled in the same way: by how far their values spread."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from kmagic.models.model_arrays import match_arrays
from kmagic.support.model_registry import spreads_for

LOOKED_AT = 2**20
"""So many values are looked at, evenly spread over the samples."""
SHIFTED = 12.0
"""Data whose spread differs by more than this was scaled in another way."""
OURS = __name__.partition(".")[0]
REMEDY = "Prepare both alike: `digits.scaling.apply(x)`, or divide both by 255."


def value_spread(x: Any) -> float | None:
    """How far the values of samples spread; None where they are not one array of numbers.

    Args:
        x: Samples along the first axis, two or more.

    Example:
        >>> import numpy as np
        >>> value_spread(np.array([[0, 255], [0, 255]])), value_spread("a text")
        (127.5, None)
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if not hasattr(x, "__array__") or not hasattr(x, "shape"):
        return None
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or not array.ndim or len(array) < 2 or not array.size:  # noqa: PLR2004 - one tells no spread
        return None
    return float(array[:: max(1, -(-array.size // LOOKED_AT))].std(dtype="float64"))


def input_spreads(model: Any, x: Any) -> dict[str, float]:
    """How far the values of each input spread; those of which it is not known are left out.

    Args:
        model: A Keras model, whose inputs give a list its names.
        x: Samples of one input, then the name is "", or a dict or a list of those of several.
    """
    spreads = {part.name: value_spread(part.values) for part in match_arrays(model, x)}
    return {name: value for name, value in spreads.items() if value is not None}


def spread_difference(what: str, theirs: Mapping[str, float], mine: Mapping[str, float]) -> str:
    """A sentence on data that were scaled in another way than the training data; or "".

    Args:
        what: Which part of the data: "validation".
        theirs: Its spread, an entry an input.
        mine: That of the training data.

    Example:
        >>> spread_difference("test", {"": 79.2}, {"": 0.31})
        'the test data are scaled in another way: they spread by 79.2, the training data by 0.31.'
        >>> spread_difference("test", {"a": 79.2, "b": 1.0}, {"a": 0.31, "b": 1.1}).split(":")[0]
        'the test data are scaled in another way in a'
    """
    both = [name for name in theirs if theirs[name] and mine.get(name)]
    odd = [name for name in both if not 1 / SHIFTED < theirs[name] / mine[name] < SHIFTED]
    if not odd:
        return ""
    where = f" in {' and '.join(odd)}" if any(odd) else ""
    here, there = (" and ".join(f"{of[name]:,.3g}" for name in odd) for of in (theirs, mine))
    return (
        f"the {what} data are scaled in another way{where}: they spread by {here}, "
        f"the training data by {there}."
    )


def scale_drift_message(model: Any, x: Any) -> str:
    """What to know of samples that a model is to be judged by; "" if there is nothing.

    Args:
        model: A model; that of which it is known what it was trained on is looked at.
        x: The samples.
    """
    mine = spreads_for(model)
    message = spread_difference("test", input_spreads(model, x), mine) if mine else ""
    return f"{message[:1].upper()}{message[1:]} {REMEDY}" if message else ""


class ScaleWarning(UserWarning):
    """Data were scaled in another way than those that the model has learned from."""


def warn_of_scale_drift(model: Any, x: Any) -> None:
    """Warn of samples as :func:`scale_drift_message` finds them, on the line that has called us.

    Args:
        model: The model that is asked.
        x: The samples.
    """
    words = scale_drift_message(model, x)
    if not words:
        return
    level, frame = 1, inspect.currentframe()
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(words, ScaleWarning, stacklevel=level)
