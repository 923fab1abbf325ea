"""Which arguments of an object must be written, and the shortest way to write them.

Comparing with defaults is not enough, since a default may depend on another argument: the object
is made again from the arguments that would be written, and the two configs are compared.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    Expr,
    LiteralValue,
    Object,
    SequenceValue,
    Shape,
    Value,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext, bind_arguments
from kmagic.models.catalogue import Parameter
from kmagic.models.decompile.config_values import (
    UnwritableError,
    ValueWriter,
    comparable,
    is_serialized,
    same,
)

_UNIFORM = frozenset({"cropping", "dilation_rate", "output_padding", "padding", "size", "strides"})
"""Parameters whose equal numbers are written once: ``strides=2``."""
_ALWAYS_NAMED = frozenset({"axis", "data_format", "name"})
"""First parameters that are clearer with their name."""
_SECOND = frozenset({"offset"})
"""Second parameters that need no name although they have a default."""
_AFTER_TENSORS = frozenset({"x2", "key", "newshape", "shape", "dtype"})
"""Parameters of functions of ``keras.ops`` that need no name after the tensors."""
_IGNORED = frozenset({"name", "vocabulary_size"})
"""Keys of configs that are not compared."""
_SINGLE_PRECISION_DIGITS = 12
_MISSING = object()


class ArgumentWriter(ValueWriter):
    """Writes the arguments of objects, from their classes and configs."""

    def __init__(self) -> None:
        super().__init__()
        self._required: dict[str, dict[str, Any]] = {}

    def arguments_of(self, cls: Any, config: Mapping[str, Any]) -> tuple[Arg, ...]:
        """The shortest arguments that make an object with this config.

        Raises:
            UnwritableError: Something in the config cannot be written or restored.
        """
        required = self.required_arguments(cls, config)
        values = self.parameter_values(cls, required)
        values |= {key: self.value(required[key]) for key in required if key not in values}
        return written_arguments(cls, values)

    def parameter_values(self, cls: Any, given: Mapping[str, Any]) -> dict[str, Value]:
        """The values of given parameters, in the order of the signature."""
        return {
            param.name: self.parameter_value(param, given[param.name])
            for param in catalogue.parameters(cls)
            if param.name in given
        }

    def parameter_value(self, param: Parameter, value: Any) -> Value:
        """The value of one parameter."""
        if param.role == "dtype" and param.name != "dtype" and not isinstance(value, str):
            return self.value(value)
        written = self.value(value, param.role)
        if param.role == "shape" and isinstance(written, SequenceValue) and len(written.items) == 1:
            return Shape((None,)) if written.items[0] == LiteralValue(None) else written.items[0]
        return written

    def required_arguments(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a config that must be written, by parameter.

        Raises:
            UnwritableError: An object made from the whole config has another config.
        """
        key = _cache_key(cls, config)
        if not key:
            return self._find_required(cls, config)
        if key not in self._required:
            self._required[key] = self._find_required(cls, config)
        return self._required[key]

    def _find_required(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        params = {param.name: param for param in catalogue.parameters(cls)}
        given = {
            name: value
            for name, value in _as_given(cls, config).items()
            if name in params and name != "name"
        }
        target = _without_ignored(config)

        def remade_config(kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
            for as_words in (False, True):
                remade = self.remake(cls, kwargs, config.get("name") or "", as_words=as_words)
                with suppress(NotImplementedError):  # some configs hold nothing but strings
                    return None if remade is None else _without_ignored(remade.get_config())
            return None

        def restores(kwargs: Mapping[str, Any]) -> bool:
            remade = remade_config(kwargs)
            return remade is not None and same(remade, target)

        if not restores(given):
            short = {name: shorter(name, value) for name, value in given.items()}
            if not restores(short):
                for name, value in given.items():
                    self.parameter_value(params[name], value)  # raises the more precise reason
                raise UnwritableError(_difference(remade_config(given), target))
            given = short
        names = {name for name in given if params[name].required}
        for _ in range(4):  # an argument may change the default of another
            remade = remade_config({name: given[name] for name in names})
            wrong = set(given) if remade is None else _wrong_keys(remade, target) & given.keys()
            if not wrong - names:
                break
            names |= wrong
        if not restores({name: given[name] for name in names}):
            names = set(given)
        for name in sorted(names, key=list(params).index, reverse=True):
            fewer = {other: given[other] for other in names if other != name}
            if not params[name].required and restores(fewer):
                names.remove(name)
        chosen = {name: given[name] for name in params if name in names}
        for name, value in chosen.items():
            short = {**chosen, name: shorter(name, value)}
            if short[name] is not value and restores(short):
                chosen = short
        return chosen

    def remake(
        self, cls: Any, given: Mapping[str, Any], name: str, *, as_words: bool = False
    ) -> Any:
        """Make an object from arguments of its config; None if its class rejects them.

        Args:
            cls: Its class.
            given: Arguments as they are in its config.
            name: Its name.
            as_words: Pass objects that Keras knows by a string as that string.
        """
        roles = {param.name: param.role for param in catalogue.parameters(cls)}
        kwargs = {"name": name} if "name" in roles and name else {}
        try:
            for key, value in given.items():
                word = self.value(value, roles[key]) if as_words and is_serialized(value) else None
                kwargs[key] = word.text if isinstance(word, Word) else self._deserialized(value)
            return cls(**kwargs)
        except Exception:  # noqa: BLE001 - whatever a class raises: it rejects these arguments
            return None

    def _deserialized(self, value: Any) -> Any:
        if is_serialized(value):
            if value["class_name"] == "DTypePolicy":
                return value["config"]["name"]
            with keras.saving.custom_object_scope(self.known):
                return keras.saving.deserialize_keras_object(copy.deepcopy(value), safe_mode=False)
        if isinstance(value, dict):
            return {key: self._deserialized(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._deserialized(item) for item in value)
        return value if hasattr(value, "get_config") else copy.deepcopy(value)


# --- how arguments are written --------------------------------------------------------------------


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
    bound = bind_arguments(cls, "", short, NO_SPAN, context, lambda value, _role, _context: value)
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
    return value if isinstance(value, Shape | SequenceValue | Word | Object | Expr) else None


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


# --- comparing configs ----------------------------------------------------------------------------


def _without_ignored(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: comparable(value) for key, value in config.items() if key not in _IGNORED}


def _wrong_keys(remade: dict[str, Any], target: dict[str, Any]) -> set[str]:
    return {
        key
        for key in {*remade, *target}
        if not same(remade.get(key, _MISSING), target.get(key, _MISSING))
    }


def _cache_key(cls: Any, config: Mapping[str, Any]) -> str:
    """Equal for equal configs, except for names; "" if the config is not plain data."""
    own = {key: value for key, value in config.items() if key not in _IGNORED}
    try:
        return f"{cls.__module__}.{cls.__qualname__} {json.dumps(own)}{own!r}"
    except (TypeError, ValueError):
        return ""


def _as_given(cls: Any, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config as the arguments were: Bidirectional renames the layer in it."""
    if cls.__name__ != "Bidirectional":
        return config
    config = copy.deepcopy(dict(config))
    inner = (config.get("layer") or {}).get("config", {})
    if "name" in inner:
        inner["name"] = inner["name"].removeprefix("forward_")
    return config


def _difference(remade: dict[str, Any] | None, target: dict[str, Any]) -> str:
    if remade is None:
        return "it cannot be made again from its own config"
    keys = " and ".join(sorted(_wrong_keys(remade, target)))
    return f"its {keys} cannot be set when it is created"
