"""One trial: a model is built from its text and trained, in this process or another."""

from __future__ import annotations

import copy
import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import keras

from kmagic.models.build import build_model
from kmagic.support.errors import DSLError, KmagicError
from kmagic.support.formatting import describe_error
from kmagic.support.process_patches import isolated_keras
from kmagic.training.callbacks.recording_callbacks import StopTraining, scalar_logs
from kmagic.training.fit import train
from kmagic.training.fit_options import FitOptions
from kmagic.training.run.run_list import no_run_listed
from kmagic.tuning.shared_values import PickledNames

Answer: TypeAlias = Literal["continue", "prune", "stop"]
"""What a trial does after an epoch."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one trial has to train.

    Attributes:
        number: The number of the trial.
        text: The text of its model, without ranges.
        seed: The seed of the weights, and of the training.
        batch_size: Samples per batch, if they are varied.
        repeat: 0 for the trial itself; from 1 for a further training of it with another seed.
    """

    number: int
    text: str
    seed: int
    batch_size: int | None = None
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class EpochReport:
    """The metrics of an epoch that has just ended, and its duration."""

    logs: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """How a trial ended.

    Attributes:
        error: Why it failed; "" if it did not.
        is_interrupted: Whether it was ended at once, within an epoch.
        memory: Bytes of memory that its process uses afterwards.
        weights: The file of its weights, from another machine.
    """

    error: str = ""
    is_interrupted: bool = False
    memory: int = 0
    weights: bytes = b""


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """What all trials of a study have in common.

    Attributes:
        data: Arguments of the fit: "x", "y", "sample_weight" and "validation_data".
        options: The options of the fit, without these.
        names: The notebook's variables that the text mentions.
        name: The name of the models.
        goal: The metric that the study improves.
        is_maximized: Whether larger values of it are better.
        weights: Folder for the weights of the trials.
        settings: Global settings of Keras that differ from the defaults.
        layer_counts: Keras's counters of layer names, so that a layer of the text and one of the
            notebook have different names in another process too.
    """

    data: Mapping[str, Any]
    options: FitOptions
    names: PickledNames
    name: str
    goal: str
    is_maximized: bool
    weights: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    layer_counts: Mapping[str, int] = field(default_factory=dict)

    def build(self, text: str) -> Any:
        """A model of a trial, which leaves the names of later layers as they are."""
        names = self.names.load()
        with isolated_keras(self.layer_counts):
            return build_model(text, names, name=self.name)


def weights_file(folder: Path, number: int) -> Path:
    """The file of a trial's weights."""
    return folder / f"trial-{number}.weights.h5"


def run_trial(
    setup: TrialSetup,
    task: Task,
    report: Callable[[EpochReport], Answer],
    *,
    is_aborted: Callable[[], bool] = lambda: False,
) -> TrialOutcome:
    """Train a model for one trial, and write the weights of its best epoch.

    Args:
        setup: What all trials have in common.
        task: The trial.
        report: Called after each epoch; the answer says whether to continue.
        is_aborted: Whether to end the training at once, called several times per second.
    """
    model = None
    try:
        keras.utils.set_random_seed(task.seed)
        model = setup.build(task.text)
        callback = _TrialCallback(setup, report, is_aborted)
        given = setup.options.callbacks
        own = copy.deepcopy(keras.tree.flatten(given) if given else [])
        data = setup.data
        options = replace(
            setup.options,
            seed=task.seed,
            batch_size=task.batch_size or setup.options.batch_size,
            callbacks=[*own, callback],
            validation_data=data["validation_data"],
            sample_weight=data["sample_weight"],
        )
        with no_run_listed():
            run = train(model, data["x"], data["y"], options)
        if run.status == "failed":
            return TrialOutcome(run.note)
        is_kept = callback.answer != "prune" and not task.repeat
        if is_kept and run.status == "done" and callback.weights is not None:
            model.set_weights(callback.weights)
            model.optimizer = None  # its state is that of another epoch
            model.save_weights(weights_file(setup.weights, task.number))
        return TrialOutcome(is_interrupted=run.status in ("interrupted", "stopped"))
    except DSLError as error:
        return TrialOutcome("; ".join(problem.message for problem in error.problems))
    except KmagicError as error:
        return TrialOutcome(str(error))
    except MemoryError as error:
        return TrialOutcome(f"The memory is not enough: {describe_error(error)}")
    except Exception as error:  # noqa: BLE001 - a trial that fails must not end the study
        return TrialOutcome(describe_error(error))
    finally:
        del model
        gc.collect()


class _TrialCallback(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Reports each epoch, and keeps the weights of the best one."""

    every_batch = False

    def __init__(
        self,
        setup: TrialSetup,
        report: Callable[[EpochReport], Answer],
        is_aborted: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._goal, self._sign = setup.goal, -1 if setup.is_maximized else 1
        self._report, self._is_aborted = report, is_aborted
        self._best = math.inf
        self._start = time.monotonic()
        self.answer: Answer = "continue"
        self.weights: list[Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 - Keras's signature
        """An epoch begins."""
        self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002 - as above
        """Some batches are trained."""
        if self._is_aborted():
            raise StopTraining

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002 - as above
        """An epoch is over; its metrics decide whether another one follows."""
        numbers = scalar_logs(logs)
        value = self._sign * numbers.get(self._goal, math.nan)
        if value < self._best:
            self._best, self.weights = value, self.model.get_weights()
        self.answer = self._report(EpochReport(numbers, time.monotonic() - self._start))
        if self.answer != "continue":
            self.model.stop_training = True
