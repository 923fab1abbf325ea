"""The function of ``keras.ops`` that makes an operation in a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras

from kmagic.models.decompile.config_values import UnwritableError, comparable, same
from kmagic.models.keras_history import KerasCall, call_of, is_keras_tensor, keras_tensors

_MODULES = ("", "nn", "numpy", "image", "linalg", "math")
_FUNCTION_NAMES = {
    "BatchNorm": "batch_normalization",
    "LayerNorm": "layer_normalization",
    "RMSNorm": "rms_normalization",
}


@dataclass(frozen=True, slots=True)
class OpsCall:
    """A call that makes an operation.

    Attributes:
        word: The function's word, with ``ops.``.
        function: The function.
        inputs: Positional arguments, tensors among them.
        kwargs: Keyword arguments.
    """

    word: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any]


def ops_call(call: KerasCall) -> OpsCall:
    """The call of a function of ``keras.ops`` that makes this call's operation.

    Raises:
        UnwritableError: No function makes it.
    """
    name = type(call.operation).__name__
    key = _FUNCTION_NAMES.get(name, name).replace("_", "").lower()
    for word, function in _functions().get(key, ()):
        ops_call = _arranged(word, function, call)
        if ops_call is not None and _makes(ops_call, call):
            return ops_call
    raise UnwritableError(f"no function of keras.ops makes the operation {name}")


@cache
def _functions() -> dict[str, list[tuple[str, Callable[..., Any]]]]:
    """Words and functions of ``keras.ops`` by name without underscores, the shortest word first."""
    functions: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
    for module in _MODULES:
        namespace = getattr(keras.ops, module, None) if module else keras.ops
        for name, value in vars(namespace).items() if namespace else ():
            if not name.startswith("_") and inspect.isfunction(value):
                word = ".".join(filter(None, ("ops", module, name)))
                functions.setdefault(name.replace("_", ""), []).append((word, value))
    return functions


def _arranged(word: str, function: Callable[..., Any], call: KerasCall) -> OpsCall | None:
    """The call's arguments and the operation's config in the order of a function's parameters."""
    arguments = call.node.arguments
    try:
        bound = inspect.signature(call.operation.call).bind(*arguments.args, **arguments.kwargs)
        given = dict(call.operation.get_config())
    except (TypeError, NotImplementedError):
        return None
    given.pop("name", None)
    variadic: tuple[Any, ...] = ()
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        else:
            given[name] = value
    inputs: list[Any] = []
    kwargs: dict[str, Any] = {}
    params = list(inspect.signature(function).parameters.values())
    last_tensor = max(
        (index for index, param in enumerate(params) if keras_tensors(given.get(param.name))),
        default=-1,
    )
    for index, param in enumerate(params):
        if param.kind is param.VAR_POSITIONAL:
            inputs += variadic
            last_tensor = index
        elif param.name not in given:
            continue
        elif param.kind is param.KEYWORD_ONLY or (index > last_tensor and not variadic):
            if param.default is param.empty or not same(
                comparable(given[param.name]), comparable(param.default)
            ):
                kwargs[param.name] = given[param.name]
        elif len(inputs) == index:
            inputs.append(given[param.name])
        else:
            kwargs[param.name] = given[param.name]
    return OpsCall(word, function, tuple(inputs), kwargs)


def _makes(ops_call: OpsCall, call: KerasCall) -> bool:
    """Whether calling the function gives the same operation with the same arguments."""
    stand_ins: dict[int, Any] = {}
    try:
        result = ops_call.function(
            *_with_stand_ins(ops_call.inputs, stand_ins),
            **_with_stand_ins(ops_call.kwargs, stand_ins),
        )
        other = call_of(keras.tree.flatten(result)[0])
    except Exception:  # noqa: BLE001 - whatever it raises, it is not the function
        return False
    expected, actual = call.node.arguments, other.node.arguments
    return (
        type(other.operation) is type(call.operation)
        and same(
            comparable(_with_stand_ins((expected.args, expected.kwargs), stand_ins)),
            comparable((actual.args, actual.kwargs)),
        )
        and same(_settings(other.operation), _settings(call.operation))
    )


def _settings(operation: Any) -> dict[str, Any]:
    config = operation.get_config()
    return {key: comparable(value) for key, value in config.items() if key != "name"}


def _with_stand_ins(value: Any, stand_ins: dict[int, Any]) -> Any:
    """A value with new tensors instead of the model's, which must not gain calls."""

    def replaced(leaf: Any) -> Any:
        if not is_keras_tensor(leaf):
            return leaf
        if id(leaf) not in stand_ins:
            stand_ins[id(leaf)] = keras.KerasTensor(leaf.shape, leaf.dtype)
        return stand_ins[id(leaf)]

    return keras.tree.map_structure(replaced, value)
