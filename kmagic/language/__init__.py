"""The layer language: text to spec and back. Knows neither Keras nor IPython."""

from kmagic.language.formatter import format_spec, format_statement, format_value
from kmagic.language.parser import parse

__all__ = ["format_spec", "format_statement", "format_value", "parse"]
