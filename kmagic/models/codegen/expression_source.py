"""Expressions in braces as Python source, with the names of a program."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from kmagic.language import expressions

Rename: TypeAlias = Callable[[str], str]
_PRIMARY = ast.Attribute | ast.Call | ast.Constant | ast.Dict | ast.List | ast.Name
_PRIMARY |= ast.Subscript | ast.Tuple
"""Expressions that need no parentheses before an index or an operator."""


def expression_code(
    source: str,
    rename: Rename,
    names: Mapping[str, Any] = MappingProxyType({}),
    *,
    is_operand: bool = False,
) -> str:
    """An expression of the text as Python source.

    Args:
        source: Without its braces.
        rename: From a name in the text to its name in the program.
        names: Values of the names in the text, as far as they are known.
        is_operand: Whether the code will be called, indexed or followed by an attribute.

    Example:
        >>> expression_code("dim//heads", str)
        'dim // heads'
    """
    node = expressions.parse_expression(source)
    text = ast.unparse(_Renamer(rename, names).visit(node))
    return f"({text})" if is_operand and not isinstance(node, _PRIMARY) else text


class _Renamer(ast.NodeTransformer):
    """Renames names, and lets no integer of NumPy overflow."""

    def __init__(self, rename: Rename, names: Mapping[str, Any]) -> None:
        self.rename, self.names = rename, names

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self._operands(node.left, node.right)
        return ast.BinOp(left, node.op, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return ast.UnaryOp(node.op, *self._operands(node.operand))

    def _operands(self, *nodes: ast.expr) -> list[ast.expr]:
        """Operands as :func:`~kmagic.language.expressions.evaluate` computes with them."""
        values: list[Any] = []
        for node in nodes:
            try:
                values.append(expressions.evaluate(ast.unparse(node), self.names))
            except expressions.ExpressionError:  # not known
                values.append(None)
        codes: list[ast.expr] = [self.visit(node) for node in nodes]
        if any(getattr(value, "shape", ()) for value in values):
            return codes
        return [
            code
            if expressions.python_integer(value) is value
            else ast.Call(ast.Name("int"), [code], [])
            for code, value in zip(codes, values, strict=True)
        ]

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.rename(node.id))
