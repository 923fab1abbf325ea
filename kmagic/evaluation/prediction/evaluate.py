"""Loss and metrics of a model on data that it was not trained on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar
from warnings import catch_warnings, filterwarnings

import numpy as np

from kmagic.data.inspection import Inspection, inspect_data, split_batch, stream_kind
from kmagic.data.stream_length import check_end
from kmagic.evaluation.confusion.label_arrays import (
    ClassNames,
    as_label_array,
    label_indices,
    parse_class_names,
)
from kmagic.evaluation.prediction.batch_prediction import (
    StreamPreparation,
    check_sample_shape,
    input_arrays,
    iter_batches,
    model_phrase,
    option_error,
    predict_in_batches,
    reject_beside_stream,
    to_arrays,
)
from kmagic.evaluation.prediction.forecasts import Forecasts, forecasts_of
from kmagic.evaluation.prediction.model_inputs import (
    ModelInputs,
    model_inputs_for,
    table_targets_remedy,
    with_targets,
)
from kmagic.evaluation.prediction.model_outputs import select_output, targets_for, title_of
from kmagic.evaluation.prediction.predict import read_images
from kmagic.models.fixed_batches import batch_size_error, fixed_batch_size
from kmagic.models.model_arrays import as_array, dense_rows, sparse_rows
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import format_metric, isolate_direction
from kmagic.support.messages import Function, Option, Text
from kmagic.support.model_registry import record_for
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.progress import Progress
from kmagic.support.rendering import Renderable
from kmagic.training import retracing
from kmagic.training.pipeline.pipeline_choice import disk_streams
from kmagic.training.validation.data_checks import data_errors, join_errors
from kmagic.training.validation.fit_arguments import TARGETS_REMEDY
from kmagic.training.validation.fit_errors import explain_error, is_data_error

KERAS_BATCH = 32  # samples, Keras's default


class Evaluation(Renderable, dict[str, float]):
    """Loss and metrics by name: a dict that a notebook shows as a card.

    Args:
        metrics: Value of each metric.
        name: Name of the model.
        samples: Number of samples; None if unknown, for a stream.
        unit: What a sample is, in the plural.
        forecasts: Those of the windows of a table.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.predictions_card:evaluation_bundle"

    def __init__(
        self,
        metrics: dict[str, float],
        *,
        name: str = "",
        samples: int | None = None,
        unit: str = "samples",
        forecasts: Forecasts | None = None,
    ) -> None:
        super().__init__(metrics)
        self.name = name
        self.samples = samples
        self.unit = unit
        self.forecasts = forecasts

    def facts(self) -> str:
        """Number of samples: "10,000 test digits"."""
        return "" if self.samples is None else f"{self.samples:,} {isolate_direction(self.unit)}"

    def describe(self) -> str:
        """The metrics as text: "cnn: 10,000 test digits, accuracy 0.9807, loss 0.0612"."""
        metrics = [f"{isolate_direction(name)} {format_metric(v)}" for name, v in self.items()]
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        text = title + ", ".join(filter(None, [self.facts(), *metrics]))
        compared = "" if self.forecasts is None else self.forecasts.describe()
        return f"{text}\n{compared}" if compared else text


