"""The help on the word at the cursor of a ``%%keras_model`` cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kmagic.magics.completion.cursor_position import CursorPosition, locate
from kmagic.magics.editor.model_cell import model_cell
from kmagic.magics.session import Session
from kmagic.models.catalogue import role_of
from kmagic.support import keras_import
from kmagic.support.errors import KmagicError

if TYPE_CHECKING:
    from kmagic.models.reference import WordHelp

_WORD = re.compile(r"(?<![\w.])[^\W\d][\w.]*")


@dataclass(frozen=True, slots=True)
class _WordAt:
    """A word of a model's text; positions count from 0."""

    text: str
    line: int
    start: int
    end: int
    position: CursorPosition
    is_argument: bool


def inspect_cell(session: Session, code: str, cursor: int) -> dict[str, str] | None:
    """The answer to Shift+Tab at a cursor, as a MIME bundle; None where Python must answer."""
    before = code[:cursor]
    word = _word_at(code, before.count("\n"), cursor - (before.rfind("\n") + 1))
    if word is None or word.position.kind == "braces":
        return None
    found = _help(word, session.names)
    return {} if found is None else found._repr_mimebundle_()


def help_message(code: str, line: int, column: int, names: Mapping[str, Any]) -> dict[str, Any]:
    """The help on the word at a line and column of a cell, with the word's range."""
    word = _word_at(code, line, column)
    found = None if word is None else _help(word, names)
    if word is None or found is None:
        return {"html": ""}
    where = {"line": word.line, "column": word.start, "end_column": word.end}
    return {"html": found._repr_mimebundle_()["text/html"], **where}


def _word_at(code: str, line: int, column: int) -> _WordAt | None:
    cell = model_cell(code)
    rows = code.split("\n")
    if cell is None or not cell.first_line <= line < len(rows):
        return None
    for match in _WORD.finditer(rows[line]):
        if match.start() <= column <= match.end():
            break
    else:
        return None
    offset = sum(len(row) + 1 for row in rows[cell.first_line : line])
    position = locate(cell.body, offset + match.start() + 1)
    is_argument = rows[line][match.end() : match.end() + 1] == "="
    return _WordAt(match[0].rstrip("."), line, *match.span(), position, is_argument)


def _help(word: _WordAt, names: Mapping[str, Any]) -> WordHelp | None:
    """What is known of a word; None for names, values and Python."""
    from kmagic.models.reference import WordHelp, reference  # noqa: PLC0415 - asks Keras for its words

    position = word.position
    if not keras_import.is_loaded() or position.kind not in ("start", "argument", "value"):
        return None
    queries = [word.text]
    if word.is_argument and position.kind == "argument":
        queries = [position.callee]
    elif position.kind != "start":
        role = role_of(position.name) if position.kind == "value" else "activation"
        queries = [f"{role} {word.text}", word.text]
    for query in queries:
        with suppress(KmagicError):
            found = reference(query, names)
            if not isinstance(found, WordHelp):
                continue
            return _of_argument(found, word.text) if queries == [position.callee] else found
    return None


def _of_argument(owner: WordHelp, name: str) -> WordHelp | None:
    """The help on one argument of a word."""
    arguments = tuple(item for item in owner.arguments if item.name == name)
    nothing: dict[str, Any] = {"details": (), "example": (), "call_arguments": (), "no_example": ""}
    return replace(owner, arguments=arguments, **nothing) if arguments else None
