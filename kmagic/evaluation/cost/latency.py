"""The measured time of a prediction."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmagic.data.inspection import random_state_kept
from kmagic.models.keras_history import flat_layers, losses_kept
from kmagic.models.model_variables import variables_kept
from kmagic.support.progress import Progress

WARM_UP = 2
"""Predictions that do not count: the first traces the graph."""
MIN_ROUNDS, MAX_ROUNDS = 3, 50
ENOUGH_SECONDS = 1.0
"""Measured time after which no round is added."""


def measure_latency(model: Any, specs: Any) -> float:
    """The median time of ``model.predict_on_batch`` for random inputs, in seconds.

    ``specs`` has a ``tf.TensorSpec`` for each input. The model is as before: its variables, the
    states of its layers and its compiled function.
    """
    batch = random_inputs(model, specs)
    function, seconds = getattr(model, "predict_function", None), list[float]()
    steps = Progress(WARM_UP + MIN_ROUNDS, "predictions")
    with variables_kept(model), losses_kept(model), random_state_kept(), steps:
        model.predict_function = None  # one that is traced for this batch size
        try:
            while len(seconds) < WARM_UP + MIN_ROUNDS or (
                sum(seconds[WARM_UP:]) < ENOUGH_SECONDS and len(seconds) < WARM_UP + MAX_ROUNDS
            ):
                began = time.perf_counter()
                model.predict_on_batch(batch)
                seconds.append(time.perf_counter() - began)
                steps.advance()
        finally:
            model.predict_function = function
    return median(seconds[WARM_UP:])


def random_inputs(model: Any, specs: Any) -> Any:
    """Inputs of the given shapes: normally distributed, or valid indices of an embedding.

    Example:
        >>> layers = [keras.Input((3,)), keras.layers.Embedding(5, 2)]
        >>> x = random_inputs(keras.Sequential(layers), tf.TensorSpec((1, 3)))
        >>> x.shape, x.dtype.name, bool((x < 5).all())
        ((1, 3), 'float32', True)
    """
    names = ("input_dim", "num_tokens")  # of Embedding and CategoryEncoding
    sizes = [getattr(layer, name, None) for layer in flat_layers(model) for name in names]
    limit = min((size for size in sizes if isinstance(size, int)), default=None)
    random = np.random.default_rng(0)

    def values(spec: Any) -> Any:
        dtype = np.dtype(spec.dtype.as_numpy_dtype)
        if limit is None and not spec.dtype.is_integer and not spec.dtype.is_bool:
            return random.standard_normal(spec.shape).astype(dtype)
        # An index of 0 may stand for padding.
        return random.integers(min(1, (limit or 2) - 1), limit or 2, spec.shape).astype(dtype)

    return keras.tree.map_structure(values, specs)


def device_name() -> str:
    """The device that TensorFlow computes on, such as "CPU, 8 cores"."""
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        return f"GPU, {details.get('device_name', 'unknown model')}"
    return f"CPU, {os.cpu_count()} cores"
