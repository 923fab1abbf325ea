"""Converts values of the text to Python values and Keras objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmagic.language.spec import (
    InnerLayer,
    LayerRef,
    LiteralValue,
    MappingValue,
    ModelRef,
    NodeOutput,
    NotebookValue,
    Object,
    SequenceValue,
    Shape,
    Span,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding.argument_binding import UNRESOLVED, BoundArguments, bind_arguments
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.binding.word_lookup import check_literal, find_callable, word_kind
from kmagic.models.build.keras_errors import explain_argument_error
from kmagic.models.catalogue import Role


class ValueResolver:
    """Converts values, with the layers that the text has created so far.

    Args:
        referenced: Returns the layer of a reference such as ``&name``, or the output of a layer.
    """

    def __init__(self, referenced: Callable[[Any], Any]) -> None:
        self._referenced = referenced

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """Convert a value of the text; UNRESOLVED after a mistake, which is reported."""
        match value:
            case NotebookValue():
                return _as_shape(value.value, role)
            case LiteralValue():
                if not check_literal(value.value, role, value.span, context):
                    return UNRESOLVED
                return _as_shape(value.value, role)
            case Shape(dims=(None,)) if role != "shape":
                return None
            case Shape():
                return value.dims
            case Word():
                kind = word_kind(value, role, context)
                if kind == "object":
                    return self._object(Object(value, span=value.span), role, context)
                words = {"text": value.text, "name": context.names.get(value.text)}
                return words.get(kind, UNRESOLVED)
            case Object() | InnerLayer():
                return self._object(value, role, context)
            case SequenceValue():
                inner: Role = "any" if role == "shape" else role
                items = [self.resolve(item, inner, context) for item in value.items]
                if any(item is UNRESOLVED for item in items):
                    return UNRESOLVED
                return items if value.kind == "list" else tuple(items)
            case MappingValue():
                entries = {
                    self.key(key, context): self.resolve(item, role, context)
                    for key, item in value.entries
                }
                return UNRESOLVED if any(v is UNRESOLVED for v in entries.values()) else entries
            case LayerRef() | ModelRef() | NodeOutput():
                return self._referenced(value)
            case _:
                context.report("is not expected here", value.span)
                return UNRESOLVED

    def key(self, key: Any, context: BuildContext) -> Any:
        """Convert a key of a dictionary; a bare word is a string."""
        return key.text if isinstance(key, Word) else self.resolve(key, "any", context)

    def _object(self, value: Object | InnerLayer, role: Role, context: BuildContext) -> Any:
        function, word = find_callable(value, role, context)
        if function is None:
            return UNRESOLVED
        bound = bind_arguments(function, word, value.args, value.span, context, self.resolve)
        if not bound.valid:
            return UNRESOLVED
        return create_object(function, word, bound, value.span, context)


def _as_shape(value: Any, role: Role) -> Any:
    if role == "shape" and isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return value


def create_object(
    function: Callable[..., Any],
    word: str,
    bound: BoundArguments,
    span: Span,
    context: BuildContext,
) -> Any:
    """Call a class with bound arguments; an error is reported at the argument that it names."""
    try:
        return function(**bound.kwargs)
    except Exception as error:  # noqa: BLE001 - whatever Keras or the user's class raises, the line is at fault
        names = [param.name for param in catalogue.parameters(function)]
        problem = explain_argument_error(error, word, bound.kwargs, names)
        span = bound.spans.get(problem.argument, span)
        context.report(problem.message, span, problem.remedy)
        return UNRESOLVED
