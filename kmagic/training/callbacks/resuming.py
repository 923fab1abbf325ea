"""Continuing an earlier run: the folder that keeps it, and callbacks that continue its count.

In the folder Keras's BackupAndRestore saves the state of model and optimizer after each epoch, its
ModelCheckpoint the best weights; the record is saved beside them as JSON. The record is written
first: if the process dies in between, it has one epoch too many, which is cut off.

Keras's callbacks start counting epochs with each fit. In a resumed run the count follows from the
record of the earlier epochs; only the best epoch's weights have to be kept.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kmagic.support.errors import TrainingError
from kmagic.support.model_registry import record_for
from kmagic.training.callbacks.recording_callbacks import learning_rate
from kmagic.training.fit_options import FitOptions, create_folder
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.training_run import Epoch, TrainingRun
from kmagic.training.validation.fit_errors import main_sentence

RECORD = "run.json"
STATE = "state"
BEST_WEIGHTS = "best.weights.h5"
BEFORE = "before"
"""The subfolder that keeps the previous run when another one begins in the folder."""
RECORDED = (
    "model_name",
    "epochs",
    "batch_size",
    "seed",
    "options",
    "described",
    "rows",
    "text",
    "versions",
    "fingerprint",
    "messages",
)
"""Attributes of the run that are written as they are."""


def open_checkpoint(run: TrainingRun, model: keras.Model, options: FitOptions) -> Checkpoint | None:
    """Add the epochs of the run to continue to a new record, and open the checkpoint folder.

    Raises:
        TrainingError: The run to continue is another model's.
    """
    resume = options.resume
    checkpoint = None if options.checkpoint is None else Checkpoint(options.checkpoint)
    earlier = record_for(model).run if resume is True else resume or None
    if not resume:
        if checkpoint is not None and checkpoint.move_to_before():
            run.add_message(
                f"Moved an earlier run in {checkpoint.folder} to its folder before/; resume would "
                "have continued it."
            )
    elif checkpoint is not None and checkpoint.exists:
        log = checkpoint.restore(model)
        run.confusion = checkpoint.confusion(log[-1].number) if log else None
        _continue_log(run, log)
    elif isinstance(earlier, TrainingRun):
        run.first_epoch_curves = earlier.first_epoch_curves
        run.initial_epoch = earlier.initial_epoch
        run.confusion = deepcopy(earlier.confusion)  # the earlier run's must not change
        _continue_log(run, earlier.log)
    return checkpoint


def _continue_log(run: TrainingRun, log: Sequence[Epoch]) -> None:
    run.log += log
    run.resumed = len(log)
    if log and log[-1].number >= run.epochs:
        run.add_message(
            f"All {run.epochs:,} epochs are already trained; request more epochs to continue."
        )
    elif log:
        run.add_message(f"Continued after epoch {log[-1].number:,}.")


def best_before(
    run: TrainingRun, model: keras.Model, checkpoint: Checkpoint | None
) -> BestWeights | None:
    """The best weights of the run that this one continues, if they are still known."""
    if not run.log:
        return None
    before = count_epochs(run.log, run.monitor)
    kept: BestWeights | None = record_for(model).best
    if kept is not None and (kept.epoch, kept.value) == (before.epoch, before.best):
        return kept
    weights = checkpoint.best_weights(model) if checkpoint is not None else None
    if weights is None or before.best is None:
        return None
    return BestWeights(before.epoch, before.best, weights)


# --- the folder ---------------------------------------------------------------------------------


class Checkpoint:
    """The folder of one run."""

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self._record_path = self.folder / RECORD

    @property
    def exists(self) -> bool:
        """Whether it contains a run."""
        return self._record_path.exists()

    @property
    def record(self) -> dict[str, Any]:
        """The record of its run; empty if it cannot be read, which :meth:`restore` reports."""
        try:
            record = self._read_record()
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _read_record(self) -> Any:
        return json.loads(self._record_path.read_text(encoding="utf-8"))

    def move_to_before(self) -> bool:
        """Make room for another run; returns whether there was one."""
        if not self.exists:
            return False
        before = self.folder / BEFORE
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir()
        for name in (RECORD, STATE, BEST_WEIGHTS):
            if (self.folder / name).exists():
                (self.folder / name).rename(before / name)
        return True

    def restore(self, model: keras.Model) -> list[Epoch]:
        """Restore the state of a model and its optimizer; returns the epochs up to there.

        Raises:
            TrainingError: The folder is of another model, or cannot be read.
        """
        state = self.folder / STATE
        try:
            log = [Epoch(**values) for values in self._read_record()["log"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self._record_path} cannot be read: {error}", "Use another checkpoint folder."
            ) from error
        if not state.exists():
            return []
        if not model.built:
            raise TrainingError(
                "The weights of the checkpoint cannot be loaded: the model has no weights yet.",
                "Start it with its input shape, such as `input 28x28x1`, or call it once.",
            )
        try:
            epochs = _Backup(state).restore(model)
        except (ValueError, OSError, KeyError) as error:
            raise TrainingError(
                f"{self.folder} belongs to another model than {model.name}: {main_sentence(error)}",
                "Build the model as it was, or use another checkpoint folder.",
            ) from error
        return [epoch for epoch in log if epoch.number <= epochs]

    def confusion(self, last_epoch: int) -> ConfusionHistory | None:
        """The confusion matrices of its run up to an epoch; None if there are none."""
        try:
            record = self._read_record()
            values = record.get("confusion", record.get("watched"))  # its name before 0.2
            return ConfusionHistory.from_dict(values, last_epoch=last_epoch) if values else None
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def best_weights(self, model: keras.Model) -> list[Any] | None:
        """The saved best weights; None if there are none for this model."""
        path = self.folder / BEST_WEIGHTS
        if not path.exists() or not model.built:
            return None
        current = model.get_weights()
        try:
            model.load_weights(str(path))
            return list(model.get_weights())
        except (ValueError, OSError, KeyError):  # of another model
            return None
        finally:
            model.set_weights(current)

    def callbacks(self, run: TrainingRun) -> tuple[Any, list[Any]]:
        """The callback for the best weights, and those for record and state after the recorder."""
        create_folder("checkpoint", self.folder)
        best = run.best if run.log else None
        best_saver = keras.callbacks.ModelCheckpoint(
            str(self.folder / BEST_WEIGHTS),
            monitor=run.monitor,
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=best.value if best and best.monitor == run.monitor else None,
        )
        record_saver = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: self._write(run))
        return best_saver, [record_saver, _Backup(self.folder / STATE)]

    def _write(self, run: TrainingRun) -> None:
        """Write the record atomically; the recorder has added the epoch."""
        record = {name: getattr(run, name) for name in RECORDED}
        record["log"] = [asdict(epoch) for epoch in run.log]
        record["confusion"] = None if run.confusion is None else run.confusion.to_dict()
        temporary = self._record_path.with_suffix(".json.part")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._record_path)


class _Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc] # Keras is untyped
    """Keras's callback, which restores on request and not whenever a training begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), double_checkpoint=True, delete_checkpoint=False)

    def on_train_begin(self, logs: object = None) -> None:
        """Do not restore."""

    def restore(self, model: keras.Model) -> int:
        """Restore the state; returns the number of epochs trained."""
        self.set_model(model)
        super().on_train_begin()
        # Keras stores the number here, for the fit that it expects to run in.
        epochs, model._initial_epoch = getattr(model, "_initial_epoch", None), None  # noqa: SLF001
        return int(epochs or 0)


