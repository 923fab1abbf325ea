"""Checks of the data arguments of ``fit`` that Keras accepts silently or rejects unclearly."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from kmagic.models.model_arrays import has_custom_step
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import list_names
from kmagic.support.messages import Function, Option, Text
from kmagic.training.fit_inputs import split_index
from kmagic.training.fit_options import PLAIN_VALUES

PAIR_REMEDY = "Pass a pair (x, y) or a dataset."
CLASS_WEIGHT_REMEDY = "Example: {0: 1.0, 1: 2.5}, class index to weight."
SAMPLE_WEIGHT_REMEDY = "Pass an array with one number per sample."
TARGETS_REMEDY = "Pass an array with one target per sample."


def check_fit_arguments(model: keras.Model, name: str, arguments: Mapping[str, Any]) -> None:
    """Check the data arguments of ``fit``.

    Raises:
        TrainingError: The model cannot be trained on this data.
    """
    x, y = arguments.get("x"), arguments.get("y")
    validation = arguments.get("validation_data")
    split = arguments.get("validation_split") or 0.0 if validation is None else 0.0
    if is_stream(x):
        _check_stream(model, name, x, split)
    elif x is None or not _lengths(x):
        _check_not_arrays(name, x)
    else:
        _check_arrays(model, name, x, y)
        samples = _lengths(x)[0]
        if split and split_index(samples, split) < 1:
            reason = f" leaves none of {samples:,} samples for training."
            remedy = "Use a smaller fraction, such as 0.1."
            _reject(name, Text(Option("validation_split", split), reason), remedy)
    _check_validation(model, name, validation)
    _check_weights(name, arguments)
    _check_callbacks(arguments.get("callbacks"))


def is_stream(x: Any) -> bool:
    """Whether inputs are a ``tf.data.Dataset`` or a generator."""
    return hasattr(x, "element_spec") or hasattr(x, "__next__")


def _needs_targets(model: keras.Model) -> bool:
    has_loss = not model.compiled or model.loss is not None
    return has_loss and not has_custom_step(model)


def _lengths(values: Any) -> list[int]:
    """Lengths of the arrays in a structure; empty if they are unknown."""
    shapes = [tuple(getattr(leaf, "shape", ())) for leaf in keras.tree.flatten(values)]
    return [int(shape[0]) for shape in shapes] if all(shapes) else []


def _reject(name: str, reason: str | Text, remedy: str | Text) -> None:
    raise TrainingError(Text(f"{name} cannot be trained on this data: ", reason), remedy)


def _check_stream(model: keras.Model, name: str, x: Any, split: float) -> None:
    if split:
        example = ", for example data.take(20), and train on data.skip(20)."
        raise TrainingError(
            Text(Option("validation_split"), " divides arrays, but x is a stream of batches."),
            Text("Pass a second dataset as ", Option("validation_data"), example),
        )
    spec = getattr(x, "element_spec", None)
    expected = getattr(model, "input_shape", None)
    shape = getattr(spec[0] if isinstance(spec, tuple) and spec else spec, "shape", None)
    if not isinstance(expected, tuple) or shape is None or shape.rank is None:
        return
    sizes = zip(shape, expected[1:], strict=False)
    is_single = all(size is not None and other in (None, size) for size, other in sizes)
    if shape.rank == len(expected) - 1 and is_single and expected[-1] != 1:
        _reject(name, "x yields single samples instead of batches.", "Use x.batch(32).")


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
    elif isinstance(x, list | tuple | dict) and not x:
        _reject(name, "x is empty.", "Pass at least one sample.")


def _check_arrays(model: keras.Model, name: str, x: Any, y: Any) -> None:
    if max(_lengths(x)) == 0:
        _reject(name, "x is empty.", "Pass at least one sample.")
    if columns := _text_columns(x):
        noun, verb = ("columns", "contain") if len(columns) > 1 else ("column", "contains")
        _reject(
            name,
            f"the {noun} {list_names(columns)} {verb} text, but a model expects numbers.",
            Text("Read the frame with ", Function("load_data"), ", or use pandas.get_dummies."),
        )
    if isinstance(y, str):
        _reject(name, f"y must be targets; got the text {y!r}.", TARGETS_REMEDY)
    if y is not None and not isinstance(y, list | tuple | dict) and not hasattr(y, "shape"):
        actual = repr(y) if isinstance(y, PLAIN_VALUES) else type(y).__name__
        _reject(name, f"y must be targets; got {actual}.", TARGETS_REMEDY)
    if y is None and _needs_targets(model):
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


def _check_validation(model: keras.Model, name: str, validation: Any) -> None:
    is_batches = is_stream(validation) or isinstance(validation, keras.utils.PyDataset)
    if validation is None or is_batches:
        return
    option = Option("validation_data")
    if not isinstance(validation, tuple | list):
        if isinstance(validation, PLAIN_VALUES):
            raise TrainingError(Text(option, f" must be data; got {validation!r}."), PAIR_REMEDY)
        if hasattr(validation, "shape") and _needs_targets(model):
            raise TrainingError(Text(option, " has no targets."), PAIR_REMEDY)
        return  # some other source of batches, which Keras may know
    if len(validation) not in {1, 2, 3}:
        message = f" must be a pair or a triple; got {len(validation)} parts."
        raise TrainingError(Text(option, message), PAIR_REMEDY)
    if len(validation) == 1 or validation[1] is None:
        raise TrainingError(Text(option, " has no targets."), PAIR_REMEDY)
    parts = [_lengths(part) for part in validation if part is not None]
    if all(parts) and len({size for part in parts for size in part}) > 1:
        sizes = " and ".join(f"{part[0]:,}" for part in parts)
        raise TrainingError(
            f"The validation data of {name} differs in length: x and y have {sizes} samples.",
            "Pass one entry per sample in both, in the same order.",
        )


def _check_callbacks(callbacks: Any) -> None:
    kinds = keras.callbacks.Callback | keras.callbacks.CallbackList
    for callback in keras.tree.flatten(callbacks):
        if callback is None or isinstance(callback, kinds):
            continue
        if isinstance(callback, type):
            raise TrainingError(
                Text(Option("callbacks"), f" must be objects; {callback.__name__} is a class."),
                f"Create one in a cell above: {callback.__name__}().",
            )
        remedy = "Pass one such as keras.callbacks.TerminateOnNaN(), or a list of them."
        expected = "Keras callbacks"
        raise TrainingError("", remedy, option="callbacks", expected=expected, actual=callback)


# --- weights ------------------------------------------------------------------------------------


def _check_weights(name: str, arguments: Mapping[str, Any]) -> None:
    class_weight, sample_weight = arguments.get("class_weight"), arguments.get("sample_weight")
    if class_weight is not None and sample_weight is not None:
        raise TrainingError(
            Text(Option("class_weight"), " and ", Option("sample_weight"), " are both given."),
            "Multiply them: sample_weight * [class_weight[label] for label in y].",
        )
    if class_weight is not None:
        _check_class_weight(class_weight)
    if sample_weight is not None:
        _check_sample_weight(name, sample_weight, arguments.get("x"))


def _check_class_weight(weights: Any) -> None:
    option = Option("class_weight")
    error = partial(TrainingError, remedy=CLASS_WEIGHT_REMEDY, option="class_weight")
    if not isinstance(weights, Mapping):
        raise error(expected="a dictionary", actual=weights)
    for index, weight in weights.items():
        if not isinstance(index, numbers.Integral):
            raise error(Text(option, f": keys must be class indices; got {index!r}."))
        if not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            actual = f"{weight!r} for class {index}"
            raise error(Text(option, f": weights must be finite numbers; got {actual}."))


def _check_sample_weight(name: str, weights: Any, x: Any) -> None:
    option = Option("sample_weight")
    shapes = [getattr(part, "shape", ()) for part in keras.tree.flatten(x)]
    for part in keras.tree.flatten(weights):
        try:
            array = np.asarray(part)
        except (TypeError, ValueError):  # a tensor of another library, which Keras may know
            continue
        if array.dtype.kind not in "biuf" or not array.ndim:
            actual = array.reshape(-1)[0] if array.ndim and array.size else part
            message = Text(option, f" must be an array of numbers; got {actual!r}.")
            raise TrainingError(message, SAMPLE_WEIGHT_REMEDY, option="sample_weight")
        if shapes and shapes[0] and len(array) != shapes[0][0]:
            samples = f"x has {shapes[0][0]:,} samples but "
            _reject(name, Text(samples, option, f" has {len(array):,}."), SAMPLE_WEIGHT_REMEDY)
