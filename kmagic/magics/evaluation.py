"""``%keras_evaluate``, ``%keras_predict``, ``%keras_confusion``."""

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
CONFUSION = Arguments(
    "%keras_confusion",
    "Which classes a model takes for which, as a heatmap, with precision and recall.",
    "%keras_confusion cnn --data digits\n%keras_confusion --true y_test --pred y_pred",
)
for each in (EVALUATE, PREDICT, CONFUSION):
    each.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
    each.option("--data", metavar="D", help="a data set from %%keras_data: its test part")
    each.option("-b", "--batch-size", metavar="N", help="samples in a batch")
PREDICT.option("--classes", action="store_true", help="the most likely class, not probabilities")
CONFUSION.option("--true", metavar="T", help="the true labels")
CONFUSION.option("--pred", metavar="P", help="the predicted labels or probabilities")
CONFUSION.option("--normalize", choices=("true", "pred", "all"), help="what is 100 %%")
CONFUSION.option("--labels", metavar="L", help="names of the classes")
for each in (EVALUATE, PREDICT, CONFUSION):
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
        found = evaluate(model, x, y, batch_size=_batch(read), name=name, unit=_unit(data))
        return self.session.deliver(found, out=read.out, quiet=read.quiet)

    @forgiving
    @no_var_expand
    @line_magic
    def keras_predict(self, line: str) -> Any:
        """Predict with a model; ``%keras_predict -h`` tells more."""
        read = self.read(PREDICT, line)
        if read is None:
            return None
        from kmagic.evaluation.predictions import predict, to_classes  # noqa: PLC0415 - as above

        words = list(read.words)
        _, model = self.take_model(read, words)
        x, _, _ = self.take_data(read, words, test=True)
        found = predict(model, x, batch_size=_batch(read))
        if read.classes:
            found = to_classes(found)
        if read.out:
            self.session.bind(read.out, found)
        return None if read.quiet else found

    @forgiving
    @no_var_expand
    @line_magic
    def keras_confusion(self, line: str) -> Any:
        """Show a confusion matrix; ``%keras_confusion -h`` tells more."""
        read = self.read(CONFUSION, line)
        if read is None:
            return None
        from kmagic.evaluation.confusion import confusion  # noqa: PLC0415 - as above
        from kmagic.evaluation.predictions import predict  # noqa: PLC0415 - as above

        words = list(read.words)
        options = {"normalize": read.normalize, "classes": labels(read)}
        if read.true or read.pred:
            if not (read.true and read.pred):
                missing = "--pred" if read.true else "--true"
                read.fail(f"{missing} is missing: a matrix needs both", "")
            found = confusion(read.value(read.true), read.value(read.pred), **options)
            return self.session.deliver(found, out=read.out, quiet=read.quiet)
        name, model = self.take_model(read, words)
        x, y, data = self.take_data(read, words, test=True)
        if y is None:
            read.fail("the true labels are missing", "", "Name them: `%keras_confusion cnn x y`.")
        if options["classes"] is None and data is not None:
            options["classes"] = data.classes
        answers = predict(model, x, batch_size=_batch(read))
        found = confusion(y, answers, x=x, name=name, unit=_unit(data), **options)
        return self.session.deliver(found, out=read.out, quiet=read.quiet)


def _unit(data: Any) -> str:
    return "samples" if data is None else "test samples"


def _batch(read: Line) -> int | None:
    return read.number(read.batch_size, "--batch-size", least=1) if read.batch_size else None


def labels(read: Line) -> Any:
    """The names of the classes that ``--labels`` gives: a name, a value or words with commas."""
    if not read.labels:
        return None
    value, known = read.try_value(read.labels)
    if not known and "," in read.labels:
        return [part.strip("'\" ") for part in read.labels.split(",")]
    return value if known else read.value(read.labels)
