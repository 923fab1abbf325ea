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

import contextlib
import time
from typing import TYPE_CHECKING, Any, Literal

import keras
import tensorflow as tf

from kmagic.training.stride import Stride

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Loop:
    """Where Keras stands in an epoch or a validation, and how far ahead of it the model is.

    Args:
        batches: Batches in all.
        stride: Chooses how many of them an execution takes.
        clock: Seconds.
    """

    def __init__(
        self, batches: int, stride: Stride, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.batches = batches
        self._stride = stride
        self._clock = clock
        self._turn: int | None = None
        self._first = self._done = 0
        self._logs: Any = None

    @property
    def awaited(self) -> bool:
        """Whether Keras is about to run a batch of this loop, and not somebody else one of his."""
        return self._turn is not None

    def starts(self, batch: int) -> bool:
        """Whether an execution begins with a batch, counted from 0."""
        if batch == 0:
            self._done = 0
        return batch == self._done

    def awaits(self, batch: int) -> None:
        """The next thing that Keras does is to run this batch."""
        self._turn = batch

    def run(self, execute: Callable[[int], tuple[Any, int]]) -> Any:
        """Run the batch that is awaited, with those after it, unless it is run already.

        Args:
            execute: Runs so many batches, or fewer; gives the figures, and how many it has run.
        """
        turn, self._turn = self._turn, None
        if turn == self._done:
            batches = self._stride.next(self.batches - self._done)
            began = self._clock()
            self._logs, batches = execute(batches)
            self._stride.took(batches, self._clock() - began)
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

    def __init__(self, model: keras.Model, kind: Literal["train", "test"]) -> None:
        self.loop: Loop | None = None
        self.made = False
        self._model = model
        self._kind = kind
        self._keras = getattr(model, self._name)
        self._iterator: Any = None
        self._graph: Any = None
        step = getattr(model, f"{kind}_step")

        def several(iterator: Any, batches: tf.Tensor) -> Any:
            def body(done: tf.Tensor, good: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                logs = step(iterator.get_next())
                if kind == "train" and "loss" in logs:
                    good = tf.math.is_finite(tf.cast(logs["loss"], tf.float64))
                return done + 1, good

            def goes_on(done: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
                return tf.logical_and(good, done < batches)

            done, _ = tf.while_loop(goes_on, body, [tf.constant(0), tf.constant(True)])
            return model.get_metrics_result(), done

        self._function = as_it_is(several)

    @property
    def _name(self) -> str:
        return f"{self._kind}_function"

    @classmethod
    def of(cls, model: keras.Model, kind: Literal["train", "test"]) -> Executions:
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
            return self.loop.run(lambda batches: self._execute(iterator, batches))
        if self._keras is None:
            getattr(self._model, f"make_{self._name}")(force=True)
            self._keras = getattr(self._model, self._name)
            setattr(self._model, self._name, self)
        return self._keras(iterator)

    def _execute(self, iterator: Any, batches: int) -> tuple[Any, int]:
        count = tf.constant(batches)
        if iterator is not self._iterator:
            if not self.made and self._kind == "train":
                make_variables(self._model, iterator.element_spec)
            # A function of its own, since TensorFlow warns where many of its calls make a graph,
            # and here there are few calls.
            self._graph = self._function.get_concrete_function(iterator, count)
            self._iterator = iterator
        logs, done = self._graph(iterator, count)
        self.made = True
        return logs, int(done)

    def leave(self) -> None:
        """The fit is over. A graph that was broken off while it was made is of no use again."""
        self.loop = self._iterator = self._graph = None
        if not self.made and getattr(self._model, self._name) is self:
            setattr(self._model, self._name, self._keras)


def as_it_is(function: Callable[..., Any]) -> Any:
    """A function's graph, its Python taken literally, as Keras has it."""
    return tf.function(tf.autograph.experimental.do_not_convert(function), reduce_retracing=True)


def make_variables(model: keras.Model, batch: Any) -> None:
    """Make the variables of optimizer and metrics, before the graph of a step is made.

    TensorFlow makes a graph twice where making it makes variables, and that of a step is large.
    Here the optimizer's are made at once, and those of the metrics by a small graph, which is
    never run. Where that cannot be, because the model's output is known only by calling it or is
    more than one, nothing is lost but time.

    Args:
        model: A compiled model.
        batch: The specification of what a step takes.
    """
    outputs = getattr(model, "outputs", None)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if not model.built or model.optimizer is None or y is None:
        return
    if not outputs or len(outputs) > 1 or keras.tree.is_nested(y):
        return

    def make(x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        return model.compute_metrics(x, y, y_pred, sample_weight)

    y_pred = tf.TensorSpec(outputs[0].shape, outputs[0].dtype)
    with contextlib.suppress(Exception):  # a mistake of the user's is told of by the step itself
        if not model.optimizer.built:
            with keras.name_scope(model.optimizer.name, caller=model.optimizer):
                model.optimizer.build(model.trainable_variables)
        as_it_is(make).get_concrete_function(x, y, y_pred, sample_weight)


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
