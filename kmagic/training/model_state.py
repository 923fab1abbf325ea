"""Keeping a model as it is, while it is trained for another purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kmagic.models.model_variables import variables_kept
from kmagic.models.one_cycle import schedule_of
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import describe_error

FUNCTIONS = ("train_function", "test_function", "predict_function")
SET_BY_FIT = (*FUNCTIONS, "steps_per_execution", "stop_training", "history")
"""Attributes that a training changes."""


@contextmanager
def model_kept(model: keras.Model, rate: float | None = None) -> Iterator[None]:
    """Train a model with a new optimizer, and restore it: variables, optimizer and functions.

    Args:
        model: A compiled model with weights.
        rate: Learning rate of the new optimizer; by default that of the model's, or its schedule.

    Raises:
        TrainingError: The optimizer cannot be copied.
    """
    optimizer = model.optimizer
    attributes = {name: getattr(model, name) for name in SET_BY_FIT if hasattr(model, name)}
    model.optimizer = _optimizer_like(optimizer, schedule_of(model) if rate is None else rate)
    for name in FUNCTIONS:  # they are traced for an optimizer and for its variables
        setattr(model, name, None)
    try:
        with variables_kept(model):
            yield
    finally:
        model.optimizer = optimizer
        for name, value in attributes.items():
            setattr(model, name, value)


def _optimizer_like(optimizer: Any, rate: Any) -> Any:
    """An optimizer with the same arguments and without a state."""
    try:
        config = optimizer.get_config()
        inner = config["inner_optimizer"]["config"] if "inner_optimizer" in config else config
        if rate is not None:
            inner["learning_rate"] = rate  # in place of a schedule, or the schedule itself
        return type(optimizer).from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        name = type(optimizer).__name__
        raise TrainingError(
            f"The optimizer {name} cannot be copied: {describe_error(error)}",
            "Its parts, such as a schedule, need get_config, and classes of your own need the "
            "decorator @keras.saving.register_keras_serializable().",
        ) from error
