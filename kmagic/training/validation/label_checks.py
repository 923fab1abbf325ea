"""Checks of labels against the outputs and losses of a model, and of how they are divided."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import isfunction
from math import prod
from typing import Any, NamedTuple

import keras
import numpy as np

from kmagic.data.inspection import Inspection
from kmagic.models.keras_history import flat_layers
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
UNLIKE_OUTPUT = ("sparse_", "ctc", "circle", "categorical_generalized")
"""Prefixes of Keras's losses whose targets do not have the shape of the output."""
METRICS_BY_SHAPE = ("acc", "accuracy")
"""Names of metrics that Keras chooses by the shapes of labels and outputs."""
BY_VALUE = ("confusion_metrics", "f_score_metrics")
"""Modules of Keras whose metrics compare labels and outputs of the same shape."""
MeanMetricWrapper = keras.metrics.MeanMetricWrapper
UNIT_LAYERS = ("Conv", "Dense", "GRU", "LSTM", "SimpleRNN")
"""Layers with a number of units or filters."""
MASK_VALUE = 255
"""The largest value of a mask, or the label of pixels without a class."""
ROUNDING = 1e-4
"""How far probabilities may lie outside of 0 to 1."""
MAX_CLASSES, MAX_CLASSES_SHOWN = 1000, 5
VALIDATION_DATA = "the validation data"
MIN_ORDERED = 10
"""Minimum number of validation samples for a report that all targets are larger."""


class OutputLabels(NamedTuple):
    """The labels of one output, and what they are compared with."""

    variable: str  # as a user writes it: "y", "y['kind']"
    where: str  # which data it is from: " of the validation data"
    y: Any  # labels of some samples
    loss: Any
    end: LayerCall  # the call that computes the output
    output: Shape  # the shape of the output, with the batch
    data: Inspection
    is_trained: bool  # the model is evaluated, so a remedy must not change it
    metrics: Sequence[Any] = ()  # those of a model with one output

    @property
    def label(self) -> str:
        """The labels, for a message."""
        return self.variable + self.where

    @property
    def loss_name(self) -> str:
        """The word of the loss."""
        return loss_name(self.loss)

    @property
    def expected(self) -> Shape:
        """The shape of a sample's labels; sizes are None if they may vary."""
        return self.output[1:-1] if self.loss_name == SPARSE else self.output[1:]

    @property
    def proper_labels(self) -> str:
        """A remedy that is always true."""
        wanted = f"labels of {shape_text(self.expected)}" if self.expected else "one label"
        return f"Give each sample {wanted}."

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
    graph: ModelGraph,
    data: Inspection,
    *,
    loss: Sequence[Any] = (),
    where: str = "",
    is_trained: bool = False,
) -> Iterator[Advice]:
    """Advice about labels that do not suit the outputs, or the losses, of a model.

    ``loss`` are those of an uncompiled model's outputs, ``where`` says which data it is, and a
    model that ``is_trained`` is only evaluated.
    """
    for target in _targets(graph, data, loss, where, is_trained=is_trained):
        problem = _target_problem(target)
        if problem is not None:
            yield problem
        yield from _fractions(target)


