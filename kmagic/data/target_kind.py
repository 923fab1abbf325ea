"""What is predicted: classes or numbers, decided by the values; unclear decisions are noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.load_options import LoadOptions
from kmagic.data.preparation.cell_format import category_name, check_encodable, split_unit
from kmagic.models.model_arrays import as_array, is_missing
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_shape, list_names
from kmagic.support.messages import Option, Text

MAX_CLASSES = 20  # different integers up to which they are classes rather than numbers
ROWS_PER_CLASS = 3  # on average, for integers to be classes
MAX_IMAGE_CLASSES = 1000
_REGRESSION, _CLASSIFICATION = Option("task", "regression"), Option("task", "classification")
_CLASS_NAMES = Option("class_names")


@dataclass(frozen=True, slots=True)
class Target:
    """The targets of all rows.

    Attributes:
        y: Labels from 0, one-hot rows, or values.
        classes: Names of the classes; None for regression.
        note: What was decided where it was unclear, in a sentence.
    """

    y: NDArray[Any]
    classes: tuple[str, ...] | None
    note: str | Text = ""

    @property
    def labels(self) -> NDArray[np.intp] | None:
        """The label of each row as an integer; None for regression."""
        if self.classes is None:
            return None
        return (self.y.argmax(axis=1) if self.y.ndim > 1 else self.y).astype(np.intp)


def decide_target(y: Any, options: LoadOptions, name: str = "y", *, images: bool = False) -> Target:
    """Decide whether values are classes or numbers, unless ``task`` says it.

    Words, booleans, one-hot rows and a small number of different integers are classes.
    """
    values = _to_target_array(y, name)
    if values.ndim > 1:
        return _from_rows(values, options, name)
    note = Text()
    if values.dtype.kind in "OUST":
        values, note = _read_numbers(values, options, name)
    if values.dtype.kind in "OUSTb":
        return _from_words(values, options, name)
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


def _to_target_array(y: Any, name: str) -> NDArray[Any]:
    """Values as one array, a single column as one axis."""
    if np.ma.is_masked(y):
        raise DataError(f"{name} is a masked array with masked values.", "Leave these rows out.")
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise DataError(
            f"{name} has rows of different lengths.", "Pass one value for each row."
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


def _from_rows(values: NDArray[Any], options: LoadOptions, name: str) -> Target:
    """One-hot rows, or several values to predict."""
    if values.ndim > 2 or values.dtype.kind not in "biuf":  # noqa: PLR2004 - rows, columns
        raise DataError(
            f"{name} must have one value, or one row of numbers, for each sample; got "
            f"{format_shape(values.shape)} of {values.dtype}."
        )
    is_one_hot = bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())
    if not is_one_hot or options.task == "regression":
        if options.class_names or options.task == "classification":
            raise DataError(
                f"{name} has {values.shape[1]} values per row that are not one-hot, but each row "
                "must belong to one class.",
                "Pass one label for each row.",
            )
        return Target(values, None)
    names = options.class_names or tuple(map(str, range(values.shape[1])))
    if len(names) != values.shape[1]:
        raise _name_count_error(names, values.shape[1], f"{name} has {values.shape[1]} columns")
    return Target(values.astype(np.float32), names)


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
