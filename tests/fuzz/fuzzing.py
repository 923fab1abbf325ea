"""Runs fuzz inputs within limits: only KmagicErrors, 5 s of CPU time, 1 GB of memory.

A kind generates an input from a random generator and uses it. The generator is seeded by kind,
seed and number, so each input can be made again by itself. Workers are forked, because an input
may kill its process. Hypothesis is not used: its inputs are not numbered, and it cannot go on after
a crash or a limit.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import re
import resource
import signal
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from random import Random
from typing import Any

from kmagic.support.errors import KmagicError

CPU_SECONDS = 5.0
MEMORY = 1 << 30
WALL_SECONDS = 120.0
"""When an input that uses no CPU time is taken for a hang."""
_INPUTS_PER_WORKER = 3000
_MAX_TRIES = 150
CURRENT = "current.txt"
"""The file of a worker with the input that it runs."""


class Kind(ABC):
    """A kind of input."""

    name: str

    def set_up(self) -> None:  # noqa: B027 - not all need it
        """Prepare the process; the current folder is an empty one."""

    def tear_down(self) -> None:  # noqa: B027 - not all need it
        """Leave no shell behind."""

    @abstractmethod
    def generate(self, random: Random) -> Any:
        """An input: a string, which can be made smaller, or anything with a useful ``str``."""

    @abstractmethod
    def use(self, case: Any) -> None:
        """Use it as a user would; a KmagicError is right."""


@dataclass(slots=True)
class Outcome:
    """What happened to an input.

    Attributes:
        number: Its number within kind and seed.
        status: "accepted", "refused" (a KmagicError) or "failed".
        cpu: CPU time in seconds.
        signature: Where a failure comes from; the same for the same mechanism.
        details: A failure's traceback, or stack.
        case: The failing input, made smaller if that is possible.
    """

    number: int
    status: str
    cpu: float = 0.0
    signature: str = ""
    details: str = ""
    case: Any = None


def random_for(kind: str, seed: int, number: int) -> Random:
    """The generator of an input; nothing else influences it."""
    return Random(f"{kind}/{seed}/{number}")


def run_input(kind: Kind, seed: int, number: int, keep: Path | None = None) -> Outcome:
    """Generate and use one input within the limits, in this process.

    The input is first written to the file ``keep``, in case it ends the process.
    """
    case = kind.generate(random_for(kind.name, seed, number))
    if keep is not None:
        keep.write_text(_as_text(case), encoding="utf-8", errors="surrogatepass")
    outcome = _use(kind, case, number)
    outcome.case = case if outcome.status == "failed" else None
    return outcome


def _use(kind: Kind, case: Any, number: int = 0) -> Outcome:
    gc.collect(0)
    outcome = Outcome(number, "accepted")
    start = time.process_time()
    with _limited_memory():
        try:
            kind.use(case)
        except KmagicError as error:
            outcome.status = "refused"
            try:
                error._render_traceback_()
                str(error).encode("utf-8", "surrogatepass")
            except Exception as bug:  # noqa: BLE001 - reported
                _describe(outcome, bug)
        except BaseException as bug:  # noqa: BLE001 - reported
            _describe(outcome, bug)
    outcome.cpu = time.process_time() - start
    if outcome.cpu > CPU_SECONDS and outcome.status != "failed":
        outcome.status, outcome.signature = "failed", f"more than {CPU_SECONDS:g} s of CPU time"
        outcome.details = f"{outcome.cpu:.1f} s"
    return outcome


def _describe(outcome: Outcome, error: BaseException) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/kmagic/" in frame.filename] or frames[-1:]
    at = ours[-1]
    innermost = "" if at is frames[-1] else f" via {Path(frames[-1].filename).name}"
    file = at.filename.rpartition("/kmagic/")[2]
    outcome.status = "failed"
    outcome.signature = f"{type(error).__name__} in {file}:{at.name}{innermost}"
    outcome.details = "".join(traceback.format_exception(error, limit=-12))[-4000:]


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    """Let this process allocate 1 GB more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    limit = int(used[1]) * 1024 + MEMORY if used else soft
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _as_text(case: Any) -> str:
    return case if isinstance(case, str) else str(case)


