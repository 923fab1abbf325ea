"""``%keras_confusion``: which classes a model confuses, and the samples of each cell."""

from __future__ import annotations

from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, input_warnings_as_text, is_model, magic
from kmagic.support.model_registry import dataset_for
from kmagic.support.suggestions import did_you_mean

CONFUSION = LineParser(
    "%keras_confusion",
    "Show which classes a model confuses, with all metrics, and the samples of each cell.",
    "%keras_confusion cnn --data digits\n"
    "%keras_confusion cnn --data digits --vs mlp\n"
    "%keras_confusion cnn x_test y_test --order similarity --top-losses 12 -o cm\n"
    "%keras_confusion cv\n"
    "%keras_confusion --true y_test --pred y_pred --class-names cat,dog --threshold 0.3",
    {"y_true": "--true", "y_pred": "--pred"},
)
CONFUSION.argument("[MODEL] [X Y]", "default: the last model; or the result of %%keras_fit --folds")
CONFUSION.option(
    "--data D",
    "a dataset of %%keras_data: its test part (default: the one the model was trained on)",
)
CONFUSION.option("--vs M2", "a second model, or its predictions, to compare with")
CONFUSION.option("--true T", "the true labels", read="value")
CONFUSION.option("--pred P", "the predicted labels or probabilities", read="value")
CONFUSION.option("--x X", "the samples, to be shown", read="value")
CONFUSION.option("--class-names L", "class names", read="class names")
CONFUSION.option("--normalize {true,pred,all}", "what is 100 %%")
CONFUSION.option(
    "--order {given,name,support,error,similarity}",
    "order of the classes (default: given)",
    default="given",
)
CONFUSION.option("--scale {linear,log}", "colour scale (default: linear)", default="linear")
CONFUSION.option("--diagonal", "include the diagonal in the colour scale")
CONFUSION.option("--top-losses N", "show the N samples with the highest loss", minimum=1)
CONFUSION.option("--threshold P", "predict the second class above this probability", read="value")
CONFUSION.option("--sample-weight W", "an array: one weight per sample", read="value")
CONFUSION.option("--multilabel", "a sample may have several labels")
CONFUSION.option("--no-checks", "do not check the data")
CONFUSION.option("-b --batch-size N", "samples per batch", minimum=1)
CONFUSION.option("--steps N", "batches to read of a stream (default: all)", minimum=1)
CONFUSION.on_option("predict")
CONFUSION.result_options()


@magic(CONFUSION, interruptible=True)
def keras_confusion(session: Session, line: ParsedLine) -> Any:
    """Show a confusion matrix; ``%keras_confusion -h`` shows the options."""
    from kmagic.evaluation.confusion.confusion import confusion, confusions_of  # noqa: PLC0415 - not before it is needed

    given = line.options
    options = line.keywords(
        "normalize", "class_names", "order", "scale", "diagonal", "threshold", "sample_weight"
    )
    options |= {"multilabel": line.multilabel or None, "top_losses": line.top_losses or 0}
    others: list[Any] = []
    if given.true or given.pred:
        if not (given.true and given.pred):
            missing = "--pred" if given.true else "--true"
            line.fail(f"{missing} is missing; a confusion matrix needs both", "")
        if line.arguments:
            line.fail("unexpected: --true and --pred already give the data", line.arguments[0])
        y_true = line.true
        result = confusion(y_true, line.pred, x=line.x, **options)
    elif (folds := _cross_validation(line)) is not None:
        y_true = None
        result = confusion(folds, x=line.x, **options)
    else:
        models = [session.take_model(line)]
        x, y_true, data = _test_data(session, line, models[0][1])
        if line.vs and (second := _second_model(session, line, x)) is not None:
            models.append((line.vs if line.vs.isidentifier() else "", second))
        source, labels = (x, y_true) if data is None else (data, None)
        reading = line.keywords("batch_size", "steps") | {"samples": line.x}
        reading["on"] = session.cluster_of(line)
        with input_warnings_as_text(line):
            result, *others = confusions_of(models, source, labels, **reading, **options)
        if options["class_names"] is None:
            options["class_names"] = getattr(data, "classes", None)
    if line.vs and not hasattr(result, "versus"):
        line.fail("needs one class per sample; these have several labels", line.vs)
    if line.vs:
        result = result.versus(others[0] if others else _other(session, line, y_true, options))
    return session.deliver(result, out=line.out, quiet=line.quiet)


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


def _test_data(session: Session, line: ParsedLine, model: Any) -> tuple[Any, Any, Any]:
    """Samples, true labels and dataset: those named, or the model's own."""
    known = dataset_for(model)
    if not line.arguments and not line.data and hasattr(known, "x_test"):
        return known.x_test, known.y_test, known
    from kmagic.data.inspection import stream_kind  # noqa: PLC0415 - not before it is needed

    x, y_true, data = session.take_data(line, test=True)
    if y_true is None and not stream_kind(x):
        line.fail("true labels are missing", "", "Name them: `%keras_confusion cnn x y`.")
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


def _other(session: Session, line: ParsedLine, y_true: Any, options: dict[str, Any]) -> Any:
    """The confusion matrix of the predictions to compare with."""
    from kmagic.evaluation.confusion.confusion import confusion  # noqa: PLC0415 - as above
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - as above

    value, known = line.try_value(line.vs)
    if not known:
        remedy = did_you_mean(line.vs, session.models()) or "Name a model, or predictions."
        line.fail("is not a model of this notebook", line.vs, remedy)
    if is_model(value):
        remedy = "Name the samples: `%keras_confusion MODEL X Y --vs M2`."
        line.fail("is a model, but --true and --pred give no samples", line.vs, remedy)
    name = line.vs if line.vs.isidentifier() else ""
    if isinstance(value, CrossValidation):
        return confusion(value, name=name, **options)
    if y_true is None:
        remedy = "Name the result of another `%keras_fit --folds` with the same data."
        line.fail("is not a cross-validation", line.vs, remedy)
    return confusion(y_true, value, name=name, **options)
