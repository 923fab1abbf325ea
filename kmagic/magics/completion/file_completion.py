"""What Tab offers for files: data and models that can be loaded, and the columns of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ENDINGS = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".npz")
MODELS = (".keras", ".h5", ".hdf5", ".json", ".kmagic")
MOST = 200  # files of a folder that are looked at
_SEPARATORS = {".tsv": "\t", ".tab": "\t"}


def paths(fragment: str, endings: tuple[str, ...] = ENDINGS) -> Iterator[str]:
    """Folders, and files of tables and arrays, that go on from what is written.

    Args:
        fragment: The beginning of a path; names with spaces are left to IPython.
        endings: How the files' names end.
    """
    folder, _, begun = fragment.rpartition("/")
    before = f"{folder}/" if "/" in fragment else ""
    where = Path(before or ".").expanduser()
    try:
        there = sorted(where.iterdir())[:MOST]
    except (OSError, RuntimeError):
        return
    for each in there:
        hidden = each.name.startswith(".") and not begun.startswith(".")
        if hidden or " " in each.name or not each.name.startswith(begun):
            continue
        if each.is_dir():
            yield f"{before}{each.name}/"
        elif each.suffix.lower() in endings:
            yield f"{before}{each.name}"


def columns(source: str, names: Mapping[str, Any], separator: str | None = None) -> list[str]:
    """Names of a table's columns.

    Args:
        source: The path of a text file, or the name of a data frame.
        names: The notebook's names.
        separator: What separates the cells of the file.
    """
    frame = names.get(source)
    if frame is not None and hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return [str(each) for each in frame.columns]
    path = Path(source.strip("\"'"))
    sep = separator or _SEPARATORS.get(path.suffix.lower(), ",")
    try:
        with path.expanduser().open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream, delimiter=sep), [])
    except (OSError, ValueError, csv.Error, RuntimeError, TypeError):
        return []
