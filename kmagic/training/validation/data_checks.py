"""Checks of a model and its data before the first epoch; nothing is changed.

They find data that cannot be trained on, and mistakes that Keras accepts silently or reports
unclearly. They take well under a fifth of a second: only a part of large data is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from math import prod
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from kmagic.data.inspection import Inspection, inspect_data
from kmagic.data.preparation.scale_drift import (
    SCALE_DRIFT_REMEDY,
    input_spreads,
    scale_difference,
)
from kmagic.language.vocabulary import snake_case
from kmagic.models import model_arrays
from kmagic.models.build import accepts_input_shape
from kmagic.models.lint.advice import Advice, filter_advice
from kmagic.models.lint.model_graph import (
    TRAINING_ONLY,
    TRANSPARENT,
    LayerCall,
    ModelGraph,
    read_model_graph,
)
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import (
    join_with_and,
    list_names,
    pluralize,
    shorten_name,
)
from kmagic.support.messages import Option, Text
from kmagic.training.validation.label_checks import (
    MAX_LABELS,
    MAX_VALUES,
    class_weight_advice,
    has_label_rows,
    label_accuracy_advice,
    shape_text,
    split_advice,
    target_advice,
)

MAX_SAMPLES = 10_000
"""Samples of ``x`` whose range is looked at."""
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
MAX_SPREAD_RATIO, MAX_COLUMNS_SHOWN = 1000.0, 5
VALIDATION = " of the validation data"
SKIP_CHECKS = Text("To train anyway, pass ", Option("checks", False), ".")


class OutputChoice(NamedTuple):
    """The loss and metric that suit an output and its targets."""

    loss: str
    metric: str
    from_logits: bool = False  # the output's layer has no activation

    @property
    def loss_text(self) -> str:
        """The loss in the layer language."""
        return f"{self.loss}(from_logits=true)" if self.from_logits else self.loss

    @property
    def keras_loss(self) -> Any:
        """The loss as Keras takes it."""
        if not self.from_logits:
            return self.loss
        if self.loss == "binary_crossentropy":
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @property
    def keras_metric(self) -> Any:
        """The metric as Keras takes it."""
        is_binary = self.from_logits and self.loss == "binary_crossentropy"
        return keras.metrics.BinaryAccuracy(threshold=0.0) if is_binary else self.metric


@dataclass(frozen=True, slots=True)
class CompileChoice:
    """The losses and metrics that suit a model's outputs and their targets, by output."""

    outputs: Mapping[str, OutputChoice]

    def losses(self, model: keras.Model) -> list[str]:
        """The loss of each of the model's outputs, in the order of Keras."""
        if len(self.outputs) == 1:
            return [choice.loss for choice in self.outputs.values()]
        order = sorted(self.outputs, key=partial(model_arrays.output_index, model))
        return [self.outputs[name].loss for name in order]

    def apply(self, model: keras.Model) -> None:
        """Compile a model."""
        if len(self.outputs) == 1:
            (choice,) = self.outputs.values()
            model.compile("adam", choice.keras_loss, metrics=[choice.keras_metric])
            return
        losses = {name: choice.keras_loss for name, choice in self.outputs.items()}
        metrics = {name: [choice.keras_metric] for name, choice in self.outputs.items()}
        model.compile("adam", losses, metrics=metrics)

    @property
    def parts(self) -> list[str]:
        """The arguments of a ``compile`` line."""
        if len(self.outputs) == 1:
            (choice,) = self.outputs.values()
            return ["adam", f"loss={choice.loss_text}", f"metrics={choice.metric}"]
        losses, metrics = (
            ", ".join(f"{name}: {getattr(choice, kind)}" for name, choice in self.outputs.items())
            for kind in ("loss_text", "metric")
        )
        return ["adam", f"loss={{{losses}}}", f"metrics={{{metrics}}}"]

    def __str__(self) -> str:
        return ", ".join(self.parts)


