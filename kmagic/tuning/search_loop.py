"""The loop that decides which trial begins, which continues, and when the search ends.

It runs in the process of the notebook, the only one that knows Optuna. Trials are trained in worker
processes, or one after another in this process.
"""

from __future__ import annotations

import itertools
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kmagic.language.search_space import Hyperparameter
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import list_names
from kmagic.training.run.recorder import SafeDisplay
from kmagic.tuning.study import BATCH_SIZE, Study, StudyDisplay
from kmagic.tuning.study_store import (
    CURVES,
    ERROR,
    IDENTITY,
    RETRIES,
    counted,
    derived_seed,
    interrupt_trial,
    next_trial,
)
from kmagic.tuning.trial_run import (
    Answer,
    EpochReport,
    Task,
    TrialOutcome,
    TrialSetup,
    run_trial,
    weights_file,
)
from kmagic.tuning.worker_pool import WorkerPool

if TYPE_CHECKING:
    import optuna

KEPT_WEIGHTS = 5
"""The number of trials whose weights are kept: the best ones."""
REPEAT_SEEDS = 3
"""Trainings of each of the best trials with further seeds."""
MAX_ENUMERATED = 1000
"""Combinations of values up to which none is tried twice."""
_POLL_SECONDS = 0.2


class SearchLoop:
    """Runs the trials of a study.

    Args:
        study: The study.
        setup: What all trials have in common.
        repeat: How many of the best trials to train with further seeds.
        displays: Views of the study. One that raises is dropped, and the search continues.
        clock: For the budget and the displays.
    """

    def __init__(
        self,
        study: Study,
        setup: TrialSetup,
        repeat: int,
        displays: Sequence[StudyDisplay],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._setup, self._repeat = study, setup, repeat
        self._epochs = setup.options.epochs
        self._views = [SafeDisplay(display) for display in displays]
        self._clock, self._began = clock, clock()
        self._trials: dict[int, optuna.Trial] = {}
        self._answers: dict[tuple[int, int], Answer] = {}
        self._logs: dict[tuple[int, int], list[EpochReport]] = {}
        self._failures: list[str] = []
        self._successes = 0
        self._mistake: TrainingError | None = None
        self._untried: list[dict[str, Any]] | None = None
        self._repetitions: list[Task] | None = None

    def run(self, pool: WorkerPool[Any] | None = None) -> None:
        """Run the trials in a pool of processes, or in this process.

        Raises:
            TrainingError: The first trials all failed, the goal is not a metric of the model, or
                no process could be started.
        """
        self._call("start")
        try:
            with _interrupts(self._study.stop):
                self._run_here() if pool is None else self._run_in(pool)
            self._study.status = "stopped" if self._has_ended_early else "done"
        except BaseException:
            self._study.status = "failed"
            raise
        finally:
            for number in list(self._trials):
                interrupt_trial(self._study.optuna_study, number)
                self._forget(number)
            self._study.seconds = self._clock() - self._began
            self._call("end")
            for view in self._views:
                view.warn()

    def _run_here(self) -> None:
        while (task := self._next_task()) is not None:
            outcome = run_trial(
                self._setup,
                task,
                lambda report, task=task: self._on_epoch(task, report),  # type: ignore[misc]
                is_aborted=lambda: self._study.aborting,
            )
            if outcome.is_interrupted:
                self._study.stop()
            self._on_end(task, outcome)

    def _run_in(self, pool: WorkerPool[Any]) -> None:
        while True:
            pool.grow(self._left())
            while (worker := pool.idle()) and (task := self._next_task()) is not None:
                worker.start(task)
            if not pool.tasks and not self._left():
                return
            for worker, task, message in pool.events(_POLL_SECONDS):
                if isinstance(message, EpochReport):
                    worker.send(self._on_epoch(task, message))
                else:
                    self._on_end(task, message)
            if self._study.aborting:
                return
            self._update()

    # --- which trial begins -----------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        budget = self._study.budget
        return self._study.stopping or (
            budget is not None and self._clock() - self._began >= budget
        )

    @property
    def _has_ended_early(self) -> bool:
        study = self._study
        ended = counted(study.optuna_study)
        if study.stopping:
            return True
        if self._is_over and (ended < study.target or self._repetitions_left()):
            study.note = "time limit"
            return True
        if ended < study.target:
            study.note = f"all {ended:,} combinations of the values were tried"
        return False

    def _left(self) -> int:
        """The number of trainings that can begin now or later."""
        if self._is_over:
            return 0
        missing = self._missing()
        if missing or self._trials:
            return missing
        return len(self._repetitions_left())

    def _missing(self) -> int:
        """The number of trials that have not begun."""
        study = self._study.optuna_study
        missing = max(0, self._study.target - counted(study) - len(self._trials))
        untried = self._untried_values()
        if untried is None or any(
            t.state.name == "WAITING" for t in study.get_trials(deepcopy=False)
        ):
            return missing
        return min(missing, len(untried))

    def _next_task(self) -> Task | None:
        if not self._left():
            return None
        if not self._missing():
            return self._repetitions_left().pop(0)
        study = self._study.optuna_study
        untried = self._untried_values()
        if untried and not any(t.state.name == "WAITING" for t in study.get_trials(deepcopy=False)):
            study.enqueue_trial(untried.pop())
        trial = next_trial(study, self._study.parameters, self._epochs)
        self._trials[trial.number] = trial
        self._study.begin_trial(trial.number)
        return self._task(trial.number, trial.params, trial.user_attrs.get(RETRIES, trial.number))

    def _task(self, number: int, values: dict[str, Any], seed_of: int, repeat: int = 0) -> Task:
        seed = self._study.optuna_study.user_attrs[IDENTITY]["seed"]
        task = Task(
            number,
            self._study.text_of(values),
            derived_seed(seed, seed_of, repeat),
            values.get(BATCH_SIZE),
            repeat,
        )
        self._logs[number, repeat] = []
        return task

    def _untried_values(self) -> list[dict[str, Any]] | None:
        """Combinations not tried yet, in random order; None if there are too many to list.

        Only if all can be tried: otherwise the sampler chooses.
        """
        if self._untried is None:
            everything = _combinations(self._study.parameters, self._study.target)
            if everything is None:
                return None
            study = self._study
            trials = study.optuna_study.get_trials(deepcopy=False)
            tried = {self._key(t.params) for t in trials if len(t.params) == len(study.parameters)}
            unique = {self._key(values): values for values in everything}
            self._untried = [values for key, values in unique.items() if key not in tried]
            seed = study.optuna_study.user_attrs[IDENTITY]["seed"]
            random.Random(seed).shuffle(self._untried)  # noqa: S311 - not for secrets
        return self._untried

    def _key(self, values: dict[str, Any]) -> tuple[str, Any]:
        """What is equal for combinations that train the same model."""
        return self._study.text_of(values), values.get(BATCH_SIZE)

    def _repetitions_left(self) -> list[Task]:
        """Further trainings of the best trials, once all trials have ended."""
        if self._repetitions is None:
            if not self._repeat:
                return []
            best = self._study.ranking[: self._repeat]
            self._repetitions = [
                self._task(trial.number, dict(trial.params), trial.number, repeat)
                for repeat in range(1, REPEAT_SEEDS + 1)
                for trial in best
                if repeat > len(self._study.repeats.get(trial.number, ()))
            ]
        return self._repetitions

    # --- what trials report -----------------------------------------------------------------------

    def _on_epoch(self, task: Task, report: EpochReport) -> Answer:
        study, key = self._study, (task.number, task.repeat)
        logs = self._logs[key]
        logs.append(report)
        if study.goal not in report.logs:
            self._mistake = TrainingError(
                f"The model has no metric {study.goal}.",
                f"Available: {list_names(report.logs)}.",
                option="goal",
            )
            return "stop"
        value = report.logs[study.goal]
        answer: Answer = "continue"
        if self._is_over:
            answer = "stop"
        if not task.repeat:
            study.add_epoch(task.number, report.logs)
            if math.isfinite(value):
                trial = self._trials[task.number]
                trial.report(value, len(logs) - 1)
                if len(logs) < self._epochs and trial.should_prune():
                    answer = "prune"
        self._answers[key] = answer
        self._update()
        return answer

    def _on_end(self, task: Task, outcome: TrialOutcome) -> None:
        if self._mistake is not None:
            raise self._mistake
        study, key = self._study, (task.number, task.repeat)
        answer, logs = self._answers.pop(key, "continue"), self._logs.pop(key)
        values = [report.logs[study.goal] for report in logs]
        finite = list(filter(math.isfinite, values))
        best = (max if study.is_maximized else min)(finite) if finite else None
        error = outcome.error
        if best is None and logs and not error:
            error = f"{study.goal} was {values[-1]} in every epoch."
        if task.repeat:
            is_partial = answer == "stop" and len(logs) < self._epochs
            if error:
                study.messages.append(f"Trial {task.number} failed with another seed: {error}")
            elif best is not None and not is_partial and not outcome.is_interrupted:
                study.add_repeat(task.number, best)
            return
        if outcome.is_interrupted:
            best = None
        state = self._finish(task.number, best, error, is_pruned=answer == "prune")
        self._update()
        self._count(task.number, state, error)

    def _finish(self, number: int, best: float | None, error: str, *, is_pruned: bool) -> str:
        """Tell Optuna how a trial ended; returns its state."""
        from optuna.trial import TrialState  # noqa: PLC0415 - an extra

        study, trial = self._study.optuna_study, self._trials[number]
        curves = self._study[number].curves
        trial.set_user_attr(CURVES, dict(curves))
        if error:
            trial.set_user_attr(ERROR, error)
            study.tell(number, state=TrialState.FAIL)
        elif best is None:  # it was interrupted
            interrupt_trial(study, number)
        elif is_pruned:
            study.tell(number, state=TrialState.PRUNED)
        else:
            study.tell(number, best)
        self._forget(number)
        self._keep_best_weights(number)
        return self._study[number].status

    def _forget(self, number: int) -> None:
        self._trials.pop(number)
        self._study.end_trial(number)

    def _keep_best_weights(self, number: int) -> None:
        """Remove the weights of a trial that is not one of the best, and of the one it replaces."""
        ranking = [trial.number for trial in self._study.ranking]
        for other in {number, *ranking[KEPT_WEIGHTS : KEPT_WEIGHTS + 1]} - {
            *ranking[:KEPT_WEIGHTS]
        }:
            weights_file(self._study.store.weights, other).unlink(missing_ok=True)

    def _count(self, number: int, state: str, error: str) -> None:
        """End the search if its first trials all failed."""
        if state != "failed":
            self._successes += state in ("complete", "pruned")
            return
        self._failures.append(f"Trial {number}: {error}")
        limit = min(self._study.workers + 2, self._study.target)
        if not self._successes and len(self._failures) >= limit:
            raise TrainingError(
                f"The first {len(self._failures)} trials failed. {self._failures[0]}"
                if len(self._failures) > 1
                else f"The trial failed. {self._failures[0]}",
                "Build the model of the text with one value for each range, and train it alone.",
            )

    # --- displays ---------------------------------------------------------------------------------

    def _call(self, method: str) -> None:
        for view in self._views:
            view.call(method, self._study)

    def _update(self) -> None:
        for view in self._views:
            view.update(self._study, self._clock())


def _combinations(parameters: Sequence[Hyperparameter], limit: int) -> list[dict[str, Any]] | None:
    """All combinations of values, if they are at most so many."""
    options: list[Sequence[Any]] = []
    for parameter in parameters:
        if parameter.choices:
            options.append(parameter.choices)
        elif parameter.step is None and not isinstance(parameter.low, int):
            return None
        else:
            step = parameter.step or 1
            count = round((parameter.high - parameter.low) / step) + 1
            if count > MAX_ENUMERATED:
                return None
            options.append([parameter.low + index * step for index in range(count)])
    if math.prod(map(len, options)) > min(limit, MAX_ENUMERATED):
        return None
    names = [parameter.name for parameter in parameters]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*options)]


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at an interrupt, instead of raising an exception in the middle of a step.

    Where this process trains itself, the training notices that. Outside the main thread, the only
    one that gets interrupts, nothing is changed.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if is_main else None
    if not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
