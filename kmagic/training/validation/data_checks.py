"""Checks of a model and its data before the first epoch; nothing is changed.

They find data that cannot be trained on, and mistakes that Keras accepts silently or reports
unclearly. They take well under a fifth of a second: only a part of large data is looked at.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import keras
import numpy as np

from kmagic.data.preparation.scale_drift import (
    SCALE_DRIFT_REMEDY,
    input_spreads,
    scale_difference,
)
from kmagic.language.vocabulary import snake_case
from kmagic.models.lint.advice import Advice, filter_advice
from kmagic.models.lint.model_advice import BINARY, REGRESSION, loss_name, losses_of
from kmagic.models.lint.model_graph import (
    TRAINING_ONLY,
    TRANSPARENT,
    LayerCall,
    ModelGraph,
    read_model_graph,
)
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

MAX_SAMPLES, MAX_LABELS = 10_000, 1_000_000
"""Samples of ``x`` and labels of ``y`` that are looked at; labels may be sorted."""
MAX_VALUES = 2**23
"""Values of an array that are looked at, evenly spread over the samples."""
SCALING_LAYERS = (
    "BatchNormalization",
    "Embedding",
    "GroupNormalization",
    "LayerNormalization",
    "Normalization",
    "Rescaling",
)
MOVING_LAYERS = ("AveragePooling", "Cropping", "MaxPooling", "ZeroPadding")
PIXEL_COLUMNS, MAX_PIXEL = 64, 255
"""A table with this many columns, whose largest value is 255 or whose values are 0 to 1, is taken
for images as rows."""
MAX_SCALED = 16
"""Values of scaled images stay below this."""
MAX_SPREAD_RATIO = 1000.0
MAX_CLASSES_SHOWN = 5
KNOWN_LOSSES = ("sparse_categorical_crossentropy", *BINARY, *REGRESSION)
"""Losses whose targets are known."""
FATAL = ("embedding-index", "label-range", "numbers-categorical", "one-hot-sparse", "target-rank")
"""Codes of advice about data that Keras cannot train on, or only to nan."""
SKIP_CHECKS = Text("To train anyway, pass ", Option("checks", False), ".")


@dataclass(frozen=True, slots=True)
class CompileChoice:
    """The loss and metric that suit a model's output and its targets."""

    loss: str
    metric: str
    from_logits: bool = False  # the model's last layer has no activation

    def apply(self, model: keras.Model) -> None:
        """Compile a model."""
        loss: Any = self.loss
        if self.from_logits:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=[self.metric])

    def __str__(self) -> str:
        loss = f"{self.loss}(from_logits=true)" if self.from_logits else self.loss
        return f"adam, loss={loss}, metrics={self.metric}"


