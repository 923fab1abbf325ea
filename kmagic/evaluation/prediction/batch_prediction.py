"""A model's answers to many samples, in batches."""

from __future__ import annotations

import hashlib
import math
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kmagic.support.errors import EvaluationError
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape: TypeAlias = tuple[int | None, ...]

SMALLEST, LARGEST, BYTES = 32, 256, 8_000_000  # samples, samples and input bytes of a batch


@dataclass(slots=True)
class PartialPredictions:
    """What a model has answered so far; an interrupted work goes on from there.

    Attributes:
        rows: One row a sample; only the first ``done`` are there. None before the first batch.
        done: How many samples have been answered.
    """

    rows: NDArray[Any] | None = None
    done: int = 0


def predict_in_batches(
    model: Any, x: Any, *, batch_size: int | None = None, answers: PartialPredictions | None = None
) -> NDArray[Any]:
    """What ``model.predict(x)`` answers, without its start-up and without a copy of ``x``.

    Batches are cut from ``x`` one at a time, so that a memory-mapped array stays on the disk. If it
    takes longer than a second, it shows how far it is, and an interrupt ends it after no more than
    a batch.

    Args:
        model: A Keras model with one output, or anything with ``predict_on_batch``.
        x: Samples along the first axis; for a model of several inputs a list or dict of such
            arrays. A ``tf.data.Dataset`` or a generator is left to ``model.predict``.
        batch_size: Samples a batch; by default 32 to 256, fewer for larger samples.
        answers: What an earlier, interrupted call has got of the same model and samples; it is
            filled on.

    Returns:
        One row a sample, as the model's output is shaped.

    Raises:
        EvaluationError: ``x`` does not fit the model, or the model has several outputs.

    Example:
        >>> class Twice:
        ...     def predict_on_batch(self, x):
        ...         return 2 * x
        >>> predict_in_batches(Twice(), [[1.0], [2.0], [3.0]], batch_size=2).ravel().tolist()
        [2.0, 4.0, 6.0]
    """
    arrays = as_samples(model, x)
    if arrays is None:
        return _only_output(model.predict(x, verbose=0))
    check_sample_shape(model, arrays)
    parts = _parts(arrays)
    samples = len(parts[0])
    step = batch_size or _fitting_batch(parts)
    if step < 1:
        raise EvaluationError(f"batch_size must be at least 1; received {batch_size}.")
    if not samples:
        raise EvaluationError("x is empty: there is nothing to predict.")
    found = answers or PartialPredictions()
    shape = None if isinstance(arrays, dict | list) else sample_shape(model)
    with Progress(samples, "samples predicted") as work:
        work.advance(found.done)
        for start in range(found.done, samples, step):
            stop = min(start + step, samples)
            answer = predict_batch(model, _cut(arrays, start, stop), shape)
            if found.rows is None:
                found.rows = np.empty((samples, *answer.shape[1:]), dtype=answer.dtype)
            found.rows[start:stop] = answer
            found.done = stop
            work.advance(stop - start)
    assert found.rows is not None  # noqa: S101 - there was at least one batch
    return found.rows


def to_classes(answers: NDArray[Any], *, threshold: float = 0.5) -> NDArray[np.intp]:
    """The class that each of a model's answers means.

    Args:
        answers: Scores of shape (..., classes), or for two classes the probability of the second,
            of shape (n,) or (..., 1).
        threshold: For two classes: the second one is meant above it, as in Keras's metrics.

    Returns:
        Class ids from 0, without the last axis of ``answers``.

    Example:
        >>> to_classes(np.array([[0.1, 0.9], [0.8, 0.2]])), to_classes(np.array([[0.3], [0.7]]))
        (array([1, 0]), array([0, 1]))
    """
    if answers.ndim == 1:
        return np.asarray(answers > threshold, dtype=np.intp)
    if answers.shape[-1] == 1:
        return np.asarray(answers[..., 0] > threshold, dtype=np.intp)
    return np.asarray(answers.argmax(axis=-1), dtype=np.intp)


