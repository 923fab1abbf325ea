"""What the shapes beside a model's text cost: a check of the text against Keras's own build.

The check runs in the kernel after each pause of the user who types; without it, the user would have
to build the model. ``first`` is the first check of a text, with nothing known from earlier ones;
``again`` is that after a change of its last line. The clock is the process's processor time; the
ratio is the median over rounds. Memory is the growth of the process over all rounds.

    python benchmarks/line_shapes.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow comes with Keras

import keras

from kmagic.models.build import line_shapes

GOAL = 0.3
"""Seconds for a check."""
VGG16 = """input 224x224x3
conv2d 64 3x3 same relu * 2 / maxpool 2x2
conv2d 128 3x3 same relu * 2 / maxpool 2x2
conv2d 256 3x3 same relu * 3 / maxpool 2x2
conv2d 512 3x3 same relu * 3 / maxpool 2x2
conv2d 512 3x3 same relu * 3 / maxpool 2x2
flatten
dense 4096 relu * 2
dense 1000 softmax
"""
RESNET152 = """block part(f):
  residual:
    conv2d {f} 1x1 / bn / relu
    conv2d {f} 3x3 same / bn / relu
    conv2d {4 * f} 1x1 / bn
  relu
block first(f, s):
  before = _
  conv2d {f} 1x1 strides={s} / bn / relu
  conv2d {f} 3x3 same / bn / relu
  after = conv2d {4 * f} 1x1
  shortcut = conv2d {4 * f} 1x1 strides={s} <- before
  add <- after, shortcut
  relu
input 224x224x3
conv2d 64 7x7 strides=2 same / bn / relu / maxpool 3x3 strides=2 same
first 64 1 / part 64 * 2
first 128 2 / part 128 * 7
first 256 2 / part 256 * 35
first 512 2 / part 512 * 2
gap / dense 1000 softmax
"""
STACK = "input 64\n" + "\n".join(f"dense {64 + number % 50} relu" for number in range(1000)) + "\n"


def stack() -> Any:
    """A thousand layers in plain Keras."""
    sys.setrecursionlimit(30_000)  # Keras needs it for so many layers
    sizes = (64 + number % 50 for number in range(1000))
    layers = [keras.layers.Dense(size, activation="relu") for size in sizes]
    return keras.Sequential([keras.Input((64,)), *layers])


MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "VGG16": (VGG16, lambda: keras.applications.VGG16(weights=None)),
    "ResNet-152": (RESNET152, lambda: keras.applications.ResNet152(weights=None)),
    "1,000 layers": (STACK, stack),
}


def seconds(function: Callable[[], Any]) -> float:
    """The processor time of a call."""
    gc.collect()
    start = time.process_time()
    function()
    return time.process_time() - start


def resident() -> int:
    """The largest size of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    """Print a line for each model; the exit code is 1 if a check takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    line_shapes.check_text("input 4\ndense 2\ncompile adam loss=mse", {})
    late, builds = False, {}
    print(f"{'':14}{'first':>9}{'again':>9}{'Keras':>9}{'ratio':>8}{'memory':>9}")
    memory = {}
    for name, (text, _) in MODELS.items():
        before, first, again = resident(), [], []
        for number in range(rounds):
            line_shapes.forget_layers()
            first.append(seconds(lambda text=text: line_shapes.check_text(text, {})))
            changed = f"{text}dense {number + 2}"
            again.append(seconds(lambda text=changed: line_shapes.check_text(text, {})))
        builds[name] = statistics.median(first), statistics.median(again)
        memory[name] = resident() - before
    for name, (_, build) in MODELS.items():  # afterwards, because Keras's memory stays
        first, again = builds[name]
        keras_time = statistics.median(seconds(build) for _ in range(min(rounds, 3)))
        late |= first > GOAL
        print(
            f"{name:14}{first * 1000:6.0f} ms{again * 1000:6.0f} ms{keras_time * 1000:6.0f} ms"
            f"{first / keras_time:8.2f}{memory[name]:6} MB"
        )
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
