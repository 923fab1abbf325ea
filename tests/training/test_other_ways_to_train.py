"""Other ways to train: they train, they are recorded, and the card says why."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kmagic.display.training.training_card import foot_text
from kmagic.support.errors import TrainingError
from kmagic.training.pipeline.pipeline_choice import wrapper_of

from .fitting import fit

RNG = np.random.default_rng(0)
X = RNG.random((32, 4)).astype("float32")
Y = RNG.integers(0, 2, 32)


def make(kind=keras.Sequential, optimizer="adam", **options):
    net = kind([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return net


def trained(net, **options):
    before = net.get_weights()
    run = fit(net, X, Y, epochs=2, batch_size=8, **options)
    assert (run.status, len(run.log)) == ("done", 2)
    assert not all(map(np.array_equal, before, net.get_weights()))
    return run


class Seen(keras.callbacks.Callback):
    """Like a logger: it reads what Keras sets, and counts what it is called for."""

    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.batches += 1
        assert float(logs["loss"]) > 0

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - as above
        self.epochs.append((self.params["epochs"], self.model.compiled, *sorted(logs)))


@pytest.mark.parametrize("copies", [True, False])
def test_a_logger_that_patches_fit_gets_what_the_user_passed(monkeypatch, copies):
    original, calls, logger = keras.Model.fit, [], Seen()

    def logged(self, *args, **kwargs):
        calls.append(dict(kwargs))
        callbacks = kwargs["callbacks"]
        if copies:
            kwargs["callbacks"] = [*callbacks, logger]
        else:
            callbacks.append(logger)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", logged)
    run = trained(make(), validation_split=0.25)
    assert run.pipeline == "plain: Model.fit is wrapped by tests"
    assert (calls[0]["batch_size"], calls[0]["validation_split"], calls[0]["epochs"]) == (
        8,
        0.25,
        2,
    )
    assert logger.epochs == [(2, True, "accuracy", "loss", "val_accuracy", "val_loss")] * 2
    assert "plain Keras: Model.fit is wrapped by tests" in foot_text(run)


@pytest.mark.parametrize("by_name", [False, True])
def test_x_is_passed_as_users_pass_it(monkeypatch, by_name):
    original, first = keras.Model.fit, []

    def logged(self, *args, **kwargs):
        first.append(args[0].shape)  # as mlflow does, for the signature of the model
        return original(self, *args, **kwargs)

    class Named(keras.Sequential):
        def fit(self, *, x, y, epochs, batch_size, callbacks):
            return super().fit(x, y, batch_size, epochs, verbose=0, callbacks=callbacks)

    monkeypatch.setattr(keras.Model, "fit", logged)
    trained(make(Named if by_name else keras.Sequential))
    assert first == [X.shape]


def test_kerass_own_methods_are_not_wrapped():
    assert [wrapper_of(method) for method in (keras.Model.fit, keras.Model.evaluate)] == ["", ""]
    assert wrapper_of(print) == "builtins"


def test_a_fit_that_takes_only_some_arguments_gets_those():
    class Narrow(keras.Sequential):
        def fit(self, x, y, epochs=1, batch_size=32, callbacks=None):
            return super().fit(x, y, batch_size, epochs, verbose=0, callbacks=callbacks)

    class Closed(keras.Sequential):
        def fit(self, x, y, batch_size, epochs):
            """Takes no callbacks."""

    run = trained(make(Narrow))
    assert "plain Keras: the model has its own fit" in foot_text(run)
    with pytest.raises(TrainingError, match="own fit has no argument validation_split"):
        trained(make(Narrow), validation_split=0.5)
    with pytest.raises(TrainingError, match="own fit has no argument callbacks"):
        trained(make(Closed))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
        lambda: keras.optimizers.SGD(use_ema=True, ema_overwrite_frequency=2),
        lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 8)),
    ],
)
def test_optimizers_with_state_of_their_own_train_as_in_keras(optimizer):
    nets = [make(optimizer=optimizer()) for _ in range(2)]
    nets[1].set_weights(nets[0].get_weights())
    fit(nets[0], X, Y, epochs=2, batch_size=8, shuffle=False)
    nets[1].fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    assert all(map(np.array_equal, nets[0].get_weights(), nets[1].get_weights()))


def test_mixed_precision_uses_the_fast_pipeline():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        net = make()
    finally:
        keras.config.set_dtype_policy("float32")
    run = trained(net)
    assert run.pipeline == "fast"
    assert foot_text(run).endswith("learning rate 0.001") or "samples/s" in foot_text(run)


REPLICAS = """
import numpy as np, tensorflow as tf, kmagic
x = np.random.default_rng(0).random((32, 4)).astype("float32")
y = np.arange(32) % 2
with tf.distribute.MirroredStrategy(DEVICES).scope():
    net = kmagic.build("input 4 / dense 2 softmax")
    net.compile("sgd", "sparse_categorical_crossentropy")
options = {"batch_size": 16, "validation_split": 0.5, "watch": "confusion", "displays": []}
run = kmagic.fit(net, x, y, epochs=2, **options)
assert (run.status, len(run.log), run.confusion.matrix.sum()) == ("done", 2, 16)
assert run.pipeline == "plain: the model uses a distribution strategy"
again = kmagic.fit(net, x, y, epochs=0, displays=[])
assert "trained for 2 epochs" in again.messages[0].text
assert kmagic.predict(net, x[:5]).shape == (5, 2)
"""


def test_a_strategy_of_one_replica_trains():
    exec(REPLICAS, {"DEVICES": ["CPU:0"]})  # noqa: S102 - the same as in a process of its own


@pytest.mark.slow
def test_a_strategy_of_two_replicas_trains():
    devices = """
import tensorflow as tf
DEVICES = ["CPU:0", "CPU:1"]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
    done = subprocess.run(  # the devices are fixed when TensorFlow starts
        [sys.executable, "-c", devices + REPLICAS],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
