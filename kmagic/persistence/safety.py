"""What a model's configuration asks for, checked before the model is created.

Code in the file is rejected in safe mode, whatever the installed Keras allows. Classes and
functions that are not part of Keras must be registered with it or passed by the user; missing ones
are named.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import keras

from kmagic.models.trust import is_code, objects_in, unsafe_object
from kmagic.support.errors import PersistenceError
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import nearest

ALLOW_CODE = Text(
    "To load it anyway, use ", Option("safe_mode", value=False), ", for your own files only."
)
_INTERNAL_CLASSES = frozenset(
    {"__numpy__", "__tensor__", "__keras_tensor__", "__bytes__", "__slice__", "__ellipsis__"}
    | {"__tuple__", "__typespec__", "TensorShape", "TypeSpec", "CompositeTensor"}
)
_KERAS_PACKAGES = frozenset({"keras", "builtins", "tf_keras", "tensorflow"})
_MODULES = (
    *("activations", "losses", "metrics", "ops", "initializers", "random", "layers", "quantizers"),
    *("regularizers", "constraints", "optimizers", "optimizers.schedules", "dtype_policies"),
)
_CONVERSIONS = ("get", "serialize", "deserialize")
"""Functions that create other objects from their names."""


@dataclass(frozen=True, slots=True)
class NeededObject:
    """A class or function that is not part of Keras, and the layer that needs it.

    Attributes:
        registered_name: Its name in Keras's registry, "package>name"; else its name.
    """

    name: str
    registered_name: str
    layer: str
    is_function: bool = False


class MissingObjectsError(PersistenceError):
    """A file needs classes or functions that are not defined; ``names`` lists them."""

    names: tuple[str, ...] = ()


def not_compiled_note(names: Sequence[str]) -> str:
    """The note for a model that was compiled with something that is not defined.

    Example:
        >>> print(not_compiled_note(["f1"])[:64])
        Not compiled: f1 is not part of Keras. Predictions do not need i
    """
    if "<lambda>" in names:
        return (
            "Not compiled: its loss or a metric is a lambda, which the file does not contain. "
            "Predictions do not need it. Compile the model with %keras_compile."
        )
    listed = ", ".join(names)
    verb, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return (
        f"Not compiled: {listed} {verb} not part of Keras. Predictions do not need {them}. To "
        f"evaluate or train the model, define {them} and load the file with --custom-objects "
        f"{','.join(names)} (custom_objects={_ByName(names)!r}), or compile it with %keras_compile."
    )


def unsafe_reason(config: Any) -> tuple[str, str]:
    """The first layer of a configuration that must not be created, and why; ("", "") if none."""
    reasons = ((layer, unsafe_object(part)) for part, layer in objects_in(config))
    return next((found for found in reasons if found[1]), ("", ""))


def reject_code(config: Any, file_name: str) -> None:
    """Reject a configuration that contains code or reads other files."""
    layer, reason = unsafe_reason(config)
    if not reason:
        return
    remedy = ALLOW_CODE
    if is_code(reason):
        remedy = Text(
            "None of it has run. Use a layer of keras.ops instead, or a named function that you "
            "pass. ",
            ALLOW_CODE,
        )
    raise PersistenceError(f"{file_name} was not loaded: its layer {layer} {reason}.", remedy)


def ambiguous_names(model: Any) -> tuple[list[str], list[str]]:
    """Names of the user's objects in a model that Keras has too: which files confuse.

    Returns:
        Those of functions in layers, for which Keras always loads its own; and those of layers,
        losses and metrics, for which it may load its own unless the user's are passed.
    """
    layers: Iterable[Any] = getattr(model, "_flatten_layers", list)()
    functions: dict[bool, list[Any]] = {True: [], False: []}
    for layer in layers:
        values = () if isinstance(layer, keras.Model) else vars(layer).values()
        functions[isinstance(layer, keras.layers.Lambda)] += filter(inspect.isfunction, values)
    compiled = getattr(getattr(model, "_compile_config", None), "config", None) or {}
    objects = (
        getattr(value, "fn", getattr(value, "_fn", value))
        for value in keras.tree.flatten(compiled)
        if value is not None and not isinstance(value, str)
    )
    return _own_names(functions[False]), _own_names([*functions[True], *objects, *layers])


def _own_names(values: Iterable[Any]) -> list[str]:
    named = (value if inspect.isfunction(value) else type(value) for value in values)
    return sorted(
        {
            value.__name__
            for value in named
            if value.__name__ in _keras_objects()
            and not str(value.__module__).startswith("keras.")
            and keras.saving.get_registered_name(value) == value.__name__
        }
    )


def needed_objects(config: Any, own_names: Sequence[str] = ()) -> list[NeededObject]:
    """The classes and functions of a configuration that are not part of Keras, each once.

    Args:
        config: The configuration.
        own_names: Names that stand for objects of the user (:func:`ambiguous_names`).
    """
    needed = {
        name: NeededObject(name, name, "model", is_function=_is_function(name))
        for name in own_names
        if _mentions(config, name)
    }
    for part, layer in objects_in(config):
        inner = part.get("config")
        for key in ("activation", "recurrent_activation", "function"):
            # Older files name a function without its module.
            name = inner.get(key) if isinstance(inner, dict) else None
            if isinstance(name, str) and not _is_function(name):
                needed.setdefault(name, NeededObject(name, name, layer, is_function=True))
        kind = part.get("class_name")
        if not isinstance(kind, str) or kind in _INTERNAL_CLASSES or "__lambda__" in kind:
            continue
        is_function = kind == "function"
        name = inner if is_function else kind
        registered_name = part.get("registered_name") or name
        registered_name = name if registered_name == "function" else registered_name
        if not isinstance(name, str) or not isinstance(registered_name, str):
            continue
        module = part.get("module")
        is_own = not is_function and "module" in part and module is None
        if is_own or not _is_from_keras(name, registered_name, module, is_function=is_function):
            name = name.rpartition(">")[2]
            needed.setdefault(
                registered_name, NeededObject(name, registered_name, layer, is_function)
            )
    return list(needed.values())


def _mentions(config: Any, name: Any) -> bool:
    """Whether a configuration uses an object by its name."""
    if isinstance(config, dict):
        return any(key != "name" and _mentions(value, name) for key, value in config.items())
    if isinstance(config, list):
        return any(_mentions(value, name) for value in config)
    return bool(config == name)


class _ByName(tuple[str, ...]):
    """Names of objects: written as a list for a magic, and as a dictionary in Python."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(self)

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{name!r}: {name}' for name in self)}}}"


