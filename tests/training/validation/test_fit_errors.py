"""What errors of Keras and TensorFlow are said to mean."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic.support.errors import TrainingError
from kmagic.training.validation.fit_errors import explain_error

SHAPES = "Check the shapes of x and y"


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        (
            "Received a label value of 9 which is outside the valid range of [0, 3).  Label values",
            "a label is 9, but the last layer has 3 units, for labels 0 to 2.",
            "Write 10 units, or number the labels from 0 to 2.",
        ),
        (
            "Received a label value of -1 which is outside the valid range of [0, 3).",
            "a label is -1",
            "Number the labels from 0 to 2.",
        ),
        (
            "indices[0,3] = 100 is not in [0, 100)\n\t [[{{node net/embedding_1/GatherV2}}]]",
            "the index 100, but layer embedding_1 accepts indices from 0 to 99",
            "Write `embedding 101`",
        ),
        (
            "EarlyStopping callback received monitor=f1, but Keras isn't able to automatically",
            "EarlyStopping does not know whether 'f1' should be high or low",
            "Pass mode='max' or mode='min'",
        ),
        ("tuple arity mismatch; expected: 2, got: 3; tuple: (1, 2)", "differ in form", "(x, y)"),
        ("Incompatible shapes: [10,3] vs. [10,4]", "Incompatible shapes", SHAPES),
        ("Cannot take the length of shape with unknown rank.", "different number of axes", "again"),
        ("The innermost part may not be ragged.", "ragged", "to_tensor()"),
        ("Optimizer cannot find its learning rate.", "Optimizer cannot", ""),
    ],
)
def test_the_cause_is_named_and_shapes_only_if_they_are_it(text, reason, remedy):
    explanation = explain_error(ValueError(text))
    assert reason in explanation.reason
    assert remedy in explanation.remedy
    assert (SHAPES in explanation.remedy) == (remedy == SHAPES)


def test_a_label_that_only_a_late_batch_has():
    net = kmagic.build("input 4\ndense 3 softmax\ncompile sgd loss=sparse_categorical_crossentropy")
    y = np.zeros(64, "int64")
    y[-1] = 9
    data = tf.data.Dataset.from_tensor_slices((np.zeros((64, 4)), y)).batch(4)
    with pytest.raises(TrainingError, match="a label is 9, but the last layer has 3 units"):
        kmagic.fit(net, data, displays=[])


def test_what_is_not_about_the_data_does_not_blame_it():
    net = kmagic.build("input 4\ndense 1\ncompile sgd loss=mse")

    def width(_, predicted):
        return keras.ops.mean(predicted)

    net.compile("sgd", "mse", metrics=[width])
    stop = keras.callbacks.EarlyStopping("width")
    with pytest.raises(TrainingError) as caught:
        kmagic.fit(net, np.zeros((8, 4)), np.zeros(8), callbacks=[stop], displays=[])
    assert caught.value.message.startswith(f"The training of {net.name} failed: EarlyStopping")


def test_data_that_cannot_be_read_is_named():
    net = kmagic.build("input 4\ndense 1\ncompile sgd loss=mse")
    files = tf.data.Dataset.from_tensor_slices(["/none.png"] * 4)
    data = files.map(lambda path: (tf.io.read_file(path), 0)).batch(2)
    with pytest.raises(TrainingError, match=r"could not be read: /none.png; No such file or direc"):
        kmagic.fit(net, data, displays=[])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_partial_batch_of_a_stateful_model_is_named():
    net = keras.Sequential(
        [keras.Input(batch_shape=(4, 2, 1)), keras.layers.SimpleRNN(1, stateful=True)]
    )
    net.compile("sgd", "mse")
    stream = tf.data.Dataset.from_tensor_slices((np.zeros((6, 2, 1)), np.zeros((6, 1))))
    reason = "has the fixed batch size 4, and a batch has 2 samples"
    with pytest.raises(TrainingError, match=reason) as refused:
        kmagic.fit(net, stream.batch(4), displays=[])
    assert "unbatch().batch(4, drop_remainder=True)" in str(refused.value)
    full = stream.batch(4).unbatch().batch(4, drop_remainder=True)
    assert kmagic.fit(net, full, displays=[], epochs=1).status == "done"
