"""``%keras_evaluate``, ``%keras_predict`` and ``%keras_classify``."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import MAX_ARRAYS, Session, magic, scale_warnings_as_text
from kmagic.support.model_registry import dataset_for

EVALUATE = LineParser(
    "%keras_evaluate",
    "Compute loss and metrics of a model on unseen data.",
    "%keras_evaluate cnn --data digits\n%keras_evaluate cnn x_test y_test",
)
PREDICT = LineParser(
    "%keras_predict",
    "Predict from arrays, data frames, image files or sentences. The result is an array, shown as\n"
    "a card; -o assigns it to a variable.",
    "%keras_predict cnn x_new -o predictions\n%keras_predict cnn --data digits --classes\n"
    '%keras_predict cnn photos/*.jpg --proba\n%keras_predict film "a great film" "too long"',
)
EVALUATE.argument("[MODEL] [X Y]", "default: the last model")
PREDICT.argument("[MODEL] X", "arrays, data frames, files, folders, patterns, quoted sentences")
for parser in (EVALUATE, PREDICT):
    parser.option("--data D", "a data set of %%keras_data: its test part")
    parser.option("--class-names L", "class names", read="class names")
    parser.option("-b --batch-size N", "samples per batch", minimum=1)
    parser.option("--no-checks", "do not check the data")
PREDICT.option("--classes", "the index of the most likely class")
PREDICT.option("--proba", "one probability per class, for binary models too")
for parser in (EVALUATE, PREDICT):
    parser.result_options()

CLASSIFY = LineParser(
    "%keras_classify",
    "Show images with their most likely classes, by your own model or a pretrained one.",
    "%keras_classify cnn {digits.x_test[:8]} --top 3\n"
    "%keras_classify --app MobileNetV2 photo.jpg --explain\n"
    "%keras_classify --app ResNet50 photos/*.jpg -o predictions\n"
    "%keras_classify cnn 'my photos' --class-names cat,dog",
    {"explain": "--explain-for", "y_true": "--true"},
)
CLASSIFY.argument("[MODEL] IMAGE", "files, folders, patterns, URLs, arrays, bytes, PIL images")
CLASSIFY.option("--app NAME", "a pretrained network of keras.applications")
CLASSIFY.option("--top N", "number of classes (default: 3)", minimum=1, default="3")
CLASSIFY.option("--explain", "mark the areas behind the best class")
CLASSIFY.option("--explain-for CLASS", "mark the areas behind this class")
CLASSIFY.option("--class-names L", "class names", read="class names", deprecated="--labels")
CLASSIFY.option("--true T", "the true labels, if known", read="value")
CLASSIFY.option("--scaling S", "what the training images were divided by, e.g. 255", read="value")
CLASSIFY.option("-b --batch-size N", "images per batch (default: 32)", minimum=1, default="32")
CLASSIFY.option("-o --out NAME", "also assign the DataFrame of all predictions")
CLASSIFY.option("-q --quiet", "show nothing")


@magic(EVALUATE, interruptible=True)
def keras_evaluate(session: Session, line: ParsedLine) -> Any:
    """Evaluate a model; ``%keras_evaluate -h`` shows the options."""
    from kmagic.evaluation.prediction.evaluate import evaluate  # noqa: PLC0415 - not before it is needed

    name, model = session.take_model(line, or_file=True)
    if line.arguments and session.is_file(line.arguments[0]):
        x, *targets = line.arguments
        y, data = line.value(targets[0]) if targets else None, None
    else:
        x, y, data = session.take_data(line, test=True)
    unit = "samples" if data is None else "test samples"
    options = line.keywords("batch_size", "class_names")
    with scale_warnings_as_text(line):
        result = evaluate(model, x, y, name=name, unit=unit, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)


@magic(PREDICT, interruptible=True)
def keras_predict(session: Session, line: ParsedLine) -> Any:
    """Predict with a model; ``%keras_predict -h`` shows the options."""
    from kmagic.evaluation.prediction.predict import predict, predict_classes, predict_proba  # noqa: PLC0415 - as above

    if line.classes and line.proba:
        line.fail("cannot be combined with --classes", "--proba")
    name, model = session.take_model(line, or_file=True)
    function = predict_classes if line.classes else predict_proba if line.proba else predict
    x = _samples(session, line)
    options = line.keywords("batch_size", "class_names")
    with scale_warnings_as_text(line):
        result = function(model, x, name=name, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)


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


# --- images --------------------------------------------------------------------------------------


@magic(CLASSIFY, interruptible=True)
def keras_classify(session: Session, line: ParsedLine) -> Any:
    """Classify images; ``%keras_classify -h`` shows the options."""
    from kmagic.evaluation.classification.classify import classify  # noqa: PLC0415 - not before it is needed

    name, model = "", None
    if not line.app or session.models().keys() & set(line.arguments[:1]):
        name, model = session.take_model(line, or_file=True)
    if not line.arguments:
        remedy = "Name a file, a folder, a pattern, a URL, an array or a PIL image."
        line.fail("expected images", "", remedy)
    images: Any = [session.file_or_value(line, word, _near_file) for word in line.arguments]
    images = images[0] if len(images) == 1 else images
    y_true = line.true if line.options.true else _known_labels(session, images)
    class_names, scaling = line.class_names, line.scaling
    data = None if line.app or dataset_for(model) else _matching_dataset(session, model)
    if data is not None:
        class_names = class_names or data.classes
        scaling = data.scaling if scaling is None else scaling
    result = classify(
        images,
        model=model,
        class_names=class_names,
        y_true=y_true,
        scaling=scaling,
        explain=line.explain_for or line.explain,
        name=name,
        **line.keywords("app", "top", "batch_size"),
    )
    result = replace(result, spelling=line.spelling)
    if line.out:
        session.names[line.out] = result.to_frame()
    return session.deliver(result, quiet=line.quiet)


def _near_file(word: str) -> str:
    from kmagic.data.paths import nearest_path  # noqa: PLC0415 - imports the downloads

    file = nearest_path(Path(word))
    return f"Did you mean {file}?" if file else "Write a file with its extension: photo.jpg."


def _matching_dataset(session: Session, model: Any) -> Any:
    """The data set with the model's input shape and number of classes, if there is one."""
    inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if not isinstance(inputs, tuple) or not isinstance(outputs, tuple):
        return None
    classes = 2 if outputs[-1] == 1 else outputs[-1]
    size = math.prod(side or 0 for side in inputs[1:])
    for data in session.datasets():
        matches = data.x_train.shape[1:] == inputs[1:] or data.x_train[0].size == size
        if matches and data.classes and len(data.classes) == classes:
            return data
    return None


def _known_labels(session: Session, images: Any) -> Any:
    """The true labels of images that come from a data set of this notebook."""
    if not hasattr(images, "shape"):
        return None
    labels = (data.labels_of(images) for data in session.datasets())
    return next((known for known in labels if known is not None), None)