def predict_batch(model: Any, batch: Any, shape: Shape | None = None) -> NDArray[Any]:
    """What the model answers to one batch.

    Args:
        model: A Keras model with one output, or anything with ``predict_on_batch``.
        batch: The samples.
        shape: ``sample_shape(model)``: a last axis of one that the batch lacks is added, one too
            many taken away. Keras does so too, but a model that is given both by turns fails.
    """
    if shape is not None and batch.ndim != len(shape) + 1:
        batch = batch[..., None] if batch.ndim == len(shape) else batch[..., 0]
    return _only_output(model.predict_on_batch(batch))


def as_samples(model: Any, x: Any) -> Any:
    """``x`` as arrays that can be cut, or None for a stream such as a ``tf.data.Dataset``.

    Args:
        model: The model, whose number of inputs says what a list means.
        x: An array, a list, a data frame, or for several inputs a list or dict of these.
    """
    if isinstance(x, dict):
        return {key: _as_array(value) for key, value in x.items()}
    if isinstance(x, list | tuple) and len(getattr(model, "inputs", None) or ()) > 1:
        return [_as_array(value) for value in x]
    if isinstance(x, list | tuple) or hasattr(x, "shape"):
        return _as_array(x)
    return None


def sample_shape(model: Any) -> Shape | None:
    """Shape of one sample of a model with one input, None where it is not known."""
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):  # a model that was not called yet
        return None
    known = isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)
    return tuple(shape[1:]) if known else None


def check_sample_shape(model: Any, x: Any) -> None:
    """Refuse samples whose shape the model cannot take.

    Args:
        model: A Keras model.
        x: What ``as_samples`` made of the user's samples.

    Raises:
        EvaluationError: It says the shape that the model expects and the one it received.
    """
    lengths = {len(part) for part in _parts(x)}
    if len(lengths) > 1:
        raise EvaluationError(
            f"The inputs must hold equally many samples; received {sorted(lengths)}."
        )
    expected = sample_shape(model)
    if expected is None or isinstance(x, dict | list):
        return
    received = tuple(x.shape[1:])
    if any(_fits(shape, expected) for shape in (received, (*received, 1))):
        return
    if received[-1:] == (1,) and _fits(received[:-1], expected):
        return
    remedy = ""
    if None not in expected and math.prod(received) == math.prod(int(n or 0) for n in expected):
        remedy = (
            f"The number of values is right: x.reshape({shape_tuple((-1, *expected))[1:-1]}) fits."
        )
    raise EvaluationError(
        f"The model{_named(model)} expects samples of shape {shape_tuple(expected)}; "
        f"received {shape_tuple(received)}.",
        remedy,
    )


