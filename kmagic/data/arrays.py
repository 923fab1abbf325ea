"""Arrays as a data set: x and y, or four parts, from the notebook or from an ``.npz`` file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from kmagic.data.assemble import apply_options, pad_rows
from kmagic.data.dataset import Dataset
from kmagic.data.load_options import OPTIONS_OF_KIND, DataKind, check_applies, leave_out
from kmagic.data.memory import require_memory
from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.split import check_test_classes, split_rows
from kmagic.data.target_kind import decide_target
from kmagic.data.texts import contains_sentences, encode_texts, to_text_array
from kmagic.data.word_index import create_encoding
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_shape, list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from kmagic.data.load_options import LoadOptions
    from kmagic.data.preparation.text_encoding import TextEncoding

PART_NAMES = ("x_train", "y_train", "x_test", "y_test")
DESCRIPTIONS: dict[DataKind, str] = {
    "images": "contains images",
    "table": "contains rows of numbers",
    "text": "contains text",
    "array": "contains arrays of numbers",
}
CHANNELS = (1, 3, 4)
MAX_BYTE = 255
_FRAME_REMEDY = "Pass a table of words and numbers as a pandas data frame."


@dataclass(frozen=True, slots=True)
class ArrayParts:
    """Inputs and targets, in two parts or all in the first."""

    x: Any
    y: Any
    x_test: Any = None
    y_test: Any = None


def load_arrays(parts: ArrayParts, options: LoadOptions, name: str, source: str) -> Dataset:
    """Load arrays, or lists of numbers, of texts or of word indices."""
    has_parts = parts.x_test is not None
    x, y, x_test = _to_input_array(parts.x, "x"), parts.y, None
    check_lengths(x, y, *(("x_train", "y_train") if has_parts else ("x", "y")))
    if has_parts:
        x_test = _to_input_array(parts.x_test, "x_test")
        check_lengths(x_test, parts.y_test, "x_test", "y_test")
        y = concatenate_targets(y, parts.y_test)
        x, x_test = _match_inputs(x, x_test)
    kind = "text" if options.words is not None and x.dtype.kind in "iu" else _kind_of(x)
    check_applies(options, kind, name, DESCRIPTIONS[kind])
    _reject_file_options(options, name, DESCRIPTIONS[kind])
    target = decide_target(y, options, images=kind == "images")
    notes: list[str | Text] = [target.note]
    is_scaled = kind == "images" and x.dtype.kind == "f" and x.min() >= 0 and x.max() <= 1
    if is_scaled:
        notes.append("The image values are 0 to 1 and were taken as divided by 255.")
    if x_test is not None and options.split is None:
        x_train, y_train, y_test = x, target.y[: len(x)], target.y[len(x) :]
        if target.labels is not None and target.classes is not None:
            labels = target.labels
            notes.append(
                check_test_classes(labels[: len(x)], labels[len(x) :], target.classes, name)
            )
    else:
        x = x if x_test is None else np.concatenate([x, x_test])
        train, test = split_rows(len(x), options, name, target.labels, target.classes)
        x_train, y_train, x_test, y_test = x[train], target.y[train], x[test], target.y[test]
    encoding, encoding_problem = None, Text()
    if kind == "text":
        x_train, x_test, encoding, encoding_problem = _encode(x_train, x_test, options, name)
    data = Dataset(
        name=name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=target.classes,
        scaling=Scaling("255") if is_scaled else Scaling(),
        note_text=Text.join(" ", filter(None, notes)),
        source=source,
        image_shape=x_train.shape[1:] if kind == "images" else None,
        encoding=encoding,
        encoding_problem=encoding_problem,
    )
    return apply_options(data, options)


def load_npz(path: Path, options: LoadOptions) -> Dataset:
    """Load a NumPy archive with the names that Keras's own have.

    Args:
        path: The file: x_train, y_train, x_test, y_test; or x_train, y_train; or x, y.
        options: The options of ``load_data``.
    """
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
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
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


def parse_parts(source: Any) -> ArrayParts | None:
    """Recognize the parts of arrays; None if it is nothing of that kind.

    Args:
        source: (x, y), (x_train, y_train, x_test, y_test), ((x_train, y_train), (x_test, y_test))
            as Keras's loaders return them, or a dictionary with these names.
    """
    if isinstance(source, Mapping):
        return _parts_by_name(source, "The dictionary")
    if not isinstance(source, tuple | list):
        return None
    pairs = [item for item in source if isinstance(item, tuple) and len(item) == 2]  # noqa: PLR2004 - x and y
    if len(source) == len(pairs) == 2:  # noqa: PLR2004 - the two parts
        return ArrayParts(*pairs[0], *pairs[1])
    if len(source) in (2, 4) and all(_is_column(item) for item in source):
        return ArrayParts(*source)
    return None


def check_lengths(x: Any, y: Any, x_name: str, y_name: str) -> None:
    """Check that there is one target for each input."""
    if not hasattr(y, "__len__") or isinstance(y, str | bytes) or getattr(y, "ndim", 1) == 0:
        raise DataError(f"{y_name} must have one value for each row of {x_name}; got {y!r}.")
    if len(x) != len(y):
        raise DataError(
            f"{x_name} has {len(x):,} rows, but {y_name} has {len(y):,}; they must have the same "
            "number of rows.",
            "Check whether rows are missing from one of them, or one is the test part.",
        )


def concatenate_targets(y: Any, y_test: Any) -> NDArray[Any]:
    """Concatenate the targets of both parts."""
    parts = [
        np.asarray(targets, dtype=object if _is_ragged(targets) else None)
        for targets in (y, y_test)
    ]
    shapes = [part.shape[1:] if part.size != len(part) else () for part in parts]
    are_words = [part.dtype.kind in "OUST" for part in parts]
    if shapes[0] != shapes[1] or are_words[0] != are_words[1]:
        train, test = (f"{format_shape(part.shape)} of {part.dtype}" for part in parts)
        raise DataError(f"y_train and y_test must have the same form; got {train} and {test}.")
    return np.concatenate([part.reshape(len(part), *shapes[0]) for part in parts])


def _match_inputs(x: NDArray[Any], x_test: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check that the rows of both parts have the same shape and type."""
    if x.dtype != x_test.dtype and {x.ndim, x_test.ndim} == {1, 2}:
        # Word indices: the rows of only one part have the same length.
        x, x_test = _to_lists(x), _to_lists(x_test)
    are_words = [part.dtype.kind in "OUST" for part in (x, x_test)]
    if x.shape[1:] != x_test.shape[1:] or are_words[0] != are_words[1]:
        train, test = (format_shape(part.shape[1:]) or str(part.dtype) for part in (x, x_test))
        raise DataError(
            f"The rows of x_train and x_test must have the same shape; got {train} and {test}."
        )
    return x, x_test


