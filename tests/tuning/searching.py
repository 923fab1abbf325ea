"""Data and texts for searches, and a display that calls a function."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

import kmagic
from kmagic.tuning.study import Study, StudyDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)
END = "dense 2 softmax / compile adam(1e-3..1e-1~log) loss=sparse_categorical_crossentropy"
TEXT = f"input 4 / dense 2..16 relu|tanh / {END}"

tune = functools.partial(
    kmagic.tune, in_process=True, epochs=2, validation_split=0.25, seed=3, displays=[]
)


class Calling(StudyDisplay):
    """Calls a function at each update, and records the methods that were called."""

    interval = 0.0

    def __init__(self, function: Callable[[Study], object] = lambda _: None) -> None:
        self.function = function
        self.calls: list[str] = []

    def start(self, _: Study) -> None:
        self.calls.append("start")

    def update(self, study: Study) -> None:
        self.calls.append("update")
        self.function(study)

    def end(self, _: Study) -> None:
        self.calls.append("end")
