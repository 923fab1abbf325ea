"""What is looked at before the first epoch: what is refused, what is told, and how fast."""

import time

import numpy as np
import pytest
from IPython.utils.capture import capture_output

import kmagic
from kmagic.data.dataset import Dataset
from kmagic.data.preparation.scale_drift import scale_drift_message
from kmagic.support.errors import TrainingError
from kmagic.training.validation.data_checks import review_data

RNG = np.random.default_rng(0)


def net(text, **values):
    return kmagic.build(text, **values)


SPARSE = " loss=sparse_categorical_crossentropy"


@pytest.fixture
def pictures():
    return net("input 8x8x1\nconv2d 2 3x3 relu\nflatten\ndense 3 softmax\ncompile adam" + SPARSE)


@pytest.fixture
def table():
    return net("input 4\ndense 8 relu\ndense 3 softmax\ncompile adam" + SPARSE)


@pytest.fixture
def shell(shell, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    return shell


X, Y = RNG.random((30, 4)).astype("float32"), RNG.integers(0, 3, 30)
IMAGES = RNG.random((30, 8, 8, 1)).astype("float32")


def bad(values, where, value):
    values = values.copy()
    values[where] = value
    return values


@pytest.mark.parametrize(
    ("x", "y", "message", "remedy"),
    [
        (X, Y[:-1], "x has 30 samples but y has 29", "one entry per sample"),
        (bad(X, (7, 2), np.nan), Y, "x contains nan or inf, first in sample 7", "nan_to_num"),
        (bad(X, (7, 2), -np.inf), Y, "x contains nan or inf, first in sample 7", "nan_to_num"),
        (bad(X.astype(object), (7, 2), "?"), Y, "type float and str", "texts such as '?' by"),
        (X, np.eye(3)[Y], "The targets are one-hot", "loss=categorical_crossentropy"),
        (X, Y + 1, "Labels run from 1 to 3", "Number the labels from 0"),
        (X, np.array(["a", "b", "c"])[Y], "texts such as", "return_inverse"),
        (X, list("abc" * 10), "texts such as 'a'", "return_inverse"),
        (X, Y + 0.5, "contains fractions such as", "loss=mse"),
        (X[:, :3], Y, "expects shape 4 per sample, but x has shape 3", "input 3"),
    ],
)
def test_unsuitable_data_is_rejected(table, x, y, message, remedy):
    before = table.get_weights()
    with pytest.raises(TrainingError) as caught:
        kmagic.fit(table, x, y, displays=[])
    assert message in caught.value.message
    assert remedy in caught.value.remedy
    assert "checks=False" in caught.value.remedy
    for mine, theirs in zip(table.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("text", "y", "message", "remedy"),
    [
        (
            "input 8x8x1\nconv2d 2 3x3\ndense 3 softmax\ncompile adam" + SPARSE,
            Y,
            "the model's output has shape 6 x 6 x 3",
            "`flatten` before `dense`",
        ),
        (
            "input 8x8x1\nflatten\ndense 3 softmax\ncompile adam loss=mse",
            Y / 2,
            "the model's output has shape 3, and mean_squared_error",
            "`dense 1` without softmax",
        ),
        (
            "input 8x8x1\nflatten\ndense 3 sigmoid\ncompile adam loss=bce",
            Y,
            "the model's output has shape 3, and binary_crossentropy",
            "softmax and loss=sparse_categorical_crossentropy",
        ),
    ],
)
def test_more_outputs_than_targets_are_rejected(text, y, message, remedy):
    with pytest.raises(TrainingError) as caught:
        kmagic.fit(net(text), IMAGES, y, displays=[])
    assert message in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("y", "remedy"),
    [
        (Y + 1, "Number the labels from 0"),
        (Y * 2, "Write 5 units, or number the labels from 0"),
        (Y - 0.5, "Number the labels from 0"),
    ],
)
def test_the_remedy_for_labels_out_of_range(table, y, remedy):
    with pytest.raises(TrainingError) as caught:
        review_data(table, X, y)
    assert caught.value.remedy.startswith(remedy)


def test_validation_data_of_another_shape_is_rejected(table):
    with pytest.raises(
        TrainingError, match="expects shape 4 per sample, but x of the validation data has shape 3"
    ):
        kmagic.fit(table, X, Y, validation_data=(X[:, :3], Y), displays=[])


