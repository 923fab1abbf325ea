"""The folder of a study: Optuna's journal, the weights of the best trials, and what it belongs to.

``journal.log`` is an ordinary Optuna storage. A study is continued only with the same text, data
and options, which its user attribute "kmagic" contains.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.language.search_space import Hyperparameter
from kmagic.support.errors import TrainingError
from kmagic.support.file_system import not_written
from kmagic.support.folder_lock import FolderLock
from kmagic.support.formatting import describe_error, list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.process_patches import quiet_logger

if TYPE_CHECKING:
    import optuna

JOURNAL, WEIGHTS = "journal.log", "weights"
IDENTITY = "kmagic"
INTERRUPTED, RETRIES, ERROR, CURVES = "interrupted", "retries", "error", "curves"
"""User attributes of a trial: that it does not count, which one it replaces, why it failed, and its
metrics per epoch."""
_LABELS = {
    "text": "text",
    "values": "variables of the text",
    "parameters": "ranges",
    "data": "data",
    "goal": "goal",
    "options": "options",
    "seed": "seed",
}
_SAMPLER = 2**32 - 1
"""In place of the number of a repetition: the seed is for the sampler."""
_STARTUP_TRIALS = 5
SAMPLER_OPTIONS: Mapping[str, Any] = {"multivariate": True, "n_ei_candidates": 128}
"""Of Optuna's TPE: parameters that depend on each other, and more candidates than its 24. Within
40 trials of a small network it finds better values (`benchmarks/tuning_libraries.py`)."""
_LOCK_SECONDS = 3


def import_optuna() -> ModuleType:
    """Optuna, with cloudpickle; both are an extra.

    Raises:
        TrainingError: They are not installed.
    """
    try:
        import cloudpickle  # noqa: F401, PLC0415 - an extra
        import optuna  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise TrainingError(
            f"A search needs {error.name}, which is not installed.",
            'Run `%pip install "kmagic[tune]"`.',
        ) from error
    return optuna


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log and its warnings about experimental features."""
    with quiet_logger("optuna"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=import_optuna().exceptions.ExperimentalWarning)
        yield


class StudyStore:
    """The folder of a study.

    Args:
        folder: The folder; None for a temporary one, which is removed with this object.

    Raises:
        TrainingError: The folder cannot be used, or another process searches in it.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="kmagic-study-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.folder = folder
        self.weights = self.folder / WEIGHTS
        try:
            self.weights.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(error, self.weights) or error from error
        self._lock = FolderLock(self.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from searching in the folder."""
        if holder := self._lock.acquire():
            raise TrainingError(
                f"{show_path(self.folder)} is in use by {holder}.",
                Text("Wait until it ends, or use another folder: ", Option("store"), "."),
            )
        try:
            yield
        finally:
            self._lock.release()

    def open_study(
        self, identity: dict[str, Any], name: str, *, is_maximized: bool, fresh: bool
    ) -> optuna.Study:
        """The study in the folder, or a new one.

        Args:
            identity: What must be the same in all its trials, as JSON values; a seed of None is
                that of the study.
            name: Name of a new study.
            is_maximized: Whether larger values of the goal are better.
            fresh: Remove an earlier study.

        Raises:
            TrainingError: The folder has another study, or a damaged one.
        """
        if fresh:
            self._clear()
        identity = dict(json.loads(json.dumps(identity)))
        with quiet_optuna():
            study = self._load()
            if study is not None and self._check(study, identity):
                for trial in study.get_trials(deepcopy=False):
                    if not trial.state.is_finished() and trial.state.name == "RUNNING":
                        interrupt_trial(study, trial.number)
                return study
            if study is not None:
                self._clear()
            direction = "maximize" if is_maximized else "minimize"
            new: optuna.Study = import_optuna().create_study(
                storage=self._storage(), study_name=name, direction=direction
            )
            if identity["seed"] is None:
                identity["seed"] = int(np.random.SeedSequence().generate_state(1)[0])
            new.set_user_attr(IDENTITY, identity)
            return new

    def _load(self) -> optuna.Study | None:
        journal = self.folder / JOURNAL
        if not journal.exists():
            return None
        optuna = import_optuna()
        try:
            _drop_incomplete_line(journal)
            storage = self._storage()
            names = optuna.get_all_study_names(storage)
            return optuna.load_study(study_name=names[0], storage=storage) if names else None
        except Exception as error:
            raise TrainingError(
                f"The study in {show_path(self.folder)} cannot be read: {describe_error(error)}.",
                self._remedy("start again"),
            ) from error

    def _storage(self) -> Any:
        from optuna.storages import JournalStorage  # noqa: PLC0415 - an extra
        from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock  # noqa: PLC0415 - an extra

        path = str(self.folder / JOURNAL)
        # A killed process leaves its lock behind; Optuna would wait 30 seconds.
        lock = JournalFileSymlinkLock(path, grace_period=_LOCK_SECONDS)
        return JournalStorage(JournalFileBackend(path, lock))

    def _check(self, study: optuna.Study, identity: Mapping[str, Any]) -> bool:
        """Whether an earlier study can be continued; False if nothing is lost by removing it.

        Raises:
            TrainingError: It is another one.
        """
        earlier = study.user_attrs.get(IDENTITY)
        where = show_path(self.folder)
        if not isinstance(earlier, Mapping):
            raise TrainingError(
                f"{where} contains a study that kmagic did not make.",
                Text("Use another folder: ", Option("store"), "."),
            )
        differs = [
            label
            for key, label in _LABELS.items()
            if earlier.get(key) != identity[key] and not (key == "seed" and identity[key] is None)
        ]
        if not differs:
            return True
        if "text" in differs:  # it contains the variables
            differs = [label for label in differs if label != _LABELS["values"]]
        if not any(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.get_trials()):
            return False
        raise TrainingError(
            f"{where} contains the study of another search. Different: {list_names(differs)}.",
            self._remedy("remove it"),
        )

    def _remedy(self, purpose: str) -> Text:
        return Text(
            *("Use another folder, ", Option("store"), f", or {purpose} with "),
            *(Option("fresh", value=True), "."),
        )

    def _clear(self) -> None:
        (self.folder / JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self.weights, ignore_errors=True)
        self.weights.mkdir(parents=True, exist_ok=True)