def find_objects(
    needed: list[NeededObject],
    given: Mapping[str, Any],
    notebook: Mapping[str, Any],
    file_name: str,
) -> dict[str, Any]:
    """The needed classes and functions, by every name that Keras may look for.

    They must be registered with Keras, or passed by the user. Those of the notebook are only
    suggested.
    """
    registered = keras.saving.get_custom_objects()
    objects = dict(given)
    missing = []
    for need in needed:
        name, registered_name = need.name, need.registered_name
        value = given.get(registered_name, given.get(name, registered.get(registered_name)))
        if value is None:
            missing.append(need)
        else:
            objects |= {registered_name: value, name: value}
    if not missing:
        return objects
    layer, name = missing[0].layer, missing[0].name
    user = "its model" if layer == "model" else f"its layer {layer}"
    user = "it" if layer in ("", name) else user
    what = "function" if missing[0].is_function else "class"
    own = " (not Keras's)" if name in _keras_objects() else ""
    names = tuple(need.name for need in missing)
    also = f" (also missing: {', '.join(names[1:])})" if names[1:] else ""
    known = {**notebook, **given}
    start = "Define or import what is missing, and name it: "
    if all(known.get(each) is not None for each in names):
        start = "To use the notebook's, name them: "
    elif name not in known:
        near = nearest(name, (variable for variable, value in known.items() if callable(value)))
        start = f"Did you mean {near[0]}? {start}" if near else start
    error = MissingObjectsError(
        f"{file_name} was not loaded: {user} needs the {what} {name}{own}, which is not defined"
        f"{also}.",
        Text(start, Option("custom_objects", _ByName(names)), "."),
    )
    error.names = names
    raise error


def _is_from_keras(name: str, registered_name: str, module: Any, *, is_function: bool) -> bool:
    if isinstance(module, str) and module.partition(".")[0] in _KERAS_PACKAGES:
        # Functions must be ones that compute: keras.utils has some that download and write files.
        return not is_function or _is_function(name)
    return module is None and registered_name == name and name in _keras_objects()


def _is_function(name: Any) -> bool:
    return name in _keras_objects() and not isinstance(_keras_objects()[name], type)


@cache
def _keras_objects() -> dict[str, Any]:
    """The classes of which a model consists, and the functions that compute, by every name."""
    objects: dict[str, Any] = {"Functional": keras.Model, "Model": keras.Model}
    objects["Sequential"] = keras.Sequential
    for module in _MODULES:
        for name, value in vars(attrgetter(module)(keras)).items():
            if callable(value) and not name.startswith("_") and name not in _CONVERSIONS:
                objects |= {name: value, value.__name__: value}
    return objects
