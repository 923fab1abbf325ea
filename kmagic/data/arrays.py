"""Arrays as a data set: x and y, or four parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.assemble import Raw, check_classes, divide, finish, padded
from kmagic.data.load_options import Kind, check_kind
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.target_kind import decide_target
from kmagic.data.texts import as_texts, holds_sentences, number_texts
from kmagic.data.word_index import encoding_of
from kmagic.support.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.dataset import Dataset
    from kmagic.data.load_options import Options
    from kmagic.data.preparation.text_encoding import TextEncoding

PARTS = ("x_train", "y_train", "x_test", "y_test")
WHATS: dict[Kind, str] = {
    "pictures": "pictures",
    "table": "rows of numbers",
    "text": "texts",
    "array": "arrays of numbers",
}
CHANNELS = (1, 3, 4)
BYTE = 255
_EXPECTED = "x_train, y_train, x_test, y_test; or x_train, y_train; or x, y"


@dataclass(frozen=True, slots=True)
class Four:
    """Inputs and targets, in two parts or all in the first."""

    x: Any
    y: Any
    x_test: Any = None
    y_test: Any = None


def from_arrays(four: Four, options: Options, name: str, source: str) -> Dataset:
    """Arrays, lists of numbers or of word numbers.

    Args:
        four: The parts; without test parts some rows become those.
        options: What was asked for.
        name: What they are called.
        source: Where they are from.

    Raises:
        DataError: They do not fit each other, or an option does not fit them.
    """
    x, y = as_inputs(four.x, "x"), four.y
    own_parts = four.x_test is not None
    same_length(x, y, *(("x_train", "y_train") if own_parts else ("x", "y")))
    x_test = as_inputs(four.x_test, "x_test") if own_parts else None
    if x_test is not None:
        same_length(x_test, four.y_test, "x_test", "y_test")
        if x.dtype != x_test.dtype and {x.ndim, x_test.ndim} == {1, 2}:
            x, x_test = as_lists(x), as_lists(x_test)  # word numbers, in one part of one length
        _alike(x, x_test)
    kind = _kind(x) if options.words is None or x.dtype.kind not in "iu" else "text"
    check_kind(options, kind, name, WHATS[kind])
    _check_arrays(options, name, WHATS[kind])
    values = y if x_test is None else together(y, four.y_test)
    target = decide_target(values, options, pictures=kind == "pictures")
    notes = [target.said]
    x, x_test, scaled = _scaled_already(x, x_test, kind)
    if scaled is not None:
        notes.append("The pictures' values are 0 to 1, taken as divided by 255.")
    if x_test is not None and options.split is not None:
        x, x_test = np.concatenate([x, x_test]), None
    if x_test is None:
        train, test = divide(len(x), options, name, target.labels, target.classes or ())
        parts = x[train], target.y[train], x[test], target.y[test]
    else:
        parts = x, target.y[: len(x)], x_test, target.y[len(x) :]
        if target.labels is not None and target.classes is not None:
            labels = target.labels
            classes = target.classes
            notes.append(check_classes(labels[: len(x)], labels[len(x) :], classes, name))
    x_train, x_test, encoding, lacking = parts[0], parts[2], None, ""
    if kind == "text":
        x_train, x_test, encoding, lacking = as_words(x_train, x_test, options, name)
    raw = Raw(
        name=name,
        kind=kind,
        x_train=x_train,
        y_train=parts[1],
        x_test=x_test,
        y_test=parts[3],
        classes=target.classes,
        source=source,
        note=" ".join(filter(None, notes)),
        scaling=scaled,
        encoding=encoding,
        lacking=lacking,
    )
    return finish(raw, options)


def take_apart(source: Any) -> Four | None:
    """The parts of what stands for arrays; None if it is nothing of that kind.

    Args:
        source: (x, y), (x_train, y_train, x_test, y_test), ((x_train, y_train), (x_test, y_test))
            as Keras's loaders return them, or a dictionary with these names.
    """
    if isinstance(source, Mapping):
        return of_names(source, "The dictionary")
    if not isinstance(source, tuple | list):
        return None
    inner = [each for each in source if isinstance(each, tuple) and len(each) == 2]  # noqa: PLR2004 - x and y
    if len(source) == 2 and len(inner) == 2:  # noqa: PLR2004 - the two parts
        return Four(*inner[0], *inner[1])
    if len(source) in (2, 4) and all(_is_column(each) for each in source):
        return Four(*source)
    return None


def same_length(x: Any, y: Any, x_name: str, y_name: str) -> None:
    """Refuse inputs and targets that do not belong together."""
    if not hasattr(y, "__len__") or isinstance(y, str | bytes) or getattr(y, "ndim", 1) == 0:
        raise DataError(f"{y_name} is {y!r}: expected one value for each row of {x_name}.")
    if len(x) != len(y):
        raise DataError(
            f"{x_name} has {len(x):,} rows and {y_name} {len(y):,}: expected one target a row.",
            "Were rows left out of one of them, or is one the test part?",
        )


def together(y: Any, y_test: Any) -> NDArray[Any]:
    """The targets of both parts, which must be of one form.

    Raises:
        DataError: They are not.
    """
    parts = [np.asarray(each, dtype=object if _is_ragged(each) else None) for each in (y, y_test)]
    shapes = [part.shape[1:] if part.size != len(part) else () for part in parts]
    words = [part.dtype.kind in "OUST" for part in parts]
    if shapes[0] != shapes[1] or words[0] != words[1]:
        said = [" x ".join(map(str, part.shape)) + f" of {part.dtype}" for part in parts]
        raise DataError(f"y_train is {said[0]}, y_test {said[1]}: expected the same form.")
    return np.concatenate([part.reshape(len(part), *shapes[0]) for part in parts])


def as_inputs(x: Any, what: str) -> NDArray[Any]:
    """Inputs as an array of numbers, of texts, or of lists of word numbers.

    Raises:
        DataError: They are empty, of several sizes, or neither numbers nor texts.
    """
    if hasattr(x, "toarray"):
        raise DataError(
            f"{what} is a sparse matrix ({type(x).__name__}).", f"Give it whole: {what}.toarray()."
        )
    try:
        array = np.asarray(x)
    except ValueError:  # different lengths
        array = np.empty(len(x), dtype=object)
        array[:] = list(x)
    if array.ndim == 0 or not len(array):
        raise DataError(
            f"{what} is empty: expected rows." if array.ndim else f"{what} has no rows."
        )
    if array.dtype.kind == "O":
        array = _of_objects(array, what)
    if array.dtype.kind not in "biufOUST":
        raise DataError(f"{what} holds {array.dtype}: expected numbers, or texts.")
    if array.dtype.kind in "OUST" and array.ndim > 1:
        if array.size != len(array):
            raise DataError(
                f"{what} holds rows of words, or of words and numbers.",
                "Give such a table as a pandas data frame.",
            )
        array = array.reshape(-1)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    return array[:, np.newaxis] if array.ndim == 1 and array.dtype.kind in "iuf" else array


def _check_arrays(options: Options, name: str, what: str) -> None:
    """Refuse options of tables with names and of picture files: arrays have neither."""
    for option in ("target", "features", "drop", "missing", "sep"):
        if options.given(option):
            raise DataError(
                f"{option} is for tables with names for their columns; {name} is {what}.",
                f"Leave {option} out, or give a data frame: pandas.DataFrame(x, columns=[...]).",
            )
    for option in ("size", "gray"):
        if options.given(option):
            raise DataError(
                f"{option} is for picture files; {name} is {what} in memory already.",
                f"Leave {option} out; keras.ops.image resizes arrays.",
            )


def as_lists(x: NDArray[Any]) -> NDArray[Any]:
    """Rows of word numbers as lists, which need not be of one length."""
    if x.dtype.kind not in "iu":
        return x
    rows = np.empty(len(x), dtype=object)
    rows[:] = x.tolist()
    return rows


def of_names(arrays: Mapping[str, Any], what: str) -> Four:
    """The parts by their names.

    Raises:
        DataError: They have other names.
    """
    names = list(arrays)
    for wanted in (PARTS, PARTS[:2], ("x", "y"), ("X", "y")):
        if all(name in names for name in wanted):
            return Four(*(arrays[name] for name in wanted))
    held = ", ".join(map(str, names)) or "nothing"
    raise DataError(
        f"{what} holds {held}: expected {_EXPECTED}.",
        'Give the arrays themselves: load_data((file["images"], file["labels"])).',
    )


def _is_ragged(y: Any) -> bool:
    """Whether rows are of different lengths."""
    if not isinstance(y, list | tuple):
        return False
    return (
        len({len(row) if hasattr(row, "__len__") else -1 for row in y if not isinstance(row, str)})
        > 1
    )


def _is_column(value: Any) -> bool:
    """Whether it can be the x or the y of many rows."""
    return not isinstance(value, str | bytes | Mapping) and (
        hasattr(value, "shape") or isinstance(value, Sequence)
    )


def _of_objects(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Objects that are numbers, rows of one size, texts, or lists of word numbers."""
    first = array.reshape(-1)[0]
    if isinstance(first, str | bytes):
        return array
    if array.ndim > 1 or np.ndim(first) == 0:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            kinds = sorted({type(each).__name__ for each in array.reshape(-1).tolist()})
            raise DataError(
                f"{what} holds {', '.join(kinds)}: expected numbers, or texts.",
                "A table with words and numbers is best given as a pandas data frame.",
            ) from error
    shapes = {np.shape(row) for row in array}
    if len(shapes) == 1:
        return np.stack([np.asarray(row) for row in array])
    if any(len(shape) != 1 for shape in shapes):
        some = sorted({" x ".join(map(str, shape)) for shape in shapes})
        raise DataError(
            f"{what} holds arrays of {len(some):,} sizes: {', '.join(some[:5])}.",
            "Expected one size: resize them first, for example with keras.ops.image.resize.",
        )
    return array


