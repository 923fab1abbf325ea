"""``%keras_classify``: images with their most likely classes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmagic.magics.keras_evaluate import is_file_of_predictions, predict_into_file
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.model_registry import dataset_for

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
CLASSIFY.option("--class-names L", "class names", read="class names")
CLASSIFY.option("--output NAME", "one of several outputs of the model", read="text")
CLASSIFY.option("--true T", "the true labels, if known", read="value")
CLASSIFY.option("--scaling S", "what the training images were divided by, e.g. 255", read="value")
CLASSIFY.option("-b --batch-size N", "images per batch (default: 32)", minimum=1, default="32")
CLASSIFY.option("--fresh", "with a file: do not continue an interrupted prediction")
CLASSIFY.cluster_options()
CLASSIFY.takes_file = True
CLASSIFY.option(
    "-o --out NAME",
    "also assign the DataFrame of all predictions; FILE.parquet: classify any number of images "
    "part by part into a file",
)
CLASSIFY.option("-q --quiet", "show nothing")


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
    if is_file_of_predictions(line):
        return _classify_into_file(session, line, name, model)
    for flag in ("on", "cpus", "gpus", "fresh"):
        if getattr(line, flag) not in (None, False, "off"):
            remedy = "Name a file for the predictions: `-o predictions.parquet`."
            line.fail("is for predictions into a file", f"--{flag}", remedy)
    images: Any = [session.file_or_value(line, word, _near_file) for word in line.arguments]
    images = images[0] if len(images) == 1 else images
    y_true = line.true if line.options.true else _known_labels(session, images, line.output)
    result = classify(
        images,
        model=model,
        y_true=y_true,
        explain=line.explain_for or line.explain,
        name=name,
        **line.keywords("app", "top", "batch_size", "output"),
        **_names_and_scaling(session, line, model),
    )
    result = replace(result, spelling=line.spelling)
    if line.out:
        session.notebook[line.out] = result.to_frame()
    return session.deliver(result, quiet=line.quiet)


def _classify_into_file(session: Session, line: ParsedLine, name: str, model: Any) -> Any:
    """Classify files, with what is known about the model, into the file of ``-o``."""
    from kmagic.evaluation.classification.applications import find_application  # noqa: PLC0415 - as above

    for option in ("explain", "explain_for", "true"):
        if getattr(line.options, option):
            flag = "--" + option.replace("_", "-")
            line.fail("is not possible for predictions into a file", flag)
    if line.app and model is None:
        application = find_application(line.app)
        model, name = application.model(), application.name
    options = line.keywords("top") | _names_and_scaling(session, line, model)
    return predict_into_file(session, line, name, model, **options)


def _names_and_scaling(session: Session, line: ParsedLine, model: Any) -> dict[str, Any]:
    """Class names and scaling: those of the line, or of a dataset that matches the model."""
    options = line.keywords("class_names", "scaling")
    data = None if line.app or dataset_for(model) else _matching_dataset(session, model)
    if data is not None:
        known = {"class_names": data.classes, "scaling": data.scaling}
        options = {key: known[key] if value is None else value for key, value in options.items()}
    return options


def _near_file(word: str) -> str:
    from kmagic.data.paths import nearest_path  # noqa: PLC0415 - imports the downloads

    file = nearest_path(Path(word))
    return f"Did you mean {file}?" if file else "Write a file with its extension: photo.jpg."


def _matching_dataset(session: Session, model: Any) -> Any:
    """The dataset with the model's input shape and number of classes, if there is one."""
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


def _known_labels(session: Session, images: Any, output: str | None) -> Any:
    """The true labels of images that come from a dataset of this notebook."""
    if not hasattr(images, "shape"):
        return None
    datasets = session.datasets()
    known = [data.of(output) if output in (data.by_target or ()) else data for data in datasets]
    single = (data for data in known if data.by_target is None and not data.is_multilabel)
    labels = (data.labels_of(images) for data in single)
    return next((known for known in labels if known is not None), None)
