"""Detect data that were scaled differently from the training data, by their standard deviation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kmagic.models.model_arrays import match_arrays
from kmagic.support.caller_names import warn_caller
from kmagic.support.errors import InputWarning
from kmagic.support.model_registry import record_for

MAX_VALUES = 2**20
"""About this many values are used, evenly spread over the samples."""
MAX_RATIO = 12.0
"""Data whose standard deviations differ by more than this factor were scaled differently."""
SCALE_DRIFT_REMEDY = "Prepare both alike: `digits.scaling.apply(x)`, or divide both by 255."


class ScaleWarning(InputWarning):
    """Data were scaled differently from the data that the model was trained on."""


def value_spread(x: Any) -> float | None:
    """Standard deviation of the values of samples; None where they are not an array of numbers."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if not hasattr(x, "__array__") or not hasattr(x, "shape"):
        return None
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or not array.ndim or len(array) < 2 or not array.size:  # noqa: PLR2004 - one sample has no spread
        return None
    with np.errstate(invalid="ignore"):  # nan or inf among the values
        spread = float(array[:: max(1, -(-array.size // MAX_VALUES))].std(dtype="float64"))
    return spread if math.isfinite(spread) else None


def input_spreads(model: Any, x: Any) -> dict[str, float]:
    """Standard deviation of each input, where it has one."""
    spreads = {part.name: value_spread(part.values) for part in match_arrays(model, x)}
    return {name: spread for name, spread in spreads.items() if spread is not None}


def scale_difference(part: str, spreads: Mapping[str, float], training: Mapping[str, float]) -> str:
    """Describe data that are scaled differently from the training data; "" if they are not."""
    inputs = [name for name in spreads if spreads[name] and training.get(name)]
    differing = [
        name for name in inputs if not 1 / MAX_RATIO < spreads[name] / training[name] < MAX_RATIO
    ]
    if not differing:
        return ""
    where = f" in {' and '.join(differing)}" if any(differing) else ""
    here, there = (
        " and ".join(f"{values[name]:,.3g}" for name in differing) for values in (spreads, training)
    )
    return (
        f"The {part} data are scaled differently{where}: their standard deviation is {here}, "
        f"that of the training data {there}."
    )


def scale_drift_message(model: Any, x: Any) -> str:
    """Describe samples that are scaled differently from the model's training data, or return ""."""
    training = record_for(model).spreads
    message = scale_difference("test", input_spreads(model, x), training) if training else ""
    return f"{message} {SCALE_DRIFT_REMEDY}" if message else ""


def warn_of_scale_drift(model: Any, x: Any) -> None:
    """Warn of samples as :func:`scale_drift_message` describes them, at the caller of kmagic."""
    message = scale_drift_message(model, x)
    if message:
        warn_caller(message, ScaleWarning)
