"""What a model says of one picture, named, and whether it is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.errors import EvaluationError
from kmagic.evaluation.targets import (
    Classes,
    Label,
    as_array,
    as_probabilities,
    find_labels,
    name_classes,
)
from kmagic.labels import isolate, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and how probable the model finds it, from 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Truth:
    """What a picture really shows, and what the model thinks of that.

    Attributes:
        label: Name of the true class.
        probability: What the model gives it, from 0 to 1.
        rank: Its place among all classes, from 1.
    """

    label: str
    probability: float
    rank: int


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One picture and what the model takes it for.

    Attributes:
        name: File name, or number within what was given.
        guesses: The most probable classes, best first; empty where it could not be read.
        truth: What it really shows, where that is known.
        thumbnail: A small copy, shape (height, width) or (height, width, channels).
        error: Why it could not be read, else "".
    """

    name: str
    guesses: tuple[Guess, ...] = ()
    truth: Truth | None = None
    thumbnail: NDArray[Any] | None = None
    error: str = ""

    @property
    def right(self) -> bool | None:
        """Whether the best guess is true; None where the truth is unknown."""
        if self.truth is None or not self.guesses:
            return None
        return self.guesses[0].label == self.truth.label

    def words(self) -> str:
        """The picture in a line: "3: 2 58.6%, 4 34.8%, 6 6.2% (wrong, it is 4)"."""
        if self.error:
            return f"{isolate(self.name)}: {self.error}"
        guesses = ", ".join(f"{_short(g.label)} {g.probability:.1%}" for g in self.guesses)
        if self.truth is None:
            return f"{isolate(self.name)}: {guesses}"
        said = "right" if self.right else f"wrong, it is {_short(self.truth.label)}"
        return f"{isolate(self.name)}: {guesses} ({said})"


class Judge:
    """Names the model's scores, and knows the truth.

    Args:
        classes: The user's list of classes, or None.
        names: Names that stand where the user gave none, or None for the numbers.
        y_true: The user's labels, or None.
        pictures: How many pictures there are.
        top: How many classes are kept of each.
    """

    def __init__(
        self,
        classes: Classes | None,
        names: tuple[str, ...] | None,
        y_true: Any,
        pictures: int,
        top: int,
    ) -> None:
        self.ids: tuple[Label, ...] | None = None
        self.names = names
        if classes is not None:
            self.ids, self.names = name_classes(classes)
        self.y_true = None if y_true is None else as_array(np.atleast_1d(y_true), "y_true")
        self.top = top
        self.width = 0
        self._truths: NDArray[np.intp] | None = None
        if self.y_true is not None and len(self.y_true) != pictures:
            raise EvaluationError(
                f"y_true must have one label a picture; received {len(self.y_true):,} labels for "
                f"{pictures:,} pictures."
            )

    def judge(
        self, scores: NDArray[Any], numbers: Iterable[int]
    ) -> Iterable[tuple[tuple[Guess, ...], Truth | None]]:
        """The best guesses and the truth of each picture of a batch.

        Args:
            scores: The model's answers, shape (batch, classes), (batch, 1) or (batch,).
            numbers: Which pictures these are.
        """
        odds = _spread(scores)
        names = self._fit(odds.shape[1])
        for number, row in zip(numbers, odds, strict=True):
            order = np.argsort(-row, kind="stable")
            best = tuple(Guess(names[k], float(row[k])) for k in order[: self.top])
            yield best, self._truth(number, row, order, names)

    def _fit(self, width: int) -> tuple[str, ...]:
        if not self.width:
            self.width = width
            self.names = self.names or tuple(map(str, range(width)))
            if len(self.names) != width:
                raise EvaluationError(
                    f"classes must name {width:,} classes, as many as the model tells apart; "
                    f"received {len(self.names):,}."
                )
            self._truths = self._find_truths(self.names)
        assert self.names is not None  # noqa: S101 - set above
        return self.names

    def _find_truths(self, names: tuple[str, ...]) -> NDArray[np.intp] | None:
        y = self.y_true
        if y is None:
            return None
        if y.ndim == 2:  # noqa: PLR2004 - one-hot rows
            if y.shape[1] != len(names):
                raise EvaluationError(
                    f"y_true of one-hot rows must have {len(names):,} columns; "
                    f"received {y.shape[1]:,}."
                )
            return np.asarray(y.argmax(axis=1))
        unknown = y == "" if y.dtype.kind == "U" else y == -1
        places = np.full(len(y), -1, dtype=np.intp)
        labels = self.ids or tuple(range(len(names)))
        values = y if y.dtype.kind == "U" else y.astype(np.int64)
        places[~unknown] = find_labels(values[~unknown], labels, names, "y_true")
        return places

    def _truth(
        self, number: int, row: NDArray[Any], order: NDArray[np.intp], names: tuple[str, ...]
    ) -> Truth | None:
        if self._truths is None or self._truths[number] < 0:
            return None
        label = names[self._truths[number]]
        rank = next(place for place, k in enumerate(order, start=1) if names[k] == label)
        return Truth(label, float(row[order[rank - 1]]), rank)


def _short(name: str) -> str:
    return isolate(shorten(name, 60))


def _spread(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Scores as one probability a class, of shape (n, classes)."""
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):  # noqa: PLR2004 - rows and columns
        second = np.asarray(scores, dtype=np.float64).reshape(-1)
        if second.min() < 0 or second.max() > 1:
            second = 0.5 * (1 + np.tanh(second / 2))
        return np.stack([1 - second, second], axis=1)
    if scores.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise EvaluationError(
            "The model must answer with one score a class, shape (n, classes); "
            f"received {scores.shape}."
        )
    return as_probabilities(scores)
