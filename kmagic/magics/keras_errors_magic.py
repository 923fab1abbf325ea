"""``%keras_errors``: what a regression model gets wrong, and the rows of the largest errors."""

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

ERRORS = LineParser(
    "%keras_errors",
    "Show the errors of a regression model: metrics with intervals, charts and the worst rows.",
    "%keras_errors net --data houses\n"
    "%keras_errors net --data houses --vs deeper\n"
    "%keras_errors net x_test y_test --worst 20 -o err\n"
    "%keras_errors cv\n"
    "%keras_errors --true y_test --pred y_pred --target-names price",
    {"y_true": "--true", "y_pred": "--pred"},
)
data_options(ERRORS, "the true values", "the predicted values")
ERRORS.option("--target-names L", "names of the targets: rain,wind", read="value or text")
ERRORS.option("--time T", "dates or numbers that give the order of the rows", read="value")
ERRORS.option("--worst N", "rows with the largest errors to show (default: 8)", minimum=1)
ERRORS.option("--sample-weight W", "an array: one weight per sample", read="value")
ERRORS.option("--seed S", "seed of the intervals (default: 0)", minimum=0)
reading_options(ERRORS)


@magic(ERRORS, interruptible=True)
def keras_errors(session: Session, line: ParsedLine) -> Any:
    """Show the errors of a regression; ``%keras_errors -h`` shows the options."""
    from kmagic.evaluation.regression.errors_of import errors, errors_of_models  # noqa: PLC0415 - not before it is needed
    from kmagic.evaluation.regression.target_arrays import are_classes  # noqa: PLC0415 - as above

    options = line.keywords("target_names", "time", "sample_weight", "output")
    options |= {name: value for name, value in line.keywords("worst", "seed").items() if value}
    if isinstance(options["target_names"], str):
        options["target_names"] = options["target_names"].split(",")

    def reject_classes(data: Any, y_true: Any) -> None:
        if are_classes(data, y_true):
            instead = same_line_of("%keras_confusion", line)
            line.fail(f"the targets are classes, not numbers: use {instead}", "")

    result = compared_result(
        session,
        line,
        errors,
        errors_of_models,
        options,
        what="a list of errors",
        targets="true values",
        check=reject_classes,
    )
    return session.deliver(result, out=line.out, quiet=line.quiet)
