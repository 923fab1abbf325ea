"""Looks up a word: in Keras, among the notebook's variables, or as plain text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from typing import Literal as OneOf

from kmagic.language.spec import InnerLayer, NotebookValue, Object, Span, Word
from kmagic.language.vocabulary import OTHER_LAYER_NAMES, OTHER_LOSS_NAMES, REMOVED_LAYERS
from kmagic.models import catalogue
from kmagic.models.binding.build_context import UNRESOLVED, BuildContext
from kmagic.models.catalogue import OBJECT_ROLES, WEIGHT_ROLES, Role, accepts_string, find_object
from kmagic.models.trust import BASES, can_compute, can_create
from kmagic.support.caller_names import if_missing
from kmagic.support.keras_import import keras
from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

_STATEMENTS = (
    *("input", "compile", "output", "freeze", "unfreeze"),
    *("residual", "repeat", "block", "merge"),
)
_NAMED_ROLES = (*WEIGHT_ROLES, "activation", "loss", "metric", "optimizer", "dtype")
"""Roles in which a string is a name of Keras's."""
_MAX_SEED = 2**32
_MAX_LISTED = 8
"""A remedy lists the words of a role if there are at most this many."""


# --- values that only a call can make ---------------------------------------------------------


def make_slice(start: Any = None, stop: Any = None, step: Any = None) -> slice:
    """``slice(1, 5)``, for ``ops.get_item``.

    Example:
        >>> make_slice(1, 5)
        slice(1, 5, None)
    """
    return slice(start, stop, step)


def make_array(values: Any, dtype: str | None = None) -> Any:
    """``array([0.5, 1.5])``: a NumPy array.

    Example:
        >>> make_array([1, 2], "float32").dtype.name
        'float32'
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    return np.array(values, dtype)


def make_tensor(values: Any, dtype: str | None = None) -> Any:
    """``tensor([0.5, 1.5])``: a tensor of Keras's backend."""
    return keras.ops.convert_to_tensor(values, dtype)


VALUE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "array": make_array,
    "slice": make_slice,
    "tensor": make_tensor,
}


# --- words in arguments -----------------------------------------------------------------------


def word_kind(word: Word, role: Role, context: BuildContext) -> OneOf["text", "name", "object", ""]:
    """What a bare word is in an argument of this role.

    Returns:
        "text" if Keras takes the word itself, "name" if it is a notebook variable, "object" if it
        is a class to create without arguments; "" after a mistake, which is reported.
    """
    text = word.text
    if role == "layer":
        return "object"
    if role == "any":
        return "text"
    if role == "shape":
        context.report("is not a shape", word.span, "Write a shape as 28x28x1.")
        return ""
    if _report_ambiguous(text, find_object(role, text), word.span, context):
        return ""
    if role != "schedule" and accepts_string(role, text):
        return "text"
    if context.is_variable(text):
        value = context.names[text]
        if inspect.isclass(value) and role in OBJECT_ROLES and role != "activation":
            return "object"
        return "name" if check_value(value, role, word.span, context) else ""
    if role != "activation" and find_object(role, text) is not None:
        return "object"
    _report_unknown(text, role, word.span, context)
    return ""


def _report_ambiguous(name: str, known: Any, span: Span, context: BuildContext) -> bool:
    """Report a name of Keras's that the notebook uses for something else; whether it is one.

    A word in lower case is one of the language.
    """
    value = context.names[name] if context.is_variable(name) else None
    if known is None or name.islower() or not callable(value) or catalogue.is_of_keras(value):
        return False
    remedy = f"Write {catalogue.word_for(known)} for Keras's, {{{name}}} for the notebook's."
    context.report(f"{name} is a name in Keras and in the notebook", span, remedy)
    return True


def check_value(value: Any, role: Role, span: Span, context: BuildContext) -> bool:
    """Whether a value of the notebook is possible in an argument of this role; if not, report it.

    Keras creates an object of a class, and calls a function.
    """
    if role in ("schedule", "seed") and isinstance(value, int | float):
        return check_literal(value, role, span, context)
    if role not in OBJECT_ROLES or not callable(value):
        return True
    is_class = inspect.isclass(value)
    if is_class and role in ("activation", "optimizer"):  # Keras would not create it
        message = f"{value.__name__} is a class, not {catalogue.with_article(role)}"
        context.report(message, span, f"Create an object of it: {value.__name__}().")
        return False
    if can_create(value if is_class else type(value), role):
        return True
    if not is_class and can_compute(value):
        return True
    name = getattr(value, "__name__", type(value).__name__)
    context.report(f"{name} is not {catalogue.with_article(role)}", span, _create_remedy(role))
    return False


