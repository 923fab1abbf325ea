"""Training time compared with ``model.fit(verbose=0)`` on the same model and data.

    python benchmarks/fit.py [--quick] [--rounds 5] [--case boston ...] [--seeds 5]

Every round builds the model again for each method, so that tracing its graph is part of the time,
as it is for a user. The methods alternate; a ratio is that of one round, and the median of the
rounds is shown. At the end of an epoch ``fit`` waits for a timer that doubles (0.07, 0.15, 0.31,
0.63, 1.27, 2.55 s ...), so a ratio depends on the duration of an epoch: each round of the larger
cases uses another number of samples. A step of an LSTM is so long that the timer hardly matters;
with few reviews, tracing two graphs is a larger part of the time. On a busy machine, consider two
more columns: the times of all rounds together, and the processor time, which excludes waiting.

A second part compares what the model has learned after as many epochs, over several seeds. Neither
part says anything about a single run, because shuffles differ.

Boston housing and the digits are the samples included in kmagic; the reviews are in
``../shared/data``. Without them those cases are skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import io
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KMAGIC_OFFLINE": "1", "MPLBACKEND": "Agg"}

import keras
import numpy as np
from livelossplot import PlotLossesKeras
from tqdm.keras import TqdmCallback

import kmagic
from kmagic.data import SampleDataWarning
from kmagic.display.training.run_displays import displays_for
from kmagic.support.formatting import pluralize

REVIEWS = Path(__file__).parents[2] / "shared" / "data" / "imdb_sample.npz"
L = keras.layers


@dataclass(frozen=True)
class Case:
    """One model with its data.

    Attributes:
        goal: The maximum ratio to the time of ``fit``.
        make: Makes the compiled model.
        data: Returns x and y, and x and y of a test set.
        epochs: Number of epochs, and that of a quick run.
        options: Further arguments of ``fit``.
        metric: The metric that models are compared by.
        all_methods: Whether other progress displays are measured as well.
        shares: The shares of the data that the rounds use in turn.
    """

    goal: float
    make: Callable[[], keras.Model]
    data: Callable[[], tuple[Any, Any, Any, Any]]
    epochs: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)
    metric: str = ""
    all_methods: bool = False
    shares: tuple[float, ...] = (1.0,)


@functools.cache
def boston() -> tuple[Any, Any, Any, Any]:
    """506 houses of Boston."""
    houses = kmagic.load_data("boston_housing", scale="standard")
    return houses.x_train, houses.y_train, houses.x_test, houses.y_test


@functools.cache
def digits(rows: int | None = None, *, flatten: bool = False) -> tuple[Any, Any, Any, Any]:
    """Real MNIST digits, 5,000 for training."""
    given = kmagic.load_data("mnist", scale=255, flatten=flatten, channel=not flatten)
    return given.x_train[:rows], given.y_train[:rows], given.x_test, given.y_test


@functools.cache
def reviews() -> tuple[Any, Any, Any, Any]:
    """4,000 reviews of 100 words out of 500, as in kerasR's vignette."""
    with np.load(REVIEWS, allow_pickle=True) as file:
        parts = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    for at in (0, 2):
        padded = keras.utils.pad_sequences(parts[at], maxlen=100)
        parts[at] = np.where(padded < 500, padded, 2)  # noqa: PLR2004 - words
    return tuple(parts)  # type: ignore[return-value] # four of them


def houses_net() -> keras.Model:
    """The vignette's net for Boston."""
    model = keras.Sequential([keras.Input((13,)), L.Dense(50, activation="relu"), L.Dense(1)])
    model.compile("rmsprop", "mse", metrics=["mae"])
    return model


def classifier(*layers: Any, shape: tuple[int, ...]) -> keras.Model:
    """Ten classes."""
    model = keras.Sequential([keras.Input(shape), *layers, L.Dense(10, activation="softmax")])
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def dense_net() -> keras.Model:
    """Three wide layers."""
    return classifier(*(L.Dense(512, activation="relu") for _ in range(3)), shape=(784,))


def conv_net() -> keras.Model:
    """The vignette's convolutional net."""
    return classifier(
        L.Conv2D(32, 3, activation="relu"),
        L.Conv2D(32, 3, activation="relu"),
        L.MaxPooling2D(),
        L.Dropout(0.25),
        L.Flatten(),
        L.Dense(128, activation="relu"),
        L.Dropout(0.25),
        shape=(28, 28, 1),
    )


