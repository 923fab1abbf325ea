"""How a training is ended from outside: on its own thread, and where the model is whole."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from kmagic.training.run.training_run import TrainingRun


class Stopped(BaseException):
    """The user asked the training to end.

    Like KeyboardInterrupt it is no Exception: nothing on its way to :func:`kmagic.training.fit`
    shall take it for a mistake.
    """


def check(run: TrainingRun) -> None:
    """End the training here if somebody asked for it."""
    if run.stopping:
        raise Stopped


class HeldInterrupt:
    """Holds an interrupt back until :meth:`release`, and then lets it go.

    Until its first batch is trained Keras makes weights, the optimizer's slots and the graph; an
    interrupt within leaves a model that can never be trained again. A second interrupt goes
    through at once: then the user has waited long enough.

    Outside of the main thread, which alone gets interrupts, it does nothing.
    """

    def __init__(self) -> None:
        self._before: signal._HANDLER = None
        self._holding = False
        self._pending = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                self._holding = True
                signal.signal(signal.SIGINT, self._hold)
        return self

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._holding and not self._pending:
            self._pending = True
        elif callable(self._before):
            self._before(number, frame)

    def release(self) -> None:
        """The model is whole: from here on an interrupt is one, and one that waits comes now."""
        if self._holding:
            self._holding = False
            signal.signal(signal.SIGINT, self._before)
            if self._pending:
                raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        elif self._holding:
            signal.signal(signal.SIGINT, self._before)
