"""Pictures with the classes that a model took them for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from kmagic.evaluation.confusion.label_arrays import (
    Classes,
    Label,
    as_label_array,
    as_probabilities,
    label_indices,
    parse_class_names,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import (
    isolate_direction,
    pluralize,
    shorten_name,
    strip_control_characters,
)
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.classification.explain import Explanation


MAX_THUMBNAILS = 24  # pictures that a card shows, and whose small copies are kept for it
NAMED = 5  # classes that many pictures are summed up by


@dataclass(frozen=True, eq=False, repr=False)
class Classification(Renderable):
    """Pictures with their most probable classes.

    It is a sequence: ``found[3]`` is one picture, ``found[24:48]`` a classification of some, whose
    card shows them.

    Attributes:
        pictures: One for each that was given, in its order.
        top: How many classes are kept of each.
        name: Name of the model.
        note: What a reader should know of how the pictures reached the model.
        legend: What the second picture beside each shows, where it was asked for.
        asked: How many pictures were given; more than there are if it was interrupted.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.classification_card:classification_bundle"

    pictures: tuple[ImagePrediction, ...]
    top: int
    name: str = ""
    note: str = ""
    legend: str = ""
    asked: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[ImagePrediction]:
        return iter(self.pictures)

    @overload
    def __getitem__(self, place: int) -> ImagePrediction: ...

    @overload
    def __getitem__(self, place: slice) -> Classification: ...

    def __getitem__(self, place: int | slice) -> ImagePrediction | Classification:
        return (
            self._some(self.pictures[place]) if isinstance(place, slice) else self.pictures[place]
        )

    @property
    def wrong(self) -> int:
        """How many pictures of known truth were taken for something else."""
        return sum(picture.right is False for picture in self.pictures)

    @property
    def errors(self) -> dict[str, str]:
        """Why a picture could not be read, by its name."""
        return {picture.name: picture.error for picture in self.pictures if picture.error}

    def mistakes(self) -> Classification:
        """The pictures that were taken for something else, the surest first.

        Raises:
            EvaluationError: There are none, or no truth is known.
        """
        wrong = [picture for picture in self.pictures if picture.right is False]
        if not wrong:
            raise EvaluationError(
                "There are no mistakes to be shown: "
                + ("none was made." if self._known else "the true classes are not known."),
                "" if self._known else "Give them as y_true.",
            )
        return self._some(sorted(wrong, key=lambda one: -one.guesses[0].probability))

    def unsure(self) -> Classification:
        """All pictures that could be read, those first whose best guess is the least probable."""
        read = [picture for picture in self.pictures if picture.guesses]
        return self._some(sorted(read, key=lambda one: one.guesses[0].probability))

    def to_frame(self) -> pd.DataFrame:
        """The guesses as a table.

        Returns:
            One row a picture and guess; columns image (the file, or the number as text), rank
            from 1, label, probability; and true, where the true class of any is known. A picture
            that could not be read has no row; ``frame.attrs["errors"]`` says why, by its name.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        rows = [
            (picture.name, rank, guess.label, guess.probability, _truth(picture))
            for picture in self.pictures
            for rank, guess in enumerate(picture.guesses, start=1)
        ]
        frame = pd.DataFrame(rows, columns=["image", "rank", "label", "probability", "true"])
        if not self._known:
            frame = frame.drop(columns="true")
        frame.attrs["errors"] = self.errors
        return frame

    def counts(self) -> dict[str, int]:
        """How many pictures were taken for each class, the most frequent first."""
        best = Counter(picture.guesses[0].label for picture in self.pictures if picture.guesses)
        return dict(best.most_common())

    def facts(self) -> str:
        """How many and how good: "6 pictures, top 3 · 2 wrong"."""
        total = pluralize(len(self.pictures), "picture")
        if self.asked > len(self.pictures):
            total = f"interrupted after {len(self.pictures):,} of {self.asked:,} pictures"
        said = [f"{total}, top {self.top}"]
        known = self._known
        if known:
            of = "" if known == len(self.pictures) else f" of {known:,} known"
            said.append(f"{self.wrong:,} wrong{of}" if self.wrong else f"none wrong{of}")
        if self.errors:
            said.append(f"{sum(bool(one.error) for one in self.pictures):,} unreadable")
        return " · ".join(said)

    def summary(self) -> str:
        """What the pictures were taken for, in a sentence."""
        counts = self.counts()
        named = [
            f"{isolate_direction(shorten_name(k, 40))} {n:,}"
            for k, n in list(counts.items())[:NAMED]
        ]
        others = len(counts) - len(named)
        if others:
            named.append(pluralize(others, "other class", "other classes"))
        return f"Taken for: {', '.join(named)}." if named else ""

    def describe(self) -> str:
        """The whole in words, a line a picture."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        return "\n".join([title + self.facts(), *(p.words() for p in self.pictures)])

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Classification{name}: {self.facts()}>"

    @property
    def _known(self) -> int:
        return sum(picture.truth is not None for picture in self.pictures)

    def _some(
        self, pictures: list[ImagePrediction] | tuple[ImagePrediction, ...]
    ) -> Classification:
        """Some of the pictures; what was not kept to be shown is looked at again."""
        shown = [
            one.look() if number < MAX_THUMBNAILS else one for number, one in enumerate(pictures)
        ]
        return replace(self, pictures=tuple(shown), asked=0)


def _truth(picture: ImagePrediction) -> str | None:
    return None if picture.truth is None else picture.truth.label


