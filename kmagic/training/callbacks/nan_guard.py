"""End a training whose loss becomes nan or infinite, and restore the last good weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kmagic.support.formatting import format_metric

MAX_COPY_SHARE = 0.02
"""The share of the time that copying the weights may take; otherwise they are copied less often."""
SAMPLES_PROBED = 256
"""Samples that are sent through the layers to find the first one with nan or infinite values."""


class NotFiniteError(BaseException):
    """The loss or the weights are nan or infinite.

    Like ``StopTraining`` it is no Exception, so that code on its way does not handle it.
    """


class NanGuard(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Checks the loss of each batch, and keeps a copy of the weights at the start of each epoch."""

    every_batch = False

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self._clock = clock
        self._start = clock()
        self._copying = 0.0
        self._weights: list[Any] = []
        self._batch = 0
        self.epoch = 0  # that of the copy, from 1
        self.is_exact = False  # whether an execution ends with the batch that became nan

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Copy the weights if they are finite and copying is cheap."""
        self._batch = 0
        began = self._clock()
        if self._weights and self._copying > MAX_COPY_SHARE * (began - self._start):
            return
        weights = self.model.get_weights()
        _check_weights(weights, f"in epoch {epoch:,}" if epoch else "before the first epoch")
        self._weights, self.epoch = weights, epoch + 1
        self._copying += self._clock() - began

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A batch is done, or the last batch of an execution."""
        first, self._batch = self._batch + 1, batch + 1
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            where = f"in batch {self._batch:,}"
            if first < self._batch and not self.is_exact:
                where = f"in one of the batches {first:,} to {self._batch:,}"
            raise NotFiniteError(f"the loss became {format_metric(loss)} {where}")

    def on_train_end(self, logs: object = None) -> None:
        """Check the weights: a relu turns nan into 0, so the loss may be finite without them."""
        _check_weights(self.model.get_weights(), "in the last epoch")

    def restore(self) -> bool:
        """Restore the copied weights and reset optimizer variables that are not finite."""
        if not self._weights:
            return False
        self.model.set_weights(self._weights)
        for variable in getattr(self.model.optimizer, "variables", ()):
            values = keras.ops.convert_to_numpy(variable)
            if not _is_finite(values):
                variable.assign(np.zeros_like(values))
        return True


class NanGate(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Precedes callbacks that save weights, so that they never save nan."""

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The last batch may have broken the weights without showing it in its loss."""
        _check_weights(self.model.get_weights(), f"in epoch {epoch + 1:,}")


def _check_weights(weights: list[Any], when: str) -> None:
    if not all(map(_is_finite, weights)):
        raise NotFiniteError(f"the weights became nan {when}, but the loss did not")


def nan_weights(model: keras.Model) -> str:
    """The first weights that are not finite, as a phrase, or ""."""
    for weight in model.weights:
        if not _is_finite(weight):
            layer = weight.path.rpartition("/")[0].rpartition("/")[2]
            return f"the weights of layer {layer or weight.name}"
    return ""


def nan_source(model: keras.Model, x: Any) -> str:
    """Where nan comes from, with good weights: the data or a layer's output, as a phrase, or ""."""
    arrays = [leaf for leaf in keras.tree.flatten(x) if isinstance(leaf, np.ndarray)]
    for array in arrays:
        if not _is_finite(array):
            row = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
            return f"the data: sample {row:,} contains nan or inf"
    layer = _first_nan_output(model, x) if arrays else ""
    return f"the output of layer {layer}" if layer else ""


def _first_nan_output(model: keras.Model, x: Any) -> str:
    """The first layer whose output for the first samples is not finite, or ""."""
    try:
        layers = [layer for layer in model.layers if layer.__class__.__name__ != "InputLayer"]
        inputs = model.inputs
        if len(inputs) == 1:
            inputs, x = inputs[0], keras.tree.flatten(x)[0]
        probe = keras.Model(inputs, [layer.output for layer in layers])
        samples = keras.tree.map_structure(lambda array: array[:SAMPLES_PROBED], x)
        outputs = probe(samples, training=False)
    except Exception:  # noqa: BLE001 - the layers of a subclassed model are unknown
        return ""
    for layer, output in zip(layers, outputs, strict=False):
        if not all(map(_is_finite, keras.tree.flatten(output))):
            return str(layer.name)
    return ""


def _is_finite(values: Any) -> bool:
    array = keras.ops.convert_to_numpy(values)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
