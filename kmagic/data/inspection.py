"""What data is before a model reads it: its kind and length, and its first samples as arrays.

Every check of data, before training, evaluation or prediction, reads an :class:`Inspection`, so
that arrays and streams of batches are checked alike. An inspection reads one or two batches of a
stream. Batches of a generator, which yields each only once, are kept and yielded again.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kmagic.models.model_arrays import as_array, dense_rows, sparse_rows
from kmagic.support.data_values import check_has_values, shape_of_data
from kmagic.support.keras_import import keras

MAX_FIRST_BATCHES, MAX_SECONDS = 4, 0.3
"""Batches of a stream that are read, at least one, and the time after which no further one is."""
MAX_BATCHES_AHEAD, MAX_BYTES_AHEAD, MAX_SECONDS_AHEAD = 200, 64_000_000, 2.0
"""How much of a generator is read to find out whether it ends, and kept."""
SPARSE_ROWS = 1000
"""Rows of a sparse matrix that are looked at."""
PART_COUNTS = (1, 2, 3)
"""A batch is x; x and y; or x, y and weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What data is, and its first samples.

    Attributes:
        kind: "arrays", one of ``STREAMS``, or, for anything that Keras does not read, its class.
        data: The data itself, to be used from now on: for a generator, one that also yields the
            batches that were read. Keras reads it as ``x``.
        x: Inputs, a structure of arrays: all of them, or the first batches of a stream.
        y: Targets, likewise; None if there are none.
        sample_weight: Weights, likewise; None if there are none.
        samples: Number of samples; None if it is unknown.
        batches: Number of batches of a stream; None if it is unknown, or for arrays.
        is_endless: Whether it is known that the stream never ends.
        is_unbounded: Whether it is made of a generator that did not end soon, so it may never end.
        is_complete: Whether ``x`` and ``y`` are all of the data.
        part_counts: The numbers of parts of the batches that were read, {2} for inputs and targets;
            empty for arrays, and if there is no batch.
    """

    kind: str
    data: Any
    x: Any = None
    y: Any = None
    sample_weight: Any = None
    samples: int | None = None
    batches: int | None = None
    is_endless: bool = False
    is_unbounded: bool = False
    is_complete: bool = True
    part_counts: frozenset[int] = frozenset()

    @property
    def is_stream(self) -> bool:
        """Whether it yields batches that Keras reads."""
        return self.kind in STREAMS


STREAMS = ("tf.data.Dataset", "PyDataset", "DataLoader", "generator")
STREAM_CLASSES = {
    "tensorflow.DatasetV2": "tf.data.Dataset",
    "tensorflow.DistributedDataset": "tf.data.Dataset",
    "keras.PyDataset": "PyDataset",
    "torch.DataLoader": "DataLoader",
    "grain.DataLoader": "DataLoader",
    "grain.IterDataset": "DataLoader",
    "grain.MapDataset": "DataLoader",
}


def inspect_data(
    x: Any, y: Any = None, sample_weight: Any = None, *, steps: int | None = None
) -> Inspection:
    """Inspect arrays, or a stream of batches.

    Args:
        x: Inputs: arrays, lists, data frames, sparse matrices or dictionaries of them; a dataset of
            :func:`kmagic.load_data`, whose training part is inspected; or a stream of batches, such
            as a ``tf.data.Dataset`` or any iterator.
        y: Targets of arrays.
        sample_weight: Weights of arrays.
        steps: Number of batches that will be read, if it is given. Without it, a generator is read
            ahead: if it ends soon, its batches become a PyDataset, which can be read again.

    Example:
        >>> inspection = inspect_data({"a": np.zeros((4, 3))}, [0, 1, 0, 1])
        >>> inspection.kind, inspection.samples, inspection.y
        ('arrays', 4, array([0, 1, 0, 1]))
    """
    if hasattr(x, "x_train"):
        x, y = x.x_train, x.y_train if y is None else y
    kind = stream_kind(x)
    if not kind:
        return _inspect_arrays(x, y, sample_weight)
    if kind == "generator":
        return _inspect_iterator(x, steps)
    batches = count_batches(x)
    with random_state_kept():
        first = list(_first_batches(x, kind, batches))
    known = {"is_endless": batches == -1, "is_complete": batches == len(first)}
    return _inspect_batches(kind, x, first, batches=None if batches == -1 else batches, **known)


def stream_kind(x: Any) -> str:
    """The kind of a stream of batches, by class; "" for anything else."""
    for parent in type(x).__mro__:
        name = f"{parent.__module__.partition('.')[0]}.{parent.__name__}"
        if name in STREAM_CLASSES:
            return STREAM_CLASSES[name]
    return "generator" if isinstance(x, Iterator) else ""


# --- arrays -------------------------------------------------------------------------------------


def _inspect_arrays(x: Any, y: Any, sample_weight: Any) -> Inspection:
    arrays = [_to_arrays(part) for part in (x, y, sample_weight)]
    is_known = bool(shape_of_data(x)) or isinstance(x, list | tuple | Mapping) or x is None
    counts = [count for part in (x, arrays[0]) if (count := sample_count(part)) is not None]
    return Inspection(
        "arrays" if is_known else type(x).__name__,
        x,
        x=arrays[0],
        y=arrays[1],
        sample_weight=arrays[2],
        samples=counts[0] if counts else None,
        is_complete=not any(hasattr(part, "tocsr") for part in _parts(x)),
    )


def sample_count(values: Any) -> int | None:
    """The number of samples in a structure of arrays; None if it is unknown."""
    return next((shape[0] for part in _parts(values) if (shape := shape_of_data(part))), None)


def _parts(values: Any) -> list[Any]:
    """The arrays of a structure, without looking into lists of numbers."""
    if isinstance(values, Mapping):
        return list(values.values())
    return list(values) if _is_list_of_arrays(values) else [values]


def _is_list_of_arrays(values: Any) -> bool:
    return isinstance(values, list | tuple) and any(map(shape_of_data, values[:2]))


def _to_arrays(values: Any) -> Any:
    """A structure with NumPy arrays as leaves; leaves that are not arrays are unchanged."""
    if isinstance(values, Mapping):
        return {name: _to_arrays(part) for name, part in values.items()}
    if _is_list_of_arrays(values):
        return [_to_arrays(part) for part in values]
    check_has_values(values)
    if hasattr(values, "tocsr"):
        return dense_rows(sparse_rows(values)[:SPARSE_ROWS])
    array = as_array(values)
    return values if array is None else array


# --- streams ------------------------------------------------------------------------------------


def count_batches(stream: Any) -> int | None:
    """The number of batches; -1 if there is no end, None if it is unknown."""
    if hasattr(stream, "cardinality"):
        count = int(stream.cardinality())
        return None if count < -1 else count
    try:
        count = stream.num_batches if hasattr(stream, "on_epoch_end") else len(stream)
    except (NotImplementedError, TypeError):  # a PyDataset or DataLoader without a length
        return None
    return -1 if count is None else int(count)


def _first_batches(stream: Any, kind: str, batches: int | None) -> Iterator[Any]:
    """The first batches, as many as can be read quickly."""
    began = time.monotonic()
    if kind == "PyDataset":  # indexed, because an iterator would call the hooks of an epoch
        limit = MAX_FIRST_BATCHES if batches is None or batches < 0 else batches
        iterator: Iterator[Any] = map(stream.__getitem__, range(min(limit, MAX_FIRST_BATCHES)))
    else:
        iterator = iter(stream)
    for batch in islice(iterator, MAX_FIRST_BATCHES):
        yield batch
        if time.monotonic() - began > MAX_SECONDS:
            return


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the random states of Python, NumPy and PyTorch, which a ``__getitem__`` may use."""
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is meant
    torch_state = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - as above
        if torch is not None:
            torch.set_rng_state(torch_state)