def check_literal(value: Any, role: Role, span: Span, context: BuildContext) -> bool:
    """Whether a number or string is possible in an argument of this role; if not, report it."""
    if role == "schedule":
        if isinstance(value, int | float) and value < 0:
            context.report(f"a learning rate must not be negative; got {value}", span)
            return False
        return True
    if role == "seed" and isinstance(value, int) and value >= _MAX_SEED:
        context.report(f"seed must be less than {_MAX_SEED:,}; got {value}", span)
        return False
    if role not in _NAMED_ROLES or value is None:
        return True
    text = value if isinstance(value, str) else catalogue.python_value_text(value)
    if isinstance(value, str) and accepts_string(role, value):
        return True
    _report_unknown(text, role, span, context)
    return False


def _report_unknown(text: str, role: Role, span: Span, context: BuildContext) -> None:
    if context.report_own_name(text, span):
        return
    remedy = ""
    if role == "loss":
        remedy = OTHER_LOSS_NAMES.get(catalogue.normalize_word(text), "")
    remedy = remedy or did_you_mean(text, catalogue.words_for_role(role))
    if role in ("schedule", "seed"):
        kind, example = ("schedule", "1e-3") if role == "schedule" else ("seed_generator", "42")
        message = f"is neither a number nor a {kind}"
        context.report(message, span, remedy or f"Use a number, e.g. {example}.")
        return
    other = _other_role(text, role)
    start = f"is {catalogue.with_article(other)}, not" if other else "is not"
    message = f"{start} {catalogue.with_article(role)}"
    context.report(message, span, remedy or _all_words_remedy(role))


def _create_remedy(role: Role) -> str:
    """How to use an object that a text cannot create."""
    if role == "layer":
        return "A line applies a layer, a model or a function of tensors."
    base = "keras." + BASES[role] if role in BASES else "Keras's classes"
    return (
        f"A text creates only objects of Keras and of subclasses of {base}. Create others in a "
        "cell above, and write the name of the result in braces."
    )


def _all_words_remedy(role: Role) -> str:
    plural = catalogue.plural_of(role)
    words = catalogue.words_for_role(role)
    if len(words) <= _MAX_LISTED:
        return f"Available {plural}: {', '.join(words)}"
    return f"List all {plural}: %keras_layers {plural}"


def _other_role(text: str, role: Role) -> str:
    """What a word is, if it is not of this role."""
    others: tuple[Role, ...] = (*WEIGHT_ROLES, "loss", "optimizer")
    roles = (other for other in others if other != role and find_object(other, text))
    return next(roles, "")


def find_callable(value: Object | InnerLayer, role: Role, context: BuildContext) -> tuple[Any, str]:
    """The class or function of an object's word, and the word itself.

    Returns:
        The class or function; None after a mistake, which is reported.
    """
    callee: Any = value.callee
    if isinstance(callee, NotebookValue):
        return _own_class(callee.value, callee.source, role, callee.span, context)
    word = callee.text
    if word in VALUE_FUNCTIONS:
        return VALUE_FUNCTIONS[word], word
    other = _other_role(word, role)
    if role in WEIGHT_ROLES and other in WEIGHT_ROLES and not find_object(role, word):
        context.report(
            f"is {catalogue.with_article(other)}, not {catalogue.with_article(role)}", value.span
        )
        return None, ""
    roles = [role, *OBJECT_ROLES] if role in OBJECT_ROLES else [*OBJECT_ROLES]
    matches = [match for match in (find_object(other, word) for other in roles) if match]
    # A function with arguments (an activation) cannot be created; the class of its name can.
    found = next(filter(inspect.isclass, matches), None)
    if _report_ambiguous(word, next(iter(matches), None), value.span, context):
        return None, ""
    if context.is_variable(word) and found is None:
        return _own_class(context.names[word], word, role, value.span, context)
    if found is not None:
        return found, word
    if matches:
        context.report(f"{word} takes no arguments here", value.span, f"Write {word}.")
    elif role in OBJECT_ROLES:
        _report_unknown(word, role, value.span, context)
    elif not context.report_own_name(word, value.span):
        words = [known for other in OBJECT_ROLES for known in catalogue.words_for_role(other)]
        remedy = did_you_mean(word, words) or "An object is written as a call: `l2(1e-4)`."
        context.report("is not a known object", value.span, remedy)
    return None, ""


