"""``%keras_evaluate`` and ``%keras_predict``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import MAX_ARRAYS, Session, input_warnings_as_text, magic
from kmagic.support.messages import render

EVALUATE = LineParser(
    "%keras_evaluate",
    "Compute loss and metrics of a model on unseen data.",
    "%keras_evaluate cnn --data digits\n%keras_evaluate cnn x_test y_test",
)
PREDICT = LineParser(
    "%keras_predict",
    "Predict from arrays, data frames, image files or sentences. The result is an array, shown as\n"
    "a card; -o assigns it to a variable. With -o FILE.parquet a table or a folder of images is\n"
    "predicted part by part into a file, and an interrupted prediction continues.",
    "%keras_predict cnn x_new -o predictions\n%keras_predict cnn --data digits --classes\n"
    '%keras_predict cnn photos/*.jpg --proba\n%keras_predict film "a great film" "too long"\n'
    "%keras_predict net table.parquet -o out.parquet --on auto",
)
EVALUATE.argument("[MODEL] [X Y]", "default: the last model")
PREDICT.argument("[MODEL] X", "arrays, data frames, files, folders, patterns, quoted sentences")
for parser in (EVALUATE, PREDICT):
    parser.option("--data D", "a dataset of %%keras_data: its test part")
    parser.option("--class-names L", "class names", read="class names")
    parser.option("--output NAME", "one of several outputs of the model", read="text")
    parser.option("-b --batch-size N", "samples per batch", minimum=1)
    parser.option("--steps N", "batches to read of a stream (default: all)", minimum=1)
    parser.option("--no-checks", "do not check the data")
PREDICT.option("--classes", "the index of the most likely class")
PREDICT.option("--names", "the name of the most likely class, or the names of all labels")
PREDICT.option(
    "--threshold P", "several labels: predict those above P (default: 0.5)", read="value"
)
PREDICT.option("--proba", "one probability per class, for binary models too")
PREDICT.option("--scaling S", "images into a file: what to divide by, e.g. 255", read="value")
PREDICT.option("--fresh", "with a file: do not continue an interrupted prediction")
PREDICT.cluster_options()
PREDICT.takes_file = True
for parser in (EVALUATE, PREDICT):
    parser.result_options()


@magic(EVALUATE, interruptible=True)
def keras_evaluate(session: Session, line: ParsedLine) -> Any:
    """Evaluate a model; ``%keras_evaluate -h`` shows the options."""
    from kmagic.evaluation.prediction.evaluate import evaluate  # noqa: PLC0415 - not before it is needed

    name, model = session.take_model(line, or_file=True)
    x, y, data = session.take_data(line, test=True)
    if data is not None:
        x, y = data, None
    options = line.keywords("batch_size", "steps", "class_names", "output")
    with input_warnings_as_text(line):
        result = evaluate(model, x, y, name=name, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)


@magic(PREDICT, interruptible=True)
def keras_predict(session: Session, line: ParsedLine) -> Any:
    """Predict with a model; ``%keras_predict -h`` shows the options."""
    from kmagic.evaluation.prediction.predict import predict, predict_classes, predict_proba  # noqa: PLC0415 - as above

    form = "--classes" if line.classes else "--names" if line.options.names else ""
    if form and line.proba:
        line.fail(f"cannot be combined with {form}", "--proba")
    name, model = session.take_model(line, or_file=True)
    if is_file_of_predictions(line):
        if form or line.proba:
            line.fail("is not needed: the file has both", form or "--proba")
        for option in ("data", "steps"):
            if getattr(line.options, option):
                line.fail("cannot be combined with a file of predictions", f"--{option}")
        return predict_into_file(session, line, name, model, scaling=line.scaling)
    for option in ("cpus", "gpus", "fresh", "scaling"):
        if getattr(line.options, option):
            remedy = "Name it: `-o predictions.parquet`."
            line.fail("is for predictions into a file", f"--{option}", remedy)
    function: Any = predict_classes if form else predict_proba if line.proba else predict
    x = _samples(session, line)
    options = line.keywords("batch_size", "steps", "class_names", "output")
    if not line.proba:
        options["threshold"] = line.threshold
    elif line.threshold is not None:
        line.fail("cannot be combined with --proba", "--threshold")
    options |= {"names": True} if line.options.names else {}
    is_array = bool(line.data) or hasattr(x, "shape")
    options["on"] = session.cluster_of(line) if line.on or is_array else None
    with input_warnings_as_text(line):
        result = function(model, x, name=name, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)


def is_file_of_predictions(line: ParsedLine) -> bool:
    """Whether a line writes its predictions to a file."""
    return bool(line.out) and Path(line.out).suffix == ".parquet"


def predict_into_file(
    session: Session, line: ParsedLine, name: str, model: Any, **options: Any
) -> Any:
    """Predict from the files that a line names, into the file of its ``-o``."""
    from kmagic.evaluation.prediction.file_prediction import predict_to_file  # noqa: PLC0415 - as above

    sources = [line.text_or_value(word) for word in line.arguments]
    if not sources:
        line.fail("expected a table or images", "", "Name a .parquet file or a folder of images.")
    needs = {key: value for key in ("cpus", "gpus") if (value := getattr(line, key)) is not None}
    options = line.keywords("class_names", "batch_size", "fresh", "output") | needs | options
    if (threshold := getattr(line.options, "threshold", None)) is not None:
        options["threshold"] = line.value(threshold)
    result = predict_to_file(
        model,
        sources[0] if len(sources) == 1 else sources,
        line.out,
        name=name,
        on=session.cluster_of(line),
        **options,
    )
    result = replace(result, note=render(result.note, line.spelling))
    return session.deliver(result, quiet=line.quiet)


def _samples(session: Session, line: ParsedLine) -> Any:
    """The samples to predict: values of the notebook, files, or quoted sentences."""
    if line.data:
        return session.take_data(line, test=True)[2]
    if not line.arguments:
        remedy = "Name an array, a data frame, files or a sentence in quotes; or --data digits."
        line.fail("expected something to predict", "", remedy)
    remedy = "Write a file with its extension, a sentence in quotes."
    samples = [session.file_or_value(line, word, lambda _: remedy) for word in line.arguments]
    if len(samples) == 1:
        return samples[0]
    if len(samples) == MAX_ARRAYS and all(hasattr(sample, "shape") for sample in samples):
        # Two inputs, or samples with their true labels, which a prediction does not need.
        current = session.current_model()
        inputs = getattr(current[1], "inputs", None) if current else None
        return samples if inputs is not None and len(inputs) > 1 else samples[0]
    return samples