data_problem = partial(Advice, "unsuitable-data")
"""Data that cannot be trained on: a message and a remedy."""


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
    validation_split: float = 0.0,
    test: Any = None,
    name: str = "",
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    is_multilabel: bool | None = None,
    class_weight: Any = None,
) -> DataReview:
    """Check a model and its data before training; neither is changed.

    ``x`` may be an :class:`Inspection` of the training data, and ``validation`` one of the
    validation data. ``built`` is what the model was built from, ``test`` inputs that it will be
    evaluated on, and ``columns`` and ``classes`` are the names of the inputs' columns and of the
    classes, if they are known; ``is_multilabel`` says whether a sample can have several labels.

    Raises:
        TrainingError: The data cannot be trained on.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> review_data(model, np.ones((8, 2)), np.ones(8)).messages
        ['line was not compiled. It is now compiled with adam, loss=mse, metrics=mae.']
    """
    name = name or model.name
    training = x if isinstance(x, Inspection) else inspect_data(x, y)
    if isinstance(validation, tuple | list):
        validation = inspect_data(*validation)
    graph = read_model_graph(model, built)
    parts = [(training, "")] if validation is None else [(training, ""), (validation, VALIDATION)]
    _raise_for(name, [error for part in parts for error in _array_errors(model, *part)])
    targets = _only_array(model, training.y, "outputs")
    choice = None if model.compiled else choose_compile(graph, name, training.y, is_multilabel)
    loss = choice.losses(model) if choice else ()
    advice = list(data_advice(graph, training, loss=loss))
    advice += target_advice(graph, validation, loss=loss, where=VALIDATION) if validation else ()
    _raise_for(name, _fatal(advice))
    table = _only_array(model, training.x)
    advice += feature_advice(graph, table, columns, is_complete=training.is_complete)
    advice += scale_drift_advice(model, training.x, getattr(validation, "x", None), test)
    advice += label_accuracy_advice(graph, training, is_multilabel=is_multilabel)
    advice += split_advice(graph, training, validation, validation_split, classes)
    if training.is_complete:
        advice += class_weight_advice(class_weight, targets, classes)
    source = built.spec.source if built is not None else ""
    messages = [f"{name} was not compiled. It is now compiled with {choice}."] if choice else []
    messages += [
        f"{item.message} {item.remedy}" for item in filter_advice(advice, source, (), hints=False)
    ]
    return DataReview(messages, choice)


def _only_array(model: Any, values: Any, side: model_arrays.Side = "inputs") -> Any:
    """The array of a model with one input or output; None if there are several."""
    parts = model_arrays.match_arrays(model, values, side)
    return parts[0].array if len(parts) == 1 else None


def data_errors(model: Any, data: Inspection) -> list[Advice]:
    """What is wrong with the data for a compiled model, which is evaluated on it."""
    errors = list(_array_errors(model, data, ""))
    return errors or _fatal(target_advice(read_model_graph(model), data, is_trained=True))


def _fatal(advice: Iterable[Advice]) -> list[Advice]:
    """Advice about data that Keras cannot train on, or only to nan or on something else."""
    return [item for item in advice if item.code != "raw-pictures"]


def join_errors(errors: Sequence[Advice]) -> tuple[str, str]:
    """All messages as one text, and all remedies as one."""
    text = "".join(f"\n  - {error.message}" for error in errors)
    remedies = dict.fromkeys(error.remedy for error in errors)
    return text if len(errors) > 1 else f" {errors[0].message}", " ".join(remedies)


