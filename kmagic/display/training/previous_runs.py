"""Earlier runs behind a run's curves: what is kept of them, and how far they stretch the scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kmagic.support.downsampling import downsample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kmagic.support.downsampling import Point
    from kmagic.training.run.training_run import TrainingRun

MOST_RUNS = 3
MOST_POINTS = 24
MOST_CURVES = 12


class Behind:
    """Puts the curves of earlier runs of the same model into a run's record when it begins.

    It stands among the views as the first of them, and shows nothing itself.

    Args:
        earlier: RunHistory, oldest first; the last three of the same model's name count.
    """

    interval = math.inf

    def __init__(self, earlier: Iterable[TrainingRun]) -> None:
        self._earlier = tuple(earlier)

    def begin(self, run: TrainingRun) -> None:
        """Choose among them, and keep what is to be drawn."""
        known = [
            each
            for each in self._earlier
            if each is not run and each.model_name == run.model_name and each.log
            # One that this run goes on with is its own beginning.
            if run.log[: len(each.log)] != each.log
        ]
        run.earlier = [ghost(each) for each in known[-MOST_RUNS:]]

    def update(self, run: TrainingRun) -> None:
        """Nothing."""

    def epoch(self, run: TrainingRun) -> None:
        """Nothing."""

    def end(self, run: TrainingRun) -> None:
        """Nothing."""


def ghost(run: TrainingRun) -> dict[str, list[Point]]:
    """What is left of a run for others to be compared with: few points, extremes kept."""
    keys = [key for name in run.metrics for key in (f"val_{name}", name)]
    curves = ((key, run.curve(key)) for key in keys)
    some = [(key, downsample(points, MOST_POINTS)) for key, points in curves if points]
    return dict(some[:MOST_CURVES])


def words(run: TrainingRun) -> str:
    """What the grey curves are, for the card's foot; "" if there are none."""
    runs = len(run.earlier)
    return "" if not runs else "grey: the run before" if runs == 1 else f"grey: {runs} runs before"


def of(run: TrainingRun, name: str) -> list[list[Point]]:
    """A figure's curve in each earlier run: its validation, where this run validates, too."""
    validated = not run.log or f"val_{name}" in run.log[-1].logs
    keys = (f"val_{name}", name) if validated else (name,)
    found = (next((each[key] for key in keys if key in each), []) for each in run.earlier)
    return [points for points in found if points]


def reach(values: Sequence[float], ghosts: Iterable[Sequence[Point]], end: float) -> list[float]:
    """Values for the scale to hold, so that ghosts are seen and never flatten what is new.

    Args:
        values: What the scale holds without them.
        ghosts: Their points.
        end: Where the axis ends; what lies beyond does not count.

    Example:
        >>> reach([0.2, 0.3], [[(1, 0.25), (2, 9.0)]], 10)
        [0.25, 0.4]
    """
    seen = [y for points in ghosts for x, y in points if x <= end and math.isfinite(y)]
    real = [value for value in values if math.isfinite(value)]
    low, high = min(real, default=0.0), max(real, default=0.0)
    span = high - low
    if not span:
        return seen
    return [float(f"{min(max(y, low - span), high + span):.12g}") for y in seen]
