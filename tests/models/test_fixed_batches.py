"""A stateful model takes full batches only; any other takes any number of samples."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic.support.errors import EvaluationError, KmagicError, TrainingError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 5, 3)).astype("float32")
Y = (X.mean(axis=(1, 2)) > 0).astype(int)
QUIET = {"displays": [], "epochs": 1}


def compiled(text: str):
    model = kmagic.build(text)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def stateful():
    return compiled("input 5x3 batch_size=8 / lstm 4 stateful / dense 2 softmax")


CALLS = {
    "predict": lambda m, n: kmagic.predict(m, X[:n]),
    "evaluate": lambda m, n: kmagic.evaluate(m, X[:n], Y[:n]),
    "confusion": lambda m, n: kmagic.confusion_of(m, X[:n], Y[:n]),
    "fit": lambda m, n: kmagic.fit(m, X[:n], Y[:n], **QUIET),
    "validation": lambda m, n: kmagic.fit(
        m, X[:16], Y[:16], validation_data=(X[:n], Y[:n]), watch="confusion", **QUIET
    ),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_a_stateful_model_takes_full_batches_only(stateful, call):
    with pytest.raises(KmagicError, match=r"fixed batch size 8; got 20 samples") as caught:
        CALLS[call](stateful, 20)
    assert "[:16]" in caught.value.remedy, "and this works:"
    CALLS[call](stateful, 16)
    with pytest.raises(KmagicError, match=r"a multiple of 8 samples"):
        CALLS[call](stateful, 5)


def test_another_batch_size_and_a_split_into_other_sizes(stateful):
    with pytest.raises(TrainingError, match=r"got batches of 4.\n\nUse batch_size=8"):
        kmagic.fit(stateful, X[:16], Y[:16], batch_size=4, **QUIET)
    with pytest.raises(EvaluationError, match=r"got batches of 4.\n\nUse batch_size=8"):
        kmagic.predict(stateful, X[:16], batch_size=4)
    with pytest.raises(TrainingError, match=r"a part of validation_split=0\.25"):
        kmagic.fit(stateful, X[:16], Y[:16], validation_split=0.25, **QUIET)
    run = kmagic.fit(stateful, X[:16], Y[:16], validation_split=0.5, **QUIET)
    assert run.batch_size == 8
    assert len(run.history["val_loss"]) == 1


def test_batches_of_a_stream_must_be_full(stateful):
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    for call in (kmagic.predict, kmagic.confusion_of):
        with pytest.raises(EvaluationError, match=r"batch\(8, drop_remainder=True\)"):
            call(stateful, stream)
    full = stream.unbatch().batch(8, drop_remainder=True)
    assert kmagic.predict(stateful, full).shape == (16, 2)
    assert kmagic.confusion_of(stateful, full).samples == 16


def test_the_states_of_a_stateful_model_are_those_of_keras(stateful):
    stateful.layers[0].reset_states()
    expected = stateful.predict(X[:16], batch_size=8, verbose=0)
    stateful.layers[0].reset_states()
    np.testing.assert_allclose(kmagic.predict(stateful, X[:16]), expected, rtol=1e-5)


@pytest.mark.parametrize("call", list(CALLS))
@pytest.mark.parametrize("layers", ["lstm 4", "flatten / batchnorm"])
def test_without_states_any_number_of_samples_fits(call, layers):
    model = compiled(f"input 5x3 batch_size=8 / {layers} / dense 2 softmax")
    for samples in (3, 20):
        CALLS[call](model, samples)
    expected = model.predict(X, batch_size=5, verbose=0)
    np.testing.assert_allclose(kmagic.predict(model, X), expected, rtol=1e-4)
    evaluated = kmagic.evaluate(model, X, Y)["accuracy"]
    assert evaluated == pytest.approx((expected.argmax(axis=1) == Y).mean())


def test_a_shape_that_contains_the_batch_size_is_padded():
    import keras

    inputs = keras.Input((4,), batch_size=8)
    outputs = keras.layers.Lambda(lambda x: tf.reshape(tf.reshape(x, (8, 2, 2)), (8, 4)) * 2)
    model = keras.Model(inputs, outputs(inputs))
    x = np.arange(44.0).reshape(11, 4)
    np.testing.assert_array_equal(kmagic.predict(model, x), 2 * x)
