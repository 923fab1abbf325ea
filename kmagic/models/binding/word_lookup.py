"""What a word stands for: something of Keras, something of the notebook, or plain text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from typing import Literal as OneOf

from kmagic.language.spec import NotebookValue, Object, InnerLayer, Span, Word
from kmagic.language.vocabulary import OTHER_LAYER_NAMES, OTHER_LOSS_NAMES, REMOVED_LAYERS
from kmagic.models import catalogue
from kmagic.models.binding.argument_binding import UNRESOLVED
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.catalogue import OBJECT_ROLES, Role
from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

_A = {"initializer": "an", "activation": "an", "optimizer": "an"}
_STATEMENTS = ("input", "compile", "output", "freeze", "residual", "repeat", "block", "merge")
_STRICT = ("initializer", "regularizer", "constraint")
"""Roles whose objects Keras mistakes for each other, since all are called with weights."""
_NAMED = (*_STRICT, "activation", "loss", "metric", "optimizer", "dtype")
"""Roles in which a text is one of Keras's names."""


def word_kind(word: Word, role: Role, context: BuildContext) -> OneOf["text", "name", "object", ""]:
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
        context.report("is not a shape", word.span, "A shape is written 28x28x1.")
        return ""
    if role != "schedule" and catalogue.accepts_string(role, text):
        return "text"
    if text in context.names:
        return "name"
    if role != "activation" and catalogue.find_object(role, text) is not None:
        return "object"
    _no_member(text, role, word.span, context)
    return ""


def check_literal(value: Any, role: Role, span: Span, context: BuildContext) -> bool:
    """Whether a number or a quoted text can stand in an argument of this role; if not, note it."""
    if role == "schedule":
        if isinstance(value, int | float) and value < 0:
            context.report(f"a learning rate is not negative, and {value} is", span)
            return False
        return True
    if role not in _NAMED or value is None:
        return True
    if isinstance(value, str) and catalogue.accepts_string(role, value):
        return True
    _no_member(
        value if isinstance(value, str) else catalogue.python_value_text(value), role, span, context
    )
    return False


def _no_member(text: str, role: Role, span: Span, context: BuildContext) -> None:
    """Note that a word is nothing that its place asks for."""
    remedy = OTHER_LOSS_NAMES.get(catalogue.normalize_word(text), "") if role == "loss" else ""
    remedy = remedy or did_you_mean(text, catalogue.words_for_role(role))
    if role in ("schedule", "seed"):
        example = "1e-3" if role == "schedule" else "42"
        what = "schedule" if role == "schedule" else "seed_generator"
        message = f"is neither a number nor a {what}"
        context.report(message, span, remedy or f"Write a number such as {example}.")
        return
    other = _other_role(text, role)
    message = f"is not {_A.get(role, 'a')} {role}" + f", but {_A.get(other, 'a')} {other}" * bool(
        other
    )
    context.report(message, span, remedy or _known(role))


def _known(role: Role) -> str:
    """What there is, if it is little, or where it is listed."""
    plural = catalogue.PLURALS.get(role, f"{role}s")
    words = catalogue.words_for_role(role)
    few = 8
    if len(words) <= few:
        return f"The {plural}: {', '.join(words)}"
    return f"All {plural}: %keras_layers {plural}"


def _other_role(text: str, role: Role) -> Role | str:
    """What else a word is, if it is not what its place asks for."""
    others: tuple[Role, ...] = ("initializer", "regularizer", "constraint", "loss", "optimizer")
    found = (
        each for each in others if each != role and catalogue.find_object(each, text) is not None
    )
    return next(found, "")


def find_callable(value: Object | InnerLayer, role: Role, context: BuildContext) -> tuple[Any, str]:
    """The class or function that an object's word stands for, and what the text calls it.

    Returns:
        The class or function, or None after a mistake, which is noted.
    """
    callee: Any = value.callee
    if isinstance(callee, NotebookValue):
        if not callable(callee.value):
            context.report(f"{{{callee.source}}} cannot be called", callee.span)
            return None, ""
        return callee.value, callee.source
    word = callee.text
    if word in VALUE_FUNCTIONS:
        return VALUE_FUNCTIONS[word], word
    # A function with arguments (an activation) cannot be made; the class of its name can.
    other = _other_role(word, role)
    if role in _STRICT and other in _STRICT and not catalogue.find_object(role, word):
        context.report(
            f"is {_A.get(other, 'a')} {other}, not {_A.get(role, 'a')} {role}", value.span
        )
        return None, ""
    places = [role, *OBJECT_ROLES] if role in OBJECT_ROLES else [*OBJECT_ROLES]
    found = [item for item in (catalogue.find_object(place, word) for place in places) if item]
    for item in found:
        if inspect.isclass(item):
            return item, word
    if callable(context.names.get(word)):
        return context.names[word], word
    if found:
        context.report(f"{word} takes no arguments here", value.span, f"Write {word} alone.")
        return None, ""
    if role in OBJECT_ROLES:
        _no_member(word, role, value.span, context)
    else:
        remedy = did_you_mean(word, _all_words()) or "Objects look like calls: `l2(1e-4)`."
        context.report("is no object that the language knows", value.span, remedy)
    return None, ""


