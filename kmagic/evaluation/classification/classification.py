"""Pictures with the classes that a model took them for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, overload

from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import isolate_direction, pluralize, shorten_name
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from kmagic.evaluation.classification.image_predictions import Picture

KEPT = 24  # pictures that a card shows, and whose small copies are kept for it
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

    renderer: ClassVar[str] = "kmagic.display.prediction.classification_card:bundle"

    pictures: tuple[Picture, ...]
    top: int
    name: str = ""
    note: str = ""
    legend: str = ""
    asked: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    @overload
    def __getitem__(self, place: int) -> Picture: ...

    @overload
    def __getitem__(self, place: slice) -> Classification: ...

    def __getitem__(self, place: int | slice) -> Picture | Classification:
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

    def _some(self, pictures: list[Picture] | tuple[Picture, ...]) -> Classification:
        """Some of the pictures; what was not kept to be shown is looked at again."""
        shown = [one.look() if number < KEPT else one for number, one in enumerate(pictures)]
        return replace(self, pictures=tuple(shown), asked=0)


def _truth(picture: Picture) -> str | None:
    return None if picture.truth is None else picture.truth.label
