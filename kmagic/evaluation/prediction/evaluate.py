"""A model's loss and metrics on data that it has not seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from kmagic.evaluation.prediction.batch_prediction import (
    as_samples,
    check_sample_shape,
    shape_tuple,
)
from kmagic.evaluation.prediction.model_inputs import model_inputs_for
from kmagic.evaluation.prediction.predict import read_images
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import format_metric, isolate_direction
from kmagic.support.progress import Progress
from kmagic.support.rendering import Renderable
from kmagic.training.retracing import (
    REMEDY,
    is_rank_error,
    reset_functions,
    retrace_for,
    with_axes_of,
)

KERAS_BATCH = 32  # samples, where nobody says
LONGEST = 240  # characters of the backend's own message


class Evaluation(Renderable, dict[str, float]):
    """Loss and metrics by name: a dict that a notebook shows as a card.

    Args:
        figures: Value of each metric.
        name: Name of the model.
        samples: How many samples were judged; None where a stream did not say.
        unit: What a sample is, in the plural.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.evaluation_card:evaluation_bundle"

    def __init__(
        self,
        figures: dict[str, float],
        *,
        name: str = "",
        samples: int | None = None,
        unit: str = "samples",
    ) -> None:
        super().__init__(figures)
        self.name = name
        self.samples = samples
        self.unit = unit

    def facts(self) -> str:
        """What was judged: "10,000 test digits"."""
        return "" if self.samples is None else f"{self.samples:,} {self.unit}"

    def describe(self) -> str:
        """The figures in words: "cnn: 10,000 test digits, accuracy 0.9807, loss 0.0612"."""
        figures = [
            f"{isolate_direction(name)} {format_metric(value)}" for name, value in self.items()
        ]
        title = f"{isolate_direction(self.name)}: " if self.name else ""
        return title + ", ".join(filter(None, [self.facts(), *figures]))


def evaluate(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    sample_weight: Any = None,
    name: str = "",
    unit: str = "samples",
) -> Evaluation:
    """Judge a compiled model, as ``model.evaluate`` does.

    A long work shows how far it is; raw data are prepared as in :func:`kmagic.predict`.

    Args:
        model: A compiled Keras model.
        x: Samples along the first axis: arrays, data frames, files, sentences; a data set of
            :func:`kmagic.load_data`, whose test part is taken; or a ``tf.data.Dataset`` that
            holds both.
        y: What is true, as the model's loss takes it; names of classes become their numbers. A
            data set brings its own.
        batch_size: Samples a batch; Keras's default is 32.
        sample_weight: Weight of each sample.
        name: Name for the heading; by default the model's own.
        unit: What a sample is, in the plural, for the heading: "test digits".

    Returns:
        The metrics by name, the loss last.

    Raises:
        EvaluationError: The model is not compiled, or the data does not fit it.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> list(evaluate(model, numpy.zeros((4, 2)), numpy.zeros(4)))
        ['loss']
    """
    name = name or getattr(model, "name", "")
    if not getattr(model, "compiled", False):
        raise EvaluationError(
            f"The model {name!r} must be compiled: without a loss there is nothing to measure.",
            "model.compile(loss=..., metrics=[...]), or a line `compile` in its cell.",
        )
    material = model_inputs_for(model, x)
    if y is None and material.truth is not None:
        y, unit = material.truth, "test samples" if unit == "samples" else unit
    y = _numbers(y, getattr(material.data, "classes", None))
    x = material.x if material.x is not None else read_images(model, material)
    samples = as_samples(model, x)
    if samples is not None:
        check_sample_shape(model, samples)
        samples = with_axes_of(model, samples)
        if isinstance(y, list | tuple) and len(getattr(model, "outputs", None) or ()) < 2:  # noqa: PLR2004 - a list may also be a part for each output
            y = np.asarray(y)
        _check_truth(_count(samples), y)
    given = x if samples is None else samples
    retrace_for(model, "test", [given, y, sample_weight])
    try:
        with _shown(model, samples, batch_size) as watched:
            found = model.evaluate(
                given,
                y,
                batch_size=batch_size,
                sample_weight=sample_weight,
                verbose=0,
                return_dict=True,
                **watched,
            )
    except Exception as error:
        if not _by_the_data(error):
            raise
        if is_rank_error(error):
            reset_functions(model)
            said = f"{name}: samples or targets have other axes than those before."
            raise EvaluationError(said, REMEDY) from error
        raise EvaluationError(_explain(model, y, error)) from error
    figures = {str(key): float(np.mean(value)) for key, value in found.items()}
    if "loss" in figures:
        figures["loss"] = figures.pop("loss")
    count = None if samples is None else _count(samples)
    return Evaluation(figures, name=name, samples=count, unit=unit)


