"""The folder that keeps a run: after each epoch the state of the model, the best weights, a record.

=========================  =========================================================================
``state/``                 weights and optimizer after the last two epochs and after the best one
``best.weights.h5``        a copy of the state after the best epoch
``run.json``               the record of the run; it names the files of its epoch, with checksums
``run.previous.json``      the same after the epoch before
``before/``                the run that was in the folder before this one began
``.lock``                  the process that trains
=========================  =========================================================================

Every file is replaced in one step, the record last. So a process may end at any moment, and a file
may be damaged: the run continues with the last epoch whose files are as they were written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kmagic.models.model_variables import stored_size, unchanged_after_error
from kmagic.support.errors import PersistenceError, TrainingError
from kmagic.support.file_system import atomic_write, check_free_space
from kmagic.support.folder_lock import FolderLock
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.process_patches import InterruptGuard
from kmagic.support.regular_files import file_problem
from kmagic.training.callbacks.recording_callbacks import report_best
from kmagic.training.fit_options import create_folder
from kmagic.training.run.confusion_history import ConfusionHistory
from kmagic.training.run.training_run import Epoch, Message, TrainingRun
from kmagic.training.validation.fit_errors import main_sentence

RECORD = "run.json"
PREVIOUS = "run.previous.json"
STATE = "state"
BEST_WEIGHTS = "best.weights.h5"
BEFORE = "before"
RECORDED = (
    "model_name",
    "epochs",
    "batch_size",
    "seed",
    "options",
    "described",
    "optimizer",
    "rows",
    "text",
    "versions",
    "fingerprint",
    "messages",
)
"""Attributes of the run that are written as they are."""


class _DamagedError(Exception):
    """A file is not as it was written; says what is wrong with it."""


class StateFile(NamedTuple):
    """A file of weights, as a record describes it."""

    epoch: int
    size: int
    checksum: str

    @property
    def name(self) -> str:
        """Its name in the folder of states."""
        return f"epoch-{self.epoch:04}.weights.h5"

    def check(self, path: Path) -> None:
        """Raise an error if a file is not this one."""
        try:
            if (size := path.stat().st_size) != self.size:
                raise _DamagedError(
                    f"{show_path(path)} has {size:,} bytes instead of {self.size:,}"
                )
            if _checksum(path) != self.checksum:
                raise _DamagedError(f"the checksum of {show_path(path)} is wrong")
        except OSError as error:
            raise _unreadable(path, error) from error


class Checkpoint:
    """The folder of one run.

    Attributes:
        notes: What the user has to know after :meth:`restore`.
        best_state: The best weights; None if there are none, or they are lost.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self.notes: list[str] = []
        self.best_state: StateFile | None = None
        self._lock: FolderLock | None = None

    @property
    def exists(self) -> bool:
        """Whether it contains a run."""
        return any((self.folder / name).exists() for name in (RECORD, PREVIOUS))

    @property
    def record(self) -> dict[str, Any]:
        """The latest record that can be read; empty if none can, which :meth:`restore` reports."""
        for name in (RECORD, PREVIOUS):
            with suppress(_DamagedError):
                return self._read(name)[0]
        return {}

    def _read(self, name: str) -> tuple[dict[str, Any], list[Epoch], StateFile]:
        """A record, its epochs, and the state after the last of them."""
        path = self.folder / name
        try:
            record = json.loads("" if file_problem(path) else path.read_text(encoding="utf-8"))
            state = StateFile(*record["state"])
            log = [Epoch(**values) for values in record["log"]]
            _states_of(record)
            return record, [epoch for epoch in log if epoch.number <= state.epoch], state
        except OSError as error:
            raise _unreadable(path, error) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _DamagedError(f"{show_path(path)} is not the complete record of a run") from error

    # --- locking ----------------------------------------------------------------------------------

    def lock(self) -> None:
        """Keep other processes from writing to the folder, which is created.

        Raises:
            TrainingError: Another process trains in it.
        """
        create_folder("checkpoint", self.folder)
        self._lock = FolderLock(self.folder)
        try:
            holder = self._lock.acquire()
        except OSError as error:
            raise TrainingError(
                Text(Option("checkpoint"), f": cannot write to {self.folder}: {error.strerror}."),
                "Use another path.",
            ) from error
        if holder:
            raise TrainingError(
                Text(Option("checkpoint"), f": {self.folder} is in use by {holder}."),
                "Use another folder, or wait until that training has ended, or stop it. If it no "
                f"longer runs, delete {show_path(self._lock.path)}.",
            )

    def release(self) -> None:
        """Let other processes write to the folder."""
        if self._lock is not None:
            self._lock.release()

    # --- reading ----------------------------------------------------------------------------------

    def restore(self, model: keras.Model) -> list[Epoch]:
        """Restore the state of a model and its optimizer; returns the epochs up to there.

        Raises:
            TrainingError: The folder is of another model, or all of its states are damaged.
        """
        if not model.built:
            raise TrainingError(
                "The weights of the checkpoint cannot be loaded: the model has no weights yet.",
                "Start it with its input shape, such as `input 28x28x1`, or call it once.",
            )
        for name in (RECORD, PREVIOUS, BEST_WEIGHTS):
            if (self.folder / name).is_dir():
                raise TrainingError(
                    f"The checkpoint in {self.folder} is damaged: {name} is a folder.",
                    "Delete that folder: the run then continues with what the others contain.",
                )
        damages: list[str] = []
        for name in (RECORD, PREVIOUS):
            try:
                record, log, state = self._read(name)
                state.check(self.folder / STATE / state.name)
            except _DamagedError as error:
                if name == RECORD or (self.folder / name).exists():
                    damages.append(str(error))
                continue
            self._load(model, state)
            if damages:
                self._copy_record(PREVIOUS, RECORD)
                self.notes.append(
                    f"The checkpoint is damaged: {damages[0]}. Continued from the state after "
                    f"epoch {state.epoch:,}."
                )
            self._restore_best(record)
            return log
        path, remedy = self.folder / BEST_WEIGHTS, "Use another checkpoint folder."
        with suppress(_DamagedError, KeyError, TypeError):
            StateFile(*self.record["best"]).check(path)
            remedy = (
                f"Its best weights are intact: model.load_weights({str(path)!r}). Train in another "
                "checkpoint folder."
            )
        raise TrainingError(
            f"The checkpoint in {self.folder} is damaged: {'; '.join(dict.fromkeys(damages))}.",
            remedy,
        )

    def _load(self, model: keras.Model, state: StateFile) -> None:
        optimizer = model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)
        try:
            with unchanged_after_error(model):
                model.load_weights(str(self.folder / STATE / state.name))
        except (ValueError, OSError, KeyError) as error:  # it is as it was written
            raise TrainingError(
                f"{self.folder} belongs to another model than {model.name}: {main_sentence(error)}",
                "Build the model as it was, or use another checkpoint folder.",
            ) from error

    def _restore_best(self, record: dict[str, Any]) -> None:
        """Replace the best weights by their copy, if they are of another epoch or damaged."""
        try:
            best = StateFile(*record["best"])
        except (KeyError, TypeError):
            return
        path, copy = self.folder / BEST_WEIGHTS, self.folder / STATE / best.name
        try:
            best.check(path)
        except _DamagedError as damage:
            try:
                best.check(copy)
            except _DamagedError:
                self.notes.append(
                    f"The best weights, of epoch {best.epoch:,}, are lost: {damage}, and so is "
                    "their copy. The best epoch is chosen from the epochs from here on."
                )
                return
            self.notes.append(
                f"{show_path(path)} did not contain the weights of the best epoch, "
                f"{best.epoch:,}. It was restored from its copy."
            )
            self._write_best(copy)
        self.best_state = best

    def confusion(self, last_epoch: int) -> ConfusionHistory | None:
        """The confusion matrices of its run up to an epoch; None if there are none."""
        try:
            values = self.record.get("confusion")
            return ConfusionHistory.from_dict(values, last_epoch=last_epoch) if values else None
        except (ValueError, KeyError, TypeError, IndexError):
            return None

    def best_weights(self, model: keras.Model) -> list[Any] | None:
        """The saved best weights; None if there are none for this model."""
        if self.best_state is None or not model.built:
            return None
        current = model.get_weights()
        try:
            model.load_weights(str(self.folder / BEST_WEIGHTS))
            return list(model.get_weights())
        except (ValueError, OSError, KeyError):  # of another model
            return None
        finally:
            model.set_weights(current)

    # --- writing ----------------------------------------------------------------------------------

    def move_to_before(self) -> bool:
        """Make room for another run; returns whether there was one.

        It is complete in one of the two places at any moment.
        """
        if not self.exists:
            shutil.rmtree(self.folder / STATE, ignore_errors=True)  # of a run without a record
            return False
        part = Path(tempfile.mkdtemp(prefix=".before-", dir=self.folder))
        others = shutil.ignore_patterns(BEFORE, ".*")
        shutil.copytree(self.folder, part, copy_function=_link, ignore=others, dirs_exist_ok=True)
        before = self.folder / BEFORE
        shutil.rmtree(before, ignore_errors=True)
        part.replace(before)
        for name in (PREVIOUS, RECORD, BEST_WEIGHTS):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / STATE, ignore_errors=True)
        return True

    def save(self, model: keras.Model, run: TrainingRun) -> bool:
        """Save the last epoch of a run; returns whether it is the best one.

        Raises:
            PersistenceError: A file could not be written. The earlier epochs are still there.
        """
        epoch = run.log[-1].number
        is_best = self._is_best(run)
        path = self.folder / STATE / StateFile(epoch, 0, "").name
        size, count = stored_size(model)
        check_free_space(path, size * (1 + is_best), count)
        with atomic_write(path, ".weights.h5", force=True) as part:
            model.save_weights(str(part))
            state = StateFile(epoch, part.stat().st_size, _checksum(part))
        if is_best:
            self._write_best(path)
            self.best_state = state
        record = {name: getattr(run, name) for name in RECORDED} | {
            "log": [asdict(each) for each in run.log],
            "confusion": None if run.confusion is None else run.confusion.to_dict(),
            "state": state,
            "best": self.best_state,
        }
        self._write_record(record)
        return is_best

    def _is_best(self, run: TrainingRun) -> bool:
        if run.best is None:
            return False
        is_lost = self.best_state is None  # of the best epoch so far
        return is_lost or run.best.epoch == run.log[-1].number

    def _write_best(self, state: Path) -> None:
        with atomic_write(self.folder / BEST_WEIGHTS, ".weights.h5", force=True) as part:
            shutil.copyfile(state, part)

    def _write_record(self, record: dict[str, Any]) -> None:
        """Write the record, keep the one before, and delete the states that neither names."""
        path, needed = self.folder / RECORD, _states_of(record)
        with suppress(_DamagedError):  # there is none yet
            needed |= _states_of(self._read(RECORD)[0])
            self._copy_record(RECORD, PREVIOUS)
        with atomic_write(path, ".json", force=True) as part:
            part.write_text(json.dumps(record, default=str), encoding="utf-8")
        for state in (self.folder / STATE).glob("epoch-*.weights.h5"):
            if state.name not in needed:
                with suppress(OSError):  # the next epoch tries it again
                    state.unlink()

    def _copy_record(self, name: str, target: str) -> None:
        with atomic_write(self.folder / target, ".json", force=True) as part:
            shutil.copyfile(self.folder / name, part)


