"""What the installed Keras offers, looked up by the words of the language.

Everything is read from Keras: classes from its modules, parameters from its signatures. A layer
that Keras adds is a word at once.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from types import MethodType
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language.vocabulary import ALIASES, PREFERRED, snake_case
from kmagic.support.formatting import safe_repr
from kmagic.support.keras_import import keras

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
"""The meaning of an argument, from its name: it tells where its words are looked up."""

MODULES: dict[Role, str] = {
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
    "schedule": "optimizers.schedules",
    "layer": "layers",
    "optimizer": "optimizers",
    "loss": "losses",
    "metric": "metrics",
    "activation": "activations",
    "dtype": "dtype_policies",
    "quantizer": "quantizers",
    "seed": "random",
}
OBJECT_ROLES: tuple[Role, ...] = tuple(MODULES)
"""In this order, an object such as ``l2(1e-4)`` is looked up in an argument without a role."""
WEIGHT_ROLES: tuple[Role, ...] = ("initializer", "regularizer", "constraint")
"""Keras accepts their objects in place of each other, since all are called with weights."""

_INTEGERS = (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = frozenset(
    {*_INTEGERS, "bool", "string", "bfloat16", "float16", "float32", "float64"}
    | {"mixed_float16", "mixed_bfloat16"}
)
PADDINGS = ("same", "valid", "causal")
_METRIC_STRINGS = ("accuracy", "acc", "crossentropy", "ce")
_SHORT_NAMES = ("mse", "mae", "mape", "msle", "bce", "kld")


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
        """Whether it is boolean, so that its bare name sets it."""
        return isinstance(self.default, bool)


# --- words ------------------------------------------------------------------------------------


def normalize_word(word: str) -> str:
    """A word without underscores and case: ``max_pooling2d`` and ``MaxPooling2D`` are equal."""
    return word.replace("_", "").lower()


def plural_of(role: Role) -> str:
    """The word for all words of a role: "activations", "losses"."""
    return "losses" if role == "loss" else f"{role}s"


def with_article(role: str) -> str:
    """A role in a sentence: "an optimizer", "a loss"."""
    return f"{'an' if role[0] in 'aio' else 'a'} {role}"


def keras_module(role: Role) -> Any:
    """Keras's module of a role."""
    return attrgetter(MODULES[role])(keras)


def layer_class() -> Any:
    """Keras's Layer."""
    return keras.layers.Layer


@cache
def members(role: Role) -> dict[str, Any]:
    """The classes and functions of a role by their Keras names; kmagic adds ``OneCycle``."""
    by_name: dict[str, Any] = {}
    for name, value in vars(keras_module(role)).items():
        if name.startswith("_") or name in ("get", "serialize", "deserialize"):
            continue
        is_class = inspect.isclass(value) and (role != "layer" or issubclass(value, layer_class()))
        if is_class or (inspect.isfunction(value) and role in ("activation", "loss", "metric")):
            by_name[name] = value
    if role == "schedule":
        from kmagic.models.one_cycle import OneCycle  # noqa: PLC0415 - imports Keras

        by_name["OneCycle"] = OneCycle
    return by_name


@cache
def _members_by_word(role: Role) -> dict[str, Any]:
    """Normalized word -> class or function; a class takes precedence over a function."""
    by_word: dict[str, Any] = {}
    for name, value in members(role).items():
        words = {normalize_word(name), normalize_word(getattr(value, "__name__", name))}
        words |= {word.removesuffix("initializer") for word in words}
        for word in words:
            if word not in by_word or inspect.isclass(value):
                by_word[word] = value
    if role == "layer":
        by_word |= {normalize_word(alias): members(role)[name] for alias, name in ALIASES.items()}
    return by_word


@cache
def _application_layers() -> dict[str, Any]:
    """Normalized word -> layer that keras.applications uses, and keras.layers does not have."""
    by_word: dict[str, Any] = {}
    pending = [layer_class()]
    while pending:
        for cls in pending.pop().__subclasses__():
            pending.append(cls)
            if cls.__module__.startswith("keras.src.applications."):
                by_word[normalize_word(cls.__name__)] = cls
    return by_word


def find_object(role: Role, word: str) -> Any | None:
    """The class or function of a word, or None."""
    key = normalize_word(word)
    value = _members_by_word(role).get(key)
    return _application_layers().get(key) if value is None and role == "layer" else value


@cache
def words_for_role(role: Role) -> tuple[str, ...]:
    """All words of a role."""
    if role == "dtype":
        return tuple(sorted(DTYPES))
    words = {
        word_for(value) if inspect.isclass(value) else name for name, value in members(role).items()
    }
    if role == "layer":
        words |= set(ALIASES)
    if role == "metric":
        words |= set(_METRIC_STRINGS)
    if role in ("loss", "metric"):
        words |= {word for word in _SHORT_NAMES if accepts_string(role, word)}
    return tuple(sorted(words))


def word_for(cls: Any) -> str:
    """The preferred word of a class."""
    name = cls.__name__
    return PREFERRED.get(name) or snake_case(name)


def accepts_string(role: Role, word: str) -> bool:
    """Whether Keras accepts this string in an argument of this role."""
    accepted = (role, word) in _accepted or _accepts_string(role, word)
    if accepted:  # a rejection is not stored: the word may be registered later
        _accepted.add((role, word))
    return accepted


_accepted: set[tuple[Role, str]] = set()