@explain_special_methods
def evaluate(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    sample_weight: Any = None,
    class_names: ClassNames | None = None,
    output: str | None = None,
    name: str = "",
    unit: str = "samples",
) -> Evaluation:
    """Compute the loss and the metrics of a compiled model, as ``model.evaluate`` does.

    A long evaluation shows a progress bar; raw data are prepared as in :func:`kmagic.predict`.

    Args:
        model: A compiled Keras model.
        x: Samples along the first axis: arrays, data frames, files, sentences; a dataset of
            :func:`kmagic.load_data`, whose test part is used; or a stream of batches of samples
            and targets, such as a ``tf.data.Dataset``.
        y: The targets, as the loss of the model takes them, or class names. A dataset and a stream
            bring their own.
        batch_size: Samples per batch. Default: 32, as in Keras.
        steps: Number of batches of a stream to read. Default: all.
        sample_weight: Weight of each sample.
        class_names: Names of the classes in the order of the ids, if ``y`` contains names.
            Default: those of the data that the model was trained on.
        output: For a model with several outputs the name of one of them: its loss and metrics
            alone.
        name: Name of the model, for the title. Default: its own.
        unit: What a sample is, in the plural, for the title: "test digits".

    Returns:
        The metrics by name, the loss last.

    Raises:
        EvaluationError: The model is not compiled, or the data do not fit it.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> list(evaluate(model, numpy.zeros((4, 2)), numpy.zeros(4)))
        ['loss']
    """
    if not getattr(model, "compiled", False):
        raise EvaluationError(
            model_phrase(model) + " must be compiled first: it has no loss.",
            "Use model.compile(loss=..., metrics=[...]), or add a line `compile` to its text.",
        )
    if output is not None:
        name, model = title_of(name or str(model.name), output), _compiled_output(model, output)
    inputs = model_inputs_for(model, x)
    inputs, y, unit = with_targets(inputs, targets_for(model, y), unit)
    sample_weight = targets_for(model, sample_weight)
    names = getattr(inputs.data, "classes", None)
    if class_names is not None:
        names = parse_class_names(class_names)[1]
    if isinstance(y, str) or (y is None and table_targets_remedy(x)):
        problem = "is missing: an evaluation needs the targets"
        problem = problem if y is None else f"must be targets; got {y!r}"
        raise option_error("y", f"{problem}.", table_targets_remedy(x) or TARGETS_REMEDY)
    y = _encode_targets(y, names)
    x = inputs.x if inputs.x is not None else read_images(model, inputs)
    arrays = to_arrays(model, x)
    if arrays is not None:
        check_sample_shape(model, arrays)
        batch_size = batch_size or fixed_batch_size(model)
        if error := batch_size_error(model, _count(arrays), batch_size):
            raise EvaluationError(model_phrase(model) + error[0], error[1])
        arrays = retracing.with_axes_of(model, arrays)
        y = dense_rows(sparse_rows(y))
        if isinstance(y, list | tuple) and len(getattr(model, "outputs", None) or ()) < 2:  # noqa: PLR2004 - for several outputs a list has one part for each
            y = np.asarray(y)
        _check_targets(_count(arrays), y)
        check_data(model, inspect_data(arrays, y, sample_weight))
    if arrays is None:
        data, samples, first = _stream(model, x, y, sample_weight, steps)
    else:
        data, samples, first = arrays, _count(arrays), [arrays, y, sample_weight]
    retracing.retrace_for(model, "test", first)
    data, y, sample_weight, size = _stream_from_disk(data, y, sample_weight, batch_size)
    try:
        with _progress_callback(model, arrays, batch_size) as callbacks, catch_warnings():
            filterwarnings("ignore", "Your input ran out of data")  # at the end of a generator
            logs = model.evaluate(
                data,
                y,
                batch_size=size,
                steps=steps if arrays is None else None,
                sample_weight=sample_weight,
                verbose=0,
                return_dict=True,
                **callbacks,
            )
    except Exception as error:
        if not (isinstance(error, TypeError) or is_data_error(error)):
            raise
        if retracing.is_rank_error(error):
            retracing.reset_functions(model)
        cause = explain_error(error, model)
        verb = " cannot be evaluated on this data: " if cause.is_about_data else " failed: "
        raise EvaluationError(model_phrase(model) + verb + cause.reason, cause.remedy) from error
    name = name or getattr(model, "name", "")
    forecasts = _forecasts(model, arrays, inputs, batch_size)
    return Evaluation(_metrics(logs), name=name, samples=samples, unit=unit, forecasts=forecasts)


def _metrics(logs: dict[str, Any]) -> dict[str, float]:
    """The metrics as numbers, the loss last."""
    order = sorted(logs, key=lambda key: key == "loss")
    return {str(key): float(np.mean(logs[key])) for key in order}


def _compiled_output(model: Any, output: str) -> Any:
    part = select_output(model, output)
    if part.loss is None:
        raise EvaluationError(
            f"The output {output!r} has no loss.",
            "Add one where the model is compiled.",
        )
    return part


def _forecasts(model: Any, x: Any, inputs: ModelInputs, batch_size: int | None) -> Forecasts | None:
    if inputs.series is None or len(getattr(model, "outputs", None) or ()) != 1:
        return None
    return forecasts_of(inputs.series, predict_in_batches(model, x, batch_size=batch_size))


