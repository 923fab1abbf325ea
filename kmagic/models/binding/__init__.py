"""What the words of a text mean to Keras: the floor on which a model and its program are built.

Names are looked up and values are given their parameters here; nothing is made.
"""

from kmagic.models.binding.argument_binding import (
    UNRESOLVED,
    BoundArguments,
    Resolve,
    bind_arguments,
)
from kmagic.models.binding.build_context import BuildContext

__all__ = ["UNRESOLVED", "BoundArguments", "BuildContext", "Resolve", "bind_arguments"]
