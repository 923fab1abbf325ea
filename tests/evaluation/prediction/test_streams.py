"""Streams of batches: inputs and labels come from one pass, everywhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.utils import PyDataset

import kmagic
from kmagic.support.errors import EvaluationError, KmagicError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = X.argmax(axis=1)
SHUFFLED = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(60).batch(7)


class Shuffling(PyDataset):
    """Another order in each pass; more batches than its length can be indexed."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = RNG.integers(0, 60, 15)
        return X[rows], Y[rows]


class Loader:
    """Yields lists, as PyTorch's DataLoader does."""

    def __iter__(self):
        order = RNG.permutation(60)
        return ([X[part], Y[part]] for part in np.array_split(order, 5))


STREAMS = {
    "shuffled": lambda: SHUFFLED,
    "mapped": lambda: SHUFFLED.map(lambda x, y: (x + 0.0, y)).prefetch(1),
    "weights": lambda: SHUFFLED.map(lambda x, y: (x, y, tf.ones(tf.shape(y)))),
    "one-hot": lambda: SHUFFLED.map(lambda x, y: (x, tf.one_hot(y, 4))),
    "dict": lambda: SHUFFLED.map(lambda x, y: ({"x": x}, y)),
    "columns": lambda: SHUFFLED.map(lambda x, y: (x, y[:, None])),
    "PyDataset": Shuffling,
    "generator": lambda: iter(SHUFFLED),
    "iterable": Loader,
}


