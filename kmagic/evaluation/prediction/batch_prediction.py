"""Predictions in batches, with progress, and a cache of the last ones."""

from __future__ import annotations

import hashlib
import math
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.models.model_arrays import Shape, fits_shape, sample_shape
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import ModelName, Option, Text
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

Key: TypeAlias = tuple[int, bytes]

MIN_BATCH, MAX_BATCH, BATCH_BYTES = 32, 256, 8_000_000  # samples, samples and input bytes
MAX_CACHED = 8  # pairs of a model and samples
MAX_CACHED_BYTES = 500_000_000
HASH_CHUNK_BYTES = 64_000_000  # of a file on the disk that are in memory at once


@dataclass(slots=True)
class PartialPredictions:
    """Predictions that an interrupted call has computed so far."""

    rows: NDArray[Any] | None = None  # one for each sample, of which the first are filled
    done: int = 0  # number of predicted samples


def predict_in_batches(
    model: Any, x: Any, *, batch_size: int | None = None, partial: PartialPredictions | None = None
) -> NDArray[Any]:
    """The result of ``model.predict(x)``, without its overhead and without copying ``x``.

    Batches are sliced from ``x`` one at a time, so a memory-mapped array stays on the disk. After
    a second a progress bar appears; an interrupt takes effect after the current batch.
    ``partial`` has the predictions of an interrupted call, which this one continues.

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
        return _only_output(model.predict(x, verbose=0))
    check_sample_shape(model, arrays)
    parts = input_arrays(arrays)
    samples = len(parts[0])
    step = batch_size or _default_batch_size(parts)
    if step < 1:
        raise EvaluationError(option="batch_size", expected="at least 1", actual=batch_size)
    if not samples:
        raise option_error("x", "is empty: nothing to predict.")
    result = partial or PartialPredictions()
    shape = None if isinstance(arrays, dict | list) else sample_shape(model)
    with Progress(samples, "samples predicted") as progress:
        progress.advance(result.done)
        for start in range(result.done, samples, step):
            stop = min(start + step, samples)
            rows = predict_batch(model, _slice(arrays, start, stop), shape)
            if rows.shape[:1] != (stop - start,):
                raise EvaluationError(
                    f"The model must return one row for each of {stop - start:,} samples; got an "
                    f"array of shape {shape_tuple(rows.shape)}."
                )
            if result.rows is None:
                result.rows = np.empty((samples, *rows.shape[1:]), dtype=rows.dtype)
            result.rows[start:stop] = rows
            result.done = stop
            progress.advance(stop - start)
    assert result.rows is not None  # noqa: S101 - there was at least one batch
    return result.rows


def to_classes(output: NDArray[Any], *, threshold: float = 0.5) -> NDArray[np.intp]:
    """The predicted class of each row of a model's output.

    Returns:
        Class indices, without the last axis of ``output``.

    Example:
        >>> to_classes(np.array([[0.1, 0.9], [0.8, 0.2]])), to_classes(np.array([[0.3], [0.7]]))
        (array([1, 0]), array([0, 1]))
    """
    if output.ndim == 1:
        return np.asarray(output > threshold, dtype=np.intp)
    if output.shape[-1] == 1:
        return np.asarray(output[..., 0] > threshold, dtype=np.intp)
    return np.asarray(output.argmax(axis=-1), dtype=np.intp)


def predict_batch(model: Any, batch: Any, shape: Shape | None = None) -> NDArray[Any]:
    """The output of the model for one batch."""
    if shape is not None:
        batch = match_axes(batch, len(shape) + 1)
    return _only_output(model.predict_on_batch(batch))


def match_axes(array: Any, axes: int) -> Any:
    """An array with a last axis of size one added or dropped, if the model needs that."""
    if array.ndim == axes:
        return array
    return array[..., None] if array.ndim < axes else array[..., 0]


def to_arrays(model: Any, x: Any) -> Any:
    """``x`` as arrays that can be sliced, or None for a stream such as a ``tf.data.Dataset``."""
    if isinstance(x, dict):
        return {key: _to_array(value) for key, value in x.items()}
    if isinstance(x, list | tuple) and len(getattr(model, "inputs", None) or ()) > 1:
        return [_to_array(value) for value in x]
    if isinstance(x, list | tuple) or hasattr(x, "shape"):
        return _to_array(x)
    return None


def input_arrays(arrays: Any) -> list[Any]:
    """The arrays of all inputs, from the result of :func:`to_arrays`."""
    if isinstance(arrays, dict):
        return list(arrays.values())
    return arrays if isinstance(arrays, list) else [arrays]


def check_sample_shape(model: Any, arrays: Any) -> None:
    """Reject samples whose shape the model cannot take."""
    lengths = {len(part) for part in input_arrays(arrays)}
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
    if None not in expected and math.prod(received) == math.prod(int(n or 0) for n in expected):
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
    try:
        array = value if hasattr(value, "shape") else np.asarray(value)
    except ValueError as error:
        message = f"must contain samples of the same shape; {error}."
        raise option_error("x", message) from error
    if not array.shape:
        raise EvaluationError(
            option="x",
            expected="samples along the first axis",
            actual=Text(type(value).__name__),
        )
    if getattr(array, "dtype", None) == np.dtype(object):
        raise option_error(
            "x",
            "must be numbers or strings in one array; got objects.",
            "Pad samples of different lengths first: keras.utils.pad_sequences.",
        )
    return array


def _slice(arrays: Any, start: int, stop: int) -> Any:
    if isinstance(arrays, dict):
        return {key: np.asarray(part[start:stop]) for key, part in arrays.items()}
    if isinstance(arrays, list):
        return [np.asarray(part[start:stop]) for part in arrays]
    return np.asarray(arrays[start:stop])


def _default_batch_size(parts: list[Any]) -> int:
    size = sum(4 * math.prod(int(n) for n in part.shape[1:]) for part in parts)
    return min(MAX_BATCH, max(MIN_BATCH, BATCH_BYTES // max(1, size)))


def _only_output(output: Any) -> NDArray[Any]:
    if isinstance(output, list | tuple) and len(output) == 1:
        output = output[0]
    if isinstance(output, list | tuple | dict):
        raise EvaluationError(
            f"The model has {len(output)} outputs, but only one can be evaluated at a time.",
            "Choose one: keras.Model(model.inputs, model.outputs[0]).",
        )
    return np.asarray(output)


# --- cache --------------------------------------------------------------------------------------


class PredictionCache:
    """The last predictions of some models.

    The key is the content of weights and samples: further training invalidates a prediction, a
    copy of the samples does not. The newest is kept whatever its size.
    """

    def __init__(self, max_entries: int = MAX_CACHED, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._entries: OrderedDict[Key, tuple[weakref.ref[Any], PartialPredictions]] = OrderedDict()

    def predict(self, model: Any, x: Any, *, batch_size: int | None = None) -> NDArray[Any]:
        """Predict, or return cached predictions; an interrupted call is continued.

        Predictions of a stream are not cached. The array is read-only, since it is returned again.
        """
        arrays = to_arrays(model, x)
        if arrays is None:
            return predict_in_batches(model, x, batch_size=batch_size)
        key = id(model), _fingerprint(model, arrays)
        cached_for, partial = self._entries.pop(key, (None, PartialPredictions()))
        if cached_for is not None and cached_for() is not model:  # of a deleted model
            partial = PartialPredictions()
        self._entries[key] = weakref.ref(model), partial
        rows = predict_in_batches(model, arrays, batch_size=batch_size, partial=partial)
        self._evict()
        rows.flags.writeable = False
        return rows

    def _evict(self) -> None:
        for key in [key for key, (model, _) in self._entries.items() if model() is None]:
            del self._entries[key]
        while len(self._entries) > 1 and (
            len(self._entries) > self._max_entries or self._size() > self._max_bytes
        ):
            self._entries.popitem(last=False)

    def _size(self) -> int:
        return sum(0 if p.rows is None else p.rows.nbytes for _, p in self._entries.values())


PREDICTION_CACHE = PredictionCache()


def _fingerprint(model: Any, arrays: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for weight in getattr(model, "weights", ()):
        _hash_array(digest, weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight))
    if isinstance(arrays, dict):
        digest.update(repr(list(arrays)).encode())
    for part in input_arrays(arrays):
        _hash_array(digest, part)
    return digest.digest()


def _hash_array(digest: Any, array: Any) -> None:
    """Hash an array chunk by chunk: it may be larger than the memory."""
    digest.update(f"{array.shape}{array.dtype}".encode())
    rows = len(array) if array.shape else 0
    step = max(1, HASH_CHUNK_BYTES * rows // max(1, int(getattr(array, "nbytes", 0))))
    for start in range(0, rows, step):
        chunk = np.ascontiguousarray(np.asarray(array[start : start + step]))
        if chunk.dtype == object:  # texts; their lengths distinguish ["a", "bc"] from ["ab", "c"]
            for text in chunk.flat:
                digest.update(f"{len(text)} {text}".encode())
        else:
            digest.update(chunk.reshape(-1).view(np.uint8))
    if not array.shape:
        digest.update(np.asarray(array).tobytes())
