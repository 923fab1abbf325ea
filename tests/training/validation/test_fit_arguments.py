"""What Keras takes in silence or refuses without help, and data as users have them."""

from itertools import cycle

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kmagic
from kmagic.data.dataset import Dataset
from kmagic.support.errors import TrainingError
from kmagic.training.validation.fit_arguments import log_names

from ..fitting import fit

RNG = np.random.default_rng(0)
ROWS = 24
X, Y = RNG.normal(size=(ROWS, 4)).astype("float32"), RNG.integers(0, 3, ROWS)
PRICE = RNG.normal(size=ROWS)


def make():
    net = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")], name="net"
    )
    net.compile("sgd", "sparse_categorical_crossentropy")
    return net


def two(outputs):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(joined)
    price = keras.layers.Dense(1, name="price")(joined)
    net = keras.Model([a, b], {"kind": kind, "price": price} if outputs is dict else [kind, price])
    net.compile("sgd", {"kind": "sparse_categorical_crossentropy", "price": "mse"})
    return net


def stream(*parts):
    return tf.data.Dataset.from_tensor_slices(parts)


FRAME = pd.DataFrame({"a": X[:, 0], "b": range(ROWS), "c": X[:, 1] > 0, "d": X[:, 2]})


@pytest.mark.parametrize(
    ("arguments", "words", "remedy"),
    [
        ({"epochs": -1}, "epochs= must be an integer of at least 0; got -1.", ""),
        ({"epochs": 1.5}, "epochs= must be an integer of at least 0; got 1.5.", ""),
        ({"batch_size": 0}, "batch_size= must be an integer of at least 1; got 0.", ""),
        ({"batch_size": True}, "batch_size= must be an integer", ""),
        ({"validation_split": 1.5}, "must be a number from 0 to below 1; got 1.5.", ""),
        ({"validation_split": -0.1}, "must be a number from 0 to below 1", ""),
        ({"x": X[:0], "y": Y[:0]}, "x is empty", "at least one sample"),
        ({"x": []}, "x is empty", "at least one sample"),
        ({"x": [[1, 2], [3]], "y": [0, 1]}, "rows of x have different lengths", "pad_sequences"),
        ({"x": [(X, Y), (X, Y)], "y": None}, "x is a list of batches", "iter(x)"),
        ({"y": None}, "y, the targets, is missing", "Pass x and y"),
        ({"y": "price"}, "y must be targets; got 'price'", "one target per sample"),
        ({"x": FRAME.assign(c="x")}, "the column c contains text", "load_data"),
        ({"x": FRAME.assign(c="x", a="y")}, "the columns a, c contain text", "get_dummies"),
        ({"x": stream(X, Y), "y": None}, "single samples", "x.batch(32)"),
        (
            {"x": stream(X, Y).batch(8), "y": None, "validation_split": 0.1},
            "x is a stream of batches",
            "data.skip",
        ),
        ({"validation_data": (X,)}, "validation_data= has no targets", "a pair"),
        (
            {"validation_data": (X, Y, Y, Y)},
            "validation_data= must be a pair or a triple; got 4 parts",
            "a pair",
        ),
        ({"validation_data": ()}, "must be a pair or a triple; got 0 parts", "a pair"),
        ({"validation_data": []}, "must be a pair or a triple; got 0 parts", "a pair"),
        ({"x": None}, "x is missing", "one entry per sample"),
        ({"x": 3}, "x must be samples; got 3", "one entry per sample"),
        ({"x": keras.optimizers.Adam()}, "x must be", ""),
        ({"x": np.array(3.5)}, "x must be samples; got array(3.5)", "one entry per sample"),
        ({"x": np.int64(3)}, "x must be samples; got np.int64(3)", "one entry per sample"),
        ({"y": np.int64(3)}, "y must be targets; got np.int64(3)", "one target per sample"),
        ({"y": object()}, "y must be targets; got object", "one target per sample"),
        ({"y": 3}, "y must be targets; got 3", "one target per sample"),
        (
            {"resume": "kept"},
            "resume= must be a run, True or False; got 'kept'",
            "pass checkpoint= and resume=True",
        ),
        ({"csv": 3}, "csv= must be a path; got 3", ""),
        ({"validation_data": X}, "validation_data= has no targets", "a pair"),
        ({"validation_data": True}, "validation_data= must be data; got True", "a pair"),
        (
            {"validation_split": 0.99},
            "validation_split=0.99 leaves none of 24 samples for training",
            "such as 0.1",
        ),
        ({"callbacks": 3}, "callbacks= must be Keras callbacks; got 3", "TerminateOnNaN()"),
        (
            {"callbacks": [keras.callbacks.EarlyStopping(), "x"]},
            "must be Keras callbacks; got 'x'",
            "a list",
        ),
        (
            {"callbacks": keras.callbacks.EarlyStopping},
            "EarlyStopping is a class",
            "EarlyStopping()",
        ),
        (
            {"class_weight": [1, 2]},
            'class_weight= must be a dictionary or "balanced"; got [1, 2]',
            "dict(enumerate(weights))",
        ),
        (
            {"class_weight": {"a": 2.0}},
            "class_weight=: keys must be class indices; got 'a'",
            "Example: {0: 1.0",
        ),
        ({"class_weight": {0: "x"}}, "got 'x' for class 0", "Example: {0: 1.0"),
        ({"class_weight": {0: np.nan}}, "got nan for class 0", "Example: {0: 1.0"),
        ({"class_weight": {0: 1.0}, "sample_weight": PRICE}, "are both given", "Multiply them"),
        ({"sample_weight": 3}, "sample_weight= must be an array of numbers; got 3", "per sample"),
        (
            {"sample_weight": ["a"] * ROWS},
            "sample_weight= must be an array of numbers; got 'a'",
            "per sample",
        ),
        ({"seed": 2**32}, "seed= must be at most 4,294,967,295", ""),
        (
            {"class_weight": "x"},
            "must be a dictionary or \"balanced\"; got 'x'",
            "Example: {0: 1.0",
        ),
        (
            {"y": ["a"] * ROWS, "class_weight": "balanced"},
            "needs class indices as y",
            "Example: {0: 1.0",
        ),
        ({"validation_data": object()}, "must be arrays or batches; got object", "a pair"),
        (
            {"y": 1 - np.eye(3)[Y], "class_weight": {0: 1.0}},
            "the 3 labels of a sample do not sum to 1",
            "numpy.where(y == 1, 2.5, 1.0).mean(axis=1), as sample_weight=.",
        ),
        ({"y": PRICE, "class_weight": {0: 1.0}}, "y contains fractions", "as sample_weight="),
        ({"y": {"a": Y, "b": Y}, "class_weight": {0: 1.0}}, "y has 2 parts", "sample_weight="),
        (
            {"y": np.zeros((ROWS, 5, 5), "uint8"), "class_weight": {0: 1.0}},
            "each has labels of shape 5 x 5",
            "Pass weights[y], with one weight per class",
        ),
        (
            {"y": np.zeros((ROWS, 5, 5, 1), "uint8"), "class_weight": {0: 1.0}},
            "each has labels of shape 5 x 5",
            "Pass weights[y[..., 0]], with",
        ),
        ({"sample_weight": np.ones((ROWS, 3))}, "has shape 3 per sample, but the loss has one", ""),
        ({"validation_steps": 3}, "validation_steps= needs validation data", "a pair"),
        ({"steps_per_epoch": 0}, "steps_per_epoch= must be an integer of at least 1", ""),
        ({"x": stream(X, Y).batch(8)}, "y must be left out: x is a tf.data.Dataset", "x alone"),
        (
            {"x": stream(X, Y).batch(8), "y": None, "sample_weight": PRICE},
            "sample_weight= must be left out",
            "third part of each batch",
        ),
        ({"x": stream(X).batch(8), "y": None}, "inputs without targets", "(x, y)"),
        ({"x": stream(X, Y, Y, Y).batch(8), "y": None}, "got 4 parts", "one part"),
        ({"x": stream(X, Y).batch(8).take(0), "y": None}, "x is empty: it yields no batch", ""),
        (
            {"x": stream(X, Y, PRICE).batch(8), "y": None, "class_weight": {0: 1.0}},
            "class_weight= and sample_weight= (the third part of each batch) are both given",
            "Multiply them",
        ),
        (
            {"x": FRAME.assign(c=pd.Timestamp("2020-01-01"))},
            "the column c contains dates",
            "Convert them",
        ),
    ],
)
def test_wrong_arguments_are_rejected_with_a_remedy(arguments, words, remedy):
    net = make()
    before = net.get_weights()
    with pytest.raises(TrainingError) as refused:
        fit(net, **{"x": X, "y": Y, **arguments})
    assert words in refused.value.message
    assert remedy.lower() in refused.value.remedy.lower()
    for mine, theirs in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"validation_data": (X, Y[:-1])}, "x of the validation data has 24 samples but y has 23"),
        ({"sample_weight": PRICE[:9]}, "x has 24 samples but sample_weight has 9"),
    ],
)
def test_parts_of_different_length_are_rejected(arguments, words):
    with pytest.raises(TrainingError, match=words):
        kmagic.fit(make(), X, Y, displays=[], **arguments)


