"""The cost of the live view compared with no view, Keras's progress bar and livelossplot.

It runs in a real kernel, as under JupyterLab; this process replaces the browser and receives every
message of the kernel. All four methods train the same model on the same data, alternating, for
several rounds. On a busy machine the kernel's processor time says more than the elapsed time.

The data comes from a repeated ``tf.data`` pipeline without autotuning: with plain arrays ``fit``
waits at the end of every epoch for a timer of TensorFlow, which would hide the differences.

    python benchmarks/live_view.py [--rounds 5] [--case tiny|cnn]
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from jupyter_client.manager import start_new_kernel

SETUP = """
import os, time, gc, json
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from livelossplot import PlotLossesKeras
import kmagic
from kmagic.display.training.run_displays import displays_for

L = keras.layers
CASES = {
    # A batch takes about 1 ms, so that the view's work per batch shows most clearly.
    "tiny": ((13,), [L.Dense(64, activation="relu"), L.Dense(10)], 32, 1500, 4),
    # A batch takes about 10 ms.
    "cnn": ((28, 28, 1), [L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(),
                          L.Dense(64, activation="relu"), L.Dense(10)], 64, 150, 4),
}

def prepare(case):
    global model, train, valid, steps, epochs, start
    shape, layers, batch, steps, epochs = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4096, *shape)).astype("float32")
    y = rng.integers(0, 10, 4096)
    def pipeline(data):
        options = tf.data.Options()
        options.autotune.enabled = False
        return data.batch(batch, drop_remainder=True).prefetch(2).with_options(options)
    train = pipeline(tf.data.Dataset.from_tensor_slices((x, y)).repeat())
    valid = pipeline(tf.data.Dataset.from_tensor_slices((x[:512], y[:512])))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *layers], name=case)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(train, steps_per_epoch=2, validation_data=valid, verbose=0, shuffle=False)
    start = model.get_weights()

def run(method):
    model.set_weights(start)
    gc.collect()
    common = dict(epochs=epochs, steps_per_epoch=steps, validation_data=valid, shuffle=False)
    start_time, cpu_start = time.perf_counter(), time.process_time()
    if method == "kmagic":
        kmagic.fit(model, train, displays=displays_for("widget"), **common)
    elif method == "livelossplot":
        model.fit(train, verbose=0, callbacks=[PlotLossesKeras()], **common)
    else:
        model.fit(train, verbose=int(method[-1]), **common)
    return [time.perf_counter() - start_time, time.process_time() - cpu_start]
"""

METHODS = ("verbose=0", "kmagic", "verbose=1", "livelossplot")


class Notebook:
    """A kernel and the messages that it sends."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.bytes = 0
        self.messages = 0

    def run(self, code: str) -> Any:
        """Run a cell and return the text of its last expression."""
        results: list[Any] = []

        def on_message(message: dict[str, Any]) -> None:
            self.messages += 1
            self.bytes += len(json.dumps(message["content"], default=str))
            if message["msg_type"] == "execute_result":
                results.append(message["content"]["data"]["text/plain"])

        reply = self.client.execute_interactive(code, output_hook=on_message, timeout=600)
        if reply["content"]["status"] != "ok":
            raise SystemExit("\n".join(reply["content"]["traceback"]))
        return results[-1] if results else None

    def close(self) -> None:
        """Shut the kernel down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def measure(notebook: Notebook, case: str, rounds: int) -> None:
    """Alternate all methods of one case; print medians and ratios."""
    notebook.run(f"prepare({case!r})")
    times: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    sent: dict[str, tuple[int, int]] = {}
    for round_ in range(rounds + 1):
        for method in METHODS[round_ % 4 :] + METHODS[: round_ % 4]:  # none is always first
            before = (notebook.messages, notebook.bytes)
            seconds = json.loads(notebook.run(f"run({method!r})"))
            sent[method] = (notebook.messages - before[0], notebook.bytes - before[1])
            if round_:  # the first round warms up: imports, fonts, graphs
                times[method].append(seconds)
    print(f"\n{case}: median of {rounds} rounds; ratios to verbose=0 of the same round")
    print("                seconds   ratio   processor time")
    for method in METHODS:
        median = statistics.median(wall for wall, _ in times[method])
        wall, work = (_ratio(times[method], times["verbose=0"], which) for which in (0, 1))
        sent_text = f"{sent[method][0]:,} messages, {sent[method][1] / 1000:,.0f} kB"
        print(f"  {method:13} {median:7.2f}   {wall:5.3f}   {work:5.3f}   {sent_text}")


def _ratio(ours: list[list[float]], theirs: list[list[float]], which: int) -> float:
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(mine[which] / other[which] for mine, other in pairs)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=["tiny", "cnn"], action="append")
    options = parser.parse_args()
    notebook = Notebook()
    try:
        notebook.run(SETUP)
        for case in options.case or ["tiny", "cnn"]:
            measure(notebook, case, options.rounds)
    finally:
        notebook.close()


if __name__ == "__main__":
    main()
