"""When several workers train faster than one: speed-up on pinned cores, and cost of the sums.

    python benchmarks/multi_worker.py [--quick] [--rounds 3]

Part one trains a CNN with batches of 256 in one worker on one core, and in two workers on one core
each. Rounds alternate between the two; the first epoch of each training, which includes tracing, is
left out, and the median epoch of all rounds counts. Other programs on these cores change the
result, so the load of the machine is printed.

Part two measures the sum of one vector over two workers, which each step needs once, for vectors of
several sizes. A line through the times gives the latency and the bandwidth that
``docs/cluster.md`` derives from when several machines pay off.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from typing import Any

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KMAGIC_OFFLINE": "1",
    "KMAGIC_DISPLAY": "none",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import keras
import numpy as np
import ray

import kmagic
from kmagic.models.object_copies import pickle_with_classes
from kmagic.training.distributed import ray_workers
from kmagic.training.distributed.replica import ReplicaSetup
from kmagic.training.distributed.training_actor import TrainingActor

GOAL = 1.6
TEXT = """
input 28x28x1
conv2d 32 3x3 relu / maxpool 2
conv2d 64 3x3 relu / maxpool 2
flatten / dense 10 softmax
compile adam sparse_categorical_crossentropy
"""
SHAPES = [(1, 1), (1,), (), ()]  # of the variables of a small model and of SGD
SIZES = (1_000, 100_000, 1_000_000, 10_000_000)
"""Values of float32 in a vector."""


class PinnedActor(TrainingActor):
    """A worker on one core: the core of its number."""

    def join(self, addresses: list[str], rank: int, threads: int, setup: Any, data: Any) -> None:
        """Pin the process before TensorFlow starts its threads."""
        del threads
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
        super().join(addresses, rank, 1, setup, data)

    def time_sums(self, size: int, repeats: int) -> list[float]:
        """Seconds of each sum of a vector over all workers."""
        vector, seconds = keras.ops.zeros([size]), []
        for _ in range(repeats + 2):
            start = time.perf_counter()
            self._replica.sum_now(vector).numpy()
            seconds.append(time.perf_counter() - start)
        return seconds[2:]


def epoch_times(workers: int, samples: int, epochs: int) -> list[float]:
    """The seconds of each epoch but the first."""
    rng = np.random.default_rng(0)
    x = rng.random((samples, 28, 28, 1), dtype="float32")
    y = rng.integers(0, 10, samples)
    model = kmagic.build(TEXT)
    options = {"batch_size": 256, "epochs": epochs, "displays": []}
    run = kmagic.fit(model, x, y, on="auto", workers=workers, **options)
    return run.epoch_times[1:]


def speed_up(rounds: int, samples: int, epochs: int) -> None:
    """Print the times of one and of two workers."""
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in times:
            times[workers] += epoch_times(workers, samples, epochs)
    one, two = (statistics.median(measured) for measured in times.values())
    for workers, measured in times.items():
        rate = samples / statistics.median(measured)
        print(
            f"{workers} worker(s): {statistics.median(measured):.2f} s per epoch of "
            f"{samples:,} samples ({min(measured):.2f} to {max(measured):.2f}), {rate:,.0f}/s"
        )
    print(f"speed-up {one / two:.2f} (goal {GOAL})")


def sums(repeats: int) -> None:
    """Print the time of a sum by the size of the vector."""
    workers = _started_workers()
    points = []
    for size in SIZES:
        calls = [actor.time_sums.remote(size, repeats) for actor in workers.actors]
        seconds = statistics.median(ray.get(calls)[0])
        points.append((4 * size, seconds))
        print(f"{4 * size / 1e6:8.3f} MB: {1000 * seconds:7.2f} ms")
    workers.close()
    sizes, seconds = np.array(points).T
    latency = points[0][1]
    bandwidth = (sizes[-1] - sizes[0]) / (seconds[-1] - seconds[0])
    print(f"about {1000 * latency:.2f} ms + size / {bandwidth / 1e6:,.0f} MB/s")


def _started_workers() -> ray_workers.RayWorkers:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    setup = ReplicaSetup(
        pickle_with_classes("model", model, ""), {"train": 2}, None, None, {}, SHAPES
    )
    data = {"train": (np.zeros((2, 1), "float32"), np.zeros((2, 1), "float32"))}
    workers = ray_workers.RayWorkers("model", 2, setup, data, use_gpus=False)
    workers.start(lambda: None, at_least=2)
    return workers


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of few samples")
    given = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{len(os.sched_getaffinity(0))} cores, {load} before the measurement")
    ray_workers.TrainingActor = PinnedActor
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        try:
            if given.quick:
                speed_up(1, 256 * 8, 3)
            else:
                speed_up(given.rounds, 256 * 20, 4)
            sums(10 if given.quick else 50)
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
