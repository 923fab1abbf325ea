"""Tables as a dataset: files and data frames, the target column, and columns as numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from kmagic.data.arrays import check_lengths, to_label_rows
from kmagic.data.assemble import (
    Parts,
    apply_options,
    choose_place,
    join_notes,
    require_length,
    split_parts,
    to_text_array,
)
from kmagic.data.column_types import (
    ALWAYS_CATEGORIES,
    ColumnTypes,
    are_measurements,
    are_texts,
    find_identifiers,
    float32_merges,
    like_identifier,
    split_parts_of,
    type_columns,
)
from kmagic.data.dataset import Dataset
from kmagic.data.disk_frame import DiskFrame, complete_rows
from kmagic.data.images.image_folder import load_image_list
from kmagic.data.load_options import (
    DEFAULT_SPLIT,
    OPTIONS_OF_KIND,
    STREAMED,
    LoadOptions,
    check_applies,
    inapplicable,
    parse_names,
    reject_options,
)
from kmagic.data.paths import EXCEL_SUFFIXES, RECORD_SUFFIXES, looks_like_files
from kmagic.data.preparation import cell_format
from kmagic.data.preparation.columns import Columns, UnknownCategoryWarning, learn_columns
from kmagic.data.preparation.text_encoding import TextEncoding, learn_text
from kmagic.data.preparation.windowing import Windowing
from kmagic.data.table_file import (
    MEMORY_FACTOR,
    TableFile,
    check_file,
    check_unique,
    read_table,
)
from kmagic.data.target_kind import (
    SEPARATORS,
    Target,
    Targets,
    as_tag_lists,
    decide_target,
    decide_targets,
    is_tag_list,
)
from kmagic.data.time_order import find_lag, row_times, time_order
from kmagic.data.time_series import windows_of_table
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Part, Text
from kmagic.support.suggestions import did_you_mean

TARGET_NAMES = ("target", "label", "labels", "class", "y")
IN_MEMORY = TableFile(None, "")
_ANSWERS = cell_format.ANSWERS
FILE_OPTIONS = ("delimiter", "header", "encoding")
MAX_CATEGORIES = 1000
MAX_RESEMBLING = 3  # columns that may identify the rows


# --- files ----------------------------------------------------------------------------------------


def load_tables(*parts: Sequence[Path] | NDArray[Any], options: LoadOptions) -> Dataset:
    """Load tables from files: the files of each part are concatenated."""
    paths = [path for files in parts for path in files]
    if all(path.suffix.lower() in RECORD_SUFFIXES for path in paths):
        from kmagic.data.tfrecords import image_feature  # noqa: PLC0415 - rarely needed

        if feature := image_feature(paths[0], options):
            return _load_record_images(parts, feature, options)
    chosen, place_note = _choose_place(paths, options)
    if chosen.stream:
        return _load_on_disk(parts, options, place_note)
    read = [read_table(path, options) for path in paths]
    if any(not table.frame.dtypes.equals(read[0].frame.dtypes) for table in read):
        read = [read_table(path, options, as_text=True) for path in paths]  # in the same way
    frames, remaining = [], iter(read)
    for files in parts:
        tables = list(islice(remaining, len(files)))
        for path, table in zip(files, tables, strict=True):
            if len(table.frame.columns) < 2:  # noqa: PLR2004 - a target and a feature
                raise _one_column(show_path(path), table.frame.columns[0])
            differing = set(table.frame.columns) ^ set(tables[0].frame.columns)
            if differing:
                raise DataError(
                    f"{show_path(path)} and {show_path(files[0])} have different columns: "
                    f"{list_names(sorted(map(str, differing)), 5)}.",
                    "Tables can only be concatenated if they have the same columns.",
                )
        joined = [table.frame for table in tables]
        frames.append(pd.concat(joined, ignore_index=True) if len(joined) > 1 else joined[0])
    notes = dict.fromkeys(table.note for table in read)
    file = replace(read[0], note=join_notes(*notes))
    name, source = _name_files(parts, options)
    return load_frames(frames, options, name, source, file)


def _load_record_images(
    parts: Sequence[Sequence[Path] | NDArray[Any]], feature: str, options: LoadOptions
) -> Dataset:
    """Load images in TFRecord files."""
    from kmagic.data.tfrecords import (  # noqa: PLC0415 - rarely needed
        feature_names,
        list_record_images,
    )

    name, source = _name_files(parts, options)
    others = [column for column in feature_names(parts[0][0]) if column != feature]
    target = _single_target(_find_targets(pd.DataFrame(columns=others), options, name, IN_MEMORY))
    listed = [list_record_images(list(files), feature, target) for files in parts]
    values = [part for images_and_targets in listed for part in images_and_targets]
    used: dict[str, Any] = dict.fromkeys(OPTIONS_OF_KIND["table"])
    return load_image_list(Parts(*values), replace(options, **used), name, source)


def _name_files(
    parts: Sequence[Sequence[Path] | NDArray[Any]], options: LoadOptions
) -> tuple[str, str]:
    """The name of a dataset, and where it is from."""
    first = parts[0][0]
    is_single = len(parts) == len(parts[0]) == 1
    folder = first.parent
    stem = first.stem.removesuffix(".csv").removesuffix(".tsv")  # data.csv.gz is data
    name = options.name or (stem if is_single else folder.resolve().name)
    return name, show_path(first if is_single else folder)


def _choose_place(paths: Sequence[Path], options: LoadOptions) -> tuple[LoadOptions, str]:
    """Whether the tables in these files are kept on disk, and a note on it."""
    is_excel = any(path.suffix.lower() in EXCEL_SUFFIXES for path in paths)
    if is_excel or options.window is not None:
        reject_options(options, ["stream"], STREAMED)
        return replace(options, stream=False), ""
    sizes = [MEMORY_FACTOR * check_file(path) for path in paths]
    subject = show_path(paths[0]) if len(paths) == 1 else f"{len(paths)} tables"
    remedy = Text("Or read a part of it with pandas (nrows=, usecols=).")
    return choose_place(options, sum(sizes), subject, remedy)


def _load_on_disk(
    parts: Sequence[Sequence[Path] | NDArray[Any]], options: LoadOptions, place_note: str
) -> Dataset:
    """Load tables from files that are larger than memory."""
    from kmagic.data.streamed_tables import store_tables  # noqa: PLC0415 - imports pyarrow

    name, source = _name_files(parts, options)
    frame, file = store_tables([list(files) for files in parts], options)
    if len(frame.columns) < 2:  # noqa: PLR2004 - a target and a feature
        raise _one_column(source, frame.columns[0])
    frame = frame.rename(_with_text_names(frame[:1], name).columns)
    targets = _find_targets(frame, options, name, file)
    file = replace(file, note=join_notes(place_note, file.note))
    return _load(frame, targets, options, name, source=source, file=file)


def _one_column(file_name: str, column: str) -> DataError:
    return DataError(
        f"{file_name} has only one column, {column[:60]!r}, but needs a target and at least one "
        "feature.",
        Text("If its cells have another separator, set ", Option("delimiter"), "."),
    )


# --- data frames ----------------------------------------------------------------------------------


def load_frames(
    frames: Sequence[Any],
    options: LoadOptions,
    name: str,
    source: str,
    file: TableFile = IN_MEMORY,
) -> Dataset:
    """Load a table, or its training and its test part; ``file`` says how it was read."""
    if file is IN_MEMORY:
        reject_options(options, FILE_OPTIONS, f"files; {name} is a data frame")
    frames = [_with_text_names(frame, name) for frame in frames]
    targets = _find_targets(frames[0], options, name, file)
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
    if file is IN_MEMORY:
        reject_options(options, ["stream"], STREAMED)
    return _load(_join(frames), targets, options, name, source=source, file=file)


def _join(frames: Sequence[Any]) -> Any:
    """The parts as one table; its index has the number of the part of each row."""
    numbers = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    whole = pd.concat(frames) if len(frames) > 1 else frames[0]
    return whole.set_axis(numbers)


def load_frame_pairs(parts: Parts, options: LoadOptions, name: str, source: str) -> Dataset:
    """Load a data frame of features with its targets, or a training and a test part of them."""
    reject_options(options, FILE_OPTIONS, f"files; {name} is a data frame")
    reject_options(options, ["stream"], STREAMED)
    reject_options(options, ["target"], "a table that contains it, but y was passed")
    kinds = (pd.Series, pd.DataFrame)
    if not isinstance(parts.y_train, kinds):
        parts = to_label_rows(parts, options)
    pairs = [(parts.x_train, parts.y_train)]
    if parts.x_test is not None:
        pairs.append((parts.x_test, parts.y_test))
    frames: list[Any] = []
    targets: list[str] = []
    by_name = isinstance(parts.y_train, Mapping)
    for x, values in pairs:
        y = _frame_of(values, x.index) if by_name else values
        frame = _with_text_names(x, name)
        check_lengths(frame, y, "x", "y")
        is_pandas = isinstance(y, kinds)
        if is_pandas and not x.index.equals(y.index) and set(x.index) == set(y.index):
            raise DataError(
                "x and y have the same index, but in another order.",
                "Pass y.loc[x.index] to match them, or y.to_numpy() if the order is right.",
            )
        if isinstance(y, pd.DataFrame):
            named = y.set_axis([cell_format.clean_name(column) for column in y.columns], axis=1)
        else:
            rows = y if is_tag_list(y) else np.asarray(y)
            columns = rows.reshape(len(rows), -1).T
            single = getattr(y, "name", None)
            single = "y" if single is None else cell_format.clean_name(single)
            keys = [single] if len(columns) == 1 else [f"y {at}" for at in range(len(columns))]
            named = pd.DataFrame(dict(zip(keys, columns, strict=True)))
        targets = list(named.columns)
        check_unique(targets, "y")
        if both := [target for target in targets if target in frame.columns]:
            verb = "is" if len(both) == 1 else "are"
            raise DataError(
                f"{list_names(both)} {verb} both in x and y: a model would learn to copy it.",
                f"Leave it out of x: x.drop(columns={(both[0] if len(both) == 1 else both)!r}).",
            )
        frames.append(pd.concat([frame, named.set_axis(frame.index)], axis=1))
    return _load(_join(frames), targets, options, name, source=source, by_name=by_name)


def _frame_of(y: Mapping[str, Any], index: Any) -> Any:
    """Targets by name as a data frame with the rows of the features."""
    for key, part in y.items():
        if np.ndim(part) > 1 and np.shape(part)[1] > 1:
            raise DataError(
                f"y[{key!r}] must have one column; got {np.shape(part)[1]}.",
                "To predict several values, pass x as an array, too: x.to_numpy().",
            )
        check_lengths(index, part, "x", f"y[{key!r}]")
    columns = {key: np.asarray(part).reshape(-1) for key, part in y.items()}
    return pd.DataFrame(columns, index=index)


def _load(
    whole: Any,
    targets: Sequence[str],
    options: LoadOptions,
    name: str,
    *,
    source: str,
    file: TableFile = IN_MEMORY,
    by_name: bool = False,
) -> Dataset:
    table = type_columns(whole, options, file.delimiter)
    for target in targets:
        if target in table.dates:
            raise DataError(
                f"The target {target} contains dates.",
                f"Choose another target, or convert it, e.g. frame[{target!r}].dt.year.",
            )
    if options.window is not None:
        target = _single_target(targets, "windows predict")
        return _load_windows(table, target, options, name, source=source, file=file)
    features, selection_note = _select_features(table, targets, options, name)
    dropped = [cell_format.clean_name(column) for column in options.drop or ()]
    dates = [column for column in table.dates if column not in (*targets, *dropped)]
    label_note = _fill_labels(table, targets, options)
    is_split = not whole.index.any() or options.split is not None
    is_sorted = options.chronological and is_split
    kept = [*features, *(dates if is_sorted else []), *targets]
    frame, missing_note = _handle_missing(table.frame[kept], table, options, name, targets)
    order, order_note = _row_order(frame, dates, is_sorted=is_sorted) if is_split else (None, "")
    first = frame[features[0]]
    if len(features) == 1 and looks_like_files(first.tolist()):
        return _load_files(frame, targets, options, name, source, by_name=by_name)
    is_text = len(features) == 1 and not cell_format.is_numeric(first) and are_texts(first.tolist())
    if not is_text:
        check_applies(options, "table", f"{name} is a table")
        _check_columns(frame[features], table, name)
    else:  # the options of tables have selected that column
        subject, selecting = f"{name} contains text", OPTIONS_OF_KIND["table"]
        check_applies(options, "text", subject, except_for=selecting)
    decided = _decide(frame, targets, table, options, by_name=by_name)
    others = [column for column in table.frame.columns if column not in (*features, *targets)]
    rows = table.frame[[*features, *others]]
    if options.missing == "drop":
        rows = rows[complete_rows(table.frame[kept])]
    split, class_note = split_parts(
        split_parts_of(rows),
        decided,
        options,
        name,
        join=lambda _: rows,
        take=lambda frame, rows: frame.take(rows),
        order=order,
    )
    other_columns = split.x_train[others]
    split = split.convert(lambda part: part[features])
    fill = options.missing == "mean" and not is_text
    encoding = None
    unknown_notes: list[str] = []
    if is_text:
        columns, empty_cells = None, None
        split, encoding = _encode_texts(split, options)
    else:
        columns = learn_columns(split.x_train, fill=fill, formats=table.formats)
        empty_cells = _convert(split, pd.DataFrame.isna) if fill else None
        split, unknown_notes = _encode_columns(split, columns)
    read_columns = [*features, *targets]
    cells_read = "" if is_text else table.describe(read_columns, always=file is not IN_MEMORY)
    data = Dataset(
        name,
        *split,
        **decided.fields,
        source=source,
        target=targets[0] if len(targets) == 1 and isinstance(decided, Target) else "",
        targets=tuple(targets) if len(targets) > 1 and _are_values(decided) else (),
        note_text=join_notes(
            file.note,
            selection_note,
            *table.notes_on(read_columns),
            missing_note,
            decided.note,
            label_note,
            order_note,
            class_note,
            *unknown_notes,
        ),
        reading="; ".join(filter(None, [file.layout, cells_read])),
        columns=None if columns is None else columns.names,
        features=columns,
        encoding=encoding,
        empty_cells=empty_cells,
        time_gap=None if order is None else 0,
        other_columns=None if not others or isinstance(whole, DiskFrame) else other_columns,
    )
    return apply_options(data, options)


def _are_values(decided: Target | Targets) -> bool:
    return isinstance(decided, Target) and decided.classes is None


def _are_of_different_kinds(frame: Any, targets: Sequence[str], options: LoadOptions) -> bool:
    """Whether several columns are targets of their own: classes besides classes or numbers.

    Columns of 0 and 1 are labels, of which a row can have several; columns of numbers are values.
    """
    if any(isinstance(value, Mapping) for value in (options.task, options.class_names)):
        return True
    words = [
        target
        for target in targets
        if frame[target].dtype.kind == "b" or not cell_format.is_numeric(frame[target])
    ]
    if len(targets) == 1 or not words:
        return False
    cells = {str(cell).strip().casefold() for target in words for cell in frame[target]}
    numbers = (frame[target] for target in targets if target not in words)
    return not (cells <= set(_ANSWERS) and all(part.isin((0, 1)).all() for part in numbers))


def _decide(
    frame: Any,
    targets: Sequence[str],
    table: ColumnTypes,
    options: LoadOptions,
    *,
    by_name: bool = False,
) -> Target | Targets:
    """What is predicted, from the columns of the target."""
    if by_name or _are_of_different_kinds(frame, targets, options):
        cells_of = {target: _cells_of(frame, target, table) for target in targets}
        return decide_targets(cells_of, options)
    columns = []
    for target in targets:
        cells = _cells_of(frame, target, table)
        if len(targets) > 1 and cells.dtype.kind not in "biuf":  # all are answers
            cells = np.array([_ANSWERS[str(cell).strip().casefold()] for cell in cells], dtype=bool)
        columns.append(cells)
    if len(columns) == 1:
        return decide_target(columns[0], options, targets[0], columns=targets)
    values = np.stack([column.astype(np.result_type(*columns, np.int8)) for column in columns], 1)
    return decide_target(values, options, list_names(targets), columns=targets)


def _cells_of(frame: Any, target: str, table: ColumnTypes) -> NDArray[Any]:
    """The cells of a target as numbers, or as words."""
    if target in table.problems:
        reason, remedy = table.problems[target]
        raise DataError(f"The target {target} {reason}.", remedy)
    cells = frame[target]
    return np.asarray(cells if cell_format.is_numeric(cells) else cells.astype(object))


def _fill_labels(table: ColumnTypes, targets: Sequence[str], options: LoadOptions) -> str:
    """Read empty cells of a requested column of labels as rows without labels; a note."""
    cells = table.frame[targets[0]]
    is_words = not cell_format.is_numeric(cells)
    is_list = is_words and is_tag_list(*as_tag_lists(cells.dropna(), task=options.task))
    if len(targets) > 1 or not (is_list or (is_words and options.task == "multilabel")):
        return ""
    if is_list and isinstance(table.frame, DiskFrame):
        raise DataError(
            f"Lists of labels, as in {targets[0]}, cannot be kept on disk.",
            "Write them as text, such as 'cat;dog', or as one column of 0 and 1 for each label.",
        )
    empty = int(cells.isna().sum())
    if not empty or options.missing == "drop":
        return ""
    nothing: Any = () if is_list else ""
    filled = cells.astype(object).map(
        lambda cell: nothing if np.ndim(cell) == 0 and pd.isna(cell) else cell
    )
    table.frame[targets[0]] = filled
    rows = pluralize(empty, "row")
    return f"{targets[0]} is empty in {rows}, taken as {rows} without labels."


def _single_target(targets: Sequence[str], what: str = "files of images have") -> str:
    if len(targets) > 1:
        raise DataError(
            f"Several targets ({list_names(targets)}) were given, but {what} one.",
            Text("Name one of them: ", Option("target", targets[0]), "."),
        )
    return targets[0]


def _convert(split: Parts, function: Callable[[Any], Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What a function makes of the rows of both parts."""
    parts = [split.x_train, split.x_test]
    if isinstance(split.x_train, DiskFrame):
        train, test = split.x_train.convert(parts, lambda frame: np.asarray(function(frame)))
    else:
        train, test = (np.asarray(function(part)) for part in parts)
    return train, test


