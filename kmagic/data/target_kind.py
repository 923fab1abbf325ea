"""What is predicted: classes, labels or numbers; unclear decisions are noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.load_options import LoadOptions
from kmagic.data.preparation.cell_format import (
    ANSWERS,
    category_name,
    check_encodable,
    clean_name,
    split_unit,
)
from kmagic.models.model_arrays import as_array, is_missing
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_shape, list_names, pluralize
from kmagic.support.memory import require_memory
from kmagic.support.messages import Option, Part, Text

MAX_CLASSES = 20  # different integers up to which they are classes rather than numbers
ROWS_PER_CLASS = 3  # on average, for integers to be classes
MAX_IMAGE_CLASSES = 1000
MAX_TAG = 40  # characters
SEPARATORS = ";|,"
"""Characters between the tags of a sample in text."""
_REGRESSION, _CLASSIFICATION = Option("task", "regression"), Option("task", "classification")
_MULTILABEL = Option("task", "multilabel")
_CLASS_NAMES = Option("class_names")


@dataclass(frozen=True, slots=True)
class Target:
    """The targets of all rows.

    Attributes:
        y: Labels from 0, one-hot rows, rows of 0 and 1, or values.
        classes: Names of the classes or labels; None for regression.
        note: What was decided where it was unclear, in a sentence.
        is_multilabel: Whether a sample can have several labels.
    """

    y: NDArray[Any]
    classes: tuple[str, ...] | None
    note: str | Text = ""
    is_multilabel: bool = False

    @property
    def labels(self) -> NDArray[np.intp] | None:
        """The label of each row as an integer, or its row of 0 and 1; None for regression."""
        if self.classes is None or self.is_multilabel:
            return None if self.classes is None else self.y.astype(np.intp)
        return (self.y.argmax(axis=1) if self.y.ndim > 1 else self.y).astype(np.intp)

    def occurs(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Which classes or labels some of these rows have."""
        if y.ndim > 1:
            return np.asarray((y != 0).any(axis=0))
        return np.bincount(y.astype(np.intp), minlength=len(self.classes or ())) > 0

    @property
    def parts(self) -> dict[str, Target]:
        """Itself: one target and several are used alike."""
        return {"": self}

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a dataset that it determines."""
        return {"classes": self.classes, "is_multilabel": self.is_multilabel}


@dataclass(frozen=True, slots=True)
class Targets:
    """Several targets of all rows, by name."""

    parts: dict[str, Target]

    @property
    def y(self) -> dict[str, NDArray[Any]]:
        """The labels or values of each."""
        return {name: target.y for name, target in self.parts.items()}

    @property
    def note(self) -> Text:
        """What was decided where it was unclear."""
        return Text.join(" ", [target.note for target in self.parts.values() if target.note])

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a dataset that they determine."""
        return {"by_target": {n: {**t.fields, "target": n} for n, t in self.parts.items()}}


def stratification(
    labels: Mapping[str, NDArray[Any]], rows: int
) -> tuple[NDArray[np.intp] | None, str | None]:
    """What a split of rows with several targets keeps the proportions of.

    Args:
        labels: The labels of each target that has classes; rows of 0 and 1 for several labels.
        rows: How many rows each combination of classes needs.

    Returns:
        The combinations, as integers; or the labels of the first target where some combinations
        have fewer rows, and its name; None where no target has classes.
    """
    if not labels:
        return None, None
    flat = {name: part for name, part in labels.items() if part.ndim == 1}
    first, own = next(iter((flat or labels).items()))
    if len(flat) > 1:
        table = np.stack(list(flat.values()), axis=1)
        joint = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
        if np.bincount(joint).min() >= rows:
            return joint.astype(np.intp), None
    return own, first


def decide_targets(y: Any, options: LoadOptions, name: str = "y", **about: Any) -> Target | Targets:
    """As :func:`decide_target`, also for a dictionary of several targets by name."""
    if not isinstance(y, Mapping):
        return decide_target(y, options, name, **about)
    parts = {}
    for key, values in y.items():
        target = decide_target(values, options.for_target(key, list(y)), key, **about)
        parts[key] = replace(target, note=_for_target(target.note, key))
    return Targets(parts)


