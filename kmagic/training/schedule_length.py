"""Learning rate schedules and the length of a training: ``one_cycle`` spans it, others may end."""

from __future__ import annotations

import math
from typing import Any

import keras

from kmagic.models.one_cycle import (
    MIN_STEPS,
    CosineDecay,
    OneCycle,
    inner_optimizer,
    schedule_of,
)
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.training.run.training_run import TrainingRun
from kmagic.training.starting_weights import new_optimizer_values

MAX_FINAL_FRACTION = 0.01
"""A schedule that ends above this fraction of its maximum may be meant to stay there."""
_CYCLE = "one_cycle"
"""Attribute of the schedule that a cycle became: the cycle."""


def check_cycle(model: keras.Model, run: TrainingRun, batches: int | None) -> int | None:
    """The batches of an epoch, None if unknown.

    Args:
        model: A compiled model.
        run: The record of the run, with its samples and epochs.
        batches: The batches of an epoch of a stream, None if unknown, below 0 without an end.

    Raises:
        TrainingError: One cycle of the learning rate is to span the training, whose length is
            unknown or too short.
    """
    steps = batches if batches is not None and batches >= 0 else None
    if run.samples is not None and run.batch_size:
        steps = math.ceil(run.samples / run.batch_size)
    cycle = _cycle(model)
    if cycle is None:
        return steps
    rate = f"{cycle.learning_rate:g}"
    if steps is None:
        raise TrainingError(
            f"The learning rate one_cycle({rate}) spans the whole training, but the number of "
            "batches is not known.",
            Text("Pass the batches of an epoch, ", Option("steps_per_epoch", 100))
            + Text(f", or compile with the length of the cycle: `one_cycle({rate}, steps=1000)`."),
        )
    total = (run.epochs - run.initial_epoch) * steps
    if 0 < total < MIN_STEPS:
        raise TrainingError(
            f"one_cycle({rate}) needs a training of at least {MIN_STEPS} batches; this one has "
            f"{total}.",
            f"Train for more epochs, or compile with a fixed learning rate, such as {rate}.",
        )
    return steps


def follow_schedule(model: keras.Model, run: TrainingRun, steps: int | None) -> None:
    """Let one cycle of the learning rate span a run; report a schedule that ends before the run.

    A run that is not resumed starts a new cycle, with a new state of the optimizer: moments of the
    gradient from the end of the last cycle do not belong to the rates at the start of this one.

    Args:
        model: The model; its optimizer gets the schedule.
        run: The record of the run, with the epochs of the run that it continues.
        steps: The batches of an epoch, None if unknown.
    """
    done = run.log[-1].number if run.log else run.initial_epoch
    if steps is None or done >= run.epochs:
        return
    optimizer, cycle = inner_optimizer(model), _cycle(model)
    if cycle is not None:
        _span(model, cycle, run, (run.epochs - run.initial_epoch) * steps)
    schedule = schedule_of(model)
    if not isinstance(schedule, CosineDecay) or schedule.alpha > MAX_FINAL_FRACTION:
        return
    is_warm = schedule.warmup_target is not None
    peak = schedule.warmup_target if is_warm else schedule.initial_learning_rate
    end = schedule.decay_steps + (schedule.warmup_steps if is_warm else 0)
    now = _iterations(optimizer)
    if now + (run.epochs - done) * steps <= end:
        return
    rate = f"the learning rate stays at {schedule.alpha * peak:.3g}"
    if now >= end:
        text = f"The schedule of the learning rate is over: {rate}."
    else:
        epoch = done + 1 + (end - now) // steps
        text = f"The schedule of the learning rate ends in epoch {epoch:,}; then {rate}."
    run.add_message(f"{text} Compile the model again to start a new schedule.")


def _cycle(model: keras.Model) -> OneCycle | None:
    """The cycle that spans each training of a model, None if there is none."""
    schedule = schedule_of(model)
    found = schedule if isinstance(schedule, OneCycle) else getattr(schedule, _CYCLE, None)
    return found if isinstance(found, OneCycle) else None


def _span(model: keras.Model, cycle: OneCycle, run: TrainingRun, total: int) -> None:
    """Give the optimizer the schedule of a cycle of this many steps."""
    optimizer, before = inner_optimizer(model), schedule_of(model)
    schedule = OneCycle(cycle.learning_rate, total)
    setattr(schedule, _CYCLE, cycle)
    if not run.resumed or before.get_config() != schedule.get_config():
        optimizer._learning_rate = schedule  # noqa: SLF001 - the public setter calls the old one
        model.train_function = None  # it was traced for the schedule before
    length = f"{pluralize(run.epochs - run.initial_epoch, 'epoch')}, {total:,} steps"
    if run.resumed and schedule_of(model) is schedule:
        run.add_message(f"The cycle of the learning rate now spans the whole run: {length}.")
    elif not run.resumed:
        if _iterations(optimizer):
            run.add_message(
                f"A new cycle of the learning rate begins ({length}), with a new state of the "
                "optimizer."
            )
        for variable, value in new_optimizer_values(model):
            variable.assign(value)  # also those that a fit of Keras has left without values


def _iterations(optimizer: Any) -> int:
    """The steps that the schedule counts."""
    return int(keras.ops.convert_to_numpy(optimizer._iterations))  # noqa: SLF001 - not divided by the steps of accumulation
