"""Arrays as a dataset: from the notebook, an ``.npz`` file or a ``tf.data.Dataset``."""

from __future__ import annotations

import math
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kmagic.data import load_options
from kmagic.data.assemble import (
    Parts,
    apply_options,
    join_notes,
    split_parts,
    to_object_array,
    to_text_array,
)
from kmagic.data.dataset import Dataset
from kmagic.data.keras_datasets import create_encoding
from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.cell_format import clean_name
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.data.target_kind import Target, as_tag_lists, decide_targets, read_target_frame
from kmagic.data.time_order import find_overlap
from kmagic.models.model_arrays import as_array, dense_rows, sparse_rows
from kmagic.support.data_values import check_has_values
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes, format_shape, list_names, safe_repr
from kmagic.support.keras_cache import show_path
from kmagic.support.memory import MAX_SHARE, available_memory, require_memory
from kmagic.support.messages import Option, Text
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

DESCRIPTIONS: dict[load_options.DataKind, str] = {
    "images": "contains images",
    "table": "contains rows of numbers",
    "text": "contains text",
    "array": "contains arrays of numbers",
}
CHANNELS = (1, 3, 4)
MAX_BYTE = 255
DEFAULT_LIMIT = 4_000_000_000  # bytes that are read where the available memory is unknown
_FRAME_REMEDY = "Pass a table of words and numbers as a pandas data frame."
_READ_LESS = "Take a part, stream.take(n), or fit the model on the stream itself."


def load_arrays(parts: Parts, options: load_options.LoadOptions, name: str, source: str) -> Dataset:
    """Load arrays, or lists of numbers, of texts or of word indices."""
    columns = tuple(map(clean_name, getattr(parts.y_train, "columns", ())))
    columns = columns if len(set(columns)) == len(columns) > 1 else ()
    y = [read_target_frame(part, columns) for part in (parts.y_train, parts.y_test)]
    is_named = any(isinstance(value, Mapping) for value in (options.task, options.class_names))
    if columns and (is_named or any(y[0][name].dtype.kind in "OUS" for name in columns)):
        y = [
            {clean_name(name): part[name].to_numpy() for name in part.columns}
            if hasattr(part, "iloc")
            else part
            for part in (parts.y_train, parts.y_test)
        ]
    parts = to_label_rows(parts._replace(y_train=y[0], y_test=y[1]), options)
    x, y = [_to_input_array(parts.x_train, "x")], parts.y_train
    has_parts = parts.x_test is not None
    check_lengths(x[0], y, *(("x_train", "y_train") if has_parts else ("x", "y")))
    if has_parts:
        x_test = _to_input_array(parts.x_test, "x_test")
        check_lengths(x_test, parts.y_test, "x_test", "y_test")
        y = concatenate_targets(y, parts.y_test)
        x = _match_inputs(x[0], x_test)
    first = x[0]
    kind = "text" if options.words is not None and first.dtype.kind in "iu" else _kind_of(first)
    subject = f"{name} {DESCRIPTIONS[kind]}"
    load_options.check_applies(options, kind, subject)
    load_options.reject_options(options, ["stream"], load_options.STREAMED)
    frames = " Or pass a data frame: pandas.DataFrame(x, columns=[...])."
    named = f"tables with named columns; {subject}"
    load_options.reject_options(options, load_options.OPTIONS_OF_KIND["table"], named, frames)
    files = f"files, not to arrays; {subject}"
    load_options.reject_options(
        options, ("size", "gray"), files, " keras.ops.image resizes arrays."
    )
    are_images = kind == "images"
    target = decide_targets(y, options, images=are_images, columns=columns)
    is_scaled = are_images and first.dtype.kind == "f" and first.min() >= 0 and first.max() <= 1
    order, gap, order_note = _window_order(x, kind, options, name)
    split, class_note = split_parts(x, target, options, name, order=order, gap=gap)
    encoding, encoding_problem = None, Text()
    if kind == "text" and as_sentences(split.x_train[:1]) is not None:
        if options.words is not None:
            raise load_options.inapplicable("words", f"word indices; {name} contains texts")
        split = split.convert(to_text_array)
    elif kind == "text":
        split, encoding, encoding_problem = _encode_indices(split, options, name)
    scaled_note = "The image values are 0 to 1 and were taken as divided by 255."
    data = Dataset(
        name,
        *split,
        scaling=Scaling("255") if is_scaled else Scaling(),
        note_text=join_notes(target.note, scaled_note if is_scaled else "", order_note, class_note),
        source=source,
        image_shape=split.x_train.shape[1:] if are_images else None,
        encoding=encoding,
        encoding_problem=encoding_problem,
        time_gap=None if order is None else gap,
        targets=columns if isinstance(target, Target) and target.classes is None else (),
        **target.fields,
    )
    return apply_options(data, options)


