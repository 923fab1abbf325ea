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
    node = expressions.parse_expression(source)
    text = ast.unparse(_Renamer(rename).visit(node))
    return f"({text})" if is_operand and not isinstance(node, _PRIMARY) else text


class _Renamer(ast.NodeTransformer):
    """Renames names, and puts strings into double quotes."""

    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.rename(node.id))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Name(literal(node.value)) if isinstance(node.value, str) else node