def _kind(x: NDArray[Any]) -> Kind:
    """What the rows are, by shape and values."""
    if x.dtype.kind in "OUST":
        return "text"
    axes = x.ndim - 1
    if axes == 3 and x.shape[-1] in CHANNELS:  # noqa: PLR2004 - height, width, channels
        return "pictures"
    if axes == 2 and x.dtype.kind in "iu" and x.min() >= 0 and BYTE // 2 < x.max() <= BYTE:  # noqa: PLR2004 - height, width
        return "pictures"
    return "table" if axes == 1 else "array"


def _scaled_already(
    x: NDArray[Any], x_test: NDArray[Any] | None, kind: Kind
) -> tuple[NDArray[Any], NDArray[Any] | None, Scaling | None]:
    """Pictures of 0 to 1 have been divided by 255, so that later ones are to be, too."""
    if kind != "pictures" or x.dtype.kind != "f" or x.min() < 0 or x.max() > 1:
        return x, x_test, None
    return x, x_test, Scaling("255")


def as_words(
    x_train: NDArray[Any], x_test: NDArray[Any], options: Options, name: str
) -> tuple[NDArray[Any], NDArray[Any], TextEncoding | None, str]:
    """Texts as they are or numbered; lists of word numbers padded if a length is asked for.

    Returns:
        Both parts, how their words are numbered, and why that is not known.
    """
    if holds_sentences(x_train):
        if options.words is not None:
            raise DataError(
                f"words says what word numbers mean; {name} holds texts.", "Leave words out."
            )
        return *number_texts(as_texts(x_train), as_texts(x_test), options.text), ""
    if options.words is not None:
        encoding = encoding_of(options.words, options.text, x_train)
        return encoding.limit(x_train), encoding.limit(x_test), encoding, ""
    if options.num_words is not None:
        raise DataError(
            f"num_words needs the texts themselves; {name} holds word numbers.",
            'Say what they mean, such as words="imdb", or leave num_words out.',
        )
    lacking = f"What the word numbers of {name} mean is not known: load them with words=..."
    return padded(x_train, options), padded(x_test, options), None, lacking


def _alike(x: NDArray[Any], x_test: NDArray[Any]) -> None:
    if x.shape[1:] != x_test.shape[1:] or (x.dtype.kind in "OUST") != (x_test.dtype.kind in "OUST"):
        sides = [" x ".join(map(str, each.shape[1:])) or str(each.dtype) for each in (x, x_test)]
        raise DataError(
            f"A row of x_train is {sides[0]}, one of x_test {sides[1]}: expected the same."
        )