@contextmanager
def _shown(model: Any, samples: Any, batch_size: int | None) -> Iterator[dict[str, Any]]:
    """The keywords that let a long evaluation be watched."""
    keras = sys.modules.get("keras")
    if samples is None or keras is None or not isinstance(model, keras.Model):
        yield {}
        return
    step = batch_size or KERAS_BATCH
    with Progress(_count(samples), "samples judged") as work:

        def advance(batch: int, logs: Any = None) -> None:  # noqa: ARG001 - Keras's own
            work.advance(min((batch + 1) * step, work.total) - work.done)

        yield {"callbacks": [keras.callbacks.LambdaCallback(on_test_batch_end=advance)]}


def _numbers(y: Any, classes: Any) -> Any:
    """Labels as the model's loss takes them: a column as an array, names as numbers."""
    if hasattr(y, "iloc"):
        y = y.to_numpy()
    words = y[0] if isinstance(y, list | tuple | np.ndarray) and len(y) else None
    if classes is None or not isinstance(words, str):
        return y
    known = {name: index for index, name in enumerate(classes)}
    foreign = sorted({str(each) for each in y} - set(known))
    if foreign:
        raise EvaluationError(
            f"The classes are {', '.join(map(str, classes))}; y holds {', '.join(foreign[:5])}."
        )
    return np.array([known[str(each)] for each in y])


def _count(samples: Any) -> int:
    parts = samples.values() if isinstance(samples, dict) else samples
    return len(next(iter(parts))) if isinstance(samples, dict | list) else len(samples)


def _check_truth(samples: int, y: Any) -> None:
    if y is None:
        raise EvaluationError(
            "y is missing: what is true must be known to judge a model.",
            "For the answers alone: model.predict(x).",
        )
    if not samples:
        raise EvaluationError("x is empty: there is nothing to judge.")
    shape = getattr(y, "shape", None)
    if isinstance(y, dict | list | tuple) and shape is None:
        return
    if shape and shape[0] != samples:
        raise EvaluationError(
            f"x and y must hold equally many samples; received {samples:,} and {shape[0]:,}."
        )


def _by_the_data(error: Exception) -> bool:
    """Whether Keras or its backend complains of a shape or a value, not of a bug."""
    return isinstance(error, ValueError | TypeError) or type(error).__name__ == (
        "InvalidArgumentError"
    )


def _explain(model: Any, y: Any, error: Exception) -> str:
    answer = getattr(model, "output_shape", None)
    shape = getattr(y, "shape", None)
    known = isinstance(answer, tuple) and shape is not None
    fit = (
        f"it answers with shape {shape_tuple(tuple(answer))}, y has shape {tuple(shape)}. "
        if known and answer is not None and shape is not None
        else ""
    )
    said = _gist(str(error)) or type(error).__name__
    return f"The data does not fit the model {getattr(model, 'name', '')!r}: {fit}Keras: {said}"


def _gist(message: str) -> str:
    """The line of a backend's message that says what is wrong, without the graph's stack."""
    noise = ("Graph execution error", "Detected at", "File ", "[[{{")
    lines = [line.strip() for line in message.splitlines()]
    return next((line[:LONGEST] for line in lines if line and not line.startswith(noise)), "")
