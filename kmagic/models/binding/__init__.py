"""What the words of a text mean to Keras. Nothing is built here.

A model and its Python program look up names and bind arguments in the same way.
"""

from kmagic.models.binding.argument_binding import BoundArguments, bind_arguments
from kmagic.models.binding.build_context import UNRESOLVED, BuildContext

__all__ = ["UNRESOLVED", "BoundArguments", "BuildContext", "bind_arguments"]
