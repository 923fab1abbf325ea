"""The confusion matrix of the validation data after each epoch, for ``watch="confusion"``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from kmagic.support.errors import KmagicError, TrainingError
from kmagic.support.messages import Option, Text
from kmagic.training.fit_inputs import split_index
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.training_run import TrainingRun

if TYPE_CHECKING:
    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion


def confusion_data(arguments: Mapping[str, Any], confusion: ValidationConfusion) -> Any:
    """The validation data as a pair of arrays, or as a stream that can be read repeatedly.

    Raises:
        TrainingError: There is no validation data, or it has no confusion matrix.
    """
    watch = Option("watch", "confusion")
    validation = arguments.get("validation_data")
    split = arguments.get("validation_split")
    if validation is None and split and arguments.get("y") is not None:
        pair = arguments["x"], arguments["y"]
        samples = len(keras.tree.flatten(pair[0])[0])
        start = split_index(samples, split)
        validation = keras.tree.map_structure(lambda array: array[start:], pair)
    if validation is None:
        raise TrainingError(
            Text(watch, " needs validation data."),
            Text("Keep some of the data for it: ", Option("validation_split", 0.1), "."),
        )
    if isinstance(validation, tuple | list):
        try:
            confusion.check(validation[1])
        except KmagicError as error:
            raise TrainingError(error.message_text, error.remedy_text) from error
        return validation
    if hasattr(validation, "__next__"):
        raise TrainingError(
            Text(
                watch,
                " reads the validation data after each epoch, but a generator can be read only "
                "once.",
            ),
            "Pass arrays or a tf.data.Dataset.",
        )
    steps = arguments.get("validation_steps")
    return validation.take(steps) if steps and hasattr(validation, "take") else validation


class ConfusionCallback(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Adds each epoch's confusion matrix to the record; it precedes the recorder's callback."""

    def __init__(self, run: TrainingRun, confusion: ValidationConfusion, validation: Any) -> None:
        super().__init__()
        self._run = run
        self._confusion = confusion
        self._validation = validation

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The epoch is validated; a stop or an interrupt skips the matrix and nothing else."""
        if self._validation is None:
            return
        try:
            matrix = self._confusion(self._validation, lambda: self._run.stopping)
        except KmagicError as error:
            self._validation = None
            self._run.add_message(error.message)
            return
        except KeyboardInterrupt:  # the epoch is complete: keep it, and stop after it
            self._run.stop()
            return
        if matrix is None:
            return
        classes = self._confusion.classes
        if self._run.confusion is None or self._run.confusion.classes != classes:
            self._run.confusion = ConfusionHistory(classes)
        self._run.confusion.add(epoch + 1, matrix)
