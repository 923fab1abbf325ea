"""The workers of a training as the notebook sees them: Ray actors that all do the same."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

from kmagic.cluster.connection import ACTOR_PREFIX, import_ray
from kmagic.support.formatting import pluralize
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.distributed.training_actor import TrainingActor, WorkerPlace

START_SECONDS = 120.0
"""Time for Ray to start the processes; afterwards those that are ready make up the group."""
JOIN_SECONDS = 300.0
"""Time for the workers to import TensorFlow, to connect and to create the model."""
SETTLE_SECONDS = 20.0
"""Time for a call that an interrupt left unfinished."""
POLL_SECONDS = 0.5
PEER_ERRORS = ("UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError")
"""TensorFlow's errors in a worker when another one has ended."""


class WorkerLostError(Exception):
    """A worker has ended, or does not answer; says why."""


class RayWorkers:
    """A group of workers.

    Each call goes to all of them at the same time, because they wait for each other: they train the
    same batches and end at the same one. If one ends, the others wait forever, so all are replaced.

    Args:
        name: The name of the model, for what runs on the cluster.
        count: The number of workers.
        setup: A ReplicaSetup.
        data: The arrays for "train" and "test".
        use_gpus: Whether each worker gets a GPU.

    Attributes:
        actors: Those that train now, in the order of their numbers.
    """

    def __init__(self, name: str, count: int, setup: Any, data: Any, *, use_gpus: bool) -> None:
        self._ray, self._name, self._wanted = import_ray(), name, count
        self.actors: list[Any] = []
        self._unfinished: list[Any] = []
        self._gpus = int(use_gpus)
        self._setup, self._data = self._ray.put(setup), self._ray.put(data)

    @property
    def count(self) -> int:
        """The number of workers that train now."""
        return len(self.actors)

    def start(self, poll: Callable[[], None], *, at_least: int) -> None:
        """Start all workers, or as many as the cluster has room for.

        ``poll`` is called several times per second meanwhile; it may raise.

        Raises:
            WorkerLostError: There are fewer than ``at_least``, or they cannot connect with each
                other.
        """
        actors, found = self._new_actors(poll, at_least)
        self.actors = actors
        on_node = Counter(place.node for place in found)
        addresses = [place.address for place in found]
        joined = []
        for rank, (actor, place) in enumerate(zip(actors, found, strict=True)):
            threads = max(1, place.cores // on_node[place.node])
            joined += [actor.join.remote(addresses, rank, threads, self._setup, self._data)]
        try:
            self._finish(joined, JOIN_SECONDS, poll)
        except BaseException:
            self.close()
            raise

    def _new_actors(
        self, poll: Callable[[], None], at_least: int
    ) -> tuple[list[Any], list[WorkerPlace]]:
        """Start processes until there are enough, or the time is over."""
        actor_class: Any = self._ray.remote(TrainingActor)
        options = {"num_cpus": 1, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD"}
        prefix = f"{ACTOR_PREFIX}/training of {self._name.replace('/', '_')}/{uuid4().hex}"
        numbers, end = count(), time.monotonic() + START_SECONDS
        starting: dict[Any, Any] = {}
        ready: list[tuple[Any, WorkerPlace]] = []
        problem = "the other CPUs or GPUs of the cluster are in use"
        try:
            while len(ready) < self._wanted and time.monotonic() < end:
                while len(starting) + len(ready) < self._wanted:
                    name = f"{prefix}/{next(numbers)}"
                    actor = actor_class.options(name=name, **options).remote()
                    starting[actor.place.remote()] = actor
                done, _ = self._ray.wait(list(starting), timeout=POLL_SECONDS)
                for reference in done:
                    actor = starting.pop(reference)
                    try:
                        ready += [(actor, self._results([reference])[0])]
                    except WorkerLostError as error:  # its machine, perhaps: try another one
                        problem = str(error)
                poll()
                if len(ready) >= max(at_least, min(self._wanted, self._room())):
                    break
            if len(ready) < at_least:
                raise WorkerLostError(  # noqa: TRY301 - the processes must end
                    f"only {len(ready):,} of {pluralize(self._wanted, 'worker')} could be started "
                    f"within {START_SECONDS:.0f} s: {problem}"
                )
        except BaseException:
            self._kill([*starting.values(), *(actor for actor, _ in ready)])
            raise
        self._kill([*starting.values()])
        return [actor for actor, _ in ready], [place for _, place in ready]

    def _room(self) -> int:
        """The number of workers that the machines of the cluster could run."""
        resources = self._ray.cluster_resources()
        gpus = resources.get("GPU", 0) if self._gpus else math.inf
        return int(min(resources.get("CPU", 0), gpus))

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all replicas; returns their results.

        Raises:
            WorkerLostError: One of them has ended.
            Exception: What the method has raised.
        """
        with InterruptGuard():  # all of them get the call, or they would wait for each other
            self._unfinished = [actor.call.remote(method, arguments) for actor in self.actors]
        try:
            results = self._finish(self._unfinished, math.inf)
        except Exception:
            self.close()  # the others would wait for the one that has failed
            raise
        self._unfinished = []
        return results

    def settle(self) -> None:
        """Wait for a call that was interrupted.

        Raises:
            WorkerLostError: It does not end soon.
        """
        self._finish(self._unfinished, SETTLE_SECONDS)
        self._unfinished = []

    def close(self) -> None:
        """End all workers."""
        self._kill(self.actors)
        self.actors, self._unfinished = [], []

    def _kill(self, actors: list[Any]) -> None:
        for actor in actors:
            with suppress(Exception):  # the connection may be lost
                self._ray.kill(actor)

    # --- waiting ------------------------------------------------------------------------------

    def _finish(
        self, references: list[Any], seconds: float, poll: Callable[[], None] = lambda: None
    ) -> list[Any]:
        """The results, as soon as all are there or one has failed."""
        end = time.monotonic() + seconds
        waiting = list(references)
        while waiting:
            done, waiting = self._ray.wait(waiting, timeout=POLL_SECONDS)
            self._results(done)
            poll()
            if waiting and time.monotonic() > end:
                raise WorkerLostError(f"no answer within {seconds:.0f} s")
        return self._results(references)

    def _results(self, references: list[Any]) -> list[Any]:
        errors = self._ray.exceptions
        try:
            return list(self._ray.get(references))
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None) or error
            if type(cause).__name__ in PEER_ERRORS:
                raise WorkerLostError("its connection was lost") from error
            raise cause from error
        except errors.RayError as error:
            reason = "its process ended"
            if isinstance(error, errors.OutOfMemoryError):
                reason = "the memory of its machine ran out"
            elif "node has died" in str(error):
                reason = "its machine was lost"
            elif isinstance(error, errors.ActorUnavailableError):
                reason = "its machine did not answer"
            raise WorkerLostError(reason) from error
