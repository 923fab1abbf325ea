"""Samples in the order of time: dates, windows that overlap, and a split that respects both."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import DataError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text

_TIME = r"(?:[ T]\d{1,2}:\d{2}.*)?"
_MONTH = r"(?:jan|feb|mar|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zä]*\.?"
_DATE = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}(?:[-/.]\d{{1,2}}{_TIME})?|\d{{1,2}}([./-])\d{{1,2}}\1(?:\d{{4}}|\d{{2}}){_TIME}"
    rf"|\d{{1,2}}[. -]+{_MONTH}[ -]*(?:\d{{4}}|\d{{2}}){_TIME}|{_MONTH} \d{{1,2}},? \d{{4}}{_TIME}",
    re.IGNORECASE,
)
_DAY_OR_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2")
ANCHORS = 8  # windows that are searched for in the others
YEARS = (1900, 2100)  # of dates that are written as integers
MIN_WINDOWS = 4
MAX_DISTANCE = 32  # rows between two windows of which one continues the other
MAX_VALUES = 2**23  # that are searched
MAX_LAG, MAX_LAG_ROWS, MAX_PAIRS = 14, 1000, 1000  # that show whether columns are lags
_MOST = 0.9  # share of the windows, where several series follow one another
NO_DATES = "there is no column of dates"
_CHANCE = 0.01  # probability that equal steps are a coincidence


def looks_like_date(word: str) -> bool:
    """Whether a cell is a date, perhaps with a time.

    Example:
        >>> words = ("2020-01-31", "31.1.2020 10:15", "5-Jan-20", "Jan 5, 2020", "1.5", "2020")
        >>> [looks_like_date(word) for word in words]
        [True, True, True, True, False, False]
    """
    if re.fullmatch(r"\d{4}\.\d{1,2}", word):  # a decimal number
        return False
    return _DATE.fullmatch(word.strip()) is not None


def number_dates(cells: Any) -> Any | None:
    """A pandas Series of numbers as dates: 20200131, or seconds or milliseconds since 1970.

    Returns:
        The dates, NaT where there is no number; None if the numbers are none.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    values = cells.dropna().to_numpy(dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        return None
    low, high = (year * 10_000 for year in YEARS)
    if ((values > low) & (values < high) & (values == np.rint(values))).all():
        words = cells.astype("Int64").astype(str)
        dates = pd.to_datetime(words, format="%Y%m%d", errors="coerce")
        return dates if dates.notna().sum() == len(values) else None
    scales: dict[Literal["s", "ms"], int] = {"s": 1, "ms": 1000}
    for unit, scale in scales.items():
        if ((values > 3e8 * scale) & (values < 4.1e9 * scale)).all():  # 1979 to 2099
            return pd.to_datetime(cells, unit=unit)
    return None


def parse_dates(cells: Any, column: str) -> Any:
    """The cells of a pandas Series as dates, NaT where one is empty.

    Whether "1/2/2020" is in January or February follows from the other dates, or from their order;
    otherwise the column is rejected.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    if pd.api.types.is_numeric_dtype(cells) and (dates := number_dates(cells)) is not None:
        return dates
    if not (pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)):
        is_period = isinstance(cells.dtype, pd.PeriodDtype)
        return cells.dt.to_timestamp() if is_period else pd.to_datetime(cells, utc=True)
    words = cells.dropna().astype(str).str.strip()
    if len(words) and words.str.isdecimal().all():
        dates = number_dates(pd.to_numeric(words).reindex(cells.index))
        if dates is not None:
            return dates
    pairs = [match for word in words.unique() if (match := _DAY_OR_MONTH.match(word))]
    can_be = {  # day first or not
        True: all(int(match[3]) <= 12 for match in pairs),  # noqa: PLR2004 - months
        False: all(int(match[1]) <= 12 for match in pairs),  # noqa: PLR2004 - months
    }
    if not pairs or len(pairs) < words.nunique():  # day and month are known by their form
        can_be = {False: not pairs}
    elif {match[2] for match in pairs} == {"."}:
        can_be[False] = False
    readings, wrong = [], ""
    # pandas ignores dayfirst where points separate the numbers
    slashed = words.str.replace(_DAY_OR_MONTH, r"\1/\3/", regex=True)
    for day_first in (day_first for day_first, is_possible in can_be.items() if is_possible):
        dates = pd.to_datetime(
            slashed, dayfirst=day_first, format="mixed", errors="coerce", utc=True
        )
        if dates.isna().any():
            wrong = words[dates.isna()].iloc[0]
        else:
            readings.append(dates.reindex(cells.index))
    if len(readings) > 1:
        in_order = [dates for dates in readings if dates.dropna().is_monotonic_increasing]
        readings = in_order if len(in_order) == 1 else readings
    if len(readings) == 1:
        return readings[0]
    if not readings and wrong:
        reason = f"Column {column} contains {wrong!r}, which is not a date like the others."
        raise DataError(reason, "Correct this cell, or leave out the row.")
    reason = "can be day/month or month/day" if readings else "are not all written in one way"
    raise DataError(
        f"The dates of {column} {reason}, e.g. {words.iloc[0]!r}.",
        f'Convert them first: frame["{column}"] = pandas.to_datetime(frame["{column}"], '
        "dayfirst=True).",
    )


# --- windows --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overlap:
    """How the windows of a time series overlap.

    Attributes:
        gap: Number of windows after one that have steps in common with it; 0 if not in order.
        in_order: Whether each window begins after the one before it.
    """

    gap: int
    in_order: bool


def find_overlap(x: NDArray[Any]) -> Overlap | None:
    """Find out whether samples are windows of a series, and share steps with each other.

    Args:
        x: Windows, (samples, steps[, features]).

    Returns:
        How they overlap; None if they do not.

    Example:
        >>> import numpy as np
        >>> series = np.random.default_rng(0).random(100)
        >>> find_overlap(np.lib.stride_tricks.sliding_window_view(series, 10))
        Overlap(gap=9, in_order=True)
        >>> find_overlap(series.reshape(10, 10)) is None
        True
    """
    if x.ndim not in (2, 3) or len(x) < MIN_WINDOWS or x.shape[1] < 3 or x.dtype.kind not in "iuf":  # noqa: PLR2004 - axes, steps
        return None
    windows = x[: MAX_VALUES // x[0].size or 1]
    windows = windows[..., np.newaxis] if x.ndim == 2 else windows  # noqa: PLR2004 - axes
    steps = x.shape[1]
    for distance in range(1, min(len(windows) // 2, MAX_DISTANCE) + 1):
        earlier, later = windows[:-distance], windows[distance:]
        for shift in range(1, steps if x.ndim > 2 else steps - 1):  # noqa: PLR2004 - features
            if _continues(earlier[:ANCHORS], later[:ANCHORS], shift) and _continues(
                earlier, later, shift
            ):
                return Overlap(-(-steps * distance // shift) - 1, in_order=True)
    windows = windows[: max(MAX_VALUES // 8 // windows[0].size, MIN_WINDOWS)]
    anchors = np.unique(np.linspace(0, len(windows) - 1, ANCHORS).astype(int)).tolist()
    rates = [rate for row in anchors if (rate := _steps_per_window(windows, row))]
    if 2 * len(rates) < len(anchors):
        return None
    if len(set(rates)) == 1:  # perhaps with the latest window or the latest step first
        return Overlap(math.ceil(steps / abs(rates[0])) - 1, in_order=True)
    return Overlap(0, in_order=False)


def _continues(earlier: NDArray[Any], later: NDArray[Any], shift: int) -> bool:
    """Whether nearly all windows begin ``shift`` steps after another one."""
    shared = earlier[:, shift:]
    if (later[:, :1] == shared[:, :1]).all(axis=(1, 2)).mean() < _MOST:
        return False
    is_same = (later[:, :-shift] == shared).all(axis=(1, 2))
    if is_same.mean() < _MOST:
        return False
    if shared.shape[1] > 1:
        return bool((shared != shared[:, :1]).any(axis=(1, 2)).mean() >= 1 / 2)
    _, counts = np.unique(shared[:, 0], axis=0, return_counts=True)
    return bool(counts.max() <= len(shared) / 2)


def _steps_per_window(windows: NDArray[Any], row: int) -> float | None:
    """Steps from this window to the next; None if no other one has its last steps.

    They must be more steps than chance explains.
    """
    window, steps = windows[row], windows.shape[1]
    matches = (windows == window[-1]).all(axis=2)
    matches[row] = False
    chance: list[float] = []  # logarithms of how frequent the last steps are
    for step in range(steps - 1):
        frequency = (windows[:, -1] == window[steps - 1 - step]).all(axis=1).mean()
        chance.append(float(np.log(max(frequency, 1 / len(windows)))))
    limit = np.log(_CHANCE / windows[..., 0].size)
    for step in np.flatnonzero(np.cumsum(chance) < limit).tolist():
        rows, shared = np.flatnonzero(matches[:, step]), window[steps - 1 - step :]
        for part in (slice(0, 1), slice(step // 2, step), slice(0, step)):  # cheap ones first
            rows = rows[(windows[rows, part] == shared[part]).all(axis=(1, 2))]
        if rows.size:
            distances = rows - row
            return float((steps - 1 - step) / distances[np.abs(distances).argmin()])
    return None


def find_lag(frame: Any) -> str:
    """Which column of a data frame has the values of another one some rows later; "" if none has.

    Example:
        >>> import pandas as pd
        >>> sales = pd.Series([3.0, 9.0, 4.0, 7.0, 1.0, 8.0])
        >>> find_lag(pd.DataFrame({"sales": sales, "before": sales.shift(2)}))
        'before is sales of 2 rows before'
    """
    columns = {}
    for name, cells in frame[:MAX_LAG_ROWS].select_dtypes("number", exclude="complex").items():
        values = cells.to_numpy(dtype=float, na_value=np.nan)
        is_other = np.isinf(values).any() or len(np.unique(np.diff(values))) == 1
        if not is_other and len(np.unique(values)) > len(values) / 2:
            columns[name] = values
    for (name, later), (other, earlier) in islice(permutations(columns.items(), 2), MAX_PAIRS):
        for lag in range(1, min(MAX_LAG, len(later) // 2) + 1):
            if (later[lag:] == earlier[:-lag]).mean() >= _MOST:
                return f"{name} is {other} of {pluralize(lag, 'row')} before"
    return ""


# --- split ----------------------------------------------------------------------------------------


def chronological_indices(
    order: NDArray[np.intp], fraction: float, gap: int, name: str
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows before and after a point in time, without the ``gap`` rows before it.

    Example:
        >>> train, test = chronological_indices(np.arange(10), 0.3, 2, "sales")
        >>> train.tolist(), test.tolist()
        ([0, 1, 2, 3, 4], [7, 8, 9])
    """
    rows = len(order)
    count = min(max(round(rows * fraction), 1), rows - 1)
    if rows - count - gap < 1:
        raise DataError(
            f"{name} has {pluralize(rows, 'window')}, too few for a chronological split: {count:,} "
            f"for the test part leave none before the gap of {gap:,} that overlap with it.",
            Text("Use a smaller ", Option("split"), ", or shorter windows."),
        )
    return order[: rows - count - gap], order[rows - count :]


def time_order(frame: Any, dates: Sequence[str]) -> tuple[NDArray[np.intp], str]:
    """The order of the rows by their date, and what it is taken from, as the end of a sentence."""
    if not dates:
        return np.arange(len(frame)), f"in the order of the rows; {NO_DATES}"
    order = np.argsort(row_times(frame, dates), kind="stable").astype(np.intp)
    return order, f"by the dates in {dates[0]}"


def row_times(frame: Any, dates: Sequence[str]) -> NDArray[np.datetime64]:
    """The date of each row, from the only column of dates."""
    if len(dates) > 1:
        raise DataError(
            f"More than one column contains dates: {', '.join(dates)}.",
            Text("Leave out all but one: ", Option("drop", ",".join(dates[1:])), "."),
        )
    cells = frame[dates[0]].reset_index(drop=True)
    values = parse_dates(cells, dates[0])
    if str(getattr(cells.dtype, "tz", None)) not in ("None", "UTC"):
        days = cells.dt.tz_localize(None)  # in UTC, midnight may be on another day
        values = days if days.dropna().eq(days.dropna().dt.normalize()).all() else values
    missing = np.flatnonzero(values.isna())
    if missing.size:
        raise DataError(
            f"Column {dates[0]} has no date in {missing.size:,} rows, first in row {missing[0]:,} "
            "(counted from 0).",
            Text("Leave these rows out: ", Option("missing", "drop"), "."),
        )
    naive = values.dt.tz_localize(None) if values.dt.tz is not None else values
    return np.asarray(naive.to_numpy().astype("datetime64[us]"))
