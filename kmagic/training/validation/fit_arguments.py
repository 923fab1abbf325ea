"""Checks of the arguments of ``fit`` that Keras accepts silently or rejects unclearly."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from string import Formatter
from typing import Any

import keras
import numpy as np

from kmagic.data.inspection import PART_COUNTS, Inspection
from kmagic.data.stream_length import check_end, steps_remedy
from kmagic.language.vocabulary import snake_case
from kmagic.models.fixed_batches import batch_size_error
from kmagic.models.model_arrays import as_array, fits_shape, has_custom_step, sample_shape
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import format_shape, join_with_and, list_names, safe_repr
from kmagic.support.messages import Function, Option, Text
from kmagic.support.suggestions import did_you_mean
from kmagic.training.fit_inputs import split_index
from kmagic.training.fit_options import PLAIN_VALUES
from kmagic.training.validation.label_checks import METRICS_BY_SHAPE

PAIR_REMEDY = "Pass a pair (x, y) or a dataset."
CLASS_WEIGHT_REMEDY = "Example: {0: 1.0, 1: 2.5}, class index to weight."
SAMPLE_WEIGHT_REMEDY = "Pass an array with one number per sample."
YIELD_WEIGHTS = "Yield the weights as the third part of each batch: (x, y, weights)."
TARGETS_REMEDY = "Pass an array with one target per sample."


def check_fit_arguments(
    model: keras.Model,
    name: str,
    arguments: Mapping[str, Any],
    training: Inspection,
    validation: Inspection | None = None,
) -> None:
    """Check the data arguments of ``fit``; ``training`` and ``validation`` are what they are.

    Raises:
        TrainingError: The model cannot be trained on this data.
    """
    if model.compiled:
        check_compiled_names(model)
    x, y = arguments.get("x"), arguments.get("y")
    split = arguments.get("validation_split") or 0.0 if validation is None else 0.0
    if training.is_stream:
        _check_stream(model, name, training, arguments, split)
        _check_length(training, "x", "steps_per_epoch", arguments.get("steps_per_epoch"))
    elif training.samples is None:
        _check_not_arrays(name, x)
    else:
        _check_arrays(model, name, x, y, training.samples)
        if split and split_index(training.samples, split) < 1:
            reason = f" leaves none of {training.samples:,} samples for training."
            remedy = "Use a smaller fraction, such as 0.1."
            _reject(name, Text(Option("validation_split", split), reason), remedy)
        _check_batch_size(model, name, arguments, training.samples, split)
    if validation is not None:
        _check_validation(model, name, arguments, validation)
    elif arguments.get("validation_steps") and not split:
        raise TrainingError(
            Text(Option("validation_steps"), " needs validation data."), PAIR_REMEDY
        )
    _check_weights(model, arguments, training)
    has_validation = validation is not None or bool(split)
    _check_callbacks(model, arguments.get("callbacks"), has_validation=has_validation)


def _check_length(
    inspection: Inspection, subject: str | Option, option: str, steps: int | None
) -> None:
    if not inspection.is_stream:
        return
    check_end(inspection.data, subject, option, steps, TrainingError)
    if steps is None and inspection.is_unbounded:
        reason = " is a generator that did not end soon: its number of batches is unknown."
        raise TrainingError(Text(subject, reason), steps_remedy(option) + ".")
    if not inspection.part_counts:
        raise TrainingError(Text(subject, " is empty: it yields no batch."), "Pass at least one.")


def check_compiled_names(model: keras.Model) -> None:
    """Check the names of losses and metrics, which Keras looks up only when it trains.

    Raises:
        TrainingError: Keras has no loss or metric of that name.
    """
    settings = getattr(getattr(model, "_compile_config", None), "config", {})
    for key, module in (
        ("loss", keras.losses),
        ("metrics", keras.metrics),
        ("weighted_metrics", keras.metrics),
    ):
        kind = "loss" if key == "loss" else "metric"
        for name in keras.tree.flatten(settings.get(key)):
            if not isinstance(name, str) or name in METRICS_BY_SHAPE:
                continue
            try:
                module.get(name)
            except ValueError:
                known = {snake_case(word) for word in dir(module) if word[0].isupper()}
                known = known - {kind} | {"mae", "mse"}
                remedy = did_you_mean(name, known) or f"Available: {list_names(known, 100)}."
                raise TrainingError(f"Keras has no {kind} named {name!r}.", remedy) from None


def _check_batch_size(
    model: keras.Model, name: str, arguments: Mapping[str, Any], samples: int, split: float
) -> None:
    """Check that arrays, and both parts of a split, are full batches if the model needs them."""
    batch_size = arguments.get("batch_size")
    parts = [split_index(samples, split), samples - split_index(samples, split)] if split else []
    errors = (batch_size_error(model, part, batch_size) for part in parts or [samples])
    error = next(filter(None, errors), None)
    if error is None:
        return
    message, remedy = error
    if split and batch_size_error(model, None, batch_size) is None:
        message = Text(message, " These are a part of ", Option("validation_split", split), ".")
        remedy = Text(
            "Divide them yourself and pass ", Option("validation_data"), " in full batches."
        )
    raise TrainingError(Text(name, message), remedy)


def needs_targets(model: keras.Model) -> bool:
    """Whether a model's loss compares its outputs with targets."""
    has_loss = not model.compiled or model.loss is not None
    return has_loss and not has_custom_step(model)


