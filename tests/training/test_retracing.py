"""A last axis of one value may be there or not, also by turns."""

import keras
import numpy as np
import pytest

import kmagic
from kmagic.support.errors import EvaluationError, TrainingError
from kmagic.training.retracing import with_axes_of
from kmagic.training.validation.data_checks import review_data

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 8, 8, 1), "float32"), RNG.integers(0, 3, 40)
FLAT = X[..., 0]
BODY = "conv2d 2 3x3 relu\nflatten\ndense 3 softmax\n"
COMPILE = "compile adam loss=sparse_categorical_crossentropy metrics=accuracy"


@pytest.fixture
def net():
    return kmagic.build("model net\ninput 8x8x1\n" + BODY + COMPILE)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("first", "then"), [(X, FLAT), (FLAT, X), (X, FLAT.tolist())])
def test_a_fit_accepts_data_with_and_without_the_channel_axis(net, first, then, plain):
    assert kmagic.fit(net, first, Y, displays=[], plain=plain).status == "done"
    assert kmagic.fit(net, then, Y, displays=[], plain=plain).status == "done"
    held = kmagic.fit(net, X, Y, validation_data=(FLAT, Y), displays=[], plain=plain)
    assert held.status == "done"
    assert net.evaluate(X, Y, verbose=0)  # the function is still traced for one shape


def test_the_channel_axis_does_not_change_the_training(net):
    before = net.get_weights()
    one = kmagic.fit(net, X, Y, displays=[], shuffle=False)
    net.set_weights(before)
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    other = kmagic.fit(net, FLAT, Y, displays=[], shuffle=False)
    assert one.history == other.history


def test_an_evaluation_accepts_data_without_the_channel_axis(net):
    asked = [kmagic.evaluate(net, x, Y) for x in (X, FLAT, X, FLAT)]
    assert all(each == asked[0] for each in asked)


def test_a_single_image_without_its_channel_is_one_sample(net):
    (alone,) = kmagic.predict(net, FLAT[0]).tolist()
    assert alone == kmagic.predict(net, X[:1]).tolist()[0]


def streams():
    import tensorflow as tf

    return [tf.data.Dataset.from_tensor_slices((x, Y)).batch(20) for x in (X, FLAT)]


def test_streams_may_alternate_too(net):
    for stream in (*streams(), *streams()):
        assert kmagic.fit(net, stream, validation_data=stream, displays=[]).status == "done"
        assert kmagic.evaluate(net, stream)


def test_targets_may_be_a_column_or_not(net):
    import pandas as pd

    for y in (Y, pd.Series(Y), Y[:, None], Y):
        for how in ({"validation_split": 0.25}, {"validation_data": (X, y)}):
            assert kmagic.fit(net, X, y, displays=[], **how).status == "done"
        assert kmagic.evaluate(net, X, y)


def test_a_function_traced_by_keras_fails_only_once(net):
    with_channel, without = streams()
    net.fit(with_channel, verbose=0, shuffle=False)
    with pytest.raises(TrainingError, match="different number of axes than before") as caught:
        kmagic.fit(net, without, displays=[], plain=True)
    assert caught.value.remedy.startswith("Run it again")
    assert kmagic.fit(net, without, displays=[], plain=True).status == "done"
    assert kmagic.fit(net, with_channel, displays=[]).status == "done"


def test_a_layer_that_loses_the_shape_is_not_blamed_on_earlier_data():
    import keras
    import tensorflow as tf

    class Loses(keras.layers.Layer):
        def call(self, x):
            return tf.py_function(lambda values: values, [x], tf.float32)

        def compute_output_shape(self, input_shape):
            return input_shape

    layers = [keras.Input((4,)), Loses(), keras.layers.Reshape((4,)), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    for _ in range(2):
        with pytest.raises(TrainingError, match="shape with unknown rank") as caught:
            kmagic.fit(model, np.zeros((8, 4)), np.zeros(8), displays=[])
        assert "than before" not in str(caught.value)


def test_a_rank_error_in_an_evaluation_has_a_remedy(net, monkeypatch):
    def breaks(*_, **__):
        raise ValueError("Cannot take the length of shape with unknown rank.")

    with monkeypatch.context() as patch:
        patch.setattr(net, "evaluate", breaks)
        with pytest.raises(EvaluationError, match="different number of axes than before") as caught:
            kmagic.evaluate(net, X, Y)
    assert caught.value.remedy.startswith("Run it again")
    assert kmagic.evaluate(net, X, Y)


def test_several_inputs_get_their_axes_by_name_or_by_order():
    from keras import Input, Model, layers

    a, b = Input((8, 8, 1), name="a"), Input((4,), name="b")
    model = Model({"a": a, "b": b}, layers.concatenate([layers.Flatten()(a), b]))
    found = with_axes_of(model, {"b": np.ones((5, 4, 1)), "a": FLAT[:5], "odd": FLAT})
    assert {key: each.shape for key, each in found.items()} == {
        "b": (5, 4),
        "a": (5, 8, 8, 1),
        "odd": (40, 8, 8),
    }
    taken = with_axes_of(Model([a, b], model.output), [FLAT[:5], np.ones((5, 4))])
    assert [each.shape for each in taken] == [(5, 8, 8, 1), (5, 4)]


@pytest.mark.parametrize(
    ("body", "x", "message", "remedy"),
    [
        (
            BODY,
            FLAT,
            "first layer, conv2d, expects samples of 3 axes, but x has shape 8 x 8",
            "input 8x8x1",
        ),
        (
            BODY,
            X.reshape(40, 64),
            "conv2d, expects samples of 3 axes, but x has shape 64",
            "64x1x1",
        ),
        (
            "lstm 4\ndense 3 softmax\n",
            X.reshape(40, 64),
            "lstm, expects samples of 2 axes",
            "x[..., None]",
        ),
    ],
)
def test_a_model_without_an_input_names_the_rank_of_its_first_layer(body, x, message, remedy):
    model = kmagic.build("model net\n" + body + COMPILE)
    with pytest.raises(TrainingError) as caught:
        kmagic.fit(model, x, Y, displays=[])
    assert message in caught.value.message
    assert remedy in caught.value.remedy
    assert not model.built
    assert review_data(kmagic.build("model net\n" + BODY + COMPILE), X, Y).messages == []


def test_functions_are_not_traced_again_without_validation_or_weights():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((32, 4), "float32"), np.ones(32, "float32")
    kmagic.fit(model, x, y, validation_split=0.25, displays=[])
    made = model.train_function, model.test_function
    for how in ({}, {"sample_weight": np.ones(32)}, {"validation_split": 0.5}):
        kmagic.fit(model, x, y, **how, displays=[])
        assert (model.train_function, model.test_function) == made, how
