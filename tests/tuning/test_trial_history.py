"""The trials of a search in the history of the notebook."""

from __future__ import annotations

from kmagic.training.run.run_history import previous_curves
from kmagic.training.run.training_run import TrainingRun
from kmagic.tuning.trial_history import trial_history, trial_runs

from ..display.tuning.studies import make_study


def make_ended(trials: int = 10):
    study = make_study(trials)
    study.store = type("Store", (), {"folder": "here"})()
    return study


def test_trials_are_runs_with_their_values():
    study = make_ended()
    runs = trial_runs(study)
    assert len(runs) == 10
    run, trial = runs[0], study.trials[0]
    assert run.variables.keys() == study.used_values(trial).keys()
    assert run.history["val_loss"] == trial.curves["val_loss"]
    assert run.text == study.text(0)
    assert [run.status for run in runs[-2:]] == ["stopped", "failed"]
    assert [run.note for run in runs[-2:]] == ["pruned", "ValueError: <b>no</b> in batch 9"]


def test_the_history_has_the_best_trial_last_and_values_as_columns():
    study = make_ended()
    history = trial_history(study)
    assert list(history.runs)[-1] == f"trial {study.best.number}"
    frame = history.to_frame()
    assert {"width", "optimizer"} <= set(frame.columns)
    assert len(frame) == 10


def test_trials_are_not_drawn_behind_a_later_run():
    study = make_ended()
    run = TrainingRun(study.name)
    assert previous_curves(run, trial_runs(study)) == []
