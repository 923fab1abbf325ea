"""A training that starts from trained weights says so, and ``fresh`` starts with new ones."""

import keras
import numpy as np
import pytest

import kmagic
from kmagic.support.errors import TrainingError
from kmagic.support.model_registry import is_untrained
from kmagic.training.starting_weights import take_weights

from .fitting import fit

RNG = np.random.default_rng(0)
X = RNG.random((24, 4)).astype("float32")
Y = RNG.random((24, 1)).astype("float32")
TEXT = """input 4 / normalization adapt={x}
dense 3 / batchnorm / dropout 0.5 / dense 1
compile adam(0.01) loss=mse"""


def built():
    return kmagic.build(TEXT, x=X)


def plain():
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    net.compile("adam", "mse")
    return net


def note(net, **options):
    return " ".join(message.text for message in fit(net, X, Y, **options).messages)


def same(weights, others):
    return all(map(np.array_equal, weights, others))


@pytest.mark.parametrize("make", [built, plain])
def test_trained_weights_are_reported_in_each_run(make):
    net = make()
    assert note(net, epochs=2) == ""
    assert "weights that were trained for 2 epochs." in note(net)
    net.compile("sgd", "mse")  # a new optimizer does not make the weights new
    assert "weights that were trained for 3 epochs." in note(net)
    assert "Continues from weights" not in note(net, epochs=5, resume=True)


def test_a_training_by_keras_is_noticed():
    net = plain()
    net.fit(X, Y, verbose=0)
    assert note(net) == "Continues from weights that were trained for 1 step."


def test_a_loaded_model_knows_how_long_it_was_trained(tmp_path):
    net = plain()
    fit(net, X, Y, epochs=3)
    for name in ("net.keras", "net.weights.h5"):
        kmagic.save(net, tmp_path / name)
    loaded = kmagic.load(tmp_path / "net.keras")
    assert "trained for 3 epochs." in note(loaded)
    other = plain()
    kmagic.load(tmp_path / "net.weights.h5", model=other)
    assert "trained for 3 epochs." in note(other)
    assert "with the weights that were loaded" in note(other, fresh=True, epochs=0)
    assert same(other.get_weights(), net.get_weights())


def test_restored_weights_are_not_trained_but_the_optimizer_is():
    net = plain()
    weights = net.get_weights()
    fit(net, X, Y)
    net.set_weights(weights)
    assert "state of the optimizer is from 1 step of training" in note(net)
    net.set_weights(weights)
    net.compile("adam", "mse")
    assert note(net) == ""


def test_fresh_creates_all_weights_again_except_what_was_adapted():
    net = built()
    before = {weight.path: weight.numpy() for weight in net.weights}
    fit(net, X, Y, epochs=3, reduce_lr=0)
    assert note(net, fresh=True, epochs=0) == "Started with new weights."
    after = {weight.path: weight.numpy() for weight in net.weights}
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    assert {path.split("/", 1)[-1] for path in changed if "seed" not in path} == {
        f"{layer.name}/kernel" for layer in net.layers if "dense" in layer.name
    }
    assert int(net.optimizer.iterations) == 0
    assert float(net.optimizer.learning_rate) == pytest.approx(0.01)
    assert "trained for" not in note(net)


def test_a_fold_with_fresh_is_a_new_training():
    folds, net = [], built()
    for _ in range(2):
        run = fit(net, X, Y, epochs=2, fresh=True, seed=3, shuffle=False)
        folds.append((run.history, net.get_weights(), int(net.optimizer.iterations)))
    assert folds[0][0] == folds[1][0]
    assert same(folds[0][1], folds[1][1])
    assert folds[0][2] == folds[1][2] == 2
    fit(net, X, Y, epochs=2, fresh=True, seed=4, shuffle=False)
    assert not same(net.get_weights(), folds[0][1])


def test_weights_from_elsewhere_are_not_destroyed():
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="base")
    base.set_weights([np.ones((4, 3)), np.ones(3)])
    net = kmagic.build("input 4\n{base}\ndense 1\ncompile adam loss=mse", base=base)
    before = net.get_weights()
    fit(net, X, Y)
    assert not same(net.get_weights(), before)
    assert "weights from before the first run" in note(net, fresh=True, epochs=0)
    assert same(net.get_weights(), before)


def test_fresh_without_known_weights_is_rejected():
    net = plain()
    net.fit(X, Y, verbose=0)
    before = net.get_weights()
    with pytest.raises(TrainingError, match="trained for 1 step before the first run"):
        fit(net, X, Y, fresh=True)
    assert same(net.get_weights(), before)
    net = plain()
    fit(net, X, Y)
    net.add(keras.layers.Dense(1))
    net.compile("adam", "mse")
    with pytest.raises(TrainingError, match="its layers have changed since the first run"):
        fit(net, X, Y, fresh=True)
    with pytest.raises(TrainingError, match="contradict"):
        fit(net, X, Y, fresh=True, resume=True)


