"""``%keras_classify``: images with their most likely classes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.support.model_registry import dataset_for

CLASSIFY = LineParser(
    "%keras_classify",
    "Show images with their most likely classes, by your own model or a pretrained one.",
    "%keras_classify cnn {digits.x_test[:8]} --top 3\n"
    "%keras_classify --app MobileNetV2 photo.jpg --explain\n"
    "%keras_classify --app ResNet50 photos/*.jpg -o predictions\n"
    "%keras_classify cnn 'my photos' --class-names cat,dog",
    {
        "explain": "--explain-for",
        "y_true": "--true",
    },
)
CLASSIFY.option(
    "words",
    nargs="*",
    metavar="[MODEL] IMAGE",
    help="files, folders, patterns, URLs, arrays, bytes, PIL images",
)
CLASSIFY.option("--app", metavar="NAME", help="a pretrained network of keras.applications")
CLASSIFY.option("--top", metavar="N", default="3", help="number of classes (default: 3)")
CLASSIFY.option("--explain", action="store_true", help="mark the areas behind the best class")
CLASSIFY.option("--explain-for", metavar="CLASS", help="mark the areas behind this class")
CLASSIFY.option("--class-names", deprecated="--labels", metavar="L", help="class names")
CLASSIFY.option("--true", metavar="T", help="the true labels, if known")
CLASSIFY.option("--scaling", metavar="S", help="what the training images were divided by, e.g. 255")
CLASSIFY.option(
    "-b", "--batch-size", metavar="N", default="32", help="images per batch (default: 32)"
)
CLASSIFY.option("-o", "--out", metavar="NAME", help="also assign the DataFrame of all predictions")
CLASSIFY.option("-q", "--quiet", action="store_true", help="show nothing")


@magics_class
class ClassificationMagics(BaseMagics):
    """The magic for the classification of images."""

    @magic(CLASSIFY, interruptible=True)
    def keras_classify(self, line: ParsedLine) -> Any:
        """Classify images; ``%keras_classify -h`` shows the options."""
        from kmagic.evaluation.classification.classify import classify  # noqa: PLC0415 - not before it is needed

        words = list(line.words)
        name, model = self._model(line, words)
        images = self._images(line, words)
        y_true = line.value(line.true) if line.true else self._known_labels(images)
        class_names = line.parse_class_names()
        scaling = line.value(line.scaling) if line.scaling else None
        data = None if line.app or dataset_for(model) else self._matching_dataset(model)
        if data is not None:
            class_names = class_names or data.classes
            scaling = data.scaling if scaling is None else scaling
        result = classify(
            images,
            model=model,
            app=line.app,
            top=line.number("top", minimum=1),
            class_names=class_names,
            y_true=y_true,
            scaling=scaling,
            explain=line.explain_for or line.explain,
            batch_size=line.number("batch_size", minimum=1),
            name=name,
        )
        result = replace(result, spelling=line.spelling)
        if line.out:
            self.session.names[line.out] = result.to_frame()
        return self.session.deliver(result, out=None, quiet=line.quiet)

    def _model(self, line: ParsedLine, words: list[str]) -> tuple[str, Any]:
        """The model of the line; with ``--app`` only if it is named."""
        if line.app and (not words or words[0] not in self.session.models()):
            return "", None
        return self.take_model(line, [] if words and self.is_file(words[0]) else words)

    def _images(self, line: ParsedLine, words: list[str]) -> Any:
        """The images to classify: values of the notebook, or what names files."""
        if not words:
            remedy = "Name a file, a folder, a pattern, a URL, an array or a PIL image."
            line.fail("expected images", "", remedy)
        images = [self._image(line, word) for word in words]
        return images[0] if len(images) == 1 else images

    def _image(self, line: ParsedLine, word: str) -> Any:
        """A file comes before an expression: photo.jpg is no attribute."""
        if self.is_file(word):
            return word
        value, known = line.try_value(word)
        if not known and word.isidentifier():
            from kmagic.data.paths import nearest_path  # noqa: PLC0415 - imports the downloads

            file = nearest_path(Path(word))
            remedy = (
                f"Did you mean {file}?" if file else "Write a file with its extension: photo.jpg."
            )
            self.fail_unknown(line, word, remedy)
        return value if known else word

    def _matching_dataset(self, model: Any) -> Any:
        """The data set with the model's input shape and number of classes, if there is one."""
        inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
        if not isinstance(inputs, tuple) or not isinstance(outputs, tuple):
            return None
        classes = 2 if outputs[-1] == 1 else outputs[-1]
        size = math.prod(side or 0 for side in inputs[1:])
        for data in self.session.datasets():
            matches = data.x_train.shape[1:] == inputs[1:] or data.x_train[0].size == size
            if matches and data.classes and len(data.classes) == classes:
                return data
        return None

    def _known_labels(self, images: Any) -> Any:
        """The true labels of images that come from a data set of this notebook."""
        if not hasattr(images, "shape"):
            return None
        labels = (data.labels_of(images) for data in self.session.datasets())
        return next((known for known in labels if known is not None), None)
