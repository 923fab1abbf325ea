"""What comes out of a training is what ``model.fit`` makes of it, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kmagic.support.errors import TrainingError

from .fitting import fit

ROWS, WIDTH, CLASSES = 90, 6, 3
BATCH = 16  # five whole ones and a short one
layers = keras.layers


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def classes(kinds: int = CLASSES, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(7).integers(0, kinds, rows)


def stack(*inner: Any, shape: tuple[int | None, ...] = (WIDTH,), **how: Any) -> keras.Model:
    made = keras.Sequential([keras.Input(shape, **how), *inner])
    made.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[keras.metrics.SparseCategoricalCrossentropy(name="weighted")],
    )
    return made


def dense() -> keras.Model:
    return stack(layers.Dense(8, activation="relu"), layers.Dense(CLASSES, activation="softmax"))


def noisy() -> keras.Model:
    return stack(
        layers.GaussianNoise(0.1),
        layers.Dense(16),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(CLASSES, activation="softmax"),
    )


def cnn() -> keras.Model:
    return stack(
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(CLASSES, activation="softmax"),
        shape=(8, 8, 1),
    )


def lstm() -> keras.Model:
    return stack(
        layers.Embedding(20, 8),
        layers.LSTM(8, dropout=0.2),
        layers.Dense(CLASSES, activation="softmax"),
        shape=(None,),
        dtype="int32",
    )


def texts() -> keras.Model:
    words = layers.TextVectorization(vocabulary=list("abcdefg"), output_sequence_length=4)
    return stack(
        words,
        layers.Embedding(9, 4),
        layers.GlobalAveragePooling1D(),
        layers.Dense(CLASSES, activation="softmax"),
        shape=(1,),
        dtype="string",
    )


def regression() -> keras.Model:
    # The rate falls with each batch, a callback's falls with each epoch.
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
    made = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    made.compile(keras.optimizers.SGD(rate, momentum=0.9, clipnorm=1.0), "mse", metrics=["mae"])
    return made


def unbuilt() -> keras.Model:
    made = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.Adam(0.01, use_ema=True), loss, metrics=["accuracy"])
    return made


def branched() -> keras.Model:
    left, right = keras.Input((WIDTH,), name="left"), keras.Input((4,), name="right")
    both = layers.Concatenate()([layers.Dense(4)(left), right])
    outputs = {
        "kind": layers.Dense(CLASSES, activation="softmax", name="kind")(both),
        "size": layers.Dense(1, name="size")(both),
    }
    made = keras.Model({"left": left, "right": right}, outputs)
    made.compile(
        "rmsprop",
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.2},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return made


def listed() -> keras.Model:
    ends = [keras.Input((WIDTH,)), keras.Input((4,))]
    both = layers.Concatenate()(ends)
    made = keras.Model(ends, [layers.Dense(1, name="a")(both), layers.Dense(2, name="b")(both)])
    made.compile("sgd", ["mse", "mae"])
    return made


def autoencoder() -> keras.Model:
    class Penalty(layers.Layer):  # type: ignore[misc] # Keras ships no types
        def call(self, x: Any) -> Any:
            self.add_loss(keras.ops.mean(keras.ops.square(x)))
            return x

    made = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(3), Penalty()])
    made.compile("adam")
    return made


PLAIN_DATA = {"x": numbers(ROWS, WIDTH), "y": classes()}
BRANCHED_DATA = {
    "x": {"left": numbers(ROWS, WIDTH), "right": numbers(ROWS, 4)},
    "y": {"kind": classes(), "size": numbers(ROWS)},
}
FRAME = pd.DataFrame(numbers(ROWS, WIDTH).astype("float64"), columns=list("abcdef"))
FRAME["f"] = np.arange(ROWS) % 7
WORDS = np.array(list("abcdefgh"))[classes(8, ROWS * 3)].reshape(ROWS, 3)
TEXTS = np.array([" ".join(row) for row in WORDS], dtype=object)
HALF = np.linspace(0, 2, ROWS)
PAIR = (numbers(ROWS, WIDTH)[:37], classes()[:37])

CASES: dict[str, tuple[Callable[[], keras.Model], dict[str, Any]]] = {
    "dense": (dense, PLAIN_DATA),
    "whole batches only": (dense, {**PLAIN_DATA, "batch_size": 15}),
    "one batch": (dense, {**PLAIN_DATA, "batch_size": 500}),
    "one row a batch": (dense, {**PLAIN_DATA, "batch_size": 1, "epochs": 1}),
    "the default batch": (dense, {**PLAIN_DATA, "batch_size": None}),
    "noise, dropout, batch norm": (noisy, {**PLAIN_DATA, "validation_split": 0.2}),
    "cnn": (cnn, {"x": numbers(ROWS, 8, 8, 1), "y": classes(), "validation_split": 0.3}),
    "lstm": (lstm, {"x": classes(20, ROWS * 5).reshape(ROWS, 5), "y": classes()}),
    "texts": (texts, {"x": TEXTS, "y": classes(), "validation_split": 0.2}),
    "texts, validation pair": (
        texts,
        {"x": TEXTS, "y": classes(), "validation_data": (TEXTS[:9], classes()[:9])},
    ),
    "regression": (regression, {"x": numbers(ROWS, WIDTH), "y": numbers(ROWS)}),
    "64-bit floats": (regression, {"x": numbers(ROWS, WIDTH).astype("float64"), "y": HALF}),
    "bytes": (regression, {"x": np.arange(ROWS * 6, dtype="uint8").reshape(ROWS, 6), "y": HALF}),
    "pandas": (regression, {"x": FRAME, "y": FRAME["a"], "validation_split": 0.25}),
    "tensors": (regression, {"x": tf.constant(numbers(ROWS, WIDTH)), "y": tf.constant(HALF)}),
    "unbuilt, averaged weights": (unbuilt, {**PLAIN_DATA, "validation_split": 0.2}),
    "class weights": (dense, {**PLAIN_DATA, "class_weight": {0: 0.2, 2: 3.0}}),
    "class weights, split": (
        dense,
        {**PLAIN_DATA, "class_weight": {0: 0.2, 2: 3.0}, "validation_split": 0.4},
    ),
    "sample weights, split": (
        dense,
        {**PLAIN_DATA, "sample_weight": HALF, "validation_split": 0.4},
    ),
    "validation pair": (dense, {**PLAIN_DATA, "validation_data": PAIR}),
    "validation list, own batch": (
        dense,
        {**PLAIN_DATA, "validation_data": list(PAIR), "validation_batch_size": 10},
    ),
    "validation triple": (dense, {**PLAIN_DATA, "validation_data": (*PAIR, HALF[:37])}),
    "longer validation": (
        dense,
        {"x": PAIR[0], "y": PAIR[1], "validation_data": (numbers(ROWS, WIDTH), classes())},
    ),
    "validation dataset": (
        dense,
        {**PLAIN_DATA, "validation_data": tf.data.Dataset.from_tensor_slices(PAIR).batch(8)},
    ),
    "validated now and then": (
        dense,
        {**PLAIN_DATA, "validation_split": 0.2, "validation_freq": 2},
    ),
    "later epochs": (dense, {**PLAIN_DATA, "initial_epoch": 1}),
    "dicts": (branched, {**BRANCHED_DATA, "validation_split": 0.2}),
    "dicts, weights": (
        branched,
        {**BRANCHED_DATA, "sample_weight": {"kind": HALF, "size": HALF[::-1]}},
    ),
    "one weight for all outputs": (listed, {
        "x": [numbers(ROWS, WIDTH), numbers(ROWS, 4)],
        "y": [numbers(ROWS, 1), numbers(ROWS, 2)],
        "sample_weight": HALF,
    }),
    "tuples": (listed, {
        "x": (numbers(ROWS, WIDTH), numbers(ROWS, 4)),
        "y": (numbers(ROWS, 1), numbers(ROWS, 2)),
        "validation_split": 0.1,
    }),
    "no targets": (autoencoder, {"x": numbers(ROWS, WIDTH), "validation_split": 0.2}),
}  # fmt: skip


def trained(make: Callable[[], keras.Model], train: Callable[..., Any]) -> tuple[Any, keras.Model]:
    keras.utils.set_random_seed(3)
    model = make()
    return train(model), model


@pytest.mark.parametrize(("make", "how"), CASES.values(), ids=list(CASES))
def test_bit_by_bit(make: Callable[[], keras.Model], how: dict[str, Any]) -> None:
    how = {"epochs": 3, "batch_size": BATCH, "shuffle": False} | how
    expected, theirs = trained(make, lambda model: model.fit(verbose=0, **how).history)
    run, ours = trained(make, lambda model: fit(model, **how))
    assert run.pipeline == "fast"
    assert run.history == expected
    assert ours.history.history == expected
    assert len(ours.variables) == len(theirs.variables)
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy(), mine.path)
    state = zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True)
    for mine, other in state:
        np.testing.assert_array_equal(mine.numpy(), other.numpy(), mine.path)


@pytest.mark.parametrize("plain", [False, True])
def test_a_metric_with_a_value_per_class_is_recorded_as_its_mean(plain: bool) -> None:
    def make() -> keras.Model:
        keras.utils.set_random_seed(1)
        net = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(CLASSES, "softmax")])
        net.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
        return net

    x, y = numbers(ROWS, WIDTH), np.eye(CLASSES, dtype="float32")[classes()]
    how: Any = {"epochs": 2, "batch_size": BATCH, "validation_split": 0.2, "shuffle": False}
    expected = make().fit(x, y, verbose=0, **how).history
    history = fit(make(), x, y, plain=plain, **how).history
    for name in ("f1_score", "val_f1_score"):
        assert history[name] == [float(np.mean(value)) for value in expected[name]]


@pytest.mark.parametrize("plain", [False, True])
def test_only_numbers_in_logs_are_recorded(plain: bool) -> None:
    extra = {"f1": np.float32(0.5), "rows": [1, 2], "t": tf.constant(2.0), "note": "x", "no": None}
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: logs.update(extra))
    how: Any = {"callbacks": [callback], "plain": plain, "displays": None}
    run = fit(dense(), numbers(ROWS, WIDTH), classes(), **how)
    (logs,) = [epoch.logs for epoch in run.log]
    assert [*logs][-3:] == ["f1", "rows", "t"]
    assert [logs["f1"], logs["rows"], logs["t"]] == [0.5, 1.5, 2.0]
    assert {type(value) for value in logs.values()} == {float}


def test_a_callback_that_monitors_several_values_has_a_remedy() -> None:
    net = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(CLASSES, "softmax")])
    net.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    callback = keras.callbacks.EarlyStopping("f1_score", mode="max")
    y = np.eye(CLASSES, dtype="float32")[classes()]
    with pytest.raises(TrainingError, match="a metric that has several values") as caught:
        fit(net, numbers(ROWS, WIDTH), y, epochs=3, callbacks=[callback])
    assert 'average="macro"' in caught.value.remedy
