from __future__ import annotations

import gc

import numpy as np
import pytest

from kmagic.evaluation.prediction.batch_prediction import PredictionCache
from kmagic.support.errors import EvaluationError


class Sums:
    """A model without Keras: answers with the sums of the rows, times its one weight."""

    input_shape = (None, 3)

    def __init__(self):
        self.weights = [np.array([1.0])]
        self.asked = 0
        self.fails_after = None

    def predict_on_batch(self, x):
        if self.fails_after is not None and self.asked >= self.fails_after:
            raise KeyboardInterrupt
        self.asked += len(x)
        return x.sum(axis=1, keepdims=True) * self.weights[0]


X = np.arange(30.0).reshape(10, 3)


def test_the_same_samples_are_predicted_once():
    model, kept = Sums(), PredictionCache()
    first = kept.predict(model, X)
    assert kept.predict(model, X.copy()) is first
    assert kept.predict(model, X.tolist()) is first
    assert model.asked == 10
    np.testing.assert_array_equal(first[:, 0], X.sum(axis=1))


def test_a_change_of_weights_or_samples_is_noticed():
    model, kept, x = Sums(), PredictionCache(), X.copy()
    kept.predict(model, x)
    model.weights[0] *= 2  # in place, as training does
    np.testing.assert_array_equal(kept.predict(model, x)[:, 0], 2 * X.sum(axis=1))
    x[3, 1] += 1  # in place too
    assert kept.predict(model, x)[3, 0] == 2 * (X[3].sum() + 1)
    assert model.asked == 30
    kept.predict(model, x.astype("float32"))
    assert model.asked == 40


def test_keras_weights_are_noticed_too():
    import keras

    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    kept = PredictionCache()
    before = kept.predict(net, X.astype("float32"))
    assert kept.predict(net, X.astype("float32")) is before
    net.layers[0].kernel.assign(2 * net.layers[0].kernel)
    np.testing.assert_allclose(kept.predict(net, X.astype("float32")), 2 * before, rtol=1e-5)


def test_cached_predictions_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        PredictionCache().predict(Sums(), X)[0] = 7


def test_an_interrupted_call_is_continued():
    model, kept = Sums(), PredictionCache()
    model.fails_after = 6
    with pytest.raises(KeyboardInterrupt):
        kept.predict(model, X, batch_size=2)
    assert model.asked == 6
    model.fails_after = None
    np.testing.assert_array_equal(kept.predict(model, X, batch_size=2)[:, 0], X.sum(axis=1))
    assert model.asked == 10
    kept.predict(model, X)
    assert model.asked == 10


def test_only_the_last_predictions_are_cached():
    model, kept = Sums(), PredictionCache(max_entries=2)
    for start in (0, 1, 2, 0):
        kept.predict(model, X[start : start + 5])
    assert model.asked == 20
    kept.predict(model, X[2:7])
    assert model.asked == 20
    small = PredictionCache(max_bytes=100)
    small.predict(model, X)
    small.predict(model, X[:9])
    assert len(small._entries) == 1


def test_a_model_is_not_kept_alive():
    kept = PredictionCache()
    kept.predict(Sums(), X)
    gc.collect()
    kept.predict(Sums(), X)
    assert len(kept._entries) == 1


def test_several_inputs_and_strings_are_cached():
    class Both:
        inputs = (1, 2)
        asked = 0

        def predict_on_batch(self, x):
            self.asked += 1
            return np.zeros((len(next(iter(x.values()))), 1))

    model, kept = Both(), PredictionCache()
    kept.predict(model, {"a": X, "b": np.array(["x"] * 10)})
    kept.predict(model, {"a": X, "b": np.array(["x"] * 10)})
    assert model.asked == 1
    kept.predict(model, {"a": X, "c": np.array(["x"] * 10)})
    kept.predict(model, {"a": X, "c": np.array(["y"] * 10)})
    assert model.asked == 3


def test_a_large_file_is_hashed_in_chunks(monkeypatch, tmp_path):
    monkeypatch.setattr("kmagic.evaluation.prediction.batch_prediction.HASH_CHUNK_BYTES", 50)
    file = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="float64", shape=(10, 3))
    file[:] = X
    model, kept = Sums(), PredictionCache()
    kept.predict(model, file)
    file[9, 2] = 0
    assert kept.predict(model, file)[9, 0] == X[9, :2].sum()


def test_a_model_may_reuse_the_array_that_it_returns():
    class Reusing:
        def __init__(self):
            self.output = np.zeros((2, 1))

        def predict_on_batch(self, x):
            self.output[: len(x)] = 2 * x
            return self.output[: len(x)]

    x = np.arange(5.0)[:, None]
    model, cache = Reusing(), PredictionCache()
    np.testing.assert_array_equal(cache.predict(model, x, batch_size=2), 2 * x)
    assert model.output.flags.writeable


@pytest.mark.parametrize("shape", [(1, 1), (8, 1), ()])
def test_a_model_must_return_one_row_per_sample(shape):
    class Other:
        def predict_on_batch(self, _x):
            return np.zeros(shape)

    with pytest.raises(EvaluationError, match="one row for each of 4 samples"):
        PredictionCache().predict(Other(), np.ones((4, 1)))
