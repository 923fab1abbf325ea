"""The rows whose labels are searched, and the probabilities of a model for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import Dataset, find_dataset
from kmagic.data.inspection import stream_kind
from kmagic.evaluation.confusion.label_arrays import as_label_array
from kmagic.evaluation.labels.label_errors import PARTS, USE_ERRORS, reject_values
from kmagic.evaluation.prediction.predictions import output_kind_of
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Function, Option, Text
from kmagic.training.run.cross_validation import CrossValidation


@dataclass(frozen=True, eq=False, slots=True)
class LabelRows:
    """Inputs and labels of some parts, one part after the other.

    Attributes:
        x: The inputs.
        y: The labels.
        dataset: The dataset, if these are whole parts of it.
        classes: Names of the classes, if they are known.
        sizes: Rows of each part, by its name; "" for arrays.
        checked: Which of them are wanted, (n,).
    """

    x: Any
    y: Any
    dataset: Dataset | None
    classes: Sequence[str] | None
    sizes: dict[str, int]
    checked: NDArray[np.bool_]


def rows_to_search(x: Any, y: Any, part: str, *, alone: bool) -> LabelRows:
    """The rows of the wanted parts of a dataset, or of arrays.

    Of a model's own probabilities (``alone`` is False) the test part is searched together with the
    training part, since each row is predicted by a model that is trained on all others.
    """
    if kind := stream_kind(x):
        raise EvaluationError(
            f"Labels are searched in arrays, whose rows have an index; got a {kind}.",
            Text("Read it first: ", Function("load_data"), " makes arrays of a tf.data.Dataset."),
        )
    if part not in (*PARTS, "all"):
        raise EvaluationError(option="part", expected="'train', 'test' or 'all'", actual=part)
    data = x if hasattr(x, "x_train") else find_dataset(x)
    if x is data and data is not None and y is not None:
        remedy = "For other labels, pass arrays: x.x_train and the labels."
        raise EvaluationError(f"{data.name} has its own labels.", remedy)
    is_data = data is not None and (x is data or (x is data.x_train and part == "train"))
    if is_data and data is not None and y is not None:  # perhaps in a form unlike the test part's
        own, other = data.y_train, np.asarray(y)
        is_data = (own.shape, own.dtype.kind) == (other.shape, other.dtype.kind)
    if not is_data or data is None:
        if part != "train":
            message = Text(Option("part"), " chooses a part of a dataset; got arrays.")
            raise EvaluationError(message, "Pass the dataset.", option="part")
        if y is None:
            raise EvaluationError("The labels are missing.", "Pass them with the samples.")
        as_label_array(y, "y")
        reject_values(y)
        count, classes = len(y), getattr(data, "classes", None)
        return LabelRows(x, y, None, classes, {"": count}, np.ones(count, dtype=bool))
    if data.by_target is not None:
        first = next(iter(data.by_target))
        remedy = f"Use one of them, with a model of one output: {data.name}.of({first!r})."
        raise EvaluationError(f"{data.name} has several targets.", remedy)
    if data.is_multilabel:
        raise EvaluationError(
            f"Samples of {data.name} have several labels; one class per sample is needed.",
            "Search one label at a time, with its probabilities: "
            "kmagic.find_label_errors(y=y[:, 0], probabilities=p[:, 0]).",
        )
    if data.classes is None:
        name, what = data.name, data.target if data.target not in ("", "y") else "values"
        raise EvaluationError(f"{name} has no classes: it predicts {what}.", USE_ERRORS)
    wanted = PARTS if part == "all" or not (alone or part == "train") else (part,)
    arrays = [getattr(data, f"x_{name}") for name in wanted]
    labels = [getattr(data, f"y_{name}") for name in wanted]
    if len(wanted) > 1:
        _check_parts(data, arrays)
    if x is not data and y is not None:
        labels = [y]
    sizes = {name: len(each) for name, each in zip(wanted, arrays, strict=True)}
    names = np.repeat(wanted, [*sizes.values()])
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    checked = names == part if part != "all" else np.ones(len(names), dtype=bool)
    joined = labels[0] if len(labels) == 1 else np.concatenate(labels)
    return LabelRows(whole, joined, data, data.classes, sizes, checked)


def _check_parts(data: Dataset, arrays: Sequence[NDArray[Any]]) -> None:
    reason = ""
    if data.time_gap is not None:
        reason = "its samples are in the order of time"
    elif any(map(is_on_disk, arrays)):
        reason = "it is on disk, and both parts would be copied into memory"
    elif not len(arrays[1]):
        reason = "it has none"
    if reason:
        message = f"The test part of {data.name} cannot be searched: {reason}."
        raise EvaluationError(message, Text("Use ", Option("part", "train"), "."), option="part")


def predicted_rows(result: CrossValidation, rows: LabelRows) -> NDArray[Any]:
    """Which rows a cross-validation has predicted; refuses one of other rows."""
    if result.predicted is None:
        message = f"No fold of {result.name} has finished, so there are no predictions."
        raise EvaluationError(message, "Run it again.")
    own, labels = np.asarray(result.y_true), np.asarray(rows.y)
    if len(own) != len(labels):
        counts = f"{len(own):,} rows; got {len(labels):,}"
        raise EvaluationError(f"The cross-validation of {result.name} has {counts}.")
    if not np.array_equal(own.reshape(-1), labels.reshape(-1)):
        raise EvaluationError(
            f"The labels are not those of the cross-validation of {result.name}, or their order "
            "is another one.",
            "Leave the data out: a cross-validation has its own.",
        )
    return result.predicted


def class_probabilities(
    model: Any, output: Any, data: Any = None, class_names: Any = None
) -> NDArray[Any]:
    """One probability per class of a model's output, (n, classes); refuses other outputs."""
    name = str(getattr(model, "name", "The model"))
    if not isinstance(output, np.ndarray):
        remedy = "Pass the labels and the probabilities of one: y=..., probabilities=..."
        raise EvaluationError(f"{name} has several outputs.", remedy)
    kind = output_kind_of(model, output, data, class_names)
    loss = str(getattr(model.loss, "name", model.loss))
    if kind.kind == "values" or "hinge" in loss:
        what = f"values of shape {output.shape[1:]} for each sample"
        if "hinge" in loss:
            raise EvaluationError(
                f"{name} has the loss {loss}, so its output is not a probability.",
                "Use a model that ends in softmax or sigmoid, with a crossentropy loss.",
            )
        raise EvaluationError(f"{name} returns {what}, not probabilities of classes.", USE_ERRORS)
    return kind.probabilities(output)
