"""How Keras records a model: which layer was called on which tensors.

Keras has no public access to this. All reads of its private records are in this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kmagic.support.keras_import import keras


class KerasCall(NamedTuple):
    """One call of a layer or operation.

    Attributes:
        operation: The layer, or the operation of ``keras.ops``.
        call_index: Which of its calls; a shared layer has several.
    """

    operation: Any
    call_index: int

    @property
    def node(self) -> Any:
        """Keras's own record of the call."""
        return self.operation._inbound_nodes[self.call_index]

    @property
    def inputs(self) -> list[Any]:
        """The tensors among its arguments."""
        return list(self.node.input_tensors)

    @property
    def outputs(self) -> list[Any]:
        """The tensors it returned."""
        return list(self.node.outputs)

    @property
    def sources(self) -> list[KerasCall]:
        """The calls that its inputs come from."""
        return calls_of(self.inputs)

    def previous_in(self, model: Any) -> list[KerasCall]:
        """The last call of the same operation before this one within a functional model."""
        for index in reversed(range(self.call_index)):
            if f"{id(self.operation)}_ib-{index}" in model._nodes:
                return [KerasCall(self.operation, index)]
        return []

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Its arguments, without those that Keras adds to every call."""
        args, kwargs = self.node.arguments.args, dict(self.node.arguments.kwargs)
        layer = self.operation
        if not is_layer(layer) or not kwargs:
            return args, kwargs
        added = _added_by_keras(layer, args, kwargs)
        if not layer._convert_input_args:
            given = {
                name: value
                for name, value in kwargs.items()
                if name not in added or not _identical(added[name], value)
            }
            return args, given
        is_plain = len(args) == 1 and is_keras_tensor(args[0]) and _identical(added, kwargs)
        return args, {} if is_plain and args[0].dtype == layer.input_dtype else kwargs


def call_of(tensor: Any) -> KerasCall:
    """The call that returned a tensor."""
    history = tensor._keras_history
    return KerasCall(history.operation, history.node_index)


def calls_of(tensors: Iterable[Any]) -> list[KerasCall]:
    """The calls that returned some tensors; one that no call returned is left out."""
    return [call for call in map(call_of, tensors) if call.operation is not None]


def output_index(tensor: Any) -> int:
    """Which of its call's outputs a tensor is."""
    return int(tensor._keras_history.tensor_index)


def calls_before(
    outputs: Iterable[Any], sources: Callable[[KerasCall], list[KerasCall]] | None = None
) -> Iterator[KerasCall]:
    """All calls that lead to some tensors, each after its sources, branch after branch.

    Args:
        outputs: The tensors.
        sources: The calls that a call depends on, in the order to follow them; default: the calls
            that its inputs come from.
    """
    done: set[KerasCall] = set()
    pending = [(call, False) for call in reversed(calls_of(outputs))]
    while pending:  # a loop: deep models exceed Python's recursion limit
        call, is_ready = pending.pop()
        if call in done:
            continue
        if is_ready:
            done.add(call)
            yield call
            continue
        pending.append((call, True))
        before = call.sources if sources is None else sources(call)
        pending += [(source, False) for source in reversed(before)]


def running_order(model: Any) -> list[KerasCall]:
    """All calls of a functional model, in the order in which it runs them."""
    depths = sorted(model._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, nodes in depths for node in nodes if node.operation is not None]
    return [KerasCall(node.operation, _call_index(node)) for node in nodes]


def _call_index(node: Any) -> int:
    return next(i for i, other in enumerate(node.operation._inbound_nodes) if other is node)


def operation_of(value: Any) -> Any:
    """The input layer of an input tensor; any other value itself."""
    history = getattr(value, "_keras_history", None)
    return value if history is None else history.operation


def call_inputs(layer: Any) -> list[Any]:
    """The tensors that a layer has been called on."""
    return [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]


def is_connected(layer: Any) -> bool:
    """Whether a layer has been called on a symbolic tensor."""
    return bool(layer._inbound_nodes)


