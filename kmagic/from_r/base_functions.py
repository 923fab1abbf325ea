"""The functions of R itself that stand in models' code: ``c()``, ``dim()``, arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from kmagic.from_r.r_nodes import Mistake, Place
from kmagic.from_r.r_values import Broken, Given, Unknown, Vector

_MOST = 10_000
_ARITHMETIC: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+": (operator.add, "+"),
    "-": (operator.sub, "-"),
    "*": (operator.mul, "*"),
    "/": (operator.truediv, "/"),
    "^": (operator.pow, "**"),
    "%%": (operator.mod, "%"),
    "%/%": (operator.floordiv, "//"),
    "==": (operator.eq, "=="),
    "!=": (operator.ne, "!="),
    "<": (operator.lt, "<"),
    ">": (operator.gt, ">"),
    "<=": (operator.le, "<="),
    ">=": (operator.ge, ">="),
}
_WHOLE: dict[str, Callable[[float], float]] = {
    "as.integer": int,
    "as.numeric": lambda value: value,
    "as.double": lambda value: value,
    "round": round,
    "floor": math.floor,
    "ceiling": math.ceil,
    "abs": abs,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
}
_OVER: dict[str, Callable[..., Any]] = {"prod": lambda *n: math.prod(n), "sum": lambda *n: sum(n)}
_OVER |= {"max": max, "min": min}
_SAME = frozenset({"invisible", "identity", "print", "suppressWarnings", "suppressMessages"})
_LISTS = {"c": "c", "list": "list", "tuple": "list", "shape": "c"}
NAMES = frozenset(
    {*_WHOLE, *_OVER, *_SAME, *_LISTS, "dim", "ncol", "nrow", "length", "rev", "rep", "seq_len"}
    | {"seq_along", "paste0", "paste", "is.null"}
)


def call(name: str, given: list[Given], place: Place) -> Any:
    """What one of these functions gives; an ``Unknown`` where that depends on data.

    Raises:
        Mistake: A number that cannot be worked with.
    """
    values = [each.value for each in given]
    if name in _LISTS:
        return _vector(name, given)
    if any(isinstance(each, Broken) for each in values):
        return Broken()
    first = values[0] if values else None
    if name in _SAME:
        return first
    if name == "is.null":
        return Unknown() if isinstance(first, Unknown) else first is None
    try:
        return _known(name, values, first)
    except (ValueError, OverflowError, TypeError, ZeroDivisionError) as error:
        raise Mistake(f"cannot be worked out: {error}", place) from error


def _vector(name: str, given: list[Given]) -> Vector:
    items: list[tuple[str | None, Any]] = []
    for each in given:
        if _LISTS[name] == "c" and isinstance(each.value, Vector) and each.name is None:
            items += each.value.items  # c(c(1, 2), 3) is flat
        else:
            items.append((each.name, each.value))
    return Vector("list" if _LISTS[name] == "list" else "c", items)


def _known(name: str, values: list[Any], first: Any) -> Any:
    if name in _WHOLE:
        if isinstance(first, Vector):
            return Vector("c", [(key, whole(_WHOLE[name](each))) for key, each in first.items])
        return first if isinstance(first, Unknown) else whole(_WHOLE[name](first))
    if name in _OVER:
        flat = [
            each for value in values for each in (value if isinstance(value, Vector) else [value])
        ]
        if any(isinstance(each, Unknown) for each in flat):
            return Unknown()
        return whole(_OVER[name](*flat))
    if name in ("dim", "ncol", "nrow"):
        if not isinstance(first, Unknown) or not first.python:
            return Unknown()
        place = {"dim": "", "nrow": "[0]", "ncol": "[1]"}[name]
        return Unknown(f"{first.python}.shape{place}")
    if name in ("length", "seq_along") and isinstance(first, Vector):
        return len(first) if name == "length" else _run(1, len(first))
    if name == "seq_len" and isinstance(first, int):
        return _run(1, first)
    if name == "rev" and isinstance(first, Vector):
        return Vector(first.kind, first.items[::-1])
    if name == "rep" and len(values) > 1 and isinstance(values[1], int) and values[1] < _MOST:
        once = first.items if isinstance(first, Vector) else [_unnamed(first)]
        return Vector("c", once * values[1])
    if name in ("paste0", "paste") and all(isinstance(each, str | int) for each in values):
        return ("" if name == "paste0" else " ").join(map(str, values))
    return Unknown()


def infix(sign: str, left: Any, right: Any, place: Place) -> Any:
    """``left sign right``.

    Raises:
        Mistake: It cannot be worked out.
    """
    if any(isinstance(each, Broken) for each in (left, right)):
        return Broken()
    if sign == ":" and isinstance(left, int) and isinstance(right, int):
        return _run(left, right)
    if sign in ("&&", "&") and isinstance(left, bool) and isinstance(right, bool):
        return left and right
    if sign in ("||", "|") and isinstance(left, bool) and isinstance(right, bool):
        return left or right
    if sign not in _ARITHMETIC:
        return Unknown()
    work, python = _ARITHMETIC[sign]
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        sides = [_source(left), _source(right)]
        return Unknown(f"{sides[0]} {python} {sides[1]}" if all(sides) else "")
    try:
        if isinstance(left, Vector) or isinstance(right, Vector):
            return _each(work, left, right)
        return whole(work(left, right))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise Mistake(f"cannot be worked out: {error}", place) from error


def _each(work: Callable[[Any, Any], Any], left: Any, right: Any) -> Vector:
    long = max(len(each) for each in (left, right) if isinstance(each, Vector))
    sides = [list(each) if isinstance(each, Vector) else [each] for each in (left, right)]
    pairs = ((sides[0][i % len(sides[0])], sides[1][i % len(sides[1])]) for i in range(long))
    return Vector("c", [(None, whole(work(one, other))) for one, other in pairs])


def item(of: Any, index: Any, place: Place) -> Any:
    """``of[index]``, counted from 1 as R does; a negative index leaves one out.

    Raises:
        Mistake: There is no such element.
    """
    if isinstance(of, Broken):
        return of
    if isinstance(of, Vector):
        if isinstance(index, str):
            return next((value for key, value in of.items if key == index), None)
        if isinstance(index, int) and 0 < abs(index) <= len(of):
            rest = of.items[: -index - 1] + of.items[-index:]
            return of.items[index - 1][1] if index > 0 else Vector(of.kind, rest)
        if isinstance(index, int):
            raise Mistake(f"has no element {index}: it holds {len(of)}", place)
    if isinstance(of, Unknown) and of.python and isinstance(index, int):
        if index > 0:
            return Unknown(f"{of.python}[{index - 1}]")
        if index == -1:
            return Unknown(f"{of.python}[1:]")
    if isinstance(of, Unknown) and of.python and isinstance(index, str) and index.isidentifier():
        return Unknown(f"{of.python}.{index}")
    return Unknown()


def whole(value: Any) -> Any:
    """A number as R prints it: 32, not 32.0."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value


def _run(first: int, last: int) -> Vector:
    step = 1 if last >= first else -1
    if abs(last - first) > _MOST:
        return Vector("c", [])
    return Vector("c", [(None, each) for each in range(first, last + step, step)])


def _source(value: Any) -> str:
    if isinstance(value, Unknown):
        plain = value.python.replace(".", "").replace("_", "").replace("[", "").replace("]", "")
        return value.python if plain.isalnum() or not value.python else f"({value.python})"
    return repr(value) if isinstance(value, int | float) else ""


def _unnamed(value: Any) -> tuple[str | None, Any]:
    return None, value
