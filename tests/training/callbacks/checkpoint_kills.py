"""Checkpoints whose writing is killed or interrupted at any moment, and damaged ones.

    python tests/training/callbacks/checkpoint_kills.py [KILLS] [INTERRUPTS] [--tails N]

A process saves epochs as fast as it can; it is killed (SIGKILL) or interrupted (SIGINT, once or
twice) at a random moment. Afterwards the run must continue after the last epoch that was
reported as saved, or the one that was being saved, with its weights and those of the best epoch.
The same holds before each call of the system that changes the folder, and after an interrupt there.
Then each file of a folder is truncated, and its tail is zeroed, at N places; at most one epoch may
be lost. ``test_checkpoint.py`` runs a short version, without processes.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

from kmagic.training.callbacks.checkpoint import Checkpoint, CheckpointSaver
from kmagic.training.run.training_run import Epoch, TrainingRun

EPOCHS = 20
FAILED = 3
"""The status of a process that ended with an error."""
PROCESSES = multiprocessing.get_context("forkserver")
"""They are forked from one that has imported Keras and run nothing: TensorFlow's threads, which
this process has after its first operation, are not in a fork."""
PROCESSES.set_forkserver_preload(["kmagic.training.callbacks.checkpoint"])
DATA_FILES = ("run.json", "run.previous.json", "best.weights.h5", "state/*")


def make() -> keras.Model:
    """A model with an optimizer that has state."""
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    net.compile("adam", "mse")
    net.optimizer.build(net.trainable_variables)
    return net


def set_epoch(model: keras.Model, epoch: int) -> None:
    """Give a model the weights of an epoch: all are its number."""
    model.set_weights([np.full(tuple(weight.shape), epoch, "float32") for weight in model.weights])


def loss(epoch: int) -> float:
    """The loss after an epoch; every third one is not lower."""
    return 1 / epoch if epoch % 3 else 2.0


def best_epoch(last: int) -> int:
    """The epoch with the lowest loss."""
    return min(range(1, last + 1), key=loss)


def save_epochs(
    model: keras.Model, folder: Path, epochs: int, report: Callable[[], object] = object
) -> None:
    """Save epochs, and report after each."""
    checkpoint, run = Checkpoint(folder), TrainingRun("net", epochs=epochs, validation_samples=0)
    checkpoint.lock()
    saver = CheckpointSaver(checkpoint, run)
    saver.set_model(model)
    for epoch in range(1, epochs + 1):
        set_epoch(model, epoch)
        run.log.append(Epoch(epoch, {"loss": loss(epoch)}, 0.1))
        saver.on_epoch_end(epoch - 1)
        assert not [text for _, text in run.messages if "not in the checkpoint" in text]
        report()
    checkpoint.release()


def check(model: keras.Model, folder: Path, saved: int, lost: int = 0) -> str:
    """What is wrong with a folder in which so many epochs were saved; "" if nothing is."""
    checkpoint = Checkpoint(folder)
    checkpoint.lock()
    try:
        if not checkpoint.exists:
            return "no run" if saved else ""
        set_epoch(model, 0)
        log = checkpoint.restore(model)
        last = len(log)
        if not saved - lost <= last <= saved + 1:
            return f"{last} epochs instead of {saved}"
        if any((weight != last).any() for weight in model.get_weights()):
            return f"not the weights of epoch {last}"
        best = checkpoint.best_weights(model)
        if best is None or any((weight != best_epoch(last)).any() for weight in best):
            return f"not the best weights of {last} epochs"
        return ""
    finally:
        checkpoint.release()


def save_in_process(folder: Path, report: Connection) -> None:
    """Save epochs until an interrupt, and end the process."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 0
    try:
        save_epochs(make(), folder, EPOCHS, lambda: os.write(report.fileno(), b"."))
    except KeyboardInterrupt:
        pass
    except BaseException:  # noqa: BLE001 - reported to the other process by the status
        traceback.print_exc()
        status = FAILED
    os._exit(status)