def _reject(name: str, reason: str | Text, remedy: str | Text) -> None:
    raise TrainingError(Text(f"{name} cannot be trained on this data: ", reason), remedy)


def _check_stream(
    model: keras.Model, name: str, stream: Inspection, arguments: Mapping[str, Any], split: float
) -> None:
    if split:
        example = ", for example data.take(20), and train on data.skip(20)."
        raise TrainingError(
            Text(Option("validation_split"), " divides arrays, but x is a stream of batches."),
            Text("Pass a second dataset as ", Option("validation_data"), example),
        )
    left_out = f" must be left out: x is a {stream.kind}"
    if arguments.get("y") is not None:
        reason = f"y{left_out}, whose batches contain the targets."
        raise TrainingError(reason, "Pass x alone, or arrays as x and y.")
    if arguments.get("sample_weight") is not None:
        raise TrainingError(Text(Option("sample_weight"), f"{left_out}."), YIELD_WEIGHTS)
    check_batches(model, stream, "x")
    spec = getattr(stream.data, "element_spec", None)
    expected = sample_shape(model)
    shape = getattr(spec[0] if isinstance(spec, tuple) and spec else spec, "shape", None)
    if expected and expected[-1] != 1 and shape is not None and shape.rank == len(expected):
        sizes = zip(shape, expected, strict=True)
        if all(size is not None and other in (None, size) for size, other in sizes):
            _reject(name, "x yields single samples instead of batches.", "Use x.batch(32).")


def check_batches(model: keras.Model, stream: Inspection, subject: str | Option) -> None:
    """Check the number of parts of a stream's batches.

    Raises:
        TrainingError: They are not tuples of x, y and perhaps weights.
    """
    counts = sorted(stream.part_counts)
    if len(counts) > 1 or not set(counts) <= set(PART_COUNTS):
        remedy = "Several inputs form one part: yield ((a, b), y), or a dictionary of inputs."
        actual = f"; got {join_with_and(list(map(str, counts)))} parts."
        raise TrainingError(
            Text(subject, " must yield (x, y) or (x, y, sample_weight)", actual), remedy
        )
    if stream.y is None and counts and needs_targets(model):
        raise TrainingError(
            Text(subject, " yields inputs without targets."), "Yield pairs (x, y) of a batch each."
        )


