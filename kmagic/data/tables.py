"""Tables as a data set: files and data frames, the target column, and columns as numbers."""

from __future__ import annotations

import csv
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.arrays import check_lengths
from kmagic.data.assemble import apply_options
from kmagic.data.dataset import Dataset
from kmagic.data.load_options import OPTIONS_OF_KIND, check_applies, leave_out
from kmagic.data.memory import require_memory
from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.columns import category_name, is_numeric, learn_columns
from kmagic.data.split import check_test_classes, split_rows
from kmagic.data.target_kind import decide_target
from kmagic.data.texts import encode_texts, to_text_array
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kmagic.data.arrays import ArrayParts
    from kmagic.data.load_options import LoadOptions
    from kmagic.data.target_kind import Target

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


def load_tables(
    files: Sequence[Path], options: LoadOptions, *, test: Sequence[Path] = ()
) -> Dataset:
    """Load tables from files."""
    import pandas as pd  # noqa: PLC0415 - half a second to import

    parts = []
    for group in filter(None, (files, test)):
        frames = [read_table(path, options) for path in group]
        for path, frame in zip(group, frames, strict=True):
            differing = set(frame.columns) ^ set(frames[0].columns)
            if differing:
                raise DataError(
                    f"{show_path(path)} and {show_path(group[0])} have different columns: "
                    f"{list_names(sorted(map(str, differing)), 5)}.",
                    "Tables can only be concatenated if they have the same columns.",
                )
        parts.append(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])
    is_single = len(files) == 1 and not test
    source = files[0] if is_single else files[0].parent
    name = options.name or (source.stem if is_single else source.resolve().name)
    return load_frames(parts, options, name, show_path(source))


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
    import pandas as pd  # noqa: PLC0415 - half a second to import

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
    import pandas as pd  # noqa: PLC0415 - half a second to import

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


