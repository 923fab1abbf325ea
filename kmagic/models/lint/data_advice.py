"""Whether data go with a model: what Keras tells late, in other words, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_graph import TRAINING_ONLY, TRANSPARENT, LayerCall, ModelGraph
from kmagic.models.lint.output_advice import BINARY, REGRESSION, loss_name, losses_of

SAMPLES = 10_000
"""So many samples are looked at."""
ALL_LABELS = 1_000_000
"""Of labels so many, since they may be sorted."""
_SCALING = ("BatchNormalization", "Embedding", "Normalization", "Rescaling")
_MOVING = ("AveragePooling", "Cropping", "MaxPooling", "ZeroPadding")
_FLAT, _BRIGHTEST = 64, 255
"""A table so wide whose largest value is this one holds pictures as rows."""
_LOSSES = ("sparse_categorical_crossentropy", *BINARY, *REGRESSION)
"""Those of which it is known what they take."""
_BRIGHT = 16
"""Scaled pictures stay below this, and raw ones go far beyond."""


def data_advice(facts: ModelGraph, x: Any, y: Any, *, loss: str = "") -> Iterator[Advice]:
    """Advice about arrays for training; what is no single array is not looked at.

    Args:
        facts: The model's.
        x: Inputs.
        y: Targets.
        loss: The loss's name, for a model that is not compiled yet.
    """
    inputs, targets = _array(x), _array(y, ALL_LABELS)
    if inputs is not None:
        yield from _raw_pictures(facts, inputs)
        yield from _beyond_embedding(facts, inputs)
    if targets is not None and len(facts.ends) == 1:
        if getattr(facts.model, "compiled", False):
            loss = loss_name(losses_of(facts.model, 1)[0])
        yield from _of_targets(facts.ends[0], loss, targets)


def _array(values: Any, most: int = SAMPLES) -> Any:
    """The first samples as an array, or None if they are not one array of numbers."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if not hasattr(values, "shape") or not hasattr(values, "__getitem__"):
        return None
    array = np.asarray(values[:most])
    return array if array.size and array.dtype.kind in "biuf" else None


def _raw_pictures(facts: ModelGraph, x: Any) -> Iterator[Advice]:
    first = [call for call in facts.calls if call.kind == "InputLayer"]
    if x.min() < 0 or x.max() <= _BRIGHT or len(first) != 1 or facts.opaque:
        return
    flat = x.ndim == 2 and x.shape[1] >= _FLAT and x.max() == _BRIGHTEST  # noqa: PLR2004 - rows of pixels
    if x.ndim < 3 and not flat:  # noqa: PLR2004 - samples of rows at least
        return
    working = list(_working(first[0]))
    if any(call.is_any(*_SCALING) for child in working for call in _first_two(child)):
        return
    if working and all(child.is_any("Dense", "Conv") for child in working):
        yield Advice(
            "raw-pictures",
            f"the values go up to {x.max():,g}, and a model learns best from values near 0 to 1.",
            "Divide them by 255, or begin with `rescaling {1 / 255}`.",
        )


def _working(call: LayerCall) -> Iterator[LayerCall]:
    """The first calls behind one that do more than move, pool or drop values."""
    for child in call.children:
        if child.is_any(*TRANSPARENT, *TRAINING_ONLY, *_MOVING):
            yield from _working(child)
        else:
            yield child


def _first_two(call: LayerCall) -> list[LayerCall]:
    return [call, *call.children]


def _beyond_embedding(facts: ModelGraph, x: Any) -> Iterator[Advice]:
    for call in facts.calls:
        direct = [each.kind for each in call.parents] == ["InputLayer"]
        if call.kind == "Embedding" and direct and x.max() >= call.layer.input_dim:
            yield Advice(
                "embedding-index",
                f"embedding knows the numbers below {call.layer.input_dim:,}, "
                f"and the data go up to {x.max():,}.",
                f"Write `embedding {x.max() + 1}`, or make fewer words.",
                call.span,
                call.name,
            )


def _of_targets(end: LayerCall, loss: str, y: Any) -> Iterator[Advice]:
    units, shape = end.units, tuple(y.shape)

    def advice(code: str, message: str, remedy: str) -> Advice:
        return Advice(code, message, remedy, end.span, end.name)

    one_hot = units > 1 and shape[-1] == units and len(shape) == end.rank
    if loss in _LOSSES and _one_for_many(end, loss, shape):
        many = "x".join("any" if each is None else str(each) for each in end.shape[1:])
        yield advice(
            "target-rank",
            f"a target is one number, and {loss} holds it against an output of {many}.",
            _less_output(end, loss),
        )
    elif loss == "sparse_categorical_crossentropy":
        if one_hot:
            yield advice(
                "one-hot-sparse",
                "the targets are one-hot, and sparse_categorical_crossentropy takes class numbers.",
                "Write loss=categorical_crossentropy.",
            )
        elif units > 1 and (y.max() >= units or y.min() < 0):
            yield advice(
                "label-range",
                f"labels go from {y.min():g} to {y.max():g}, and the units are 0 to {units - 1}.",
                _more_units(y, units),
            )
    elif loss == "categorical_crossentropy" and units > 1 and not one_hot:
        yield advice(
            "numbers-categorical",
            f"the targets are class numbers, and {loss} takes {units} shares for each.",
            "Write loss=sparse_categorical_crossentropy.",
        )
    elif loss in BINARY and (y.max() > 1 or y.min() < 0):
        yield advice(
            "binary-range",
            f"{loss} takes targets from 0 to 1, and these go from {y.min():g} to {y.max():g}.",
            "Scale them, or take softmax and a categorical loss for several classes.",
        )
    elif (
        loss in REGRESSION
        and end.rank == len(shape) == 2  # noqa: PLR2004 - a row a sample
        and shape[-1] != units
        and 1 in (shape[-1], units)
    ):
        yield advice(
            "target-shape",
            f"targets are {shape[-1]} numbers and outputs {units}: each is held against all.",
            f"Let the last layer have {shape[-1]} units.",
        )


def _more_units(y: Any, units: int) -> str:
    """What to do about labels that are not 0 to units - 1."""
    if y.dtype.kind == "f" and (y % 1).any():
        return "Count the labels from 0."
    if y.min() >= 1 and y.max() - y.min() < units:
        return "Count the labels from 0."
    return f"Write {y.max() + 1:g} units, or count the labels from 0."


def _one_for_many(end: LayerCall, loss: str, shape: tuple[int, ...]) -> bool:
    """Whether samples have one target each, and more outputs than the loss holds against it."""
    if end.rank < 2 or shape[1:] not in ((), (1,)):  # noqa: PLR2004 - a row a sample
        return False
    if loss == "sparse_categorical_crossentropy":
        return end.rank > 2  # noqa: PLR2004 - as above
    return not shape[1:] and (end.rank > 2 or end.units > 1)  # noqa: PLR2004 - as above


def _less_output(end: LayerCall, loss: str) -> str:
    """What to do about an output of more numbers than a target has."""
    if end.rank > 2:  # noqa: PLR2004 - a row a sample
        return f"Write `flatten` above `{end.word}`, or a pooling such as `gap`."
    if loss in BINARY:
        return "For classes: softmax and loss=sparse_categorical_crossentropy; for two: one unit."
    return "For a number to predict: `dense 1`, without softmax."
