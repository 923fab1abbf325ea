"""Predictions in batches, with progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count as counter
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.inspection import count_batches, split_batch, stream_kind
from kmagic.data.preparation.raw_detection import detect_raw
from kmagic.data.stream_length import check_end
from kmagic.models.fixed_batches import batch_size_error, fixed_batch_size, stream_batch_error
from kmagic.models.model_arrays import (
    Shape,
    as_array,
    dense_rows,
    fits_shape,
    sample_shape,
    sparse_rows,
    structure_errors,
)
from kmagic.support.disk_arrays import release
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import safe_repr
from kmagic.support.keras_import import keras
from kmagic.support.messages import ModelName, Option, Text
from kmagic.support.model_registry import dataset_for
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

MIN_BATCH, MAX_BATCH, BATCH_BYTES = 32, 256, 8_000_000  # samples, samples and input bytes


EMPTY_STREAM = "The stream is empty: it yields no batch."


def predict_in_batches(model: Any, x: Any, *, batch_size: int | None = None) -> NDArray[Any]:
    """The result of ``model.predict(x)``, without its overhead and without copying ``x``.

    Batches are sliced from ``x`` one at a time, so a memory-mapped array stays on the disk. After
    a second a progress bar appears; an interrupt takes effect after the current batch.

    Nothing is remembered between calls: a stateful layer, a seed generator, a layer that is random
    at inference or a function that reads a variable can return something else the next time.

    Returns:
        One row per sample, in the shape of the model's output.

    Example:
        >>> class Twice:
        ...     def predict_on_batch(self, x):
        ...         return 2 * x
        >>> predict_in_batches(Twice(), [[1.0], [2.0], [3.0]], batch_size=2).ravel().tolist()
        [2.0, 4.0, 6.0]
    """
    arrays = to_arrays(model, x)
    if arrays is None:
        return predict_stream([model], x)[0][0]
    outputs = predict_outputs(model, arrays, batch_size=batch_size)
    return only_output(list(outputs.values()))


def predict_outputs(
    model: Any, arrays: Any, *, batch_size: int | None = None
) -> dict[Any, NDArray[Any]]:
    """All outputs of the model for arrays of :func:`to_arrays`, by their names or positions."""
    check_sample_shape(model, arrays)
    parts = input_arrays(arrays)
    samples = int(parts[0].shape[0])
    if batch_size is not None and batch_size < 1:
        raise EvaluationError(option="batch_size", expected="at least 1", actual=batch_size)
    if not samples:
        raise option_error("x", "is empty: nothing to predict.")
    if error := batch_size_error(model, samples, batch_size):
        raise EvaluationError(model_phrase(model) + error[0], error[1])
    step = batch_size or fixed_batch_size(model) or _default_batch_size(parts)
    shape = None if isinstance(arrays, dict | list) else sample_shape(model)
    results: dict[Any, NDArray[Any]] = {}
    with Progress(samples, "samples predicted") as progress:
        for start in range(0, samples, step):
            stop = min(start + step, samples)
            batch = match_axes(slice_inputs(arrays, start, stop), shape)
            for key, rows in _named_outputs(model, batch).items():
                if rows.shape[:1] != (stop - start,):
                    raise EvaluationError(
                        f"The model must return one row for each of {stop - start:,} samples; got "
                        f"an array of shape {shape_tuple(rows.shape)}."
                    )
                if key not in results:
                    results[key] = np.empty((samples, *rows.shape[1:]), dtype=rows.dtype)
                results[key][start:stop] = rows
            for part in parts:
                release(part)
            progress.advance(stop - start)
    return results


def predict_stream_outputs(
    model: Any, stream: Any, *, steps: int | None = None
) -> dict[Any, NDArray[Any]]:
    """The same for a stream."""
    prepare, batches = StreamPreparation(model), []
    for x, _ in stream_batches(stream, steps=steps):
        batch = prepare(x)
        shape = sample_shape(model) if hasattr(batch, "ndim") else None
        batches.append(_named_outputs(model, match_axes(batch, shape)))
    if not batches:
        raise EvaluationError(EMPTY_STREAM)
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def _named_outputs(model: Any, batch: Any) -> dict[Any, NDArray[Any]]:
    outputs = outputs_of_batch(model, batch)
    if not isinstance(outputs, dict):
        outputs = dict(enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]))
    for name, output in outputs.items():
        if isinstance(output, dict | list | tuple):
            raise EvaluationError(
                Text(model_phrase(model), f" returns several arrays as its output {name!r}."),
                "Give each output a name of its own.",
            )
    return {key: np.asarray(output) for key, output in outputs.items()}


def predict_stream(
    models: Sequence[Any],
    stream: Any,
    *,
    steps: int | None = None,
    targets: Callable[[Any], Any] = lambda y: y,
) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Predictions and labels in one pass over a stream, which may be shuffled again in the next.

    Args:
        models: One or several models, all of which predict the same batches.
        stream: A ``tf.data.Dataset``, a ``PyDataset``, a ``DataLoader``, a generator or any other
            iterable of batches.
        steps: Number of batches to read. Default: all.
        targets: Selects those of one output.

    Returns:
        The rows of each model, and the labels; None if the batches contain none.
    """
    rows: list[list[NDArray[Any]]] = [[] for _ in models]
    labels: list[Any] = []
    prepares = [StreamPreparation(model) for model in models]
    for x, y in stream_batches(stream, steps=steps):
        for model, prepare, predicted in zip(models, prepares, rows, strict=True):
            batch = prepare(x)
            if not isinstance(batch, dict | list | tuple):
                if not getattr(batch, "ndim", 1) or not hasattr(batch, "shape"):
                    message = f"A stream must yield batches of samples; got {safe_repr(batch)}."
                    raise EvaluationError(message, "Yield arrays with one row per sample.")
                if error := stream_batch_error(model, int(batch.shape[0])):
                    message = f" cannot take these batches: {error[0]}"
                    raise EvaluationError(model_phrase(model) + message, error[1])
            shape = sample_shape(model) if hasattr(batch, "ndim") else None
            if shape is not None and batch.ndim == len(shape) and fits_shape(batch.shape, shape):
                message = "A stream must yield batches of samples; this one yields single samples."
                raise EvaluationError(message, "Batch them: stream.batch(32).")
            if shape is not None:
                check_sample_shape(model, match_axes(batch, shape))
            predicted.append(predict_batch(model, batch, shape))
        own: Any = None if y is None else targets(y)
        is_dict, is_list = isinstance(own, dict), isinstance(own, list)
        outputs = list(own.values()) if is_dict else own if is_list else [own]
        if own is not None and len(outputs) == 1:
            labels.append(np.asarray(dense_rows(sparse_rows(outputs[0]))))
    if not rows[0]:
        raise EvaluationError(EMPTY_STREAM)
    if not labels:
        return [np.concatenate(predicted) for predicted in rows], None
    return [np.concatenate(predicted) for predicted in rows], np.concatenate(labels)


