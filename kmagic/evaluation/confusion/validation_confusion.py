"""The confusion matrix of a model that is being trained, again after each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.confusion.class_metrics import count_confusions
from kmagic.evaluation.confusion.label_arrays import LabeledPredictions
from kmagic.evaluation.prediction.batch_prediction import predict_batch, sample_shape, to_classes
from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

SAMPLES, BYTES = 256, 8_000_000
"""Of a batch that the model is asked about: samples, and bytes of input."""
TWO = 2
REMEDY = "Leave watch (`--watch`) out."


class ValidationConfusion:
    """Counts what a model takes for what, as often as it is asked.

    Args:
        model: A Keras model with one output.
        classes: Names of the classes; where they are not as many as the model tells apart, the
            numbers of the classes are their names.

    Attributes:
        classes: The names.

    Raises:
        EvaluationError: The model tells no classes apart.
    """

    def __init__(self, model: Any, classes: Sequence[str] | None = None) -> None:
        self._model = model
        outputs = getattr(model, "outputs", None)
        if outputs is not None and len(outputs) > 1:
            raise _no_matrix(f"{model.name} has {len(outputs)} outputs")
        rank = len(outputs[0].shape) if outputs else TWO
        if rank != TWO:
            raise _no_matrix(f"{model.name} does not give one answer for each sample")
        self._units = int(outputs[0].shape[-1]) if outputs else 0
        self._names = tuple(classes or ())
        self.classes = self._named(self._units)

    def _named(self, units: int) -> tuple[str, ...]:
        many = max(units, TWO)
        return self._names if len(self._names) == many else tuple(map(str, range(many)))

    def check(self, y: Any) -> None:
        """Refuse targets that are no classes.

        Args:
            y: Class numbers of shape (samples,) or (samples, 1), or one-hot rows.

        Raises:
            EvaluationError: They are measured values, or several labels a sample.
        """
        self._ids(y, self._units)

    def __call__(self, held: Any, stop: Callable[[], bool]) -> NDArray[Any] | None:
        """Let the model answer, and count.

        Args:
            held: Samples and their truth, (x, y), or a stream of batches of both.
            stop: Whether to break off; asked before each batch.

        Returns:
            Counts of shape (classes, classes), rows are true classes; None if it was broken off.

        Raises:
            EvaluationError: The targets are no classes.
        """
        counts: NDArray[Any] | None = None
        logits = getattr(getattr(self._model, "loss", None), "from_logits", False)
        for x, y in _batches(held):
            if stop():
                return None
            single = sample_shape(self._model) if hasattr(x, "ndim") else None
            answers = predict_batch(self._model, x, single)
            units = answers.shape[-1] if answers.ndim == TWO else 1
            if not self._units:
                self._units, self.classes = units, self._named(units)
            predicted = to_classes(answers, threshold=0.0 if logits else 0.5)
            names = self.classes
            found = LabeledPredictions((), names, self._ids(y, units), predicted.astype(np.intp))
            matrix = count_confusions(found, None)
            counts = matrix if counts is None else counts + matrix
        return counts

    def _ids(self, y: Any, units: int) -> NDArray[np.intp]:
        """Targets as numbers of classes."""
        values = np.asarray(y)
        if values.dtype.kind not in "biuf":
            raise _no_matrix("the targets of the validation are no numbers")
        if values.ndim == TWO and values.shape[1] > 1:
            if units not in (0, values.shape[1]) or (values.sum(axis=1) != 1).any():
                raise _no_matrix(
                    "the targets are not one class for each sample",
                    "Of several labels a sample %keras_confusion shows a matrix each.",
                )
            return np.asarray(values.argmax(axis=1), dtype=np.intp)
        flat = values.reshape(-1)
        if len(flat) != len(values) or (flat.dtype.kind == "f" and (flat % 1 != 0).any()):
            raise _no_matrix("the targets are measured values, no classes")
        if len(flat) and units and not 0 <= flat.min() <= flat.max() < max(units, TWO):
            raise _no_matrix(
                f"the targets go from {flat.min():g} to {flat.max():g}, and "
                f"{self._model.name} tells {max(units, TWO)} classes apart"
            )
        return flat.astype(np.intp)


def _no_matrix(why: str, remedy: str = REMEDY) -> EvaluationError:
    return EvaluationError(f"there is no confusion matrix to watch: {why}.", remedy)


def _batches(held: Any) -> Iterator[tuple[Any, Any]]:
    """Batches of samples and truth; those of arrays are cut here, a stream brings its own."""
    import keras  # noqa: PLC0415 - there is a model, so it is loaded

    if isinstance(held, keras.utils.PyDataset):  # it has no end but by its number of batches
        if held.num_batches is None:
            raise _no_matrix("the validation data have no end")
        held = map(held.__getitem__, range(held.num_batches))
    if not isinstance(held, tuple | list):
        for batch in held:
            if not isinstance(batch, tuple | list) or len(batch) < TWO:
                raise _no_matrix("the validation data come without targets")
            yield batch[0], batch[1]
        return
    x, y = held[:TWO]
    leaves = keras.tree.flatten(x)
    size = sum(getattr(each, "nbytes", 0) // max(1, len(each)) for each in leaves if len(each))
    step = max(1, min(SAMPLES, BYTES // max(1, int(size))))
    for start in range(0, len(leaves[0]), step):

        def cut(values: Any, start: int = start) -> Any:
            return np.asarray(values[start : start + step])

        yield keras.tree.map_structure(cut, x), cut(y)
