"""What is to be predicted: classes or a number, decided by the values and said aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.preparation.columns import word_of
from kmagic.support.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.load_options import Options

FEW = 20  # different whole numbers that are rather classes than a number
ROWS_EACH = 3  # that each of them has on the average, if they are
MOST = 1000  # classes that the numbers of pictures may mean


@dataclass(frozen=True, slots=True)
class Target:
    """The target of all rows.

    Attributes:
        y: Labels from 0 on, one-hot rows, or values.
        classes: Names of the classes; None for regression.
        said: What was decided where it was not plain, in a sentence.
    """

    y: NDArray[Any]
    classes: tuple[str, ...] | None
    said: str = ""

    @property
    def labels(self) -> NDArray[np.intp] | None:
        """The class of each row as a whole number; None for regression."""
        if self.classes is None:
            return None
        flat = self.y.argmax(axis=1) if self.y.ndim > 1 else self.y
        return flat.astype(np.intp)


def decide_target(y: Any, options: Options, what: str = "y", *, pictures: bool = False) -> Target:
    """Decide whether values are classes or numbers, unless ``task`` says it.

    Words, yes and no, one-hot rows, and whole numbers of which there are few are classes.

    Args:
        y: Values of all rows, training and test together: anything that NumPy takes.
        options: ``task``, ``class_names``.
        what: What the values are called.
        pictures: Whether the inputs are pictures, whose whole numbers are classes even if many.

    Raises:
        DataError: They hold empty cells, or are not what was asked for.
    """
    values = _array(y, what)
    if values.ndim > 1:
        return _of_rows(values, options, what)
    if values.dtype.kind in "OUSTb":
        return _of_words(values, options, what)
    if values.dtype.kind not in "iuf":
        raise DataError(f"{what} holds {values.dtype}: expected numbers or words.")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(
            f"{what} has no value, or infinity, in {bad:,} of {len(values):,} rows.",
            "Leave these rows out: what is to be predicted must be known.",
        )
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    task = "classification" if options.class_names else options.task
    if task == "regression" or (task is None and not whole):
        return Target(values, None)
    found = np.unique(values)
    if not whole:
        raise DataError(
            f"{what} holds numbers such as {values[values != np.rint(values)][0]:g}, which are no "
            "classes.",
            'Use task="regression", or give whole numbers or words.',
        )
    plain = bool(found[0] == 0 and found[-1] == len(found) - 1 and values.dtype.kind != "f")
    if task is None and not _are_classes(values, found, pictures=pictures and plain):
        return Target(values, None, _as_number(found, what))
    return _of_numbers(values, found, options, what, plain=plain)


def _array(y: Any, what: str) -> NDArray[Any]:
    """Values as one array, a single column as a row."""
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise DataError(
            f"{what} has rows of different lengths.", "Expected one value for each row."
        ) from error
    if values.ndim > 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.ndim == 0:
        raise DataError(f"{what} is {values.item()!r}: expected one value for each row.")
    if not len(values):
        raise DataError(f"{what} is empty.")
    if values.dtype.kind == "O":
        values = _plain(values, what)
    return values


def _plain(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Python's objects as numbers, or checked to be words."""
    cells = values.reshape(-1).tolist()
    empty = sum(cell is None or cell != cell for cell in cells)  # noqa: PLR0124 - nan is not itself
    if empty:
        raise DataError(
            f"{what} has no value in {empty:,} of {len(values):,} rows.",
            "Leave these rows out: what is to be predicted must be known. "
            'For a table, missing="drop" does.',
        )
    if all(isinstance(cell, int | float | np.number | np.bool_) for cell in cells):
        return np.array(cells).reshape(values.shape)
    kinds = sorted({type(cell).__name__ for cell in cells})
    odd = next(
        (c for c in cells if not isinstance(c, str | bytes | int | float | np.generic)), None
    )
    if odd is not None:
        raise DataError(f"{what} holds {', '.join(kinds)}: expected numbers or words.")
    return values


