"""Tell raw numbers from numbers that were already prepared like the training data."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scale_drift import MAX_VALUES, ScaleWarning
from kmagic.support.caller_names import warn_caller

Verdict: TypeAlias = Literal["raw", "prepared", "unclear"]

MIN_EVIDENCE = math.log(20)  # log odds from which one of the two is assumed without a report
MIN_DIFFERENCE = 0.05  # standard deviations, below which it makes no difference
SCALED_FRAME = (
    "The columns are already scaled like the training data, so they were not scaled again."
)
FREEDOM = 3  # of Student's t distribution, which allows for outliers
MAX_BYTE = 255
MAX_SCALED_BYTE = 1.001
CLEARLY_BYTES = 2.0
UNCLEAR = (
    "It is unclear whether these numbers are raw or scaled like the training data; they were used "
    "as they are. For raw numbers, pass `data.prepare(x)`, where data is the dataset."
)


def prepare_table_rows(data: Any, x: Any) -> Any:
    """Prepare rows of a table in the order of its columns, if some are words; else ``x``."""
    columns = getattr(getattr(data, "preparation", None), "columns", None)
    if columns is None or not isinstance(x, list | tuple | np.ndarray) or not len(x):
        return x
    row = x[0] if isinstance(x[0], list | tuple | np.ndarray) else x
    is_encoded = len(columns.names) == len(columns.wanted)
    has_objects = getattr(getattr(x, "dtype", None), "kind", "") == "O"
    is_mixed = has_objects or any(isinstance(cell, str) for cell in row)
    are_rows = (is_mixed or not is_encoded) and len(row) == len(columns.wanted)
    return data.preparation.prepare(x) if are_rows else x


def prepare_if_raw(data: Any, x: Any) -> Any:
    """Prepare an array of samples if it contains raw numbers of the dataset ``data``.

    They are compared with the mean and the standard deviation of each column, or of each channel of
    images; bytes are recognized by their range.

    Warns:
        ScaleWarning: It is unclear, so the numbers are used as they are.

    Example:
        >>> from kmagic.data.preparation.scaling import Scaling
        >>> scaling = Scaling("standard", np.float32([5.8, 3.1]), np.float32([0.8, 0.4]))
        >>> data = Preparation(scaling=scaling, sample_shape=(2,))
        >>> prepare_if_raw(data, np.array([[5.0, 3.5], [6.2, 2.9]])).round(1).tolist()
        [[-1.0, 1.0], [0.5, -0.5]]
        >>> prepare_if_raw(data, np.array([[-1.0, 1.0], [0.5, -0.5]])).tolist()
        [[-1.0, 1.0], [0.5, -0.5]]
    """
    verdict = detect_raw(data, x)
    if verdict == "unclear":
        warn_caller(UNCLEAR, ScaleWarning)
    if verdict != "raw":
        return x
    preparation = data.preparation
    columns = preparation.columns
    is_encoded = columns is not None and len(columns.names) != len(columns.wanted)
    if is_encoded or preparation.windowing is not None:
        return preparation.reshape(preparation.scaling.apply(x))
    return preparation.prepare(x)


def prepare_frame(data: Any, frame: Any) -> NDArray[Any]:
    """Prepare a data frame; one whose columns are already scaled is only encoded.

    Warns:
        ScaleWarning: The columns are already scaled.
    """
    preparation = data.preparation
    is_scaled = preparation.columns is not None and preparation.scaling.kind != "none"
    if is_scaled and preparation.windowing is None:
        numbers = preparation.columns.apply(frame)
        if detect_raw(data, numbers) == "prepared":
            warn_caller(SCALED_FRAME, ScaleWarning)
        else:
            numbers = preparation.scaling.apply(numbers)
        return np.asarray(preparation.reshape(numbers))
    return np.asarray(data.prepare(frame))


def detect_raw(data: Any, array: Any) -> Verdict:
    """Whether samples are raw numbers of a dataset.

    "prepared" also if there is nothing to prepare, or for anything else than its samples.
    """
    preparation = getattr(data, "preparation", None)
    is_array = isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and array.size
    if not is_array or not isinstance(preparation, Preparation):
        return "prepared"
    own = (getattr(data, name, None) for name in ("x_train", "x_test"))
    if any(np.may_share_memory(array, part) for part in own if isinstance(part, np.ndarray)):
        return "prepared"  # the rows of a dataset, though those of a trend may look raw
    scaling, shape = preparation.scaling, preparation.image_shape or preparation.sample_shape
    if preparation.columns is not None and preparation.windowing is None:
        shape = (len(preparation.columns.names),)
    size = math.prod(array.shape[1:])
    if scaling.kind == "none" or not (shape is None or size == math.prod(shape)):
        return "prepared"
    if scaling.kind == "255":
        return _detect_bytes(array)
    rows = array[:: max(1, -(-array.size // MAX_VALUES))].astype(np.float64)
    scaled = scaling.apply(rows).astype(np.float64)
    if not np.nanmean(np.abs(scaled - rows)) > MIN_DIFFERENCE:
        return "prepared"
    _, deviation = scaling.statistics_for(rows)
    evidence = np.nansum(_log_density(scaled) - np.log(deviation) - _log_density(rows))
    if abs(evidence) < MIN_EVIDENCE:
        return "unclear"
    return "raw" if evidence > 0 else "prepared"


def _detect_bytes(array: NDArray[Any]) -> Verdict:
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    if low < 0 or high > MAX_BYTE or high <= MAX_SCALED_BYTE:
        return "prepared"
    return "raw" if array.dtype.kind in "iu" or high > CLEARLY_BYTES else "unclear"


def _log_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the density of Student's t distribution, without its constant."""
    return np.asarray(-(FREEDOM + 1) / 2 * np.log1p(z * z / FREEDOM))