def is_frame(value: Any) -> bool:
    """Whether it is a pandas data frame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


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


def load_frame_pairs(parts: ArrayParts, options: LoadOptions, name: str, source: str) -> Dataset:
    """Load a data frame of features with its targets, or a training and a test part of them."""
    if options.target is not None:
        raise DataError(
            Text(Option("target"), " only applies to a table that contains it, but y was passed."),
            leave_out("target"),
        )
    pairs = [(parts.x, parts.y)]
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
        column = y.columns[0] if is_frame(y) else getattr(y, "name", None)
        target = str(column) if column is not None else "y"
        if target in frame.columns:
            raise DataError(
                f"{target} is both in x and y: a model would learn to copy it.",
                f"Leave it out of x: x.drop(columns={target!r}).",
            )
        frames.append(frame.assign(**{target: np.asarray(y).reshape(-1)}))
    return _load(frames, target, options, name, source)


def _load(frames: list[Any], target: str, options: LoadOptions, name: str, source: str) -> Dataset:
    import pandas as pd  # noqa: PLC0415 - imported already, if there is a frame

    frames, index_note = _drop_row_numbers(frames)
    features = _select_features(frames[0], target, options, name)
    frames = [frame[[*features, target]] for frame in frames]
    frames, missing_note = _handle_missing(frames, features, target, options, name)
    text_column = _only_text_column(frames[0], features)
    if text_column is None:
        check_applies(options, "table", name, "is a table")
        _check_columns(frames, features, name)
    else:  # the options of tables have selected that column
        check_applies(options, "text", name, "contains text", except_for=OPTIONS_OF_KIND["table"])
    values = pd.concat([frame[target] for frame in frames])
    cells = values.to_numpy() if is_numeric(values) else values.astype(object).to_numpy()
    decided = decide_target(cells, options, target)
    train, test, y_train, y_test, split_note = _split(frames, decided, options, name)
    encoding, columns = None, None
    if text_column is not None:
        texts = to_text_array(train[text_column]), to_text_array(test[text_column])
        x_train, x_test, encoding = encode_texts(*texts, options)
    else:
        columns = learn_columns(train[features], fill=options.missing == "mean")
        x_train, x_test = columns.apply(train), columns.apply(test)
    data = Dataset(
        name=name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=decided.classes,
        source=source,
        target=target,
        note_text=Text.join(
            " ", filter(None, [index_note, missing_note, decided.note, split_note])
        ),
        columns=None if columns is None else columns.names,
        features=columns,
        encoding=encoding,
    )
    return apply_options(data, options)


def _split(
    frames: list[Any], target: Target, options: LoadOptions, name: str
) -> tuple[Any, Any, Any, Any, str]:
    """The training and the test rows, their targets, and a note."""
    import pandas as pd  # noqa: PLC0415 - as above

    y, labels = target.y, target.labels
    if len(frames) == 1 or options.split is not None:
        whole = pd.concat(frames)
        train, test = split_rows(len(whole), options, name, labels, target.classes)
        return whole.iloc[train], whole.iloc[test], y[train], y[test], ""
    rows, note = len(frames[0]), ""
    if labels is not None:
        note = check_test_classes(labels[:rows], labels[rows:], target.classes or (), name)
    return frames[0], frames[1], y[:rows], y[rows:], note


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


def _handle_missing(
    frames: list[Any], features: list[str], target: str, options: LoadOptions, name: str
) -> tuple[list[Any], str]:
    """Drop rows with empty cells if requested, reject those that remain, and note what was done."""
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


def _only_text_column(frame: Any, features: list[str]) -> str | None:
    """The only feature, if it contains texts and is not a category."""
    if len(features) != 1 or is_numeric(frame[features[0]]):
        return None
    return features[0] if _are_texts(frame[features[0]].tolist()) else None


def _are_texts(cells: list[Any]) -> bool:
    if not all(isinstance(cell, str) for cell in cells):
        return False
    return sum(len(cell.split()) for cell in cells) >= WORDS_PER_TEXT * len(cells)


def _check_columns(frames: list[Any], features: list[str], name: str) -> None:
    """Reject columns that are neither numbers nor categories, all of them at once."""
    import pandas as pd  # noqa: PLC0415 - as above

    reasons, remedies, rejected = [], [], []
    texts = []
    for column in features:
        cells = pd.concat([frame[column] for frame in frames]).dropna()
        reason, remedy = _why_not_numbers(cells)
        if reason:
            rejected.append(column)
            reasons.append(f"{column} {reason}")
            remedies.append(remedy)
            if _are_texts(cells.tolist()):
                texts.append(column)
    if not rejected:
        return
    parts: list[str | Text] = [*dict.fromkeys(remedies)]
    parts.append(Text("Or leave out: ", Option("drop", ",".join(rejected)), "."))
    parts += [
        Text(f"{column} looks like text: ", Option("features", column), " trains on it alone.")
        for column in texts
    ]
    raise DataError(
        f"{name} has columns that cannot become numbers: {'; '.join(reasons)}.",
        Text.join(" ", parts),
    )


def _why_not_numbers(cells: Any) -> tuple[str, str]:
    """Why a column cannot become numbers, and what to do; "" if it can."""
    from pandas.api import types  # noqa: PLC0415 - as above

    convert_dates = "Convert dates first, e.g. frame[column].dt.year or (date - start).dt.days."
    if is_numeric(cells):
        infinite = np.isinf(cells.to_numpy(dtype=np.float64)).sum()
        return (
            (f"has infinity in {infinite:,} rows", "Correct these values.")
            if infinite
            else ("", "")
        )
    if types.is_datetime64_any_dtype(cells) or types.is_timedelta64_dtype(cells):
        return "contains dates or times", convert_dates
    values = cells.tolist()
    other_types = _type_names(
        value for value in values if not isinstance(value, str | bool | int | float)
    )
    if other_types:
        return f"contains {other_types}", "Pass numbers or words."
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
    return "", ""


def _type_names(values: Iterable[Any]) -> str:
    return ", ".join(sorted({type(value).__name__ for value in values}))
