"""Python source as a tree, printed as ruff and black format it.

The tree covers what Keras programs need: calls, lists, tuples, dictionaries, comprehensions and
one-line statements. A line that is too long is broken at its brackets.
"""

from __future__ import annotations

import math
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
class Atom:
    """A piece of source that is never broken over lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """An argument, an element or an entry; the prefix is ``name=``, ``*`` or ``"key": ``."""

    value: Code
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """``function(args)``; the function may itself be a call, as in ``Dense(4)(x)``."""

    function: Code
    args: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Collection:
    """A list, tuple or dictionary; ``tall`` puts each element on its own line."""

    brackets: OneOf["[]", "()", "{}"]
    items: tuple[Item, ...] = ()
    tall: bool = False


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``[element for name in iterable]``."""

    element: Code
    name: str
    iterable: Code


@dataclass(frozen=True, slots=True)
class Join:
    """Pieces side by side: ``x[0]``, ``backbone.layers``, ``a + (b, c)``."""

    pieces: tuple[Code, ...]


Code: TypeAlias = Atom | Call | Collection | Comprehension | Join


@dataclass(frozen=True, slots=True)
class CodeLine:
    """``before value after``: a return, an augmented assignment, an expression."""

    before: str
    value: Code = Atom("")
    after: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """``targets = value``."""

    targets: str
    value: Code


@dataclass(frozen=True, slots=True)
class ForLoop:
    """``for name in iterable:`` and its body."""

    name: str
    iterable: Code
    body: tuple[SourceStatement, ...]


@dataclass(frozen=True, slots=True)
class FunctionDef:
    """A function definition."""

    name: str
    params: tuple[Item, ...]
    body: tuple[SourceStatement, ...]


@dataclass(frozen=True, slots=True)
class BlankLine:
    """An empty line."""


SourceStatement: TypeAlias = CodeLine | Assign | ForLoop | FunctionDef | BlankLine


def call(function: str | Code, *args: Code, **named: Code) -> Call:
    """A call with its arguments."""
    items = [*map(Item, args), *(Item(value, f"{key}=") for key, value in named.items())]
    return Call(Atom(function) if isinstance(function, str) else function, tuple(items))


def list_of(items: Iterable[Code]) -> Collection:
    """A list."""
    return Collection("[]", tuple(map(Item, items)))


