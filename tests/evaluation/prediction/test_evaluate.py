from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.evaluation.prediction.batch_prediction import predict_in_batches
from kmagic.evaluation.prediction.evaluate import Evaluation, evaluate
from kmagic.support.errors import EvaluationError


class Rows:
    """A model without Keras: answers with the sums of the rows, and notes the batches."""

    name = "rows"
    compiled = True
    input_shape = (None, 3)
    output_shape = (None, 1)

    def __init__(self):
        self.batches = []
        self.asked = None

    def predict_on_batch(self, x):
        assert isinstance(x, np.ndarray)
        self.batches.append(len(x))
        return x.sum(axis=1, keepdims=True)

    def evaluate(self, x, y, **keywords):
        self.asked = keywords
        return {"loss": 0.25, "mae": float(np.abs(self.predict_on_batch(x)[:, 0] - y).mean())}


def test_predictions_come_in_order_and_in_batches():
    model, x = Rows(), np.arange(30.0).reshape(10, 3)
    np.testing.assert_array_equal(predict_in_batches(model, x, batch_size=4)[:, 0], x.sum(axis=1))
    assert model.batches == [4, 4, 2]


def test_small_samples_are_predicted_in_larger_batches():
    model = Rows()
    predict_in_batches(model, np.zeros((600, 3), dtype="float32"))
    assert model.batches == [256, 256, 88]
    model.input_shape, model.batches = (None, 400, 400, 3), []
    predict_in_batches(model, np.broadcast_to(np.float32(0), (40, 400, 400, 3)))
    assert model.batches == [32, 8]


def test_a_file_on_the_disk_is_read_batch_by_batch(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="float32", shape=(5, 3))
    x[:] = np.arange(15).reshape(5, 3)
    np.testing.assert_array_equal(predict_in_batches(Rows(), x)[:, 0], x.sum(axis=1))


def test_a_last_axis_of_one_is_added_or_taken_away():
    model = Rows()
    assert predict_in_batches(model, np.ones((2, 3, 1))).shape == (2, 1)
    model.input_shape = (None, 3, 1)
    assert predict_in_batches(model, np.ones((2, 3))).shape == (2, 1, 1)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4)), "expects samples of shape (3,); got (4,)"),
        (np.zeros((2, 4, 5)), "got (4, 5)"),
        ([[1, 2, 3], [1]], "the same shape"),
        (np.array([[1], [1, 2]], dtype=object), "pad_sequences"),
        (np.zeros((0, 3)), "empty"),
        (np.float64(3), "along the first axis"),
    ],
)
def test_samples_that_do_not_fit_are_rejected(x, message):
    with pytest.raises(EvaluationError) as caught:
        predict_in_batches(Rows(), x)
    assert message in str(caught.value)


def test_a_reshape_is_suggested():
    model = Rows()
    model.input_shape = (None, 28, 28, 1)
    with pytest.raises(EvaluationError) as caught:
        predict_in_batches(model, np.zeros((2, 784)))
    assert "use x.reshape(-1, 28, 28, 1)" in caught.value.remedy


def test_several_outputs_are_rejected():
    model = Rows()
    model.predict_on_batch = lambda x: [x, x]
    with pytest.raises(EvaluationError, match="2 outputs"):
        predict_in_batches(model, np.zeros((2, 3)))


def test_an_interrupt_passes():
    model = Rows()

    def interrupt(x):
        raise KeyboardInterrupt

    model.predict_on_batch = interrupt
    with pytest.raises(KeyboardInterrupt):
        predict_in_batches(model, np.zeros((2, 3)))


def test_evaluation_is_a_dict_of_floats_with_the_loss_last():
    model = Rows()
    result = evaluate(model, np.ones((4, 3)), [3, 3, 3, 7], batch_size=2, unit="rows")
    assert result == {"mae": 1.0, "loss": 0.25}
    assert list(result) == ["mae", "loss"]
    assert model.asked["verbose"] == 0
    assert model.asked["batch_size"] == 2
    assert result.describe() == "rows: 4 rows, mae 1.0000, loss 0.2500"


