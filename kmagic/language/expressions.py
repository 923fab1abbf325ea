"""``{...}``: a Python expression from the notebook, walked over instead of evaluated.

Names, public attributes, indexing, arithmetic and comparisons; never a call. So a model's text
can be read, shown and sent around without running anything that its reader does not see.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_CALL_HINT = "Call it in a cell above, and name the result here."
_OTHER_HINT = "Work it out in a cell above, and name the result here."


class ExpressionError(Exception):
    """An expression cannot be evaluated.

    Args:
        message: Completes the caret.
        column: Where in the expression, from 0.
        width: How many characters.
        remedy: What to do.
    """

    def __init__(self, message: str, column: int = 0, width: int = 1, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.width, self.remedy = message, column, width, remedy


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression.

    Args:
        source: Without its braces.
        names: What the names stand for.

    Raises:
        ExpressionError: It is not an expression, holds a call, or fails.

    Example:
        >>> evaluate("dim // heads", {"dim": 64, "heads": 4})
        16
    """
    return _Walker(source, names).value(parse(source))


def names_in(source: str) -> set[str]:
    """The names that an expression needs.

    Example:
        >>> sorted(names_in("dim // heads"))
        ['dim', 'heads']
    """
    return {node.id for node in ast.walk(parse(source)) if isinstance(node, ast.Name)}


def parse(source: str) -> ast.expr:
    """The expression's tree.

    Raises:
        ExpressionError: It is not one Python expression.
    """
    if not source.strip():
        raise ExpressionError("is not an expression: there is nothing in it")
    try:
        return ast.parse(f"({source}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        column = max((getattr(error, "offset", None) or 2) - 2, 0)
        reason = getattr(error, "msg", None) or str(error)
        raise ExpressionError(f"is not an expression: {reason}", min(column, len(source))) from None


class _Walker:
    def __init__(self, source: str, names: Mapping[str, Any]) -> None:
        self.source, self.names = source, names

    def value(self, node: ast.expr) -> Any:
        visit = getattr(self, f"_{type(node).__name__}", None)
        if visit is None:
            raise self._error(f"{self._text(node)} is not allowed in braces", node, _OTHER_HINT)
        return visit(node)

    def _attempt(self, node: ast.AST, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except ExpressionError:
            raise
        except Exception as error:
            message = f"fails: {type(error).__name__}: {error}"
            raise self._error(message, node) from error

    def _Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _Name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            own = (each for each in self.names if each[0] != "_" and each not in IPYTHON_NAMES)
            remedy = did_you_mean(node.id, own)
            raise self._error(
                "is not defined in the notebook", node, remedy or "Define it in a cell above."
            )
        return self.names[node.id]

    def _Attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if node.attr.startswith("_"):
            raise self._error(f"{node.attr} is private", node, _OTHER_HINT)
        if not hasattr(owner, node.attr):
            remedy = did_you_mean(node.attr, (each for each in dir(owner) if each[0] != "_"))
            raise self._error(f"{type(owner).__name__} has no {node.attr}", node, remedy)
        return getattr(owner, node.attr)

    def _Subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.value(node.value), self.value(node.slice)
        return self._attempt(node, lambda: owner[key])

    def _Slice(self, node: ast.Slice) -> Any:
        ends = (node.lower, node.upper, node.step)
        return slice(*(None if end is None else self.value(end) for end in ends))

    def _BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        return self._attempt(node, lambda: _BINARY[type(node.op)](left, right))

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        return self._attempt(node, lambda: _UNARY[type(node.op)](operand))

    def _BoolOp(self, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        result: Any = None
        for each in node.values:
            result = self.value(each)
            if bool(result) == stops_at:
                break
        return result

    def _Compare(self, node: ast.Compare) -> Any:
        left: Any = self.value(node.left)
        result: Any = True
        for compare, each in zip(node.ops, node.comparators, strict=True):
            right = self.value(each)
            result = self._attempt(node, lambda a=left, b=right, c=compare: _COMPARE[type(c)](a, b))  # type: ignore[misc]  # bound early
            if len(node.ops) > 1 and not result:
                break
            left = right
        return result

    def _IfExp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(each) for each in node.elts)

    def _List(self, node: ast.List) -> Any:
        return [self.value(each) for each in node.elts]

    def _Dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise self._error("** is not allowed in braces", node)
        keys = (self.value(each) for each in node.keys if each is not None)
        return dict(zip(keys, (self.value(each) for each in node.values), strict=True))

    def _Call(self, node: ast.Call) -> Any:
        raise self._error("is a call, and braces take none", node, _CALL_HINT)

    def _text(self, node: ast.AST) -> str:
        return ast.get_source_segment(f"({self.source}\n)", node) or type(node).__name__

    def _error(self, message: str, node: ast.AST, remedy: str = "") -> ExpressionError:
        text = self._text(node)
        column = max(getattr(node, "col_offset", 1) - 1, 0)
        return ExpressionError(message, column, len(text.splitlines()[0]), remedy)
