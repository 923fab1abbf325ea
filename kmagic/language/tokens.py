"""A model's text, split into tokens by logical line.

Written by hand: ``3x3`` is one token here, but two and a half for Python's tokenizer, and error
messages need the terms of this language.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal, NoReturn, TypeAlias, cast

from kmagic.language.spec import Span
from kmagic.support.errors import Problem

TokenKind: TypeAlias = Literal["name", "number", "range", "shape", "string", "brace", "op", "end"]


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


_END_OF_RANGE = r"[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
_PATTERNS = {
    "range": rf"{_END_OF_RANGE}\.\.{_END_OF_RANGE}(?::{_END_OF_RANGE})?(?:~[^\W\d]\w*)?(?![\w.])",
    "shape": r"(?:\d+|\?)(?:x(?:\d+|\?))+(?![\w?])|\?(?![\w?])",
    "number": r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])|[-+](?:inf|nan)(?!\w)",
    "name": r"[^\W\d]\w*(?:\.[^\W\d]\w*)*",
    "string": r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'",
    "op": r"<-|\.\.\.|[=!()\[\],:*/&|]",
    "space": "[ \\t\u00a0]+",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_COMPUTED_SIZE = re.compile(r"(?:\d+|\?)(?=(?:x(?:\d+|\?))*x\{)|(?<=[\d?}])x(?=[\d?{]|-\d)")
"""A size or an ``x`` of a shape such as ``3x{n}``, whose sizes are separate tokens."""
_INVALID = re.compile(r"[\w.?]+|->|.")
_BRACKET_OR_STRING = re.compile(_PATTERNS["string"] + r"|[\[\](){}\"']")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
MAX_NESTING = 40
"""Brackets, bodies and blocks are not nested more deeply, so that no recursion is too deep."""
_MAX_UNCLOSED = 20
"""After this many errors, an unclosed bracket ends the scan, so that it stays linear."""
_TAB = "lines must be indented with spaces; got a tab"
_MAGIC = "a magic is not allowed in a model's text"


class ParseError(Exception):
    """A line cannot be parsed; the problem is noted, and parsing continues with the next line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def problem_at(span: Span, message: str, remedy: str = "") -> Problem:
    """A problem that marks a span."""
    return Problem(message, span.line, span.column, span.width, remedy)


