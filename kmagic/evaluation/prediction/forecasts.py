"""Forecasts of windows, compared with what came and with the last value repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.windowing import SeriesRows, time_names
from kmagic.support.formatting import format_metric


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """The forecasts that follow some windows, in the units of the target.

    Attributes:
        series: The rows, and the windows.
        values: The forecasts, (windows, horizon).
        rows: The rows that they are for, likewise.
        actual: What came, likewise; nan where it is not known yet.
        naive: The last known value of each window, (windows, 1): the naive forecast.
    """

    series: SeriesRows
    values: NDArray[np.float64]
    rows: NDArray[np.intp]
    actual: NDArray[np.float64]
    naive: NDArray[np.float64]

    def errors(self) -> tuple[float, float] | None:
        """Mean absolute errors of the forecasts and of the naive ones; None if they are unknown."""
        known = np.isfinite(self.actual) & np.isfinite(self.naive)
        if not known.any():
            return None
        errors = (np.abs(each - self.actual)[known] for each in (self.values, self.naive))
        forecast, naive = (float(error.mean()) for error in errors)
        return forecast, naive

    def row_names(self, step: int) -> list[str]:
        """The series and the time of the rows that are ``step`` rows after the first forecast."""
        series = self.series
        rows = np.minimum(self.rows[:, step], len(series.times) - 1)
        names = (series.names[code] for code in series.codes[rows].tolist())
        pairs = zip(names, time_names(series.times[rows]), strict=True)
        return [", ".join(filter(None, pair)) for pair in pairs]

    def describe(self) -> str:
        """The errors in a sentence; "" if they are unknown.

        Their ratio is the relative mean absolute error (RelMAE) of Hyndman and Koehler (2006),
        "Another look at measures of forecast accuracy".
        """
        errors = self.errors()
        if errors is None:
            return ""
        forecast, naive = errors
        horizon = self.values.shape[1]
        steps = "row" if horizon == 1 else f"{horizon:,} rows"
        text = (
            f"Mean absolute error of {self.series.windowing.target} over the next {steps}: "
            f"{format_metric(forecast)}; of the naive forecast, which repeats the last value: "
            f"{format_metric(naive)}."
        )
        if not naive:
            return text
        than = "better" if forecast < naive else "not better"
        return (
            f"{text} Their ratio is {format_metric(forecast / naive)} (relative MAE, Hyndman and "
            f"Koehler 2006): {than} than the naive forecast."
        )

    def figures(self) -> dict[str, float]:
        """The errors and their ratio by name, for a card."""
        errors = self.errors()
        if errors is None:
            return {}
        ratio = {"relative MAE": errors[0] / errors[1]} if errors[1] else {}
        return {"MAE": errors[0], "naive MAE": errors[1], **ratio}


def forecasts_of(series: SeriesRows | None, output: Any) -> Forecasts | None:
    """The output of a model for the windows of a series; None if it is not its forecasts."""
    if series is None or len(output) != len(series.starts):
        return None
    values = np.asarray(output, dtype=np.float64).reshape(len(output), -1)
    if values.shape[1] != series.windowing.horizon:
        return None
    rows, actual = series.future(values.shape[1])
    naive = series.target[series.last_rows].astype(np.float64)[:, np.newaxis]
    return Forecasts(series, values, rows, actual, naive)
