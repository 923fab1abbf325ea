"""What a fit may be asked for beside Keras's own arguments, as Keras's own callbacks."""

from __future__ import annotations

import os
from csv import reader as csv_rows
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmagic.support.errors import TrainingError
from kmagic.support.formatting import format_elapsed, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from kmagic.training.callbacks.resumable_callbacks import Best
    from kmagic.training.run.training_run import Epoch

PLATEAU = 5
"""Epochs without progress after which the learning rate is lowered, where no number is given."""

LARGEST_SEED = 2**32 - 1
"""NumPy's."""

FILES = (".keras", ".h5", ".hdf5", ".kmagic", ".json")
"""Endings of the files that models are saved in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a fit.

    Attributes:
        seed: Makes the run repeatable.
        patience: Stop after so many epochs without progress.
        reduce_lr: Lower the learning rate after so many; True takes 5.
        restore_best: Put the best epoch's weights back in the end.
        csv: A file for the figures of each epoch.
        tensorboard: A folder for TensorBoard.
        budget: Seconds, or a text such as "2m": no epoch is begun that does not fit in.
        checkpoint: A folder that keeps the run, so that it can go on in another process.
    """

    seed: int | None = None
    patience: int | None = None
    reduce_lr: int | bool | None = None
    restore_best: bool = False
    csv: str | Path | None = None
    tensorboard: str | Path | None = None
    budget: float | str | None = None
    checkpoint: str | Path | None = None

    @property
    def seconds(self) -> float | None:
        """The budget in seconds.

        Raises:
            TrainingError: It is no time.
        """
        if self.budget is None:
            return None
        value = parse_duration(str(self.budget))
        if not value:
            raise TrainingError(
                f"budget is a time such as 90 (seconds), '2m' or '1h30m', not {self.budget!r}."
            )
        return value

    @property
    def budget_words(self) -> str:
        """The budget as on a stop watch."""
        return format_elapsed(self.seconds or 0.0)

    @property
    def plateau(self) -> int | None:
        """Epochs without progress after which the learning rate falls; None where it does not."""
        if self.reduce_lr is None or self.reduce_lr is False:
            return None
        return PLATEAU if self.reduce_lr is True else self.reduce_lr

    def check(self, model: keras.Model) -> None:
        """Refuse what cannot be, before anything starts.

        Raises:
            TrainingError: A value that its option does not take.
        """
        import keras  # noqa: PLC0415 - takes seconds

        _ = self.seconds
        for name in ("seed", "patience", "reduce_lr"):
            value = getattr(self, name)
            whole = isinstance(value, int) and value >= 0
            if value is not None and not whole:
                raise TrainingError(f"{name} is a whole number of at least 0, not {value!r}.")
        if self.seed is not None and self.seed > LARGEST_SEED:
            raise TrainingError(f"seed is at most {LARGEST_SEED:,}, not {self.seed:,}.")
        rate = getattr(model.optimizer, "learning_rate", None)
        if self.plateau is not None and not isinstance(rate, keras.Variable):
            raise TrainingError(
                "reduce_lr cannot lower a learning rate that follows a schedule.",
                "Compile with a number as the learning rate, or leave reduce_lr out.",
            )
        if self.tensorboard is not None and find_spec("tensorboard") is None:
            raise TrainingError("TensorBoard is not installed.", "`pip install tensorboard`")
        for name in ("csv", "tensorboard", "checkpoint"):
            value = getattr(self, name)
            if value is not None:
                _check_path(name, value, is_folder=name != "csv")

    def callbacks(
        self, monitor: str, epochs: int, *, log: Sequence[Epoch] = (), known: Best | None = None
    ) -> list[Any]:
        """Keras's callbacks that do it.

        Args:
            monitor: The figure that tells progress.
            epochs: How many are asked for.
            log: Epochs of the run that this one goes on with.
            known: The best one's weights, where they are kept.
        """
        from keras import callbacks  # noqa: PLC0415 - takes seconds

        from kmagic.training.callbacks.resumable_callbacks import Patience, Plateau  # noqa: PLC0415 - needs Keras

        made: list[Any] = []
        if self.patience is not None or self.restore_best:
            patience = epochs + 1 if self.patience is None else self.patience
            how = {"patience": patience, "restore_best_weights": self.restore_best}
            made.append(Patience(monitor, log=log, known=known, **how))
        if self.plateau is not None:
            made.append(Plateau(monitor, log=log, patience=self.plateau))
        if self.csv is not None:
            made.append(figures_file(Path(self.csv), goes_on=bool(log)))
        if self.tensorboard is not None:
            make_folder("tensorboard", Path(self.tensorboard))
            made.append(callbacks.TensorBoard(str(self.tensorboard), write_graph=False))
        return made

    def by_loss(self, monitor: str) -> str:
        """What goes by the loss of the training, as nothing is validated; "" if nothing does.

        Args:
            monitor: The figure that tells progress.

        Example:
            >>> Options(patience=3, restore_best=True).by_loss("loss")
            'no validation data: the early stop and the best epoch go by the training loss.'
        """
        named = {
            "the early stop": self.patience is not None,
            "lowering the rate": self.plateau is not None,
            "the best epoch": self.restore_best,
        }
        asked = [name for name, is_asked in named.items() if is_asked]
        if monitor != "loss" or not asked:
            return ""
        verb = "goes" if len(asked) == 1 else "go"
        words = " and ".join(filter(None, [", ".join(asked[:-1]), asked[-1]]))
        return f"no validation data: {words} {verb} by the training loss."

    def asked(self) -> dict[str, Any]:
        """Those that were given, as plain values."""
        names = self.__dataclass_fields__
        values = {name: getattr(self, name) for name in names}
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in values.items()
            if value is not None and value is not False
        }


