"""Labels and predictions, however they come, as positions in one list of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Classes: TypeAlias = Sequence[object] | Mapping[int, object]
Label: TypeAlias = int | str

SHOWN = 8  # of many classes, so many are named in a message
SPREAD = 4  # ids that lie within so many times the number of samples are looked up in a table


@dataclass(frozen=True, eq=False)
class LabeledPredictions:
    """What is true and what was predicted, in the same list of classes.

    Attributes:
        labels: What the user's data calls each class: ids or strings.
        names: What a person calls each class.
        true: Position of each sample's true class, shape (n,).
        predicted: Position of each sample's predicted class, shape (n,).
        scores: What the model said of each class; None where only classes came.
        threshold: For two classes: above it the second one is meant.
    """

    labels: tuple[Label, ...]
    names: tuple[str, ...]
    true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    scores: ClassScores | None = None
    threshold: float = 0.5

    @cached_property
    def confidence(self) -> NDArray[np.float64] | None:
        """Probability of the predicted class, shape (n,); None where it is not known."""
        return None if self.scores is None else self.scores.of(self.predicted)


@dataclass(frozen=True, eq=False, slots=True)
class _LabelArray:
    """One of the two arrays: either labels to be looked up, or columns that stand for classes."""

    what: str
    labels: NDArray[Any] | None = None
    positions: NDArray[np.intp] | None = None
    columns: int | None = None
    scores: ClassScores | None = None

    @property
    def strings(self) -> bool:
        return self.labels is not None and self.labels.dtype.kind == "U"


def read_labels_and_predictions(
    y_true: object,
    y_pred: object,
    *,
    classes: Classes | None = None,
    threshold: float | None = None,
) -> LabeledPredictions:
    """Bring labels and predictions into one list of classes.

    Args:
        y_true: Class ids or strings of shape (n,) or (n, 1), or one-hot rows of shape (n, k).
        y_pred: The same, or a score for each class of shape (n, k), or for two classes the
            probability of the second one, of shape (n,) or (n, 1).
        classes: Names in the order of the ids 0, 1, 2 ...; or the ids themselves; or a
            mapping from id to name. Without them the labels found stand for themselves.
        threshold: For two classes: from which probability on (strictly above, as in Keras's
            binary accuracy) the second class is meant. Default 0.5.

    Returns:
        The positions of both, and the confidence where probabilities came.

    Raises:
        EvaluationError: The two do not fit each other, or do not fit the classes.

    Example:
        >>> found = read_labels_and_predictions(["cat", "dog", "dog"], ["cat", "dog", "cat"])
        >>> found.names, found.predicted.tolist()
        (('cat', 'dog'), [0, 1, 0])
    """
    truth = as_label_array(y_true, "y_true")
    guess = as_label_array(y_pred, "y_pred")
    if len(truth) != len(guess):
        raise EvaluationError(
            f"y_true and y_pred must be of one length; received {len(truth):,} labels "
            f"and {len(guess):,} predictions."
        )
    if not len(truth):
        raise EvaluationError("y_true and y_pred are empty: there is nothing to compare.")
    sides = _read_labels(truth, "y_true"), _read_predictions(guess, threshold)
    labels, names = _list_classes(classes, sides)
    true, predicted = (_place(side, labels, names) for side in sides)
    above = 0.5 if threshold is None else threshold
    return LabeledPredictions(labels, names, true, predicted, sides[1].scores, above)


def as_label_array(value: object, what: str) -> NDArray[Any]:
    """Labels or scores as an array of shape (n,) or (n, k) of numbers or strings.

    Args:
        value: A list, an array, a tensor, a pandas column.
        what: Its name, for messages.

    Returns:
        The array; a last axis of one is dropped.

    Raises:
        EvaluationError: It is ragged, has more than two axes, or a value is missing.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise EvaluationError(f"{what} must be rows of one length; {error}.") from error
    if array.dtype.kind == "O":
        array = _plain(array, what)
    if array.ndim == 2 and array.shape[1] == 1:  # noqa: PLR2004 - rows and columns
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
        raise EvaluationError(
            f"{what} must be class ids, strings, one-hot rows or probabilities, of shape (n,) or "
            f"(n, classes); received shape {array.shape} of type {array.dtype}.",
            "A label for each step or pixel: flatten both, y_true.reshape(-1) and "
            "y_pred.reshape(-1, classes)."
            if array.ndim > 2  # noqa: PLR2004 - rows and columns
            else "",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        raise EvaluationError(
            f"{what} must hold finite numbers; {len(bad):,} of {len(array):,} samples hold NaN or "
            f"infinity, the first is sample {bad[0]:,}."
        )
    return array


def as_probabilities(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Scores of shape (n, k) as probabilities.

    Values between 0 and 1 are taken as they are. Others are logits, and softmax is applied, which
    leaves their order as it is.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.min(initial=0) >= 0 and values.max(initial=1) <= 1 + ROUNDING:
        return np.minimum(values, 1)
    return softmax(values)


def parse_class_names(classes: Classes) -> tuple[tuple[Label, ...] | None, tuple[str, ...]]:
    """The ids (None: 0, 1, 2 ...) and the names that a user's list of classes means."""
    ids: tuple[Label, ...] | None
    if isinstance(classes, Mapping):
        ids = tuple(sorted(int(key) for key in classes))
        names = tuple(str(classes[key]) for key in ids)
    elif isinstance(classes, str) or not isinstance(classes, Iterable):
        raise EvaluationError(
            f"classes must be a list of names or a mapping from id to name; received {classes!r}."
        )
    else:
        listed = list(classes)
        numbers = [int(c) for c in listed if isinstance(c, int | np.integer)]
        ids = tuple(numbers) if len(numbers) == len(listed) else None
        names = tuple(str(c) for c in listed)
    if not names:
        raise EvaluationError("classes is empty: it must name at least one class.")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise EvaluationError(f"The names of classes must differ; {_some(twice)} stands twice.")
    return ids, names


def label_indices(
    values: NDArray[Any], labels: Sequence[Label], names: Sequence[str], what: str
) -> NDArray[np.intp]:
    """The position of each label: strings are sought among the names, numbers among the ids."""
    wanted = names if values.dtype.kind == "U" else labels
    if values.dtype.kind != "U" and len(values):
        low, high = int(values.min()), int(values.max())
        if wanted == tuple(range(len(wanted))) and low >= 0 and high < len(wanted):
            return np.array(values, dtype=np.intp)  # a copy: the user's array may change
        if high - low < SPREAD * len(values):
            return _look_up(values, low, high, wanted, what)
    found, inverse = np.unique(values, return_inverse=True)
    known = {label: position for position, label in enumerate(wanted)}
    places = [known.get(label, -1) for label in found.tolist()]
    missing = [label for label, place in zip(found.tolist(), places, strict=True) if place < 0]
    if missing:
        _refuse(int(np.flatnonzero(values == missing[0])[0]), values, wanted, what)
    return np.asarray(places, dtype=np.intp)[inverse]


def _look_up(
    values: NDArray[Any], low: int, high: int, wanted: Sequence[Label], what: str
) -> NDArray[np.intp]:
    table = np.full(high - low + 1, -1, dtype=np.intp)
    for position, label in enumerate(wanted):
        if isinstance(label, int) and low <= label <= high:
            table[label - low] = position
    places: NDArray[np.intp] = table[values - low]
    if places.min() < 0:
        _refuse(int(places.argmin()), values, wanted, what)
    return places


def _refuse(first: int, values: NDArray[Any], wanted: Sequence[Label], what: str) -> NoReturn:
    raise EvaluationError(
        f"{what} holds {values[first].item()!r} (sample {first:,}), which is not among the "
        f"{len(wanted):,} classes: {_some(wanted)}.",
        "A mapping names ids that do not run from 0: classes={1: 'one', 2: 'two'}."
        if values.dtype.kind != "U"
        else "",
    )


def _plain(array: NDArray[Any], what: str) -> NDArray[Any]:
    items = array.ravel().tolist()
    if all(isinstance(item, str) for item in items):
        return np.array(items, dtype=str).reshape(array.shape)
    if all(isinstance(item, bool | int | float | np.number) for item in items):
        return np.array(items).reshape(array.shape)
    odd = next(item for item in items if not isinstance(item, str))
    raise EvaluationError(
        f"{what} must be all strings or all numbers; it holds {odd!r} of type "
        f"{type(odd).__name__}.",
        "Rows with a missing label have to go first."
        if odd is None or repr(odd) in ("nan", "<NA>")
        else "",
    )


def _read_labels(array: NDArray[Any], what: str) -> _LabelArray:
    if array.ndim == 2:  # noqa: PLR2004 - rows and columns
        ones = (array == 1).sum(axis=1)
        zeros = (array == 0).sum(axis=1)
        odd = np.flatnonzero((ones != 1) | (zeros != array.shape[1] - 1))
        if len(odd):
            raise EvaluationError(
                f"{what} of shape {array.shape} must be one-hot, with a single 1 in each row; "
                f"row {odd[0]:,} is not.",
                "With several labels a sample there is one matrix a label: "
                "confusion(y_true[:, i], y_pred[:, i]).",
            )
        return _LabelArray(what, positions=array.argmax(axis=1), columns=array.shape[1])
    if array.dtype.kind == "U":
        return _LabelArray(what, labels=array)
    if array.dtype.kind == "f" and (array % 1 != 0).any():
        first = int(np.flatnonzero(array % 1 != 0)[0])
        raise EvaluationError(
            f"{what} must be class ids, and {array[first]:g} (sample {first:,}) is not a whole "
            "number.",
            "For a regression, %keras_evaluate (kmagic.evaluate) gives the metrics.",
        )
    return _LabelArray(what, labels=array.astype(np.int64, copy=False))


def _read_predictions(array: NDArray[Any], threshold: float | None) -> _LabelArray:
    scores = array.dtype.kind == "f"
    if array.ndim == 2 and (scores or threshold is not None):  # noqa: PLR2004 - rows and columns
        return _read_scores(array, threshold)
    fractions = scores and (array % 1 != 0).any()
    if array.ndim == 1 and array.dtype.kind != "U" and (fractions or threshold is not None):
        if threshold is None and (array.min() < 0 or array.max() > 1):
            raise EvaluationError(
                "y_pred with one value a sample must be class ids or probabilities between 0 and "
                f"1; received {array.min():g} to {array.max():g}.",
                "Logits of a model with one output: give threshold=0.",
            )
        return _binary(ClassScores(array), 0.5 if threshold is None else threshold)
    return _read_labels(array, "y_pred")


def _read_scores(array: NDArray[Any], threshold: float | None) -> _LabelArray:
    scores = ClassScores(array)
    if threshold is None:
        return _LabelArray(
            "y_pred", positions=array.argmax(axis=1), columns=array.shape[1], scores=scores
        )
    if array.shape[1] != 2:  # noqa: PLR2004 - that is what binary means
        raise EvaluationError(f"threshold is for two classes; y_pred has {array.shape[1]} columns.")
    return _binary(scores, threshold)


def _binary(scores: ClassScores, threshold: float) -> _LabelArray:
    second = scores.second() > threshold
    return _LabelArray("y_pred", positions=second.astype(np.intp), columns=2, scores=scores)


def _list_classes(
    classes: Classes | None, sides: tuple[_LabelArray, _LabelArray]
) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    widths = {side.what: side.columns for side in sides if side.columns is not None}
    if len(set(widths.values())) > 1:
        raise EvaluationError(
            "y_true and y_pred must have a column for each class; received "
            + " and ".join(f"{width} in {what}" for what, width in widths.items())
            + "."
        )
    width = next(iter(widths.values()), None)
    if classes is None:
        return _found_classes(width, sides)
    ids, names = parse_class_names(classes)
    if width is not None and width != len(names):
        raise EvaluationError(
            f"classes must name {width} classes, as many as {next(iter(widths))} tells apart; "
            f"received {len(names)}."
        )
    return ids if ids is not None else tuple(range(len(names))), names


def _found_classes(
    width: int | None, sides: tuple[_LabelArray, _LabelArray]
) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    strings = [side.what for side in sides if side.strings]
    if strings and len(strings) < len(sides):
        raise EvaluationError(
            f"{strings[0]} holds names and the other side does not, so nothing says which number "
            "is which name.",
            "Give the names in the order of the ids: classes=['cat', 'dog', ...].",
        )
    labels: tuple[Label, ...]
    if width is not None:
        labels = tuple(range(width))
    else:
        labels = _distinct([side.labels for side in sides if side.labels is not None])
    return labels, tuple(str(label) for label in labels)


def _distinct(arrays: list[NDArray[Any]]) -> tuple[Label, ...]:
    """All labels that occur, in order."""
    if arrays[0].dtype.kind != "U":
        low = min(int(each.min()) for each in arrays)
        high = max(int(each.max()) for each in arrays)
        if high - low < SPREAD * len(arrays[0]):
            there = np.zeros(high - low + 1, dtype=bool)
            for each in arrays:
                there[each - low] = True
            return tuple((np.flatnonzero(there) + low).tolist())
    return tuple(np.unique(np.concatenate(arrays)).tolist())


def _place(
    side: _LabelArray, labels: tuple[Label, ...], names: tuple[str, ...]
) -> NDArray[np.intp]:
    if side.positions is not None:
        return side.positions
    assert side.labels is not None  # noqa: S101 - one of the two is always there
    return label_indices(side.labels, labels, names, side.what)


def _some(values: Iterable[object]) -> str:
    listed = [str(value) for value in values]
    shown = ", ".join(listed[:SHOWN])
    return shown if len(listed) <= SHOWN else f"{shown} ... {listed[-1]}"


AT_ONCE = 4_000_000  # values worked on at a time, so that no second copy of all is needed
ROUNDING = 1e-6  # how far a probability may be above 1


@dataclass(frozen=True, eq=False)
class ClassScores:
    """A model's answers, as they came.

    Attributes:
        given: A score for each class, shape (n, classes), or for two classes the score of the
            second one, shape (n,). Values between 0 and 1 are probabilities, others logits.
    """

    given: NDArray[Any]

    @cached_property
    def are_probabilities(self) -> bool:
        """Whether the values are probabilities."""
        return bool(self.given.min(initial=0) >= 0 and self.given.max(initial=0) <= 1 + ROUNDING)

    @cached_property
    def sum_to_one(self) -> bool:
        """Whether each row of probabilities sums to 1."""
        if self.given.ndim == 1 or not self.are_probabilities:
            return True
        return all(
            np.allclose(self.given[part].sum(axis=1, dtype=np.float64), 1, atol=1e-3)
            for part in self._parts()
        )

    def of(self, classes: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """The probability of one class of each sample.

        Args:
            classes: Positions of the classes, shape (n,).

        Returns:
            Shape (n,); None for the logits of a single output, whose scale nobody told.
        """
        if self.given.ndim == 1:
            if not self.are_probabilities:
                return None
            second = self.given.astype(np.float64)
            return np.asarray(np.where(classes == 1, second, 1.0 - second))
        found = np.empty(len(classes))
        for part in self._parts():
            odds = self._probabilities(part)
            found[part] = np.take_along_axis(odds, classes[part, None], axis=1)[:, 0]
        return found

    def ranks(self, classes: NDArray[np.intp]) -> NDArray[np.intp]:
        """How many classes come before the given one of each sample, shape (n,).

        Of equal scores the later class comes first, as in scikit-learn's top-k accuracy.
        """
        found = np.empty(len(classes), dtype=np.intp)
        columns = np.arange(self.given.shape[1])
        for part in self._parts():
            values, wanted = self.given[part], classes[part, None]
            own = np.take_along_axis(values, wanted, axis=1)
            ahead = (values > own) | ((values == own) & (columns > wanted))
            found[part] = ahead.sum(axis=1)
        return found

    def second(self) -> NDArray[np.float64]:
        """The score of the second of two classes, shape (n,).

        Of two columns it is the probability; the second class is the likelier one above 0.5.
        """
        if self.given.ndim == 1:
            return self.given.astype(np.float64)
        odds = np.concatenate([self._probabilities(part) for part in self._parts()])
        if self.sum_to_one:
            return np.asarray(odds[:, 1])
        whole = odds.sum(axis=1)
        shares = np.full(len(odds), 0.5)
        np.divide(odds[:, 1], whole, out=shares, where=whole > 0)
        return shares

    def _parts(self) -> Iterator[slice]:
        step = max(1, AT_ONCE // max(1, self.given.shape[-1]))
        for start in range(0, len(self.given), step):
            yield slice(start, start + step)

    def _probabilities(self, part: slice) -> NDArray[np.float64]:
        values = self.given[part].astype(np.float64)
        return np.minimum(values, 1) if self.are_probabilities else softmax(values)


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits of shape (n, classes) as probabilities."""
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