def test_a_custom_loss_needs_no_targets():
    class Own(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, *_, **__):  # noqa: ARG002 - Keras's signature
            return keras.ops.mean(keras.ops.square(y_pred))

    net = Own([keras.Input((4,)), keras.layers.Dense(3)])
    net.compile("sgd", "mse")
    assert fit(net, X).status == "done"


@pytest.mark.parametrize(
    "frame", [FRAME, pd.DataFrame(X).astype(object), pd.DataFrame(X), FRAME[["a", "b", "d", "d"]]]
)
def test_frames_of_numbers_and_booleans_are_accepted(frame):
    assert (
        fit(make(), frame, pd.Series(Y), validation_data=(frame, pd.Series(Y))).pipeline == "fast"
    )


@pytest.mark.parametrize("outputs", [list, dict])
@pytest.mark.parametrize("targets", [list, dict])
@pytest.mark.parametrize("weights", ["list", "dict", "one"])
def test_weights_of_several_outputs_by_order_or_by_name(outputs, targets, weights):
    y = [Y, PRICE] if targets is list else {"price": PRICE, "kind": Y}
    none, full = np.zeros(ROWS), np.ones(ROWS)
    w = {"list": [none, full], "dict": {"price": full, "kind": none}, "one": none}[weights]
    run = fit(two(outputs), {"a": X, "b": X}, y, sample_weight=w, validation_data=([X, X], y, w))
    for held in ("", "val_"):
        assert run.history[f"{held}kind_loss"] == [0.0]
        assert (run.history[f"{held}price_loss"][0] > 0) == (weights != "one")


