"""Colours in a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.terminal.ptutils import IPythonPTLexer
from prompt_toolkit.document import Document

from kmagic.magics.editor import terminal_colours
from kmagic.support.errors import DSLError, MagicError, Problem


class Terminal:
    """What IPython's terminal shell has."""

    def _extra_prompt_options(self) -> dict[str, Any]:
        return {"lexer": IPythonPTLexer(), "other": 1}


@pytest.fixture
def terminal():
    shell = Terminal()
    terminal_colours.register(shell)
    yield shell
    terminal_colours.unregister(shell)


def styles(shell: Terminal, code: str) -> dict[str, str]:
    """The style of each word of the second line."""
    options = shell._extra_prompt_options()
    assert options["other"] == 1
    line = options["lexer"].lex_document(Document(code))(1)
    return {text.strip(): style for style, text in line if text.strip()}


def test_a_cell_is_coloured_as_the_layer_language(terminal):
    found = styles(terminal, "%%keras_model m\nconv2d 8 28x28x1 relu")
    assert found["conv2d"] == "class:pygments.keyword.layer"
    assert "28x28x1" in found
    assert "28x28x1" not in styles(terminal, "%%time\nconv2d = 8 * 28")


def test_an_error_message_is_coloured_in_a_terminal_only(terminal):
    error = DSLError([Problem("is not a layer", 1, 1, 4)], "dens 4 relu")
    line = error.render(colour=True).splitlines()[1]
    assert "\x1b[34mdens" in line
    assert "\x1b" not in error.render(colour=False)
    assert "\x1b[34m" not in MagicError([Problem("no", 1, 1)], "dens 4").render(colour=True)
    terminal_colours.unregister(terminal)
    assert error.render(colour=True).splitlines()[1] == "  1 | dens 4 relu"


def test_other_shells_stay_as_they_are():
    terminal_colours.register(object())
    assert DSLError.colour_line("dens 4") == "dens 4"
