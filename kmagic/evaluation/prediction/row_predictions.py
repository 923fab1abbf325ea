"""Targets and predictions of the same rows: of models and data, or of a cross-validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.data.dataset import find_dataset
from kmagic.data.target_kind import read_target_frame
from kmagic.evaluation.prediction.batch_prediction import (
    predict_stream,
    reject_beside_stream,
    to_arrays,
)
from kmagic.evaluation.prediction.model_inputs import (
    ModelInputs,
    decode_samples,
    model_inputs_for,
    table_targets_remedy,
    with_targets,
)
from kmagic.evaluation.prediction.model_outputs import targets_for
from kmagic.evaluation.prediction.part_prediction import predict_rows
from kmagic.evaluation.prediction.predict import read_images
from kmagic.evaluation.prediction.predictions import Predictions
from kmagic.models.model_arrays import sample_shape, sparse_rows
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import list_names
from kmagic.support.messages import Function, Option, Text
from kmagic.support.suggestions import did_you_mean
from kmagic.training.run.cross_validation import CrossValidation


@dataclass(frozen=True, eq=False, slots=True)
class RowPredictions:
    """The predictions of some models for the same rows.

    Attributes:
        y_true: The targets.
        outputs: The predictions of each model.
        samples: The rows as they are shown; None for a stream.
        inputs: The inputs of the first model.
        unit: What a row is, in the plural.
    """

    y_true: Any
    outputs: list[NDArray[Any]]
    samples: Any
    inputs: ModelInputs
    unit: str


def predict_same_rows(
    models: Sequence[Any],
    x: Any,
    y: Any = None,
    *,
    function: str,
    targets: str,
    batch_size: int | None = None,
    steps: int | None = None,
    samples: Any = None,
    sample_weight: Any = None,
    on: str | None = None,
    unit: str = "",
) -> RowPredictions:
    """Predict the rows of some data with each of several models.

    A stream is read once for all of them, so the predictions can be compared.

    Args:
        models: The models; each gets the rows as its training data were prepared.
        x: Samples, a dataset or a stream, as for :func:`kmagic.predict`.
        y: The targets; a dataset and a stream bring their own.
        function: The public function that was called, for the remedies.
        targets: What the targets are: "labels", "true values".
        batch_size: Samples per batch.
        steps: Number of batches of a stream to read.
        samples: What to show for each row. Default: ``x``.
        sample_weight: Weights, which a stream cannot have beside it.
        on: A Ray cluster, not for streams.
        unit: What a row is. Default: what the data says.

    Raises:
        EvaluationError: The targets are missing, or the samples do not fit a model.
    """
    reject_other_names(x, y, ("The samples", f"the {targets}"))
    inputs = [model_inputs_for(model, x) for model in models]  # each like its training data
    first = inputs[0]
    if first.x is not None and to_arrays(models[0], first.x) is None:
        reject_beside_stream(x, y)
        reject_beside_stream(x, sample_weight, option="sample_weight")
        reject_beside_stream(x, samples, option="samples")
        select = partial(targets_for, models[0])
        outputs, y = predict_stream(models, x, steps=steps, targets=select)
        if y is None:
            raise EvaluationError(
                "A stream must yield batches of samples and targets, (x, y); got samples only.",
                "Pair them: tf.data.Dataset.zip((x, y)).",
            )
        return RowPredictions(y, outputs, None, first, unit or "samples")
    y = targets_for(models[0], y)
    completed = [with_targets(own, y, unit or "samples") for own in inputs]
    inputs, (first, y, unit) = [own for own, *_ in completed], completed[0]
    if y is None:
        how = Text("Pass them with the samples: ", Function(function), "(model, x, y).")
        raise EvaluationError(f"The {targets} are missing.", table_targets_remedy(x) or how)
    arrays = [
        read_images(model, own) if own.x is None else reshape_samples_for(model, own.x)
        for model, own in zip(models, inputs, strict=True)
    ]
    outputs = [
        predict_rows(model, array, batch_size=batch_size, on=on)
        for model, array in zip(models, arrays, strict=True)
    ]
    shown = arrays[0] if first.x is None else first.samples
    return RowPredictions(y, outputs, shown if samples is None else samples, first, unit)


def out_of_fold(result: CrossValidation, output: str | None = None) -> tuple[Any, Any, Any]:
    """The targets, predictions and inputs of the rows that a cross-validation has predicted.

    ``output`` is one of the outputs of a model that has several.
    """
    from kmagic.training.fit_inputs import take_rows  # noqa: PLC0415 - imports Keras

    if result.predicted is None or result.y_true is None:
        raise EvaluationError(
            f"This cross-validation of {result.name} has no predictions: no run has finished.",
            "Run it again.",
        )
    y_true, predictions = result.y_true, result.predictions
    if isinstance(predictions, Mapping) or output is not None:
        names = list(predictions) if isinstance(predictions, Mapping) else []
        if output not in names:
            has = f"has no output {output!r}"
            has = has if output is not None else f"has {len(names)} outputs: {list_names(names)}"
            near = did_you_mean(str(output), names) if names else "Its model has one output."
            remedy = near or Text("Choose one: ", Option("output", names[0]), ".")
            raise EvaluationError(f"{result.name} {has}.", remedy)
        y_true, predictions = y_true[output], predictions[output]
    rows: Any = np.flatnonzero(result.predicted)
    if rows[-1] - rows[0] == len(rows) - 1:
        rows = slice(rows[0], rows[-1] + 1)  # a slice is known to be from its dataset
    # Of several inputs, no single one shows what a row is.
    shown = take_rows(result.x, rows) if hasattr(result.x, "shape") else None
    return take_rows(y_true, rows), predictions[rows], shown


def predicts_classes(result: CrossValidation, output: str) -> bool:
    """Whether an output predicts classes or labels: by its class names, or by its targets."""
    known: Any = result.classes or {}
    if output in known:
        return known[output] is not None
    y_true, y_pred, _ = out_of_fold(result, output)
    y, width = np.asarray(y_true), y_pred.shape[1] if y_pred.ndim > 1 else 1
    if y.dtype.kind not in "biuf":
        return True
    if y.size == y_pred.size:  # one unit, or one-hot rows
        return bool(np.isin(y, (0, 1)).all() and (y_pred >= 0).all() and (y_pred <= 1).all())
    return y.size == len(y) and bool(np.isin(y, np.arange(width)).all())


def reshape_samples_for(model: Any, x: Any) -> Any:
    """Reshape samples for a second model: flat rows to images, or back."""
    expected = sample_shape(model)
    if expected is None or None in expected or not hasattr(x, "reshape"):
        return x
    if x.shape[1:] == expected or math.prod(x.shape[1:]) != math.prod(map(int, expected)):  # type: ignore[arg-type] # no None among them
        return x
    return x.reshape(len(x), *expected)


# --- checks of what functions of targets and predictions have in common -------------------------


def require_predictions(y_true: Any, y_pred: Any, *, function: str, targets: str) -> None:
    """Reject a model in the place of targets, and targets without predictions."""
    model_function = f"{function}_of"
    if hasattr(y_true, "predict_on_batch"):
        raise EvaluationError(
            Text(Function(function), f" takes {targets} and predictions; got a model."),
            Text("Use ", Function(model_function), "(model, x, y)."),
        )
    if y_pred is None:
        raise EvaluationError(
            Text(f"Expected {targets} and predictions; ", Option("y_pred"), " is missing."),
            Text("For a model and its data use ", Function(model_function), "(model, x, y)."),
        )


def check_samples(x: Any, samples: int) -> Any:
    """What is shown for each row; the inputs of a dataset in their original units."""
    if x is None:
        return None
    x = sparse_rows(x)
    shape = getattr(x, "shape", None)
    if shape == () or not (shape or hasattr(x, "__len__")):
        raise EvaluationError(option="x", expected="one sample for each label", actual=x)
    length = int(shape[0]) if shape else len(x)
    if length != samples:
        counts = f", {samples:,}; got {length:,}."
        message = Text(Option("x"), " must have as many samples as ", Option("y_true"), counts)
        raise EvaluationError(message)
    return decode_samples(find_dataset(x, with_test=True), x)


def check_sample_weight(value: ArrayLike | None, samples: int) -> NDArray[np.float64] | None:
    """The weights of all rows."""
    if value is None:
        return None
    try:
        weights = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = Text(Option("sample_weight"), f" must be numbers; {error}.")
        raise EvaluationError(message) from error
    if weights.shape != (samples,):
        raise EvaluationError(
            option="sample_weight",
            expected=f"one value per sample, shape ({samples},)",
            actual=Text(f"shape {weights.shape}"),
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise EvaluationError(
            option="sample_weight",
            expected="finite, not negative, and not all zero",
            actual=Text(f"values from {weights.min():g} to {weights.max():g}"),
        )
    return weights


def in_order(y_true: Any, y_pred: Any, *, function: str, targets: str) -> Any:
    """Targets with their columns in the order of the predictions.

    Raises:
        EvaluationError: The rows are in another order, from another pass over a shuffled stream,
            or series and frames with the same names in different orders.
    """
    reject_other_names(y_true, y_pred)
    info = y_pred.info if isinstance(y_pred, Predictions) and y_pred.has_info else None
    if info is None:
        return y_true
    y_true, known = read_target_frame(y_true, y_pred.classes or info.targets), info.y_true
    if known is None or np.shape(known) != np.shape(y_true):
        return y_true
    given, own = np.asarray(y_true), np.asarray(known)
    if not np.array_equal(given, own) and np.array_equal(np.sort(given, 0), np.sort(own, 0)):
        raise EvaluationError(
            Text(Option("y_true"), f" has the {targets} in another order than the predictions."),
            Text("Read both in one pass over the stream: ", Function(function), "(model, stream)."),
        )
    return y_true


def reject_other_names(
    y_true: Any, y_pred: Any, names: tuple[Any, Any] = (Option("y_true"), Option("y_pred"))
) -> None:
    """Reject series or frames with the same index, or the same columns, in different orders."""
    for axis, what in (("index", "rows"), ("columns", "columns")):
        own, other = (
            getattr(values, axis, None) if hasattr(values, "iloc") else None
            for values in (y_true, y_pred)
        )
        if own is None or other is None or len(own) != len(other) or own.equals(other):
            continue
        if own.isin(other).all() and other.isin(own).all():
            raise EvaluationError(
                Text(names[0], " and ", names[1], f" have the same {what} in different orders."),
                f"To match them by name, sort both: `.sort_index(axis={axis!r})`. "
                "To match them by position, use `.to_numpy()`.",
            )
