"""Values of the text to Python values and Keras objects."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from kmagic import catalogue
from kmagic.build.binding import UNRESOLVED, Bound, bind
from kmagic.build.context import Context
from kmagic.build.keras_errors import first_words
from kmagic.catalogue import OBJECT_ROLES, Role
from kmagic.spec import (
    Given,
    LayerOf,
    Literal,
    Mapping,
    ModelOf,
    Object,
    Phrase,
    Sequence,
    Shape,
    Span,
    Word,
)
from kmagic.suggest import did_you_mean

_A = {"initializer": "an", "activation": "an", "optimizer": "an"}


class Values:
    """Resolves values; it knows the layers that the text has made so far.

    Args:
        layer_of: Gives the layer that a ``&name`` stands for.
    """

    def __init__(self, layer_of: Callable[[LayerOf | ModelOf], Any]) -> None:
        self._layer_of = layer_of

    def resolve(self, value: Any, role: Role, context: Context) -> Any:
        """The Python value for a value of the text; mistakes are noted in the context."""
        match value:
            case Given():
                return _as_shape(value.value, role)
            case Literal():
                return _as_shape(value.value, role)
            case Shape(dims=(None,)) if role != "shape":
                return None
            case Shape():
                return value.dims
            case Word():
                return self._word(value, role, context)
            case Object() | Phrase():
                return self.make(value, role, context)
            case Sequence():
                items = [self.resolve(item, role, context) for item in value.items]
                if any(item is UNRESOLVED for item in items):
                    return UNRESOLVED
                return items if value.kind == "list" else tuple(items)
            case Mapping():
                return self._mapping(value, role, context)
            case LayerOf() | ModelOf():
                return self._layer_of(value)
            case _:
                context.note("has no place here", value.span)
                return UNRESOLVED

    def _mapping(self, value: Mapping, role: Role, context: Context) -> Any:
        found = {}
        for key, item in value.entries:
            name = key.text if isinstance(key, Word) else self.resolve(key, "any", context)
            found[name] = self.resolve(item, role, context)
        return UNRESOLVED if any(item is UNRESOLVED for item in found.values()) else found

    def _word(self, word: Word, role: Role, context: Context) -> Any:
        text = word.text
        if role == "layer":
            return self.make(Object(word, span=word.span), role, context)
        if role == "any":
            return text
        if role == "shape":
            context.note("is not a shape", word.span, "A shape is written 28x28x1.")
            return UNRESOLVED
        if role != "schedule" and catalogue.understands(role, text):
            return text
        if text in context.names:
            return context.names[text]
        found = catalogue.find(role, text)
        if found is not None and role != "activation":
            return self.make(Object(word, span=word.span), role, context)
        hint = did_you_mean(text, catalogue.words(role))
        if role == "schedule":
            message, hint = (
                "is neither a number nor a schedule",
                hint or "Write a number such as 1e-3.",
            )
        else:
            message = f"is not {_A.get(role, 'a')} {role}"
        plural = catalogue.PLURALS.get(role, f"{role}s")
        context.note(message, word.span, hint or f"The known ones: %keras_layers {plural}")
        return UNRESOLVED

    def make(self, value: Object | Phrase, role: Role, context: Context) -> Any:
        """A Keras object from a word with arguments."""
        function, name = self._function(value, role, context)
        if function is None:
            return UNRESOLVED
        bound = bind(function, name, value.args, value.span, context, self.resolve)
        if not bound.sound:
            return UNRESOLVED
        return construct(function, name, bound, value.span, context)

    def _function(self, value: Object | Phrase, role: Role, context: Context) -> tuple[Any, str]:
        callee: Any = value.callee
        if isinstance(callee, Given):
            if not callable(callee.value):
                context.note(f"{{{callee.source}}} cannot be called", callee.span)
                return None, ""
            return callee.value, callee.source
        word = callee.text
        # A function with arguments (an activation) cannot be made; the class of its name can.
        places = [role, *OBJECT_ROLES] if role in OBJECT_ROLES else [*OBJECT_ROLES]
        found = [item for item in (catalogue.find(place, word) for place in places) if item]
        for item in found:
            if inspect.isclass(item):
                return item, word
        if callable(context.names.get(word)):
            return context.names[word], word
        if found:
            context.note(f"{word} takes no arguments here", value.span, f"Write {word} alone.")
            return None, ""
        what = "layer" if role == "layer" else role if role in OBJECT_ROLES else "known object"
        pool = catalogue.words(role) if role in OBJECT_ROLES else _all_words()
        context.note(f"is not {_A.get(what, 'a')} {what}", value.span, did_you_mean(word, pool))
        return None, ""


def _all_words() -> list[str]:
    return [word for role in OBJECT_ROLES for word in catalogue.words(role)]


def _as_shape(value: Any, role: Role) -> Any:
    if role == "shape" and isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return value


def construct(
    function: Callable[..., Any], name: str, bound: Bound, span: Span, context: Context
) -> Any:
    """Call a class with bound arguments; what it refuses is noted at the argument it names."""
    try:
        return function(**bound.kwargs)
    except Exception as error:  # noqa: BLE001 - whatever Keras or the user's class raises, the line is at fault
        message = first_words(error)
        named = [param for param in bound.spans if param in message]
        where = bound.spans[max(named, key=len)] if named else span
        context.note(f"{name}: {message}", where, _allowed(message, bound, named))
        return UNRESOLVED


def _allowed(message: str, bound: Bound, named: list[str]) -> str:
    """If the message lists what is allowed, the nearest of it."""
    texts = [bound.kwargs[name] for name in named if isinstance(bound.kwargs.get(name), str)]
    quoted = re.findall(r"['\"](\w+)['\"]", message)
    for text in texts:
        found = did_you_mean(text, (each for each in quoted if each != text))
        if found:
            return found
    return ""
