"""A table on disk, of which one column, or a few rows, are in memory at a time.

pyarrow keeps the columns in a temporary file without a name. Whatever is decided about a column
reads it as a pandas Series, so the decisions are those about a data frame in memory.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kmagic.support.disk_arrays import (
    CHUNK_BYTES,
    GROUPED_CHUNKS,
    disk_array,
    disk_folder,
    explain_disk_errors,
    release,
    require_disk,
    scatter_rows,
)

ALIGNMENT = 64  # bytes, of the tables in a file
CELL_BYTES = 16  # that a cell takes, roughly, while it is converted
MIN_ROWS = 2000  # that are converted together: each column takes time


class MixedColumnsError(Exception):
    """Columns are numbers in some pieces of a file and words in others.

    Attributes:
        names: Their names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(*names)
        self.names = set(names)


class TableStore:
    """Tables of pyarrow with the same columns, written to a temporary file one by one.

    Args:
        pa: The package pyarrow.
    """

    def __init__(self, pa: Any) -> None:
        self._pa = pa
        self._file = tempfile.TemporaryFile(dir=disk_folder())  # noqa: SIM115 - closed by finish
        self._sink = pa.PythonFile(self._file, "w")
        self._writer: Any = None
        self._schema: Any = None
        self._waiting: list[Any] = []
        self._starts: list[int] = []
        self._kinds: dict[str, set[str]] = defaultdict(set)

    def write(self, table: Any) -> None:
        """Append the rows of a table."""
        table = table.replace_schema_metadata(None)
        for field, column in zip(table.schema, table.columns, strict=True):
            if column.null_count < len(column):
                self._kinds[field.name].add(_kind_of(field.type, self._pa))
        if self._schema is None or not table.schema.equals(self._schema):
            self._close_writer()
            self._file.seek(-self._file.tell() % ALIGNMENT, 1)
            self._starts.append(self._file.tell())
            self._schema = table.schema
            self._writer = self._pa.ipc.new_stream(self._sink, table.schema)
        self._waiting.append(table)
        if sum(waiting.nbytes for waiting in self._waiting) > GROUPED_CHUNKS * CHUNK_BYTES:
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write many rows at once, so that the cells of a column are together."""
        if self._waiting:
            rows = self._pa.concat_tables(self._waiting).combine_chunks()
            self._waiting.clear()
            require_disk(rows.nbytes, "The table")
            with explain_disk_errors():
                self._writer.write_table(rows)

    def _close_writer(self) -> None:
        self._write_waiting()
        if self._writer is not None:
            self._writer.close()

    def finish(self) -> tuple[list[Any], NDArray[np.uint8]]:
        """The tables, whose columns are those of the file, and the file.

        Raises:
            MixedColumnsError: Columns have different types.
        """
        self._close_writer()
        mixed = [name for name, kinds in self._kinds.items() if len(kinds) > 1]
        if mixed:
            raise MixedColumnsError(mixed)
        with explain_disk_errors():
            self._file.flush()
            content = np.memmap(self._file, np.uint8, "r")
        buffer, ends = self._pa.py_buffer(content), [*self._starts[1:], len(content)]
        tables = []
        for start, end in zip(self._starts, ends, strict=True):
            table = self._pa.ipc.open_stream(buffer.slice(start, end - start)).read_all()
            for position, name in enumerate(table.column_names):
                cells = table.column(position)
                if self._kinds[name] == {"text"} and not _is_text(cells.type, self._pa):
                    # The cells of this piece are empty, so they were taken as numbers.
                    cells = cells.cast(self._pa.large_string())
                    table = table.set_column(position, name, cells)
            tables.append(table)
        return tables, content

    def close(self) -> None:
        """Close the file; tables that were read keep its content."""
        self._file.close()


def _is_text(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind_of(kind: Any, pa: Any) -> str:
    """Types of one kind can be joined to a column."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return "text" if _is_text(kind, pa) else str(kind)


