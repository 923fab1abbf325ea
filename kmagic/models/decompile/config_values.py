"""Parts of Keras's configs: compared with each other, and written as values of the language."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kmagic.language.parser import CONSTANTS
from kmagic.language.spec import (
    Arg,
    Expr,
    InnerLayer,
    LiteralValue,
    MappingValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Value,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.catalogue import OBJECT_ROLES, Role
from kmagic.models.keras_history import is_keras_tensor

MAX_ARRAY_SIZE = 10_000
"""Larger arrays are not written into a text."""
LOST_ARGUMENTS = "lost_arguments"
"""Key that adds to a serialized object the arguments that its own config leaves out."""
_LAMBDA = "it contains a lambda; use a named function instead"
_WORD = re.compile(r"[^\W\d]\w*")
_WRAPPED = re.compile(r"(?:forward_|backward_)+")
_TENSOR_NAME = re.compile(r"keras_tensor(?:_\d+)?(?:CLONE|_clone)*")
_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Public names of classes whose own name differs."""
_IRRELEVANT = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id"})


class UnwritableError(Exception):
    """Something in a model cannot be written as text; the message says what and why."""


# --- comparing ------------------------------------------------------------------------------------


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
    return isinstance(value, dict) and "class_name" in value and "config" in value


def comparable(value: Any, class_name: str = "") -> Any:
    """A config without generated names and build information."""
    if isinstance(value, dict):
        inner = str(value.get("class_name", "")) if is_serialized(value) else ""
        return {
            key: comparable(item, inner if inner and key == "config" else "")
            for key, item in value.items()
            if key not in _IRRELEVANT
            and not (
                key == "name"
                and class_name
                and isinstance(item, str)
                and is_default_name(item, class_name)
            )
        }
    if isinstance(value, list | tuple):
        return type(value)(comparable(item) for item in value)
    if hasattr(value, "get_config") and not isinstance(value, type):
        kind = type(value).__name__
        return {"class_name": kind, "config": comparable(value.get_config(), kind)}
    return _python_number(value)


def same(first: Any, second: Any) -> bool:
    """Whether two comparable configs are equal; NaN equals NaN, 1 does not equal 1.0 or True."""
    if is_keras_tensor(first) or is_keras_tensor(second):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    if hasattr(first, "__array__") or hasattr(second, "__array__"):
        return type(first) is type(second) and _same_arrays(first, second)
    if isinstance(first, int | float) and type(first) is not type(second):
        return False
    return bool(first == second)


def _same_arrays(first: Any, second: Any) -> bool:
    one, other = np.asarray(first), np.asarray(second)
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")