def stream_batches(stream: Any, *, steps: int | None = None) -> Iterator[tuple[Any, Any]]:
    """Inputs and targets (None if there are none) of each batch of a stream, in one pass."""
    if not isinstance(stream, Iterable) and not stream_kind(stream):
        raise EvaluationError(
            option="x", expected="samples along the first axis", actual=Text(type(stream).__name__)
        )
    check_end(stream, Option("x"), "steps", steps, EvaluationError)
    for batch in islice(iter_batches(stream), steps):
        x, *targets = split_batch(batch)
        yield x, targets[0] if targets else None


def iter_batches(stream: Any) -> Iterator[Any]:
    """The batches of a stream, once."""
    if stream_kind(stream) != "PyDataset":
        return iter(stream)
    count = count_batches(stream)  # only this tells its end
    return map(stream.__getitem__, range(count) if count is not None and count >= 0 else counter())


def reject_beside_stream(stream: Any, values: Any, *, option: str = "y", x: str = "x") -> None:
    """Reject labels, or what else is given for each sample of a stream.

    Their order may be that of another pass.
    """
    if values is None:
        return
    kind = stream_kind(stream) or type(stream).__name__
    if option in ("y", "y_true"):
        reason = "whose batches contain the labels."
        remedy = "Batches of inputs only can be paired: tf.data.Dataset.zip((x, y))."
        remedy = f"Pass {x} alone. {remedy}"
    else:
        reason = "which may have another order in each pass."
        remedy = f"Pass {x} alone, or arrays instead of a {kind}."
    raise option_error(option, f"must be left out: {x} is a {kind}, {reason}", remedy)


