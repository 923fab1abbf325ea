"""The result of a search: its trials, the best values, and the models of the best trials."""

from __future__ import annotations

import math
import statistics
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from kmagic.language.search_space import Hyperparameter, SearchSpace
from kmagic.models.build import build_model
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import (
    escape_control_characters,
    format_metric,
    list_names,
)
from kmagic.support.model_registry import set_dataset
from kmagic.support.process_patches import isolated_keras
from kmagic.support.rendering import Renderable
from kmagic.tuning.shared_values import PickledNames
from kmagic.tuning.study_store import (
    CURVES,
    ERROR,
    IDENTITY,
    INTERRUPTED,
    RETRIES,
    StudyStore,
    derived_seed,
    quiet_optuna,
)
from kmagic.tuning.trial_run import weights_file

if TYPE_CHECKING:
    import optuna
    import pandas as pd

BATCH_SIZE = "batch_size"
"""The only parameter that is not in the text."""
MIN_TRIALS_FOR_IMPORTANCE = 8
TrialStatus: TypeAlias = Literal[
    "waiting", "running", "complete", "pruned", "failed", "interrupted"
]
StudyStatus: TypeAlias = Literal["running", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class StudyTrial:
    """One trial of a study.

    Attributes:
        number: Its number, from 0.
        params: The value of each parameter.
        status: "running", "complete", "pruned" (it ended early), "failed", "interrupted" (it is
            tried again) or "waiting".
        value: The goal in its best epoch; None before the first epoch.
        curves: Each metric per epoch.
        seconds: Its duration; None while it runs.
        seed: Seed of its weights and its training.
        error: Why it failed; "" if it did not.
    """

    number: int
    params: Mapping[str, Any]
    status: TrialStatus
    value: float | None
    curves: Mapping[str, list[float]]
    seconds: float | None
    seed: int
    error: str = ""

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return max(map(len, self.curves.values()), default=0)


class StudyDisplay:
    """A view of a running study; override what it needs.

    Attributes:
        interval: Minimum seconds between two calls of :meth:`update`.
    """

    interval = 0.2

    def start(self, study: Study) -> None:
        """The first trial is about to start."""

    def update(self, study: Study) -> None:
        """Something may have changed."""

    def end(self, study: Study) -> None:
        """The search is over, however it ended."""


@dataclass(eq=False, repr=False)
class Study(Renderable):
    """A search for the best values of the parameters in a model's text.

    Attributes:
        name: The model's name.
        space: The text with its ranges.
        goal: The metric that it improves: "val_loss" ...
        is_maximized: Whether larger values of the goal are better.
        target: The requested number of trials.
        optuna_study: The study in Optuna, for everything that Optuna does.
        status: "running", "done", "stopped" or "failed".
        note: Why it ended early; "" if it did not.
        messages: What else a reader should know.
        repeats: The goal of further trainings of the best trials, by number of the trial.

    Example:
        >>> import numpy, kmagic
        >>> x = numpy.random.default_rng(0).normal(size=(64, 3))
        >>> study = kmagic.tune(
        ...     "input 3 / dense 2..8 relu / dense 1 / compile adam loss=mse",
        ...     x, x.sum(axis=1), validation_split=0.25, trials=2, in_process=True, displays=[],
        ... )
        >>> study.status, list(study.best_values)
        ('done', ['dense.units'])
    """

    renderer: ClassVar[str] = "kmagic.display.tuning.study_card:study_bundle"

    name: str
    space: SearchSpace
    parameters: tuple[Hyperparameter, ...]
    goal: str
    is_maximized: bool
    target: int
    optuna_study: optuna.Study
    store: StudyStore
    names: PickledNames
    dataset: Any = None
    workers: int = 1
    budget: float | None = None
    status: StudyStatus = "running"
    note: str = ""
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._live: dict[int, list[Mapping[str, float]]] = {}
        self._stops = 0
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.seconds = 0.0
        self.repeats: dict[int, list[float]] = {
            int(number): list(values)
            for number, values in self.optuna_study.user_attrs.get("repeats", {}).items()
        }

    # --- ending it --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no further trial, and end the running ones after their epoch.

        A second call ends them at once; they are tried again when the study is continued. May be
        called from any thread.
        """
        with self._lock:
            self._stops += 1

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stops > 0

    @property
    def aborting(self) -> bool:
        """Whether :meth:`stop` was called twice."""
        return self._stops > 1

    # --- written by the search --------------------------------------------------------------------

    def begin_trial(self, number: int) -> None:
        """A trial begins."""
        self._live[number] = []

    def add_epoch(self, number: int, logs: Mapping[str, float]) -> None:
        """A trial has finished an epoch."""
        self._live[number] = [*self._live[number], logs]  # another thread may read the old one

    def end_trial(self, number: int) -> None:
        """A trial has ended; its record is complete in Optuna's study."""
        self._live.pop(number, None)

    def add_repeat(self, number: int, value: float) -> None:
        """A trial was trained with another seed."""
        self.repeats.setdefault(number, []).append(value)
        self.optuna_study.set_user_attr("repeats", {str(n): v for n, v in self.repeats.items()})

    # --- its trials -------------------------------------------------------------------------------

    @property
    def trials(self) -> list[StudyTrial]:
        """All trials by their number, also those that run."""
        return [self._read(trial) for trial in self.optuna_study.get_trials(deepcopy=False)]

    def _read(self, trial: optuna.trial.FrozenTrial) -> StudyTrial:
        attributes = trial.user_attrs
        logs = self._live.get(trial.number)
        if logs is not None:
            keys = dict.fromkeys(key for log in logs for key in log)
            curves = {key: [log.get(key, math.nan) for log in logs] for key in keys}
        else:
            steps = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
            curves = attributes.get(CURVES) or ({self.goal: steps} if steps else {})
        seed = self.optuna_study.user_attrs[IDENTITY]["seed"]
        finite = list(filter(math.isfinite, curves.get(self.goal, ())))
        best = max if self.is_maximized else min
        status: TrialStatus = _STATUS[trial.state.name]
        return StudyTrial(
            trial.number,
            trial.params,
            "interrupted" if INTERRUPTED in attributes else status,
            best(finite) if finite else None,
            curves,
            trial.duration.total_seconds() if trial.duration else None,
            derived_seed(seed, attributes.get(RETRIES, trial.number)),
            attributes.get(ERROR, ""),
        )

    def __getitem__(self, number: int) -> StudyTrial:
        trials = self.optuna_study.get_trials(deepcopy=False)
        if isinstance(number, bool) or not isinstance(number, int) or not -1 < number < len(trials):
            expected = f"from 0 to {len(trials) - 1:,}" if trials else "one of no trials"
            raise TrainingError(subject="The number of a trial", expected=expected, actual=number)
        return self._read(trials[number])

    @property
    def ranking(self) -> list[StudyTrial]:
        """The complete trials, the best one first."""
        complete = [trial for trial in self.trials if trial.status == "complete"]
        return sorted(complete, key=lambda trial: self.sign * (trial.value or 0.0))

    @property
    def sign(self) -> int:
        """-1 if larger values of the goal are better, else 1."""
        return -1 if self.is_maximized else 1

    @property
    def best(self) -> StudyTrial:
        """The complete trial with the best value of the goal."""
        ranking = self.ranking
        if not ranking:
            raise TrainingError(
                f"The study of {self.name} has no complete trial yet.",
                next(iter(self.errors.values()), "Continue it with more trials."),
            )
        return ranking[0]

    @property
    def best_values(self) -> dict[str, Any]:
        """The values of the best trial, by parameter."""
        return dict(self.best.params)

    @property
    def errors(self) -> dict[int, str]:
        """Why trials failed, by number."""
        return {trial.number: trial.error for trial in self.trials if trial.error}

    def curves(self, number: int) -> dict[str, list[float]]:
        """Each metric of a trial per epoch, as in Keras's ``History.history``."""
        return dict(self[number].curves)

    def used_values(self, trial: StudyTrial) -> dict[str, Any]:
        """The values of a trial without those that have no effect on its model."""
        values = dict(trial.params)
        size = {BATCH_SIZE: values.pop(BATCH_SIZE)} if BATCH_SIZE in values else {}
        used = self.space.used(values)
        return {name: value for name, value in values.items() if name in used} | size

    def text(self, number: int | None = None) -> str:
        """The text of a trial's model, for ``%%keras_model``; by default of the best one."""
        return self.text_of((self.best if number is None else self[number]).params)

    def text_of(self, values: Mapping[str, Any]) -> str:
        """The text of a model with some values."""
        names = {parameter.name for parameter in self.space.parameters}
        return self.space.fill({name: value for name, value in values.items() if name in names})

    def model(self, number: int | None = None) -> Any:
        """The model of a trial with its trained weights; by default of the best one.

        Raises:
            TrainingError: Its weights were not kept, as for all but the best trials.
        """
        trial = self.best if number is None else self[number]
        path = weights_file(self.store.weights, trial.number)
        if not path.is_file():
            numbers = [
                t.number
                for t in self.ranking
                if weights_file(self.store.weights, t.number).is_file()
            ]
            kept = f"; those of {list_names(numbers)} are" if numbers else ""
            raise TrainingError(
                f"The weights of trial {trial.number} are not kept{kept}.",
                f"Build it with kmagic.build(study.text({trial.number})), and train it.",
            )
        with isolated_keras():
            model = build_model(self.text(trial.number), self.names.load(), name=self.name)
            model.load_weights(path)
        set_dataset(model, self.dataset)
        return model

    def to_frame(self) -> pd.DataFrame:
        """One row per trial, indexed by its number.

        Columns are the parameters, then the goal in the best epoch, ``status``, ``epochs``,
        ``seconds`` and ``seed``.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        trials = self.trials
        index = pd.Index([trial.number for trial in trials], name="trial")
        names = [parameter.name for parameter in self.parameters]
        values = pd.DataFrame([dict(trial.params) for trial in trials], index, columns=names)
        results = {
            self.goal: [trial.value for trial in trials],
            "status": [trial.status for trial in trials],
            "epochs": [trial.epochs for trial in trials],
            "seconds": [trial.seconds for trial in trials],
            "seed": [trial.seed for trial in trials],
        }
        return pd.concat([values, pd.DataFrame(results, index)], axis=1)

    # --- what it says -----------------------------------------------------------------------------

    def importance(self) -> dict[str, float]:
        """How much each parameter matters for the rank of a trial; the sum is 1.

        Optuna's fANOVA on the complete trials. The rank, because a single loss that exploded would
        outweigh all others.

        Raises:
            TrainingError: There are fewer than eight complete trials.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # noqa: PLC0415 - an extra

        ranks = {trial.number: float(rank) for rank, trial in enumerate(self.ranking)}
        if len(ranks) < MIN_TRIALS_FOR_IMPORTANCE:
            raise TrainingError(
                f"The importance of parameters needs {MIN_TRIALS_FOR_IMPORTANCE} complete trials; "
                f"the study of {self.name} has {len(ranks)}.",
                "Continue it with more trials.",
            )
        with quiet_optuna(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(
                self.optuna_study,
                evaluator=FanovaImportanceEvaluator(seed=0),
                target=lambda trial: ranks[trial.number],
            )
        return {name: float(value) for name, value in found.items()}

    @property
    def elapsed(self) -> float:
        """Seconds since the search began, or its duration."""
        return time.monotonic() - self._began if self.status == "running" else self.seconds

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end of the search; None before the first trial ended."""
        if self.status != "running":
            return 0.0
        trials = self.trials
        times = [t.seconds for t in trials if t.seconds is not None and t.status != "interrupted"]
        if not times:
            return None
        left = statistics.mean(times) * max(0, self.target - len(times)) / self.workers
        if self.budget is not None:
            left = min(left, max(0.0, self.budget - (time.monotonic() - self._began)))
        return left

    def compare(self) -> str:
        """Whether the best trials differ by more than a change of the seed; "" without repeats.

        The trainings with further seeds are compared, because the value that made a trial the best
        one is partly luck.
        """
        means = {n: statistics.mean(v) for n, v in self.repeats.items() if len(v) > 1}
        if not means:
            return ""
        order = sorted(means, key=lambda number: self.sign * means[number])
        spread = math.sqrt(statistics.mean(statistics.variance(self.repeats[n]) for n in order))
        shown = ", ".join(f"trial {n} {format_metric(means[n])}" for n in order)
        text = f"Mean {self.goal} over further seeds: {shown}."
        if len(order) == 1:
            return f"{text} Standard deviation: {format_metric(spread)}."
        best = means[order[0]]
        equal = [n for n in order if abs(means[n] - best) < spread]
        if len(equal) > 1:
            names = list_names(equal)
            return (
                f"{text} Trials {names} differ by less than the seeds do (standard deviation "
                f"{format_metric(spread)}): choose any of them."
            )
        return (
            f"{text} Trial {order[0]} is better than the others by more than the standard "
            f"deviation over seeds ({format_metric(spread)})."
        )

    def describe(self) -> str:
        """The study in a sentence."""
        trials = self.trials
        ended = [t for t in trials if t.status in ("complete", "pruned", "failed")]
        of = f" of {self.target:,}" if len(ended) < self.target else ""
        parts = [f"{len(ended):,}{of} {'trial' if self.target == 1 else 'trials'}"]
        counts = Counter(trial.status for trial in trials)
        parts += [f"{counts[s]:,} {s}" for s in ("pruned", "failed") if counts[s]]
        ranking = self.ranking
        if ranking:
            best = ranking[0]
            values = ", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                for k, v in best.params.items()
            )
            value = format_metric(best.value or 0.0)
            parts.append(f"best trial {best.number}, {self.goal} {value}: {values}")
        note = f" ({self.note})" if self.note else ""
        return f"{self.status}{note}; " + "; ".join(parts)

    def __repr__(self) -> str:
        return escape_control_characters(f"{self.name}: {self.describe()}")


_STATUS: Mapping[str, TrialStatus] = {
    "WAITING": "waiting",
    "RUNNING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}
