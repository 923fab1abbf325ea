"""From a model's text to the Keras program that creates the same model."""

from kmagic.models.codegen.program import keras_program

__all__ = ["keras_program"]
