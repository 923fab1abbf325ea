"""Checks of the arguments of ``fit`` that Keras accepts silently or rejects unclearly."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from kmagic.data.inspection import PART_COUNTS, Inspection, sample_count
from kmagic.language.vocabulary import snake_case
from kmagic.models.fixed_batches import batch_size_error
from kmagic.models.model_arrays import fits_shape, has_custom_step
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import format_shape, join_with_and, list_names
from kmagic.support.messages import Function, Option, Text
from kmagic.support.suggestions import did_you_mean
from kmagic.training.fit_inputs import split_index
from kmagic.training.fit_options import PLAIN_VALUES

PAIR_REMEDY = "Pass a pair (x, y) or a dataset."
CLASS_WEIGHT_REMEDY = "Example: {0: 1.0, 1: 2.5}, class index to weight."
METRIC_NAMES = ("acc", "accuracy")
"""Names of metrics that Keras chooses by the shapes of labels and outputs."""
BALANCED_REMEDY = (
    "Compute it: weights = sklearn.utils.class_weight.compute_class_weight('balanced', "
    "classes=numpy.unique(y), y=y), then dict(zip(numpy.unique(y), weights))."
)
SAMPLE_WEIGHT_REMEDY = "Pass an array with one number per sample."
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
        check_length(training, "x", "steps_per_epoch", arguments.get("steps_per_epoch"))
    elif training.samples is None:
        _check_not_arrays(name, x)
    else:
        _check_arrays(model, name, x, y, training.samples)
        if split and split_index(training.samples, split) < 1:
            reason = f" leaves none of {training.samples:,} samples for training."
            remedy = "Use a smaller fraction, such as 0.1."
            _reject(name, Text(Option("validation_split", split), reason), remedy)
        _check_batch_size(model, name, arguments, training.samples, split)
    if validation is not None and not validation.is_stream:
        size = arguments.get("validation_batch_size") or arguments.get("batch_size")
        error = batch_size_error(model, validation.samples, size, "x_val")
        if error is not None:
            raise TrainingError(Text("In the validation data: ", name, error[0]), error[1])
    _check_validation(model, name, arguments.get("validation_data"), validation)
    steps = Option("validation_steps")
    if validation is not None and validation.is_stream:
        given = arguments.get("validation_steps")
        check_length(validation, Option("validation_data"), steps.name, given)
    elif arguments.get("validation_steps") and validation is None and not split:
        raise TrainingError(Text(steps, " needs validation data."), PAIR_REMEDY)
    _check_weights(model, name, arguments, training)
    has_validation = validation is not None or bool(split)
    _check_callbacks(model, arguments.get("callbacks"), has_validation=has_validation)


def check_length(
    inspection: Inspection, subject: str | Option, option: str, steps: int | None
) -> None:
    """Check that a stream ends, or that the number of its ``steps`` is given by ``option``.

    Raises:
        TrainingError: It never ends, it is unknown whether it does, or it is empty.
    """
    if inspection.kind == "PyDataset" and inspection.batches is None and not inspection.is_endless:
        raise TrainingError(
            Text(subject, f" is a {type(inspection.data).__name__} without a length."),
            "Define its method __len__, the number of batches per epoch.",
        )
    if steps is None and (inspection.is_endless or inspection.is_one_shot):
        reason = " never ends, so neither would the epoch."
        alternative = ", or leave out .repeat()" if inspection.kind == "tf.data.Dataset" else ""
        if inspection.is_one_shot:
            reason = " is a generator that did not end soon: its number of batches is unknown."
        example = Text("Pass the number of batches, for example ", Option(option, 100))
        raise TrainingError(Text(subject, reason), example + f"{alternative}.")
    if not inspection.part_counts:
        raise TrainingError(Text(subject, " is empty: it yields no batch."), "Pass at least one.")


def check_compiled_names(model: keras.Model) -> None:
    """Check the names of losses and metrics, which Keras looks up only when it trains.

    Raises:
        TrainingError: Keras has no loss or metric of that name.
    """
    settings = getattr(getattr(model, "_compile_config", None), "config", {})
    for kind, names in (
        ("loss", [settings.get("loss")]),
        ("metric", [settings.get("metrics"), settings.get("weighted_metrics")]),
    ):
        module = keras.losses if kind == "loss" else keras.metrics
        for name in keras.tree.flatten(names):
            if not isinstance(name, str) or name in METRIC_NAMES:
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
    training = split_index(samples, split) if split else samples
    error = batch_size_error(model, training, batch_size)
    if error is None and split:
        error = batch_size_error(model, samples - training, batch_size)
    if error is None:
        return
    message, remedy = error
    if split and batch_size_error(model, None, batch_size) is None:
        option = Option("validation_split", split)
        message = Text(message, " These are a part of ", option, ".")
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
    for option in ("y", "sample_weight"):
        if arguments.get(option) is not None:
            reason = f"y must be left out: x is a {stream.kind}, whose batches contain the targets."
            if option == "y":
                raise TrainingError(reason, "Pass x alone, or arrays as x and y.")
            remedy = "Yield the weights as the third part of each batch: (x, y, weights)."
            reasons = Text(Option(option), f" must be left out: x is a {stream.kind}.")
            raise TrainingError(reasons, remedy, option=option)
    check_batches(model, stream, "x")
    spec = getattr(stream.data, "element_spec", None)
    expected = getattr(model, "input_shape", None)
    shape = getattr(spec[0] if isinstance(spec, tuple) and spec else spec, "shape", None)
    if not isinstance(expected, tuple) or shape is None or shape.rank is None:
        return
    sizes = zip(shape, expected[1:], strict=False)
    is_single = all(size is not None and other in (None, size) for size, other in sizes)
    if shape.rank == len(expected) - 1 and is_single and expected[-1] != 1:
        _reject(name, "x yields single samples instead of batches.", "Use x.batch(32).")


def check_batches(model: keras.Model, stream: Inspection, subject: str | Option) -> None:
    """Check the number of parts of a stream's batches.

    Raises:
        TrainingError: They are no tuples of x, y and perhaps weights.
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
    if x is None:
        _reject(name, "x is missing.", remedy)
    if isinstance(x, PLAIN_VALUES):
        _reject(name, f"x must be samples; got {x!r}.", remedy)
    if isinstance(x, list | tuple) and x and isinstance(x[0], list | tuple):
        if len({len(row) for row in x if isinstance(row, list | tuple)}) > 1:
            remedy = "Pad them: keras.utils.pad_sequences(x)."
            _reject(name, "the rows of x have different lengths.", remedy)
    elif isinstance(x, list | tuple | dict):
        if not x:
            _reject(name, "x is empty.", "Pass at least one sample.")
    elif not hasattr(x, "shape"):
        if isinstance(x, Iterable):
            remedy = "If it yields batches, pass iter(x) with the number of batches per epoch."
        _reject(name, f"x must be arrays or batches; got {type(x).__name__}.", remedy)


