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

from kmagic.models.catalogue import OBJECT_ROLES, WEIGHT_ROLES, Role
from kmagic.support.keras_import import keras

BASES: dict[Role, str] = {
    "initializer": "initializers.Initializer",
    "regularizer": "regularizers.Regularizer",
    "constraint": "constraints.Constraint",
    "activation": "layers.Layer",
    "loss": "losses.Loss",
    "metric": "metrics.Metric",
    "optimizer": "optimizers.Optimizer",
    "schedule": "optimizers.schedules.LearningRateSchedule",
    "layer": "layers.Layer",
    "dtype": "dtype_policies.DTypePolicy",
    "quantizer": "quantizers.Quantizer",
    "seed": "random.SeedGenerator",
}
"""What a class must be derived from, so that a text may create its objects in a role."""
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
