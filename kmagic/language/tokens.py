"""A model's text, split into tokens by logical line.

Written by hand: ``3x3`` is one token here, but two and a half for Python's tokenizer, and error
messages need the terms of this language.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, TypeAlias, cast

from kmagic.language.spec import Span
from kmagic.support.errors import Problem

TokenKind: TypeAlias = Literal["name", "number", "shape", "string", "brace", "op"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``spaced`` is true after white space."""

    kind: TokenKind
    text: str
    span: Span
    spaced: bool


@dataclass(slots=True)
class LogicalLine:
    """One logical line: open brackets continue it over several lines of text.

    Attributes:
        indent: Column of its first character, from 0.
        number: Number of its first line of text.
        tokens: All tokens before the first error.
        broken: Whether the line contains an error.
    """

    indent: int
    number: int
    tokens: list[Token] = field(default_factory=list)
    broken: bool = False


_PATTERNS = {
    "shape": r"(?:\d+|\?)(?:x(?:\d+|\?))+(?![\w?])|\?(?![\w?])",
    "number": r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])|[-+](?:inf|nan)(?!\w)",
    "name": r"[^\W\d]\w*(?:\.[^\W\d]\w*)*",
    "string": r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'",
    "op": r"<-|\.\.\.|[=!()\[\],:*/&]",
    "space": "[ \\t\u00a0]+",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_INVALID = re.compile(r"[\w.?]+|->|.")
_BRACKET_OR_STRING = re.compile(_PATTERNS["string"] + r"|[\[\](){}\"']")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MAX_UNCLOSED = 20
"""After this many errors, an unclosed bracket ends the scan, so that it stays linear."""


def problem_at(span: Span, message: str, remedy: str = "") -> Problem:
    """A problem that marks a span."""
    return Problem(message, span.line, span.column, span.width, remedy)


def tokenize(text: str) -> tuple[list[LogicalLine], list[Problem]]:
    """Split a text into logical lines of tokens.

    Returns:
        The lines, without blank lines and comments, and the problems. A line with a problem ends
        before it.
    """
    tokenizer = _Tokenizer(text)
    tokenizer.run()
    return tokenizer.lines, tokenizer.problems


