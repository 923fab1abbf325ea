"""``predict``, ``predict_classes`` and ``predict_proba`` for raw or prepared data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.images.image_reader import suppress_pillow_warnings
from kmagic.evaluation.classification import image_inputs
from kmagic.evaluation.classification.applications import recognize_application
from kmagic.evaluation.confusion.label_arrays import ClassNames, parse_class_names
from kmagic.evaluation.confusion.multilabel import Thresholds, read_thresholds
from kmagic.evaluation.prediction.batch_prediction import (
    predict_batch,
    predict_outputs,
    predict_stream,
    predict_stream_outputs,
    to_arrays,
)
from kmagic.evaluation.prediction.forecasts import forecasts_of
from kmagic.evaluation.prediction.model_inputs import ModelInputs, model_inputs_for
from kmagic.evaluation.prediction.model_outputs import (
    data_of_output,
    has_several_outputs,
    output_names,
    select_output,
    title_of,
)
from kmagic.evaluation.prediction.part_prediction import predict_on_cluster, predict_rows
from kmagic.evaluation.prediction.predictions import (
    TABLE,
    MultiOutputPredictions,
    OutputKind,
    PredictionInfo,
    Predictions,
    output_kind_of,
)
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Function, Option, Text
from kmagic.support.model_registry import UNTRAINED_WARNING, is_untrained
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.progress import Progress

IMAGE_BATCH = 32
INSPECTED = 10_000  # rows of the output from which its kind is inferred


@explain_special_methods
def predict(
    model: Any,
    x: Any,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    class_names: ClassNames | None = None,
    threshold: Thresholds = None,
    output: str | None = None,
    on: str | None = None,
    name: str = "",
) -> Predictions | MultiOutputPredictions:
    """Predict from raw arrays, data frames, images or text.

    Raw data are prepared like the training data of the model, if it was trained by
    :func:`kmagic.fit`, or loaded from a file of :func:`kmagic.save`. A long
    call shows a progress bar.

    Args:
        model: A Keras model.
        x: Samples along the first axis, or a single one: arrays, lists, data frames and their
            columns; a dataset of :func:`kmagic.load_data`, whose test part is used; sentences;
            files, folders and patterns of images; Pillow images; a stream of batches, such as a
            ``tf.data.Dataset``, whose labels are read in the same pass. For several inputs a list
            or a dict.
        batch_size: Samples per batch. Default: 32 to 256, fewer for larger samples.
        steps: Number of batches of a stream to read. Default: all.
        class_names: Names of the classes. Default: those of the data that the model was trained
            on.
        threshold: For several labels per sample: the probability above which a label is
            predicted, 0.5 by default; one number, one for each label, or a mapping from labels to
            numbers, such as ``best_thresholds()`` of a confusion matrix.
        output: For a model with several outputs the name of one of them, alone.
        on: A Ray cluster, as for :func:`kmagic.connect`, for arrays and tables. Images are
            predicted by :func:`kmagic.predict_to_file`.
        name: Name of the model, for the title. Default: its own.

    Returns:
        A NumPy array of the model's output, one row per sample, that a notebook shows as a card;
        ``to_frame()`` gives a data frame. For several outputs a dict of such arrays.

    Raises:
        EvaluationError: The samples do not fit the model.
        DataError: The samples cannot be prepared like the training data.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 4 / dense 3 softmax")
        >>> kmagic.predict(model, numpy.zeros((2, 4))).tolist()[0]  # doctest: +ELLIPSIS
        [0.33...
    """
    name = name or str(getattr(model, "name", ""))
    if output is not None:
        name, model = title_of(name, output), select_output(model, output)
    inputs = model_inputs_for(model, x)
    names = None if class_names is None else parse_class_names(class_names)[1]
    if on is not None and (inputs.x is None or to_arrays(model, inputs.x) is None):
        raise EvaluationError(
            Text(Option("on", on), " is for arrays and tables."),
            Text(
                "Write the predictions of images to a file, with ", Function("predict_to_file"), "."
            ),
        )
    if has_several_outputs(model):
        if names is not None or threshold is not None:
            select_output(model, None)  # which is refused: they are those of one output
        return _predict_outputs(model, inputs, batch_size, steps, name=name, on=on)
    if inputs.x is None:
        size = fixed_batch_size(model) or batch_size or IMAGE_BATCH
        rows, inputs = _predict_images(model, inputs, size)
    elif to_arrays(model, inputs.x) is None:
        (rows,), y_true = predict_stream([model], inputs.x, steps=steps)
        inputs = replace(inputs, y_true=y_true)
        names = names or getattr(x, "class_names", None)  # of image_dataset_from_directory
    else:
        rows = predict_rows(model, inputs.x, batch_size=batch_size, on=on)
    if names is None and inputs.data is None and rows.ndim == TABLE:
        application = recognize_application(model)
        names = application.classes() if application is not None else None
    forecasts = forecasts_of(inputs.series, rows)
    if forecasts is not None and forecasts.values.shape[1] == 1:
        inputs = replace(inputs, y_true=forecasts.actual[:, 0])
    kind = output_kind_of(model, rows[:INSPECTED], inputs.data, names)
    info = PredictionInfo(
        name,
        with_thresholds(kind, threshold, rows, model),
        inputs.samples,
        inputs.sample_names,
        inputs.y_true,
        str(getattr(inputs.data, "target", "")),
        tuple(getattr(inputs.data, "targets", ())),
        note=" ".join(filter(None, [_note(model), _lost_note(inputs)])),
        forecasts=forecasts,
    )
    return Predictions(rows, info)


@explain_special_methods
def predict_classes(
    model: Any,
    x: Any,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    names: bool = False,
    class_names: ClassNames | None = None,
    threshold: Thresholds = None,
    output: str | None = None,
    on: str | None = None,
    name: str = "",
) -> Predictions | MultiOutputPredictions:
    """Predict the most likely class of each sample.

    Args:
        model: A Keras model.
        x: As in :func:`predict`.
        batch_size: As in :func:`predict`.
        steps: As in :func:`predict`.
        names: Return class names instead of class indices, if they are known.
        class_names: As in :func:`predict`.
        threshold: As in :func:`predict`.
        output: As in :func:`predict`.
        on: As in :func:`predict`.
        name: As in :func:`predict`.

    Returns:
        Class indices of shape (n,), which can be compared with ``y_test``; or names. For a model
        of several labels per sample 0 and 1, of shape (n, labels); or lists of names, shape (n,).
        For several outputs a dict; those of values are as in :func:`predict`.

    Raises:
        EvaluationError: The model returns values, not classes; or as :func:`predict`.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 2 / dense 2 softmax kernel_initializer=identity")
        >>> kmagic.predict_classes(model, numpy.array([[3.0, 1.0], [0.0, 2.0]])).tolist()
        [0, 1]
    """
    options: dict[str, Any] = {"batch_size": batch_size, "steps": steps, "output": output, "on": on}
    options["threshold"] = threshold
    result = predict(model, x, class_names=class_names, name=name, **options)
    return _for_each_output(result, lambda output: _to_classes(output, names=names))


@explain_special_methods
def predict_proba(
    model: Any,
    x: Any,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    class_names: ClassNames | None = None,
    output: str | None = None,
    on: str | None = None,
    name: str = "",
) -> Predictions | MultiOutputPredictions:
    """Predict the probability of each class for each sample.

    Args:
        model: A Keras model.
        x: As in :func:`predict`.
        batch_size: As in :func:`predict`.
        steps: As in :func:`predict`.
        class_names: As in :func:`predict`.
        output: As in :func:`predict`.
        on: As in :func:`predict`.
        name: As in :func:`predict`.

    Returns:
        Shape (n, classes), also for binary models; softmax or sigmoid is applied to logits. For
        several outputs a dict; those of values are as in :func:`predict`.

    Raises:
        EvaluationError: The model returns values, not classes; or as :func:`predict`.

    Example:
        >>> import kmagic, numpy
        >>> model = kmagic.build("input 2 / dense 1 sigmoid kernel_initializer=zeros")
        >>> kmagic.predict_proba(model, numpy.zeros((1, 2))).tolist()
        [[0.5, 0.5]]
    """
    options: dict[str, Any] = {"batch_size": batch_size, "steps": steps, "output": output, "on": on}
    result = predict(model, x, class_names=class_names, name=name, **options)
    return _for_each_output(result, _to_probabilities)


# --- from the output to classes and probabilities -----------------------------------------------


def _for_each_output(
    result: Predictions | MultiOutputPredictions, convert: Callable[[Predictions], Predictions]
) -> Predictions | MultiOutputPredictions:
    if isinstance(result, MultiOutputPredictions):
        if all(output.info.output_kind.kind == "values" for output in result.values()):
            convert(next(iter(result.values())))  # which is refused
        arrays = {
            key: output if output.info.output_kind.kind == "values" else convert(output)
            for key, output in result.items()
        }
        return MultiOutputPredictions(arrays, result.name)
    return convert(result)


def _to_classes(output: Predictions, *, names: bool) -> Predictions:
    info, kind = output.info, output.info.output_kind
    probabilities = _probabilities(output)
    info = replace(info, form="classes", probabilities=probabilities)
    if kind.kind == "labels":
        has_labels = kind.has_labels(probabilities)
        if not names:
            return Predictions(has_labels.astype(np.intp), info)
        lists = np.empty(len(has_labels), dtype=object)
        lists[:] = list(map(kind.label_names, has_labels))
        return Predictions(lists, info)
    indices = kind.class_indices(probabilities)
    if names:
        return Predictions(np.array([kind.class_name(int(index)) for index in indices]), info)
    return Predictions(indices, info)


def with_thresholds(
    kind: OutputKind, threshold: Thresholds, output: NDArray[Any], model: Any
) -> OutputKind:
    """The kind of an output, with checked thresholds of its labels."""
    if threshold is None:
        return kind
    if kind.kind != "labels":
        raise _no_labels(model)
    width = output.shape[1]
    names = kind.classes or tuple(map(str, range(width)))
    values = read_thresholds(threshold, names)
    return replace(kind, thresholds=tuple(values.tolist()))


def _no_labels(model: Any) -> EvaluationError:
    name = getattr(model, "name", "")
    return EvaluationError(
        Text(Option("threshold"), f" needs several labels per sample; {name!r} has none."),
        Text("Leave out ", Option("threshold"), ". For two classes, compare the probabilities: ",
             Function("predict_proba"), "."),
    )  # fmt: skip


def _to_probabilities(output: Predictions) -> Predictions:
    return Predictions(_probabilities(output), replace(output.info, form="probabilities"))


def _probabilities(output: Predictions) -> NDArray[Any]:
    info = output.info
    if info.output_kind.kind == "values":
        name = f" {info.name!r}" if info.name else ""
        message = f"The model{name} returns values of shape {output.shape}, not probabilities of"
        advice = " for the values. A model of classes ends in softmax or sigmoid."
        raise EvaluationError(f"{message} classes.", Text("Use ", Function("predict"), advice))
    return info.output_kind.probabilities(output.array)


# --- several outputs ----------------------------------------------------------------------------


def _note(model: Any) -> str:
    return UNTRAINED_WARNING if is_untrained(model) else ""


def _lost_note(inputs: ModelInputs) -> str:
    """Windows that raw rows do not contain because of gaps; a dataset says so itself."""
    is_known = inputs.series is getattr(inputs.data, "series", None)
    return "" if is_known or inputs.series is None else inputs.series.lost_note()


def _predict_outputs(
    model: Any,
    inputs: ModelInputs,
    batch_size: int | None,
    steps: int | None,
    *,
    name: str,
    on: str | None,
) -> MultiOutputPredictions:
    """One array per output, all from one pass over the samples."""
    x = inputs.x if inputs.x is not None else read_images(model, inputs)
    if (arrays := to_arrays(model, x)) is None:
        outputs = predict_stream_outputs(model, x, steps=steps)
    elif on is not None:
        outputs = predict_on_cluster(model, arrays, on, batch_size=batch_size)
    else:
        outputs = predict_outputs(model, arrays, batch_size=batch_size)
    if 0 in outputs:
        outputs = dict(zip(output_names(model), outputs.values(), strict=True))
    arrays, samples, y_true = {}, inputs.samples, inputs.y_true
    for key, output in outputs.items():
        part = select_output(model, key)
        data = data_of_output(inputs.data, key)
        info = PredictionInfo(
            title_of(name, key),
            output_kind_of(part, output[:INSPECTED], data),
            samples,
            inputs.sample_names,
            y_true.get(key) if isinstance(y_true, Mapping) else None,
            str(getattr(data, "target", "")),
            note=_note(model) if key == list(outputs)[-1] else "",  # once for all
            targets=tuple(getattr(data, "targets", ())),
        )
        arrays[key] = Predictions(output, info)
    return MultiOutputPredictions(arrays, name)


# --- images -------------------------------------------------------------------------------------


def read_images(model: Any, inputs: ModelInputs) -> NDArray[Any]:
    """All images as one array that the model takes."""
    return np.concatenate([array for array, *_ in _image_batches(model, inputs, IMAGE_BATCH)])


def _image_batches(
    model: Any, inputs: ModelInputs, batch_size: int
) -> Iterator[tuple[NDArray[Any], list[image_inputs.LoadedImage], list[str]]]:
    """Batches of images with their names, which threads read while the caller works.

    The first image that cannot be read is an error.
    """
    application = recognize_application(model) if inputs.data is None else None
    preprocessor = image_inputs.ImagePreprocessor.for_model(
        model, application, inputs.data, None, "nearest"
    )
    sources = image_inputs.list_images(inputs.images, preprocessor.shape)
    batches = image_inputs.load_batches(sources, preprocessor, batch_size)
    with Progress(len(sources), "images") as progress, suppress_pillow_warnings():
        for batch in batches:
            images = []
            for image in batch:
                if isinstance(image, EvaluationError):
                    raise image
                images.append(image)
            names = [source.name for source in sources[progress.done : progress.done + len(batch)]]
            yield preprocessor.to_batch(images), images, names
            progress.advance(len(batch))


def _predict_images(
    model: Any, inputs: ModelInputs, batch_size: int
) -> tuple[NDArray[Any], ModelInputs]:
    """The output for some images, and the inputs with the images to show."""
    rows: list[NDArray[Any]] = []
    thumbnails: list[Any] = []
    names: list[str] = []
    for array, images, batch_names in _image_batches(model, inputs, batch_size):
        rows.append(predict_batch(model, array))
        thumbnails += [image.thumbnail for image in images]
        names += batch_names
    shown = replace(inputs, samples=thumbnails[: image_inputs.MAX_THUMBNAILS], sample_names=names)
    return np.concatenate(rows), shown
