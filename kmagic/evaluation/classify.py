"""Pictures and the classes that a model takes them for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kmagic.errors import EvaluationError
from kmagic.evaluation.applications import Application, find_application
from kmagic.evaluation.pictures import (
    INTERPOLATIONS,
    Opened,
    Size,
    list_pictures,
    open_picture,
    size_of,
)
from kmagic.evaluation.predictions import Shape, answer_batch, sample_shape
from kmagic.evaluation.verdicts import Judge, Picture
from kmagic.labels import isolate
from kmagic.rich import Rich

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.targets import Classes

KEPT = 60  # pictures whose thumbnails are kept to be shown
BATCH = 32  # pictures a batch


@dataclass(frozen=True, eq=False, repr=False)
class Classification(Rich):
    """Pictures with their most probable classes.

    Attributes:
        pictures: One for each that was given, in its order.
        top: How many classes are kept of each.
        name: Name of the model.
        note: What a reader should know of how the pictures reached the model.
    """

    picture: ClassVar[str] = "kmagic.display.classification:bundle"

    pictures: tuple[Picture, ...]
    top: int
    name: str = ""
    note: str = field(default="")

    @property
    def wrong(self) -> int:
        """How many pictures of known truth were taken for something else."""
        return sum(picture.right is False for picture in self.pictures)

    def to_frame(self) -> pd.DataFrame:
        """The guesses as a table.

        Returns:
            One row a picture and guess; columns image (the file, or the number as text), rank
            from 1, label, probability. A picture that could not be read has no row.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        rows = [
            (picture.name, rank, guess.label, guess.probability)
            for picture in self.pictures
            for rank, guess in enumerate(picture.guesses, start=1)
        ]
        return pd.DataFrame(rows, columns=["image", "rank", "label", "probability"])

    def facts(self) -> str:
        """How many and how good: "6 pictures, top 3 · 2 wrong"."""
        count = len(self.pictures)
        said = [f"{count:,} {'picture' if count == 1 else 'pictures'}, top {self.top}"]
        known = sum(picture.truth is not None for picture in self.pictures)
        if known:
            of = "" if known == count else f" of {known:,} known"
            said.append(f"{self.wrong:,} wrong{of}" if self.wrong else f"none wrong{of}")
        failed = sum(bool(picture.error) for picture in self.pictures)
        if failed:
            said.append(f"{failed:,} unreadable")
        return " · ".join(said)

    def describe(self) -> str:
        """The whole in words, a line a picture."""
        title = f"{isolate(self.name)}: " if self.name else ""
        return "\n".join([title + self.facts(), *(p.words() for p in self.pictures)])

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Classification{name}: {self.facts()}>"


def classify(
    images: Any,
    model: Any = None,
    app: str | Callable[..., Any] | None = None,
    top: int = 3,
    *,
    classes: Classes | None = None,
    y_true: Any = None,
    scaling: Any = None,
    interpolation: str = "nearest",
    batch_size: int = BATCH,
    name: str = "",
) -> Classification:
    """Say what a model takes pictures for.

    Args:
        images: One picture or many: an array of shape (n, height, width, channels), (n, height,
            width), or one picture's; a path; a Pillow image; or a list of any of these. Files,
            Pillow images and arrays of bytes are turned upright, resized to the model's input
            and scaled; arrays of floats are taken as the model's own input.
        model: A Keras model with one score a class, or one probability for two classes.
        app: A function of ``keras.applications`` or its name, which brings its own size, scaling
            and class names. With ``model`` too, that model is used in its place.
        top: How many classes are shown of each picture.
        classes: Names in the order of the ids 0, 1, 2 ..., or a mapping from id to name.
        y_true: What the pictures really show, where known: ids, names or one-hot rows, one a
            picture; -1 or "" where it is not known.
        scaling: What the training data was scaled with: a number to divide by, a function, or
            an object with ``apply``. Without it, bytes reach the model as 0 to 255.
        interpolation: How a picture of another size is resized: "nearest", which is what Keras's
            ``load_img`` does, "bilinear", "bicubic", "hamming", "box" or "lanczos".
        batch_size: Pictures a batch.
        name: Name for the heading; by default the model's own.

    Returns:
        The pictures and their classes. A file that cannot be read is reported in its place.

    Raises:
        EvaluationError: The pictures do not fit the model, or none could be read.

    Example:
        >>> class Bright:
        ...     def predict_on_batch(self, x):
        ...         share = x.reshape(len(x), -1).mean(axis=1)
        ...         return np.stack([1 - share, share], axis=1)
        >>> found = classify(np.full((1, 8, 8), 0.75), Bright(), classes=["dark", "bright"])
        >>> print(found.pictures[0].words())
        0: bright 75.0%, dark 25.0%
    """
    if top < 1 or batch_size < 1:
        raise EvaluationError(
            f"top and batch_size must be at least 1; received {top} and {batch_size}."
        )
    if interpolation not in INTERPOLATIONS:
        raise EvaluationError(
            f"interpolation must be one of {', '.join(INTERPOLATIONS)}; received {interpolation!r}."
        )
    application = None if app is None else find_application(app)
    if application is not None and model is None:
        model = application.model()
    if model is None:
        raise EvaluationError(
            "classify needs a model, or app, the name of one of keras.applications.",
            "classify(images, model) or classify(images, app='MobileNetV2').",
        )
    eye = _Eye.of(model, application, scaling, interpolation)
    listed = list_pictures(images, eye.shape)
    names = application.classes() if application and classes is None else None
    judge = Judge(classes, names, y_true, len(listed), top)
    pictures: list[Picture] = []
    for start in range(0, len(listed), batch_size):
        some = listed[start : start + batch_size]
        pictures += _classify_batch(some, start, model, eye, judge)
    if all(picture.error for picture in pictures):
        raise EvaluationError(pictures[0].error)
    heading = name or (application.name if application else getattr(model, "name", ""))
    return Classification(tuple(pictures), min(top, judge.width), heading, eye.note(listed))