def _of_rows(values: NDArray[Any], options: Options, what: str) -> Target:
    """One-hot rows, or several values to be predicted."""
    if values.ndim > 2 or values.dtype.kind not in "biuf":  # noqa: PLR2004 - rows, columns
        shape = " x ".join(map(str, values.shape))
        raise DataError(
            f"{what} is {shape}, {values.dtype}: expected one value, or one row of numbers, for "
            "each sample."
        )
    onehot = bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())
    if not onehot or options.task == "regression":
        if options.class_names or options.task == "classification":
            raise DataError(
                f"{what} has {values.shape[1]} values a row that are not one-hot: classes exclude "
                "each other.",
                "Give one label for each row.",
            )
        return Target(values, None)
    names = options.class_names or tuple(map(str, range(values.shape[1])))
    if len(names) != values.shape[1]:
        raise _other_count(names, values.shape[1], f"{what} has {values.shape[1]} columns")
    return Target(values.astype(np.float32), names)


def _of_words(values: NDArray[Any], options: Options, what: str) -> Target:
    words = [
        cell.decode("utf-8", "replace") if isinstance(cell, bytes) else word_of(cell)
        for cell in values.tolist()
    ]
    if options.task == "regression":
        raise DataError(
            f'{what} holds words such as {words[0]!r}; task="regression" needs numbers.',
            "Leave task out, or choose another target.",
        )
    there = _sorted(set(words))
    names = options.class_names or tuple(there)
    if len(names) == 2 and set(there) == {"False", "True"} != set(names):  # noqa: PLR2004 - no and yes
        return Target(np.array([word == "True" for word in words], dtype=np.int64), names)
    unknown = sorted(set(there) - set(names))
    if unknown:
        raise DataError(
            f"{what} holds {unknown[0]!r}, which class_names does not have: {', '.join(names)}.",
            "Name all classes, in the order of their labels.",
        )
    if not options.class_names and len(words) > FEW and len(there) > len(words) / 2:
        raise DataError(
            f"{what} holds {len(there):,} different words in {len(words):,} rows: these are no "
            "classes.",
            "Choose another target.",
        )
    place = {name: label for label, name in enumerate(names)}
    return Target(np.array([place[word] for word in words], dtype=np.int64), tuple(names))


def _sorted(words: set[str]) -> list[str]:
    """Words in their order; such as are numbers by their size."""
    try:
        return sorted(words, key=float)
    except ValueError:
        return sorted(words)


def _of_numbers(
    values: NDArray[Any], found: NDArray[Any], options: Options, what: str, *, plain: bool
) -> Target:
    """Whole numbers as classes: labels as they are if they count from 0, else by their order."""
    names = options.class_names
    if names is not None and found[0] >= 0 and found[-1] < len(names):
        return Target(values.astype(values.dtype if values.dtype.kind != "f" else np.int64), names)
    if names is not None and len(names) != len(found):
        span = f"{what} has {len(found):,} different values, {found[0]:g} to {found[-1]:g}"
        raise _other_count(names, len(found), span)
    said = (
        ""
        if options.task or names or found[0] == 0
        else f'{_span(found, what)}; task="regression" takes them as numbers.'
    )
    shown = names or tuple(word_of(float(each)) for each in found)
    if plain:
        return Target(values, shown, said)
    return Target(np.searchsorted(found, values).astype(np.int64), shown, said)


def _are_classes(values: NDArray[Any], found: NDArray[Any], *, pictures: bool) -> bool:
    few = len(found) <= FEW and len(values) >= ROWS_EACH * len(found)
    return few or len(found) <= 2 or (pictures and len(found) <= MOST)  # noqa: PLR2004 - yes and no


def _span(found: NDArray[Any], what: str) -> str:
    if len(found) == 1:
        return f"{what} is {found[0]:g} in all rows"
    return (
        f"{what} has {len(found):,} whole values, {found[0]:g} to {found[-1]:g}, taken as classes"
    )


def _as_number(found: NDArray[Any], what: str) -> str:
    if len(found) > 5 * FEW:
        return ""
    span = f"{found[0]:g} to {found[-1]:g}"
    return (
        f"{what} has {len(found):,} whole values, {span}, taken as numbers; "
        'task="classification" takes them as classes.'
    )


def _other_count(names: tuple[str, ...], wanted: int, why: str) -> DataError:
    return DataError(
        f"class_names has {len(names):,} names, and {why}.",
        f"Give {wanted:,} names, in the order of the labels.",
    )
