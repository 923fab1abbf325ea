"""The options of ``fit``: their defaults, and checks of their values before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from kmagic.models.one_cycle import schedule_of
from kmagic.support.errors import KmagicError, TrainingError, check_integer
from kmagic.support.formatting import join_with_and, parse_duration
from kmagic.support.keras_import import keras
from kmagic.support.messages import Function, Option, Text
from kmagic.support.user_path import user_path
from kmagic.training.run.training_run import TrainingRun

PLAIN_VALUES = (bool, int, float, str)
"""Types of options that a run records; all others are data or objects."""
DEFAULT_PLATEAU = 5
"""Epochs without progress before the learning rate falls, for ``reduce_lr=True``."""
MAX_SEED = 2**32 - 1
"""NumPy's."""
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".kmagic", ".json")
PASSED = (
    *("epochs", "batch_size", "validation_split", "validation_data", "class_weight"),
    *("sample_weight", "shuffle", "initial_epoch", "steps_per_epoch", "validation_steps"),
    *("validation_batch_size", "validation_freq"),
)
"""Options that are passed on to ``model.fit``; a logger that wraps it hides its signature."""
NOT_RECORDED = ("name", "resume", "fresh")
OBJECTS = ("validation_data", "sample_weight", "callbacks")
"""Options that a record cannot keep."""
PLACES = ("on", "workers", "gpus")
"""Options that say where a model is trained; a run that is continued does not inherit them."""
INTEGER_MINIMUMS = {
    "epochs": 0,
    "batch_size": 1,
    "steps_per_epoch": 1,
    "validation_steps": 1,
    "validation_batch_size": 1,
    "seed": 0,
    "patience": 0,
    "reduce_lr": 0,
    "workers": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """The options of :func:`kmagic.fit`, which documents them.

    Values that are wrong whatever the model and the data are raise TrainingError.
    """

    epochs: int = 1
    batch_size: int | None = None
    validation_split: float = 0.0
    validation_data: Any = None
    callbacks: Any = None
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None
    sample_weight: Any = None
    shuffle: bool | str = True
    seed: int | None = None
    patience: int | None = None
    reduce_lr: int | bool | None = None
    restore_best: bool = False
    csv: str | Path | None = None
    tensorboard: str | Path | None = None
    budget: float | str | None = None
    checkpoint: str | Path | None = None
    resume: TrainingRun | bool | None = None
    fresh: bool = False
    plain: bool = False
    watch: str | None = None
    output: str | None = None
    checks: bool = True
    name: str | None = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: int = 1
    verbose: int | str = 0
    on: str | None = None
    workers: int | None = None
    gpus: int | str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)  # for a model with its own fit

    @property
    def budget_seconds(self) -> float | None:
        """The time limit in seconds; raises TrainingError if it is not a duration."""
        if self.budget is None:
            return None
        seconds = parse_duration(str(self.budget))
        self._require("budget", seconds, "a duration such as 90 (seconds), '2m' or '1h30m'")
        return seconds

    @property
    def plateau(self) -> int | None:
        """Epochs without progress before the learning rate falls; None if it never does."""
        if self.reduce_lr is None or self.reduce_lr is False:
            return None
        return DEFAULT_PLATEAU if self.reduce_lr is True else self.reduce_lr

    def _require(self, name: str, is_right: object, expected: str, remedy: str | Text = "") -> None:
        if not is_right:
            actual = getattr(self, name)
            raise TrainingError("", remedy, option=name, expected=expected, actual=actual)

    def __post_init__(self) -> None:
        for name, least in INTEGER_MINIMUMS.items():
            value = getattr(self, name)
            if value is not None and not (name == "reduce_lr" and isinstance(value, bool)):
                check_integer(TrainingError, name, value, least)
        self._require("seed", (self.seed or 0) <= MAX_SEED, f"at most {MAX_SEED:,}")
        split = self.validation_split
        is_fraction = isinstance(split, float | int) and 0 <= split < 1
        self._require("validation_split", is_fraction, "a number from 0 to below 1")
        self._require("watch", self.watch in (None, "confusion"), "'confusion' or None")
        if self.output is not None and self.watch is None:
            message = Text(Option("output"), " says which output is watched.")
            add = Text("Add ", Option("watch", "confusion"), ", or leave it out.")
            raise TrainingError(message, add, option="output")
        both = Text(Option("checkpoint"), " and ", Option("resume", True))
        remedy = Text("To continue from a folder, pass ", both, ".")
        is_run = isinstance(self.resume, TrainingRun | bool | None)
        self._require("resume", is_run, "a run, True or False", remedy)
        if self.fresh and self.resume:
            raise TrainingError(
                Text(Option("fresh"), " and ", Option("resume"), " contradict each other."),
                Text("Remove ", Option("resume"), " to start with new weights."),
            )
        _ = self.budget_seconds
        is_count = isinstance(self.gpus, int) and not isinstance(self.gpus, bool) and self.gpus > 0
        expected = "'all' or an integer of at least 1"
        self._require("gpus", self.gpus in (None, "all") or is_count, expected)
        if self.plain and (place := next((name for name in PLACES if getattr(self, name)), "")):
            raise TrainingError(
                Text(Option(place), " and ", Option("plain"), " contradict each other."),
                Text("Remove ", Option("plain"), "."),
            )
        if self.tensorboard is not None and find_spec("tensorboard") is None:
            raise TrainingError("TensorBoard is not installed.", "Run `pip install tensorboard`.")
        for name in ("csv", "tensorboard", "checkpoint"):
            value = getattr(self, name)
            if value is not None:
                path = _checked_path(name, value, is_folder=name != "csv")
                object.__setattr__(self, name, str(path))

    def keras_arguments(self) -> dict[str, Any]:
        """The data and numbers for ``model.fit`` by name, without those that have their default."""
        passed = {name: value for name, value in self.changed().items() if name in PASSED}
        return {"epochs": self.epochs, **passed, "verbose": self.verbose, **self.others}

    def recorded(self) -> dict[str, Any]:
        """The options for the run's record: plain values that differ from their defaults."""
        values = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in ({"epochs": self.epochs} | self.changed()).items()
            if (name not in NOT_RECORDED and value is not False) or name in ("shuffle", "checks")
        }
        values |= self.others
        if self.budget is not None:
            values["budget"] = self.budget_seconds
        recorded: dict[str, Any] = {
            key: value for key, value in values.items() if isinstance(value, PLAIN_VALUES)
        }
        weights: Any = self.class_weight
        if isinstance(weights, Mapping):
            recorded["class_weight"] = {
                key if isinstance(key, str) else int(key): float(weight)
                for key, weight in weights.items()
            }
        return recorded

    def described(self) -> dict[str, str]:
        """The options whose values are objects or arrays, which a record only describes."""
        texts = {}
        for name in OBJECTS:
            parts = [part for part in keras.tree.flatten(getattr(self, name)) if part is not None]
            if parts:
                texts[name] = ", ".join(map(_description, parts))
        return texts

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults, by name."""
        changed = {}
        for option in fields(self):
            value = getattr(self, option.name)
            is_default = value is option.default or (
                isinstance(value, PLAIN_VALUES) and value == option.default
            )
            if not is_default and option.name != "others":
                changed[option.name] = value
        return changed

    def monitor_note(self, monitor: str) -> str:
        """Which options use the training loss, because nothing is validated; "" if none does.

        Example:
            >>> FitOptions(patience=3, restore_best=True).monitor_note("loss")
            'There is no validation data: patience and restore_best use the training loss.'
        """
        changed = {name for name, value in self.changed().items() if value is not False}
        names = [name for name in ("patience", "reduce_lr", "restore_best") if name in changed]
        if monitor != "loss" or not names:
            return ""
        verb = "uses" if len(names) == 1 else "use"
        return f"There is no validation data: {join_with_and(names)} {verb} the training loss."


def check_learning_rate(model: Any, options: FitOptions) -> None:
    """Raise TrainingError if ``reduce_lr`` cannot lower the model's learning rate."""
    if options.plateau is None:
        return
    rate = None if schedule_of(model) else getattr(model.optimizer, "learning_rate", None)
    if not isinstance(rate, keras.Variable):
        option = Option("reduce_lr")
        raise TrainingError(
            Text(option, " cannot lower a learning rate that follows a schedule."),
            Text("Compile with a number as the learning rate, or remove ", option, "."),
        )


