"""The layer language: text to spec, spec to text, spec to graph; without Keras or IPython."""

from kmagic.language.formatter import format_spec, format_statement, format_value
from kmagic.language.parser import parse

__all__ = ["format_spec", "format_statement", "format_value", "parse"]
