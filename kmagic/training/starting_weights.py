"""The weights that a training starts from: whether they are trained, and how to start again.

Before a model's first run its starting point is registered. ``fresh`` returns to it: weights that
kmagic has seen created get new random values; all others, such as pre-trained ones, get the values
that they had then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from kmagic.models.keras_history import flat_layers, is_model
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.model_registry import (
    hash_weights,
    is_untrained,
    record_for,
    set_last_call,
    steps_trained,
)
from kmagic.training.callbacks.recording_callbacks import learning_rate
from kmagic.training.pipeline.dense_arrays import machine_memory
from kmagic.training.run.training_run import TrainingRun

FLOAT_BYTES = 4
MAX_MEMORY_SHARE = 1 / 8
"""Larger weights are not copied."""
BUILD_AGAIN = "Build the model again: that also gives it new weights."


@dataclass(slots=True)
class StartingPoint:
    """A model before its first run.

    Attributes:
        is_new: Whether all its weights were new; they can be created again.
        is_loaded: Whether they were loaded from a file.
        digest: Hash of its weights.
        weights: A copy of them, if they are not new and not too large.
        steps: Optimizer steps that it had been trained for.
        epochs: Epochs that it has been trained for since then.
        rates: The learning rates at the start and the end of its last run.
    """

    is_new: bool
    is_loaded: bool
    digest: bytes
    weights: list[Any] | None
    steps: int
    epochs: int = 0
    rates: tuple[float | None, float | None] = (None, None)

    @property
    def is_known(self) -> bool:
        """Whether it differs from a trained model and can be restored."""
        return self.is_new or (self.weights is not None and (self.is_loaded or not self.steps))


def starting_point(model: keras.Model) -> StartingPoint | None:
    """The starting point of a model, registered if this is its first run; None if not built."""
    record = record_for(model)
    if record.start is None and model.built:
        steps = steps_trained(model)
        is_new = is_untrained(model) or (record.initial_weights is not None and steps > 0)
        size = FLOAT_BYTES * sum(math.prod(weight.shape) for weight in model.weights)
        is_small = size <= machine_memory() * MAX_MEMORY_SHARE
        weights = model.get_weights() if is_small and not is_new else None
        digest = hash_weights(model)
        record.start = StartingPoint(is_new, record.is_loaded, digest, weights, steps)
    start: StartingPoint | None = record.start
    return start


def count_run(model: keras.Model, run: TrainingRun) -> None:
    """Count what a run that ended has trained; an epoch that it began counts."""
    start: StartingPoint | None = record_for(model).start
    if start is not None and run.now.batch:
        epochs = max(run.now.epoch - run.initial_epoch, len(run.log)) - run.resumed
        start.epochs = max(start.epochs, run.resumed) + max(epochs, 0)
        start.rates = (run.learning_rates[0] if run.log else None, learning_rate(model))


def trained_note(model: keras.Model) -> str:
    """A message if a training would start from trained weights; else "".

    It is also about an optimizer that was used before, while the weights are the original ones.
    """
    start, steps = starting_point(model), steps_trained(model)
    if start is None:
        return ""
    is_moved = start.digest != hash_weights(model)
    if start.epochs and not is_moved:
        return (
            "The weights are those from before the first run, but the state of the optimizer is "
            f"from {pluralize(steps, 'step')} of training. Compile the model again to reset it."
            if steps
            else ""
        )
    epochs = start.epochs + record_for(model).loaded_epochs
    if not epochs and not steps:
        return ""
    end = ""
    if start.is_new:
        end = " With fresh, training starts with new weights."
    elif start.is_known and start.epochs:
        end = " With fresh, training starts with the weights from before the first run."
    count = pluralize(epochs, "epoch") if epochs else pluralize(steps, "step")
    return f"Continues from weights that were trained for {count}.{end}"


def start_again(model: keras.Model) -> str:
    """Give a model the weights and the optimizer of its starting point; returns a message.

    Layers that were adapted to data keep what they learned.

    Raises:
        TrainingError: Its weights from before its first run are not known.
    """
    record, start = record_for(model), starting_point(model)
    if start is None:
        return ""  # it has no weights yet
    if start.is_new:
        values = dict(_new_values(model))
        message = "Started with new weights."
    elif not start.is_known or start.weights is None:
        cause = (
            "they were too large to be copied before the first run"
            if start.weights is None
            else f"it was trained for {pluralize(start.steps, 'step')} before the first run"
        )
        raise TrainingError(f"{model.name} cannot start with new weights: {cause}.", BUILD_AGAIN)
    else:
        layers = [layer for layer in _leaf_layers(model) if hasattr(layer, "adapt")]
        adapted = {id(variable) for layer in layers for variable in layer.variables}
        values = {
            id(weight): (weight, value)
            for weight, value in zip(model.weights, start.weights, strict=True)
            if id(weight) not in adapted
        }
        message = "Started with the weights from before the first run."
        if start.is_loaded:
            message = "Started with the weights that were loaded."
    optimizer = _new_optimizer_values(model)
    for variable, value in (*values.values(), *optimizer):
        variable.assign(value)
    for layer in flat_layers(model):
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            layer.reset_state()
    rate, last = start.rates
    if rate is not None and rate != last and learning_rate(model) == last:
        model.optimizer.learning_rate = rate  # a callback had lowered it
    start.epochs, start.rates = 0, (None, None)
    start.digest = hash_weights(model)
    record.run = record.best = None
    set_last_call(model, None)
    record.loaded_epochs = 0
    return message


def _new_values(model: keras.Model) -> Iterator[tuple[int, tuple[Any, Any]]]:
    """New values for the variables of all layers: as if they had just been created."""
    for layer in _leaf_layers(model):
        if not layer.variables or hasattr(layer, "adapt"):
            continue
        try:
            new = type(layer).from_config(layer.get_config())
            config = layer.get_build_config()
            if config:
                new.build_from_config(config)
            pairs = [
                (id(variable), (variable, keras.ops.convert_to_numpy(value)))
                for variable, value in zip(layer.variables, new.variables, strict=True)
            ]
        except (ValueError, TypeError, NotImplementedError) as error:
            raise TrainingError(
                f"{model.name} cannot start with new weights: layer {layer.name} cannot be created "
                "again.",
                BUILD_AGAIN,
            ) from error
        yield from pairs


def _new_optimizer_values(model: keras.Model) -> list[tuple[Any, Any]]:
    """The first values of the optimizer's variables, except the learning rate."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return []
    try:
        new = type(optimizer).from_config(optimizer.get_config())
        new.build(optimizer._trainable_variables)  # noqa: SLF001 - those that it was built for
        pairs = list(zip(optimizer.variables, new.variables, strict=True))
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise TrainingError(
            f"{model.name} cannot start with new weights: its optimizer cannot be created again.",
            "Compile the model again.",
        ) from error
    return [
        (variable, keras.ops.convert_to_numpy(value))
        for variable, value in pairs
        if "learning_rate" not in variable.path
    ]


def _leaf_layers(model: Any) -> Iterator[Any]:
    """The layers of a model, and those of its nested models instead of these."""
    for layer in model.layers:
        if is_model(layer):
            yield from _leaf_layers(layer)
        else:
            yield layer