def _python_number(value: Any) -> Any:
    """A NumPy number as a Python number; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


# --- writing --------------------------------------------------------------------------------------


class ValueWriter:
    """Writes parts of configs as values.

    Attributes:
        needed: The classes and functions that the text takes from the notebook, by name.
        known: The model's own classes and functions, by name: Keras's configs give only names.
        model_names: What the text calls each nested model, by its Keras name.
    """

    def __init__(self) -> None:
        self.needed: dict[str, Any] = {}
        self.known: dict[str, Any] = {}
        self.model_names: dict[str, str] = {}

    def arguments_of(self, cls: Any, config: Mapping[str, Any]) -> tuple[Arg, ...]:
        """The arguments that make an object with this config."""
        raise NotImplementedError

    def value(self, value: Any, role: Role = "any") -> Value:
        """The value for a part of a config.

        Raises:
            UnwritableError: No text can express it.
        """
        value = _python_number(value)
        if value is None or value is ... or isinstance(value, bool | int | float):
            return LiteralValue(value)
        if isinstance(value, str):
            return text_value(value, role)
        if isinstance(value, slice):
            return self._slice(value.start, value.stop, value.step)
        if isinstance(value, list | tuple):
            return self._sequence(value, role)
        if is_serialized(value):
            return self._object(value, role)
        if isinstance(value, Mapping):
            if role == "activation":
                raise UnwritableError(_LAMBDA)
            entries = ((_key(key), self.value(item, role)) for key, item in value.items())
            return MappingValue(tuple(entries))
        if hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
            return self._array(value, word="array" if isinstance(value, np.ndarray) else "tensor")
        if inspect.isfunction(value) or inspect.isclass(value) or inspect.isbuiltin(value):
            return self._notebook_name(value)
        if hasattr(value, "get_config"):
            return self._object(keras.saving.serialize_keras_object(value), role)
        raise UnwritableError(f"{value!r} ({type(value).__name__}) cannot be written in a text")

    def _sequence(self, value: list[Any] | tuple[Any, ...], role: Role) -> Value:
        if isinstance(value, tuple) and len(value) > 1 and all(map(_is_dimension, value)):
            return Shape(value)
        items = tuple(
            LiteralValue(item)
            if isinstance(item, str) and role == "any"
            else self.value(item, role)
            for item in value
        )
        return SequenceValue("list" if isinstance(value, list) else "tuple", items)

    def _slice(self, *bounds: Any) -> Object:
        given = [_python_number(bound) for bound in bounds]
        while given and given[-1] is None:
            given.pop()
        return Object(Word("slice"), tuple(Arg(self.value(bound)) for bound in given))

    def _array(self, value: Any, dtype: str = "", word: str = "array") -> Value:
        array = np.asarray(value, dtype or None)
        if array.size > MAX_ARRAY_SIZE:
            raise UnwritableError(
                f"it has an array of {array.size:,} numbers, too long for a text"
                f" (at most {MAX_ARRAY_SIZE:,})"
            )
        args = [
            Arg(self._sequence(array.tolist(), "any") if array.ndim else LiteralValue(array.item()))
        ]
        default = str(np.asarray(array.tolist()).dtype)
        if word == "tensor":
            default = {"float64": "float32", "int64": "int32"}.get(default, default)
        if str(array.dtype) != default:
            args.append(Arg(text_value(str(array.dtype), "any")))
        return Object(Word(word), tuple(args))

    def _notebook_name(self, value: Any) -> Expr:
        """A function or class of the user by its name."""
        name = getattr(value, "__name__", "")
        if name == "<lambda>":
            raise UnwritableError(_LAMBDA)
        if not name.isidentifier():
            raise UnwritableError(f"{name} is not a valid Python name")
        stem, number = name, 1
        while name in self.needed and self.needed[name] is not value:
            number += 1
            name = f"{stem}_{number}"
        self.needed[name] = value
        return Expr(name)

    def callee(self, value: Any, role: Role) -> Word | Expr:
        """How a class or function is called: by its word, or by its name in the notebook."""
        word = catalogue.word_for(value)
        if (value.__module__ or "").split(".")[0] == "keras":
            roles = (role, *OBJECT_ROLES) if role in OBJECT_ROLES else OBJECT_ROLES
            matches = [
                match for match in (catalogue.find_object(other, word) for other in roles) if match
            ]
            classes = [match for match in matches if inspect.isclass(match)]
            if (classes or matches)[:1] == [value]:
                return Word(word)
        name = value.__name__
        expr = self._notebook_name(value)
        is_ambiguous = any(catalogue.find_object(other, name) for other in OBJECT_ROLES)
        return (
            Word(name) if expr.source == name and not name.islower() and not is_ambiguous else expr
        )

    def _object(self, config: Mapping[str, Any], role: Role) -> Value:
        """The value for a serialized object: ``l2(1e-4)``, ``mixed_float16``, ``lstm 4``."""
        kind, inner = config["class_name"], config["config"]
        match kind:
            case "DTypePolicy":
                name = str(inner["name"])
                policy = Object(Word("dtype_policy"), (Arg(LiteralValue(name)),))
                return text_value(name, "dtype") if role == "dtype" else policy
            case "__numpy__":
                return self._array(inner["value"], inner["dtype"])
            case "__tensor__":
                return self._array(inner["value"], inner["dtype"], "tensor")
            case "__slice__":
                return self._slice(inner["start"], inner["stop"], inner["step"])
            case "__ellipsis__":
                return LiteralValue(...)
            case "__lambda__":
                raise UnwritableError(_LAMBDA)
            case "Functional" | "Sequential" if inner.get("name") in self.model_names:
                return Ref(self.model_names[inner["name"]])
        if kind.startswith("__"):
            raise UnwritableError(f"values of type {kind} cannot be written in a text")
        value = self._resolve(config)
        if kind == "function" or not inspect.isclass(value):
            word = getattr(value, "__name__", "")
            if (
                catalogue.accepts_string(role, word)
                and catalogue.keras_module(role).get(word) is value
            ):
                return Word(word)
            return self._notebook_name(value)
        return self._instance(value, inner or {}, role, config.get(LOST_ARGUMENTS, {}))

    def _instance(
        self, cls: Any, config: Mapping[str, Any], role: Role, lost: Mapping[str, Any]
    ) -> Value:
        params = {param.name: param for param in catalogue.parameters(cls)}
        args = list(self.arguments_of(cls, config))
        name = config.get("name")
        if (
            role in ("layer", "loss", "metric")
            and isinstance(name, str)
            and "name" in params
            and name != params["name"].default
            and not is_default_name(name, cls.__name__)
        ):
            args.append(Arg(text_value(name, "any"), "name"))
        args += [
            Arg(self.value(value, params[name].role), name)
            for name, value in lost.items()
            if name in params and name not in config and params[name].default != value
        ]
        callee = self.callee(cls, role)
        if role == "layer":
            return _layer_value(callee, tuple(args))
        if not args and isinstance(callee, Word) and role in OBJECT_ROLES:
            return callee if catalogue.find_object(role, callee.text) is cls else Object(callee)
        return Object(callee, tuple(args))

    def _resolve(self, config: Mapping[str, Any]) -> Any:
        """The class or function of a serialized object."""
        kind = config["class_name"]
        name = config["config"] if kind == "function" else kind
        for known in filter(None, (config.get("registered_name"), name)):
            value = keras.saving.get_registered_object(known)
            if value is not None:
                return value
        module = config.get("module")
        if module and module != "builtins":
            try:
                value = getattr(importlib.import_module(module), str(name).split(">")[-1], None)
            except ImportError:
                value = None
            if value is not None:
                return value
        if str(name) in self.known:
            return self.known[str(name)]
        raise UnwritableError(
            f"{name} cannot be found; register it with keras.saving.register_keras_serializable"
        )


def is_plain_word(text: str) -> bool:
    """Whether a text needs no quotes as the value of a named argument."""
    return _WORD.fullmatch(text) is not None and text not in CONSTANTS and text != "_"


def text_value(text: str, role: Role) -> Value:
    """A string: without quotes where the argument makes clear that it is one."""
    is_bare = role == "any" or (role in OBJECT_ROLES and catalogue.accepts_string(role, text))
    return Word(text) if is_bare and is_plain_word(text) else LiteralValue(text)


def _key(key: Any) -> Value:
    if isinstance(key, str):
        return Word(key) if is_plain_word(key) else LiteralValue(key)
    if key is None or isinstance(key, bool | int | float):
        return LiteralValue(key)
    raise UnwritableError(f"the dictionary key {key!r} cannot be written in a text")


def _layer_value(callee: Word | Expr, args: tuple[Arg, ...]) -> Value:
    if not args:
        return callee if isinstance(callee, Word) else Object(callee)
    is_nested = any(isinstance(arg.value, InnerLayer) for arg in args)
    return Object(callee, args) if is_nested else InnerLayer(callee, args)


def _is_dimension(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)
