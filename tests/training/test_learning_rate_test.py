"""A learning rate test suggests a rate, and leaves the model as it is."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic.display.training.learning_rate_card import learning_rate_bundle
from kmagic.support.errors import TrainingError
from kmagic.training.learning_rate_test import (
    LearningRateTest,
    find_learning_rate,
    smooth,
    suggest_rate,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(640, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)


def make(optimizer="adam", **options):
    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2, activation="softmax"),
    ]
    net = keras.Sequential(layers, name="net")
    net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return net


def state(net):
    variables = [*net.variables, *net.optimizer.variables]
    return [np.asarray(variable.numpy()) for variable in variables]


def assert_same(before, after):
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


# --- nothing changes ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_trained", [False, True])
def test_a_training_after_the_test_is_the_same_bit_by_bit(is_trained):
    weights = []
    for is_tested in (False, True):
        net = make()
        if is_trained:
            net.fit(X, Y, epochs=1, verbose=0)
        before, function, optimizer = state(net), net.train_function, net.optimizer
        keras.utils.set_random_seed(5)
        if is_tested:
            assert find_learning_rate(net, X, Y).rate
            assert_same(before, state(net))
            assert net.train_function is function
            assert net.optimizer is optimizer
        net.fit(X, Y, epochs=2, batch_size=16, verbose=0)
        weights.append((state(net), np.random.random(), keras.random.normal((2,)).numpy()))  # noqa: NPY002 - the global state is meant
    assert_same(weights[0][0], weights[1][0])
    assert weights[0][1] == weights[1][1]
    np.testing.assert_array_equal(weights[0][2], weights[1][2])


def scheduled():
    return make(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 100)))


def scaled_loss():
    return make(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)))


def several_steps():
    return make(steps_per_execution=7)


def stateful():
    layers = [keras.Input((2, 2), batch_size=32), keras.layers.GRU(4, stateful=True)]
    net = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")], name="net")
    net.compile("adam", "sparse_categorical_crossentropy")
    return net


class OwnStep(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result()}


def own_step():
    x = keras.Input((4,))
    net = OwnStep(x, keras.layers.Dense(2, activation="softmax")(x), name="net")
    net.compile("adam", "sparse_categorical_crossentropy")
    return net


@pytest.mark.parametrize("kind", [scheduled, scaled_loss, several_steps, stateful, own_step])
def test_other_models_are_left_as_they_are(kind):
    net = kind()
    steps = net.steps_per_execution
    x = X.reshape(-1, 2, 2) if kind is stateful else X
    states = [layer.states[0] for layer in net.layers if hasattr(layer, "states")]
    before, kept = state(net), [each.numpy() for each in states]
    test = find_learning_rate(net, x, Y)
    assert_same(before, state(net))
    assert_same(kept, [each.numpy() for each in states])
    assert net.steps_per_execution == steps
    assert len(test.rates) > 40
    assert test.is_scheduled == (kind is scheduled)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_leaves_the_model_as_it_is(error, monkeypatch):
    net, reset, count = make(), keras.Model.reset_metrics, iter(range(1000))

    def interrupted(self):
        if next(count) == 30:
            raise error
        reset(self)

    before = state(net)
    monkeypatch.setattr(keras.Model, "reset_metrics", interrupted)
    with pytest.raises(error):
        find_learning_rate(net, X, Y)
    assert_same(before, state(net))


# --- data -----------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return X[index * 32 : index * 32 + 32], Y[index * 32 : index * 32 + 32]


def test_streams_and_structures():
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    for data in (stream, stream.repeat(), Batches()):
        assert len(find_learning_rate(make(), data).rates) > 40
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    outputs = {name: keras.layers.Dense(1, name=name)(a + b) for name in ("c", "d")}
    net = keras.Model({"a": a, "b": b}, outputs)
    net.compile("adam", {"c": "mse", "d": "mse"})
    targets = {"c": Y, "d": tf.constant(Y)}
    assert len(find_learning_rate(net, {"a": X, "b": X}, targets).rates) > 40


def test_a_dataset_gives_its_training_part():
    data = kmagic.load_data((X, Y))
    test = find_learning_rate(make(), data, steps=30, lowest=1e-4, highest=1e-2, batch_size=8)
    assert (len(test.rates), test.rates[0]) == (30, 1e-4)
    assert test.rates[-1] == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda: (make(), iter([(X, Y)])), "can be read again; got a generator"),
        (lambda: (make(), tf.data.Dataset.from_tensors((X, Y)).take(0)), "no|empty"),
        (lambda: (keras.Sequential([keras.Input((4,))]), X, Y), "is not compiled"),
        (lambda: ("net", X, Y), "expects a Keras model; got 'net'"),
        (lambda: (make(), X[:, :3], Y), "shape|columns|expects"),
        (lambda: (make(), X, Y + 7), "label|class"),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, words):
    with pytest.raises(TrainingError, match=words):
        find_learning_rate(*arguments())


def test_a_model_without_weights_is_refused():
    net = keras.Sequential([keras.layers.Dense(2)])
    net.compile("adam", "mse")
    with pytest.raises(TrainingError, match="has no weights yet"):
        find_learning_rate(net, X, Y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 19}, "steps= must be an integer of at least 20"),
        ({"steps": True}, "steps= must be an integer"),
        ({"lowest": 0}, "lowest= must be a positive number"),
        ({"highest": math.inf}, "highest= must be a positive number"),
        ({"lowest": 1, "highest": 0.1}, "lowest= must be less than highest="),
        ({"batch_size": 0}, "batch_size= must be an integer"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(TrainingError, match=words):
        find_learning_rate(make(), X, Y, **options)


# --- the suggestion -------------------------------------------------------------------------------


def curve(fastest, rises):
    rates = np.geomspace(1e-6, 10, 120)
    losses = 2 - 1.5 / (1 + (fastest / rates) ** 2) + np.maximum(rates / rises - 1, 0) ** 2
    return rates.tolist(), losses.tolist()


@pytest.mark.parametrize(("fastest", "rises"), [(1e-3, 0.1), (0.03, 1.0), (3e-5, 0.01)])
def test_the_rate_at_which_the_loss_falls_fastest(fastest, rises):
    rate, reason = suggest_rate(*curve(fastest, rises))
    assert rate == pytest.approx(fastest, rel=0.5)
    assert f"falls fastest at {rate:g}" in reason
    assert "rises at higher rates" in reason


def test_noise_does_not_move_the_rate_far():
    rates, losses = curve(1e-3, 0.3)
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 0.05, len(rates))
        rate, _ = suggest_rate(rates, (np.array(losses) + noise).tolist())
        assert 3e-4 < rate < 4e-3


def test_values_that_are_not_finite_end_the_curve():
    rates, losses = curve(1e-3, 0.1)
    ended = [*losses[:80], math.nan, *losses[81:]]
    assert suggest_rate(rates, ended)[0] == suggest_rate(rates, losses)[0]
    assert suggest_rate(rates, [math.nan] * len(rates))[0] is None


@pytest.mark.parametrize("losses", [[1.0] * 50, list(np.linspace(1, 2, 50)), [1.0] * 3])
def test_no_rate_where_the_loss_does_not_fall(losses):
    rate, reason = suggest_rate(np.geomspace(1e-4, 1, len(losses)).tolist(), losses)
    assert rate is None
    assert "falls at no rate between 0.0001 and 1" in reason


def test_smoothing_keeps_straight_lines():
    line = np.linspace(3, 1, 30)
    np.testing.assert_allclose(smooth(line.tolist()), line)


# --- what users see -------------------------------------------------------------------------------


def test_the_card_and_the_table():
    test = LearningRateTest("net", *curve(1e-3, 0.1))
    assert repr(test).startswith(f"net: learning rate {test.rate:g}. The loss falls fastest")
    markup = learning_rate_bundle(test)["text/html"]
    assert f"net.optimizer.learning_rate = {test.rate:g}" in markup
    assert "1e-6" in markup
    assert list(test.to_frame().columns) == ["rate", "loss", "smoothed"]
    none = LearningRateTest("net", np.geomspace(1e-4, 1, 50).tolist(), [1.0] * 50)
    assert "none found" in learning_rate_bundle(none)["text/html"]
    assert none.usage == ""


def test_the_magic(shell):
    shell.user_ns |= {"net": make(), "x": X, "y": Y}
    shell.run_line_magic("keras_lr", "net x y --steps 40 -b 16 -o rate")
    assert shell.user_ns["rate"].rate > 0
    assert len(shell.user_ns["rate"].rates) <= 40
    rate = shell.user_ns["rate"].rate
    shell.run_cell("net.optimizer.learning_rate = rate.rate").raise_error()
    assert float(shell.user_ns["net"].optimizer.learning_rate) == pytest.approx(rate)