def sow(model: keras.Model, seed: int) -> None:
    """Make all that follows repeatable: Python's, NumPy's and Keras's chance, and the layers'.

    A layer with chance of its own, such as dropout, holds its state since it was made; that is
    set anew.
    """
    import keras  # noqa: PLC0415 - takes seconds

    keras.utils.set_random_seed(seed % 2**32)
    states = [each for each in model.non_trainable_variables if "seed_generator_state" in each.path]
    for number, state in enumerate(states):
        state.assign([seed % 2**32, number])


def has_file_name(path: Path) -> bool:
    """Whether a folder that is not there yet would have the name of a model's file.

    Example:
        >>> has_file_name(Path("models/half.keras")), has_file_name(Path("models/half"))
        (True, False)
    """
    return path.suffix.lower() in FILES and not path.exists()


def figures_file(file: Path, *, goes_on: bool) -> Any:
    """Keras's own logger of figures, which keeps to the columns that a file has already.

    Args:
        file: Where to.
        goes_on: Whether to write on below what is there.
    """
    from keras import callbacks  # noqa: PLC0415 - takes seconds

    class Logger(callbacks.CSVLogger):  # type: ignore[misc] # Keras ships no types
        every_batch = False

        def on_train_begin(self, logs: object = None) -> None:
            columns = _columns_of(file) if self.append else None
            super().on_train_begin(logs)
            self.keys = columns

    return Logger(str(file), append=goes_on)


def _columns_of(file: Path) -> list[str] | None:
    """The figures in a file that is written on, whatever this run has; None where there are none.

    Keras would write the figures of this run in their order below the names of the others.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            names = next(csv_rows(lines), [])
    except (OSError, ValueError):  # who writes into it says what is wrong
        return None
    return names[1:] if names[:1] == ["epoch"] else None


def make_folder(name: str, folder: Path) -> None:
    """Make a folder that an option names.

    Raises:
        TrainingError: It cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{name}: the folder {folder} cannot be made: {error.strerror}.", "Name another."
        ) from error


def _check_path(name: str, value: str | Path, *, is_folder: bool) -> None:
    if not isinstance(value, str | Path):
        raise TrainingError(f"{name} is a path, not {value!r}.")
    path = Path(value)
    if is_folder and path.exists() and not path.is_dir():
        raise TrainingError(f"{name} is a folder, and {path} is a file.", "Name another.")
    if is_folder and has_file_name(path):
        raise TrainingError(
            f"{name} is a folder, and {path} is a file's name.", f"Name it {path.with_suffix('')}."
        )
    if not is_folder and path.is_dir():
        raise TrainingError(f"{name} is a file, and {path} is a folder.", "Name a file in it.")
    if not is_folder and not path.parent.is_dir():
        raise TrainingError(f"{name}: there is no folder {path.parent}.", "Make it first.")
    there = path
    while not there.exists() and there.parent != there:
        there = there.parent
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise TrainingError(f"{name}: {there} may not be written to.", "Name another place.")
