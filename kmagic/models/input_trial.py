"""Whether a model could be built for another shape of an input, before this is suggested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmagic.support.keras_import import keras
from kmagic.support.process_patches import isolated_keras

_MAX_PARAMETERS = 20_000_000
"""A larger model is not built only to verify a remedy."""


def accepts_input_shape(model: Any, tensor: Any, shape: Sequence[int | None]) -> bool:
    """Whether a model's layers accept another shape of one of its inputs.

    The layers are created anew, as they would be for a changed text; the model is not changed.

    Args:
        model: A built sequential or functional model.
        tensor: One of its inputs.
        shape: The shape of one sample.

    Example:
        >>> import keras
        >>> layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
        >>> model = keras.Sequential(layers)
        >>> [accepts_input_shape(model, model.inputs[0], shape) for shape in ((8, 8), (9, 9, 1))]
        [False, True]
    """
    if not model.built or model.count_params() > _MAX_PARAMETERS:
        return False
    try:
        with isolated_keras():
            inputs = [
                keras.Input(shape if each is tensor else each.shape[1:], dtype=each.dtype)
                for each in model.inputs
            ]
            keras.models.clone_model(model, inputs[0] if len(inputs) == 1 else inputs)
    except Exception:  # noqa: BLE001 - whatever a layer raises, it does not accept the shape
        return False
    return True