class StreamPreparation:
    """Prepares the batches of a stream like the training data of a model, if they are raw.

    The first batch decides for all.
    """

    def __init__(self, model: Any) -> None:
        self._data = dataset_for(model)
        self._is_raw: bool | None = None

    def decide(self, x: Any) -> bool:
        """Whether the batches are raw; the first call decides."""
        if self._is_raw is None:
            self._is_raw = detect_raw(self._data, x) == "raw"
        return self._is_raw

    def __call__(self, x: Any) -> Any:
        """The inputs of a batch as the model takes them."""
        if isinstance(x, dict | list | tuple):
            return x
        x = sparse_rows(x)
        if hasattr(x, "tocsr"):
            return x.toarray()
        array = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
        if self.decide(array):
            return self._data.prepare(array)
        return array if array.dtype.kind in "biuf" else x  # texts as they are


def predict_batch(model: Any, batch: Any, shape: Shape | None = None) -> NDArray[Any]:
    """The output of the model for one batch; of a model with a fixed batch size, also for less."""
    return only_output(outputs_of_batch(model, match_axes(batch, shape)))


def outputs_of_batch(model: Any, batch: Any) -> Any:
    """All outputs of the model for one batch, as Keras structures them.

    With a distribution strategy every replica predicts the whole batch; only one of them is kept.
    """
    for message, remedy in structure_errors(model, batch, None):
        problem = f" cannot take these samples: {message}"
        raise EvaluationError(model_phrase(model) + problem, remedy)
    strategy, size = getattr(model, "distribute_strategy", None), fixed_batch_size(model)
    if size is None and (strategy is None or strategy.num_replicas_in_sync == 1):
        return model.predict_on_batch(batch)
    samples = len(keras.tree.flatten(batch)[0])
    outputs = model.predict_on_batch(pad_batch(model, batch))
    return keras.tree.map_structure(lambda output: output[:samples], outputs)


def pad_batch(model: Any, batch: Any) -> Any:
    """A batch of one or several inputs, repeated up to the fixed batch size of the model."""
    size = fixed_batch_size(model)
    if size is None:
        return batch

    def padded(array: Any) -> Any:
        missing = max(0, size - len(array)) if len(array) else 0
        rows = np.asarray(array)
        return np.concatenate([rows, np.repeat(rows[:1], missing, axis=0)]) if missing else array

    return keras.tree.map_structure(padded, batch)


def match_axes(batch: Any, shape: Shape | None) -> Any:
    """A batch with a last axis of size one added or dropped, if samples of ``shape`` need that."""
    if shape is None or batch.ndim == len(shape) + 1:
        return batch
    return batch[..., None] if batch.ndim <= len(shape) else batch[..., 0]


def to_arrays(model: Any, x: Any) -> Any:
    """``x`` as arrays that can be sliced, or None for a stream such as a ``tf.data.Dataset``."""
    x = sparse_rows(x)
    if isinstance(x, dict):
        return {key: _to_array(value) for key, value in x.items()}
    if isinstance(x, list | tuple) and len(getattr(model, "inputs", None) or ()) > 1:
        return [_to_array(value) for value in x]
    if stream_kind(x) or not (isinstance(x, list | tuple) or hasattr(x, "shape")):
        return None
    return _to_array(x)


def input_arrays(arrays: Any) -> list[Any]:
    """The arrays of all inputs, from the result of :func:`to_arrays`."""
    if isinstance(arrays, dict):
        return list(arrays.values())
    return arrays if isinstance(arrays, list) else [arrays]