def _check_arrays(model: keras.Model, name: str, x: Any, y: Any, samples: int) -> None:
    if samples == 0:
        _reject(name, "x is empty.", "Pass at least one sample.")
    remedies: dict[str, str | Text] = {
        "text": Text("Read the frame with ", Function("load_data"), ", or use pandas.get_dummies."),
        "dates": "Convert them to numbers first, for example (date - date.min()).dt.days.",
    }
    for what, columns in (("text", _text_columns(x)), ("dates", _date_columns(x))):
        if columns:
            noun, verb = ("columns", "contain") if len(columns) > 1 else ("column", "contains")
            reason = f"the {noun} {list_names(columns)} {verb} {what}, but a model expects numbers."
            _reject(name, reason, remedies[what])
    if isinstance(y, str):
        _reject(name, f"y must be targets; got the text {y!r}.", TARGETS_REMEDY)
    if y is not None and not isinstance(y, list | tuple | dict) and not hasattr(y, "shape"):
        actual = repr(y) if isinstance(y, PLAIN_VALUES) else type(y).__name__
        _reject(name, f"y must be targets; got {actual}.", TARGETS_REMEDY)
    if y is None and needs_targets(model):
        _reject(name, "y, the targets, is missing.", "Pass x and y.")


def _text_columns(x: Any) -> list[str]:
    """Names of a data frame's columns that do not contain numbers."""
    if not hasattr(x, "columns") or not hasattr(x, "iloc"):
        return []
    return [
        str(column)
        for column in x.columns
        if getattr(getattr(x[column], "dtype", None), "kind", "b") in "OUST"
        and not all(isinstance(value, numbers.Number) for value in x[column])
    ]


def _date_columns(x: Any) -> list[str]:
    if not hasattr(x, "columns") or not hasattr(x, "iloc"):
        return []
    return [str(name) for name, dtype in x.dtypes.items() if getattr(dtype, "kind", "") in "Mm"]