def test_a_missing_channel_axis_is_named():
    colour = net("input 8x8x3\nflatten\ndense 3 softmax\ncompile adam" + SPARSE)
    with pytest.raises(
        TrainingError, match="expects shape 8 x 8 x 3 per sample, but x has shape 8 x 8"
    ) as caught:
        review_data(colour, IMAGES[..., 0], Y)
    assert "channel axis is missing" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "shape", "remedy"),
    [
        ("input 32x32x3\nconv2d 2 3x3\nflatten", (28, 28), "Write `input 28x28x1` and pass x["),
        ("input 32x32x3\nconv2d 2 9x9\nflatten", (6, 6), "Give x the shape 32 x 32 x 3 per"),
        ("input 32x32x3\nflatten", (28, 28), "Write `input 28x28`, or give x the shape"),
        ("input 8\ndense 4", (5,), "Write `input 5`, or give x the shape 8 per sample."),
        ("input 8x8x1\nconv2d 2 3x3\nflatten", (64,), "Write x.reshape(-1, 8, 8, 1)."),
        ("input 64\ndense 4", (8, 8), "Write x.reshape(-1, 64), or `input 8x8`."),
        ("input 8x8x3\nconv2d 2 3x3\nflatten", (8, 8), "write `input 8x8x1` and pass x["),
        ("input 8x8x3\nreshape 64x3\nflatten", (8, 8), "missing: give x 3 channels."),
        ("a = input 4\nb = input 8\nconcatenate <- a, b", (5,), "Write `input 5`"),
    ],
)
def test_another_input_is_suggested_only_if_the_layers_accept_it(text, shape, remedy):
    model = net(f"{text}\ndense 3 softmax\ncompile adam{SPARSE}")
    x = np.zeros((30, *shape), "float32")
    with pytest.raises(TrainingError) as caught:
        review_data(model, [x, np.zeros((30, 8))] if len(model.inputs) > 1 else x, Y)
    assert remedy in caught.value.remedy


def test_flat_images_get_a_reshape_remedy(pictures):
    with pytest.raises(TrainingError) as caught:
        review_data(pictures, IMAGES.reshape(30, 64), Y)
    assert "x.reshape(-1, 8, 8, 1)" in caught.value.remedy


def test_data_that_keras_accepts_is_accepted(pictures):
    assert review_data(pictures, IMAGES[..., 0], Y).messages == []
    assert review_data(pictures, IMAGES, Y, validation=(IMAGES, Y)).messages == []


def test_all_errors_are_reported_together(table):
    with pytest.raises(TrainingError) as caught:
        review_data(table, bad(X, 0, np.nan), Y[:-1])
    assert "samples" in caught.value.message
    assert "nan or inf" in caught.value.message


def test_unscaled_pixels_give_advice(pictures):
    (told,) = review_data(pictures, (IMAGES * 255).astype("uint8"), Y).messages
    assert "Divide them by 255" in told
    scaled = net(
        "input 8x8x1\nrescaling {1 / 255}\nflatten\ndense 3 softmax\ncompile adam" + SPARSE
    )
    assert review_data(scaled, (IMAGES * 255).astype("uint8"), Y).messages == []


def test_unscaled_pixels_after_flatten_and_in_rows_give_advice():
    flat = net("input 8x8x1\nflatten\ndense 3 softmax\ncompile adam" + SPARSE)
    pixels = bad((IMAGES * 255).astype("uint8"), 0, 255)
    assert "Divide" in review_data(flat, pixels, Y).messages[0]
    rows = net("input 64\ndense 3 softmax\ncompile adam" + SPARSE)
    assert "Divide" in review_data(rows, pixels.reshape(30, 64), Y).messages[0]


def test_features_of_different_scale_give_advice(table):
    x = X * np.array([1, 1, 1, 1e5], "float32")
    (told,) = review_data(table, x, Y).messages
    assert "deviation of column 3 is" in told
    assert "--scale standard" in told
    assert "`batch_normalization`" in told
    normal = net("input 4\nbatch_normalization\ndense 3 softmax\ncompile adam" + SPARSE)
    assert review_data(normal, x, Y).messages == []


def test_rarely_lit_pixels_in_a_row_give_no_advice():
    rows = net("input 64\ndense 3 softmax\ncompile adam" + SPARSE)
    pixels = IMAGES.reshape(30, 64).copy()
    pixels[:, 5] = 0
    pixels[0, 5] = 1e-4
    assert review_data(rows, pixels, Y).messages == []
    (told,) = review_data(rows, pixels * 300 - 150, Y).messages  # no pixels
    assert "that of column 5 " in told


def test_advice_about_features_uses_column_names(table):
    x = X * np.array([1e-3, 1, 1, 1e5], "float32")
    for columns, said in (
        (("NOX", "RM", "AGE", "TAX"), ("deviation of column TAX is", "that of column NOX ")),
        (
            ("of", "raw", "data"),
            ("deviation of column 3 is", "that of column 0 "),
        ),  # words became numbers
        (None, ("deviation of column 3 is", "that of column 0 ")),
    ):
        own = x.copy()  # what shares memory with a dataset belongs to it
        data = Dataset("houses", own, Y, x[:4], Y[:4], ("a", "b", "c"), columns=columns)
        told = kmagic.fit(table, data, displays=[]).messages[0].text
        assert all(words in told for words in said)


