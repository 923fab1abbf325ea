"""``%keras_evaluate`` and ``%keras_predict``."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.arguments import Arguments, Line
from kmagic.magics.base import Family, forgiving

EVALUATE = Arguments(
    "%keras_evaluate",
    "Loss and metrics of a model on data it has not seen.",
    "%keras_evaluate cnn --data digits\n%keras_evaluate cnn x_test y_test",
)
PREDICT = Arguments(
    "%keras_predict",
    "What a model answers: probabilities, or with --classes the most likely class.",
    "%keras_predict cnn {digits.x_test[:8]} --classes -o answers",
)
for each in (EVALUATE, PREDICT):
    each.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
    each.option("--data", metavar="D", help="a data set from %%keras_data: its test part")
    each.option("-b", "--batch-size", metavar="N", help="samples in a batch")
PREDICT.option("--classes", action="store_true", help="the most likely class, not probabilities")
for each in (EVALUATE, PREDICT):
    each.result_options()


@magics_class
class EvaluationMagics(Family):
    """Judging a model."""

    @forgiving
    @no_var_expand
    @line_magic
    def keras_evaluate(self, line: str) -> Any:
        """Evaluate a model; ``%keras_evaluate -h`` tells more."""
        read = self.read(EVALUATE, line)
        if read is None:
            return None
        from kmagic.evaluation.evaluate import evaluate  # noqa: PLC0415 - not before it is needed

        words = list(read.words)
        name, model = self.take_model(read, words)
        x, y, data = self.take_data(read, words, test=True)
        found = evaluate(model, x, y, batch_size=batch_of(read), name=name, unit=_unit(data))
        return self.session.deliver(found, out=read.out, quiet=read.quiet)

    @forgiving
    @no_var_expand
    @line_magic
    def keras_predict(self, line: str) -> Any:
        """Predict with a model; ``%keras_predict -h`` tells more."""
        read = self.read(PREDICT, line)
        if read is None:
            return None
        from kmagic.evaluation.kept import KEPT  # noqa: PLC0415 - as above
        from kmagic.evaluation.predictions import to_classes  # noqa: PLC0415 - as above

        words = list(read.words)
        _, model = self.take_model(read, words)
        x, _, _ = self.take_data(read, words, test=True)
        found = KEPT.predict(model, x, batch_size=batch_of(read))
        found = to_classes(found) if read.classes else found.copy()
        if read.out:
            self.session.bind(read.out, found)
        return None if read.quiet else found


def _unit(data: Any) -> str:
    return "samples" if data is None else "test samples"


def batch_of(read: Line) -> int | None:
    """The batch size of a line, if it names one."""
    return read.number(read.batch_size, "--batch-size", least=1) if read.batch_size else None


def labels(read: Line) -> Any:
    """The names of the classes that ``--labels`` gives: a name, a value or words with commas."""
    if not read.labels:
        return None
    value, known = read.try_value(read.labels)
    if not known and "," in read.labels:
        return [part.strip("'\" ") for part in read.labels.split(",")]
    return value if known else read.value(read.labels)
