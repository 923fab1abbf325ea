"""Values of the text to Python values and Keras objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmagic.language.spec import (
    InnerLayer,
    LayerRef,
    LiteralValue,
    MappingValue,
    ModelRef,
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
from kmagic.models.build.keras_errors import explain_argument
from kmagic.models.catalogue import Role


class ValueResolver:
    """Resolves values; it knows the layers that the text has made so far.

    Args:
        layer_of: Gives the layer that a ``&name`` stands for.
    """

    def __init__(self, layer_of: Callable[[LayerRef | ModelRef], Any]) -> None:
        self._layer_of = layer_of

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """The Python value for a value of the text; mistakes are noted in the context."""
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
                return self._word(value, role, context)
            case Object() | InnerLayer():
                return self.make(value, role, context)
            case SequenceValue():
                inner: Role = "any" if role == "shape" else role
                items = [self.resolve(item, inner, context) for item in value.items]
                if any(item is UNRESOLVED for item in items):
                    return UNRESOLVED
                return items if value.kind == "list" else tuple(items)
            case MappingValue():
                return self._mapping(value, role, context)
            case LayerRef() | ModelRef():
                return self._layer_of(value)
            case _:
                context.report("has no place here", value.span)
                return UNRESOLVED

    def _mapping(self, value: MappingValue, role: Role, context: BuildContext) -> Any:
        found = {}
        for key, item in value.entries:
            name = key.text if isinstance(key, Word) else self.resolve(key, "any", context)
            found[name] = self.resolve(item, role, context)
        return UNRESOLVED if any(item is UNRESOLVED for item in found.values()) else found

    def _word(self, word: Word, role: Role, context: BuildContext) -> Any:
        match word_kind(word, role, context):
            case "text":
                return word.text
            case "name":
                return context.names[word.text]
            case "object":
                return self.make(Object(word, span=word.span), role, context)
            case _:
                return UNRESOLVED

    def make(self, value: Object | InnerLayer, role: Role, context: BuildContext) -> Any:
        """A Keras object from a word with arguments."""
        function, name = find_callable(value, role, context)
        if function is None:
            return UNRESOLVED
        bound = bind_arguments(function, name, value.args, value.span, context, self.resolve)
        if not bound.sound:
            return UNRESOLVED
        return construct(function, name, bound, value.span, context)


def _as_shape(value: Any, role: Role) -> Any:
    if role == "shape" and isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return value


def construct(
    function: Callable[..., Any],
    name: str,
    bound: BoundArguments,
    span: Span,
    context: BuildContext,
) -> Any:
    """Call a class with bound arguments; what it refuses is noted at the argument it names."""
    try:
        return function(**bound.kwargs)
    except Exception as error:  # noqa: BLE001 - whatever Keras or the user's class raises, the line is at fault
        refusal = explain_argument(error, name, bound.kwargs, _names_of(function))
        context.report(refusal.message, bound.spans.get(refusal.argument, span), refusal.remedy)
        return UNRESOLVED


def _names_of(function: Callable[..., Any]) -> list[str]:
    return [each.name for each in catalogue.parameters(function)]