def shape_tuple(shape: Shape) -> str:
    """A shape as Python writes it, with "?" where any number goes: "(28, ?, 1)"."""
    inner = ", ".join("?" if n is None else str(n) for n in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def _named(model: Any) -> str:
    name = getattr(model, "name", "")
    return f" {name!r}" if name else ""


def _fits(received: Shape, expected: Shape) -> bool:
    return len(received) == len(expected) and all(
        want is None or got == want for got, want in zip(received, expected, strict=True)
    )


def _as_array(value: Any) -> Any:
    sentences = as_sentences(value)
    if sentences is not None:
        return np.array(sentences, dtype=object)
    if hasattr(value, "iloc"):
        value = value.to_numpy()
    try:
        array = value if hasattr(value, "shape") else np.asarray(value)
    except ValueError as error:
        raise EvaluationError(f"x must hold samples of one shape; {error}.") from error
    if not array.shape:
        raise EvaluationError(
            f"x must hold samples along its first axis; received {type(value).__name__}."
        )
    if getattr(array, "dtype", None) == np.dtype(object):
        raise EvaluationError(
            "x must be numbers or strings in one array; received objects.",
            "Samples of different lengths have to be padded first: keras.utils.pad_sequences.",
        )
    return array


def _parts(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return list(x.values())
    return x if isinstance(x, list) else [x]


def _cut(x: Any, start: int, stop: int) -> Any:
    if isinstance(x, dict):
        return {key: np.asarray(part[start:stop]) for key, part in x.items()}
    if isinstance(x, list):
        return [np.asarray(part[start:stop]) for part in x]
    return np.asarray(x[start:stop])


def _fitting_batch(parts: list[Any]) -> int:
    size = sum(4 * math.prod(int(n) for n in part.shape[1:]) for part in parts)
    return min(LARGEST, max(SMALLEST, BYTES // max(1, size)))


def _only_output(answer: Any) -> NDArray[Any]:
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, list | tuple | dict):
        raise EvaluationError(
            f"The model has {len(answer)} outputs, and one is judged at a time.",
            "Choose one: keras.Model(model.inputs, model.outputs[0]).",
        )
    return np.asarray(answer)


Key: TypeAlias = tuple[int, bytes]

MOST = 8  # models and sample sets
MOST_BYTES = 500_000_000
AT_ONCE = 64_000_000  # bytes of a file on the disk that are looked at at a time


class PredictionCache:
    """The last answers of some models.

    Args:
        most: How many are kept.
        most_bytes: How large they may be together; the newest is kept whatever its size.

    Example:
        >>> class Twice:
        ...     asked = 0
        ...     def predict_on_batch(self, x):
        ...         self.asked += 1
        ...         return 2 * x
        >>> model, kept = Twice(), PredictionCache()
        >>> kept.predict(model, [[1.0], [2.0]]).ravel().tolist()
        [2.0, 4.0]
        >>> kept.predict(model, np.array([[1.0], [2.0]])).ravel().tolist(), model.asked
        ([2.0, 4.0], 1)
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._held: OrderedDict[Key, tuple[weakref.ref[Any], PartialPredictions]] = OrderedDict()

    def predict(self, model: Any, x: Any, *, batch_size: int | None = None) -> NDArray[Any]:
        """What the model answers, from what is kept or by asking it.

        A work that was interrupted goes on where it was.

        Args:
            model: As in :func:`~kmagic.evaluation.prediction.batch_prediction.predict_in_batches`.
            x: As there; what a stream yields is not kept.
            batch_size: As there.

        Returns:
            As there; read-only, since it is given to whoever asks again.
        """
        arrays = as_samples(model, x)
        if arrays is None:
            return predict_in_batches(model, x, batch_size=batch_size)
        key = id(model), _fingerprint(model, arrays)
        answers = self._find(key, model)
        rows = predict_in_batches(model, arrays, batch_size=batch_size, answers=answers)
        self._forget_oldest()
        rows.flags.writeable = False
        return rows

    def _find(self, key: Key, model: Any) -> PartialPredictions:
        held = self._held.pop(key, None)
        answers = held[1] if held is not None and held[0]() is model else PartialPredictions()
        if answers.rows is not None and answers.done < len(answers.rows):
            answers.rows.flags.writeable = True
        self._held[key] = weakref.ref(model), answers
        return answers

    def _forget_oldest(self) -> None:
        for key in [key for key, (model, _) in self._held.items() if model() is None]:
            del self._held[key]
        while len(self._held) > 1 and (
            len(self._held) > self._most or self._size() > self._most_bytes
        ):
            self._held.popitem(last=False)

    def _size(self) -> int:
        return sum(0 if a.rows is None else a.rows.nbytes for _, a in self._held.values())


PREDICTION_CACHE = PredictionCache()


def _fingerprint(model: Any, arrays: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for weight in getattr(model, "weights", ()):
        _add(digest, weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight))
    if isinstance(arrays, dict):
        digest.update(repr(list(arrays)).encode())
        arrays = list(arrays.values())
    for part in arrays if isinstance(arrays, list) else [arrays]:
        _add(digest, part)
    return digest.digest()


def _add(digest: Any, array: Any) -> None:
    """Add an array, a piece at a time: it may be larger than the memory."""
    digest.update(f"{array.shape}{array.dtype}".encode())
    rows = len(array) if array.shape else 0
    step = max(1, AT_ONCE * rows // max(1, int(getattr(array, "nbytes", 0))))
    for start in range(0, rows, step):
        piece = np.ascontiguousarray(np.asarray(array[start : start + step]))
        if piece.dtype == object:  # texts; their lengths tell ["a", "bc"] from ["ab", "c"]
            for text in piece.flat:
                digest.update(f"{len(text)} {text}".encode())
        else:
            digest.update(piece.reshape(-1).view(np.uint8))
    if not array.shape:
        digest.update(np.asarray(array).tobytes())
