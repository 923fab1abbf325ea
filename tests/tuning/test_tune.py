"""A search tries values, prunes, continues, repeats, and refuses what would mislead."""

import gc
import os
import signal
import threading

import keras
import numpy as np
import optuna
import pytest
import tensorflow as tf

import kmagic
from kmagic.language.search_space import Hyperparameter
from kmagic.support.errors import DSLError, KmagicError, TrainingError
from kmagic.support.model_registry import dataset_for
from kmagic.training.run.run_list import RunList
from kmagic.tuning import search_loop
from kmagic.tuning import tune as tune_module
from kmagic.tuning.trial_run import EpochReport, TrialOutcome

from .searching import END, TEXT, Calling, X, Y, tune


def rows(study):
    return [(dict(trial.params), trial.value, trial.seed) for trial in study.trials]


@pytest.fixture
def simulated(monkeypatch):
    """Trials whose metrics follow from their seeds, without a training."""

    def run(setup, task, report, *, is_aborted):
        rng = np.random.default_rng(task.seed)
        for value in rng.random(setup.options.epochs).tolist():
            if report(EpochReport({"loss": value, "val_loss": value}, 0.1)) != "continue":
                break
        return TrialOutcome(is_interrupted=is_aborted())

    monkeypatch.setattr(search_loop, "run_trial", run)


@pytest.fixture(scope="module")
def study():
    return tune(TEXT, X, Y, trials=12, repeat=2, batch_size="16|32")


# --- results --------------------------------------------------------------------------------------


def test_the_result_has_values_text_table_curves_and_importance(study):
    assert study.status == "done"
    assert study.note == ""
    assert {"complete"} <= {trial.status for trial in study.trials} <= {"complete", "pruned"}
    best = min(t.value for t in study.trials if t.status == "complete")
    assert study.best.value == best == study.optuna_study.best_value
    names = ["dense.units", "dense.activation", "adam.learning_rate", "batch_size"]
    assert list(study.best_values) == names
    assert f"dense {study.best_values['dense.units']} " in study.text()
    assert kmagic.build(study.text(3)).count_params()
    frame = study.to_frame()
    assert list(frame.columns[-5:]) == ["val_loss", "status", "epochs", "seconds", "seed"]
    assert len(frame) == 12
    assert set(study.curves(0)) == {"loss", "val_loss"}
    assert len(study.curves(0)["loss"]) == 2
    assert study.errors == {}
    assert sum(study.importance().values()) == pytest.approx(1)
    assert study.seconds_left == 0
    assert "12 trials" in repr(study)


def test_the_model_has_the_weights_of_its_best_epoch(study):
    x, y = X[120:], Y[120:]
    for trial in (study.best, study.ranking[4]):
        model = study.model(trial.number)
        assert model.evaluate(x, y, verbose=0) == pytest.approx(trial.value, rel=1e-5)
    unkept = study.ranking[5].number
    with pytest.raises(TrainingError, match=f"trial {unkept} are not kept; those of "):
        study.model(unkept)
    assert len(list(study.store.weights.iterdir())) == 5


def test_repeats_say_whether_the_best_trials_differ(study):
    assert len(study.repeats) == 2
    assert {len(values) for values in study.repeats.values()} == {3}
    assert len({value for values in study.repeats.values() for value in values}) == 6
    assert "over further seeds" in study.compare()
    number = next(iter(study.repeats))
    study.repeats = {number: [0.30, 0.32, 0.31], 99: [0.9, 0.91, 0.89]}
    assert f"Trial {number} is better" in study.compare()
    study.repeats = {number: [0.30, 0.52, 0.31], 99: [0.31, 0.51, 0.33]}
    assert "choose any of them" in study.compare()
    study.repeats = {number: [0.30, 0.32, 0.31]}
    assert "Standard deviation: 0.01" in study.compare()


