"""The graph of several steps of a model, one after the other.

Where the size of a batch is known, TensorFlow makes a smaller graph: it need not ask at every
operation whether the shapes of both sides are the same. That counts where a step has a loop
within, as a recurrent layer has: an LSTM of a hundred words looks at shapes, and keeps them for
the gradient, a hundred times a batch, and takes a fifth longer for it. Elsewhere it is lost among
the rest.

Imported only when Keras is there already.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import keras
import tensorflow as tf

from kmagic.models.keras_history import flat_layers

if TYPE_CHECKING:
    from collections.abc import Callable

Kind: TypeAlias = Literal["train", "test"]
SAME = (keras.layers.LSTM, keras.layers.GRU)
"""Recurrent layers in whose graph TensorFlow adds in the same order, whether it knows the size of
a batch or not, so that the figures are the same to the last bit."""


class Steps:
    """Several steps of a model as one graph; how many is an argument of it.

    Args:
        model: A compiled model.
        kind: Which of its steps.
        size: Samples in each of the batches; None where they may be any number.

    Attributes:
        made: Whether the graph is made, and has run.
        seconds: What the making has taken, the first run included.
    """

    def __init__(self, model: keras.Model, kind: Kind, size: int | None = None) -> None:
        self.size = size
        self.made = False
        self.seconds = 0.0
        self._iterator: Any = None
        self._graph: Any = None
        step = getattr(model, f"{kind}_step")

        def sized(tensor: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tensor, [size, *tensor.shape[1:]])

        def several(iterator: Any, batches: tf.Tensor) -> Any:
            def body(done: tf.Tensor, good: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                batch = iterator.get_next()
                logs = step(batch if size is None else tf.nest.map_structure(sized, batch))
                if kind == "train" and "loss" in logs:
                    good = tf.math.is_finite(tf.cast(logs["loss"], tf.float64))
                return done + 1, good

            def goes_on(done: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
                return tf.logical_and(good, done < batches)

            done, _ = tf.while_loop(goes_on, body, [tf.constant(0), tf.constant(True)])
            return model.get_metrics_result(), done

        self._function = as_it_is(several)

    def make(self, iterator: Any) -> None:
        """Make the graph for what an iterator gives, where it is not made yet."""
        if iterator is not self._iterator:
            # A function of its own, since TensorFlow warns where many of its calls make a graph,
            # and here there are few calls.
            self._graph = self._function.get_concrete_function(iterator, tf.constant(1))
            self._iterator = iterator

    def run(self, iterator: Any, batches: int) -> tuple[Any, int]:
        """Run so many batches.

        Returns:
            The figures, and the number of batches: fewer where the loss is no number any more.
        """
        began = time.perf_counter()
        self.make(iterator)
        logs, done = self._graph(iterator, tf.constant(batches))
        done = int(done)
        if not self.made:
            self.made, self.seconds = True, time.perf_counter() - began
        return logs, done

    def rest(self) -> None:
        """Nothing is run for now: the data need not be kept."""
        self._iterator = self._graph = None


def gains_by_size(model: keras.Model) -> bool:
    """Whether a step is quicker, and else the same, where it knows how large a batch is.

    So it is with LSTM and GRU among layers of Keras. A recurrent dropout or a simple recurrent
    layer has sums of three terms, which are then added in another order.

    Args:
        model: A model.

    Example:
        >>> inner = [keras.layers.Embedding(9, 4), keras.layers.LSTM(2), keras.layers.Dense(1)]
        >>> gains_by_size(keras.Sequential(inner)), gains_by_size(keras.Sequential(inner[2:]))
        (True, False)
    """
    layers = [layer for layer in flat_layers(model) if layer is not model]
    recurrent = [each for each in layers if isinstance(each, keras.layers.RNN)]
    return (
        bool(recurrent)
        and all(type(each).__module__.startswith("keras.") for each in layers)
        and all(
            type(each) in SAME
            and each.compute_dtype == "float32"
            and not (each.recurrent_dropout or each.unroll)
            for each in recurrent
        )
    )


def as_it_is(function: Callable[..., Any]) -> Any:
    """A function's graph, its Python taken literally, as Keras has it."""
    return tf.function(tf.autograph.experimental.do_not_convert(function), reduce_retracing=True)


def make_variables(model: keras.Model, batch: Any) -> None:
    """Make the variables of optimizer and metrics, before the graph of a step is made.

    TensorFlow makes a graph twice where making it makes variables, and that of a step is large.
    Here the optimizer's are made at once, and those of the metrics by a small graph, which is
    never run. Where that cannot be, because the model's output is known only by calling it or is
    more than one, nothing is lost but time.

    Args:
        model: A compiled model.
        batch: The specification of what a step takes.
    """
    outputs = getattr(model, "outputs", None)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if not model.built or model.optimizer is None or y is None:
        return
    if not outputs or len(outputs) > 1 or keras.tree.is_nested(y):
        return

    def make(x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        return model.compute_metrics(x, y, y_pred, sample_weight)

    y_pred = tf.TensorSpec(outputs[0].shape, outputs[0].dtype)
    with contextlib.suppress(Exception):  # a mistake of the user's is told of by the step itself
        if not model.optimizer.built:
            with keras.name_scope(model.optimizer.name, caller=model.optimizer):
                model.optimizer.build(model.trainable_variables)
        as_it_is(make).get_concrete_function(x, y, y_pred, sample_weight)