def _encode_columns(split: Parts, columns: Columns) -> tuple[Parts, list[str]]:
    """Both parts as numbers, and notes on words that the training part does not have."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnknownCategoryWarning)
        if isinstance(split.x_test, DiskFrame):
            for column in columns.columns:
                if column.kind == "category":
                    column.codes(split.x_test[column.name])
            notes = list(caught)  # those on a few rows follow
            x_train, x_test = _convert(split, columns.apply)
        else:
            x_train, x_test = _convert(split, columns.apply)
            notes = caught
    encoded = split._replace(x_train=x_train, x_test=x_test)
    return encoded, [str(warning.message) for warning in notes]


def _encode_texts(split: Parts, options: LoadOptions) -> tuple[Parts, TextEncoding | None]:
    """Both parts as texts; those on disk as word indices, with their encoding."""
    column = split.x_train.columns[0]
    if not isinstance(split.x_train, DiskFrame):
        return split.convert(lambda part: to_text_array(part[column])), None
    require_length(options, f"column {column}")
    encoding = learn_text(split.x_train[column], **options.text_encoding)
    x_train, x_test = _convert(split, lambda frame: encoding.encode(frame[column]))
    return split._replace(x_train=x_train, x_test=x_test), encoding


def _load_windows(
    table: ColumnTypes,
    target: str,
    options: LoadOptions,
    name: str,
    *,
    source: str,
    file: TableFile,
) -> Dataset:
    """Cut the rows of a table into windows."""
    if table.frame.index[-1] and options.split is None:
        raise DataError(
            Text(Option("window"), " cuts one table, which is then split in time; got two parts."),
            Text("Join them: ", Option("split", DEFAULT_SPLIT), "."),
        )
    check_applies(options, "table", f"{name} is a table")
    numbers = "classes, but windows predict numbers"
    reject_options(options, ("onehot", "class_names"), numbers)
    if options.task not in (None, "regression"):
        raise inapplicable("task", numbers, value=options.task)
    if target in table.problems:
        reason, remedy = table.problems[target]
        raise DataError(f"The target {target} {reason}.", remedy)
    by = []
    if options.by is not None:
        by = [_find_column(options.by, list(table.frame.columns), name)]
        options = replace(options, by=by[0])
    if by == [target]:
        raise DataError(Text(Option("by", target), " is the target, which tells no series apart."))
    features, selection_note = _select_features(table, [target], options, name)
    others = [column for column in features if column != target]
    dropped = [cell_format.clean_name(column) for column in options.drop or ()]
    dates = [column for column in table.dates if column not in (*by, *dropped)]
    if len(dates) > 1:
        row_times(table.frame, dates)  # refuses them
    kept = list(dict.fromkeys([*others, *dates, *by, target]))
    frame, missing_note = _handle_missing(table.frame[kept], table, options, name, [target])
    for column in others:
        cells = frame[column].dropna()
        words = cells.tolist()
        is_other = _why_not_numbers(cells, column in table.dates) is not None
        if is_other and (are_texts(words) or looks_like_files(words)):
            only = f"numbers and categories, but {column} contains texts or names of files"
            alternative = Text(" Or leave out the column: ", Option("drop", column), ".")
            raise inapplicable("window", only, alternative=alternative)
    _check_columns(frame[others], table, name)
    positions = np.arange(len(table.frame))
    if options.missing == "drop":
        positions = positions[table.frame[kept].notna().all(axis=1).to_numpy()]
    windowing = Windowing(
        *(options.window or 1, options.horizon or 1, options.stride or 1, target),
        *("".join(by), "".join(dates)),
    )
    attributes, notes = windows_of_table(
        frame, features, windowing, options, name, positions=positions, formats=table.formats
    )
    cells_read = table.describe(kept, always=file is not IN_MEMORY)
    note = (file.note, selection_note, *table.notes_on(kept), missing_note, *notes)
    return Dataset(
        name,
        **attributes,
        source=source,
        target=target,
        note_text=join_notes(*note),
        reading="; ".join(filter(None, [file.layout, cells_read])),
    )


def _load_files(
    frame: Any,
    targets: Sequence[str],
    options: LoadOptions,
    name: str,
    source: str,
    *,
    by_name: bool = False,
) -> Dataset:
    """Load a table of image files, in its first column, and their labels, in its last ones."""
    columns = list(targets) if len(targets) > 1 else targets[0]
    by_name = by_name or _are_of_different_kinds(frame, targets, options)

    def targets_of(part: Any) -> Any:
        return {t: part[t].to_numpy() for t in targets} if by_name else part[columns].to_numpy()

    values = [
        value
        for part in split_parts_of(frame)
        for value in (part[part.columns[0]].tolist(), targets_of(part))
    ]
    used: dict[str, Any] = dict.fromkeys(OPTIONS_OF_KIND["table"])
    named = () if by_name else targets
    return load_image_list(Parts(*values), replace(options, **used), name, source, named)


def _with_text_names(frame: Any, name: str) -> Any:
    """The frame, with strings as names of its columns."""
    if not len(frame.columns) or not len(frame):
        raise DataError(f"{name} has no {'rows' if len(frame.columns) else 'columns'}.")
    if frame.columns.nlevels > 1:
        raise DataError(
            f"The columns of {name} have {frame.columns.nlevels} levels.",
            "Give each column one name: frame.columns = "
            'frame.columns.map(lambda names: "_".join(map(str, names))).',
        )
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        index_name = str(frame.index.name or "index")
        if index_name not in frame.columns:
            frame = frame.reset_index(names=index_name)
    names = [cell_format.clean_name(column) for column in frame.columns]
    if len(set(names)) < len(names):
        names = [str(column) for column in frame.columns]
    check_unique(names, name)
    for column in names:
        cell_format.check_encodable(column, f"The name of a column of {name}")
    return frame.set_axis(names, axis=1)


def _find_targets(frame: Any, options: LoadOptions, name: str, file: TableFile) -> Sequence[str]:
    columns, wanted = list(frame.columns), options.target
    if wanted is not None:
        is_list = isinstance(wanted, list | tuple) or (
            isinstance(wanted, str) and "," in wanted and wanted.strip() not in columns
        )
        names = parse_names(wanted, "target") or () if is_list else (wanted,)
        return tuple(_find_column(each, columns, name) for each in names)
    usual = [column for column in columns if column.lower() in TARGET_NAMES]
    if len(usual) == 1:
        return (str(usual[0]),)
    raise DataError(
        f"Which column of {name} is the target? It has {list_names(columns)}.",
        join_notes(Text("Name it: ", Option("target", columns[-1]), "."), file.note),
    )


def _find_column(name: Any, columns: Sequence[str], table: str) -> str:
    """The column that a user means, without regard to spaces around its name."""
    for spelling in (str(name), cell_format.clean_name(name)):
        if spelling in columns:
            return spelling
    raise DataError(
        f"{table} has no column {name}; it has {list_names(columns)}.",
        did_you_mean(str(name), columns),
    )


def _select_features(
    table: ColumnTypes, targets: Sequence[str], options: LoadOptions, name: str
) -> tuple[list[str], str | Text]:
    """The columns to learn from, and which ones were left out without being asked."""
    frame, parts = table.frame, split_parts_of(table.frame)
    columns = [column for column in frame.columns if column not in targets]
    given: Sequence[Any] = options.features or options.drop or ()
    listed, past = [], []
    if options.window is not None:
        names = [cell_format.clean_name(column) for column in given]
        past = [t for t in targets if (t in names) == (options.features is not None)]
        given = [column for column, name in zip(given, names, strict=True) if name not in targets]
    for column in given:
        if cell_format.clean_name(column) in targets:
            raise DataError(
                f"{cell_format.clean_name(column)} is the target, so it is never a feature.",
                "Leave it out of the list.",
            )
        listed.append(_find_column(column, columns, name))
    if options.features:
        return [*listed, *past], ""
    selected = [column for column in columns if column not in (*listed, options.by)]
    reasons = {
        column: "has no name and no values"
        for column in selected
        if column.startswith("Unnamed: ") and frame[column].isna().all()
    }
    reasons.update(dict.fromkeys((c for c in table.dates if c in selected), "contains dates"))
    others = [column for column in selected if column not in reasons]
    reasons.update(find_identifiers(parts, [c for c in others if c not in table.problems]))
    learned = [column for column in selected if column not in reasons]
    if not selected and not past:
        raise DataError(f"{name} has no feature column left.")
    if not learned and not past and not table.dates:  # then it is what there is to learn from
        return selected, ""
    if not learned and not past:
        shown = list_names(f"{column} {reason}" for column, reason in reasons.items())
        raise DataError(
            f"{name} has no column to learn from: {shown}.",
            "Convert dates to numbers first, e.g. frame[column].dt.dayofyear.",
        )
    notes: list[Part] = []
    if options.window is not None:  # which uses the dates
        reasons = {column: why for column, why in reasons.items() if column not in table.dates}
    if reasons:
        left_out = [f"{column} {reason}" for column, reason in reasons.items()]
        text = f"Left out: {list_names(left_out)}; "
        notes.append(Text(text, Option("features"), " selects columns."))
    resembling = {column: like for column in learned if (like := like_identifier(parts, column))}
    if len(resembling) >= min(len(learned), MAX_RESEMBLING):  # they are measurements
        resembling = {}
    merged = [column for column in learned if float32_merges(frame[column])]
    resembling |= dict.fromkeys(merged, "has integers that float32 cannot tell apart")
    notes += [
        Text(f"{column} {like}; ", Option("drop", column), " leaves it out.")
        for column, like in resembling.items()
    ]
    return [*learned, *past], join_notes(*notes)


def _row_order(
    frame: Any, dates: Sequence[str], *, is_sorted: bool
) -> tuple[NDArray[np.intp] | None, Part]:
    """The rows in the order of time, if they are to be split so; and a note."""
    if is_sorted:
        order, sorted_by = time_order(frame, dates)
        return order, f"The test part contains the last rows {sorted_by}."
    lag = f"{list_names(dates)} contains dates" if dates else find_lag(frame)
    if not lag:
        return None, ""
    tests = " tests on the latest rows."
    return None, Text(
        f"{lag}, but the rows are split at random; ", Option("chronological", True), tests
    )


def _handle_missing(
    frame: Any, table: ColumnTypes, options: LoadOptions, name: str, targets: Sequence[str]
) -> tuple[Any, str]:
    """Drop rows with empty cells if requested, reject those that remain, and note what was done."""
    features = [column for column in frame.columns if column not in targets]
    empty = {column: int(frame[column].isna().sum()) for column in frame.columns}
    if options.missing != "drop":  # a missing date cannot be filled
        empty |= dict.fromkeys(set(features) & set(table.dates), 0)
    with_words = (
        f"{column} in {count:,}{table.missing_words(column)}"
        for column, count in empty.items()
        if count
    )
    counts = list_names(with_words, 8)
    rows = len(frame)
    drop_rows, fill = Option("missing", "drop"), Option("missing", "mean")
    if options.missing == "drop":
        complete = frame.dropna()
        if complete.index.nunique() < frame.index.nunique():
            raise DataError(
                Text(drop_rows, f" leaves no row of {name}: {counts} of {rows:,} rows are empty."),
                Text("Leave out a column that is mostly empty: ", Option("drop"), "."),
            )
        dropped = rows - len(complete)
        note = f"{pluralize(dropped, 'row')} with empty cells left out: {counts}."
        return complete, note if dropped else ""
    for target in filter(empty.get, targets):
        missing = np.flatnonzero(frame[target].isna())
        where = list_names(missing.tolist(), 5)
        raise DataError(
            f"The target {target} has no value in {empty[target]:,} of {rows:,} rows"
            f"{table.missing_words(target)}: {'row' if missing.size == 1 else 'rows'} {where} "
            "(counted from 0).",
            Text("Leave these rows out: ", drop_rows, ".", _unlabeled(frame[target], options)),
        )
    without_values = [column for column in features if empty[column] == rows]
    if without_values:
        raise DataError(
            f"Column {list_names(without_values)} of {name} has no values.",
            Text("Leave it out: ", Option("drop", ",".join(without_values)), "."),
        )
    if counts and options.missing is None:
        remedy = Text(
            fill,
            " fills them with the mean of the training part (of words: the most frequent one); ",
            drop_rows,
            " leaves these rows out; ",
            Option("drop"),
            " leaves out a column.",
        )
        words = [
            word
            for column in features
            if not cell_format.is_numeric(frame[column])
            for word in table.missing.get(column, ())
            if word in cell_format.EMPTY_WORDS - {""}
        ]
        if words:
            remedy += Text(" ", Option("na_values", "none"), f" keeps the word {words[0]!r}.")
        raise DataError(f"{name} has empty cells: {counts} of {rows:,} rows.", remedy)
    filled = "the mean or the most frequent word of the training part"
    return frame, f"Empty cells were filled with {filled}: {counts} rows." if counts else ""


def _unlabeled(cells: Any, options: LoadOptions) -> Part:
    """How to read empty cells among lists of labels."""
    words = [] if cell_format.is_numeric(cells) else cells.dropna().tolist()
    has_lists = any(isinstance(word, str) and set(word) & set(SEPARATORS) for word in words)
    if not has_lists or options.task is not None:
        return ""
    rows = " takes them as rows without labels, the other cells as lists of labels."
    return Text(" ", Option("task", "multilabel"), rows)


def _check_columns(frame: Any, table: ColumnTypes, name: str) -> None:
    """Reject columns that are neither numbers nor categories, all of them at once."""
    problems = {}
    for column in frame.columns:
        cells = frame[column].dropna()
        problem = table.problems.get(column) or _why_not_numbers(cells, column in table.dates)
        if problem is not None:
            problems[column] = problem
    if not problems:
        return
    reasons = "; ".join(f"{column} {reason}" for column, (reason, _) in problems.items())
    remedies: list[Part] = [*dict.fromkeys(remedy for _, remedy in problems.values())]
    remedies.append(Text("Or leave out: ", Option("drop", ",".join(problems)), "."))
    raise DataError(
        f"{name} has columns that cannot become numbers: {reasons}.", Text.join(" ", remedies)
    )


def _why_not_numbers(cells: Any, are_dates: bool) -> tuple[str, str | Text] | None:
    """Why a column cannot become numbers, and what to do; None if it can."""
    if are_dates:
        convert = "Convert dates first, e.g. frame[column].dt.year or (date - start).dt.days."
        return f"contains dates such as {cells.iloc[0]}", convert
    if cell_format.is_numeric(cells):
        infinite = np.isinf(cells.to_numpy(dtype=np.float64)).sum()
        if infinite:
            return f"has infinity in {pluralize(infinite, 'row')}", "Correct these values."
        return None
    if types.is_timedelta64_dtype(cells):
        return "contains durations", "Convert them first, e.g. frame[column].dt.total_seconds()."
    values = (cells.unique() if types.infer_dtype(cells) == "string" else cells).tolist()
    other = {type(value).__name__ for value in values if not isinstance(value, str | int | float)}
    if other:
        return f"contains {', '.join(sorted(other))}", "Pass numbers or words."
    if looks_like_files(values):
        alone = Text(Option("features", cells.name), " trains on the images.")
        return f"names files such as {values[0]}", alone
    words = [cell_format.category_name(value) for value in values]
    distinct = len(set(words))
    if distinct > ALWAYS_CATEGORIES and are_measurements(words):
        if all(":" in word for word in words):
            hours = 'pandas.to_datetime(frame[column], format="mixed").dt.hour'
            return f"contains times, such as {words[0]!r}", f"Convert them first, e.g. {hours}."
        return (
            f"contains numbers with units, such as {words[0]!r}",
            "Convert them first, e.g. frame[column].str.removesuffix(...).astype(float).",
        )
    if distinct > MAX_CATEGORIES or (distinct > ALWAYS_CATEGORIES and distinct > len(cells) / 2):
        remedy = Text("Each word of a category becomes a column, so names cannot be categories.")
        if are_texts(values):
            text = f"{cells.name} looks like text: "
            remedy = Text(text, Option("features", cells.name), " trains on it alone.")
        words_in_rows = f"{distinct:,} different words in {len(cells):,} rows"
        return f"contains {words_in_rows}, e.g. {words[0][:30]!r}", remedy
    for word in set(words):
        cell_format.check_encodable(word, f"A cell of {cells.name}")
    return None
