"""Changes after compiling that Keras ignores are reported before the training."""

import keras
import numpy as np
import pytest

from kmagic.support.errors import TrainingError

from .fitting import fit

RNG = np.random.default_rng(0)
X = RNG.random((16, 4)).astype("float32")
Y = RNG.random((16, 1)).astype("float32")


def make():
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="base")
    layers = [keras.layers.Dropout(0.5, name="drop"), keras.layers.Dense(1, name="head")]
    net = keras.Sequential([keras.Input((4,)), base, *layers])
    net.compile(keras.optimizers.Adam(0.001, name="adam"), "mse")
    return net


def notes(net, **options):
    texts = [text for _, text in fit(net, X, Y, **options).messages]
    return [text for text in texts if "Compile the model again" in text]


def unfreeze(net):
    net.get_layer("base").trainable = True


def freeze(net):
    net.get_layer("base").trainable = False


def test_an_unfrozen_base_is_not_trained_until_it_is_compiled_again():
    net = make()
    freeze(net)
    net.compile("adam", "mse")
    assert notes(net) == []
    unfreeze(net)
    before = net.get_layer("base").get_weights()
    (note,) = notes(net)
    assert note.startswith("base is not trained: unfrozen or added after the model was compiled.")
    assert all(map(np.array_equal, before, net.get_layer("base").get_weights()))
    net.compile("adam", "mse")
    assert notes(net) == []
    assert not np.array_equal(before[0], net.get_layer("base").get_weights()[0])


@pytest.mark.parametrize("train", [fit, lambda net, *data: net.fit(*data, verbose=0)])
def test_a_frozen_layer_is_still_trained(train):
    net = make()
    train(net, X, Y)
    freeze(net)
    assert notes(net)[0].startswith("base is still trained")


def test_a_change_before_the_first_training_is_in_time():
    net = make()
    freeze(net)
    net.get_layer("drop").rate = 0.1
    assert notes(net) == []


CHANGES = {
    "drop.rate from 0.5 to 0.1": lambda net: setattr(net.get_layer("drop"), "rate", 0.1),
    "head.activation": lambda net: setattr(net.get_layer("head"), "activation", keras.ops.tanh),
    "adam.clipnorm from None to 1.0": lambda net: setattr(net.optimizer, "clipnorm", 1.0),
    "adam.beta_1 from 0.9 to 0.5": lambda net: setattr(net.optimizer, "beta_1", 0.5),
    "loss from mse to mae": lambda net: setattr(net, "loss", "mae"),
}


def test_settings_that_were_traced_cannot_be_changed():
    net = make()
    assert notes(net) == []
    for change in CHANGES.values():
        change(net)
    net.optimizer.learning_rate = 0.5  # this one can
    (note,) = notes(net)
    assert all(text in note for text in CHANGES)
    assert "learning_rate" not in note
    net.compile("adam", "mae")
    assert notes(net, validation_split=0.5) == []


def test_another_optimizer_without_compiling_has_no_effect():
    net = make()
    fit(net, X, Y)
    net.optimizer = keras.optimizers.SGD()
    (note,) = notes(net)
    assert note.startswith("The change of the optimizer has no effect")


def test_data_that_is_adapted_again_is_reported():
    norm = keras.layers.Normalization(name="norm")
    norm.adapt(X)
    net = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(1)])
    net.compile("adam", "mse")
    fit(net, X, Y)
    norm.adapt(5 * X)
    assert "norm.mean" in notes(net)[0]


@pytest.mark.parametrize("change", [freeze, CHANGES["drop.rate from 0.5 to 0.1"]])
def test_a_change_by_a_callback_is_reported_at_the_end(change):
    net = make()
    callback = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: epoch and change(net))
    assert len(notes(net, epochs=2, callbacks=[callback])) == 1


def test_without_a_graph_changes_have_an_effect():
    net = make()
    net.compile("adam", "mse", run_eagerly=True)
    fit(net, X, Y)
    freeze(net)
    net.get_layer("drop").rate = 0.1
    assert notes(net) == []


def test_an_optimizer_of_other_weights_has_a_remedy():
    net = make()
    freeze(net)
    net.compile("adam", "mse")
    fit(net, X, Y)
    unfreeze(net)
    net.compile(net.optimizer, "mse")
    with pytest.raises(TrainingError, match="used before for other weights") as error:
        fit(net, X, Y)
    assert "a new optimizer" in error.value.remedy
    net.compile("adam", "mse")
    assert fit(net, X, Y).status == "done"
