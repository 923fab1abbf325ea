"""A model's train and test step, several batches to an execution, while Keras's ``fit`` runs.

Keras can do this itself (``steps_per_execution``), but only by a number that is fixed before the
first batch and built into the graph. Here the number is an argument of the graph, so that it can
follow from the time that a batch takes, and reach to the end of an epoch of any length.

Keras's loop stays as it is: it calls the model's ``train_function`` once a batch. Ours trains
several batches at the first of these calls and does nothing at the others; callbacks are told
of whole executions, as Keras tells them with ``steps_per_execution``.

Imported only when Keras is there already.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import keras

from kmagic.training.pipeline.batches_per_call import Stride
from kmagic.training.pipeline.step_graph import Kind, Steps, make_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SAVED = 0.15
"""The share of its time, at the least, that a step saves by knowing the size of its batch, where it
gains by that (see ``graphs``). A second graph is made where that is more than its making costs."""


class Loop:
    """Where Keras stands in an epoch or a validation, and how far ahead of it the model is.

    Args:
        batches: Batches in an epoch.
        stride: Chooses how many of them an execution takes.
        epochs: How many epochs there are.
        whole: Samples in each batch but the last, where that one is shorter and the model gains
            by knowing it; else None.
        clock: Seconds.
    """

    def __init__(
        self,
        batches: int,
        stride: Stride,
        *,
        epochs: int = 1,
        whole: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.batches = batches
        self.whole = whole
        self._stride = stride
        self._clock = clock
        self._turn: int | None = None
        self._first = self._done = 0
        self._epochs_after = epochs
        self._logs: Any = None

    @property
    def awaited(self) -> bool:
        """Whether Keras is about to run a batch of this loop, and not somebody else one of his."""
        return self._turn is not None

    @property
    def ahead(self) -> int:
        """Batches from here to the end of the epoch."""
        return self.batches - self._done

    @property
    def seconds_ahead(self) -> float:
        """What all batches from here to the last epoch's end will take, as far as is known."""
        return (self._epochs_after * self.batches + self.ahead) * (self._stride.batch or 0.0)

    def starts(self, batch: int) -> bool:
        """Whether an execution begins with a batch, counted from 0."""
        if batch == 0:
            self._done = 0
            self._epochs_after -= 1
        return batch == self._done

    def awaits(self, batch: int) -> None:
        """The next thing that Keras does is to run this batch."""
        self._turn = batch

    def run(self, execute: Callable[[int], tuple[Any, int, bool]]) -> Any:
        """Run the batch that is awaited, with those after it, unless it is run already.

        Args:
            execute: Runs so many batches, or fewer; gives the figures, how many it has run, and
                whether a graph was made for it, so that its time tells nothing.
        """
        turn, self._turn = self._turn, None
        if turn == self._done:
            batches = self._stride.next(self.ahead)
            began = self._clock()
            self._logs, batches, made = execute(batches)
            self._stride.took(batches, None if made else self._clock() - began)
            self._first, self._done = self._done, self._done + batches
        return self._logs

    def ends(self, batch: int) -> int | None:
        """Keras is through with a batch; returns the last one of the execution that ended, if any.

        An execution ends with its first batch, as Keras counts: the others are run by then.
        """
        if self._turn is not None:  # somebody put another function in place of ours
            self._turn, self._first, self._done = None, batch, batch + 1
        return self._done - 1 if batch == self._first else None


class Executions:
    """Stands in a model's ``train_function`` or ``test_function``.

    Where the loop that it is given awaits a batch, it runs several; any other call is somebody
    else's (a callback that evaluates the model, a later ``model.fit``) and goes to Keras's own
    function. As Keras's own it stays with the model until that is compiled again, and so the
    graph is made only once.

    An execution of training ends with the batch in which the loss is no number any more.
    """

    def __init__(self, model: keras.Model, kind: Kind) -> None:
        self.loop: Loop | None = None
        self._model = model
        self._kind = kind
        self._keras = getattr(model, self._name)
        self._steps = Steps(model, kind)
        self._whole: Steps | None = None

    @property
    def made(self) -> bool:
        """Whether there is a graph."""
        return self._steps.made

    @property
    def _name(self) -> str:
        return f"{self._kind}_function"

    @classmethod
    def of(cls, model: keras.Model, kind: Kind) -> Executions:
        """Those of a model, put in place where they are not there yet."""
        known = getattr(model, f"{kind}_function")
        if isinstance(known, cls):
            return known
        made = cls(model, kind)
        setattr(model, made._name, made)
        return made

    def __call__(self, iterator: Any) -> Any:
        """What Keras calls for each batch; returns the figures up to here."""
        if self.loop is not None and self.loop.awaited:
            loop = self.loop
            return loop.run(lambda batches: self._execute(loop, iterator, batches))
        if self._keras is None:
            getattr(self._model, f"make_{self._name}")(force=True)
            self._keras = getattr(self._model, self._name)
            setattr(self._model, self._name, self)
        return self._keras(iterator)

    def _execute(self, loop: Loop, iterator: Any, batches: int) -> tuple[Any, int, bool]:
        if not self.made and self._kind == "train":
            make_variables(self._model, iterator.element_spec)
        steps = self._steps
        whole = self._for_whole_batches(loop, iterator)
        if whole is not None and loop.ahead > 1:
            steps, batches = whole, min(batches, loop.ahead - 1)
        new = not steps.made
        logs, done = steps.run(iterator, batches)
        return logs, done, new

    def _for_whole_batches(self, loop: Loop, iterator: Any) -> Steps | None:
        """Steps that know how large a batch is, where they are there or worth their making."""
        if loop.whole is None:
            return None
        if self._whole is None or self._whole.size != loop.whole:
            if not SAVED * loop.seconds_ahead > self._steps.seconds:
                return None
            whole = Steps(self._model, self._kind, loop.whole)
            try:
                whole.make(iterator)
            except Exception:  # noqa: BLE001 - a function of the user's that needs the size open
                loop.whole = None
                return None
            self._whole = whole
        return self._whole

    def leave(self) -> None:
        """The fit is over. A graph that was broken off while it was made is of no use again."""
        self.loop = None
        for steps in (self._steps, self._whole):
            if steps is not None:
                steps.rest()
        if not self.made and getattr(self._model, self._name) is self:
            setattr(self._model, self._name, self._keras)


class Callbacks(keras.callbacks.CallbackList):  # type: ignore[misc] # Keras ships no types
    """Keras's list of callbacks, told of executions instead of batches.

    Args:
        callbacks: The callbacks.
        training: The loop over an epoch's batches.
        validation: The loop over those of a validation, where it is one of ours.
        **others: As Keras has them.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        training: Loop,
        validation: Loop | None,
        **others: Any,
    ) -> None:
        self._training = training
        self._validation = validation
        super().__init__(callbacks, **others)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch is about to be trained."""
        if self._training.starts(batch):
            super().on_train_batch_begin(batch, logs)
        self._training.awaits(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch is trained."""
        last = self._training.ends(batch)
        if last is not None:
            super().on_train_batch_end(last, logs)

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch is about to be validated."""
        if self._validation is None or self._validation.starts(batch):
            super().on_test_batch_begin(batch, logs)
        if self._validation is not None:
            self._validation.awaits(batch)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch is validated."""
        last = batch if self._validation is None else self._validation.ends(batch)
        if last is not None:
            super().on_test_batch_end(last, logs)