def check_sample_shape(model: Any, arrays: Any) -> None:
    """Reject samples whose shape the model cannot take."""
    lengths = {int(part.shape[0]) for part in input_arrays(arrays)}
    if len(lengths) > 1:
        raise EvaluationError(
            f"All inputs must have the same number of samples; got {sorted(lengths)}."
        )
    expected = sample_shape(model)
    if (
        expected is None
        or isinstance(arrays, dict | list)
        or fits_shape(tuple(arrays.shape[1:]), expected)
    ):
        return
    received, remedy = tuple(arrays.shape[1:]), ""
    sizes = [math.prod(int(side or 0) for side in shape) for shape in (received, expected)]
    if None in received and hasattr(arrays, "to_tensor"):
        remedy = "Fill the rows up to one length: x.to_tensor()."
    elif sizes[0] == sizes[1] > 0:
        sides = ", ".join(map(str, (-1, *expected)))
        remedy = f"The number of values is correct: use x.reshape({sides})."
    raise EvaluationError(
        Text(
            model_phrase(model),
            f" expects samples of shape {shape_tuple(expected)}; got {shape_tuple(received)}.",
        ),
        remedy,
    )


def shape_tuple(shape: Shape) -> str:
    """A shape as Python writes it, with "?" for an unknown side: "(28, ?, 1)"."""
    return str(tuple(shape)).replace("None", "?")


def option_error(option: str, text: str, remedy: str | Text = "") -> EvaluationError:
    """The error for a parameter; the message begins with its name."""
    return EvaluationError(Text(Option(option), " ", text), remedy, option=option)


def model_phrase(model: Any) -> Text:
    """The subject of a sentence on a model: "The model 'cnn'"."""
    name = str(getattr(model, "name", ""))
    return Text("The model ", ModelName(name)) if name else Text("The model")


def _to_array(value: Any) -> Any:
    sentences = as_sentences(value)
    if sentences is not None:
        return np.array(sentences, dtype=object)
    if hasattr(value, "iloc"):
        value = value.to_numpy()
    value = sparse_rows(value)
    try:
        array = value if hasattr(value, "shape") else np.asarray(value)
    except ValueError as error:
        if isinstance(value[0], tuple):
            message = "is a list of pairs, probably of the batches of a stream."
            raise option_error("x", message, "Pass the stream itself, or iter(x).") from error
        message = f"must contain samples of the same shape; {error}."
        raise option_error("x", message) from error
    if not array.shape:
        raise EvaluationError(
            option="x",
            expected="samples along the first axis",
            actual=Text(type(value).__name__),
        )
    if getattr(array, "dtype", None) == np.dtype(object):
        numbers = as_array(array)
        if numbers is not None and numbers.dtype.kind in "biuf":
            return numbers
        raise option_error(
            "x",
            "must be numbers or strings in one array; got objects.",
            "Pad samples of different lengths first: keras.utils.pad_sequences.",
        )
    return array


def slice_inputs(arrays: Any, start: int, stop: int) -> Any:
    """Some samples of the arrays of all inputs."""
    if isinstance(arrays, dict):
        return {key: slice_inputs(part, start, stop) for key, part in arrays.items()}
    if isinstance(arrays, list):
        return [slice_inputs(part, start, stop) for part in arrays]
    return np.asarray(dense_rows(arrays[start:stop]))


def _default_batch_size(parts: list[Any]) -> int:
    size = sum(4 * math.prod(int(n) for n in part.shape[1:]) for part in parts)
    return min(MAX_BATCH, max(MIN_BATCH, BATCH_BYTES // max(1, size)))


def only_output(output: Any) -> NDArray[Any]:
    """The output of a model that has one."""
    if isinstance(output, list | tuple) and len(output) == 1:
        output = output[0]
    if isinstance(output, list | tuple | dict):
        raise EvaluationError(
            f"The model has {len(output)} outputs, but only one can be evaluated at a time.",
            "They have no names: pass the predictions of one, such as model.predict(x)[0].",
        )
    return np.asarray(output)