def _check_not_arrays(name: str, x: Any) -> None:
    remedy = "Pass an array with one entry per sample, or a dataset."
    first = x[0] if isinstance(x, list | tuple) and x else None
    if x is None:
        _reject(name, "x is missing.", remedy)
    if isinstance(x, PLAIN_VALUES) or getattr(x, "shape", None) == ():
        _reject(name, f"x must be samples; got {x!r}.", remedy)
    if isinstance(x, list | tuple | dict) and not x:
        _reject(name, "x is empty.", "Pass at least one sample.")
    if isinstance(first, tuple) and all(hasattr(part, "shape") for part in first):
        _reject(name, "x is a list of batches.", "Pass an iterator of them: iter(x).")
    if isinstance(first, list | tuple):
        if len({len(row) for row in x if isinstance(row, list | tuple)}) > 1:
            remedy = "Pad them: keras.utils.pad_sequences(x)."
            _reject(name, "the rows of x have different lengths.", remedy)
    elif not hasattr(x, "shape") and not isinstance(x, list | tuple | dict):
        if isinstance(x, Iterable):
            remedy = "If it yields batches, pass iter(x) with the number of batches per epoch."
        _reject(name, f"x must be arrays or batches; got {type(x).__name__}.", remedy)


def _check_arrays(model: keras.Model, name: str, x: Any, y: Any, samples: int) -> None:
    if samples == 0:
        _reject(name, "x is empty.", "Pass at least one sample.")
    remedies: dict[str, str | Text] = {
        "OUST": Text("Read the frame with ", Function("load_data"), ", or use pandas.get_dummies."),
        "Mm": "Convert them to numbers first, for example (date - date.min()).dt.days.",
    }
    for kinds, remedy in remedies.items():
        if columns := _columns_of(x, kinds):
            noun, verb = ("columns", "contain") if len(columns) > 1 else ("column", "contains")
            what = "dates" if kinds == "Mm" else "text"
            reason = f"the {noun} {list_names(columns)} {verb} {what}, but a model expects numbers."
            _reject(name, reason, remedy)
    if y is None:
        if needs_targets(model):
            _reject(name, "y, the targets, is missing.", "Pass x and y.")
    elif not isinstance(y, list | tuple | dict) and getattr(y, "shape", ()) == ():
        is_value = isinstance(y, PLAIN_VALUES) or hasattr(y, "shape")
        actual = repr(y) if is_value else type(y).__name__
        _reject(name, f"y must be targets; got {actual}.", TARGETS_REMEDY)


def _columns_of(x: Any, kinds: str) -> list[str]:
    """Names of a data frame's columns whose dtype is of one of the ``kinds``, but no numbers."""
    if not hasattr(x, "columns") or not hasattr(x, "iloc"):
        return []
    return [
        str(column)
        for column, dtype in x.dtypes.items()
        if getattr(dtype, "kind", "b") in kinds
        and not all(isinstance(value, numbers.Number) for value in x[column])
    ]


def _check_validation(
    model: keras.Model, name: str, arguments: Mapping[str, Any], inspection: Inspection
) -> None:
    option, given = Option("validation_data"), arguments.get("validation_data")
    if inspection.is_stream:
        check_batches(model, inspection, option)
        steps = arguments.get("validation_steps")
        _check_length(inspection, option, "validation_steps", steps)
        return
    parts = given if isinstance(given, tuple | list) else None
    problem = ""
    if isinstance(given, PLAIN_VALUES):
        problem = f" must be data; got {given!r}."
    elif inspection.kind != "arrays":
        problem = f" must be arrays or batches; got {inspection.kind}."
    elif parts is not None and len(parts) not in PART_COUNTS:
        problem = f" must be a pair or a triple; got {len(parts)} parts."
    elif inspection.y is None and (parts or hasattr(given, "shape")) and needs_targets(model):
        problem = " has no targets."
    elif inspection.samples == 0:
        problem = " is empty: pass at least one sample."
    if problem:
        raise TrainingError(Text(option, problem), PAIR_REMEDY)
    size = arguments.get("validation_batch_size") or arguments.get("batch_size")
    if error := batch_size_error(model, inspection.samples, size, "x_val"):
        raise TrainingError(Text("In the validation data: ", name, error[0]), error[1])


# --- callbacks ----------------------------------------------------------------------------------


