"""A run that was stopped or killed goes on as if there had been no break."""

import inspect
import json
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from kmagic.data.dataset import Dataset
from kmagic.support.errors import TrainingError

from ..fitting import RecordingDisplay, fit

ROWS, BATCH = 48, 16
HOW = {"batch_size": BATCH, "shuffle": False, "validation_split": 1 / 3}


def make():
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 4, 0.5)
    net.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    return net


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 4)).astype("float32"), rng.integers(0, 3, ROWS)


@pytest.fixture(scope="module")
def whole(data):
    """Four epochs without a break."""
    net = make()
    return fit(net, *data, epochs=4, **HOW), net.get_weights()


def same(weights, others):
    return all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


class StopAfter(RecordingDisplay):
    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def epoch(self, run):
        super().epoch(run)
        if len(run.log) == self.last:
            run.stop()


def test_a_stopped_run_is_continued(data, whole):
    net = make()
    first = fit(net, *data, epochs=4, displays=[StopAfter(2)], **HOW)
    assert (first.status, len(first.log)) == ("stopped", 2)
    display = RecordingDisplay()
    run = fit(net, *data, epochs=4, resume=True, displays=[display], **HOW)
    expected, weights = whole
    assert run.history == expected.history
    assert run.learning_rates == expected.learning_rates
    assert [each.number for each in run.log] == [1, 2, 3, 4]
    assert (run.status, run.resumed, run.progress) == ("done", 2, 1.0)
    assert same(net.get_weights(), weights)
    assert run.messages[0] == (0, "Continued after epoch 2.")
    assert [told for told in display.calls if told[0] == "epoch"] == [
        ("epoch", "epoch 3 of 4, batch 2 of 2"),
        ("epoch", "epoch 4 of 4, batch 2 of 2"),
    ]
    assert run.describe(times=False).startswith("4 epochs (2 from an earlier run);")
    assert "(2 from an earlier run)" in run.describe()


def test_a_given_run_is_continued_and_changed_data_is_reported(data):
    x, y = data
    net = make()
    first = fit(net, x, y, epochs=1, **HOW)
    fit(net, x, y, epochs=1, **HOW)
    run = fit(net, x + 1, y, epochs=2, resume=first, **HOW)
    assert len(run.log) == 2
    assert any("differs from that of the earlier epochs" in text for _, text in run.messages)


def test_without_an_earlier_run_resume_is_rejected(data):
    with pytest.raises(TrainingError, match="no earlier run"):
        fit(make(), *data, resume=True)


def test_a_finished_run_has_nothing_left_to_train(data):
    net = make()
    fit(net, *data, epochs=2, **HOW)
    weights = net.get_weights()
    run = fit(net, *data, epochs=2, resume=True, **HOW)
    assert (run.status, len(run.log)) == ("done", 2)
    assert "already" in run.messages[0].text
    assert same(net.get_weights(), weights)


def test_a_checkpoint_of_another_run_is_moved_and_not_lost(data, tmp_path):
    folder = tmp_path / "run"
    fit(make(), *data, epochs=2, checkpoint=folder, **HOW)
    run = fit(make(), *data, epochs=1, checkpoint=folder, **HOW)
    assert "Moved" in run.messages[0].text
    assert len(json.loads((folder / "before" / "run.json").read_text())["log"]) == 2
    assert len(json.loads((folder / "run.json").read_text())["log"]) == 1
    assert (folder / "before" / "best.weights.h5").exists()


def test_a_checkpoint_of_another_model_is_rejected(data, tmp_path):
    fit(make(), *data, checkpoint=tmp_path, **HOW)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(3)])
    other.compile("adam", "mse")
    with pytest.raises(TrainingError, match="belongs to another model"):
        fit(other, *data, checkpoint=tmp_path, resume=True)


def test_epochs_after_the_saved_state_are_dropped(data, tmp_path, whole):
    fit(make(), *data, epochs=2, checkpoint=tmp_path, **HOW)
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    record["log"].append({**record["log"][-1], "number": 3})
    path.write_text(json.dumps(record))
    run = fit(make(), *data, epochs=4, checkpoint=tmp_path, resume=True, **HOW)
    assert run.history == whole[0].history