def fail_at(span: Span, message: str, remedy: str = "") -> NoReturn:
    """Leave a line out because of a mistake at a span."""
    raise ParseError(problem_at(span, message, remedy))


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
        self._rows = text.splitlines()
        self._text = "\n".join(self._rows)
        self._starts = [0, *accumulate(len(row) + 1 for row in self._rows)]
        self._end = len(self._rows)
        self._open: list[Token] = []
        self.lines: list[LogicalLine] = []
        self.problems: list[Problem] = []

    def run(self) -> None:
        row = 0
        while row < self._end:
            try:
                row = self._read_row(row)
                if self._open and row >= self._end:
                    self._fail_unclosed(self._open[0].text, self._open[0].span)
            except ParseError as error:
                self._note(error.problem)
                self._open.clear()
                row = error.problem.line

    def _note(self, problem: Problem) -> None:
        """Note a problem of the current line; tabs and magics are reported once."""
        self.lines[-1].broken = True
        if problem.message not in {_TAB, _MAGIC} & {other.message for other in self.problems}:
            self.problems.append(problem)

    def _span(self, start: int, end: int) -> Span:
        """The position of a part of the text, as far as it is in one row."""
        line = bisect_right(self._starts, start)
        width = min(end, self._starts[line] - 1) - start
        return Span(line, start - self._starts[line - 1] + 1, width)

    def _read_row(self, row: int) -> int:
        """Read the tokens of a row, and of the rows that braces join to it; returns the next."""
        body = self._rows[row].lstrip(" \t")
        indent = len(self._rows[row]) - len(body)
        if not body or body.startswith("#"):
            return row + 1
        if not self._open:
            self.lines.append(LogicalLine(indent, row + 1))
            if "\t" in self._rows[row][:indent]:
                remedy = "Use the same number of spaces for all lines of a body."
                self._note(problem_at(Span(row + 1, 1, indent), _TAB, remedy))
        text, position, spaced = self._text, self._starts[row] + indent, True
        while position < len(text) and text[position] not in "#\n":
            computed = None if spaced and text[position] == "x" else _COMPUTED_SIZE
            part = computed.match(text, position) if computed else None
            match = _TOKEN.match(text, position)
            kind: str | None
            if part is not None:
                kind, end = {"x": "op", "?": "shape"}.get(part[0], "number"), part.end()
            elif match is not None:
                kind, end = match.lastgroup, match.end()
            elif text[position] == "{":
                kind, end = "brace", self._end_of_brace(position)
            else:
                self._fail_invalid(position)
            if kind != "space":
                span = self._span(position, end)
                token = Token(cast("TokenKind", kind), text[position:end], span, spaced)
                if kind == "op":
                    self._match_brackets(token)
                self.lines[-1].tokens.append(token)
            spaced, position = kind == "space", end
        if not self.lines[-1].tokens and not self.lines[-1].broken:
            self.lines.pop()
        return bisect_right(self._starts, position)

    def _fail_invalid(self, position: int) -> NoReturn:
        bad = next(_INVALID.finditer(self._text, position))[0]
        span = self._span(position, position + len(bad))
        row = self._rows[span.line - 1]
        before, after = row[: span.column - 1], row[span.column :]
        if bad == "%" and not before.strip():
            remedy = "Move it, and everything after it, to a cell below."
            fail_at(replace(span, width=len(row.rstrip()) - len(before)), _MAGIC, remedy)
        if bad in {'"', "'"}:
            fail_at(self._span(position, len(self._text)), "this string is never closed")
        if bad[0].isdigit():
            fail_at(span, "is not a valid number or shape", _number_hint(bad))
        if bad == "}":
            fail_at(span, "unmatched closing brace")
        fail_at(span, "unexpected symbol", _symbol_hint(bad, before, after))

    def _match_brackets(self, token: Token) -> None:
        """Track an opening or closing bracket; fails for a wrong one."""
        if token.text in "([":
            self._open.append(token)
            self._check_depth(len(self._open), token.span)
        elif token.text in ")]":
            if not self._open:
                fail_at(token.span, "unmatched closing bracket")
            opened = self._open.pop()
            closing = _CLOSING[opened.text]
            if token.text != closing:
                where = f"the {opened.text} in column {opened.span.column}"
                fail_at(token.span, f"expected {closing} to close {where}")

    def _end_of_brace(self, start: int) -> int:
        """The end of an expression in braces, perhaps in a later row."""
        opened: list[str] = []
        for part in _BRACKET_OR_STRING.finditer(self._text, start):
            if part[0] in _CLOSING:
                opened.append(part[0])
                self._check_depth(len(opened), self._span(*part.span()))
            elif part[0] in ")]}":
                closing = _CLOSING[opened.pop()]
                if part[0] != closing:
                    fail_at(self._span(*part.span()), f"expected {closing}")
                if not opened:
                    return part.end()
            elif len(part[0]) == 1:  # a quote without its end
                break
        return self._fail_unclosed("{", self._span(start, start + 1))

    def _check_depth(self, depth: int, span: Span) -> None:
        if depth > MAX_NESTING:
            if len(self.problems) + 1 >= _MAX_UNCLOSED:
                self._end = 0
            message = f"brackets are nested more than {MAX_NESTING} levels deep"
            fail_at(span, message, "Compute the value in a cell above, and write its name here.")

    def _fail_unclosed(self, bracket: str, span: Span) -> NoReturn:
        """Report an unclosed bracket; the next row is read as if it were not there."""
        line = self.lines[-1]
        line.tokens = [token for token in line.tokens if token.span.line <= span.line]
        if len(self.problems) + 1 >= _MAX_UNCLOSED:
            self._end = 0
        fail_at(span, f"{bracket} is never closed")


def top_level(text: str, *, escapes: bool = True) -> Iterator[tuple[int, str]]:
    r"""The characters of a text that stand outside brackets and quotes, each with its index.

    Args:
        text: The text.
        escapes: Whether a backslash in quotes escapes the next character.

    Example:
        >>> "".join(char for _, char in top_level("a: f(b: 1) 'c:'"))
        'a: f '
    """
    escaped = r"\\.|" if escapes else ""
    quoted = rf"([\"'])(?:{escaped}(?!\1).)*(?:\1|\Z)"
    depth = 0
    for part in re.finditer(f"{quoted}|.", text, re.DOTALL):
        if part[0] in "([{":
            depth += 1
        elif part[0] in ")]}":
            depth = max(0, depth - 1)
        elif depth == 0 and part[1] is None:
            yield part.start(), part[0]


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


def _symbol_hint(bad: str, before: str, after: str) -> str:
    """For a symbol that is not part of the language."""
    if bad in ("-", "*") and not before.strip():
        return _LINE_FORM
    if bad == "-" and re.match(r"\d+x", after):
        return "Write a shape with a size of -1 as a tuple: (-1, 4)."
    if bad == "-" and before.endswith("<-"):
        return "Write the arrow as two characters: <-."
    if bad == "-" and before[-1:].isalpha() and after[:1].isalpha():
        return "Join words with underscores: global_average_pooling2d."
    if bad.startswith(".."):
        return "The ends of a range are numbers: 32..256."
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
        "|": "Write one layer per line; a choice of values has no spaces: relu|gelu.",
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