class _Tokenizer:
    def __init__(self, text: str) -> None:
        self.rows = text.splitlines()
        self._text = "\n".join(self.rows)
        self._offsets = [0, *accumulate(len(row) + 1 for row in self.rows)]
        self.lines: list[LogicalLine] = []
        self.problems: list[Problem] = []
        self._row = 0
        self._open: list[Token] = []

    def run(self) -> None:
        while self._row < len(self.rows):
            self._read_row()
            if self._open and self._row == len(self.rows):
                self._unclosed(self._open[0].text, self._open[0].span)

    def _read_row(self) -> None:
        row = self.rows[self._row]
        self._row += 1
        number = self._row
        body = row.lstrip(" \t")
        if not body or body.startswith("#"):
            return
        column = len(row) - len(body)
        if not self._open:
            self.lines.append(LogicalLine(column, number))
            if "\t" in row[:column]:
                self._tab(Span(number, 1, column))
        self._read_tokens(row, number, column)
        if not self.lines[-1].tokens and not self.lines[-1].broken:
            self.lines.pop()

    def _read_tokens(self, row: str, number: int, column: int) -> None:
        spaced = True
        while column < len(row):
            match = _TOKEN.match(row, column)
            if match is None:
                if row[column] == "#":
                    return
                if row[column] != "{":
                    self._invalid(row, number, column)
                    self._open.clear()
                    return
                end = self._read_brace(row, number, column, spaced=spaced)
                if end is None:
                    return
                row, number, column = end
                spaced = False
                continue
            kind, text = match.lastgroup, match.group()
            if kind != "space":
                span = Span(number, column + 1, len(text))
                token = Token(cast("TokenKind", kind), text, span, spaced)
                if kind == "op" and not self._match_brackets(token):
                    self._open.clear()
                    return
                self.lines[-1].tokens.append(token)
            spaced = kind == "space"
            column = match.end()

    def _invalid(self, row: str, number: int, column: int) -> None:
        """Note that no token begins here."""
        match = _INVALID.match(row, column)
        bad = match.group() if match else row[column]
        span = Span(number, column + 1, len(bad))
        if bad[0] == "%" and not row[:column].strip():
            self._magic(Span(number, column + 1, len(row.rstrip()) - column))
        elif bad[0] in "\"'":
            self._problem(
                "this string is never closed", Span(number, column + 1, len(row) - column)
            )
        elif bad[0].isdigit():
            self._problem("is not a valid number or shape", span, _number_hint(bad))
        elif bad[0] == "}":
            self._problem("unmatched closing brace", span)
        else:
            self._problem("unexpected symbol", span, _symbol_hint(bad, row, column))

    def _match_brackets(self, token: Token) -> bool:
        """Track an opening or closing bracket; False, with a problem noted, for a wrong one."""
        if token.text in "([":
            self._open.append(token)
        elif token.text in ")]":
            if not self._open:
                self._problem("unmatched closing bracket", token.span)
                return False
            opened = self._open.pop()
            closing = _CLOSING[opened.text]
            if token.text != closing:
                message = (
                    f"expected {closing} to close the {opened.text} in column {opened.span.column}"
                )
                self._problem(message, token.span)
                return False
        return True

    def _read_brace(
        self, row: str, number: int, column: int, *, spaced: bool
    ) -> tuple[str, int, int] | None:
        """Read up to the matching brace, over several rows if necessary."""
        start = self._offsets[number - 1] + column
        opened: list[str] = []
        for part in _BRACKET_OR_STRING.finditer(self._text, start):
            if part[0] in _CLOSING:
                opened.append(part[0])
            elif part[0] in ")]}":
                self._row = bisect_right(self._offsets, part.start())
                end = part.end() - self._offsets[self._row - 1]
                closing = _CLOSING[opened.pop()]
                if part[0] != closing:
                    self._problem(f"expected {closing}", Span(self._row, end))
                    self._open.clear()
                    return None
                if not opened:
                    width = (end if self._row == number else len(row)) - column
                    span = Span(number, column + 1, width)
                    token = Token("brace", self._text[start : part.end()], span, spaced)
                    self.lines[-1].tokens.append(token)
                    return self.rows[self._row - 1], self._row, end
            elif len(part[0]) == 1:  # a quote without its end
                break
        self._row = len(self.rows)
        self._unclosed("{", Span(number, column + 1, 1))
        return None

    def _unclosed(self, bracket: str, span: Span) -> None:
        """Note an unclosed bracket, and continue in the next row as if it were not there."""
        self._problem(f"{bracket} is never closed", span)
        self._open.clear()
        line = self.lines[-1]
        line.tokens = [token for token in line.tokens if token.span.line <= span.line]
        if len(self.problems) < _MAX_UNCLOSED:
            self._row = span.line

    def _tab(self, span: Span) -> None:
        remedy = "Use the same number of spaces for all lines of a body."
        self._problem_once("lines must be indented with spaces; got a tab", span, remedy)

    def _magic(self, span: Span) -> None:
        remedy = "Move it, and everything after it, to a cell below."
        self._problem_once("a magic is not allowed in a model's text", span, remedy)

    def _problem_once(self, message: str, span: Span, remedy: str) -> None:
        """Note a problem that one message explains for all lines."""
        self.lines[-1].broken = True
        if not any(problem.message == message for problem in self.problems):
            self._problem(message, span, remedy)

    def _problem(self, message: str, span: Span, remedy: str = "") -> None:
        self.problems.append(problem_at(span, message, remedy))
        self.lines[-1].broken = True


