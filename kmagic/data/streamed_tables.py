"""Tables in files that are larger than memory: they are read piece by piece and kept on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmagic.data import paths
from kmagic.data.assemble import join_notes
from kmagic.data.disk_frame import DiskFrame, MixedColumnsError, TableStore
from kmagic.data.load_options import LoadOptions
from kmagic.data.table_file import (
    TableFile,
    check_unique,
    explain_package_errors,
    read_pieces,
)
from kmagic.data.tfrecords import read_records
from kmagic.support.disk_arrays import CHUNK_BYTES
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.memory import require_memory
from kmagic.support.progress import Progress

MEGABYTE = 1_000_000
ROW_BYTES = 100  # of memory that a row takes in any case: its target and its place in the split
CELL_BYTES, TEXT_FACTOR = 24, 3  # of memory that a column takes while its type is found


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a file, and how it was read."""

    table: Any
    file: TableFile


def store_tables(
    parts: Sequence[Sequence[Path]], options: LoadOptions
) -> tuple[DiskFrame, TableFile]:
    """Read files into a table on disk.

    A column of numbers in which words appear later is read again as text, as if the whole file was
    read at once.

    Args:
        parts: The files of each part.
        options: Those of ``load_data``.

    Returns:
        The table, and how the files were read.

    Raises:
        DataError: A file cannot be read, or the columns of the files differ.
    """
    first = parts[0][0]
    with explain_package_errors(first, "a table", "pyarrow"):
        import pyarrow as pa  # noqa: PLC0415 - not installed everywhere
    text_columns: set[str] = set()
    while True:
        store = TableStore(pa)
        try:
            return _store(parts, options, text_columns, store, pa)
        except MixedColumnsError as error:
            if error.names <= text_columns:
                raise DataError(
                    f"{list_names(sorted(error.names))} of {show_path(first)} has different types "
                    "in the files.",
                    "Write the files with the same types.",
                ) from error
            text_columns |= error.names
        finally:
            store.close()


def _store(
    parts: Sequence[Sequence[Path]],
    options: LoadOptions,
    text_columns: Collection[str],
    store: TableStore,
    pa: Any,
) -> tuple[DiskFrame, TableFile]:
    names: list[str] = []
    sizes: list[int] = []
    read: list[TableFile] = []
    total = sum(path.stat().st_size for files in parts for path in files)
    with Progress(total // MEGABYTE, "MB") as progress:
        for files in parts:
            sizes.append(0)
            for path in files:
                piece = None
                for piece in _pieces(path, options, text_columns, progress, pa):
                    found = piece.table.column_names
                    names = names or found
                    differing = set(found) ^ set(names)
                    if differing:
                        raise DataError(
                            f"{show_path(path)} and {show_path(parts[0][0])} have different "
                            f"columns: {list_names(sorted(differing), 5)}.",
                            "Tables can only be concatenated if they have the same columns.",
                        )
                    store.write(piece.table.select(names))
                    sizes[-1] += len(piece.table)
                if piece is not None:
                    read.append(piece.file)
    if not sum(sizes):
        raise DataError(f"{show_path(parts[0][0])} has no rows.")
    tables, content = store.finish()
    pa.default_memory_pool().release_unused()
    frame = DiskFrame(tables, content, {name: at for at, name in enumerate(names)}, sizes)
    for name in names:
        columns = [table.column(name) for table in tables]
        is_text = any(not pa.types.is_primitive(column.type) for column in columns)
        size = sum(column.nbytes for column in columns) * (TEXT_FACTOR if is_text else 1)
        require_memory(
            (CELL_BYTES + ROW_BYTES) * len(frame) + size,
            f"Column {name}, whose type is found in memory,",
            "Write a file with the columns that you need, or with fewer rows.",
        )
    note = join_notes(*dict.fromkeys(file.note for file in read))
    return frame, TableFile(None, read[0].layout, note, read[0].delimiter)


def _pieces(
    path: Path,
    options: LoadOptions,
    text_columns: Collection[str],
    progress: Progress,
    pa: Any,
) -> Iterator[_Piece]:
    size = path.stat().st_size / MEGABYTE
    if path.suffix.lower() in paths.RECORD_SUFFIXES:
        for frame in read_records(path, options):
            check_unique(list(frame.columns), show_path(path))
            yield _Piece(
                pa.Table.from_pandas(frame, preserve_index=False), TableFile(None, "TFRecord")
            )
        progress.advance(int(size))
        return
    if path.suffix.lower() not in paths.PARQUET_SUFFIXES:
        read = 0
        for file in read_pieces(path, options, text_columns):
            progress.advance(min(int(size) - read, file.size // MEGABYTE))
            read += file.size // MEGABYTE
            yield _Piece(pa.Table.from_pandas(file.frame, preserve_index=False), file)
        return
    from pyarrow import parquet  # noqa: PLC0415 - not installed everywhere

    file = TableFile(None, "parquet")
    with (
        explain_package_errors(path, "parquet", "pyarrow"),
        parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**16) as source,
    ):
        names = _column_names(source.schema_arrow, pa)
        rows = max(1, source.metadata.num_rows)
        for batch in source.iter_batches(max(1, CHUNK_BYTES // (CELL_BYTES * len(names)))):
            table = pa.Table.from_batches([batch]).select(list(names))
            yield _Piece(table.rename_columns(list(names.values())), file)
            progress.advance(int(size * len(batch) / rows))


def _column_names(schema: Any, pa: Any) -> dict[str, str]:
    """The columns of a parquet file and their names, as in a data frame.

    An index of dates is a column, others are none.
    """
    metadata = schema.pandas_metadata or {}
    index = [name for name in metadata.get("index_columns", ()) if isinstance(name, str)]
    names = {name: name for name in schema.names if name not in index}
    if len(index) == 1 and pa.types.is_timestamp(schema.field(index[0]).type):
        label = "index" if index[0].startswith("__index_level_") else index[0]
        return {index[0]: label, **names} if label not in names else names
    return names