def find_layer(word: Word, context: BuildContext) -> Any:
    """What a step's word applies: a layer's class, a function, or something of the notebook.

    Returns:
        ``keras.Input`` for ``input``; UNRESOLVED after a mistake, which is noted.
    """
    import keras  # noqa: PLC0415 - takes seconds

    text = word.text
    if text == "input":
        return keras.Input
    if text.startswith("ops."):
        found = keras.ops
        for name in text.split(".")[1:]:
            found = getattr(found, name, None)
        if callable(found):
            return found
        known = (f"ops.{name}" for name in dir(keras.ops) if not name.startswith("_"))
        context.report("is not in keras.ops", word.span, did_you_mean(text, known))
        return UNRESOLVED
    if text in context.names and not text.islower():
        return context.names[text]
    found = catalogue.find_object("layer", text)
    if found is not None and text == text.lower():
        return found
    if text in context.names:
        return context.names[text]
    if catalogue.accepts_string("activation", text):
        return keras.activations.get(text)
    _unknown(text, word.span, found, context)
    return UNRESOLVED


def _unknown(text: str, span: Span, capital: Any, context: BuildContext) -> None:
    if text in context.broken_names:  # its line has a mistake of its own
        return
    if text in context.definitions:
        line = context.editor_line(context.definitions[text])
        remedy = "A block or model stands above its first use."
        context.report(f"is defined further down, in line {line}", span, remedy)
        return
    if capital is not None:
        word = catalogue.word_for(capital)
        context.report("is Keras's name of the class", span, f"Here it is written {word}.")
        return
    context.report("is not a layer", span, _unknown_hint(text, context))


def _unknown_hint(text: str, context: BuildContext) -> str:
    plain = catalogue.normalize_word(text.rsplit(".", maxsplit=1)[-1])
    for table in (REMOVED_LAYERS, OTHER_LAYER_NAMES):
        found = {catalogue.normalize_word(key): value for key, value in table.items()}.get(plain)
        if found:
            return found if table is REMOVED_LAYERS else f"Here it is called {found}."
    own = [
        name
        for name, value in context.names.items()
        if callable(value) and name[0] != "_" and name not in IPYTHON_NAMES
    ]
    close = did_you_mean(
        text, [*catalogue.words_for_role("layer"), *_STATEMENTS, *context.definitions, *own]
    )
    if close:
        return close
    if catalogue.find_object("optimizer", text) or catalogue.find_object("loss", text):
        return "Optimizer and loss stand in a line of their own: `compile adam loss=mse`."
    if text in ("fit", "train", "evaluate", "predict"):
        return f"A model's text only builds it; then: %keras_{text.replace('train', 'fit')}"
    return "All layers: %keras_layers"


def _all_words() -> list[str]:
    return [word for role in OBJECT_ROLES for word in catalogue.words_for_role(role)]


def slice_of(start: Any = None, stop: Any = None, step: Any = None) -> slice:
    """``slice(1, 5)``: a stretch of an axis, for ``ops.get_item``.

    Example:
        >>> slice_of(1, 5)
        slice(1, 5, None)
    """
    return slice(start, stop, step)


def array(values: Any, dtype: str | None = None) -> Any:
    """``array([0.5, 1.5])``: numbers in a NumPy array.

    Example:
        >>> array([1, 2], "float32").dtype.name
        'float32'
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    return np.array(values, dtype)


def tensor(values: Any, dtype: str | None = None) -> Any:
    """``tensor([0.5, 1.5])``: numbers in a tensor of Keras's backend."""
    import keras  # noqa: PLC0415 - takes seconds, so only when a model is built

    return keras.ops.convert_to_tensor(values, dtype)


VALUE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "array": array,
    "slice": slice_of,
    "tensor": tensor,
}
"""Word -> what makes the value."""
