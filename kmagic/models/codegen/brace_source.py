"""The expressions in braces as Python source, in the printer's style."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeAlias

from kmagic.language import expressions
from kmagic.models.codegen.source_tree import Atom, Code, Display, Item, Join, flat, literal

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
_ANYTHING, _CHOICE, _OR, _AND, _COMPARISON, _POWER, _PRIMARY = 0, 1, 2, 3, 5, 13, 15


def python(source: str, rename: Rename, *, primary: bool = False) -> Code:
    """An expression of the text as Python source.

    Args:
        source: Without its braces.
        rename: What each of its names is called in the program.
        primary: Whether the code will be called, indexed or asked for an attribute.

    Example:
        >>> flat(python("dim//heads", str))
        'dim // heads'
    """
    return _Printer(rename).code(
        expressions.parse_expression(source), _PRIMARY if primary else _ANYTHING
    )


class _Printer:
    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def code(self, node: ast.expr, binding: int = _ANYTHING) -> Code:
        """The code of a node, in parentheses if it binds weaker than its place asks."""
        found, own = self._code(node)
        if own < binding:
            return Join((Atom("("), found, Atom(")")))
        return found

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
                if isinstance(node.operand, ast.BinOp) and not isinstance(node.op, ast.Not):
                    # -(a**2) needs no parentheses, but is written with them.
                    return Join((Atom(sign), self.code(node.operand, _PRIMARY))), own
                return Join((Atom(sign), self.code(node.operand, own))), own
            case ast.BoolOp():
                word, own = ("or", _OR) if isinstance(node.op, ast.Or) else ("and", _AND)
                return self._chain([self.code(each, own + 1) for each in node.values], word), own
            case ast.Compare():
                return self._compare(node), _COMPARISON
            case ast.IfExp():
                then, test = self.code(node.body, _CHOICE + 1), self.code(node.test, _CHOICE + 1)
                otherwise = self.code(node.orelse, _CHOICE)
                pieces = (then, Atom(" if "), test, Atom(" else "), otherwise)
                return Join(pieces), _CHOICE
            case ast.Tuple():
                return Display("()", tuple(Item(self.code(each)) for each in node.elts)), _PRIMARY
            case ast.List():
                return Display("[]", tuple(Item(self.code(each)) for each in node.elts)), _PRIMARY
            case ast.Dict():
                return self._dict(node), _PRIMARY
            case _:
                raise TypeError(f"braces hold no {type(node).__name__}")

    def _binary(self, node: ast.BinOp) -> tuple[Code, int]:
        sign, own = _BINARY[type(node.op)]
        if own == _POWER:  # binds to the right, and is written tight between simple operands
            bare = not isinstance(node.left, ast.BinOp | ast.UnaryOp)
            tight = bare and _is_simple(node.left) and _is_simple(node.right)
            left = self.code(node.left, own + 1)
            right = self.code(node.right, 12)
            return Join((left, Atom("**" if tight else " ** "), right)), own
        return Join(
            (self.code(node.left, own), Atom(f" {sign} "), self.code(node.right, own + 1))
        ), own

    def _chain(self, codes: list[Code], word: str) -> Code:
        pieces = [codes[0]]
        for each in codes[1:]:
            pieces += [Atom(f" {word} "), each]
        return Join(tuple(pieces))

    def _compare(self, node: ast.Compare) -> Code:
        pieces = [self.code(node.left, _COMPARISON + 1)]
        for sign, each in zip(node.ops, node.comparators, strict=True):
            pieces += [Atom(f" {_COMPARE[type(sign)]} "), self.code(each, _COMPARISON + 1)]
        return Join(tuple(pieces))

    def _dict(self, node: ast.Dict) -> Code:
        entries = zip(node.keys, node.values, strict=True)
        return Display(
            "{}",
            tuple(
                Item(self.code(item), f"{flat(self.code(key))}: ") for key, item in entries if key
            ),
        )

    def _key(self, node: ast.expr) -> str:
        if isinstance(node, ast.Tuple) and node.elts:
            comma = "," if len(node.elts) == 1 else ""
            return ", ".join(map(self._key, node.elts)) + comma
        if not isinstance(node, ast.Slice):
            return flat(self.code(node))
        lower, upper, step = (
            flat(self.code(end)) if end else "" for end in (node.lower, node.upper, node.step)
        )
        wide = any(end and not _is_short(end) for end in (node.lower, node.upper, node.step))
        space = " " if wide else ""
        text = f"{lower}{space}:{space}{upper}".strip()
        if step:
            text += f"{space if upper else ''}:{space}{step}"
        return text


def _is_simple(node: ast.expr) -> bool:
    """Whether ``**`` is written tight beside this operand."""
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
    """Whether ``:`` is written tight beside this end of a slice."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return _is_short(node.operand)
    return isinstance(node, ast.Name | ast.Constant)