def _accepts_string(role: Role, word: str) -> bool:
    if role == "dtype":
        if "_from_" not in word:  # else a quantization policy such as int8_from_float32
            return word in DTYPES
    elif role == "metric" and word in _METRIC_STRINGS:
        return True
    elif role in ("layer", "schedule", "quantizer", "seed"):
        return False
    with suppress(ValueError, TypeError, KeyError):  # KeyError: "constant", which needs a value
        return keras_module(role).get(word) is not None
    return False


# --- signatures -------------------------------------------------------------------------------


@cache
def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a class or function, in the order of positional values.

    For a class that passes ``**kwargs`` on, the keyword parameters of its bases follow.
    """
    by_name: dict[str, Parameter] = {}
    for signature in _signatures(function):
        is_own = not by_name
        for param in signature.parameters.values():
            if param.kind in _VARIADIC or param.name == "self":
                continue
            if is_own or (param.default is not param.empty and param.name not in by_name):
                positional = is_own and param.kind is not param.KEYWORD_ONLY
                role = role_of(param.name, function)
                by_name[param.name] = Parameter(param.name, role, param.default, positional)
        if not _ends_in_kwargs(signature):
            break
    for name, default in _unlisted_parameters(function):
        role = role_of(name, function)
        by_name.setdefault(name, Parameter(name, role, default, positional=False))
    return tuple(by_name.values())


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_POPPED = re.compile(r"""kwargs\.pop\(\s*["'](\w+)["'],\s*(True|False|\d+)\s*\)""")


def _unlisted_parameters(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Parameters that Keras takes out of ``**kwargs``, so that no signature shows them."""
    for cls in getattr(function, "__mro__", ()):
        if cls.__module__.startswith("keras.") and "__init__" in vars(cls):
            with suppress(OSError, TypeError):  # no source code
                for name, default in _POPPED.findall(inspect.getsource(vars(cls)["__init__"])):
                    yield name, ast.literal_eval(default)


def _signatures(function: Callable[..., Any]) -> Iterator[inspect.Signature]:
    if not inspect.isclass(function):
        yield inspect.signature(function)
        return
    for cls in function.__mro__:
        if cls is not object and "__init__" in vars(cls):
            yield inspect.signature(MethodType(vars(cls)["__init__"], cls))  # without self


def is_of_keras(function: Callable[..., Any]) -> bool:
    """Whether a class or function is Keras's own."""
    return (getattr(function, "__module__", "") or "").split(".")[0] == "keras"


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """Whether the signature of a class or function ends in ``**kwargs``."""
    return any(map(_ends_in_kwargs, islice(_signatures(function), 1)))


def _ends_in_kwargs(signature: inspect.Signature) -> bool:
    return any(param.kind is param.VAR_KEYWORD for param in signature.parameters.values())


_LIST_NAMES = frozenset({"inputs", "xs", "arrays", "tensors", "values"})
"""Keras's names of a first parameter that takes all inputs in a list."""


def takes_input_list(function: Callable[..., Any], count: int) -> bool:
    """Whether a function takes its inputs in one list.

    Args:
        function: A function, or a layer's ``call``, bound or not.
        count: Number of inputs, more than one.
    """
    try:
        params = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(param.kind is param.VAR_POSITIONAL for param in params):
        return False
    inputs = [
        param
        for param in params
        if param.kind not in (param.KEYWORD_ONLY, param.VAR_KEYWORD)
        and param.name not in {"self", "training", "mask"}
    ]
    if not inputs:
        return False
    only_first_required = len(inputs) == 1 or inputs[1].default is not inspect.Parameter.empty
    takes_list = inputs[0].name in _LIST_NAMES or function is keras.ops.stack
    return (takes_list and only_first_required) or len(inputs) < count


_LEADING_NAMES = frozenset({"f", "function", "pred", "pyfunc", "subscripts"})
"""Keras's names of a first parameter that takes no tensor."""


def has_leading_value(function: Callable[..., Any]) -> bool:
    """Whether a function of ``keras.ops`` takes a value before its inputs, as ``einsum`` does.

    Example:
        >>> has_leading_value(keras.ops.einsum), has_leading_value(keras.ops.matmul)
        (True, False)
    """
    if not is_of_keras(function):
        return False
    return next(iter(inspect.signature(function).parameters), "") in _LEADING_NAMES


_ARGUMENTS: dict[Role, tuple[str, ...]] = {
    "layer": ("backward_layer", "cell", "cells", "layer", "layers"),
    "loss": ("loss",),
    "metric": ("metrics", "weighted_metrics"),
    "optimizer": ("inner_optimizer", "optimizer"),
    "quantizer": ("quantization_config",),
    "schedule": ("learning_rate", "initial_learning_rate", "end_learning_rate", "warmup_target"),
    "seed": ("seed",),
    "shape": ("dims", "shape", "target_shape"),
}
_ROLES = {name: role for role, names in _ARGUMENTS.items() for name in names}


def role_of(name: str, owner: Any = None) -> Role:
    """The role of an argument, from its name."""
    if name in _ROLES:
        return _ROLES[name]
    if name == "values" and getattr(owner, "__name__", "") == "PiecewiseConstantDecay":
        return "schedule"
    if name == "fn" and inspect.isclass(owner):
        return "loss" if "Loss" in owner.__name__ else "metric"
    for role in ("initializer", "regularizer", "constraint", "activation", "dtype"):
        if name.endswith((f"_{role}", f"{role}s")) or name == role:
            return role
    return "any"


# --- values -----------------------------------------------------------------------------------


_MAX_DIGITS = 8
_MAX_LENGTH = 100


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
    if isinstance(value, int | float | list | tuple | dict):
        text = safe_repr(value)
        return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."
    return f"a {type(value).__name__}"
