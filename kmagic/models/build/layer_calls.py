"""How a layer or function takes its inputs: one by one, or together in a list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kmagic.models.catalogue import takes_input_list


@dataclass(slots=True)
class FunctionCall:
    """A function from the notebook or keras.ops, with its arguments, applied like a layer."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", "function")


def takes(function: Callable[..., Any], args: list[Any], named: dict[str, Any]) -> bool:
    """Whether a function of one input takes these arguments behind it."""
    try:
        inspect.signature(function).bind(None, *args, **named)
    except TypeError:
        return False
    return True


def call_layer(layer: Any, inputs: list[Any], named: dict[str, Any]) -> Any:
    """Apply a layer or function to its inputs."""
    if isinstance(layer, FunctionCall):
        args = (
            [inputs]
            if len(inputs) > 1 and takes_input_list(layer.function, len(inputs))
            else inputs
        )
        return layer.function(*args, *layer.args, **layer.kwargs, **named)
    if len(inputs) > 1 and takes_input_list(layer.call, len(inputs)):
        return layer(inputs, **named)
    return layer(*inputs, **named)