def _drop_incomplete_line(journal: Path) -> None:
    """Remove the part of a line that a killed process wrote: the next would be joined to it."""
    content = journal.read_bytes()
    if content and not content.endswith(b"\n"):
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


# --- trials ---------------------------------------------------------------------------------------


def interrupt_trial(study: optuna.Study, number: int) -> None:
    """Record that a running trial was interrupted: it does not count, and is tried again once."""
    import optuna  # noqa: PLC0415 - an extra

    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    retried = {other.user_attrs.get(RETRIES) for other in trials}
    if RETRIES in trial.user_attrs:  # it may be the reason why the process was killed
        set_attribute(study, trial, ERROR, "It was interrupted twice.")
    else:
        set_attribute(study, trial, INTERRUPTED, value=True)
        if trial.params and number not in retried:
            study.enqueue_trial(trial.params, user_attrs={RETRIES: number})
    study.tell(number, state=optuna.trial.TrialState.FAIL)


def set_attribute(study: optuna.Study, trial: Any, name: str, value: Any) -> None:
    """Set a user attribute of a trial; Optuna's own way is only for trials of this process."""
    study._storage.set_trial_user_attr(trial._trial_id, name, value)  # noqa: SLF001 - see above


def counted(study: optuna.Study) -> int:
    """The number of trials that have ended, without interrupted ones."""
    trials = study.get_trials(deepcopy=False)
    return sum(t.state.is_finished() and INTERRUPTED not in t.user_attrs for t in trials)


def next_trial(
    study: optuna.Study, parameters: tuple[Hyperparameter, ...], epochs: int
) -> optuna.Trial:
    """A new trial with values from Optuna's TPE, or an interrupted one again.

    The random state depends on the study's seed and on the number of the trial only, so a study
    that is continued later does not repeat its first trials.
    """
    import optuna  # noqa: PLC0415 - an extra

    seed = study.user_attrs[IDENTITY]["seed"]
    number = len(study.get_trials(deepcopy=False))
    with quiet_optuna():
        study.sampler = optuna.samplers.TPESampler(
            seed=derived_seed(seed, number, _SAMPLER), constant_liar=True, **SAMPLER_OPTIONS
        )
        study.pruner = optuna.pruners.MedianPruner(**pruner_options(epochs))
        return study.ask({p.name: distribution(p) for p in parameters})


def pruner_options(epochs: int) -> dict[str, int]:
    """The arguments of Optuna's MedianPruner for trials of some epochs."""
    return {"n_startup_trials": _STARTUP_TRIALS, "n_warmup_steps": max(1, epochs // 4)}


def distribution(parameter: Hyperparameter) -> optuna.distributions.BaseDistribution:
    """What Optuna samples a parameter from.

    Example:
        >>> distribution(Hyperparameter("width", low=8, high=64, log=True))
        IntDistribution(high=64, log=True, low=8, step=1)
    """
    from optuna import distributions  # noqa: PLC0415 - an extra

    if parameter.choices:
        return distributions.CategoricalDistribution(parameter.choices)
    low, high, step, log = parameter.low, parameter.high, parameter.step, parameter.log
    if isinstance(low, int) and isinstance(high, int):
        return distributions.IntDistribution(low, high, log=log, step=int(step or 1))
    return distributions.FloatDistribution(low, high, log=log, step=step)


def derived_seed(seed: int, number: int, repeat: int = 0) -> int:
    """The seed of a trial, or of a repetition of it.

    Example:
        >>> derived_seed(1, 0) != derived_seed(1, 1), derived_seed(1, 0) == derived_seed(1, 0)
        (True, True)
    """
    return int(np.random.SeedSequence([seed, number, repeat]).generate_state(1)[0])