class DiskFrame:
    """The part of a data frame's interface that is needed to load a table.

    Args:
        tables: Tables of pyarrow, one after the other, with the same columns.
        file: The file that contains them.
        positions: The position of each column by its name.
        sizes: Number of rows of each part; the index has the number of the part of each row.
    """

    def __init__(
        self,
        tables: Sequence[Any],
        file: NDArray[np.uint8],
        positions: Mapping[str, int],
        sizes: Sequence[int],
    ) -> None:
        self._tables, self._file, self._sizes = list(tables), file, list(sizes)
        self._starts = np.cumsum([0, *map(len, tables)])
        self._positions = dict(positions)
        self._typed: dict[str, Any] = {}  # columns that were replaced
        self._rows: NDArray[np.intp] | None = None  # None for all
        self._mapped = 0  # bytes that were read from the file
        self._last: tuple[str, pd.Series] = "", pd.Series()  # the column that was used last

    @property
    def columns(self) -> pd.Index:
        """Names of the columns."""
        return pd.Index(list(self._positions), dtype=object)

    @cached_property
    def index(self) -> pd.Index:
        """The part of each row."""
        parts = np.repeat(np.arange(len(self._sizes), dtype=np.int8), self._sizes)
        return pd.Index(parts if self._rows is None else parts[self._rows])

    def __len__(self) -> int:
        return sum(self._sizes) if self._rows is None else len(self._rows)

    @property
    def dtypes(self) -> pd.Series:
        """The type of each column in the files."""
        columns = list(self._positions.values())
        empty = [table.slice(0, 0).select(columns).to_pandas() for table in self._tables]
        dtypes: pd.Series = pd.concat(empty).dtypes
        return dtypes

    def __getitem__(self, key: Any) -> Any:
        """A column, rows as a data frame, or some columns or rows of these (a mask)."""
        if isinstance(key, slice):
            start, stop, _ = key.indices(len(self))
            if self._rows is not None:
                return pd.DataFrame({n: self._column(n).iloc[start:stop] for n in self.columns})
            return self._frame(list(self.columns), start, stop)
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, np.ndarray):
            return self.take(np.flatnonzero(key))
        return self._copy(positions={name: self._positions[name] for name in key})

    def __setitem__(self, name: str, cells: pd.Series) -> None:
        """Replace a column by numbers, dates, or words."""
        self._last = "", pd.Series()
        values = cells.to_numpy()
        if values.dtype.kind == "O":
            codes, words = pd.factorize(values)  # -1 for None, which becomes the last word
            self._typed[name] = _to_disk(codes), np.append(words, np.array([None], dtype=object))
        else:
            self._typed[name] = _to_disk(values), None

    def copy(self, deep: bool = False) -> Self:  # noqa: ARG002 - as in pandas
        """The same table, whose columns can be replaced."""
        return self._copy()

    def _copy(self, **changes: Any) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _typed=dict(self._typed), _last=("", pd.Series()))
        other.__dict__.pop("index", None)
        other.__dict__.update({f"_{name}": value for name, value in changes.items()})
        return other

    def rename(self, names: Iterable[str]) -> Self:
        """The same table with other names of its columns, in their order."""
        return self._copy(positions=dict(zip(names, self._positions.values(), strict=True)))

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Some rows."""
        return self._copy(rows=rows if self._rows is None else self._rows[rows])

    def parts(self) -> list[Self]:
        """The parts of the table."""
        if len(self._sizes) == 1:
            return [self]
        found = self.index.to_numpy()
        return [self.take(np.flatnonzero(found == part)) for part in np.unique(found)]

    def dropna(self) -> Self:
        """The rows without empty cells."""
        return self.take(np.flatnonzero(complete_rows(self)))

    def convert(
        self, parts: Sequence[DiskFrame], function: Callable[[pd.DataFrame], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """What a function makes of the rows of each part, which are rows of this table.

        The function gets a few rows at a time, in the order of the file.
        """
        places = np.full(int(self._starts[-1]), -1)
        rows = [part.rows for part in parts]
        places[np.concatenate(rows)] = np.arange(sum(map(len, rows)))
        size = max(MIN_ROWS, CHUNK_BYTES // (CELL_BYTES * len(self.columns)))

        def chunks() -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
            whole = self._copy(rows=None)
            for start in range(0, len(places), size):
                used = places[start : start + size] >= 0
                if used.any():
                    frame = whole[start : start + size][used]
                    yield places[start : start + size][used], function(frame)

        result = scatter_rows(chunks(), sum(map(len, rows)))
        return np.split(result, np.cumsum([len(each) for each in rows])[:-1])

    @property
    def rows(self) -> NDArray[np.intp]:
        """The numbers of the rows in the files."""
        return np.arange(len(self)) if self._rows is None else self._rows

    def _column(self, name: str) -> pd.Series:
        if self._last[0] != name:
            cells = self._frame([name], 0, int(self._starts[-1]))[name]
            cells = cells if self._rows is None else cells.take(self._rows)
            self._last = name, cells.set_axis(self.index)
        return self._last[1]

    def _frame(self, names: Sequence[str], start: int, stop: int) -> pd.DataFrame:
        """Some columns of some rows in the files."""
        columns: dict[str, Any] = {}
        others = [name for name in names if name not in self._typed]
        if others:
            positions = [self._positions[name] for name in others]
            first = max(0, int(np.searchsorted(self._starts, start, "right")) - 1)
            parts: list[pd.DataFrame] = []
            for number in range(first, len(self._tables)):
                begin = int(self._starts[number])
                if begin >= stop and parts:
                    break
                count = max(0, stop - max(start, begin))
                cut = self._tables[number].slice(max(0, start - begin), count)
                parts.append(cut.select(positions).to_pandas(split_blocks=True))
            frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
            columns = dict(zip(others, (cells for _, cells in frame.items()), strict=True))
        for name in self._typed.keys() & set(names):
            values, words = self._typed[name]
            cells = values[start:stop].copy() if words is None else words[values[start:stop]]
            columns[name] = pd.Series(cells, dtype=None if words is None else object)
        self._mapped += 2 * CELL_BYTES * len(names) * (stop - start)
        if self._mapped > GROUPED_CHUNKS * CHUNK_BYTES:
            release(self._file)
            self._mapped = 0
        return pd.DataFrame({name: columns[name] for name in names}, copy=False)


def _to_disk(values: NDArray[Any]) -> NDArray[Any]:
    stored = disk_array(values.shape, values.dtype)
    stored[:] = values
    release(stored)
    return stored


def complete_rows(frame: Any) -> NDArray[np.bool_]:
    """Which rows of a table have no empty cell, read one column at a time."""
    complete = np.ones(len(frame), dtype=bool)
    for name in frame.columns:
        complete &= frame[name].notna().to_numpy()
    return complete
