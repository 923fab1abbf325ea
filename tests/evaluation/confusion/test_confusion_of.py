"""A matrix from a model and its data, in every way that Keras takes data."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.api import build
from kmagic.data import Dataset
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.display.kit.samples import sample_to_text
from kmagic.evaluation.confusion.confusion import confusion, confusion_of
from kmagic.evaluation.prediction.batch_prediction import predict_in_batches
from kmagic.evaluation.prediction.row_predictions import reshape_samples_for
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import set_dataset

RNG = np.random.default_rng(0)
X = RNG.random((24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)


@pytest.fixture(scope="module")
def net():
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential(layers, name="net")


def test_a_model_and_samples(net):
    result = confusion_of(net, X, Y)
    expected = confusion(Y, net.predict(X, verbose=0))
    assert (result.matrix == expected.matrix).all()
    np.testing.assert_allclose(result.confidence, expected.confidence, rtol=1e-5)
    assert (result.name, result.unit) == ("net", "samples")
    assert result.x is X
    assert confusion_of(net, X, Y, name="other", samples=list("a" * 24)).x == list("a" * 24)


def test_a_model_and_a_data_set(net):
    data = SimpleNamespace(
        x_train=None, x_test=X, y_test=Y, classes=("a", "b", "c"), image_shape=(2, 2)
    )
    result = confusion_of(net, data)
    assert result.classes == ("a", "b", "c")
    assert result.unit == "test samples"
    assert result.x.shape == (24, 2, 2)
    assert np.shares_memory(result.x, X)


def test_the_classes_of_the_training_data(net):
    set_dataset(net, SimpleNamespace(classes=("x", "y", "z")))
    assert confusion_of(net, X, Y).classes == ("x", "y", "z")
    assert confusion_of(net, X, Y, class_names=list("abc")).classes == ("a", "b", "c")
    set_dataset(net, SimpleNamespace(classes=("too", "few")))
    assert confusion_of(net, X, Y).classes == ("0", "1", "2")


WORDS = TextEncoding(("", "[UNK]", "bad", "good"), maxlen=4)
REVIEWS = ["good", "a bad film", "good film, good"] * 8


def test_word_ids_are_shown_as_sentences(net):
    rows = WORDS.encode(REVIEWS)
    data = Dataset("reviews", rows, Y, rows, Y, tuple("abc"), encoding=WORDS)
    shown = confusion_of(net, data).x
    assert shown[2] == "good [UNK] good"
    assert sample_to_text(shown, 1) == "[UNK] bad [UNK]"
    assert "good [UNK] good" in confusion_of(net, data)._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("left", [False, True], ids=["a dataset", "its preparation"])
def test_word_ids_are_decoded_like_the_training_data(net, left):
    rows = WORDS.encode(REVIEWS)
    data = Dataset("reviews", rows, Y, rows, Y, tuple("abc"), encoding=WORDS)
    set_dataset(net, data.preparation if left else data)
    assert confusion_of(net, rows, Y).x[0] == "good"
    assert confusion_of(net, rows.astype("float32"), Y).x.dtype == "float32"


def test_texts_that_a_model_takes_as_they_are():
    import keras

    words = keras.layers.TextVectorization(vocabulary=["bad", "good"], output_sequence_length=3)
    layers = [keras.Input((1,), dtype="string"), words, keras.layers.Embedding(4, 3)]
    model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling1D()])
    texts = np.array(REVIEWS, dtype=object)
    result = confusion_of(model, texts, Y)
    assert result.x.tolist() == REVIEWS
    expected = model.predict(texts, verbose=0)
    for given in (REVIEWS, np.array(REVIEWS), pd.Series(REVIEWS), texts[:, None]):
        np.testing.assert_allclose(predict_in_batches(model, given), expected, rtol=1e-6)


def test_a_stream_is_read_once(net):
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(24, seed=1).batch(7)
    result = confusion_of(net, stream)
    assert (result.matrix == confusion_of(net, X, Y).matrix).all()
    assert result.x is None
    with pytest.raises(EvaluationError, match=r"batches of samples and targets"):
        confusion_of(net, tf.data.Dataset.from_tensor_slices(X).batch(7))
    with pytest.raises(EvaluationError, match="stream is empty"):
        confusion_of(net, stream.take(0))


def test_missing_arguments_are_rejected(net):
    with pytest.raises(EvaluationError, match="true classes are missing"):
        confusion_of(net, X)
    with pytest.raises(EvaluationError, match="y_pred= is missing"):
        confusion(Y)
    with pytest.raises(EvaluationError, match=r"got a model(.|\n)*confusion_of\(model, x, y\)"):
        confusion(net, X)
    with pytest.raises(EvaluationError, match=r"got int"):
        confusion_of(net, 3)


def test_two_models_of_different_inputs(net):
    pictures = X.reshape(24, 2, 2)
    assert reshape_samples_for(net, pictures).shape == (24, 4)
    assert reshape_samples_for(net, X) is X
    other = SimpleNamespace(input_shape=(None, None, 2))
    assert reshape_samples_for(other, X) is X
    assert reshape_samples_for(SimpleNamespace(input_shape=(None, 5)), X) is X


def test_raw_data_are_prepared_like_the_training_data() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (12, 6, 6), dtype=np.uint8)
    model = build("input 6x6x1 / flatten / dense 2 softmax")
    kept = Preparation(scaling=Scaling("255"), image_shape=(6, 6), sample_shape=(6, 6, 1))
    set_dataset(model, kept)
    truth = np.arange(12) % 2
    expected = confusion_of(model, (pixels / 255).astype("float32")[..., None], truth)
    assert (confusion_of(model, pixels, truth).matrix == expected.matrix).all()


def test_the_signature_shows_every_option():
    for function in (confusion, confusion_of):
        parameters = inspect.signature(function).parameters
        assert {"class_names", "normalize", "threshold", "top_losses"} <= set(parameters)
        assert "classes" not in parameters


def test_each_of_two_models_gets_samples_prepared_like_its_own_training_data():
    import pandas as pd
    import tensorflow as tf
    from scipy.sparse import csr_matrix

    from kmagic.evaluation.confusion.confusion import confusions_of
    from kmagic.support.model_registry import set_dataset

    rng = np.random.default_rng(0)
    raw = rng.normal([20, 500, 3], [2, 90, 1], (90, 3)).astype("float32")
    labels = (raw[:, 0] > 20).astype("int64")
    frame = pd.DataFrame(raw, columns=["a", "b", "c"]).assign(y=labels)
    data = {
        "scaled": kmagic.load_data(frame, target="y", scale="standard", seed=0),
        "raw": kmagic.load_data(frame, target="y", scale="none", seed=0),
    }

    class First:
        """Predicts whether the first column is above the mean of all rows."""

        def __init__(self, kind):
            self.kind = kind
            set_dataset(self, data[kind])

        def predict_on_batch(self, x):
            return (data[self.kind].scaling.inverse(np.asarray(x))[:, :1] > 20).astype(float)

    models = [(kind, First(kind)) for kind in data]
    sources = {
        "frame": (frame[["a", "b", "c"]], labels),
        "rows": (raw, labels),
        "tensor": (tf.constant(raw), labels),
        "sparse": (csr_matrix(raw), labels),
        "dataset": (data["scaled"], None),
        "raw dataset": (data["raw"], None),
    }
    for name, (x, y) in sources.items():
        found = {m.name: m.accuracy for m in confusions_of(models, x, y)}
        assert found == dict.fromkeys(data, 1.0), (name, found)
