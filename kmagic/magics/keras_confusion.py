"""``%keras_confusion``: what a model takes for what, and the samples behind it."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family, forgiving, heeding_scale
from kmagic.magics.keras_evaluate import batch_of, labels
from kmagic.magics.line_parser import Arguments, Line
from kmagic.magics.session import is_model
from kmagic.support.model_registry import dataset_for
from kmagic.support.suggestions import did_you_mean

CONFUSION = Arguments(
    "%keras_confusion",
    "Which classes a model takes for which, with all figures, and the samples behind each cell.",
    "%keras_confusion cnn --data digits\n"
    "%keras_confusion cnn --data digits --vs mlp\n"
    "%keras_confusion cnn x_test y_test --order similarity --top-losses 12 -o cm\n"
    "%keras_confusion --true y_test --pred y_pred --labels cat,dog --threshold 0.3",
)
CONFUSION.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
CONFUSION.option(
    "--data",
    metavar="D",
    help="a data set from %%keras_data: its test part; by default the one the model learned from",
)
CONFUSION.option("--vs", metavar="M2", help="a second model, or its answers, to compare with")
CONFUSION.option("--true", metavar="T", help="the true labels")
CONFUSION.option("--pred", metavar="P", help="the predicted labels or probabilities")
CONFUSION.option("--x", metavar="X", help="the samples, to be shown")
CONFUSION.option("--labels", metavar="L", help="names of the classes")
CONFUSION.option("--normalize", choices=("true", "pred", "all"), help="what is 100 %%")
CONFUSION.option(
    "--order",
    choices=("given", "name", "support", "error", "similarity"),
    default="given",
    help="how the classes are sorted",
)
CONFUSION.option("--scale", choices=("linear", "log"), default="linear", help="of the colours")
CONFUSION.option("--diagonal", action="store_true", help="colour what is right by its count too")
CONFUSION.option("--top-losses", metavar="N", help="show the N samples with the highest loss")
CONFUSION.option("--threshold", metavar="P", help="above it the second of two classes is meant")
CONFUSION.option("--sample-weight", metavar="W", help="an array: one weight a sample")
CONFUSION.option("--multilabel", action="store_true", help="a sample may have several labels")
CONFUSION.option("--no-checks", action="store_true", help="do not look at the data before")
CONFUSION.option("-b", "--batch-size", metavar="N", help="samples in a batch")
CONFUSION.result_options()


@magics_class
class ConfusionMagics(Family):
    """Seeing what a model gets wrong."""

    @forgiving
    @no_var_expand
    @line_magic
    def keras_confusion(self, line: str) -> Any:
        """Show a confusion matrix; ``%keras_confusion -h`` tells more."""
        read = self.read(CONFUSION, line)
        if read is None:
            return None
        from kmagic.evaluation.confusion.confusion import confusion  # noqa: PLC0415 - not before it is needed

        options = _options(read)
        words = list(read.words)
        if read.true or read.pred:
            if not (read.true and read.pred):
                missing = "--pred" if read.true else "--true"
                read.fail(f"{missing} is missing: a matrix needs both", "")
            if words:
                read.fail("is one too many: --true and --pred say all", words[0])
            truth, x, name = read.value(read.true), None, ""
            found = confusion(truth, read.value(read.pred), **options)
        else:
            name, model = self.take_model(read, words)
            x, truth, data = self._judged_on(read, model, words)
            options = _with_data(options, data, x)
            with heeding_scale(read):
                found = confusion(model, x, truth, name=name, batch_size=batch_of(read), **options)
        if read.vs:
            if not hasattr(found, "versus"):
                read.fail("is for one class a sample, and these have several labels", read.vs)
            found = found.versus(self._other(read, x, truth, options))
        return self.session.deliver(found, out=read.out, quiet=read.quiet)

    def _judged_on(self, read: Line, model: Any, words: list[str]) -> tuple[Any, Any, Any]:
        """The samples and the truth: those named, or those that the model's past names."""
        known = dataset_for(model)
        if not words and not read.data and hasattr(known, "x_test"):
            return known.x_test, known.y_test, known
        x, truth, data = self.take_data(read, words, test=True)
        if truth is None:
            read.fail("the true labels are missing", "", "Name them: `%keras_confusion cnn x y`.")
        return x, truth, data

    def _other(self, read: Line, x: Any, truth: Any, options: dict[str, Any]) -> Any:
        """The matrix of what the model is compared with."""
        from kmagic.evaluation.confusion.confusion import (
            confusion,  # noqa: PLC0415 - as above
            reshape_samples_for,  # noqa: PLC0415 - as above
        )

        value, known = read.try_value(read.vs)
        if not known:
            remedy = did_you_mean(read.vs, self.session.models()) or "Name a model, or predictions."
            read.fail("is not a model of this notebook", read.vs, remedy)
        name = read.vs if read.vs.isidentifier() else ""
        if not is_model(value):
            return confusion(truth, value, name=name, **options)
        if x is None:
            read.fail("is a model, and --true and --pred name no samples to ask it about", read.vs)
        return confusion(
            value,
            reshape_samples_for(value, x),
            truth,
            name=name,
            batch_size=batch_of(read),
            **options,
        )


def _options(read: Line) -> dict[str, Any]:
    """The options as the keywords of :func:`kmagic.evaluation.confusion.confusion.confusion`."""
    found: dict[str, Any] = {
        "normalize": read.normalize,
        "classes": labels(read),
        "order": read.order,
        "scale": read.scale,
        "diagonal": read.diagonal,
        "multilabel": read.multilabel or None,
    }
    for name, text in (
        ("threshold", read.threshold),
        ("sample_weight", read.sample_weight),
        ("x", read.x),
    ):
        if text:
            found[name] = read.value(text)
    if read.top_losses:
        found["top_losses"] = read.number(read.top_losses, "--top-losses", least=1)
    return found


def _with_data(options: dict[str, Any], data: Any, x: Any) -> dict[str, Any]:
    """The options, with what a data set knows of its classes and of how its samples look."""
    if data is None:
        return options
    from kmagic.evaluation.prediction.model_inputs import decode_samples  # noqa: PLC0415 - not before it is needed

    found = {"x": decode_samples(data, x), "unit": "test samples", **options}
    if found["classes"] is None:
        found["classes"] = data.classes
    return found
