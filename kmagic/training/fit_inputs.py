"""The data arguments of ``fit`` in the forms that Keras takes: lists, frames, texts as arrays."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import find_dataset
from kmagic.data.inspection import sample_count, stream_kind
from kmagic.data.preparation.raw_detection import prepare_if_raw
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.models.model_arrays import as_array, dense_rows, model_tensors, sparse_rows
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.sentences import as_sentences
from kmagic.support.suggestions import did_you_mean
from kmagic.training.retracing import with_axes_of


def dataset_parts(model: Any, x: Any, y: Any, validation_data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and validation data, also where a dataset of ``load_data`` was given.

    A model with one output gets the target of its name.
    """
    if hasattr(x, "x_train") and y is None:
        x, y = x.x_train, x.y_train
    if hasattr(validation_data, "x_test"):
        validation_data = (validation_data.x_test, validation_data.y_test)
    names = list(model_tensors(model, "outputs"))
    if len(names) == 1 and isinstance(y, Mapping) and names[0] in y:
        y = y[names[0]]
        if isinstance(validation_data, tuple | list) and len(validation_data) > 1:
            held_out = validation_data[1]
            held_out = held_out.get(names[0]) if isinstance(held_out, Mapping) else held_out
            validation_data = (validation_data[0], held_out, *validation_data[2:])
    if isinstance(validation_data, tuple | list) and len(validation_data) > 1:
        held_out = prepare_if_raw(find_dataset(x), validation_data[0])
        validation_data = (held_out, *validation_data[1:])
    return x, y, validation_data


def split_index(samples: int, fraction: float) -> int:
    """The first validation sample of a ``validation_split``, rounded as in Keras."""
    return math.floor(samples * (1.0 - fraction))


def time_gap(x: Any) -> int:
    """The samples of a dataset that are left out before its validation part, because they overlap.

    They are windows of a time series; of anything else none are left out.
    """
    return getattr(find_dataset(x), "time_gap", None) or 0


