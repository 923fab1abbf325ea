"""What a model's configuration asks for, read before anything of it is made.

Code that travels in the file is refused in safe mode, whatever the installed Keras thinks of it.
Classes and functions are taken by name from the notebook; those that are missing are named.
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

from kmagic.support.errors import PersistenceError
from kmagic.support.suggestions import did_you_mean

UNSAFE = "--unsafe (in Python: safe_mode=False) loads it: only for a file that you made yourself."
_INTERNAL = frozenset(
    {"__numpy__", "__tensor__", "__keras_tensor__", "__bytes__", "__slice__", "__ellipsis__"}
    | {"__tuple__", "__typespec__", "TensorShape", "TypeSpec", "CompositeTensor"}
)
_KERAS = ("keras", "keras_hub", "keras_cv", "keras_nlp", "builtins", "tf_keras", "tensorflow")
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")


@dataclass(frozen=True, slots=True)
class Need:
    """A class or function that is not Keras's.

    Attributes:
        name: Of the class or function.
        registered: What it is registered as with Keras: "package>name"; else its name.
        where: The layer that needs it, or what it is there.
        is_function: Whether it is a function.
    """

    name: str
    registered: str
    where: str
    is_function: bool = False


def refuse_code(config: Any, name: str) -> None:
    """Refuse a configuration that brings code along, or reads other files.

    Args:
        config: The configuration, from JSON.
        name: Of the file, for the message.

    Raises:
        PersistenceError: It does; the message names the layer.
    """
    for part, layer in _parts(config):
        kind = part.get("class_name")
        inner = part.get("config")
        if kind == "__lambda__" or (kind == "Lambda" and _has_code(inner)):
            raise PersistenceError(
                f"{name} was not loaded: its layer {layer} is a Lambda whose Python code is in the "
                "file, and would run here.",
                "Nothing of it has run. Safe is a layer of keras.ops, or a function with a name "
                f"that the notebook defines. {UNSAFE}",
            )
        if kind == "TFSMLayer":
            raise PersistenceError(
                f"{name} was not loaded: its layer {layer} runs a SavedModel of TensorFlow from "
                "another file, which may read and write files.",
                UNSAFE,
            )
        words = inner.get("vocabulary") if isinstance(inner, dict) else None
        if kind in _LOOKUPS and isinstance(words, str) and words:
            raise PersistenceError(
                f"{name} was not loaded: its layer {layer} reads its words from another file, "
                f"{words}.",
                UNSAFE,
            )


def needs_of(config: Any) -> list[Need]:
    """The classes and functions of a configuration that are not Keras's, each once."""
    found: dict[str, Need] = {}
    for part, layer in _parts(config):
        for function in _functions_by_name(part.get("config")):
            found.setdefault(function, Need(function, function, layer, is_function=True))
        kind, module = part.get("class_name"), part.get("module")
        if not isinstance(kind, str) or kind in _INTERNAL or "__lambda__" in kind:
            continue
        is_function = kind == "function"
        name = part.get("config") if is_function else kind
        registered = part.get("registered_name") or name
        registered = name if registered == "function" else registered
        if not isinstance(name, str) or not isinstance(registered, str):
            continue
        if _is_keras(name, registered, module, is_function=is_function):
            continue
        name = name.rpartition(">")[2]
        found.setdefault(registered, Need(name, registered, layer, is_function))
    return list(found.values())


def _functions_by_name(config: Any) -> Iterator[str]:
    """Functions that older files give as a bare name, and that Keras has not."""
    for key in (
        ("activation", "recurrent_activation", "function") if isinstance(config, dict) else ()
    ):
        word = config.get(key)
        if isinstance(word, str) and not _in_keras(word):
            yield word