def _inspect_batches(kind: str, data: Any, first: list[Any], **known: Any) -> Inspection:
    """What a stream's first batches tell about it."""
    rows = [split_batch(batch) for batch in first]
    counts = frozenset(map(len, rows))
    if len(counts) != 1 or not counts <= set(PART_COUNTS):
        return Inspection(kind, data, part_counts=counts, **known)
    batches = [[_to_arrays(part) for part in row] for row in rows]
    try:
        parts = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    except (TypeError, ValueError):  # their shapes differ, or they are no arrays
        parts, known["is_complete"] = batches[0], len(batches) == 1 and known["is_complete"]
    samples = sample_count(parts[0]) if known["is_complete"] else None
    arrays = dict(zip(("x", "y", "sample_weight"), parts, strict=False))
    return Inspection(kind, data, samples=samples, part_counts=counts, **arrays, **known)


def split_batch(batch: Any) -> tuple[Any, ...]:
    """A batch as Keras divides it: a tuple of x, y and weights; anything else is x."""
    return tuple(batch) if isinstance(batch, tuple | list) else (batch,)


# --- iterators ----------------------------------------------------------------------------------

_read_ahead: WeakKeyDictionary[Any, deque[Any]] = WeakKeyDictionary()
"""Batches of generators that were read, and not yet yielded again."""


def _inspect_iterator(iterator: Iterator[Any], steps: int | None) -> Inspection:
    pending = _pending(iterator)
    ended = _read(iterator, pending, steps)
    first = list(islice(pending, MAX_FIRST_BATCHES))
    if ended and steps is None:
        count, data = len(pending), batch_list(pending)
        is_complete = len(first) == count
        return _inspect_batches("PyDataset", data, first, batches=count, is_complete=is_complete)
    data = _continued(iterator, pending)
    known = {"is_unbounded": steps is None, "is_complete": False}
    return _inspect_batches("generator", data, first, **known)


def _pending(iterator: Iterator[Any]) -> deque[Any]:
    try:
        return _read_ahead.setdefault(iterator, deque())
    except TypeError:  # zip, map and iterators of lists have no weak references
        return deque()


def _read(iterator: Iterator[Any], pending: deque[Any], steps: int | None) -> bool:
    """Read batches ahead; returns whether the iterator has ended."""
    limit = MAX_BATCHES_AHEAD if steps is None else min(steps, 2)
    size, seconds = 0, 0.0
    while len(pending) < limit:
        began = time.monotonic()
        try:
            batch = next(iterator)
        except StopIteration:
            return True
        seconds += time.monotonic() - began
        pending.append(batch)
        size += sum(getattr(leaf, "nbytes", 0) for leaf in keras.tree.flatten(batch))
        if size > MAX_BYTES_AHEAD or seconds > MAX_SECONDS_AHEAD:
            return False
    return False


def _continued(iterator: Iterator[Any], pending: deque[Any]) -> Iterator[Any]:
    """All batches of an iterator, beginning with those that were read; as a tuple each."""
    while True:
        while pending:
            yield split_batch(pending.popleft())
        try:
            batch = next(iterator)
        except StopIteration:
            return
        yield split_batch(batch)


def batch_list(batches: Iterable[Any]) -> Any:
    """Batches in memory as a ``keras.utils.PyDataset``, which can be read any number of times."""

    class BatchList(keras.utils.PyDataset):  # type: ignore[misc] # Keras is untyped
        def __len__(self) -> int:
            return len(stored)

        def __getitem__(self, index: int) -> Any:
            return stored[index]

    stored = [split_batch(batch) for batch in batches]
    return BatchList()
