"""``%keras_lr``."""

from __future__ import annotations

from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, input_warnings_as_text, magic

LEARNING_RATE = LineParser(
    "%keras_lr",
    "Find a learning rate: train for some batches while it grows, then restore the model.",
    "%keras_lr cnn --data digits -o rate\n%keras_lr cnn x_train y_train -b 128 --steps 200",
)
LEARNING_RATE.argument("[MODEL] [X Y]", "default: the last model")
LEARNING_RATE.option("--data D", "a dataset of %%keras_data: its training part")
LEARNING_RATE.option("-b --batch-size N", "samples per batch (default: 32)", minimum=1)
LEARNING_RATE.option("--steps N", "number of batches (default: 100)", minimum=20)
LEARNING_RATE.option("--lowest R", "the first learning rate (default: 1e-6)", read="value")
LEARNING_RATE.option("--highest R", "the last learning rate (default: 10)", read="value")
LEARNING_RATE.option("--no-checks", "do not check the data")
LEARNING_RATE.result_options()


@magic(LEARNING_RATE, interruptible=True)
def keras_lr(session: Session, line: ParsedLine) -> Any:
    """Find a learning rate; ``%keras_lr -h`` shows the options."""
    from kmagic.training.learning_rate_test import find_learning_rate  # noqa: PLC0415 - imports Keras

    name, model = session.take_model(line)
    x, y, _ = session.take_data(line, test=False)
    names = ("batch_size", "steps", "lowest", "highest")
    options = {key: value for key, value in line.keywords(*names).items() if value is not None}
    if line.no_checks:
        options["checks"] = False
    with input_warnings_as_text(line):
        result = find_learning_rate(model, x, y, name=name, **options)
    return session.deliver(result, out=line.out, quiet=line.quiet)