def _to_input_array(x: Any, name: str) -> NDArray[Any]:
    """Inputs as an array of numbers, of texts, or of lists of word indices."""
    if hasattr(x, "toarray"):
        raise DataError(
            f"{name} is a sparse matrix ({type(x).__name__}).", f"Convert it: {name}.toarray()."
        )
    try:
        array = np.asarray(x)
    except ValueError:  # rows of different lengths
        array = np.empty(len(x), dtype=object)
        array[:] = list(x)
    if array.ndim == 0 or not len(array):
        raise DataError(f"{name} is empty." if array.ndim else f"{name} has no rows.")
    if array.dtype.kind == "O":
        array = _convert_objects(array, name)
    if array.dtype.kind not in "biufOUST":
        _fail_type(name, str(array.dtype))
    if array.dtype.kind in "OUST" and array.ndim > 1:
        if array.size != len(array):
            raise DataError(
                f"{name} contains rows of words, or of words and numbers.", _FRAME_REMEDY
            )
        array = array.reshape(-1)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    return array[:, np.newaxis] if array.ndim == 1 and array.dtype.kind in "iuf" else array


def _convert_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Objects that are numbers, rows of one size, texts, or lists of word indices."""
    first = array.reshape(-1)[0]
    if isinstance(first, str | bytes):
        return array
    if array.ndim > 1 or np.ndim(first) == 0:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            types = sorted({type(item).__name__ for item in array.reshape(-1).tolist()})
            _fail_type(name, ", ".join(types))
    shapes = {np.shape(row) for row in array}
    if len(shapes) == 1:
        return np.stack([np.asarray(row) for row in array])
    if any(len(shape) != 1 for shape in shapes):
        raise DataError(
            f"{name} contains arrays of {len(shapes):,} sizes: "
            f"{list_names(sorted(map(format_shape, shapes)), 5)}.",
            "Resize them to one size first, e.g. with keras.ops.image.resize.",
        )
    return array


def _fail_type(name: str, actual: str) -> NoReturn:
    raise DataError(f"{name} must contain numbers or texts; got {actual}.", _FRAME_REMEDY)


def _to_lists(x: NDArray[Any]) -> NDArray[Any]:
    """Rows of word indices as lists, whose lengths may differ."""
    if x.dtype.kind not in "iu":
        return x
    rows = np.empty(len(x), dtype=object)
    rows[:] = x.tolist()
    return rows


def _reject_file_options(options: LoadOptions, name: str, description: str) -> None:
    """Reject options of named columns and of image files, which arrays do not have."""
    for applies_to, listed, remedy in (
        (
            "tables with named columns",
            OPTIONS_OF_KIND["table"],
            " Or pass a data frame: pandas.DataFrame(x, columns=[...]).",
        ),
        ("files, not to arrays", ("size", "gray"), " keras.ops.image resizes arrays."),
    ):
        for option in filter(options.is_set, listed):
            message = f" only applies to {applies_to}; {name} {description}."
            raise DataError(Text(Option(option), message), leave_out(option) + remedy)


def _parts_by_name(arrays: Mapping[str, Any], subject: str) -> ArrayParts:
    """The parts by their names."""
    for names in (PART_NAMES, PART_NAMES[:2], ("x", "y"), ("X", "y")):
        if all(name in arrays for name in names):
            return ArrayParts(*(arrays[name] for name in names))
    actual = ", ".join(map(str, arrays)) or "nothing"
    raise DataError(
        f"{subject} must contain x_train, y_train, x_test, y_test; or x_train, y_train; or x, y; "
        f"got {actual}.",
        'Pass the arrays themselves: (file["images"], file["labels"]).',
    )


def _is_ragged(y: Any) -> bool:
    """Whether the rows of a list have different lengths."""
    if not isinstance(y, list | tuple):
        return False
    rows = (row for row in y if not isinstance(row, str))
    return len({len(row) if hasattr(row, "__len__") else -1 for row in rows}) > 1


def _is_column(value: Any) -> bool:
    """Whether it can be the inputs or the targets of many samples."""
    return not isinstance(value, str | bytes | Mapping) and (
        hasattr(value, "shape") or isinstance(value, Sequence)
    )


def _kind_of(x: NDArray[Any]) -> DataKind:
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


def _encode(
    x_train: NDArray[Any], x_test: NDArray[Any], options: LoadOptions, name: str
) -> tuple[NDArray[Any], NDArray[Any], TextEncoding | None, Text]:
    """Encode texts if requested; pad lists of word indices if a length is requested.

    Returns:
        Both parts, their encoding, and why the words are unknown, if they are.
    """
    if contains_sentences(x_train):
        if options.words is not None:
            raise DataError(
                Text(Option("words"), f" only applies to word indices; {name} contains texts."),
                leave_out("words"),
            )
        texts = to_text_array(x_train), to_text_array(x_test)
        return *encode_texts(*texts, options), Text()
    if options.words is not None:
        encoding = create_encoding(options.words, options, x_train)
        return encoding.limit(x_train), encoding.limit(x_test), encoding, Text()
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
    problem = Text(
        f"The words for the indices in {name} are unknown: load the data with ",
        Option("words"),
        ".",
    )
    return pad_rows(x_train, options), pad_rows(x_test, options), None, problem
