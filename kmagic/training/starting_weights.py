"""The weights that a training starts from: whether they are trained, and how to start again.

Before a model's first run its starting point is registered. ``fresh`` returns to it: weights that
kmagic has seen created get new random values; all others, such as pre-trained ones, get the values
that they had then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import keras

from kmagic.models.keras_history import flat_layers, is_model, nested_layers
from kmagic.models.model_variables import learning_rate
from kmagic.support import model_registry
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
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
        is_new: Whether all its weights were new, or not created yet; they can be created again.
        digest: Hash of its weights.
        weights: A copy of them, if they are neither new nor unknown.
        problem: Why neither new nor earlier weights are possible.
        epochs: Epochs that it has been trained for since then.
        rates: The learning rates at the start and the end of its last run.
    """

    is_new: bool
    digest: bytes
    weights: list[Any] | None = None
    problem: str = ""
    epochs: int = 0
    rates: tuple[float | None, float | None] = (None, None)


def starting_point(model: keras.Model) -> StartingPoint:
    """The starting point of a model, registered if this is its first run."""
    record = model_registry.record_for(model)
    if record.start is None:
        steps = model_registry.steps_trained(model)
        is_new = model_registry.is_untrained(model) or (
            record.initial_weights is not None and steps > 0
        )
        start = StartingPoint(is_new or not model.weights, model_registry.hash_weights(model))
        size = FLOAT_BYTES * sum(math.prod(weight.shape) for weight in model.weights)
        if start.is_new:
            pass
        elif steps and not record.is_loaded:
            start.problem = f"it was trained for {pluralize(steps, 'step')} before the first run"
        elif not model.built:
            start.problem = "only some of its weights existed before the first run"
        elif size > machine_memory() * MAX_MEMORY_SHARE:
            start.problem = "they were too large to be copied before the first run"
        else:
            start.weights = model.get_weights()
        record.start = start
    found: StartingPoint = record.start
    return found


def count_run(model: keras.Model, run: TrainingRun) -> None:
    """Count what a run that ended has trained; an epoch that it began counts."""
    start = starting_point(model)
    if run.now.batch:
        epochs = max(run.now.epoch - run.initial_epoch, len(run.log)) - run.resumed
        start.epochs = max(start.epochs, run.resumed) + max(epochs, 0)
        start.rates = (run.learning_rates[0] if run.log else None, learning_rate(model))


def trained_note(model: keras.Model) -> str:
    """A message if a training would start from trained weights; else "".

    It is also about an optimizer that was used before, while the weights are the original ones.
    """
    start, steps = starting_point(model), model_registry.steps_trained(model)
    if start.epochs and start.digest == model_registry.hash_weights(model):
        return (
            "The weights are those from before the first run, but the state of the optimizer is "
            f"from {pluralize(steps, 'step')} of training. Compile the model again to reset it."
            if steps
            else ""
        )
    epochs = start.epochs + model_registry.record_for(model).loaded_epochs
    if not epochs and not steps:
        return ""
    end = ""
    if start.is_new:
        end = " With fresh, training starts with new weights."
    elif start.epochs and not start.problem:
        end = " With fresh, training starts with the weights from before the first run."
    count = pluralize(epochs, "epoch") if epochs else pluralize(steps, "step")
    return f"Continues from weights that were trained for {count}.{end}"