def _check_callbacks(model: keras.Model, callbacks: Any, *, has_validation: bool) -> None:
    kinds = keras.callbacks.Callback | keras.callbacks.CallbackList
    given = [item for item in keras.tree.flatten(callbacks) if item is not None]
    for callback in given:
        if isinstance(callback, kinds):
            continue
        if isinstance(callback, type):
            raise TrainingError(
                Text(Option("callbacks"), f" must be objects; {callback.__name__} is a class."),
                f"Create one in a cell above: {callback.__name__}().",
            )
        remedy = "Pass one such as keras.callbacks.TerminateOnNaN(), or a list of them."
        expected = "Keras callbacks"
        raise TrainingError("", remedy, option="callbacks", expected=expected, actual=callback)
    are_known = all(type(callback).__module__.startswith("keras.") for callback in given)
    if are_known and not has_custom_step(model) and model.compiled:  # others may add logs
        known = log_names(model)
        for callback in given:
            if getattr(callback, "save_best_only", True):  # ModelCheckpoint may save each epoch
                monitor, word = getattr(callback, "monitor", None), type(callback).__name__
                check_log_name(monitor, f"{word} monitors", known, has_validation=has_validation)
            if isinstance(callback, keras.callbacks.ModelCheckpoint):
                for _, field, _, _ in Formatter().parse(str(callback.filepath)):
                    if field not in (None, "epoch", "batch"):
                        what = "The file name of ModelCheckpoint contains"
                        check_log_name(field, what, known, has_validation=has_validation)


def check_log_name(
    name: Any, what: str, known: list[str], *, has_validation: bool, option: str = ""
) -> None:
    """Check that a value is among those that are computed in each epoch.

    Args:
        name: Its name in the logs of an epoch.
        what: Who reads it, for messages: "EarlyStopping monitors".
        known: Names of the loss and the metrics, as from :func:`log_names`.
        has_validation: Whether they are also computed from validation data.
        option: The option that names it.

    Raises:
        TrainingError: It is not.

    Example:
        >>> check_log_name("val_loss", "The goal is", ["loss"], has_validation=True)
    """
    available = [*known, *(f"val_{metric}" for metric in known if has_validation), "learning_rate"]
    if not isinstance(name, str) or name in available:
        return
    if name.removeprefix("val_") in known:
        message = f"{what} {name!r}, but there is no validation data."
        remedy = Text("Pass ", Option("validation_split", 0.1), f", or use {name[4:]!r}.")
        raise TrainingError(message, remedy, option=option)
    prefix = "val_" * name.startswith("val_")
    same = [prefix + metric for metric in known if _metric(metric) == _metric(name[len(prefix) :])]
    suggestion = f"Did you mean {same[0]}?" if same else did_you_mean(name, available)
    raise TrainingError(
        f"{what} {name!r}, which this training does not compute.",
        " ".join(filter(None, [suggestion, f"Available: {list_names(available)}."])),
        option=option,
    )


def _metric(name: str) -> Any:
    """The class of Keras's that a name is short for, or the name."""
    if name in METRICS_BY_SHAPE:
        return METRICS_BY_SHAPE
    with suppress(ValueError, TypeError):
        return type(keras.metrics.get(name))
    return name


def log_names(model: keras.Model) -> list[str]:
    """The names of a compiled model's loss and metrics, as the logs of an epoch have them.

    With several outputs, each also has a loss of its own, and a metric may have the name of its
    output as a prefix.
    """
    settings = getattr(getattr(model, "_compile_config", None), "config", {})
    outputs = list(getattr(model, "output_names", None) or ())
    names = ["loss", *_object_names(model.metrics)]
    names += [f"{output}_loss" for output in outputs[1:] and outputs]
    for given in (settings.get("metrics"), settings.get("weighted_metrics")):
        if len(outputs) < 2:  # noqa: PLR2004 - several
            names += _object_names(given)
            continue
        by_output = dict.fromkeys(outputs, given)
        if isinstance(given, list | tuple) and len(given) == len(outputs):
            by_output = dict(zip(outputs, given, strict=True))
        for output, metrics in (given if isinstance(given, Mapping) else by_output).items():
            names += [f"{output}_{name}" for name in _object_names(metrics)]
    return [name for name in dict.fromkeys(names) if name != "compile_metrics"]


