"""A table in the order of time as windows of its rows, each with the values that follow it."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from kmagic.data.load_options import DEFAULT_SPLIT, LoadOptions
from kmagic.data.preparation import cell_format
from kmagic.data.preparation.columns import UnknownCategoryWarning, learn_columns
from kmagic.data.preparation.scaling import learn_scaling
from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.data.preparation.windowing import SeriesRows, Windowing, time_names
from kmagic.data.target_kind import decide_target
from kmagic.data.time_order import NO_DATES, chronological_indices
from kmagic.support.disk_arrays import disk_folder, is_on_disk
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes, list_names, pluralize
from kmagic.support.messages import Option, Part, Text

MAX_SILENT_BYTES = 10_000_000  # of windows that do not share their rows


def windows_of_table(
    frame: Any,
    features: list[str],
    windowing: Windowing,
    options: LoadOptions,
    name: str,
    *,
    positions: Any,
    formats: Any,
) -> tuple[dict[str, Any], list[Part]]:
    """Cut windows, split them in time, and learn the columns from the rows of the training part.

    No row of a training window, or of the values that it predicts, is a row of a test window.

    Args:
        frame: The complete rows, with the features, the dates, the series and the target.
        features: The columns of a window.
        windowing: How to cut.
        options: Those of ``load_data``.
        name: Name of the data in messages.
        positions: The index of each row in the table.
        formats: How the cells are written.

    Returns:
        Attributes of the dataset, and notes.
    """
    target = windowing.target
    values = frame[target]
    if not cell_format.is_numeric(values) or values.dtype == bool:
        raise DataError(
            f"The target {target} contains words, e.g. {str(values.iloc[0])[:40]!r}, but windows "
            "predict numbers.",
            "Choose another target, or convert it to numbers.",
        )
    y = decide_target(values.to_numpy(), replace(options, task="regression"), target).y
    leave_out = Text("leave out the dates: ", Option("drop", windowing.time))
    windowing = replace(windowing, target_format=formats[target])
    series = windowing.arrange(
        *(frame, y),
        ahead=windowing.horizon,
        positions=positions,
        uncounted=leave_out if options.features is None else "remove its column of dates",
    )
    train, test, gap = _split(series, options.split or DEFAULT_SPLIT, name)
    last = series.starts[train] + windowing.window + windowing.horizon - 1
    frame = frame.iloc[series.order]
    is_known = series.places <= series.places[last].max()
    columns = learn_columns(
        frame.loc[is_known, features], fill=options.missing == "mean", formats=formats
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnknownCategoryWarning)
        rows = columns.apply(frame)
    scaling = learn_scaling(options.scale, rows[is_known])
    x = series.windows(scaling.apply(rows))
    y = series.windows(series.target[:, np.newaxis], windowing.window, windowing.horizon)[..., 0]
    y = y[:, 0] if windowing.horizon == 1 else y
    steps = f"windows of {pluralize(windowing.window, 'row')}, horizon {windowing.horizon:,}"
    steps += f", stride {windowing.stride:,}" if windowing.stride > 1 else ""
    count = len(series.names)
    attributes = {
        "title": f"{steps}, {count:,} series" if windowing.by else steps,
        "x_train": x[train],
        "y_train": y[train],
        "x_test": x[test],
        "y_test": y[test],
        "columns": columns.names,
        "features": columns,
        "scaling": scaling,
        "time_gap": gap,
        "series": series.part(test),
    }
    notes = [*_notes(series, features, train, test), *(str(each.message) for each in caught)]
    if SlidingRows.of(x) is None and x.nbytes > MAX_SILENT_BYTES:
        place = f" on disk, in {disk_folder()}" if is_on_disk(x) else ""
        notes.append(
            f"The windows take {format_bytes(x.nbytes)}{place}: they do not follow one another "
            "evenly, so they cannot share their rows."
        )
    known = series.target[is_known].astype(np.float64)
    if options.scale == "standard" and known.std() > 0:
        scale, offset = (float(f"{value:.4g}") for value in (known.std(), known.mean()))
        notes.append(
            f"{target} is not scaled: end the model with `rescaling {scale:.10g} "
            f"offset={offset:.10g}`, so that the layers before it predict numbers around 0."
        )
    return attributes, notes


def _split(series: SeriesRows, share: float, name: str) -> tuple[slice, slice, int]:
    """The windows before a point in time, those after it, and the windows between two parts."""
    windowing = series.windowing
    length = windowing.window + windowing.horizon
    begin = series.places[series.starts]
    end = np.maximum.accumulate(series.places[series.starts + length - 1])
    times = np.unique(begin)
    gap = math.ceil(length / windowing.stride) - 1
    _, later = chronological_indices(np.arange(len(times)), share, gap, name)
    cut = times[later[0]]
    train, test = int((end < cut).sum()), int(np.searchsorted(begin, cut))
    between = np.searchsorted(begin, end, side="right") - np.arange(len(begin)) - 1
    return slice(train), slice(test, len(begin)), int(between.max())


def _notes(series: SeriesRows, features: list[str], train: slice, test: slice) -> list[Part]:
    """What the windows contain, how they were split, and what was left out."""
    windowing, starts = series.windowing, series.starts
    others = [column for column in features if column != windowing.target]
    past = f"the past of {windowing.target}" if windowing.target in features else ""
    contents = list_names(filter(None, [past, *others]))
    ends = [starts[part] + windowing.window + windowing.horizon - 1 for part in (train, test)]
    rows = [
        f(series.times[i])
        for part, end in zip((train, test), ends, strict=True)
        for f, i in ((np.min, starts[part]), (np.max, end))
    ]
    first, last, later, end = time_names(np.array(rows))
    notes: list[Part] = [f"Each window contains {contents}."]
    if not past:
        notes.append(f"The past of {windowing.target} is left out.")
    by_time = f"by {windowing.time}, in steps of {windowing.describe_step()}"
    between = test.start - train.stop
    notes.append(
        f"The rows are {by_time if windowing.time else f'in their order; {NO_DATES}'}. Training "
        f"part: {first} to {last}; test part: {later} to {end}; the "
        f"{pluralize(between, 'window')} between them, which share rows with both parts, "
        f"{'is' if between == 1 else 'are'} left out."
    )
    notes.append(series.lost_note())
    short = np.setdiff1d(np.arange(len(series.names)), series.codes[starts])
    if short.size:
        names = list_names([series.names[code] for code in short.tolist()], 5)
        notes.append(f"In {windowing.by}, these series have no window: {names}.")
    return notes
