"""The columns of a table as numbers: categories one-hot, by those of the training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.cell_format import BOOLEANS, CellFormat, clean_name, is_numeric
from kmagic.support.caller_names import warn_caller
from kmagic.support.errors import DataError, InputWarning
from kmagic.support.formatting import list_names
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean


class UnknownCategoryWarning(InputWarning):
    """A category has words that the training data did not have."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table, as learned from the training data.

    Attributes:
        name: Its name.
        kind: "number" (True and False are 1 and 0) or "category".
        categories: The words of a category, sorted; each becomes a column of its own.
        fill: Value for an empty cell: the mean, or the most frequent word; None rejects one.
        format: How the cells were written in the training data.
    """

    name: str
    kind: Literal["number", "category"] = "number"
    categories: tuple[str, ...] = ()
    fill: float | str | None = None
    format: CellFormat = field(default=CellFormat(), repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numeric columns that it becomes."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, cells: Any) -> NDArray[np.float32]:
        """Encode the cells of a pandas Series as numbers, (rows, len(names)).

        Warns:
            UnknownCategoryWarning: A word was not in the training data.
        """
        if self.kind == "number":
            return self._encode_numbers(cells)
        codes = self.codes(cells)
        known = codes >= 0
        encoded = np.zeros((len(codes), len(self.categories)), dtype=np.float32)
        encoded[np.flatnonzero(known), codes[known]] = 1
        return encoded

    def codes(self, cells: Any) -> NDArray[np.intp]:
        """The number of the category in each cell; -1 for an unknown word.

        Warns:
            UnknownCategoryWarning: A word was not in the training data.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        words = self.format.read_words(cells)
        empty = pd.isna(words)
        self._check_filled(empty)
        words[empty] = self.fill
        categories = pd.Index(self.categories, dtype=object)
        codes = categories.get_indexer(pd.Index(words, dtype=object))
        unknown = sorted(set(words[codes < 0]))
        if unknown:
            warn_caller(
                f"Column {self.name} has {list_names(map(repr, unknown), 3)}, which the training "
                f"data did not have: all columns {self.name}=... are 0 in {sum(codes < 0):,} of "
                f"{len(codes):,} rows.",
                UnknownCategoryWarning,
            )
        return codes

    def restore(self, values: NDArray[Any]) -> float | str:
        """The cell that these numbers stand for; "" for an unknown word."""
        if self.kind == "number":
            return float(values[0])
        is_known = len(values) and values.max() > 0.5  # noqa: PLR2004 - zero or one, after rounding
        return self.categories[int(values.argmax())] if is_known else ""

    def _check_filled(self, empty: NDArray[np.bool_]) -> None:
        if empty.any() and self.fill is None:
            raise DataError(
                f"Column {self.name} has no value in {empty.sum():,} of {len(empty):,} rows.",
                Text(
                    "Fill these cells, or load the training data with ",
                    Option("missing", "mean"),
                    ", which fills them as in training.",
                ),
            )

    def _encode_numbers(self, cells: Any) -> NDArray[np.float32]:
        if not is_numeric(cells):
            cells = cells.map(lambda cell: BOOLEANS.get(str(cell).strip().casefold(), cell))
        values, wrong = self.format.read_numbers(cells)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(
                subject=f"Column {self.name}, row {row:,} (counted from 0),",
                expected="a number" + self.format.describe(),
                actual=cells.iloc[row],
                remedy="Correct the value, or leave out the row.",
            )
        empty = np.isnan(values)
        self._check_filled(empty)
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

        Warns:
            UnknownCategoryWarning: A category has a word that the training data did not have.

        Example:
            >>> town = TableColumn("town", "category", ("Bonn", "Ulm"))
            >>> few = Columns((TableColumn("size"), town))
            >>> few.apply({"size": 70, "town": "Ulm"})
            array([[70.,  0.,  1.]], dtype=float32)
            >>> few.apply([[30, "Bonn"], ["50", "Ulm"]]).tolist()
            [[30.0, 1.0, 0.0], [50.0, 0.0, 1.0]]
        """
        frame = self.to_frame(frame_or_rows)
        names = list(frame.columns)
        repeated = [name for name in self.wanted if names.count(name) > 1]
        if repeated:
            raise DataError(
                f"The table has more than one column named {repeated[0]}.",
                "Leave one of them out, or give each column its own name.",
            )
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
            >>> few.restore(few.apply([["Bonn"], ["Ulm"]]))
            [['Bonn'], ['Ulm']]
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
        for column in columns:
            column["categories"] = list(column["categories"])
            column["format"]["missing"] = list(column["format"]["missing"])
        return {"columns": columns}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Columns:
        """Create the columns that :meth:`get_config` described."""
        columns = []
        for column in config["columns"]:
            values = {**column, "categories": tuple(column.get("categories", ()))}
            if "format" in column:  # not in files of earlier versions
                missing = tuple(column["format"].get("missing", ()))
                values["format"] = CellFormat(**{**column["format"], "missing": missing})
            columns.append(TableColumn(**values))
        return cls(tuple(columns))

    def to_frame(self, raw: Any) -> Any:
        """Anything that holds rows, as a data frame whose column names are texts."""
        frame = self._to_frame(raw)
        names = [str(name) for name in frame.columns]
        if not set(self.wanted) <= set(names):  # with line breaks or outer spaces
            names = [clean_name(name) for name in names]
        return frame.set_axis(names, axis=1)

    def _to_frame(self, raw: Any) -> Any:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        if isinstance(raw, pd.DataFrame):
            return raw
        if isinstance(raw, pd.Series):
            raw = raw.to_dict() if set(map(str, raw.index)) & set(self.wanted) else raw.tolist()
        if isinstance(raw, Mapping):
            rows = {name: len(value) for name, value in raw.items() if np.ndim(value)}
            if len(set(rows.values())) > 1:
                listed = list_names(f"{name} {count:,}" for name, count in rows.items())
                raise DataError(
                    f"Columns must have the same length; got {listed}.", "Pass one value per row."
                )
            return pd.DataFrame(raw if rows else [raw])
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


def learn_columns(
    frame: Any, *, fill: bool = False, formats: Mapping[str, CellFormat] | None = None
) -> Columns:
    """Learn columns of numbers, booleans or words from the training part of a table.

    With ``fill``, empty cells are filled from now on: by the mean, or the most frequent word.
    ``formats`` says how the cells of columns were written, if not as plain numbers and words.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"size": [30, 70], "town": ["Ulm", "Bonn"]})
        >>> learn_columns(frame).names
        ('size', 'town=Bonn', 'town=Ulm')
    """
    columns = []
    for name in frame.columns:
        form = (formats or {}).get(name, CellFormat())
        values = frame[name].dropna()
        can_fill = fill and len(values) > 0
        if is_numeric(values):
            mean = float(np.mean(values.to_numpy(dtype=np.float64))) if can_fill else None
            columns.append(TableColumn(str(name), fill=mean, format=form))
        else:
            counts = Counter(filter(None, form.read_words(values).tolist()))
            categories = tuple(sorted(counts))
            most_frequent = max(categories, key=counts.__getitem__) if can_fill else None
            columns.append(TableColumn(str(name), "category", categories, most_frequent, form))
    return Columns(tuple(columns))
