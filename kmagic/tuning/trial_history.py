"""The trials of a search as training runs, for the history of a notebook."""

from __future__ import annotations

from kmagic.training.run.run_history import RunHistory
from kmagic.training.run.training_run import Epoch, Status, TrainingRun
from kmagic.tuning.study import BATCH_SIZE, Study, StudyTrial

_STATUS: dict[str, Status] = {"complete": "done", "pruned": "stopped", "failed": "failed"}


def trial_runs(study: Study) -> list[TrainingRun]:
    """A run for each trial that has ended; its varied values are its variables.

    Example:
        >>> import numpy, kmagic
        >>> x = numpy.random.default_rng(0).normal(size=(64, 3))
        >>> study = kmagic.tune(
        ...     "input 3 / dense 2|8 relu / dense 1 / compile adam loss=mse",
        ...     x, x.sum(axis=1), validation_split=0.25, trials=2, in_process=True, displays=[],
        ... )
        >>> sorted(run.variables["dense.units"] for run in trial_runs(study))
        [2, 8]
    """
    return [_run(study, trial) for trial in _ended(study)]


def trial_history(study: Study) -> RunHistory:
    """The trials of a search as a history, the best one last."""
    runs = {trial.number: run for trial, run in zip(_ended(study), trial_runs(study), strict=True)}
    order = [trial.number for trial in study.ranking]
    order += [number for number in runs if number not in order]
    return RunHistory({f"trial {number}": runs[number] for number in reversed(order)})


def _ended(study: Study) -> list[StudyTrial]:
    return [trial for trial in study.trials if trial.status in _STATUS]


def _run(study: Study, trial: StudyTrial) -> TrainingRun:
    values = study.used_values(trial)
    run = TrainingRun(
        study.name,
        epochs=max(trial.epochs, 1),
        status=_STATUS[trial.status],
        note=trial.error.strip().split("\n")[0] or trial.status * (trial.status == "pruned"),
        batch_size=values.get(BATCH_SIZE),
        seed=trial.seed,
        text=study.text_of(trial.params),
        variables={name: _as_in_text(value) for name, value in values.items()},
        trial=f"{study.store.folder}, trial {trial.number}",
    )
    run.now.epoch = trial.epochs
    seconds = (trial.seconds or 0.0) / max(trial.epochs, 1)
    for epoch in range(trial.epochs):
        logs = {name: curve[epoch] for name, curve in trial.curves.items() if epoch < len(curve)}
        run.add(Epoch(epoch + 1, logs, seconds))
    return run


def _as_in_text(value: object) -> object:
    """A number with the digits that it has in the text."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
