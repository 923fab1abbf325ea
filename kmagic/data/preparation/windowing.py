"""Windows of the rows of a table in the order of time, of one series or of several."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kmagic.data.preparation.cell_format import CellFormat
from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.data.time_order import NO_DATES, row_times
from kmagic.support.disk_arrays import convert_rows
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Option, Text

Indices = NDArray[np.intp]

MAX_STEP = 1.5  # usual steps, from which one is a gap
MAX_CLOSED_DAYS = 7  # without a working day, for daily rows without weekends
WORKING_DAYS = 5  # of a week
MIN_KEPT = 0.5  # share of the windows, without those across gaps
DAY = 86_400.0  # seconds
MAX_COPY_BYTES = 100_000_000  # of windows that are copied into memory


@dataclass(frozen=True, slots=True)
class Windowing:
    """How a table becomes windows, each with the values to predict that follow it.

    Attributes:
        window: Number of rows of a window.
        horizon: Number of rows after it whose target is predicted.
        stride: Number of rows from one window to the next one.
        target: The column to predict.
        by: The column that says to which series a row belongs; "" for a single one.
        time: The column of dates; "" where the rows are in their order.
        step: Usual seconds, or rows, between two rows of a series.
        limit: Seconds, or rows, from which on there is a gap between two rows.
        target_format: How the cells of the target are written.
    """

    window: int
    horizon: int = 1
    stride: int = 1
    target: str = ""
    by: str = ""
    time: str = ""
    step: float = 1.0
    limit: float = MAX_STEP
    target_format: CellFormat = field(default=CellFormat(), repr=False)

    def arrange(
        self,
        frame: Any,
        target: Any,
        *,
        ahead: int,
        positions: Indices | None = None,
        uncounted: Text | str = "",
    ) -> SeriesRows:
        """Sort the rows of a data frame, and find the windows that they contain.

        Args:
            frame: The rows, with the columns ``time`` and ``by``.
            target: The target of each row; nan where it is unknown.
            ahead: Rows that must follow a window; 0 for forecasts.
            positions: To learn the usual step: the index of each row in a table of which some rows
                are left out.
            uncounted: How to leave out the dates, if that is possible.

        Raises:
            DataError: A date or a series is missing, two rows of a series have the same date, or
                the rows have no window.
        """
        missing = [name for name in (self.time, self.by) if name and name not in frame.columns]
        if missing:
            raise DataError(
                f"The table has no column {missing[0]}; it has {list_names(frame.columns)}.",
                "Add it: it says "
                + ("when each row was." if missing[0] == self.time else "the series of each row."),
            )
        codes, names = self._series(frame)
        times = row_times(frame, [self.time]) if self.time else self._places(codes, positions)
        order = np.lexsort((times, codes)).astype(np.intp)
        codes, times = codes[order], times[order]
        steps = np.diff(times)
        steps = steps / np.timedelta64(1, "s") if self.time else steps.astype(float)
        is_next = codes[1:] == codes[:-1]
        self._check_repeated(frame, times[1:][is_next & (steps == 0)])
        used = self if positions is None else self._learned(times, steps[is_next])
        is_gap = (steps >= used.limit) | (steps < used.step / 2)
        runs = np.concatenate([[0], np.cumsum(~is_next | is_gap)])
        places = np.unique(times, return_inverse=True)[1].reshape(-1)
        rows = SeriesRows(used, order, codes, names, times, runs, places, target[order])
        return rows.with_windows(ahead, uncounted)

    def _series(self, frame: Any) -> tuple[Indices, tuple[str, ...]]:
        if not self.by:
            return np.zeros(len(frame), np.intp), ("",)
        import pandas as pd  # noqa: PLC0415 - half a second to import

        codes, names = pd.factorize(frame[self.by], sort=True)
        if empty := int((codes < 0).sum()):
            raise DataError(
                f"Column {self.by} has no value in {pluralize(empty, 'row')}.",
                Text("Leave these rows out: ", Option("missing", "drop"), "."),
            )
        return codes.astype(np.intp), tuple(map(str, names))

    def _places(self, codes: Indices, positions: Indices | None) -> Indices:
        """Where each row is in its series, if there are no dates."""
        if not self.by:
            return np.arange(len(codes)) if positions is None else positions
        counts = np.bincount(codes)
        is_whole = positions is None or positions[-1] == len(positions) - 1
        if counts.min() < counts.max() or not is_whole:
            raise DataError(
                f"The series in {self.by} lack rows, and {NO_DATES}: it is unknown which rows are "
                "of the same time.",
                "Add a column of dates.",
            )
        places = np.empty(len(codes), np.intp)
        places[np.argsort(codes, kind="stable")] = np.tile(np.arange(counts[0]), len(counts))
        return places

    def _check_repeated(self, frame: Any, repeated: Any) -> None:
        """Reject rows of one series at the same time."""
        if not len(repeated):
            return
        first, count = time_names(repeated[:1])[0], pluralize(len(repeated), "row")
        drop_them = f"frame.drop_duplicates({[*filter(None, (self.by, self.time))]!r})."
        if self.by:
            raise DataError(
                f"{count} of {self.time} repeat a date of the same series in {self.by}, first "
                f"{first}.",
                f"Leave them out: {drop_them}",
            )
        series = [
            name
            for name in frame.columns
            if frame[name].nunique() * (self.window + self.horizon) <= len(frame)
            and not frame.duplicated([self.time, name]).any()
        ]
        raise DataError(
            f"{count} of {self.time} repeat a date, first {first}.",
            Text("Name the column that tells the series apart: ", Option("by", *series[:1]), ".")
            + ("" if series else f" If there is only one series, leave the rows out: {drop_them}"),
        )

    def _learned(self, times: Any, steps: NDArray[np.float64]) -> Windowing:
        """The same with the usual step of these rows, and the step that is a gap."""
        if not len(steps) or not self.time:
            return self
        step = float(np.median(steps))
        limit = MAX_STEP * step
        weekdays = np.unique(times.astype("datetime64[D]").astype(np.int64) % 7)
        if step == DAY and len(weekdays) <= WORKING_DAYS:  # not Monday to Friday everywhere
            limit = (MAX_CLOSED_DAYS + 1) * DAY
        return replace(self, step=step, limit=limit)

    def describe_step(self) -> str:
        """The usual step: "1 day", "15 minutes", "1 row"."""
        if not self.time:
            return "1 row"
        units = {"day": DAY, "hour": 3600.0, "minute": 60.0, "second": 1.0}
        unit, seconds = next(
            (item for item in units.items() if self.step >= item[1]), ("second", 1.0)
        )
        return f"{self.step / seconds:g} {unit}{'' if self.step == seconds else 's'}"


def time_names(times: Any) -> list[str]:
    """Dates, with a time where one is not midnight; or numbers of rows.

    Example:
        >>> time_names(np.array(["2024-01-31T00", "2024-02-01T12"], "datetime64[us]"))
        ['2024-01-31 00:00', '2024-02-01 12:00']
    """
    if times.dtype.kind != "M":
        return [f"row {number:,}" for number in times.tolist()]
    for unit in ("D", "m", "s", "us"):
        if unit == "us" or (times.astype(f"datetime64[{unit}]") == times).all():
            break
    return [text.replace("T", " ") for text in np.datetime_as_string(times, unit=unit).tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesRows:
    """The rows of all series, one series after the other, each in the order of time.

    Attributes:
        windowing: How they become windows.
        order: Their indices in the table.
        codes: The series of each row, as an index into ``names``.
        names: Names of the series.
        times: The time of each row.
        runs: A number for each row, equal for rows without a gap between them.
        places: The index of each row's time among all times.
        target: The target of each row; nan where it is unknown.
        starts: The first row of each window, in the order of time.
        lost: Number of windows that are left out because there is a gap in them.
    """

    windowing: Windowing
    order: Indices
    codes: Indices
    names: tuple[str, ...]
    times: Any
    runs: Indices
    places: Indices
    target: NDArray[Any]
    starts: Indices = field(default_factory=lambda: np.empty(0, np.intp))
    lost: int = 0

    def with_windows(self, ahead: int, uncounted: Text | str = "") -> SeriesRows:
        """All windows that ``ahead`` further rows follow without a gap."""
        used, length = self.windowing, self.windowing.window + ahead
        first = np.arange(max(len(self.order) - length + 1, 0))
        if ahead:
            first = first[self.places[first] % used.stride == 0]
        last = first + length - 1
        possible = int((self.codes[first] == self.codes[last]).sum())
        starts = first[self.runs[first] == self.runs[last]]
        if not possible:
            longest = pluralize(int(np.bincount(self.codes).max()), "row")
            whole = f"The longest series in {used.by}" if used.by else "The table"
            followed = f" followed by {ahead:,} to predict" if ahead else ""
            raise DataError(
                f"{whole} has {longest}, fewer than a window of {used.window:,}{followed}.",
                Text("Use a smaller ", Option("window"), ".")
                if ahead
                else f"Pass at least {used.window:,} rows, in the order of time.",
            )
        if len(starts) < MIN_KEPT * possible:
            where, remedy = f"The steps in {used.time}", Text("Fill the gaps, or use the mean of ")
            remedy += "equal steps: frame.resample(rule, on=column).mean()."
            if uncounted:
                remedy += Text(
                    " To count rows instead of time, sort the table and ", uncounted, "."
                )
            if not used.time:
                where, remedy = "The rows that are left", Text("Fill the missing rows.")
            raise DataError(
                f"{where} are irregular: {possible - len(starts):,} of {possible:,} windows "
                f"contain a gap; the usual step is {used.describe_step()}.",
                remedy,
            )
        starts = starts[np.lexsort((self.codes[starts], self.places[starts]))]
        return replace(self, starts=starts, lost=possible - len(starts))

    def windows(self, rows: NDArray[Any], offset: int = 0, length: int = 0) -> NDArray[Any]:
        """Windows of values of the rows, (windows, length, columns).

        They are a view where each begins the same number of rows after the one before it. Several
        series of the same times alternate for this. Else they are a copy, on disk if it is large.

        Args:
            rows: The values, (rows, columns), in the order of this object.
            offset: Rows from the beginning of a window to the first value.
            length: Number of values. Default: the length of a window.
        """
        length = length or self.windowing.window
        series = len(self.names)
        times = len(rows) // series
        expected = np.tile(np.arange(times), series)
        places = self.places[self.starts] * series + self.codes[self.starts]
        steps = np.diff(places)
        is_even = not len(steps) or bool((steps == steps[0]).all())
        if is_even and np.array_equal(self.places, expected):
            alternating = rows.reshape(series, times, -1).swapaxes(0, 1).reshape(len(rows), -1)
            from_first = alternating[int(places[0]) + offset * series :]
            step = int(steps[0]) if len(steps) else 1
            return SlidingRows(from_first, length, len(places), step, series).windows()
        spans = sliding_window_view(rows, length, axis=0).swapaxes(1, 2)
        first, size = self.starts + offset, length * rows[:1].nbytes
        if len(first) * size <= MAX_COPY_BYTES:
            return np.ascontiguousarray(spans[first])
        return convert_rows(first, lambda some: spans[some], row_bytes=size, unit="windows copied")

    def part(self, windows: slice | NDArray[np.bool_]) -> SeriesRows:
        """The same rows with some of the windows."""
        return replace(self, starts=self.starts[windows])

    def future(self, steps: int) -> tuple[Indices, NDArray[Any]]:
        """The rows after each window and their targets, (windows, steps); nan where unknown."""
        after = self.starts[:, np.newaxis] + self.windowing.window + np.arange(steps)
        known = np.minimum(after, len(self.order) - 1)
        values = self.target[known].astype(np.float64)
        values[(after != known) | (self.runs[known] != self.runs[self.starts][:, None])] = np.nan
        return after, values

    @property
    def last_rows(self) -> Indices:
        """The last row of each window."""
        return self.starts + self.windowing.window - 1

    def lost_note(self) -> str:
        """The windows that are left out, in a sentence; "" if there are none."""
        where = self.windowing.time or "their rows"
        lost = f"{pluralize(self.lost, 'window')} left out, because there is a gap in {where}."
        return lost if self.lost else ""

    def window_names(self) -> list[str]:
        """The time of the last row of each window, after the name of its series."""
        last = self.last_rows
        names = (self.names[code] for code in self.codes[last].tolist())
        pairs = zip(names, time_names(self.times[last]), strict=True)
        return [", ".join(filter(None, pair)) for pair in pairs]
