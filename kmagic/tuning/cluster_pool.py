"""The processes that train trials on the nodes of a Ray cluster."""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

from kmagic.cluster.connection import ACTOR_PREFIX, import_ray
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import describe_error
from kmagic.support.messages import Option, Text
from kmagic.tuning.shared_values import open_shared
from kmagic.tuning.trial_run import (
    Answer,
    EpochReport,
    Task,
    TrialOutcome,
    TrialSetup,
    weights_file,
)
from kmagic.tuning.worker_pool import Worker, WorkerPool
from kmagic.tuning.worker_process import work

_END_SECONDS = 1.0


class TrialActor:
    """Runs in a process of its own on a node; Ray calls its methods.

    Args:
        setup: What all trials have in common. Its arrays lie in the shared memory of the node.
        threads: Threads of TensorFlow.
    """

    def __init__(self, setup: TrialSetup, threads: int) -> None:
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        self._folder = tempfile.TemporaryDirectory(prefix="kmagic-trials-")
        data = open_shared(setup.data)
        self._setup = replace(setup, data=data, weights=Path(self._folder.name))
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._number = -1
        arguments = (lambda: self._setup), threads, self._inbox, self._outbox.put
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def send(self, message: Task | Answer) -> None:
        """Take a task or an answer."""
        if isinstance(message, Task):
            self._number = message.number
        self._inbox.put(message)

    def receive(self) -> EpochReport | TrialOutcome | str:
        """Wait for the next message; the weights of a trial come with its outcome."""
        message: EpochReport | TrialOutcome | str = self._outbox.get()
        file = weights_file(self._setup.weights, self._number)
        if isinstance(message, TrialOutcome) and file.exists():
            message = replace(message, weights=file.read_bytes())
            file.unlink()
        return message

    def remove_folder(self) -> None:
        """Remove its files; the process is killed afterwards, and cannot do so itself."""
        self._folder.cleanup()


class ClusterWorker(Worker):
    """A worker on a node.

    Attributes:
        actor: The actor.
        message: The next message of the actor, as Ray's reference to it.
    """

    def __init__(self, actor: Any, weights: Path) -> None:
        super().__init__()
        self.actor, self._weights = actor, weights
        self._has_ended = False
        self.message = actor.receive.remote()

    def send(self, message: Task | Answer) -> None:
        """Send a task or an answer."""
        self.actor.send.remote(message)

    def _next_message(self) -> Any:
        ray = import_ray()
        try:
            message = ray.get(self.message)
        except ray.exceptions.RayError as error:
            self._has_ended = True
            if _is_of_node(error):
                return TrialOutcome(is_interrupted=True)
            reason = _why_lost(error)
            return TrialOutcome(reason) if self.is_ready else reason
        self.message = self.actor.receive.remote()
        if isinstance(message, TrialOutcome) and message.weights and self.task is not None:
            weights_file(self._weights, self.task.number).write_bytes(message.weights)
        return message

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self._has_ended

    def close(self) -> None:
        """End the process."""
        _end([self.actor])


def _end(actors: list[Any]) -> None:
    """End some actors, which remove their files if they answer."""
    ray = import_ray()
    answers = [actor.remove_folder.remote() for actor in actors]
    if answers:
        ray.wait(answers, num_returns=len(answers), timeout=_END_SECONDS)
    for actor in actors:
        ray.kill(actor)


def _is_of_node(error: Exception) -> bool:
    """Whether the node of an actor was lost or cannot be reached, rather than that it crashed."""
    exceptions = import_ray().exceptions
    is_away = isinstance(error, exceptions.ActorUnavailableError | exceptions.NodeDiedError)
    return is_away or "node has died" in str(error) or "node was" in str(error)


def _why_lost(error: Exception) -> str:
    text = str(error)
    exceptions = import_ray().exceptions
    if isinstance(error, exceptions.OutOfMemoryError) or "MEMORY" in text:
        return "Its process was ended because the memory of the node ran out."
    if isinstance(error, exceptions.ActorDiedError) and "SYSTEM_ERROR" in text:
        return "Its process ended unexpectedly, perhaps because the memory of the node ran out."
    return f"Its process was lost: {describe_error(error)}"


class ClusterPool(WorkerPool[ClusterWorker]):
    """Workers on the nodes of a cluster; Ray decides where each runs.

    Args:
        setup: What all trials have in common. It is stored once on each node that needs it.
        count: Maximum number of workers.
        cpus: Processor cores of each.
        gpus: GPUs of each, also a part of one.

    Raises:
        TrainingError: The setup cannot be pickled.
    """

    def __init__(self, setup: TrialSetup, count: int, *, cpus: float, gpus: float) -> None:
        super().__init__(count)
        ray = import_ray()
        self._weights = setup.weights
        try:
            self._setup = ray.put(setup)
        except Exception as error:
            raise TrainingError(
                f"The data or a callback cannot be copied to the cluster: {describe_error(error)}.",
                Text("Train in this process: ", Option("in_process", value=True), "."),
            ) from error
        self._threads = max(1, round(cpus))
        actor = ray.remote(TrialActor)
        self._options = partial(
            actor.options,
            num_cpus=cpus,
            num_gpus=gpus,
            max_concurrency=3,  # it waits for a message, and takes one
            scheduling_strategy="SPREAD",
        )
        self._prefix = f"{ACTOR_PREFIX}/search for {setup.name}/{uuid4().hex}"
        self._started = 0

    def __exit__(self, *_: object) -> None:
        _end([worker.actor for worker in self._workers])

    def _start_worker(self) -> ClusterWorker:
        actor = self._options(name=f"{self._prefix}/{self._started}")
        self._started += 1
        return ClusterWorker(actor.remote(self._setup, self._threads), self._weights)

    def _with_messages(self, seconds: float) -> list[ClusterWorker]:
        by_message = {worker.message: worker for worker in self._workers}
        wait = partial(import_ray().wait, list(by_message))
        if not by_message or not wait(timeout=seconds)[0]:
            return []
        return [by_message[m] for m in wait(num_returns=len(by_message), timeout=0)[0]]
