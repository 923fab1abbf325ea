"""What the installed Keras offers, looked up by the language's words.

Everything is read from Keras itself: classes from its modules, arguments from its signatures. So
a layer that Keras gains is a word here at once.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language.vocabulary import ALIASES, PREFERRED, snake_case

Role: TypeAlias = OneOf[
    "initializer",
    "regularizer",
    "constraint",
    "activation",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "layer",
    "dtype",
    "quantizer",
    "seed",
    "shape",
    "any",
]
"""What an argument means, by its name: it tells where its words are looked up."""

_MODULES: dict[str, str] = {
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
    "activation": "activations",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "schedule": "optimizers.schedules",
    "layer": "layers",
    "dtype": "dtype_policies",
    "quantizer": "quantizers",
    "seed": "random",
}
OBJECT_ROLES: tuple[Role, ...] = (
    "initializer",
    "regularizer",
    "constraint",
    "schedule",
    "layer",
    "optimizer",
    "loss",
    "metric",
    "activation",
    "dtype",
    "quantizer",
    "seed",
)
"""Where an object such as ``l2(1e-4)`` is looked for, if its place says nothing."""

_INTEGERS = (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = frozenset(
    {*_INTEGERS, "bool", "string", "bfloat16", "float16", "float32", "float64"}
    | {"mixed_float16", "mixed_bfloat16"}
)
PADDINGS = ("same", "valid", "causal")
_METRIC_STRINGS = ("accuracy", "acc", "crossentropy", "ce")
_SHORT = ("mse", "mae", "mape", "msle", "bce", "kld")
PLURALS: dict[Role, str] = {"loss": "losses", "dtype": "dtypes"}
_SUFFIXES = ("Initializer",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a Keras signature."""

    name: str
    role: Role
    default: Any = inspect.Parameter.empty
    positional: bool = True

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false, so that its bare name sets it."""
        return isinstance(self.default, bool)


def normalize_word(word: str) -> str:
    """A word without underscores and case: ``max_pooling2d`` and ``MaxPooling2D`` are one."""
    return word.replace("_", "").lower()


@cache
def keras_module(role: Role) -> Any:
    """Keras's module of a role."""
    import keras  # noqa: PLC0415 - takes seconds, so only when a model is built

    found: Any = keras
    for part in _MODULES[role].split("."):
        found = getattr(found, part)
    return found


@cache
def members(role: Role) -> dict[str, Any]:
    """The classes and functions of a role by their Keras names."""
    found: dict[str, Any] = {}
    for name, value in vars(keras_module(role)).items():
        if name.startswith("_") or name in ("get", "serialize", "deserialize"):
            continue
        is_class = inspect.isclass(value) and (role != "layer" or issubclass(value, layer_class()))
        if is_class or (inspect.isfunction(value) and role in ("activation", "loss", "metric")):
            found[name] = value
    return found


def layer_class() -> Any:
    """Keras's Layer."""
    import keras  # noqa: PLC0415 - takes seconds

    return keras.layers.Layer


@cache
def _index(role: Role) -> dict[str, Any]:
    """Squeezed word -> class or function; a class comes before a function of its name."""
    index: dict[str, Any] = {}
    for name, value in members(role).items():
        keys = {normalize_word(name), normalize_word(getattr(value, "__name__", name))}
        keys |= {key.removesuffix(normalize_word(end)) for key in keys for end in _SUFFIXES}
        for key in keys:
            if key not in index or inspect.isclass(value):
                index[key] = value
    if role == "layer":
        for alias, name in ALIASES.items():
            index[normalize_word(alias)] = members("layer")[name]
    return index


@cache
def _inner_layers() -> dict[str, Any]:
    """Squeezed word -> layer that Keras's applications hold, and its layers module does not."""
    found: dict[str, Any] = {}
    pending = [layer_class()]
    while pending:
        for each in pending.pop().__subclasses__():
            pending.append(each)
            if each.__module__.startswith("keras.src.applications."):
                found[normalize_word(each.__name__)] = each
    return found


def find_object(role: Role, word: str) -> Any | None:
    """The class or function that a word stands for, or None."""
    found = _index(role).get(normalize_word(word))
    return _inner_layers().get(normalize_word(word)) if found is None and role == "layer" else found


@cache
def words_for_role(role: Role) -> tuple[str, ...]:
    """All words of a role, as they are written."""
    if role == "dtype":
        return tuple(sorted(DTYPES))
    found = {
        word_for(value) if inspect.isclass(value) else name for name, value in members(role).items()
    }
    if role == "layer":
        found |= set(ALIASES)
    if role == "metric":
        found |= set(_METRIC_STRINGS)
    if role in ("loss", "metric"):
        found |= {each for each in _SHORT if accepts_string(role, each)}
    return tuple(sorted(found))


def word_for(cls: Any) -> str:
    """The word that is written for a class."""
    name = cls.__name__
    return PREFERRED.get(name) or snake_case(name)


def accepts_string(role: Role, word: str) -> bool:
    """Whether Keras takes this string in an argument of this role."""
    if (role, word) in _understood:
        return True
    found = _takes_string(role, word)
    if found:  # a refusal is not kept: the word may be registered later
        _understood.add((role, word))
    return found


_understood: set[tuple[Role, str]] = set()


