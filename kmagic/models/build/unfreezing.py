"""``unfreeze``: a frozen layer is trained, or the last layers of a frozen model."""

from __future__ import annotations

from typing import Any

from kmagic.models.keras_history import flat_layers, is_model
from kmagic.support.formatting import pluralize
from kmagic.support.keras_import import keras


def unfreeze(layer: Any, count: int | None = None) -> None:
    """Let training change a layer, or the last layers of a model.

    The BatchNormalization layers of a model stay frozen, so they keep the mean and variance of the
    data that it was trained on, as in Keras's guide to transfer learning.

    Args:
        layer: A layer or model.
        count: How many layers at the end of a model are trained, counted as in ``model.layers``;
            those before are frozen. None for all.

    Example:
        >>> from keras import Sequential, layers
        >>> base = Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)])
        >>> unfreeze(base, 2)
        >>> [layer.trainable for layer in base.layers]
        [False, False, True]
    """
    layer.trainable = True
    if not is_model(layer):
        return
    for before in layer.layers[: -(count or len(layer.layers))]:
        before.trainable = False
    for inner in flat_layers(layer):
        if isinstance(inner, keras.layers.BatchNormalization):
            inner.trainable = False


def unfreezing_problem(layer: Any, count: int | None) -> tuple[str, str] | None:
    """Why :func:`unfreeze` is not possible or without effect, and a remedy; None if it works."""
    if not isinstance(layer, keras.layers.Layer):
        return "is not a layer or model", ""
    if not is_model(layer):
        is_counted = count is not None
        return ("has no layers to count", "Remove the number.") if is_counted else None
    trained = [
        number
        for number, part in enumerate(reversed(layer.layers), 1)
        if any(
            inner.weights and not is_model(inner)
            for inner in flat_layers(part)
            if not isinstance(inner, keras.layers.BatchNormalization)
        )
    ]
    number = len(layer.layers)
    if not trained:
        return "has no layers that unfreeze can train", "BatchNormalization layers stay frozen."
    if count is not None and count > number:
        return f"has only {pluralize(number, 'layer')}; got {count}", "Remove the number for all."
    if count is not None and count < trained[0]:
        last = "layer" if count == 1 else f"{count} layers"
        remedy = f"Write {trained[0]} or more. BatchNormalization layers stay frozen."
        return f"has no weights to train in its last {last}", remedy
    return None
