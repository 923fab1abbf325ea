"""Expressions in braces as Python source, in the style of :mod:`.source_tree`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeAlias

from kmagic.language import expressions
from kmagic.models.codegen.source_tree import (
    Atom,
    Code,
    Collection,
    Item,
    Join,
    list_of,
    literal,
    one_line,
)

Rename: TypeAlias = Callable[[str], str]

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.BitOr: ("|", 6),
    ast.BitXor: ("^", 7),
    ast.BitAnd: ("&", 8),
    ast.LShift: ("<<", 9),
    ast.RShift: (">>", 9),
    ast.Add: ("+", 10),
    ast.Sub: ("-", 10),
    ast.Mult: ("*", 11),
    ast.Div: ("/", 11),
    ast.FloorDiv: ("//", 11),
    ast.Mod: ("%", 11),
    ast.MatMult: ("@", 11),
    ast.Pow: ("**", 13),
}
"""Operator -> its sign and its precedence."""
_UNARY: dict[type[ast.unaryop], tuple[str, int]] = {
    ast.UAdd: ("+", 12),
    ast.USub: ("-", 12),
    ast.Invert: ("~", 12),
    ast.Not: ("not ", 4),
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_LOWEST, _TERNARY, _OR, _AND, _COMPARISON, _UNARY_SIGN, _POWER, _PRIMARY = 0, 1, 2, 3, 5, 12, 13, 15


def expression_code(source: str, rename: Rename, *, is_operand: bool = False) -> Code:
    """An expression of the text as Python source.

    Args:
        source: Without its braces.
        rename: From a name in the text to its name in the program.
        is_operand: Whether the code will be called, indexed or followed by an attribute.

    Example:
        >>> one_line(expression_code("dim//heads", str))
        'dim // heads'
    """
    return _Printer(rename).code(
        expressions.parse_expression(source), _PRIMARY if is_operand else _LOWEST
    )


class _Printer:
    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def code(self, node: ast.expr, precedence: int = _LOWEST) -> Code:
        """The code of a node, in parentheses if it binds more weakly than its context."""
        code, own = self._code(node)
        return Join((Atom("("), code, Atom(")"))) if own < precedence else code

    def _code(self, node: ast.expr) -> tuple[Code, int]:
        match node:
            case ast.Name():
                return Atom(self.rename(node.id)), _PRIMARY
            case ast.Constant():
                is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
                return literal(node.value), _PRIMARY - is_number
            case ast.Attribute():
                return Join((self.code(node.value, _PRIMARY), Atom(f".{node.attr}"))), _PRIMARY
            case ast.Subscript():
                owner = self.code(node.value, _PRIMARY)
                return Join((owner, Atom(f"[{self._key(node.slice)}]"))), _PRIMARY
            case ast.BinOp():
                return self._binary(node)
            case ast.UnaryOp():
                sign, own = _UNARY[type(node.op)]
                # -(a**2) needs no parentheses, but is written with them.
                is_binary = isinstance(node.operand, ast.BinOp) and own != _UNARY[ast.Not][1]
                return Join(
                    (Atom(sign), self.code(node.operand, _PRIMARY if is_binary else own))
                ), own
            case ast.BoolOp():
                word, own = ("or", _OR) if isinstance(node.op, ast.Or) else ("and", _AND)
                pieces = [self.code(node.values[0], own + 1)]
                for value in node.values[1:]:
                    pieces += [Atom(f" {word} "), self.code(value, own + 1)]
                return Join(tuple(pieces)), own
            case ast.Compare():
                pieces = [self.code(node.left, _COMPARISON + 1)]
                for op, value in zip(node.ops, node.comparators, strict=True):
                    comparison = _COMPARE[type(op)]
                    pieces += [Atom(f" {comparison} "), self.code(value, _COMPARISON + 1)]
                return Join(tuple(pieces)), _COMPARISON
            case ast.IfExp():
                then, test = self.code(node.body, _TERNARY + 1), self.code(node.test, _TERNARY + 1)
                otherwise = self.code(node.orelse, _TERNARY)
                return Join((then, Atom(" if "), test, Atom(" else "), otherwise)), _TERNARY
            case ast.Tuple():
                return Collection(
                    "()", tuple(Item(self.code(element)) for element in node.elts)
                ), _PRIMARY
            case ast.List():
                return list_of(map(self.code, node.elts)), _PRIMARY
            case ast.Dict():
                items = tuple(
                    Item(self.code(value), f"{one_line(self.code(key))}: ")
                    for key, value in zip(node.keys, node.values, strict=True)
                    if key
                )
                return Collection("{}", items), _PRIMARY
            case _:
                raise TypeError(f"unsupported expression: {type(node).__name__}")

    def _binary(self, node: ast.BinOp) -> tuple[Code, int]:
        sign, own = _BINARY[type(node.op)]
        if own == _POWER:  # right-associative, and written without spaces between simple operands
            is_left_simple = _is_simple(node.left) and not isinstance(
                node.left, ast.BinOp | ast.UnaryOp
            )
            sign = "**" if is_left_simple and _is_simple(node.right) else " ** "
            left, right = self.code(node.left, own + 1), self.code(node.right, _UNARY_SIGN)
            return Join((left, Atom(sign), right)), own
        left, right = self.code(node.left, own), self.code(node.right, own + 1)
        return Join((left, Atom(f" {sign} "), right)), own

    def _key(self, node: ast.expr) -> str:
        """What stands between an index's square brackets."""
        if isinstance(node, ast.Tuple) and node.elts:
            comma = "," if len(node.elts) == 1 else ""
            return ", ".join(map(self._key, node.elts)) + comma
        if not isinstance(node, ast.Slice):
            return one_line(self.code(node))
        ends = (node.lower, node.upper, node.step)
        lower, upper, step = (one_line(self.code(end)) if end else "" for end in ends)
        space = "" if all(end is None or _is_short(end) for end in ends) else " "
        text = f"{lower}{space}:{space}{upper}".strip()
        if step:
            text += f"{space if upper else ''}:{space}{step}"
        return text


def _is_simple(node: ast.expr) -> bool:
    """Whether ``**`` is written without spaces next to this operand."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return _is_simple(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_simple(node.left)
    if isinstance(node, ast.Attribute):
        return _is_simple(node.value)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    return isinstance(node, ast.Name)


def _is_short(node: ast.expr) -> bool:
    """Whether ``:`` is written without spaces next to this end of a slice."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return _is_short(node.operand)
    return isinstance(node, ast.Name | ast.Constant)