def test_the_card_shows_every_metric():
    result = Evaluation({"<b>": 0.5, "loss": 0.0123}, name="<script>", samples=10, unit="digits")
    bundle = result._repr_mimebundle_()
    assert "0.0123" in bundle["text/html"]
    assert "10 digits" in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert "<b></bdi>" not in bundle["text/html"]
    assert bundle["text/plain"] == "<script>: 10 digits, <b> 0.5000, loss 0.0123"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 4)), [0, 0], "expects samples of shape (3,); got (4,)"),
        (np.zeros((2, 3)), np.zeros(5), "got 2 and 5"),
        (np.zeros((2, 3)), None, "y= is missing"),
        (np.zeros((0, 3)), [], "x= is empty"),
    ],
)
def test_data_that_does_not_fit_is_rejected(x, y, message):
    with pytest.raises(EvaluationError) as caught:
        evaluate(Rows(), x, y)
    assert message in str(caught.value)


def test_an_uncompiled_model_is_rejected():
    model = Rows()
    model.compiled = False
    with pytest.raises(EvaluationError, match="'rows' must be compiled"):
        evaluate(model, np.zeros((2, 3)), [0, 0])


def test_a_bug_keeps_its_own_error():
    model = Rows()

    def broken(*_, **__):
        raise ZeroDivisionError

    model.evaluate = broken
    with pytest.raises(ZeroDivisionError):
        evaluate(model, np.zeros((2, 3)), [0, 0])


def test_with_keras_itself():
    import keras

    x = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    with pytest.raises(EvaluationError, match="must be compiled"):
        evaluate(model, x, y)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    result = evaluate(model, x, y, batch_size=32)
    theirs = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    assert result == pytest.approx(theirs)
    np.testing.assert_allclose(predict_in_batches(model, x), model.predict(x, verbose=0), rtol=1e-5)
    assert result["accuracy"] == pytest.approx(
        (predict_in_batches(model, x).argmax(axis=1) == y).mean()
    )
    with pytest.raises(EvaluationError, match="The targets are one-hot"):
        evaluate(model, x, np.eye(2)[y])
    with pytest.raises(EvaluationError, match="Labels run from 1 to 2") as caught:
        evaluate(model, x, y + 1)
    assert caught.value.remedy == "Number the labels from 0. Pass y - 1."


def frame(values):
    import pandas as pd

    kind = pd.DataFrame if values.ndim > 1 else pd.Series
    return kind(values).convert_dtypes()


@pytest.mark.parametrize("convert", [lambda x: x.astype(object), frame])
def test_numbers_in_objects_and_nullable_columns(convert):
    import keras

    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert evaluate(model, convert(x), convert(y)) == pytest.approx(evaluate(model, x, y))
    np.testing.assert_array_equal(
        predict_in_batches(model, convert(x)), predict_in_batches(model, x)
    )


def test_targets_that_keras_would_repeat_are_rejected():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(loss="mse")
    with pytest.raises(EvaluationError, match="y has shape 1 per sample, but the model's output"):
        evaluate(model, np.zeros((6, 2)), np.zeros((6, 1)))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_table_needs_a_column_with_the_targets(tmp_path, name) -> None:
    frame = pd.DataFrame({"a": np.arange(40.0), "b": 1.5, "kind": ["no", "yes"] * 20})
    path = tmp_path / name
    (frame.to_csv if name.endswith("csv") else frame.to_parquet)(path, index=False)
    net = kmagic.build(
        "input 2 / dense 2 softmax / compile adam loss=sparse_categorical_crossentropy"
    )
    kmagic.fit(net, kmagic.load_data(frame, target="kind", features="a,b"), epochs=1)
    remedies = set()
    for function in (kmagic.evaluate, kmagic.confusion_of):
        with pytest.raises(EvaluationError, match=r"missing") as caught:
            function(net, path)
        remedies.add(caught.value.remedy)
    with pytest.raises(EvaluationError, match="y= must be targets; got 'kind'") as caught:
        kmagic.evaluate(net, path, "kind")
    remedies.add(caught.value.remedy)
    (remedy,) = remedies
    names = {"pandas": pd}
    exec(re.search(r"`(.*?)`", remedy)[1], names)  # noqa: S102 - the remedy is verified
    y = names["table"]["kind"]
    assert kmagic.evaluate(net, path, y) == kmagic.evaluate(net, names["table"], y)
    assert kmagic.confusion_of(net, path, y).matrix.sum() == 40
