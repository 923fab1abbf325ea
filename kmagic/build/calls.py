"""How a layer or function takes its inputs: one by one, or together in a list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LIST_NAMES = frozenset({"inputs", "xs", "arrays", "tensors", "values"})
"""Names that Keras gives to a first parameter that holds all inputs together."""
NOT_INPUTS = frozenset({"training", "mask"})


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


def call_layer(layer: Any, inputs: list[Any], named: dict[str, Any]) -> Any:
    """Apply a layer or function to its inputs."""
    if isinstance(layer, FunctionCall):
        args = [inputs] if len(inputs) > 1 and _wants_list(layer.function, len(inputs)) else inputs
        return layer.function(*args, *layer.args, **layer.kwargs, **named)
    if len(inputs) > 1 and _wants_list(layer.call, len(inputs)):
        return layer(inputs, **named)
    return layer(*inputs, **named)


def _wants_list(function: Callable[..., Any], count: int) -> bool:
    try:
        params = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(each.kind is each.VAR_POSITIONAL for each in params):
        return False
    places = [
        each
        for each in params
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.name not in NOT_INPUTS
    ]
    if not places:
        return False
    if places[0].name in LIST_NAMES and (
        len(places) == 1 or places[1].default is not inspect.Parameter.empty
    ):
        return True
    return len(places) < count
