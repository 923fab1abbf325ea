"""``%keras_classify``: single pictures with their most likely classes."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.arguments import Arguments, Line
from kmagic.magics.base import Family, forgiving
from kmagic.magics.evaluation import labels

CLASSIFY = Arguments(
    "%keras_classify",
    "Single pictures with their most likely classes.",
    "%keras_classify cnn {digits.x_test[:8]} --top 3\n%keras_classify --app MobileNetV2 photo.jpg",
)
CLASSIFY.option("words", nargs="*", metavar="[MODEL] IMAGE", help="arrays, files, PIL images")
CLASSIFY.option("--app", metavar="NAME", help="a network of keras.applications, with its weights")
CLASSIFY.option("--top", metavar="N", default="3", help="how many classes (default 3)")
CLASSIFY.option("--labels", metavar="L", help="names of the classes")
CLASSIFY.option("--true", metavar="T", help="the true labels, where they are known")
CLASSIFY.result_options()


@magics_class
class ClassificationMagics(Family):
    """Classifying pictures."""

    @forgiving
    @no_var_expand
    @line_magic
    def keras_classify(self, line: str) -> Any:
        """Classify pictures; ``%keras_classify -h`` tells more."""
        read = self.read(CLASSIFY, line)
        if read is None:
            return None
        from kmagic.evaluation.classify import classify  # noqa: PLC0415 - not before it is needed

        words = list(read.words)
        name, model = ("", None) if read.app else self.take_model(read, words)
        images = _images(read, words)
        data = None if read.app else self._data_for(model)
        truth, classes = (read.value(read.true) if read.true else None), labels(read)
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
