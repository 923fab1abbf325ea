"""A line that evaluates a model row by row, and compares it with another one by ``--vs``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, input_warnings_as_text, is_model
from kmagic.support.model_registry import dataset_for
from kmagic.support.suggestions import did_you_mean

Check = Callable[[Any, Any], None]


def data_options(parser: LineParser, true: str, pred: str) -> None:
    """Add the model, the data, and a second model to compare with."""
    parser.argument(
        "[MODEL] [X Y]", "default: the last model; or the result of %%keras_fit --folds"
    )
    parser.option(
        "--data D",
        "a dataset of %%keras_data: its test part (default: the one the model was trained on)",
    )
    parser.option("--output NAME", "one of several outputs (default: each)", read="text")
    parser.option("--vs M2", "a second model, or its predictions, to compare with")
    parser.option("--true T", true, read="value")
    parser.option("--pred P", pred, read="value")
    parser.option("--x X", "the samples, to be shown", read="value")


def reading_options(parser: LineParser) -> None:
    """Add how rows are predicted, and the options of a result."""
    parser.option("--no-checks", "do not check the data")
    parser.option("-b --batch-size N", "samples per batch", minimum=1)
    parser.option("--steps N", "batches to read of a stream (default: all)", minimum=1)
    parser.on_option("predict")
    parser.result_options()


def compared_result(
    session: Session,
    line: ParsedLine,
    function: Callable[..., Any],
    function_of_models: Callable[..., list[Any]],
    options: dict[str, Any],
    *,
    what: str,
    targets: str,
    check: Check,
) -> Any:
    """The result that a line means, of one model or of two.

    Args:
        session: The notebook's session.
        line: The line, with the options of :func:`data_options` and :func:`reading_options`.
        function: Gives the result of targets and predictions.
        function_of_models: Gives the results of models and data.
        options: Keyword arguments of both.
        what: What the result is, with its article.
        targets: What the targets are: "true labels".
        check: Rejects a dataset and targets that another magic is for.
    """
    given = line.options
    others: list[Any] = []
    if given.true or given.pred:
        if not (given.true and given.pred):
            missing = "--pred" if given.true else "--true"
            line.fail(f"{missing} is missing; {what} needs both", "")
        if line.arguments:
            line.fail("unexpected: --true and --pred already give the data", line.arguments[0])
        y_true: Any = line.true
        result = function(y_true, line.pred, x=line.x, **options)
    elif (folds := _cross_validation(line)) is not None:
        y_true = None
        result = function(folds, x=line.x, **options)
    else:
        models = [session.take_model(line)]
        x, y_true, data = _test_data(session, line, models[0][1], targets)
        check(data, y_true)
        if line.vs and (second := _second_model(session, line, x)) is not None:
            models.append((line.vs if line.vs.isidentifier() else "", second))
        source, y = (x, y_true) if data is None else (data, None)
        reading = line.keywords("batch_size", "steps") | {"samples": line.x}
        reading["on"] = session.cluster_of(line)
        with input_warnings_as_text(line):
            result, *others = function_of_models(models, source, y, **reading, **options)
        if "class_names" in options and options["class_names"] is None:
            options["class_names"] = getattr(data, "classes", None)
    if not line.vs:
        return result
    if not hasattr(result, "versus"):
        line.fail("needs one class per sample; these have several labels", line.vs)
    return result.versus(others[0] if others else _other(session, line, function, y_true, options))


def same_line_of(magic: str, line: ParsedLine) -> str:
    """The line of another magic with the same model and data, as code in a message."""
    data = ["--data", line.options.data] if line.options.data else []
    return f"`{' '.join([magic, *line.options.arguments, *data])}`"


def _cross_validation(line: ParsedLine) -> Any:
    """The result of a cross-validation that a line names instead of a model; or None."""
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - not before it is needed

    words = line.arguments
    value = line.try_value(words[0])[0] if words else None
    if not isinstance(value, CrossValidation):
        return None
    if len(words) > 1 or line.data:
        line.fail("unexpected: a cross-validation has its own data", line.data or words[1])
    return value


def _test_data(
    session: Session, line: ParsedLine, model: Any, targets: str
) -> tuple[Any, Any, Any]:
    """Samples, targets and dataset: those named, or the model's own."""
    known = dataset_for(model)
    if not line.arguments and not line.data and hasattr(known, "x_test"):
        return known.x_test, known.y_test, known
    from kmagic.data.inspection import stream_kind  # noqa: PLC0415 - not before it is needed

    x, y_true, data = session.take_data(line, test=True)
    has_targets = getattr(known, "series", None) is not None  # rows of a time series
    if y_true is None and not (has_targets or stream_kind(x)):
        line.fail(f"{targets} are missing", "", f"Name them: `{line.magic} cnn x y`.")
    return x, y_true, data


def _second_model(session: Session, line: ParsedLine, x: Any) -> Any:
    """The model to compare with; None for predictions, which a stream has no fixed order for."""
    from kmagic.data.inspection import stream_kind  # noqa: PLC0415 - not before it is needed

    value, _ = line.try_value(line.vs)
    if is_model(value):
        return value
    if stream_kind(x):
        remedy = did_you_mean(line.vs, session.models()) or "Name a model."
        line.fail("is not a model, so it cannot be compared on a stream", line.vs, remedy)
    return None


def _other(
    session: Session,
    line: ParsedLine,
    function: Callable[..., Any],
    y_true: Any,
    options: dict[str, Any],
) -> Any:
    """The result of the predictions to compare with."""
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - as above

    value, known = line.try_value(line.vs)
    if not known:
        remedy = did_you_mean(line.vs, session.models()) or "Name a model, or predictions."
        line.fail("is not a model of this notebook", line.vs, remedy)
    if hasattr(value, "x_test"):
        remedy = f"Name the dataset after --data: `--data {line.vs}`."
        line.fail("is a dataset, not a model or predictions", line.vs, remedy)
    if is_model(value):
        remedy = f"Name the samples: `{line.magic} MODEL X Y --vs M2`."
        line.fail("is a model, but --true and --pred give no samples", line.vs, remedy)
    name = line.vs if line.vs.isidentifier() else ""
    if isinstance(value, CrossValidation):
        return function(value, name=name, **options)
    if y_true is None:
        remedy = "Name the result of another `%keras_fit --folds` with the same data."
        line.fail("is not a cross-validation", line.vs, remedy)
    return function(y_true, value, name=name, **options)
