"""Files of tables, read by pandas: what is wrong with them is said in words."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from kmagic.data.frames import from_frames
from kmagic.data.memory import require
from kmagic.data.paths import explain_read_errors
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kmagic.data.dataset import Dataset
    from kmagic.data.load_options import Options

PARQUET = (".parquet", ".pq")
TABS = (".tsv", ".tab")
OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
GROWTH = 3  # times its file that a table takes in memory, about


def load_tables(
    files: Sequence[Path], options: Options, *, test: Sequence[Path] | None = None
) -> Dataset:
    """Tables as a data set.

    Args:
        files: ``.csv``, ``.tsv`` or ``.parquet``; several are put together.
        options: What was asked for.
        test: The same for the test part, if it has files of its own.

    Raises:
        DataError: A file cannot be read, or is no table.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    parts = []
    for group in (files, test or ()):
        frames = [read_table(path, options) for path in group]
        for path, frame in zip(group, frames, strict=True):
            if set(frame.columns) != set(frames[0].columns):
                odd = sorted(map(str, set(frame.columns) ^ set(frames[0].columns)))
                raise DataError(
                    f"{show_path(path)} and {show_path(group[0])} have different columns: "
                    f"{', '.join(odd[:5])}.",
                    "Tables that are put together need the same columns.",
                )
        if frames:
            parts.append(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])
    single = len(files) == 1 and not test
    where = files[0] if single else files[0].parent
    name = options.name or (where.stem if single else where.resolve().name)
    return from_frames(parts, options, name, show_path(where))


def read_table(path: Path, options: Options) -> Any:
    """One file as a data frame.

    Args:
        path: ``.csv``, ``.tsv`` or ``.parquet``.
        options: ``sep``.

    Raises:
        DataError: It is missing, empty, cut off, of another kind, or has no names of its columns,
            or the same name twice.
    """
    with explain_read_errors(path):
        if path.is_dir():
            raise DataError(f"{show_path(path)} is a folder.")
        size = path.stat().st_size
        if not size:
            raise DataError(f"{show_path(path)} is empty.")
    require(
        GROWTH * size,
        show_path(path),
        "Read a part of it with pandas (nrows=, usecols=), or feed the model by tf.data.",
    )
    if path.suffix.lower() in PARQUET:
        return _parquet(path)
    return _text(path, options.sep or ("\t" if path.suffix.lower() in TABS else ","))


def _parquet(path: Path) -> Any:
    import pandas as pd  # noqa: PLC0415 - half a second to import

    with path.open("rb") as stream:
        whole = stream.read(4) == b"PAR1" and path.stat().st_size > 8  # noqa: PLR2004 - two marks
        stream.seek(-4, 2)
        whole = whole and stream.read() == b"PAR1"
    if not whole:
        raise DataError(
            f"{show_path(path)} is no parquet file, or is cut off.", "Fetch or write it again."
        )
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise DataError(
            f"{show_path(path)} cannot be read: pandas needs pyarrow for parquet files.",
            "Install it: %pip install 'kmagic[data]', or %pip install pyarrow",
        ) from error
    except Exception as error:  # a broken file can break its reader anywhere
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{show_path(path)} cannot be read as parquet: {said}.") from error


def _text(path: Path, sep: str) -> Any:
    import pandas as pd  # noqa: PLC0415 - half a second to import

    shown = show_path(path)
    try:
        with explain_read_errors(path), path.open(encoding="utf-8-sig", newline="") as stream:
            head = next(csv.reader(stream, delimiter=sep), [])
        _check_head(head, shown, sep)
        return pd.read_csv(path, sep=sep, encoding="utf-8-sig", low_memory=False)
    except DataError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise _not_utf8(shown) from error
        raise
    except UnicodeDecodeError as error:
        raise _not_utf8(shown) from error
    except TypeError as error:
        raise DataError(
            f"sep={sep!r} cannot separate cells: expected one character.",
            'Such as sep=";" or sep="\\t".',
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        said = str(error).removeprefix("Error tokenizing data. C error: ").strip().rstrip(".")
        raise DataError(
            f"{shown} cannot be read as a table: {said}.",
            f"Cells were expected between {OTHERS.get(sep, repr(sep))}, as many in each line; "
            "sep= names something else.",
        ) from error


def _check_head(head: list[str], shown: str, sep: str) -> None:
    """Refuse a first line that does not name the columns."""
    if len(head) == 1:
        other = max(OTHERS, key=head[0].count)
        if other != sep and head[0].count(other):
            raise DataError(
                f"{shown} has one column, {head[0][:60]!r}: its cells seem to be separated by "
                f"{OTHERS[other]}, not {OTHERS.get(sep, repr(sep))}.",
                f"Say so: sep={other!r}.",
            )
        raise DataError(
            f"{shown} has one column, {head[0][:60]!r}: expected one to predict and others to "
            "learn from.",
            "sep= names what separates the cells.",
        )
    twice = sorted({name for name in head if head.count(name) > 1 and name})
    if twice:
        raise DataError(
            f"{shown} has more than one column named {', '.join(twice)}.",
            "Give each column a name of its own in the first line.",
        )
    if head and all(map(_is_number, head)):
        raise DataError(
            f"The first line of {shown} holds numbers, {', '.join(head[:4])} ...: expected the "
            "names of the columns.",
            "Name them: load_data(pandas.read_csv(path, header=None, names=[...])).",
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _not_utf8(shown: str) -> DataError:
    return DataError(
        f"{shown} is no text in UTF-8.",
        'Read it with its own encoding: load_data(pandas.read_csv(path, encoding="latin-1")).',
    )
