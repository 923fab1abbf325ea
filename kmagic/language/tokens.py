"""A model's text cut into tokens, line by logical line.

Written by hand: ``3x3`` is one token here and two and a half in Python's tokenizer, and a
mistake should be told in the words of this language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import TypeAlias

from kmagic.language.spec import Span
from kmagic.language.syntax_hints import number_hint, unknown_hint
from kmagic.support.errors import Problem

Kind: TypeAlias = OneOf["name", "number", "shape", "string", "brace", "op"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``spaced`` tells whether white space stands before it."""

    kind: Kind
    text: str
    span: Span
    spaced: bool


@dataclass(slots=True)
class Line:
    """One logical line: brackets may carry it over several lines of text.

    Attributes:
        indent: Column of its first character, from 0.
        number: Of its first line of text.
        tokens: Up to the first mistake.
        broken: Whether there is a mistake.
    """

    indent: int
    number: int
    tokens: list[Token] = field(default_factory=list)
    broken: bool = False


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("shape", re.compile(r"(?:\d+|\?)(?:x(?:\d+|\?))+(?![\w?])|\?(?![\w?])")),
    (
        "number",
        re.compile(
            r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])"
            r"|[-+](?:inf|nan)(?!\w)"
        ),
    ),
    ("name", re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")),
    ("string", re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")),
    ("op", re.compile(r"<-|\.\.\.|[=!()\[\],:*/&]")),
)
_TOKEN = re.compile(
    "|".join(f"(?P<{kind}>{pattern.pattern})" for kind, pattern in _PATTERNS)
    + "|(?P<space>[ \\t\u00a0]+)"
)
_OPEN, _CLOSE = "([", ")]"
_MOST_PROBLEMS = 20
"""With so many mistakes an open bracket ends the reading."""


def tokenize(text: str) -> tuple[list[Line], list[Problem]]:
    """Cut a text into logical lines of tokens.

    Returns:
        The lines, without blank ones and comments, and the mistakes found on the way. A line
        with a mistake ends before it.
    """
    reader = _Reader(text)
    reader.run()
    return reader.lines, reader.problems


class _Reader:
    def __init__(self, text: str) -> None:
        self.rows = text.splitlines()
        self.lines: list[Line] = []
        self.problems: list[Problem] = []
        self._row = 0
        self._open: list[Token] = []

    def run(self) -> None:
        while self._row < len(self.rows):
            self._read_row()
            if self._open and self._row == len(self.rows):
                self._never_closed(self._open[0].text, self._open[0].span)

    def _read_row(self) -> None:
        row = self.rows[self._row]
        number = self._row + 1
        self._row += 1
        body = row.lstrip(" \t")
        if not body or body.startswith("#"):
            return
        column = len(row) - len(body)
        if self._open:
            line = self.lines[-1]
        else:
            line = Line(column, number)
            self.lines.append(line)
            if "\t" in row[:column]:
                self._tab(Span(number, 1, column))
        self._read_tokens(line, row, number, column)
        if not line.tokens and not line.broken:
            self.lines.pop()

    def _read_tokens(self, line: Line, row: str, number: int, column: int) -> None:
        spaced = True
        while column < len(row):
            found = _TOKEN.match(row, column)
            if found is None:
                if row[column] == "#":
                    return
                if row[column] != "{":
                    self._meaningless(row, number, column)
                    self._open.clear()
                    return
                end = self._read_brace(line, row, number, column, spaced=spaced)
                if end is None:
                    return
                row, number, column = end
                spaced = False
                continue
            kind, text = found.lastgroup, found.group()
            if kind != "space":
                token = Token(kind, text, Span(number, column + 1, len(text)), spaced)  # type: ignore[arg-type]  # the groups are the kinds
                if kind == "op" and not self._balance(token):
                    self._open.clear()
                    return
                line.tokens.append(token)
            spaced = kind == "space"
            column = found.end()

    def _meaningless(self, row: str, number: int, column: int) -> None:
        """Note that no token begins here."""
        rest = re.compile(r"[\w.?]+|->|.").match(row, column)
        bad = rest.group() if rest else row[column]
        span = Span(number, column + 1, len(bad))
        if bad[0] == "%" and not row[:column].strip():
            self._magic(Span(number, column + 1, len(row.rstrip()) - column))
        elif bad[0] in "\"'":
            self._problem("this text is never closed", Span(number, column + 1, len(row) - column))
        elif bad[0].isdigit():
            self._problem("is neither a number nor a shape", span, number_hint(bad))
        elif bad[0] == "}":
            self._problem("closes a brace that was never opened", span)
        else:
            self._problem("has no meaning here", span, unknown_hint(bad, row, column))

    def _balance(self, token: Token) -> bool:
        """Whether a sign opens no bracket, or closes the right one; else that is noted."""
        if token.text in _OPEN:
            self._open.append(token)
        elif token.text in _CLOSE:
            if not self._open:
                self._problem("closes a bracket that was never opened", token.span)
                return False
            opened = self._open.pop()
            right = _CLOSE[_OPEN.index(opened.text)]
            if token.text != right:
                place = f"the {opened.text} in column {opened.span.column}"
                self._problem(f"stands where {right} should close {place}", token.span)
                return False
        return True

    def _read_brace(
        self, line: Line, row: str, number: int, column: int, *, spaced: bool
    ) -> tuple[str, int, int] | None:
        """Take all up to the matching brace, over several rows if need be."""
        start = column
        first, quote = number, ""
        opened: list[str] = []
        text: list[str] = []
        while True:
            while column < len(row):
                char = row[column]
                text.append(char)
                column += 1
                if quote:
                    if char == "\\":
                        text.append(row[column : column + 1])
                        column += 1
                    elif char == quote:
                        quote = ""
                elif char in "\"'":
                    quote = char
                elif char in "{[(":
                    opened.append(char)
                elif char in ")]}":
                    right = ")]}"["([{".index(opened.pop())]
                    if char != right:
                        message = f"stands where {right} should be"
                        self._problem(message, Span(number, column))
                        self._open.clear()
                        return None
                    if not opened:
                        width = (
                            column - start if number == first else len(self.rows[first - 1]) - start
                        )
                        span = Span(first, start + 1, width)
                        line.tokens.append(Token("brace", "".join(text), span, spaced))
                        return row, number, column
            if self._row >= len(self.rows) or quote:
                self._never_closed("{", Span(first, start + 1, 1))
                return None
            text.append("\n")
            row = self.rows[self._row]
            self._row += 1
            number += 1
            column = 0

    def _never_closed(self, sign: str, span: Span) -> None:
        """Say so, and read on in the next line of text as if the bracket were not there."""
        self._problem(f"{sign} is never closed", span)
        self._open.clear()
        line = self.lines[-1]
        line.tokens = [each for each in line.tokens if each.span.line <= span.line]
        if len(self.problems) < _MOST_PROBLEMS:
            self._row = span.line

    def _tab(self, span: Span) -> None:
        self.lines[-1].broken = True
        if not any("tab" in each.message for each in self.problems):
            remedy = "Indent with spaces, the lines of one body all alike."
            self._problem("is a tab, and lines are indented with spaces", span, remedy)

    def _magic(self, span: Span) -> None:
        """Several magics below a model's text are one mistake."""
        self.lines[-1].broken = True
        message = "is a magic, and the cell holds a model's text only"
        if not any(each.message == message for each in self.problems):
            self._problem(message, span, "Put it, and what follows, into a cell below.")

    def _problem(self, message: str, span: Span, remedy: str = "") -> None:
        self.problems.append(Problem(message, span.line, span.column, span.width, remedy))
        self.lines[-1].broken = True


def has_colon(text: str) -> bool:
    """Whether there is a colon outside of brackets and quotes: what a mapping has."""
    depth, quote, skip = 0, "", False
    for char in text:
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ":" and depth == 0:
            return True
        else:
            depth += (char in "([{") - (char in ")]}")
    return False
