"""The replicas of a model on the GPUs of this machine, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import tensorflow as tf

from kmagic.training.distributed.batch_shares import Share
from kmagic.training.distributed.replica import Part, Replica, ReplicaSetup, rows_of_all, sum_of_all


class OwnKeysStrategy(tf.distribute.MirroredStrategy):  # type: ignore[misc] # untyped
    """A MirroredStrategy whose sums are not mistaken for those of an earlier one.

    TensorFlow gives the sums of each strategy the same keys, and keeps their shapes.
    """

    _bases = count(0, 100_000)  # as in TensorFlow's own tests

    def __init__(self, devices: Sequence[str]) -> None:
        self._collective_key_base = next(self._bases)
        super().__init__(list(devices))


class MirroredReplica(Replica):
    """One model with a copy of each variable on each GPU.

    Keras computes the loss for a strategy of several replicas, so it is divided by their number,
    and merges the metrics itself.
    """

    strategy: tf.distribute.MirroredStrategy

    def __init__(
        self, setup: ReplicaSetup, data: Mapping[Part, Any], strategy: tf.distribute.Strategy
    ) -> None:
        replicas = strategy.num_replicas_in_sync
        with strategy.scope():
            super().__init__(setup, data, rank=0, workers=replicas, strategy=strategy)
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        optimizer._all_reduce_sum_gradients = lambda pairs: pairs  # noqa: SLF001 - summed before

    def _run_step(self, part: Part, shares: Sequence[Share]) -> None:
        before = None if shares[-1].counts else self._metric_values()
        batches = [self._rows(part, share) for share in shares]
        weights = [tf.constant(share.weight * len(shares)) for share in shares]
        fractions = [tf.constant(1.0 if before else share.weight) for share in shares]

        def of_each(values: list[Any]) -> Any:
            distribute = self.strategy.experimental_distribute_values_from_function
            return distribute(lambda context: values[context.replica_id_in_sync_group])

        self._steps[part](
            tf.nest.map_structure(lambda *parts: of_each(list(parts)), *batches),
            of_each(weights),
            of_each(fractions),
        )
        if before is not None:  # each replica has counted the whole batch
            pairs = zip(self.model.metrics_variables, before, self._metric_values(), strict=True)
            for variable, old, new in pairs:
                variable.assign(old + (new - old) / len(shares))

    def _traced_once(self, step: Any, part: Part) -> Any:  # noqa: ARG002 - not needed by a single process

        def any_size(part: tf.Tensor) -> tf.Tensor:  # Keras weighs batches by a size that it knows
            return tf.compat.v1.placeholder_with_default(part, [None, *part.shape[1:]])

        def replica(batch: Any, *weights: tf.Tensor) -> None:
            step(tf.nest.map_structure(any_size, batch), *weights)

        def replicas(*arguments: Any) -> None:
            self.strategy.run(replica, args=arguments)

        converted = tf.autograph.experimental.do_not_convert(replicas)
        return tf.function(converted, reduce_retracing=True)

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        return sum_of_all(value)

    def _gather(self, value: tf.Tensor) -> tf.Tensor:
        return rows_of_all(value)

    def _average_statistics(self) -> None:
        """Nothing: Keras has averaged them in each step."""


class MirroredWorkers:
    """The GPUs of this machine as a group of workers."""

    def __init__(self, devices: Sequence[str], setup: ReplicaSetup, data: Any) -> None:
        self.count = len(devices)
        self._devices, self._setup, self._data = devices, setup, data
        self._replica: Any = None

    def start(self, poll: Any, *, at_least: int) -> None:  # noqa: ARG002 - as for other workers
        """Create the replicas."""
        strategy = OwnKeysStrategy(self._devices)
        self._replica = MirroredReplica(self._setup, self._data, strategy)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of the replicas."""
        return [getattr(self._replica, method)(*arguments)]

    def settle(self) -> None:
        """Nothing: a call has always ended."""

    def close(self) -> None:
        """Release the replicas."""
        self._replica = None


def gpu_names() -> list[str]:
    """The names in TensorFlow of the GPUs of this machine."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]
