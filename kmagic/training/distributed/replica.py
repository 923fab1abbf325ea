"""A copy of the model that trains and validates its share of each batch.

Keras computes: a step is the model's own ``train_step``. Only the gradients are replaced, before
the optimizer uses them, by their weighted sum over all workers. So Keras needs no support for
several workers, and clipping and the optimizer see the gradient of the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kmagic.models.global_settings import apply_settings
from kmagic.models.keras_history import flat_layers
from kmagic.models.model_variables import all_variables
from kmagic.models.object_copies import check_copy, load_with_classes
from kmagic.support.errors import TrainingError
from kmagic.training.distributed.batch_shares import Share, batches_of, epoch_order, shares_of
from kmagic.training.pipeline.step_graph import unconverted_function

Part = Literal["train", "test"]
SEED_STEP = 2654435761
"""Between the random states of two workers: their dropout masks must differ."""


@dataclass(frozen=True, slots=True)
class ReplicaSetup:
    """What a worker needs besides the data.

    Attributes:
        model: The model, as :func:`kmagic.models.object_copies.pickle_with_classes` pickles it.
        batch_sizes: Samples per training and per validation batch, of all workers together.
        order_seed: Seed of the order of the samples; None if they are not shuffled.
        seed: Seed of everything else that is random; None if it need not be repeatable.
        settings: Global settings of Keras that differ from the defaults.
        shapes: The shapes of all variables.
        expected: What the model computes for the first sample; None if that is random.
    """

    model: bytes
    batch_sizes: Mapping[Part, int]
    order_seed: int | None
    seed: int | None
    settings: Mapping[str, str]
    shapes: Sequence[tuple[int, ...]]
    expected: np.ndarray | None


def first_output(model: keras.Model, batch: Any) -> np.ndarray:
    """All outputs for the first sample."""
    first = tf.nest.map_structure(lambda array: tf.convert_to_tensor(array[:1]), batch)
    x, *_ = keras.utils.unpack_x_y_sample_weight(first)
    outputs = keras.tree.flatten(model(x, training=False))
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(output)) for output in outputs])


class Replica:
    """The copy of the model of one worker.

    Args:
        setup: The model and the sizes of the batches.
        data: For "train" and "test" the argument of a step, as arrays of all samples.
        rank: The number of this worker, from 0.
        workers: The number of workers.
        strategy: Sums the gradients.
    """

    def __init__(
        self,
        setup: ReplicaSetup,
        data: Mapping[Part, Any],
        *,
        rank: int,
        workers: int,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._setup, self._data = setup, data
        self._rank, self._workers = rank, workers
        self.strategy = strategy
        apply_settings(setup.settings)
        if setup.seed is not None:
            keras.utils.set_random_seed((setup.seed + rank) % 2**32)
        self.model = self._load()
        build_variables(self.model, data["train"])
        self._variables = all_variables(self.model)
        if shapes_of(self._variables) != setup.shapes:
            raise TrainingError(
                f"{self.model.name} cannot be copied to a worker: its copy has other variables.",
                "Build and compile it again with the present settings of Keras.",
            )
        check_copy(self.model.name, setup.expected, lambda: first_output(self.model, data["train"]))
        self._orders: dict[Part, Any] = {}
        self._steps = {"train": self._train_step(), "test": self._test_step()}
        self.sum_now = unconverted_function(self._sum)

    def _load(self) -> keras.Model:
        return load_with_classes(self._setup.model)

    # --- what the notebook calls --------------------------------------------------------------

    def begin(self, part: Part, epoch: int, changes: Mapping[int, Any]) -> None:
        """Begin an epoch or a validation, with new values of some variables by their index."""
        seed = self._setup.order_seed if part == "train" else None
        samples = len(keras.tree.flatten(self._data[part])[0])
        self._orders[part] = epoch_order(samples, seed, epoch)
        for index, value in changes.items():
            self._variables[index].assign(self._own_value(self._variables[index], value))
        self.model.reset_metrics()

    def _own_value(self, variable: Any, value: np.ndarray) -> np.ndarray:
        """The value of a variable here: of a random state another one than in other workers."""
        if not self._rank or not is_random_state(variable):
            return value
        return np.array([(int(value[0]) + self._rank * SEED_STEP) % 2**31, value[1]], value.dtype)

    def run(self, part: Part, first: int, count: int) -> list[np.ndarray]:
        """Train or validate some batches; returns this worker's values of the metric variables."""
        batches = batches_of(self._orders[part], self._setup.batch_sizes[part], first, count)
        for rows in batches:
            self._run_step(part, shares_of(rows, self._workers))
        return self._metric_values()

    def state(self) -> list[np.ndarray] | None:
        """The values of all variables, from the first worker.

        Statistics such as those of a BatchNormalization become the mean over all workers.
        """
        if self._workers > 1:
            self._average_statistics()
        return None if self._rank else [variable.numpy() for variable in self._variables]

    def _average_statistics(self) -> None:
        variables = [
            variable
            for layer in flat_layers(self.model)
            for variable in layer._non_trainable_variables  # noqa: SLF001 - without frozen weights
            if keras.backend.is_float_dtype(variable.dtype)
        ]
        if variables:
            flat = np.concatenate([np.ravel(variable.numpy()) for variable in variables])
            means = self.sum_now(tf.constant(flat, tf.float64) / self._workers).numpy()
            ends = np.cumsum([math.prod(variable.shape) for variable in variables])
            for variable, part in zip(variables, np.split(means, ends[:-1]), strict=True):
                variable.assign(part.reshape(variable.shape))

    # --- steps --------------------------------------------------------------------------------

    def _run_step(self, part: Part, shares: Sequence[Share]) -> None:
        share = shares[self._rank]
        kept = None if share.counts else self._metric_values()
        weight = tf.constant(share.weight)
        self._steps[part](self._rows(part, share), weight, weight)
        if kept is not None:
            for variable, value in zip(self.model.metrics_variables, kept, strict=True):
                variable.assign(value)

    def _rows(self, part: Part, share: Share) -> Any:
        return tf.nest.map_structure(
            lambda array: tf.convert_to_tensor(array[share.rows]), self._data[part]
        )

    def _metric_values(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.model.metrics_variables]

    def _train_step(self) -> Any:
        """The training step, for batches of any size: each worker must trace it only once."""
        weight: list[Any] = []
        replace_gradients(
            self.model.optimizer, lambda gradients: self._sum_gradients(gradients, weight[-1])
        )

        def step(batch: Any, share_weight: tf.Tensor, fraction: tf.Tensor) -> None:
            weight.append(share_weight)
            self._count_fraction(self.model.train_step, batch, fraction)

        return self._traced_once(step, "train")

    def _test_step(self) -> Any:
        def step(batch: Any, _: tf.Tensor, fraction: tf.Tensor) -> None:
            self._count_fraction(self.model.test_step, batch, fraction)

        return self._traced_once(step, "test")

    def _count_fraction(self, step: Callable[[Any], Any], batch: Any, fraction: tf.Tensor) -> None:
        """Run a step; the losses of outputs are means of batches, and a share is a part of one."""
        metrics = getattr(self.model._compile_loss, "metrics", ())  # noqa: SLF001 - not public
        variables = [variable for metric in metrics for variable in metric.variables]
        before = [tf.identity(variable.value) for variable in variables]
        step(batch)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value + fraction * (variable.value - value))

    def _traced_once(self, step: Callable[..., None], part: Part) -> Any:
        if part not in self._data:
            return None
        spec = tf.nest.map_structure(
            lambda array: tf.TensorSpec([None, *array.shape[1:]], tf.as_dtype(array.dtype)),
            self._data[part],
        )
        converted = tf.autograph.experimental.do_not_convert(step)
        number = tf.TensorSpec([], tf.float32)
        return tf.function(converted, input_signature=[spec, number, number])

    # --- all workers together -----------------------------------------------------------------

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        """The sum of a tensor over all workers."""
        if self._workers == 1:
            return value

        with tf.device(self.strategy.extended.worker_devices[0]):
            return self.strategy.run(sum_of_all, args=(tf.identity(value),))

    def _gather(self, value: tf.Tensor) -> tf.Tensor:
        """The rows of a tensor of all workers."""
        if self._workers == 1:
            return value
        with tf.device(self.strategy.extended.worker_devices[0]):
            return self.strategy.run(rows_of_all, args=(tf.identity(value),))

    def _sum_gradients(self, gradients: list[Any], weight: tf.Tensor) -> list[Any]:
        """The weighted sum of the gradients of all workers, with one operation for each dtype.

        The slices of an Embedding stay slices: for these, Keras's optimizers compute differently.
        """
        result = list(gradients)
        dense: dict[Any, list[int]] = {}
        for index, value in enumerate(gradients):
            if isinstance(value, tf.IndexedSlices):
                values = self._gather(value.values * tf.cast(weight, value.dtype))
                indices = self._gather(value.indices)
                result[index] = tf.IndexedSlices(values, indices, value.dense_shape)
            elif value is not None:
                dense.setdefault(value.dtype, []).append(index)
        for dtype, indices in dense.items():
            flat = tf.concat([tf.reshape(gradients[index], [-1]) for index in indices], 0)
            sizes = [math.prod(gradients[index].shape) for index in indices]
            parts = tf.split(self._sum(flat * tf.cast(weight, dtype)), sizes)
            for index, part in zip(indices, parts, strict=True):
                result[index] = tf.reshape(part, gradients[index].shape)
        return result


def shapes_of(variables: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of some variables."""
    return [tuple(variable.shape) for variable in variables]


def is_random_state(variable: Any) -> bool:
    """Whether a variable is the state of a layer's random numbers."""
    return "seed_generator_state" in variable.path


def build_variables(model: keras.Model, data: Any) -> None:
    """Create the variables of model, optimizer and metrics, as Keras does before a batch."""
    sample = tf.nest.map_structure(lambda array: tf.convert_to_tensor(array[:1]), data)
    model._symbolic_build(data_batch=sample)  # noqa: SLF001 - what Keras's fit calls


def sum_of_all(value: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over all replicas; to be called in a replica."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def rows_of_all(value: tf.Tensor) -> tf.Tensor:
    """The rows of a tensor of all replicas; to be called in a replica."""
    return tf.distribute.get_replica_context().all_gather(value, axis=0)


def replace_gradients(optimizer: Any, change: Callable[[list[Any]], list[Any]]) -> None:
    """Let an optimizer use the gradients that a function returns for them."""
    apply = optimizer.apply

    def apply_changed(gradients: Any, trainable_variables: Any = None) -> Any:
        return apply(change(list(gradients)), trainable_variables)

    optimizer.apply = apply_changed
