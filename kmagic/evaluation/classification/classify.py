"""Classify images by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.images.image_reader import suppress_pillow_warnings
from kmagic.data.inspection import count_batches, stream_kind
from kmagic.data.preparation.raw_detection import detect_raw
from kmagic.evaluation.classification import image_inputs
from kmagic.evaluation.classification.applications import find_application, recognize_application
from kmagic.evaluation.classification.classification import (
    Classification,
    ClassProbability,
    ImagePrediction,
    TrueClass,
)
from kmagic.evaluation.classification.explain import Explanation, explain_images
from kmagic.evaluation.confusion import label_arrays
from kmagic.evaluation.prediction.batch_prediction import (
    option_error,
    predict_batch,
    reject_beside_stream,
    stream_batches,
)
from kmagic.evaluation.prediction.model_inputs import reject_images
from kmagic.evaluation.prediction.model_outputs import select_output, targets_for, title_of
from kmagic.evaluation.prediction.predictions import OutputKind, output_kind_of
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.support.data_values import check_has_values
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Function, Option, Text
from kmagic.support.model_registry import UNTRAINED_WARNING, dataset_for, is_untrained
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.progress import Progress
from kmagic.support.suggestions import did_you_mean

BATCH_SIZE = 32
MIN_BATCH_AXES = 4  # images with fewer axes may be a single one
MAX_ERRORS = 5  # errors listed in one message


@explain_special_methods
def classify(
    images: Any,
    model: Any = None,
    app: str | Callable[..., Any] | None = None,
    top: int = 3,
    *,
    class_names: label_arrays.ClassNames | None = None,
    y_true: Any = None,
    scaling: Any = None,
    explain: bool | str = False,
    interpolation: str | None = None,
    batch_size: int = BATCH_SIZE,
    output: str | None = None,
    name: str = "",
    progress: Callable[[int], Progress] | None = None,
) -> Classification:
    """Predict the most probable classes of images.

    Files, Pillow images and arrays of integers are rotated according to EXIF, resized and scaled;
    arrays of floats are the model's own input. Threads read the images while the model computes,
    so any number of images needs little memory.

    If the model was trained by :func:`kmagic.fit` on a dataset of :func:`kmagic.load_data`, its
    classes, its scaling and the true classes of its images are known. A model of
    ``keras.applications`` is recognized by its name and its 1,000 classes.

    Args:
        images: One image or many: a path, a folder, a pattern such as ``photos/*.jpg``, a URL, the
            bytes of a file, an open file, a Pillow image, an array of shape
            (n, height, width, channels), (n, height, width) or that of one image; a list of any
            of these; or a stream of batches, with or without labels, which is read once.
        model: A Keras model with one score per class, or one probability for two classes.
        app: A function of ``keras.applications`` or its name, with its own size, scaling and class
            names. If ``model`` is passed too, that model is used instead.
        top: Number of classes per image.
        class_names: Names in the order of the ids 0, 1, 2 ..., or a mapping from id to name.
        y_true: The true classes, if known: ids, names or one-hot rows, one per image; -1 or ""
            for unknown ones. Default: the folders of the images, if all are names of classes.
        scaling: How the training data were scaled: a number to divide by, a function, or an object
            with ``apply``. Default: bytes are passed to the model as 0 to 255.
        explain: True shows the regions that support the most probable class, by Grad-CAM, or by
            occlusion for a model without convolutions; a class name selects that class. Of many
            images, those on the card are explained.
        interpolation: How images are resized: "nearest", "bilinear", "bicubic", "hamming", "box"
            or "lanczos". Default: as the training images, or else "nearest", as Keras's
            ``load_img`` does.
        batch_size: Images per batch.
        output: For a model with several outputs the name of one of them.
        name: Name of the model, for the title. Default: its own.
        progress: Creates the progress view from the number of images.

    Returns:
        The images and their classes. A missing, damaged or too large image has an error instead.
        After an interrupt, the images predicted so far.

    Raises:
        EvaluationError: The images do not fit the model, or none can be read.

    Example:
        >>> class Bright:
        ...     def predict_on_batch(self, x):
        ...         share = x.reshape(len(x), -1).mean(axis=1)
        ...         return np.stack([1 - share, share], axis=1)
        >>> names = ["dark", "bright"]
        >>> result = classify(np.full((1, 8, 8), 0.75), Bright(), class_names=names)
        >>> print(result[0].to_text())
        0: bright 75.0%, dark 25.0%
    """
    result, sources = classify_readable(**locals())
    _check_any_read(result.images, sources)
    return result


def classify_readable(
    images: Any,
    model: Any = None,
    app: str | Callable[..., Any] | None = None,
    top: int = 3,
    *,
    class_names: label_arrays.ClassNames | None = None,
    y_true: Any = None,
    scaling: Any = None,
    explain: bool | str = False,
    interpolation: str | None = None,
    batch_size: int = BATCH_SIZE,
    output: str | None = None,
    name: str = "",
    progress: Callable[[int], Progress] | None = None,
) -> tuple[Classification, Sequence[image_inputs.ImageSource]]:
    """As :func:`classify`, even if no image can be read; also returns what was to be read."""
    for option, value in (("top", top), ("batch_size", batch_size)):
        if value < 1:
            raise EvaluationError(option=option, expected="at least 1", actual=value)
    application = None if app is None else find_application(app)
    if application is not None and model is None:
        model = application.model()
    if model is None:
        raise EvaluationError(
            Text("Expected a model, or ", Option("app"), ", the name of a pretrained model."),
            Text("Pass ", Option("app", "MobileNetV2"), ", or a model: ", Function("classify"),
                 "(images, model)."),
        )  # fmt: skip
    if output is not None:
        name = title_of(name or str(getattr(model, "name", "")), output)
    model = select_output(model, output)
    if class_names is None:
        class_names = getattr(images, "class_names", None)
    images, y_true = _read_stream(model, images, targets_for(model, y_true))
    data, note = dataset_for(model), ""
    if application is None and data is None and scaling is None:
        application = recognize_application(model)
        note = f"Preprocessed for {application.name} of keras.applications." if application else ""
    preprocessor = image_inputs.ImagePreprocessor.for_model(
        model, application, data, scaling, interpolation
    )
    if scaling is None and detect_raw(data, images) == "raw":
        images = image_inputs.to_bytes(images)
    sources = image_inputs.list_images(images, preprocessor.shape)
    if application is None and not all(hasattr(source.image, "shape") for source in sources):
        reject_images(model, data, image_inputs.NO_IMAGES_REMEDY)
    is_multilabel = bool(getattr(data, "is_multilabel", False))
    if is_multilabel and y_true is not None and np.any(np.asarray(y_true) != ""):
        raise EvaluationError(
            Text(Option("y_true"), " must have one class per image, but this model has labels."),
            Text("Use ", Function("confusion_of"), " to compare several labels per image."),
        )
    if is_multilabel:
        y_true = None
    elif y_true is None and hasattr(images, "shape") and hasattr(data, "labels_of"):
        y_true = data.labels_of(images)
    known_names = getattr(data, "classes", None) or ()
    if application is not None and class_names is None and not known_names:
        known_names = application.classes()
    batch_size = fixed_batch_size(model) or batch_size
    job = _ClassificationJob(model, preprocessor, sources, known_names, top, batch_size, explain)
    job.is_multilabel = is_multilabel
    job.set_labels(class_names, y_true)
    predictions = job.run((progress or partial(Progress, unit="images"))(len(sources)))
    if not name:
        name = application.name if application and app else getattr(model, "name", "")
    if job.by_folder:
        note = f"{note} The true classes are the names of the folders.".strip()
    warning = UNTRAINED_WARNING if is_untrained(model) else ""
    result = Classification(
        tuple(predictions),
        min(top, len(job.names)),
        name,
        Text.join(" ", [part for part in (warning, note, job.note) if part]),
        job.legend,
        len(sources),
    )
    return result, sources


def _read_stream(model: Any, images: Any, y_true: Any) -> tuple[Any, Any]:
    """The images and labels of a stream of batches, in one pass; anything else as it is."""
    if stream_kind(images) == "generator":
        first = list(islice(images, 1))
        images = chain(first, images)
        if not first or not isinstance(first[0], tuple):  # an iterator over files
            return images, y_true
    elif not stream_kind(images):
        return images, y_true
    elif (count_batches(images) or 0) < 0:
        remedy = "Pass a part of it, such as images.take(10)."
        raise option_error("images", "is a stream that never ends.", remedy)
    reject_beside_stream(images, y_true, option="y_true", x="images")
    pixels: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    for x, y in stream_batches(images):
        batch, targets = _to_numpy(x), None if y is None else _to_numpy(targets_for(model, y))
        is_single = np.ndim(batch) < MIN_BATCH_AXES and (
            targets is None or np.ndim(targets) == 0 or len(targets) != len(batch)
        )
        pixels.extend(batch[None] if is_single else batch)
        if targets is not None:
            labels.append(targets[None] if is_single else targets)
    if labels:
        y_true = np.concatenate(labels)
        y_true = y_true[:, 0] if y_true.ndim > 1 and y_true.shape[1] == 1 else y_true
    same_shape = len({image.shape for image in pixels}) == 1
    return np.stack(pixels) if same_shape else pixels, y_true


def _to_numpy(tensor: Any) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


def _check_any_read(
    images: Sequence[ImagePrediction], sources: Sequence[image_inputs.ImageSource]
) -> None:
    """Raise if no image could be read."""
    if not all(image.error for image in images):
        return
    errors = list(dict.fromkeys(image.error for image in images))
    remedy = image_inputs.suggest_files(sources)
    if len(images) == 1:
        raise EvaluationError(errors[0], remedy)
    listed = "\n".join(errors[:MAX_ERRORS])
    rest = f"\n... and {len(errors) - MAX_ERRORS:,} more" if len(errors) > MAX_ERRORS else ""
    raise EvaluationError(
        f"None of the {len(images):,} images can be read.\n{listed}{rest}", remedy
    )


@dataclass(eq=False, slots=True)
class _ClassificationJob:
    """The prediction of all images, batch by batch."""

    model: Any
    preprocessor: image_inputs.ImagePreprocessor
    sources: Sequence[image_inputs.ImageSource]
    known_names: Sequence[str]  # class names that are used if the model has as many classes
    top: int
    batch_size: int
    explain: bool | str
    names: tuple[str, ...] = ()
    ids: tuple[label_arrays.Label, ...] | None = None
    y_true: NDArray[Any] | None = None
    true: NDArray[np.intp] | None = None  # index of the true class of each image, or -1
    by_folder: bool = False  # the folders are the true classes
    note: str | Text = ""
    legend: str = ""
    _traced: set[tuple[int, ...]] = field(default_factory=set)  # shapes predicted in full batches
    is_multilabel: bool = False
    _has_names: bool = False

    def run(self, progress: Progress) -> list[ImagePrediction]:
        """Predict all images; after an interrupt, return those that are done."""
        images: list[ImagePrediction] = []
        batches = image_inputs.load_batches(self.sources, self.preprocessor, self.batch_size)
        try:
            with progress, suppress_pillow_warnings(), closing(batches):
                for batch in batches:
                    images += self._predict_images(len(images), batch)
                    progress.advance(len(batch))
        except KeyboardInterrupt:
            if not images:
                raise
        return images

    def _predict_images(
        self, start: int, batch: Sequence[image_inputs.LoadedImage | EvaluationError]
    ) -> list[ImagePrediction]:
        """Predict one batch; images of several sizes are grouped by size."""
        predictions: dict[int, ImagePrediction] = {}
        sizes: dict[tuple[int, ...], dict[int, image_inputs.LoadedImage]] = {}
        for index, image in enumerate(batch, start):
            if isinstance(image, EvaluationError):
                predictions[index] = ImagePrediction(self.sources[index].name, error=image.message)
            else:
                sizes.setdefault(image.pixels.shape, {})[index] = image
        for group in sizes.values():
            predictions.update(self._predict_size(group))
        return [predictions[index] for index in sorted(predictions)]

    def _predict_size(
        self, images: dict[int, image_inputs.LoadedImage]
    ) -> dict[int, ImagePrediction]:
        array = self.preprocessor.to_batch(list(images.values()))
        self.note = self.note or self.preprocessor.note(self.sources, array)
        scores = self._predict(array)
        probabilities = self._probabilities(scores)
        if not self._has_names:
            self._choose_names(probabilities.shape[1])
        predictions = {}
        for (index, image), row in zip(images.items(), probabilities, strict=True):
            top_classes, true_class = self._label(index, row)
            source = self.sources[index]
            reload = None if index < image_inputs.MAX_THUMBNAILS else partial(self._reload, source)
            predictions[index] = ImagePrediction(
                source.name, top_classes, true_class, image.thumbnail, reload=reload
            )
        shown = [index for index in images if index < image_inputs.MAX_THUMBNAILS]
        if self.explain and shown:
            best = [predictions[index].top_classes[0].index for index in shown]
            explanations = self._explain(array[: len(shown)], best)
            for index, explanation in zip(shown, explanations, strict=True):
                predictions[index] = replace(predictions[index], explanation=explanation)
        return predictions

    def _predict(self, array: NDArray[Any]) -> NDArray[Any]:
        """The output of the model; a last, smaller batch is padded, or Keras traces again."""
        count, missing = len(array), self.batch_size - len(array)
        if missing and array.shape[1:] in self._traced:
            array = np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
        elif not missing:
            self._traced.add(array.shape[1:])
        return predict_batch(self.model, array)[:count]

    def _probabilities(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """One probability per class, or per label of several."""
        width = scores.shape[1] if scores.ndim > 1 else 1
        names = [""] * max(width, 2)
        # A loss may take logits, which may be between 0 and 1.
        kind = output_kind_of(self.model, np.zeros((1, width)), class_names=names)
        if self.is_multilabel:
            in_range = scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1
            kind = OutputKind("labels", kind.logits or not in_range)
            return np.asarray(kind.probabilities(scores), dtype=np.float64)
        return label_arrays.to_probabilities(scores, known=False if kind.logits else None)

    def _reload(self, source: image_inputs.ImageSource, image: ImagePrediction) -> ImagePrediction:
        """An image with its thumbnail and explanation, if it can still be read."""
        try:
            with suppress_pillow_warnings():
                loaded = self.preprocessor.load(source)
        except EvaluationError:
            return image
        explanation = None
        if self.explain:
            array = self.preprocessor.to_batch([loaded])
            (explanation,) = self._explain(array, [image.top_classes[0].index])
        return replace(image, thumbnail=loaded.thumbnail, explanation=explanation)

    def _explain(self, array: NDArray[Any], best: list[int]) -> list[Explanation]:
        """The regions that support the best class, or the requested one."""
        classes, which = best, "the most probable class"
        probabilities: Sequence[float | None] = [None] * len(best)
        if isinstance(self.explain, str):
            if self.explain not in self.names:
                message = f"{self.explain!r} is not one of the model's classes."
                raise EvaluationError(message, did_you_mean(self.explain, self.names))
            which, index = self.explain, self.names.index(self.explain)
            classes = [index] * len(best)
            probabilities = self._probabilities(self._predict(array))[:, index].tolist()
        heatmaps, method = explain_images(self.model, array, classes, self.preprocessor.size)
        self.legend = f"{which}, by {method}"
        return [
            Explanation(self.names[index], heatmap, method, probability)
            for index, heatmap, probability in zip(classes, heatmaps, probabilities, strict=True)
        ]

    # --- labels -------------------------------------------------------------------------------

    def set_labels(self, class_names: label_arrays.ClassNames | None, y_true: Any) -> None:
        """Set the class names and the true classes that the user passed, or None."""
        if class_names is not None:
            self.ids, self.names = label_arrays.parse_class_names(class_names)
        if y_true is None:
            return
        check_has_values(y_true)
        labels = y_true if isinstance(y_true, list | tuple) else np.atleast_1d(y_true)
        self.y_true = label_arrays.as_label_array(labels, "y_true")
        if len(self.y_true) != len(self.sources):
            counts = f"{len(self.y_true):,} labels for {len(self.sources):,} images"
            raise option_error("y_true", f"must have one label per image; got {counts}.")

    def _choose_names(self, width: int) -> None:
        """The class names for an output of this width, and the true classes."""
        known = self.known_names if len(self.known_names) == width else range(width)
        self.names = self.names or tuple(map(str, known))
        if len(self.names) != width:
            raise option_error(
                "class_names",
                f"must name {width:,} classes, as many as the model has; got {len(self.names):,}.",
            )
        self.true = self._true_indices(self.names)
        self._has_names = True

    def _label(
        self, index: int, probabilities: NDArray[Any]
    ) -> tuple[tuple[ClassProbability, ...], TrueClass | None]:
        """The most probable classes and the true class of an image."""
        order = np.argsort(-probabilities, kind="stable")
        best = order[: self.top]
        top_classes = tuple(
            ClassProbability(self.names[k], float(probabilities[k]), int(k)) for k in best
        )
        if self.true is None or self.true[index] < 0:
            return top_classes, None
        label = self.names[self.true[index]]
        rank = next(rank for rank, k in enumerate(order, start=1) if self.names[k] == label)
        return top_classes, TrueClass(label, float(probabilities[order[rank - 1]]), rank)

    def _true_indices(self, names: tuple[str, ...]) -> NDArray[np.intp] | None:
        y = self.y_true
        if self.is_multilabel:
            return None
        if y is None:
            by_folder = {folder_key(name): index for index, name in enumerate(names)}
            folders = (folder_key(source.folder) for source in self.sources)
            indices = np.array([by_folder.get(folder, -1) for folder in folders])
            self.by_folder = bool((indices >= 0).all())
            return indices if self.by_folder else None
        if y.ndim == 2:  # noqa: PLR2004 - one-hot rows
            if y.shape[1] != len(names):
                raise option_error(
                    "y_true",
                    f"with one-hot rows must have {len(names):,} columns; got {y.shape[1]:,}.",
                )
            return np.asarray(y.argmax(axis=1))
        are_names = y.dtype.kind == "U"
        known = y != ("" if are_names else -1)
        values = (y if are_names else y.astype(np.int64))[known]
        indices = np.full(len(y), -1, dtype=np.intp)
        ids = self.ids or tuple(range(len(names)))
        indices[known] = label_arrays.label_indices(values, ids, names, "y_true")
        return indices


def folder_key(name: str) -> str:
    """A class name as a folder may spell it: "Egyptian cat" for "Egyptian_cat"."""
    return name.casefold().replace("_", " ").replace("-", " ")
