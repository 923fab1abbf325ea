"""Python source, laid out as ruff and black format it.

A piece of code is a string without line breaks. Where a line is too long, it is broken at its
brackets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal as OneOf
from typing import TypeAlias

WIDTH = 88
INDENT = 4
_SMALL, _LARGE = 0.01, 10_000.0
"""Between these, numbers are written without an exponent."""
_SHORT = 24
"""An argument up to this long does not get a line of its own after a long constructor."""


@dataclass(frozen=True, slots=True)
class Compound:
    """A loop or a function: its first line, and its body."""

    head: str
    body: tuple[SourceStatement, ...]


SourceStatement: TypeAlias = str | Compound
"""A statement on one line, "" for an empty line, or a statement with a body."""


# --- code on one line -------------------------------------------------------------------------


def call(function: str, *args: str) -> str:
    """A call; an argument may begin with ``name=``."""
    return f"{function}({', '.join(args)})"


def sequence_of(kind: OneOf["list", "tuple"], items: Iterable[str]) -> str:
    """A list or a tuple."""
    items = list(items)
    if kind == "list":
        return f"[{', '.join(items)}]"
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


def dictionary(entries: Iterable[tuple[str, str]]) -> str:
    """A dictionary of keys and values."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in entries)}}}"


def literal(value: object) -> str:
    r"""A number, string, boolean, None or ``...``, or tuples, lists and dictionaries of them.

    Example:
        >>> literal((1e-4, "relu", None))
        '(1e-4, "relu", None)'
    """
    match value:
        case str():
            quote = "'" if value.count('"') > value.count("'") else '"'
            return f"{quote}{''.join(_escaped(char, quote) for char in value)}{quote}"
        case float():
            return _float(value)
        case tuple() | list():
            kind: OneOf["list", "tuple"] = "list" if isinstance(value, list) else "tuple"
            return sequence_of(kind, map(literal, value))
        case dict():
            return dictionary((literal(key), literal(item)) for key, item in value.items())
        case _:
            return "..." if value is ... else repr(value)


def _escaped(char: str, quote: str) -> str:
    if char in "\"'":
        return f"\\{char}" if char == quote else char
    return repr(char)[1:-1]


def _float(value: float) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    plain = repr(value)
    short = f"{Decimal(plain).normalize():e}".replace("e+", "e")
    return plain if _SMALL <= abs(value) < _LARGE or len(short) >= len(plain) else short


# --- layout -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Brackets and their contents; a line may be broken here."""

    text: str
    items: list[_Parts]
    kind: OneOf["args", "items"]
    tall: bool = False
    """Whether each item is on its own line, because a comma follows the last one."""

    @property
    def must_break(self) -> bool:
        inner = (part for item in self.items for part in item)
        return self.tall or any(isinstance(part, _Group) and part.must_break for part in inner)


_Parts: TypeAlias = list["str | _Group"]
_PIECE = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1|[()\[\]{},]|\w+|.""")
_WORD_END = re.compile(r"""[\w)\]}"']$""")
"""After this, a bracket begins arguments or an index."""


class _LineReader:
    def __init__(self, line: str) -> None:
        self.line, self.pieces, self.end = line, _PIECE.finditer(line), 0

    def items(self, *, is_inner: bool = True) -> list[_Parts]:
        """What commas separate up to the next closing bracket, or the whole line as one item."""
        items: list[_Parts] = [[]]
        for match in self.pieces:
            piece = match[0]
            if piece in ")]}":
                self.end = match.end()
                break
            if piece in "([{":
                self._add_brackets(items[-1], match.start())
            elif piece == "," and is_inner:
                items.append([])
            elif items[-1] or piece != " ":
                _add_text(items[-1], piece)
        return items

    def _add_brackets(self, parts: _Parts, start: int) -> None:
        last = parts[-1] if parts else ""
        follows_word = isinstance(last, _Group) or bool(_WORD_END.search(last))
        items = self.items()
        text = self.line[start : self.end]
        is_plain = text[0] == "(" and not follows_word
        if items == [[]] or (text[0] == "[" and follows_word):
            _add_text(parts, text)
        elif is_plain and len(items) == 1:
            _add_text(parts, "(")
            parts += items[0]
            _add_text(parts, ")")
        else:
            items = items if items[-1] else items[:-1]
            kind: OneOf["args", "items"] = "args" if follows_word else "items"
            parts.append(_Group(text, items, kind, tall=text.endswith(",]")))


def _add_text(parts: _Parts, text: str) -> None:
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)


def _layout(parts: _Parts, indent: int, tail: int = 0) -> str:
    """Lay parts out from the column ``indent``; ``tail`` characters follow on their last line."""
    text = ""
    column = indent
    for index, part in enumerate(parts):
        if isinstance(part, str):
            text += part
            column += len(part)
            continue
        rest = parts[index + 1 :]
        needed = column + len(part.text) + _width_before_break(rest, tail)
        leaves_little = needed <= WIDTH and _leaves_little(part, rest, column, tail)
        if needed <= WIDTH and not part.must_break and not leaves_little:
            text += part.text
            column += len(part.text)
        else:
            text += _broken(part, indent, tall=part.tall or leaves_little)
            column = indent + 1
    return text


def _width_before_break(parts: _Parts, tail: int) -> int:
    """How many characters follow on the line before it can be broken again."""
    width = 0
    for part in parts:
        if isinstance(part, _Group):
            return width + 1
        width += len(part)
    return width + tail


def _leaves_little(group: _Group, rest: _Parts, column: int, tail: int) -> bool:
    """Whether keeping the group on this line would break only the few characters after it."""
    after = "".join(part if isinstance(part, str) else part.text for part in rest)
    width = column + len(group.text) + len(after) + tail
    can_break = any(isinstance(part, _Group) for part in rest)
    return can_break and width > WIDTH and len(after) <= _SHORT and len(group.items) > 1


def _broken(group: _Group, indent: int, *, tall: bool) -> str:
    inner = indent + INDENT
    pad, end = " " * inner, "\n" + " " * indent + group.text[-1]
    contents = group.text[1:-1]
    can_stay = group.kind != "items" and not tall and not group.must_break
    if can_stay and inner + len(contents) <= WIDTH:
        return f"{group.text[0]}\n{pad}{contents}{end}"
    is_single = group.kind == "args" and len(group.items) == 1 and not tall
    comma = "" if is_single else ","
    lines = (f"{pad}{_layout(item, inner, len(comma))}{comma}" for item in group.items)
    return f"{group.text[0]}\n" + "\n".join(lines) + end


def render_source(statements: Iterable[SourceStatement]) -> str:
    """The statements as a module's source, ending in a newline.

    Example:
        >>> loop = Compound("for _ in range(3):", ("x = layers.Dense(4)(x)",))
        >>> print(render_source([loop]), end="")
        for _ in range(3):
            x = layers.Dense(4)(x)
    """
    return "".join(f"{line}\n" for line in _lines(tuple(statements), 0))


def _lines(statements: tuple[SourceStatement, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    blank_lines = 0
    for index, statement in enumerate(statements):
        if not statement:
            blank_lines = max(blank_lines, 1)
            continue
        head = statement.head if isinstance(statement, Compound) else statement
        gap = (1 if indent else 2) * head.startswith("def ")
        yield from [""] * (gap if gap and index else blank_lines)
        (parts,) = _LineReader(head).items(is_inner=False)
        yield from (pad + _layout(parts, indent)).split("\n")
        if isinstance(statement, Compound):
            yield from _lines(statement.body, indent + INDENT)
        blank_lines = gap
