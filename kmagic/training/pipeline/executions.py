"""Several batches per call of a model's train and test function, inside Keras's own ``fit``.

Keras can do this itself (``steps_per_execution``), but only with a number that is part of the
graph and fixed before the first batch. Here the number is an argument of the graph: it follows the
measured time per batch, and suits epochs of any length.

Keras's loop is unchanged: it calls the model's ``train_function`` once per batch. Ours trains
several batches at the first of these calls and does nothing at the others; callbacks are called
once per execution, as with ``steps_per_execution``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kmagic.training.pipeline.step_graph import StepGraph, StepKind, create_variables

MAX_SECONDS = 0.1
"""Time of one execution: views stay live, and a stop takes effect quickly."""
MAX_GROWTH = 8
"""An execution may be this many times longer than the previous one, whose time predicts it."""
MIN_SAVING = 0.15
"""The share of a step's time saved by a known batch size (see ``step_graph``). A second graph is
traced if the remaining epochs save more than tracing costs."""


class BatchesPerCall:
    """Chooses the number of batches of the next execution from the times of earlier ones.

    The first execution is a single batch and is not measured, because it includes tracing; the
    second is a single batch as well.

    Example:
        >>> size = BatchesPerCall()
        >>> size.next(1000)
        1
        >>> size.measured(1, 2.0)  # mostly tracing
        >>> size.measured(size.next(999), 0.002)
        >>> size.next(998)
        8
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self.batch_seconds: float | None = None  # until measured
        self._last = 0

    def next(self, left: int) -> int:
        """The number of batches of the next execution, of those that are left in the epoch.

        They are distributed evenly, so that no short execution remains.
        """
        if self.batch_seconds is None:
            return 1
        fitting = int(MAX_SECONDS / self.batch_seconds) if self.batch_seconds > 0 else left
        most = max(1, min(fitting, MAX_GROWTH * self._last, self._limit or left))
        return math.ceil(left / math.ceil(left / most))

    def measured(self, batches: int, seconds: float | None) -> None:
        """Record an execution's time; None if it included tracing."""
        if self._last and seconds is not None:
            batch = seconds / batches
            known = self.batch_seconds
            self.batch_seconds = batch if known is None else (known + batch) / 2
        self._last = batches


