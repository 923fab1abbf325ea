"""Checkpoints whose writing is killed or interrupted at any moment, and damaged ones.

    python tests/training/callbacks/checkpoint_kills.py [KILLS] [INTERRUPTS] [--tails N]

A forked process saves epochs as fast as it can; it is killed (SIGKILL) or interrupted (SIGINT, once
or twice) at a random moment. Afterwards the run must continue after the last epoch that was
reported as saved, or the one that was being saved, with its weights and those of the best epoch.
Then each file of a folder is truncated, and its tail is zeroed, at N places; at most one epoch may
be lost. ``test_checkpoint.py`` runs a short version.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np

from kmagic.training.callbacks.checkpoint import Checkpoint, CheckpointSaver
from kmagic.training.run.training_run import Epoch, TrainingRun

EPOCHS = 20
DATA_FILES = ("run.json", "run.previous.json", "best.weights.h5", "state/*")


def make() -> keras.Model:
    """A model with an optimizer that has state."""
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    net.compile("adam", "mse")
    net.optimizer.build(net.trainable_variables)
    return net


def set_epoch(model: keras.Model, epoch: int) -> None:
    """Give a model the weights of an epoch: all are its number."""
    model.set_weights([np.full(weight.shape, epoch, "float32") for weight in model.weights])


def loss(epoch: int) -> float:
    """The loss after an epoch; every third one is no progress."""
    return 1 / epoch if epoch % 3 else 2.0


def best_epoch(last: int) -> int:
    """The epoch with the lowest loss."""
    return min(range(1, last + 1), key=loss)


def save_epochs(model: keras.Model, folder: Path, epochs: int, report: int | None = None) -> None:
    """Save epochs, and write a byte after each."""
    checkpoint, run = Checkpoint(folder), TrainingRun("net", epochs=epochs, validation_samples=0)
    checkpoint.lock()
    saver = CheckpointSaver(checkpoint, run)
    saver.set_model(model)
    for epoch in range(1, epochs + 1):
        set_epoch(model, epoch)
        run.log.append(Epoch(epoch, {"loss": loss(epoch)}, 0.1))
        saver.on_epoch_end(epoch - 1)
        assert not [text for _, text in run.messages if "not in the checkpoint" in text]
        if report is not None:
            os.write(report, b".")
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


def break_off(model: keras.Model, folder: Path, delay: float, signals: list[int]) -> int:
    """Send signals to a process that saves epochs; returns how many it has reported."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(read)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            save_epochs(model, folder, EPOCHS, write)
            status = 0
        except KeyboardInterrupt:
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    os.read(read, 1)  # the first epoch is saved
    time.sleep(delay)
    for each in signals:
        with suppress(ProcessLookupError):
            os.kill(child, each)
        time.sleep(delay / 10)
    reported = 1
    while data := os.read(read, 4096):
        reported += len(data)
    os.close(read)
    _, status = os.waitpid(child, 0)
    expected = signals[0] if signals[0] == signal.SIGKILL else 0
    if status not in (expected, 0):
        raise RuntimeError(f"the process ended with {status}")
    return reported


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
            saved = break_off(model, Path(folder), delay, signals)
            yield (
                f"signal {number}, {index}, after {delay:.4f} s",
                check(model, Path(folder), saved),
            )


def damaged(model: keras.Model, tails: int) -> Iterator[tuple[str, str]]:
    """Folders with one damaged file: a description of each, and what is wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        intact = Path(temporary) / "intact"
        save_epochs(model, intact, 4)  # the fourth is the best
        for path in sorted(path for name in DATA_FILES for path in intact.glob(name)):
            data = path.read_bytes()
            for cut in sorted({len(data) * index // tails for index in range(tails)}):
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
        "damaged files": damaged(model, options.tails),
    }.items():
        counts, started = Counter[bool](), time.monotonic()
        for description, problem in results:
            counts[bool(problem)] += 1
            if problem:
                print(f"{description}: {problem}", flush=True)
            if not counts.total() % 100:
                print(f"{counts.total()} {name} ...", flush=True)
        failures += counts[True]
        took = time.monotonic() - started
        print(f"{counts.total()} {name}, {counts[True]} failures, {took:.0f} s", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
