"""What raw data need to become what a model takes: learned once, applied to all that comes later.

Data sets learn it, files keep it, and whoever asks a model about raw data applies it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmagic.data.preparation.preparation import Preparation
    from kmagic.data.preparation.scaling import Scaling
    from kmagic.data.preparation.text_encoding import TextEncoding, learn_text

__all__ = ["Preparation", "Scaling", "TextEncoding", "learn_text"]

_HOMES = {
    "Preparation": "preparation",
    "Scaling": "scaling",
    "TextEncoding": "text_encoding",
    "learn_text": "text_encoding",
}


def __getattr__(name: str) -> Any:
    """Look a public name up where it lives: NumPy is not imported before it is needed."""
    if name in _HOMES:
        return getattr(import_module(f"kmagic.data.preparation.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
