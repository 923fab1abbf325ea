"""``{...}``: Python expressions over notebook variables, walked instead of evaluated.

Names, public attributes, indexing, arithmetic and comparisons, but no calls: reading, showing or
sending a model's text around never runs anything that its reader does not see.
"""

from __future__ import annotations

import ast
import math
import numbers
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from kmagic.support.caller_names import if_missing, why_hidden
from kmagic.support.data_values import shape_of_data
from kmagic.support.formatting import describe_error
from kmagic.support.nesting import MAX_ITEMS, nesting_problem
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
MAX_DEPTH = 100
"""Expressions are not nested more deeply: Python's recursion ends at about ten times as much."""
MAX_BITS = 10_000
"""Of a whole number; 3,000 digits."""
MAX_JOINED = 10 * MAX_ITEMS
"""Of two lists or texts that an operator joins."""
MAX_ELEMENTS = 100_000_000
"""Of an array that an operator makes: 800 MB."""
_COMPUTE_ABOVE = "Compute it in a cell above and use the name of the result here."
_OTHER_NAME = "Braces contain values. Give the notebook's value another name in a cell above."
_COMPARE_ABOVE = "An array is neither true nor false: decide in a cell above, and use that name."
_AS_ARRAY = "Pass an array, or a list that is not nested as deeply."
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
    evaluator, tree = _Evaluator(source, names, refuse), parse_expression(source)
    value = evaluator.checked(tree, evaluator.value(tree))
    problem = ""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        problem = f"has more than {MAX_BITS * 3 // 10:,} digits"
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        problem = "is not valid text: it contains half of a surrogate pair"
    if problem:
        raise ExpressionError(problem, 0, len(source))
    return value


def python_integer(value: Any) -> Any:
    """An integer of NumPy as one of Python, which Keras requires; anything else is unchanged.

    Python's integers do not overflow, either.
    """
    is_foreign = isinstance(value, numbers.Integral) and not isinstance(value, int)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return int(value) if is_foreign or (kind in ("i", "u") and value.shape == ()) else value


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
        tree = ast.parse(f"({source}\n)", mode="eval").body
    except (RecursionError, MemoryError):
        raise _too_deep(0, len(source)) from None
    except UnicodeEncodeError:
        message = "is not valid text: it contains half of a surrogate pair"
        raise ExpressionError(message, 0, len(source)) from None
    except (SyntaxError, ValueError) as error:
        column = max((getattr(error, "offset", None) or 2) - 2, 0)
        reason = getattr(error, "msg", None) or str(error)
        message = f"is not an expression: {reason}"
        raise ExpressionError(message, min(column, len(source))) from None
    nodes: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        nodes = [child for node in nodes for child in ast.iter_child_nodes(node)]
    if nodes:
        raise _too_deep(0, len(source))
    return tree


def _too_deep(column: int, width: int) -> ExpressionError:
    message = f"is nested more than {MAX_DEPTH} levels deep"
    return ExpressionError(message, column, width, _COMPUTE_ABOVE)


def _size_problem(operator_: type[ast.AST], left: Any, right: Any) -> str:
    """Why a result would take too much time or memory; "" if it does not."""
    if isinstance(left, str) and operator_ is ast.Mod:  # the folding of layer names writes this
        wide = re.search(r"%[^a-zA-Z%]*(\*|\d{3})", left)
        return "formats text with a width of more than 99" if wide else ""
    if isinstance(left, bytes) and operator_ is ast.Mod:
        return "formats bytes, which is not allowed in braces"
    if isinstance(left, int) and isinstance(right, int):
        bits_of: dict[type[ast.AST], int] = {
            ast.Mult: left.bit_length() + right.bit_length(),
            ast.Pow: left.bit_length() * max(right, 0) if abs(left) > 1 else 0,
            ast.LShift: left.bit_length() + max(right, 0),
        }
        bits = bits_of.get(operator_, 0)
        return f"has more than {MAX_BITS * 3 // 10:,} digits" if bits > MAX_BITS else ""
    if operator_ is ast.Mult and (isinstance(left, int) or isinstance(right, int)):
        count, items = (left, right) if isinstance(left, int) else (right, left)
        if isinstance(items, str | bytes | list | tuple) and len(items) * count > MAX_ITEMS:
            return f"has more than {MAX_ITEMS:,} items"
    is_joined = operator_ is ast.Add and isinstance(left, str | bytes | list | tuple)
    if is_joined and isinstance(right, type(left)) and len(left) + len(right) > MAX_JOINED:
        return f"has more than {MAX_JOINED:,} items"
    return _array_problem(operator_, left, right)


