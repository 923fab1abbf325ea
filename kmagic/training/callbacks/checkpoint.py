"""A folder that keeps a run, so that it goes on in another process.

The state of the model and its optimizer is kept by Keras's own BackupAndRestore after each epoch,
the best weights by its ModelCheckpoint, and the record beside them as JSON. The record is written
first: where a process dies between the two, it holds an epoch too many, and that one is cut off.

Imported only when Keras is there already.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kmagic.support.errors import TrainingError
from kmagic.training.fit_options import make_folder
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.training_run import Epoch
from kmagic.training.validation.fit_errors import essence

if TYPE_CHECKING:
    from kmagic.training.run.training_run import TrainingRun

RECORD = "run.json"
STATE = "state"
BEST = "best.weights.h5"
BEFORE = "before"
"""Where a run is put when another one begins in its folder; of these there is one."""


class Checkpoint:
    """The folder of one run.

    Args:
        path: The folder; it is made with the first thing that is kept.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self.best = self.folder / BEST

    @property
    def is_there(self) -> bool:
        """Whether it holds a run."""
        return (self.folder / RECORD).exists()

    @property
    def epochs(self) -> int | None:
        """How many epochs its run was to have; None where there is none that can be read."""
        try:
            found = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))["epochs"]
        except (OSError, ValueError, KeyError, TypeError):  # who goes on with it says what is wrong
            return None
        return found if isinstance(found, int) and found > 0 else None

    def put_aside(self) -> bool:
        """Make room for another run; returns whether there was one."""
        if not self.is_there:
            return False
        before = self.folder / BEFORE
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir()
        for name in (RECORD, STATE, BEST):
            if (self.folder / name).exists():
                (self.folder / name).rename(before / name)
        return True

    def restore(self, model: keras.Model) -> list[Epoch]:
        """Bring a model and its optimizer to where the run was; returns its epochs up to there.

        Raises:
            TrainingError: The folder is another model's, or cannot be read.
        """
        state = self.folder / STATE
        try:
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            log = [Epoch(**each) for each in record["log"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self.folder / RECORD} cannot be read: {error}", "Name another checkpoint."
            ) from error
        if not state.exists():
            return []
        if not model.built:
            raise TrainingError(
                "the model has no weights yet to put those of the checkpoint into.",
                "Begin it with its input's shape, such as `input 28x28x1`, or call it once.",
            )
        try:
            done = _Backup(state).restore(model)
        except (ValueError, OSError, KeyError) as error:
            raise TrainingError(
                f"{self.folder} keeps another model than {model.name}: {essence(error)}",
                "Build the model as it was, or name another checkpoint.",
            ) from error
        return [each for each in log if each.number <= done]

    def watched(self, upto: int) -> ConfusionHistory | None:
        """What its run took for what, up to an epoch; None where nobody watched.

        Args:
            upto: The last epoch that counts.
        """
        try:
            kept = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))["watched"]
            return None if kept is None else ConfusionHistory.from_dict(kept, last_epoch=upto)
        except (OSError, ValueError, KeyError, TypeError, IndexError):  # kept by an earlier kmagic
            return None

    def best_weights(self, model: keras.Model) -> list[Any] | None:
        """The weights that are kept as the best; None where there are none for this model."""
        if not self.best.exists() or not model.built:
            return None
        now = model.get_weights()
        try:
            model.load_weights(str(self.best))
            return list(model.get_weights())
        except (ValueError, OSError, KeyError):  # another model's
            return None
        finally:
            model.set_weights(now)

    def callbacks(self, run: TrainingRun, monitor: str) -> tuple[Any, list[Any]]:
        """What keeps the best weights, and what keeps record and state behind the recorder."""
        make_folder("checkpoint", self.folder)
        best = run.best if run.log else None
        saver = keras.callbacks.ModelCheckpoint(
            str(self.best),
            monitor=monitor,
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=best.value if best and best.monitor == monitor else None,
        )
        return saver, [_Record(self.folder / RECORD, run), _Backup(self.folder / STATE)]


class _Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc] # Keras ships no types
    """Keras's own, that restores when it is told to, and not whenever a training begins."""

    every_batch = False

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), double_checkpoint=True, delete_checkpoint=False)

    def on_train_begin(self, logs: object = None) -> None:
        """The model is where it shall be."""

    def restore(self, model: keras.Model) -> int:
        """Restore the state; returns how many epochs were trained."""
        self.set_model(model)
        super().on_train_begin()
        # Keras leaves the number here, for the fit that it expects to be in.
        done, model._initial_epoch = getattr(model, "_initial_epoch", None), None  # noqa: SLF001
        return int(done or 0)


class _Record(keras.callbacks.Callback):  # type: ignore[misc] # as above
    """Writes the record after each epoch, at once or not at all."""

    every_batch = False

    def __init__(self, path: Path, run: TrainingRun) -> None:
        super().__init__()
        self._path = path
        self._run = run

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """The recorder has put the epoch down."""
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
                "log": [asdict(each) for each in run.log],
                "watched": None if run.confusion is None else run.confusion.to_dict(),
            },
            default=str,
        )
        beside = self._path.with_suffix(".json.part")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