def take_weights(model: keras.Model, source: keras.Model, name: str) -> str:
    """Give a new model the weights of another one that has the same layers; returns a message.

    Which layers are frozen may differ. Nothing is changed if the weights do not fit.

    Args:
        model: The new model.
        source: The model whose weights it gets.
        name: The name of that model, for messages.

    Raises:
        TrainingError: The weights do not fit; with the first one that does not.
    """
    if not model.built or not source.built:
        unbuilt = model.name if not model.built else name
        remedy = "Begin it with an input, for example `input 28x28x1`."
        raise TrainingError(f"{unbuilt} has no weights yet: its input shape is unknown.", remedy)
    pairs = list(zip_longest(model.weights, source.weights))
    for weight, other in pairs:
        shown = [
            "no weight" if each is None else f"{each.path} ({'x'.join(map(str, each.shape)) or 1})"
            for each in (weight, other)
        ]
        is_same = weight is not None and other is not None and weight.name == other.name
        if not is_same or weight.shape != other.shape:
            raise TrainingError(
                f"The weights of {name} do not fit: the new model has {shown[0]} where {name} has "
                f"{shown[1]}.",
                "Keep the layers and change only the lines `freeze`, `unfreeze` and `compile`, or "
                "build the model with new weights.",
            )
    values = [(weight, other.numpy()) for weight, other in pairs if weight is not other]
    for weight, value in values:
        weight.assign(value)
    record, earlier = model_registry.record_for(model), model_registry.record_for(source)
    record.dataset, record.spreads = earlier.dataset, dict(earlier.spreads)
    if model_registry.is_untrained(source):
        model_registry.mark_untrained(model)
        return f"Starts with the weights of {name}, which is untrained."
    record.initial_weights = None
    epochs = earlier.loaded_epochs + (earlier.start.epochs if earlier.start is not None else 0)
    record.loaded_epochs = epochs
    trained = f", trained for {pluralize(epochs, 'epoch')}" if epochs else ""
    return f"Starts with the weights of {name}{trained}."


def start_again(model: keras.Model) -> str:
    """Give a model the weights and the optimizer of its starting point; returns a message.

    Layers that were adapted to data keep what they learned.

    Raises:
        TrainingError: Its weights from before its first run are not known.
    """
    record, start = model_registry.record_for(model), starting_point(model)
    if start.problem:
        raise _error(model, start.problem)
    kept = start.weights
    if kept is not None and [weight.shape for weight in model.weights] != [
        value.shape for value in kept
    ]:
        raise _error(model, "its layers have changed since the first run")
    layers = [layer for layer in nested_layers(model) if not is_model(layer)]
    adapting = [layer for layer in layers if hasattr(layer, "adapt")]
    adapted = {id(variable) for layer in adapting for variable in layer.variables}
    if kept is None:
        origin = "with new weights"
        pairs = [
            pair for layer in layers if layer not in adapting for pair in _new_values(model, layer)
        ]
        created = {id(variable) for variable, _ in pairs} | adapted
        for weight in model.weights:
            if id(weight) not in created:
                raise _error(model, f"{weight.path} belongs to no layer that can be created again")
    else:
        origin = "with the weights " + (
            "that were loaded" if record.is_loaded else "from before the first run"
        )
        values = zip(model.weights, kept, strict=True)
        pairs = [(weight, value) for weight, value in values if id(weight) not in adapted]
    for variable, value in [*pairs, *new_optimizer_values(model)]:
        variable.assign(value)
    for layer in flat_layers(model):
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            layer.reset_state()
    rate, last = start.rates
    if rate is not None and rate != last and learning_rate(model) == last:
        model.optimizer.learning_rate = rate  # a callback had lowered it
    start.epochs, start.rates = 0, (None, None)
    start.digest = model_registry.hash_weights(model)
    record.run = record.best = None
    model_registry.set_last_call(model, None)
    record.loaded_epochs = 0
    return f"Started {origin}." if model.weights else ""


def _error(model: keras.Model, cause: str, remedy: str = BUILD_AGAIN) -> TrainingError:
    return TrainingError(f"{model.name} cannot start with new weights: {cause}.", remedy)


def _new_values(model: keras.Model, layer: Any) -> list[tuple[Any, Any]]:
    """New values for the variables of a layer: as if they had just been created."""
    try:
        new = type(layer).from_config(layer.get_config())
        if config := layer.get_build_config():
            new.build_from_config(config)
        return _with_values(layer.variables, new.variables)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise _error(model, f"layer {layer.name} cannot be created again") from error


def new_optimizer_values(model: keras.Model) -> list[tuple[Any, Any]]:
    """The first values of the optimizer's variables, except the learning rate."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return []
    try:
        new = type(optimizer).from_config(optimizer.get_config())
        new.build(optimizer._trainable_variables)  # noqa: SLF001 - those that it was built for
        pairs = _with_values(optimizer.variables, new.variables)
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise _error(
            model, "its optimizer cannot be created again", "Compile the model again."
        ) from error
    return [pair for pair in pairs if "learning_rate" not in pair[0].path]


def _with_values(variables: Any, others: Any) -> list[tuple[Any, Any]]:
    return [
        (variable, keras.ops.convert_to_numpy(other))
        for variable, other in zip(variables, others, strict=True)
    ]