def test_resume_with_an_empty_checkpoint_starts_a_run(data, tmp_path, whole):
    run = fit(make(), *data, epochs=4, checkpoint=tmp_path / "new", resume=True, **HOW)
    assert (run.resumed, run.history) == (0, whole[0].history)


# --- what counts epochs, and the best of them -----------------------------------------------------

FLAT = [3.0, 2.0, 2.5, 2.5]
"""Losses: no progress for two epochs, the second is the best."""


class Losses(keras.callbacks.Callback):
    """Puts wished losses in the place of the real ones, and keeps each epoch's weights."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.weights = {}

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.losses[epoch]
        self.weights[epoch + 1] = self.model.get_weights()


def flat(rate=0.01):
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    net.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return net


def texts(run):
    return [text for _, text in run.messages]


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "checkpoint"])
def test_patience_continues_counting(data, tmp_path, kept):
    where = {"checkpoint": tmp_path / "run"} if kept else {}
    losses, net = Losses([*FLAT, 2.5, 2.5]), flat()
    fit(net, *data, epochs=4, patience=3, callbacks=losses, **where, **HOW)
    other = flat() if kept else net
    run = fit(other, *data, epochs=9, patience=3, callbacks=losses, resume=True, **where, **HOW)
    assert len(run.log) == 5
    assert texts(run)[-1] == "Stopped early: val_loss did not improve for 3 epochs."


def test_used_up_patience_starts_again(data):
    losses, net = Losses([*FLAT, *[2.5] * 9]), flat()
    first = fit(net, *data, epochs=9, patience=2, callbacks=losses, **HOW)
    second = fit(net, *data, epochs=9, patience=2, callbacks=losses, resume=True, **HOW)
    assert (len(first.log), len(second.log)) == (4, 6)


def test_reduce_lr_continues_counting(data):
    losses, net = Losses([*FLAT, 2.5, 2.5, 2.5, 2.5]), flat(1.0)
    fit(net, *data, epochs=4, reduce_lr=3, callbacks=losses, **HOW)
    run = fit(net, *data, epochs=8, reduce_lr=3, callbacks=losses, resume=True, **HOW)
    assert run.learning_rates == pytest.approx([1.0] * 5 + [0.1] * 3)
    assert float(net.optimizer.learning_rate) == pytest.approx(0.01)
    whole, once = Losses(losses.losses), flat(1.0)
    assert fit(once, *data, epochs=8, reduce_lr=3, callbacks=whole, **HOW).learning_rates == \
        pytest.approx(run.learning_rates)  # fmt: skip


def test_a_lowered_learning_rate_resets_the_count(data):
    losses, net = Losses([*FLAT, 2.5, 2.5, 2.5]), flat(1.0)
    fit(net, *data, epochs=4, reduce_lr=2, callbacks=losses, **HOW)
    assert float(net.optimizer.learning_rate) == pytest.approx(0.1)
    run = fit(net, *data, epochs=7, reduce_lr=2, callbacks=losses, resume=True, **HOW)
    assert run.learning_rates == pytest.approx([1.0] * 4 + [0.1] * 2 + [0.01])


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "checkpoint"])
def test_the_best_epoch_may_be_an_earlier_one(data, tmp_path, kept):
    where = {"checkpoint": tmp_path / "run"} if kept else {}
    losses, net = Losses([*FLAT, 2.5, 2.5]), flat()
    fit(net, *data, epochs=4, restore_best=not kept, callbacks=losses, **where, **HOW)
    best = losses.weights[2]
    other = flat() if kept else net
    run = fit(
        other, *data, epochs=6, restore_best=True, callbacks=losses, resume=True, **where, **HOW
    )
    assert texts(run)[-1] == "Restored the weights of epoch 2."
    assert same(other.get_weights(), best)


def test_a_better_new_epoch_is_restored(data):
    losses, net = Losses([*FLAT, 1.0, 1.5]), flat()
    fit(net, *data, epochs=4, restore_best=True, callbacks=losses, **HOW)
    fit(net, *data, epochs=6, restore_best=True, callbacks=losses, resume=True, **HOW)
    assert same(net.get_weights(), losses.weights[5])


def test_unsaved_best_weights_are_reported(data):
    losses, net = Losses([*FLAT, 2.25, 2.5]), flat()
    fit(net, *data, epochs=4, callbacks=losses, **HOW)
    run = fit(net, *data, epochs=6, restore_best=True, callbacks=losses, resume=True, **HOW)
    assert any(
        text.startswith("The weights of epoch 2, the best so far, were not saved")
        for text in texts(run)
    )
    assert same(net.get_weights(), losses.weights[5])


CHILD = """
import os, signal
import keras, numpy as np
import kmagic

