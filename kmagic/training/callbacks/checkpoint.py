"""A folder that keeps a run, so that another process can continue it.

Keras's BackupAndRestore saves the state of model and optimizer after each epoch, its
ModelCheckpoint the best weights; the record is saved beside them as JSON. The record is written
first: if the process dies in between, it has one epoch too many, which is cut off.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from kmagic.support.errors import TrainingError
from kmagic.training.fit_options import create_folder
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.training_run import Epoch, TrainingRun
from kmagic.training.validation.fit_errors import main_sentence

RECORD = "run.json"
STATE = "state"
BEST_WEIGHTS = "best.weights.h5"
BEFORE = "before"
"""The subfolder that keeps the previous run when another one begins in the folder."""


class Checkpoint:
    """The folder of one run."""

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self._record_path = self.folder / RECORD

    @property
    def exists(self) -> bool:
        """Whether it contains a run."""
        return self._record_path.exists()

    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self._record_path.read_text(encoding="utf-8"))
        return record

    @property
    def epochs(self) -> int | None:
        """The requested number of epochs of its run; None if it cannot be read."""
        try:
            epochs = self._record()["epochs"]
        except (OSError, ValueError, KeyError, TypeError):  # continuing the run reports the error
            return None
        return epochs if isinstance(epochs, int) and epochs > 0 else None

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
            log = [Epoch(**values) for values in self._record()["log"]]
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
            record = self._record()
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

    def callbacks(self, run: TrainingRun, monitor: str) -> tuple[Any, list[Any]]:
        """The callback for the best weights, and those for record and state after the recorder."""
        create_folder("checkpoint", self.folder)
        best = run.best if run.log else None
        best_saver = keras.callbacks.ModelCheckpoint(
            str(self.folder / BEST_WEIGHTS),
            monitor=monitor,
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=best.value if best and best.monitor == monitor else None,
        )
        return best_saver, [_RecordSaver(self._record_path, run), _Backup(self.folder / STATE)]


class _Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc] # Keras is untyped
    """Keras's callback, which restores on request and not whenever a training begins."""

    every_batch = False

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


class _RecordSaver(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Writes the record after each epoch, atomically."""

    every_batch = False

    def __init__(self, path: Path, run: TrainingRun) -> None:
        super().__init__()
        self._path = path
        self._run = run

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The recorder has added the epoch."""
        del epoch, logs
        run = self._run
        text = json.dumps(
            {
                "model_name": run.model_name,
                "epochs": run.epochs,
                "batch_size": run.batch_size,
                "seed": run.seed,
                "options": run.options,
                "text": run.text,
                "versions": run.versions,
                "fingerprint": run.fingerprint,
                "messages": run.messages,
                "log": [asdict(epoch) for epoch in run.log],
                "confusion": None if run.confusion is None else run.confusion.to_dict(),
            },
            default=str,
        )
        temporary = self._path.with_suffix(".json.part")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
