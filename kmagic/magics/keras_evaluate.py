"""``%keras_evaluate`` and ``%keras_predict``."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import MAX_ARRAYS, BaseMagics, magic, scale_warnings_as_text
from kmagic.magics.line_parser import LineParser, ParsedLine

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
EVALUATE.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model")
PREDICT.option(
    "words",
    nargs="*",
    metavar="[MODEL] X",
    help="arrays, data frames, files, folders, patterns, quoted sentences",
)
for parser in (EVALUATE, PREDICT):
    parser.option("--data", metavar="D", help="a data set of %%keras_data: its test part")
    parser.option("--class-names", metavar="L", help="class names")
    parser.option("-b", "--batch-size", metavar="N", help="samples per batch")
    parser.option("--no-checks", action="store_true", help="do not check the data")
PREDICT.option("--classes", action="store_true", help="the index of the most likely class")
PREDICT.option(
    "--proba", action="store_true", help="one probability per class, for binary models too"
)
for parser in (EVALUATE, PREDICT):
    parser.result_options()


@magics_class
class EvaluationMagics(BaseMagics):
    """The magics for evaluation and prediction."""

    @magic(EVALUATE, interruptible=True)
    def keras_evaluate(self, line: ParsedLine) -> Any:
        """Evaluate a model; ``%keras_evaluate -h`` shows the options."""
        from kmagic.evaluation.prediction.evaluate import evaluate  # noqa: PLC0415 - not before it is needed

        words = list(line.words)
        name, model = self._model(line, words)
        if words and self.is_file(words[0]):
            x, data = words[0], None
            y = line.value(words[1]) if len(words) > 1 else None
        else:
            x, y, data = self.take_data(line, words, test=True)
        unit = "samples" if data is None else "test samples"
        batch_size = line.number("batch_size", minimum=1)
        with scale_warnings_as_text(line):
            result = evaluate(
                model,
                x,
                y,
                batch_size=batch_size,
                class_names=line.parse_class_names(),
                name=name,
                unit=unit,
            )
        return self.session.deliver(result, out=line.out, quiet=line.quiet)

    @magic(PREDICT, interruptible=True)
    def keras_predict(self, line: ParsedLine) -> Any:
        """Predict with a model; ``%keras_predict -h`` shows the options."""
        from kmagic.evaluation.prediction.predict import predict, predict_classes, predict_proba  # noqa: PLC0415 - as above

        words = list(line.words)
        if line.classes and line.proba:
            line.fail("cannot be combined with --classes", "--proba")
        name, model = self._model(line, words)
        function = predict_classes if line.classes else predict_proba if line.proba else predict
        x = self._samples(line, words)
        with scale_warnings_as_text(line):
            batch_size = line.number("batch_size", minimum=1)
            names = line.parse_class_names()
            result = function(model, x, batch_size=batch_size, class_names=names, name=name)
        return self.session.deliver(result, out=line.out, quiet=line.quiet)

    def _model(self, line: ParsedLine, words: list[str]) -> tuple[str, Any]:
        """The model of the line; a file in its place belongs to the last model."""
        return self.take_model(line, [] if words and self.is_file(words[0]) else words)

    def _samples(self, line: ParsedLine, words: list[str]) -> Any:
        """The samples to predict: values of the notebook, files, or quoted sentences."""
        if line.data:
            return self.take_data(line, words, test=True)[2]
        if not words:
            remedy = "Name an array, a data frame, files or a sentence in quotes; or --data digits."
            line.fail("expected something to predict", "", remedy)
        samples = [self._sample(line, word) for word in words]
        if len(samples) == 1:
            return samples[0]
        if len(samples) == MAX_ARRAYS and all(hasattr(sample, "shape") for sample in samples):
            # Two inputs, or samples with their true labels, which a prediction does not need.
            current = self.session.current_model()
            inputs = getattr(current[1], "inputs", None) if current else None
            return samples if inputs is not None and len(inputs) > 1 else samples[0]
        return samples

    def _sample(self, line: ParsedLine, word: str) -> Any:
        if self.is_file(word):
            return word
        value, known = line.try_value(word)
        if not known and word.isidentifier():
            remedy = "Write a file with its extension, a sentence in quotes."
            self.fail_unknown(line, word, remedy)
        return value if known else word
