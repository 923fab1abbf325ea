"""``%keras_evaluate``, ``%keras_predict``, ``%keras_confusion``, ``%keras_classify``."""

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
CLASSIFY = Arguments(
    "%keras_classify",
    "Single pictures with their most likely classes.",
    "%keras_classify cnn {digits.x_test[:8]} --top 3\n%keras_classify --app MobileNetV2 photo.jpg",
)
for each in (EVALUATE, PREDICT, CONFUSION):
    each.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
    each.option("--data", metavar="D", help="a data set from %%keras_data: its test part")
    each.option("-b", "--batch-size", metavar="N", help="samples in a batch")
CLASSIFY.option("words", nargs="*", metavar="[MODEL] IMAGE", help="arrays, files, PIL images")
CLASSIFY.option("--app", metavar="NAME", help="a network of keras.applications, with its weights")
CLASSIFY.option("--top", metavar="N", default="3", help="how many classes (default 3)")
PREDICT.option("--classes", action="store_true", help="the most likely class, not probabilities")
CONFUSION.option("--true", metavar="T", help="the true labels")
CONFUSION.option("--pred", metavar="P", help="the predicted labels or probabilities")
CONFUSION.option("--normalize", choices=("true", "pred", "all"), help="what is 100 %%")
for each in (CONFUSION, CLASSIFY):
    each.option("--labels", metavar="L", help="names of the classes")
CLASSIFY.option("--true", metavar="T", help="the true labels, where they are known")
for each in (EVALUATE, PREDICT, CONFUSION, CLASSIFY):
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
        options = {"normalize": read.normalize, "classes": _labels(read)}
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

    @forgiving
    @no_var_expand
    @line_magic
    def keras_classify(self, line: str) -> Any:
        """Classify pictures; ``%keras_classify -h`` tells more."""
        read = self.read(CLASSIFY, line)
        if read is None:
            return None
        from kmagic.evaluation.classify import classify  # noqa: PLC0415 - as above

        words = list(read.words)
        name, model = ("", None) if read.app else self.take_model(read, words)
        images = _images(read, words)
        data = None if read.app else self._data_for(model)
        truth, classes = (read.value(read.true) if read.true else None), _labels(read)
        if truth is None:
            truth = self._known_labels(images)
        if classes is None and data is not None:
            classes = data.classes
        found = classify(
            images,
            model=model,
            app=read.app,
            top=read.number(read.top, "--top", least=1),
            classes=classes,
            y_true=truth,
            scaling=getattr(data, "scaling", None),
            name=name,
        )
        return self.session.deliver(found, out=read.out, quiet=read.quiet)

    def _data_for(self, model: Any) -> Any:
        """The data set that has as many classes as the model has outputs, if there is one."""
        shape = getattr(model, "output_shape", None)
        for data in self.session.datasets():
            outputs = shape[-1] if isinstance(shape, tuple) else 0
            classes = 2 if outputs == 1 else outputs
            if data.classes and len(data.classes) == classes:
                return data
        return None

    def _known_labels(self, images: Any) -> Any:
        """The true labels of pictures that come from a data set of this notebook."""
        for data in self.session.datasets():
            found = data.labels_of(images)
            if found is not None:
                return found
        return None


def _unit(data: Any) -> str:
    return "samples" if data is None else "test samples"


def _batch(read: Line) -> int | None:
    return read.number(read.batch_size, "--batch-size", least=1) if read.batch_size else None


def _labels(read: Line) -> Any:
    if not read.labels:
        return None
    value, known = read.try_value(read.labels)
    if not known and "," in read.labels:
        return [part.strip("'\" ") for part in read.labels.split(",")]
    return value if known else read.value(read.labels)


def _images(read: Line, words: list[str]) -> Any:
    """What stands for the pictures: values from the notebook, or paths of files."""
    if not words:
        hint = "Name an array, a PIL image, or a file."
        read.fail("expected pictures", "", hint)
    found = []
    for word in words:
        value, known = read.try_value(word)
        found.append(value if known else word)
    return found[0] if len(found) == 1 else found
