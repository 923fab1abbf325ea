"""Advice about the data of a fit: mistakes that Keras accepts silently or reports unclearly."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kmagic.data.preparation.scale_drift import (
    SCALE_DRIFT_REMEDY,
    input_spreads,
    scale_difference,
)
from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_advice import BINARY, REGRESSION, loss_name, losses_of
from kmagic.models.lint.model_graph import TRAINING_ONLY, TRANSPARENT, LayerCall, ModelGraph

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


# --- inputs -------------------------------------------------------------------------------------


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


# --- targets ------------------------------------------------------------------------------------


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
