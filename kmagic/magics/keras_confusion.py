"""``%keras_confusion``: which classes a model confuses, and the samples of each cell."""

from __future__ import annotations

from typing import Any

from kmagic.magics.compared_results import (
    compared_result,
    data_options,
    reading_options,
    same_line_of,
)
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic

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
data_options(CONFUSION, "the true labels", "the predicted labels or probabilities")
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
CONFUSION.option(
    "--threshold P",
    "predict the second class, or a label, above this probability; best: of each label by its F1",
    read="value or text",
)
CONFUSION.option("--sample-weight W", "an array: one weight per sample", read="value")
CONFUSION.option("--multilabel", "a sample may have several labels")
reading_options(CONFUSION)


@magic(CONFUSION, interruptible=True)
def keras_confusion(session: Session, line: ParsedLine) -> Any:
    """Show a confusion matrix; ``%keras_confusion -h`` shows the options."""
    from kmagic.evaluation.confusion.confusion import confusion, confusions_of  # noqa: PLC0415 - not before it is needed

    options = line.keywords(
        *("normalize", "class_names", "order", "scale", "diagonal", "threshold", "sample_weight"),
        "output",
    )
    options |= {"multilabel": line.multilabel or None, "top_losses": line.top_losses or 0}

    def reject_numbers(data: Any, y_true: Any) -> None:
        from kmagic.evaluation.regression.target_arrays import are_numbers  # noqa: PLC0415 - as above

        says_classes = line.multilabel or options["class_names"] is not None
        if not says_classes and are_numbers(data, y_true):
            instead = same_line_of("%keras_errors", line)
            line.fail(f"the targets are numbers, not classes: use {instead}", "")

    result = compared_result(
        session,
        line,
        confusion,
        confusions_of,
        options,
        what="a confusion matrix",
        targets="true labels",
        check=reject_numbers,
    )
    return session.deliver(result, out=line.out, quiet=line.quiet)
