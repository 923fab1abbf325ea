"""Confusion matrices of labels and predictions, or of a model and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from kmagic.evaluation.prediction.model_outputs import (
    data_for,
    has_several_outputs,
    output_kind,
    output_names,
    title_of,
)
from kmagic.evaluation.prediction.output_results import (
    OutputResults,
    models_of_output,
    named_results,
    option_of_output,
    results_of_outputs,
)
from kmagic.evaluation.prediction.predictions import output_kind_of
from kmagic.evaluation.prediction.row_predictions import (
    check_sample_weight,
    check_samples,
    in_order,
    out_of_fold,
    predict_same_rows,
    predicts_classes,
    require_predictions,
)
from kmagic.evaluation.regression.errors_of import errors, errors_of_models
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Function, Option, Text
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
    output: str | None = None,
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
        output: Of a cross-validation of a model with several outputs: one of them. Default: each.

    Returns:
        A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix` with its metrics
        and the samples of each cell. With several labels per sample a
        :class:`~kmagic.evaluation.confusion.multilabel.MultilabelConfusion`. Of a cross-validation
        with several outputs a dict of them.

    Raises:
        EvaluationError: Lengths differ, labels are not among the classes, values are missing.

    Example:
        >>> scores = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
        >>> matrix = confusion([0, 1, 1], scores, class_names=["a", "b"])
        >>> matrix.matrix.tolist(), round(matrix.accuracy, 2)
        ([[1, 0], [1, 1]], 0.67)
    """
    arguments = dict(locals())
    for key in ("y_true", "y_pred", "output"):
        del arguments[key]
    is_folds = isinstance(y_true, CrossValidation) and y_pred is None
    if output is not None and not is_folds:
        raise EvaluationError(
            Text(Option("output"), " is for a cross-validation; labels are those of one output."),
            Text("Leave out ", Option("output"), "."),
        )
    if is_folds:
        result: CrossValidation = y_true
        if output is None and isinstance(result.predictions, Mapping):
            return _folds_of_all_outputs(result, **arguments)
        y_true, y_pred, samples = out_of_fold(result, output)
        x = samples if x is None else x
        known: Any = result.classes
        known = known.get(output) if output is not None and known is not None else known
        class_names = known if class_names is None else class_names
        several: Any = result.is_multilabel
        several = several.get(output) if isinstance(several, Mapping) else several
        multilabel = True if multilabel is None and several else multilabel
        name = name or title_of(result.name, output)
        unit = "out-of-fold rows" if result.folds and unit == "samples" else unit
    require_predictions(y_true, y_pred, function="confusion", targets="labels")
    if normalize is not None:
        check_normalize(normalize)
    check_choice("order", order, Order)
    check_choice("scale", scale, Scale, "'linear' or 'log'")
    y_true = in_order(y_true, y_pred, function="confusion_of", targets="labels")
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
    output: str | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    samples: Any = None,
    on: str | None = None,
) -> Any:
    """Compare the predictions of a model with the true classes.

    Args:
        model: A Keras model, or anything with ``predict_on_batch``.
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
        output: For a model with several outputs the name of one of them. By default the result is a
            dict with a matrix for each output that has classes, and the errors of each that has
            values; ``class_names``, ``threshold`` and ``sample_weight`` may be dicts as well.
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
    samples: Any = None,
    class_names: ClassNames | None = None,
    output: str | None = None,
    unit: str = "",
    **options: Any,
) -> list[Any]:
    """The matrices of several models, each with its name, on the same samples.

    A stream is read once for all of them, so the matrices can be compared. The arguments are those
    of :func:`confusion_of`.
    """
    reading = {key: options.pop(key, None) for key in ("batch_size", "steps", "on")}
    if output is not None or any(has_several_outputs(model) for _, model in models):
        if output is None:
            first = models[0][1]
            if all(output_kind(first, each, x) == "values" for each in output_names(first)):
                raise _no_classes(models[0][0] or str(first.name), "errors_of")
            together = {"class_names": class_names, "unit": unit, "samples": samples, **options}
            functions = {"classes": confusions_of, "labels": confusions_of, "values": _errors_of}
            return results_of_outputs(functions, models, x, y, **together, **reading)
        says_classes = options.get("multilabel") or class_names is not None
        if not says_classes and output_kind(models[0][1], output, x) == "values":
            raise EvaluationError(
                f"The output {output!r} predicts values, not classes.",
                Text("Use ", Function("errors_of"), ", with the same ", Option("output"), "."),
            )
        models = models_of_output(models, output)
    x = data_for(models[0][1], x)
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
        samples=samples,
        sample_weight=options.get("sample_weight"),
        unit=unit,
        **reading,
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


# --- several outputs ------------------------------------------------------------------------------


def _no_classes(name: str, function: str) -> EvaluationError:
    remedy = Text("Use ", Function(function), ".")
    return EvaluationError(f"All outputs of {name} predict values, not classes.", remedy)


def _errors_of(*arguments: Any, **options: Any) -> list[Any]:
    """The errors of an output of values, with the options that apply to them."""
    names = ("output", "samples", "unit", "sample_weight", "batch_size", "steps", "on")
    own: dict[str, Any] = {name: options.get(name) for name in names}
    return errors_of_models(*arguments, **own)


def _folds_of_all_outputs(result: CrossValidation, *, name: str, **options: Any) -> OutputResults:
    """The out-of-fold matrices of the outputs that have classes."""
    outputs = list(result.predictions)
    if not any(predicts_classes(result, each) for each in outputs):
        raise _no_classes(name or result.name, "errors")
    matrices = {}
    for each in outputs:
        title = title_of(name or result.name, each)
        if not predicts_classes(result, each):
            matrices[each] = errors(result, output=each, name=title)
            continue
        own = {key: option_of_output(key, value, each, outputs) for key, value in options.items()}
        matrices[each] = confusion(result, output=each, name=title, **own)
    return named_results(matrices, outputs, name or result.name)


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