def _check_validation(
    model: keras.Model, name: str, validation: Any, inspection: Inspection | None
) -> None:
    if inspection is None:
        return
    option = Option("validation_data")
    if inspection.is_stream:
        check_batches(model, inspection, option)
        return
    if not isinstance(validation, tuple | list):
        if isinstance(validation, PLAIN_VALUES):
            raise TrainingError(Text(option, f" must be data; got {validation!r}."), PAIR_REMEDY)
        if hasattr(validation, "shape") and needs_targets(model):
            raise TrainingError(Text(option, " has no targets."), PAIR_REMEDY)
        return  # some other source of batches, which Keras may know
    if len(validation) not in PART_COUNTS:
        message = f" must be a pair or a triple; got {len(validation)} parts."
        raise TrainingError(Text(option, message), PAIR_REMEDY)
    if needs_targets(model) and (len(validation) == 1 or validation[1] is None):
        raise TrainingError(Text(option, " has no targets."), PAIR_REMEDY)
    if inspection.samples == 0:
        raise TrainingError(Text(option, " is empty."), "Pass at least one sample.")
    sizes = [size for part in validation if (size := sample_count(part)) is not None]
    if len(set(sizes)) > 1:
        raise TrainingError(
            f"The validation data of {name} differs in length: x and y have "
            f"{join_with_and([f'{size:,}' for size in sizes])} samples.",
            "Pass one entry per sample in both, in the same order.",
        )


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
        for callback in given:
            _check_monitor(model, callback, has_validation=has_validation)


def _check_monitor(model: keras.Model, callback: Any, *, has_validation: bool) -> None:
    """Check that the value which a callback of Keras watches will be in the logs."""
    monitor = getattr(callback, "monitor", None)
    is_used = getattr(callback, "save_best_only", True)  # ModelCheckpoint may save each epoch
    if not isinstance(monitor, str) or not is_used:
        return
    known = log_names(model)
    available = [*known, *(f"val_{name}" for name in known if has_validation), "learning_rate"]
    if monitor in available:
        return
    word = type(callback).__name__
    if monitor.removeprefix("val_") in known:
        message = f"{word} monitors {monitor!r}, but there is no validation data."
        remedy = Text("Pass ", Option("validation_split", 0.1), f", or monitor={monitor[4:]!r}.")
        raise TrainingError(message, remedy)
    spellings = {"acc": "accuracy", "val_acc": "val_accuracy"}
    usual = spellings.get(monitor, monitor)
    suggestion = f"Did you mean {usual}?" if usual in available else did_you_mean(usual, available)
    raise TrainingError(
        f"{word} monitors {monitor!r}, which this training does not compute.",
        " ".join(filter(None, [suggestion, f"Available: {list_names(available)}."])),
    )