def shrink(kind: Kind, case: Any, signature: str) -> Any:
    """A smaller text with the same failure: without lines, then without characters."""
    if not isinstance(case, str):
        return case
    end, tries = time.process_time() + 20, 0
    for separator in ("\n", ""):
        parts = case.split("\n") if separator else list(case)
        size = max(1, len(parts) // 2)
        while tries < _MAX_TRIES and time.process_time() < end:
            for start in range(0, len(parts), size):
                smaller = parts[:start] + parts[start + size :]
                tries += 1
                if tries >= _MAX_TRIES or time.process_time() > end:
                    break
                if _use(kind, separator.join(smaller)).signature == signature:
                    parts = smaller
                    break
            else:
                if size == 1:
                    break
                size //= 2
        case = separator.join(parts)
    return case


# --- workers --------------------------------------------------------------------------------------


def _work(kind: Kind, seed: int, numbers: range, results: connection.Connection, log: Path) -> None:
    """Run inputs and send their outcomes; the time limit ends this process."""
    os.chdir(log.with_name("inputs"))
    output = os.open(os.devnull, os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seen: set[str] = set()
    with log.open("w", encoding="utf-8") as stacks:
        faulthandler.enable(stacks)
        # Dumps the stack, and the signal's default action ends the process.
        faulthandler.register(signal.SIGPROF, stacks, all_threads=False, chain=True)
        try:
            kind.set_up()
            results.send(None)
            for number in numbers:
                signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS + 1)
                outcome = run_input(kind, seed, number, log.with_name(CURRENT))
                signal.setitimer(signal.ITIMER_PROF, 0)
                if outcome.status == "failed" and outcome.signature not in seen:
                    seen.add(outcome.signature)
                    if "CPU" not in outcome.signature:
                        outcome.case = shrink(kind, outcome.case, outcome.signature)
                outcome.case = _as_text(outcome.case)
                results.send(outcome)
        except BaseException:  # of this harness
            traceback.print_exc(file=stacks)
            raise
    results.close()
    os._exit(0)  # TensorFlow's threads need not end in order


@dataclass(slots=True)
class _Worker:
    """A process and the inputs that it still has to run."""

    start: Callable[[range, connection.Connection, Path], Any]
    numbers: range
    folder: Path
    process: Any = None
    results: Any = None
    is_ready: bool = False
    heard: float = 0.0

    @property
    def log(self) -> Path:
        return self.folder / "stacks.txt"

    def launch(self) -> None:
        (self.folder / "inputs").mkdir(parents=True, exist_ok=True)
        self.results, sender = multiprocessing.Pipe(duplex=False)
        numbers = self.numbers[:_INPUTS_PER_WORKER]
        self.process = self.start(numbers, sender, self.log)
        sender.close()
        self.is_ready, self.heard = False, time.monotonic()

    def end(self, reason: str) -> Outcome | None:
        """The outcome of the input that ended the process, if one did."""
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        if code == 0 and not reason:
            return None
        stack = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        if not self.is_ready:
            message = f"the worker of {self.folder.name} failed before its first input\n{stack}"
            raise RuntimeError(message)
        number, self.numbers = self.numbers[0], self.numbers[1:]
        names = re.findall(r'File "([^"]+)", line \d+ in (\S+)', stack)
        ours = next(((file, name) for file, name in names if "/kmagic/" in file), ("", "?"))
        if not reason:
            reason = {-signal.SIGPROF: f"more than {CPU_SECONDS:g} s of CPU time"}.get(
                code, f"process ended with {code}"
            )
        where = f"{ours[0].rpartition('/kmagic/')[2]}:{ours[1]}"
        current = self.folder / CURRENT
        case = ""
        if current.exists():
            case = current.read_text(encoding="utf-8", errors="surrogatepass")
        return Outcome(number, "failed", CPU_SECONDS, f"{reason} in {where}", stack[-3000:], case)


ROW = "{:<8} {:>8} {:>9} {:>8} {:>7} {:>8}  {}"
HEADING = ROW.format("kind", "inputs", "accepted", "refused", "failed", "rate", "slowest")


@dataclass(slots=True)
class Report:
    """The outcomes of one kind."""

    kind: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[Outcome]] = field(default_factory=dict)
    cpu: float = 0.0
    slowest: Outcome | None = None
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        self.cpu += outcome.cpu
        if self.slowest is None or outcome.cpu > self.slowest.cpu:
            self.slowest = outcome
        if outcome.status == "failed":
            self.failures.setdefault(outcome.signature, []).append(outcome)

    def row(self) -> str:
        total = self.counts.total()
        slowest = f"{self.slowest.cpu:.1f} s (#{self.slowest.number})" if self.slowest else ""
        cells = [f"{self.counts[name]:,}" for name in ("accepted", "refused", "failed")]
        rate = f"{total / self.seconds:.0f}/s" if self.seconds else ""
        return ROW.format(self.kind, f"{total:,}", *cells, rate, slowest)


def run(
    kind: Kind,
    count: int,
    *,
    seed: int = 0,
    first: int = 0,
    jobs: int = 1,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Run inputs ``first`` to ``first + count`` of a kind in ``jobs`` processes."""
    context = multiprocessing.get_context("fork")
    report = Report(kind.name, seed)
    begin = time.monotonic()

    def start(numbers: range, sender: Any, log: Path) -> Any:
        arguments = (kind, seed, numbers, sender, log)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        return process

    with tempfile.TemporaryDirectory(prefix="kmagic-fuzz-", ignore_cleanup_errors=True) as folder:
        workers = [
            _Worker(
                start, range(first + job, first + count, jobs), Path(folder) / f"{kind.name}{job}"
            )
            for job in range(min(jobs, count))
        ]
        for worker in workers:
            worker.launch()
        while workers:
            ready = connection.wait([worker.results for worker in workers], timeout=5)
            for worker in list(workers):
                reason = ""
                if worker.results in ready:
                    try:
                        outcome = worker.results.recv()
                    except (EOFError, ConnectionResetError):
                        pass
                    else:
                        worker.heard = time.monotonic()
                        if outcome is None:
                            worker.is_ready = True
                            continue
                        worker.numbers = worker.numbers[1:]
                        report.add(outcome)
                        report.seconds = time.monotonic() - begin
                        progress(report)
                        continue
                elif time.monotonic() - worker.heard < WALL_SECONDS:
                    continue
                else:
                    worker.process.kill()
                    reason = f"no answer for {WALL_SECONDS:g} s"
                killed = worker.end(reason)
                if killed is not None:
                    report.add(killed)
                if worker.numbers:
                    worker.launch()
                else:
                    workers.remove(worker)
    report.seconds = time.monotonic() - begin
    return report


def prepare_environment(home: Path) -> None:
    """Temporary homes, no network, no background import; before Keras is imported."""
    for name in ("HOME", "KERAS_HOME", "IPYTHONDIR", "MPLCONFIGDIR"):
        (home / name.lower()).mkdir()
        os.environ[name] = str(home / name.lower())
    os.environ |= {
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # others reserve a gigabyte
        "CUDA_VISIBLE_DEVICES": "-1",
        "KMAGIC_DISPLAY": "static",
        "KMAGIC_OFFLINE": "1",
        "KMAGIC_WARM": "0",
        "MPLBACKEND": "agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Several threads would only measure the same CPU time in more places.
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
    }
