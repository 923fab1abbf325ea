"""What a text and a file may create and call: one policy for texts, configurations and metadata.

A text creates objects of Keras, and of the user's subclasses of Keras's classes, where they fit. It
never calls anything else. What comes from a file must not run code or read other files, either.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from types import FunctionType
from typing import Any

from kmagic.models.catalogue import MODULES, OBJECT_ROLES, WEIGHT_ROLES, Role
from kmagic.support.keras_import import keras

BASES: dict[Role, str] = {
    **{role: f"{module}.{role.title()}" for role, module in MODULES.items()},
    "activation": "layers.Layer",
    "schedule": "optimizers.schedules.LearningRateSchedule",
    "dtype": "dtype_policies.DTypePolicy",
    "seed": "random.SeedGenerator",
}
"""What a class must be derived from, so that a text may create its objects in a role."""
_MODEL_PARTS = (
    *BASES.values(),
    *("Operation", "quantizers.QuantizationConfig", "distillation.DistillationLoss"),
    "optimizers.legacy.Adagrad",  # stands for all optimizers of Keras 2
)
"""What a class of Keras must be derived from, so that a file may name it."""
_COMPUTING = (
    *("ops", "activations", "losses", "metrics", "random", "layers", "backend", "applications"),
    *("initializers", "regularizers", "constraints", "utils.numerical_utils", "quantizers"),
)
"""Modules of Keras whose functions compute, and neither read nor write files."""
_CODE_CLASSES = {
    "TFSMLayer": "runs a TensorFlow SavedModel from another file, which can read and write files",
    "TorchModuleWrapper": "contains a pickled PyTorch module, which can run any code",
}
_CODE = "is a Lambda whose Python code is in the file and would run here"


# --- objects and functions of the notebook --------------------------------------------------------


def can_create(value: Any, role: Role) -> bool:
    """Whether a text may create an object of a class of the notebook, ``NAME(...)``.

    Example:
        >>> import subprocess
        >>> can_create(keras.losses.Huber, "loss"), can_create(subprocess.Popen, "any")
        (True, False)
    """
    roles: Iterable[Role] = (role,)
    if role in WEIGHT_ROLES:  # Keras accepts each in place of the others
        roles = WEIGHT_ROLES
    elif role not in BASES:
        roles = OBJECT_ROLES
    bases = tuple(attrgetter(BASES[each])(keras) for each in roles)
    return isinstance(value, type) and issubclass(value, bases)


def can_compute(value: Any) -> bool:
    """Whether a text may have a function of the notebook called with tensors.

    Functions of the user's own and of libraries may; those of Python itself, and Keras's functions
    for files, may not.

    Example:
        >>> import shutil
        >>> can_compute(keras.ops.relu), can_compute(keras.utils.get_file)
        (True, False)
        >>> can_compute(shutil.rmtree), can_compute(lambda x: x + 1)
        (False, True)
    """
    if isinstance(value, functools.partial):
        return can_compute(value.func)
    module = getattr(value, "__module__", None) or type(value).__module__
    if isinstance(value, FunctionType):
        module = value.__globals__.get("__name__") or ""  # "builtins" in executed code
    package = module.partition(".")[0]
    if inspect.isbuiltin(value) or package in sys.stdlib_module_names:
        return False
    return package != "keras" or module.removeprefix("keras.src.").startswith(_COMPUTING)


# --- what comes from a file -----------------------------------------------------------------------


def unsafe_part(class_names: Iterable[Any], config: Any) -> str:
    """Why an object must not be created from a file, as the end of a sentence; "" if it may.

    Args:
        class_names: Names of its class, perhaps with modules or a package.
        config: Its arguments, by name.

    Example:
        >>> unsafe_part(["StringLookup"], {"vocabulary": "/etc/passwd"})
        'reads its vocabulary from another file, /etc/passwd'
        >>> unsafe_part(["StringLookup"], {"vocabulary": ["a", "b"]})
        ''
    """
    names = {_last_part(name) for name in class_names if isinstance(name, str)}
    if "__lambda__" in names or ("Lambda" in names and _has_code(config)):
        return _CODE
    for name in names & _CODE_CLASSES.keys():
        return _CODE_CLASSES[name]
    vocabulary = config.get("vocabulary") if isinstance(config, Mapping) else None
    if isinstance(vocabulary, str | bytes) and vocabulary:
        return f"reads its vocabulary from another file, {vocabulary!s}"
    return ""


def unsafe_object(part: Mapping[str, Any]) -> str:
    """Why a configuration of Keras must not be created from a file; "" if it may.

    Keras would return any of its functions that is named like a class, and layers call what they
    get: to download a file, or to change settings of the process.

    Example:
        >>> unsafe_object({"module": "keras.models", "class_name": "clone_model", "config": {}})
        'names keras.models.clone_model, which is not part of a model'
    """
    module, kind = part.get("module"), part.get("class_name")
    if reason := unsafe_part((kind, part.get("registered_name")), part.get("config")):
        return reason
    if kind == "__typespec__" and str(module).partition(".")[0] != "tensorflow":
        return f"names {module}.{part.get('spec_name')}, which is not a type of TensorFlow"
    if kind != "function" and isinstance(module, str) and module.partition(".")[0] == "keras":
        value = _attribute(keras, f"{module}.{kind}".partition(".")[2])
        bases = tuple(filter(None, (_attribute(keras, name) for name in _MODEL_PARTS)))
        if value is not None and not (isinstance(value, type) and issubclass(value, bases)):
            return f"names {module}.{kind}, which is not part of a model"
    return ""


def _attribute(value: Any, path: str) -> Any:
    """An attribute of an attribute, None if there is none; nothing is imported."""
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def is_code(reason: str) -> bool:
    """Whether a reason of :func:`unsafe_part` is Python code in the file."""
    return reason == _CODE


def objects_in(config: Any, layer: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every object in a configuration of Keras, with the name of its layer."""
    if isinstance(config, dict):
        if "class_name" in config:
            inner = config.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            layer = name if isinstance(name, str) else layer or "model"
            yield config, layer
        for value in config.values():
            yield from objects_in(value, layer)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from objects_in(value, layer)


def _last_part(name: str) -> str:
    return name.rpartition(">")[2].rpartition(".")[2]


def _has_code(config: Any) -> bool:
    """Whether a Lambda contains code, which Keras 2 writes as a list."""
    for key in ("function", "output_shape", "mask") if isinstance(config, Mapping) else ():
        value = config.get(key)
        if config.get(f"{key}_type") == "lambda":
            return True
        if isinstance(value, list):
            has_text = any(isinstance(item, str) for item in value)
            if key == "function" or has_text:
                return True
    return False
