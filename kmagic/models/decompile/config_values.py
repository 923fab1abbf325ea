"""Values of Keras's configs: how they are compared, and how they are written as arguments."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kmagic.language import spec
from kmagic.language.parser import CONSTANTS
from kmagic.language.spec import Arg, LiteralValue, Value, Word
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext, bind_arguments
from kmagic.models.catalogue import OBJECT_ROLES, Parameter, Role
from kmagic.models.keras_history import is_keras_tensor, with_items

_WORD = re.compile(r"[^\W\d]\w*")
_WRAPPED = re.compile(r"(?:forward_|backward_)+")
_TENSOR_NAME = re.compile(r"keras_tensor(?:_\d+)?(?:CLONE|_clone)*")
_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Public names of classes whose own name differs."""
_IRRELEVANT = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id"})
IGNORED = frozenset({"name", "vocabulary_size"})
"""Keys of configs that are not compared."""
_UNIFORM = frozenset({"cropping", "dilation_rate", "output_padding", "padding", "size", "strides"})
"""Parameters whose equal numbers are written once: ``strides=2``."""
_ALWAYS_NAMED = frozenset({"axis", "data_format", "name"})
"""First parameters that are clearer with their name."""
_SECOND = frozenset({"offset"})
"""Second parameters that need no name although they have a default."""
_AFTER_TENSORS = frozenset({"x2", "key", "newshape", "shape", "dtype"})
"""Parameters of functions of ``keras.ops`` that need no name after the tensors."""
_SINGLE_PRECISION_DIGITS = 12


class UnwritableError(Exception):
    """Something in a model cannot be written as text; the message says what and why."""


def is_default_name(name: str, class_name: str) -> bool:
    """Whether a layer has a name that Keras generates from its class.

    Example:
        >>> is_default_name("conv2d_12", "Conv2D"), is_default_name("stem", "Conv2D")
        (True, False)
    """
    stem = _WRAPPED.sub("", name, count=1) if name.startswith(("forward_", "backward_")) else name
    # Keras's snake case, which is not quite the language's.
    snake = re.sub(r"\W+", "", _CLASS_NAMES.get(class_name, class_name))
    snake = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", snake)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", snake).lower()
    is_generated = re.fullmatch(rf"{re.escape(snake)}(?:_\d+)?", stem)
    return bool(is_generated or _TENSOR_NAME.fullmatch(name))


def is_serialized(value: Any) -> bool:
    """Whether a part of a config is a serialized object."""
    return (
        isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value
    )


def own_name(layer: Any) -> str:
    """A layer's name, or "" if Keras generated it."""
    return "" if is_default_name(layer.name, type(layer).__name__) else str(layer.name)


def comparable(value: Any, class_name: str = "") -> Any:
    """A config without generated names and build information, to be compared with ``==``.

    NaN equals NaN, and 1 equals neither 1.0 nor True.
    """
    if isinstance(value, dict):
        inner = str(value["class_name"]) if is_serialized(value) else ""
        is_unnamed = class_name and is_default_name(str(value.get("name")), class_name)
        return {
            key: comparable(item, inner if key == "config" else "")
            for key, item in value.items()
            if key not in _IRRELEVANT and not (key == "name" and is_unnamed)
        }
    if isinstance(value, list | tuple):
        return with_items(value, map(comparable, value))
    if hasattr(value, "get_config") and not isinstance(value, type):
        kind = type(value).__name__
        return {"class_name": kind, "config": comparable(value.get_config(), kind)}
    value = python_number(value)
    if isinstance(value, int | float):
        return (type(value).__name__, repr(value))
    has_array = hasattr(value, "__array__")
    if is_keras_tensor(value) or (hasattr(value, "shape") and not has_array):  # ragged or sparse
        return ("tensor", id(value))
    if has_array:
        array = np.asarray(value)
        numbers = array.tolist() if array.dtype.hasobject else array.tobytes()
        return (type(value).__name__, array.dtype.str, array.shape, numbers)
    return value


def comparable_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what does not matter when it is compared with another one."""
    return {key: comparable(value) for key, value in config.items() if key not in IGNORED}


def python_number(value: Any) -> Any:
    """A NumPy number as a Python number; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