def test_a_trial_is_the_training_that_fit_would_do(study):
    trial = study[2]
    keras.utils.set_random_seed(trial.seed)
    model = kmagic.build(study.text(2))
    options = {"batch_size": trial.params["batch_size"], "seed": trial.seed, "displays": []}
    run = kmagic.fit(model, X, Y, epochs=2, validation_split=0.25, checks=False, **options)
    assert run.history["val_loss"] == pytest.approx(trial.curves["val_loss"], rel=1e-5)


def test_a_search_leaves_only_its_trials_behind():
    runs = RunList()
    dense = keras.layers.Dense(1).name
    np.random.seed(5)  # noqa: NPY002 - the global state is meant
    tune(TEXT, X, Y, trials=2)
    drawn = np.random.random()  # noqa: NPY002 - as above
    np.random.seed(5)  # noqa: NPY002 - as above
    assert drawn == np.random.random()  # noqa: NPY002 - as above
    assert [run.trial.rpartition(", ")[2] for run in runs] == ["trial 0", "trial 1"]
    number = int(dense.rpartition("_")[2]) if "_" in dense else 0
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


def test_a_temporary_folder_is_removed_with_the_result(simulated):
    study = tune(TEXT, X, Y, trials=1)
    folder = study.store.folder
    assert folder.is_dir()
    del study
    gc.collect()
    assert not folder.exists()


# --- continuing -----------------------------------------------------------------------------------


def test_a_continued_study_has_the_trials_of_an_uninterrupted_one(tmp_path, simulated):
    whole = tune(TEXT, X, Y, trials=13)
    assert len(tune(TEXT, X, Y, trials=4, store=tmp_path).trials) == 4
    assert len(tune(TEXT, X, Y, trials=3, store=tmp_path).trials) == 4  # the total
    later = tune(TEXT, X, Y, trials=13, store=tmp_path, seed=None)
    assert rows(later) == rows(whole)
    again = tune(TEXT, X, Y, trials=13, store=tmp_path)
    assert rows(again) == rows(whole)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    )
    plain = optuna.load_study(study_name=None, storage=storage)
    assert plain.best_value == whole.best.value


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"text": TEXT.replace("2..16", "2..32")}, "Different: text, ranges"),
        ({"x": X + 1}, "Different: data"),
        ({"epochs": 3}, "Different: options"),
        ({"goal": "loss"}, "Different: goal"),
        ({"seed": 4}, "Different: seed"),
        ({"batch_size": "16|32"}, "Different: ranges"),
        ({"patience": 1}, "Different: options"),
    ],
)
def test_another_study_is_not_continued(tmp_path, change, named, simulated):
    given = {"text": TEXT, "x": X, "y": Y, "trials": 1, "store": tmp_path}

    def run(**options):
        options = given | options
        return tune(options.pop("text"), options.pop("x"), options.pop("y"), **options)

    run()
    with pytest.raises(TrainingError, match=named) as caught:
        run(**change)
    assert "fresh=True" in str(caught.value)
    if "seed" in change:
        assert len(run(**change, fresh=True).trials) == 1
        with pytest.raises(TrainingError, match=named):
            run()


def test_values_of_the_notebook_belong_to_the_text(tmp_path):
    text = f"input 4 / dense {{units}} relu|tanh / {END}"
    units = 3
    assert tune(text, X, Y, trials=1, store=tmp_path).model().layers[0].units == 3
    units = 4
    with pytest.raises(TrainingError, match="Different: variables of the text"):
        tune(text, X, Y, trials=1, store=tmp_path)
    assert units


def test_a_study_without_results_is_replaced(tmp_path):
    other = {"goal": "val_acc", "callbacks": keras.callbacks.Callback()}  # which may compute it
    with pytest.raises(TrainingError, match="no metric val_acc"):
        tune(TEXT, X, Y, trials=2, store=tmp_path, **other)
    assert tune(TEXT, X, Y, trials=2, store=tmp_path).status == "done"