def to_label_rows(parts: Parts, options: load_options.LoadOptions) -> Parts:
    """Sparse targets as arrays, and lists of labels as arrays of tuples."""
    has_test = parts.y_test is not None
    y = [parts.y_train, parts.y_test][: 1 + has_test]
    if isinstance(y[0], Mapping) or isinstance(y[-1], Mapping):  # several targets
        return parts._replace(y_train=_to_dense(y[0]), y_test=_to_dense(parts.y_test))
    y = as_tag_lists(*map(_to_dense, y), task=options.task)
    return parts._replace(**dict(zip(("y_train", "y_test"), y, strict=False)))


def _to_dense(y: Any) -> Any:
    if isinstance(y, Mapping):
        return {name: _to_dense(part) for name, part in y.items()}
    return dense_rows(sparse_rows(y))


def _window_order(
    x: list[NDArray[Any]], kind: load_options.DataKind, options: load_options.LoadOptions, name: str
) -> tuple[NDArray[np.intp] | None, int, str]:
    """The order in which samples are split, a gap between the parts, and a note.

    Windows of a time series that overlap are never split at random: the test part would contain
    steps of the training part.
    """
    if len(x) > 1 and options.split is None:
        return None, 0, ""
    samples = np.concatenate(x) if len(x) > 1 else x[0]
    overlap = find_overlap(samples) if kind in ("table", "array") else None
    order = np.arange(len(samples))
    if overlap is None:
        note = "The test part contains the last rows in their order."
        return (order, 0, note) if options.chronological else (None, 0, "")
    if not overlap.in_order:
        raise DataError(
            f"{name} contains windows of a time series that overlap and are shuffled: a test part "
            "of them would contain steps of the training part.",
            "Keep them in the order of time, e.g. timeseries_dataset_from_array(..., "
            "shuffle=False), or pass a training and a test part: x_train y_train x_test y_test.",
        )
    note = (
        f"The windows overlap, so the split is chronological: the last ones are the test part, and "
        f"the {overlap.gap:,} before them, which overlap with it, are left out."
    )
    return order, overlap.gap, note


def load_npz(path: Path, options: load_options.LoadOptions) -> Dataset:
    """Load a NumPy archive of x_train, y_train, x_test, y_test; of x_train, y_train; or of x, y."""
    file_name = show_path(path)
    with explain_read_errors(path):
        if not path.stat().st_size:
            raise DataError(f"{file_name} is empty.")
        if not zipfile.is_zipfile(path):
            raise DataError(
                f"{file_name} is not an .npz file, or is incomplete.",
                "Write it with numpy.savez(path, x=x, y=y); download an incomplete file again.",
            )
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            require_memory(
                size, file_name, "Load a part of it with numpy, or feed the model with tf.data."
            )
            with np.load(path, allow_pickle=options.allow_pickle) as arrays:
                parts = _parts_by_name(arrays, file_name)
        except DataError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
            raise DataError(
                f"{file_name} is damaged or incomplete: {error}.", "Download or write it again."
            ) from error
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise DataError(
                f"{file_name} contains pickled objects, which can run any code when they are read.",
                Text("If you trust its source, use ", Option("allow_pickle", True), "."),
            ) from error
    return load_arrays(parts, options, options.name or path.stem, file_name)


def parse_parts(source: Any) -> Parts | None:
    """Recognize (x, y), four arrays, Keras's pairs of pairs, or a dictionary; else None."""
    if isinstance(source, Mapping):
        return _parts_by_name(source, "The dictionary")
    if not isinstance(source, tuple | list):
        return None
    pairs = [item for item in source if isinstance(item, tuple) and len(item) == 2]  # noqa: PLR2004 - x and y
    if len(source) == len(pairs) == 2:  # noqa: PLR2004 - the two parts
        return Parts(*pairs[0], *pairs[1])
    targets = source[1::2] if len(source) in (2, 4) else ()
    if targets and all(map(_is_column, source[::2])) and all(map(_are_targets, targets)):
        return Parts(*source)
    return None