class DataProblem(NamedTuple):
    """Data that cannot be trained on."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DataReview:
    """The result of :func:`review_data`: advice, and how to compile an uncompiled model."""

    messages: Sequence[str] = ()
    compile_choice: CompileChoice | None = None


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

    ``built`` is what the model was built from, ``test`` inputs that it will be evaluated on, and
    ``columns`` the names of the inputs' columns, if they are known.

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
    errors = [*structure_errors(model, x, y), *_length_errors(parts), *_shape_errors(model, x)]
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
    fatal = [(item.message, item.remedy) for item in advice if item.code in FATAL]
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


def _raise_for(name: str, errors: Sequence[tuple[str, str]]) -> None:
    if not errors:
        return
    messages, remedies = zip(*errors, strict=True)
    text = " " + messages[0] if len(errors) == 1 else "".join(f"\n  - {text}" for text in messages)
    raise TrainingError(
        f"{name} cannot be trained on this data:{text}",
        Text(" ".join(dict.fromkeys(remedies)), "\n", SKIP_CHECKS),
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


def data_advice(graph: ModelGraph, x: Any, y: Any, *, loss: str = "") -> Iterator[Advice]:
    """Advice about single arrays of inputs and targets."""
    inputs, targets = _first_samples(x, MAX_SAMPLES), _first_samples(y, MAX_LABELS)
    if inputs is not None:
        yield from _unscaled_images(graph, inputs)
        yield from _embedding_range(graph, inputs)
    if targets is not None and len(graph.ends) == 1:
        if getattr(graph.model, "compiled", False):
            loss = loss_name(losses_of(graph.model, 1)[0])
        yield from _target_advice(graph.ends[0], loss, targets)


def _first_samples(values: Any, limit: int) -> Any:
    if not hasattr(values, "shape") or not hasattr(values, "__getitem__"):
        return None
    array = np.asarray(values[:limit])
    return array if array.size and array.dtype.kind in "biuf" else None


def sample_step(array: Any) -> int:
    """The distance of the samples that are looked at, so few that it is quick."""
    return max(1, -(-int(array.size) // MAX_VALUES))


# --- advice about inputs ------------------------------------------------------------------------


def _unscaled_images(graph: ModelGraph, x: Any) -> Iterator[Advice]:
    inputs = [call for call in graph.calls if call.kind == "InputLayer"]
    if x.min() < 0 or x.max() <= MAX_SCALED or len(inputs) != 1 or graph.opaque:
        return
    is_flat = x.ndim == 2 and x.shape[1] >= PIXEL_COLUMNS and x.max() == MAX_PIXEL  # noqa: PLR2004 - rows of pixels
    if x.ndim < 3 and not is_flat:  # noqa: PLR2004 - samples of rows at least
        return
    first = list(_first_working_calls(inputs[0]))
    if any(call.is_any(*SCALING_LAYERS) for child in first for call in (child, *child.children)):
        return
    if first and all(child.is_any("Dense", "Conv") for child in first):
        yield Advice(
            "raw-pictures",
            f"The network will learn slowly: values go up to {x.max():,g}, and models learn best "
            "from values between 0 and 1.",
            "Divide them by 255, or start the model with `rescaling {1 / 255}`.",
        )


def _first_working_calls(call: LayerCall) -> Iterator[LayerCall]:
    """The first calls after one that do more than move, pool or drop values."""
    for child in call.children:
        if child.is_any(*TRANSPARENT, *TRAINING_ONLY, *MOVING_LAYERS):
            yield from _first_working_calls(child)
        else:
            yield child


def _embedding_range(graph: ModelGraph, x: Any) -> Iterator[Advice]:
    for call in graph.calls:
        is_first = [parent.kind for parent in call.parents] == ["InputLayer"]
        if call.kind == "Embedding" and is_first and x.max() >= call.layer.input_dim:
            yield Advice(
                "embedding-index",
                f"embedding accepts indices below {call.layer.input_dim:,}, but the data goes up "
                f"to {x.max():,}.",
                f"Write `embedding {x.max() + 1}`, or use a smaller vocabulary.",
                call.span,
                call.name,
            )


def feature_scale_advice(graph: ModelGraph, x: Any, names: Sequence[str]) -> Iterator[Advice]:
    """Advice about a table whose columns differ so much that the large ones dominate."""
    table = 2
    if x is None or x.ndim != table or x.shape[1] < table or x.dtype.kind not in "iuf":
        return
    first = [child for call in graph.calls if call.kind == "InputLayer" for child in call.children]
    if graph.opaque or any(call.is_any(*SCALING_LAYERS) for call in first):
        return
    sample = x[:: sample_step(x)]
    if x.shape[1] >= PIXEL_COLUMNS and sample.min() >= 0 and sample.max() <= 1:
        return  # pixels in a row: one that is rarely lit has no other scale
    spread = sample.std(axis=0)
    columns = np.flatnonzero(spread > 0)
    if len(columns) < table:
        return
    small = int(columns[spread[columns].argmin()])
    large = int(columns[spread[columns].argmax()])
    if spread[large] > MAX_SPREAD_RATIO * spread[small]:
        has_names = len(names) == x.shape[1]
        high, low = (f"column {names[index] if has_names else index}" for index in (large, small))
        yield Advice(
            "feature-scales",
            f"Features with large values will dominate: the standard deviation of {high} is "
            f"{spread[large]:,.3g}, that of {low} {spread[small]:,.3g}.",
            "Load with --scale standard, or start the model with `batch_normalization`.",
        )


def scale_drift_advice(model: Any, x: Any, validation: Any, test: Any) -> Iterator[Advice]:
    """Advice about validation and test data scaled differently than the training data."""
    is_pair = isinstance(validation, tuple | list) and len(validation) > 1
    training = input_spreads(model, x)
    for part, values in (("validation", validation[0] if is_pair else None), ("test", test)):
        message = scale_difference(part, input_spreads(model, values), training)
        if message:
            yield Advice(f"{part}-scale", message, SCALE_DRIFT_REMEDY)


# --- advice about targets ------------------------------------------------------------------------


def _target_advice(end: LayerCall, loss: str, y: Any) -> Iterator[Advice]:
    units, shape = end.units, tuple(y.shape)

    def advice(code: str, message: str, remedy: str) -> Advice:
        return Advice(code, message, remedy, end.span, end.name)

    is_one_hot = units > 1 and shape[-1] == units and len(shape) == end.rank
    if loss in KNOWN_LOSSES and _has_excess_outputs(end, loss, shape):
        output = "x".join("any" if size is None else str(size) for size in end.shape[1:])
        yield advice(
            "target-rank",
            f"A target is one number, but {loss} compares it with an output of {output}.",
            _fewer_outputs_remedy(end, loss),
        )
    elif loss == "sparse_categorical_crossentropy":
        if is_one_hot:
            yield advice(
                "one-hot-sparse",
                "The targets are one-hot, but sparse_categorical_crossentropy expects class "
                "indices.",
                "Write loss=categorical_crossentropy.",
            )
        elif units > 1 and (y.max() >= units or y.min() < 0):
            yield advice(
                "label-range",
                f"Labels run from {y.min():g} to {y.max():g}, but the last layer has {units} "
                f"units, for labels 0 to {units - 1}.",
                _label_range_remedy(y, units),
            )
    elif loss == "categorical_crossentropy" and units > 1 and not is_one_hot:
        yield advice(
            "numbers-categorical",
            f"The targets are class indices, but {loss} expects one-hot rows ({units} values per "
            "sample).",
            "Write loss=sparse_categorical_crossentropy.",
        )
    elif loss in BINARY and (y.max() > 1 or y.min() < 0):
        yield advice(
            "binary-range",
            f"{loss} expects targets from 0 to 1, but these run from {y.min():g} to {y.max():g}.",
            "Scale them, or use softmax and a categorical loss for several classes.",
        )
    elif (
        loss in REGRESSION
        and end.rank == len(shape) == 2  # noqa: PLR2004 - one row per sample
        and shape[-1] != units
        and 1 in (shape[-1], units)
    ):
        yield advice(
            "target-shape",
            f"There are {shape[-1]} targets and {units} outputs per sample: each is compared with "
            "all others.",
            f"Use {shape[-1]} units in the last layer.",
        )


def _label_range_remedy(y: Any, units: int) -> str:
    has_fractions = y.dtype.kind == "f" and (y % 1).any()
    if has_fractions or (y.min() >= 1 and y.max() - y.min() < units):
        return "Number the labels from 0."
    return f"Write {y.max() + 1:g} units, or number the labels from 0."


def _has_excess_outputs(end: LayerCall, loss: str, shape: tuple[int, ...]) -> bool:
    """Whether samples have one target each, but more outputs than the loss compares it with."""
    if end.rank < 2 or shape[1:] not in ((), (1,)):  # noqa: PLR2004 - one row per sample
        return False
    if loss == "sparse_categorical_crossentropy":
        return end.rank > 2  # noqa: PLR2004 - as above
    return not shape[1:] and (end.rank > 2 or end.units > 1)  # noqa: PLR2004 - as above


def _fewer_outputs_remedy(end: LayerCall, loss: str) -> str:
    if end.rank > 2:  # noqa: PLR2004 - one row per sample
        return f"Write `flatten` before `{end.word}`, or a pooling layer such as `gap`."
    if loss in BINARY:
        return (
            "Use softmax and loss=sparse_categorical_crossentropy for classes; one unit for two "
            "classes."
        )
    return "To predict a number, write `dense 1` without softmax."


def class_weight_advice(weights: Any, y: Any) -> Iterator[Advice]:
    """Advice about class weights that do not match the labels."""
    if not isinstance(weights, Mapping) or y is None or y.dtype.kind not in "biuf" or y.ndim > 2:  # noqa: PLR2004 - rows
        return
    if not all(isinstance(item, numbers.Real) for pair in weights.items() for item in pair):
        return  # rejected elsewhere
    labels = y.argmax(axis=1) if y.ndim > 1 and y.shape[1] > 1 else y.reshape(-1)
    classes = {int(label) for label in np.unique(labels)}
    unknown, missing = sorted(set(weights) - classes), sorted(classes - set(weights))
    remedy = "A class that class_weight does not name has weight 1."
    if unknown:
        yield Advice(
            "class-weight",
            f"class_weight has {_first_few(unknown)}, but y has {_first_few(sorted(classes))}.",
            remedy,
        )
    elif missing:
        noun = "class" if len(missing) == 1 else "classes"
        yield Advice(
            "class-weight", f"class_weight does not name {noun} {_first_few(missing)}.", remedy
        )
    negative = sorted(index for index, weight in weights.items() if weight < 0)
    if negative:
        yield Advice(
            "negative-weight",
            f"The model learns to be wrong for class {_first_few(negative)}: its class_weight is "
            "negative.",
            "Use weights of at least 0.",
        )


def _first_few(classes: list[int]) -> str:
    shown = ", ".join(map(str, classes[:MAX_CLASSES_SHOWN]))
    more = len(classes) - MAX_CLASSES_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more"


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