def test_a_damaged_journal_and_a_foreign_study(tmp_path, simulated):
    tune(TEXT, X, Y, trials=2, store=tmp_path)
    journal = tmp_path / "journal.log"
    with journal.open("ab") as file:  # a process was killed while it wrote
        file.write(b'{"op_code":5,"work')
    assert len(tune(TEXT, X, Y, trials=3, store=tmp_path).trials) == 3
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    with pytest.raises(TrainingError, match="cannot be read"):
        tune(TEXT, X, Y, trials=3, store=tmp_path)
    assert len(tune(TEXT, X, Y, trials=1, store=tmp_path, fresh=True).trials) == 1
    journal.unlink()
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    optuna.create_study(storage=optuna.storages.JournalStorage(backend))
    with pytest.raises(TrainingError, match="kmagic did not make"):
        tune(TEXT, X, Y, trials=1, store=tmp_path)


# --- ending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["stop", "interrupt"])
def test_a_stop_ends_trials_after_their_epoch(stop, tmp_path):
    def end(study):
        if len(study.trials) == 3 and study.trials[2].epochs == 1 and not study.stopping:
            study.stop() if stop == "stop" else os.kill(os.getpid(), signal.SIGINT)

    view = Calling(end)
    handler = signal.getsignal(signal.SIGINT)
    study = tune(TEXT, X, Y, trials=9, epochs=3, displays=[view], store=tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    assert study.status == "stopped"
    assert [trial.status for trial in study.trials] == ["complete"] * 3
    assert study.trials[2].epochs < 3
    assert study.model(2).predict(X, verbose=0).shape == (160, 2)
    assert view.calls[0] == "start"
    assert view.calls[-1] == "end"
    assert len(tune(TEXT, X, Y, trials=4, epochs=3, store=tmp_path).trials) == 4


def test_a_second_stop_ends_at_once_and_the_trial_is_tried_again(tmp_path):
    class Stopping(keras.callbacks.Callback):
        def on_train_batch_end(self, *_, **__):
            if len(seen) and seen[-1].trials[-1].number == 1:
                seen[-1].stop()
                seen[-1].stop()

    seen = []
    options = {"callbacks": Stopping(), "store": tmp_path}
    study = tune(TEXT, X, Y, trials=3, displays=[Calling(seen.append)], **options)
    assert [trial.status for trial in study.trials] == ["complete", "interrupted", "waiting"]
    seen.clear()
    study = tune(TEXT, X, Y, trials=3, **options)
    statuses = [trial.status for trial in study.trials]
    assert statuses == ["complete", "interrupted", "complete", "complete"]
    assert study[2].params == study[1].params
    assert study[2].seed == study[1].seed


def test_a_time_limit_begins_no_trial(simulated):
    study = tune(TEXT, X, Y, trials=9, budget=0.0001)
    assert study.trials == []
    assert (study.status, study.note) == ("stopped", "time limit")
    with pytest.raises(TrainingError, match="no complete trial"):
        _ = study.best_values


# --- trials ---------------------------------------------------------------------------------------


def test_few_combinations_are_tried_once_each(simulated):
    study = tune("input 4 / dense 2|4 relu|tanh / " + END.replace("1e-3..1e-1~log", "0.01"), X, Y)
    assert len(study.trials) == 4
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 4
    assert study.status == "done"
    assert "all 4 combinations" in study.note


def test_a_bad_trial_is_pruned():
    text = "input 4 / dense 8 relu / dense 2 softmax / "
    text += "compile sgd(1e-9..1.0~log) loss=sparse_categorical_crossentropy"
    study = tune(text, X, Y, trials=10, epochs=4)
    pruned = [trial for trial in study.trials if trial.status == "pruned"]
    assert pruned
    assert all(1 < trial.epochs < 4 for trial in pruned)
    assert all(not (study.store.weights / f"trial-{t.number}.weights.h5").exists() for t in pruned)


class Failing(keras.callbacks.Callback):
    """Fails in every trial with tanh."""

    def on_train_begin(self, *_, **__):
        if self.model.layers[0].activation is keras.activations.tanh:
            raise RuntimeError("no tanh")


def test_a_trial_that_fails_costs_only_itself():
    text = f"input 4 / dense 2..16 relu|tanh|gelu / {END}"
    study = tune(text, X, Y, trials=6, callbacks=Failing(), seed=2)
    by_status = {trial.params["dense.activation"]: trial.status for trial in study.trials}
    assert by_status.pop("tanh") == "failed"
    assert by_status
    assert set(by_status.values()) <= {"complete", "pruned"}
    assert set(study.errors.values()) == {"RuntimeError: no tanh"}
    assert "failed" in repr(study)


def test_a_search_ends_if_its_first_trials_all_fail():
    with pytest.raises(TrainingError, match=r"first 3 trials failed\. Trial 0: RuntimeError: no"):
        tune(TEXT.replace("relu|tanh", "tanh"), X, Y, trials=9, callbacks=[Failing()])


def test_a_loss_that_becomes_nan_fails_and_is_never_the_best():
    text = "input 4 / dense 8 / dense 1 / compile sgd(1e-3|1e30) loss=mse"
    study = tune(text, X, Y, trials=2)
    status = {trial.params["sgd.learning_rate"]: trial.status for trial in study.trials}
    assert status == {1e-3: "complete", 1e30: "failed"}
    assert "nan" in next(iter(study.errors.values())) or "inf" in next(iter(study.errors.values()))
    assert study.best_values == {"sgd.learning_rate": 1e-3}


def test_layers_and_callbacks_of_the_notebook_are_new_for_each_trial():
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    before = backbone.get_weights()
    stopping = keras.callbacks.EarlyStopping(patience=1)
    text = "input 4 / {backbone} / dense 2..9 relu / dense 2 softmax / "
    text += "compile adam(0.1) loss=sparse_categorical_crossentropy"
    study = tune(text, X, Y, trials=2, callbacks=stopping)
    assert all(map(np.array_equal, before, backbone.get_weights()))
    loss = study.model().evaluate(X[120:], Y[120:], verbose=0)
    assert loss == pytest.approx(study.best.value, rel=1e-5)
    assert all(map(np.array_equal, before, backbone.get_weights()))


@pytest.mark.parametrize("batch_size", ["16|32", [16, 32], Hyperparameter("batch_size", (16, 32))])
def test_the_batch_size_is_varied(batch_size, simulated):
    text = "input 4 / dense 2 softmax / compile adam|sgd loss=sparse_categorical_crossentropy"
    study = tune(text, X, Y, trials=4, batch_size=batch_size)
    assert {trial.params["batch_size"] for trial in study.trials} == {16, 32}
    assert "batch_size" not in study.text()


def test_the_goal_may_be_any_metric_and_direction():
    text = TEXT + " metrics=accuracy"
    study = tune(text, X, Y, trials=3, goal="val_accuracy")
    assert study.is_maximized
    assert study.best.value == max(trial.value for trial in study.trials if trial.value)
    assert not tune(text, X, Y, trials=1, goal="loss", validation_split=0).is_maximized
    assert tune(text, X, Y, trials=1, goal="loss", direction="maximize").is_maximized


@pytest.mark.parametrize(
    ("goal", "is_maximized"),
    [
        *(("val_loss", False), ("val_auc", True), ("mae", False), ("val_digit_accuracy", True)),
        *(("val_digit_loss", False), ("val_acc", True), ("val_sparse_categorical_accuracy", True)),
    ],
)
def test_the_direction_of_a_metric_is_known(goal, is_maximized):
    assert tune_module._is_maximized(goal, None) is is_maximized


def test_data_sets_streams_and_weights():
    data = kmagic.Dataset("points", X[:120], Y[:120], X[120:], Y[120:], ("low", "high"))
    study = tune(TEXT, data, validation_split=0.0, validation_data=data, trials=1)
    assert dataset_for(study.model()) is data
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    options = {"validation_split": 0.0, "trials": 1}
    with pytest.raises(TrainingError, match="in_process=True"):
        tune(TEXT, stream, validation_data=stream, in_process=False, **options)
    assert tune(TEXT, stream, validation_data=stream, **options).best.value
    with pytest.raises(TrainingError, match="read again"):
        tune(TEXT, iter([(X, Y)]), validation_data=(X, Y), **options)
    weights = np.where(Y, 1.0, 0.0)
    one, other = (tune(TEXT, X, Y, trials=1, sample_weight=w) for w in (None, weights))
    assert one.best.value != other.best.value


# --- displays -------------------------------------------------------------------------------------


def test_a_display_that_fails_is_dropped(simulated):
    def fail(study):
        raise ValueError("broken view")

    view = Calling(fail)
    with pytest.warns(RuntimeWarning, match="broken view"):
        study = tune(TEXT, X, Y, trials=2, displays=[view])
    assert study.status == "done"
    assert view.calls == ["start", "update", "end"]


def test_displays_see_running_trials(simulated):
    seen = []

    def look(study):
        running = [trial for trial in study.trials if trial.status == "running"]
        seen.extend((trial.number, trial.epochs, trial.value) for trial in running)
        study.to_frame()

    tune(TEXT, X, Y, trials=2, displays=[Calling(look)])
    assert (1, 1) in [each[:2] for each in seen]
    assert all(value is not None for _, _, value in seen)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials= must be an integer of at least 1; got 0"),
        ({"epochs": "3"}, "epochs= must be an integer"),
        ({"workers": True}, "workers= must be an integer"),
        ({"repeat": -1}, "repeat= must be an integer of at least 0"),
        ({"budget": "soon"}, "budget= must be a duration"),
        ({"seed": -1}, "seed= must be an integer"),
        ({"validation_split": 0.0}, "goal='val_loss' needs validation data"),
        ({"goal": "val_quality"}, "whether larger values are better is not known"),
        ({"direction": "up"}, "direction= must be 'minimize' or 'maximize'"),
        ({"goal": "val_accuracy"}, "val_accuracy.*does not compute.*Available: loss, val_loss"),
        ({"batch_size": 0}, "batch_size= must be an integer"),
        ({"batch_size": "0|8"}, "batch_size= must be a positive integer"),
        ({"batch_size": "8|"}, "batch_size="),
        ({"batch_size": []}, "batch_size= must be a positive integer"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(KmagicError, match=f"(?s){message}"):
        tune(TEXT, X, Y, **({"trials": 1} | options))


def test_texts_are_checked_before_the_first_trial():
    with pytest.raises(TrainingError, match="no range"):
        tune("input 4 / dense 2 softmax / compile adam loss=mse", X, Y)
    text = "input 8x8x1\nconv2d 4 3|9\nflatten / dense 2 softmax\n"
    text += "compile adam loss=sparse_categorical_crossentropy"
    with pytest.raises(DSLError, match=r"(?s)line 2.*= 9"):
        tune(text, np.zeros((8, 8, 8, 1)), np.zeros(8))
    with pytest.raises(TrainingError):
        tune(TEXT, X[:, :3], Y)


def test_a_trial_that_does_not_exist_is_refused(study):
    with pytest.raises(TrainingError, match="from 0 to 11; got 12"):
        study.text(12)
    with pytest.raises(TrainingError, match="got 'best'"):
        study.model("best")
    with pytest.raises(TrainingError, match="needs 8 complete trials"):
        tune(TEXT, X, Y, trials=1).importance()


def test_callbacks_that_cannot_be_copied_are_refused():
    callback = Failing()
    callback.lock = threading.Lock()
    with pytest.raises(TrainingError, match="callbacks= cannot be copied for each trial"):
        tune(TEXT, X, Y, callbacks=callback)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(TrainingError, match=r"kmagic\[tune\]"):
        tune(TEXT, X, Y, trials=1)
