"""``%keras_evaluate`` and ``%keras_predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family, forgiving, heeding_scale, in_the_line_s_words
from kmagic.magics.line_parser import Arguments, Line

TWO = 2  # samples and their truth, which a prediction does not need
EVALUATE = Arguments(
    "%keras_evaluate",
    "Loss and metrics of a model on data it has not seen.",
    "%keras_evaluate cnn --data digits\n%keras_evaluate cnn x_test y_test",
)
PREDICT = Arguments(
    "%keras_predict",
    "What a model answers about arrays, frames, files of pictures or sentences. The result is an\n"
    "array, shown as a card; -o gives it a name.",
    "%keras_predict cnn x_new -o answers\n%keras_predict cnn --data digits --classes\n"
    '%keras_predict cnn photos/*.jpg --proba\n%keras_predict film "a great film" "too long"',
)
EVALUATE.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
PREDICT.option(
    "words",
    nargs="*",
    metavar="[MODEL] X",
    help="arrays, data frames, files, folders, patterns, quoted sentences",
)
for each in (EVALUATE, PREDICT):
    each.option("--data", metavar="D", help="a data set from %%keras_data: its test part")
    each.option("-b", "--batch-size", metavar="N", help="samples in a batch")
    each.option("--no-checks", action="store_true", help="do not look at the data before")
PREDICT.option("--classes", action="store_true", help="the number of the most likely class")
PREDICT.option("--proba", action="store_true", help="one probability a class, also for two")
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
        from kmagic.evaluation.prediction.evaluate import evaluate  # noqa: PLC0415 - not before it is needed

        words = list(read.words)
        name, model = self.take_model(read, words if not _is_file(self, words) else [])
        if _is_file(self, words):
            x, data = words[0], None
            y = read.value(words[1]) if len(words) > 1 else None
        else:
            x, y, data = self.take_data(read, words, test=True)
        with heeding_scale(read), in_the_line_s_words(name, model):
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
        from kmagic.evaluation.prediction.predict import predict, predict_classes, predict_proba  # noqa: PLC0415 - as above

        words = list(read.words)
        if read.classes and read.proba:
            read.fail("is one too many beside --classes", "--proba")
        name, model = self.take_model(read, words if not _is_file(self, words) else [])
        ask = predict_classes if read.classes else predict_proba if read.proba else predict
        x = self._samples(read, words)
        with heeding_scale(read), in_the_line_s_words(name, model):
            found = ask(model, x, batch_size=batch_of(read), name=name)
        return self.session.deliver(found, out=read.out, quiet=read.quiet)

    def _samples(self, read: Line, words: list[str]) -> Any:
        """What is to be predicted: values of the notebook, files, or quoted sentences."""
        if read.data:
            return self.take_data(read, words, test=True)[2]
        if not words:
            remedy = (
                "Name an array, a data frame, files, or a sentence in quotes; or --data digits."
            )
            read.fail("expected something to predict", "", remedy)
        found = [self._sample(read, word) for word in words]
        if len(found) == 1:
            return found[0]
        if len(found) == TWO and hasattr(found[0], "shape") and hasattr(found[1], "shape"):
            model = self.session.current_model()
            inputs = getattr(model[1], "inputs", None) if model else None
            return found if inputs is not None and len(inputs) > 1 else found[0]
        return found

    def _sample(self, read: Line, word: str) -> Any:
        if _is_file(self, [word]):
            return word
        value, known = read.try_value(word)
        if known:
            return value
        if word.isidentifier():
            remedy = "A file is named with its ending, a sentence stands in quotes."
            read.fail("is no name of this notebook and no file", word, remedy)
        return word


def _is_file(family: Family, words: list[str]) -> bool:
    """Whether the first word is a file: a name of the notebook goes before it."""
    if not words or words[0] in family.session.names or words[0][:1] in "{\"'":
        return False
    try:
        return Path(words[0]).expanduser().exists()
    except (OSError, ValueError):  # no name that a file can have
        return False


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
