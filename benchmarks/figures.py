"""The figures of kerasR's vignette, on the same data: ours beside its own.

    python benchmarks/figures.py [--case boston ...] [--seeds 3] [--recipe vignette|own]

First the vignette's own recipe (net, optimizer, epochs, batch size), written in the layer language
and trained by ``kmagic.fit``, in turns with the same model written in Keras and trained by
``model.fit(verbose=0)``. Then the recipe of our tutorials, which changes a few words of the text
and of the fit; it may take no longer than plain ``fit`` takes for the vignette's. The tutorials'
recipes were chosen on data held out of the training part (for Boston's few houses and the reviews
by cross-validation within it); the test part is only looked at here. Each figure is the mean over
the seeds, and the figures of all seeds stand beside it.

The vignette's LSTM is still in the middle of learning after its ten epochs: from seed to seed plain
Keras gives anything from 0.73 to 0.83. So it is told of plain Keras too whether it gets as far.

The data are those of ``../shared/data``: without them nothing can be measured, and the script
says so. Reviews are cut and cleaned as the vignette's: 500 words, reviews of fewer than 100 words
out of both of Keras's parts, the first 4,000 of 5,736 to train.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KMAGIC_OFFLINE": "1",
    "MPLBACKEND": "Agg",
    "KERAS_HOME": tempfile.mkdtemp(prefix="kmagic-"),  # Keras deletes what it does not like
}

import keras
import numpy as np

import kmagic

SHARED = Path(__file__).parents[2] / "shared" / "data"
HOME = Path(os.environ["KERAS_HOME"])
L = keras.layers
WORDS, UNKNOWN, OFFSET, LONGEST, TO_TRAIN = 500, 2, 3, 100, 4000


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained.

    Attributes:
        text: The cell, in the layer language.
        how: Arguments of the fit.
    """

    text: str
    how: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One of the vignette's examples.

    Attributes:
        figure: What is judged.
        files: What it needs of ``../shared/data``.
        data: Gives x and y to train, x and y to test.
        judge: The figure of a model on x and y.
        sign: 1 where more is better, -1 where less is.
        vignette: The figure printed in the vignette.
        bound: What its recipe has to reach here.
        goal: What the tutorial's recipe has to reach.
        plain: Makes the vignette's model in Keras.
        recipe: The same in the layer language, and how it is trained.
        own: The tutorial's recipe.
    """

    figure: str
    files: tuple[str, ...]
    data: Callable[[], tuple[Any, Any, Any, Any]]
    judge: Callable[[keras.Model, Any, Any], float]
    sign: int
    vignette: float
    bound: float
    goal: float
    plain: Callable[[], keras.Model]
    recipe: Recipe
    own: Recipe


def given(name: str, **how: Any) -> tuple[Any, Any, Any, Any]:
    """One of Keras's datasets, out of a copy of its file."""
    folder = HOME / "datasets"
    folder.mkdir(exist_ok=True)
    shutil.copy(SHARED / f"{name}.npz", folder)
    data = kmagic.load_data(name, **how)
    return data.x_train, data.y_train, data.x_test, data.y_test


@functools.cache
def houses() -> tuple[Any, Any, Any, Any]:
    """506 houses; the test part is scaled by the training part's figures."""
    return given("boston_housing", scale="standard")


@functools.cache
def digits(*, flatten: bool) -> tuple[Any, Any, Any, Any]:
    """All of MNIST."""
    return given("mnist", scale=255, flatten=flatten, channel=not flatten)


