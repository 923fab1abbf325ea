"""Labels and predictions, however they come, made a confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from kmagic.evaluation.confusion.class_metrics import count_confusions
from kmagic.evaluation.confusion.class_order import Order, check_order
from kmagic.evaluation.confusion.confusion_matrix import (
    ConfusionMatrix,
    Normalize,
    Scale,
    check_over,
)
from kmagic.evaluation.confusion.label_arrays import Classes, read_labels_and_predictions
from kmagic.evaluation.confusion.multilabel import (
    MultilabelConfusion,
    has_several_labels,
    read_multilabel,
)
from kmagic.evaluation.prediction.batch_prediction import (
    PREDICTION_CACHE,
    as_samples,
    predict_batch,
    sample_shape,
)
from kmagic.evaluation.prediction.model_inputs import decode_samples, model_inputs_for
from kmagic.evaluation.prediction.predict import read_images
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import dataset_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def confusion(
    y_true: Any,
    y_pred: Any = None,
    y: Any = None,
    *,
    classes: Classes | None = None,
    normalize: Normalize | None = None,
    threshold: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    x: Any = None,
    name: str = "",
    unit: str = "",
    order: Order = "given",
    scale: Scale = "linear",
    diagonal: bool = False,
    top_losses: int = 0,
    multilabel: bool | None = None,
    batch_size: int | None = None,
) -> Any:
    """Compare predictions with the truth, class by class.

    There are three ways to call it: ``confusion(y_true, y_pred)``, ``confusion(model, x, y)`` and
    ``confusion(model, data)`` with a data set, whose test part is judged. What a model answers is
    kept, so that it is asked once about the same samples.

    Args:
        y_true: Class ids or strings of shape (n,) or (n, 1), or one-hot rows of shape (n, k).
            Rows with several ones, or with none, say which of several labels a sample has.
            Or a Keras model.
        y_pred: The same, or what a model predicts: a probability (or logit) for each class, shape
            (n, k), or for two classes the probability of the second, shape (n,) or (n, 1).
            Behind a model: the samples, or a data set.
        y: Behind a model and samples: the truth.
        classes: Names in the order of the ids 0, 1, 2 ...; or the ids themselves; or a
            mapping from id to name. By default the data set's, if there is one.
        normalize: What the percentages are of: "true" (the default), "pred" or "all". The
            matrix itself always holds counts.
        threshold: For two classes: the second one is meant where its probability is above. With
            several labels a sample: the same for each, or one for all.
        sample_weight: Weight of each sample, shape (n,).
        x: The samples, to show what was confused: pictures of shape (n, height, width) or
            (n, height, width, channels), texts, rows, or anything of length n. A model's own are
            shown by themselves.
        name: Name of the model, for the heading.
        unit: What a sample is, in the plural, for the heading: "test digits".
        order: How the classes are sorted where they are shown: "given", "name", "support",
            "error" or "similarity" (classes that are confused beside each other).
        scale: "linear" or "log": what the colours follow.
        diagonal: Whether what is right takes part in the scale of colours.
        top_losses: So many samples with the highest loss are shown too.
        multilabel: Whether a sample has several labels, where ``y_true`` leaves that open.
        batch_size: Samples that a model is given at a time.

    Returns:
        A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix`: the matrix, its figures, and the samples
        behind each cell. With several labels a sample a
        :class:`~kmagic.evaluation.confusion.multilabel.MultilabelConfusion`: a matrix for each label.

    Raises:
        EvaluationError: Lengths differ, labels are outside the classes, values are missing.

    Example:
        >>> found = confusion([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], classes=["a", "b"])
        >>> found.matrix.tolist(), round(found.accuracy, 2)
        ([[1, 0], [1, 1]], 0.67)
    """
    if hasattr(y_true, "predict_on_batch"):
        asked = predict_with_labels(y_true, y_pred, y, batch_size=batch_size)
        y_true, y_pred = asked.y_true, asked.answers
        classes = asked.classes if classes is None else classes
        x = asked.x if x is None else x
        name, unit = name or asked.name, unit or asked.unit
    elif y is not None or y_pred is None:
        raise EvaluationError(
            "Expected labels and predictions, confusion(y_true, y_pred), or a model, its samples "
            f"and the truth, confusion(model, x, y); received {type(y_true).__name__} first."
        )
    unit = unit or "samples"
    if normalize is not None:
        check_over(normalize)
    check_order(order)
    if scale not in get_args(Scale):
        raise EvaluationError(f"scale must be 'linear' or 'log'; received {scale!r}.")
    if multilabel is None:
        multilabel = has_several_labels(y_true, y_pred)
    if multilabel:
        found = read_multilabel(y_true, y_pred, classes=classes, threshold=threshold)
        samples = len(found.true)
        return MultilabelConfusion(
            predictions=found,
            sample_weight=_read_weights(sample_weight, samples),
            x=_read_samples(x, samples),
            order=order,
            name=name,
            unit=unit,
        )
    targets = read_labels_and_predictions(
        y_true, y_pred, classes=classes, threshold=_read_threshold(threshold)
    )
    samples = len(targets.true)
    weights = _read_weights(sample_weight, samples)
    made = ConfusionMatrix(
        matrix=count_confusions(targets, weights),
        predictions=targets,
        sample_weight=weights,
        x=_read_samples(x, samples),
        normalize=normalize,
        order=order,
        scale=scale,
        diagonal=diagonal,
        n_top_losses=top_losses,
        name=name,
        unit=unit,
    )
    if top_losses:
        made.top_losses(1)  # says now what is missing, and not where the matrix is shown
    return made


def _read_threshold(value: ArrayLike | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type] # what is none is refused here
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise EvaluationError(f"threshold must be a number; received {value!r}.")
    return number


def _read_samples(x: Any, samples: int) -> Any:
    if x is None:
        return None
    shape = getattr(x, "shape", None)
    length = int(shape[0]) if shape else len(x)
    if length != samples:
        raise EvaluationError(
            f"x must hold as many samples as y_true, {samples:,}; received {length:,}."
        )
    return x


def _read_weights(value: ArrayLike | None, samples: int) -> NDArray[np.float64] | None:
    if value is None:
        return None
    try:
        weights = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"sample_weight must be numbers; {error}.") from error
    if weights.shape != (samples,):
        raise EvaluationError(
            f"sample_weight must have one value a sample, shape ({samples},); "
            f"received shape {weights.shape}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise EvaluationError(
            "sample_weight must be finite, not negative, and not all zero; "
            f"received values from {weights.min():g} to {weights.max():g}."
        )
    return weights


PARTS = 2  # of a batch: samples and labels
ROWS = 2  # axes of a table


@dataclass(frozen=True, eq=False, slots=True)
class ModelPredictions:
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


def predict_with_labels(
    model: Any, x: Any, y: Any = None, *, batch_size: int | None = None
) -> ModelPredictions:
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
        answers = PREDICTION_CACHE.predict(model, x.x_test, batch_size=batch_size)
        return ModelPredictions(
            x.y_test, answers, decode_samples(x, x.x_test), x.classes, name, "test samples"
        )
    if y is None and as_samples(model, x) is None:
        truth, answers = _stream(model, x)
        return ModelPredictions(truth, answers, None, _classes(model, answers), name, "samples")
    if y is None:
        raise EvaluationError(
            "The truth is missing: a model alone does not know what is right.",
            "Give it with the samples: confusion(model, x, y).",
        )
    material = model_inputs_for(model, x)
    prepared = read_images(model, material) if material.x is None else material.x
    answers = PREDICTION_CACHE.predict(model, prepared, batch_size=batch_size)
    shown = prepared if material.x is None else material.shown
    return ModelPredictions(y, answers, shown, _classes(model, answers), name, "samples")


def reshape_samples_for(model: Any, x: Any) -> Any:
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
        answers.append(predict_batch(model, batch[0]))
        truth.append(np.asarray(batch[1]))
    if not truth:
        raise EvaluationError("The stream is empty: there is nothing to compare.")
    return np.concatenate(truth), np.concatenate(answers)
