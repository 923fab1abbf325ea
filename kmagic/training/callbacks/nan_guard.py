"""A loss that is no number ends the training at once, and the model keeps its last good weights.

Imported only when Keras is there already.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kmagic.support.formatting import format_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SHARE = 0.02
"""Copies of the weights may take so much of the time; where it would be more, there are fewer."""
LOOKED_AT = 256
"""Samples that are sent through the layers to find where it begins."""


class NotFinite(BaseException):
    """The loss or the weights are nan or infinite.

    Like ``Stopped`` it is no Exception: nothing on its way shall take it for a mistake.

    Args:
        words: What it is, and since when.
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Guard(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Looks at the loss of each batch, and keeps the weights that each epoch began with.

    Args:
        clock: Seconds.
    """

    every_batch = False

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self._clock = clock
        self._start = clock()
        self._spent = 0.0
        self._weights: list[Any] = []
        self._batch = 0
        self.epoch = 0
        self.exact = False
        """Whether the last batch that ran is the one that broke it, however many ran in one go."""

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Keep the weights, if that costs next to nothing, and if they are good."""
        del logs
        self._batch = 0
        began = self._clock()
        if self._weights and self._spent > SHARE * (began - self._start):
            return
        weights = self.model.get_weights()
        self._check(weights, f"in epoch {epoch:,}" if epoch else "before the first epoch")
        self._weights, self.epoch = weights, epoch + 1
        self._spent += self._clock() - began

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A batch, or the last of those that ran in one go."""
        first, self._batch = self._batch + 1, batch + 1
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            where = f"in batch {self._batch:,}"
            if first < self._batch and not self.exact:  # they ran in one go
                where = f"in one of the batches {first:,} to {self._batch:,}"
            raise NotFinite(f"the loss became {format_metric(loss)} {where}")

    def on_train_end(self, logs: object = None) -> None:
        """A relu turns nan to 0: the loss may be good although the weights are not."""
        del logs
        self._check(self.model.get_weights(), "in the last epoch")

    def check_epoch(self, epoch: int) -> None:
        """Hold that the weights are good behind an epoch, counted from 0: somebody keeps them."""
        self._check(self.model.get_weights(), f"in epoch {epoch + 1:,}")

    def _check(self, weights: list[Any], when: str) -> None:
        if not all(_is_finite(each) for each in weights):
            raise NotFinite(f"the weights became nan {when}, though the loss did not")

    def restore(self) -> bool:
        """Put the last good weights back, and clear the optimizer of what is no number."""
        if not self._weights:
            return False
        self.model.set_weights(self._weights)
        for each in getattr(self.model.optimizer, "variables", ()):
            values = keras.ops.convert_to_numpy(each)
            if not _is_finite(values):
                each.assign(np.zeros_like(values))
        return True


class Gate(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Lets nobody behind it keep weights that are no numbers.

    Args:
        guard: Knows how to look.
    """

    every_batch = False

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The epoch's last batch may have broken what its loss does not show yet."""
        del logs
        self._guard.check_epoch(epoch)


def culprit(model: keras.Model, x: Any, broken: Sequence[Any], names: Sequence[str]) -> str:
    """Where it began: the data, or the first layer that gives or holds what is no number.

    Args:
        model: The model, with its last good weights.
        x: The inputs, where they are arrays.
        broken: The weights as they were when it broke.
        names: The layer of each of them.

    Returns:
        A few words, or "" if it cannot be told.
    """
    leaves = [each for each in keras.tree.flatten(x) if isinstance(each, np.ndarray)]
    for each in leaves:
        if not _is_finite(each):
            row = int(np.argmin(np.isfinite(each.reshape(len(each), -1)).all(axis=1)))
            return f"the data: sample {row:,} holds nan or inf"
    layer = _first_output(model, x) if leaves else ""
    if layer:
        return f"the layer {layer}: it gives values that are no numbers"
    for values, name in zip(broken, names, strict=True):
        if not _is_finite(values):
            return f"the layer {name}: its weights are no numbers any more"
    return ""


def layer_names(model: keras.Model) -> list[str]:
    """The layer of each array of ``model.get_weights()``."""
    return [each.path.rpartition("/")[0].rpartition("/")[2] or each.name for each in model.weights]


def _first_output(model: keras.Model, x: Any) -> str:
    """The first layer that gives what is no number for the first samples, or ""."""
    try:
        layers = [each for each in model.layers if each.__class__.__name__ != "InputLayer"]
        inputs = model.inputs
        if len(inputs) == 1:
            inputs, x = inputs[0], keras.tree.flatten(x)[0]
        probe = keras.Model(inputs, [each.output for each in layers])
        some = keras.tree.map_structure(lambda array: array[:LOOKED_AT], x)
        outputs = probe(some, training=False)
    except Exception:  # noqa: BLE001 - a subclassed model cannot be looked into; the rest is told
        return ""
    for layer, output in zip(layers, outputs, strict=False):
        values = [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(output)]
        if not all(_is_finite(each) for each in values):
            return str(layer.name)
    return ""


def _is_finite(array: Any) -> bool:
    array = np.asarray(array)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
