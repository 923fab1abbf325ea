"""A text that goes elsewhere: with what its braces stood for, where that can be written down."""

from __future__ import annotations

import ast
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmagic.language import expressions
from kmagic.language.formatter import format_spec
from kmagic.language.spec import Expr, ModelSpec, find_parts

ADAPT = "adapt="
LONGEST = 10_000
"""Signs of a value; more than this is data, and no part of a text."""


@dataclass(frozen=True, slots=True)
class PortableText:
    """A text and the values it needs.

    Attributes:
        text: As the user wrote it; braces over what cannot be written down, such as an array, hold
            their value instead.
        values: What the names in braces stand for, as Python writes it: numbers, texts, tuples,
            lists, dictionaries.
    """

    text: str
    values: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> dict[str, Any]:
        """The values themselves; nothing is evaluated but literals."""
        return {name: ast.literal_eval(value) for name, value in self.values.items()}


def make_portable(spec: ModelSpec, names: Mapping[str, Any]) -> PortableText:
    """What of a text and its names can be kept.

    Args:
        spec: The text.
        names: What the names in braces stand for.

    Example:
        >>> from kmagic.language import parse
        >>> text = "input {x.shape[1:]} / dense {units}"
        >>> class x:
        ...     shape = (9, 4)
        >>> make_portable(parse(text), {"x": x, "units": 8})
        Portable(text='input {(4,)} / dense {units}', values={'units': '8'})
    """
    lines = (spec.source or format_spec(spec)).split("\n")
    values: dict[str, str] = {}
    found = sorted(find_parts(spec, Expr), key=lambda each: each.span.column, reverse=True)
    for each in found:
        line, start = each.span.line - 1, each.span.column - 1
        end = start + each.span.width
        if spec.source and lines[line][:start].endswith(ADAPT):
            # What a layer has learned goes along with it; what it learned from stays here.
            lines[line] = lines[line][:start].removesuffix(ADAPT).rstrip() + lines[line][end:]
            continue
        try:
            known = {name for name in expressions.names_in_expression(each.source) if name in names}
            written = {name: literal_text(names[name]) for name in known}
            if None not in written.values():
                values |= {name: value for name, value in written.items() if value is not None}
                continue
            value = literal_text(expressions.evaluate(each.source, names))
        except expressions.ExpressionError:
            continue  # a block's parameter is in it
        if value is not None and spec.source:
            lines[line] = f"{lines[line][:start]}{{{value}}}{lines[line][end:]}"
    return PortableText("\n".join(lines), values)


def literal_text(value: Any) -> str | None:
    """A value as a Python literal, or None if it is none or too long.

    Example:
        >>> literal_text((28, 28, 1)), literal_text(print)
        ('(28, 28, 1)', None)
    """
    plain = _plain(value, depth=0)
    if plain is _OTHER:
        return None
    text = repr(plain)
    return text if len(text) <= LONGEST else None


_OTHER: Any = object()
_DEEPEST = 8
_LONGEST_LIST = 2000


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)  # NumPy's own texts are none that can be read again
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if number - number == 0 else _OTHER  # nan and inf are no literals
    if depth == _DEEPEST or not isinstance(value, tuple | list | dict):
        return _OTHER
    if len(value) > _LONGEST_LIST or type(value) not in (tuple, list, dict):
        return _OTHER
    if isinstance(value, dict):
        keys = [_plain(key, depth + 1) for key in value]
        items = [_plain(item, depth + 1) for item in value.values()]
        if any(each is _OTHER for each in (*keys, *items)):
            return _OTHER
        return dict(zip(keys, items, strict=True))
    items = [_plain(item, depth + 1) for item in value]
    return _OTHER if any(each is _OTHER for each in items) else type(value)(items)