def keras_tensors(value: Any) -> list[Any]:
    """All symbolic tensors in nested lists, tuples and dictionaries."""
    if is_keras_tensor(value):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in keras_tensors(item)]
    return []


def with_items(value: Any, items: Iterable[Any]) -> Any:
    """The items as a tuple or a list, whichever a value is.

    TensorFlow's own lists, in which Keras keeps those of layers, cannot be made from an iterator.
    """
    return tuple(items) if isinstance(value, tuple) else list(items)


def input_structure(model: Any) -> Any:
    """A functional model's inputs, nested as they were given."""
    return model._inputs_struct


def build_shapes(model: Any) -> list[Any]:
    """The shapes of the arguments that a subclassed model was first called with."""
    return list((getattr(model, "_build_shapes_dict", None) or {}).values())


def output_structure(model: Any) -> Any:
    """A functional model's outputs, nested as they were given."""
    return model._outputs_struct


def sublayers(layer: Any) -> list[Any]:
    """The layers directly in a layer; in a sequential model its input layer too."""
    return list(getattr(layer, "_layers", None) or ())


def flat_layers(layer: Any) -> list[Any]:
    """A layer and everything inside it: layers of nested models, of wrappers, of cells."""
    flatten = getattr(layer, "_flatten_layers", None)
    return list(flatten()) if callable(flatten) else [layer]


@contextmanager
def losses_kept(model: Any) -> Iterator[None]:
    """Restore the losses that the last call of a model has added to its layers."""
    before = [(x, x._losses[:], set(x._loss_ids)) for x in flat_layers(model)]
    try:
        yield
    finally:
        for layer, losses, ids in before:
            layer._losses[:] = losses
            layer._loss_ids = ids


def nested_layers(model: Any) -> Iterator[Any]:
    """A model's layers; those of a nested model follow it."""
    layers = getattr(model, "layers", ())
    for layer in layers if isinstance(layers, list | tuple) else ():  # a user's own may be a number
        yield layer
        yield from nested_layers(layer)


def functional_of(model: Any) -> Any:
    """The functional model that a model is, or that a built sequential one has; else None."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None) if model.built else None
    has_graph = getattr(model, "_nodes", None) and getattr(model, "outputs", None)
    return model if has_graph and is_model(model) else None


def is_model(value: Any) -> bool:
    """Whether a layer is a model."""
    return isinstance(value, keras.Model)


def is_layer(value: Any) -> bool:
    """Whether an operation is a layer, not a function of ``keras.ops``."""
    return isinstance(value, keras.layers.Layer)


def is_input_layer(value: Any) -> bool:
    """Whether a layer is a model's input."""
    return isinstance(value, keras.layers.InputLayer)


def is_keras_tensor(value: Any) -> bool:
    """Whether a value is a symbolic tensor."""
    return type(value).__name__ == "KerasTensor"


def _added_by_keras(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that Keras adds to a call: defaults such as ``training``, and masks."""
    params = layer._call_signature.parameters
    added = {
        name: params[name].default
        for name in layer._call_context_args
        if name in params and params[name].default not in (None, inspect.Parameter.empty)
    }
    given = {name: value for name, value in kwargs.items() if not f"_{name}".endswith("_mask")}
    try:
        bound = layer._call_signature.bind(*args, **given)
    except TypeError:
        return added
    inputs = {name: value for name, value in bound.arguments.items() if keras_tensors(value)}
    if len(inputs) == 1 and "mask" in params:
        added["mask"] = _masks(next(iter(inputs.values())))
    elif len(inputs) > 1:
        masks = {f"{name}_mask": _masks(value) for name, value in inputs.items()}
        added |= {name: mask for name, mask in masks.items() if name in params}
    return added


def _masks(value: Any) -> Any:
    return keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), value)


def _identical(first: Any, second: Any) -> bool:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_identical, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(
            _identical(first[key], second[key]) for key in first
        )
    if is_keras_tensor(first) or is_keras_tensor(second):
        return first is second
    return type(first) is type(second) and bool(first == second)
