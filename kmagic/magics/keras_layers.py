"""``%keras_layers``: the words of the language."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family
from kmagic.magics.line_parser import Arguments
from kmagic.support.errors import KmagicError

LAYERS = Arguments(
    "%keras_layers",
    "The words of the layer language: all layers, the words of one kind, or one word's arguments.",
    "%keras_layers\n%keras_layers activations\n%keras_layers conv2d\n%keras_layers metric hinge",
)
LAYERS.option(
    "words",
    nargs="*",
    metavar="WORD",
    help="a layer, a family such as pooling, a kind such as activations, initializers, losses, "
    "metrics, optimizers; or one of their words",
)


@magics_class
class LanguageMagics(Family):
    """The language's own help."""

    @no_var_expand
    @line_magic
    def keras_layers(self, line: str) -> Any:
        """List the words of the language; ``%keras_layers -h`` tells more."""
        read = self.read(LAYERS, line)
        if read is None:
            return None
        from kmagic.models.reference import reference  # noqa: PLC0415 - asks Keras for all its words

        try:
            found = reference(" ".join(read.words), self.session.names)
        except KmagicError as error:
            read.fail(error.message, read.words[-1], error.remedy)
        return self.session.deliver(found, out=None, quiet=False)
