"""What the text costs: parse and build against the same model in plain Keras.

Both sides make the same model, in turn, in one process; plain Keras runs source that was compiled
before the clock starts, ours begins with the text. Each pair starts with the garbage collected. The
clock is the thread's processor time, which other programs on the machine disturb least. The ratio
is the median over neighbouring builds; beside it stands that of the fastest builds.

    python benchmarks/build_cost.py [--rounds 7] [--layers 10 100 1000]
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow comes with Keras

import keras

from kmagic import build, parse

GOAL = 1.02
BUILDS = 200
"""So many layers are built in a round: a small model several times, since it wavers more."""
STACK = (
    ("dense 64 relu", 'layers.Dense(64, activation="relu")'),
    ("dropout 0.1", "layers.Dropout(0.1)"),
    ("dense 64 !use_bias kernel_initializer=he_normal", "HE_DENSE"),
    ("batch_normalization", "layers.BatchNormalization()"),
)
HE_DENSE = 'layers.Dense(64, use_bias=False, kernel_initializer="he_normal")'


def stack(count: int) -> tuple[str, str]:
    """A plain stack: the text, and the program."""
    steps = [STACK[number % len(STACK)] for number in range(count)]
    text = "\n".join(["input 64", *(line for line, _ in steps)])
    made = "".join(f"    {code.replace('HE_DENSE', HE_DENSE)},\n" for _, code in steps)
    return text, f"model = keras.Sequential([\n    keras.Input(shape=(64,)),\n{made}])\n"


def graph(count: int) -> tuple[str, str]:
    """Residual blocks of four layers each: the text, and the program."""
    lines = ["input 64"]
    program = ["inputs = keras.Input(shape=(64,))", "x = inputs"]
    for _ in range(max(count // 4, 1)):
        lines += ["residual:", "  dense 64 relu", "  dense 64 / batch_normalization"]
        program += [
            "shortcut = x",
            'x = layers.Dense(64, activation="relu")(x)',
            "x = layers.Dense(64)(x)",
            "x = layers.BatchNormalization()(x)",
            "x = layers.Add()([shortcut, x])",
        ]
    return "\n".join(lines), "\n".join([*program, "model = keras.Model(inputs, x)"])


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time for one model, build by build, both sides in turn."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring builds."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    @property
    def at_best(self) -> float:
        """The ratio of the fastest builds, those that nothing else disturbed."""
        return min(self.ours) / min(self.theirs)


def timed(work: Callable[[], Any]) -> float:
    """Seconds of this thread's processor time, from a cleared session."""
    keras.backend.clear_session(free_memory=False)
    start = time.thread_time()
    made = work()
    took = time.thread_time() - start
    del made
    return took


def compare(text: str, program: str, builds: int) -> Cost:
    """Build both sides in turn, so often, and once more before to warm up."""
    code = compile(program, "plain Keras", "exec")

    def plain() -> Any:
        names = {"keras": keras, "layers": keras.layers}
        exec(code, names)  # noqa: S102 - the program is ours
        return names["model"]

    cost = Cost([], [])
    for number in range(builds + 1):
        gc.collect()
        if number % 2:
            ours, theirs = timed(lambda: build(text)), timed(plain)
        else:
            theirs, ours = timed(plain), timed(lambda: build(text))
        if number:
            cost.ours.append(ours)
            cost.theirs.append(theirs)
    return cost


def parsing(rounds: int) -> None:
    """How the time of parsing grows with the text.

    TensorFlow's objects are kept out of the collector's rounds: going through them all takes as
    long as a thousand lines, and whether a round falls into the parsing is chance.
    """
    gc.collect()
    gc.freeze()
    print(f"\n{'parse alone':14}{'lines':>8}{'ms':>10}{'µs a line':>12}")
    for count in (10, 100, 1_000, 10_000):
        text, _ = stack(count)
        times = []
        for _ in range(rounds):
            gc.collect()
            start = time.thread_time()
            parse(text)
            times.append(time.thread_time() - start)
        took = statistics.median(times)
        print(f"{'':14}{count:8,}{took * 1e3:10.2f}{took / count * 1e6:12.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", type=int, nargs="*", default=(10, 100, 1000))
    asked = parser.parse_args()
    sys.setrecursionlimit(100_000)  # plain Keras needs it for the deep ones
    worst = 0.0
    print(f"{'':14}{'layers':>8}{'ours, s':>10}{'keras, s':>10}{'ratio':>8}{'at best':>9}")
    for name, make in (("stack", stack), ("graph", graph)):
        for count in asked.layers:
            cost = compare(*make(count), asked.rounds * max(1, BUILDS // count))
            worst = max(worst, cost.ratio)
            ours, theirs = statistics.median(cost.ours), statistics.median(cost.theirs)
            row = f"{ours:10.3f}{theirs:10.3f}{cost.ratio:8.3f}{cost.at_best:9.3f}"
            print(f"{name:14}{count:8,}{row}", flush=True)
    parsing(asked.rounds)
    if worst:
        print(f"\nGoal: at most {GOAL} of Keras's time. {'Met' if worst <= GOAL else 'Missed'}.")


if __name__ == "__main__":
    main()