# --- how values and arguments are written ---------------------------------------------------------


def is_plain_word(text: str) -> bool:
    """Whether a text needs no quotes as the value of a named argument."""
    return _WORD.fullmatch(text) is not None and text not in CONSTANTS and text != "_"


def text_value(text: str, role: Role) -> Value:
    """A string: without quotes where the argument makes clear that it is one."""
    is_bare = role == "any" or (role in OBJECT_ROLES and catalogue.accepts_string(role, text))
    return Word(text) if is_bare and is_plain_word(text) else LiteralValue(text)


def written_arguments(cls: Any, values: Mapping[str, Value]) -> tuple[Arg, ...]:
    """Arguments as a text has them: leading ones and unmistakable words without names."""
    params = catalogue.parameters(cls)
    leading: list[Arg] = []
    rest = dict(values)
    for index, param in enumerate(params):
        if param.name not in rest or not param.positional:
            break
        value = _positional_value(param, rest[param.name], index)
        if value is None:
            break
        leading.append(Arg(value))
        del rest[param.name]
    by_name = {param.name: param for param in params}
    words: list[Arg] = []
    named: list[Arg] = []
    for name, value in rest.items():
        word = _bare_word(cls, by_name.get(name), value)
        (words if word else named).append(Arg(word) if word else Arg(value, name))
    short = (*leading, *words, *named)
    context = BuildContext("")
    bound = bind_arguments(
        cls, "", short, spec.NO_SPAN, context, lambda value, _role, _context: value
    )
    if not context.problems and bound.kwargs == dict(values):
        return short
    return tuple(Arg(value, name) for name, value in values.items())


def function_arguments(
    function: Callable[..., Any], values: Mapping[str, Value], inputs: int
) -> tuple[Arg, ...]:
    """Arguments of a function of ``keras.ops``; some need no name after the tensors."""
    leading: list[Arg] = []
    for param in catalogue.parameters(function)[inputs:]:
        if param.name not in values or param.name not in _AFTER_TENSORS:
            break
        leading.append(Arg(values[param.name]))
    named = [Arg(value, name) for name, value in values.items()]
    return (*leading, *named[len(leading) :])


def _positional_value(param: Parameter, value: Value, index: int) -> Value | None:
    """The value as a leading argument; None if it needs its name."""
    if isinstance(value, Word) and param.role == "any" and not isinstance(param.default, str):
        return LiteralValue(value.text) if param.required else None
    if param.required:
        return value
    if param.name in _ALWAYS_NAMED or (index and param.name not in _SECOND) or param.is_flag:
        return None
    if isinstance(value, LiteralValue):
        number = value.value
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        return value if math.isfinite(number) else None
    return (
        value
        if isinstance(value, spec.Shape | spec.SequenceValue | Word | spec.Object | spec.Expr)
        else None
    )


def _bare_word(owner: Any, param: Parameter | None, value: Value) -> Word | None:
    """The bare word that sets a parameter, if there is one."""
    if param is None:
        return None
    if param.is_flag:
        return Word(param.name) if value == LiteralValue(True) else None
    if not isinstance(value, Word):
        return None
    if param.name == "dtype":
        return None if inspect.isclass(owner) else value  # of an input
    if param.name == "padding":
        return value if value.text in catalogue.PADDINGS else None
    is_activation = param.name == "activation" and catalogue.accepts_string(
        "activation", value.text
    )
    return value if is_activation else None


def shorter(name: str, value: Any) -> Any:
    """Equal numbers as one number, where Keras repeats a single number."""
    if name in _UNIFORM and isinstance(value, tuple):
        if value and all(isinstance(item, tuple) for item in value):
            value = tuple(shorter(name, item) for item in value)
        if len(set(map(repr, value))) == 1:
            return value[0]
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], int):
        return value[0]
    if name.endswith("factor") and isinstance(value, tuple) and value[:1] == (-value[-1],):
        return value[-1]  # a range around zero
    if isinstance(value, float) and len(repr(value)) > _SINGLE_PRECISION_DIGITS:
        return float(str(np.float32(value)))
    return value
