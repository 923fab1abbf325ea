"""Checks of labels against the outputs and losses of a model, and of how they are divided."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import keras
import numpy as np

from kmagic.data.inspection import Inspection
from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_advice import (
    BINARY,
    CATEGORICAL,
    REGRESSION,
    loss_name,
    losses_of,
)
from kmagic.models.lint.model_graph import LayerCall, ModelGraph
from kmagic.models.model_arrays import Shape, as_array, fits_shape, match_arrays
from kmagic.support.formatting import format_shape, format_value, list_names, pluralize
from kmagic.training.fit_inputs import split_index

MAX_LABELS = 1_000_000
"""Samples whose labels are looked at; labels may be sorted."""
MAX_VALUES = 2**23
"""Values of an array that are looked at, evenly spread over the samples."""
SPARSE = "sparse_categorical_crossentropy"
KNOWN_LOSSES = (SPARSE, *BINARY, *REGRESSION)
"""Losses whose targets are known."""
UNLIKE_OUTPUT = ("sparse_", "ctc", "circle", "categorical_generalized")
"""Prefixes of Keras's losses whose targets do not have the shape of the output."""
UNIT_LAYERS = ("Conv", "Dense", "GRU", "LSTM", "SimpleRNN")
"""Layers with a number of units or filters."""
MASK_VALUE = 255
"""The largest value of a mask, or the label of pixels without a class."""
MAX_CLASSES, MAX_CLASSES_SHOWN = 1000, 5
MIN_ORDERED = 10
"""Validation samples from which on it is no coincidence that all targets are larger."""
FATAL = (
    "binary-range",
    "label-range",
    "numbers-categorical",
    "one-hot-sparse",
    "target-rank",
    "target-shape",
    "fractions",
)
"""Codes of advice about targets that Keras cannot train on, or only on something else."""


class OutputLabels(NamedTuple):
    """The labels of one output, and what they are compared with."""

    variable: str  # as a user writes it: "y", "y['kind']"
    where: str  # which data it is from: " of the validation data"
    y: Any  # labels of some samples
    loss: Any
    end: LayerCall  # the call that computes the output
    output: Shape  # the shape of the output, with the batch
    data: Inspection

    @property
    def label(self) -> str:
        """The labels, for a message."""
        return self.variable + self.where

    @property
    def loss_name(self) -> str:
        """The word of the loss."""
        return loss_name(self.loss)

    @property
    def units(self) -> int:
        """The size of the output's last axis; 0 if it is unknown."""
        return (self.output[-1] or 0) if len(self.output) > 1 else 0

    def advice(self, code: str, message: str, remedy: str) -> Advice:
        """Advice with the line of the output's layer."""
        return Advice(code, message, remedy, self.end.span, self.end.name)

    def changed(self, expression: str) -> str:
        """An expression that replaces the labels, where the user would write it."""
        changed = expression.replace("y", self.variable, 1)
        if self.data.kind == "tf.data.Dataset":
            if self.variable != "y":  # y['kind']
                changed = f"{{**y, {self.variable[2:-1]}: {changed}}}"
            return f"x.map(lambda x, y: (x, {changed}))"
        return f"{changed} in each batch" if self.data.is_stream else changed


def target_advice(
    graph: ModelGraph, data: Inspection, *, loss: Any = "", where: str = ""
) -> Iterator[Advice]:
    """Advice about labels that do not suit the outputs, or the losses, of a model.

    ``loss`` is that of an uncompiled model, and ``where`` says which data it is.
    """
    for target in _targets(graph, data, loss, where):
        problem = _target_problem(target)
        if problem is not None:
            yield problem
        yield from _fractions(target)