def _description(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return type(value).__name__
    return f"{'x'.join(map(str, shape))} {dtype}"


def _checked_path(name: str, value: str | Path, *, is_folder: bool) -> Path:
    def error(message: str, remedy: str | Text = "Use another path.") -> TrainingError:
        return TrainingError(Text(Option(name), message), remedy, option=name)

    if not isinstance(value, str | Path) or not str(value):
        raise TrainingError(option=name, expected="a path", actual=value)
    try:
        path = user_path(value)
    except KmagicError as problem:
        raise error(f": {problem.message}", problem.remedy) from None
    if is_folder and path.exists() and not path.is_dir():
        raise error(f" must be a folder; {path} is a file.")
    if is_folder and path.suffix.lower() in MODEL_SUFFIXES and not path.exists():
        remedy = Text(f"Use {path.with_suffix('')}. ", Function("save"), " writes model files.")
        raise error(f" must be a folder; {path} is the name of a model file.", remedy)
    if not is_folder and path.is_dir():
        raise error(f" must be a file; {path} is a folder.", "Add a file name.")
    if not is_folder and not path.parent.is_dir():
        raise error(f": no such folder: {path.parent}.", "Create it first.")
    existing = path
    while not existing.exists() and existing.parent != existing:
        existing = existing.parent
    if not os.access(existing, os.W_OK | (os.X_OK if existing.is_dir() else 0)):
        raise error(f": no write permission for {existing}.")
    return path


def create_folder(option: str, folder: Path) -> None:
    """Create the folder that an option names, or raise TrainingError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            Text(Option(option), f": cannot create the folder {folder}: {error.strerror}."),
            "Use another path.",
        ) from error