def check_lengths(x: Any, y: Any, x_name: str, y_name: str) -> None:
    """Check that there is one target for each input, in each of several targets."""
    if isinstance(y, Mapping):
        if not y:
            raise DataError(f"{y_name} is an empty dictionary.", "Pass each target by its name.")
        for name, part in y.items():
            if not isinstance(name, str):
                raise DataError(f"The names of targets must be texts; got {safe_repr(name)}.")
            if isinstance(part, Mapping):
                raise DataError(
                    f"{y_name}[{name!r}] must be one array; got a dictionary.",
                    "Pass one dictionary of arrays by name.",
                )
            check_lengths(x, part, x_name, f"{y_name}[{name!r}]")
        return
    check_has_values(y)
    if not hasattr(y, "__len__") or isinstance(y, str | bytes) or getattr(y, "ndim", 1) == 0:
        found = safe_repr(y)
        raise DataError(f"{y_name} must have one value for each row of {x_name}; got {found}.")
    if len(x) != len(y):
        raise DataError(
            f"{x_name} has {len(x):,} rows, but {y_name} has {len(y):,}; they must have the same "
            "number of rows.",
            "Check whether rows are missing from one of them, or one is the test part.",
        )


def concatenate_targets(y: Any, y_test: Any, name: str = "") -> Any:
    """Concatenate the targets of both parts."""
    if isinstance(y, Mapping) or isinstance(y_test, Mapping):
        names = [list(part) if isinstance(part, Mapping) else [] for part in (y, y_test)]
        if set(names[0]) != set(names[1]):
            train, test = (", ".join(map(str, part)) or "a single target" for part in names)
            raise DataError(
                f"y_train and y_test must have the same targets; got {train} and {test}."
            )
        return {key: concatenate_targets(y[key], y_test[key], f"[{key!r}]") for key in y}
    parts = []
    for targets in (y, y_test):
        rows = targets if isinstance(targets, list | tuple) else ()
        lengths = {len(r) if hasattr(r, "__len__") else -1 for r in rows if not isinstance(r, str)}
        parts.append(np.asarray(targets, dtype=object if len(lengths) > 1 else None))
    shapes = [part.shape[1:] if part.size != len(part) else () for part in parts]
    are_words = [part.dtype.kind in "OUST" for part in parts]
    if shapes[0] != shapes[1] or are_words[0] != are_words[1]:
        train, test = (f"{format_shape(part.shape)} of {part.dtype}" for part in parts)
        both = f"y_train{name} and y_test{name}"
        raise DataError(f"{both} must have the same form; got {train} and {test}.")
    return np.concatenate([part.reshape(len(part), *shapes[0]) for part in parts])


def _match_inputs(x: NDArray[Any], x_test: NDArray[Any]) -> list[NDArray[Any]]:
    """Check that the rows of both parts have the same shape and type."""
    if x.dtype != x_test.dtype and {x.ndim, x_test.ndim} == {1, 2}:
        # Word indices: the rows of only one part have the same length.
        x, x_test = (
            to_object_array(part.tolist()) if part.dtype.kind in "iu" else part
            for part in (x, x_test)
        )
    are_words = [part.dtype.kind in "OUST" for part in (x, x_test)]
    if x.shape[1:] != x_test.shape[1:] or are_words[0] != are_words[1]:
        train, test = (format_shape(part.shape[1:]) or str(part.dtype) for part in (x, x_test))
        raise DataError(
            f"The rows of x_train and x_test must have the same shape; got {train} and {test}."
        )
    return [x, x_test]


