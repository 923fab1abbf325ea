"""Time for a test."""

from __future__ import annotations


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
