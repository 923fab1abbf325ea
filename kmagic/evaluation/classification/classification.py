"""Images with the classes that a model predicts for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

from numpy.typing import NDArray

from kmagic.evaluation.classification.explain import Explanation
from kmagic.evaluation.classification.image_inputs import MAX_THUMBNAILS
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import (
    isolate_direction,
    isolate_names,
    pluralize,
    shorten_name,
    to_single_line,
)
from kmagic.support.messages import PYTHON, Option, Spelling, Text, render
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd

MAX_SUMMARIZED = 5  # classes in the summary of many images
MAX_FILE_NAME, MAX_ERROR, MAX_CLASS_NAME = 200, 400, 60  # characters in a line


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class, its probability from 0 to 1, and its index in the output of the model."""

    label: str
    probability: float
    index: int = -1


@dataclass(frozen=True, slots=True)
class TrueClass:
    """The true class of an image, and the model's view of it.

    Attributes:
        label: Name of the class.
        probability: Probability that the model assigns to it, from 0 to 1.
        rank: Its rank among all classes, from 1.
    """

    label: str
    probability: float
    rank: int


@dataclass(frozen=True, eq=False, slots=True)
class ImagePrediction:
    """One image and its most probable classes.

    Attributes:
        name: File name, or index within the list of images.
        top_classes: The most probable classes, best first; empty if the image cannot be read.
        true_class: The true class, if known.
        thumbnail: A small copy, shape (height, width) or (height, width, channels).
        error: Why the image cannot be read, else "".
        explanation: The regions that support the class, if requested.
        reload: Returns the image with a thumbnail, if none was kept.
    """

    name: str
    top_classes: tuple[ClassProbability, ...] = ()
    true_class: TrueClass | None = None
    thumbnail: NDArray[Any] | None = None
    error: str = ""
    explanation: Explanation | None = None
    reload: Callable[[ImagePrediction], ImagePrediction] | None = None

    @property
    def right(self) -> bool | None:
        """Whether the most probable class is the true one; None if unknown."""
        if self.true_class is None or not self.top_classes:
            return None
        return self.top_classes[0].label == self.true_class.label

    def to_text(self) -> str:
        """The image in a line: "3: 2 58.6%, 4 34.8%, 6 6.2% (wrong, actually 4)"."""
        name = isolate_direction(shorten_name(self.name, MAX_FILE_NAME))
        if self.error:
            error = to_single_line(shorten_name(self.error, MAX_ERROR))
            return error if name in error else f"{name}: {error}"
        short = self.short_names(MAX_CLASS_NAME)
        text = ", ".join(f"{short[c.label]} {c.probability:.1%}" for c in self.top_classes)
        if self.true_class is not None:
            actual = short[self.true_class.label]
            text += " (right)" if self.right else f" (wrong, actually {actual})"
        return f"{name}: {text}" + (f"; {self.explanation.to_text()}" if self.explanation else "")

    def short_names(self, limit: int) -> dict[str, str]:
        """The classes of the image, each with its name in at most ``limit`` characters."""
        true = [self.true_class.label] if self.true_class else []
        labels = [*(top.label for top in self.top_classes), *true]
        return dict(zip(labels, isolate_names(labels, limit), strict=True))

    def with_thumbnail(self) -> ImagePrediction:
        """The image with a thumbnail, if it can still be read."""
        return self if self.reload is None else replace(self.reload(self), reload=None)