@pytest.fixture(scope="module")
def model():
    """Its prediction is the largest input, so it is always right."""
    import keras

    inputs = keras.Input((4,), name="x")
    outputs = keras.layers.Softmax()(keras.layers.Rescaling(9.0)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.filterwarnings("ignore:.*structure of `inputs`")  # Keras's, of a dictionary
@pytest.mark.parametrize("kind", list(STREAMS))
def test_labels_belong_to_their_samples(model, kind):
    matrix = kmagic.confusion_of(model, STREAMS[kind]())
    assert matrix.accuracy == 1
    assert matrix.samples == 60
    predictions = kmagic.predict(model, STREAMS[kind]())
    labels = predictions.info.y_true
    labels = labels.argmax(axis=1) if kind == "one-hot" else labels.reshape(-1)
    np.testing.assert_array_equal(predictions.argmax(axis=1), labels)
    if kind not in ("one-hot", "iterable"):
        assert kmagic.evaluate(model, STREAMS[kind]())["accuracy"] == 1


@pytest.mark.parametrize("kind", ["shuffled", "PyDataset", "generator"])
@pytest.mark.parametrize("call", [kmagic.confusion_of, kmagic.evaluate])
def test_labels_beside_a_stream_are_refused(model, kind, call):
    with pytest.raises(EvaluationError, match=r"y= must be left out: x is a .*\n\nPass x alone"):
        call(model, STREAMS[kind](), Y)


@pytest.mark.parametrize("call", [kmagic.confusion_of, kmagic.evaluate])
def test_a_stream_without_labels(model, call):
    inputs = tf.data.Dataset.from_tensor_slices(X).batch(7)
    assert kmagic.predict(model, inputs).shape == (60, 4)
    with pytest.raises(EvaluationError, match=r"zip\(\(x, y\)\)"):
        call(model, inputs)
    pairs = tf.data.Dataset.zip((inputs, tf.data.Dataset.from_tensor_slices(Y).batch(7)))
    result = call(model, pairs)
    assert getattr(result, "accuracy", None) or result["accuracy"] == 1


@pytest.mark.parametrize("call", [kmagic.predict, kmagic.confusion_of, kmagic.evaluate])
def test_an_endless_stream_needs_a_number_of_batches(model, call):
    endless = SHUFFLED.unbatch().batch(6).repeat()
    with pytest.raises(EvaluationError, match=r"never ends.*\n\n.*steps=100"):
        call(model, endless)
    result = call(model, endless, steps=3)
    if call is kmagic.predict:
        assert len(result) == 18
    elif call is kmagic.confusion_of:
        assert result.samples == 18
    else:
        assert result["accuracy"] == 1
    with pytest.raises(EvaluationError, match="empty: it yields no batch"):
        call(model, SHUFFLED.take(0))


def test_the_names_of_a_directory_are_used(model):
    named = SHUFFLED.map(lambda x, y: (x, y))
    named.class_names = list("abcd")  # as image_dataset_from_directory does
    assert kmagic.confusion_of(model, named).classes == tuple("abcd")
    assert kmagic.predict(model, named).classes == tuple("abcd")


def test_the_magics_compare_models_in_one_pass(shell, model, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    shell.user_ns |= {"m": model, "val": SHUFFLED, "y": Y, "p": X}
    comparison = shell.run_line_magic("keras_confusion", "m val --vs m -q")
    assert comparison.new.accuracy == comparison.old.accuracy == 1
    assert shell.run_line_magic("keras_confusion", "m val --steps 2 -q").samples == 14
    assert shell.run_line_magic("keras_evaluate", "m val -q")["accuracy"] == 1
    for line, words in (("m val y", "must be left out"), ("m val --vs p", "is not a model")):
        result = shell.run_cell(f"%keras_confusion {line}")
        with pytest.raises(KmagicError, match=words):
            result.raise_error()


def test_a_stream_of_raw_data_is_prepared_like_the_training_data():
    pixels = RNG.integers(0, 256, (40, 6, 6, 1)).astype("uint8")
    labels = np.arange(40) % 2
    data = kmagic.load_data((pixels, labels), scale="255")
    net = kmagic.build("input 6x6x1 / flatten / dense 2 softmax")
    net.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    kmagic.fit(net, data, displays=[])
    expected = kmagic.evaluate(net, (pixels / 255).astype("float32"), labels)
    for dtype in ("uint8", "float32"):
        stream = tf.data.Dataset.from_tensor_slices((pixels.astype(dtype), labels)).batch(9)
        assert kmagic.evaluate(net, stream) == pytest.approx(expected)
        assert kmagic.confusion_of(net, stream).accuracy == pytest.approx(expected["accuracy"])


def test_several_outputs_of_a_stream():
    import keras

    inputs = keras.Input((4,))
    both = keras.Model(inputs, {"a": keras.layers.Dense(2)(inputs), "b": inputs * 2})
    stream = SHUFFLED.map(lambda x, y: (x, {"a": y, "b": y}))
    assert kmagic.predict(both, stream)["b"].shape == (60, 4)
    assert kmagic.predict(both, stream.repeat(), steps=2)["b"].shape == (14, 4)


# --- sparse matrices ------------------------------------------------------------------------------


def sparse_forms():
    import scipy.sparse

    dense = RNG.random((40, 12)).astype("float32") * (RNG.random((40, 12)) < 0.3)
    names = ("csr", "csc", "coo", "lil", "dok", "bsr")
    forms = {f"{name}_{kind}": getattr(scipy.sparse, f"{name}_{kind}")(dense)
             for name in names for kind in ("matrix", "array")}  # fmt: skip
    unsorted = scipy.sparse.csr_matrix(dense)
    unsorted.indices = unsorted.indices.copy()
    for start, stop in zip(unsorted.indptr[:-1], unsorted.indptr[1:], strict=True):
        unsorted.indices[start:stop] = unsorted.indices[start:stop][::-1]
        unsorted.data[start:stop] = unsorted.data[start:stop][::-1]
    unsorted.has_sorted_indices = False
    return dense, forms | {"unsorted": unsorted, "tensor": tf.sparse.from_dense(dense)}


DENSE, SPARSE = sparse_forms()


@pytest.fixture(scope="module")
def net():
    net = kmagic.build("input 12 / dense 2 softmax")
    net.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


@pytest.mark.parametrize("form", list(SPARSE))
def test_sparse_inputs_give_what_dense_ones_give(net, form):
    x, y = SPARSE[form], np.arange(40) % 2
    expected = net.predict(DENSE, verbose=0)
    np.testing.assert_allclose(kmagic.predict(net, x), expected, atol=1e-6)
    assert kmagic.confusion_of(net, x, y).matrix.tolist() == (
        kmagic.confusion_of(net, DENSE, y).matrix.tolist()
    )
    assert kmagic.evaluate(net, x, y) == pytest.approx(kmagic.evaluate(net, DENSE, y), abs=1e-6)


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_matrix", "tensor", "unsorted"])
def test_sparse_inputs_are_trained_on_and_validated(form):
    y = np.arange(40) % 2
    histories = []
    for x in (SPARSE[form], DENSE):
        net = kmagic.build("input 12 / dense 2 softmax kernel_initializer=zeros")
        net.compile("sgd", "sparse_categorical_crossentropy")
        run = kmagic.fit(
            net, x, y, validation_data=(x, y), watch="confusion", shuffle=False, displays=[]
        )
        histories.append(run.history)
        assert run.confusion.matrix.sum() == 40
    assert histories[0] == {k: pytest.approx(v, abs=1e-5) for k, v in histories[1].items()}


def test_sparse_labels_are_dense_ones(net):
    from scipy.sparse import csr_matrix

    one_hot = csr_matrix(np.eye(2)[np.arange(40) % 2])
    assert kmagic.confusion_of(net, DENSE, one_hot).samples == 40


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (tf.ragged.constant([[1.0], [2.0, 3.0]]), r"got \(\?,\).\s+Fill .* x.to_tensor\(\)"),
        (keras.Input((12,)), "symbolic tensor, .* has no values"),
        ((number for number in range(3)), r"must yield batches of samples; got array\(0\)"),
        ((np.zeros((2, 9)) for _ in range(2)), r"expects samples of shape \(12,\); got \(9,\)"),
        (tf.data.Dataset.from_tensor_slices(np.zeros((4, 9))).batch(2), r"\(12,\); got \(9,\)"),
    ],
)
def test_what_has_no_samples_of_the_models_shape_is_refused(net, x, message):
    with pytest.raises(KmagicError, match=message):
        kmagic.predict(net, x)


