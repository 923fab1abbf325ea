"""Images on disk: epochs compared with a cached ``image_dataset_from_directory``.

    python benchmarks/streaming.py [--images 4000] [--rounds 3] [--epochs 4]

The images are JPEGs of digits and of noise, 64 x 64 pixels, in a temporary folder. The first part
compares the time of an epoch, after the first one, which traces the graph; kmagic reads the files,
and ``tf.data`` fills its cache, before. The second part trains on the same ``tf.data.Dataset``
with ``kmagic.fit`` and with ``model.fit``. The methods alternate; a ratio is that of one round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KMAGIC_OFFLINE": "1"}

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import kmagic
from kmagic.training.pipeline import dense_arrays

SIDE, BATCH = 64, 32
L = keras.layers


def write_images(folder: Path, count: int) -> None:
    """JPEGs in one folder per class."""
    rng = np.random.default_rng(0)
    digits = kmagic.load_data("mnist")
    for number in range(count):
        row = number % len(digits.x_train)
        label = int(digits.y_train[row])
        image = Image.fromarray(digits.x_train[row]).resize((SIDE, SIDE))
        noise = rng.integers(0, 64, (SIDE, SIDE, 3))
        pixels = np.clip(np.asarray(image)[..., None] + noise, 0, 255).astype(np.uint8)
        file = folder / str(label) / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


def small_net() -> keras.Model:
    """A network whose training takes little more time than reading its images."""
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            L.Rescaling(1 / 255),
            L.AveragePooling2D(8),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class EpochTimes(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """The duration of each epoch."""

    every_batch = False

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)

    @property
    def later(self) -> float:
        """The median of the epochs after the first one."""
        return statistics.median(self.seconds[1:])


def cached_folder(folder: Path, cache: str) -> tf.data.Dataset:
    """What is written by hand for such data, with the rows that kmagic trains on."""
    dataset = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(SIDE, SIDE),
        batch_size=BATCH,
        validation_split=0.2,
        subset="training",
        seed=0,
        verbose=False,
    )
    return dataset.cache(cache).prefetch(tf.data.AUTOTUNE)


def compare_folders(folder: Path, rounds: int, epochs: int) -> None:
    """Epochs of images on disk, and of a cached ``tf.data.Dataset``."""
    start = time.perf_counter()
    data = kmagic.load_data(folder, stream=True)
    print(f"kmagic.load_data(stream=True): {time.perf_counter() - start:.1f} s")
    dense_arrays.MAX_MAPPED_BYTES = 0  # as large data
    ratios = []
    for number in range(rounds):
        ours, theirs = EpochTimes(), EpochTimes()
        kmagic.fit(small_net(), data, epochs=epochs, callbacks=[ours], displays=[])
        with tempfile.TemporaryDirectory() as cache:
            dataset = cached_folder(folder, f"{cache}/images")
            start = time.perf_counter()
            for _ in dataset:  # fills the cache, which Keras's iterators may disturb
                pass
            filled = time.perf_counter() - start
            small_net().fit(dataset, epochs=epochs, shuffle=False, callbacks=[theirs], verbose=0)
        ratios.append(ours.later / theirs.later)
        print(
            f"round {number + 1}: kmagic {ours.later:.2f} s, cache and prefetch "
            f"{theirs.later:.2f} s per epoch after {filled:.1f} s for the cache"
        )
    print(f"ratio {statistics.median(ratios):.2f}, goal at most 1.00\n")


def compare_streams(rounds: int, epochs: int) -> None:
    """``kmagic.fit`` and ``model.fit`` on the same stream of small images."""
    digits = kmagic.load_data("mnist", scale=255, channel=True)
    arrays = (digits.x_train, digits.y_train)
    stream = tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH).cache().prefetch(2)

    def net() -> keras.Model:
        layers = [L.Flatten(), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")]
        model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    ratios = []
    for _ in range(rounds):
        start = time.perf_counter()
        kmagic.fit(net(), stream, epochs=epochs, displays=[])
        middle = time.perf_counter()
        net().fit(stream, epochs=epochs, shuffle=False, verbose=0)
        ratios.append((middle - start) / (time.perf_counter() - middle))
        print(f"the same stream: {middle - start:.2f} s, ratio {ratios[-1]:.2f}")
    print(f"ratio {statistics.median(ratios):.2f}, goal at most 0.85")


def main() -> None:
    """Read the options and run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), options.images)
        compare_folders(Path(folder), options.rounds, options.epochs)
    compare_streams(options.rounds, 2 * options.epochs)


if __name__ == "__main__":
    main()
