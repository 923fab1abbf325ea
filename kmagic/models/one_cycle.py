"""The schedule ``one_cycle``: a warm-up and a cosine decay, as long as the training.

It becomes Keras's ``CosineDecay`` as soon as its steps are known: in the text, or when
:func:`kmagic.fit` begins. So a trained model and its file contain no class of kmagic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import keras

from kmagic.support.errors import TrainingError
from kmagic.support.messages import Function, Text

CosineDecay = keras.optimizers.schedules.CosineDecay
DIVISOR = 25
"""The first learning rate is the maximum divided by this, as in fastai and PyTorch."""
FINAL_FRACTION = 1e-4
"""The last learning rate, as a fraction of the maximum."""
MIN_STEPS = 4
"""Shorter cycles have no step of warm-up."""


@keras.saving.register_keras_serializable("kmagic")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped
    """One cycle of the learning rate (Smith and Topin 2017, arXiv 1708.07120).

    The rate rises linearly from 1/25 of the maximum to the maximum in the first 30 % of the steps,
    and falls to 1/10,000 of it along a cosine. The momentum is not changed.

    Args:
        learning_rate: The maximum, for example the rate that a learning rate test suggests.
        steps: The length of the cycle, in batches. By default it is the length of the training,
            which `%keras_fit` and `kmagic.fit` know: epochs times batches per epoch. Each new
            training is a new cycle.

    Example:
        >>> schedule = OneCycle(0.01, steps=1000)
        >>> [round(float(schedule(step)), 6) for step in (0, 300, 1000)]
        [0.0004, 0.01, 1e-06]
    """

    def __new__(cls, learning_rate: Any, steps: Any = None) -> Any:
        """A ``CosineDecay`` if the steps are known."""
        is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
        if not is_number or not 0 < learning_rate < math.inf:
            raise ValueError("learning_rate must be a positive number")
        if steps is None:
            return super().__new__(cls)
        if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < MIN_STEPS:
            raise ValueError(f"steps must be an integer of at least {MIN_STEPS}")
        return CosineDecay(**cycle_arguments(float(learning_rate), int(steps)))

    def __init__(self, learning_rate: float, steps: int | None = None) -> None:  # noqa: ARG002 - used by __new__
        super().__init__()
        self.learning_rate = float(learning_rate)

    def __call__(self, step: Any) -> Any:  # noqa: ARG002 - Keras's signature
        """Refuse: the rate depends on the number of steps."""
        rate = f"{self.learning_rate:g}"
        raise TrainingError(
            f"The learning rate one_cycle({rate}) depends on the length of the training, which "
            "Keras's own fit does not tell the optimizer.",
            Text("Train with ", Function("fit"), ", or give the number of batches in the ")
            + Text(f"compile line: `one_cycle({rate}, steps=1000)`."),
        )

    def get_config(self) -> dict[str, Any]:
        """The maximum."""
        return {"learning_rate": self.learning_rate}


def cycle_arguments(rate: float, steps: int) -> dict[str, Any]:
    """The arguments of Keras's ``CosineDecay`` for one cycle.

    Example:
        >>> cycle_arguments(0.01, 1000)["warmup_steps"]
        300
    """
    warmup = steps * 3 // 10
    return {
        "initial_learning_rate": rate / DIVISOR,
        "decay_steps": steps - warmup,
        "alpha": FINAL_FRACTION,
        "warmup_target": rate,
        "warmup_steps": warmup,
    }


def cycle_of(config: Mapping[str, Any]) -> tuple[float, int] | None:
    """The maximum and the steps of a ``CosineDecay`` that is one cycle; None for any other.

    Example:
        >>> cycle_of(OneCycle(0.01, 1000).get_config())
        (0.01, 1000)
    """
    rate, numbers = config.get("warmup_target"), (config["decay_steps"], config["warmup_steps"])
    if not isinstance(rate, float) or not all(type(number) is int for number in numbers):
        return None
    steps = sum(numbers)
    arguments = {"name": "CosineDecay", **cycle_arguments(rate, steps)}
    return (rate, steps) if steps >= MIN_STEPS and dict(config) == arguments else None


def inner_optimizer(model: Any) -> Any:
    """The optimizer that has a model's learning rate; that of a scaled loss is in another one."""
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)


def schedule_of(model: Any) -> Any:
    """The schedule of a model's learning rate; None if it follows none."""
    schedule = getattr(inner_optimizer(model), "_learning_rate", None)
    is_schedule = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return schedule if is_schedule else None