class CheckpointSaver(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Saves each epoch, which the recorder has added to the run.

    An interrupt waits until the epoch is saved. The training goes on if it cannot be saved.
    """

    def __init__(self, checkpoint: Checkpoint, run: TrainingRun) -> None:
        super().__init__()
        self._checkpoint, self._run = checkpoint, run
        self._message: Message | None = None
        self._failure: Message | None = None  # of the epochs before, if they were not saved

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Save the epoch."""
        run, path = self._run, self._checkpoint.folder / BEST_WEIGHTS
        with InterruptGuard():
            try:
                is_best = self._checkpoint.save(self.model, run)
            except PersistenceError as error:
                self._report_failure(run.log[-1].number, error)
                return
        self._failure = None
        if is_best and run.best is not None:
            self._message = report_best(
                run, self._message, run.best.monitor, run.best.value, str(path)
            )

    def _report_failure(self, epoch: int, error: PersistenceError) -> None:
        """Add a message; it replaces that of the epochs immediately before."""
        first, messages, before = epoch, self._run.messages, self._failure
        if before is not None and before in messages:
            first = before.epoch
            messages.remove(before)
        epochs = f"Epoch {epoch:,} is" if first == epoch else f"Epochs {first:,} to {epoch:,} are"
        self._failure = Message(first, f"{epochs} not in the checkpoint: {error}")
        messages.append(self._failure)


def _states_of(record: dict[str, Any]) -> set[str]:
    states = (record.get("state"), record.get("best"))
    return {StateFile(*state).name for state in states if state}


def _unreadable(path: Path, error: OSError) -> _DamagedError:
    if isinstance(error, FileNotFoundError):
        return _DamagedError(f"{show_path(path)} is missing")
    return _DamagedError(f"{show_path(path)} cannot be read: {error.strerror}")


def _checksum(path: Path) -> str:
    if problem := file_problem(path):
        raise OSError(errno.EINVAL, f"it {problem}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source: str | Path, target: str | Path) -> None:
    """Another name for a file, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
