from __future__ import annotations

import numpy as np
import pytest

import kmagic
from kmagic.evaluation.prediction.batch_prediction import predict_in_batches
from kmagic.support.errors import EvaluationError

X = np.arange(30.0).reshape(10, 3)


def test_batches_of_a_file_are_read_one_at_a_time(tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="float64", shape=(10, 3))
    file[:] = X

    class Sums:
        def predict_on_batch(self, x):
            assert len(x) <= 4
            return x.sum(axis=1, keepdims=True)

    np.testing.assert_array_equal(predict_in_batches(Sums(), file, batch_size=4)[:, 0], X.sum(1))


def test_a_model_may_reuse_the_array_that_it_returns():
    class Reusing:
        def __init__(self):
            self.output = np.zeros((2, 1))

        def predict_on_batch(self, x):
            self.output[: len(x)] = 2 * x
            return self.output[: len(x)]

    x = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(predict_in_batches(Reusing(), x, batch_size=2), 2 * x)


@pytest.mark.parametrize("shape", [(1, 1), (8, 1), ()])
def test_a_model_must_return_one_row_per_sample(shape):
    class Other:
        def predict_on_batch(self, _x):
            return np.zeros(shape)

    with pytest.raises(EvaluationError, match="one row for each of 4 samples"):
        predict_in_batches(Other(), np.ones((4, 1)))


# --- each call computes ---------------------------------------------------------------------------


@pytest.fixture(params=[kmagic.predict, predict_in_batches])
def predict(request):
    return request.param


def test_a_stateful_model_continues_from_its_state(predict):
    text = "input 5x3 batch_size=4 / lstm 8 stateful / dense 2 softmax"
    model, x = kmagic.build(text), np.random.default_rng(1).normal(size=(4, 5, 3))
    first, second = predict(model, x), predict(model, x)
    assert not np.allclose(first, second)
    model.layers[0].reset_states()
    np.testing.assert_allclose(predict(model, x), first, rtol=1e-5)
    np.testing.assert_allclose(predict(model, x), second, rtol=1e-5)


def test_random_layers_are_random_in_each_call(predict):
    import keras

    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(1)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)

    model = keras.Sequential([keras.Input((3,)), Noise()])
    assert not np.array_equal(predict(model, X), predict(model, X))


def test_state_outside_of_the_weights_counts(predict):
    class Counter:
        calls = 0

        def predict_on_batch(self, x):
            self.calls += 1
            return np.full((len(x), 1), self.calls)

    model = Counter()
    assert predict(model, X)[0, 0] != predict(model, X)[0, 0]


def test_weights_and_samples_changed_in_place_count(predict):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    x = X.copy()
    before = np.array(predict(model, x))
    model.layers[0].kernel.assign(2 * model.layers[0].kernel)
    np.testing.assert_allclose(predict(model, x), 2 * before, rtol=1e-5)
    x *= 2
    np.testing.assert_allclose(predict(model, x), 4 * before, rtol=1e-5)


def test_the_predictions_belong_to_the_caller(predict):
    class Doubles:
        def predict_on_batch(self, x):
            return 2 * x

    predict(Doubles(), X)[0] = 7
    np.testing.assert_array_equal(predict(Doubles(), X), 2 * X)


def test_every_input_of_a_model_with_a_fixed_batch_size_is_padded():
    import keras

    a, b = keras.Input((3,), batch_size=4, name="a"), keras.Input((2,), batch_size=4, name="b")
    both = keras.layers.Concatenate()([a, b])
    same = keras.layers.Lambda(lambda x: keras.ops.reshape(x, (4, 5)), output_shape=(5,))(both)
    model = keras.Model([a, b], same)
    x = [np.arange(30.0).reshape(10, 3), np.arange(20.0).reshape(10, 2)]
    expected = np.concatenate(x, axis=1)
    np.testing.assert_allclose(predict_in_batches(model, x), expected)
    np.testing.assert_allclose(predict_in_batches(model, {"a": x[0], "b": x[1]}), expected)
