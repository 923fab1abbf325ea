"""``%keras_layers``: the words of the layer language."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.support.errors import KmagicError

LAYERS = LineParser(
    "%keras_layers",
    "List the words of the layer language: all layers, the words of one kind, or the arguments of"
    "\none word.",
    "%keras_layers\n%keras_layers activations\n%keras_layers conv2d\n%keras_layers metric hinge",
)
LAYERS.option(
    "words",
    nargs="*",
    metavar="WORD",
    help="a layer, a family such as pooling, a kind such as activations, initializers, losses, "
    "metrics, optimizers; or a word of one of these kinds",
)


@magics_class
class LanguageMagics(BaseMagics):
    """The help of the language."""

    @magic(LAYERS)
    def keras_layers(self, line: ParsedLine) -> Any:
        """List the words of the layer language; ``%keras_layers -h`` shows the options."""
        from kmagic.models.reference import reference  # noqa: PLC0415 - asks Keras for all its words

        try:
            result = reference(" ".join(line.words), self.session.names)
        except KmagicError as error:
            line.fail(error.message, line.words[-1], error.remedy)
        return self.session.deliver(result, out=None, quiet=False)
