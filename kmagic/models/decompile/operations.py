"""An operation of keras.ops to the function that makes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from kmagic.models.decompile.config_values import Unwritable
from kmagic.models.decompile.configs import comparable, same
from kmagic.models.decompile.object_kinds import is_tensor

_MODULES = ("", "nn", "numpy", "image", "linalg", "math")
_OTHER_NAMES = {
    "BatchNorm": "batch_normalization",
    "LayerNorm": "layer_normalization",
    "RMSNorm": "rms_normalization",
}


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that makes an operation.

    Attributes:
        word: As it is written, with ``ops.``.
        function: The function.
        inputs: Positional arguments, tensors among them.
        kwargs: The others.
    """

    word: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any]


def function_call(node: Any) -> FunctionCall:
    """The call of keras.ops that makes a node's operation.

    Raises:
        Unwritable: No function of keras.ops makes it.
    """
    operation = node.operation
    for word, function in _candidates(type(operation).__name__):
        found = _attempt(word, function, node)
        if found is not None:
            return found
    raise Unwritable(f"no function of keras.ops makes the operation {type(operation).__name__}")


@cache
def _functions() -> dict[str, list[tuple[str, Callable[..., Any]]]]:
    """Squeezed name -> words and functions, the shortest word first."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    found: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
    for module in _MODULES:
        place = getattr(keras.ops, module, None) if module else keras.ops
        for name, value in vars(place).items() if place else ():
            if not name.startswith("_") and inspect.isfunction(value):
                word = ".".join(filter(None, ("ops", module, name)))
                found.setdefault(name.replace("_", ""), []).append((word, value))
    return found


def _candidates(class_name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    name = _OTHER_NAMES.get(class_name, class_name)
    yield from _functions().get(name.replace("_", "").lower(), ())


def _attempt(word: str, function: Callable[..., Any], node: Any) -> FunctionCall | None:
    """The call, if the function with the node's arguments makes this very operation."""
    call = _arranged(word, function, node)
    if call is None:
        return None
    stand_ins: dict[int, Any] = {}
    try:
        made = function(*_replaced(call.inputs, stand_ins), **_replaced(call.kwargs, stand_ins))
        history = _first_tensor(made)._keras_history  # noqa: SLF001 - where Keras keeps the graph
    except Exception:  # noqa: BLE001 - whatever it raises, it is not the function
        return None
    other = history.operation._inbound_nodes[history.node_index]  # noqa: SLF001 - as above
    if type(history.operation) is not type(node.operation):
        return None
    wanted = (node.arguments.args, node.arguments.kwargs)
    if not _same_arguments(
        _replaced(wanted, stand_ins), (other.arguments.args, other.arguments.kwargs)
    ):
        return None
    return call if same(_settings(history.operation), _settings(node.operation)) else None


def _arranged(word: str, function: Callable[..., Any], node: Any) -> FunctionCall | None:
    """The node's arguments and the operation's settings in the function's order."""
    operation = node.operation
    try:
        bound = inspect.signature(operation.call).bind(
            *node.arguments.args, **node.arguments.kwargs
        )
        settings = operation.get_config()
    except (TypeError, NotImplementedError):
        return None
    settings.pop("name", None)
    spread: tuple[Any, ...] = ()
    given = dict(settings)
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            spread = value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        else:
            given[name] = value
    inputs: list[Any] = []
    kwargs: dict[str, Any] = {}
    params = list(inspect.signature(function).parameters.values())
    last = max(
        (place for place, each in enumerate(params) if _holds_tensor(given.get(each.name))),
        default=-1,
    )
    for place, param in enumerate(params):
        if param.kind is param.VAR_POSITIONAL:
            inputs += spread
            last = place
        elif param.name not in given:
            continue
        elif param.kind is param.KEYWORD_ONLY or (place > last and not spread):
            if param.default is param.empty or not same(
                comparable(given[param.name]), comparable(param.default)
            ):
                kwargs[param.name] = given[param.name]
        elif len(inputs) == place:
            inputs.append(given[param.name])
        else:
            kwargs[param.name] = given[param.name]
    return FunctionCall(word, function, tuple(inputs), kwargs)


def _settings(operation: Any) -> dict[str, Any]:
    config = operation.get_config()
    return {key: comparable(value) for key, value in config.items() if key != "name"}


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_tensor, value))
    if isinstance(value, dict):
        return any(map(_holds_tensor, value.values()))
    return is_tensor(value)


def _replaced(value: Any, stand_ins: dict[int, Any]) -> Any:
    """A value with fresh tensors in the place of the model's, which must not gain nodes."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    if isinstance(value, list | tuple):
        return type(value)(_replaced(item, stand_ins) for item in value)
    if isinstance(value, dict):
        return {key: _replaced(item, stand_ins) for key, item in value.items()}
    if is_tensor(value):
        if id(value) not in stand_ins:
            stand_ins[id(value)] = keras.KerasTensor(value.shape, value.dtype)
        return stand_ins[id(value)]
    return value


def _first_tensor(value: Any) -> Any:
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return keras.tree.flatten(value)[0]


def _same_arguments(first: Any, second: Any) -> bool:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_same_arguments, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _same_arguments(first[key], second[key]) for key in first
        )
    if is_tensor(first) or is_tensor(second) or isinstance(first, slice):
        return first is second or (isinstance(first, slice) and bool(first == second))
    return same(comparable(first), comparable(second))