def objects_for(
    needs: list[Need], given: Mapping[str, Any], notebook: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """The classes and functions for what is needed, by every name that Keras may look for.

    Args:
        needs: From :func:`needs_of`.
        given: What the user gave by name; it is taken as it is.
        notebook: The notebook's names; of these only Keras classes and the user's own functions.
        name: Of the file, for the message.

    Raises:
        PersistenceError: One is missing.
    """
    import keras  # noqa: PLC0415 - takes seconds

    known = keras.saving.get_custom_objects()
    found = dict(given)
    missing = []
    for need in needs:
        value = given.get(need.registered, given.get(need.name, known.get(need.registered)))
        if value is None and may_serve(notebook.get(need.name)):
            value = notebook[need.name]
        if value is None:
            missing.append(need)
        else:
            found |= {need.registered: value, need.name: value}
    if missing:
        raise _missing(missing, {**notebook, **given}, name)
    return found


def _missing(missing: list[Need], names: Mapping[str, Any], name: str) -> PersistenceError:
    first = missing[0]
    what = "function" if first.is_function else "class"
    place = (
        f"its {first.where} needs" if first.where == "model" else f"its layer {first.where} needs"
    )
    if first.where == first.name or not first.where:
        place = "it needs"
    others = [each.name for each in missing[1:]]
    more = f", and {', '.join(others)}" if others else ""
    held = names.get(first.name)
    if held is not None:
        remedy = (
            f"{first.name} is here, but comes from a library: name it on purpose, "
            f"kmagic.load(path, custom_objects={{{first.name!r}: {first.name}}})."
        )
    else:
        near = did_you_mean(first.name, [each for each in names if may_serve(names[each])])
        remedy = f"{near} " * bool(near) + (
            f"Define or import {first.name} in a cell above and load again; in Python: "
            f"kmagic.load(path, custom_objects={{{first.name!r}: {first.name}}})."
        )
    return PersistenceError(
        f"{name} was not loaded: {place} the {what} {first.name}, which is not here{more}.", remedy
    )


def may_serve(value: Any) -> bool:
    """Whether a name of the notebook may serve a file: no function of a library by its name.

    Older files call functions with arguments of their own; ``rmtree`` must not be one of them.
    """
    if isinstance(value, type):
        return hasattr(value, "from_config") and hasattr(value, "get_config")
    if not isinstance(value, FunctionType):
        return False
    if value.__module__ == "__main__":
        return True
    place = getattr(sys.modules.get(value.__module__), "__file__", None)
    if not place:
        return False
    folders = [
        sysconfig.get_paths()[each] for each in ("stdlib", "platstdlib", "purelib", "platlib")
    ]
    return not any(Path(place).is_relative_to(folder) for folder in folders)


def _has_code(config: Any) -> bool:
    """Whether a Lambda carries code: Keras 2 has it as a list, its kind said beside it."""
    if not isinstance(config, dict):
        return False
    for key in ("function", "output_shape", "mask"):
        value = config.get(key)
        if config.get(f"{key}_type") == "lambda":
            return True
        if isinstance(value, list) and (key == "function" or any(map(_is_text, value))):
            return True
    return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_keras(name: str, registered: str, module: Any, *, is_function: bool) -> bool:
    if isinstance(module, str) and module.split(".", maxsplit=1)[0] in _KERAS:
        # Of functions only those that compute: keras.utils has some that fetch and write files.
        return not is_function or _in_keras(name)
    if module is None and registered == name:
        return _in_keras(name)
    return False


def _in_keras(name: str) -> bool:
    return name in _names_of_keras()


@cache
def _names_of_keras() -> frozenset[str]:
    """Names of all that a configuration may hold, those of the classes too: Keras writes these."""
    import keras  # noqa: PLC0415 - takes seconds

    places = ("layers", "models", "activations", "initializers", "regularizers", "constraints")
    others = ("losses", "metrics", "optimizers", "ops", "dtype_policies", "random", "quantizers")
    found = [getattr(keras, each) for each in (*places, *others) if hasattr(keras, each)]
    names = {"Functional"}
    for module in (*found, keras.optimizers.schedules):
        names |= set(dir(module))
        names |= {each.__name__ for each in vars(module).values() if isinstance(each, type)}
    return frozenset(names)


def _parts(config: Any, layer: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every object of a configuration, with the name of the layer it is in."""
    if isinstance(config, dict):
        if "class_name" in config:
            inner = config.get("config")
            own = inner.get("name") if isinstance(inner, dict) else None
            layer = own if isinstance(own, str) else layer or "model"
            yield config, layer
        for value in config.values():
            yield from _parts(value, layer)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _parts(value, layer)