def _for_target(note: Part, name: str) -> Text:
    """A note whose ``task`` is that of one of several targets."""
    parts = note.parts if isinstance(note, Text) else (note,)
    return Text(
        *(
            Option("task", {name: part.value})
            if isinstance(part, Option) and part.name == "task"
            else _for_target(part, name)
            if isinstance(part, Text)
            else part
            for part in parts
        )
    )


def decide_target(
    y: Any,
    options: LoadOptions,
    name: str = "y",
    *,
    images: bool = False,
    columns: Sequence[str] = (),
) -> Target:
    """Decide whether values are classes, labels or numbers, unless ``task`` says it.

    Words, booleans, one-hot rows and a small number of different integers are classes. Lists of
    words, and rows of 0 and 1 that are not all one-hot, are labels, of which a sample has several.

    Args:
        y: The values.
        options: Those of ``load_data``.
        name: Name of the values in messages.
        images: Whether the samples are images, which have more classes.
        columns: The names of the columns of a table that are the target.
    """
    for option in ("task", "class_names"):
        if isinstance(getattr(options, option), Mapping):
            message = Text(Option(option), f" is a dictionary, for several targets; {name} is one.")
            raise DataError(message, "Pass its value alone.")
    (rows,) = as_tag_lists(y, task=options.task)
    if is_tag_list(rows):
        is_clear = options.task == "multilabel"
        text = f"{name} contains lists, taken as the labels of each row."
        return _from_tags(rows, options, name, "" if is_clear else text)
    if options.task == "multilabel" and (lists := _tag_tuples(rows, "multilabel")) is not None:
        kinds = {type(tag).__name__ for tags in lists for tag in tags}
        if kinds - {"int", "float", "bool"} and not kinds <= {"str"}:
            raise DataError(
                f"The lists of labels in {name} must contain words, or only integers; got "
                f"{', '.join(sorted(kinds))}.",
                "Leave out empty values, and write all labels as text.",
            )
    values = _to_target_array(y, name)
    if values.ndim == 1 and options.task == "multilabel" and values.dtype.kind not in "OUST":
        values = values[:, np.newaxis]
    if values.ndim > 1:
        return _from_rows(values, options, name, columns)
    note = Text()
    if values.dtype.kind in "OUST":
        tags, note = _split_tags(values, options, name)
        if tags is not None:
            return _from_tags(tags, options, name, note)
        values, number_note = _read_numbers(values, options, name)
        note = Text.join(" ", filter(None, (note, number_note)))
    if values.dtype.kind in "OUSTb":
        target = _from_words(values, options, name)
        return replace(target, note=Text.join(" ", filter(None, (note, target.note))))
    if values.dtype.kind not in "iuf":
        raise _type_error(name, str(values.dtype))
    invalid = int((~np.isfinite(values)).sum())
    if invalid:
        raise DataError(
            f"{name} has no value, or infinity, in {invalid:,} of {len(values):,} rows.",
            "Leave these rows out: every target must be known.",
        )
    are_integers = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    task = "classification" if options.class_names else options.task
    if task == "regression" or (task is None and not are_integers):
        return Target(values, None, note)
    if not are_integers:
        raise DataError(
            f"The classes in {name} must be integers or words; got "
            f"{values[values != np.rint(values)][0]:g}.",
            Text("Use ", _REGRESSION, ", or pass integers or words."),
        )
    return _from_integers(values, options, name, images=images)


def read_target_frame(y: Any, names: Sequence[str] | None) -> Any:
    """A data frame with its columns in the order of their names, and yes and no as 1 and 0.

    Other targets, and frames with other columns, are returned as they are.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [5, 6], "b": ["no", "yes"]})
        >>> read_target_frame(frame, ("b", "a")).to_numpy().tolist()
        [[0, 5], [1, 6]]
    """
    columns = (
        list(map(clean_name, y.columns)) if hasattr(y, "iloc") and hasattr(y, "columns") else []
    )
    if not names or sorted(columns) != sorted(set(names)):
        return y
    frame = y.set_axis(columns, axis=1)[list(names)]
    for name in columns:
        if frame[name].dtype.kind in "OUSb":
            cells = [ANSWERS.get(str(cell).strip().casefold(), cell) for cell in frame[name]]
            values = as_array(np.array(cells, dtype=object))
            frame[name] = values.astype(np.int8) if values.dtype.kind == "b" else values
    return frame


