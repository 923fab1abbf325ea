"""How Keras remembers a model: which layer was called on what. All of it is private to Keras."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from kmagic.models.decompile.object_kinds import is_layer, is_tensor


def origin(tensor: Any) -> tuple[Any, int]:
    """The operation that gave a tensor, and which of its calls it was."""
    history = tensor._keras_history
    return history.operation, history.node_index


def tensors(value: Any) -> list[Any]:
    """All symbolic tensors in a structure, in their order."""
    if is_tensor(value):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [found for item in value for found in tensors(item)]
    return []


def call_arguments(node: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a layer was called with, without what Keras itself puts into every call."""
    args, kwargs = node.arguments.args, dict(node.arguments.kwargs)
    layer = node.operation
    if not is_layer(layer) or not kwargs:
        return args, kwargs
    automatic = _automatic(layer, args, kwargs)
    if not layer._convert_input_args:
        left = {
            name: value
            for name, value in kwargs.items()
            if name not in automatic or not _identical(automatic[name], value)
        }
        return args, left
    is_plain = (
        len(args) == 1
        and is_tensor(args[0])
        and args[0].dtype == layer.input_dtype
        and kwargs.keys() == automatic.keys()
        and all(_identical(automatic[name], kwargs[name]) for name in kwargs)
    )
    return args, {} if is_plain else kwargs


def _automatic(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What Keras adds to a call: defaults of ``training`` and the like, and masks."""
    found: dict[str, Any] = {}
    params = layer._call_signature.parameters
    for name in layer._call_context_args:
        if name in params and params[name].default not in (None, inspect.Parameter.empty):
            found[name] = params[name].default
    given = {
        name: value
        for name, value in kwargs.items()
        if name != "mask" and not name.endswith("_mask")
    }
    try:
        bound = layer._call_signature.bind(*args, **given)
    except TypeError:
        return found
    taken = {name: value for name, value in bound.arguments.items() if tensors(value)}
    if len(taken) == 1 and "mask" in params:
        found["mask"] = _masks(next(iter(taken.values())))
    elif len(taken) > 1:
        found |= {
            f"{name}_mask": _masks(value)
            for name, value in taken.items()
            if f"{name}_mask" in params
        }
    return found


def _masks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masks(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masks(item) for item in value)
    return getattr(value, "_keras_mask", None)


def _identical(first: Any, second: Any) -> bool:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_identical, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(
            _identical(first[key], second[key]) for key in first
        )
    if is_tensor(first) or is_tensor(second):
        return first is second
    return type(first) is type(second) and bool(first == second)


def node_of(operation: Any, index: int) -> Any:
    """One call of an operation."""
    return operation._inbound_nodes[index]


def belongs(model: Any, operation: Any, index: int) -> bool:
    """Whether a call of an operation is one of a functional model's."""
    return index >= 0 and f"{id(operation)}_ib-{index}" in model._nodes


def place_of(tensor: Any) -> int:
    """Which of its operation's outputs a tensor is."""
    return int(tensor._keras_history.tensor_index)


def structures(model: Any) -> tuple[Any, Any]:
    """A functional model's inputs and outputs as they were given."""
    return model._inputs_struct, model._outputs_struct


def stack(model: Any) -> list[Any]:
    """A sequential model's layers, the input layer too."""
    return list(model._layers)