{make}

class Kill(keras.callbacks.Callback):
    epoch = 0
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

with np.load({data!r}) as file:
    kmagic.fit(
        make(), file["x"], file["y"], epochs=4, checkpoint={folder!r}, callbacks=Kill(),
        checks=False, displays=[], **{how!r},
    )
"""


def test_a_killed_process_loses_nothing(data, tmp_path, whole):
    np.savez(tmp_path / "data.npz", x=data[0], y=data[1])
    folder = tmp_path / "run"
    program = CHILD.format(
        make=inspect.getsource(make),
        data=str(tmp_path / "data.npz"),
        folder=str(folder),
        how=HOW,
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    net = make()
    run = fit(net, *data, epochs=4, checkpoint=folder, resume=True, **HOW)
    expected, weights = whole
    assert run.resumed == 2
    assert run.history == expected.history
    assert run.learning_rates == expected.learning_rates
    assert same(net.get_weights(), weights)


def test_a_checkpoint_keeps_the_matrix_of_each_epoch(data, tmp_path):
    named = Dataset("few", *data, data[0][:4], data[1][:4], ("a", "b", "c"))
    watched = {"watch": "confusion", **HOW}
    net = make()
    expected = fit(net, *data, epochs=4, **watched).confusion
    first = make()
    fit(first, *data, epochs=2, checkpoint=tmp_path, **watched)
    again = make()  # as in another process: what the first model has is not known to it
    done = fit(again, *data, epochs=2, checkpoint=tmp_path, resume=True, **HOW)
    assert (done.confusion.epoch, done.confusion.classes) == (2, ("a", "b", "c"))
    assert done.confusion.matrix.sum() == ROWS // 3
    run = fit(again, *data, epochs=4, checkpoint=tmp_path, resume=True, **watched)
    assert run.confusion.accuracy == expected.accuracy
    assert (run.confusion.matrix == expected.matrix).all()
    assert run.confusion.epoch == 4
    assert run.confusion.classes == named.classes


def test_a_matrix_after_the_saved_state_is_dropped():
    from kmagic.training.run.confusion_history import ConfusionHistory

    seen = ConfusionHistory(["a", "b"])
    for epoch in (1, 2, 3):
        seen.add(epoch, np.array([[epoch, 1], [0, 4]]))
    kept = json.loads(json.dumps(seen.to_dict()))
    whole, cut = (
        ConfusionHistory.from_dict(kept, last_epoch=3),
        ConfusionHistory.from_dict(kept, last_epoch=2),
    )
    assert whole.describe() == seen.describe()
    assert whole.accuracy == seen.accuracy
    assert (cut.matrix, cut.epoch) == (None, 0)
    assert cut.accuracy == {key: points[:2] for key, points in seen.accuracy.items()}


@pytest.mark.parametrize("key", ["confusion", "watched"])
@pytest.mark.parametrize("kept", [None, {}, {"classes": ["a"]}, [1], "odd"])
def test_a_record_without_a_matrix_is_read(data, tmp_path, kept, key):
    fit(make(), *data, epochs=1, checkpoint=tmp_path, **HOW)
    record = json.loads((tmp_path / "run.json").read_text())
    del record["confusion"]
    record[key] = kept
    (tmp_path / "run.json").write_text(json.dumps(record))
    run = fit(make(), *data, epochs=2, checkpoint=tmp_path, resume=True, **HOW)
    assert (run.resumed, run.confusion) == (1, None)
