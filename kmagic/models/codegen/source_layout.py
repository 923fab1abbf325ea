"""Python source, formatted by ruff. A piece of code is a string without line breaks."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal as OneOf
from typing import TypeAlias

from ruff.__main__ import find_ruff_bin

_SMALL, _LARGE = 0.01, 10_000.0
"""Between these, numbers are written without an exponent."""


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
        "(1e-4, 'relu', None)"
    """
    match value:
        case float():
            return _float(value)
        case tuple() | list():
            kind: OneOf["list", "tuple"] = "list" if isinstance(value, list) else "tuple"
            return sequence_of(kind, map(literal, value))
        case dict():
            return dictionary((literal(key), literal(item)) for key, item in value.items())
        case _:
            return "..." if value is ... else repr(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    plain = repr(value)
    short = f"{Decimal(plain).normalize():e}".replace("e+", "e")
    return plain if _SMALL <= abs(value) < _LARGE or len(short) >= len(plain) else short


# --- layout -----------------------------------------------------------------------------------


def render_source(statements: Iterable[SourceStatement]) -> str:
    """The statements as a module's source, ending in a newline.

    Example:
        >>> loop = Compound("for _ in range(3):", ("x = layers.Dense(4)(x)",))
        >>> print(render_source([loop]), end="")
        for _ in range(3):
            x = layers.Dense(4)(x)
    """
    return format_source("\n".join(_lines(statements)))


def format_source(code: str) -> str:
    """Code as ruff formats it; all that it needs are line breaks between statements.

    Example:
        >>> print(format_source("x = f( 'a' )"), end="")
        x = f("a")
    """
    command = (find_ruff_bin(), "format", "--isolated", "-")
    done = subprocess.run(command, input=code, capture_output=True, encoding="utf-8", check=True)  # noqa: S603 - ruff, with code that is not executed
    return done.stdout


def _lines(statements: Iterable[SourceStatement], indent: str = "") -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, str):
            yield f"{indent}{statement}" if statement else ""
        else:
            yield f"{indent}{statement.head}"
            yield from _lines(statement.body, indent + "    ")
