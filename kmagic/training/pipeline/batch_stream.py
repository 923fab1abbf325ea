"""Arrays as an endless ``tf.data`` stream of batches.

Keras makes a new iterator for every epoch. That costs time: an iterator starts threads and traces
functions, and dropping one waits for the thread that tunes it. One untuned iterator here serves
all epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.support.disk_arrays import CHUNK_BYTES, GROUPED_CHUNKS, mapped_file, release

ENDLESS = 2**62
PREFETCHED_BATCHES = 4
ALIGNMENT = 64
"""Bytes; TensorFlow copies an array that begins elsewhere."""
BLOCK_BYTES = 2**18
"""Neighbouring rows of a file that are read together."""


def shuffled(arrays: Any, samples: int, batch_size: int) -> tf.data.Dataset:
    """Endless batches of arrays: every sample once per epoch, in a new order each time.

    An epoch's last batch holds the remainder.

    Example:
        >>> import numpy as np
        >>> stream = shuffled(np.arange(5), 5, 2).as_numpy_iterator()
        >>> [len(next(stream)) for _ in range(4)]
        [2, 2, 1, 2]
    """
    full, rest = divmod(samples, batch_size)
    gather = sample_reader(arrays)

    def order(_: tf.Tensor) -> tf.Tensor:
        return tf.random.shuffle(tf.range(samples, dtype=tf.int64))

    def cut(indices: tf.Tensor) -> tf.data.Dataset:
        head = tf.reshape(indices[: full * batch_size], (full, batch_size))
        batches = tf.data.Dataset.from_tensor_slices(head)
        if not rest:
            return batches
        tail = tf.data.Dataset.from_tensors(indices[full * batch_size :])
        return batches.concatenate(tail) if full else tail

    # AutoGraph would find nothing to convert in these, and searching them takes time. The next
    # order is made while an epoch runs, because shuffling many samples takes time as well.
    order, cut = map(tf.autograph.experimental.do_not_convert, (order, cut))
    orders = tf.data.Dataset.range(ENDLESS).map(order).prefetch(1)
    return _untuned(orders.flat_map(cut).map(gather).prefetch(PREFETCHED_BATCHES))


def ordered(arrays: Any, samples: int, batch_size: int) -> tf.data.Dataset:
    """Endless batches in the order of the samples.

    It contains no functions, so making its iterator takes no time: each validation needs one. Only
    windows that share their rows are gathered by a function.

    Example:
        >>> import numpy as np
        >>> stream = ordered(np.arange(3), 3, 2).as_numpy_iterator()
        >>> [next(stream).tolist() for _ in range(3)]
        [[0, 1], [2], [0, 1]]
    """
    if any(SlidingRows.of(array) for array in tf.nest.flatten(arrays)):
        indices = ordered(np.arange(samples), samples, batch_size)
        return _untuned(indices.map(sample_reader(arrays)).prefetch(PREFETCHED_BATCHES))
    full, rest = divmod(samples, batch_size)

    def head(array: Any) -> Any:
        rows = array[: full * batch_size]
        return as_tensor(rows.reshape(full, batch_size, *array.shape[1:]))

    def tail(array: Any) -> Any:
        return as_tensor(array[full * batch_size :])

    parts = []
    if full:
        parts.append(tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(head, arrays)))
    if rest:
        parts.append(tf.data.Dataset.from_tensors(tf.nest.map_structure(tail, arrays)))
    return _untuned(reduce(tf.data.Dataset.concatenate, parts).repeat())


def sample_reader(arrays: Any) -> Callable[[tf.Tensor], Any]:
    """A function that reads samples by their indices.

    Rows that windows share are stored once; a window exists only in its batch.
    """
    shared = tf.nest.map_structure(SlidingRows.of, arrays)
    with tf.device("CPU:0"):
        tensors = tf.nest.map_structure(
            lambda array, sliding: as_tensor(array if sliding is None else sliding.rows),
            *(arrays, shared),
        )

    def gather(indices: tf.Tensor) -> Any:
        def read(tensor: tf.Tensor, sliding: SlidingRows | None) -> tf.Tensor:
            if sliding is None:
                return tf.gather(tensor, indices)
            steps = tf.range(sliding.window, dtype=tf.int64) * sliding.every
            return tf.gather(tensor, indices[:, tf.newaxis] * sliding.step + steps)

        return tf.nest.map_structure(read, tensors, shared)

    # AutoGraph would find nothing to convert in it, and searching takes time.
    return tf.autograph.experimental.do_not_convert(gather)  # type: ignore[no-any-return]


def from_disk(arrays: Any, samples: int, batch_size: int, *, shuffle: bool) -> tf.data.Dataset:
    """The batches of one epoch, of arrays in files of which a few megabytes are read at a time.

    Blocks of neighbouring rows are shuffled, in another order in each epoch, and so are the rows
    of the blocks that are in memory together. A row of 256 kB or more is a block of its own.

    Example:
        >>> import numpy as np
        >>> batches = from_disk(np.arange(5), 5, 2, shuffle=False)
        >>> len(batches), [batch.tolist() for batch in batches.as_numpy_iterator()]
        (3, [[0, 1], [2, 3], [4]])
    """
    leaves = tf.nest.flatten(arrays)
    row_bytes = max(1, sum(leaf[:1].nbytes for leaf in leaves))
    together = batch_size * max(1, CHUNK_BYTES // (batch_size * row_bytes))
    readers = [_row_reader(leaf) for leaf in leaves]
    # Of TensorFlow's seed, as the other streams.
    seed = int(tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32)) if shuffle else 0
    rng = np.random.default_rng(seed) if shuffle else None

    def batches() -> Iterator[NDArray[np.int64]]:
        groups = _row_groups(samples, together, BLOCK_BYTES // row_bytes, rng)
        for number, rows in enumerate(groups):
            full = len(rows) - len(rows) % batch_size
            for part, size in ((rows[:full], batch_size), (rows[full:], len(rows) - full)):
                if len(part):
                    yield part.reshape(-1, size)
            if number % GROUPED_CHUNKS == 0:
                for leaf in leaves:
                    release(leaf)

    def gather(rows: tf.Tensor) -> Any:
        return tf.nest.pack_sequence_as(arrays, [read(rows) for read in readers])

    gather = tf.autograph.experimental.do_not_convert(gather)
    stream = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, None), tf.int64)
    )
    count = tf.data.experimental.assert_cardinality(math.ceil(samples / batch_size))
    ahead = max(1, min(PREFETCHED_BATCHES, CHUNK_BYTES // (batch_size * row_bytes)))
    return _untuned(stream.unbatch().map(gather).prefetch(ahead).apply(count))


def _row_reader(array: NDArray[Any]) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function that reads rows of an array; those of a file without a copy of the file."""
    file, size = mapped_file(array), array[:1].nbytes
    dtype = keras.config.floatx() if array.dtype.kind == "f" else array.dtype
    first = 0 if file is None else array.ctypes.data - file.ctypes.data
    is_usable = file is not None and file.flags.writeable and file.ctypes.data % ALIGNMENT == 0
    are_rows = array.flags.c_contiguous and array.dtype.kind in "iuf" and size and first % size == 0
    if file is not None and not (is_usable and are_rows):
        read = partial(tf.numpy_function, lambda rows: array[rows], Tout=array.dtype)
        return lambda rows: tf.cast(tf.ensure_shape(read([rows]), (None, *array.shape[1:])), dtype)
    with tf.device("CPU:0"):
        if file is None:
            tensor = as_tensor(array)
        else:
            whole = np.ndarray((file.nbytes // size, *array.shape[1:]), array.dtype, file)
            tensor, first = tf.experimental.dlpack.from_dlpack(whole.__dlpack__()), first // size
    return lambda rows: tf.cast(tf.gather(tensor, rows + first), dtype)


def _row_groups(
    samples: int, together: int, block: int, rng: np.random.Generator | None
) -> Iterator[NDArray[np.int64]]:
    """The rows that are read together: in order, or those of blocks at random."""
    if rng is None:
        yield from (
            np.arange(at, min(at + together, samples)) for at in range(0, samples, together)
        )
        return
    block = max(1, block)
    first = int(rng.integers(block))  # so that other rows are neighbours in each epoch
    edges = np.unique(np.concatenate([[0], np.arange(first, samples, block), [samples]]))
    rows: list[NDArray[np.int64]] = []
    count = 0
    for index in rng.permutation(len(edges) - 1).tolist():
        rows.append(np.arange(edges[index], edges[index + 1]))
        count += len(rows[-1])
        while count >= together:
            joined = np.concatenate(rows)
            yield rng.permutation(joined[:together])
            rows, count = [joined[together:]], count - together
    if count:
        yield rng.permutation(np.concatenate(rows))


def as_tensor(array: Any) -> tf.Tensor:
    """An array as a tensor: a copy, unless it is a read-only view of a copy-on-write file.

    Nobody can change such an array, and several processes read it.
    """
    file: Any = getattr(array, "base", None)
    while type(file) is np.ndarray:
        file = file.base
    is_fixed = isinstance(file, np.memmap) and file.mode == "c" and not array.flags.writeable
    is_usable = is_fixed and array.flags.c_contiguous and array.dtype.kind in "iuf"
    if not is_usable or array.ctypes.data % ALIGNMENT or not array.size:
        return tf.convert_to_tensor(array)
    # DLPack refuses a read-only array; TensorFlow does not write to this one.
    writable = np.ndarray(array.shape, array.dtype, file, array.ctypes.data - file.ctypes.data)
    return tf.experimental.dlpack.from_dlpack(writable.__dlpack__())


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    # There is nothing to optimise, and looking for it takes longer than a small epoch.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)