def test_fresh_resets_states_of_recurrent_layers_and_optimizers():
    net = kmagic.build("input 3x4 batch_size=8 / lstm 3 stateful / dense 1")
    net.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adagrad()), "mse")
    x = RNG.random((24, 3, 4)).astype("float32")
    fit(net, x, Y, batch_size=8)
    first = {variable.path: variable.numpy() for variable in net.optimizer.variables}
    fit(net, x, Y, batch_size=8, fresh=True, epochs=0)
    assert all(not np.any(state) for state in net.layers[0].states)
    accumulators = [v for v in net.optimizer.variables if "accumulator" in v.path]
    assert accumulators
    assert all(np.allclose(variable, 0.1) for variable in accumulators)
    assert not all(np.allclose(first[variable.path], 0.1) for variable in accumulators)


class Lazy(keras.Model):
    """Creates its weights in its first run, except those of layers that it gets."""

    def __init__(self, *layers, has_own=False):
        super().__init__(name="lazy")
        self.parts = [*layers, keras.layers.Dropout(0.1), keras.layers.Dense(1)]
        self.has_own = has_own

    def build(self, shape):
        if self.has_own:
            self.own = self.add_weight(shape=shape[-1:], name="own")

    def call(self, x, training=False):
        x = x * self.own if self.has_own else x
        for part in self.parts:
            x = part(x, training=training) if isinstance(part, keras.layers.Dropout) else part(x)
        return x


@pytest.mark.parametrize("case", ["own layers", "own weight", "layers from elsewhere"])
def test_fresh_of_a_model_that_its_first_run_builds(case):
    base = keras.layers.Dense(3)
    base.build((None, 4))
    layers = [base] if case == "layers from elsewhere" else []
    net = Lazy(*layers, has_own=case == "own weight")
    net.compile("sgd", "mse")
    fit(net, X, Y)
    before = net.get_weights()
    if case == "own layers":
        assert note(net, fresh=True, epochs=0) == "Started with new weights."
        assert not same(net.get_weights(), before)
        return
    cause = "own belongs to no layer" if case == "own weight" else "only some of its weights"
    with pytest.raises(TrainingError, match=cause):
        fit(net, X, Y, fresh=True)
    assert same(net.get_weights(), before)


# --- the weights of another model -----------------------------------------------------------------

TRANSFER = "input 4\nb = {base}\nbn / dense 1\nfreeze b\n"


@pytest.fixture
def base():
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(3)])
    net.set_weights([RNG.random(weight.shape) for weight in net.get_weights()])
    return net


def test_a_new_text_with_the_weights_of_a_trained_model_continues_it(base):
    first = kmagic.build(f"{TRANSFER}compile adam loss=mse", base=base)
    fit(first, X, Y, epochs=3)
    weights = first.get_weights()
    second = kmagic.build(f"{TRANSFER}unfreeze b 1\ncompile sgd loss=mse", base=base)
    assert not same(second.get_weights(), weights)
    message = take_weights(second, first, "first")
    assert message == "Starts with the weights of first, trained for 3 epochs."
    assert same(second.get_weights(), weights)
    np.testing.assert_array_equal(second.predict(X, verbose=0), first.predict(X, verbose=0))
    assert note(second) == "Continues from weights that were trained for 3 epochs."
    assert "for 4 epochs. With fresh, training starts with the weights from before" in note(second)
    after = second.get_weights()
    assert same(after[:2], weights[:2])  # still frozen
    assert not np.array_equal(after[2], weights[2])  # the kernel of the last layer of the base
    assert "from before the first run" in note(second, fresh=True, epochs=0)
    assert same(second.get_weights(), weights)


def test_the_weights_of_an_untrained_model_are_still_untrained(base):
    first, second = (kmagic.build("input 4 / dense 3 / dense 1") for _ in range(2))
    assert take_weights(second, first, "a").endswith("of a, which is untrained.")
    assert same(first.get_weights(), second.get_weights())
    assert is_untrained(second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input 4 / dense 3 / dense 2", "kernel (3x2) where old has"),
        ("input 4 / dense 3", "no weight where old has"),
        ("input 4 / dense 3 / dense 1 / dense 1", "kernel (1x1) where old has no weight"),
        ("input 4 / dense 3 / bn !center", "gamma (3) where old has"),
        ("input 4 / dense 3 !use_bias / dense 1", "kernel (3x1) where old has"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(text, message):
    old, new = kmagic.build("input 4 / dense 3 / dense 1"), kmagic.build(text)
    before = new.get_weights()
    with pytest.raises(TrainingError) as error:
        take_weights(new, old, "old")
    assert message in str(error.value)
    assert same(new.get_weights(), before)


def test_a_model_without_weights_is_refused():
    lazy = keras.Sequential([keras.layers.Dense(1)], name="lazy")
    for pair in ((lazy, plain()), (plain(), lazy)):
        with pytest.raises(TrainingError, match="lazy has no weights yet"):
            take_weights(*pair, "lazy")