@dataclass(frozen=True, eq=False, repr=False)
class Classification(Renderable):
    """Images with their most probable classes.

    It is a sequence: ``result[3]`` is one image, ``result[24:48]`` a classification of some images
    with a card of its own.

    Attributes:
        images: One entry per image, in the given order.
        top: Number of classes per image.
        name: Name of the model.
        note_text: A sentence on the preprocessing, for the card.
        legend: What the heatmaps show, if explanations were requested.
        requested: Number of images given; more than ``images`` after an interrupt.
        spelling: How the note writes parameters; a magic sets its own.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.classification_card:classification_bundle"

    images: tuple[ImagePrediction, ...]
    top: int
    name: str = ""
    note_text: str | Text = ""
    legend: str = ""
    requested: int = 0
    spelling: Spelling = PYTHON

    @property
    def note(self) -> str:
        """A sentence on the preprocessing."""
        return render(self.note_text, self.spelling)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImagePrediction]:
        return iter(self.images)

    @overload
    def __getitem__(self, index: int) -> ImagePrediction: ...

    @overload
    def __getitem__(self, index: slice) -> Classification: ...

    def __getitem__(self, index: int | slice) -> ImagePrediction | Classification:
        images = self.images[index]
        return images if isinstance(images, ImagePrediction) else self._subset(images)

    @property
    def wrong(self) -> int:
        """Number of misclassified images, among those with a known true class."""
        return sum(image.right is False for image in self.images)

    @property
    def errors(self) -> dict[str, str]:
        """Why images cannot be read, by name."""
        return {image.name: image.error for image in self.images if image.error}

    def mistakes(self) -> Classification:
        """The misclassified images, the most confident first.

        Raises:
            EvaluationError: There are none, or no true classes are known.
        """
        wrong = self.mistakes_in_order()
        if not wrong and self._known:
            raise EvaluationError("There are no mistakes: all images are classified correctly.")
        if not wrong:
            raise EvaluationError(
                "Mistakes cannot be found: the true classes are not known.",
                Text("Pass them as ", Option("y_true"), "."),
            )
        return self._subset(wrong)

    def mistakes_in_order(self) -> list[ImagePrediction]:
        """The misclassified images, the most confident first, without thumbnails; maybe none."""
        wrong = [image for image in self.images if image.right is False]
        return sorted(wrong, key=lambda image: -image.top_classes[0].probability)

    def unsure(self) -> Classification:
        """All images that could be read, the least confident first."""
        read = [image for image in self.images if image.top_classes]
        return self._subset(sorted(read, key=lambda image: image.top_classes[0].probability))

    def to_frame(self) -> pd.DataFrame:
        """The predictions as a data frame.

        Returns:
            One row per image and class; columns image (the file, or the index as text), rank from
            1, label, probability; and true, if any true class is known. An image that cannot be
            read has no row; ``frame.attrs["errors"]`` contains the reasons by name.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        rows = [
            (
                image.name,
                rank,
                top.label,
                top.probability,
                image.true_class.label if image.true_class else None,
            )
            for image in self.images
            for rank, top in enumerate(image.top_classes, start=1)
        ]
        frame = pd.DataFrame(rows, columns=["image", "rank", "label", "probability", "true"])
        if not self._known:
            frame = frame.drop(columns="true")
        frame.attrs["errors"] = self.errors
        return frame

    def counts(self) -> dict[str, int]:
        """Number of images per predicted class, the most frequent first."""
        best = Counter(image.top_classes[0].label for image in self.images if image.top_classes)
        return dict(best.most_common())

    def facts(self) -> str:
        """Size and errors: "6 images, top 3 · 2 wrong"."""
        total = pluralize(len(self.images), "image")
        if self.requested > len(self.images):
            total = f"interrupted after {len(self.images):,} of {self.requested:,} images"
        facts = [f"{total}, top {self.top}"]
        if self._known:
            of = "" if self._known == len(self.images) else f" of {self._known:,} known"
            facts.append(f"{self.wrong:,} wrong{of}" if self.wrong else f"none wrong{of}")
        if self.errors:
            facts.append(f"{sum(bool(image.error) for image in self.images):,} unreadable")
        return " · ".join(facts)

    def summary(self) -> str:
        """The most frequent classes, in a sentence."""
        counts = self.counts()
        shown = list(counts)[:MAX_SUMMARIZED]
        short = zip(shown, isolate_names(shown, 40), strict=True)
        names = [f"{name} ({counts[label]:,})" for label, name in short]
        others = len(counts) - len(names)
        if others:
            names.append(pluralize(others, "other class", "other classes"))
        return f"Predicted classes: {', '.join(names)}." if names else ""

    def describe(self) -> str:
        """The whole as text, one line per image."""
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        return "\n".join([title + self.facts(), *(image.to_text() for image in self.images)])

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Classification{name}: {self.facts()}>"

    @property
    def _known(self) -> int:
        """Number of images with a known true class."""
        return sum(image.true_class is not None for image in self.images)

    def _subset(self, images: Sequence[ImagePrediction]) -> Classification:
        """Some of the images, of which the first get a thumbnail."""
        shown = [
            image.with_thumbnail() if index < MAX_THUMBNAILS else image
            for index, image in enumerate(images)
        ]
        return replace(self, images=tuple(shown), requested=0)
