"""True values and predictions in any form, as columns of numbers; what is not a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.confusion.label_arrays import as_dense_array
from kmagic.models.model_arrays import as_array, dense_rows, sparse_rows
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import safe_repr
from kmagic.support.messages import Function, Option, Text

Floats = NDArray[np.float64]

LARGEST = 1e150  # the squares of larger numbers overflow
MAX_TARGETS = 1000
USE_CONFUSION = Text("For classes use ", Function("confusion"), ".")


@dataclass(frozen=True, eq=False, slots=True)
class TargetValues:
    """The values of one or several targets.

    Attributes:
        true: The true values, (rows, targets).
        predicted: The predictions, likewise.
        names: Name of each target.
    """

    true: Floats
    predicted: Floats
    names: tuple[str, ...]


def read_targets(
    y_true: object, y_pred: object, target_names: Sequence[str] | None = None
) -> TargetValues:
    """Convert true values and predictions to columns of numbers of equal shape.

    Raises:
        EvaluationError: They are classes, not numbers, not finite, or do not belong together.

    Example:
        >>> values = read_targets([1, 2, 3], [[1.5], [2.0], [2.5]])
        >>> values.true.shape, values.predicted[:, 0].tolist(), values.names
        ((3, 1), [1.5, 2.0, 2.5], ('',))
    """
    names = target_names if target_names is not None else _names_of(y_true)
    true, predicted = _as_columns(y_true, "y_true"), _as_columns(y_pred, "y_pred")
    if len(true) != len(predicted):
        counts = f"got {len(true):,} true values and {len(predicted):,} predictions."
        raise EvaluationError(f"Both must have the same number of rows; {counts}")
    if true.shape != predicted.shape:
        shapes = f"y_true has {true.shape[1]:,} columns and y_pred {predicted.shape[1]:,}."
        is_scores = true.shape[1] == 1 and (true % 1 == 0).all()
        raise EvaluationError(
            f"Each target needs a column of true values and one of predictions; {shapes}",
            USE_CONFUSION if is_scores else "",
        )
    if len(true) < 2:  # noqa: PLR2004 - for a spread
        raise EvaluationError(f"At least 2 rows are needed; got {len(true)}.")
    _reject_classes(y_true, true, predicted)
    for option, values in (("y_true", true), ("y_pred", predicted)):
        _check_finite(option, values)
    count = true.shape[1]
    if count > MAX_TARGETS:
        raise EvaluationError(f"At most {MAX_TARGETS:,} targets can be shown; got {count:,}.")
    if names is None or (target_names is None and len(names) != count):
        names = [f"target {k}" for k in range(count)] if count > 1 else [""]
    return TargetValues(true, predicted, _check_names(names, count))


def are_numbers(data: Any, y: Any) -> bool:
    """Whether targets are numbers to predict: those of a regression dataset, or not whole.

    Example:
        >>> are_numbers(None, [1.0, 2.5]), are_numbers(None, [1, 2]), are_numbers(None, [[0.0, 1]])
        (True, False, False)
    """
    if getattr(data, "by_target", None) is not None:
        return False
    if data is not None and hasattr(data, "classes"):
        return data.classes is None
    values = as_array(y)
    is_single = values is not None and values.size == len(values)
    return bool(is_single and values.dtype.kind == "f" and (values % 1).any())


def are_classes(data: Any, y: Any) -> bool:
    """Whether targets are classes: those of a dataset with classes, or strings.

    Example:
        >>> are_classes(None, ["a", "b"]), are_classes(None, [1, 2])
        (True, False)
    """
    if data is not None and hasattr(data, "classes"):
        return data.classes is not None
    values = as_array(y)
    return values is not None and values.dtype.kind in "bU"


def _names_of(values: Any) -> Sequence[str] | None:
    """The names that a data frame or a series brings."""
    if not hasattr(values, "iloc"):
        return None
    columns = getattr(values, "columns", None)
    return [str(name) for name in ([values.name or ""] if columns is None else columns)]


def _check_names(names: Any, count: int) -> tuple[str, ...]:
    are_several = hasattr(names, "__iter__") and not isinstance(names, str)
    listed = list(names) if are_several else [names]
    if len(listed) != count or not all(isinstance(name, str) for name in listed):
        expected = f"{count} name{'s' if count > 1 else ''}, one per target"
        raise EvaluationError(option="target_names", expected=expected, actual=names)
    if len(set(listed)) < count:
        raise EvaluationError(option="target_names", expected="different", actual=names)
    return tuple(listed)


def _as_columns(values: Any, option: str) -> Floats:
    """Values as an array of float64, (rows, targets)."""
    array = as_dense_array(values, option)
    if array.dtype == np.dtype(object) and (numbers := as_array(array)) is not None:
        array = numbers
    if array.dtype.kind not in "iuf":
        first = safe_repr(*array.ravel()[:1].tolist()) if array.size else "none"
        is_class = array.dtype.kind in "bUS" or (array.size and isinstance(array.flat[0], str))
        raise EvaluationError(
            option=option,
            expected="numbers",
            actual=Text(f"values such as {first}"),
            remedy=USE_CONFUSION if is_class else "",
        )
    if array.ndim == 0:
        raise EvaluationError(option=option, expected="one value per row", actual=values)
    while array.ndim > 2 and 1 in array.shape[1:]:  # noqa: PLR2004 - rows and targets
        array = array.squeeze(1 + array.shape[1:].index(1))
    if array.ndim > 2:  # noqa: PLR2004 - rows and targets
        raise EvaluationError(
            option=option,
            expected="of shape (rows,) or (rows, targets)",
            actual=Text(f"shape {array.shape}"),
            remedy="Flatten both, to treat each value as a target: y.reshape(len(y), -1).",
        )
    return array.astype(np.float64).reshape(len(array), -1 if array.size else 1)


def _check_finite(option: str, values: Floats) -> None:
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~(np.abs(values) <= LARGEST).all(axis=1))
    if not len(bad):
        return
    found = values[bad[0]][~(np.abs(values[bad[0]]) <= LARGEST)][0]
    rows = f"{found:g} in row {bad[0]:,}; {len(bad):,} of {len(values):,} rows have such values"
    remedy = (
        "Leave out the rows whose true value is unknown."
        if option == "y_true"
        else "The weights of the model may be NaN: train again with a lower learning rate."
    )
    if np.isfinite(found):
        remedy = "Scale the targets first: the squares of such numbers overflow."
    raise EvaluationError(
        option=option, expected="finite numbers", actual=Text(rows), remedy=remedy
    )


def _reject_classes(given: Any, true: Floats, predicted: Floats) -> None:
    """Reject one-hot rows, and the classes 0 and 1 with probabilities."""
    is_share = bool(predicted.min() >= 0 and predicted.max() <= 1)
    is_binary = bool(((true == 0) | (true == 1)).all())
    if not (is_share and is_binary):
        return
    is_one_hot = true.shape[1] > 1 and bool((true.sum(axis=1) == 1).all())
    is_integer = np.asarray(dense_rows(sparse_rows(given))).dtype.kind in "biu"
    if is_one_hot or is_integer:
        what = "one-hot rows" if is_one_hot else "the integers 0 and 1"
        raise EvaluationError(
            Text(
                Option("y_true"),
                f" contains {what} and ",
                Option("y_pred"),
                " probabilities: these are classes.",
            ),
            Text("Use ", Function("confusion"), ". For values from 0 to 1 pass floats."),
        )
