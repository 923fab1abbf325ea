"""Texts of the layer language for Pygments, by the rules in ``highlighting.json``.

The editor's extension reads the same file (``token_rules.js``), so notebooks, cards and
``nbconvert`` agree on the class of each word.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from pygments.lexer import RegexLexer, default, include
from pygments.token import Text, string_to_tokentype

DEFINITION: dict[str, Any] = json.loads(
    files(__package__).joinpath("highlighting.json").read_text(encoding="utf-8")
)
TOKEN_TYPES = {
    name: string_to_tokentype(kinds["pygments"]) for name, kinds in DEFINITION["classes"].items()
}
"""Class of a word -> its token type; each class has one of its own."""


def _rule(rule: str | list[Any]) -> Any:
    """A rule as Pygments takes it: a state to include, or a regular expression and what follows."""
    if isinstance(rule, str):
        return include(rule)
    pattern, name, *then = rule
    states = [tuple(state) if isinstance(state, list) else state for state in then]
    if not pattern:
        return default(states[0])
    for key, value in DEFINITION["patterns"].items():
        pattern = pattern.replace(f"<{key}>", value)
    return (pattern, TOKEN_TYPES.get(name, Text), *states)


class ModelTextLexer(RegexLexer):  # type: ignore[misc]  # Pygments ships no types
    """The layer language of kmagic, with or without the magics above it."""

    name = "kmagic"
    aliases = ("kmagic",)
    filenames = ("*.kmagic",)
    tokens = {state: [*map(_rule, rules)] for state, rules in DEFINITION["states"].items()}  # noqa: RUF012 - Pygments reads it from the class
