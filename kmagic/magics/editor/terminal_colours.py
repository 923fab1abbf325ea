"""The layer language in a terminal: coloured while it is typed, and in error messages."""

from __future__ import annotations

from typing import Any

from pygments import highlight
from pygments.formatters import TerminalFormatter

from kmagic.language.pygments_lexer import ModelTextLexer
from kmagic.support.errors import DSLError
from kmagic.support.process_patches import colour_cells, restore_cells


def register(shell: Any) -> None:
    """Colour cells that define a model, if the shell is a terminal that can."""
    if getattr(shell, "kernel", None) is None and hasattr(shell, "_extra_prompt_options"):
        colour_cells(shell, ("keras_model", "keras_tune"), ModelTextLexer)
        DSLError.colour_line = staticmethod(colour_line)  # type: ignore[method-assign]  # a hook


def unregister(shell: Any) -> None:
    """Colour no more."""
    restore_cells(shell)
    if "colour_line" in vars(DSLError):
        del DSLError.colour_line


def colour_line(line: str) -> str:
    r"""A line of a model's text with ANSI colours.

    Example:
        >>> colour_line("dense 4")
        '\x1b[34mdense\x1b[39;49;00m \x1b[34m4\x1b[39;49;00m'
    """
    lexer = ModelTextLexer(stripnl=False, ensurenl=False)
    text: str = highlight(line, lexer, TerminalFormatter())
    return text