def _targets(graph: ModelGraph, data: Inspection, loss: Any, where: str) -> Iterator[OutputLabels]:
    model = graph.model
    ends, outputs = _ends(graph, data.x), list(getattr(model, "outputs", None) or ())
    is_compiled = getattr(model, "compiled", False)
    losses = losses_of(model, len(ends)) if is_compiled else [loss] * len(ends)
    for part in match_arrays(model, data.y, "outputs"):
        array = part.array
        indices = [index for index, tensor in enumerate(outputs) if tensor is part.tensor]
        index = indices[0] if indices else 0
        if array is None or array.dtype.kind not in "biuf" or index >= len(ends):
            continue
        if len(ends) > 1 and not indices:
            continue
        shape = ends[index].shape if part.tensor is None else part.tensor.shape
        if isinstance(shape, tuple):
            sample = array[:MAX_LABELS]
            sample = sample[:: max(1, sample.size // MAX_VALUES)]
            yield OutputLabels(part.label, where, sample, losses[index], ends[index], shape, data)


def _ends(graph: ModelGraph, x: Any) -> list[LayerCall]:
    """The calls that compute the outputs, also of a stack without input and of a subclass."""
    model, array = graph.model, as_array(x)
    is_stack = isinstance(model, keras.Sequential) and bool(model.layers)
    if graph.ends or array is None or not (is_stack or model.built):
        return graph.ends
    layer = model.layers[-1] if is_stack else model
    try:
        if is_stack:
            shape = model.compute_output_shape((None, *array.shape[1:]))
        else:
            inputs = keras.KerasTensor((None, *array.shape[1:]), str(array.dtype))
            shape = getattr(model(inputs), "shape", None)
    except Exception:  # noqa: BLE001 - the data does not fit, or only the user's code knows
        return []
    return [LayerCall(layer, type(layer).__name__, shape)]


# --- one output ---------------------------------------------------------------------------------


def _target_problem(target: OutputLabels) -> Advice | None:
    name, y, units, output = target.loss_name, target.y, target.units, target.output
    is_one_hot = units > 1 and y.shape[-1] == units and y.ndim == len(output)
    if name in KNOWN_LOSSES and _has_excess_outputs(target):
        return target.advice(
            "target-rank",
            f"A target is one number, but {name} compares it with an output of "
            f"{'x'.join('any' if size is None else str(size) for size in output[1:])}.",
            _fewer_outputs_remedy(target),
        )
    if name == SPARSE and is_one_hot:
        message = f"The targets are one-hot, but {SPARSE} expects class indices."
        return target.advice("one-hot-sparse", message, "Write loss=categorical_crossentropy.")
    are_indices = _fits_exactly(y.shape[1:], output[1:-1])
    if name == SPARSE and units > 1 and are_indices:
        return _range_problem(target)
    if name in CATEGORICAL and name != SPARSE and units > 1 and not is_one_hot and are_indices:
        return target.advice(
            "numbers-categorical",
            f"The targets are class indices, but {name} expects one-hot rows ({units} values per "
            "sample).",
            f"Write loss={SPARSE}.",
        )
    shape_problem = _shape_problem(target)
    if shape_problem is not None:
        return shape_problem
    return _binary_problem(target) if name in BINARY else None


def _fits_exactly(received: Shape, expected: Shape) -> bool:
    """Whether indices have a shape, perhaps with a further axis of size one."""
    return len(received) >= len(expected) and fits_shape(received, expected)


def _has_excess_outputs(target: OutputLabels) -> bool:
    """Whether samples have one target each, but more outputs than the loss compares it with."""
    received, output = target.y.shape[1:], target.output
    if len(output) < 2 or received not in ((), (1,)):  # noqa: PLR2004 - one row per sample
        return False
    if target.loss_name == SPARSE:
        return not _fits_exactly(received, output[1:-1])
    return not received and not fits_shape(received, output[1:])


def _fewer_outputs_remedy(target: OutputLabels) -> str:
    if len(target.output) > 2:  # noqa: PLR2004 - one row per sample
        return f"Write `flatten` before `{target.end.word}`, or a pooling layer such as `gap`."
    if target.loss_name in BINARY:
        return (
            "Use softmax and loss=sparse_categorical_crossentropy for classes; one unit for two "
            "classes."
        )
    return "To predict a number, write `dense 1` without softmax."


def _shape_problem(target: OutputLabels) -> Advice | None:
    """Whether Keras would repeat the labels or the outputs, or reject their shapes unclearly."""
    received, output, name = target.y.shape[1:], target.output[1:], target.loss_name
    expected = output[:-1] if name == SPARSE else output
    fits = _fits_exactly if name == SPARSE else fits_shape
    if len(target.output) < 2 or not (name == SPARSE or compares_by_element(target.loss)):  # noqa: PLR2004 - a batch of numbers
        return None
    if fits(received, expected):
        return None
    message = (
        f"{target.label} has {_shape_text(received)} per sample, but the model's output has "
        f"{_shape_text(output)}"
    )
    message += (
        f", for which {name} expects labels of {_shape_text(expected)}."
        if (name == SPARSE)
        else f", and {name} compares them value by value."
    )
    return target.advice("target-shape", message, _shape_remedy(target, received, expected))


def _shape_remedy(target: OutputLabels, received: Shape, expected: Shape) -> str:
    sizes = [size or 0 for size in expected]
    if prod(sizes) == prod(size or 0 for size in received) and None not in expected:
        sides = ", ".join(map(str, (-1, *sizes)))
        return f"Reshape the labels: {target.changed(f'y.reshape({sides})')}."
    labels = f"labels of {_shape_text(expected)}" if expected else "one label"
    differ_in_units = len(received) == len(expected) and fits_shape(received[:-1], expected[:-1])
    has_units = target.loss_name != SPARSE and target.end.is_any(*UNIT_LAYERS)
    if received and differ_in_units and has_units and not target.where:
        units = pluralize(received[-1] or 0, "unit")
        return f"Write {units} in the last layer, or give each sample {labels}."
    return f"Give each sample {labels}."


def compares_by_element(loss: Any) -> bool:
    """Whether a loss is one of Keras's that compares labels and outputs of the same shape."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:  # rejected elsewhere
            return False
    function = getattr(loss, "fn", loss)
    module = getattr(function, "__module__", "") or type(function).__module__
    return module.startswith("keras.") and not loss_name(loss).startswith(UNLIKE_OUTPUT)


def _shape_text(shape: Shape) -> str:
    return f"shape {format_shape(shape)}" if shape else "one value"


# --- ranges -------------------------------------------------------------------------------------


def _range_problem(target: OutputLabels) -> Advice | None:
    """Labels that a sparse loss takes for none of the units."""
    y, units = target.y, target.units
    ignored = getattr(target.loss, "ignore_class", None)
    low, high = y.min().item(), y.max().item()  # Python's numbers do not overflow
    if ignored is not None and (low < 0 or high >= units):
        y = y[y != ignored]
        low, high = (y.min().item(), y.max().item()) if y.size else (0, 0)
    if low >= 0 and high < units:
        return None
    values = np.unique(y).astype("float64" if y.dtype.kind == "f" else "int64")
    what = (
        f"{target.label} is a mask of 0 and {MASK_VALUE}"
        if _is_mask(values)
        else (f"Labels run from {low:g} to {high:g}")
    )
    if target.label not in ("y", what) and not _is_mask(values):
        what += f" in {target.label}"
    message = f"{what}, but the last layer has {units} units, for labels 0 to {units - 1}."
    return target.advice("label-range", message, _range_remedy(target, values))


def _is_mask(values: Any) -> bool:
    """Whether the different values of labels are those of a mask image."""
    return bool(values[-1] == MASK_VALUE and np.isin(values, (0, MASK_VALUE)).all())


def _range_remedy(target: OutputLabels, values: Any) -> str:
    """What makes the labels suit the units; only what this check would accept then."""
    units, low, high = target.units, values[0].item(), values[-1].item()
    has_fractions = bool((values % 1).any())
    if _is_mask(values):
        return f"Use {target.changed(f'y // {MASK_VALUE}')}."
    for unknown, others in ((high, values[:-1]), (low, values[1:])):
        is_marker = unknown in (MASK_VALUE, -1) and len(others) > 1
        if is_marker and others[0] >= 0 and others[-1] < units and len(values) > units:
            loss = f"{SPARSE}(ignore_class={unknown:g})"
            return f"If {unknown:g} marks unlabeled values, write loss={loss}."
    can_number = len(values) <= units
    if not target.data.is_complete and target.data.is_stream:
        if not has_fractions and low != 0 and high - low < units:
            sign = "-" if low > 0 else "+"
            return f"Number the labels from 0: {target.changed(f'y {sign} {abs(low):g}')}."
        return f"Write at least {high + 1:g} units." if low >= 0 else "Number the labels from 0."
    if can_number and (has_fractions or low != 0):
        return f"Number the labels from 0. {_numbering(values, target)}"
    if low >= 0 and not has_fractions and high < 10 * len(values):  # labels, and no other numbers
        numbering = ", or number the labels from 0" if can_number else ""
        return f"Write {high + 1:g} units{numbering}."
    wanted = "" if can_number else f" and write {len(values)} units"
    return f"Number the labels from 0{wanted}: `classes, y = numpy.unique(y, return_inverse=True)`."


def _numbering(values: Any, target: OutputLabels) -> str:
    low = values[0]
    if not (values % 1).any() and values[-1] - low == len(values) - 1:
        return f"Pass {target.changed(f'y {chr(45) if low > 0 else chr(43)} {abs(low):g}')}."
    return "`classes, y = numpy.unique(y, return_inverse=True)` does that."


def _binary_problem(target: OutputLabels) -> Advice | None:
    y, name = target.y, target.loss_name
    low, high = y.min().item(), y.max().item()
    if low >= 0 and high <= 1:
        return None
    values = np.unique(y).astype("float64")
    what = f"these run from {low:g} to {high:g}"
    if _is_mask(values):
        what, remedy = f"{target.label} is a mask of 0 and {MASK_VALUE}", f"y // {MASK_VALUE}"
    elif len(values) == 2:  # noqa: PLR2004 - no and yes
        remedy = f"(y > {low:g}).astype('float32')"
        if target.data.kind == "tf.data.Dataset":
            remedy = f"y > {low:g}"
    elif low >= 0 and 1 < high <= MASK_VALUE and target.units != 1:
        remedy = f"y / {MASK_VALUE}"
    elif low >= 0 and not (values % 1).any() and target.units == 1:
        return target.advice(
            "binary-range",
            f"{name} expects targets from 0 to 1, but {what}.",
            f"For {high + 1:g} classes, write `dense {high + 1:g} softmax` with loss={SPARSE}.",
        )
    else:
        remedy = f"(y - {low:g}) / {high - low:g}"
    message = f"{name} expects targets from 0 to 1, but {what}."
    return target.advice("binary-range", message, f"Use {target.changed(remedy)}.")


def _fractions(target: OutputLabels) -> Iterator[Advice]:
    y = target.y
    if target.loss_name != SPARSE or y.dtype.kind != "f" or y.shape[-1:] == (target.units,):
        return
    fractions = y[y != np.floor(y)]
    if fractions.size:
        yield target.advice(
            "fractions",
            f"{SPARSE} expects class indices, but {target.label} contains fractions such as "
            f"{float(fractions.flat[0]):g}.",
            "To predict numbers, write `dense 1` and loss=mse. For classes, use integers from 0.",
        )


# --- class weights ------------------------------------------------------------------------------


def class_weight_advice(weights: Any, y: Any) -> Iterator[Advice]:
    """Advice about class weights that do not match the labels."""
    labels = _class_labels(y)
    if not isinstance(weights, Mapping) or labels is None:
        return
    if not all(isinstance(item, numbers.Real) for pair in weights.items() for item in pair):
        return  # rejected elsewhere
    classes = set(np.unique(labels).tolist())
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


def _class_labels(y: Any) -> Any:
    """The class index of each sample; None if ``y`` does not contain classes."""
    if y is None or y.dtype.kind not in "biuf" or y.ndim > 2 or not y.size:  # noqa: PLR2004 - rows
        return None
    if y.ndim > 1 and y.shape[1] > 1:
        is_one_hot = np.isin(y[:MAX_LABELS], (0, 1)).all() and (y.sum(axis=1) == 1).all()
        return y.argmax(axis=1) if is_one_hot else None
    labels = y.reshape(-1)
    with np.errstate(invalid="ignore"):  # nan
        return labels.astype("int64") if (labels % 1 == 0).all() else None


def _first_few(classes: list[int]) -> str:
    return list_names(classes, MAX_CLASSES_SHOWN)


# --- training and validation part ---------------------------------------------------------------


def split_advice(
    graph: ModelGraph, training: Inspection, validation: Inspection | None, fraction: float
) -> Iterator[Advice]:
    """Advice about classes, or a range of targets, that only one part of the data has.

    ``fraction`` is the part at the end that is kept for validation, without ``validation``.
    """
    how = "the validation data"
    if validation is None and fraction and not training.is_stream:
        y = as_array(training.y)
        if y is None:
            return
        index = split_index(len(y), fraction)
        parts = [y[:index], y[index:]]
        how = f"the last {fraction:.0%} of the samples"
    elif validation is not None and training.is_complete and validation.is_complete:
        arrays = [as_array(part.y) for part in (training, validation)]
        if any(array is None for array in arrays):
            return
        parts = arrays
    else:
        return
    losses = losses_of(graph.model, 1) if getattr(graph.model, "compiled", False) else [None]
    if loss_name(losses[0]) in REGRESSION:
        yield from _ordered_advice(parts[0], parts[1], how)
        return
    labels = [_class_labels(part) for part in parts]
    if any(part is None or not len(part) for part in labels):
        return
    train, held = (set(np.unique(part).tolist()) for part in labels)
    if len(train | held) > MAX_CLASSES or train == held:
        return
    sides = []
    for missing, side in ((held - train, "training samples"), (train - held, f"samples in {how}")):
        if missing:
            noun, verb = ("class", "has") if len(missing) == 1 else ("classes", "have")
            sides.append(f"{noun} {_first_few(sorted(missing))} {verb} no {side}")
    text = "; ".join(sides)
    yield Advice(
        "split-classes",
        f"Validation will be misleading: {text}.",
        "Shuffle x and y together first, or divide them with "
        "sklearn.model_selection.train_test_split(x, y, stratify=y)."
        if validation is None
        else "Divide the data with sklearn.model_selection.train_test_split(x, y, stratify=y).",
    )


def _ordered_advice(train: Any, held: Any, how: str) -> Iterator[Advice]:
    if train.size != len(train) or held.size != len(held) or len(held) < MIN_ORDERED:
        return
    if train.dtype.kind not in "biuf" or held.dtype.kind not in "biuf":
        return
    above, below = held.min() > train.max(), held.max() < train.min()
    if above or below:
        ends = [map(format_value, (part.min(), part.max())) for part in (held, train)]
        ranges = [" to ".join(pair) for pair in ends]
        yield Advice(
            "split-range",
            f"Validation will be misleading: the targets of {how} are {ranges[0]}, those of the "
            f"training samples {ranges[1]}.",
            "Unless this is intended, as for a time series, shuffle x and y together first.",
        )
