"""Confusion matrices of labels and predictions, or of a model and its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.evaluation.confusion.confusion_matrix import (
    ConfusionMatrix,
    Normalize,
    Order,
    Scale,
    check_choice,
    check_normalize,
)
from kmagic.evaluation.confusion.confusion_metrics import count_confusions
from kmagic.evaluation.confusion.label_arrays import ClassNames, read_labels_and_predictions
from kmagic.evaluation.confusion.multilabel import (
    MultilabelConfusion,
    MultilabelPredictions,
    Thresholds,
    has_several_labels,
    read_multilabel,
)
from kmagic.evaluation.prediction.predictions import output_kind_of
from kmagic.evaluation.prediction.row_predictions import (
    check_sample_weight,
    check_samples,
    out_of_fold,
    predict_same_rows,
    reject_other_order,
    require_predictions,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import dataset_for
from kmagic.support.object_errors import explain_special_methods
from kmagic.training.run.cross_validation import CrossValidation


@explain_special_methods
def confusion(
    y_true: Any,
    y_pred: Any = None,
    *,
    class_names: ClassNames | None = None,
    normalize: Normalize | None = None,
    threshold: Thresholds | Literal["best"] = None,
    sample_weight: ArrayLike | None = None,
    x: Any = None,
    name: str = "",
    unit: str = "samples",
    order: Order = "given",
    scale: Scale = "linear",
    diagonal: bool = False,
    top_losses: int = 0,
    multilabel: bool | None = None,
) -> Any:
    """Compare predictions with the true classes, class by class.

    :func:`confusion_of` does the same for a model and its data.

    Args:
        y_true: Class ids or strings of shape (n,) or (n, 1), or one-hot rows of shape (n, k).
            Rows with several ones, or none, tell which of several labels a sample has. Or the
            result of :func:`kmagic.cross_validate`, whose out-of-fold predictions are used.
        y_pred: The same, or the output of a model: a probability (or logit) for each class, shape
            (n, k), or for two classes the probability of the second, shape (n,) or (n, 1).
        class_names: Names in the order of the ids 0, 1, 2 ...; or the ids themselves; or a mapping
            from id to name.
        normalize: What the percentages refer to: "true" (the default), "pred" or "all". The
            matrix itself always contains counts.
        threshold: For two classes: the second is predicted above this probability. With several
            labels per sample: one threshold per label, one for all, or a mapping from labels to
            thresholds; "best" chooses those with the highest F1 of each label on these samples.
        sample_weight: Weight of each sample, shape (n,).
        x: The samples, to show what was confused: images of shape (n, height, width) or
            (n, height, width, channels), texts, rows, or anything of length n. The inputs of a
            dataset of :func:`kmagic.load_data` are shown in their original units.
        name: Name of the model, for the title.
        unit: What a sample is, in the plural, for the title: "test digits".
        order: How the classes are sorted on the card: "given", "name", "support", "error" or
            "similarity" (classes that are often confused next to each other).
        scale: What the colours follow: "linear" or "log".
        diagonal: Include the diagonal in the colour scale.
        top_losses: Number of samples with the highest loss to show.
        multilabel: Whether a sample has several labels; by default ``y_true`` decides.

    Returns:
        A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix` with its metrics
        and the samples of each cell. With several labels per sample a
        :class:`~kmagic.evaluation.confusion.multilabel.MultilabelConfusion`.

    Raises:
        EvaluationError: Lengths differ, labels are not among the classes, values are missing.

    Example:
        >>> scores = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
        >>> matrix = confusion([0, 1, 1], scores, class_names=["a", "b"])
        >>> matrix.matrix.tolist(), round(matrix.accuracy, 2)
        ([[1, 0], [1, 1]], 0.67)
    """
    if isinstance(y_true, CrossValidation) and y_pred is None:
        result = y_true
        y_true, y_pred, samples = out_of_fold(result, "confusion")
        x = samples if x is None else x
        class_names = result.classes if class_names is None else class_names
        multilabel = True if multilabel is None and result.is_multilabel else multilabel
        name = name or result.name
        unit = "out-of-fold rows" if result.folds and unit == "samples" else unit
    require_predictions(y_true, y_pred, function="confusion", targets="labels")
    if normalize is not None:
        check_normalize(normalize)
    check_choice("order", order, Order)
    check_choice("scale", scale, Scale, "'linear' or 'log'")
    reject_other_order(y_true, y_pred, function="confusion_of", targets="labels")
    if multilabel is None:
        multilabel = has_several_labels(y_true, y_pred)
    predictions = (
        read_multilabel(y_true, y_pred, class_names=class_names, threshold=threshold)
        if multilabel
        else read_labels_and_predictions(
            y_true, y_pred, class_names=class_names, threshold=_check_threshold(threshold)
        )
    )
    shared: dict[str, Any] = {
        "sample_weight": check_sample_weight(sample_weight, len(predictions.true)),
        "x": check_samples(x, len(predictions.true)),
        "order": order,
        "name": name,
        "unit": unit,
    }
    if isinstance(predictions, MultilabelPredictions):
        labels = MultilabelConfusion(predictions, **shared)
        is_best = isinstance(threshold, str)
        return replace(labels.at(labels.best_thresholds()), are_fitted=True) if is_best else labels
    matrix = ConfusionMatrix(
        count_confusions(predictions, shared["sample_weight"]),
        predictions,
        normalize=normalize,
        scale=scale,
        diagonal=diagonal,
        n_top_losses=top_losses,
        **shared,
    )
    if top_losses:
        matrix.top_losses(1)  # an error here is better than one when the matrix is shown
    return matrix


@explain_special_methods
def confusion_of(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    class_names: ClassNames | None = None,
    normalize: Normalize | None = None,
    threshold: Thresholds | Literal["best"] = None,
    sample_weight: ArrayLike | None = None,
    name: str = "",
    unit: str = "",
    order: Order = "given",
    scale: Scale = "linear",
    diagonal: bool = False,
    top_losses: int = 0,
    multilabel: bool | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    samples: Any = None,
    on: str | None = None,
) -> Any:
    """Compare the predictions of a model with the true classes.

    Args:
        model: A Keras model with one output, or anything with ``predict_on_batch``.
        x: Samples along the first axis; a dataset of :func:`kmagic.load_data`, whose test part is
            used; or a stream of batches of samples and labels, such as a ``tf.data.Dataset``.
        y: The true classes; a dataset and a stream bring their own. Weights in the batches of a
            stream are ignored, as by Keras's unweighted metrics.
        class_names: As in :func:`confusion`. Default: the classes of the dataset, or of the data
            that the model was trained on.
        normalize: As in :func:`confusion`.
        threshold: As in :func:`confusion`.
        sample_weight: As in :func:`confusion`.
        name: Name of the model, for the title. Default: its own.
        unit: What a sample is, in the plural, for the title.
        order: As in :func:`confusion`.
        scale: As in :func:`confusion`.
        diagonal: As in :func:`confusion`.
        top_losses: As in :func:`confusion`.
        multilabel: As in :func:`confusion`.
        batch_size: Samples per batch. Default: 32 to 256, fewer for larger samples.
        steps: Number of batches of a stream to read. Default: all.
        samples: What to show for each sample. Default: ``x``.
        on: A Ray cluster to predict on, as for :func:`kmagic.connect`; not for streams.

    Returns:
        As :func:`confusion`.

    Raises:
        EvaluationError: The true classes are missing, or the samples do not fit the model.

    Example:
        >>> class Sign:
        ...     def predict_on_batch(self, x):
        ...         return (x > 0).astype(float)
        >>> confusion_of(Sign(), [[-1.0], [2.0], [3.0]], [0, 1, 0]).matrix.tolist()
        [[1, 1], [0, 1]]
    """
    arguments = dict(locals())
    models = [(arguments.pop("name"), arguments.pop("model"))]
    return confusions_of(models, **arguments)[0]


def confusions_of(
    models: Sequence[tuple[str, Any]],
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    samples: Any = None,
    on: str | None = None,
    class_names: ClassNames | None = None,
    unit: str = "",
    **options: Any,
) -> list[Any]:
    """The matrices of several models, each with its name, on the same samples.

    A stream is read once for all of them, so the matrices can be compared. The arguments are those
    of :func:`confusion_of`.
    """
    data = x if y is None and hasattr(x, "x_test") else dataset_for(models[0][1])
    if class_names is None and data is x:
        class_names = x.classes
    if options.get("multilabel") is None and getattr(data, "is_multilabel", False):
        options["multilabel"] = True
    rows = predict_same_rows(
        [model for _, model in models],
        x,
        y,
        function="confusion_of",
        targets="true classes",
        batch_size=batch_size,
        steps=steps,
        samples=samples,
        sample_weight=options.get("sample_weight"),
        on=on,
        unit=unit,
    )
    matrices: list[Any] = []
    for (name, model), y_pred in zip(models, rows.outputs, strict=True):
        if class_names is None:
            class_names = _known_classes(model, x, y_pred)
        scores, threshold, several = y_pred, options.get("threshold"), options.get("multilabel")
        if several is None:
            several = has_several_labels(rows.y_true, y_pred)
        if several and not (isinstance(threshold, int | float) and threshold == 0):  # of logits
            kind = output_kind_of(model, y_pred, data)
            scores = kind.probabilities(y_pred) if kind.kind == "labels" else y_pred
        matrix = confusion(
            rows.y_true,
            scores,
            class_names=class_names,
            x=rows.samples,
            name=name or str(getattr(model, "name", "")),
            unit=rows.unit,
            **options,
        )
        matrices.append(matrix)
    return matrices


# --- checks -------------------------------------------------------------------------------------


def _check_threshold(value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not np.isfinite(number):
        raise EvaluationError(option="threshold", expected="a number", actual=value)
    return number


def _known_classes(model: Any, x: Any, y_pred: NDArray[Any]) -> Any:
    """The class names of a stream or of the model's training data, if their number fits."""
    data = dataset_for(model)
    width = y_pred.shape[-1] if y_pred.ndim == 2 else 1  # noqa: PLR2004 - rows and columns
    count = width if getattr(data, "is_multilabel", False) else max(width, 2)
    # image_dataset_from_directory leaves the names at its result.
    for names in (getattr(x, "class_names", None), getattr(data, "classes", None)):
        if names and len(names) == count:
            return names
    return None
