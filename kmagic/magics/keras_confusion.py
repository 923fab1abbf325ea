"""``%keras_confusion``: which classes a model confuses, and the samples of each cell."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic, scale_warnings_as_text
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import is_model
from kmagic.support.model_registry import dataset_for
from kmagic.support.suggestions import did_you_mean

CONFUSION = LineParser(
    "%keras_confusion",
    "Show which classes a model confuses, with all metrics, and the samples of each cell.",
    "%keras_confusion cnn --data digits\n"
    "%keras_confusion cnn --data digits --vs mlp\n"
    "%keras_confusion cnn x_test y_test --order similarity --top-losses 12 -o cm\n"
    "%keras_confusion --true y_test --pred y_pred --class-names cat,dog --threshold 0.3",
    {"y_true": "--true", "y_pred": "--pred"},
)
CONFUSION.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model")
CONFUSION.option(
    "--data",
    metavar="D",
    help="a data set of %%keras_data: its test part (default: the one the model was trained on)",
)
CONFUSION.option("--vs", metavar="M2", help="a second model, or its predictions, to compare with")
CONFUSION.option("--true", metavar="T", help="the true labels")
CONFUSION.option("--pred", metavar="P", help="the predicted labels or probabilities")
CONFUSION.option("--x", metavar="X", help="the samples, to be shown")
CONFUSION.option("--class-names", deprecated="--labels", metavar="L", help="class names")
CONFUSION.option("--normalize", choices=("true", "pred", "all"), help="what is 100 %%")
CONFUSION.option(
    "--order",
    choices=("given", "name", "support", "error", "similarity"),
    default="given",
    help="order of the classes (default: given)",
)
CONFUSION.option(
    "--scale", choices=("linear", "log"), default="linear", help="colour scale (default: linear)"
)
CONFUSION.option("--diagonal", action="store_true", help="include the diagonal in the colour scale")
CONFUSION.option("--top-losses", metavar="N", help="show the N samples with the highest loss")
CONFUSION.option("--threshold", metavar="P", help="predict the second class above this probability")
CONFUSION.option("--sample-weight", metavar="W", help="an array: one weight per sample")
CONFUSION.option("--multilabel", action="store_true", help="a sample may have several labels")
CONFUSION.option("--no-checks", action="store_true", help="do not check the data")
CONFUSION.option("-b", "--batch-size", metavar="N", help="samples per batch")
CONFUSION.result_options()


@magics_class
class ConfusionMagics(BaseMagics):
    """The magic for confusion matrices."""

    @magic(CONFUSION, interruptible=True)
    def keras_confusion(self, line: ParsedLine) -> Any:
        """Show a confusion matrix; ``%keras_confusion -h`` shows the options."""
        from kmagic.evaluation.confusion.confusion import confusion, confusion_of  # noqa: PLC0415 - not before it is needed

        options = _confusion_options(line)
        words = list(line.words)
        if line.true or line.pred:
            if not (line.true and line.pred):
                missing = "--pred" if line.true else "--true"
                line.fail(f"{missing} is missing; a confusion matrix needs both", "")
            if words:
                line.fail("unexpected: --true and --pred already give the data", words[0])
            y_true, x = line.value(line.true), None
            shown = line.value(line.x) if line.x else None
            result = confusion(y_true, line.value(line.pred), x=shown, **options)
        else:
            name, model = self.take_model(line, words)
            x, y_true, data = self._test_data(line, model, words)
            options = _with_data(line, options, data, x)
            with scale_warnings_as_text(line):
                result = confusion_of(
                    model, x, y_true, name=name, batch_size=_batch_size(line), **options
                )
        if line.vs:
            if not hasattr(result, "versus"):
                line.fail("needs one class per sample; these have several labels", line.vs)
            result = result.versus(self._other(line, x, y_true, options))
        return self.session.deliver(result, out=line.out, quiet=line.quiet)

    def _test_data(self, line: ParsedLine, model: Any, words: list[str]) -> tuple[Any, Any, Any]:
        """Samples, true labels and data set: those named, or the model's own."""
        known = dataset_for(model)
        if not words and not line.data and hasattr(known, "x_test"):
            return known.x_test, known.y_test, known
        x, y_true, data = self.take_data(line, words, test=True)
        if y_true is None:
            line.fail("true labels are missing", "", "Name them: `%keras_confusion cnn x y`.")
        return x, y_true, data

    def _other(self, line: ParsedLine, x: Any, y_true: Any, options: dict[str, Any]) -> Any:
        """The confusion matrix to compare with."""
        from kmagic.evaluation.confusion.confusion import (  # noqa: PLC0415 - as above
            confusion,
            confusion_of,
            reshape_samples_for,
        )

        value, known = line.try_value(line.vs)
        if not known:
            remedy = did_you_mean(line.vs, self.session.models()) or "Name a model, or predictions."
            line.fail("is not a model of this notebook", line.vs, remedy)
        name = line.vs if line.vs.isidentifier() else ""
        if not is_model(value):
            options = {key: option for key, option in options.items() if key != "samples"}
            return confusion(y_true, value, name=name, **options)
        if x is None:
            remedy = "Name the samples: `%keras_confusion MODEL X Y --vs M2`."
            line.fail("is a model, but --true and --pred give no samples", line.vs, remedy)
        x = reshape_samples_for(value, x)
        return confusion_of(value, x, y_true, name=name, batch_size=_batch_size(line), **options)


def _batch_size(line: ParsedLine) -> Any:
    return line.number("batch_size", minimum=1)


def _confusion_options(line: ParsedLine) -> dict[str, Any]:
    """The options as keywords of ``kmagic.confusion`` and ``kmagic.confusion_of``."""
    options: dict[str, Any] = {
        "normalize": line.normalize,
        "class_names": line.parse_class_names(),
        "order": line.order,
        "scale": line.scale,
        "diagonal": line.diagonal,
        "multilabel": line.multilabel or None,
    }
    for name in ("threshold", "sample_weight"):
        text = getattr(line, name)
        if text:
            options[name] = line.value(text)
    if line.top_losses:
        options["top_losses"] = line.number("top_losses", minimum=1)
    return options


def _with_data(line: ParsedLine, options: dict[str, Any], data: Any, x: Any) -> dict[str, Any]:
    """The options, with a data set's class names and the samples to show."""
    if line.x:
        options = options | {"samples": line.value(line.x)}
    if data is None:
        return options
    from kmagic.evaluation.prediction.model_inputs import decode_samples  # noqa: PLC0415 - not before it is needed

    known = {"samples": decode_samples(data, x), "unit": "test samples", **options}
    if known["class_names"] is None:
        known["class_names"] = data.classes
    return known