def _own_class(
    value: Any, name: str, role: Role, span: Span, context: BuildContext
) -> tuple[Any, str]:
    """A class of the notebook and its name; None if a text must not create its objects here."""
    if can_create(value, role):
        return value, name
    message = f"{name} is not a class: a text does not call functions of the notebook"
    if inspect.isclass(value):
        what = catalogue.with_article(role) if role in BASES else "an argument"
        message = f"{name} is not a class for {what}"
    context.report(message, span, _create_remedy(role))
    return None, ""


# --- words at the start of a step -------------------------------------------------------------


def find_layer(word: Word, context: BuildContext) -> Any:
    """What a step applies: a layer class, a function, or a value of the notebook.

    Returns:
        ``keras.Input`` for ``input``; UNRESOLVED after a mistake, which is reported.
    """
    text = word.text
    if text == "input":
        return keras.Input
    if text.startswith("ops."):
        function = keras.ops
        for name in text.split(".")[1:]:
            function = None if name.startswith("_") else getattr(function, name, None)
        if inspect.isfunction(function):
            return function
        known = (f"ops.{name}" for name in dir(keras.ops) if not name.startswith("_"))
        return context.report("is not in keras.ops", word.span, did_you_mean(text, known))
    layer = find_object("layer", text)
    is_layer = layer is not None and text == text.lower()
    if context.is_variable(text) and not (is_layer and text.islower()):
        return check_step(context.names[text], word.span, context)
    if is_layer:
        return layer
    if accepts_string("activation", text):
        return keras.activations.get(text)
    _report_unknown_layer(text, word.span, layer, context)
    return UNRESOLVED


def check_step(value: Any, span: Span, context: BuildContext) -> Any:
    """A value of the notebook that a step applies; UNRESOLVED if that is not possible.

    A class must be one of layers, a function one that computes.
    """
    return value if check_value(value, "layer", span, context) else UNRESOLVED


def _report_unknown_layer(text: str, span: Span, layer: Any, context: BuildContext) -> None:
    if text in context.lost_names:  # the line that defines it is reported
        return
    is_output = context.own_meaning(text) and text not in context.definitions
    if is_output and layer is None and text not in context.params:
        remedy = f"To continue from it, write an arrow: `dense 4 <- {text}`; to apply its layer "
        context.report(context.own_meaning(text), span, remedy + f"again, `reuse {text}`.")
    elif context.report_hidden(text, span):
        pass
    elif text in context.definitions:
        line = context.editor_line(context.definitions[text])
        remedy = "Define a block or model before its first use."
        context.report(f"is defined later, in line {line}", span, remedy)
    elif layer is not None:
        remedy = f"Write {catalogue.word_for(layer)}."
        context.report("is the name of the Keras class", span, remedy)
    else:
        context.report("is not a layer", span, _unknown_layer_remedy(text, context))


def _unknown_layer_remedy(text: str, context: BuildContext) -> str:
    word = catalogue.normalize_word(text.rsplit(".", maxsplit=1)[-1])
    called = {name: f"Here it is called {here}." for name, here in OTHER_LAYER_NAMES.items()}
    for name, remedy in {**REMOVED_LAYERS, **called}.items():
        if catalogue.normalize_word(name) == word:
            return remedy
    own = [
        name
        for name, value in context.names.items()
        if callable(value) and name[0] != "_" and name not in IPYTHON_NAMES
    ]
    known = [*catalogue.words_for_role("layer"), *_STATEMENTS, *context.definitions, *own]
    if similar := did_you_mean(text, known):
        return similar
    if find_object("optimizer", text) or find_object("loss", text):
        return "Write optimizer and loss on a separate line: `compile adam loss=mse`."
    if text in ("fit", "train", "evaluate", "predict"):
        magic = "fit" if text == "train" else text
        return f"The text only defines the model. Use %keras_{magic} in another cell."
    return if_missing(context.names) if context.safe_mode else "List all layers: %keras_layers"