def _takes_string(role: Role, word: str) -> bool:
    if role == "dtype":
        return word in DTYPES or _is_quantized(word)
    if role == "metric" and word in _METRIC_STRINGS:
        return True
    if role in ("layer", "schedule", "quantizer", "seed"):
        return False
    try:
        found = keras_module(role).get(word)
    except (ValueError, TypeError, KeyError):  # KeyError: "constant", which needs its value
        return False
    return found is not None


def _is_quantized(word: str) -> bool:
    """Whether a word is a dtype policy such as ``int8_from_float32``."""
    if "_from_" not in word:
        return False
    with suppress(ValueError, TypeError):
        return keras_module("dtype").get(word) is not None
    return False


@cache
def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a class or function, in the order in which positional values go.

    For a class that hands ``**kwargs`` on, the keyword parameters of its bases follow.
    """
    found: dict[str, Parameter] = {}
    for each in _signatures(function):
        first = not found
        for param in each.parameters.values():
            if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD) or param.name == "self":
                continue
            if not first and (param.default is param.empty or param.name in found):
                continue
            positional = first and param.kind is not param.KEYWORD_ONLY
            found[param.name] = Parameter(
                param.name, role_of(param.name, function), param.default, positional
            )
        if not any(param.kind is param.VAR_KEYWORD for param in each.parameters.values()):
            break
    for name, default in _unlisted(function):
        found.setdefault(name, Parameter(name, role_of(name, function), default, positional=False))
    return tuple(found.values())


_POPPED = re.compile(r"""kwargs\.pop\(\s*["'](\w+)["'],\s*(True|False|\d+)\s*\)""")


def _unlisted(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Parameters of Keras's classes that no signature shows: taken out of ``**kwargs``."""
    for cls in getattr(function, "__mro__", ()):
        if cls.__module__.startswith("keras.") and "__init__" in vars(cls):
            with suppress(OSError, TypeError):  # no source at hand
                for name, default in _POPPED.findall(inspect.getsource(vars(cls)["__init__"])):
                    yield name, ast.literal_eval(default)


def _signatures(function: Callable[..., Any]) -> Iterator[inspect.Signature]:
    if not inspect.isclass(function):
        yield inspect.signature(function)
        return
    for cls in function.__mro__:
        if cls is object:
            return
        if "__init__" in vars(cls):
            yield inspect.signature(vars(cls)["__init__"])


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """Whether a class or function outside Keras hands unknown keywords on."""
    own = next(_signatures(function), None)
    return own is not None and any(
        each.kind is each.VAR_KEYWORD for each in own.parameters.values()
    )


_ROLE_NAMES: dict[str, Role] = {
    "activation": "activation",
    "backward_layer": "layer",
    "cell": "layer",
    "cells": "layer",
    "dims": "shape",
    "dtype": "dtype",
    "inner_optimizer": "optimizer",
    "layer": "layer",
    "layers": "layer",
    "learning_rate": "schedule",
    "loss": "loss",
    "metrics": "metric",
    "optimizer": "optimizer",
    "quantization_config": "quantizer",
    "seed": "seed",
    "shape": "shape",
    "target_shape": "shape",
    "weighted_metrics": "metric",
}


def role_of(name: str, owner: Any = None) -> Role:
    """What an argument means, by its name."""
    if name in _ROLE_NAMES:
        return _ROLE_NAMES[name]
    if name == "fn" and inspect.isclass(owner):
        return "loss" if "Loss" in owner.__name__ else "metric"
    for role in ("initializer", "regularizer", "constraint", "activation", "dtype"):
        if name.endswith((f"_{role}", f"{role}s")) or name == role:
            return role
    return "any"


LIST_NAMES = frozenset({"inputs", "xs", "arrays", "tensors", "values"})
"""Names that Keras gives to a first parameter that holds all inputs together."""
NOT_INPUTS = frozenset({"training", "mask"})


def takes_input_list(function: Callable[..., Any], count: int) -> bool:
    """Whether a function takes this many inputs in one list.

    Args:
        function: A function, or a layer's ``call``, bound or as the class has it.
        count: How many inputs there are; more than one.
    """
    try:
        params = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(each.kind is each.VAR_POSITIONAL for each in params):
        return False
    places = [
        each
        for each in params
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.name not in NOT_INPUTS
        and each.name != "self"
    ]
    if not places:
        return False
    if places[0].name in LIST_NAMES and (
        len(places) == 1 or places[1].default is not inspect.Parameter.empty
    ):
        return True
    return len(places) < count


def python_value_text(value: Any) -> str:
    """A Python value as the language writes it.

    Example:
        >>> [python_value_text(value) for value in (None, True, (2, 2), "valid", 1e-07, (0, 1))]
        ['none', 'true', '2x2', 'valid', '1e-07', '(0, 1)']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value.isidentifier() else f'"{value}"'
    if isinstance(value, tuple) and len(value) > 1 and all(type(v) is int and v > 0 for v in value):
        return "x".join(map(str, value))
    if callable(value):
        return getattr(value, "__name__", str(value))
    if isinstance(value, float) and len(str(value)) > _MAX_DIGITS:
        return f"{value:.6g}"
    return str(value) if isinstance(value, _PLAIN_TYPES) else f"a {type(value).__name__}"


_MAX_DIGITS = 8
_PLAIN_TYPES = (int, float, list, tuple, dict)