def _to_input_array(x: Any, name: str) -> NDArray[Any]:
    """Inputs as an array of numbers, of texts, or of lists of word indices."""
    if np.ma.is_masked(x):
        raise DataError(
            f"{name} is a masked array with {np.ma.getmaskarray(x).sum():,} masked values.",
            "Leave out these rows, or pass x.filled(value).",
        )
    if getattr(x, "shape", None) == ():
        raise DataError(f"{name} is a single value, not rows of values.")
    x = sparse_rows(x)
    if hasattr(x, "tocsr"):
        size = math.prod(x.shape) * x.dtype.itemsize
        remedy = f"Keep {name} sparse: fit, evaluate and predict take it as it is."
        require_memory(size, f"{name} as a dense array", remedy)
        x = dense_rows(x)
    if (sentences := as_sentences(x)) is not None:
        return to_object_array(sentences)
    if getattr(x, "shape", None) == ():
        raise DataError(f"{name} is a single value.", "Pass an array with one row for each sample.")
    array = as_array(x if hasattr(x, "shape") else list(x))
    if array is None and not list(x):
        raise DataError(f"{name} is empty.")
    if array is None or array.dtype.kind == "O":
        array = _ragged_array(list(x), name)
    if array.dtype.kind not in "biufO":
        words = array.size > len(array) and array.dtype.kind in "UST"
        _fail_type(name, "rows of words, or of words and numbers" if words else str(array.dtype))
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    is_column = array.ndim == 1 and array.dtype.kind in "iuf"
    return np.asarray(array[:, np.newaxis] if is_column else array)


def _ragged_array(rows: list[Any], name: str) -> NDArray[Any]:
    """Lists of word indices, of different lengths."""
    if hasattr(rows[0], "tocsr"):
        remedy = "Join them to one: scipy.sparse.vstack(x)."
        raise DataError(f"{name} is a list of {len(rows):,} sparse matrices.", remedy)
    try:
        arrays = [np.asarray(row) for row in rows]
    except ValueError:
        _fail_type(name, "lists of lists of different lengths")
    shapes = {array.shape for array in arrays}
    if () in shapes or any(array.dtype.kind not in "biuf" for array in arrays):
        _fail_type(name, ", ".join(sorted({type(row).__name__ for row in rows})))
    if any(len(shape) != 1 for shape in shapes):
        raise DataError(
            f"{name} contains arrays of {len(shapes):,} sizes: "
            f"{list_names(sorted(map(format_shape, shapes)), 5)}.",
            "Resize them to one size first, e.g. with keras.ops.image.resize.",
        )
    return np.stack(arrays) if len(shapes) == 1 else to_object_array(rows)


def _fail_type(name: str, actual: str) -> NoReturn:
    raise DataError(f"{name} must contain numbers or texts; got {actual}.", _FRAME_REMEDY)


def _parts_by_name(arrays: Mapping[str, Any], subject: str) -> Parts:
    for names in (Parts._fields, Parts._fields[:2], ("x", "y"), ("X", "y"), ("data", "target")):
        if all(name in arrays for name in names):
            try:
                return Parts(*(arrays[name] for name in names))
            except MemoryError as error:
                message = f"{subject} does not fit into memory, or is damaged: {error}."
                raise DataError(message, "Load a part of it, or write the file again.") from error
    actual = ", ".join(map(str, arrays)) or "nothing"
    raise DataError(
        f"{subject} must contain x_train, y_train, x_test, y_test; or x_train, y_train; or x, y; "
        f"got {actual}.",
        'Pass the arrays themselves: (file["images"], file["labels"]).',
    )


