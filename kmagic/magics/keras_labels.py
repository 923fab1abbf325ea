"""``%keras_labels``: samples whose label is probably wrong."""

from __future__ import annotations

from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.model_registry import dataset_for

LABELS = LineParser(
    "%keras_labels",
    "Find samples whose label is probably wrong, and review them in the card.",
    "%keras_labels cnn --data digits -o labels\n"
    "%keras_labels cnn --data digits --folds 10 -e 5 --part all -o labels\n"
    "%keras_labels cnn x_train y_train --class-names cat,dog\n"
    "%keras_labels cv --data digits\n"
    "%keras_labels --data digits --probabilities p",
    {"y": "Y"},
)
LABELS.argument("[MODEL] [X Y]", "default: the last model; or the result of %%keras_fit --folds")
LABELS.option("--data D", "a dataset of %%keras_data")
LABELS.option("--part {train,test,all}", "part of the dataset (default: train)", default="train")
LABELS.option(
    "--folds N",
    "train N times with new weights, each on all folds but one, whose rows are predicted "
    "(default: 5)",
    minimum=2,
)
LABELS.option("-e --epochs N", "epochs (default: those of the last run)", minimum=1)
LABELS.option("-b --batch-size N", "samples per batch (default: that of the last run)", minimum=1)
LABELS.option("--seed N", "random seed, for repeatable folds and weights", minimum=0)
LABELS.option(
    "--groups G",
    "a column of the table, or an array: no group is in both parts of a fold",
    read="value or text",
)
LABELS.option(
    "--probabilities P",
    "out-of-sample probabilities instead of a training, one column per class",
    read="value",
)
LABELS.option("--class-names L", "class names", read="class names")
LABELS.option(
    "--score {self_confidence,normalized_margin}",
    "order of the candidates: probability of the given class (default), or its margin",
    default="self_confidence",
)
LABELS.result_options()


@magic(LABELS, interruptible=True)
def keras_labels(session: Session, line: ParsedLine) -> Any:
    """Find wrong labels; ``%keras_labels -h`` shows the options."""
    from kmagic.api import find_label_errors  # noqa: PLC0415 - not before it is needed

    options = line.keywords("part", "probabilities", "class_names", "score")
    if line.quiet:
        options["displays"] = []
    model, name = None, ""
    if options["probabilities"] is None and (model := _cross_validation(line)) is None:
        name, model = session.take_model(line)
        training = line.keywords("folds", "epochs", "batch_size", "seed", "groups")
        options |= {key: value for key, value in training.items() if value is not None}
    x, y, data = None, None, dataset_for(model)
    is_needed = not hasattr(model, "y_true") and not hasattr(data, "x_test")
    if line.data or line.arguments or is_needed:
        x, y, data = session.take_data(line, test=False)
    if hasattr(data, "x_test"):
        x, y = data, None
    with line.marking_options():
        result = find_label_errors(model, x, y, name=name or None, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)


def _cross_validation(line: ParsedLine) -> Any:
    """The result of a cross-validation that a line begins with, which is removed; or None."""
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - not before it is needed

    value = line.try_value(line.arguments[0])[0] if line.arguments else None
    if not isinstance(value, CrossValidation):
        return None
    line.arguments.pop(0)
    return value
