"""``%keras_classify``: pictures with their most likely classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.data.images.image_paths import nearby
from kmagic.magics.base import Family, forgiving, in_the_line_s_words
from kmagic.magics.keras_evaluate import labels
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.model_registry import dataset_for

CLASSIFY = Arguments(
    "%keras_classify",
    "Pictures with their most likely classes, by a model of yours or by a pretrained one.",
    "%keras_classify cnn {digits.x_test[:8]} --top 3\n"
    "%keras_classify --app MobileNetV2 photo.jpg --explain\n"
    "%keras_classify --app ResNet50 photos/*.jpg -o answers\n"
    "%keras_classify cnn 'my photos' --labels cat,dog",
)
CLASSIFY.option(
    "words",
    nargs="*",
    metavar="[MODEL] IMAGE",
    help="files, folders, patterns, addresses, arrays, bytes, PIL images",
)
CLASSIFY.option("--app", metavar="NAME", help="a network of keras.applications, with its weights")
CLASSIFY.option("--top", metavar="N", default="3", help="how many classes (default 3)")
CLASSIFY.option("--explain", action="store_true", help="show what speaks for the best class")
CLASSIFY.option("--explain-for", metavar="CLASS", help="show what speaks for this class")
CLASSIFY.option("--labels", metavar="L", help="names of the classes")
CLASSIFY.option("--true", metavar="T", help="the true labels, where they are known")
CLASSIFY.option("-b", "--batch-size", metavar="N", default="32", help="pictures in a batch")
CLASSIFY.option(
    "-o", "--out", metavar="NAME", help="also bind the DataFrame of all answers to this name"
)
CLASSIFY.option("-q", "--quiet", action="store_true", help="show nothing")

A_FILE = "A file is named with its ending: photo.jpg."
IN_PYTHON = "; scaling= says otherwise."
HERE = "; a data set in this notebook, or a line rescaling in the model, says otherwise."


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
        from kmagic.evaluation.classification.classify import classify  # noqa: PLC0415 - not before it is needed

        words = list(read.words)
        name, model = self._model(read, words)
        images = self._images(read, words)
        truth = read.value(read.true) if read.true else self._known_labels(images)
        classes, scaling = labels(read), None
        data = None if read.app or dataset_for(model) else self._data_for(model)
        if data is not None:
            classes, scaling = classes or data.classes, data.scaling
        with in_the_line_s_words(name, model):
            found = classify(
                images,
                model=model,
                app=read.app,
                top=read.number(read.top, "--top", least=1),
                classes=classes,
                y_true=truth,
                scaling=scaling,
                explain=read.explain_for or read.explain,
                batch_size=read.number(read.batch_size, "--batch-size", least=1),
                name=name,
            )
        if "scaling=" in found.note:
            found = replace(found, note=found.note.replace(IN_PYTHON, HERE))
        if read.out:
            self.session.bind(read.out, found.to_frame())
        return self.session.deliver(found, out=None, quiet=read.quiet)

    def _model(self, read: Line, words: list[str]) -> tuple[str, Any]:
        """The model of the line; with ``--app`` only if it is named."""
        if read.app:
            named = bool(words) and words[0] in self.session.models()
            return self.take_model(read, words) if named else ("", None)
        return self.take_model(read, [] if words and self._is_file(words[0]) else words)

    def _is_file(self, word: str) -> bool:
        """A name of the notebook goes before a file; a file before an expression: photo.jpg."""
        return word not in self.session.names and not word.startswith("{") and is_there(word)

    def _images(self, read: Line, words: list[str]) -> Any:
        """What stands for the pictures: values from the notebook, or what names files."""
        if not words:
            remedy = "Name a file, a folder, a pattern, an address, an array or a PIL image."
            read.fail("expected pictures", "", remedy)
        found = [self._image(read, word) for word in words]
        return found[0] if len(found) == 1 else found

    def _image(self, read: Line, word: str) -> Any:
        if self._is_file(word):
            return word
        value, known = read.try_value(word)
        if not known and word.isidentifier():
            near = nearby(Path(word))
            remedy = f"Did you mean {near}?" if near else A_FILE
            read.fail("is no name of this notebook and no file", word, remedy)
        return value if known else word

    def _data_for(self, model: Any) -> Any:
        """The data set that has the model's inputs and as many classes, if there is one."""
        inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
        if not isinstance(inputs, tuple) or not isinstance(outputs, tuple):
            return None
        classes = 2 if outputs[-1] == 1 else outputs[-1]
        for data in self.session.datasets():
            same = data.x_train.shape[1:] == inputs[1:] or data.x_train[0].size == _size(inputs)
            if same and data.classes and len(data.classes) == classes:
                return data
        return None

    def _known_labels(self, images: Any) -> Any:
        """The true labels of pictures that come from a data set of this notebook."""
        if not hasattr(images, "shape"):
            return None
        for data in self.session.datasets():
            found = data.labels_of(images)
            if found is not None:
                return found
        return None


def is_there(word: str) -> bool:
    """Whether there is a file or a folder of this name."""
    try:
        return Path(word).expanduser().exists()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _size(shape: tuple[int | None, ...]) -> int:
    size = 1
    for side in shape[1:]:
        size *= side or 0
    return size
