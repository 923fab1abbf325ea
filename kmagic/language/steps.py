"""One step of a line: ``h = conv2d 32 3x3 relu <- x * 2``."""

from __future__ import annotations

from kmagic.language.phrases import CONSTANTS, Cursor
from kmagic.language.spec import Arg, LayerSpec, Word
from kmagic.language.syntax_hints import place_hint
from kmagic.language.tokens import Token


def read_step(cursor: Cursor) -> LayerSpec:
    """``h = conv2d 32 3x3 relu <- x * 2``."""
    start = cursor.peek.span
    targets = _targets(cursor)
    reuse = cursor.accept_name("reuse")
    callee = cursor.callee("a layer")
    args: tuple[Arg, ...] = ()
    if cursor.at("(") and not cursor.peek.spaced:
        args = cursor.call_args()
    if cursor.at(":"):
        example = f"{callee.text} ..." if isinstance(callee, Word) else "dense 32 relu"
        cursor.fail("has no place here", f"A layer's values follow without a colon: `{example}`.")
    args += cursor.args()
    _check_star(cursor)
    inputs = cursor.tensors() if cursor.accept("<-") else None
    if inputs is not None and not cursor.done and cursor.peek.kind in ("name", "brace"):
        cursor.fail("has no place here", "Inputs are separated by commas: `add <- a, b`.")
    times = cursor.value() if cursor.accept("*") else None
    if not cursor.done and not cursor.at("/"):
        cursor.fail("has no place here", place_hint(cursor.peek.text))
    return LayerSpec(callee, args, inputs, targets, reuse, times, span=start)


def _check_star(cursor: Cursor) -> None:
    """Refuse ``3*3``: a shape is meant, and a repetition would be read."""
    ahead = -1
    dims: list[str] = []
    while (token := cursor.ahead(ahead)) and token.kind == "number":
        dims.append(token.text)
        star, after = cursor.ahead(ahead + 1), cursor.ahead(ahead + 2)
        if star is None or star.text != "*" or star.spaced or after is None or after.spaced:
            break
        ahead += 2
    if len(dims) > 1:
        shape = "x".join(dims)
        remedy = f"A shape is written with the letter x: {shape}; a line is repeated by ` * 3`."
        cursor.fail("has no place here", remedy)


def _targets(cursor: Cursor) -> tuple[str, ...]:
    """``a, b =`` in front of a step, if it is there."""
    ahead = 0
    names: list[Token] = []
    while (token := cursor.ahead(ahead)) and token.kind == "name":
        names.append(token)
        if cursor.next_is("=", ahead + 1):
            for each in names:
                _check_target(cursor, each)
            for _ in range(ahead + 2):
                cursor.take()
            return tuple(each.text for each in names)
        if not cursor.next_is(",", ahead + 1):
            break
        ahead += 2
    return ()


def _check_target(cursor: Cursor, token: Token) -> None:
    if "." in token.text:
        cursor.fail_at(token.span, "a name has no dots")
    if token.text in CONSTANTS or token.text == "_in":
        cursor.fail_at(token.span, f"{token.text} cannot be a name")
