"""What a model's configuration asks for, checked before the model is created.

Code in the file is rejected in safe mode, whatever the installed Keras allows. Missing classes and
functions are taken from the notebook by name; those that are not there are named.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import keras

from kmagic.support.errors import PersistenceError
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

ALLOW_CODE = Text(
    "To load it anyway, use ", Option("safe_mode", value=False), ", for your own files only."
)
_INTERNAL_CLASSES = frozenset(
    {"__numpy__", "__tensor__", "__keras_tensor__", "__bytes__", "__slice__", "__ellipsis__"}
    | {"__tuple__", "__typespec__", "TensorShape", "TypeSpec", "CompositeTensor"}
)
_KERAS_PACKAGES = frozenset(
    {"keras", "keras_hub", "keras_cv", "keras_nlp", "builtins", "tf_keras", "tensorflow"}
)
_LOOKUP_LAYERS = ("StringLookup", "IntegerLookup", "TextVectorization")


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


def reject_code(config: Any, file_name: str) -> None:
    """Reject a configuration that contains code or reads other files."""
    for part, layer in _objects_in(config):
        kind, inner = part.get("class_name"), part.get("config")
        vocabulary = inner.get("vocabulary") if isinstance(inner, dict) else None
        reason, remedy = "", ALLOW_CODE
        if kind == "__lambda__" or (kind == "Lambda" and _has_code(inner)):
            reason = "is a Lambda whose Python code is in the file and would run here"
            remedy = Text(
                "None of it has run. Use a layer of keras.ops instead, or a named function that "
                "the notebook defines. ",
                ALLOW_CODE,
            )
        elif kind == "TFSMLayer":
            reason = (
                "runs a TensorFlow SavedModel from another file, which can read and write files"
            )
        elif kind in _LOOKUP_LAYERS and isinstance(vocabulary, str) and vocabulary:
            reason = f"reads its vocabulary from another file, {vocabulary}"
        if reason:
            raise PersistenceError(
                f"{file_name} was not loaded: its layer {layer} {reason}.", remedy
            )


def needed_objects(config: Any) -> list[NeededObject]:
    """The classes and functions of a configuration that are not part of Keras, each once."""
    needed: dict[str, NeededObject] = {}
    for part, layer in _objects_in(config):
        inner = part.get("config")
        for key in ("activation", "recurrent_activation", "function"):
            # Older files name a function without its module.
            name = inner.get(key) if isinstance(inner, dict) else None
            if isinstance(name, str) and name not in _keras_names():
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
        if not _is_from_keras(name, registered_name, module, is_function=is_function):
            name = name.rpartition(">")[2]
            needed.setdefault(
                registered_name, NeededObject(name, registered_name, layer, is_function)
            )
    return list(needed.values())


def find_objects(
    needed: list[NeededObject],
    given: Mapping[str, Any],
    notebook: Mapping[str, Any],
    file_name: str,
) -> dict[str, Any]:
    """The needed classes and functions, by every name that Keras may look for.

    Any object that the user passed is accepted; of the notebook's variables only Keras classes and
    the user's own functions.
    """
    registered = keras.saving.get_custom_objects()
    objects = dict(given)
    missing = []
    for need in needed:
        name, registered_name = need.name, need.registered_name
        value = given.get(registered_name, given.get(name, registered.get(registered_name)))
        if value is None and is_usable(notebook.get(name)):
            value = notebook[name]
        if value is None:
            missing.append(need)
        else:
            objects |= {registered_name: value, name: value}
    if missing:
        raise _missing_error(missing, {**notebook, **given}, file_name)
    return objects


def _missing_error(
    missing: list[NeededObject], variables: Mapping[str, Any], file_name: str
) -> PersistenceError:
    first = missing[0]
    name, what = first.name, "function" if first.is_function else "class"
    if first.layer in ("", name):
        user = "it"
    else:
        user = "its model" if first.layer == "model" else f"its layer {first.layer}"
    others = ", ".join(need.name for need in missing[1:])
    also = f" (also missing: {others})" if others else ""
    call = f"kmagic.load(path, custom_objects={{{name!r}: {name}}})"
    if variables.get(name) is not None:
        remedy = f"{name} in the notebook comes from a library. Pass it explicitly: {call}."
    else:
        usable = [variable for variable in variables if is_usable(variables[variable])]
        near = did_you_mean(name, usable)
        define = f"Define or import {name} and load the file again, or pass it: {call}."
        remedy = f"{near} {define}" if near else define
    return PersistenceError(
        f"{file_name} was not loaded: {user} needs the {what} {name}, which is not defined{also}.",
        remedy,
    )


def is_usable(value: Any) -> bool:
    """Whether a file may use a notebook variable by name: a Keras class or the user's function.

    Older files call functions with arguments of their own, and ``rmtree`` must not be among them.
    """
    if isinstance(value, type):
        return hasattr(value, "from_config") and hasattr(value, "get_config")
    if not isinstance(value, FunctionType):
        return False
    if value.__module__ == "__main__":
        return True
    source = getattr(sys.modules.get(value.__module__), "__file__", None)
    libraries = [
        sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")
    ]
    return source is not None and not any(
        Path(source).is_relative_to(folder) for folder in libraries
    )


def _has_code(config: Any) -> bool:
    """Whether a Lambda contains code, which Keras 2 writes as a list."""
    for key in ("function", "output_shape", "mask") if isinstance(config, dict) else ():
        value = config.get(key)
        if config.get(f"{key}_type") == "lambda":
            return True
        if isinstance(value, list):
            has_text = any(isinstance(item, str) for item in value)
            if key == "function" or has_text:
                return True
    return False


def _is_from_keras(name: str, registered_name: str, module: Any, *, is_function: bool) -> bool:
    if isinstance(module, str) and module.partition(".")[0] in _KERAS_PACKAGES:
        # Functions must be ones that compute: keras.utils has some that download and write files.
        return not is_function or name in _keras_names()
    return module is None and registered_name == name and name in _keras_names()


@cache
def _keras_names() -> frozenset[str]:
    """The names of everything that a configuration may contain, and of its classes."""
    modules = (
        *("layers", "models", "activations", "initializers", "regularizers", "constraints"),
        *("losses", "metrics", "optimizers", "ops", "dtype_policies", "random", "quantizers"),
    )
    namespaces = [getattr(keras, name) for name in modules if hasattr(keras, name)]
    names = {"Functional"}
    for namespace in (*namespaces, keras.optimizers.schedules):
        names |= set(dir(namespace))
        names |= {value.__name__ for value in vars(namespace).values() if isinstance(value, type)}
    return frozenset(names)


def _objects_in(config: Any, layer: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every object in a configuration, with the name of its layer."""
    if isinstance(config, dict):
        if "class_name" in config:
            inner = config.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            layer = name if isinstance(name, str) else layer or "model"
            yield config, layer
        for value in config.values():
            yield from _objects_in(value, layer)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _objects_in(value, layer)