def test_differently_scaled_test_data_gives_advice(pictures):
    x = IMAGES.copy()  # what shares memory with a dataset belongs to it
    parts = Dataset("few", x, Y, IMAGES * 255, Y, ("a", "b", "c"))
    run = kmagic.fit(pictures, parts.x_train, parts.y_train, displays=[])
    (told,) = [each.text for each in run.messages]
    assert told.startswith("The test data are scaled differently: their standard deviation is 74")
    unchecked = kmagic.fit(pictures, x, Y, displays=[], checks=False).messages
    assert not any("scaled" in message.text for message in unchecked)


@pytest.mark.parametrize("magic", ["keras_evaluate", "keras_confusion"])
def test_the_magics_give_the_same_advice(pictures, shell, magic):
    kmagic.fit(pictures, IMAGES, Y, displays=[])
    shell.user_ns |= {
        "net": pictures,
        "good": IMAGES[:9] * 1.1,
        "bad": IMAGES[:9] * 255,
        "y": Y[:9],
    }
    said = []
    for line in ("net good y", "net bad y --no-checks", "net bad y -q", "net bad y"):
        with capture_output() as output:
            shell.run_line_magic(magic, line)
        said.append("The test data are scaled differently" in output.stdout)
    assert said == [False, False, False, True]


def test_the_scale_is_known_after_training_also_on_a_generator(pictures):
    assert scale_drift_message(pictures, IMAGES * 255) == ""
    kmagic.fit(pictures, IMAGES, Y, displays=[])
    assert scale_drift_message(pictures, ["a", "b"]) == ""
    assert scale_drift_message(pictures, IMAGES[:1] * 255) == ""
    batches = (each for each in [(IMAGES, Y)])
    kmagic.fit(pictures, batches, displays=[], steps_per_epoch=1, shuffle=False)
    assert "scaled differently" in scale_drift_message(pictures, IMAGES * 255)


@pytest.mark.parametrize(
    ("y", "words"), [(Y + 1, "Labels run from 1 to 3"), (Y + 0.5, "fractions")]
)
def test_a_model_with_rejected_data_is_not_compiled(y, words):
    model = net("input 4\ndense 3 softmax")
    with pytest.raises(TrainingError, match=words):
        kmagic.fit(model, X, y, displays=[])
    assert not model.compiled
    assert kmagic.fit(model, X, Y, displays=[]).status == "done"
    assert model.compiled


def test_differently_scaled_validation_data_gives_advice(pictures):
    (told,) = review_data(pictures, IMAGES, Y, validation=(IMAGES * 255, Y)).messages
    assert "scaled differently" in told


@pytest.mark.parametrize(
    ("last", "y", "loss", "metric"),
    [
        ("dense 3 softmax", Y, "sparse_categorical_crossentropy", "accuracy"),
        ("dense 3 softmax", np.eye(3)[Y], "categorical_crossentropy", "accuracy"),
        ("dense 3", Y, "sparse_categorical_crossentropy(from_logits=true)", "accuracy"),
        ("dense 1 sigmoid", Y % 2, "binary_crossentropy", "accuracy"),
        ("dense 1", X[:, 0], "mse", "mae"),
    ],
)
def test_an_uncompiled_model_gets_a_suitable_loss(last, y, loss, metric):
    model = net(f"input 4\n{last}")
    run = kmagic.fit(model, X, y, name="new", displays=[])
    assert run.status == "done"
    told = f"new was not compiled. It is now compiled with adam, loss={loss}, metrics={metric}."
    assert run.messages[0] == (0, told)
    assert set(run.history) == {"loss", metric}


def test_without_checks_nothing_is_checked(table):
    with pytest.raises(TrainingError, match="not compiled"):
        kmagic.fit(net("input 4\ndense 1"), X, X[:, 0], checks=False, displays=[])
    run = kmagic.fit(table, bad(X, 0, np.nan), Y, checks=False, displays=[])
    assert run.status == "failed"


def test_checks_are_fast_on_large_data(pictures):
    x = np.zeros((20_000, 28, 28, 1), "float32")
    x[-1] = 1
    model = net("input 28x28x1\nconv2d 2 3x3 relu\nflatten\ndense 3 softmax\ncompile adam" + SPARSE)
    y = np.zeros(20_000, "int64")
    took = []
    for _ in range(3):
        began = time.process_time()
        review_data(model, x, y)
        took.append(time.process_time() - began)
    assert min(took) < 0.2


def test_constant_columns_are_reported(table):
    x = X.copy()
    x[:, [1, 3]] = 0.5
    (message,) = review_data(table, x, Y, columns=("a", "b", "c", "d")).messages
    assert message.startswith("The model learns nothing from columns b, d, with a single value.")
    assert not review_data(table, X, Y).messages
    batches = iter([(x[:2], Y[:2])] * 15)  # only the first ones are read
    assert not review_data(table, batches).messages