def test_streams_with_validation_and_several_outputs():
    data = stream({"a": X, "b": X}, {"kind": Y, "price": PRICE.astype("float32")}).batch(8)
    run = fit(two(list), data, validation_data=data)
    assert {"val_kind_loss", "val_price_loss"} <= set(run.history)
    assert run.pipeline == "fast"


def test_sentences_reach_a_model_that_reads_them():
    sentences = ["a good film", "a bad film"] * 12
    labels = np.array([1, 0] * 12)
    read = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=5)
    read.adapt(sentences)
    layers = [read, keras.layers.Embedding(20, 4), keras.layers.GlobalAveragePooling1D()]
    net = keras.Sequential(
        [keras.Input((1,), dtype="string"), *layers, keras.layers.Dense(1, activation="sigmoid")]
    )
    net.compile("adam", "binary_crossentropy")
    for x, how in (
        (sentences, {"validation_split": 0.25}),
        (pd.Series(sentences), {"validation_data": (np.array(sentences), labels)}),
        (
            stream(sentences, labels).batch(8),
            {"validation_data": stream(sentences, labels).batch(8)},
        ),
    ):
        y = None if hasattr(x, "element_spec") else labels
        run = kmagic.fit(net, x, y, displays=[], watch="confusion", **how)
        assert run.status == "done"
        assert run.confusion.matrix.sum() == (6 if "validation_split" in how else 24)


