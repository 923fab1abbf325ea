"""``%keras_layers``: help on the words of the layer language."""

from __future__ import annotations

from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.errors import KmagicError

LAYERS = LineParser(
    "%keras_layers",
    "List the words of the layer language: all layers, the words of one kind, or the arguments of"
    "\none word.",
    "%keras_layers\n%keras_layers activations\n%keras_layers conv2d\n%keras_layers metric hinge",
)
LAYERS.argument(
    "WORD",
    "a layer, a family such as pooling, a kind such as activations, initializers, losses, "
    "metrics, optimizers; or a word of one of these kinds",
)


@magic(LAYERS)
def keras_layers(session: Session, line: ParsedLine) -> Any:
    """List the words of the layer language; ``%keras_layers -h`` shows the options."""
    from kmagic.models.reference import reference  # noqa: PLC0415 - asks Keras for all its words

    try:
        return session.deliver(reference(" ".join(line.arguments), session.names))
    except KmagicError as error:
        line.fail(error.message, line.arguments[-1], error.remedy)