# --- counting epochs ----------------------------------------------------------------------------


class BestWeights(NamedTuple):
    """The best epoch, counted from 1, with the monitored metric and the model's weights."""

    epoch: int
    value: float
    weights: list[Any]


class EpochCount(NamedTuple):
    """The lowest value of a metric, its epoch, and the epochs since then or since a reset."""

    best: float | None
    epoch: int
    wait: int


def count_epochs(
    log: Sequence[Epoch], monitor: str, *, min_delta: float = 0.0, rate: float | None = None
) -> EpochCount:
    """Count epochs without progress, as Keras's callbacks do: progress is more than ``min_delta``.

    With ``rate``, the learning rate after the last epoch, the count is reset where the rate fell.

    Example:
        >>> log = [Epoch(n, {"loss": loss}, 1.0) for n, loss in enumerate([3.0, 2.0, 2.5], 1)]
        >>> count_epochs(log, "loss")
        EpochCount(best=2.0, epoch=2, wait=1)
    """
    best, best_epoch, wait = None, 0, 0
    rates = [epoch.learning_rate for epoch in log[1:]] + [rate]
    for epoch, next_rate in zip(log, rates, strict=False):  # without epochs there is one rate
        value = epoch.logs.get(monitor)
        if value is None:
            continue
        wait += 1
        if best is None or value + min_delta < best:
            best, best_epoch, wait = value, epoch.number, 0
        before = epoch.learning_rate
        if rate is not None and before is not None and next_rate is not None and next_rate < before:
            wait = 0
    return EpochCount(best, best_epoch, wait)


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc] # as above
    """Keras's EarlyStopping that continues an earlier run.

    If the earlier epochs used up the patience, it starts again in full. If the best epoch's
    weights are to be restored but nobody kept them, the best epoch is chosen from the new ones.
    """

    def __init__(
        self, log: Sequence[Epoch], best_known: BestWeights | None, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self._log = tuple(log)
        self._best_known = best_known
        self.best: float | None = None
        self.lost_epoch = 0  # the best earlier epoch if its weights are not known

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        before = count_epochs(self._log, self.monitor)
        if before.best is None:
            return
        self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0
        if self.restore_best_weights and self._best_known is not None:
            self.best, self.best_epoch = self._best_known.value, self._best_known.epoch - 1
            self.best_weights = self._best_known.weights
        elif self.restore_best_weights:
            self.best, self.lost_epoch = None, before.epoch

    @property
    def best_seen(self) -> BestWeights | None:
        """The best epoch and its weights, if kept."""
        if self.best_weights is None or self.best is None:
            return None
        return BestWeights(self.best_epoch + 1, float(self.best), self.best_weights)


class ResumableReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc] # as above
    """Keras's ReduceLROnPlateau that continues an earlier run."""

    def __init__(self, log: Sequence[Epoch], **keywords: Any) -> None:
        super().__init__(**keywords)
        self._log = tuple(log)

    def on_train_begin(self, logs: object = None) -> None:
        """Continue counting."""
        super().on_train_begin(logs)
        delta, rate = abs(self.min_delta), learning_rate(self.model)
        before = count_epochs(self._log, self.monitor, min_delta=delta, rate=rate)
        if before.best is not None:
            self.best, self.wait = before.best, before.wait if before.wait < self.patience else 0


class ResumableCSVLogger(keras.callbacks.CSVLogger):  # type: ignore[misc] # as above
    """Keras's CSVLogger that keeps the columns of a file it appends to.

    Keras would write this run's metrics in its own order below the names of the earlier ones.
    """

    def on_train_begin(self, logs: object = None) -> None:
        """Open the file."""
        columns = _metric_columns(Path(self.filename)) if self.append else None
        super().on_train_begin(logs)
        self.keys = columns


def _metric_columns(file: Path) -> list[str] | None:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            names = next(csv.reader(lines), [])
    except (OSError, ValueError):  # writing to it reports the error
        return None
    return names[1:] if names[:1] == ["epoch"] else None