def top_level(text: str, *, escapes: bool = True) -> Iterator[tuple[int, str]]:
    r"""The characters of a text that stand outside brackets and quotes, each with its index.

    Args:
        text: The text.
        escapes: Whether a backslash in quotes escapes the next character.

    Example:
        >>> "".join(char for _, char in top_level("a: f(b: 1) 'c:'"))
        'a: f '
    """
    depth, quote, escaped = 0, "", False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = escapes and char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(0, depth - 1)
        elif depth == 0:
            yield index, char


def has_colon(text: str) -> bool:
    """Whether there is a colon outside brackets and quotes, as in a mapping."""
    return any(char == ":" for _, char in top_level(text))


# --- hints ----------------------------------------------------------------------------------------

_ONE_PER_LINE = "Write one layer per line, or separate layers by ` / `."
_LINE_FORM = "A line begins with a layer: `dense 32 relu`."
_SYMBOL_HINTS = {
    "$": "Write one layer per line, as in `dense 32 relu`.",
    "%": "Put a magic in a cell of its own.",
    "@": "Decorators and matrix products are Python: write one layer per line.",
    ";": _ONE_PER_LINE,
    ">": "Name the inputs after an arrow to the left: `add <- a, b`.",
    "|": _ONE_PER_LINE,
    "-": "A minus sign belongs to a number; put a subtraction in braces: {a - b}.",
    "->": "Separate layers by ` / `. A name comes first, `h = dense 4`; inputs follow `<-`.",
    "+": "Put a sum in braces, {a + b}; add outputs by `add <- a, b`.",
    "<": "Inputs follow an arrow, `<-`; put a comparison in braces.",
    "`": "Write names without quotes.",
    "\\": "Write a layer on one line; only open brackets continue it on the next line.",
    "\u00d7": "Write a shape with the letter x, 28x28x1, and a repetition with *.",
    "\u2013": "Use a plain minus sign: -.",
    "\u2192": "Write an arrow to the left, `<-`, and the inputs after it.",
    "\u2190": "Write the arrow as two plain characters: <-.",
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019", 'Use plain quotes: "...".'),
}


def _number_hint(bad: str) -> str:
    """For text that begins with a digit and is neither a number nor a shape."""
    if re.fullmatch(r"[\d?]+([xX\u00d7][\d?]+)+", bad):
        return "Write a shape with a lowercase x: 28x28x1."
    return "Write a number as 32, 0.5 or 1e-3 and a shape as 28x28x1; a name begins with a letter."


def _symbol_hint(bad: str, row: str, column: int) -> str:
    """For a symbol that is not part of the language."""
    before, after = row[:column], row[column + 1 :]
    if bad in ("-", "*") and not before.strip():
        return _LINE_FORM
    if bad == "-" and before.endswith("<-"):
        return "Write the arrow as two characters: <-."
    if bad == "-" and before[-1:].isalpha() and after[:1].isalpha():
        return "Join words with underscores: global_average_pooling2d."
    if bad == "%" and before[-1:].isdigit():
        return "Write a percentage as a fraction: 0.25."
    return _SYMBOL_HINTS.get(bad, "")


def value_hint(sign: str) -> str:
    """For a sign where a value or the end of the line is expected."""
    return {
        "=": "Write an argument as name=value; the layer's own name comes first: h = dense 4.",
        ",": "Separate arguments by spaces; write a shape as 28x28x1, a number as 0.5.",
        ":": "Write an argument as name=value; only a line with an indented body ends in `:`.",
        "*": "Write a shape as 28x28x1; a line is repeated by a single * at its end.",
        "(": "Write a layer's arguments without brackets: `dense 32 relu`.",
    }.get(sign, "A line is a layer and its arguments: `dense 32 relu`.")


def layer_hint(token: Token) -> str:
    """For a token where a layer is expected."""
    if token.kind == "string" or (token.text == "/" and not token.spaced):
        return "A comment begins with #."
    if token.kind == "number" and not token.spaced:
        return "Put a division in braces: {1 / 255}."
    if token.text == "!":
        return "Put a shell command in a cell of its own."
    return _LINE_FORM
