"""Progress of a long operation, shown by a view that this module does not import."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, Self

from kmagic.support.formatting import format_approximate_duration, format_duration
from kmagic.support.rendering import import_address

VIEW_FACTORY = "kmagic.display.kit.progress_bar:progress_view"
"""Address of a function that creates a view for this environment, or returns None."""
DELAY = 1.0
"""Seconds before a view appears: shorter operations show nothing."""
INTERVAL = 0.2
"""Minimum time between two updates, in seconds."""


class ProgressView(Protocol):
    """Shows the progress of an operation."""

    def update(self, progress: Progress) -> None:
        """Show the current state."""

    def close(self) -> None:
        """Remove the view: the operation has ended."""


class Progress:
    """Progress of an operation with a known number of steps.

    As a context manager it shows a view while the operation runs, if that takes more than a second.
    ``open_view`` creates it; by default one that suits the environment.

    Example:
        >>> ticks = iter([0.0, 2.0, 3.0])
        >>> with Progress(1000, "images", clock=lambda: next(ticks, 6.0)) as work:
        ...     work.advance(100)
        ...     work.advance(200)
        ...     print(work.to_text())
        300 of 1,000 images · 0:06 · about 0:14 left
    """

    def __init__(
        self,
        total: int,
        unit: str = "samples",
        *,
        clock: Callable[[], float] = time.monotonic,
        open_view: Callable[[], ProgressView | None] | None = None,
    ) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self._clock = clock
        self._open_view = open_view or _default_view
        self._view: ProgressView | None = None
        self._started = self._updated = clock()
        self._opened = False
        self._first: tuple[float, int] | None = None  # time and number of the first steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.close()

    def advance(self, steps: int = 1) -> None:
        """Count further steps as finished."""
        self.done += steps
        now = self._clock()
        if self._first is None:
            self._first = now, self.done
        if now - self._started < DELAY or now - self._updated < INTERVAL or self.fraction >= 1:
            return
        self._updated = now
        if not self._opened:
            self._opened = True
            self._view = self._open_view()
        if self._view is not None:
            self._view.update(self)

    @property
    def fraction(self) -> float:
        """Finished fraction, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    @property
    def remaining(self) -> float | None:
        """Estimated seconds to the end; None before the first step.

        The first steps include one-time work such as tracing a graph, so the estimate uses the
        later ones.
        """
        if self._first is None or not self.done:
            return None
        since, before = self._first
        steps, spent = self.done - before, self._clock() - since
        if not steps:
            steps, spent = self.done, self.elapsed
        return spent / steps * (self.total - self.done)

    def to_text(self) -> str:
        """The state as text: "300 of 1,000 images · 0:06 · about 0:14 left"."""
        parts = [f"{self.done:,} of {self.total:,} {self.unit}", format_duration(self.elapsed)]
        remaining = self.remaining
        if remaining is not None and self.done < self.total:
            parts.append(f"about {format_approximate_duration(remaining)} left")
        return " · ".join(parts)


def _default_view() -> ProgressView | None:
    view: ProgressView | None = import_address(VIEW_FACTORY)()
    return view
