"""Parts of Keras's configs to values of the language."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

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
from kmagic.language.step_parser import CONSTANTS
from kmagic.models import catalogue
from kmagic.models.catalogue import OBJECT_ROLES, Role
from kmagic.models.decompile.configs import invented, is_object, plain

UNSEEN = "unseen"
"""Key of a serialized object for arguments that its own config leaves out."""
PLAIN_WORD = re.compile(r"[^\W\d]\w*")
MOST_NUMBERS = 10_000
"""An array of more numbers than this is no part of a text."""


class Unwritable(Exception):  # noqa: N818 - not an error until it is known which layer it is about
    """A part of a model has no words; the message says which and why."""


class Writer:
    """Turns configs into values, and keeps what the text needs from the notebook.

    Args:
        arguments: Gives an object's arguments: its class and config to :class:`Arg`.
    """

    def __init__(self, arguments: Callable[[Any, Mapping[str, Any]], tuple[Arg, ...]]) -> None:
        self.needs: dict[str, Any] = {}
        self.live: dict[str, Any] = {}
        self.models: dict[str, str] = {}
        self._arguments = arguments

    # --- values -------------------------------------------------------------------------------

    def value(self, value: Any, role: Role = "any") -> Value:
        """The value that stands for a part of a config.

        Raises:
            Unwritable: No text stands for it.
        """
        value = plain(value)
        if value is None or value is ... or isinstance(value, bool | int | float):
            return LiteralValue(value)
        if isinstance(value, str):
            return text_value(value, role)
        if isinstance(value, slice):
            return self._slice(value.start, value.stop, value.step)
        if isinstance(value, list | tuple):
            return self._sequence(value, role)
        if is_object(value):
            return self.object(value, role)
        if isinstance(value, Mapping) and role == "activation":
            raise Unwritable("it holds a function without a name (a lambda)")
        if isinstance(value, Mapping):
            entries = ((self._key(key), self.value(item, role)) for key, item in value.items())
            return MappingValue(tuple(entries))
        return self._live_value(value, role)

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

    def _slice(self, start: Any, stop: Any, step: Any) -> Object:
        bounds = [plain(each) for each in (start, stop, step)]
        while bounds and bounds[-1] is None:
            bounds.pop()
        return Object(Word("slice"), tuple(Arg(self.value(each)) for each in bounds))

    @staticmethod
    def _key(key: Any) -> Value:
        if isinstance(key, str):
            return Word(key) if is_plain_word(key) else LiteralValue(key)
        if key is None or isinstance(key, bool | int | float):
            return LiteralValue(key)
        raise Unwritable(f"a dictionary's key {key!r} has no words")

    def _live_value(self, value: Any, role: Role) -> Value:
        """Something that is not a config, but the thing itself: an array, a function ..."""
        if hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
            return self.array(
                value, word="array" if type(value).__module__ == "numpy" else "tensor"
            )
        if inspect.isfunction(value) or inspect.isclass(value) or inspect.isbuiltin(value):
            return self.name_for(value)
        if hasattr(value, "get_config"):
            import keras  # noqa: PLC0415 - it is here already if one of its objects is

            return self.object(keras.saving.serialize_keras_object(value), role)
        raise Unwritable(f"{value!r}, a {type(value).__name__}, has no words")

    def array(self, value: Any, dtype: str = "", word: str = "array") -> Value:
        """Numbers in an array or tensor."""
        import numpy as np  # noqa: PLC0415 - Keras has imported it

        found = np.asarray(value, dtype or None)
        if found.size > MOST_NUMBERS:
            raise Unwritable(f"it holds an array of {found.size:,} numbers, which no text should")
        args = [
            Arg(self._sequence(found.tolist(), "any") if found.ndim else LiteralValue(found.item()))
        ]
        usual = str(np.asarray(found.tolist()).dtype)
        if word == "tensor":
            usual = {"float64": "float32", "int64": "int32"}.get(usual, usual)
        if str(found.dtype) != usual:
            args.append(Arg(text_value(str(found.dtype), "any")))
        return Object(Word(word), tuple(args))

    # --- names from the notebook --------------------------------------------------------------

    def name_for(self, found: Any) -> Expr:
        """A function or class of the user's by its name."""
        name = getattr(found, "__name__", "")
        if name == "<lambda>":
            raise Unwritable("it holds a function without a name (a lambda)")
        return self._needed(name, found)

    def _needed(self, name: str, found: Any) -> Expr:
        if not name.isidentifier():
            raise Unwritable(f"{name} is not a name that a text could use")
        stem, count = name, 1
        while name in self.needs and self.needs[name] is not found:
            count += 1
            name = f"{stem}_{count}"
        self.needs[name] = found
        return Expr(name)

    def callee_for(self, found: Any, role: Role) -> Word | Expr:
        """What is written for a class or function: its word, or its name in the notebook."""
        word = catalogue.word_for(found)
        if (found.__module__ or "").split(".")[0] == "keras":
            places = (role, *OBJECT_ROLES) if role in OBJECT_ROLES else OBJECT_ROLES
            known = [
                item for item in (catalogue.find_object(each, word) for each in places) if item
            ]
            classes = [item for item in known if inspect.isclass(item)]
            if (classes or known)[:1] == [found]:
                return Word(word)
        name = found.__name__
        expr = self.name_for(found)
        everywhere = (catalogue.find_object(each, name) for each in OBJECT_ROLES)
        if expr.source == name and not name.islower() and not any(everywhere):
            return Word(name)
        return expr

    # --- objects ------------------------------------------------------------------------------

    def object(self, config: Mapping[str, Any], role: Role) -> Value:
        """The value for a serialized object: ``l2(1e-4)``, ``mixed_float16``, ``lstm 4``."""
        kind, inner = config["class_name"], config["config"]
        special: dict[str, Callable[[], Value]] = {
            "__numpy__": lambda: self.array(inner["value"], inner["dtype"]),
            "__tensor__": lambda: self.array(inner["value"], inner["dtype"], "tensor"),
            "__slice__": lambda: self._slice(inner["start"], inner["stop"], inner["step"]),
            "__ellipsis__": lambda: LiteralValue(...),
        }
        if kind == "DTypePolicy":
            name = str(inner["name"])
            policy = Object(Word("dtype_policy"), (Arg(LiteralValue(name)),))
            return text_value(name, "dtype") if role == "dtype" else policy
        if kind in special:
            return special[kind]()
        if kind == "__lambda__":
            raise Unwritable("it holds a function without a name (a lambda)")
        if kind.startswith("__"):
            raise Unwritable(f"a value of Keras's kind {kind} has no words")
        if kind in ("Functional", "Sequential") and inner.get("name") in self.models:
            return Ref(self.models[inner["name"]])
        found = self.resolve(config)
        if kind == "function" or not inspect.isclass(found):
            return self._function(found, role)
        args = (*self._arguments(found, inner or {}), *self._name(found, inner or {}, role))
        args += self._unseen(found, inner or {}, config.get(UNSEEN, {}))
        callee = self.callee_for(found, role)
        if role == "layer":
            return _layer_value(callee, args)
        if not args and isinstance(callee, Word) and role in OBJECT_ROLES:
            bare = catalogue.find_object(role, callee.text) is found
            return callee if bare else Object(callee)
        return Object(callee, args)

    @staticmethod
    def _name(found: Any, config: Mapping[str, Any], role: Role) -> tuple[Arg, ...]:
        """An object's own name, where it has been given one."""
        name = config.get("name")
        params = {each.name: each for each in catalogue.parameters(found)}
        if role not in ("layer", "loss", "metric") or not isinstance(name, str):
            return ()
        if "name" not in params or name == params["name"].default or invented(name, found.__name__):
            return ()
        return (Arg(text_value(name, "any"), "name"),)

    def _unseen(
        self, cls: Any, config: Mapping[str, Any], given: Mapping[str, Any]
    ) -> tuple[Arg, ...]:
        """Arguments that a config leaves out, where they are not at their defaults."""
        params = {each.name: each for each in catalogue.parameters(cls)}
        return tuple(
            Arg(self.value(value, params[name].role), name)
            for name, value in given.items()
            if name in params and name not in config and params[name].default != value
        )

    def _function(self, found: Any, role: Role) -> Value:
        word = getattr(found, "__name__", "")
        if catalogue.accepts_string(role, word) and catalogue.keras_module(role).get(word) is found:
            return Word(word)
        return self.name_for(found)

    def resolve(self, config: Mapping[str, Any]) -> Any:
        """The class or function that a serialized object is of."""
        import keras  # noqa: PLC0415 - a model is here, so Keras is

        kind = config["class_name"]
        name = config["config"] if kind == "function" else kind
        registered = config.get("registered_name")
        for known in (registered, name):
            found = keras.saving.get_registered_object(known) if known else None
            if found is not None:
                return found
        module = config.get("module")
        if module and module != "builtins":
            try:
                found = getattr(importlib.import_module(module), str(name).split(">")[-1], None)
            except ImportError:
                found = None
            if found is not None:
                return found
        if str(name) in self.live:
            return self.live[str(name)]
        raise Unwritable(f"what {name} is cannot be found out; register it with Keras")


def is_plain_word(text: str) -> bool:
    """Whether a text may stand without quotes as the value of a named argument."""
    return PLAIN_WORD.fullmatch(text) is not None and text not in CONSTANTS and text != "_"


def text_value(text: str, role: Role) -> Value:
    """A string: a bare word where its place makes clear that it is one."""
    bare = role == "any" or (role in OBJECT_ROLES and catalogue.accepts_string(role, text))
    return Word(text) if bare and is_plain_word(text) else LiteralValue(text)


def _layer_value(callee: Word | Expr, args: tuple[Arg, ...]) -> Value:
    if not args:
        return callee if isinstance(callee, Word) else Object(callee)
    if any(isinstance(arg.value, InnerLayer) for arg in args):
        return Object(callee, args)
    return InnerLayer(callee, args)


def _is_dimension(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def is_finite_number(value: Any) -> bool:
    """Whether a value is an ordinary number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
