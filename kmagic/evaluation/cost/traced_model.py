"""A model as a TensorFlow graph, with the call of a layer that each operation belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from kmagic.models.keras_history import (
    KerasCall,
    call_of,
    functional_of,
    losses_kept,
    running_order,
)
from kmagic.training.validation.fit_errors import main_sentence

OWN = -1
"""The owner of what a model computes outside of its layers."""


class ModelCallError(Exception):
    """A model raised the exception that is the cause of this one; the message describes it."""


@dataclass(slots=True)
class TracedModel:
    """The operations of a model, in the order of their creation.

    Attributes:
        forward: The operations from the inputs to the outputs.
        owners: For each of them the index in ``calls``, or ``OWN``.
        calls: The calls of the layers; for a model without a known graph each of its layers once,
            with the call index 0.
        inputs: The tensors of the model's inputs.
        input_calls: For each of them the index of the call of its input layer, or ``OWN``.
        outputs: The tensors of its outputs.
        backward: The operations that compute the gradients of the weights.
        shapes: The shape of the output of each call.
    """

    calls: list[KerasCall]
    forward: list[Any] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    input_calls: list[int] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    backward: list[Any] = field(default_factory=list)
    shapes: dict[int, Any] = field(default_factory=dict)

    def needed(self) -> Iterator[tuple[Any, int]]:
        """The forward operations that the outputs depend on, with their owners."""
        needed = _operations_before(self.outputs)
        pairs = zip(self.forward, self.owners, strict=True)
        return (pair for pair in pairs if pair[0] in needed)


def trace(model: keras.Model, specs: Any, *, training: bool = False) -> TracedModel:
    """Trace a model for inputs of these specs; with ``training`` also the gradients of its weights.

    The model keeps its variables and its losses. If it fails or has no gradients, this raises
    ModelCallError.
    """
    functional = functional_of(model)
    if functional is None:
        traced = TracedModel([KerasCall(layer, 0) for layer in model.layers])
    else:
        traced = TracedModel(running_order(functional))
        index = {call: number for number, call in enumerate(traced.calls)}
        traced.input_calls = [index[call_of(tensor)] for tensor in functional.inputs]
    owners: dict[int, int] = {}
    gradients: list[Any] = []

    def compute(inputs: Any) -> None:
        traced.inputs = keras.tree.flatten(inputs)
        traced.input_calls = traced.input_calls or [OWN] * len(traced.inputs)
        traced.shapes |= zip(traced.input_calls, map(_shapes, traced.inputs), strict=True)
        graph = tf.compat.v1.get_default_graph()
        try:
            with tf.GradientTape() as tape:
                with keras.StatelessScope(), _owners_noted(traced, graph, owners):
                    outputs = model(inputs, training=training)
                flat = keras.tree.flatten(outputs)
                traced.outputs = [tensor for tensor in flat if tf.is_tensor(tensor)]
                traced.forward = graph.get_operations()
            if training:
                weights = [variable.value for variable in model.trainable_variables]
                results = [tensor for tensor in traced.outputs if tensor.dtype.is_floating]
                gradients.extend(tape.gradient(results, weights))
        except Exception as error:
            raise ModelCallError(reason_of(error)) from error

    with losses_kept(model):
        graph = tf.function(compute, autograph=False).get_concrete_function(specs).graph
    traced.owners = [owners.get(index, OWN) for index in range(len(traced.forward))]
    needed = _operations_before(
        gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        for gradient in gradients
        if gradient is not None
    )
    later = graph.get_operations()[len(traced.forward) :]
    # The tape also computes gradients of frozen weights; TensorFlow does not run these operations.
    traced.backward = [operation for operation in later if operation in needed]
    return traced


def reason_of(error: Exception) -> str:
    """The class of an exception and what its message says."""
    return f"{type(error).__name__}: {main_sentence(error).rstrip('.')}"


@contextmanager
def _owners_noted(traced: TracedModel, graph: Any, owners: dict[int, int]) -> Iterator[None]:
    """Note the operations that each layer creates, by their index, and its output shape."""
    indices: dict[int, list[int]] = {}
    for index, call in enumerate(traced.calls):
        indices.setdefault(id(call.operation), []).append(index)
    layers = {id(call.operation): call.operation for call in traced.calls}
    running: list[int] = []

    def noted(layer: Any, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            if running:  # a layer within this one
                return call(*args, **kwargs)
            own = indices[id(layer)]
            index = own.pop(0) if len(own) > 1 else own[0]
            running.append(index)
            before = len(graph.get_operations())
            try:
                outputs = call(*args, **kwargs)
            finally:
                running.pop()
                owners.update(dict.fromkeys(range(before, len(graph.get_operations())), index))
            traced.shapes[index] = _shapes(outputs)
            return outputs

        return run

    changed = []
    try:
        for layer in layers.values():
            for name in ("call", "quantized_call"):
                if (method := getattr(layer, name, None)) is not None:
                    changed.append((vars(layer), name, vars(layer).get(name)))
                    vars(layer)[name] = noted(layer, method)
        yield
    finally:
        for attributes, name, value in changed:
            if value is None:
                del attributes[name]
            else:
                attributes[name] = value


def _operations_before(tensors: Iterable[Any]) -> set[Any]:
    """The operations that some tensors depend on."""
    found: set[Any] = set()
    pending = [tensor.op for tensor in tensors]
    while pending:
        operation = pending.pop()
        if operation not in found:
            found.add(operation)
            pending += [tensor.op for tensor in operation.inputs]
    return found


def _shapes(outputs: Any) -> Any:
    """The shapes of some tensors, with an unknown batch dimension as Keras writes them."""
    return keras.tree.map_structure(
        lambda tensor: (None, *getattr(tensor, "shape", ())[1:]), outputs
    )
