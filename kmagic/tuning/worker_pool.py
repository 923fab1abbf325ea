"""The processes that train the trials, as their parent sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from kmagic.support.errors import TrainingError
from kmagic.support.messages import Option, Text
from kmagic.tuning.trial_run import Answer, EpochReport, Task, TrialOutcome
from kmagic.tuning.worker_process import READY

MAX_TRIALS = 100
"""Trials of one process, which then is replaced: Keras's memory grows from trial to trial."""
MAX_GROWTH = 2**30
"""Bytes by which the memory of a process may exceed that after its first trial."""
_END_SECONDS = 5.0
_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from kmagic.tuning.worker_process import main; main({arguments})"
)


AnyWorker = TypeVar("AnyWorker", bound="Worker")


class Worker(ABC):
    """A process that trains one trial at a time.

    Attributes:
        task: What it trains; None if it has nothing to do.
        is_ready: Whether it has imported everything.
    """

    def __init__(self) -> None:
        self.task: Task | None = None
        self.is_ready = False
        self._trials, self._first_memory, self._memory = 0, 0, 0

    @property
    def is_used_up(self) -> bool:
        """Whether a new process should replace it."""
        return self._trials >= MAX_TRIALS or self._memory > self._first_memory + MAX_GROWTH

    def start(self, task: Task) -> None:
        """Begin a trial."""
        self.task = task
        self.send(task)

    @abstractmethod
    def send(self, message: Task | Answer) -> None:
        """Send a task, or the answer to a report; a process that has ended is noticed later."""

    def receive(self) -> EpochReport | TrialOutcome | None:
        """What it reports; None if that does not concern its trial.

        Raises:
            TrainingError: It could not start.
        """
        message = self._next_message()
        if message == READY:
            self.is_ready = True
            return None
        if isinstance(message, str):
            raise not_started(message)
        if isinstance(message, TrialOutcome):
            self._trials += 1
            self._first_memory = self._first_memory or message.memory
            self._memory = message.memory
        return message

    @abstractmethod
    def _next_message(self) -> EpochReport | TrialOutcome | str:
        """What it has sent: READY, or why it could not start, or of a trial."""

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether its process has ended."""

    @abstractmethod
    def close(self) -> None:
        """End the process."""


class LocalWorker(Worker):
    """A worker on this machine.

    It is started as a new interpreter, not by a fork, which TensorFlow does not survive; and not by
    ``multiprocessing``, which would run the user's script again. It gets no interrupts: these are
    for the process that started it.
    """

    def __init__(self, setup_file: Path, log: Path, *, threads: int, gpu: str | None) -> None:
        super().__init__()
        self.connection, theirs = Pipe()
        self.gpu, self._log = gpu, log
        arguments = f"{theirs.fileno()}, {str(setup_file)!r}, {threads}"
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        if gpu is not None:
            environment |= {"CUDA_VISIBLE_DEVICES": gpu, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        with log.open("ab") as output, theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-c", _START.format(path=sys.path, arguments=arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def send(self, message: Task | Answer) -> None:
        """Send a task or an answer."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def _next_message(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.close()
            reason = self._end()
            return TrialOutcome(reason) if self.is_ready else reason

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self.process.poll() is not None

    def _end(self) -> str:
        """How the process ended, as a sentence."""
        code = self.process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {lines[-1][:300]}" if lines else ""
        if code == -signal.SIGKILL:
            return "Its process was killed by the system, probably because the memory ran out."
        if code < 0:
            return f"Its process was ended by {signal.Signals(-code).name}{last}"
        return f"Its process ended with exit code {code}{last}"

    def close(self) -> None:
        """End the process."""
        self.connection.close()  # it ends by itself
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def not_started(reason: str) -> TrainingError:
    """The error for a process that could not start."""
    return TrainingError(
        f"A process for trials could not start: {reason}",
        Text("Train in this process: ", Option("in_process", value=True), "."),
    )


class WorkerPool(ABC, Generic[AnyWorker]):
    """Several workers; those that end or grow are replaced.

    Args:
        count: Maximum number of workers.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[AnyWorker] = []

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: object, *_: object) -> None: ...

    @property
    def tasks(self) -> list[Task]:
        """What the workers are training."""
        return [worker.task for worker in self._workers if worker.task is not None]

    def grow(self, tasks: int) -> None:
        """Start workers for so many further tasks, up to the maximum."""
        idle = sum(worker.task is None for worker in self._workers)
        while idle < tasks and len(self._workers) < self._count:
            self._workers.append(self._start_worker())
            idle += 1

    @abstractmethod
    def _start_worker(self) -> AnyWorker: ...

    def idle(self) -> AnyWorker | None:
        """A worker that is ready for a task."""
        return next((w for w in self._workers if w.is_ready and w.task is None), None)

    def events(self, seconds: float) -> Iterator[tuple[AnyWorker, Task, Any]]:
        """What the workers report: an EpochReport, to be answered, or a TrialOutcome.

        Args:
            seconds: How long to wait for a report.

        Raises:
            TrainingError: A worker could not start.
        """
        for worker in self._with_messages(seconds):
            message, task = worker.receive(), worker.task
            if isinstance(message, TrialOutcome):
                worker.task = None
                if worker.has_ended or worker.is_used_up:
                    self._remove(worker)
            if message is not None and task is not None:
                yield worker, task, message

    @abstractmethod
    def _with_messages(self, seconds: float) -> list[AnyWorker]:
        """The workers that have sent something, as soon as there are any."""

    def _remove(self, worker: AnyWorker) -> None:
        worker.close()
        self._workers.remove(worker)


class LocalPool(WorkerPool[LocalWorker]):
    """Workers on this machine.

    Args:
        setup_file: A pickled TrialSetup.
        count: Maximum number of workers.
        threads: Threads of each.
        gpus: The devices to distribute; none for the CPU.
    """

    def __init__(
        self, setup_file: Path, count: int, threads: int, gpus: Sequence[str] = ()
    ) -> None:
        super().__init__(count)
        self._setup_file, self._threads = setup_file, threads
        self._free_gpus = list(gpus)
        self._started = 0

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self._workers:
            # All at once, then wait for each.
            if kind is None and worker.task is None:
                worker.connection.close()
            else:
                worker.process.kill()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.close()

    def _start_worker(self) -> LocalWorker:
        log = self._setup_file.with_name(f"worker-{self._started}.log")
        self._started += 1
        gpu = self._free_gpus.pop() if self._free_gpus else None
        return LocalWorker(self._setup_file, log, threads=self._threads, gpu=gpu)

    def _with_messages(self, seconds: float) -> list[LocalWorker]:
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[c] for c in wait(list(by_connection), seconds)]  # type: ignore[index]

    def _remove(self, worker: LocalWorker) -> None:
        super()._remove(worker)
        if worker.gpu is not None:
            self._free_gpus.append(worker.gpu)
