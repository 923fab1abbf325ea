"""Models with a fixed batch size: ``input 5x3 batch_size=32``.

Keras ignores the batch size of an input, but a stateful layer has one state for each row of a
batch: it takes batches of that size only, and what it returns depends on the row's place.
"""

from __future__ import annotations

from typing import Any

from kmagic.models.keras_history import nested_layers
from kmagic.support.messages import Option, Text


def fixed_batch_size(model: Any) -> int | None:
    """The batch size that a model's inputs were created with; None if it takes any."""
    for tensor in getattr(model, "inputs", None) or ():
        shape = tuple(getattr(tensor, "shape", None) or ())
        if shape and shape[0]:
            return int(shape[0])
    return None


def is_stateful(model: Any) -> bool:
    """Whether a layer keeps a state for each row of a batch."""
    return any(getattr(layer, "stateful", False) is True for layer in nested_layers(model))


def batch_size_error(
    model: Any, samples: int | None, batch_size: int | None = None, label: str = "x"
) -> tuple[Text, Text] | None:
    """What is wrong with the number of samples or the batch size, and the remedy; None if nothing.

    Only a stateful model needs full batches: padding the last one would change its states.
    """
    size = fixed_batch_size(model)
    if size is None or not is_stateful(model):
        return None
    start = f" is stateful and has the fixed batch size {size:,}; got "
    if batch_size is not None and batch_size != size:
        return Text(start, f"batches of {batch_size:,}."), Text(
            "Use ", Option("batch_size", size), "."
        )
    rest = (samples or 0) % size
    if not rest:
        return None
    full = (samples or 0) - rest
    advice = f"Use full batches: {label}[:{full}], and as many targets."
    if not full:
        advice = f"Pass a multiple of {size:,} samples."
    return Text(start, f"{samples:,} samples, which is not a multiple of it."), Text(advice)


def stream_batch_error(model: Any, samples: int) -> tuple[str, str] | None:
    """What is wrong with the size of a batch of a stream, and the remedy; None if nothing."""
    size = fixed_batch_size(model)
    if size in (None, samples) or not is_stateful(model):
        return None
    fixed = f"the model is stateful and has the fixed batch size {size:,}"
    full = f"unbatch().batch({size}, drop_remainder=True)"
    return (
        f"{fixed}, and a batch has {samples:,} samples.",
        f"Use full batches only: {full} for a tf.data.Dataset.",
    )
