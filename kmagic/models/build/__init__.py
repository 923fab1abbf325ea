"""Text to Keras model; each error of Keras is tied to the line that caused it."""

from kmagic.models.build.assembly import BuiltStep
from kmagic.models.build.builder import accepts_input_shape, build_model, compile_text
from kmagic.models.build.model_origin import (
    ModelOrigin,
    origin_of,
    restore_origin,
    serialize_steps,
)

__all__ = [
    "BuiltStep",
    "ModelOrigin",
    "accepts_input_shape",
    "build_model",
    "compile_text",
    "origin_of",
    "restore_origin",
    "serialize_steps",
]
