"""Several devices of this machine train as one does; logical CPUs stand for the GPUs."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
import keras, numpy as np
from kmagic import fit
from kmagic.training.distributed import distributed_pipeline
names = [device.name for device in tf.config.list_logical_devices("CPU")]
distributed_pipeline.gpu_names = lambda: names[1:]
rng = np.random.default_rng(0)
x, y = rng.random((102, 5), dtype="float32"), rng.random(102, dtype="float32")

def train(layers, **options):
    keras.utils.set_random_seed(1)
    layers = [layer() for layer in layers]
    model = keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01, clipnorm=0.5), "mse", metrics=["mae"])
    options |= {"batch_size": 8, "epochs": 3, "displays": [], "validation_split": 0.2}
    run = fit(model, x, y, **options)
    weights = [value.tolist() for value in model.get_weights()]
    return run.history, weights, run.pipeline, int(model.optimizer.iterations)

dense = lambda: keras.layers.Dense(4, "relu", kernel_regularizer="l2")
print(json.dumps([
    train([dense], shuffle=False),
    train([dense], shuffle=False, gpus="all"),
    train([dense, keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.3)], gpus=2),
]))
"""


def test_devices_train_like_one_process() -> None:
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone, mirrored, random = json.loads(done.stdout.splitlines()[-1])
    assert (alone[2], mirrored[2]) == ("fast", "distributed, 2 GPUs with 4 of 8 samples each")
    for name, curve in alone[0].items():
        assert close(mirrored[0][name], curve)
    assert close(mirrored[1], alone[1])
    assert alone[3] == mirrored[3] == random[3] == 33  # 81 samples: the last batch has one
    assert random[0]["loss"][-1] < random[0]["loss"][0]


def close(values: object, expected: object) -> bool:
    """Whether nested lists of numbers are equal within the tolerance of float32."""
    if isinstance(expected, list):
        assert isinstance(values, list)
        return all(map(close, values, expected))
    assert isinstance(values, float)
    assert isinstance(expected, float)
    return abs(values - expected) <= 1e-5 * abs(expected) + 1e-6
