"""The options of a fit: Keras's own callbacks, told of in the run, and refused with a caret."""

import contextlib
import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from IPython.utils.capture import capture_output

import kmagic
from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion
from kmagic.support.errors import KmagicError, TrainingError
from kmagic.training.callbacks.recording_callbacks import Budget, ConfusionCallback, StopTraining
from kmagic.training.fit_options import FitOptions
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import TrainingRun

from ..clocks import Clock
from ..shells import run_cell, value_of
from .fitting import fit

BATCH = 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = RNG.normal(size=(48, 1)).astype("float32")


def make(rate=0.01, *, dropout=False):
    layers = [keras.Input((4,)), keras.layers.Dense(1)]
    if dropout:
        layers.insert(1, keras.layers.Dropout(0.5))
    net = keras.Sequential(layers, name="net")
    net.compile(keras.optimizers.SGD(rate), "mse")
    return net


def texts(run):
    return [text for _, text in run.messages]


def test_patience_stops_early_and_reports_it():
    run = fit(make(0.0), X, Y, epochs=9, batch_size=BATCH, validation_split=0.25, patience=2)
    assert (run.status, run.note, len(run.log)) == ("done", "stopped early", 3)
    assert run.messages == [(3, "Stopped early: val_loss did not improve for 2 epochs.")]


def test_without_validation_patience_uses_the_loss_and_reports_it():
    run = fit(make(0.0), X, Y, epochs=9, shuffle=False, patience=1)
    first, second = run.messages
    said = "There is no validation data: patience uses the training loss."
    assert first == (0, said)
    assert "loss did not improve for 1 epoch." in second.text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"reduce_lr": True}, "reduce_lr uses"),
        ({"restore_best": True}, "restore_best uses"),
        (
            {"patience": 0, "reduce_lr": 2, "restore_best": True},
            "patience, reduce_lr and restore_best use",
        ),
        ({"reduce_lr": False}, ""),
        ({"seed": 1}, ""),
    ],
)
def test_options_that_use_the_training_loss_are_named(asked, words):
    said = FitOptions(**asked).monitor_note("loss")
    assert (words in said) if words else not said
    assert not FitOptions(**asked).monitor_note("val_loss")