def lstm_net() -> keras.Model:
    """The vignette's net for reviews."""
    model = keras.Sequential(
        [
            keras.Input((100,), dtype="int32"),
            L.Embedding(500, 32),
            L.Dropout(0.25),
            L.LSTM(32),
            L.Dense(256, activation="relu"),
            L.Dropout(0.25),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return model


def small() -> tuple[Any, Any, Any, Any]:
    """Few digits, so that tracing dominates the time."""
    return digits(64)


VALIDATION = {"validation_split": 0.1}  # as in the vignette
THOUSANDS = (1.0, 0.5, 0.875, 0.625, 0.75)

# Epochs are the vignette's where it has the case: 200 for Boston, 5 for digits, 10 for reviews.
CASES = {
    "boston": Case(0.20, houses_net, boston, (200, 60), VALIDATION, "mae", all_methods=True),
    "dense": Case(
        0.70, dense_net, lambda: digits(flatten=True), (5, 2), {}, "accuracy", shares=THOUSANDS
    ),
    "cnn": Case(
        0.65, conv_net, digits, (5, 2), VALIDATION, "accuracy", all_methods=True, shares=THOUSANDS
    ),
    "lstm": Case(0.65, lstm_net, reviews, (10, 3), VALIDATION, "accuracy"),
    "lstm, fewer reviews": Case(1.02, lstm_net, reviews, (10, 3), VALIDATION, shares=THOUSANDS[1:]),
    "cnn, large batch": Case(1.0, conv_net, digits, (3, 1), {"batch_size": 512}, shares=THOUSANDS),
    "boston, one epoch": Case(1.02, houses_net, boston, (1, 1), VALIDATION),
    "cnn, 64 digits once": Case(1.02, conv_net, small, (1, 1), {"validation_split": 0.5}),
}

Method = Callable[..., Any]


def plain(model: keras.Model, *data: Any, verbose: int = 0, **options: Any) -> None:
    """Plain Keras."""
    model.fit(*data, verbose=verbose, **options)


METHODS: dict[str, Method] = {
    "fit(verbose=0)": plain,
    "kmagic": lambda model, *data, **options: kmagic.fit(model, *data, displays=[], **options),
    "kmagic, live view": lambda model, *data, **options: kmagic.fit(
        model, *data, displays=displays_for("widget"), **options
    ),
    "fit(verbose=1)": lambda model, *data, **options: plain(model, *data, verbose=1, **options),
    "tqdm": lambda model, *data, **options: plain(
        model, *data, callbacks=[TqdmCallback(verbose=1)], **options
    ),
    "livelossplot": lambda model, *data, **options: plain(
        model, *data, callbacks=[PlotLossesKeras()], **options
    ),
}
MAIN_METHODS = ("fit(verbose=0)", "kmagic", "kmagic, live view")


def timed(case: Case, method: Method, epochs: int, share: float) -> tuple[float, float]:
    """Elapsed and processor seconds of one fit."""
    x, y, *_ = case.data()
    x, y = (each[: int(share * len(each))] for each in (x, y))
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(0)
    model = case.make()
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        start, cpu_start = time.perf_counter(), time.process_time()
        method(model, x, y, epochs=epochs, **{"batch_size": 32, **case.options})
        return time.perf_counter() - start, time.process_time() - cpu_start


def measure(name: str, case: Case, rounds: int, epochs: int) -> bool:
    """Alternate all methods; print medians and ratios, and return whether the goal is met."""
    methods = list(METHODS) if case.all_methods else list(MAIN_METHODS)
    times: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for round_ in range(rounds + 1):
        share = case.shares[round_ % len(case.shares)]
        for method in methods:
            seconds = timed(case, METHODS[method], epochs if round_ else 1, share)
            if round_:  # the first round warms up, one epoch each
                times[method].append(seconds)
    shown = pluralize(epochs, "epoch")
    print(f"\n{name}: {shown}, median of {rounds} rounds; ratios to fit(verbose=0)")
    print("                     seconds   ratio (min to max)         together   processor time")
    ratios = {}
    for method in methods:
        pairs = list(zip(times[method], times["fit(verbose=0)"], strict=True))
        wall, work = ([mine[at] / other[at] for mine, other in pairs] for at in (0, 1))
        ratios[method] = statistics.median(wall)
        median = statistics.median(each for each, _ in times[method])
        mine, theirs = (sum(each for each, _ in times[key]) for key in (method, "fit(verbose=0)"))
        print(
            f"  {method:18} {median:8.2f}   {ratios[method]:5.3f} "
            f"({min(wall):.3f} to {max(wall):.3f})"
            f"      {mine / theirs:5.3f}       {statistics.median(work):5.3f}"
        )
    met = ratios["kmagic"] <= case.goal
    print(f"  goal: at most {case.goal:.2f}; {'met' if met else 'MISSED'}", flush=True)
    return met


def compare_learning(name: str, case: Case, seeds: int, epochs: int) -> None:
    """Print what is learned in as many epochs, over several seeds."""
    x, y, x_test, y_test = case.data()
    print(f"\n{name}: {case.metric} on the test set after {epochs} epochs, {seeds} seeds")
    for method in MAIN_METHODS[:2]:
        scores = []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = case.make()
            METHODS[method](model, x, y, epochs=epochs, **{"batch_size": 32, **case.options})
            scores.append(model.evaluate(x_test, y_test, verbose=0, return_dict=True)[case.metric])
        spread = statistics.stdev(scores)
        print(f"  {method:18} {statistics.mean(scores):7.4f} +- {spread:.4f}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs, 3 rounds, no seeds")
    parser.add_argument("--rounds", type=int, help="0: skip the times")
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument(
        "--seeds", type=int, default=5, help="0: skip the comparison of what is learned"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", SampleDataWarning)  # samples are intended here
    chosen = {name: CASES[name] for name in options.case or CASES}
    if not REVIEWS.exists():
        for name in [each for each in chosen if each.startswith("lstm")]:
            print(f"{name} is skipped: {REVIEWS} is missing")
            del chosen[name]
    rounds = (3 if options.quick else 5) if options.rounds is None else options.rounds
    quick = int(options.quick)
    if rounds:
        missed = [
            name
            for name, case in chosen.items()
            if not measure(name, case, rounds, case.epochs[quick])
        ]
        print(f"\nmissed: {', '.join(missed) or 'none'}")
    if options.quick or not options.seeds:
        return
    for name, case in chosen.items():
        if case.metric:
            compare_learning(name, case, options.seeds, case.epochs[quick])


if __name__ == "__main__":
    main()
