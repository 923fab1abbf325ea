"""A text that leaves the notebook, with the values of its braces where they can be written."""

from __future__ import annotations

import ast
import math
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kmagic.language.expressions import ExpressionError, evaluate, names_in_expression
from kmagic.language.formatter import format_spec
from kmagic.language.spec import Expr, ForSpec, LayerSpec, ModelSpec, Param, find_parts
from kmagic.support.data_values import shape_of_data

ADAPT = "adapt="
MAX_CHARACTERS = 10_000
"""A longer value is data and not part of a text."""
MAX_DEPTH = 8
MAX_ITEMS = 2000
_SETTING = bool | numbers.Real | str


@dataclass(frozen=True, slots=True)
class PortableText:
    """A text and the values it needs.

    Attributes:
        text: The user's text. Braces whose variables cannot be written, such as arrays, contain
            their value instead.
        values: Values of the names in braces, as Python literals.
    """

    text: str
    values: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> dict[str, Any]:
        """The values as objects; only literals are evaluated."""
        return {name: ast.literal_eval(value) for name, value in self.values.items()}


def make_portable(spec: ModelSpec, names: Mapping[str, Any]) -> PortableText:
    """A text with the values of the names in its braces.

    Example:
        >>> from kmagic.language import parse
        >>> text = "input {x.shape[1:]} / dense {units}"
        >>> class x:
        ...     shape = (9, 4)
        >>> make_portable(parse(text), {"x": x, "units": 8})
        PortableText(text='input {(4,)} / dense {units}', values={'units': '8'})
    """
    lines = (spec.source or format_spec(spec)).split("\n")
    values: dict[str, str] = {}
    steps = find_parts(spec, LayerSpec)
    inputs = {expr.span for step in steps for expr in find_parts(step.inputs, Expr)}
    # From right to left, so that the columns of the remaining expressions stay valid.
    for expr in sorted(find_parts(spec, Expr), key=lambda expr: -expr.span.column):
        line, start = expr.span.line - 1, expr.span.column - 1
        end = start + expr.span.width
        if spec.source and lines[line][:start].endswith(ADAPT):
            # The state of an adapted layer is saved with it; its data stays in the notebook.
            lines[line] = lines[line][:start].removesuffix(ADAPT).rstrip() + lines[line][end:]
            continue
        try:
            used = names_in_expression(expr.source) & names.keys()
            literals = {name: literal_text(names[name]) for name in used}
            if None not in literals.values():
                values |= {name: text for name, text in literals.items() if text is not None}
                continue
            given = evaluate(expr.source, names)
            if expr.span in inputs:  # a list is as good as an array there
                given = given.to_numpy() if hasattr(given, "to_numpy") else given
                is_short = 0 < math.prod(shape_of_data(given)) <= MAX_ITEMS
                given = given.tolist() if is_short and hasattr(given, "tolist") else given
            value = literal_text(given)
        except ExpressionError:
            continue  # it contains a block's parameter
        if value is not None and spec.source:
            lines[line] = f"{lines[line][:start]}{{{value}}}{lines[line][end:]}"
    return PortableText("\n".join(lines), values)


def setting_values(source: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers, texts and truth values that an expression uses, or else its own value.

    Example:
        >>> class config:
        ...     rate = 0.1
        >>> setting_values("2 * units", {"units": 8})
        {'units': 8}
        >>> setting_values("config.rate", {"config": config})
        {'config.rate': 0.1}
    """
    try:
        used = names_in_expression(source)
        if not used or not used <= names.keys():  # a constant, or a block's parameter
            return {}
        values = {name: names[name] for name in sorted(used)}
        if not all(isinstance(value, _SETTING) for value in values.values()):
            values = {source.strip(): evaluate(source, names)}
    except ExpressionError:
        return {}
    return {name: value for name, value in values.items() if isinstance(value, _SETTING)}


def settings_of(part: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all expressions in a part of a spec, without those of blocks and loops."""
    inner = {found.name for found in find_parts(part, Param)}
    inner |= {found.name for found in _loops(part)}
    names = {name: value for name, value in names.items() if name not in inner}
    values: dict[str, Any] = {}
    for expr in find_parts(part, Expr):
        values |= setting_values(expr.source, names)
    return values


def _loops(part: Any) -> Iterator[ForSpec]:
    for loop in find_parts(part, ForSpec):
        yield loop
        yield from _loops(loop.body)


def literal_text(value: Any) -> str | None:
    """A value as a Python literal; None if there is no literal for it, or only a long one.

    Example:
        >>> literal_text((28, 28, 1)), literal_text(print)
        ('(28, 28, 1)', None)
    """
    try:
        text = repr(_plain(value, MAX_DEPTH))
    except _NoLiteralError:
        return None
    return text if len(text) <= MAX_CHARACTERS else None


class _NoLiteralError(Exception):
    pass


def _plain(value: Any, depth: int) -> Any:
    """A value in types of Python, so that its ``repr`` is a literal; NumPy's is not."""
    match value:
        case None | bool():
            return value
        case str():
            return str(value)
        case numbers.Integral():
            return int(value)
        case numbers.Real() if float(value) - float(value) == 0:  # neither nan nor infinite
            return float(value)
    if not depth or type(value) not in (tuple, list, dict) or len(value) > MAX_ITEMS:
        raise _NoLiteralError
    if isinstance(value, dict):
        return {_plain(key, depth - 1): _plain(item, depth - 1) for key, item in value.items()}
    return type(value)(_plain(item, depth - 1) for item in value)