def _object_names(items: Any) -> list[str]:
    """The names of metrics: strings, functions and objects."""
    flat = [item for item in keras.tree.flatten(items) if item is not None]
    named = [getattr(item, "name", "") or getattr(item, "__name__", "") for item in flat]
    return [item if isinstance(item, str) else name for item, name in zip(flat, named, strict=True)]


# --- weights ------------------------------------------------------------------------------------


def _check_weights(model: keras.Model, arguments: Mapping[str, Any], training: Inspection) -> None:
    class_weight, sample_weight = arguments.get("class_weight"), arguments.get("sample_weight")
    has_third = max(PART_COUNTS) in training.part_counts
    if class_weight is not None and (sample_weight is not None or has_third):
        third = " (the third part of each batch)" if has_third else ""
        both = Text(Option("class_weight"), " and ", Option("sample_weight"), third)
        raise TrainingError(
            both + " are both given.",
            "Multiply them: sample_weight * [class_weight[label] for label in y].",
        )
    if class_weight is not None:
        _check_class_weight(class_weight)
        _check_weighted_targets(model, training)
    if sample_weight is not None:
        _check_sample_weight(model, training)


def class_weight_by_index(weights: Any, classes: Sequence[str] | None = None) -> Any:
    """Class weights by index: names of ``classes`` become indices, all others are unchanged.

    Raises:
        TrainingError: A key is a text, but not the name of a class.
    """
    if not isinstance(weights, Mapping) or not any(isinstance(key, str) for key in weights):
        return weights
    index_of = {name: index for index, name in enumerate(classes or ())}
    for key in weights:
        if index_of and isinstance(key, str) and key not in index_of:
            raise TrainingError(
                Text(Option("class_weight"), f": keys must be classes of the data; got {key!r}."),
                did_you_mean(key, index_of) or f"The classes are {list_names(index_of)}.",
            )
    return {index_of.get(key, key): weight for key, weight in weights.items()}


def balanced_class_weight(y: Any) -> dict[int, float]:
    """Weights that give each class of the targets the same influence, as in scikit-learn.

    Example:
        >>> balanced_class_weight(np.array([0, 0, 0, 1]))
        {0: 0.6666666666666666, 1: 2.0}
    """
    reject_several_targets(y)
    labels = as_array(y)
    if labels is None or labels.dtype.kind not in "biuf":
        message = Text(Option("class_weight", "balanced"), " needs class indices as y.")
        raise TrainingError(message, CLASS_WEIGHT_REMEDY)
    if labels.ndim > 1 and labels.shape[-1] > 1 and is_one_hot(labels):
        labels = labels.argmax(axis=-1)
    classes, counts = np.unique(labels, return_counts=True)
    weights = labels.size / (len(classes) * counts)
    return dict(zip(classes.astype(int).tolist(), weights.tolist(), strict=True))


def reject_several_targets(y: Any) -> None:
    """Reject class weights for a model with several outputs, as Keras does."""
    is_list = isinstance(y, list | tuple) and all(hasattr(part, "shape") for part in y)
    if not isinstance(y, Mapping) and not is_list:
        return
    name = next(iter(y), "NAME") if isinstance(y, Mapping) else "NAME"
    raise TrainingError(
        Text(Option("class_weight"), f" needs a model with one output; y has {len(y)} parts."),
        Text(
            f"Weight the samples of an output: {{{name!r}: sklearn.utils.class_weight."
            f"compute_sample_weight('balanced', y[{name!r}])}} as ",
            *(Option("sample_weight"), "."),
        ),
    )


def complete_class_weight(model: keras.Model, weights: Any) -> Any:
    """Checked class weights with a weight for each unit: in a stream, Keras needs them all."""
    units = model.outputs[0].shape[-1] if output_rank(model) > 1 else 0
    count = max(units or 0, 2, *(int(index) + 1 for index in weights))
    return {index: float(weights.get(index, 1.0)) for index in range(count)}


