"""Lists of all runs of this process, such as the one that ``%keras_history`` shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from kmagic.training.run.training_run import TrainingRun


class RunList(list[TrainingRun]):
    """The runs that began since it was made, oldest first, however they were started or ended."""

    __hash__ = object.__hash__  # type: ignore[assignment] # told apart by its identity

    def __init__(self) -> None:
        super().__init__()
        _lists.add(self)


_lists: WeakSet[RunList] = WeakSet()


def list_run(run: TrainingRun) -> None:
    """Add a run that begins to all lists."""
    for runs in list(_lists):
        runs.append(run)


@contextmanager
def no_run_listed() -> Iterator[None]:
    """Leave the runs that begin now out of all lists: they are parts of another result."""
    lists = list(_lists)
    _lists.clear()
    try:
        yield
    finally:
        _lists.update(lists)
