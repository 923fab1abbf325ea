"""A table's columns as numbers: words one-hot by the categories of the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kmagic.support.errors import DataError
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind: TypeAlias = Literal["number", "category"]

SHOWN = 8  # names in a message before the rest is only counted


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, as the training part had it.

    Attributes:
        name: Its name.
        kind: "number" (yes and no are 1 and 0) or "category".
        categories: The words that a category takes, sorted; each becomes a column of its own.
        fill: What stands in an empty cell: the mean, or the most frequent word; None refuses one.
    """

    name: str
    kind: Kind = "number"
    categories: tuple[str, ...] = ()
    fill: float | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that it becomes."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={each}" for each in self.categories)

    def numbers(self, cells: Any) -> NDArray[np.float32]:
        """Its cells as numbers, (rows, len(names)).

        Args:
            cells: A pandas Series.

        Raises:
            DataError: A cell is empty, or no number where there must be one.
        """
        empty = cells.isna().to_numpy(dtype=bool)
        if empty.any() and self.fill is None:
            raise DataError(
                f"Column {self.name} has no value in {empty.sum():,} of {len(cells):,} rows.",
                'Fill these cells, or load the training data with missing="mean", which fills '
                "them as in training.",
            )
        if self.kind == "number":
            return self._as_numbers(cells, empty)
        words = [
            self.fill if is_empty else word_of(cell)
            for cell, is_empty in zip(cells.tolist(), empty.tolist(), strict=True)
        ]
        place = {word: at for at, word in enumerate(self.categories)}
        encoded = np.zeros((len(words), len(self.categories)), dtype=np.float32)
        for row, word in enumerate(words):
            at = place.get(str(word))
            if at is not None:  # a word that the training part did not have is none of its words
                encoded[row, at] = 1
        return encoded

    def _as_numbers(self, cells: Any, empty: NDArray[np.bool_]) -> NDArray[np.float32]:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        found = pd.to_numeric(cells, errors="coerce")
        values = np.array(found.to_numpy(dtype=np.float64, na_value=np.nan))
        wrong = np.flatnonzero(np.isnan(values) & ~empty)
        if wrong.size:
            cell = cells.iloc[int(wrong[0])]
            raise DataError(
                f"Column {self.name} holds numbers; row {wrong[0]:,} (from 0) has {cell!r}.",
                "Give a number, or leave the row out.",
            )
        if self.fill is not None:
            values[empty] = self.fill
        return values.astype(np.float32)[:, np.newaxis]


