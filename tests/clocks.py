"""A clock for tests."""

from __future__ import annotations


class Clock:
    """A clock that changes only when a test sets it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