def string_literal(text: str) -> Atom:
    """A string in the quotes that need fewer backslashes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(_escaped(char, quote) for char in text)
    return Atom(f"{quote}{body}{quote}")


def _escaped(char: str, quote: str) -> str:
    if char in "\"'":
        return f"\\{char}" if char == quote else char
    return repr(char)[1:-1]


def literal(value: object) -> Code:
    r"""A number, string, boolean, None or ``...``, or tuples, lists and dictionaries of them.

    Example:
        >>> render_source([Assign("x", literal((1e-4, "relu", None)))])
        'x = (1e-4, "relu", None)\n'
    """
    match value:
        case str():
            return string_literal(value)
        case bool() | None:
            return Atom(repr(value))
        case float():
            return Atom(_float(value))
        case tuple():
            return Collection("()", tuple(Item(literal(item)) for item in value))
        case list():
            return list_of(map(literal, value))
        case dict():
            return Collection("{}", tuple(entry(key, literal(item)) for key, item in value.items()))
        case _:
            return Atom("..." if value is ... else repr(value))


def entry(key: object, value: Code) -> Item:
    """An entry of a dictionary."""
    return Item(value, f"{one_line(literal(key))}: ")


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

    opening: str
    items: tuple[_Parts, ...]
    closing: str
    kind: OneOf["args", "items", "clauses"]
    tall: bool = False

    @property
    def must_break(self) -> bool:
        return self.tall or any(
            isinstance(part, _Group) and part.must_break for item in self.items for part in item
        )


_Parts: TypeAlias = tuple["str | _Group", ...]


def _parts(code: Code) -> _Parts:
    match code:
        case Atom():
            return (code.text,)
        case Call():
            return _merged([*_parts(code.function), _group("()", code.args, "args")])
        case Collection():
            return _merged([_group(code.brackets, code.items, "items", tall=code.tall)])
        case Comprehension():
            clause = _merged([f"for {code.name} in ", *_parts(code.iterable)])
            return (_Group("[", (_parts(code.element), clause), "]", "clauses"),)
        case Join():
            return _merged([part for piece in code.pieces for part in _parts(piece)])


def _group(
    brackets: str, items: tuple[Item, ...], kind: OneOf["args", "items"], *, tall: bool = False
) -> str | _Group:
    if not items:
        return brackets
    inner = tuple(_merged([item.prefix, *_parts(item.value)]) for item in items)
    return _Group(brackets[0], inner, brackets[1], kind, tall)


def _merged(parts: Iterable[str | _Group]) -> _Parts:
    """Parts without empty strings, adjacent strings joined."""
    merged: list[str | _Group] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)


def one_line(code: Code) -> str:
    """The code on one line, however long."""
    return _flat(_parts(code))


def _flat(parts: _Parts) -> str:
    return "".join(part if isinstance(part, str) else _flat_group(part) for part in parts)


def _flat_group(group: _Group) -> str:
    inner = (" " if group.kind == "clauses" else ", ").join(map(_flat, group.items))
    is_single = group.kind == "items" and group.opening == "(" and len(group.items) == 1
    return f"{group.opening}{inner}{',' if is_single else ''}{group.closing}"


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
        needed = column + len(_flat_group(part)) + _width_before_break(rest, tail)
        leaves_little = needed <= WIDTH and _leaves_little(part, rest, column, tail)
        if needed <= WIDTH and not part.must_break and not leaves_little:
            text += _flat_group(part)
            column += len(_flat_group(part))
        else:
            text += _broken(part, indent, tall=part.tall or leaves_little)
            column = indent + len(part.closing)
    return text


def _width_before_break(parts: _Parts, tail: int) -> int:
    """How many characters follow on the line before it can be broken again."""
    width = 0
    for part in parts:
        if isinstance(part, _Group):
            return width + len(part.opening)
        width += len(part)
    return width + tail


def _leaves_little(group: _Group, rest: _Parts, column: int, tail: int) -> bool:
    """Whether keeping the group on this line would break only the few characters after it."""
    after = _flat(rest)
    width = column + len(_flat_group(group)) + len(after) + tail
    can_break = any(isinstance(part, _Group) for part in rest)
    return can_break and width > WIDTH and len(after) <= _SHORT and len(group.items) > 1


def _broken(group: _Group, indent: int, *, tall: bool) -> str:
    inner = indent + INDENT
    pad, end = " " * inner, "\n" + " " * indent + group.closing
    if group.kind != "items" and not tall and not group.must_break:
        line = (" " if group.kind == "clauses" else ", ").join(map(_flat, group.items))
        if inner + len(line) <= WIDTH:
            return f"{group.opening}\n{pad}{line}{end}"
    is_single = group.kind == "args" and len(group.items) == 1 and not tall
    comma = "" if is_single or group.kind == "clauses" else ","
    lines = (f"{pad}{_layout(item, inner, len(comma))}{comma}" for item in group.items)
    return f"{group.opening}\n" + "\n".join(lines) + end


def render_source(statements: Iterable[SourceStatement]) -> str:
    """The statements as a module's source, ending in a newline.

    Example:
        >>> layer = call("layers.Dense", literal(4), name=literal("x"))
        >>> print(render_source([Assign("x", layer)]), end="")
        x = layers.Dense(4, name="x")
    """
    return "".join(f"{line}\n" for line in _lines(tuple(statements), 0))


def _lines(statements: tuple[SourceStatement, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    gap = 1 if indent else 2
    blank_lines = 0
    for index, statement in enumerate(statements):
        if isinstance(statement, BlankLine):
            blank_lines = max(blank_lines, 1)
            continue
        if isinstance(statement, FunctionDef) and index:
            blank_lines = gap
        yield from [""] * blank_lines
        blank_lines = 0
        yield from (pad + _layout(_first_line(statement), indent)).split("\n")
        if isinstance(statement, ForLoop | FunctionDef):
            yield from _lines(statement.body, indent + INDENT)
        if isinstance(statement, FunctionDef):
            blank_lines = gap


def _first_line(statement: CodeLine | Assign | ForLoop | FunctionDef) -> _Parts:
    match statement:
        case CodeLine():
            return _merged([statement.before, *_parts(statement.value), statement.after])
        case Assign():
            return _merged([f"{statement.targets} = ", *_parts(statement.value)])
        case ForLoop():
            return _merged([f"for {statement.name} in ", *_parts(statement.iterable), ":"])
        case FunctionDef():
            return _merged([f"def {statement.name}", _group("()", statement.params, "args"), ":"])
