"""What kmagic knows about each Keras model of this process.

One record per model, held by weak reference: the dataset that it was trained on, its last run,
the text that it was built from. The record disappears with the model.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

UNTRAINED_WARNING = "This model is untrained: its predictions are random."
MAX_HASHED_VALUES = 2**16
"""Weights with at most this many values are hashed as a whole, larger ones by their middle row."""


@dataclass(slots=True)
class ModelRecord:
    """What is known about one model.

    ``dataset`` is the dataset of its last training, or the ``Preparation`` that a file kept of
    it. Both have ``classes``, ``scaling``, ``labels_of(x)``, ``prepare(raw)`` and ``preparation``.
    ``spreads`` is the standard deviation of the training data, one entry per input; "" is the name
    of an only input.
    """

    dataset: Any = None
    run: Any = None  # its last TrainingRun
    best: Any = None  # epoch, value and weights of that run's best epoch, if they were kept
    spreads: dict[str, float] = field(default_factory=dict)
    origin: Any = None  # the text that it was built from, with its steps
    initial_weights: bytes | None = None  # hash of the weights that it was created with
    start: Any = None  # the StartingPoint of its first run
    is_loaded: bool = False  # whether its weights are from a file
    loaded_epochs: int = 0  # that they had been trained for
    values: dict[str, Any] = field(default_factory=dict)  # in braces of its text
    compile_values: tuple[Any, dict[str, Any]] = (None, {})  # an optimizer, and those of its line
    traced: Any = None  # its training function, and the attributes that it was traced for
    output: str = ""  # the output of another model that it computes
    siblings: tuple[str, ...] = ()  # all outputs of that model
    axes_seen: dict[str, Any] = field(default_factory=dict)  # for which its functions were traced


_CALL = "_kmagic_last_call"
_records: WeakKeyDictionary[Any, ModelRecord] = WeakKeyDictionary()


def record_for(model: Any) -> ModelRecord:
    """The record of a model, created when it is first asked for.

    An object that cannot be registered (it has no weak references, or no hash) gets an empty
    record that is not kept.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> record_for(model).dataset = "digits"
        >>> record_for(model).dataset, record_for(Model()).dataset
        ('digits', None)
    """
    try:
        return _records.setdefault(model, ModelRecord())
    except TypeError:
        return ModelRecord()


def set_last_call(model: Any, call: Any) -> None:
    """Keep the FitCall of a model's last run.

    Callbacks refer to their model, so a record would keep it alive; in the model it is a cycle.
    """
    if hasattr(model, "__dict__"):
        model.__dict__[_CALL] = call


def last_call(model: Any) -> Any:
    """The FitCall of a model's last run; None if there was none."""
    return getattr(model, "__dict__", {}).get(_CALL)


def set_dataset(model: Any, data: Any) -> None:
    """Register the dataset (or its preparation) that a model was trained on."""
    record_for(model).dataset = data


def dataset_for(model: Any) -> Any:
    """The dataset that a model was last trained on, or its preparation; None if unknown."""
    return record_for(model).dataset


def mark_untrained(model: Any) -> None:
    """Register that the weights of a Keras model are those that it was created with."""
    if getattr(model, "built", False) and model.trainable_variables:
        record_for(model).initial_weights = hash_weights(model)


def is_untrained(model: Any) -> bool:
    """Whether a model is known to have the weights that it was created with.

    False for a model that was trained in any way, that got weights from elsewhere, or whose past
    is unknown.
    """
    record = record_for(model)
    if record.initial_weights is None or record.run is not None:
        return False
    return not steps_trained(model) and record.initial_weights == hash_weights(model)


def steps_trained(model: Any) -> int:
    """The steps of a model's optimizer so far."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return 0
    import keras  # noqa: PLC0415 - there is a model, so Keras is loaded

    # int() does not accept a variable of several replicas.
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


def hash_weights(model: Any) -> bytes:
    """A hash of a model's trainable weights."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for NumPy

    digest = hashlib.blake2b(digest_size=16)
    for weight in model.trainable_variables:
        is_small = math.prod(weight.shape) <= MAX_HASHED_VALUES
        part = weight if is_small else weight[weight.shape[0] // 2]
        digest.update(np.asarray(part).tobytes())
    return digest.digest()
