"""How far a long piece of work is: told by who works, shown by a view that it does not import."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, Self

from kmagic.support.formatting import format_approximate_duration, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

VIEW = (
    "kmagic.display.kit.progress_bar:view_for"  # address of the function that makes a view, or None
)
PATIENCE = 1.0  # seconds until a work is called long: what is shorter shows nothing
PAUSE = 0.2  # seconds between two looks


class ProgressView(Protocol):
    """Something that shows how far a work is."""

    def update(self, progress: Progress) -> None:
        """Show where it stands."""

    def close(self) -> None:
        """Take it away: the work is over."""


class Progress:
    """A work of so many steps; as a context it shows itself while it runs, if it takes long.

    Args:
        total: How many steps there are.
        unit: What a step is, in the plural.
        clock: Seconds that pass.
        open_view: Makes the view once the work has turned out to be long; by default one that
            suits the surroundings.

    Attributes:
        done: How many steps are done.

    Example:
        >>> ticks = iter([0.0, 2.0, 3.0])
        >>> with Progress(1000, "pictures", clock=lambda: next(ticks, 6.0)) as work:
        ...     work.advance(100)
        ...     work.advance(200)
        ...     print(work.words())
        300 of 1,000 pictures · 0:06 · about 0:14 left
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
        self._open_view = open_view or _view_of_here
        self._view: ProgressView | None = None
        self._started = self._looked = clock()
        self._opened = False
        self._first: tuple[float, int] | None = None  # when the first steps were done, and how many

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.close()

    def advance(self, steps: int = 1) -> None:
        """Say that so many more steps are done."""
        self.done += steps
        now = self._clock()
        if self._first is None:
            self._first = now, self.done
        if now - self._started < PATIENCE or now - self._looked < PAUSE or self.share >= 1:
            return
        self._looked = now
        if not self._opened:
            self._opened = True
            self._view = self._open_view()
        if self._view is not None:
            self._view.update(self)

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._started

    @property
    def left(self) -> float | None:
        """Seconds to the end, as far as anybody can know; None before the first step.

        The first steps hold what is done once, such as tracing a graph, so the pace is that of the
        later ones.
        """
        if self._first is None or not self.done:
            return None
        since, before = self._first
        steps, spent = self.done - before, self._clock() - since
        if not steps:
            steps, spent = self.done, self.elapsed
        return spent / steps * (self.total - self.done)

    def words(self) -> str:
        """Where it stands: "300 of 1,000 pictures · 0:06 · about 0:14 left"."""
        said = [f"{self.done:,} of {self.total:,} {self.unit}", format_duration(self.elapsed)]
        left = self.left
        if left is not None and self.done < self.total:
            said.append(f"about {format_approximate_duration(left)} left")
        return " · ".join(said)


def _view_of_here() -> ProgressView | None:
    module, _, name = VIEW.partition(":")
    view: ProgressView | None = getattr(import_module(module), name)()
    return view