def break_off(folder: Path, delay: float, signals: list[int]) -> tuple[int, int]:
    """Send signals to a process that saves epochs.

    The result is how many it has reported, and its status: negative after a signal, such as a crash
    (SIGSEGV), which counts as a kill.
    """
    read, write = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=save_in_process, args=(folder, write))
    process.start()
    write.close()
    reported = len(os.read(read.fileno(), 1))  # the first epoch is saved
    time.sleep(delay)
    for each in signals:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, each)
        time.sleep(delay / 10)
    while data := os.read(read.fileno(), 4096):
        reported += len(data)
    read.close()
    process.join()
    return reported, process.exitcode or 0


def broken_off(
    model: keras.Model, count: int, number: int, rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Processes that end by a signal: a description of each, and what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        save_epochs(model, Path(folder), 10)
        per_epoch = (time.monotonic() - started) / 10
    for index in range(count):
        delay = rng.random() * per_epoch * rng.choice([1, 2, 4])
        signals = [number] * (1 if number == signal.SIGKILL else rng.choice([1, 2]))
        with tempfile.TemporaryDirectory() as folder:
            saved, status = break_off(Path(folder), delay, signals)
            problem = "an error" if status == FAILED else check(model, Path(folder), saved)
        yield f"signal {number}, {index}, after {delay:.4f} s, status {status}", problem


def stopped(model: keras.Model, step: int = 1) -> Iterator[tuple[str, str]]:
    """Folders as they are before each call that changes them, and after an interrupt there."""
    for moment in itertools.count(0, step):
        with tempfile.TemporaryDirectory() as temporary:
            saved = stop_at(model, moment, Path(temporary))
            if saved is None:
                return
            for name in ("killed", "interrupted"):
                yield f"{name} at call {moment}", check(model, Path(temporary) / name, saved)


def stop_at(model: keras.Model, moment: int, parent: Path) -> int | None:
    """Stop at a call; returns the number of saved epochs, or None if there are fewer calls."""
    calls, saved = itertools.count(), itertools.count()
    folder = parent / "interrupted"

    def stopping(name: str) -> Any:
        function = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == moment:
                shutil.copytree(folder, parent / "killed")
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return mock.patch.object(os, name, call)

    with stopping("fsync"), stopping("replace"), stopping("unlink"):
        try:
            save_epochs(model, folder, 3, lambda: next(saved))
        except KeyboardInterrupt:
            return next(saved)
    return None


def damaged(model: keras.Model, tails: int) -> Iterator[tuple[str, str]]:
    """Folders with one damaged file: a description of each, and what is wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        intact = Path(temporary) / "intact"
        save_epochs(model, intact, 4)  # the fourth is the best
        for path in sorted(path for name in DATA_FILES for path in intact.glob(name)):
            data = path.read_bytes()
            for cut in sorted({len(data) * (2 * i + 1) // (2 * tails) for i in range(tails)}):
                for tail in (b"", bytes(len(data) - cut)):
                    folder = Path(temporary) / "damaged"
                    shutil.copytree(intact, folder)
                    (folder / path.relative_to(intact)).write_bytes(data[:cut] + tail)
                    kind = "zeroed" if tail else "truncated"
                    yield f"{path.name} {kind} at {cut}", check(model, folder, 4, lost=1)
                    shutil.rmtree(folder)


def main() -> int:
    """Run all of them and print what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, nargs="?", default=1000)
    parser.add_argument("interrupts", type=int, nargs="?", default=1000)
    parser.add_argument("--tails", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, rng, failures = make(), random.Random(options.seed), 0  # noqa: S311 - not for security
    for name, results in {
        "kills": broken_off(model, options.kills, signal.SIGKILL, rng),
        "interrupts": broken_off(model, options.interrupts, signal.SIGINT, rng),
        "stops": stopped(model),
        "damaged files": damaged(model, options.tails),
    }.items():
        counts, statuses, started = Counter[bool](), Counter[str](), time.monotonic()
        for description, problem in results:
            counts[bool(problem)] += 1
            statuses.update(re.findall(r"status -?\d+", description))
            if problem:
                print(f"{description}: {problem}", flush=True)
            if not counts.total() % 100:
                print(f"{counts.total()} {name} ...", flush=True)
        failures += counts[True]
        took = time.monotonic() - started
        print(
            f"{counts.total()} {name}, {counts[True]} failures, {took:.0f} s",
            dict(statuses),
            flush=True,
        )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
