"""A search with kmagic against KerasTuner: time, best result, and memory of the process.

    python -m benchmarks.tuning_libraries [--rounds 5] [--trials 40] [--memory 200]

Both search the same space of a small MNIST network with the same number of trials: kmagic with
two workers and TPE, KerasTuner with its Bayesian optimization, which is in the extra `bench`. Each
round has another seed. The seeds of two libraries have nothing in common, so the best losses are
compared as a whole: the ratios of their medians and means over the rounds. With ``--memory N``,
kmagic's search of N short trials is run instead, and the memory of the notebook's process is
printed every 20 trials.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from typing import Any

import keras
import psutil

import kmagic
from kmagic.tuning.study import Study, StudyDisplay

EPOCHS = 3
TEXT = """\
input 28x28x1
rescaling {1 / 255} / flatten
dense 32..256:32 relu|gelu
dropout 0.0..0.5
dense 10 softmax
compile adam(1e-4..1e-1~log) loss=sparse_categorical_crossentropy metrics=accuracy"""


def build_hypermodel(hp: Any) -> Any:
    """The same space for KerasTuner."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(
                hp.Int("units", 32, 256, step=32),
                activation=hp.Choice("activation", ["relu", "gelu"]),
            ),
            keras.layers.Dropout(hp.Float("rate", 0.0, 0.5)),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def with_kerastuner(data: Any, trials: int, seed: int) -> tuple[float, float]:
    """Seconds, and the best validation loss."""
    import keras_tuner  # noqa: PLC0415 - only here

    cut = len(data.x_train) * 4 // 5  # as kmagic splits
    x, y = data.x_train[..., None], data.y_train
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            tuner = keras_tuner.BayesianOptimization(
                build_hypermodel, "val_loss", trials, seed=seed, directory=folder
            )
            held_out = (x[cut:], y[cut:])
            tuner.search(x[:cut], y[:cut], epochs=EPOCHS, validation_data=held_out, verbose=0)
        seconds = time.perf_counter() - began
        (best,) = tuner.oracle.get_best_trials(1)
    return seconds, float(best.score)


def with_kmagic(data: Any, trials: int, seed: int, *displays: StudyDisplay) -> tuple[float, float]:
    """The same with kmagic."""
    began = time.perf_counter()
    study = kmagic.tune(
        TEXT,
        data,
        trials=trials,
        epochs=EPOCHS,
        validation_split=0.2,
        seed=seed,
        workers=2,
        displays=displays,
    )
    return time.perf_counter() - began, float(study.best.value or 0.0)


class MemoryOfProcess(StudyDisplay):
    """Prints the memory of this process every 20 trials."""

    def __init__(self) -> None:
        self._next = 0

    def update(self, study: Study) -> None:
        """Print it if it is time."""
        ended = sum(trial.status in ("complete", "pruned", "failed") for trial in study.trials)
        if ended >= self._next:
            self._next = ended + 20
            print(f"{ended:4} trials  {psutil.Process().memory_info().rss / 2**20:,.0f} MB")


def main() -> None:
    """Run the comparison, or measure the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--memory", type=int, default=0)
    options = parser.parse_args()
    data = kmagic.load_data("mnist")
    if options.memory:
        with_kmagic(data, options.memory, 0, MemoryOfProcess())
        return
    times, losses = [], []
    for seed in range(options.rounds):
        theirs = with_kerastuner(data, options.trials, seed)
        ours = with_kmagic(data, options.trials, seed)
        times.append(ours[0] / theirs[0])
        losses.append((ours[1], theirs[1]))
        print(
            f"seed {seed}: kmagic {ours[0]:6.1f} s, {ours[1]:.4f}   "
            f"KerasTuner {theirs[0]:6.1f} s, {theirs[1]:.4f}"
        )
    print(f"time  kmagic / KerasTuner: {statistics.median(times):.2f}")
    for average in (statistics.median, statistics.mean):
        kmagic_loss, tuner_loss = map(average, zip(*losses, strict=True))
        print(
            f"best loss ({average.__name__})  kmagic / KerasTuner: {kmagic_loss / tuner_loss:.3f}"
        )


if __name__ == "__main__":
    main()