class Jump(keras.callbacks.Callback):
    """Makes the weights bad after the first epoch, and knows what they were."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        if epoch == 0:
            self.good = self.model.get_weights()
        self.model.set_weights([each + 9 for each in self.good])


@pytest.mark.parametrize("asked", [True, False])
def test_restore_best_restores_the_best_weights(asked):
    jump, net = Jump(), make(1e-9)
    run = fit(net, X, Y, epochs=3, shuffle=False, callbacks=jump, restore_best=asked)
    # Keras's callback comes behind the user's, and so sees the weights after the jump.
    assert run.best.epoch == 1
    assert texts(run)[1:] == (["Restored the weights of epoch 1."] if asked else [])


def test_the_best_weights_are_those_of_the_best_epoch():
    net = make(0.5)  # too high a rate: it gets worse and worse
    kept = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kept.append(net.get_weights()))
    run = fit(net, X * 3, Y, epochs=4, callbacks=keep, restore_best=True)
    assert run.best.epoch < 4
    for mine, theirs in zip(net.get_weights(), kept[run.best.epoch - 1], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_reduce_lr_lowers_the_learning_rate_and_reports_it():
    run = fit(make(1e-9), X, Y, epochs=4, shuffle=False, reduce_lr=1)
    assert run.learning_rates[0] == 1e-9
    assert run.learning_rates[-1] < 1e-9
    assert texts(run)[1].startswith(
        "Lowered the learning rate to 1e-10: loss did not improve for 1 epoch"
    )


def test_csv_is_written_and_continued(tmp_path):
    net, file = make(), tmp_path / "log.csv"
    fit(net, X, Y, epochs=2, csv=file)
    fit(net, X, Y, epochs=3, csv=file, resume=True)
    with file.open() as lines:
        assert [row["epoch"] for row in csv.DictReader(lines)] == ["0", "1", "2"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_csv_is_closed_whatever_ends_the_training(tmp_path, monkeypatch, error):
    class Breaks(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            if epoch == 2:
                raise error

    file = tmp_path / "log.csv"
    loggers = []
    monkeypatch.setattr(
        keras.callbacks.CSVLogger, "on_epoch_begin", lambda self, *_: loggers.append(self)
    )
    with contextlib.suppress(ZeroDivisionError):
        assert fit(make(), X, Y, epochs=4, csv=file, callbacks=Breaks()).status == "interrupted"
    assert loggers[0].csv_file.closed
    with file.open() as lines:
        assert [row["epoch"] for row in csv.DictReader(lines)] == ["0", "1"]


def test_tensorboard_is_written(tmp_path):
    fit(make(), X, Y, tensorboard=tmp_path)
    assert list((tmp_path / "train").iterdir())


def test_without_tensorboard_nothing_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("kmagic.training.fit_options.find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="TensorBoard is not installed"):
        fit(make(), X, Y, tensorboard=tmp_path)


@pytest.mark.parametrize("plain", [False, True])
def test_a_seed_makes_a_run_repeatable(plain):
    def once():
        net = make(dropout=True)
        net.set_weights([np.ones((4, 1)), np.zeros(1)])
        return fit(net, X, Y, epochs=2, batch_size=BATCH, seed=3, plain=plain)

    first, second = once(), once()
    assert first.history == second.history
    assert first.seed == 3
    net = make(dropout=True)
    net.set_weights([np.ones((4, 1)), np.zeros(1)])
    assert fit(net, X, Y, epochs=2, batch_size=BATCH, seed=4).history != first.history


def test_a_budget_estimates_the_epochs_and_starts_none_that_does_not_fit():
    run, clock = TrainingRun("net", epochs=100, steps=10, samples=10, validation_samples=0), Clock()
    recorder = Recorder(run, clock=clock)
    budget = Budget(recorder, 35.0)
    budget.set_model(make())
    budget.model.stop_training = False
    recorder.begin(10)
    for epoch in range(100):
        recorder.begin_epoch(epoch + 1)
        for batch in range(10):
            clock.now += 1.0
            recorder.end_batches(batch + 1, {"loss": 1.0})
            budget.on_train_batch_end(batch)
        recorder.end_epoch({"loss": 1.0})
        budget.on_epoch_end(epoch)
        if budget.model.stop_training:
            break
    assert (len(run.log), clock.now) == (3, 30.0)
    assert run.messages[0] == (1, "About 3 of 100 epochs fit into 0:35.")
    assert "another epoch takes about 10.0 s, but only 5.0 s are left" in run.messages[1].text


def budget_of(seconds, *, samples=10, validation_samples=0, batch_size=1):
    run = TrainingRun("net", epochs=9, samples=samples, batch_size=batch_size)
    run.steps, run.validation_samples = -(-samples // batch_size), validation_samples
    clock = Clock()
    recorder = Recorder(run, clock=clock)
    recorder.begin(run.steps)
    recorder.begin_epoch(1)
    return Budget(recorder, seconds), recorder, clock


def test_a_budget_ends_a_first_epoch_that_is_longer():
    budget, recorder, clock = budget_of(6.5)
    for batch in range(7):
        clock.now += 1.0
        recorder.end_batches(batch + 1, {"loss": 1.0})
        with contextlib.nullcontext() if batch < 6 else pytest.raises(StopTraining):
            budget.on_train_batch_end(batch)
    assert budget.where == "after 7 of 10 batches of epoch 1"
    assert [text for _, text in recorder.run.messages] == [
        "The time limit of 0:06 is shorter than the first epoch.",
        "Reached the time limit of 0:06 after 7 of 10 batches of epoch 1.",
    ]


def test_a_budget_keeps_an_epoch_that_is_complete():
    budget, recorder, clock = budget_of(5.0)
    clock.now = 6.0
    recorder.end_batches(10, {"loss": 1.0})
    budget.on_train_batch_end(9)
    assert not budget.used_up


def test_a_budget_ends_a_validation_unless_it_is_complete():
    budget, recorder, clock = budget_of(5.0, validation_samples=7, batch_size=2)
    recorder.end_batches(5, {"loss": 1.0})
    clock.now = 6.0
    budget.on_test_batch_end(3)
    with pytest.raises(StopTraining):
        budget.on_test_batch_end(2)
    assert budget.where == "in the validation of epoch 1"


@pytest.mark.parametrize("options", [{}, {"plain": True}, {"validation_split": 0.5}])
def test_a_budget_shorter_than_tracing_ends_after_one_execution(options):
    run = fit(make(), X, Y, epochs=3, batch_size=BATCH, budget="0.001s", **options)
    assert (run.status, run.log, run.now.batch) == ("stopped", [], 1)
    assert run.note.startswith("time limit of 1 ms after 1 of ")
    assert "stopped in epoch 1 of 3 at" in run.describe()


def test_a_budget_ends_a_stream():
    endless = tf.data.Dataset.from_tensors((X, Y)).repeat()
    run = fit(make(), endless, epochs=3, steps_per_epoch=10**6, budget="0.001s")
    assert (run.status, run.now.batch) == ("stopped", 1)


def test_without_time_left_the_confusion_matrix_is_skipped():
    labels = np.arange(48) % 2
    confusion = ValidationConfusion(
        net := keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    )
    net.compile("sgd", "mse")
    run = TrainingRun("net")
    ConfusionCallback(run, confusion, (X, labels), time_limit=0.0).on_epoch_end(0)
    assert run.confusion is None
    ConfusionCallback(run, confusion, (X, labels), time_limit=60.0).on_epoch_end(0)
    assert run.confusion is not None


def test_the_best_epoch_is_saved_and_reported_once(tmp_path):
    run = fit(make(), X, Y, epochs=4, validation_split=0.25, checkpoint=tmp_path)
    (told,) = texts(run)
    assert told.startswith(f"Best so far: val_loss {run.best.value:.4f}; saved in {tmp_path}")
    net = make()
    net.load_weights(tmp_path / "best.weights.h5")


def test_the_record_contains_its_provenance():
    net = kmagic.build("input 4 / dense 1 / compile sgd loss=mse".replace(" / ", "\n"))
    run = kmagic.fit(net, X, Y, epochs=2, seed=1, patience=5, displays=[])
    assert run.text == "input 4\ndense 1\ncompile sgd loss=mse"
    assert run.options["patience"] == 5
    assert run.options["epochs"] == 2
    assert run.versions["keras"] == keras.__version__
    assert run.fingerprint.startswith("48x4 float32, 48x1 float32; ")
    changed = X.copy()
    changed[5, 2] += 1
    assert kmagic.fit(net, changed, Y, displays=[]).fingerprint != run.fingerprint
    assert kmagic.fit(make(), X, Y, displays=[]).text == f"model net\n{run.text}"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"patience": -1}, "patience= must be an integer"),
        ({"seed": 1.5}, "seed= must be an integer"),
        ({"budget": "soon"}, "budget= must be a duration"),
        ({"csv": "/nowhere/at/all.csv"}, "no such folder: /nowhere/at"),
        ({"checkpoint": __file__}, "must be a folder"),
        ({"checkpoint": "models/half.keras"}, "half.keras is the name of a model file"),
    ],
)
def test_a_wrong_value_is_rejected_before_training(option, words):
    net = make()
    before = net.get_weights()
    with pytest.raises(TrainingError, match=words):
        fit(net, X, Y, **option)
    np.testing.assert_array_equal(net.get_weights()[0], before[0])


def test_an_existing_folder_may_have_the_name_of_a_model_file(tmp_path):
    folder = tmp_path / "half.keras"  # as one from before it was refused
    folder.mkdir()
    assert fit(make(), X, Y, checkpoint=folder).status == "done"


def test_reduce_lr_rejects_a_learning_rate_schedule():
    net = make()
    net.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)), "mse")
    with pytest.raises(TrainingError, match="follows a schedule"):
        fit(net, X, Y, reduce_lr=True)


# --- the magic ------------------------------------------------------------------------------------


class Halt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, _logs=None):
        self.model.stop_training = epoch == 1


@pytest.fixture
def shell(shell):
    shell.user_ns |= {"X": X, "Y": Y, "net": make(), "halt": Halt()}
    return shell


def test_the_magic_accepts_all_options(shell, tmp_path):
    line = (
        "%keras_fit net X Y -e 3 --val 0.25 --seed 1 --patience 2 --reduce-lr --restore-best "
        f"--budget 2m --csv {tmp_path}/a.csv --checkpoint {tmp_path}/run --plain --no-checks -q"
    )
    run = value_of(shell, line)[0]
    assert run.options["reduce_lr"] == 5
    assert run.options["budget"] == 120.0
    assert run.pipeline == "plain: requested"
    assert run.seed == 1
    assert (tmp_path / "a.csv").exists()
    run = value_of(shell, "%keras_fit net X Y -e 5 --resume -q")[0]
    assert (run.resumed, len(run.log)) == (3, 5)


def test_a_resumed_run_has_its_original_number_of_epochs(shell):
    shell.user_ns["half"] = make()
    first = value_of(shell, "%keras_fit half X Y -e 4 --callbacks halt -q")[0]
    assert len(first.log) == 2
    run = value_of(shell, "%keras_fit half X Y --resume -q")[0]
    assert (run.resumed, len(run.log)) == (2, 4)
    assert len(value_of(shell, "%keras_fit half X Y -q")[0].log) == 1


def test_a_resumed_checkpoint_has_its_original_number_of_epochs(shell, tmp_path):
    shell.user_ns |= {"dead": make(), "alive": make()}
    kept = f"--checkpoint {tmp_path}/run -q"
    line = f"%keras_fit dead X Y -e 4 --callbacks halt {kept}"
    assert len(value_of(shell, line)[0].log) == 2
    run = value_of(shell, f"%keras_fit alive X Y --resume {kept}")[0]  # it has no run in memory
    assert (run.resumed, run.epochs, len(run.log)) == (2, 4, 4)
    run = value_of(shell, f"%keras_fit alive X Y -e 6 --resume {kept}")[0]
    assert (run.resumed, run.epochs, len(run.log)) == (4, 6, 6)
    for name in ("run.json", "run.previous.json"):
        (tmp_path / "run" / name).write_text("[]")
    error = run_cell(shell, f"%keras_fit alive X Y --resume {kept}")[0].error_in_exec
    assert "run.json is not the complete record of a run" in str(error)


@pytest.mark.parametrize(
    ("options", "marked", "words"),
    [
        ("--patience many", "many", "--patience must be a whole number"),
        ("--reduce-lr 0", "0", "at least 1"),
        ("--seed x1", "x1", "--seed must be a whole number"),
        ("--budget soon", "soon", "--budget must be a duration"),
        ("--csv /nowhere/a.csv", "/nowhere/a.csv", "--csv: no such folder: /nowhere"),
        ("--checkpoint {X}", "{X}", "--checkpoint must be a path"),
        ("--checkpoint models/half.keras", "models/half.keras", "is the name of a model file"),
        ("--resum", "--resum", "Did you mean --resume?"),
    ],
)
def test_a_wrong_option_is_marked(shell, options, marked, words):
    error = run_cell(shell, f"%keras_fit net X Y {options}")[0].error_in_exec
    assert isinstance(error, KmagicError)
    assert words in str(error)
    line, caret = str(error).splitlines()[1:3]
    assert line[caret.index("^") :][: len(marked)] == marked


def test_an_interrupt_before_training_ends_quietly(shell, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("kmagic.training.fit.review_data", interrupted)
        with capture_output() as output:
            result = shell.run_line_magic("keras_fit", "net X Y")
    assert (result, output.stdout) == (None, "Interrupted.\n")
    with capture_output():
        assert shell.run_line_magic("keras_fit", "net X Y -q").status == "done"


@pytest.mark.parametrize("plain", [False, True])
def test_a_fit_that_a_logger_wraps_gets_all_options(monkeypatch, plain):
    fit, calls = keras.Model.fit, []

    def logged(self, *args, **kwargs):  # hides the signature
        calls.append(kwargs)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", logged)
    run = kmagic.fit(make(), X, Y, epochs=3, plain=plain, displays=[])
    assert len(run.log) == 3
    assert [call["epochs"] for call in calls] == [3]