@contextmanager
def _progress_callback(model: Any, arrays: Any, batch_size: int | None) -> Iterator[dict[str, Any]]:
    """Keyword arguments of ``model.evaluate`` that show a progress bar."""
    keras = sys.modules.get("keras")
    if arrays is None or keras is None or not isinstance(model, keras.Model):
        yield {}
        return
    step = batch_size or KERAS_BATCH
    with Progress(_count(arrays), "samples evaluated") as progress:

        def advance(batch: int, logs: Any = None) -> None:  # noqa: ARG001 - Keras's signature
            progress.advance(min((batch + 1) * step, progress.total) - progress.done)

        yield {"callbacks": [keras.callbacks.LambdaCallback(on_test_batch_end=advance)]}


def _stream_from_disk(x: Any, y: Any, sample_weight: Any, batch_size: int | None) -> list[Any]:
    """These arguments of ``model.evaluate``, with large files as a stream of their batches."""
    given = {"x": x, "y": y, "sample_weight": sample_weight, "batch_size": batch_size}
    streams = disk_streams({**given, "shuffle": False})
    return [streams.get(name, value) for name, value in given.items()]


def _encode_targets(y: Any, names: Any) -> Any:
    """Targets as the loss takes them: a column as an array, class names as ids."""
    if hasattr(y, "iloc"):
        y = y.to_numpy()
    if getattr(y, "dtype", None) == np.dtype(object) and (numbers := as_array(y)) is not None:
        y = numbers
    first = y[0] if isinstance(y, list | tuple | np.ndarray) and len(y) else None
    if names is None or not isinstance(first, str):
        return y
    return label_indices(as_label_array(y, "y"), range(len(names)), names, "y")


def _count(arrays: Any) -> int:
    return int(input_arrays(arrays)[0].shape[0])


def _stream(
    model: Any, stream: Any, y: Any, sample_weight: Any, steps: int | None
) -> tuple[Any, int | None, list[Any]]:
    """A stream as Keras takes it, prepared if it is raw; the number of samples; the first batches.

    The number is None if it is unknown.
    """
    reject_beside_stream(stream, y)
    reject_beside_stream(stream, sample_weight, option="sample_weight")
    check_end(stream, Option("x"), "steps", steps, EvaluationError)
    inspection = inspect_data(stream, steps=steps)
    if inspection.is_stream and not inspection.part_counts:
        raise option_error("x", "is empty: it yields no batch.")
    if inspection.is_stream and inspection.y is None and model.loss is not None:
        raise option_error(
            "x",
            "yields inputs only; an evaluation needs the targets.",
            "Yield pairs: tf.data.Dataset.zip((x, y)).",
        )
    inspection = replace(
        inspection,
        y=targets_for(model, inspection.y),
        sample_weight=targets_for(model, inspection.sample_weight),
    )
    check_data(model, inspection)
    first = [inspection.x, inspection.y, inspection.sample_weight]
    prepare = StreamPreparation(model)
    # Keras takes sparse batches of a generator only if all store equally many values.
    is_part = bool(record_for(model).output)
    if prepare.decide(inspection.x) or stream_kind(stream) == "generator" or is_part:
        batches = map(split_batch, islice(iter_batches(inspection.data), steps))
        prepared = (
            (prepare(x), *(targets_for(model, each) for each in others)) for x, *others in batches
        )
        return prepared, inspection.samples, first
    return inspection.data, inspection.samples if steps is None else None, first


def _check_targets(samples: int, y: Any) -> None:
    if y is None:
        raise option_error(
            "y",
            "is missing: an evaluation needs the targets.",
            Text("For predictions alone, use ", Function("predict"), "."),
        )
    if not samples:
        raise option_error("x", "is empty: nothing to evaluate.")
    shape = getattr(y, "shape", None)
    if shape and shape[0] != samples:
        counts = f" must have the same number of samples; got {samples:,} and {shape[0]:,}."
        raise EvaluationError(Text(Option("x"), " and ", Option("y"), counts))


def check_data(model: Any, data: Inspection) -> None:
    """Reject data that a compiled model cannot be evaluated on, or only on something else."""
    keras = sys.modules.get("keras")
    errors = data_errors(model, data) if keras and isinstance(model, keras.Model) else []
    if errors:
        message, remedy = join_errors(errors)
        verb = " cannot be evaluated on this data:"
        raise EvaluationError(model_phrase(model) + f"{verb}{message}", remedy)
