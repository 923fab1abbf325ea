"""What changed since a model's training function was traced, and has no effect until it compiles.

Keras builds the optimizer for the weights that are trainable then, and traces one graph: a layer
that is unfrozen or frozen later, another dropout rate or another loss changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import ref

import keras

from kmagic.models.keras_history import flat_layers, is_model
from kmagic.models.model_arrays import has_custom_step
from kmagic.support.formatting import list_names
from kmagic.support.model_registry import record_for

PLAIN = (bool, int, float, str, type(None))
CHANGING = frozenset({"built", "supports_masking", "name"})
"""Attributes that Keras itself sets later."""


def stale_notes(model: keras.Model) -> list[str]:
    """Messages about changes that a training ignores."""
    if model.train_function is None or model.run_eagerly:
        return []
    untrained, trained = _weights_at_compile(model)
    changed = list(_changed_attributes(model))
    notes = []
    if untrained:
        reason = "not trained: unfrozen or added after the model was compiled"
        notes.append(f"{_are(untrained)} {reason}.")
    if trained:
        notes.append(f"{_are(trained)} still trained: frozen after the model was compiled.")
    if changed:
        reason = "has no effect, because the training function was traced before"
        notes.append(f"The change of {list_names(changed)} {reason}.")
    return [f"{note} Compile the model again." for note in notes]


def _are(names: list[str]) -> str:
    return f"{list_names(names)} {'is' if len(names) == 1 else 'are'}"


def traceable_state(model: keras.Model) -> dict[str, Any]:
    """The attributes for which a training function is about to be traced, if it is.

    Layers of the user may change their own while they are called; they are not included.
    """
    if model.train_function is not None or not model.built:
        return {}
    return _attributes(model, keras_only=True)


def remember_state(model: keras.Model, before: Mapping[str, Any]) -> None:
    """Remember the attributes for which a model's training function was traced."""
    function = model.train_function
    if function is not None and not _traced(model):
        record_for(model).traced = (ref(function), {**_attributes(model), **before})


def _traced(model: keras.Model) -> dict[str, Any]:
    """The attributes for which the present training function was traced, if they are known."""
    function, attributes = record_for(model).traced or (None, {})
    return attributes if function is not None and function() is model.train_function else {}


def _weights_at_compile(model: keras.Model) -> tuple[list[str], list[str]]:
    """Layers that are not trained although they are trainable, and the reverse."""
    optimizer = model.optimizer
    is_known = isinstance(optimizer, keras.optimizers.Optimizer) and optimizer.built
    if not is_known or has_custom_step(model):
        return [], []
    # For a LossScaleOptimizer they are those of the optimizer in it.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    optimized = {id(variable) for variable in inner._trainable_variables}  # noqa: SLF001 - not public
    untrained, trained = [], []
    for layer in _top_layers(model):
        trainable = {id(variable) for variable in layer.trainable_variables}
        if trainable - optimized:
            untrained.append(layer.name)
        if ({id(variable) for variable in layer.variables} & optimized) - trainable:
            trained.append(layer.name)
    return untrained, trained


def _top_layers(model: keras.Model) -> Iterator[Any]:
    """The layers of a model; those of a nested model if only some of them differ from it."""
    for layer in model.layers:
        if is_model(layer) and len({inner.trainable for inner in layer.layers}) > 1:
            yield from _top_layers(layer)
        else:
            yield layer


def _attributes(model: keras.Model, *, keras_only: bool = False) -> dict[str, Any]:
    """The settings of layers, optimizer and loss, by name; of objects the identity."""
    layers = [layer for layer in flat_layers(model) if layer is not model]
    if keras_only:
        layers = [layer for layer in layers if type(layer).__module__.startswith("keras.")]
    optimizer = model.optimizer
    found = {
        f"{getattr(owner, 'name', 'layer')}.{name}": value
        for owner in [*layers, *filter(None, [optimizer])]
        for name, value in vars(owner).items()
        if name[0] != "_" and name not in CHANGING and _is_setting(owner, name, value)
    }
    found |= {f"{layer.name}.dtype_policy": layer.dtype_policy.name for layer in layers}
    rate = getattr(optimizer, "_learning_rate", None)
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    found["the learning rate schedule"] = rate if is_schedule else None
    found["the optimizer"] = optimizer
    if isinstance(model.loss, PLAIN):
        found["loss"] = model.loss
    # An object is not kept alive, as it may refer to the model.
    return {
        key: value if isinstance(value, PLAIN) else (id(value),) for key, value in found.items()
    }


def _is_setting(owner: Any, name: str, value: Any) -> bool:
    if callable(value):
        return not hasattr(value, "name") and not hasattr(type(owner), name)
    return isinstance(value, PLAIN) or bool(keras.ops.is_tensor(value))


def _changed_attributes(model: keras.Model) -> Iterator[str]:
    traced = _traced(model)
    for name, value in _attributes(model).items() if traced else ():
        before = traced.get(name, value)
        if type(before) is not type(value) or before != value:
            shown = isinstance(value, PLAIN) and isinstance(before, PLAIN)
            yield f"{name} from {before} to {value}" if shown else name
