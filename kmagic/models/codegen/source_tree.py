"""Python source as a tree of values, and its printing in the style that ruff and black agree on.

The tree knows no more of Python than Keras programs need: calls, lists, tuples, dictionaries,
comprehensions and one-line texts. A line that is too long is broken at its brackets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias

WIDTH = 88
_INDENT = 4
_SMALL, _LARGE = 0.01, 10_000.0
"""Between these, numbers are written without an exponent."""
_SHORT = 24
"""An argument up to this long does not get a line of its own behind a long constructor."""


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
    """``function(args)``; the function may be a call itself, as in ``Dense(4)(x)``."""

    function: Code
    args: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Display:
    """A list, tuple or dictionary; a tall one has one element a line even if it is short."""

    brackets: OneOf["[]", "()", "{}"]
    items: tuple[Item, ...] = ()
    tall: bool = False


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``[element for name in series]``."""

    element: Code
    name: str
    series: Code


@dataclass(frozen=True, slots=True)
class Join:
    """Pieces side by side: ``x[0]``, ``backbone.layers``, ``a + (b, c)``."""

    pieces: tuple[Code, ...]


Code: TypeAlias = Atom | Call | Display | Comprehension | Join


@dataclass(frozen=True, slots=True)
class Line:
    """``before value after``: an assignment, a return, an expression."""

    before: str
    value: Code = Atom("")
    after: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """``targets = value``."""

    targets: str
    value: Code


