"""What runs in a worker's process: a Ray actor with one replica of the model.

TensorFlow reads the addresses of all workers from its environment, so nothing here imports it
before they are known.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, NamedTuple


class WorkerPlace(NamedTuple):
    """Where a worker runs.

    Attributes:
        node: The id of its machine.
        address: "HOST:PORT" for the collective operations.
        cores: The number of cores that its process may use.
    """

    node: str
    address: str
    cores: int


class TrainingActor:
    """One worker: it trains when it is told to, and knows nothing of the notebook."""

    def __init__(self) -> None:
        self._replica: Any = None
        self._port = socket.socket()  # kept, or another program might use it first
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def place(self) -> WorkerPlace:
        """Where it runs, with a port for TensorFlow."""
        import ray  # noqa: PLC0415 - an extra

        host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        self._port.bind(("", 0))
        port = self._port.getsockname()[1]
        node = ray.get_runtime_context().get_node_id()
        shown = f"[{host}]" if ":" in host else host
        return WorkerPlace(node, f"{shown}:{port}", len(os.sched_getaffinity(0)))

    def join(self, addresses: list[str], rank: int, threads: int, setup: Any, data: Any) -> None:
        """Connect with the other workers, and create the model."""
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        os.environ |= {"TF_CONFIG": json.dumps(cluster), "TF_GRPC_REUSE_PORT": "true"}
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from kmagic.support.keras_import import load_keras_in_worker  # noqa: PLC0415 - see above

        load_keras_in_worker(threads)
        import tensorflow as tf  # noqa: PLC0415 - as above

        from kmagic.training.distributed.replica import Replica  # noqa: PLC0415 - as above

        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        count = len(addresses)
        self._replica = Replica(setup, data, rank=rank, workers=count, strategy=strategy)

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Call a method of the replica."""
        return getattr(self._replica, method)(*arguments)
