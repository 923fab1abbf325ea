"""How long a training takes, against ``model.fit(verbose=0)`` on the same model and data.

    python benchmarks/fit.py [--quick] [--rounds 5] [--case boston ...] [--seeds 5]

Each round makes the model anew for every way, so that the making of its graph is part of the
time, as it is for a user. The ways take turns; a ratio is that of one round, and the median of the
rounds is shown. At the end of an epoch ``fit`` waits for a timer that doubles (0.07, 0.15, 0.31,
0.63, 1.27, 2.55 s ...), so a ratio hangs on where in between an epoch's own time happens to be:
each round of the larger cases takes another number of samples. An LSTM's step is so long that the
timer hardly shows; of few reviews the graphs, of which we make two, are a larger part of the time.
On a machine that does other things besides, two more figures are worth a look: the times of all
rounds together, and the processor's time, which does not see the waiting.

Then the same by another measure: what the model has learned after as many epochs, over several
seeds. Neither this nor the ratios say anything of one run: shuffles differ.

Boston's houses and the digits are the samples that come with kmagic, the reviews are those of
``../shared/data``; without it those cases are left out.
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
        goal: The most that our share of ``fit``'s time may be.
        make: Makes the compiled model.
        data: Gives x, y and, for the judgement, a test set's x and y.
        epochs: How many, and how many for a quick look.
        how: Further arguments of ``fit``.
        judged: The figure by which models are compared.
        all_ways: Whether other views are measured beside it.
        shares: How much of the data a round takes; they take turns.
    """

    goal: float
    make: Callable[[], keras.Model]
    data: Callable[[], tuple[Any, Any, Any, Any]]
    epochs: tuple[int, int]
    how: dict[str, Any] = field(default_factory=dict)
    judged: str = ""
    all_ways: bool = False
    shares: tuple[float, ...] = (1.0,)


@functools.cache
def boston() -> tuple[Any, Any, Any, Any]:
    """506 houses."""
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
    """Few digits, so that the making of the graph is all that takes time."""
    return digits(64)


HELD = {"validation_split": 0.1}  # as in the vignette
THOUSANDS = (1.0, 0.5, 0.875, 0.625, 0.75)

# Epochs are the vignette's where it has the case: 200 for Boston, 5 for digits, 10 for reviews.
CASES = {
    "boston": Case(0.20, houses_net, boston, (200, 60), HELD, "mae", all_ways=True),
    "dense": Case(
        0.70, dense_net, lambda: digits(flatten=True), (5, 2), {}, "accuracy", shares=THOUSANDS
    ),
    "cnn": Case(0.65, conv_net, digits, (5, 2), HELD, "accuracy", all_ways=True, shares=THOUSANDS),
    "lstm": Case(0.65, lstm_net, reviews, (10, 3), HELD, "accuracy"),
    "lstm, fewer reviews": Case(1.02, lstm_net, reviews, (10, 3), HELD, shares=THOUSANDS[1:]),
    "cnn, large batch": Case(1.0, conv_net, digits, (3, 1), {"batch_size": 512}, shares=THOUSANDS),
    "boston, one epoch": Case(1.02, houses_net, boston, (1, 1), HELD),
    "cnn, 64 digits once": Case(1.02, conv_net, small, (1, 1), {"validation_split": 0.5}),
}

Way = Callable[..., Any]


def plain(model: keras.Model, *data: Any, verbose: int = 0, **how: Any) -> None:
    """Keras's own way."""
    model.fit(*data, verbose=verbose, **how)


WAYS: dict[str, Way] = {
    "fit(verbose=0)": plain,
    "kmagic": lambda model, *data, **how: kmagic.fit(model, *data, displays=[], **how),
    "kmagic, live view": lambda model, *data, **how: kmagic.fit(
        model, *data, displays=displays_for("widget"), **how
    ),
    "fit(verbose=1)": lambda model, *data, **how: plain(model, *data, verbose=1, **how),
    "tqdm": lambda model, *data, **how: plain(
        model, *data, callbacks=[TqdmCallback(verbose=1)], **how
    ),
    "livelossplot": lambda model, *data, **how: plain(
        model, *data, callbacks=[PlotLossesKeras()], **how
    ),
}
FEW = ("fit(verbose=0)", "kmagic", "kmagic, live view")


def timed(case: Case, way: Way, epochs: int, share: float) -> tuple[float, float]:
    """Seconds by the clock and of the processor for one fit."""
    x, y, *_ = case.data()
    x, y = (each[: int(share * len(each))] for each in (x, y))
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(0)
    model = case.make()
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        began, worked = time.perf_counter(), time.process_time()
        way(model, x, y, epochs=epochs, **{"batch_size": 32, **case.how})
        return time.perf_counter() - began, time.process_time() - worked


def measure(name: str, case: Case, rounds: int, epochs: int) -> bool:
    """All ways in turn; prints medians and ratios, returns whether the goal is met."""
    ways = list(WAYS) if case.all_ways else list(FEW)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        share = case.shares[turn % len(case.shares)]
        for way in ways:
            took = timed(case, WAYS[way], epochs if turn else 1, share)
            if turn:  # the first round warms up, one epoch each
                times[way].append(took)
    shown = pluralize(epochs, "epoch")
    print(f"\n{name}: {shown}, median of {rounds} rounds; ratios to fit(verbose=0)")
    print("                     seconds   ratio (least to most)     together   processor's time")
    ratios = {}
    for way in ways:
        pairs = list(zip(times[way], times["fit(verbose=0)"], strict=True))
        wall, work = ([mine[at] / other[at] for mine, other in pairs] for at in (0, 1))
        ratios[way] = statistics.median(wall)
        median = statistics.median(each for each, _ in times[way])
        mine, theirs = (sum(each for each, _ in times[key]) for key in (way, "fit(verbose=0)"))
        print(
            f"  {way:18} {median:8.2f}   {ratios[way]:5.3f} ({min(wall):.3f} to {max(wall):.3f})"
            f"      {mine / theirs:5.3f}       {statistics.median(work):5.3f}"
        )
    met = ratios["kmagic"] <= case.goal
    print(f"  goal: at most {case.goal:.2f}; {'met' if met else 'MISSED'}", flush=True)
    return met


def judge(name: str, case: Case, seeds: int, epochs: int) -> None:
    """What is learned in as many epochs, both ways, over several seeds."""
    x, y, x_test, y_test = case.data()
    print(f"\n{name}: {case.judged} on the test set after {epochs} epochs, {seeds} seeds")
    for way in FEW[:2]:
        scores = []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = case.make()
            WAYS[way](model, x, y, epochs=epochs, **{"batch_size": 32, **case.how})
            scores.append(model.evaluate(x_test, y_test, verbose=0, return_dict=True)[case.judged])
        spread = statistics.stdev(scores)
        print(f"  {way:18} {statistics.mean(scores):7.4f} +- {spread:.4f}", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs, 3 rounds, no seeds")
    parser.add_argument("--rounds", type=int, help="0: leave the times out")
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--seeds", type=int, default=5, help="0: leave the judgement out")
    options = parser.parse_args()
    warnings.simplefilter("ignore", SampleDataWarning)  # the samples are what is wanted
    chosen = {name: CASES[name] for name in options.case or CASES}
    if not REVIEWS.exists():
        for name in [each for each in chosen if each.startswith("lstm")]:
            print(f"{name} is left out: {REVIEWS} is not there")
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
        if case.judged:
            judge(name, case, options.seeds, case.epochs[quick])


if __name__ == "__main__":
    main()