@dataclass(frozen=True, slots=True)
class Loop:
    """``for name in series:`` and its body."""

    name: str
    series: Code
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Def:
    """A function."""

    name: str
    params: tuple[Item, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line."""


Stmt: TypeAlias = Line | Assign | Loop | Def | Blank


def name(text: str) -> Atom:
    """A variable, perhaps dotted."""
    return Atom(text)


def call(function: str | Code, *args: Code, **named: Code) -> Call:
    """A call with its arguments."""
    items = [*map(Item, args), *(Item(value, f"{key}=") for key, value in named.items())]
    return Call(Atom(function) if isinstance(function, str) else function, tuple(items))


def listed(items: Iterable[Code], *, tall: bool = False) -> Display:
    """A list."""
    return Display("[]", tuple(map(Item, items)), tall)


def quoted(text: str) -> Atom:
    """A text in the quotes that need fewer backslashes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(_character(char, quote) for char in text)
    return Atom(f"{quote}{body}{quote}")


def _character(char: str, quote: str) -> str:
    if char in "\"'":
        return f"\\{char}" if char == quote else char
    return repr(char)[1:-1]


def literal(value: object) -> Code:
    r"""A number, text, truth value, None or ``...``, or tuples, lists and dictionaries of them.

    Example:
        >>> render([Assign("x", literal((1e-4, "relu", None)))])
        'x = (1e-4, "relu", None)\n'
    """
    match value:
        case str():
            return quoted(value)
        case bool() | None:
            return Atom(repr(value))
        case float():
            return Atom(_float(value))
        case tuple():
            return Display("()", tuple(Item(literal(each)) for each in value))
        case list():
            return Display("[]", tuple(Item(literal(each)) for each in value))
        case dict():
            entries = (
                Item(literal(item), f"{flat(literal(key))}: ") for key, item in value.items()
            )
            return Display("{}", tuple(entries))
        case _:
            return Atom("..." if value is ... else repr(value))


def _float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN alone differs from itself
        return f'float("{value}")'
    plain = repr(value)
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    if "e" in plain:
        mantissa, _, exponent = plain.partition("e")
    else:
        digits = plain.replace(".", "").lstrip("-0").rstrip("0") or "0"
        mantissa = f"{digits[0]}.{digits[1:]}" if digits[1:] else digits
        mantissa = f"-{mantissa}" if value < 0 else mantissa
    short = f"{mantissa}e{int(exponent)}"
    usual = _SMALL <= abs(value) < _LARGE or float(short) != value
    return plain if usual or len(short) >= len(plain) else short


# --- layout -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Brackets and what stands between them; a line may be broken here."""

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
            return _joined([*_parts(code.function), _brackets("(", code.args, ")", "args")])
        case Display():
            opening, closing = code.brackets
            return _joined([_brackets(opening, code.items, closing, "items", tall=code.tall)])
        case Comprehension():
            clause = _joined([f"for {code.name} in ", *_parts(code.series)])
            return (_Group("[", (_parts(code.element), clause), "]", "clauses"),)
        case Join():
            return _joined([part for piece in code.pieces for part in _parts(piece)])


def _brackets(
    opening: str,
    items: Sequence[Item],
    closing: str,
    kind: OneOf["args", "items"],
    *,
    tall: bool = False,
) -> str | _Group:
    if not items:
        return opening + closing
    inner = tuple(_joined([item.prefix, *_parts(item.value)]) for item in items)
    return _Group(opening, inner, closing, kind, tall)


def _joined(parts: Iterable[str | _Group]) -> _Parts:
    found: list[str | _Group] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def flat(code: Code) -> str:
    """The code on one line, however long."""
    return _flat(_parts(code))


def _flat(parts: _Parts) -> str:
    return "".join(part if isinstance(part, str) else _flat_group(part) for part in parts)


def _flat_group(group: _Group) -> str:
    between = " " if group.kind == "clauses" else ", "
    inner = between.join(map(_flat, group.items))
    lonely = group.kind == "items" and group.opening == "(" and len(group.items) == 1
    return f"{group.opening}{inner}{',' if lonely else ''}{group.closing}"


def _layout(parts: _Parts, indent: int, tail: int = 0) -> str:
    """Lay parts out from the column ``indent``; ``tail`` characters follow them on their line."""
    text = ""
    column = indent
    for place, part in enumerate(parts):
        if isinstance(part, str):
            text += part
            column += len(part)
            continue
        rest = parts[place + 1 :]
        needed = column + len(_flat_group(part)) + _up_to_break(rest, tail)
        crumbs = needed <= WIDTH and _leaves_crumbs(part, rest, column, tail)
        if needed <= WIDTH and not part.must_break and not crumbs:
            text += _flat_group(part)
            column += len(_flat_group(part))
        else:
            text += _broken(part, indent, tall=part.tall or crumbs)
            column = indent + len(part.closing)
    return text


def _up_to_break(parts: _Parts, tail: int) -> int:
    """How many characters follow on the line before it can be broken again."""
    width = 0
    for part in parts:
        if isinstance(part, _Group):
            return width + len(part.opening)
        width += len(part)
    return width + tail


def _leaves_crumbs(group: _Group, rest: _Parts, column: int, tail: int) -> bool:
    """Whether to keep the group on this line would break the few characters after it."""
    groups = [part for part in rest if isinstance(part, _Group)]
    after = _flat(rest)
    whole = column + len(_flat_group(group)) + len(after) + tail
    return bool(groups) and whole > WIDTH and len(after) <= _SHORT and len(group.items) > 1


def _broken(group: _Group, indent: int, *, tall: bool) -> str:
    inner = indent + _INDENT
    pad, end = " " * inner, "\n" + " " * indent + group.closing
    if group.kind != "items" and not tall and not group.must_break:
        line = (" " if group.kind == "clauses" else ", ").join(map(_flat, group.items))
        if inner + len(line) <= WIDTH:
            return f"{group.opening}\n{pad}{line}{end}"
    lonely = group.kind == "args" and len(group.items) == 1 and not tall
    comma = "" if lonely or group.kind == "clauses" else ","
    lines = (f"{pad}{_layout(item, inner, len(comma))}{comma}" for item in group.items)
    return f"{group.opening}\n" + "\n".join(lines) + end


def render(statements: Iterable[Stmt]) -> str:
    """The statements as a module's source, with a newline at its end.

    Example:
        >>> layer = call("layers.Dense", literal(4), name=literal("x"))
        >>> print(render([Assign("x", layer)]), end="")
        x = layers.Dense(4, name="x")
    """
    return "".join(f"{line}\n" for line in _lines(tuple(statements), 0))


def _lines(statements: tuple[Stmt, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    gap = 1 if indent else 2
    owed = 0
    for place, statement in enumerate(statements):
        if isinstance(statement, Blank):
            owed = max(owed, 1)
            continue
        if isinstance(statement, Def) and place:
            owed = gap
        yield from [""] * owed
        owed = 0
        match statement:
            case Line():
                parts = _joined([statement.before, *_parts(statement.value), statement.after])
                yield from (pad + _layout(parts, indent)).split("\n")
            case Assign():
                parts = _joined([f"{statement.targets} = ", *_parts(statement.value)])
                yield from (pad + _layout(parts, indent)).split("\n")
            case Loop():
                head = _joined([f"for {statement.name} in ", *_parts(statement.series), ":"])
                yield from (pad + _layout(head, indent)).split("\n")
                yield from _lines(statement.body, indent + _INDENT)
            case Def():
                brackets = _brackets("(", statement.params, ")", "args")
                head = _joined([f"def {statement.name}", brackets, ":"])
                yield from (pad + _layout(head, indent)).split("\n")
                yield from _lines(statement.body, indent + _INDENT)
                owed = gap
