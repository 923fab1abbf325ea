"""Errors of true values and predictions, or of a regression model and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.evaluation.prediction.forecasts import forecasts_of
from kmagic.evaluation.prediction.model_outputs import has_several_outputs, output_kind, title_of
from kmagic.evaluation.prediction.output_results import (
    models_of_output,
    named_results,
    results_of_outputs,
)
from kmagic.evaluation.prediction.row_predictions import (
    check_sample_weight,
    check_samples,
    in_order,
    out_of_fold,
    predict_same_rows,
    predicts_classes,
    require_predictions,
)
from kmagic.evaluation.regression.regression_errors import WORST, RegressionErrors
from kmagic.evaluation.regression.target_arrays import read_targets
from kmagic.models.model_arrays import as_array
from kmagic.support.errors import EvaluationError, check_integer
from kmagic.support.messages import Function, Option, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.training.run.cross_validation import CrossValidation


@explain_special_methods
def errors(
    y_true: Any,
    y_pred: Any = None,
    *,
    x: Any = None,
    sample_weight: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    time: Any = None,
    name: str = "",
    unit: str = "samples",
    seed: int = 0,
    worst: int = WORST,
    output: str | None = None,
) -> Any:
    """Compare predicted numbers with the true ones: metrics, residuals and the worst rows.

    The figures are those of scikit-learn. Their 95 % intervals are percentile intervals of 1,000
    bootstrap resamples of the rows; of more than 2,000 rows, of the m out of n bootstrap, whose
    time and memory do not grow with n. :func:`errors_of` does the same for a model and its data.

    Args:
        y_true: The true values, shape (n,) or (n, 1), or (n, k) for several targets; a data frame
            names them. Or the result of :func:`kmagic.cross_validate`, whose out-of-fold
            predictions are used.
        y_pred: The predictions, of the same shape.
        x: The rows, to show the worst ones: a data frame, arrays, images, texts, or anything of
            length n. The inputs of a dataset of :func:`kmagic.load_data` are shown in their
            original units.
        sample_weight: Weight of each row, shape (n,).
        target_names: Names of the targets.
        time: Dates or numbers that give the order of the rows; the card then shows the values
            over time.
        name: Name of the model, for the title.
        unit: What a row is, in the plural, for the title: "test houses".
        seed: Seed of the intervals.
        worst: Number of rows with the largest errors to show.
        output: Of a cross-validation of a model with several outputs: one of them. Default: each
            that has values.

    Returns:
        A :class:`~kmagic.evaluation.regression.regression_errors.RegressionErrors`. Of a
        cross-validation with several outputs a dict of them.

    Raises:
        EvaluationError: Shapes differ, values are not finite, or they are classes.

    Example:
        >>> result = errors([10.0, 20.0, 30.0], [12.0, 19.0, 33.0])
        >>> result.metrics["MAE"], result.errors.tolist()
        (2.0, [2.0, -1.0, 3.0])
    """
    if isinstance(y_true, CrossValidation) and y_pred is None:
        result = y_true
        if output is None and isinstance(result.predictions, Mapping):
            options: dict[str, Any] = {"seed": seed, "worst": worst, "sample_weight": sample_weight}
            outputs = {
                each: errors(result, output=each, **options)
                for each in result.predictions
                if not predicts_classes(result, each)
            }
            return named_results(outputs, result.predictions, name or result.name)
        y_true, y_pred, samples = out_of_fold(result, output)
        if result.classes if output is None else (result.classes or {}).get(output):
            raise EvaluationError(
                f"{title_of(result.name, output)} predicts classes.",
                Text("Use ", Function("confusion"), "."),
            )
        x = samples if x is None else x
        name = name or title_of(result.name, output)
        unit = "out-of-fold rows" if result.folds and unit == "samples" else unit
    require_predictions(y_true, y_pred, function="errors", targets="true values")
    y_true = in_order(y_true, y_pred, function="errors_of", targets="values")
    check_integer(EvaluationError, "seed", seed, 0)
    check_integer(EvaluationError, "worst", worst, 1)
    values = read_targets(y_true, y_pred, target_names)
    rows = len(values.true)
    return RegressionErrors(
        values,
        check_sample_weight(sample_weight, rows),
        check_samples(x, rows),
        name=name,
        unit=unit,
        time=_check_time(time, rows),
        seed=seed,
        n_worst=worst,
    )


@explain_special_methods
def errors_of(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    time: Any = None,
    name: str = "",
    unit: str = "",
    seed: int = 0,
    worst: int = WORST,
    output: str | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    samples: Any = None,
    on: str | None = None,
) -> Any:
    """Compare the predictions of a regression model with the true values.

    Args:
        model: A Keras model, or anything with ``predict_on_batch``.
        x: Samples along the first axis; a dataset of :func:`kmagic.load_data`, whose test part is
            used; or a stream of batches of samples and values, such as a ``tf.data.Dataset``.
        y: The true values; a dataset and a stream bring their own.
        sample_weight: As in :func:`errors`.
        target_names: As in :func:`errors`. Default: the target of the dataset.
        time: As in :func:`errors`. A dataset in the order of time brings its own.
        name: Name of the model, for the title. Default: its own.
        unit: What a row is, in the plural, for the title.
        seed: As in :func:`errors`.
        worst: As in :func:`errors`.
        output: For a model with several outputs the name of one of them. By default the result is a
            dict with the errors of each output that has values.
        batch_size: Samples per batch. Default: 32 to 256, fewer for larger samples.
        steps: Number of batches of a stream to read. Default: all.
        samples: What to show for each row. Default: ``x``.
        on: A Ray cluster to predict on, as for :func:`kmagic.connect`; not for streams.

    Returns:
        As :func:`errors`. For the windows of a time series each step ahead is a target.

    Raises:
        EvaluationError: The true values are missing, the model predicts classes, or the samples
            do not fit it.

    Example:
        >>> class Double:
        ...     def predict_on_batch(self, x):
        ...         return 2 * x
        >>> errors_of(Double(), [[1.0], [2.0], [3.0]], [2.0, 4.0, 7.0]).errors.tolist()
        [0.0, 0.0, -1.0]
    """
    arguments = dict(locals())
    models = [(arguments.pop("name"), arguments.pop("model"))]
    return errors_of_models(models, **arguments)[0]


def errors_of_models(
    models: Sequence[tuple[str, Any]],
    x: Any,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    time: Any = None,
    unit: str = "",
    seed: int = 0,
    worst: int = WORST,
    output: str | None = None,
    **reading: Any,
) -> list[Any]:
    """The errors of several models, each with its name, on the same rows.

    A stream is read once for all of them. The arguments are those of :func:`errors_of`.
    """
    if output is None and any(has_several_outputs(model) for _, model in models):
        together = {"sample_weight": sample_weight, "target_names": target_names, "time": time}
        together |= {"unit": unit, "seed": seed, "worst": worst}
        functions = {"values": errors_of_models}
        return results_of_outputs(functions, models, x, y, **together, **reading)
    if output is not None:
        if output_kind(models[0][1], output, x) != "values":
            raise EvaluationError(
                f"The output {output!r} predicts classes, not values.",
                Text("Use ", Function("confusion_of"), ", with the same ", Option("output"), "."),
            )
        models = models_of_output(models, output)
    rows = predict_same_rows(
        [model for _, model in models],
        x,
        y,
        function="errors_of",
        targets="true values",
        sample_weight=sample_weight,
        unit=unit,
        **reading,
    )
    data, series = rows.inputs.data, rows.inputs.series
    if getattr(data, "classes", None) and (y is None or not hasattr(x, "x_test")):
        raise EvaluationError(
            f"The targets of {data.name} are classes, not numbers.",
            Text("Use ", Function("confusion_of"), "(model, x, y)."),
        )
    target = str(getattr(data, "target", ""))
    results = []
    for (name, model), y_pred in zip(models, rows.outputs, strict=True):
        forecasts = forecasts_of(series, y_pred) if y is None else None
        names, order = target_names, time
        if forecasts is not None:
            steps = forecasts.values.shape[1]
            names = names or ([target] if steps == 1 else _step_names(target, steps))
            order = forecasts.series.times[forecasts.rows[:, 0]] if order is None else order
        elif names is None:
            known = getattr(data, "targets", ()) or ([target] if target not in ("", "y") else [])
            names = known if np.size(y_pred) == len(y_pred) * len(known) else None
        if order is None and y is None and getattr(data, "time_gap", None) is not None:
            order = np.arange(len(y_pred))
        result = errors(
            rows.y_true,
            y_pred,
            x=None if forecasts is not None else rows.samples,
            sample_weight=sample_weight,
            target_names=names,
            time=order,
            name=name or str(getattr(model, "name", "")),
            unit=rows.unit.replace("samples", "windows") if forecasts else rows.unit,
            seed=seed,
            worst=worst,
        )
        result.forecasts = forecasts
        if forecasts is not None:
            result.row_names = forecasts.row_names(0)
        result.trained_on = _training_targets(data, result.columns.true.shape[1])
        results.append(result)
    return results


def _step_names(target: str, steps: int) -> list[str]:
    return [f"{target or 'value'}, step {step}" for step in range(1, steps + 1)]


def _training_targets(data: Any, targets: int) -> NDArray[Any] | None:
    """The targets of the training part of a dataset, (rows, targets)."""
    y: NDArray[Any] | None = as_array(getattr(data, "y_train", None))
    if y is None or y.dtype.kind not in "iuf" or y.size != len(y) * targets:
        return None
    return y.reshape(len(y), targets)


def _check_time(time: Any, rows: int) -> NDArray[Any] | None:
    """The times of the rows as an array that can be sorted."""
    if time is None:
        return None
    values = np.asarray(time)
    if values.dtype.kind in "OU":
        import pandas as pd  # noqa: PLC0415 - half a second to import

        try:
            dates = pd.to_datetime(pd.Series(list(time)), utc=True)  # of any time zone
            values = dates.dt.tz_localize(None).to_numpy()
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                option="time", expected="dates or numbers", actual=Text(str(error))
            ) from error
    is_valid = values.shape == (rows,) and values.dtype.kind in "iufM"
    if not (is_valid and (values == values).all()):  # noqa: PLR0124 - neither NaN nor NaT
        raise EvaluationError(
            option="time",
            expected=f"a date or a number for each row, shape ({rows},)",
            actual=Text(f"shape {values.shape} of {values.dtype}"),
        )
    return values
