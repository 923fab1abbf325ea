"""The processes that train the trials, as their parent sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

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


class Worker:
    """A process that trains one trial at a time.

    It is started as a new interpreter, not by a fork, which TensorFlow does not survive; and not by
    ``multiprocessing``, which would run the user's script again. It gets no interrupts: these are
    for the process that started it.

    Attributes:
        task: What it trains; None if it has nothing to do.
        is_ready: Whether it has imported everything.
    """

    def __init__(self, setup_file: Path, log: Path, *, threads: int, gpu: str | None) -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.is_ready = False
        self.gpu, self._log = gpu, log
        self._trials, self._first_memory, self._memory = 0, 0, 0
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

    @property
    def is_used_up(self) -> bool:
        """Whether a new process should replace it."""
        return self._trials >= MAX_TRIALS or self._memory > self._first_memory + MAX_GROWTH

    def start(self, task: Task) -> None:
        """Begin a trial."""
        self.task = task
        self.send(task)

    def send(self, message: Task | Answer) -> None:
        """Send a task, or the answer to a report; a process that has ended is noticed later."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def receive(self) -> EpochReport | TrialOutcome | None:
        """What it reports; None if that does not concern its trial.

        Raises:
            TrainingError: It could not start.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.close()
            reason = self._end()
            if not self.is_ready:
                raise _not_started(reason) from None
            return TrialOutcome(reason)
        if message == READY:
            self.is_ready = True
            return None
        if isinstance(message, str):
            raise _not_started(message)
        if isinstance(message, TrialOutcome):
            self._trials += 1
            self._first_memory = self._first_memory or message.memory
            self._memory = message.memory
        return message  # type: ignore[no-any-return]

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


def _not_started(reason: str) -> TrainingError:
    return TrainingError(
        f"A process for trials could not start: {reason}",
        Text("Train in this process: ", Option("in_process", value=True), "."),
    )


class WorkerPool:
    """Several workers; those that end or grow are replaced.

    Args:
        setup_file: A pickled TrialSetup.
        count: Maximum number of workers.
        threads: Threads of each.
        gpus: The devices to distribute; none for the CPU.
    """

    def __init__(
        self, setup_file: Path, count: int, threads: int, gpus: Sequence[str] = ()
    ) -> None:
        self._setup_file, self._count, self._threads = setup_file, count, threads
        self._free_gpus = list(gpus)
        self._workers: list[Worker] = []
        self._started = 0

    def __enter__(self) -> Self:
        return self

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

    @property
    def tasks(self) -> list[Task]:
        """What the workers are training."""
        return [worker.task for worker in self._workers if worker.task is not None]

    def grow(self, tasks: int) -> None:
        """Start workers for so many further tasks, up to the maximum."""
        idle = sum(worker.task is None for worker in self._workers)
        while idle < tasks and len(self._workers) < self._count:
            log = self._setup_file.with_name(f"worker-{self._started}.log")
            gpu = self._free_gpus.pop() if self._free_gpus else None
            self._workers.append(Worker(self._setup_file, log, threads=self._threads, gpu=gpu))
            self._started += 1
            idle += 1

    def idle(self) -> Worker | None:
        """A worker that is ready for a task."""
        return next((w for w in self._workers if w.is_ready and w.task is None), None)

    def events(self, seconds: float) -> Iterator[tuple[Worker, Task, Any]]:
        """What the workers report: an EpochReport, to be answered, or a TrialOutcome.

        Args:
            seconds: How long to wait for a report.

        Raises:
            TrainingError: A worker could not start.
        """
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), seconds):
            worker = by_connection[connection]  # type: ignore[index]
            message, task = worker.receive(), worker.task
            if isinstance(message, TrialOutcome):
                worker.task = None
                if worker.process.poll() is not None or worker.is_used_up:
                    self._remove(worker)
            if message is not None and task is not None:
                yield worker, task, message

    def _remove(self, worker: Worker) -> None:
        worker.close()
        self._workers.remove(worker)
        if worker.gpu is not None:
            self._free_gpus.append(worker.gpu)
