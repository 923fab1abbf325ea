"""The memory of a model's activations, from its traced graph.

An activation is a tensor that depends on the inputs or on random numbers; weights are none. A view
such as the result of a reshape takes no memory of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from kmagic.evaluation.cost.operation_flops import (
    CALLS,
    ELEMENTWISE,
    LOOPS,
    function_graph,
    trip_count,
)
from kmagic.evaluation.cost.traced_model import TracedModel

_VIEWS = {"ExpandDims", "Identity", "PreventGradient", "Reshape", "Squeeze", "StopGradient"}
_OF_SHAPES = {"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"}
"""They read no values."""
_FUNCTIONS = dict.fromkeys(CALLS, "f") | dict.fromkeys(LOOPS, "body")
"""The operations that run a graph of their own."""


class UnknownSizeError(Exception):
    """The size of an activation depends on values; the message says which operation computes it."""


def kept_bytes(traced: TracedModel) -> Counter[int]:
    """The activations that the backward pass reads, in bytes by the call that computes them.

    Raises:
        UnknownSizeError: The size of one of them is unknown.
    """
    active = _activations(traced.forward, traced.inputs)
    owner: dict[Any, int] = dict(zip(traced.forward, traced.owners, strict=True))
    for tensor, index in zip(traced.inputs, traced.input_calls, strict=True):
        owner[tensor.op] = index
    kept: Counter[int] = Counter()
    seen: set[int] = set()
    for operation in traced.backward:
        for tensor in () if operation.type in _OF_SHAPES else operation.inputs:
            source = _buffer(tensor)
            key = id(_stored(source))
            if id(source) in active and source.op in owner and key not in seen:
                seen.add(key)
                kept[owner[source.op]] += _bytes(source)
    return kept


def peak_bytes(operations: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """The largest sum of activations that exist at a time if the operations run one by one.

    The inputs and the outputs exist until the end. An elementwise operation writes its result over
    an input that nothing else reads.

    Raises:
        UnknownSizeError: The size of an activation is unknown.
    """
    last: dict[int, int] = {}
    for index, tensors in enumerate([*(each.inputs for each in operations), [*inputs, *outputs]]):
        last |= dict.fromkeys((id(_buffer(tensor)) for tensor in tensors), index)
    held = {id(tensor): _bytes(tensor) for tensor in inputs}
    peak = current = sum(held.values())
    alive: dict[int, int] = {}
    counted = (_activations(operations, inputs) - held.keys()) & last.keys()
    for index, operation in enumerate(operations):
        sources = {id(_buffer(tensor)) for tensor in operation.inputs} & alive.keys()
        freed = [alive.pop(key) for key in sources if last[key] == index]
        new = {
            id(tensor): _bytes(tensor)
            for tensor in operation.outputs
            if id(tensor) in counted and _buffer(tensor) is tensor
        }
        reusable = set(new.values()) & set(freed) if operation.type in ELEMENTWISE else set()
        reused = max(reusable, default=0)
        peak = max(peak, current + sum(new.values()) - reused + _inner_peak(operation))
        current += sum(new.values()) - sum(freed)
        alive |= new
    return peak


def _activations(operations: Iterable[Any], inputs: Iterable[Any]) -> set[int]:
    """The ids of the tensors that depend on the inputs or on random numbers."""
    active = {id(tensor) for tensor in inputs}
    for operation in operations:
        is_random = "Random" in operation.type or operation.type == "StatelessMultinomial"
        if is_random or any(id(tensor) in active for tensor in operation.inputs):
            active.update(id(tensor) for tensor in operation.outputs)
    return active


def _inner_peak(operation: Any) -> int:
    """The peak within a function or one iteration of a loop, without its inputs."""
    if operation.type not in _FUNCTIONS:
        return 0
    graph = function_graph(operation, operation.get_attr(_FUNCTIONS[operation.type]))
    inputs = [tensor for tensor in graph.inputs if tensor.dtype.name != "resource"]
    return peak_bytes(graph.get_operations(), inputs, ()) - sum(map(_bytes, inputs))


def _buffer(tensor: Any) -> Any:
    """The tensor whose memory a tensor uses."""
    while tensor.op.type in _VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor


def _stored(tensor: Any) -> Any:
    """What a loop adds to a list in each iteration; of any other tensor itself."""
    if tensor.dtype.name != "variant" or tensor.op.type not in LOOPS:
        return tensor
    loop, index = tensor.op, list(map(id, tensor.op.outputs)).index(id(tensor))
    body = function_graph(loop, loop.get_attr("body"))
    update = _buffer(body.outputs[index]).op
    if update.type in ("TensorListPushBack", "TensorListSetItem"):
        return _buffer(update.inputs[-1])
    return _stored(_buffer(loop.inputs[index]))


def _bytes(tensor: Any) -> int:
    """The size of a tensor; of a list, that of its elements."""
    if tensor.dtype.name == "resource":
        return 0
    if tensor.dtype.name != "variant":
        if not tensor.shape.is_fully_defined():
            raise UnknownSizeError(f"{tensor.op.type} of unknown shape")
        size: int = math.prod(tensor.shape.as_list()) * tensor.dtype.size
        return size
    if tensor.op.type == "TensorListFromTensor":
        return _bytes(tensor.op.inputs[0])
    if tensor.op.type not in LOOPS:
        return 0  # a list that a loop fills, or hands on
    stored = _stored(tensor)
    if stored.op.type == "ReadVariableOp":  # the weight itself, not a copy
        return 0
    if stored.graph is tensor.graph:
        return _bytes(stored)
    trips = trip_count(tensor.op)
    if trips is None:
        raise UnknownSizeError("loop of unknown length")
    return trips * _bytes(stored)
