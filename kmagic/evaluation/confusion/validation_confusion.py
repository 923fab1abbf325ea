"""The confusion matrix of the validation data during training, after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.inspection import count_batches, stream_kind
from kmagic.evaluation.confusion.confusion_metrics import count_confusions
from kmagic.evaluation.confusion.label_arrays import LabeledPredictions
from kmagic.evaluation.prediction.batch_prediction import (
    predict_batch,
    stream_batches,
)
from kmagic.evaluation.prediction.model_outputs import select_output, targets_for
from kmagic.evaluation.prediction.predictions import OutputKind
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.models.keras_history import nested_layers
from kmagic.models.model_arrays import dense_rows, sample_shape, sparse_rows
from kmagic.support.errors import EvaluationError
from kmagic.support.keras_import import keras
from kmagic.support.messages import Function, Option, Text

MAX_SAMPLES, MAX_BYTES = 256, 8_000_000  # of one batch: samples, and bytes of input
TWO = 2  # classes of one unit, axes of a table, parts of a batch


class ValidationConfusion:
    """Computes the confusion matrix of a model that is being trained.

    Args:
        model: A Keras model. Of several outputs, only one has classes, or ``output`` names it.
        classes: Names of the classes; if their number is not that of the model, the class
            indices are shown.
        is_multilabel: Whether a sample can have several labels, which is refused.
        output: The output that is watched.

    Raises:
        EvaluationError: The model has no classes.
    """

    def __init__(
        self,
        model: Any,
        classes: Sequence[str] | None = None,
        *,
        is_multilabel: bool = False,
        output: str | None = None,
    ) -> None:
        self._whole, self._output = model, output
        model = self._model
        if is_multilabel:
            raise _several_labels()
        outputs = getattr(model, "outputs", None)
        rank = len(outputs[0].shape) if outputs else TWO
        if rank != TWO:
            raise _not_available(f"{model.name} does not return one prediction per sample")
        self._units = int(outputs[0].shape[-1]) if outputs else 0
        self._names = tuple(classes or ())
        self.classes = self._classes_for(self._units)

    @property
    def _model(self) -> Any:
        """The model, or that of the output, which may have been compiled since."""
        return select_output(self._whole, self._output)

    def _classes_for(self, units: int) -> tuple[str, ...]:
        count = max(units, TWO)
        return self._names if len(self._names) == count else tuple(map(str, range(count)))

    def check(self, y: Any) -> None:
        """Reject targets that are not classes."""
        self._class_indices(targets_for(self._model, y), self._units)

    def __call__(
        self, validation_data: Any, should_stop: Callable[[], bool]
    ) -> NDArray[Any] | None:
        """Predict the validation data and count; the states of stateful layers do not change.

        Returns:
            Counts of shape (classes, classes), rows are true classes; None if it was stopped.
        """
        with _states_kept(self._whole):
            return self._count(validation_data, should_stop)

    def _count(self, validation_data: Any, should_stop: Callable[[], bool]) -> NDArray[Any] | None:
        counts: NDArray[Any] | None = None
        model = self._model
        logits = getattr(getattr(model, "loss", None), "from_logits", False)
        kind = OutputKind("classes", logits)
        for x, y in _batches(model, validation_data):
            if should_stop():
                return None
            shape = sample_shape(model) if hasattr(x, "ndim") else None
            output = predict_batch(model, x, shape)
            units = output.shape[-1] if output.ndim == TWO else 1
            if not self._units:
                self._units, self.classes = units, self._classes_for(units)
            predicted = kind.class_indices(kind.probabilities(output))
            true = self._class_indices(y, units)
            matrix = count_confusions(LabeledPredictions((), self.classes, true, predicted), None)
            counts = matrix if counts is None else counts + matrix
        return counts

    def _class_indices(self, y: Any, units: int) -> NDArray[np.intp]:
        values = np.asarray(y)
        if values.dtype.kind not in "biuf":
            raise _not_available("the targets of the validation data are not numbers")
        if values.ndim == TWO and values.shape[1] > 1:
            if units not in (0, values.shape[1]) or (values.sum(axis=1) != 1).any():
                raise _several_labels()
            return np.asarray(values.argmax(axis=1), dtype=np.intp)
        flat = values.reshape(-1)
        if len(flat) != len(values) or (flat.dtype.kind == "f" and (flat % 1 != 0).any()):
            raise _not_available("the targets are measured values, not classes")
        if len(flat) and units and not 0 <= flat.min() <= flat.max() < max(units, TWO):
            raise _not_available(
                f"the targets range from {flat.min():g} to {flat.max():g}, but "
                f"{self._model.name} has {max(units, TWO)} classes"
            )
        return flat.astype(np.intp)


@contextmanager
def _states_kept(model: Any) -> Iterator[None]:
    """Restore the states of stateful layers afterwards: the training goes on from them."""
    layers = [layer for layer in nested_layers(model) if getattr(layer, "stateful", False) is True]
    states = keras.tree.flatten([getattr(layer, "states", None) or () for layer in layers])
    before = [np.array(state) for state in states]
    try:
        yield
    finally:
        for state, values in zip(states, before, strict=True):
            state.assign(values)


def _several_labels() -> EvaluationError:
    remedy = Text("For several labels per sample, use ", Function("confusion_of"), ".")
    return _not_available("the targets are not one class per sample", remedy)


def _not_available(reason: str, remedy: str | Text = "") -> EvaluationError:
    return EvaluationError(
        f"No confusion matrix can be computed during training: {reason}.",
        remedy or Text("Leave out ", Option("watch"), "."),
    )


def _batches(model: Any, validation_data: Any) -> Iterator[tuple[Any, Any]]:
    """Batches of samples and classes; arrays are divided here, a stream has its own batches."""
    if not isinstance(validation_data, tuple | list):
        if stream_kind(validation_data) and (count_batches(validation_data) or 0) < 0:
            raise _not_available("the validation data are endless")
        for x, y in stream_batches(validation_data):
            if y is None:
                raise _not_available("the validation data have no targets")
            yield dense_rows(sparse_rows(x)), targets_for(model, y)
        return
    x, y = validation_data[0], targets_for(model, validation_data[1])
    x = keras.tree.map_structure(sparse_rows, x)
    arrays = keras.tree.flatten(x)
    size = sum(getattr(part, "nbytes", 0) // max(1, int(part.shape[0])) for part in arrays)
    step = max(1, min(MAX_SAMPLES, MAX_BYTES // max(1, int(size))))
    step = fixed_batch_size(model) or step
    for start in range(0, int(arrays[0].shape[0]), step):

        def rows(values: Any, start: int = start) -> Any:
            return np.asarray(dense_rows(values[start : start + step]))

        yield keras.tree.map_structure(rows, x), rows(y)
