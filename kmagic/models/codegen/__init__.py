"""The way out: the Keras program that a model's text stands for."""

from kmagic.models.codegen.program import program

__all__ = ["program"]
