"""Say what a model takes pictures for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_reader import suppress_pillow_warnings
from kmagic.evaluation.classification.applications import find_application, recognize_application
from kmagic.evaluation.classification.classification import (
    MAX_THUMBNAILS,
    Classification,
    ImagePrediction,
    PredictionLabeler,
    class_probabilities,
)
from kmagic.evaluation.classification.explain import Explanation
from kmagic.evaluation.classification.explain import explain as explain_pictures
from kmagic.evaluation.classification.image_preprocessor import (
    NO_PICTURES,
    ImagePreprocessor,
    read_ahead,
)
from kmagic.evaluation.classification.image_sources import (
    ImageSource,
    list_images,
    suggest_files,
)
from kmagic.evaluation.prediction.batch_prediction import predict_batch
from kmagic.evaluation.prediction.model_inputs import reject_images
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import UNTRAINED_WARNING, dataset_for, is_untrained
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from kmagic.evaluation.classification.image_preprocessor import LoadedImage
    from kmagic.evaluation.confusion.label_arrays import Classes

BATCH = 32  # pictures a batch
AHEAD = 2  # batches that are read while one is answered


def classify(
    images: Any,
    model: Any = None,
    app: str | Callable[..., Any] | None = None,
    top: int = 3,
    *,
    classes: Classes | None = None,
    y_true: Any = None,
    scaling: Any = None,
    explain: bool | str = False,
    interpolation: str | None = None,
    batch_size: int = BATCH,
    name: str = "",
    progress: Callable[[int], Progress] | None = None,
) -> Classification:
    """Say what a model takes pictures for.

    Files, Pillow images and arrays of whole numbers are turned upright, resized to the model's
    input and scaled; arrays of floats are the model's own input. Pictures are read by threads
    while the model answers, a batch at a time, so that any number of them takes little memory.

    What the model learned from is known if it was trained by :func:`kmagic.fit` on a data set of
    :func:`kmagic.load_data`: then its classes, its scaling and the truth of its pictures are too.
    A model of ``keras.applications`` is known by its name and its thousand classes.

    Args:
        images: One picture or many: a path, a folder, a pattern such as ``photos/*.jpg``, an
            address (http, https), the bytes of a file, an open file, a Pillow image, an array of
            shape (n, height, width, channels), (n, height, width) or one picture's; or a list of
            any of these.
        model: A Keras model with one score a class, or one probability for two classes.
        app: A function of ``keras.applications`` or its name, which brings its own size, scaling
            and class names. With ``model`` too, that model is used in its place.
        top: How many classes are shown of each picture.
        classes: Names in the order of the ids 0, 1, 2 ..., or a mapping from id to name.
        y_true: What the pictures really show, where known: ids, names or one-hot rows, one a
            picture; -1 or "" where it is not known. Without it, the names of the folders that
            pictures lie in count, if all are classes.
        scaling: What the training data was scaled with: a number to divide by, a function, or
            an object with ``apply``. Without it, bytes reach the model as 0 to 255.
        explain: True lays over each picture what speaks for its best class, by Grad-CAM, or by
            occlusion for a model without convolutions; the name of a class asks for that one.
            Of many pictures those are explained that are shown.
        interpolation: How a picture of another size is resized: "nearest", "bilinear",
            "bicubic", "hamming", "box" or "lanczos"; by default as the pictures were from which
            the model learned, or else "nearest", which is what Keras's ``load_img`` does.
        batch_size: Pictures a batch.
        name: Name for the heading; by default the model's own.
        progress: Makes the view of a long work from the number of pictures.

    Returns:
        The pictures and their classes. One that is missing, broken or too large is reported in
        its place. After an interrupt, those that were done.

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
    application = None if app is None else find_application(app)
    if application is not None and model is None:
        model = application.model()
    if model is None:
        raise EvaluationError(
            "classify needs a model, or app, the name of one of keras.applications.",
            "classify(images, model) or classify(images, app='MobileNetV2').",
        )
    data, note = dataset_for(model), ""
    if application is None and data is None and scaling is None:
        application = recognize_application(model)
        note = f"Seen as {application.name} of keras.applications." if application else ""
    eye = ImagePreprocessor.of(model, application, data, scaling, interpolation)
    sources = list_images(images, eye.shape)
    if application is None and not all(hasattr(one.picture, "shape") for one in sources):
        reject_images(model, data, NO_PICTURES)
    if y_true is None and hasattr(images, "shape") and hasattr(data, "labels_of"):
        y_true = data.labels_of(images)
    offers = [data.classes] if data is not None and data.classes else []
    if application is not None and classes is None and not offers:
        offers = [application.classes()]
    judge = PredictionLabeler(classes, offers, y_true, [source.folder for source in sources], top)
    work = _Work(model, eye, judge, sources, batch_size, explain)
    pictures = work.done((progress or partial(Progress, unit="pictures"))(len(sources)))
    _refuse_nothing(pictures, sources)
    if not name:
        name = application.name if application and app else getattr(model, "name", "")
    if judge.by_folder:
        note = f"{note} The true classes are the names of the folders.".strip()
    return Classification(
        tuple(pictures),
        min(top, judge.width),
        name,
        " ".join(filter(None, [UNTRAINED_WARNING if is_untrained(model) else "", note, work.note])),
        work.legend,
        len(sources),
    )


@dataclass(eq=False, slots=True)
class _Work:
    """The way of the pictures through the model, batch by batch."""

    model: Any
    eye: ImagePreprocessor
    judge: PredictionLabeler
    sources: Sequence[ImageSource]
    batch_size: int
    explained: bool | str
    note: str = ""
    legend: str = ""
    _full: set[tuple[int, ...]] = field(default_factory=set)  # shapes that were answered in full

    def done(self, progress: Progress) -> list[ImagePrediction]:
        """All pictures, or after an interrupt those that were done."""
        pictures: list[ImagePrediction] = []
        ahead = AHEAD * self.batch_size
        try:
            with progress, suppress_pillow_warnings():
                reading = read_ahead(self.sources, self.eye, ahead=ahead, keep=MAX_THUMBNAILS)
                with closing(reading) as opened:
                    for start, batch in _batches(opened, self.batch_size):
                        pictures += self._classify(start, batch)
                        progress.advance(len(batch))
        except KeyboardInterrupt:
            if not pictures:
                raise
        return pictures

    def _classify(
        self, start: int, batch: Sequence[LoadedImage | EvaluationError]
    ) -> list[ImagePrediction]:
        """Name one batch; pictures of several sizes go by size."""
        found: dict[int, ImagePrediction] = {}
        sizes: dict[tuple[int, ...], list[int]] = {}
        for number, one in enumerate(batch, start):
            if isinstance(one, EvaluationError):
                found[number] = ImagePrediction(self.sources[number].name, error=one.message)
            else:
                sizes.setdefault(one.pixels.shape, []).append(number)
        for numbers in sizes.values():
            some = [one for n in numbers if not isinstance(one := batch[n - start], Exception)]
            found.update(zip(numbers, self._name(numbers, some), strict=True))
        return [found[number] for number in sorted(found)]

    def _name(
        self, numbers: Sequence[int], opened: Sequence[LoadedImage]
    ) -> Iterator[ImagePrediction]:
        seen = self.eye.see(opened)
        if not self.note:
            self.note = self.eye.note(self.sources, seen)
        verdicts = list(self.judge.judge(self._answer(seen), numbers))
        some = [place for place, number in enumerate(numbers) if number < MAX_THUMBNAILS]
        heats: dict[int, Explanation] = {}
        if self.explained and some:
            best = [verdicts[place][0][0].position for place in some]
            heats = dict(zip(some, self._explain(seen[some], best), strict=True))
        for place, number in enumerate(numbers):
            guesses, truth = verdicts[place]
            again = None if number < MAX_THUMBNAILS else partial(self.look, self.sources[number])
            yield ImagePrediction(
                self.sources[number].name,
                guesses,
                truth,
                opened[place].thumbnail,
                looked=heats.get(place),
                again=again,
            )

    def _answer(self, seen: NDArray[Any]) -> NDArray[Any]:
        """What the model answers; a last, shorter batch is filled up, or Keras traces anew."""
        count, rest = len(seen), self.batch_size - len(seen)
        if rest and seen.shape[1:] in self._full:
            seen = np.concatenate([seen, np.broadcast_to(seen[:1], (rest, *seen.shape[1:]))])
        elif not rest:
            self._full.add(seen.shape[1:])
        return predict_batch(self.model, seen, self.eye.shape)[:count]

    def look(self, source: ImageSource, picture: ImagePrediction) -> ImagePrediction:
        """A picture that was not kept with a small copy of it, if it can still be read."""
        try:
            with suppress_pillow_warnings():
                opened = self.eye.open(source)
        except EvaluationError:
            return picture
        best = [picture.guesses[0].position]
        looked = self._explain(self.eye.see([opened]), best)[0] if self.explained else None
        return replace(picture, thumbnail=opened.thumbnail, looked=looked)

    def _explain(self, seen: NDArray[Any], best: list[int]) -> list[Explanation]:
        """What the model looked at for the best class, or for the one that was asked for."""
        asked, which = best, "the best class"
        shares: Sequence[float | None] = [None] * len(best)
        if isinstance(self.explained, str):
            which, wanted = self.explained, self.judge.position(self.explained)
            asked = [wanted] * len(best)
            shares = class_probabilities(self._answer(seen))[:, wanted].tolist()
        heats, method = explain_pictures(
            self.model, seen, asked, size=self.eye.size, shape=self.eye.shape
        )
        self.legend = f"{which}, by {method}"
        names = self.judge.names or ()
        return [
            Explanation(names[position], heat, method, share)
            for position, heat, share in zip(asked, heats, shares, strict=True)
        ]


def _batches(
    opened: Iterable[LoadedImage | EvaluationError], size: int
) -> Iterator[tuple[int, list[LoadedImage | EvaluationError]]]:
    """Some at a time, with the number of the first."""
    stream, start = iter(opened), 0
    while batch := list(islice(stream, size)):
        yield start, batch
        start += len(batch)


def _refuse_nothing(pictures: Sequence[ImagePrediction], sources: Sequence[ImageSource]) -> None:
    """Raises if no picture at all could be read: there is no answer then."""
    if not all(picture.error for picture in pictures):
        return
    errors = list(dict.fromkeys(picture.error for picture in pictures))
    remedy = suggest_files(sources)
    if len(pictures) == 1:
        raise EvaluationError(errors[0], remedy)
    more = f"\n... and {len(errors) - 5:,} more" if len(errors) > 5 else ""  # noqa: PLR2004 - as many as are listed
    shown = "\n".join(errors[:5])
    words = f"None of the {len(pictures):,} pictures could be read.\n{shown}{more}"
    raise EvaluationError(words, remedy)