def _check_class_weight(weights: Any) -> None:
    option = Option("class_weight")
    error = partial(TrainingError, option="class_weight")
    if not isinstance(weights, Mapping):
        remedy = CLASS_WEIGHT_REMEDY
        if isinstance(weights, list | tuple | np.ndarray):
            remedy = "Write dict(enumerate(weights)): class index to weight."
        raise error("", remedy, expected='a dictionary or "balanced"', actual=weights)
    for index, weight in weights.items():
        if not isinstance(index, numbers.Integral):
            message = Text(option, f": keys must be class indices; got {safe_repr(index)}.")
            raise error(message, CLASS_WEIGHT_REMEDY)
        if not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            actual = f"{safe_repr(weight)} for class {index}"
            message = Text(option, f": weights must be finite numbers; got {actual}.")
            raise error(message, CLASS_WEIGHT_REMEDY)


def _check_weighted_targets(model: keras.Model, training: Inspection) -> None:
    """Check that each sample has one class, by which Keras looks up its weight."""
    y, option = training.y, Option("class_weight")
    if training.kind in ("generator", "DataLoader"):
        raise TrainingError(
            Text(option, f" is not available for a {training.kind}."), YIELD_WEIGHTS
        )
    reject_several_targets(y)
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "biuf":
        return  # missing, or rejected elsewhere
    has_last = y.ndim > 1 and y.shape[-1] == 1
    shape = y.shape[1:-1] if has_last else y.shape[1:]
    if len(shape) > 1 or (shape and output_rank(model) > len(shape) + 1):
        reason = f"one class per sample, but each has labels of shape {format_shape(shape)}."
        weights = "weights[y[..., 0]]" if has_last else "weights[y]"
        weights += ", with one weight per class such as weights = numpy.array([1.0, 2.5]),"
    elif shape and not is_one_hot(y):
        reason = (
            f"one class per sample, but the {shape[0]} labels of a sample do not sum to 1, as for "
            "several labels at once."
        )
        weights = "a weight per sample, such as numpy.where(y == 1, 2.5, 1.0).mean(axis=1),"
    elif not shape and y.dtype.kind == "f" and (fractions := y[y != np.floor(y)]).size:
        reason = f"classes, but y contains fractions such as {float(fractions[0]):g}."
        weights = "a weight per sample"
    else:
        return
    how = Text(f"Pass {weights} as ", Option("sample_weight"), ".")
    if training.is_stream:
        how = Text(f"Yield {weights} as the third part of each batch.")
    raise TrainingError(Text(option, f" needs {reason}"), how)


def output_rank(model: keras.Model) -> int:
    """Number of axes of a model's only output, with that of the batch; 0 if it is unknown."""
    outputs: Any = getattr(model, "outputs", None) or ()
    return len(outputs[0].shape) if len(outputs) == 1 else 0


def is_one_hot(y: np.ndarray) -> bool:
    """Whether each row is a class: a single 1, or probabilities that sum to 1."""
    with np.errstate(all="ignore"):
        return bool(np.allclose(y.sum(axis=-1, dtype="float64"), 1, atol=1e-3) and (y >= 0).all())


def _check_sample_weight(model: keras.Model, training: Inspection) -> None:
    option, weights = Option("sample_weight"), training.sample_weight
    parts = keras.tree.flatten(weights) or [weights]
    for part in parts:
        array = as_array(part)
        if array is None or array.dtype.kind not in "biuf":
            actual = part if array is None else array.reshape(-1)[0]
            message = Text(option, f" must be an array of numbers; got {safe_repr(actual)}.")
            raise TrainingError(message, SAMPLE_WEIGHT_REMEDY, option="sample_weight")
        received = array.shape[1:]
        if received in ((), (1,)) or len(parts) > 1 or not output_rank(model):
            continue
        output = model.outputs[0].shape[1:-1]
        if not fits_shape(received, output):
            wanted = f"shape {format_shape(output)}" if output else "one value"
            reason = f"has shape {format_shape(received)} per sample, but the loss has {wanted}."
            raise TrainingError(Text(option, f" {reason}"), SAMPLE_WEIGHT_REMEDY)