def log_names(model: keras.Model) -> list[str]:
    """The names of a compiled model's loss and metrics, as the logs of an epoch have them.

    With several outputs, each also has a loss of its own, and a metric may have the name of its
    output as a prefix.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse", metrics=["mae"])
        >>> log_names(model)
        ['loss', 'mae']
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
        if isinstance(given, Mapping):
            by_output = dict(given)
        elif isinstance(given, list | tuple) and len(given) == len(outputs):
            by_output = dict(zip(outputs, given, strict=True))
        for output, metrics in by_output.items():
            names += [f"{output}_{name}" for name in _object_names(metrics)]
    return [name for name in dict.fromkeys(names) if name != "compile_metrics"]


def _object_names(items: Any) -> list[str]:
    """The names of metrics: strings, functions and objects."""
    flat = [item for item in keras.tree.flatten(items) if item is not None]
    named = [getattr(item, "name", "") or getattr(item, "__name__", "") for item in flat]
    return [item if isinstance(item, str) else name for item, name in zip(flat, named, strict=True)]


# --- weights ------------------------------------------------------------------------------------


def _check_weights(
    model: keras.Model, name: str, arguments: Mapping[str, Any], training: Inspection
) -> None:
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
        _check_sample_weight(model, name, arguments, training)


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
        if isinstance(weights, str) and weights == "balanced":
            remedy = BALANCED_REMEDY
        elif isinstance(weights, list | tuple | np.ndarray):
            remedy = "Write dict(enumerate(weights)): class index to weight."
        raise error("", remedy, expected="a dictionary", actual=weights)
    for index, weight in weights.items():
        if not isinstance(index, numbers.Integral):
            message = Text(option, f": keys must be class indices; got {index!r}.")
            raise error(message, CLASS_WEIGHT_REMEDY)
        if not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            actual = f"{weight!r} for class {index}"
            message = Text(option, f": weights must be finite numbers; got {actual}.")
            raise error(message, CLASS_WEIGHT_REMEDY)


def _check_weighted_targets(model: keras.Model, training: Inspection) -> None:
    """Check that each sample has one class, by which Keras looks up its weight."""
    y, option = training.y, Option("class_weight")
    if training.kind in ("generator", "DataLoader"):
        raise TrainingError(
            Text(option, f" is not available for a {training.kind}."),
            "Yield the weights as the third part of each batch: (x, y, weights).",
        )
    if isinstance(y, Mapping | list | tuple):
        raise TrainingError(
            Text(option, f" needs a model with one output; y has {len(y)} parts."),
            Text("Pass a dictionary {output: weights} as ", Option("sample_weight"), "."),
        )
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "biuf":
        return  # missing, or rejected elsewhere
    has_last = y.ndim > 1 and y.shape[-1] == 1
    shape = y.shape[1:-1] if has_last else y.shape[1:]
    reason, remedy = "", ""
    if len(shape) > 1 or (len(shape) == 1 and output_rank(model) > len(shape) + 1):
        per = "labels of shape " + format_shape(shape)
        reason = f" needs one class per sample, but each has {per}."
        index = "y[..., 0]" if has_last else "y"
        remedy = f"Weight each label: weights = numpy.array([1.0, 2.5]), and {{}}weights[{index}]."
    elif len(shape) == 1 and not is_one_hot(y):
        reason = (
            f" needs one class per sample, but the {shape[0]} labels of a sample do not sum to 1, "
            "as for several labels at once."
        )
        remedy = "Weight the samples: {}numpy.where(y == 1, 2.5, 1.0).mean(axis=1)."
    elif not shape and y.dtype.kind == "f" and (fractions := y[y != np.floor(y)]).size:
        reason = f" needs classes, but y contains fractions such as {float(fractions[0]):g}."
        remedy = "Pass one weight per sample: {}weights."
    if reason:
        before, after = remedy.split("{}")
        weights = Text(before, Option("sample_weight"), after)
        if training.is_stream:
            weights = Text(f"{before}yield them as the third part of each batch: {after}")
        raise TrainingError(Text(option, reason), weights)


def output_rank(model: keras.Model) -> int:
    """Number of axes of a model's only output, with that of the batch; 0 if it is unknown."""
    outputs: Any = getattr(model, "outputs", None) or ()
    return len(outputs[0].shape) if len(outputs) == 1 else 0


def is_one_hot(y: np.ndarray) -> bool:
    """Whether each row is a class: a single 1, or probabilities that sum to 1."""
    with np.errstate(all="ignore"):
        return bool(np.allclose(y.sum(axis=-1, dtype="float64"), 1, atol=1e-3) and (y >= 0).all())


def _check_sample_weight(
    model: keras.Model, name: str, arguments: Mapping[str, Any], training: Inspection
) -> None:
    option, weights = Option("sample_weight"), arguments.get("sample_weight")
    parts = keras.tree.flatten(weights)
    for part in parts:
        try:
            array: Any = np.asarray(part)
        except (TypeError, ValueError):  # a tensor of another library, which Keras may know
            continue
        if array.dtype.kind not in "biuf" or not array.ndim:
            actual = array.reshape(-1)[0] if array.ndim and array.size else part
            message = Text(option, f" must be an array of numbers; got {actual!r}.")
            raise TrainingError(message, SAMPLE_WEIGHT_REMEDY, option="sample_weight")
        if training.samples is not None and len(array) != training.samples:
            samples = f"x has {training.samples:,} samples but "
            _reject(name, Text(samples, option, f" has {len(array):,}."), SAMPLE_WEIGHT_REMEDY)
        rank = output_rank(model)
        if array.ndim > 1 and array.shape[1:] != (1,) and len(parts) == 1 and rank:
            output = model.outputs[0].shape[1:-1]
            if not fits_shape(array.shape[1:], output):
                wanted = f"shape {format_shape(output)}" if output else "one value"
                received = format_shape(array.shape[1:])
                reason = f" has shape {received} per sample, but the loss has {wanted}."
                raise TrainingError(Text(option, reason), SAMPLE_WEIGHT_REMEDY)
