"""A TensorFlow graph that runs several training or test steps of a model.

If the batch size is known, TensorFlow makes a smaller graph, because operations need not compare
shapes at run time. That matters in a step with an inner loop: an LSTM over a hundred words checks
shapes, and keeps them for the gradient, a hundred times per batch, and takes a fifth longer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import keras
import tensorflow as tf

from kmagic.models.keras_history import flat_layers

StepKind: TypeAlias = Literal["train", "test"]

SIZE_INDEPENDENT = (keras.layers.LSTM, keras.layers.GRU)
"""Recurrent layers whose graphs sum in the same order with and without a known batch size, so
that the results are equal to the last bit."""


class StepGraph:
    """Several steps of a model as one graph; their number is an argument of the graph."""

    def __init__(self, model: keras.Model, kind: StepKind, batch_size: int | None = None) -> None:
        self.batch_size = batch_size
        self.traced = False  # whether the graph exists and has run
        self.seconds = 0.0  # of tracing, including the first run
        self._iterator: Any = None
        self._graph: Any = None
        step = getattr(model, f"{kind}_step")

        def with_size(tensor: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tensor, [batch_size, *tensor.shape[1:]])

        def run_steps(iterator: Any, batches: tf.Tensor) -> Any:
            def body(done: tf.Tensor, finite: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                batch = iterator.get_next()
                if batch_size is not None:
                    batch = tf.nest.map_structure(with_size, batch)
                logs = step(batch)
                if kind == "train" and "loss" in logs:
                    finite = tf.math.is_finite(tf.cast(logs["loss"], tf.float64))
                return done + 1, finite

            def condition(done: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
                return tf.logical_and(finite, done < batches)

            done, _ = tf.while_loop(condition, body, [tf.constant(0), tf.constant(True)])
            return model.get_metrics_result(), done

        self._function = unconverted_function(run_steps)

    def trace(self, iterator: Any) -> None:
        """Trace the graph for an iterator's batches, if it is not traced for them yet."""
        if iterator is not self._iterator:
            # A concrete function: TensorFlow warns if many calls of a function retrace it, and
            # here there are few calls.
            self._graph = self._function.get_concrete_function(iterator, tf.constant(1))
            self._iterator = iterator

    def run(self, iterator: Any, batches: int) -> tuple[Any, int]:
        """Run batches until the loss is nan or infinite; returns the metrics and their number."""
        start = time.perf_counter()
        self.trace(iterator)
        logs, done = self._graph(iterator, tf.constant(batches))
        done = int(done)
        if not self.traced:
            self.traced, self.seconds = True, time.perf_counter() - start
        return logs, done

    def release(self) -> None:
        """Release the iterator, and with it the data, until the next run."""
        self._iterator = self._graph = None


def gains_by_batch_size(model: keras.Model) -> bool:
    """Whether a known batch size makes a step faster without changing its results.

    That is so for LSTM and GRU among Keras's own layers. A recurrent dropout or a SimpleRNN sums
    three terms, whose order would change.

    Example:
        >>> inner = [keras.layers.Embedding(9, 4), keras.layers.LSTM(2), keras.layers.Dense(1)]
        >>> model, dense = keras.Sequential(inner), keras.Sequential(inner[2:])
        >>> gains_by_batch_size(model), gains_by_batch_size(dense)
        (True, False)
    """
    layers = [layer for layer in flat_layers(model) if layer is not model]
    recurrent = [layer for layer in layers if isinstance(layer, keras.layers.RNN)]
    return (
        bool(recurrent)
        and all(type(layer).__module__.startswith("keras.") for layer in layers)
        and all(
            type(layer) in SIZE_INDEPENDENT
            and layer.compute_dtype == "float32"
            and not (layer.recurrent_dropout or layer.unroll)
            for layer in recurrent
        )
    )


def unconverted_function(function: Callable[..., Any]) -> Any:
    """A ``tf.function`` without AutoGraph, as Keras makes them."""
    return tf.function(tf.autograph.experimental.do_not_convert(function), reduce_retracing=True)


def create_variables(model: keras.Model, batch: Any) -> None:
    """Create the variables of optimizer and metrics before a step is traced.

    TensorFlow traces a function twice if the first trace creates variables, and a step's graph is
    large. The optimizer's are created directly, the metrics' by tracing a small graph that never
    runs. Nothing but time is lost if that is impossible, for a model that is not built or has
    several outputs.
    """
    outputs = getattr(model, "outputs", None)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if not model.built or model.optimizer is None or y is None:
        return
    if not outputs or len(outputs) > 1 or keras.tree.is_nested(y):
        return
    y_pred = tf.TensorSpec(outputs[0].shape, outputs[0].dtype)
    with contextlib.suppress(Exception):  # the step itself reports errors in the user's code
        if not model.optimizer.built:
            with keras.name_scope(model.optimizer.name, caller=model.optimizer):
                model.optimizer.build(model.trainable_variables)
        compute_metrics = unconverted_function(model.compute_metrics)
        compute_metrics.get_concrete_function(x, y, y_pred, sample_weight)