@dataclass(frozen=True, eq=False)
class Columns:
    """How the columns of a table become numbers.

    Attributes:
        columns: The columns in the order in which a model takes them.
    """

    columns: tuple[Column, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers: a column's own, or "column=word" for each word of a category."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return tuple(column.name for column in self.columns)

    def apply(self, frame_or_rows: Any) -> NDArray[np.float32]:
        """Numbers, one row a row of the table.

        Args:
            frame_or_rows: A pandas data frame; one row as a dictionary or a Series; columns as a
                dictionary of lists; rows as a list of dictionaries, or as lists in the order of
                ``wanted``. Columns that were not learned are left aside. A word that the training
                part did not have becomes noughts.

        Returns:
            (rows, len(names)) float32.

        Raises:
            DataError: A column is missing, a cell is empty or is no number.

        Example:
            >>> few = Columns((Column("size"), Column("town", "category", ("Bonn", "Ulm"))))
            >>> few.apply({"size": 70, "town": "Ulm"})
            array([[70.,  0.,  1.]], dtype=float32)
            >>> few.apply([[30, "Bonn"], [50, "Rome"]]).tolist()
            [[30.0, 1.0, 0.0], [50.0, 0.0, 0.0]]
        """
        frame = self._frame(frame_or_rows)
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        self._check(frame)
        if not len(frame):
            return np.empty((0, len(self.names)), dtype=np.float32)
        parts = [column.numbers(frame[column.name]) for column in self.columns]
        return np.concatenate(parts, axis=1)

    def restore(self, x: NDArray[Any]) -> list[list[float | str]]:
        """Cells of the table again, one list a row: numbers, and words ("" where none is set).

        Args:
            x: What :meth:`apply` gave, not scaled.

        Example:
            >>> few = Columns((Column("size"), Column("town", "category", ("Bonn", "Ulm"))))
            >>> few.restore(few.apply([[30, "Bonn"]]))
            [[30.0, 'Bonn']]
        """
        rows: list[list[float | str]] = [[] for _ in range(len(x))]
        at = 0
        for column in self.columns:
            part = x[:, at : at + len(column.names)]
            at += len(column.names)
            for row, cells in zip(rows, part, strict=True):
                if column.kind == "number":
                    row.append(float(cells[0]))
                else:
                    row.append(column.categories[cells.argmax()] if cells.max() > 0.5 else "")  # noqa: PLR2004 - nought or one, after rounding
        return rows

    def get_config(self) -> dict[str, Any]:
        """Plain values that :meth:`from_config` takes, fit for JSON."""
        return {
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "categories": list(column.categories),
                    "fill": column.fill,
                }
                for column in self.columns
            ]
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Columns:
        """The columns that :meth:`get_config` described.

        Example:
            >>> few = Columns((Column("size", fill=50.0),))
            >>> Columns.from_config(few.get_config()).columns
            (Column(name='size', kind='number', categories=(), fill=50.0),)
        """
        return cls(
            tuple(
                Column(each["name"], each["kind"], tuple(each["categories"]), each["fill"])
                for each in config["columns"]
            )
        )

    def _frame(self, raw: Any) -> Any:
        """Whatever holds rows, as a data frame with names."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        if isinstance(raw, pd.DataFrame):
            return raw
        if isinstance(raw, pd.Series):
            raw = raw.to_dict() if set(map(str, raw.index)) & set(self.wanted) else raw.tolist()
        if isinstance(raw, Mapping):
            single = not any(np.ndim(value) for value in raw.values())
            return pd.DataFrame([raw] if single else raw)
        if not isinstance(raw, np.ndarray):
            raw = list(raw) if hasattr(raw, "__iter__") and not isinstance(raw, str | bytes) else []
            if raw and all(isinstance(row, Mapping) for row in raw):
                return pd.DataFrame(raw)
        if len(raw) and np.ndim(raw[0]) == 0:
            raw = [raw]
        lengths = sorted({len(row) for row in raw})
        if lengths != [len(self.wanted)]:
            what = " or ".join(map(str, lengths)) or "none"
            raise DataError(
                f"Expected rows of {len(self.wanted)} columns, {_listed(self.wanted)}; received "
                f"rows of {what}.",
                "Give a data frame, or dictionaries with the columns' names.",
            )
        return pd.DataFrame([list(row) for row in raw], columns=list(self.wanted))

    def _check(self, frame: Any) -> None:
        missing = [name for name in self.wanted if name not in frame.columns]
        if missing:
            there = [str(name) for name in frame.columns]
            raise DataError(
                f"The table has no {'column' if len(missing) == 1 else 'columns'} "
                f"{_listed(missing)}; it has {_listed(there)}.",
                did_you_mean(missing[0], there)
                or "Give all the columns that the model learned from.",
            )


def learn_columns(frame: Any, *, fill: bool = False) -> Columns:
    """Learn columns from the training part of a table.

    Args:
        frame: A pandas data frame: columns of numbers, of yes and no, or of words.
        fill: Whether empty cells are to be filled from now on: with the mean, or the most
            frequent word.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"size": [30, 70], "town": ["Ulm", "Bonn"]})
        >>> learn_columns(frame).names
        ('size', 'town=Bonn', 'town=Ulm')
    """
    return Columns(tuple(_learn(str(name), frame[name], fill=fill) for name in frame.columns))


def is_numeric(cells: Any) -> bool:
    """Whether a pandas Series holds numbers, or yes and no."""
    import pandas as pd  # noqa: PLC0415 - half a second to import

    kind = pd.api.types
    return bool(kind.is_numeric_dtype(cells) and not kind.is_complex_dtype(cells))


def word_of(cell: Any) -> str:
    """The word that a cell of a category holds; 1.0 is the same as 1.

    Example:
        >>> word_of("a "), word_of(2.0), word_of(True)
        ('a ', '2', 'True')
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _learn(name: str, cells: Any, *, fill: bool) -> Column:
    there = cells.dropna()
    if is_numeric(cells):
        mean = float(np.mean(there.to_numpy(dtype=np.float64))) if fill and len(there) else None
        return Column(name, fill=mean)
    words, counts = np.unique([word_of(cell) for cell in there.tolist()], return_counts=True)
    commonest = str(words[counts.argmax()]) if fill and len(words) else None
    return Column(name, "category", tuple(words.tolist()), commonest)


def _listed(names: Any) -> str:
    some = [str(name) for name in names]
    if len(some) <= SHOWN:
        return ", ".join(some)
    return f"{', '.join(some[:SHOWN])} and {len(some) - SHOWN:,} more"