def test_a_dataset_is_used_in_its_parts():
    data = Dataset("few", X[:16].copy(), Y[:16].copy(), X[16:], Y[16:], ("a", "b", "c"))
    run = kmagic.fit(make(), data, validation_data=data, displays=[])
    assert (run.samples, run.validation_samples, run.pipeline) == (16, 8, "fast")


def test_unknown_arguments_and_models_are_rejected():
    with pytest.raises(TrainingError, match="has no argument epoch") as refused:
        kmagic.fit(make(), X, Y, epoch=3)
    assert refused.value.remedy == "Did you mean epochs?"
    with pytest.raises(TrainingError, match="has no argument val") as refused:
        kmagic.fit(make(), X, Y, val=0.1)
    assert refused.value.remedy.startswith("Did you mean validation_split or validation_data or")
    with pytest.raises(TrainingError, match="has no argument zzz") as refused:
        kmagic.fit(make(), X, Y, zzz=0.1)
    assert refused.value.remedy == ""
    with pytest.raises(TrainingError, match="expects a Keras model; got 'net'"):
        kmagic.fit("net", X, Y)
    with pytest.raises(TrainingError, match="expects a Keras model; got int"):
        kmagic.fit(3, X, Y)


def test_a_csv_file_is_continued_in_its_own_columns(tmp_path):
    net, file = make(), tmp_path / "log.csv"
    kmagic.fit(net, X, Y, epochs=2, csv=file, reduce_lr=2, validation_split=0.5, displays=[])
    kmagic.fit(net, X, Y, epochs=3, csv=file, resume=True, reduce_lr=False, displays=[])
    frame = pd.read_csv(file)
    assert frame["epoch"].tolist() == [0, 1, 2]
    assert frame["learning_rate"].isna().tolist() == [False, False, True]
    assert frame[["loss", "val_loss"]].notna().all(axis=None)
    kmagic.fit(net, X, Y, csv=file, displays=[])  # a new run, and a new file
    assert len(pd.read_csv(file)) == 1


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({0: 1.0, 1: 2.0}, ["class_weight does not name class 2. A class"]),
        ({1: 2.0}, ["class_weight does not name classes 0, 2. A class"]),
        ({0: 1, 1: 1, 2: 1, 7: 2}, ["class_weight has 7, but y has 0, 1, 2. A class"]),
        ({0: -1, 1: 1, 2: 1}, ["The model learns to be wrong for class 0: its class_weight is"]),
        ({0: 1, 1: 1, np.int64(2): 1}, []),
    ],
)
def test_class_weights_that_do_not_match_the_labels_give_advice(weights, words):
    for y in (Y, np.eye(3)[Y].argmax(axis=1)[:, None]):
        run = kmagic.fit(make(), X, y, class_weight=weights, displays=[])
        told = [each.text[: len(said)] for each, said in zip(run.messages, words, strict=True)]
        assert told == words
    assert kmagic.fit(make(), X, Y, class_weight=weights, displays=[], checks=False).messages == []


