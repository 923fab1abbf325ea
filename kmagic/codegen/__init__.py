"""The way out: the Keras program that a model's text stands for."""

from kmagic.codegen.program import program

__all__ = ["program"]
