"""Time of a search by ``kmagic.tune``, compared with the same study written by hand with Optuna.

    python benchmarks/tuning_workers.py [--trials 40] [--epochs 5] [--workers 2] [--rounds 3]

Both search the units, the dropout and the learning rate of a small network for the included MNIST
digits, with TPE, MedianPruner and a journal in a file. By hand, each process runs its own
``study.optimize`` with ``model.fit(verbose=0)``, until the study has enough trials. Start of the
processes and import of TensorFlow are part of both times. The rounds alternate; a ratio is that of
one round, and the median of the rounds is shown. Which values are tried depends on timing, so the
number of trained epochs is shown as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KMAGIC_OFFLINE": "1", "MPLBACKEND": "Agg"}

import numpy as np
import optuna

import kmagic

TEXT = """
input 784
dense 32..256:32 relu
dropout 0.0..0.5
dense 10 softmax
compile adam(1e-4..1e-2~log) loss=sparse_categorical_crossentropy metrics=accuracy
"""
STARTUP_TRIALS = 5


def open_study(folder: Path, seed: int | None = None) -> optuna.Study:
    """The study of the hand-written search."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    return optuna.create_study(
        study_name="by hand",
        storage=optuna.storages.JournalStorage(backend),
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1),
    )


def work(folder: Path, trials: int, epochs: int, seed: int, threads: int) -> None:
    """One process of the hand-written search."""
    import keras  # noqa: PLC0415 - by the processes only
    import tensorflow as tf  # noqa: PLC0415 - as above

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    with np.load(folder / "data.npz") as file:
        x, y = file["x"], file["y"]

    class Report(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
        def __init__(self, trial: optuna.Trial) -> None:
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.trial.report(logs["val_loss"], epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial: optuna.Trial) -> float:
        layers = [
            keras.Input((784,)),
            keras.layers.Dense(trial.suggest_int("units", 32, 256, step=32), activation="relu"),
            keras.layers.Dropout(trial.suggest_float("dropout", 0.0, 0.5)),
            keras.layers.Dense(10, activation="softmax"),
        ]
        model = keras.Sequential(layers)
        rate = trial.suggest_float("rate", 1e-4, 1e-2, log=True)
        model.compile(
            keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        callbacks: Any = [Report(trial)]
        history = model.fit(
            x, y, epochs=epochs, validation_split=0.1, verbose=0, callbacks=callbacks
        ).history
        keras.backend.clear_session()
        return float(min(history["val_loss"]))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    enough = optuna.study.MaxTrialsCallback(trials, states=states)
    open_study(folder, seed).optimize(objective, callbacks=[enough])


def by_hand(data: Any, options: argparse.Namespace, seed: int) -> tuple[float, int]:
    """Seconds and trained epochs of the hand-written search."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "data.npz", x=data.x_train, y=data.y_train)
        open_study(folder)
        started = time.perf_counter()
        threads = max(1, (os.cpu_count() or 1) // options.workers)
        command = [sys.executable, __file__, "--work", name, options.trials, options.epochs]
        processes = [
            subprocess.Popen(
                [*map(str, [*command, seed + worker, threads])], stderr=subprocess.DEVNULL
            )
            for worker in range(options.workers)
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise SystemExit("A process of the hand-written search failed.")
        seconds = time.perf_counter() - started
        return seconds, sum(len(t.intermediate_values) for t in open_study(folder).trials)


def by_kmagic(data: Any, options: argparse.Namespace, seed: int) -> tuple[float, int]:
    """Seconds and trained epochs of ``kmagic.tune``."""
    started = time.perf_counter()
    study = kmagic.tune(
        TEXT,
        data,
        trials=options.trials,
        epochs=options.epochs,
        validation_split=0.1,
        workers=options.workers,
        seed=seed,
        displays=[],
    )
    return time.perf_counter() - started, sum(trial.epochs for trial in study.trials)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = kmagic.load_data("mnist", scale=255, flatten=True)
    ratios = []
    for round_ in range(options.rounds):
        times: dict[str, tuple[float, int]] = {}
        for name, run in [("kmagic", by_kmagic), ("by hand", by_hand)][:: 1 - 2 * (round_ % 2)]:
            times[name] = run(data, options, 10 * round_)
            seconds, epochs = times[name]
            print(f"round {round_ + 1}  {name:8}{seconds:8.1f} s {epochs:6} epochs", flush=True)
        ratios.append(times["kmagic"][0] / times["by hand"][0])
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"ratio {statistics.median(ratios):.2f} (rounds: {shown})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        given = sys.argv[2:]
        work(Path(given[0]), *map(int, given[1:]))
    else:
        main()