def _targets(
    graph: ModelGraph, data: Inspection, loss: Sequence[Any], where: str, *, is_trained: bool
) -> Iterator[OutputLabels]:
    model = graph.model
    ends, outputs = _ends(graph, data.x), list(getattr(model, "outputs", None) or ())
    is_compiled = getattr(model, "compiled", False)
    losses = losses_of(model, len(ends)) if is_compiled else list(loss) or [""] * len(ends)
    settings = getattr(getattr(model, "_compile_config", None), "config", {})
    given = [settings.get(key) for key in ("metrics", "weighted_metrics")]
    metrics = [metric for metric in keras.tree.flatten(given) if metric is not None]
    for part in match_arrays(model, data.y, "outputs"):
        array = part.array
        indices = [index for index, tensor in enumerate(outputs) if tensor is part.tensor]
        index = indices[0] if indices else 0
        if array is None or array.dtype.kind not in "biuf" or index >= len(ends):
            continue
        if len(ends) > 1 and not indices:
            continue
        shape = ends[index].shape if part.tensor is None else part.tensor.shape
        layers = flat_layers(model) if len(outputs) == 1 else ()
        if any(isinstance(layer, keras.layers.TextVectorization) for layer in layers):
            shape = _computed_shape(model, data.x, shape)
        if isinstance(shape, tuple):
            sample = array[:MAX_LABELS]
            sample = sample[:: max(1, sample.size // MAX_VALUES)]
            end = ends[index]
            metrics_of = metrics if len(ends) == 1 else ()
            yield OutputLabels(
                part.label, where, sample, losses[index], end, shape, data, is_trained, metrics_of
            )


def _computed_shape(model: Any, x: Any, shape: Any) -> Any:
    """The shape of an output, computed for one sample.

    For samples of shape (1,), Keras gives the counts of a TextVectorization a further axis of size
    one that they do not have.
    """
    with suppress(Exception):  # the data does not fit, which is reported elsewhere
        sample = keras.tree.map_structure(lambda array: array[:1], x)
        return (None, *model(sample, training=False).shape[1:])
    return shape


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
    if name == SPARSE and is_one_hot:
        message = f"The targets are one-hot, but {SPARSE} expects class indices."
        return target.advice("one-hot-sparse", message, "Write loss=categorical_crossentropy.")
    are_indices = _fits_exactly(y.shape[1:], output[1:-1])
    if name == SPARSE and units > 1 and are_indices:
        return _range_problem(target) or _metric_problem(target)
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
    counts = y.sum(axis=-1)
    if name in CATEGORICAL and is_one_hot and has_label_rows(y) and counts.max() > 1:
        return target.advice(
            "several-labels",
            f"The targets have {counts.min():g} to {counts.max():g} labels per sample, but {name} "
            "expects one class per sample.",
            f"Write `dense {units} sigmoid` with loss=binary_crossentropy.",
        )
    return _binary_problem(target) if name in BINARY else None


def has_label_rows(y: Any) -> bool:
    """Whether rows of 0 and 1 have several ones, or none, as with several labels per sample."""
    is_table = y.ndim == 2 and y.shape[1] > 1  # noqa: PLR2004 - samples, labels
    return bool(is_table and np.isin(y, (0, 1)).all() and (y.sum(axis=1) != 1).any())


def _fits_exactly(received: Shape, expected: Shape) -> bool:
    """Whether indices have a shape, perhaps with a further axis of size one."""
    return len(received) >= len(expected) and fits_shape(received, expected)


def _shape_problem(target: OutputLabels) -> Advice | None:
    """Whether Keras would repeat the labels or the outputs, or reject their shapes unclearly."""
    received, expected, name = target.y.shape[1:], target.expected, target.loss_name
    fits = _fits_exactly if name == SPARSE else fits_shape
    if len(target.output) < 2 or not compares_by_element(target.loss):  # noqa: PLR2004 - a batch of numbers
        return None
    if fits(received, expected):
        return None
    how = f"and {name} compares them value by value"
    if name == SPARSE:
        how = f"for which {name} expects labels of {shape_text(expected)}"
    message = (
        f"{target.label} has {shape_text(received)} per sample, but the model's output has "
        f"{shape_text(target.output[1:])}, {how}."
    )
    return target.advice("target-shape", message, _shape_remedy(target, received))


def _shape_remedy(target: OutputLabels, received: Shape) -> str:
    expected, name = target.expected, target.loss_name
    if None not in expected and prod(size or 0 for size in expected) == prod(target.y.shape[1:]):
        sides = ", ".join(map(str, (-1, *expected)))
        return f"Reshape the labels: {target.changed(f'y.reshape({sides})')}."
    if target.where or target.is_trained:
        return target.proper_labels
    if not received or (received == (1,) and name == SPARSE):  # one label per sample
        if len(target.output) > 2:  # noqa: PLR2004 - one row per sample
            return f"Write `flatten` before `{target.end.word}`, or a pooling layer such as `gap`."
        if name in BINARY:
            return f"Use softmax and loss={SPARSE} for classes; one unit for two classes."
        return "To predict a number, write `dense 1` without softmax."
    differs_in_units = len(received) == len(expected) and fits_shape(received[:-1], expected[:-1])
    if differs_in_units and target.end.is_any(*UNIT_LAYERS) and name != SPARSE:
        units = pluralize(received[-1] or 0, "unit")
        return f"Write {units} in the last layer, or g{target.proper_labels[1:]}"
    return target.proper_labels


def compares_by_element(loss: Any) -> bool:
    """Whether a loss is one of Keras's that compares labels and outputs of the same shape."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:  # rejected elsewhere
            return False
    parts = [loss, getattr(loss, "fn", loss)]  # a subclass may compare them differently
    is_kind = loss_name(loss) == SPARSE or not loss_name(loss).startswith(UNLIKE_OUTPUT)
    return is_kind and all(
        (getattr(part, "__module__", "") or "").startswith("keras.") for part in parts
    )


def shape_text(shape: Sequence[int | None]) -> str:
    """The shape of one sample, for a message."""
    return f"shape {format_shape(shape)}" if shape else "one value"


# --- ranges -------------------------------------------------------------------------------------


def _range_problem(target: OutputLabels) -> Advice | None:
    """Labels that a sparse loss takes for none of the units."""
    y, units = target.y, target.units
    if (ignored := getattr(target.loss, "ignore_class", None)) is not None:
        y = y[y != ignored]
    if not y.size or (y.min() >= 0 and y.max() < units):
        return None
    values = np.unique(y).astype("float64")  # int8 would overflow
    what = f"Labels run from {values[0]:g} to {values[-1]:g}"
    if target.label != "y":
        what += f" in {target.label}"
    if _is_mask(values):
        what = f"{target.label} is a mask of 0 and {MASK_VALUE}"
    message = f"{what}, but the last layer has {units} units, for labels 0 to {units - 1}."
    return target.advice("label-range", message, _range_remedy(target, values))


def _metric_problem(target: OutputLabels) -> Advice | None:
    """A metric for labels of the shape of the output, although they are class indices."""
    for metric in target.metrics:
        if _compares_values(metric):
            return target.advice(
                "sparse-metric",
                f"The metric {loss_name(metric)} compares labels and outputs value by value, but "
                f"the labels are class indices and each output has {target.units} values.",
                "Write metrics=accuracy; or use one-hot labels, keras.utils.to_categorical(y), and "
                "loss=categorical_crossentropy.",
            )
    return None


def _compares_values(metric: Any) -> bool:
    if metric in METRICS_BY_SHAPE:
        return False
    with suppress(ValueError, TypeError):  # rejected elsewhere, or it needs arguments
        metric = keras.metrics.get(metric)
        kind = metric if isfunction(metric) else type(metric)
        wraps_function = kind is not MeanMetricWrapper and isinstance(metric, MeanMetricWrapper)
        compares = wraps_function or isfunction(metric) or kind.__module__.endswith(BY_VALUE)
        is_sparse = kind.__name__.lower().startswith("sparse")
        return kind.__module__.startswith("keras.") and compares and not is_sparse
    return False


def _is_mask(values: Any) -> bool:
    """Whether the different values of labels are those of a mask image."""
    return bool(values[-1] == MASK_VALUE and np.isin(values, (0, MASK_VALUE)).all())


def _range_remedy(target: OutputLabels, values: Any) -> str:
    """What makes the labels suit the units; only what this check would accept then."""
    units, low, high = target.units, values[0], values[-1]
    is_whole = not (values % 1).any()
    if _is_mask(values):
        return f"Use {target.changed(f'y // {MASK_VALUE}')}."
    for unknown, others in ((high, values[:-1]), (low, values[1:])):
        is_marker = unknown in (MASK_VALUE, -1) and len(others) > 1
        if is_marker and others[0] >= 0 and others[-1] < units and len(values) > units:
            loss = f"{SPARSE}(ignore_class={unknown:g})"
            return f"If {unknown:g} marks unlabeled values, write loss={loss}."
    if is_whole and low != 0 and high - low < units:
        shift = target.changed(f"y {'-' if low > 0 else '+'} {abs(low):g}")
        return f"Number the labels from 0. Pass {shift}."
    if target.is_trained:
        return f"Pass labels from 0 to {units - 1}, as in the training."
    if target.data.is_stream and not target.data.is_complete:  # there may be more labels
        return f"Write at least {high + 1:g} units." if low >= 0 else "Number the labels from 0."
    numbering = "`classes, y = numpy.unique(y, return_inverse=True)`"
    can_number = len(values) <= units
    if low == 0 and is_whole and high < 10 * len(values):  # labels, and no other numbers
        numbered = f", or number the labels from 0: {numbering}" * can_number
        return f"Write {high + 1:g} units{numbered}."
    wanted = "" if can_number else f" and write {len(values)} units"
    return f"Number the labels from 0{wanted}: {numbering}."


def _binary_problem(target: OutputLabels) -> Advice | None:
    if target.y.min() >= -ROUNDING and target.y.max() <= 1 + ROUNDING:
        return None
    values = np.unique(target.y).astype("float64")
    low, high = values[0], values[-1]
    what, remedy = f"these run from {low:g} to {high:g}", ""
    change = f"(y - {low:g}) / {high - low:g}" if low else f"y / {high:g}"
    if _is_mask(values):
        what, change = f"{target.label} is a mask of 0 and {MASK_VALUE}", f"y // {MASK_VALUE}"
    elif len(values) == 1:
        remedy = "Pass labels from 0 to 1."
    elif len(values) == 2:  # noqa: PLR2004 - no and yes
        is_tensor = target.data.kind == "tf.data.Dataset"
        change = f"y > {low:g}" if is_tensor else f"(y > {low:g}).astype('float32')"
    elif low >= 0 and high <= MASK_VALUE and target.units != 1:
        change = f"y / {MASK_VALUE}"
    elif low >= 0 and not ((values % 1).any() or target.is_trained):
        remedy = f"For {high + 1:g} classes, write `dense {high + 1:g} softmax` with loss={SPARSE}."
    return target.advice(
        "binary-range",
        f"{target.loss_name} expects targets from 0 to 1, but {what}.",
        remedy or f"Use {target.changed(change)}.",
    )


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


def label_accuracy_advice(
    graph: ModelGraph, data: Inspection, *, is_multilabel: bool | None = None
) -> Iterator[Advice]:
    """Advice about an accuracy that compares only the most probable one of several labels."""
    for target in _targets(graph, data, "", "", is_trained=False):
        several = has_label_rows(target.y) if is_multilabel is None else is_multilabel
        is_named = any(m in METRICS_BY_SHAPE for m in target.metrics if isinstance(m, str))
        if is_named and several and target.units > 1 and target.loss_name in BINARY:
            yield target.advice(
                "label-accuracy",
                "accuracy compares only the most probable label with the first true one.",
                "Write metrics=binary_accuracy, the share of correct labels.",
            )


# --- class weights ------------------------------------------------------------------------------


def class_weight_advice(weights: Any, y: Any, names: Sequence[str] = ()) -> Iterator[Advice]:
    """Advice about class weights that do not match the labels; ``names`` are the classes'."""
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
            f"class_weight has {_first_few(unknown, names)}, but y has "
            f"{_first_few(sorted(classes), names)}.",
            remedy,
        )
    elif missing:
        noun = "class" if len(missing) == 1 else "classes"
        message = f"class_weight does not name {noun} {_first_few(missing, names)}."
        yield Advice("class-weight", message, remedy)
    negative = sorted(index for index, weight in weights.items() if weight < 0)
    if negative:
        yield Advice(
            "negative-weight",
            f"The model learns to be wrong for class {_first_few(negative, names)}: its "
            "class_weight is negative.",
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


def _first_few(classes: list[int], names: Sequence[str]) -> str:
    shown = [names[index] if 0 <= index < len(names) else index for index in classes]
    return list_names(shown, MAX_CLASSES_SHOWN)


# --- training and validation part ---------------------------------------------------------------


def split_advice(
    graph: ModelGraph,
    training: Inspection,
    validation: Inspection | None,
    fraction: float,
    names: Sequence[str] = (),
) -> Iterator[Advice]:
    """Advice about classes, or a range of targets, that only one part of the data has.

    ``fraction`` is the part at the end that is kept for validation, without ``validation``, and
    ``names`` are those of the classes.
    """
    model, how = graph.model, VALIDATION_DATA
    if validation is None:
        if not fraction or training.is_stream:
            return
        how = f"the last {fraction:.0%} of the samples"
    elif not (training.is_complete and validation.is_complete):
        return
    outputs = list(getattr(model, "outputs", None) or ())
    count = max(len(outputs), 1)
    losses = losses_of(model, count) if getattr(model, "compiled", False) else [None] * count
    held_parts = match_arrays(model, validation.y, "outputs") if validation else []
    held_of = {part.label: part.array for part in held_parts}
    for part in match_arrays(model, training.y, "outputs"):
        y, held_y = part.array, held_of.get(part.label)
        if validation is None and y is not None:
            index = split_index(len(y), fraction)
            y, held_y = y[:index], y[index:]
        if y is None or held_y is None:
            continue
        indices = [index for index, tensor in enumerate(outputs) if tensor is part.tensor]
        loss, of = losses[indices[0] if indices else 0], part.label[1:] and f" in {part.label}"
        if loss_name(loss) in REGRESSION:
            yield from _ordered_advice(y, held_y, how, of)
        else:
            names_of = names if len(held_of or losses) < 2 else ()  # noqa: PLR2004 - several
            yield from _missing_class_advice(y, held_y, how, of, names_of)


def _missing_class_advice(
    train: Any, held: Any, how: str, of: str, names: Sequence[str]
) -> Iterator[Advice]:
    if has_label_rows(train[:MAX_LABELS]) and train.shape[1:] == held.shape[1:]:
        labels = [np.flatnonzero((part != 0).any(axis=0)) for part in (train, held)]
        nouns, stratify = ("label", "labels"), ""
    else:
        labels = [_class_labels(part) for part in (train, held)]
        nouns, stratify = ("class", "classes"), f", stratify=y{of.removeprefix(' in y')}"
    if any(part is None or not len(part) for part in labels):
        return
    trained, validated = (set(np.unique(part).tolist()) for part in labels)
    if len(trained | validated) > MAX_CLASSES or trained == validated:
        return
    sides = []
    for missing, side in (
        (validated - trained, "training samples"),
        (trained - validated, f"samples in {how}"),
    ):
        if missing:
            noun, verb = (nouns[0], "has") if len(missing) == 1 else (nouns[1], "have")
            sides.append(f"{noun} {_first_few(sorted(missing), names)}{of} {verb} no {side}")
    remedy = (
        "Divide them"
        if how.startswith("the val")
        else "Shuffle x and y together first, or divide them"
    )
    how = f" with sklearn.model_selection.train_test_split(x, y{stratify})"
    yield Advice(
        "split-classes",
        f"Validation will be misleading: {'; '.join(sides)}.",
        f"{remedy}{how}.",
    )


def _ordered_advice(train: Any, held: Any, how: str, of: str) -> Iterator[Advice]:
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
            f"Validation will be misleading: the targets of {how}{of} are {ranges[0]}, those of "
            f"the training samples {ranges[1]}.",
            "Unless this is intended, as for a time series, shuffle x and y together first.",
        )
