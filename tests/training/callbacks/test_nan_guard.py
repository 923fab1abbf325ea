"""A loss that is no number: told at once, and the weights are good."""

import keras
import numpy as np
import pytest

from kmagic.training.callbacks.nan_guard import NanGuard

from ..fitting import RecordingDisplay, fit

BATCH = 8


def make(optimizer="sgd"):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((2,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1)]
    net = keras.Sequential(layers, name="net")
    net.compile(optimizer, "mse")
    return net


def finite(net):
    return all(np.isfinite(each).all() for each in net.get_weights())


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 2)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")


@pytest.mark.parametrize("plain", [False, True])
def test_the_message_names_epoch_batch_and_sample_and_weights_are_restored(data, plain):
    x, y = data
    x[20] = np.nan
    net = make()
    before = net.get_weights()
    run = fit(net, x, y, epochs=3, batch_size=BATCH, shuffle=False, plain=plain)
    assert run.status == "failed"
    assert run.partial.epoch == 1
    text = run.messages[-1].text
    assert "The loss became nan" in text
    assert "in batch 3; first in the data:" in text
    assert "sample 20" in text
    assert "start of epoch 1" in text
    assert "nan" in repr(run)
    for mine, theirs in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_plain_keras_names_the_batch(data):
    x, y = data
    x[20] = np.nan
    run = fit(make(), x, y, batch_size=BATCH, shuffle=False, plain=True)
    assert "in batch 3; first in the data:" in run.messages[-1].text


def test_the_exact_batch_of_an_execution_is_named():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(800, 2)).astype("float32"), rng.normal(size=(800, 1)).astype("float32")
    x[8 * 70 + 3] = np.inf
    net = make()
    told = RecordingDisplay()
    run = fit(net, x, y, batch_size=BATCH, shuffle=False, displays=[told])
    assert run.pipeline == "fast"
    assert "in batch 71; first in the data:" in run.messages[-1].text
    assert run.now.batch == 71
    assert run.partial.fraction == 0.71


@pytest.mark.parametrize("kept", ["checkpoint", "restore_best"])
def test_nan_weights_are_never_saved(data, tmp_path, kept):
    class Breaks(keras.callbacks.Callback):
        every_batch = False
        good = None

        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            if self.epoch == 1:
                self.model.set_weights([np.full_like(each, np.nan) for each in self.good])

        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - as above
            self.epoch, self.good = epoch, self.model.get_weights()

    breaks, net = Breaks(), make()
    how = {"checkpoint": tmp_path / "run"} if kept == "checkpoint" else {"restore_best": True}
    run = fit(net, *data, epochs=3, batch_size=len(data[0]), callbacks=breaks, **how)
    assert (run.status, len(run.log)) == ("failed", 1)
    words = "The weights became nan in epoch 2, but the loss did not"
    assert any(words in text for _, text in run.messages)
    for mine, theirs in zip(net.get_weights(), breaks.good, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    if kept == "checkpoint":
        other = make()
        again = fit(other, *data, epochs=1, batch_size=len(data[0]), resume=True, **how)
        assert (again.resumed, finite(other)) == (1, True)
        other.load_weights(tmp_path / "run" / "best.weights.h5")
        assert finite(other)


def test_a_too_high_learning_rate_names_a_layer(data):
    net = make(keras.optimizers.SGD(1e20))
    run = fit(net, *data, epochs=50, batch_size=BATCH)
    assert run.status == "failed"
    assert "of layer hidden" in run.messages[-1].text
    assert finite(net)


def test_a_layer_with_nan_outputs_is_named(data):
    layers = [
        keras.Input((2,)),
        keras.layers.Dense(3, name="first"),
        keras.layers.Lambda(lambda t: keras.ops.log(-1 - keras.ops.square(t)), name="logs"),
        keras.layers.Dense(1),
    ]
    net = keras.Sequential(layers)
    net.compile("adam", "mse")
    run = fit(net, *data, batch_size=BATCH)
    assert "the output of layer logs" in run.messages[-1].text
    assert finite(net)
    assert all(np.isfinite(each.numpy()).all() for each in net.optimizer.variables)


def test_the_run_can_be_resumed(data):
    x, y = data
    bad = x.copy()
    bad[3] = np.inf
    net = make("adam")
    fit(net, x, y, epochs=2, batch_size=BATCH)
    fit(net, bad, y, epochs=4, resume=True, batch_size=BATCH)
    run = fit(net, x, y, epochs=4, resume=True, batch_size=BATCH)
    assert (run.status, len(run.log)) == ("done", 4)
    assert np.isfinite(run.history["loss"]).all()


@pytest.mark.parametrize("epochs", [1, 3])
def test_nan_weights_with_a_finite_loss_are_noticed(data, epochs):
    x, y = data
    x[20] = np.nan
    net = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)]
    )
    net.compile("sgd", "mse")
    run = fit(net, x, y, epochs=epochs, batch_size=BATCH)
    assert run.status == "failed"
    assert "sample 20" in run.note
    assert finite(net)


def test_weights_are_copied_only_while_that_is_cheap():
    now = [0.0]

    def clock():
        return now[0]

    class Slow:
        copies = 0

        def get_weights(self):
            self.copies += 1
            now[0] += 1.0
            return [np.ones(2)]

    guard, net = NanGuard(clock=clock), Slow()
    guard._model = net
    for epoch in range(10):
        guard.on_epoch_begin(epoch)
        now[0] += 1.0
    assert net.copies == 1
    now[0] += 100.0
    guard.on_epoch_begin(10)
    assert (net.copies, guard.epoch) == (2, 11)