def split_validation(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the samples of ``validation_split`` as ``validation_data``, as in Keras.

    Of windows of a time series, those that overlap with the validation part are left out.

    Example:
        >>> x = np.arange(5)
        >>> split_validation({"x": x, "y": -x, "validation_split": 0.4})["validation_data"]
        (array([3, 4]), array([-3, -4]))
    """
    fraction, names = arguments.get("validation_split"), ("x", "y", "sample_weight")
    given = {name: arguments[name] for name in names if arguments.get(name) is not None}
    lengths = {tuple(getattr(leaf, "shape", ()))[:1] for leaf in keras.tree.flatten(given)}
    if not fraction or len(lengths) != 1 or () in lengths or "validation_data" in arguments:
        return dict(arguments)
    ((samples,),) = lengths
    index, gap = split_index(samples, fraction), time_gap(given.get("x"))
    if index <= gap:
        raise TrainingError(
            f"{pluralize(index, 'sample')} before the validation part are too few: {gap:,} of them "
            "share rows with it and are left out.",
            Text("Use a smaller ", Option("validation_split"), ", or more data."),
            option="validation_split",
        )
    parts = (slice(index - gap), slice(index, None))
    training, validation = (take_rows(given, part) for part in parts)
    held_out = tuple(validation[name] for name in names if name in validation)
    return {**arguments, **training, "validation_data": held_out, "validation_split": 0}


def take_rows(values: Any, rows: slice | NDArray[np.intp]) -> Any:
    """Some rows of each array or data frame in a structure; None stays None.

    Example:
        >>> take_rows({"a": np.arange(4), "b": None}, np.array([3, 1]))
        {'a': array([3, 1]), 'b': None}
    """

    def take(part: Any) -> Any:
        if part is None:
            return None
        if keras.ops.is_tensor(part) and not isinstance(rows, slice):
            return keras.ops.take(part, rows, axis=0)
        return (part.iloc if hasattr(part, "iloc") else part)[rows]

    return keras.tree.map_structure(take, values)


def convert_arguments(model: keras.Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``model.fit``, with lists of numbers, texts or arrays as arrays.

    A list of equal arrays is samples for a model with one input, else one array per input. Texts
    become arrays of Python strings, the only ones that Keras takes. Arrays get or lose a last axis
    of size one, like the model's inputs.
    """
    converted = dict(arguments)
    inputs, outputs = (getattr(model, side, None) for side in ("inputs", "outputs"))
    for name, tensors in (("x", inputs), ("y", outputs), ("sample_weight", None)):
        converted[name] = _convert_sparse(convert_list(converted.get(name), tensors), name)
    converted["x"] = with_axes_of(model, _convert_texts(converted["x"]))
    validation = converted.get("validation_data")
    if isinstance(validation, tuple | list) and len(validation) in {2, 3}:
        sides = zip(validation, (inputs, outputs, None), strict=False)
        x, y, *weights = (convert_list(values, tensors) for values, tensors in sides)
        x, y = _convert_sparse(x, "x"), _convert_sparse(y, "y")
        if weights:
            y, weights[0] = _match_weights(model, y, weights[0])
        converted["validation_data"] = (with_axes_of(model, _convert_texts(x)), y, *weights)
    if not converted.get("batch_size") and not stream_kind(converted["x"]):
        converted["batch_size"] = fixed_batch_size(model)
    if converted["sample_weight"] is not None:
        y, weights = _match_weights(model, converted["y"], converted["sample_weight"])
        converted["y"], converted["sample_weight"] = y, weights
    return converted


def _convert_sparse(value: Any, name: str) -> Any:
    """Sparse inputs as CSR, the format that Keras slices; sparse targets as an array."""
    rows = sparse_rows(value)
    if isinstance(rows, Mapping):
        return {key: _convert_sparse(part, name) for key, part in rows.items()}
    return rows if name == "x" else dense_rows(rows)


def _match_weights(model: keras.Model, y: Any, weights: Any) -> tuple[Any, Any]:
    """Targets and weights in the structure of the model's outputs, if it has several.

    Keras matches targets with outputs by name or by order, but weights only if their structure is
    the same.
    """
    names = list(model_tensors(model, "outputs"))
    if len(names) < 2:  # noqa: PLR2004 - several
        return y, weights

    def by_name(values: Any) -> dict[str, Any] | None:
        if isinstance(values, Mapping):
            return dict(values) if set(values) == set(names) else None
        is_complete = isinstance(values, list | tuple) and len(values) == len(names)
        return dict(zip(names, values, strict=True)) if is_complete else None

    if isinstance(weights, Mapping):
        for name in weights:
            if name not in names:
                raise TrainingError(
                    Text(Option("sample_weight"), f" has {name!r}, which is no output."),
                    did_you_mean(str(name), names) or f"The outputs are {list_names(names)}.",
                    option="sample_weight",
                )
        rows = sample_count(weights) or 0
        weights = {name: weights.get(name, np.ones(rows, "float32")) for name in names}
    targets, given = by_name(y), by_name(weights)
    if targets is None or (given is None and not hasattr(weights, "shape")):
        return y, weights
    given = given or dict.fromkeys(names, weights)
    if isinstance(model.output, dict):
        return targets, given
    return [targets[name] for name in names], [given[name] for name in names]


def convert_list(value: Any, tensors: Any = None) -> Any:
    """A list or data frame as an array, if possible; anything else is unchanged.

    Example:
        >>> convert_list([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    if _may_hold_objects(value):
        return _convert_objects(value)
    if isinstance(value, Mapping) and any(map(_may_hold_objects, value.values())):
        return {name: convert_list(part) for name, part in value.items()}
    if isinstance(value, list) and any(map(_may_hold_objects, value)):
        value = [convert_list(part) for part in value]
    if not isinstance(value, list | tuple) or not value:
        return value
    leaves = keras.tree.flatten(value)
    if all(isinstance(leaf, str) for leaf in leaves):
        return np.array(value, dtype=object)
    if all(isinstance(leaf, numbers.Number) for leaf in leaves):
        try:
            return np.asarray(value)
        except ValueError:  # rows of different length
            return value
    has_one_tensor = tensors is not None and len(keras.tree.flatten(tensors)) == 1
    if has_one_tensor and all(isinstance(part, np.ndarray) for part in value):
        rank = len(keras.tree.flatten(tensors)[0].shape)
        shapes = {part.shape for part in value}
        if len(shapes) == 1 and len(shapes.pop()) == rank - 1:
            return np.stack(value)
    return value


def _may_hold_objects(value: Any) -> bool:
    return hasattr(value, "iloc") or getattr(value, "dtype", None) == np.dtype(object)


def _convert_objects(value: Any) -> Any:
    """A frame, column or array of Python's numbers or nullable types as an array of numbers."""
    dtypes: Any = value.dtypes if hasattr(value, "dtypes") else value.dtype
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in np.atleast_1d(dtypes)):
        is_mixed = hasattr(value, "columns") and value.to_numpy().dtype.kind == "O"
        if not is_mixed:
            return value
    array = as_array(value)
    if array is None or array.dtype.kind not in "biuf":
        return value
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def _convert_texts(value: Any) -> Any:
    """Texts in an array or column as (samples,) Python strings; anything else is unchanged."""
    if isinstance(value, dict):
        return {name: _convert_texts(part) for name, part in value.items()}
    if isinstance(value, list | tuple) and all(hasattr(part, "dtype") for part in value):
        parts = [_convert_texts(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    is_column = hasattr(value, "iloc") and not hasattr(value, "columns")
    if isinstance(value, np.ndarray) or is_column:
        sentences = as_sentences(value)
        return value if sentences is None else np.array(sentences, dtype=object)
    return value
