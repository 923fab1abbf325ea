"""Labels and predictions in any form, converted to indices into one list of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from kmagic.evaluation.confusion.confusion_metrics import divide
from kmagic.models.model_arrays import dense_rows, sparse_rows
from kmagic.support.data_values import check_has_values, reject_masked
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import list_names, safe_repr
from kmagic.support.memory import require_memory
from kmagic.support.messages import Function, Option, Text

ClassNames: TypeAlias = Sequence[object] | Mapping[int, object]
Label: TypeAlias = int | str

DEFAULT_THRESHOLD = 0.5
ROUNDING = 1e-6  # how far a probability may exceed 1


@dataclass(frozen=True, eq=False)
class ClassScores:
    """The raw output of a model: probabilities if all values are between 0 and 1, else logits."""

    given: NDArray[Any]  # of each class, shape (n, classes), or of the second of two, shape (n,)

    @cached_property
    def are_probabilities(self) -> bool:
        """Whether all values are between 0 and 1."""
        return _are_probabilities(self.given)

    def of(self, classes: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """The probability of one class per sample; None for logits of a single output."""
        if self.given.ndim == 1:
            if not self.are_probabilities:
                return None
            return np.asarray(np.where(classes == 1, self.second, 1.0 - self.second))
        rows = to_probabilities(self.given) if not self.are_probabilities else self.given
        chosen = np.take_along_axis(rows, classes[:, None], axis=1)[:, 0]
        return np.asarray(np.minimum(chosen, 1), dtype=np.float64)

    def ranks(self, classes: NDArray[np.intp]) -> NDArray[np.intp]:
        """How many classes rank before the given one of each sample, shape (n,).

        Of equal scores the later class ranks first, as in scikit-learn's top-k accuracy.
        """
        own = np.take_along_axis(self.given, classes[:, None], axis=1)
        is_later = np.arange(self.given.shape[1]) > classes[:, None]
        ahead = (self.given > own) | ((self.given == own) & is_later)
        return np.asarray(ahead.sum(axis=1))

    @cached_property
    def second(self) -> NDArray[np.float64]:
        """The score of the second of two classes, shape (n,).

        With two columns it is a probability, and above 0.5 the second class is more likely.
        """
        if self.given.ndim == 1:
            return self.given.astype(np.float64)
        rows = to_probabilities(self.given, known=self.are_probabilities)
        total = rows.sum(axis=1)
        if np.allclose(total, 1, atol=1e-3):
            return rows[:, 1]
        return divide(rows[:, 1], total, undefined=0.5)


def to_probabilities(scores: NDArray[Any], *, known: bool | None = None) -> NDArray[np.float64]:
    """Convert the output of a model to one probability per class, shape (n, classes).

    Unless ``known`` tells, values are probabilities if all are between 0 and 1. Others are logits,
    to which sigmoid or softmax is applied.

    Example:
        >>> to_probabilities(np.array([[0.25], [0.75]])).tolist()
        [[0.75, 0.25], [0.25, 0.75]]
        >>> to_probabilities(np.array([[2.0, 2.0]])).tolist()
        [[0.5, 0.5]]
    """
    if scores.ndim > 2:  # noqa: PLR2004 - rows and columns
        raise EvaluationError(
            "The model must return one score per class, shape (n, classes); "
            f"got shape {scores.shape}."
        )
    values = np.asarray(scores, dtype=np.float64)
    if known is None:
        known = _are_probabilities(values)
    if values.ndim == 1 or values.shape[1] == 1:
        second = np.minimum(values, 1) if known else expit(values)
        return np.stack([1 - second.reshape(-1), second.reshape(-1)], axis=1)
    return np.minimum(values, 1) if known else np.asarray(softmax(values, axis=1))


def _are_probabilities(values: NDArray[Any]) -> bool:
    return bool(values.min(initial=0) >= 0 and values.max(initial=0) <= 1 + ROUNDING)


@dataclass(frozen=True, eq=False)
class LabeledPredictions:
    """True and predicted classes as indices into the same list of classes.

    Attributes:
        class_ids: What the data calls each class: ids or strings.
        class_names: What is shown for each class.
        true: Index of the true class of each sample, shape (n,).
        predicted: Index of the predicted class of each sample, shape (n,).
        scores: Scores of the classes; None if only predicted classes are known.
        threshold: For two classes: the second is predicted above this score.
    """

    class_ids: tuple[Label, ...]
    class_names: tuple[str, ...]
    true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    scores: ClassScores | None = None
    threshold: float = DEFAULT_THRESHOLD

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is correct, shape (n,)."""
        return np.asarray(self.true == self.predicted)

    @cached_property
    def confidence(self) -> NDArray[np.float64] | None:
        """Probability of the predicted class, shape (n,); None if unknown."""
        return None if self.scores is None else self.scores.of(self.predicted)

    def most_confident(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Indices of the chosen samples; the most confident first if probabilities are known."""
        indices = np.flatnonzero(chosen)
        if self.confidence is None:
            return indices
        return indices[np.argsort(-self.confidence[indices], kind="stable")]


@dataclass(frozen=True, eq=False, slots=True)
class _Labels:
    """One of the two arrays."""

    argument: str
    values: NDArray[Any]  # labels to look up; class indices if the number of classes is known
    width: int | None = None  # number of classes, if the array has a column for each
    scores: ClassScores | None = None  # what the predicted classes follow from


def read_labels_and_predictions(
    y_true: object,
    y_pred: object,
    *,
    class_names: ClassNames | None = None,
    threshold: float | None = None,
    argument: str = "y_true",
) -> LabeledPredictions:
    """Convert labels and predictions to indices into one list of classes.

    Example:
        >>> labeled = read_labels_and_predictions(["cat", "dog", "dog"], ["cat", "dog", "cat"])
        >>> labeled.class_names, labeled.predicted.tolist()
        (('cat', 'dog'), [0, 1, 0])
    """
    true_labels = as_label_array(y_true, argument)
    predicted_labels = as_label_array(y_pred, "y_pred")
    if len(true_labels) != len(predicted_labels):
        counts = f"got {len(true_labels):,} labels and {len(predicted_labels):,} predictions."
        raise EvaluationError(f"Labels and predictions must have the same length; {counts}")
    if not len(true_labels):
        raise EvaluationError("Labels and predictions are empty: nothing to compare.")
    sides = _read_labels(true_labels, argument), _read_predictions(predicted_labels, threshold)
    ids, names = _list_classes(class_names, sides)
    true, predicted = (
        label_indices(side.values, ids, names, side.argument) if side.width is None else side.values
        for side in sides
    )
    used_threshold = DEFAULT_THRESHOLD if threshold is None else threshold
    return LabeledPredictions(ids, names, true, predicted, sides[1].scores, used_threshold)


def as_label_array(value: object, argument: str) -> NDArray[Any]:
    """Labels or scores as an array of numbers or strings, of shape (n,) or (n, k) with k > 1."""
    array = as_dense_array(value, argument)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "O":
        array = _object_array(array, argument)
    if array.ndim == 2 and array.shape[1] == 1:  # noqa: PLR2004 - rows and columns
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
        flatten = (
            "For one label per step or pixel, flatten both: y_true.reshape(-1) and "
            "y_pred.reshape(-1, classes)."
        )
        raise EvaluationError(
            option=argument,
            expected="class ids, strings, one-hot rows or probabilities, of shape (n,) or "
            "(n, classes)",
            actual=Text(f"shape {array.shape} of type {array.dtype}"),
            remedy=flatten if array.ndim > 2 else "",  # noqa: PLR2004 - rows and columns
        )
    require_memory(array.size, f"{array.size:,} values", "Compare fewer samples at a time.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        raise EvaluationError(
            option=argument,
            expected="finite numbers",
            actual=Text(
                f"NaN or infinity in {len(bad):,} of {len(array):,} samples, the first is sample "
                f"{bad[0]:,}"
            ),
        )
    return array


def as_dense_array(value: object, argument: str) -> NDArray[Any]:
    """Any values as one array, of whatever type.

    Raises:
        EvaluationError: The rows differ in length.
        DataError: The values are symbolic or masked.
    """
    check_has_values(value)
    reject_masked(value, argument)
    try:
        return np.asarray(dense_rows(sparse_rows(value)))
    except ValueError as error:
        message = Text(Option(argument), f" must have rows of equal length; {error}.")
        raise EvaluationError(message) from error


MAX_CLASS_NAMES = 1_000_000


def parse_class_names(
    class_names: ClassNames, width: int | None = None
) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    """The ids and the names that ``class_names`` stands for, ``width`` of them if that is known."""
    ids: tuple[Label, ...]
    unsuitable = EvaluationError(
        option="class_names",
        expected="a list of names or a mapping from id to name",
        actual=class_names,
    )
    try:
        if isinstance(class_names, Mapping):
            keys = sorted(int(key) for key in class_names)
            ids, listed = tuple(keys), [class_names[key] for key in keys]
        else:
            if hasattr(class_names, "shape"):  # the iterator of a variable does not end
                class_names = np.asarray(class_names).tolist()
            listed = list(islice(class_names, MAX_CLASS_NAMES + 1))
            numbers = [int(item) for item in listed if isinstance(item, int | np.integer)]
            ids = tuple(numbers if len(numbers) == len(listed) else range(len(listed)))
    except (TypeError, ValueError, NotImplementedError):  # an array without axes, for example
        raise unsuitable from None
    if len(listed) > MAX_CLASS_NAMES:
        many = f"at most {MAX_CLASS_NAMES:,} names"
        raise EvaluationError(option="class_names", expected=many)
    are_rows = any(isinstance(item, Sized) and not isinstance(item, str | bytes) for item in listed)
    if are_rows or isinstance(class_names, str):
        raise unsuitable
    names = tuple(
        str(item, "utf-8", "replace") if isinstance(item, bytes) else str(item) for item in listed
    )
    if not names:
        message = Text(Option("class_names"), " is empty: it must name at least one class.")
        raise EvaluationError(message)
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise EvaluationError(
            Text("Class names must be unique; ", list_names(repeated), " occurs more than once.")
        )
    if width not in (None, len(names)):
        raise EvaluationError(
            option="class_names",
            expected=f"{width} names, one per column",
            actual=Text(f"{len(names)}"),
        )
    return ids, names


def label_indices(
    values: NDArray[Any], ids: Sequence[Label], names: Sequence[str], argument: str
) -> NDArray[np.intp]:
    """The class index of each label: strings are looked up among the names, numbers as ids."""
    are_names = values.dtype.kind == "U"
    wanted = names if are_names else ids
    in_range = not are_names and (not len(values) or 0 <= values.min() <= values.max() < len(ids))
    if in_range and tuple(ids) == tuple(range(len(ids))):
        return np.array(values, dtype=np.intp)  # a copy: the user's array may change
    known = np.array(wanted)
    order = np.argsort(known)
    indices: NDArray[np.intp] = order[
        np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)
    ]
    is_unknown = known[indices] != values
    if is_unknown.any():
        first = int(is_unknown.argmax())
        mapping = Option("class_names", {1: "one", 2: "two"})
        advice = Text("If the ids do not start at 0, use a mapping: ", mapping, ".")
        problem = (
            f" contains {values[first].item()!r} (sample {first:,}), which is not one of the "
            f"{len(wanted):,} classes: {list_names(wanted)}."
        )
        raise EvaluationError(Text(Option(argument), problem), "" if are_names else advice)
    return indices


def _object_array(array: NDArray[Any], argument: str) -> NDArray[Any]:
    # TensorFlow's texts are bytes.
    items = [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else item
        for item in array.ravel().tolist()
    ]
    if all(isinstance(item, str) for item in items):
        return np.array(items, dtype=str).reshape(array.shape)
    if all(isinstance(item, bool | int | float | np.number) for item in items):
        return np.array(items).reshape(array.shape)
    odd = next(item for item in items if not isinstance(item, str))
    is_missing = odd is None or safe_repr(odd) in ("nan", "<NA>")
    raise EvaluationError(
        option=argument,
        expected="all strings or all numbers",
        actual=Text(f"{safe_repr(odd)} of type {type(odd).__name__}"),
        remedy="Remove the rows without a label first." if is_missing else "",
    )


def _read_labels(array: NDArray[Any], argument: str) -> _Labels:
    if array.ndim == 2:  # noqa: PLR2004 - rows and columns
        ones = (array == 1).sum(axis=1)
        zeros = (array == 0).sum(axis=1)
        odd = np.flatnonzero((ones != 1) | (zeros != array.shape[1] - 1))
        if len(odd):
            raise EvaluationError(
                Text(
                    Option(argument),
                    f" of shape {array.shape} must be one-hot, with a single 1 in each row; "
                    f"row {odd[0]:,} is not.",
                ),
                "With several labels per sample there is one matrix per label: "
                "confusion(y_true[:, i], y_pred[:, i]).",
            )
        return _Labels(argument, array.argmax(axis=1), array.shape[1])
    if array.dtype.kind == "U":
        return _Labels(argument, array)
    if array.dtype.kind == "f" and (array % 1 != 0).any():
        first = int(np.flatnonzero(array % 1 != 0)[0])
        raise EvaluationError(
            Text(
                Option(argument),
                f" must be class ids; {array[first]:g} (sample {first:,}) is not a whole number.",
            ),
            Text("For regression use ", Function("errors"), "."),
        )
    return _Labels(argument, array.astype(np.int64, copy=False))


def _read_predictions(array: NDArray[Any], threshold: float | None) -> _Labels:
    is_table = array.ndim == 2  # noqa: PLR2004 - rows and columns
    are_scores = array.dtype.kind == "f" and (is_table or (array % 1 != 0).any())
    if array.dtype.kind == "U" or not (are_scores or threshold is not None):
        return _read_labels(array, "y_pred")
    scores = ClassScores(array)
    if is_table and threshold is None:
        return _Labels("y_pred", array.argmax(axis=1), array.shape[1], scores)
    if is_table and array.shape[1] != 2:  # noqa: PLR2004 - two classes
        columns = f" needs two classes; the predictions have {array.shape[1]} columns."
        raise EvaluationError(Text(Option("threshold"), columns))
    if threshold is None and (array.min() < 0 or array.max() > 1):
        raise EvaluationError(
            Text(
                Option("y_pred"),
                " with one value per sample must contain class ids or probabilities between "
                f"0 and 1; got {array.min():g} to {array.max():g}.",
            ),
            Text("For logits of a model with one output, pass ", Option("threshold", 0), "."),
        )
    above = scores.second > (DEFAULT_THRESHOLD if threshold is None else threshold)
    return _Labels("y_pred", above.astype(np.intp), 2, scores)


def _list_classes(
    class_names: ClassNames | None, sides: tuple[_Labels, _Labels]
) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    """The ids and names of all classes: those given, a class per column, or those that occur."""
    widths = [side.width for side in sides if side.width is not None]
    if len(set(widths)) > 1:
        true, predicted = widths
        raise EvaluationError(
            "Labels and predictions must have one column per class; "
            f"got {true} columns of labels and {predicted} of predictions."
        )
    width = widths[0] if widths else None
    if class_names is not None:
        return parse_class_names(class_names, width)
    strings = [side.argument for side in sides if side.values.dtype.kind == "U"]
    if len(strings) == 1:
        raise EvaluationError(
            Text(
                Option(strings[0]),
                " contains names and the other array numbers, so the order of the classes is "
                "unknown.",
            ),
            Text("Pass the names in the order of the ids: ", Option("class_names"), "."),
        )
    if width is not None:
        return tuple(range(width)), tuple(map(str, range(width)))
    ids = tuple(np.unique(np.concatenate([side.values for side in sides])).tolist())
    return ids, tuple(map(str, ids))
