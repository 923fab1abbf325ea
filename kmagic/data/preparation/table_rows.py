"""Rows of a table as they were before they were prepared, to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.columns import Columns, TableColumn
from kmagic.data.preparation.scaling import Scaling
from kmagic.support.formatting import format_value

Row: TypeAlias = dict[str, Any]


class TableRows(Sequence[Row]):
    """Prepared rows in their original units, each restored when it is accessed.

    An empty cell is shown as such, with the value that replaced it.

    Args:
        x: The rows as the model takes them.
        columns: How the columns became numbers.
        scaling: How these were scaled.
        empty: Which cells were empty, (rows, columns); None where none was, or where it is unknown.

    Example:
        >>> town = TableColumn("town", "category", ("Bonn", "Ulm"))
        >>> size = TableColumn("size", fill=50.0)
        >>> x = np.float32([[0, 1, 30], [1, 0, 50]])
        >>> rows = TableRows(x, Columns((town, size)), Scaling(), x[:, [1, 2]] == [[0, 50]])
        >>> rows[0], rows[1]
        ({'town': 'Ulm', 'size': 30.0}, {'town': 'empty (Bonn used)', 'size': 'empty (50 used)'})
    """

    def __init__(
        self,
        x: NDArray[Any],
        columns: Columns,
        scaling: Scaling,
        empty: NDArray[np.bool_] | None = None,
    ) -> None:
        self.x, self.columns, self.scaling, self.empty = x, columns, scaling, empty

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        (cells,) = self.columns.restore(self.scaling.inverse(self.x[index][np.newaxis]))
        if self.empty is not None:
            marked = zip(cells, self.empty[index], strict=True)
            cells = [describe_empty(cell) if is_empty else cell for cell, is_empty in marked]
        return dict(zip(self.columns.wanted, cells, strict=True))


class FrameRows(Sequence[Row]):
    """The rows of a raw data frame; for an empty cell, the value that a model takes instead."""

    def __init__(self, frame: Any, columns: Columns) -> None:
        self.frame, self.columns = frame, columns

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: Any) -> Any:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        fills = {column.name: column.fill for column in self.columns.columns}
        row = self.frame.iloc[index].to_dict()
        empty = {name for name, cell in row.items() if np.ndim(cell) == 0 and pd.isna(cell)}
        return {
            name: describe_empty(fills.get(str(name))) if name in empty else cell
            for name, cell in row.items()
        }


def describe_empty(used: float | str | None) -> str:
    """An empty cell, and the value that a model takes instead."""
    if used is None:
        return "empty"
    return f"empty ({used if isinstance(used, str) else format_value(used)} used)"


def restore_rows(data: Any, x: Any) -> TableRows | None:
    """Rows that were prepared like ``data``, a dataset or a preparation; None if it is no table."""
    preparation = getattr(data, "preparation", None)
    is_table = isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "biuf"  # noqa: PLR2004 - rows, columns
    if preparation is None or not is_table or preparation.image_shape or preparation.encoding:
        return None
    names, columns = getattr(data, "columns", None), preparation.columns
    if columns is None and isinstance(names, tuple):
        columns = Columns(tuple(map(TableColumn, names)))
    if columns is None or len(columns.names) != x.shape[1]:
        return None
    find_empty = getattr(data, "empty_cells_of", None)
    return TableRows(x, columns, preparation.scaling, find_empty(x) if find_empty else None)