class Breaks(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_begin(self, epoch, logs=None):
        del logs
        if epoch == 2:
            raise self.error


def test_after_an_error_in_user_code_the_run_can_be_resumed():
    net = make()
    with pytest.raises(ZeroDivisionError):
        kmagic.fit(net, X, Y, epochs=5, displays=[], callbacks=Breaks(ZeroDivisionError("mine")))
    run = kmagic.fit(net, X, Y, epochs=5, displays=[], resume=True, callbacks=[])
    assert (run.resumed, len(run.log)) == (2, 5)
    with pytest.raises(FileNotFoundError):  # it is not ours, and keeps its trace
        kmagic.fit(net, X, Y, epochs=5, displays=[], callbacks=Breaks(FileNotFoundError("mine")))


def test_the_magic_keeps_the_record_of_a_failed_run(shell):
    shell.user_ns |= {"net": make(), "x": X, "y": Y, "mine": Breaks(ZeroDivisionError("mine"))}
    line = "net x y -e 4 -q -o broken"
    with pytest.raises(ZeroDivisionError):
        shell.run_line_magic("keras_fit", f"{line} --callbacks mine")
    broken = shell.user_ns["broken"]
    assert (broken.status, len(broken.log), broken.note) == ("failed", 2, "mine")
    shell.user_ns["nothing"] = []
    shell.run_line_magic("keras_fit", "net x y --resume --callbacks nothing -q -o on")
    assert (shell.user_ns["on"].resumed, len(shell.user_ns["on"].log)) == (2, 4)
    runs = shell.run_line_magic("keras_history", "-q")
    assert [run.status for run in runs.runs.values()] == ["failed", "done"]
    with pytest.raises(TrainingError):
        shell.run_line_magic("keras_fit", "net x {y[:3]} -q -o none")
    assert "none" not in shell.user_ns
    assert len(shell.run_line_magic("keras_history", "-q").runs) == 2


@pytest.mark.parametrize("option", ["tensorboard", "checkpoint"])
def test_a_folder_that_cannot_be_created_is_reported(tmp_path, option, monkeypatch):
    def refuses(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuses)
    with pytest.raises(
        TrainingError, match=f"{option}=: cannot create the folder .* Permission denied"
    ):
        fit(make(), X, Y, **{option: tmp_path / "new"})


def test_a_path_without_write_permission_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(TrainingError, match="no write permission"):
        fit(make(), X, Y, csv=tmp_path / "log.csv")
    with pytest.raises(TrainingError, match="no write permission"):
        fit(make(), X, Y, checkpoint=tmp_path / "a" / "b")


# --- streams without a known end ----------------------------------------------------------------


def endless():
    while True:
        yield X[:8], Y[:8]


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        del index
        return X[:8], Y[:8]


class WithoutLength(keras.utils.PyDataset):
    __getitem__ = Endless.__getitem__


STREAMS = [stream(X, Y).batch(8).repeat, endless, Endless, lambda: cycle([(X, Y)])]


@pytest.mark.parametrize("create", STREAMS)
def test_data_without_a_known_end_needs_the_number_of_batches(create):
    net = make()
    with pytest.raises(TrainingError, match=r"x (never ends|is a generator that)") as refused:
        fit(net, create())
    assert "steps_per_epoch=100" in refused.value.remedy
    with pytest.raises(
        TrainingError, match=r"validation_data= (never ends|is a generator)"
    ) as refused:
        fit(net, X, Y, validation_data=create())
    assert "validation_steps=100" in refused.value.remedy
    run = fit(net, create(), steps_per_epoch=2, validation_data=create(), validation_steps=1)
    assert (run.status, run.steps, len(run.history["val_loss"])) == ("done", 2, 1)


def test_a_dataset_of_unknown_length_is_trained_and_reported():
    def batches():
        yield from [(X[:8], Y[:8])] * 300

    signature = (tf.TensorSpec((None, X.shape[1])), tf.TensorSpec((None,)))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(1)
    note = "does not state its number of batches"
    run = fit(make(), dataset)
    assert run.steps == 300
    assert [message.text[:38] for message in run.messages if note in message.text]
    assert "validation_data" in str(fit(make(), X, Y, validation_data=dataset).messages)
    known = dataset.take(3).apply(tf.data.experimental.assert_cardinality(3))
    for quiet in (fit(make(), dataset, steps_per_epoch=3), fit(make(), known)):
        assert quiet.steps == 3
        assert note not in str(quiet.messages)


def test_a_pydataset_without_a_length_needs_one():
    with pytest.raises(TrainingError, match="x is a WithoutLength without a length") as refused:
        fit(make(), WithoutLength())
    assert "__len__" in refused.value.remedy


def test_a_generator_that_ends_trains_all_epochs_on_all_batches():
    def batches():
        return ((X[i : i + 8], Y[i : i + 8]) for i in range(0, ROWS, 8))

    arrays, generated = make(), make()
    generated.set_weights(arrays.get_weights())
    how = {"epochs": 3, "batch_size": 8, "shuffle": False}
    expected = fit(arrays, X, Y, validation_data=(X, Y), **how)
    run = fit(generated, batches(), validation_data=batches(), epochs=3)
    assert run.history["loss"] == pytest.approx(expected.history["loss"])
    assert run.history["val_loss"] == pytest.approx(expected.history["val_loss"], rel=1e-5)


def test_iterable_objects_that_keras_does_not_read_are_named():
    class Loader:
        def __iter__(self):
            return iter([(X, Y)])

    with pytest.raises(TrainingError, match="must be arrays or batches; got Loader") as refused:
        fit(make(), Loader())
    assert "iter(x)" in refused.value.remedy
    assert fit(make(), iter(Loader())).status == "done"


def test_class_weights_of_a_stream_need_not_name_all_classes():
    arrays, streamed = make(), make()
    streamed.set_weights(arrays.get_weights())
    how = {"class_weight": {0: 1, np.int64(1): 2.5}, "shuffle": False}
    expected = fit(arrays, X, Y, batch_size=8, **how)
    run = fit(streamed, stream(X, Y).batch(8), **how)
    assert run.history["loss"] == pytest.approx(expected.history["loss"])


def test_class_weights_by_name():
    data = kmagic.load_data((X, np.array(["cat", "dog", "owl"])[Y]))
    assert fit(make(), data, class_weight={"cat": 1.0, "owl": 2.0}).status == "done"
    with pytest.raises(TrainingError, match="must be classes of the data; got 'dogg'") as refused:
        fit(make(), data, class_weight={"dogg": 1.0})
    assert refused.value.remedy == "Did you mean dog?"


# --- monitors and names of losses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "words", "remedy"),
    [
        (keras.callbacks.EarlyStopping("val_acc"), "monitors 'val_acc'", "mean val_accuracy?"),
        (keras.callbacks.EarlyStopping("val_los"), "monitors 'val_los'", "mean val_loss?"),
        (
            keras.callbacks.ReduceLROnPlateau("f1"),
            "monitors 'f1'",
            "Available: loss, accuracy",
        ),
        (
            keras.callbacks.ModelCheckpoint("a.keras", "val_auc", save_best_only=True),
            "monitors 'val_auc'",
            "",
        ),
        (keras.callbacks.EarlyStopping("val_accuracy"), "", ""),
        (
            keras.callbacks.ModelCheckpoint("{epoch:02d}-{val_acc:.2f}.keras"),
            "file name of ModelCheckpoint contains 'val_acc'",
            "mean val_accuracy?",
        ),
        (keras.callbacks.ModelCheckpoint("{epoch:02d}-{val_loss:.2f}.keras"), "", ""),
        (keras.callbacks.ModelCheckpoint("a.keras", "val_auc"), "", ""),
    ],
)
def test_a_callback_must_monitor_what_is_computed(callback, words, remedy):
    net = make()
    net.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    how = {"callbacks": [callback], "validation_split": 0.5, "epochs": 0}
    if not words:
        fit(net, X, Y, **how)
        return
    with pytest.raises(TrainingError, match=words) as refused:
        fit(net, X, Y, **how)
    assert remedy in refused.value.remedy


