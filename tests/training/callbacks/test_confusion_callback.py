"""The confusion matrix that is watched while a model learns."""

import re
import xml.etree.ElementTree as ET

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from IPython.utils.capture import capture_output

import kmagic
from kmagic.data.dataset import Dataset
from kmagic.display.confusion.matrix_image import epoch_confusion_svg
from kmagic.display.training.run_displays import LogLines
from kmagic.display.training.training_card import training_bundle
from kmagic.display.training.widget_feed import WidgetFeed
from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion
from kmagic.support.errors import EvaluationError, MagicError, TrainingError
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.run_history import downsampled_curves
from kmagic.training.run.training_run import Epoch, TrainingRun

from ..fitting import RecordingDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype("float32")
Y = RNG.integers(0, 3, 90)
HELD = 30


def make(units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    net = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units, activation=activation)], name="net"
    )
    net.compile("sgd", loss)
    return net


def watch(net, x, y=None, **keywords):
    return kmagic.fit(net, x, y, watch="confusion", displays=[], batch_size=16, **keywords)


def counted(truth, predicted, classes=3):
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


@pytest.mark.parametrize("plain", [False, True])
def test_the_matrix_is_of_the_validation_split(plain):
    net = make()
    run = watch(net, X, Y, epochs=2, validation_split=1 / 3, plain=plain)
    predicted = net.predict(X[-HELD:], verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(run.confusion.matrix, counted(Y[-HELD:], predicted))
    assert run.pipeline == ("plain: requested" if plain else "fast")
    assert (run.confusion.epoch, run.options["watch"]) == (2, "confusion")
    assert run.confusion.classes == ("0", "1", "2")


def stream(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(7)


class Batches(keras.utils.PyDataset):
    """Batches by number, of which there may be more than are counted."""

    batches = 6

    @property
    def num_batches(self):
        return self.batches

    def __len__(self):
        return 6

    def __getitem__(self, number):
        here = slice(7 * number, min(7 * number + 7, 40))
        return X[here], Y[here]


def test_endless_validation_data_has_no_matrix():
    endless = Batches()
    endless.batches = None
    with pytest.raises(EvaluationError, match="are endless"):
        ValidationConfusion(make())(endless, lambda: False)


ONE_HOT = np.eye(3, dtype="float32")[Y]


@pytest.mark.parametrize(
    ("held", "loss"),
    [
        ((X[:40], Y[:40]), "sparse_categorical_crossentropy"),
        ((X[:40], Y[:40], np.ones(40)), "sparse_categorical_crossentropy"),
        ((X[:40], ONE_HOT[:40]), "categorical_crossentropy"),
        (stream(X[:40], Y[:40]), "sparse_categorical_crossentropy"),
        (Batches(), "sparse_categorical_crossentropy"),
        ((pd.DataFrame(X[:40]), pd.Series(Y[:40])), "sparse_categorical_crossentropy"),
        ((X[:40].tolist(), Y[:40].tolist()), "sparse_categorical_crossentropy"),
    ],
    ids=["pair", "triple", "one-hot", "stream", "batches", "pandas", "lists"],
)
def test_validation_data_of_every_kind(held, loss):
    net = make(loss=loss)
    run = watch(net, X, ONE_HOT if loss[0] == "c" else Y, validation_data=held)
    predicted = net.predict(X[:40], verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(run.confusion.matrix, counted(Y[:40], predicted))


@pytest.mark.parametrize("logits", [False, True])
def test_binary_classification_with_one_unit(logits):
    loss = keras.losses.BinaryCrossentropy(from_logits=logits)
    net = make(1, None if logits else "sigmoid", loss)
    run = watch(net, X, Y % 2, validation_split=1 / 3)
    answers = net.predict(X[-HELD:], verbose=0)[:, 0]
    truth = Y[-HELD:] % 2
    above = answers > (0 if logits else 0.5)
    np.testing.assert_array_equal(run.confusion.matrix, counted(truth, above.astype(int), 2))


def test_several_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    net = keras.Model([a, b], keras.layers.Dense(3, activation="softmax")(joined))
    net.compile("sgd", "sparse_categorical_crossentropy")
    run = watch(net, {"a": X, "b": -X}, Y, validation_split=1 / 3)
    answers = net.predict({"a": X[-HELD:], "b": -X[-HELD:]}, verbose=0)
    np.testing.assert_array_equal(run.confusion.matrix, counted(Y[-HELD:], answers.argmax(axis=1)))


def test_class_names_are_those_of_the_dataset():
    x = X.copy()  # what shares memory with a dataset is called as it is
    animals = Dataset("few", x[:60], Y[:60], x[60:], Y[60:], ("cat", "dog", "eel"))
    run = watch(make(), animals.x_train, animals.y_train, validation_split=1 / 3)
    assert run.confusion.classes == animals.classes
    assert ValidationConfusion(make(), ("a", "b")).classes == ("0", "1", "2")


# --- what cannot be watched -----------------------------------------------------------------------


def untouched(net, **keywords):
    """Fit what must be refused; returns the error, and holds that nothing was trained."""
    before = net.get_weights()
    with pytest.raises(TrainingError) as refused:
        watch(net, **keywords)
    for mine, theirs in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return str(refused.value)


def test_without_validation_the_remedy_is_named():
    assert "validation_split=0.1" in untouched(make(), x=X, y=Y)


@pytest.mark.parametrize("split", [{"validation_split": 0.3}, {"validation_data": (X, X[:, :1])}])
def test_continuous_targets_are_rejected(split):
    words = untouched(make(1, None, "mse"), x=X, y=X[:, :1], **split)
    assert "measured values" in words


def test_labels_beyond_the_classes_are_rejected():
    words = untouched(
        make(1, None, "mse"), x=X, y=Y * 7.0, validation_data=(X, Y * 7.0), checks=False
    )
    assert "range from 0 to 14, but net has 2 classes" in words


def test_several_labels_per_sample_are_rejected():
    several = np.ones((90, 3))
    words = untouched(
        make(3, "sigmoid", "binary_crossentropy"), x=X, y=several, validation_split=0.3
    )
    assert "use confusion_of" in words


def test_several_outputs_are_rejected():
    inputs = keras.Input((4,))
    net = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(2)(inputs)])
    net.compile("sgd", ["mse", "mse"])
    assert "2 outputs" in untouched(net, x=X, y=[ONE_HOT, ONE_HOT[:, :2]], validation_split=0.3)


def test_an_unknown_watch_value_is_rejected():
    with pytest.raises(TrainingError, match="watch= must be 'confusion' or None; got 'loss'"):
        kmagic.fit(make(), X, Y, watch="loss")


def test_an_unsuitable_stream_ends_the_matrix_but_not_the_training():
    net = make(1, None, "mse")
    run = watch(net, X, X[:, 0], epochs=2, validation_data=stream(X, X[:, 0]))
    assert (run.status, run.confusion, len(run.log)) == ("done", None, 2)
    assert [text for _, text in run.messages if "measured values" in text]


def test_a_stop_skips_the_matrix_and_keeps_the_epoch():
    class Stopping(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            display.run.stop()

    class Keeping(RecordingDisplay):
        def begin(self, run):
            self.run = run

    display = Keeping()
    run = kmagic.fit(
        make(), X, Y, epochs=3, validation_split=0.3, watch="confusion",
        displays=[display], callbacks=[Stopping()],
    )  # fmt: skip
    assert (run.status, len(run.log), run.confusion) == ("stopped", 1, None)


def test_an_interrupt_during_the_matrix_keeps_the_epoch(monkeypatch):
    def interrupted(self, held, stop):
        raise KeyboardInterrupt

    monkeypatch.setattr(ValidationConfusion, "__call__", interrupted)
    run = watch(make(), X, Y, epochs=3, validation_split=0.3)
    assert (run.status, len(run.log), run.confusion) == ("stopped", 1, None)


def test_a_resumed_run_continues_its_curves():
    net = make()
    first = watch(net, X, Y, epochs=2, validation_split=0.3)
    second = watch(net, X, Y, epochs=3, validation_split=0.3, resume=True)
    assert [at for at, _ in second.confusion.accuracy["0"]] == [1, 2, 3]
    assert [at for at, _ in first.confusion.accuracy["0"]] == [1, 2]


# --- the record and its pictures ------------------------------------------------------------------


def seen(classes, epoch=2):
    watched = ConfusionHistory([str(each) for each in range(classes)])
    matrix = RNG.integers(0, 5, (classes, classes))
    np.fill_diagonal(matrix, 30)
    watched.add(epoch, matrix)
    return watched


def ended(watched):
    run = TrainingRun("cnn", epochs=2)
    for number in (1, 2):
        run.add(Epoch(number, {"loss": 1 / number, "val_loss": 1 / number}, 1.0))
    run.status, run.confusion = "done", watched
    return run


def test_the_most_frequent_errors_as_text():
    watched = ConfusionHistory(["cat", "dog", "eel"])
    assert (watched.to_text(), watched.worst()) == ("", [])
    assert training_bundle(ended(watched))["text/html"].count("<img") == 1
    watched.add(1, np.diag([2, 3, 0]))
    assert (watched.to_text(), watched.worst()) == ("no errors", [])
    watched.add(2, np.array([[2, 0, 0], [1, 3, 4], [0, 0, 0]]))
    assert watched.to_text() == "most confused: dog taken for eel, 4 times"
    assert watched.worst() == [(1, 2, 4), (1, 0, 1)]
    assert watched.accuracy == {
        "cat": [(1, 1.0), (2, 1.0)],
        "dog": [(1, 1.0), (2, 0.375)],
        "eel": [],
    }
    assert watched.to_frame().loc["dog", "eel"] == 4


def test_it_is_bounded_in_epochs_and_classes():
    watched = ConfusionHistory(["a", "b"])
    for epoch in range(1, 2001):
        watched.add(epoch, np.array([[epoch, 1], [1, 1]]))
    assert len(watched.accuracy["a"]) < 200
    assert seen(101).accuracy == {}


def test_the_card_shows_it_as_text_and_as_an_image():
    made = training_bundle(ended(seen(10)))
    markup = made["text/html"]
    assert made["text/plain"].splitlines()[1].startswith("confusion after epoch 2: 300 of ")
    assert "confusion matrix, epoch 2" in markup
    assert re.search(
        r'alt="confusion after epoch 2: 300 of [\d,]+ correct; most confused: ', markup
    )


@pytest.mark.parametrize("classes", [2, 10, 20, 60, 1000])
def test_the_card_of_three_noisy_runs_before_stays_below_a_plot_s_size(classes):
    run = ended(seen(classes))
    run.log[:] = [
        Epoch(number, {f"{held}{name}": float(RNG.random()) for name in ("loss", "acc", "a", "b")
                       for held in ("", "val_")}, 1.0)
        for number in range(1, 500)
    ]  # fmt: skip
    run.earlier = [downsampled_curves(run)] * 3
    assert len(training_bundle(run)["text/html"].encode()) < 250_000


def test_the_image_is_valid_for_any_class_name():
    watched = ConfusionHistory(["<script>", 'a"b&c', "\u05d0\u05d1"])
    watched.add(1, np.array([[3, 1, 0], [0, 2, 2], [0, 0, 1]]))
    text, width, left = epoch_confusion_svg(watched)
    ET.fromstring(text)  # noqa: S314 - our own text
    assert 0 < left < width
    assert "<script>" not in text + training_bundle(ended(watched))["text/html"]


def test_errors_and_correct_predictions_differ_in_colour():
    watched = ConfusionHistory(["a", "b", "c"])
    watched.add(1, np.array([[9, 1, 0], [0, 9, 8], [0, 0, 9]]))
    paths = re.findall(
        r'<path stroke="(#\w+)" opacity="([\d.]+)" d="([^"]*)"', epoch_confusion_svg(watched)[0]
    )
    cells = {
        move: (colour, float(tone))
        for colour, tone, d in paths
        for move in re.findall(r"M(\d \d)", d)
    }
    assert len(cells) == 5
    assert len({cells[f"{k} {k}"] for k in range(3)}) == 1
    few, many, right = cells["1 0"], cells["2 1"], cells["0 0"]
    assert few[0] == many[0] != right[0]
    assert few[1] < many[1]


def test_the_live_view_gets_it_once_per_epoch_and_not_too_often():
    run = ended(None)
    feed = WidgetFeed(run)
    assert feed.snapshot()["confusion"] is None
    run.confusion = seen(3, epoch=1)
    told = feed.changes()["confusion"]
    assert (told["epoch"], len(told["counts"]), told["classes"]) == (1, 9, ["0", "1", "2"])
    assert "confusion" not in feed.changes()
    run.confusion.add(2, run.confusion.matrix)
    assert "confusion" not in feed.changes()  # within half a second
    run.now.elapsed = 0.6
    assert feed.changes()["confusion"]["epoch"] == 2
    assert feed.snapshot()["confusion"]["epoch"] == 2


def test_cells_of_many_classes_are_pooled():
    run = ended(seen(60))
    told = WidgetFeed(run).snapshot()["confusion"]
    assert (told["classes"], told["counts"]) == ([], [])
    assert len(told["svg"]) < 12_000


def test_in_text_it_is_one_line_per_epoch(capsys):
    kmagic.fit(
        make(), X, Y, epochs=2, validation_split=0.3, watch="confusion", displays=[LogLines()]
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines] == ["net: ", "epoch", "  mos", "epoch", "  mos", "net: "]


# --- the magic ------------------------------------------------------------------------------------


@pytest.fixture
def shell(shell, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    shell.user_ns |= {"net": make(), "X": X, "Y": Y}
    return shell


def test_the_magic_computes_the_matrix(shell):
    with capture_output() as said:
        shell.run_line_magic("keras_fit", "net X Y --val 0.3 --watch confusion -o run")
    assert shell.user_ns["run"].confusion.epoch == 1
    assert "most confused: " in said.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net X Y --watch confusion", "needs validation data"),
        ("net X Y --val 0.3 --watch loss", "--watch must be one of confusion"),
    ],
)
def test_the_magic_marks_a_wrong_option(shell, line, words):
    with pytest.raises(MagicError, match=words) as refused:
        shell.run_line_magic("keras_fit", line)
    assert "^" in str(refused.value)


def test_watching_does_not_change_the_states_of_a_stateful_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 5, 3)).astype("float32"), rng.integers(0, 2, 8)

    def losses(**options):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((5, 3), batch_size=4),
                keras.layers.LSTM(4, stateful=True),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        run = kmagic.fit(
            model, x, y, epochs=3, batch_size=4, shuffle=False, validation_data=(x, y), **options
        )
        return run.history

    assert losses(watch="confusion") == losses()
