"""``predict``, ``predict_classes``, ``predict_proba``: a model's answers about anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_reader import suppress_pillow_warnings
from kmagic.evaluation.classification.applications import recognize_application
from kmagic.evaluation.classification.image_preprocessor import ImagePreprocessor, read_ahead
from kmagic.evaluation.classification.image_sources import list_images
from kmagic.evaluation.prediction.batch_prediction import PREDICTION_CACHE, predict_batch
from kmagic.evaluation.prediction.batch_prediction import predict_in_batches as predict_rows
from kmagic.evaluation.prediction.model_inputs import ModelInputs, model_inputs_for
from kmagic.evaluation.prediction.predictions import (
    HALF,
    ROWS,
    MultiOutputPredictions,
    PredictionInfo,
    Predictions,
    output_kind_of,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import UNTRAINED_WARNING, is_untrained
from kmagic.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kmagic.evaluation.classification.image_preprocessor import LoadedImage

SHOWN = 24
BATCH = 32
LOOKED_AT = 10_000  # answers that tell what the answers are


def predict(
    model: Any, x: Any, *, batch_size: int | None = None, name: str = ""
) -> Predictions | MultiOutputPredictions:
    """What a model answers.

    Raw data are prepared as those were that the model learned from, by :func:`kmagic.fit` or
    before :func:`kmagic.save`. What it was asked before is not asked again; a long work shows how
    far it is, and goes on where an interrupt has ended it.

    Args:
        model: A Keras model.
        x: Samples along the first axis, or one: arrays, lists, data frames and their columns; a
            data set of :func:`kmagic.load_data`, whose test part is taken; sentences; files,
            folders and patterns of pictures; Pillow images; a ``tf.data.Dataset``. For several
            inputs a list or a dict.
        batch_size: Samples a batch; by default 32 to 256, fewer for larger samples.
        name: Name for the heading; by default the model's own.

    Returns:
        A NumPy array of the model's output, one row a sample, that a notebook shows as a card;
        ``to_frame()`` makes a table of it. For several outputs a dict of such arrays.

    Raises:
        EvaluationError: The samples do not fit the model.
        DataError: They are not what the model's data were.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 4 / dense 3 softmax")
        >>> kmagic.predict(model, numpy.zeros((2, 4))).tolist()[0]  # doctest: +ELLIPSIS
        [0.33...
    """
    name = name or str(getattr(model, "name", ""))
    material = model_inputs_for(model, x)
    if material.x is None:
        return _of_pictures(model, material, batch_size, name)
    outputs = getattr(model, "outputs", None) or ()
    if len(outputs) > 1:
        return _several(model, material, batch_size, name)
    rows = PREDICTION_CACHE.predict(model, material.x, batch_size=batch_size)
    return _made(model, rows, material, name)


def predict_classes(
    model: Any, x: Any, *, batch_size: int | None = None, names: bool = False, name: str = ""
) -> Predictions | MultiOutputPredictions:
    """The most likely class of each sample.

    Args:
        model: A Keras model.
        x: As in :func:`predict`.
        batch_size: As in :func:`predict`.
        names: The names of the classes in place of their numbers, where they are known.
        name: As in :func:`predict`.

    Returns:
        Class numbers from 0, of shape (n,), to be compared with ``y_test``; or names. For a model
        that gives several labels at once 0 and 1, of shape (n, labels).

    Raises:
        EvaluationError: The model gives values, not classes; or as :func:`predict`.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 2 / dense 2 softmax kernel_initializer=identity")
        >>> kmagic.predict_classes(model, numpy.array([[3.0, 1.0], [0.0, 2.0]])).tolist()
        [0, 1]
    """
    return _each(predict(model, x, batch_size=batch_size, name=name), _classes, names)


def predict_proba(
    model: Any, x: Any, *, batch_size: int | None = None, name: str = ""
) -> Predictions | MultiOutputPredictions:
    """The probability of each class for each sample.

    Args:
        model: A Keras model.
        x: As in :func:`predict`.
        batch_size: As in :func:`predict`.
        name: As in :func:`predict`.

    Returns:
        Shape (n, classes), also for two classes; scores before a softmax or a sigmoid have gone
        through it.

    Raises:
        EvaluationError: The model gives values, not classes; or as :func:`predict`.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 2 / dense 1 sigmoid kernel_initializer=zeros")
        >>> kmagic.predict_proba(model, numpy.zeros((1, 2))).tolist()
        [[0.5, 0.5]]
    """
    return _each(predict(model, x, batch_size=batch_size, name=name), _probabilities, False)


# --- what comes of the rows -----------------------------------------------------------------------


def _each(
    found: Predictions | MultiOutputPredictions, work: Any, names: bool
) -> Predictions | MultiOutputPredictions:
    if isinstance(found, MultiOutputPredictions):
        made = {key: work(value, names) for key, value in found.items()}
        return MultiOutputPredictions(made, found.name)
    made_one: Predictions = work(found, names)
    return made_one


def _classes(found: Predictions, names: bool) -> Predictions:
    about = found.told
    shares = _shares(found)
    if about.meaning.kind == "labels":
        return Predictions((shares > HALF).astype(np.intp), about.but(form="classes"))
    if shares.shape[1] == 2:  # noqa: PLR2004 - as Keras's metrics do, the second only above a half
        numbers = (shares[:, 1] > HALF).astype(np.intp)
    else:
        numbers = shares.argmax(axis=1)
    about = about.but(form="classes", probabilities=shares)
    if names:
        return Predictions(np.array([about.meaning.name(int(n)) for n in numbers]), about)
    return Predictions(numbers, about)


def _probabilities(found: Predictions, names: bool) -> Predictions:  # noqa: ARG001 - as its sister
    return Predictions(_shares(found), found.told.but(form="probabilities"))


def _shares(found: Predictions) -> NDArray[Any]:
    about = found.told
    if about.meaning.kind == "values":
        raise EvaluationError(
            f"The model{f' {about.name!r}' if about.name else ''} gives values, not probabilities "
            f"of classes: its answers have the shape {found.shape}.",
            "predict gives them as they are. A model for classes ends in softmax or sigmoid.",
        )
    return about.meaning.probabilities(found.array)


def _made(model: Any, rows: NDArray[Any], material: ModelInputs, name: str) -> Predictions:
    data = material.data
    application = recognize_application(model) if data is None else None
    classes = application.classes() if application is not None and rows.ndim == ROWS else None
    meaning = output_kind_of(model, rows[:LOOKED_AT], data, classes)
    target = str(getattr(data, "target", ""))
    about = PredictionInfo(name, meaning, material.shown, material.names, material.truth, target)
    about = about.but(note=_note(model))
    return Predictions(rows, about)


def _several(
    model: Any, material: ModelInputs, batch_size: int | None, name: str
) -> MultiOutputPredictions:
    """One array an output: the model is asked for all of them at once."""
    joined = _Joined(model)
    rows = predict_rows(joined, material.x, batch_size=batch_size)
    found = {}
    for key, part in joined.part(rows).items():
        about = PredictionInfo(
            f"{name}, {key}", output_kind_of(None, part), material.shown, material.names
        )
        found[key] = Predictions(part, about)
    found[key] = Predictions(part, about.but(note=_note(model)))  # once for all, below the last
    return MultiOutputPredictions(found, name)


def _note(model: Any) -> str:
    return UNTRAINED_WARNING if is_untrained(model) else ""


class _Joined:
    """A model of several outputs as one of a single output: theirs, side by side."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._parts: list[tuple[str, tuple[int, ...], Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict_on_batch(self, batch: Any) -> NDArray[Any]:
        found = self._model.predict_on_batch(batch)
        if not isinstance(found, dict):
            found = dict(zip(_names(self._model), found, strict=True))
        arrays = {key: np.asarray(value) for key, value in found.items()}
        self._parts = [(key, each.shape[1:], each.dtype) for key, each in arrays.items()]
        return np.concatenate([each.reshape(len(each), -1) for each in arrays.values()], axis=1)

    def predict(self, x: Any, **_: Any) -> NDArray[Any]:
        return np.concatenate([self.predict_on_batch(each) for each in _batches(x)])

    def part(self, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found, start = {}, 0
        for key, shape, dtype in self._parts:
            stop = start + int(np.prod(shape))
            found[key] = rows[:, start:stop].reshape(len(rows), *shape).astype(dtype)
            start = stop
        return found


def _batches(stream: Any) -> Any:
    for each in stream:
        yield each[0] if isinstance(each, tuple) else each


def _names(model: Any) -> list[str]:
    return [str(each) for each in model.output_names]


def read_images(model: Any, material: ModelInputs) -> NDArray[Any]:
    """All pictures as one array that the model takes.

    Args:
        model: The model.
        material: What :func:`material_for` made of files and images.

    Raises:
        EvaluationError: One cannot be read.
    """
    return np.concatenate([eye.see(opened) for eye, opened in _looked(model, material, BATCH)])


def _looked(
    model: Any, material: ModelInputs, step: int
) -> Iterator[tuple[ImagePreprocessor, list[LoadedImage]]]:
    """The pictures, some at a time, read by threads ahead of whoever asks."""
    application = recognize_application(model) if material.data is None else None
    eye = ImagePreprocessor.of(model, application, material.data, None, "nearest")
    sources = list_images(material.pictures, eye.shape)
    waiting: list[LoadedImage] = []
    with Progress(len(sources), "pictures") as work, suppress_pillow_warnings():
        for number, opened in enumerate(read_ahead(sources, eye, ahead=2 * step, keep=SHOWN)):
            if isinstance(opened, EvaluationError):
                raise opened
            waiting.append(opened)
            if len(waiting) == step or number == len(sources) - 1:
                yield eye, waiting
                work.advance(len(waiting))
                waiting = []


def _of_pictures(
    model: Any, material: ModelInputs, batch_size: int | None, name: str
) -> Predictions:
    """Files and images: read by threads while the model answers."""
    rows: list[NDArray[Any]] = []
    shown: list[Any] = []
    eye: ImagePreprocessor | None = None
    for eye, opened in _looked(model, material, batch_size or BATCH):
        rows.append(predict_batch(model, eye.see(opened), eye.shape))
        shown += [one.thumbnail for one in opened[: max(0, SHOWN - len(shown))]]
    sources = list_images(material.pictures, eye.shape if eye is not None else None)
    seen = replace(material, shown=shown, names=[source.name for source in sources])
    return _made(model, np.concatenate(rows), seen, name)
