"""Answers that are kept, so that a model is asked once about the same samples.

They are known again by content, of the weights and of the samples: so a model that was trained on
is asked anew, and a copy of the samples is not.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kmagic.evaluation.prediction.batch_prediction import Answers, as_samples, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key: TypeAlias = tuple[int, bytes]

MOST = 8  # models and sample sets
MOST_BYTES = 500_000_000
AT_ONCE = 64_000_000  # bytes of a file on the disk that are looked at at a time


class Kept:
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
        >>> model, kept = Twice(), Kept()
        >>> kept.predict(model, [[1.0], [2.0]]).ravel().tolist()
        [2.0, 4.0]
        >>> kept.predict(model, np.array([[1.0], [2.0]])).ravel().tolist(), model.asked
        ([2.0, 4.0], 1)
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._held: OrderedDict[Key, tuple[weakref.ref[Any], Answers]] = OrderedDict()

    def predict(self, model: Any, x: Any, *, batch_size: int | None = None) -> NDArray[Any]:
        """What the model answers, from what is kept or by asking it.

        A work that was interrupted goes on where it was.

        Args:
            model: As in :func:`~kmagic.evaluation.prediction.batch_prediction.predict`.
            x: As there; what a stream yields is not kept.
            batch_size: As there.

        Returns:
            As there; read-only, since it is given to whoever asks again.
        """
        arrays = as_samples(model, x)
        if arrays is None:
            return predict(model, x, batch_size=batch_size)
        key = id(model), _fingerprint(model, arrays)
        answers = self._find(key, model)
        rows = predict(model, arrays, batch_size=batch_size, answers=answers)
        self._forget_oldest()
        rows.flags.writeable = False
        return rows

    def _find(self, key: Key, model: Any) -> Answers:
        held = self._held.pop(key, None)
        answers = held[1] if held is not None and held[0]() is model else Answers()
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


KEPT = Kept()


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
