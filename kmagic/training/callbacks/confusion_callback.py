"""The confusion matrix of the validation data after each epoch, counted by a judge from above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from kmagic.support.errors import KmagicError, TrainingError
from kmagic.training.run.confusion_history import ConfusionHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from kmagic.training.run.training_run import TrainingRun


class Judge(Protocol):
    """Who counts what a model takes for what."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    def check(self, y: Any) -> None:
        """Refuse targets that are no classes, by a KmagicError."""

    def __call__(self, held: Any, stop: Callable[[], bool]) -> NDArray[Any] | None:
        """The matrix of ``held``, a pair of arrays or a stream; None where ``stop`` said so."""


def held_back(arguments: Mapping[str, Any], judge: Judge) -> Any:
    """What is validated, as a pair of arrays or as a stream that can be gone through again.

    Args:
        arguments: Those of ``model.fit``.
        judge: Looks at the targets, where they are there already.

    Raises:
        TrainingError: Nothing is validated, or what is cannot be watched.
    """
    import keras  # noqa: PLC0415 - takes seconds

    held = arguments.get("validation_data")
    split = arguments.get("validation_split")
    if held is None and split and arguments.get("y") is not None:
        pair = arguments["x"], arguments["y"]
        samples = len(keras.tree.flatten(pair[0])[0])
        at = math.floor(samples * (1.0 - split))  # as Keras rounds
        held = keras.tree.map_structure(lambda each: each[at:], pair)
    if held is None:
        raise TrainingError(
            "watch='confusion' shows the validation data, and nothing is validated.",
            "Keep some of the data for it: `--val 0.1` (validation_split=0.1).",
        )
    if isinstance(held, tuple | list):
        try:
            judge.check(held[1])
        except KmagicError as error:
            raise TrainingError(error.message, error.remedy) from error
        return held
    if hasattr(held, "__next__"):
        raise TrainingError(
            "watch='confusion' goes through the validation data again after each epoch, and a "
            "generator can be gone through once.",
            "Give arrays or a tf.data.Dataset.",
        )
    steps = arguments.get("validation_steps")
    return held.take(steps) if steps and hasattr(held, "take") else held


def watching(run: TrainingRun, judge: Judge, held: Any) -> Any:
    """A callback that puts the matrix into the record; it belongs before the recorder."""
    import keras  # noqa: PLC0415 - takes seconds

    class Watching(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
        every_batch = False

        def __init__(self) -> None:
            super().__init__()
            self._held = held

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            """The epoch is validated; a stop or interrupt leaves the matrix out, and it alone."""
            del logs
            if self._held is None:
                return
            try:
                matrix = judge(self._held, lambda: run.stopping)
            except KmagicError as error:
                self._held = None
                run.add_message(error.message)
                return
            except KeyboardInterrupt:  # the epoch is whole: it is kept, and the last one
                run.stop()
                return
            if matrix is None:
                return
            if run.confusion is None or run.confusion.classes != judge.classes:
                run.confusion = ConfusionHistory(judge.classes)
            run.confusion.add(epoch + 1, matrix)

    return Watching()
