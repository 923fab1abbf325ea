"""A model and its data, made labels and answers that can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.confusion.decoded_samples import as_shown
from kmagic.evaluation.prediction.batch_prediction import answer_batch, as_samples, sample_shape
from kmagic.evaluation.prediction.model_inputs import material_for
from kmagic.evaluation.prediction.predict import read_pictures
from kmagic.evaluation.prediction.prediction_cache import KEPT
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import dataset_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = 2  # of a batch: samples and labels
ROWS = 2  # axes of a table


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """What a model was asked and what it answered.

    Attributes:
        y_true: The truth.
        answers: What the model said.
        x: The samples as they are to be shown; None where a stream has passed.
        classes: Names of the classes, where the data or the model's past tells them.
        name: The model's name.
        unit: What a sample is, in the plural.
    """

    y_true: Any
    answers: NDArray[Any]
    x: Any
    classes: Any
    name: str
    unit: str


def ask(model: Any, x: Any, y: Any = None, *, batch_size: int | None = None) -> Asked:
    """Let a model answer to samples whose truth is known; what it said before is kept.

    Args:
        model: A Keras model with one output, or anything with ``predict_on_batch``.
        x: Samples along the first axis; or a data set, whose test part is taken; or a
            ``tf.data.Dataset`` of batches of samples and labels.
        y: The truth, one label a sample; a data set brings its own.
        batch_size: Samples a batch; by default 32 to 256, fewer for larger samples.

    Raises:
        EvaluationError: The truth is missing, or the samples do not fit the model.
    """
    name = str(getattr(model, "name", ""))
    if hasattr(x, "x_test") and y is None:
        answers = KEPT.predict(model, x.x_test, batch_size=batch_size)
        return Asked(x.y_test, answers, as_shown(x, x.x_test), x.classes, name, "test samples")
    if y is None and as_samples(model, x) is None:
        truth, answers = _stream(model, x)
        return Asked(truth, answers, None, _classes(model, answers), name, "samples")
    if y is None:
        raise EvaluationError(
            "The truth is missing: a model alone does not know what is right.",
            "Give it with the samples: confusion(model, x, y).",
        )
    material = material_for(model, x)
    prepared = read_pictures(model, material) if material.x is None else material.x
    answers = KEPT.predict(model, prepared, batch_size=batch_size)
    shown = prepared if material.x is None else material.shown
    return Asked(y, answers, shown, _classes(model, answers), name, "samples")


def fit_shape(model: Any, x: Any) -> Any:
    """Samples as a second model takes them: flat ones where it wants pictures, and back.

    Args:
        model: The model.
        x: Samples whose number of values is right; others are returned as they are.
    """
    expected = sample_shape(model)
    if expected is None or None in expected or not hasattr(x, "reshape"):
        return x
    if x.shape[1:] == expected or math.prod(x.shape[1:]) != math.prod(map(int, expected)):  # type: ignore[arg-type] # no None among them
        return x
    return x.reshape(len(x), *expected)


def _classes(model: Any, answers: NDArray[Any]) -> Any:
    """The names of the data that the model has learned from, if there are as many."""
    known = getattr(dataset_for(model), "classes", None)
    width = answers.shape[-1] if answers.ndim == ROWS else 1
    return known if known and len(known) == max(width, PARTS) else None


def _stream(model: Any, batches: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and answers of a stream, which may come in another order each time: in one pass."""
    truth, answers = [], []
    if not isinstance(batches, Iterable):
        raise EvaluationError(
            f"x must hold samples along its first axis; received {type(batches).__name__}."
        )
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) < PARTS:
            raise EvaluationError(
                "A stream must yield batches of samples and labels, (x, y); it yields "
                f"{type(batch).__name__}."
            )
        answers.append(answer_batch(model, batch[0]))
        truth.append(np.asarray(batch[1]))
    if not truth:
        raise EvaluationError("The stream is empty: there is nothing to compare.")
    return np.concatenate(truth), np.concatenate(answers)