def _is_column(value: Any) -> bool:
    """Whether it can be the inputs or the targets of many samples."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return is_list or hasattr(value, "shape")


def _are_targets(value: Any) -> bool:
    return _is_column(value) or isinstance(value, Mapping)


def _kind_of(x: NDArray[Any]) -> load_options.DataKind:
    """What the rows are, judging by shape and values."""
    if x.dtype.kind in "OUST":
        return "text"
    axes = x.ndim - 1
    if axes == 3 and x.shape[-1] in CHANNELS:  # noqa: PLR2004 - height, width, channels
        return "images"
    looks_like_bytes = x.dtype.kind in "iu" and x.min() >= 0 and MAX_BYTE // 2 < x.max() <= MAX_BYTE
    if axes == 2 and looks_like_bytes:  # noqa: PLR2004 - height, width
        return "images"
    return "table" if axes == 1 else "array"


def _encode_indices(
    split: Parts, options: load_options.LoadOptions, name: str
) -> tuple[Parts, TextEncoding | None, Text]:
    """Both parts, padded if requested; their encoding, or why the words are unknown."""
    if options.words is not None:
        encoding = create_encoding(options.words, options, split.x_train)
        return split.convert(encoding.limit), encoding, Text()
    if options.num_words is not None:
        raise DataError(
            Text(Option("num_words"), f" requires texts; {name} contains word indices."),
            Text(
                "Name the words, e.g. ",
                Option("words", "imdb"),
                ", or leave out ",
                Option("num_words"),
                ".",
            ),
        )
    unknown = f"The words for the indices in {name} are unknown: load the data with "
    return split.convert(options.pad), None, Text(unknown, Option("words"), ".")


# --- streams --------------------------------------------------------------------------------------


def is_stream(value: Any) -> bool:
    """Whether it is a ``tf.data.Dataset``, without importing TensorFlow."""
    data = getattr(sys.modules.get("tensorflow"), "data", None)  # missing while it is imported
    return data is not None and isinstance(value, data.Dataset)


def stream_class_names(stream: Any) -> tuple[str, ...] | None:
    """The class names that Keras's ``image_dataset_from_directory`` attaches to a stream."""
    names = getattr(stream, "class_names", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def read_stream(stream: Any, name: str) -> Parts:
    """Read a stream into arrays."""
    import tensorflow as tf  # noqa: PLC0415 - imported already, if there is a stream

    x_spec, y_spec = _check_pairs(stream.element_spec, name, tf)
    length = int(stream.cardinality().numpy())
    if length == tf.data.INFINITE_CARDINALITY:
        raise DataError(f"{name} is endless: it repeats itself.", _READ_LESS)
    x_shape, y_shapes = x_spec.shape, [spec.shape for spec in tf.nest.flatten(y_spec)]
    is_batched = bool(x_shape.rank) and all(y.rank and y[0] == x_shape[0] for y in y_shapes)
    available = available_memory()
    # Half of it, because the elements are concatenated then.
    limit = DEFAULT_LIMIT if available is None else int(MAX_SHARE * available / 2)
    x, y, size = [], [], 0
    with Progress(max(length, 0), "batches" if is_batched else "samples") as progress:
        for inputs, targets in stream.as_numpy_iterator():
            x.append(inputs)
            y.append(targets)
            parts = tf.nest.flatten((inputs, targets))
            size += sum(getattr(part, "nbytes", 0) for part in parts)
            expected = size * max(length / len(x), 1)
            if expected > limit:
                needed, allowed = format_bytes(expected), format_bytes(limit)
                message = (
                    f"{name} takes {needed} of memory or more, but only {allowed} can be used."
                )
                raise DataError(message, _READ_LESS)
            if length > 0:
                progress.advance()
    if not x:
        raise DataError(f"The stream {name} is empty.")
    return Parts(*(_concatenate_elements(part, is_batched=is_batched) for part in (x, y)))


def _check_pairs(spec: Any, name: str, tf: Any) -> tuple[Any, Any]:
    if not isinstance(spec, tuple) or len(spec) != 2:  # noqa: PLR2004 - x and y
        actual = f"{len(spec)} parts" if isinstance(spec, tuple) else type(spec).__name__
        raise DataError(
            f"The elements of {name} must be pairs of x and y; got {actual}.",
            "Make pairs: stream.map(lambda ...: (x, y)).",
        )
    parts = {"x": spec[0], "y": spec[1]}
    if isinstance(spec[1], Mapping):  # several targets
        parts = {"x": spec[0], **{f"y[{name!r}]": part for name, part in spec[1].items()}}
    for part_name, part in parts.items():
        if not isinstance(part, tf.TensorSpec):
            raise DataError(
                f"{part_name} of {name} must be one dense tensor; got {type(part).__name__}.",
                "Select one with stream.map, or fit the model on the stream itself.",
            )
    return spec[0], spec[1]


def _concatenate_elements(elements: list[Any], *, is_batched: bool) -> Any:
    if isinstance(elements[0], Mapping):
        return {
            name: _concatenate_elements([part[name] for part in elements], is_batched=is_batched)
            for name in elements[0]
        }
    shapes = {np.shape(element)[is_batched:] for element in elements}
    if len(shapes) > 1:
        sizes = list_names(sorted(format_shape(shape) or "one value" for shape in shapes), 5)
        raise DataError(
            f"The samples of the stream have {len(shapes):,} sizes: {sizes}.",
            "Bring them to one size first, with stream.map or padded_batch.",
        )
    return np.concatenate(elements) if is_batched else np.stack(elements)
