"""Checks of a model and its data before the first epoch; nothing is changed.

They take well under a fifth of a second: only a part of large data is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from kmagic.language.vocabulary import snake_case
from kmagic.models.lint.advice import filter_advice
from kmagic.models.lint.model_advice import loss_name, losses_of
from kmagic.models.lint.model_graph import ModelGraph, read_model_graph
from kmagic.models.model_arrays import (
    as_array,
    fits_shape,
    has_custom_step,
    match_arrays,
    structure_errors,
)
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import format_shape, pluralize
from kmagic.support.messages import Option, Text
from kmagic.training.validation.data_advice import (
    class_weight_advice,
    data_advice,
    feature_scale_advice,
    sample_step,
    scale_drift_advice,
)

FATAL = (
    "embedding-index",
    "label-range",
    "numbers-categorical",
    "one-hot-sparse",
    "target-rank",
)
"""Codes of advice about data that Keras cannot train on, or only to nan."""
SKIP_CHECKS = Text("To train anyway, pass ", Option("checks", False), ".")


@dataclass(frozen=True, slots=True)
class CompileChoice:
    """The loss and metric that suit a model's output and its targets.

    Attributes:
        loss: The loss's name.
        metric: The metric's name.
        from_logits: Whether the model's last layer has no activation.
    """

    loss: str
    metric: str
    from_logits: bool = False

    def apply(self, model: keras.Model) -> None:
        """Compile a model."""
        loss: Any = self.loss
        if self.from_logits:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=[self.metric])

    def __str__(self) -> str:
        loss = f"{self.loss}(from_logits=true)" if self.from_logits else self.loss
        return f"adam, loss={loss}, metrics={self.metric}"


@dataclass(frozen=True, slots=True)
class DataReview:
    """The result of :func:`review_data`.

    Attributes:
        messages: Advice, one or two sentences each.
        compile_choice: How to compile the model; None if it is compiled.
    """

    messages: Sequence[str] = ()
    compile_choice: CompileChoice | None = None


@dataclass(frozen=True, slots=True)
class DataProblem:
    """Data that cannot be trained on."""

    message: str
    remedy: str


def review_data(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    built: Any = None,
    validation: Any = None,
    test: Any = None,
    name: str = "",
    columns: Sequence[str] = (),
    class_weight: Any = None,
) -> DataReview:
    """Check a model and its data before training; neither is changed.

    Args:
        model: A Keras model.
        x: Inputs.
        y: Targets.
        built: What the model was built from, if known.
        validation: Validation data; a pair is looked at.
        test: Inputs that the model will be evaluated on, if known.
        name: The model's name for messages.
        columns: Names of the inputs' columns, if known.
        class_weight: Weight by class index.

    Raises:
        TrainingError: The data cannot be trained on.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> review_data(model, np.ones((8, 2)), np.ones(8)).messages
        ['line was not compiled. It is now compiled with adam, loss=mse, metrics=mae.']
    """
    name = name or model.name
    parts = {
        part.label: array
        for part in (*match_arrays(model, x), *match_arrays(model, y, "outputs"))
        if (array := part.array) is not None
    }
    inputs, targets = parts.get("x"), parts.get("y")
    errors = [DataProblem(*error) for error in structure_errors(model, x, y)]
    errors += [*_length_errors(parts), *_shape_errors(model, x)]
    if isinstance(validation, tuple | list) and validation:
        errors += _shape_errors(model, validation[0], "the validation data")
    errors += _text_label_errors(y)
    for label, array in parts.items():
        errors += _nan_errors(label, array)
    _raise_for(name, errors)
    graph = read_model_graph(model, built)
    choice = None if model.compiled else choose_compile(graph, name, targets)
    loss = choice.loss if choice else ""
    advice = list(data_advice(graph, x, y, loss=loss))
    fatal = [DataProblem(item.message, item.remedy) for item in advice if item.code in FATAL]
    _raise_for(name, [*fatal, *_fraction_errors(graph, targets, loss)])
    advice += feature_scale_advice(graph, inputs, columns)
    advice += scale_drift_advice(model, x, validation, test)
    advice += class_weight_advice(class_weight, targets)
    source = built.spec.source if built is not None else ""
    messages = [f"{name} was not compiled. It is now compiled with {choice}."] if choice else []
    messages += [
        f"{item.message} {item.remedy}" for item in filter_advice(advice, source, (), hints=False)
    ]
    return DataReview(messages, choice)


def _raise_for(name: str, errors: Sequence[DataProblem]) -> None:
    if not errors:
        return
    if len(errors) == 1:
        text = f" {errors[0].message}"
    else:
        text = "".join(f"\n  - {error.message}" for error in errors)
    remedies = " ".join(dict.fromkeys(error.remedy for error in errors))
    raise TrainingError(
        f"{name} cannot be trained on this data:{text}", Text(f"{remedies}\n", SKIP_CHECKS)
    )


# --- lengths and shapes -------------------------------------------------------------------------


def _length_errors(parts: Mapping[str, Any]) -> Iterator[DataProblem]:
    first = next(iter(parts), "")
    for label, array in parts.items():
        if len(array) != len(parts[first]):
            yield DataProblem(
                f"{first} has {len(parts[first]):,} samples but {label} has {len(array):,}.",
                "Pass one entry per sample in both, in the same order.",
            )
            return


def _shape_errors(model: Any, x: Any, subject: str = "") -> Iterator[DataProblem]:
    for part in match_arrays(model, x):
        array = part.array
        expected = getattr(part.tensor, "shape", None)
        if array is None:
            continue
        if not isinstance(expected, tuple):
            yield from _rank_errors(model, array, subject or part.label)
        elif not fits_shape(array.shape[1:], expected[1:]):
            input_name = f"input {part.name}" if part.name else "input"
            yield DataProblem(
                f"its {input_name} expects {_shape_text(expected[1:])} per sample, but "
                f"{subject or part.label} has {_shape_text(array.shape[1:])}.",
                _reshape_remedy(array.shape[1:], expected[1:]),
            )


def _rank_errors(model: Any, array: Any, subject: str) -> Iterator[DataProblem]:
    """For a Sequential model without an input shape: whether its first layer takes the rank."""
    if not isinstance(model, keras.Sequential) or model.built or not model.layers:
        return
    spec = model.layers[0].input_spec
    rank = getattr(spec, "ndim", None) or getattr(spec, "min_ndim", None)
    if rank is None or array.ndim >= rank:
        return
    word = snake_case(type(model.layers[0]).__name__)
    shape = _code_shape((*array.shape[1:], *(1,) * (rank - array.ndim)))
    yield DataProblem(
        f"its first layer, {word}, expects samples of {pluralize(rank - 1, 'axis', 'axes')}, but "
        f"{subject} has {_shape_text(array.shape[1:])}.",
        f"If the last axis is missing, start the model with `input {shape}`, or pass x[..., None]."
        if rank - array.ndim == 1
        else f"Reshape x to such samples, for example to {shape}.",
    )


def _reshape_remedy(received: Sequence[int], expected: Sequence[int | None]) -> str:
    if received and len(received) + 1 == len(expected) and tuple(expected[:-1]) == tuple(received):
        return (
            f"The channel axis is missing: write `input {_code_shape((*received, 1))}`, or give x "
            f"{expected[-1]} channels."
        )
    sizes = [size for size in expected if size is not None]
    if len(sizes) == len(expected) and prod(sizes) == prod(received):
        new_shape = ", ".join(map(str, sizes))
        return f"Write x.reshape(-1, {new_shape}), or `input {_code_shape(received)}`."
    return f"Write `input {_code_shape(received)}`, or reshape x to the shape of the input."


def _code_shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _shape_text(shape: Sequence[int | None]) -> str:
    return f"shape {format_shape(shape)}" if len(shape) else "a single number"


# --- values -------------------------------------------------------------------------------------


def _text_label_errors(y: Any) -> Iterator[DataProblem]:
    array = as_array(y)
    if array is None or array.dtype.kind not in "OUS":
        return
    first = array.reshape(-1)[0]
    if isinstance(first, str | bytes):
        yield DataProblem(
            f"the labels are texts such as {str(first)!r}, but a loss expects numbers.",
            "Number them: `classes, y = numpy.unique(y, return_inverse=True)`.",
        )


def _nan_errors(label: str, array: Any) -> Iterator[DataProblem]:
    """Whether there are nan or inf; a sum finds them, because it is nan or inf as well."""
    if array.dtype.kind not in "fc":
        return
    sample = array[:: sample_step(array)]
    with np.errstate(all="ignore"):
        if np.isfinite(sample.sum(dtype="float64")):
            return
    finite = np.isfinite(sample.reshape(len(sample), -1)).all(axis=1)
    if finite.all():
        return
    row = int(np.argmin(finite)) * sample_step(array)
    yield DataProblem(
        f"{label} contains nan or inf, first in sample {row:,}, so the loss would be nan as well.",
        f"Remove those samples, or use numpy.nan_to_num({label}).",
    )


def _fraction_errors(graph: ModelGraph, y: Any, loss: str) -> Iterator[DataProblem]:
    if y is None or y.dtype.kind != "f" or len(graph.ends) != 1:
        return
    sample = y[:: sample_step(y)]
    loss = loss or loss_name(losses_of(graph.model, 1)[0])
    fractions = sample[sample != np.floor(sample)]
    if loss == "sparse_categorical_crossentropy" and fractions.size:
        yield DataProblem(
            f"{loss} expects class indices, but y contains fractions such as "
            f"{float(fractions.flat[0]):g}.",
            "To predict numbers, write `dense 1` and loss=mse. For classes, use integers from 0.",
        )


# --- an uncompiled model ------------------------------------------------------------------------


def choose_compile(graph: ModelGraph, name: str, y: Any) -> CompileChoice:
    """Choose the loss and metric for a model that is not compiled.

    Raises:
        TrainingError: The model has several outputs.
    """
    if has_custom_step(graph.model):
        raise TrainingError(
            f"{name} is not compiled.",
            'It computes its own loss, so an optimizer is enough: model.compile("adam").',
        )
    if len(graph.ends) != 1:
        raise TrainingError(
            f"{name} is not compiled, and a loss can be chosen automatically only for a model with "
            "one known output.",
            "Add a line such as `compile adam loss=mse`, or call model.compile(...).",
        )
    end = graph.ends[0]
    has_labels = y is not None and y.dtype.kind in "iu" and end.units > 1
    is_one_hot = y is not None and y.ndim == end.rank and y.shape[-1] == end.units > 1
    is_linear = end.activation == "linear"
    if end.activation == "softmax" or (has_labels and not is_one_hot and is_linear):
        loss = "categorical_crossentropy" if is_one_hot else "sparse_categorical_crossentropy"
        return CompileChoice(loss, "accuracy", from_logits=is_linear)
    if end.activation == "sigmoid":
        return CompileChoice("binary_crossentropy", "accuracy")
    return CompileChoice("mse", "mae")
