"""Tables as a dataset: files and data frames, the target column, and columns as numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from kmagic.data.arrays import check_lengths
from kmagic.data.assemble import Parts, apply_options, join_notes, split_parts, to_text_array
from kmagic.data.dataset import Dataset
from kmagic.data.load_options import OPTIONS_OF_KIND, LoadOptions, check_applies, inapplicable
from kmagic.data.memory import require_memory
from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.columns import category_name, is_numeric, learn_columns
from kmagic.data.target_kind import decide_target
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

PARQUET_SUFFIXES = (".parquet", ".pq")
TAB_SUFFIXES = (".tsv", ".tab")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ",": "commas"}
MEMORY_FACTOR = 3  # how much more memory than disk space a table takes, roughly
TARGET_NAMES = ("target", "label", "labels", "class", "y")
MAX_CATEGORIES = 1000
ALWAYS_CATEGORIES = 20  # different words up to which a column is always a category
WORDS_PER_TEXT = 3  # on average, for cells to be texts
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}( .*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*\d,\d+")


# --- files ----------------------------------------------------------------------------------------


def load_tables(*parts: Sequence[Path] | NDArray[Any], options: LoadOptions) -> Dataset:
    """Load tables from files: the files of each part are concatenated."""
    frames = []
    for files in parts:
        tables = [read_table(path, options) for path in files]
        for path, table in zip(files, tables, strict=True):
            differing = set(table.columns) ^ set(tables[0].columns)
            if differing:
                raise DataError(
                    f"{show_path(path)} and {show_path(files[0])} have different columns: "
                    f"{list_names(sorted(map(str, differing)), 5)}.",
                    "Tables can only be concatenated if they have the same columns.",
                )
        frames.append(pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0])
    first = parts[0][0]
    if len(parts) == len(parts[0]) == 1:
        return load_frames(frames, options, options.name or first.stem, show_path(first))
    folder = first.parent
    return load_frames(frames, options, options.name or folder.resolve().name, show_path(folder))


def read_table(path: Path, options: LoadOptions) -> Any:
    """Read a file as a data frame."""
    with explain_read_errors(path):
        if path.is_dir():
            raise DataError(f"{show_path(path)} is a folder.")
        size = path.stat().st_size
        if not size:
            raise DataError(f"{show_path(path)} is empty.")
    require_memory(
        MEMORY_FACTOR * size,
        show_path(path),
        "Read a part of it with pandas (nrows=, usecols=), or feed the model with tf.data.",
    )
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        return _read_parquet(path)
    return _read_csv(path, options.sep or ("\t" if suffix in TAB_SUFFIXES else ","))


def _read_parquet(path: Path) -> Any:
    marker = b"PAR1"  # at the beginning and at the end
    content = path.read_bytes()
    if not (content[:4] == content[-4:] == marker) or len(content) <= 2 * len(marker):
        raise DataError(
            f"{show_path(path)} is not a parquet file, or is incomplete.",
            "Download or write it again.",
        )
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise DataError(
            f"{show_path(path)} cannot be read: pandas needs pyarrow for parquet files.",
            "Install it: %pip install 'kmagic[data]', or %pip install pyarrow",
        ) from error
    except Exception as error:  # a damaged file can make its reader fail anywhere
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{show_path(path)} cannot be read as parquet: {reason}.") from error


def _read_csv(path: Path, sep: str) -> Any:
    file_name = show_path(path)
    try:
        with explain_read_errors(path):
            stream = path.open(encoding="utf-8-sig", newline="")
        with stream:
            header = next(csv.reader(stream, delimiter=sep), [])
        _check_header(header, file_name, sep)
        return pd.read_csv(path, sep=sep, encoding="utf-8-sig", low_memory=False)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file_name} is not a text in UTF-8.",
            'Read it with its own encoding: pandas.read_csv(path, encoding="latin-1").',
        ) from error
    except TypeError as error:
        raise DataError(
            option="sep",
            expected="one character",
            actual=sep,
            remedy=Text("Use for example ", Option("sep", ";"), " or ", Option("sep", "\t"), "."),
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip().rstrip(".")
        raise DataError(
            f"{file_name} cannot be read as a table: {reason}.",
            Text(
                f"Each line must have the same number of cells, separated by {_separator(sep)}; ",
                Option("sep"),
                " sets another separator.",
            ),
        ) from error


def _separator(sep: str) -> str:
    return SEPARATORS.get(sep, repr(sep))


def _check_header(header: list[str], file_name: str, sep: str) -> None:
    """Reject a first line that does not name the columns."""
    if len(header) == 1:
        line = header[0]
        other = max(SEPARATORS, key=line.count)
        if other != sep and other in line:
            raise DataError(
                f"{file_name} has only one column, {line[:60]!r}: its cells seem to be separated "
                f"by {_separator(other)}, not {_separator(sep)}.",
                Text("Use ", Option("sep", other), "."),
            )
        raise DataError(
            f"{file_name} has only one column, {line[:60]!r}, but needs a target and at least one "
            "feature.",
            Text("If its cells have another separator, set ", Option("sep"), "."),
        )
    _check_unique(header, file_name)
    if header and all(map(_is_number, header)):
        raise DataError(
            f"The first line of {file_name} must name the columns; got numbers, "
            f"{', '.join(header[:4])} ...",
            "Name them: pandas.read_csv(path, header=None, names=[...]).",
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_unique(names: list[str], table: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1 and name})
    if repeated:
        raise DataError(
            f"{table} has more than one column named {list_names(repeated)}.",
            "Give each column its own name.",
        )


# --- data frames ----------------------------------------------------------------------------------


def load_frames(frames: Sequence[Any], options: LoadOptions, name: str, source: str) -> Dataset:
    """Load a table, or its training and its test part."""
    frames = [_with_text_names(frame, name) for frame in frames]
    target = _find_target(frames[0], options, name)
    for frame in frames[1:]:
        missing = [column for column in frames[0].columns if column not in frame.columns]
        if missing:
            raise DataError(
                f"The test part of {name} has no column {missing[0]}; it has "
                f"{list_names(frame.columns)}.",
                "Both parts need the same columns. A test part without the target cannot be "
                "evaluated: load the training part alone.",
            )
    if len(frames) > 2:  # noqa: PLR2004 - two parts
        raise DataError(
            f"Expected one data frame, or a training and a test part; got {len(frames)}.",
            "Concatenate them: pandas.concat([first, second]).",
        )
    return _load(frames, target, options, name, source)


def load_frame_pairs(parts: Parts, options: LoadOptions, name: str, source: str) -> Dataset:
    """Load a data frame of features with its targets, or a training and a test part of them."""
    if options.target is not None:
        raise inapplicable("target", "a table that contains it, but y was passed")
    pairs = [(parts.x_train, parts.y_train)]
    if parts.x_test is not None:
        pairs.append((parts.x_test, parts.y_test))
    frames, target = [], "y"
    for x, y in pairs:
        frame = _with_text_names(x, name)
        check_lengths(frame, y, "x", "y")
        if np.ndim(y) > 1 and np.shape(y)[1] != 1:
            raise DataError(
                f"y must have one column; got {np.shape(y)[1]}.",
                "To predict several values, pass x as an array, too: x.to_numpy().",
            )
        column = y.columns[0] if isinstance(y, pd.DataFrame) else getattr(y, "name", None)
        target = str(column) if column is not None else "y"
        if target in frame.columns:
            raise DataError(
                f"{target} is both in x and y: a model would learn to copy it.",
                f"Leave it out of x: x.drop(columns={target!r}).",
            )
        frames.append(frame.assign(**{target: np.asarray(y).reshape(-1)}))
    return _load(frames, target, options, name, source)


def _load(frames: list[Any], target: str, options: LoadOptions, name: str, source: str) -> Dataset:
    frames, index_note = _drop_row_numbers(frames)
    features = _select_features(frames[0], target, options, name)
    frames = [frame[[*features, target]] for frame in frames]
    frames, missing_note = _handle_missing(frames, options, name)
    first = frames[0][features[0]]
    is_text = len(features) == 1 and not is_numeric(first) and _are_texts(first.tolist())
    if not is_text:
        check_applies(options, "table", f"{name} is a table")
        _check_columns(frames, features, name)
    else:  # the options of tables have selected that column
        subject, selecting = f"{name} contains text", OPTIONS_OF_KIND["table"]
        check_applies(options, "text", subject, except_for=selecting)
    values = pd.concat([frame[target] for frame in frames])
    cells = values.to_numpy() if is_numeric(values) else values.astype(object).to_numpy()
    decided = decide_target(cells, options, target)
    split, class_note = split_parts(
        frames, decided, options, name, join=pd.concat, take=lambda frame, rows: frame.iloc[rows]
    )
    columns = None
    if is_text:
        split = split.convert(lambda part: to_text_array(part[features[0]]))
    else:
        columns = learn_columns(split.x_train[features], fill=options.missing == "mean")
        split = split.convert(columns.apply)
    data = Dataset(
        name,
        *split,
        decided.classes,
        source=source,
        target=target,
        note_text=join_notes(index_note, missing_note, decided.note, class_note),
        columns=None if columns is None else columns.names,
        features=columns,
    )
    return apply_options(data, options)


def _with_text_names(frame: Any, name: str) -> Any:
    """The frame, with strings as names of its columns."""
    if not len(frame.columns) or not len(frame):
        raise DataError(f"{name} has no {'rows' if len(frame.columns) else 'columns'}.")
    if frame.columns.nlevels > 1:
        raise DataError(
            f"The columns of {name} have {frame.columns.nlevels} levels.",
            'Give each column one name: frame.columns = frame.columns.map("_".join).',
        )
    names = [str(column) for column in frame.columns]
    _check_unique(names, name)
    return frame.set_axis(names, axis=1)


def _find_target(frame: Any, options: LoadOptions, name: str) -> str:
    columns = list(frame.columns)
    if options.target is not None:
        if str(options.target) not in columns:
            raise _unknown_column(str(options.target), columns, name)
        return str(options.target)
    usual = [column for column in columns if column.lower() in TARGET_NAMES]
    if len(usual) == 1:
        return str(usual[0])
    raise DataError(
        f"Which column of {name} is the target? It has {list_names(columns)}.",
        Text("Name it: ", Option("target", columns[-1]), "."),
    )


def _select_features(frame: Any, target: str, options: LoadOptions, name: str) -> list[str]:
    columns = [column for column in frame.columns if column != target]
    listed = [str(column) for column in options.features or options.drop or ()]
    for column in listed:
        if column == target:
            raise DataError(
                f"{target} is the target, so it is never a feature.", "Leave it out of the list."
            )
        if column not in columns:
            raise _unknown_column(column, columns, name)
    if options.features:
        return listed
    selected = [column for column in columns if column not in listed]
    if not selected:
        raise DataError(f"{name} has no feature column left.")
    return selected


def _unknown_column(column: str, columns: Sequence[str], name: str) -> DataError:
    return DataError(
        f"{name} has no column {column}; it has {list_names(columns)}.",
        did_you_mean(column, columns),
    )


def _drop_row_numbers(frames: list[Any]) -> tuple[list[Any], str]:
    """The frames without the row numbers that pandas has written into a file."""

    def counts_rows(cells: Any) -> bool:
        return is_numeric(cells) and bool((np.diff(cells.to_numpy(dtype=np.float64)) == 1).all())

    first = frames[0].columns[0]
    if not first.startswith("Unnamed:") or not all(counts_rows(frame[first]) for frame in frames):
        return frames, ""
    note = "The first column has no name and only counts the rows; it is left out."
    return [frame.drop(columns=first) for frame in frames], note


def _handle_missing(frames: list[Any], options: LoadOptions, name: str) -> tuple[list[Any], str]:
    """Drop rows with empty cells if requested, reject those that remain, and note what was done."""
    *features, target = frames[0].columns
    empty = sum(frame.isna().sum() for frame in frames)
    counts = list_names((f"{column} in {count:,}" for column, count in empty.items() if count), 8)
    rows = sum(map(len, frames))
    drop_rows, fill = Option("missing", "drop"), Option("missing", "mean")
    if options.missing == "drop":
        complete = [frame.dropna() for frame in frames]
        if not all(map(len, complete)):
            raise DataError(
                Text(drop_rows, f" leaves no row of {name}: {counts} of {rows:,} rows are empty."),
                Text("Leave out a column that is mostly empty: ", Option("drop"), "."),
            )
        dropped = rows - sum(map(len, complete))
        note = f"{pluralize(dropped, 'row')} with empty cells left out." if dropped else ""
        return complete, note
    if empty[target]:
        raise DataError(
            f"The target {target} has no value in {empty[target]:,} of {rows:,} rows.",
            Text("Leave these rows out: ", drop_rows, "."),
        )
    without_values = [column for column in features if empty[column] == rows]
    if without_values:
        raise DataError(
            f"Column {list_names(without_values)} of {name} has no values.",
            Text("Leave it out: ", Option("drop", ",".join(without_values)), "."),
        )
    if counts and options.missing is None:
        raise DataError(
            f"{name} has empty cells: {counts} of {rows:,} rows.",
            Text(
                fill,
                " fills them with the mean of the training part (of words: the most frequent "
                "one); ",
                drop_rows,
                " leaves these rows out; ",
                Option("drop"),
                " leaves out a column.",
            ),
        )
    return frames, f"Empty cells were filled: {counts} rows." if counts else ""


def _are_texts(cells: list[Any]) -> bool:
    if not all(isinstance(cell, str) for cell in cells):
        return False
    return sum(len(cell.split()) for cell in cells) >= WORDS_PER_TEXT * len(cells)


def _check_columns(frames: list[Any], features: list[str], name: str) -> None:
    """Reject columns that are neither numbers nor categories, all of them at once."""
    problems, texts = {}, []
    for column in features:
        cells = pd.concat([frame[column] for frame in frames]).dropna()
        problem = _why_not_numbers(cells)
        if problem is not None:
            problems[column] = problem
            texts += [column] if _are_texts(cells.tolist()) else []
    if not problems:
        return
    reasons = "; ".join(f"{column} {reason}" for column, (reason, _) in problems.items())
    remedies: list[str | Text] = [*dict.fromkeys(remedy for _, remedy in problems.values())]
    remedies.append(Text("Or leave out: ", Option("drop", ",".join(problems)), "."))
    remedies += [
        Text(f"{column} looks like text: ", Option("features", column), " trains on it alone.")
        for column in texts
    ]
    raise DataError(
        f"{name} has columns that cannot become numbers: {reasons}.", Text.join(" ", remedies)
    )


def _why_not_numbers(cells: Any) -> tuple[str, str] | None:
    """Why a column cannot become numbers, and what to do; None if it can."""
    convert_dates = "Convert dates first, e.g. frame[column].dt.year or (date - start).dt.days."
    if is_numeric(cells):
        infinite = np.isinf(cells.to_numpy(dtype=np.float64)).sum()
        return (f"has infinity in {infinite:,} rows", "Correct these values.") if infinite else None
    if types.is_datetime64_any_dtype(cells) or types.is_timedelta64_dtype(cells):
        return "contains dates or times", convert_dates
    values = cells.tolist()
    other = {type(value).__name__ for value in values if not isinstance(value, str | int | float)}
    if other:
        return f"contains {', '.join(sorted(other))}", "Pass numbers or words."
    words = [category_name(value) for value in values]
    if all(_DATE.fullmatch(word.strip()) for word in words):
        return f"contains dates such as {words[0]}", convert_dates
    if all(_DECIMAL_COMMA.fullmatch(word.strip()) for word in words):
        return (
            f"contains numbers with a comma such as {words[0]}",
            'Read them with pandas.read_csv(path, decimal=",") or thousands=",".',
        )
    distinct = len(set(words))
    if distinct > MAX_CATEGORIES or (distinct > ALWAYS_CATEGORIES and distinct > len(words) / 2):
        return (
            f"contains {distinct:,} different words in {len(words):,} rows, e.g. {words[0][:30]!r}",
            "Each word of a category becomes a column, so names or texts cannot be categories.",
        )
    return None