@pytest.mark.parametrize("option", ["sample_weight", "samples"])
def test_nothing_of_another_pass_stands_beside_a_stream(model, option):
    values = np.ones(60)
    with pytest.raises(EvaluationError, match=f"{option}= must be left out: x is a tf.data"):
        kmagic.confusion_of(model, SHUFFLED, **{option: values})
    assert kmagic.confusion_of(model, X, Y, **{option: values}).accuracy == 1
    if option == "sample_weight":
        with pytest.raises(EvaluationError, match="sample_weight= must be left out"):
            kmagic.evaluate(model, SHUFFLED, sample_weight=values)


def test_labels_of_another_pass_do_not_belong_to_predictions(model):
    collected = np.concatenate([y for _, y in SHUFFLED])
    for predict in (kmagic.predict, kmagic.predict_classes):
        predictions = predict(model, SHUFFLED)
        with pytest.raises(EvaluationError, match="another order than the predictions"):
            kmagic.confusion(collected, predictions)
        own = predictions.info.y_true
        assert kmagic.confusion(own, predictions).accuracy == 1
        kmagic.confusion(collected, predictions.array)  # nothing is known about a plain array
        kmagic.confusion(own // 2, kmagic.predict(model, SHUFFLED)[:, ::2])  # labels of one's own


def test_labels_by_the_name_of_the_output_and_texts(model):
    by_name = SHUFFLED.map(lambda x, y: (x, {"out": y}))
    assert kmagic.confusion_of(model, by_name).accuracy == 1
    names = SHUFFLED.map(lambda x, y: (x, tf.gather(tf.constant(list("abcd")), y)))
    matrix = kmagic.confusion_of(model, names, class_names=list("abcd"))
    assert (matrix.accuracy, matrix.classes) == (1, tuple("abcd"))


def test_single_samples_and_lists_of_batches_have_a_remedy(model):
    with pytest.raises(EvaluationError, match=r"yields single samples.*\n\n.*batch\(32\)"):
        kmagic.confusion_of(model, SHUFFLED.unbatch())
    batches = list(SHUFFLED.as_numpy_iterator())
    with pytest.raises(EvaluationError, match=r"list of pairs.*\n\n.*iter\(x\)"):
        kmagic.confusion_of(model, batches)
    assert kmagic.confusion_of(model, iter(batches)).accuracy == 1


def test_sparse_batches_of_a_generator(model):
    from scipy.sparse import csr_matrix

    def batches():
        return ((csr_matrix(X[k : k + 20]), Y[k : k + 20]) for k in (0, 20, 40))

    assert kmagic.evaluate(model, batches())["accuracy"] == 1
    assert kmagic.confusion_of(model, batches()).accuracy == 1
