"""``{...}``: Python expressions over notebook variables, walked instead of evaluated.

Names, public attributes, indexing, arithmetic and comparisons, but no calls: reading, showing or
sending a model's text around never runs anything that its reader does not see.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from kmagic.support.caller_names import what_to_do, why_hidden
from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
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
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
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
_COMPUTE_ABOVE = "Compute it in a cell above and use the name of the result here."
_OTHER_NAME = "Braces contain values. Give the notebook's value another name in a cell above."
_CALL_ABOVE = "Call it in a cell above and use the name of the result here."


class ExpressionError(Exception):
    """An expression cannot be evaluated.

    Args:
        message: Completes the caret.
        column: Index of the first marked character in the expression.
        width: Number of marked characters.
        remedy: What to do.
    """

    def __init__(self, message: str, column: int = 0, width: int = 1, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.width, self.remedy = message, column, width, remedy


def evaluate(
    source: str, names: Mapping[str, Any], refuse: Callable[[str], str] | None = None
) -> Any:
    """The value of an expression, given without its braces.

    Args:
        source: The expression.
        names: Values of the names in it.
        refuse: Why a name has no value, although it may be in ``names``; "" if it has one.

    Raises:
        ExpressionError: It is not an expression, contains a call, or fails.

    Example:
        >>> evaluate("dim // heads", {"dim": 64, "heads": 4})
        16
    """
    return _Evaluator(source, names, refuse).value(parse_expression(source))


def names_in_expression(source: str) -> set[str]:
    """The names that an expression needs.

    Example:
        >>> sorted(names_in_expression("dim // heads"))
        ['dim', 'heads']
    """
    return {node.id for node in ast.walk(parse_expression(source)) if isinstance(node, ast.Name)}


def parse_expression(source: str) -> ast.expr:
    """The syntax tree of an expression.

    Raises:
        ExpressionError: It is not a single Python expression.
    """
    if not source.strip():
        raise ExpressionError("is not an expression: it is empty")
    try:
        return ast.parse(f"({source}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        column = max((getattr(error, "offset", None) or 2) - 2, 0)
        reason = getattr(error, "msg", None) or str(error)
        message = f"is not an expression: {reason}"
        raise ExpressionError(message, min(column, len(source))) from None


class _Evaluator:
    def __init__(
        self, source: str, names: Mapping[str, Any], refuse: Callable[[str], str] | None
    ) -> None:
        self.source, self.names, self.refuse = source, names, refuse

    def value(self, node: ast.expr) -> Any:
        visit = getattr(self, f"_{type(node).__name__}", None)
        if visit is None:
            message = f"{self._text(node)} is not allowed in braces"
            raise self._error(message, node, _COMPUTE_ABOVE)
        return visit(node)

    def _compute(self, node: ast.AST, function: Callable[..., Any], *operands: Any) -> Any:
        try:
            return function(*operands)
        except Exception as error:
            raise self._error(f"raised {type(error).__name__}: {error}", node) from error

    def _Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _Name(self, node: ast.Name) -> Any:
        if self.refuse is not None and (reason := self.refuse(node.id)):
            raise self._error(reason, node, _OTHER_NAME)
        if node.id not in self.names:
            if reason := why_hidden(node.id, self.names):
                raise self._error(reason, node, what_to_do(node.id, self.names))
            own = (name for name in self.names if name[0] != "_" and name not in IPYTHON_NAMES)
            remedy = did_you_mean(node.id, own) or "Define it in a cell above."
            raise self._error("is not defined in the notebook", node, remedy)
        return self.names[node.id]

    def _Attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if node.attr.startswith("_"):
            raise self._error(f"{node.attr} is private", node, _COMPUTE_ABOVE)
        if not hasattr(owner, node.attr):
            remedy = did_you_mean(node.attr, (name for name in dir(owner) if name[0] != "_"))
            raise self._error(f"{type(owner).__name__} has no attribute {node.attr}", node, remedy)
        return getattr(owner, node.attr)

    def _Subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.value(node.value), self.value(node.slice)
        return self._compute(node, operator.getitem, owner, key)

    def _Slice(self, node: ast.Slice) -> Any:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self.value(bound) for bound in bounds))

    def _BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        return self._compute(node, _OPERATORS[type(node.op)], left, right)

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        return self._compute(node, _OPERATORS[type(node.op)], self.value(node.operand))

    def _BoolOp(self, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        result: Any = None
        for operand in node.values:
            result = self.value(operand)
            if bool(result) == stops_at:
                break
        return result

    def _Compare(self, node: ast.Compare) -> Any:
        left: Any = self.value(node.left)
        result: Any = True
        for operator_node, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            result = self._compute(node, _OPERATORS[type(operator_node)], left, right)
            if len(node.ops) > 1 and not result:
                break
            left = right
        return result

    def _IfExp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(item) for item in node.elts)

    def _List(self, node: ast.List) -> Any:
        return [self.value(item) for item in node.elts]

    def _Dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise self._error("** is not allowed in braces", node)
        keys = [self.value(key) for key in node.keys if key is not None]
        return dict(zip(keys, (self.value(item) for item in node.values), strict=True))

    def _Call(self, node: ast.Call) -> Any:
        raise self._error("calls are not allowed in braces", node, _CALL_ABOVE)

    def _text(self, node: ast.AST) -> str:
        return ast.get_source_segment(f"({self.source}\n)", node) or type(node).__name__

    def _error(self, message: str, node: ast.AST, remedy: str = "") -> ExpressionError:
        text = self._text(node)
        column = max(getattr(node, "col_offset", 1) - 1, 0)
        return ExpressionError(message, column, len(text.splitlines()[0]), remedy)