@functools.cache
def reviews() -> tuple[Any, Any, Any, Any]:
    """The short reviews out of both parts, in the order of Keras's loader."""
    rows, labels = [], []
    with np.load(SHARED / "imdb.npz", allow_pickle=True) as file:
        for part in ("train", "test"):
            x, y = file[f"x_{part}"], file[f"y_{part}"]
            order = np.arange(len(x))
            np.random.RandomState(113).shuffle(order)
            for at in order:
                review = [1, *(word + OFFSET for word in x[at])]
                if len(review) < LONGEST:
                    rows.append([word if word < WORDS else UNKNOWN for word in review])
                    labels.append(y[at])
    x, y = keras.utils.pad_sequences(rows, maxlen=LONGEST), np.array(labels)
    return x[:TO_TRAIN], y[:TO_TRAIN], x[TO_TRAIN:], y[TO_TRAIN:]


def error_ratio(model: keras.Model, x: Any, y: Any) -> float:
    """Standard deviation of the error, as a share of that of the prices."""
    return float(np.std(model.predict(x, verbose=0).reshape(-1) - y) / np.std(y))


def accuracy(model: keras.Model, x: Any, y: Any) -> float:
    """Share of right answers."""
    found = model.predict(x, verbose=0, batch_size=256)
    classes = found.argmax(axis=1) if found.shape[1] > 1 else (found[:, 0] > 0.5)  # noqa: PLR2004
    return float(np.mean(classes == y))


def houses_net() -> keras.Model:
    """The vignette's net for Boston."""
    model = keras.Sequential([keras.Input((13,)), L.Dense(50), L.Activation("relu"), L.Dense(1)])
    model.compile(keras.optimizers.RMSprop(), "mse")
    return model


