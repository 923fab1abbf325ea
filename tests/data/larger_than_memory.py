"""Load, train and evaluate images that take 20 times the memory that the process may use.

Prints the peak of the process's own memory above that before, in bytes, and the size of the data.
"""

import os
import re
import sys
import threading
from pathlib import Path

import keras

import kmagic

SIDE, BATCH = 256, 8


def used() -> int:
    """Bytes that the process needs; pages of files, which the system can drop, are not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.search(r"RssAnon:\s*(\d+)", status)[1])


def main(folder: str, limit: int) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Rescaling(1 / 255),
            layers.AveragePooling2D(64),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def use(data: kmagic.Dataset) -> float:
        kmagic.fit(model, data, batch_size=BATCH, validation_data=data, displays=[])
        kmagic.predict(model, data.x_train)
        kmagic.classify(data.x_test[:BATCH], model)
        matrix = kmagic.confusion_of(model, data)
        repr(data), data._repr_mimebundle_(), matrix._repr_mimebundle_()
        return kmagic.evaluate(model, data)["accuracy"] - matrix.accuracy

    few = kmagic.load_data(f"{folder}/few", stream=True)
    use(few)  # what imports and graphs need
    before, peak, ended = used(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.005):
            peak = max(peak, used() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    os.environ["KMAGIC_MEMORY_LIMIT"] = str(before + limit)
    data = kmagic.load_data(f"{folder}/many")
    difference = use(data)
    ended.set()
    thread.join()
    assert abs(difference) < 1e-6
    print(peak, data.x_train.nbytes + data.x_test.nbytes, data.note)  # noqa: T201 - its result


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