@dataclass(frozen=True, eq=False, slots=True)
class _Eye:
    """How a picture reaches the model."""

    shape: Shape | None
    size: Size
    scale: Callable[[NDArray[Any]], Any] | None
    application: Application | None

    @classmethod
    def of(
        cls, model: Any, application: Application | None, scaling: Any, interpolation: str
    ) -> _Eye:
        shape = sample_shape(model)
        size = Size(None, None, 3 if application else 1) if shape is None else size_of(shape)
        size = replace(size, interpolation=interpolation)
        if application is not None:
            return cls(shape, size, application.preprocess, application)
        return cls(shape, size, _scaler(scaling), None)

    def open(self, picture: Any) -> Opened:
        return open_picture(
            picture, self.size, shape=self.shape, raw_floats=self.application is not None
        )

    def see(self, opened: Sequence[Opened]) -> NDArray[Any]:
        return np.concatenate([self._scaled(one) for one in opened])

    def _scaled(self, one: Opened) -> Any:
        return self.scale(one.pixels[None]) if one.raw and self.scale else one.pixels[None]

    def note(self, listed: Sequence[tuple[str, Any]]) -> str:
        if self.scale is not None or all(hasattr(picture, "shape") for _, picture in listed):
            return ""
        return "The pictures reached the model as values 0 to 255; scaling= says otherwise."


def _classify_batch(
    listed: Sequence[tuple[str, Any]], start: int, model: Any, eye: _Eye, judge: Judge
) -> list[Picture]:
    """Read, predict and name one batch; pictures of several sizes go by size."""
    found: dict[int, Picture] = {}
    opened: dict[int, Opened] = {}
    for number, (name, picture) in enumerate(listed, start=start):
        try:
            opened[number] = eye.open(picture)
        except EvaluationError as error:
            found[number] = Picture(name, error=str(error))
    sizes: dict[tuple[int, ...], list[int]] = {}
    for number, one in opened.items():
        sizes.setdefault(one.pixels.shape, []).append(number)
    for numbers in sizes.values():
        batch = eye.see([opened[number] for number in numbers])
        scores = answer_batch(model, batch, eye.shape)
        for number, (guesses, truth) in zip(numbers, judge.judge(scores, numbers), strict=True):
            shown = opened[number].thumbnail if number < KEPT else None
            found[number] = Picture(listed[number - start][0], guesses, truth, shown)
    return [found[number] for number in sorted(found)]


def _scaler(scaling: Any) -> Callable[[NDArray[Any]], Any] | None:
    if scaling is None:
        return None
    apply = getattr(scaling, "apply", None)
    if callable(apply):
        return apply  # type: ignore[no-any-return]
    if callable(scaling):
        return scaling  # type: ignore[no-any-return]
    if isinstance(scaling, int | float) and scaling:
        return lambda pixels: pixels / scaling
    raise EvaluationError(
        "scaling must be a number to divide by, a function, or an object with apply; "
        f"received {scaling!r}."
    )
