"""The columns of a table as numbers: categories one-hot, by those of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table, as learned from the training data.

    Attributes:
        name: Its name.
        kind: "number" (True and False are 1 and 0) or "category".
        categories: The words of a category, sorted; each becomes a column of its own.
        fill: Value for an empty cell: the mean, or the most frequent word; None rejects one.
    """

    name: str
    kind: Literal["number", "category"] = "number"
    categories: tuple[str, ...] = ()
    fill: float | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numeric columns that it becomes."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, cells: Any) -> NDArray[np.float32]:
        """Encode the cells of a pandas Series as numbers, (rows, len(names))."""
        empty = cells.isna().to_numpy(dtype=bool)
        if empty.any() and self.fill is None:
            raise DataError(
                f"Column {self.name} has no value in {empty.sum():,} of {len(cells):,} rows.",
                Text(
                    "Fill these cells, or load the training data with ",
                    Option("missing", "mean"),
                    ", which fills them as in training.",
                ),
            )
        if self.kind == "number":
            return self._encode_numbers(cells, empty)
        import pandas as pd  # noqa: PLC0415 - half a second to import

        words = pd.Series([category_name(cell) for cell in cells.tolist()], dtype=object)
        categories = pd.Index(self.categories, dtype=object)
        codes = categories.get_indexer(pd.Index(words.mask(empty, self.fill), dtype=object))
        known = codes >= 0  # a word that the training data did not have becomes zeros
        encoded = np.zeros((len(words), len(categories)), dtype=np.float32)
        encoded[np.flatnonzero(known), codes[known]] = 1
        return encoded

    def restore(self, values: NDArray[Any]) -> float | str:
        """The cell that these numbers stand for; "" for an unknown word."""
        if self.kind == "number":
            return float(values[0])
        is_known = len(values) and values.max() > 0.5  # noqa: PLR2004 - zero or one, after rounding
        return self.categories[int(values.argmax())] if is_known else ""

    def _encode_numbers(self, cells: Any, empty: NDArray[np.bool_]) -> NDArray[np.float32]:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        numbers = pd.to_numeric(cells, errors="coerce")
        values = np.array(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
        wrong = np.flatnonzero(np.isnan(values) & ~empty)
        if wrong.size:
            raise DataError(
                subject=f"Column {self.name}, row {wrong[0]:,} (counted from 0),",
                expected="a number",
                actual=cells.iloc[int(wrong[0])],
                remedy="Correct the value, or leave out the row.",
            )
        if self.fill is not None:
            values[empty] = self.fill
        return values.astype(np.float32)[:, np.newaxis]


@dataclass(frozen=True, eq=False)
class Columns:
    """How the columns of a table become numbers, in the order in which a model takes them."""

    columns: tuple[TableColumn, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the numeric columns: "column", or "column=word" for each category."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the columns of the table."""
        return tuple(column.name for column in self.columns)

    def apply(self, frame_or_rows: Any) -> NDArray[np.float32]:
        """Encode a table, or some of its rows, as numbers.

        Args:
            frame_or_rows: A pandas data frame; one row as a dictionary or a Series; columns as a
                dictionary of lists; rows as a list of dictionaries, or as lists in the order of
                ``wanted``. Other columns are ignored. A word that the training data did not have
                becomes zeros.

        Returns:
            (rows, len(names)) float32.

        Raises:
            DataError: A column is missing, or a cell is empty or not a number.

        Example:
            >>> town = TableColumn("town", "category", ("Bonn", "Ulm"))
            >>> few = Columns((TableColumn("size"), town))
            >>> few.apply({"size": 70, "town": "Ulm"})
            array([[70.,  0.,  1.]], dtype=float32)
            >>> few.apply([[30, "Bonn"], [50, "Rome"]]).tolist()
            [[30.0, 1.0, 0.0], [50.0, 0.0, 0.0]]
        """
        frame = self._to_frame(frame_or_rows)
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        missing = [name for name in self.wanted if name not in frame.columns]
        if missing:
            noun = "column" if len(missing) == 1 else "columns"
            raise DataError(
                f"The table has no {noun} {list_names(missing)}; it has "
                f"{list_names(frame.columns)}.",
                did_you_mean(missing[0], frame.columns)
                or "Pass all columns that the model was trained on.",
            )
        if not len(frame):
            return np.empty((0, len(self.names)), dtype=np.float32)
        return np.concatenate(
            [column.encode(frame[column.name]) for column in self.columns], axis=1
        )

    def restore(self, x: NDArray[Any]) -> list[list[float | str]]:
        """Restore the cells of the table from what :meth:`apply` returned, one list per row.

        Example:
            >>> few = Columns((TableColumn("town", "category", ("Bonn", "Ulm")),))
            >>> few.restore(few.apply([["Bonn"], ["Rome"]]))
            [['Bonn'], ['']]
        """
        columns = [map(column.restore, values) for column, values in self.split(x)]
        return [list(row) for row in zip(*columns, strict=True)]

    def split(self, x: NDArray[Any]) -> list[tuple[TableColumn, NDArray[Any]]]:
        """The columns, each with its numbers in what :meth:`apply` returned."""
        ends = np.cumsum([len(column.names) for column in self.columns])
        return list(zip(self.columns, np.split(x, ends[:-1], axis=1), strict=True))

    def get_config(self) -> dict[str, Any]:
        """Return plain values for JSON, which :meth:`from_config` takes."""
        columns = [asdict(column) for column in self.columns]
        return {"columns": [{**c, "categories": list(c["categories"])} for c in columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Columns:
        """Create the columns that :meth:`get_config` described.

        Example:
            >>> few = Columns((TableColumn("size", fill=50.0),))
            >>> Columns.from_config(few.get_config()).columns
            (TableColumn(name='size', kind='number', categories=(), fill=50.0),)
        """
        columns = [TableColumn(**column) for column in config["columns"]]
        return cls(
            tuple(replace(column, categories=tuple(column.categories)) for column in columns)
        )

    def _to_frame(self, raw: Any) -> Any:
        """Anything that holds rows, as a data frame with column names."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        if isinstance(raw, pd.DataFrame):
            return raw
        if isinstance(raw, pd.Series):
            raw = raw.to_dict() if set(map(str, raw.index)) & set(self.wanted) else raw.tolist()
        if isinstance(raw, Mapping):
            is_one_row = not any(np.ndim(value) for value in raw.values())
            return pd.DataFrame([raw] if is_one_row else raw)
        if not isinstance(raw, np.ndarray):
            raw = list(raw) if hasattr(raw, "__iter__") and not isinstance(raw, str | bytes) else []
            if raw and all(isinstance(row, Mapping) for row in raw):
                return pd.DataFrame(raw)
        if len(raw) and np.ndim(raw[0]) == 0:
            raw = [raw]
        lengths = sorted({len(row) for row in raw})
        if lengths != [len(self.wanted)]:
            actual = " or ".join(map(str, lengths)) or "0"
            raise DataError(
                f"Rows must have {len(self.wanted)} columns ({list_names(self.wanted)}); "
                f"got {actual}.",
                "Pass a data frame, or dictionaries with the names of the columns.",
            )
        return pd.DataFrame([list(row) for row in raw], columns=list(self.wanted))


def learn_columns(frame: Any, *, fill: bool = False) -> Columns:
    """Learn columns of numbers, booleans or words from the training part of a table.

    With ``fill``, empty cells are filled from now on: by the mean, or the most frequent word.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"size": [30, 70], "town": ["Ulm", "Bonn"]})
        >>> learn_columns(frame).names
        ('size', 'town=Bonn', 'town=Ulm')
    """
    columns = []
    for name in frame.columns:
        values = frame[name].dropna()
        can_fill = fill and len(values) > 0
        if is_numeric(values):
            mean = float(np.mean(values.to_numpy(dtype=np.float64))) if can_fill else None
            columns.append(TableColumn(str(name), fill=mean))
        else:
            cells = [category_name(cell) for cell in values.tolist()]
            words, counts = np.unique(cells, return_counts=True)
            most_frequent = str(words[counts.argmax()]) if can_fill else None
            categories = tuple(words.tolist())
            columns.append(TableColumn(str(name), "category", categories, most_frequent))
    return Columns(tuple(columns))


def is_numeric(cells: Any) -> bool:
    """Whether a pandas Series holds real numbers or booleans."""
    from pandas.api import types  # noqa: PLC0415 - half a second to import

    return bool(types.is_numeric_dtype(cells) and not types.is_complex_dtype(cells))


def category_name(cell: Any) -> str:
    """The word of a category in a cell; 1.0 is the same as 1.

    Example:
        >>> category_name("a "), category_name(2.0), category_name(True)
        ('a ', '2', 'True')
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)
