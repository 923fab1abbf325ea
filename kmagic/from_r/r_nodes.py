"""R code as a tree: what the reader makes of a text, and what the translation walks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from kmagic.support.errors import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of the R text, in characters from its beginning."""

    start: int = 0
    end: int = 0


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Placed:
    """Something that stands in the text; two of them are equal wherever they stand."""

    place: Place = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number(Placed):
    """``50``, ``1e-4``, ``32L``: an int where the number is whole and written without a point."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Text(Placed):
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant(Placed):
    """``TRUE``, ``FALSE``, ``NULL`` and ``NA``, both of them None."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Name(Placed):
    """A variable, or a function that is not called: ``loss_mean_squared_error``."""

    text: str


@dataclass(frozen=True, slots=True)
class Argument(Placed):
    """One argument of a call; ``x[ , 1]`` has one without a value."""

    value: Node | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Placed):
    """``f(x, units = 50)``."""

    function: Node
    args: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Member(Placed):
    """``mod$add``, ``x@slot``."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Item(Placed):
    """``dim(x)[2]``, ``x[[1]]``."""

    of: Node
    args: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Prefix(Placed):
    """``-x``, ``!x``, ``~x``."""

    sign: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Infix(Placed):
    """``a * b``, ``1:3``, ``x %in% y``."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Pipe(Placed):
    """``x %>% f(y)``, ``x |> f(y)``: the left side is the first argument of the right one."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Assign(Placed):
    """``x <- f()``; ``x %<>% f()`` is read as ``x <- x %>% f()``."""

    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Function(Placed):
    """``function(units = 64) ...``."""

    params: tuple[Argument, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Block(Placed):
    """``{ ... }``."""

    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If(Placed):
    """``if (test) then else other``."""

    test: Node
    then: Node
    other: Node | None


@dataclass(frozen=True, slots=True)
class For(Placed):
    """``for (name in values) body``."""

    name: str
    values: Node
    body: Node


@dataclass(frozen=True, slots=True)
class While(Placed):
    """``while (test) body`` and ``repeat body``."""

    body: Node


Node: TypeAlias = (
    Number
    | Text
    | Constant
    | Name
    | Call
    | Member
    | Item
    | Prefix
    | Infix
    | Pipe
    | Assign
    | Function
    | Block
    | If
    | For
    | While
)


class Mistake(Exception):  # noqa: N818 - a signal within this package; users see RCodeError
    """Something in the R text that is wrong, or has no counterpart.

    Args:
        message: Completes the caret: "is no layer of Keras".
        place: What is marked.
        remedy: What to do.
    """

    def __init__(self, message: str, place: Place, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.place, self.remedy = message, place, remedy

    def problem(self, text: str) -> Problem:
        """The mistake with its line and column."""
        start = min(self.place.start, len(text))
        before = text[:start]
        line = before.count("\n") + 1
        column = start - (before.rfind("\n") + 1) + 1
        return Problem(self.message, line, column, width_of(self.place, text), self.remedy)


def width_of(place: Place, text: str) -> int:
    """How much of its first line a stretch takes, at least one character."""
    end = text.find("\n", place.start)
    stop = min(place.end, len(text) if end < 0 else end)
    return max(1, len(text[place.start : stop].rstrip()))


def line_of(place: Place, text: str) -> int:
    """The line on which a stretch begins, from 1."""
    return text.count("\n", 0, place.start) + 1
