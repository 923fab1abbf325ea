"""``%keras_layers``: the words of the language."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.arguments import Arguments
from kmagic.magics.base import Family

LAYERS = Arguments(
    "%keras_layers",
    "The words of the layer language: all layers, the words of one kind, or one word's arguments.",
    "%keras_layers\n%keras_layers activations\n%keras_layers conv2d",
)
LAYERS.option("word", nargs="?", help="a layer, or activations, initializers, losses, ...")


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
        from kmagic.reference import reference  # noqa: PLC0415 - asks Keras for all its words

        return self.session.deliver(
            reference(read.word or "", self.session.names), out=None, quiet=False
        )