class BuiltModelCheck(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Checks the targets of a model after the first batch, with which Keras builds it.

    Before, the outputs of a subclass are unknown.
    """

    every_batch = False

    def __init__(self, name: str, data: Inspection) -> None:
        super().__init__()
        self._name = name
        self._data: Inspection | None = data

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """The model is built; raises TrainingError if the targets do not suit its outputs."""
        del batch, logs
        data, self._data = self._data, None
        if data is not None:
            advice = target_advice(read_model_graph(self.model), data)
            _raise_for(self._name, _fatal(advice))


def _raise_for(name: str, errors: Sequence[Advice]) -> None:
    if errors:
        text, remedy = join_errors(errors)
        message = f"{name} cannot be trained on this data:{text}"
        raise TrainingError(message, Text(remedy, "\n", SKIP_CHECKS))


# --- arrays -------------------------------------------------------------------------------------


def _array_errors(model: Any, data: Inspection, where: str) -> Iterator[Advice]:
    """What is wrong with the arrays of x, y and weights, whatever the loss; ``where`` they are."""
    arrays = {}
    sides = (("x", data.x), ("y", data.y), ("sample_weight", data.sample_weight))
    for letter, values in sides:
        for part in model_arrays.match_arrays(
            model, values, "inputs" if letter == "x" else "outputs"
        ):
            if (array := part.array) is not None:
                arrays[letter + part.label[1:]] = array
    yield from starmap(data_problem, model_arrays.structure_errors(model, data.x, data.y))
    yield from _length_errors(data, arrays, where)
    yield from _shape_errors(model, data.x, where)
    for label, array in arrays.items():
        if label[0] != "x" and model_arrays.has_custom_step(model):
            continue  # which may not read it
        yield from _type_errors(model, label + where, array, is_input=label[0] == "x")
        yield from _nan_errors(label + where, array, is_stream=data.is_stream)


def _length_errors(data: Inspection, arrays: Mapping[str, Any], where: str) -> Iterator[Advice]:
    lengths = {label: len(array) for label, array in arrays.items()}
    if not data.is_stream and not data.is_complete and lengths:  # the head of a sparse matrix
        lengths[next(iter(lengths))] = data.samples or 0
    first = next(iter(lengths), "")
    for label, length in lengths.items():
        if length != lengths[first]:
            yield data_problem(
                f"{first}{where} has {lengths[first]:,} samples but {label} has {length:,}.",
                "Pass one entry per sample in both, in the same order.",
            )
            return


def _shape_errors(model: Any, x: Any, where: str) -> Iterator[Advice]:
    for part in model_arrays.match_arrays(model, x):
        array = part.array
        expected = getattr(part.tensor, "shape", None)
        if array is None or array.dtype.kind not in "biufc":
            continue
        if not isinstance(expected, tuple):
            yield from _rank_errors(model, array, part.label + where)
        elif not model_arrays.fits_shape(array.shape[1:], expected[1:]):
            input_name = f"input {part.name}" if part.name else "input"
            yield data_problem(
                f"its {input_name} expects {shape_text(expected[1:])} per sample, but "
                f"{part.label}{where} has {shape_text(array.shape[1:])}.",
                _reshape_remedy(model, part.tensor, array.shape[1:]),
            )


def _rank_errors(model: Any, array: Any, subject: str) -> Iterator[Advice]:
    """For a Sequential model without an input shape: whether its first layer takes the rank."""
    if not isinstance(model, keras.Sequential) or model.built or not model.layers:
        return
    spec = model.layers[0].input_spec
    rank = getattr(spec, "ndim", None) or getattr(spec, "min_ndim", None)
    if rank is None or array.ndim >= rank:
        return
    word = snake_case(type(model.layers[0]).__name__)
    shape = _code_shape((*array.shape[1:], *(1,) * (rank - array.ndim)))
    yield data_problem(
        f"its first layer, {word}, expects samples of {pluralize(rank - 1, 'axis', 'axes')}, but "
        f"{subject} has {shape_text(array.shape[1:])}.",
        f"If the last axis is missing, start the model with `input {shape}`, or pass x[..., None]."
        if rank - array.ndim == 1
        else f"Reshape x to such samples, for example to {shape}.",
    )


def _reshape_remedy(model: Any, tensor: Any, received: tuple[int, ...]) -> str:
    """How to make a model and its data fit; the layers accept each input that is suggested."""
    expected = tensor.shape[1:]
    as_it_is = f"`input {_code_shape(received)}`" * accepts_input_shape(model, tensor, received)
    image = (*received, 1)
    as_image = "" if as_it_is or not received else f"`input {_code_shape(image)}`"
    as_image *= bool(as_image) and accepts_input_shape(model, tensor, image)
    if received and len(received) + 1 == len(expected) and expected[:-1] == received:
        remedy = f"write {as_image} and pass x[..., None], or give" if as_image else "give"
        return f"The channel axis is missing: {remedy} x {expected[-1]} channels."
    sizes = [size for size in expected if size is not None]
    if len(sizes) == len(expected) and prod(sizes) == prod(received):
        new_shape = ", ".join(map(str, sizes))
        return f"Write x.reshape(-1, {new_shape})" + f", or {as_it_is}" * bool(as_it_is) + "."
    wanted = f"give x the shape {shape_text(expected).removeprefix('shape ')} per sample"
    if as_it_is:
        return f"Write {as_it_is}, or {wanted}."
    if as_image:
        return f"Write {as_image} and pass x[..., None], or {wanted}."
    return f"{wanted[0].upper()}{wanted[1:]}."


def _code_shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _type_errors(model: Any, label: str, array: Any, *, is_input: bool) -> Iterator[Advice]:
    """Values that are not real numbers."""
    if array.dtype.kind in "biuf":
        return
    kind, first = array.dtype.kind, array.reshape(-1)[0]
    dtypes = [tensor.dtype for tensor in getattr(model, "inputs", None) or ()]
    if kind == "c" and not any(dtype.startswith("complex") for dtype in dtypes):
        yield data_problem(
            f"{label} contains complex numbers, of which Keras drops the imaginary part.",
            f"Pass the real part, {label.partition(' ')[0]}.real, or both parts as features.",
        )
    elif kind in "Mm":
        yield data_problem(
            f"{label} contains dates, but a model expects numbers.",
            "Convert them, for example to days: (dates - dates.min()) / numpy.timedelta64(1, 'D').",
        )
    elif isinstance(first, str | bytes) and not is_input:
        yield data_problem(
            f"the labels are texts such as {_shown(first)}, but a loss expects numbers.",
            "Number them: `classes, y = numpy.unique(y, return_inverse=True)`."
            if array.size == len(array)
            else _word_remedy(label, array),
        )
    elif isinstance(first, str | bytes):
        if dtypes and "string" not in dtypes:
            yield data_problem(
                f"{label} contains texts such as {_shown(first)}, but the model expects numbers.",
                "Encode them: start the model with a text_vectorization layer, or load them with "
                "kmagic.load_data.",
            )
    elif kind == "O":
        kinds = sorted({type(cell).__name__ for cell in array.reshape(-1)[:MAX_SAMPLES].tolist()})
        remedy = "Convert it to one array of numbers with numpy.asarray(values, dtype='float32')."
        if kinds in (["list"], ["ndarray"]):
            remedy = "Give all samples one length: keras.utils.pad_sequences(values)."
        texts = [cell for cell in array.reshape(-1)[:MAX_SAMPLES].tolist() if isinstance(cell, str)]
        if not_numbers := [text for text in texts if not _is_number(text)]:
            remedy = (
                _word_remedy(label, array)
                if not is_input
                else f"Replace texts such as {_shown(not_numbers[0])} by numbers, for example: "
                f"pandas.DataFrame({label.partition(' ')[0]}).apply(pandas.to_numeric, "
                "errors='coerce').fillna(0).to_numpy()."
            )
        yield data_problem(
            f"{label} is an array of objects (type {join_with_and(kinds)}), but a model expects "
            "numbers.",
            remedy,
        )


def _word_remedy(label: str, array: NDArray[Any]) -> str:
    """How words in targets become numbers, each its own."""
    words = {cell for cell in array.reshape(-1)[:MAX_SAMPLES].tolist() if isinstance(cell, str)}
    distinct = sorted(word for word in words if not _is_number(word))
    numbers = ", ".join(f"{word!r}: {number}" for number, word in enumerate(distinct[:4]))
    more = ", ..." if len(distinct) > 4 else ""  # noqa: PLR2004 - shown
    frame = f"pandas.DataFrame({label.partition(' ')[0]}).replace({{{numbers}{more}}})"
    return f"Replace the texts by numbers: {frame}.astype('float32').to_numpy()."


def _shown(text: Any) -> str:
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return repr(shorten_name(text, 40))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _nan_errors(label: str, array: Any, *, is_stream: bool) -> Iterator[Advice]:
    """Whether there are nan or inf; a sum finds them, because it is nan or inf as well."""
    if array.dtype.kind not in "fc":
        return
    sample = array[:: sample_step(array)]
    with np.errstate(all="ignore"):
        if np.isfinite(sample.sum(dtype="complex128" if array.dtype.kind == "c" else "float64")):
            return
    finite = np.isfinite(sample.reshape(len(sample), -1)).all(axis=1)
    if finite.all():
        return
    row = int(np.argmin(finite)) * sample_step(array)
    use = f"use numpy.nan_to_num({label.partition(' ')[0]})"
    yield data_problem(
        f"{label} contains nan or inf, first in sample {row:,}, so the loss would be nan as well.",
        f"Remove those samples{' from the stream' if is_stream else ''}, or {use}.",
    )


def data_advice(
    graph: ModelGraph, data: Inspection, *, loss: Sequence[str] = ()
) -> Iterator[Advice]:
    """Advice about inputs that are a single array, and about targets."""
    inputs = _first_samples(data.x)
    if inputs is not None:
        yield from _unscaled_images(graph, inputs)
        yield from _embedding_range(graph, inputs)
    yield from target_advice(graph, data, loss=loss)


def _first_samples(values: Any) -> Any:
    if not isinstance(values, np.ndarray):
        return None
    array = values[:MAX_SAMPLES]
    return array if array.size and array.dtype.kind in "biuf" else None


def sample_step(array: Any) -> int:
    """The distance of the samples that are looked at, so few that it is quick."""
    return max(1, -(-int(array.size) // MAX_VALUES))


# --- advice about inputs ------------------------------------------------------------------------


def _unscaled_images(graph: ModelGraph, x: Any) -> Iterator[Advice]:
    inputs = [call for call in graph.calls if call.kind == "InputLayer"]
    x = x[:: sample_step(x)]
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
                f"Write `embedding {int(x.max()) + 1}`, or use a smaller vocabulary.",
                call.span,
                call.name,
            )


def feature_advice(
    graph: ModelGraph, x: Any, names: Sequence[str], *, is_complete: bool
) -> Iterator[Advice]:
    """Advice about a table's columns that are constant, or so large that they dominate."""
    table = 2
    if x is None or x.ndim != table or x.shape[1] < table or x.dtype.kind not in "iuf":
        return
    first = [child for call in graph.calls if call.kind == "InputLayer" for child in call.children]
    if graph.opaque or any(call.is_any(*SCALING_LAYERS) for call in first):
        return
    sample = x[:: sample_step(x)]
    if x.shape[1] >= PIXEL_COLUMNS and sample.min() >= 0 and sample.max() <= 1:
        return  # pixels in a row: one that is rarely lit has no other scale
    spread = sample.std(axis=0, dtype="float64")
    titles = names if len(names) == len(spread) else range(len(spread))
    columns = np.flatnonzero(spread > 0)
    is_table = is_complete and len(x) > 1 and x.shape[1] < PIXEL_COLUMNS
    found = map(int, np.flatnonzero(spread == 0)) if is_table else ()
    constant = [titles[index] for index in found if (x[:, index] == x[0, index]).all()]
    if len(columns) and constant:
        noun = "column" if len(constant) == 1 else "columns"
        shown = list_names(constant, MAX_COLUMNS_SHOWN)
        yield Advice(
            "constant-columns",
            f"The model learns nothing from {noun} {shown}, with a single value.",
            "Leave them out of x." if len(constant) > 1 else "Leave it out of x.",
        )
    if len(columns) < table:
        return
    order = columns[spread[columns].argsort()]
    small, large = int(order[0]), int(order[-1])
    if spread[large] > MAX_SPREAD_RATIO * spread[small]:
        yield Advice(
            "feature-scales",
            f"Features with large values will dominate: the standard deviation of column "
            f"{titles[large]} is {spread[large]:,.3g}, that of column {titles[small]} "
            f"{spread[small]:,.3g}.",
            "Load with --scale standard, or start the model with `batch_normalization`.",
        )


def scale_drift_advice(model: Any, x: Any, validation: Any, test: Any) -> Iterator[Advice]:
    """Advice about validation and test data scaled differently than the training data."""
    training = input_spreads(model, x)
    for part, values in (("validation", validation), ("test", test)):
        message = scale_difference(part, input_spreads(model, values), training)
        if message:
            yield Advice(f"{part}-scale", message, SCALE_DRIFT_REMEDY)


# --- an uncompiled model ------------------------------------------------------------------------


def choose_compile(
    graph: ModelGraph, name: str, y: Any, is_multilabel: bool | None = None
) -> CompileChoice:
    """Choose the loss and metric of each output of a model that is not compiled.

    Whether ``y`` is rows of labels is decided by its values, unless ``is_multilabel`` says it.

    Raises:
        TrainingError: The outputs are unknown.
    """
    if model_arrays.has_custom_step(graph.model):
        raise TrainingError(
            f"{name} is not compiled.",
            'It computes its own loss, so an optimizer is enough: model.compile("adam").',
        )
    outputs = list(model_arrays.model_tensors(graph.model, "outputs")) or [""]
    if len(graph.ends) != len(outputs):
        raise TrainingError(
            f"{name} is not compiled, and a loss can be chosen automatically only for a model with "
            "known outputs.",
            "Add a line such as `compile adam loss=mse`, or call model.compile(...).",
        )
    parts = {part.name: part.array for part in model_arrays.match_arrays(graph.model, y, "outputs")}
    if len(outputs) == 1:
        parts = {outputs[0]: _only_array(graph.model, y, "outputs")}
    ends = dict(zip(outputs, graph.ends, strict=True))
    if len(outputs) > 1:  # in the order of Keras
        indices = (model_arrays.output_index(graph.model, output) for output in outputs)
        ends = {name: graph.ends[index] for name, index in zip(outputs, indices, strict=True)}
    return CompileChoice(
        {name: _choose_output(end, parts.get(name), is_multilabel) for name, end in ends.items()}
    )


def _choose_output(end: LayerCall, y: Any, is_multilabel: bool | None) -> OutputChoice:
    has_labels = y is not None and y.dtype.kind in "iu" and end.units > 1
    is_one_hot = y is not None and y.ndim == end.rank and y.shape[-1] == end.units > 1
    is_linear = end.activation == "linear"
    if is_multilabel is None:
        is_multilabel = is_one_hot and has_label_rows(y[:MAX_LABELS])
    if is_linear and is_multilabel:
        metric = "binary_accuracy(threshold=0.0)"
        return OutputChoice("binary_crossentropy", metric, from_logits=True)
    if end.activation == "softmax" or (has_labels and not is_one_hot and is_linear):
        loss = "categorical_crossentropy" if is_one_hot else "sparse_categorical_crossentropy"
        return OutputChoice(loss, "accuracy", from_logits=is_linear)
    if end.activation == "sigmoid":
        # Keras's accuracy of several units compares the most probable ones only.
        metric = "binary_accuracy" if end.units > 1 else "accuracy"
        return OutputChoice("binary_crossentropy", metric)
    return OutputChoice("mse", "mae")