def _search_problem(item: Any, values: Any) -> str:
    """Why looking for a value would take too long, or change something; "" if it does not."""
    if isinstance(values, Iterator):
        return "searches an iterator, which reads it"
    # A range finds whole numbers by their value, anything else one by one.
    is_slow = isinstance(values, range) and not isinstance(item, int) and values[MAX_JOINED:]
    return f"searches more than {MAX_JOINED:,} items" if is_slow else ""


def _array_problem(operator_: type[ast.AST], left: Any, right: Any) -> str:
    shapes = [shape_of_data(value) for value in (left, right)]
    if not all(all(isinstance(size, int) for size in shape) for shape in shapes):
        return ""
    if operator_ is ast.MatMult:
        sizes = [*shapes[0][:-1], *shapes[1][-1:]]
    else:
        padded = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
        sizes = [max(pair) for pair in padded]
    if math.prod(sizes) > max(MAX_ELEMENTS, *map(math.prod, shapes)):
        return f"is an array of more than {MAX_ELEMENTS:,} elements"
    return ""


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
            message = f"raised {describe_error(error)}"
            remedy = _COMPARE_ABOVE if function in (bool, operator.not_) else ""
            raise self._error(message, node, remedy) from error

    def _Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _Name(self, node: ast.Name) -> Any:
        if self.refuse is not None and (reason := self.refuse(node.id)):
            raise self._error(reason, node, _OTHER_NAME)
        if node.id not in self.names:
            reason, remedy = why_hidden(node.id, self.names)
            own = (name for name in self.names if name[0] != "_" and name not in IPYTHON_NAMES)
            remedy = remedy or did_you_mean(node.id, own) or if_missing(self.names)
            raise self._error(reason or "is not defined", node, remedy)
        return self.names[node.id]

    def _Attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if node.attr.startswith("_"):
            raise self._error(f"{node.attr} is private", node, _COMPUTE_ABOVE)
        try:
            return getattr(owner, node.attr)
        except AttributeError:
            remedy = did_you_mean(node.attr, (name for name in dir(owner) if name[0] != "_"))
            message = f"{type(owner).__name__} has no attribute {node.attr}"
            raise self._error(message, node, remedy) from None
        except Exception as error:
            message = f"{node.attr} raised {describe_error(error)}"
            raise self._error(message, node) from error

    def _Subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.value(node.value), self.value(node.slice)
        return self._compute(node, operator.getitem, owner, key)

    def _Slice(self, node: ast.Slice) -> Any:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self.value(bound) for bound in bounds))

    def _BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if not (getattr(left, "shape", ()) or getattr(right, "shape", ())):
            left, right = python_integer(left), python_integer(right)
        if problem := _size_problem(type(node.op), left, right):
            raise self._error(problem, node, _COMPUTE_ABOVE)
        return self.checked(node, self._compute(node, _OPERATORS[type(node.op)], left, right))

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        operand = python_integer(self.value(node.operand))
        return self._compute(node, _OPERATORS[type(node.op)], operand)

    def _BoolOp(self, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        result: Any = None
        for operand in node.values:
            result = self.value(operand)
            if self._compute(operand, bool, result) == stops_at:
                break
        return result

    def _Compare(self, node: ast.Compare) -> Any:
        left: Any = self.value(node.left)
        result: Any = True
        for operator_node, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            is_membership = isinstance(operator_node, ast.In | ast.NotIn)
            if is_membership and (problem := _search_problem(left, right)):
                raise self._error(problem, node, _COMPUTE_ABOVE)
            result = self._compute(node, _OPERATORS[type(operator_node)], left, right)
            if len(node.ops) > 1 and not self._compute(node, bool, result):
                break
            left = right
        return result

    def _IfExp(self, node: ast.IfExp) -> Any:
        is_true = self._compute(node.test, bool, self.value(node.test))
        return self.value(node.body if is_true else node.orelse)

    def checked(self, node: ast.AST, value: Any) -> Any:
        """A value that can be walked, shown and converted."""
        if problem := self._compute(node, nesting_problem, value):
            raise self._error(problem, node, _AS_ARRAY)
        return value

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(item) for item in node.elts)

    def _List(self, node: ast.List) -> Any:
        return [self.value(item) for item in node.elts]

    def _Dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise self._error("** is not allowed in braces", node)
        keys = [self.value(key) for key in node.keys if key is not None]
        values = [self.value(item) for item in node.values]
        return self._compute(node, lambda: dict(zip(keys, values, strict=True)))

    def _Call(self, node: ast.Call) -> Any:
        raise self._error("calls are not allowed in braces", node, _CALL_ABOVE)

    def _text(self, node: ast.AST) -> str:
        return ast.get_source_segment(f"({self.source}\n)", node) or type(node).__name__

    def _error(self, message: str, node: ast.AST, remedy: str = "") -> ExpressionError:
        text = self._text(node)
        column = max(getattr(node, "col_offset", 1) - 1, 0)
        return ExpressionError(message, column, len(text.splitlines()[0]), remedy)
