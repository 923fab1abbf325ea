"""Who is with a fit: the callbacks in their order, and what they are asked when it ends."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from kmagic.support.errors import TrainingError
from kmagic.support.model_registry import best_for, run_for
from kmagic.training.callbacks.stop_request import HeldInterrupt
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import VALIDATION, Display, Epoch, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import keras

    from kmagic.training.callbacks.checkpoint import Checkpoint
    from kmagic.training.callbacks.nan_guard import NotFinite
    from kmagic.training.callbacks.resumable_callbacks import Best
    from kmagic.training.fit_options import Options
    from kmagic.training.pipeline.pipeline_choice import KerasPipeline


class Crew:
    """The callbacks of one fit.

    Args:
        run: The record.
        displays: Views that are told.
        options: What was asked for.
        callbacks: The user's own, one or several.
        store: The folder that keeps the run, or None.
        before: Ours that are told just before the recorder, so that it tells what they found.
        known: The weights of the best epoch before, where the run goes on and they are kept.

    Attributes:
        callbacks: All, in the order in which each moment reaches them: the user's and Keras's,
            notes on what those did, the recorder, the guard, then what needs the epoch recorded.
        others: Those of them that are Keras's or the user's.
    """

    def __init__(
        self,
        run: TrainingRun,
        displays: Sequence[Display],
        options: Options,
        callbacks: Any,
        store: Checkpoint | None,
        *,
        before: Sequence[Any] = (),
        known: Best | None = None,
    ) -> None:
        import keras  # noqa: PLC0415 - takes seconds

        from kmagic.training.callbacks import budget  # noqa: PLC0415 - needs Keras
        from kmagic.training.callbacks.nan_guard import Gate, Guard  # noqa: PLC0415 - as above
        from kmagic.training.callbacks.recording_callback import Watch  # noqa: PLC0415 - as above

        self.recorder = Recorder(run, displays)
        self.interrupts = HeldInterrupt()
        self._options = options
        monitor = monitor_of(run)
        others = keras.tree.flatten(callbacks) if callbacks else []
        if not any(isinstance(each, keras.callbacks.History) for each in others):
            others.append(keras.callbacks.History())
        self._own = options.callbacks(monitor, run.epochs, log=run.log, known=known)
        self.others = [*others, *self._own]
        after: list[Any] = []
        if store is not None:
            saver, after = store.callbacks(run, monitor)
            self.others.append(saver)
        self._guard = Guard()
        gate = [Gate(self._guard)] if store is not None or options.restore_best else []
        self._budget = None
        if options.seconds is not None:
            self._budget = budget.Budget(self.recorder, options.seconds)
            after.append(self._budget)
        self._notes = budget.Notes(run, self.others)
        self.others.append(self._notes)
        self.callbacks = [
            *gate,
            *self.others,
            *before,
            Watch(self.recorder, self.interrupts),
            self._guard,
            *after,
            budget.Ending(run),
        ]

    def joins(self, way: KerasPipeline) -> None:
        """Know how the training is done."""
        self._guard.exact = way.stops_at_nan

    def why_early(self) -> str:
        """Why the training ended before the epochs that were asked for; "" if it did not."""
        run = self.recorder.run
        if len(run.log) >= run.epochs - run.initial_epoch:
            return ""
        if self._budget is not None and self._budget.used_up:
            return f"budget of {self._options.budget_words}"
        return "stopped early"

    @property
    def best(self) -> Best | None:
        """The best epoch with its weights, where they were to be put back."""
        return next((found for each in self._own if (found := getattr(each, "found", None))), None)

    def put_best_back(self, model: keras.Model) -> None:
        """After an interrupt: the best weights, where they were asked for and are known."""
        for each in self._own:
            best = getattr(each, "best_weights", None)
            if self._options.restore_best and best is not None:
                model.set_weights(best)
                self.recorder.run.add_message(
                    f"the weights of epoch {each.best_epoch + 1:,} are put back."
                )

    def close(self) -> None:
        """After a fit that Keras has not brought to its end: what our callbacks write is written.

        The user's own are not told: Keras does not tell them either.
        """
        for each in self._own:
            if getattr(each, "best_weights", None) is None:
                each.on_train_end()

    def rescue(self, model: keras.Model, found: NotFinite, x: Any) -> str:
        """After a loss that is no number: good weights, and in words what happened.

        Args:
            model: The model, as it broke.
            found: What was seen.
            x: What it was trained on.
        """
        from kmagic.training.callbacks.nan_guard import culprit, layer_names  # noqa: PLC0415 - needs Keras

        broken, names = model.get_weights(), layer_names(model)
        restored = self._guard.restore()
        where = culprit(model, x, broken, names)
        words = f"{found.words}; it begins at {where}" if where else found.words
        kept = (
            f"the weights from the beginning of epoch {self._guard.epoch:,} are put back"
            if restored
            else "the weights are lost, there was no good copy"
        )
        self.recorder.run.add_message(
            f"{words}; {kept}. A lower learning rate, scaled data or clipnorm=1 on the optimizer "
            "help most often."
        )
        return words


def open_store(
    run: TrainingRun,
    model: keras.Model,
    checkpoint: str | Path | None,
    resume: TrainingRun | bool | None,
) -> Checkpoint | None:
    """Fill a new record with the run that it goes on with, and open the folder that keeps it.

    Args:
        run: The record.
        model: The model; where it goes on with a folder's run, that one's weights are put in.
        checkpoint: The folder, if one is asked for.
        resume: The run to go on with, or whether to look for it.

    Raises:
        TrainingError: There is no run to go on with, or it is another model's.
    """
    if not isinstance(resume, TrainingRun | bool | None):
        raise TrainingError(
            f"resume is a run, True or False, not {resume!r}.",
            "The folder of a run goes with it: checkpoint=FOLDER, resume=True.",
        )
    store = None
    if checkpoint is not None:
        from kmagic.training.callbacks.checkpoint import Checkpoint  # noqa: PLC0415 - needs Keras

        store = Checkpoint(checkpoint)
    earlier = run_for(model) if resume is True else resume or None
    if not resume:
        if store is not None and store.put_aside():
            run.add_message(
                f"an earlier run in {store.folder} is moved to its folder before/; "
                "resume would have gone on with it."
            )
    elif store is not None and store.is_there:
        log = store.restore(model)
        run.confusion = store.confusion(log[-1].number) if log else None
        _go_on(run, log)
    elif earlier is not None:
        run.first_epoch_curves = earlier.opening
        run.initial_epoch = earlier.initial_epoch
        run.confusion = deepcopy(
            earlier.confusion
        )  # its curves go on, and those of the other do not
        _go_on(run, earlier.log)
        if earlier.fingerprint != run.fingerprint:
            run.add_message("the data is not what the earlier epochs were trained on.")
    elif store is None:
        raise TrainingError(
            f"{run.model_name} has no earlier run to go on with.",
            "Train it without resume first; a run that outlives the process needs a checkpoint.",
        )
    return store


def _go_on(run: TrainingRun, log: Sequence[Epoch]) -> None:
    for epoch in log:
        run.add(epoch)
    run.resumed = len(log)
    if not log:
        return
    run.now.epoch = 0
    if log[-1].number >= run.epochs:
        run.add_message(
            f"all {run.epochs:,} epochs are trained already; ask for more epochs to go on."
        )
    else:
        run.add_message(f"goes on behind epoch {log[-1].number:,}.")


def best_before(run: TrainingRun, model: keras.Model, store: Checkpoint | None) -> Best | None:
    """The best epoch of the run that this one goes on with, where its weights are still known.

    Args:
        run: The record, with those epochs.
        model: The model.
        store: The folder that keeps the run.
    """
    from kmagic.training.callbacks.resumable_callbacks import Best, count  # noqa: PLC0415 - needs Keras

    if not run.log:
        return None
    before = count(run.log, monitor_of(run))
    known = best_for(model)
    if known is not None and (known.epoch, known.value) == (before.epoch, before.best):
        return known  # type: ignore[no-any-return] # the ground floor does not know what it keeps
    weights = store.best_weights(model) if store is not None else None
    if weights is None or before.best is None:
        return None
    return Best(before.epoch, before.best, weights)


def monitor_of(run: TrainingRun) -> str:
    """The figure that tells progress: the validation's loss, or the loss where nothing is."""
    return "loss" if run.validation_samples == 0 else VALIDATION + "loss"