def classifier(shape: tuple[int, ...], *layers: Any) -> keras.Model:
    """Ten classes."""
    model = keras.Sequential([keras.Input(shape), *layers, L.Dense(10), L.Activation("softmax")])
    model.compile(
        keras.optimizers.RMSprop(), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def dense_net() -> keras.Model:
    """The vignette's dense net for digits."""
    wide = ((L.Dense(512), L.LeakyReLU(), L.Dropout(0.25)) for _ in range(3))
    return classifier((784,), *chain.from_iterable(wide))


def conv_net() -> keras.Model:
    """The vignette's convolutional net."""
    return classifier(
        (28, 28, 1),
        L.Conv2D(32, (3, 3)),
        L.Activation("relu"),
        L.Conv2D(32, (3, 3)),
        L.Activation("relu"),
        L.MaxPooling2D((2, 2)),
        L.Dropout(0.25),
        L.Flatten(),
        L.Dense(128),
        L.Activation("relu"),
        L.Dropout(0.25),
    )


def review_net(middle: Callable[[], Any]) -> keras.Model:
    """The vignette's nets for reviews."""
    model = keras.Sequential(
        [
            keras.Input((LONGEST,)),
            L.Embedding(WORDS, 32),
            L.Dropout(0.25),
            middle(),
            L.Dense(256),
            L.Dropout(0.25),
            L.Activation("relu"),
            L.Dense(1),
            L.Activation("sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.RMSprop(learning_rate=0.00025), "binary_crossentropy", metrics=["accuracy"]
    )
    return model


CLASSES = "loss=sparse_categorical_crossentropy metrics=accuracy"
YES_NO = "loss=binary_crossentropy metrics=accuracy"
HELD = {"batch_size": 32, "validation_split": 0.1}  # in all of the vignette's fits

CASES = {
    "boston": Case(
        "sd(error) / sd(price)",
        ("boston_housing.npz",),
        houses,
        error_ratio,
        sign=-1,
        vignette=0.769,
        bound=0.52,
        goal=0.42,
        plain=houses_net,
        recipe=Recipe(
            "input 13 / dense 50 relu / dense 1\ncompile rmsprop loss=mse", {"epochs": 200, **HELD}
        ),
        own=Recipe(
            """input 13
dense 128 relu / dropout 0.2
dense 128 relu / dropout 0.2
dense 128 relu / dropout 0.2
dense 1
compile adam(cosine_decay(2e-3, 10200)) loss=mse""",
            {"epochs": 200, "batch_size": 8},
        ),
    ),
    "dense": Case(
        "accuracy",
        ("mnist.npz",),
        lambda: digits(flatten=True),
        accuracy,
        sign=1,
        vignette=0.960,
        bound=0.960,
        goal=0.980,
        plain=dense_net,
        recipe=Recipe(
            f"""input 784
dense 512 / leaky_relu / dropout 0.25
dense 512 / leaky_relu / dropout 0.25
dense 512 / leaky_relu / dropout 0.25
dense 10 softmax
compile rmsprop {CLASSES}""",
            {"epochs": 5, **HELD},
        ),
        own=Recipe(
            f"""input 784
dense 512 relu / dropout 0.25
dense 512 relu / dropout 0.25
dense 512 relu / dropout 0.25
dense 10 softmax
compile adam(cosine_decay(2e-3, 3376)) {CLASSES}""",
            {"epochs": 8, "batch_size": 128, "validation_split": 0.1},
        ),
    ),
    "cnn": Case(
        "accuracy",
        ("mnist.npz",),
        lambda: digits(flatten=False),
        accuracy,
        sign=1,
        vignette=0.9878,
        bound=0.988,
        goal=0.992,
        plain=conv_net,
        recipe=Recipe(
            f"""input 28x28x1
conv2d 32 3x3 relu / conv2d 32 3x3 relu / maxpool 2x2 / dropout 0.25
flatten / dense 128 relu / dropout 0.25 / dense 10 softmax
compile rmsprop {CLASSES}""",
            {"epochs": 5, **HELD},
        ),
        own=Recipe(
            f"""input 28x28x1
conv2d 32 3x3 relu / maxpool 2x2
conv2d 64 3x3 relu / maxpool 2x2
conv2d 128 3x3 relu / dropout 0.25
flatten / dense 128 relu / dropout 0.5 / dense 10 softmax
compile adam(cosine_decay(3e-3, 3376)) {CLASSES}""",
            {"epochs": 8, "batch_size": 128, "validation_split": 0.1},
        ),
    ),
    "embedding": Case(
        "accuracy",
        ("imdb.npz",),
        reviews,
        accuracy,
        sign=1,
        vignette=0.790,
        bound=0.79,
        goal=0.81,
        plain=lambda: review_net(L.Flatten),
        recipe=Recipe(
            f"""input 100
embedding 500 32 / dropout 0.25 / flatten
dense 256 / dropout 0.25 / relu / dense 1 sigmoid
compile rmsprop(0.00025) {YES_NO}""",
            {"epochs": 10, **HELD},
        ),
        own=Recipe(
            f"""input 100
embedding 500 64 mask_zero / dropout 0.5 / gap1d
dense 256 relu / dropout 0.25 / dense 1 sigmoid
compile adam(cosine_decay(4e-3, 504)) {YES_NO}""",
            {"epochs": 8, "batch_size": 64},
        ),
    ),
    "lstm": Case(
        "accuracy",
        ("imdb.npz",),
        reviews,
        accuracy,
        sign=1,
        vignette=0.825,
        bound=0.82,
        goal=0.835,
        plain=lambda: review_net(lambda: L.LSTM(32)),
        recipe=Recipe(
            f"""input 100
embedding 500 32 / dropout 0.25 / lstm 32
dense 256 / dropout 0.25 / relu / dense 1 sigmoid
compile rmsprop(0.00025) {YES_NO}""",
            {"epochs": 10, **HELD},
        ),
        own=Recipe(
            f"""input 100
embedding 500 64 / dropout 0.3 noise_shape=?x100x1 / dropout 0.3
conv1d 64 3 relu / maxpool1d 2 / dropout 0.5
bidirectional(lstm 32 return_sequences) / gmp1d / dropout 0.5
dense 1 sigmoid
compile adam(cosine_decay(3e-3, 504)) {YES_NO}""",
            {"epochs": 8, "batch_size": 64},
        ),
    ),
}


PLAIN, SAME, OWN = "plain Keras", "kmagic", "kmagic, own recipe"


@dataclass
class Trained:
    """What came of one way, a value for each seed."""

    figures: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The figure that counts."""
        return statistics.mean(self.figures)

    def share(self, base: list[float]) -> float:
        """The time as a share of another way's, seed by seed; the median."""
        return statistics.median(
            mine / other for mine, other in zip(self.seconds, base, strict=True)
        )

    def line(self, name: str, base: list[float]) -> str:
        """A row of the table."""
        each = " ".join(f"{figure:.4f}" for figure in self.figures)
        seconds = statistics.median(self.seconds)
        return f"  {name:20} {self.mean:.4f}   {each}   {seconds:7.1f}     {self.share(base):5.2f}"


def train(case: Case, way: str, data: tuple[Any, Any], seed: int, **less: Any) -> Any:
    """A model made and trained in one way, and the seconds of its fit."""
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(seed)
    recipe = case.own if way == OWN else case.recipe
    how = {**recipe.how, **less}
    model = case.plain() if way == PLAIN else kmagic.build(recipe.text)
    began = time.perf_counter()
    if way == PLAIN:
        model.fit(*data, verbose=0, **how)
    else:
        kmagic.fit(model, *data, displays=[], **how)
    return model, time.perf_counter() - began


def measure(name: str, case: Case, ways: list[str], seeds: int) -> list[str]:
    """All ways in turns; prints the table, returns what was missed."""
    x, y, x_test, y_test = case.data()
    some = (x[:64], y[:64])
    for way in ways:  # warms up
        train(case, way, some, 0, epochs=1)
    found = {way: Trained() for way in ways}
    for seed in range(seeds):
        turn = seed % len(ways)
        for way in ways[turn:] + ways[:turn]:
            model, seconds = train(case, way, (x, y), seed)
            found[way].figures.append(case.judge(model, x_test, y_test))
            found[way].seconds.append(seconds)
    base = found[PLAIN].seconds
    better = "more" if case.sign > 0 else "less"
    rows = f"{len(x):,} rows to train, {len(x_test):,} to test"
    print(f"\n{name}: {case.figure}, {better} is better; {rows}")
    print(f"  {'':20}  mean     {'each seed':{7 * seeds - 1}}   seconds   of plain's")
    print(f"  {'the vignette':20} {case.vignette:.4f}")
    for way in ways:
        print(found[way].line(way, base))
    end = "least" if case.sign > 0 else "most"
    missed = []
    for way, bound in ((PLAIN, case.bound), (SAME, case.bound), (OWN, case.goal)):
        if way in found:
            met = told(way, end, bound, ahead=case.sign * (found[way].mean - bound))
            if not met and way != PLAIN:
                missed.append(f"{name}, {way}")
    if OWN in found and not told(
        f"{OWN}, share of the time", "most", 1, ahead=1 - found[OWN].share(base)
    ):
        missed.append(f"{name}, time")
    return missed


def told(what: str, end: str, bound: float, ahead: float) -> bool:
    """Print whether a bound is met and by how much; returns whether."""
    verdict = "met" if ahead >= 0 else "MISSED"
    print(f"  {what}: at {end} {bound:.3f}: {verdict} by {abs(ahead):.4f}", flush=True)
    return ahead >= 0


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--recipe", choices=["vignette", "own"], help="only this one, beside plain Keras's fit"
    )
    options = parser.parse_args()
    ways = {"vignette": [PLAIN, SAME], "own": [PLAIN, OWN]}.get(options.recipe, [PLAIN, SAME, OWN])
    missed = []
    try:
        for name in options.case or CASES:
            absent = [file for file in CASES[name].files if not (SHARED / file).exists()]
            if absent:
                print(f"\n{name} is left out: {SHARED / absent[0]} is not there")
                continue
            missed += measure(name, CASES[name], ways, max(options.seeds, 1))
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    print(f"\nmissed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