class BatchLoop:
    """Keras's position in an epoch or validation, and how far the model is ahead of it.

    ``full_batch`` is the number of samples per full batch, if the epoch's last batch is smaller
    and the model gains by a known batch size.
    """

    def __init__(
        self,
        batches: int,
        size: BatchesPerCall,
        *,
        epochs: int = 1,
        full_batch: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.batches = batches
        self.full_batch = full_batch
        self._size = size
        self._clock = clock
        self.expected: int | None = None  # the batch that Keras is about to run
        self._first = self._done = 0
        self._epochs_after = epochs
        self._logs: Any = None

    @property
    def left(self) -> int:
        """Batches from here to the end of the epoch."""
        return self.batches - self._done

    @property
    def seconds_left(self) -> float:
        """Estimated time of all batches from here to the end of the last epoch."""
        batches = self._epochs_after * self.batches + self.left
        return batches * (self._size.batch_seconds or 0.0)

    def begins_execution(self, batch: int) -> bool:
        """Whether an execution begins with a batch, counted from 0."""
        if batch == 0:
            self._done = 0
            self._epochs_after -= 1
        return batch == self._done

    def expect(self, batch: int) -> None:
        """Keras will call the train or test function for this batch next."""
        self.expected = batch

    def run(self, execute: Callable[[int], tuple[Any, int, bool]]) -> Any:
        """Run the expected batch and those after it, unless it has already run.

        ``execute`` runs up to a number of batches; it returns the metrics, the number that ran, and
        whether a graph was traced, so that the time is not representative.
        """
        batch, self.expected = self.expected, None
        if batch == self._done:
            batches = self._size.next(self.left)
            start = self._clock()
            self._logs, batches, traced = execute(batches)
            self._size.measured(batches, None if traced else self._clock() - start)
            self._first, self._done = self._done, self._done + batches
        return self._logs

    def end_batch(self, batch: int) -> int | None:
        """Keras has finished a batch; returns the last batch of the execution if one ended.

        An execution ends with its first batch, as Keras counts: the others have run by then.
        """
        if self.expected is not None:  # the model's function is Keras's, or a callback replaced it
            self.expected, self._first, self._done = None, batch, batch + 1
        return self._done - 1 if batch == self._first else None


class StepFunction:
    """Replaces a model's ``train_function`` or ``test_function``.

    It runs several batches if its loop expects the call. Any other call (a callback that evaluates
    the model, a later ``model.fit``) goes to Keras's own function. It stays with the model until
    the model is compiled again, so that the graph is traced only once.

    An execution of training ends with the batch in which the loss becomes nan or infinite.
    """

    def __init__(self, model: keras.Model, kind: StepKind) -> None:
        self.loop: BatchLoop | None = None
        self._model = model
        self._kind = kind
        self._name = f"{kind}_function"
        self._keras_function = getattr(model, self._name)
        self._graph = StepGraph(model, kind)
        self._full_batch_graph: StepGraph | None = None

    @classmethod
    def install(cls, model: keras.Model, kind: StepKind, loop: BatchLoop) -> StepFunction:
        """A model's function for this loop, put in place if it is not there yet."""
        function = getattr(model, f"{kind}_function")
        if not isinstance(function, cls):
            function = cls(model, kind)
            setattr(model, f"{kind}_function", function)
        function.loop = loop
        return function

    def __call__(self, iterator: Any) -> Any:
        """Run what Keras calls once per batch; returns the metrics so far."""
        if self.loop is not None and self.loop.expected is not None:
            loop = self.loop
            return loop.run(lambda batches: self._execute(loop, iterator, batches))
        if self._keras_function is None:
            getattr(self._model, f"make_{self._name}")(force=True)
            self._keras_function = getattr(self._model, self._name)
            setattr(self._model, self._name, self)
        return self._keras_function(iterator)

    def _execute(self, loop: BatchLoop, iterator: Any, batches: int) -> tuple[Any, int, bool]:
        if not self._graph.traced and self._kind == "train":
            create_variables(self._model, iterator.element_spec)
        graph = self._graph
        full_batch_graph = self._for_full_batches(loop, iterator)
        if full_batch_graph is not None and loop.left > 1:
            graph, batches = full_batch_graph, min(batches, loop.left - 1)
        is_new = not graph.traced
        logs, done = graph.run(iterator, batches)
        return logs, done, is_new

    def _for_full_batches(self, loop: BatchLoop, iterator: Any) -> StepGraph | None:
        """The graph with a known batch size, if it exists or is worth tracing."""
        if loop.full_batch is None:
            return None
        known = self._full_batch_graph
        if known is None or known.batch_size != loop.full_batch:
            if not MIN_SAVING * loop.seconds_left > self._graph.seconds:
                return None
            graph = StepGraph(self._model, self._kind, loop.full_batch)
            try:
                graph.trace(iterator)
            except Exception:  # noqa: BLE001 - a user's function that needs an unknown size
                loop.full_batch = None
                return None
            self._full_batch_graph = graph
        return self._full_batch_graph

    def release(self) -> None:
        """End of the fit: release the data, and drop a graph whose tracing was interrupted."""
        self.loop = None
        for graph in (self._graph, self._full_batch_graph):
            if graph is not None:
                graph.release()
        if not self._graph.traced and getattr(self._model, self._name) is self:
            setattr(self._model, self._name, self._keras_function)


class ExecutionCallbackList(keras.callbacks.CallbackList):  # type: ignore[misc] # Keras is untyped
    """Keras's list of callbacks, called once per execution instead of once per batch."""

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        training: BatchLoop,
        validation: BatchLoop,
        **keywords: Any,
    ) -> None:
        self._training = training
        self._validation = validation
        super().__init__(callbacks, **keywords)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras is about to train a batch."""
        if self._training.begins_execution(batch):
            super().on_train_batch_begin(batch, logs)
        self._training.expect(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras has trained a batch."""
        last = self._training.end_batch(batch)
        if last is not None:
            super().on_train_batch_end(last, logs)

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras is about to validate a batch."""
        if self._validation.begins_execution(batch):
            super().on_test_batch_begin(batch, logs)
        self._validation.expect(batch)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras has validated a batch."""
        last = self._validation.end_batch(batch)
        if last is not None:
            super().on_test_batch_end(last, logs)