def _to_target_array(y: Any, name: str) -> NDArray[Any]:
    """Values as one array, a single column as one axis."""
    if np.ma.is_masked(y):
        raise DataError(f"{name} is a masked array with masked values.", "Leave these rows out.")
    try:
        values = np.asarray(y)
    except ValueError as error:
        if empty := sum(map(is_missing, y)):
            raise DataError(
                f"{name} has no value in {empty:,} of {len(y):,} rows.",
                "Write [] for a row without labels.",
            ) from error
        raise DataError(
            f"{name} has rows of different lengths.",
            Text("Pass one value for each row; ", _MULTILABEL, " takes the rows as labels."),
        ) from error
    if values.ndim > 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.ndim == 0:
        raise DataError(f"{name} must have one value for each row; got {values.item()!r}.")
    if not len(values):
        raise DataError(f"{name} is empty.")
    return _convert_objects(values, name) if values.dtype.kind == "O" else values


def _convert_objects(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Python objects as numbers, or checked to be words."""
    if (numbers := as_array(values)).dtype.kind != "O":
        return np.asarray(numbers)
    cells = values.reshape(-1).tolist()
    empty = sum(is_missing(cell) or cell != cell for cell in cells)  # noqa: PLR0124 - nan is not itself
    if empty:
        raise DataError(
            f"{name} has no value in {empty:,} of {len(values):,} rows.",
            Text(
                "Leave these rows out: every target must be known. For a table, ",
                Option("missing", "drop"),
                " does that.",
            ),
        )
    if not all(isinstance(cell, str | bytes | int | float | np.generic) for cell in cells):
        raise _type_error(name, ", ".join(sorted({type(cell).__name__ for cell in cells})))
    return values


def _read_numbers(
    values: NDArray[Any], options: LoadOptions, name: str
) -> tuple[NDArray[Any], Text]:
    """Words that are numbers in text, such as "1.200,50", as numbers; others as they are.

    Few different integers stay words, which are classes.
    """
    words = values.reshape(-1).tolist()
    if not any(isinstance(word, str) and split_unit(word) for word in words):
        return values, Text()
    import pandas as pd  # noqa: PLC0415 - half a second to import

    from kmagic.data.column_types import type_columns  # noqa: PLC0415 - imports pandas

    table = type_columns(pd.DataFrame({name: pd.Series(words, dtype=object)}), options)
    cells = table.frame[name]
    if name in table.problems:
        reason, remedy = table.problems[name]
        raise DataError(f"{name} {reason}.", remedy)
    if cells.dtype.kind not in "if":
        return values, Text()
    missing = np.flatnonzero(cells.isna())
    if missing.size:
        raise DataError(
            f"{name} has no value in {missing.size:,} of {len(cells):,} rows"
            f"{table.missing_words(name)}: row {list_names(missing.tolist(), 5)} (counted from 0).",
            "Leave these rows out: every target must be known.",
        )
    if cells.dtype.kind == "i" and options.task != "regression" and cells.nunique() <= MAX_CLASSES:
        return values, Text()
    return cells.to_numpy(), Text.join(" ", table.notes_on([name]))


def _type_error(name: str, actual: str) -> DataError:
    return DataError(f"{name} must contain numbers or words; got {actual}.")


def _from_rows(
    values: NDArray[Any], options: LoadOptions, name: str, columns: Sequence[str] = ()
) -> Target:
    """One-hot rows, rows of labels, or several values to predict."""
    if values.ndim > 2 or values.dtype.kind not in "biuf" or not values.size:  # noqa: PLR2004 - rows, columns
        raise DataError(
            f"{name} must have one value, or one row of numbers, for each sample; got "
            f"{format_shape(values.shape)} of {values.dtype}.",
            Text(_MULTILABEL, " takes the words of a row as its labels.")
            if values.dtype.kind in "UT" and values.ndim == 2  # noqa: PLR2004 - rows, columns
            else "",
        )
    invalid = ~np.isfinite(values).all(axis=1)
    if invalid.any():
        raise DataError(
            f"{name} has no value, or infinity, in {invalid.sum():,} of {len(values):,} rows.",
            "Leave these rows out: every target must be known.",
        )
    is_other = (values != 0) & (values != 1)
    is_one_hot = bool(not is_other.any() and (values.sum(axis=1) == 1).all())
    task, count = options.task, values.shape[1]
    if is_other.any() and task == "multilabel":
        at = tuple(np.argwhere(is_other)[0])
        where = columns[at[1]] if columns else name
        raise DataError(
            Text(_MULTILABEL, f" needs columns of 0 and 1; {where} contains {values[at]:g}."),
            Text("Leave out ", Option("task"), ", or pass lists of labels: [['a', 'b'], []]."),
        )
    if is_other.any() or task == "regression" or (task == "classification" and not is_one_hot):
        if options.class_names or task == "classification":
            remedy: str | Text = "Pass one label for each row."
            if not is_other.any():
                remedy = Text(_MULTILABEL, " takes each column as a label of its own.")
            elif columns and (values == np.rint(values)).all():
                each = Option("task", dict.fromkeys(columns, "classification"))
                remedy = Text("Predict the classes of each column: ", each, ".")
            raise DataError(
                f"{name} has {count} values per row that are not one-hot, but each row must belong "
                "to one class.",
                remedy,
            )
        return Target(values, None, _note_on_classes(values, options, columns))
    names = options.class_names or tuple(columns) or tuple(map(str, range(count)))
    if len(names) != count:
        raise _name_count_error(names, count, f"{name} has {pluralize(count, 'column')}")
    labels = values.astype(np.float32)
    if task == "multilabel":
        return Target(labels, names, is_multilabel=True)
    if is_one_hot:
        note = Text(f"Each row has a single 1 in {name}, taken as its class; ", _MULTILABEL)
        return Target(
            labels, names, note + " takes them as labels." if columns and not task else ""
        )
    are = f"{list_names(columns)} are" if columns else f"The values of {name} are 0 and 1,"
    note = Text(f"{are} taken as labels, of which a row can have several; ", _REGRESSION)
    return Target(labels, names, note + " takes them as numbers.", True)


def _note_on_classes(
    values: NDArray[Any], options: LoadOptions, columns: Sequence[str]
) -> str | Text:
    """Which columns of numbers would be classes if each were the only target."""
    if options.task is not None or not columns:
        return ""
    found = [
        column
        for column, cells in zip(columns, values.T, strict=True)
        if (cells == np.rint(cells)).all() and decide_target(cells, options, column).classes
    ]
    if not found:
        return ""
    are, they = ("is", "it") if len(found) == 1 else ("are", "them")
    task = Option("task", dict.fromkeys(found, "classification"))
    return Text(f"{list_names(found)} {are} taken as numbers; ", task, f" takes {they} as classes.")


# --- lists of tags --------------------------------------------------------------------------------


def as_tag_lists(*parts: Any, task: str | None) -> list[Any]:
    """Lists of words for each sample as arrays of tuples; other values unchanged.

    Lists of one word each are a column, unless the task is multilabel; then lists of integers are
    labels, too.

    Example:
        >>> as_tag_lists([["cat"], ["cat", "dog"], []], task=None)[0].tolist()
        [('cat',), ('cat', 'dog'), ()]
        >>> as_tag_lists([["cat"], ["dog"]], task=None)
        [[['cat'], ['dog']]]
    """
    listed = [_tag_tuples(part, task) for part in parts]
    if any(rows is None for rows in listed):
        return list(parts)
    every = [tags for rows in listed for tags in rows or ()]
    lengths, tags = {len(each) for each in every}, [tag for each in every for tag in each]
    are_words = all(isinstance(tag, str) for tag in tags)
    are_numbers = are_words and len(lengths) == 1 and all(map(split_unit, tags))
    if are_numbers and (task != "multilabel" or set(tags) == {"0", "1"}):
        return list(parts)
    are_indices = task == "multilabel" and len(lengths) > 1
    are_indices = are_indices and all(isinstance(tag, int | np.integer) for tag in tags)
    is_column = lengths == {1} and task != "multilabel"
    if not every or is_column or not (are_words or are_indices):
        return list(parts)
    arrays: list[Any] = [np.empty(len(rows or ()), dtype=object) for rows in listed]
    for array, rows in zip(arrays, listed, strict=True):
        array[:] = rows
    return arrays


def _tag_tuples(y: Any, task: str | None) -> list[tuple[Any, ...]] | None:
    """Each row as a tuple; None if the rows are no lists."""
    if (
        isinstance(y, np.ndarray)
        and y.dtype.kind != "O"
        and not (
            y.ndim == 2 and y.dtype.kind in "UT" and task == "multilabel"  # noqa: PLR2004 - a table
        )
    ):
        return None
    if not isinstance(y, list | tuple | np.ndarray) and not hasattr(y, "array"):  # a Series
        return None
    kinds = (list, tuple, set, frozenset, np.ndarray)
    rows = list(y)
    if not rows or not all(isinstance(row, kinds) and np.ndim(list(row)) == 1 for row in rows):
        return None
    return [tuple(sorted(row) if isinstance(row, set | frozenset) else list(row)) for row in rows]


def is_tag_list(y: Any) -> bool:
    """Whether it is an array of tuples, as :func:`as_tag_lists` returns."""
    is_list = isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1 and len(y) > 0
    return is_list and isinstance(y[0], tuple)


def _split_tags(values: NDArray[Any], options: LoadOptions, name: str) -> tuple[Any, Text]:
    """Words such as "cat;dog" as lists of tags, if they are requested or clearly such lists.

    Returns:
        The lists, or None; and a note.
    """
    words = [w.decode("utf-8", "replace") if isinstance(w, bytes) else w for w in values.tolist()]
    is_requested = options.task == "multilabel"
    if options.task not in (None, "multilabel") or not all(isinstance(w, str) for w in words):
        return (_tuples([[category_name(w)] for w in words]) if is_requested else None), Text()
    found = [sign for sign in SEPARATORS if any(sign in word for word in words)]
    if is_requested and len(found) > 1:
        raise DataError(
            f"The labels in {name} could be separated by {' or '.join(map(repr, found))}.",
            f"Split them in a data frame: frame[{name!r}].str.split({found[0]!r}).",
        )
    if not found:
        if not is_requested:
            return None, Text()
        single = f"No cell of {name} contains ; | or a comma, so each is one label."
        return _tuples([[word] for word in words]), Text(single)
    lists = [[tag for part in word.split(found[0]) if (tag := part.strip())] for word in words]
    cells, tags = Counter(words), Counter(tag for tags in lists for tag in set(tags))
    text = f"The cells of {name} are lists of labels, separated by {found[0]!r}"
    if is_requested:
        return _tuples(lists), Text(f"{text}.")
    are_tags = len(tags) < len(cells) and len(set(map(len, lists))) > 1
    if len(found) > 1 or not are_tags or max(map(len, tags)) > MAX_TAG or options.class_names:
        shared = any(count > cells.most_common(1)[0][1] for count in tags.values())
        note = Text(f"{name} contains {found[0]!r}; ", _MULTILABEL, " takes its parts as labels.")
        return None, note if shared and len(cells) <= MAX_CLASSES else Text()
    return _tuples(lists), Text(f"{text}; ", _CLASSIFICATION, " takes each cell as a class.")


def _tuples(rows: Sequence[Sequence[str]]) -> NDArray[Any]:
    array = np.empty(len(rows), dtype=object)
    array[:] = [tuple(row) for row in rows]
    return array


def _from_tags(rows: NDArray[Any], options: LoadOptions, name: str, note: str | Text) -> Target:
    """One column of 0 and 1 for each tag; empty and repeated tags of a row do not count."""
    from sklearn.preprocessing import MultiLabelBinarizer  # noqa: PLC0415 - slow to import

    if options.task in ("classification", "regression"):
        raise DataError(
            Text(Option("task", options.task), f" needs one value per row; {name} contains lists."),
            Text("Use ", _MULTILABEL, ", or leave out ", Option("task"), "."),
        )
    lists = [[tag for each in row if (tag := category_name(each).strip())] for row in rows]
    counts = Counter(tag for tags in lists for tag in set(tags))
    try:
        distinct = sorted(counts, key=float)
    except ValueError:  # not all are numbers
        distinct = sorted(counts)
    names = options.class_names or tuple(distinct)
    if not names:
        raise DataError(
            f"No row of {name} has a label.",
            Text("Name the labels that a row could have: ", Option("class_names", "a,b"), "."),
        )
    if unknown := sorted(set(distinct) - set(names)):
        raise DataError(
            Text(
                _CLASS_NAMES,
                f" must contain all labels of {name}, also {unknown[0]!r}; got "
                f"{list_names(names)}.",
            ),
            "Name all labels, in the order of their columns.",
        )
    for tag in distinct:
        check_encodable(tag, f"A label in {name}")
    require_memory(20 * len(lists) * len(names), f"{name}, one column for each label,", "")
    matrix = MultiLabelBinarizer(classes=names).fit_transform(lists).astype(np.float32)
    folded = Counter(tag.casefold() for tag in distinct)
    variants = [tag for tag in distinct if folded[tag.casefold()] > 1]
    if variants:
        shown = list_names(map(repr, sorted(variants, key=str.casefold)), 4)
        note = Text.join(" ", filter(None, (note, f"Labels differ only in case: {shown}.")))
    return Target(matrix, names, note, is_multilabel=True)


def _from_words(values: NDArray[Any], options: LoadOptions, name: str) -> Target:
    words = [
        cell.decode("utf-8", "replace") if isinstance(cell, bytes) else category_name(cell)
        for cell in values.tolist()
    ]
    if options.task == "regression":
        raise DataError(
            Text(_REGRESSION, f" needs numbers, but {name} contains words, e.g. {words[0]!r}."),
            Text("Leave out ", Option("task"), ", or choose another target."),
        )
    try:
        distinct = sorted(set(words), key=float)
    except ValueError:  # not all are numbers
        distinct = sorted(set(words))
    names = options.class_names or tuple(distinct)
    is_boolean = set(distinct) == {"False", "True"}
    if is_boolean and len(names) == 2 and set(names) != set(distinct):  # noqa: PLR2004 - no and yes
        return Target(np.array([word == "True" for word in words], dtype=np.int64), names)
    unknown = sorted(set(distinct) - set(names))
    if unknown:
        raise DataError(
            Text(
                _CLASS_NAMES,
                f" must contain all values of {name}, also {unknown[0]!r}; got {', '.join(names)}.",
            ),
            "Name all classes, in the order of their labels.",
        )
    if not options.class_names and len(words) > MAX_CLASSES and len(distinct) > len(words) / 2:
        raise DataError(
            f"{name} contains {len(distinct):,} different words in {len(words):,} rows, too many "
            "for classes.",
            "Choose another target.",
        )
    for word in distinct:
        check_encodable(word, f"A class in {name}")
    note = f"{name} is {distinct[0]} in all rows." if len(distinct) == 1 else ""
    label_of = {word: label for label, word in enumerate(names)}
    return Target(np.array([label_of[word] for word in words], dtype=np.int64), tuple(names), note)


def _from_integers(
    values: NDArray[Any], options: LoadOptions, name: str, *, images: bool
) -> Target:
    """Numbers; or classes: unchanged if they are labels from 0, else numbered by their order."""
    names, distinct = options.class_names, np.unique(values)
    first, last, count = distinct[0], distinct[-1], len(distinct)
    are_labels = bool(first == 0 and last == count - 1 and values.dtype.kind != "f")
    few = count <= MAX_CLASSES and len(values) >= ROWS_PER_CLASS * count
    many = images and are_labels and count <= MAX_IMAGE_CLASSES
    integers = f"{name} has {count:,} different integers, {first:g} to {last:g}, taken as "
    is_decided = names is not None or options.task is not None
    if not (is_decided or few or many or count <= 2):  # noqa: PLR2004 - no and yes
        note = Text(integers, "numbers; ", _CLASSIFICATION, " takes them as classes.")
        return Target(values, None, note if count <= 5 * MAX_CLASSES else "")
    if names is not None and first >= 0 and last < len(names):
        return Target(values if values.dtype.kind != "f" else values.astype(np.int64), names)
    if names is not None and len(names) != count:
        reason = f"{name} has {count:,} different values, {first:g} to {last:g}"
        raise _name_count_error(names, count, reason)
    note = Text()
    if not is_decided and first != 0:
        decision = f"{name} is {first:g} in all rows" if count == 1 else f"{integers}classes"
        note = Text(f"{decision}; ", _REGRESSION, " takes them as numbers.")
    shown = names or tuple(category_name(float(value)) for value in distinct)
    labels = values if are_labels else np.searchsorted(distinct, values).astype(np.int64)
    return Target(labels, shown, note)


def _name_count_error(names: tuple[str, ...], expected: int, reason: str) -> DataError:
    return DataError(
        Text(_CLASS_NAMES, f" must have {expected:,} names, because {reason}; got {len(names):,}."),
        f"Pass {expected:,} names, in the order of the labels.",
    )
