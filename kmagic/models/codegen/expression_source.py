"""Expressions in braces as Python source, with the names of a program."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeAlias

from kmagic.language import expressions
from kmagic.models.codegen.source_layout import literal

Rename: TypeAlias = Callable[[str], str]
_PRIMARY = ast.Attribute | ast.Call | ast.Constant | ast.Dict | ast.List | ast.Name
_PRIMARY |= ast.Subscript | ast.Tuple
"""Expressions that need no parentheses before an index or an operator."""


def expression_code(source: str, rename: Rename, *, is_operand: bool = False) -> str:
    """An expression of the text as Python source.

    Args:
        source: Without its braces.
        rename: From a name in the text to its name in the program.
        is_operand: Whether the code will be called, indexed or followed by an attribute.

    Example:
        >>> expression_code("dim//heads", str)
        'dim // heads'
    """
    node, printer = expressions.parse_expression(source), _Printer(rename)
    return printer.operand(node) if is_operand else printer.text(node)


class _Printer(ast.NodeTransformer):
    """Renames names, and replaces what ruff formats differently by a "name" with its text."""

    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def text(self, node: ast.expr) -> str:
        return ast.unparse(self.visit(node))

    def operand(self, node: ast.expr) -> str:
        """The text of a node, in parentheses if it consists of several operands."""
        text = self.text(node)
        return text if isinstance(node, _PRIMARY) else f"({text})"

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.rename(node.id))

    def visit_Constant(self, node: ast.Constant) -> ast.Name:
        return ast.Name(literal(node.value))

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        owner = self.operand(node.value)
        return ast.Attribute(ast.Name(f"({owner})" if owner[0].isdigit() else owner), node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        return ast.Subscript(ast.Name(self.operand(node.value)), self.visit(node.slice))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.BoolOp:
        # unparse adds parentheses around the later operands, which only some operands need.
        values = [
            self.visit(value)
            if isinstance(value, ast.IfExp) or _has(value, type(node.op), ast.Or)
            else ast.Name(self.text(value))
            for value in node.values
        ]
        return ast.BoolOp(node.op, values)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.UnaryOp:
        # -(a**2) needs no parentheses, but is written with them.
        if isinstance(node.operand, ast.BinOp) and _is_sign(node):
            return ast.UnaryOp(node.op, ast.Name(self.operand(node.operand)))
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not _has(node, ast.Pow):
            return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))
        left, right = node.left, node.right
        is_left_simple = isinstance(left, _PRIMARY) and _is_simple(left)
        sign = "**" if is_left_simple and _is_simple(right) else " ** "
        binds_tighter = _is_sign(right) or _has(right, ast.Pow)
        exponent = self.text(right) if binds_tighter else self.operand(right)
        return ast.Name(f"{self.operand(left)}{sign}{exponent}")

    def visit_Slice(self, node: ast.Slice) -> ast.Name:
        ends = (node.lower, node.upper, node.step)
        space = "" if all(end is None or _is_short(end) for end in ends) else " "
        lower, upper, step = (self.text(end) if end else "" for end in ends)
        text = f"{lower}{space}:{space}{upper}".strip()
        if step:
            text += f"{space if upper else ''}:{space}{step}"
        return ast.Name(text)


def _has(node: ast.expr, *operators: type[ast.AST]) -> bool:
    """Whether a node is an operation with one of these operators."""
    return isinstance(getattr(node, "op", None), operators)


def _is_sign(node: ast.expr) -> bool:
    return _has(node, ast.UAdd, ast.USub, ast.Invert)


def _is_simple(node: ast.expr) -> bool:
    """Whether ``**`` is written without spaces next to this operand."""
    match node:
        case ast.UnaryOp() if _is_sign(node):
            return _is_simple(node.operand)
        case ast.BinOp(op=ast.Pow()):
            return _is_simple(node.left)
        case ast.Attribute():
            return _is_simple(node.value)
        case ast.Constant():
            return isinstance(node.value, int | float)
    return isinstance(node, ast.Name)


def _is_short(node: ast.expr) -> bool:
    """Whether ``:`` is written without spaces next to this end of a slice."""
    end = node.operand if isinstance(node, ast.UnaryOp) and _is_sign(node) else node
    return isinstance(end, ast.Name | ast.Constant)