LONGEST, LONGEST_ERROR = 200, 400  # signs of a file's name and of an error in a line


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class, how probable the model finds it, from 0 to 1, and its place in the answer."""

    label: str
    probability: float
    position: int = -1


@dataclass(frozen=True, slots=True)
class TrueClass:
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
class ImagePrediction:
    """One picture and what the model takes it for.

    Attributes:
        name: File name, or number within what was given.
        guesses: The most probable classes, best first; empty where it could not be read.
        truth: What it really shows, where that is known.
        thumbnail: A small copy, shape (height, width) or (height, width, channels).
        error: Why it could not be read, else "".
        looked: What the model looked at, where that was asked for.
        again: Gives the picture with its small copy, where none was kept.
    """

    name: str
    guesses: tuple[ClassProbability, ...] = ()
    truth: TrueClass | None = None
    thumbnail: NDArray[Any] | None = None
    error: str = ""
    looked: Explanation | None = None
    again: Callable[[ImagePrediction], ImagePrediction] | None = None

    @property
    def right(self) -> bool | None:
        """Whether the best guess is true; None where the truth is unknown."""
        if self.truth is None or not self.guesses:
            return None
        return self.guesses[0].label == self.truth.label

    def words(self) -> str:
        """The picture in a line: "3: 2 58.6%, 4 34.8%, 6 6.2% (wrong, it is 4)"."""
        name = isolate_direction(shorten_name(self.name, LONGEST))
        if self.error:
            error = strip_control_characters(shorten_name(self.error, LONGEST_ERROR))
            return error if name in error else f"{name}: {error}"
        said = ", ".join(f"{_short(g.label)} {g.probability:.1%}" for g in self.guesses)
        if self.truth is not None:
            said += f" ({'right' if self.right else f'wrong, it is {_short(self.truth.label)}'})"
        return f"{name}: {said}" + (f"; {self.looked.words()}" if self.looked else "")

    def look(self) -> ImagePrediction:
        """The picture with a small copy of it, as far as it can still be had."""
        return self if self.again is None else replace(self.again(self), again=None)


class PredictionLabeler:
    """Names the model's scores, and knows the truth.

    Args:
        classes: The user's list of classes, or None.
        offers: Lists of names to choose from where the user gave none: the first one that is as
            long as the model's answer. Without any the numbers stand.
        y_true: The user's labels, or None.
        folders: The folder that each picture is in, or ""; they are taken for labels if all of
            them are names of classes.
        top: How many classes are kept of each.
    """

    def __init__(
        self,
        classes: Classes | None,
        offers: Sequence[Sequence[str]],
        y_true: Any,
        folders: Sequence[str],
        top: int,
    ) -> None:
        self.ids: tuple[Label, ...] | None = None
        self.names: tuple[str, ...] | None = None
        self.offers, self.folders, self.top = offers, folders, top
        if classes is not None:
            self.ids, self.names = parse_class_names(classes)
        self.y_true = None if y_true is None else as_label_array(np.atleast_1d(y_true), "y_true")
        self.by_folder = False
        self.width = 0
        self._truths: NDArray[np.intp] | None = None
        if self.y_true is not None and len(self.y_true) != len(folders):
            raise EvaluationError(
                f"y_true must have one label a picture; received {len(self.y_true):,} labels for "
                f"{len(folders):,} pictures."
            )

    def judge(
        self, scores: NDArray[Any], numbers: Iterable[int]
    ) -> Iterable[tuple[tuple[ClassProbability, ...], TrueClass | None]]:
        """The best guesses and the truth of each picture of a batch.

        Args:
            scores: The model's answers, shape (batch, classes), (batch, 1) or (batch,).
            numbers: Which pictures these are.
        """
        odds = class_probabilities(scores)
        names = self._fit(odds.shape[1])
        for number, row in zip(numbers, odds, strict=True):
            order = np.argsort(-row, kind="stable")
            best = tuple(
                ClassProbability(names[k], float(row[k]), int(k)) for k in order[: self.top]
            )
            yield best, self._truth(number, row, order, names)

    def _fit(self, width: int) -> tuple[str, ...]:
        if not self.width:
            self.width = width
            offered = (tuple(map(str, names)) for names in self.offers if len(names) == width)
            self.names = self.names or next(offered, None) or tuple(map(str, range(width)))
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
            return self._by_folders(names)
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
        places[~unknown] = label_indices(values[~unknown], labels, names, "y_true")
        return places

    def _by_folders(self, names: tuple[str, ...]) -> NDArray[np.intp] | None:
        places = {_folded(name): place for place, name in enumerate(names)}
        found = [places.get(_folded(folder), -1) for folder in self.folders]
        self.by_folder = min(found, default=-1) >= 0
        return np.asarray(found, dtype=np.intp) if self.by_folder else None

    def position(self, label: str) -> int:
        """The place of a class in the model's answer.

        Raises:
            EvaluationError: There is no such class.
        """
        names = self.names or ()
        if label not in names:
            raise EvaluationError(
                f"{label!r} is none of the model's classes.", did_you_mean(label, names)
            )
        return names.index(label)

    def _truth(
        self, number: int, row: NDArray[Any], order: NDArray[np.intp], names: tuple[str, ...]
    ) -> TrueClass | None:
        if self._truths is None or self._truths[number] < 0:
            return None
        label = names[self._truths[number]]
        rank = next(place for place, k in enumerate(order, start=1) if names[k] == label)
        return TrueClass(label, float(row[order[rank - 1]]), rank)


def _folded(name: str) -> str:
    """A class's name as a folder may write it: "Egyptian cat" for "Egyptian_cat"."""
    return name.casefold().replace("_", " ").replace("-", " ")


def _short(name: str) -> str:
    return isolate_direction(shorten_name(name, 60))


def class_probabilities(scores: NDArray[Any]) -> NDArray[np.float64]:
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