def test_a_monitor_may_have_another_name_of_the_metric():
    net = make()
    net.compile("sgd", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    known = keras.callbacks.EarlyStopping("val_SparseCategoricalAccuracy")
    with pytest.raises(TrainingError) as refused:
        fit(net, X, Y, callbacks=known, validation_split=0.5)
    assert refused.value.remedy.startswith("Did you mean val_sparse_categorical_accuracy?")


def test_monitoring_validation_needs_validation_data():
    with pytest.raises(TrainingError, match="'val_loss', but there is no validation") as refused:
        fit(make(), X, Y, callbacks=keras.callbacks.EarlyStopping())
    assert "validation_split=0.1, or use 'loss'" in refused.value.remedy


def test_metrics_of_several_outputs_have_their_names():
    net = two(dict)
    net.compile(
        "sgd",
        {"kind": "sparse_categorical_crossentropy", "price": "mse"},
        metrics={"kind": ["accuracy"], "price": [keras.metrics.MeanAbsoluteError(name="error")]},
    )
    y = {"kind": Y, "price": PRICE}
    run = fit(net, {"a": X, "b": X}, y)
    assert set(run.history) == set(log_names(net))


@pytest.mark.parametrize(
    ("compiled", "words", "remedy"),
    [
        ({"loss": "msee"}, "no loss named 'msee'", "Did you mean mse?"),
        ({"loss": "categorical_crossentropi"}, "no loss named", "mean categorical_crossentropy?"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "no metric named 'acuracy'", "mean accuracy?"),
    ],
)
def test_unknown_names_of_losses_and_metrics(compiled, words, remedy):
    net = make()
    net.compile("sgd", **compiled)
    with pytest.raises(TrainingError, match=words) as refused:
        fit(net, X, Y)
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X.astype(object), Y.astype(object)),
        (pd.DataFrame(X).convert_dtypes(), pd.Series(Y).convert_dtypes()),
        (
            pd.DataFrame(X).convert_dtypes(dtype_backend="pyarrow"),
            pd.Series(Y).astype("int64[pyarrow]"),
        ),
        (pd.DataFrame(X), pd.Series(Y, dtype="category")),
    ],
)
def test_numbers_in_objects_and_nullable_columns_are_trained_on(x, y):
    plain, other = make(), make()
    other.set_weights(plain.get_weights())
    expected = fit(plain, X, Y, validation_data=(X, Y), shuffle=False)
    run = fit(other, x, y, validation_data=(x, y), shuffle=False)
    assert run.history == expected.history


def test_balanced_weights_are_those_of_the_training_part():
    y = np.array([0] * 12 + [1] * 4 + [2] * 8)
    losses = {"sparse_categorical_crossentropy": y, "categorical_crossentropy": np.eye(3)[y]}
    for loss, labels in losses.items():
        histories = []
        for weights in ("balanced", {0: 16 / 24, 1: 2.0}):
            keras.utils.set_random_seed(0)
            net = make()
            net.compile("sgd", loss)
            options = {"class_weight": weights, "validation_split": 8 / 24, "shuffle": False}
            histories.append(fit(net, X, labels, epochs=2, **options).history)
        assert histories[0] == histories[1]


def test_a_length_that_would_fill_the_memory_is_refused():
    class Long(keras.utils.PyDataset):
        def __len__(self):
            return 10**9

        def __getitem__(self, index):
            return X[index:], Y[index:]

    with pytest.raises(TrainingError, match="x has 1,000,000,000 batches; the limit is"):
        fit(make(), Long())
    with pytest.raises(TrainingError, match="validation_data= has 1,000,000,000 batches"):
        fit(make(), X, Y, validation_data=Long())
