"""What a word stands for: something of Keras, something of the notebook, or plain text."""

from __future__ import annotations

import inspect
from typing import Any
from typing import Literal as OneOf

from kmagic import catalogue
from kmagic.binding.arguments import UNRESOLVED
from kmagic.binding.context import Context
from kmagic.binding.plain import PLAIN_OBJECTS
from kmagic.catalogue import OBJECT_ROLES, Role
from kmagic.dsl.vocabulary import OLD_LAYERS, snake_case
from kmagic.spec import Given, Object, Phrase, Span, Word
from kmagic.suggest import did_you_mean

_A = {"initializer": "an", "activation": "an", "optimizer": "an"}


def meaning(word: Word, role: Role, context: Context) -> OneOf["text", "name", "object", ""]:
    """What a bare word is in an argument of this role.

    Returns:
        "text" if Keras takes the word itself, "name" if the notebook has it, "object" if it is a
        class of Keras's to be made without arguments; "" after a mistake, which is noted.
    """
    text = word.text
    if role == "layer":
        return "object"
    if role == "any":
        return "text"
    if role == "shape":
        context.note("is not a shape", word.span, "A shape is written 28x28x1.")
        return ""
    if role != "schedule" and catalogue.understands(role, text):
        return "text"
    if text in context.names:
        return "name"
    if role != "activation" and catalogue.find(role, text) is not None:
        return "object"
    hint = did_you_mean(text, catalogue.words(role))
    if role == "schedule":
        message = "is neither a number nor a schedule"
        hint = hint or "Write a number such as 1e-3."
    else:
        message = f"is not {_A.get(role, 'a')} {role}"
    plural = catalogue.PLURALS.get(role, f"{role}s")
    context.note(message, word.span, hint or f"The known ones: %keras_layers {plural}")
    return ""


def function_of(value: Object | Phrase, role: Role, context: Context) -> tuple[Any, str]:
    """The class or function that an object's word stands for, and what the text calls it.

    Returns:
        The class or function, or None after a mistake, which is noted.
    """
    callee: Any = value.callee
    if isinstance(callee, Given):
        if not callable(callee.value):
            context.note(f"{{{callee.source}}} cannot be called", callee.span)
            return None, ""
        return callee.value, callee.source
    word = callee.text
    if word in PLAIN_OBJECTS:
        return PLAIN_OBJECTS[word], word
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


def layer_of(word: Word, context: Context) -> Any:
    """What a step's word applies: a layer's class, a function, or something of the notebook.

    Returns:
        ``keras.Input`` for ``input``; UNRESOLVED after a mistake, which is noted.
    """
    import keras  # noqa: PLC0415 - takes seconds

    text = word.text
    if text == "input":
        return keras.Input
    if text.startswith("ops."):
        found = getattr(keras.ops, text.removeprefix("ops."), None)
        if callable(found):
            return found
        known = (f"ops.{name}" for name in dir(keras.ops) if not name.startswith("_"))
        context.note("is not in keras.ops", word.span, did_you_mean(text, known))
        return UNRESOLVED
    if text in context.names and not text.islower():
        return context.names[text]
    found = catalogue.find("layer", text)
    if found is not None and text == text.lower():
        return found
    if text in context.names:
        return context.names[text]
    if catalogue.understands("activation", text):
        return keras.activations.get(text)
    _unknown(text, word.span, found, context)
    return UNRESOLVED


def _unknown(text: str, span: Span, capital: Any, context: Context) -> None:
    if capital is not None:
        word = catalogue.word_for(capital)
        context.note("is Keras's name of the class", span, f"Here it is written {word}.")
        return
    old = OLD_LAYERS.get(snake_case(text)) or OLD_LAYERS.get(text)
    hint = old or did_you_mean(text, [*catalogue.words("layer"), "input", "compile", "output"])
    context.note("is not a layer", span, hint or "All layers: %keras_layers")


def _all_words() -> list[str]:
    return [word for role in OBJECT_ROLES for word in catalogue.words(role)]
