"""Labels against outputs and losses: shapes, ranges, class weights and splits."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic.data.inspection import inspect_data
from kmagic.models.lint.model_graph import read_model_graph
from kmagic.support.errors import TrainingError
from kmagic.training.validation.data_checks import data_errors, review_data
from kmagic.training.validation.label_checks import split_advice, target_advice

ROWS = 20
X = np.zeros((ROWS, 4))
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"


def model(text, loss, **values):
    net = kmagic.build(text, **values)
    net.compile("sgd", loss)
    return net


def problems(net, x, y):
    return list(target_advice(read_model_graph(net), inspect_data(x, y)))


def only(net, x, y):
    (problem,) = problems(net, x, y)
    return problem


# --- shapes -------------------------------------------------------------------------------------

IMAGE = np.zeros((ROWS, 6, 4))


@pytest.mark.parametrize(
    "loss", ["mse", "mae", keras.losses.Huber(), "cosine_similarity", "poisson"]
)
@pytest.mark.parametrize(
    ("units", "shape", "shown"),
    [(6, (6, 1), ("6 x 1", "6 x 6")), (4, (1, 4), ("1 x 4", "6 x 4")), (3, (3,), ("3", "6 x 3"))],
)
def test_labels_that_keras_would_repeat_are_reported_with_both_shapes(loss, units, shape, shown):
    net = model("input 6x4\ndense {units}", loss, units=units)
    problem = only(net, IMAGE, np.zeros((ROWS, *shape)))
    received, output = shown
    assert f"y has shape {received} per sample, but the model's output has shape {output}" in (
        problem.message
    )


@pytest.mark.parametrize(
    ("text", "loss", "x", "shape"),
    [
        ("input 4\ndense 1", "mse", X, ()),
        ("input 4\ndense 1", "mse", X, (1,)),
        ("input 4\ndense 1", "mse", X, (1, 1)),
        ("input 4\ndense 3", "mse", X, (3,)),
        ("input 6x4\ndense 1", "mae", IMAGE, (6,)),
        ("input 6x4\ndense 5", "mae", IMAGE, (6, 5)),
        ("input 6x4\ndense 3 softmax", SPARSE, IMAGE, (6,)),
        ("input 6x4\ndense 3 softmax", SPARSE, IMAGE, (6, 1)),
        ("input 6x4\ngap1d\ndense 3 softmax", SPARSE, IMAGE, (1,)),
        ("input 6x4\nconv1d 2 1\nflatten", "mse", IMAGE, (12,)),
    ],
)
def test_shapes_that_suit_the_loss_are_accepted(text, loss, x, shape):
    assert problems(model(text, loss), x, np.zeros((ROWS, *shape), "int64")) == []


@pytest.mark.parametrize("mode", ["multi_hot", "tf_idf", "count", "int"])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_counts_of_words_have_no_further_axis(shape, mode):
    texts = np.array(["a b", "b c", "a", "c"], dtype=object)
    length = {"output_sequence_length": 3} if mode == "int" else {}
    words = keras.layers.TextVectorization(9, output_mode=mode, **length)
    words.adapt(texts)
    last = [keras.layers.Embedding(9, 2), keras.layers.Flatten()] if mode == "int" else []
    start = [keras.Input(shape, dtype="string"), words]
    net = keras.Sequential([*start, *last, keras.layers.Dense(1)])
    net.compile("sgd", "binary_crossentropy")
    assert problems(net, texts, np.array([0, 1, 0, 1])) == []
    (problem,) = problems(net, texts, np.eye(2)[[0, 1, 0, 1]])
    assert problem.code == "target-shape"


def test_a_loss_of_the_user_may_repeat_labels():
    net = model("input 4\ndense 3", lambda y, p: keras.ops.mean(keras.ops.square(y - p), -1))
    assert problems(net, X, np.zeros((ROWS, 1))) == []


def test_a_subclass_of_a_loss_may_repeat_labels():
    class Own(keras.losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return super().call(keras.ops.repeat(y_true, 3, axis=-1), y_pred)

    assert problems(model("input 4\ndense 3", Own()), X, np.zeros((ROWS, 1))) == []


def test_the_labels_of_each_output_are_compared():
    inputs = keras.Input((4,))
    outputs = {
        "a": keras.layers.Dense(3, name="a")(inputs),
        "b": keras.layers.Dense(3, "softmax", name="b")(inputs),
    }
    net = keras.Model(inputs, outputs)
    net.compile("sgd", {"a": "mse", "b": SPARSE})
    good = {"a": np.zeros((ROWS, 3)), "b": Y}
    assert problems(net, X, good) == []
    found = problems(net, X, {"a": np.zeros((ROWS, 1)), "b": Y + 1})
    assert [problem.code for problem in found] == ["target-shape", "label-range"]
    assert found[0].message.startswith("y['a'] has shape 1 per sample")
    assert "in y['b']" in found[1].message
    stream = tf.data.Dataset.from_tensor_slices((X, {**good, "b": Y + 1})).batch(5)
    (problem,) = problems(net, stream, None)
    assert "x.map(lambda x, y: (x, {**y, 'b': y['b'] - 1}))" in problem.remedy


def test_a_stack_that_is_not_built_yet_is_compared_too():
    net = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(3)])
    net.compile("sgd", "mse")
    assert problems(net, X, np.zeros((ROWS, 3))) == []
    assert only(net, X, np.zeros((ROWS, 1))).code == "target-shape"
    assert not net.built


def test_the_outputs_of_a_subclass_are_compared_once_they_are_known():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    net = Own()
    net.compile("sgd", "mse")
    for _ in range(2):  # after the first batch, and before
        with pytest.raises(TrainingError, match="y has shape 1 per sample, but the model's output"):
            kmagic.fit(net, X, np.zeros((ROWS, 1)), displays=[])
    assert kmagic.fit(net, X, np.zeros((ROWS, 3)), displays=[]).status == "done"


@pytest.mark.parametrize("form", ["arrays", "tf.data", "generator"])
def test_validation_data_is_checked_like_training_data(form):
    net, y = model("input 4\ndense 3", "mse"), np.zeros((ROWS, 3))
    held = {
        "arrays": (X, y[:, :1]),
        "tf.data": tf.data.Dataset.from_tensor_slices((X, y[:, :1])).batch(5),
        "generator": iter([(X, y[:, :1])]),
    }[form]
    with pytest.raises(TrainingError, match="y of the validation data has shape 1") as caught:
        kmagic.fit(net, X, y, validation_data=held, displays=[])
    assert "units" not in caught.value.remedy  # the training data fits them


# --- ranges -------------------------------------------------------------------------------------


def applied(remedy, y):
    """Labels after the first expression of a remedy."""
    import re

    expression = re.search(r"(?:Use|Pass) (.*?)(?:\.$|\. |, or)", remedy)
    if expression is None:
        return np.unique(y, return_inverse=True)[1]
    return eval(expression[1].removesuffix(" in each batch"), {"y": y})  # noqa: S307 - our own text


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int64", "float16", "float32"])
@pytest.mark.parametrize("values", [(1, 2, 3), (10, 20, 30), (-1, 1), (5,), (100, 127)])
def test_the_remedy_for_labels_makes_them_suit_the_units(dtype, values):
    if min(values) < 0 and dtype.startswith("u"):
        return
    net = model("input 4\ndense 3 softmax", SPARSE)
    y = np.resize(values, ROWS).astype(dtype)
    remedy = only(net, X, y).remedy
    assert "Write" not in remedy
    assert problems(net, X, applied(remedy, y)) == []


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_labels_from_0_are_not_to_be_numbered_from_0(dtype):
    net = model("input 4\ndense 5 softmax", SPARSE)
    problem = only(net, X, (np.arange(ROWS) % 10).astype(dtype))
    assert problem.message == (
        "Labels run from 0 to 9, but the last layer has 5 units, for labels 0 to 4."
    )
    assert problem.remedy == "Write 10 units."


@pytest.mark.parametrize(
    ("highest", "dtype", "units"), [(127, "int8", 128), (254, "uint8", 255), (1, "bool", 2)]
)
def test_small_integers_do_not_overflow(highest, dtype, units):
    y = np.arange(highest + 1).astype(dtype)
    net = model("input 4\ndense 2 softmax", SPARSE)
    found = problems(net, np.zeros((len(y), 4)), y)
    assert [problem.remedy for problem in found] == ([f"Write {units} units."] if units > 2 else [])


PIXELS = np.zeros((ROWS, 5, 5, 1))
MASK = (np.arange(ROWS * 25).reshape(ROWS, 5, 5) % 2 * 255).astype("uint8")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize(
    ("last", "loss"), [("conv2d 2 1x1 softmax", SPARSE), ("conv2d 1 1x1 sigmoid", "bce")]
)
def test_a_mask_image_is_recognised(dtype, last, loss):
    loss = "binary_crossentropy" if loss == "bce" else loss
    net, y = model(f"input 5x5x1\n{last}", loss), MASK.astype(dtype)
    problem = only(net, PIXELS, y)
    assert "y is a mask of 0 and 255" in problem.message
    assert problem.remedy == "Use y // 255."
    assert problems(net, PIXELS, y // 255) == []


def test_a_label_of_unknown_pixels_can_be_ignored():
    y = np.where(MASK == 255, 255, np.arange(25).reshape(5, 5) % 3).astype("uint8")
    text = "input 5x5x1\nconv2d 3 1x1 softmax"
    remedy = only(model(text, SPARSE), PIXELS, y).remedy
    assert f"loss={SPARSE}(ignore_class=255)" in remedy
    ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    assert problems(model(text, ignoring), PIXELS, y) == []
    assert only(model(text, ignoring), PIXELS, y + 1 - (y == 255)).code == "label-range"


@pytest.mark.parametrize(
    ("y", "remedy"),
    [
        (Y % 2 + 1, "Use (y > 1).astype('float32')."),
        (Y % 2 * 2 - 1, "Use (y > -1).astype('float32')."),
        (Y, f"For 3 classes, write `dense 3 softmax` with loss={SPARSE}."),
    ],
)
def test_targets_beyond_those_of_a_binary_loss(y, remedy):
    net = model("input 4\ndense 1 sigmoid", "binary_crossentropy")
    assert only(net, X, y).remedy == remedy


def test_rounded_probabilities_are_targets_of_a_binary_loss():
    net = model("input 4\ndense 1 sigmoid", "binary_crossentropy")
    assert problems(net, X, np.linspace(-1e-6, 1 + 1e-6, ROWS)) == []
    assert only(net, X, np.full(ROWS, 5)).remedy == "Pass labels from 0 to 1."


@pytest.mark.parametrize(
    ("last", "loss", "y", "remedy"),
    [
        ("dense 5 softmax", SPARSE, np.arange(ROWS) % 10, "Pass labels from 0 to 4"),
        ("dense 3", "mse", np.zeros((ROWS, 2)), "Give each sample labels of shape 3."),
        ("dense 3", "mse", np.zeros(ROWS), "Give each sample labels of shape 3."),
        ("dense 1 sigmoid", "binary_crossentropy", Y, "Use y / 2."),
    ],
)
def test_a_remedy_for_an_evaluation_does_not_change_the_model(last, loss, y, remedy):
    net = model(f"input 4\n{last}", loss)
    (problem,) = data_errors(net, inspect_data(X, y))
    shown = problem.remedy
    assert shown.startswith(remedy)


def test_the_remedy_for_a_stream_changes_the_stream():
    net = model("input 4\ndense 3 softmax", SPARSE)
    data = tf.data.Dataset.from_tensor_slices((X, Y + 1)).batch(5)
    (problem,) = problems(net, data, None)
    assert problem.remedy == "Number the labels from 0. Pass x.map(lambda x, y: (x, y - 1))."
    assert problems(net, data.map(lambda x, y: (x, y - 1)), None) == []


# --- splits -------------------------------------------------------------------------------------


def advice_on_split(y, *, held=None, fraction=0.2, loss=SPARSE, last="dense 3 softmax"):
    graph = read_model_graph(model(f"input 4\n{last}", loss))
    validation = None if held is None else inspect_data(X[: len(held)], held)
    training = inspect_data(np.zeros((len(y), 4)), y)
    return [item.message for item in split_advice(graph, training, validation, fraction)]


@pytest.mark.parametrize("form", [lambda y: y, lambda y: y[:, None], lambda y: np.eye(3)[y]])
def test_classes_that_only_one_part_has_are_named(form):
    (message,) = advice_on_split(form(np.sort(Y)))
    assert "misleading: classes 0, 1 have no samples in the last 20% of the samples." in message
    (message,) = advice_on_split(form(np.repeat([0, 1, 2], [8, 8, 4])))
    assert "class 2 has no training samples; classes 0, 1 have no samples in the last" in message
    assert advice_on_split(form(Y)) == []


def test_classes_missing_from_validation_data_are_named():
    (message,) = advice_on_split(Y, held=np.array([0, 0, 1]))
    assert message.endswith("class 2 has no samples in the validation data.")
    (message,) = advice_on_split(Y % 2, held=Y)
    assert "class 2 has no training samples" in message


def test_targets_in_order_are_reported():
    values = np.linspace(0, 10, 60)
    (message,) = advice_on_split(values, loss="mse", last="dense 1")
    assert "the targets of the last 20% of the samples are 8.136 to 10, those of the" in message
    shuffled = np.random.default_rng(0).permutation(values)
    assert advice_on_split(shuffled, loss="mse", last="dense 1") == []


def test_the_parts_of_each_output_are_compared():
    net = kmagic.build("x = input 4\na = dense 3 softmax <- x\nb = dense 1 <- x\noutput a, b")
    net.compile("sgd", [SPARSE, "mse"])
    labels, values = np.sort(Y), np.linspace(0, 1, ROWS)
    options = {"validation_split": 0.5}
    for y in ([labels, values], {"a": labels, "b": values}):
        first, second = review_data(net, X, y, **options).messages
        part = "y[0]" if isinstance(y, list) else "y['a']"
        assert f"in {part} have no" in first or f"in {part} has no" in first
        assert f"stratify={part}" in first
        assert "the targets of the last 50% of the samples in y" in second
    mixed = [Y, np.random.default_rng(0).permutation(values)]
    assert review_data(net, X, mixed, **options).messages == []


class OneHotPrecision(keras.metrics.Precision):
    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3)
        return super().update_state(labels, y_pred, sample_weight)


def own_metric(_, y_pred):
    return keras.ops.mean(y_pred)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("auc", "auc"),
        (keras.metrics.Precision(), "precision"),
        (keras.metrics.F1Score(), "f1_score"),
        ("mse", "mean_squared_error"),
        (keras.metrics.binary_accuracy, "binary_accuracy"),
        ("categorical_accuracy", "categorical_accuracy"),
        ("accuracy", ""),
        ("sparse_top_k_categorical_accuracy", ""),
        (keras.metrics.SparseCategoricalAccuracy("precision"), ""),
        (OneHotPrecision(), ""),
        (own_metric, ""),
        (keras.metrics.MeanMetricWrapper(own_metric), ""),
    ],
)
def test_metrics_that_do_not_take_class_indices(metric, name):
    net = model("input 4\ndense 3 softmax", SPARSE)
    net.compile("sgd", SPARSE, metrics=[metric])
    found = problems(net, X, Y)
    assert [problem.message.split()[2] for problem in found] == [name] * bool(name)
    net.compile("sgd", "categorical_crossentropy", metrics=[metric])
    assert problems(net, X, np.eye(3)[Y]) == []


def test_the_split_is_reported_before_the_first_epoch():
    net = model("input 4\ndense 3 softmax", SPARSE)
    run = kmagic.fit(net, X, np.sort(Y), validation_split=0.2, epochs=0, displays=[])
    assert [message.epoch for message in run.messages] == [0]
    assert "classes 0, 1 have no samples" in run.messages[0].text


def test_a_review_of_a_stream_finds_what_one_of_arrays_finds():
    net = model("input 4\ndense 3 softmax", SPARSE)
    bad = np.where(np.arange(ROWS) == 7, np.nan, 0.0)[:, None] + X
    for x, y, words in (
        (bad, Y, "x contains nan or inf, first in sample 7"),
        (X[:, :3], Y, "expects shape 4 per sample, but x has shape 3"),
        (X, Y + 1, "Labels run from 1 to 3"),
        (X, np.eye(3)[Y], "The targets are one-hot"),
        (X, np.array(list("abc"))[Y], "texts such as 'a'"),
    ):
        stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)
        for arguments in ((x, y), (stream,), (iter([(x, y)]),)):
            with pytest.raises(TrainingError, match=words):
                review_data(net, *arguments)


def test_messages_contain_the_names_of_classes():
    net, y = model("input 4\ndense 3 softmax", SPARSE), np.sort(Y)
    review = review_data(
        net, X, y, validation_split=0.3, classes=("cat", "dog", "cow"), class_weight={0: 2.0}
    )
    split, weights = review.messages
    assert "classes cat, dog have no samples in the last 30% of the samples" in split
    assert "class_weight does not name classes dog, cow." in weights
