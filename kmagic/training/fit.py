"""Keras's ``fit``, watched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kmagic.errors import TrainingError
from kmagic.run import Display, TrainingRun
from kmagic.training.inputs import take_lists
from kmagic.training.mistakes import essence, is_misfit
from kmagic.training.plan import DEFAULT_BATCH, plan
from kmagic.training.recorder import Recorder
from kmagic.training.stop import HeldInterrupt, Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    callbacks: Any = None,
    name: str | None = None,
    displays: Sequence[Display] = (),
    plain: bool = False,
    **keywords: Any,
) -> TrainingRun:
    """Train a compiled model and return the record of the run.

    The training is ``model.fit`` with the same arguments, and quicker: dense arrays of numbers
    reach the model by a pipeline of our own, several batches to an execution, and callbacks are
    told of executions, which take at most about a tenth of a second. Where a callback watches
    each batch, it is told of each. All else is left to Keras alone; ``run.pipeline`` says why.

    It may be ended by ``run.stop()`` and
    by an interrupt at any moment: the model keeps what it has learned, the record keeps the
    finished epochs, and this function returns as if the run had been meant to end there.

    Args:
        model: A compiled model; it is trained in place.
        x: Inputs, anything that ``model.fit`` takes: arrays of shape (samples, ...), a list or
            dict of them, pandas, a ``tf.data.Dataset``, a ``PyDataset``, a generator; and
            lists of numbers.
        y: Targets, where ``x`` does not hold them.
        epochs: How many epochs, as Keras counts them.
        batch_size: Samples in a batch; Keras takes 32.
        validation_split: The fraction at the end of ``x`` that is kept for validation.
        validation_data: A pair, a triple with weights, or a data set.
        callbacks: Keras callbacks, one or several.
        name: What the model is called in the record; by default its own name.
        displays: Views that are told while it trains.
        plain: Leave everything to Keras.
        **keywords: Whatever else ``model.fit`` takes: ``class_weight``, ``shuffle``, ...

    Returns:
        The run. ``model.history`` is as Keras leaves it.

    Raises:
        TrainingError: The model is not compiled, or does not fit the data.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> run = fit(model, numpy.ones((64, 2)), numpy.ones((64, 1)), epochs=2)
        >>> run.status, len(run.history["loss"])
        ('done', 2)
    """
    import keras  # noqa: PLC0415 - takes seconds

    from kmagic.training.callback import Watch  # noqa: PLC0415 - needs Keras

    name = name or model.name
    if not model.compiled:
        raise TrainingError(
            f"{name} is not compiled: it has no loss and no optimizer yet.",
            'Compile it first, for example model.compile("adam", loss="mse").',
        )
    arguments = take_lists(
        model,
        {
            "x": x,
            "y": y,
            "epochs": epochs,
            "batch_size": batch_size,
            "validation_split": validation_split,
            "validation_data": validation_data,
            "verbose": 0,
            **keywords,
        },
    )
    way = plan(model, arguments, plain=plain)
    samples, validation_samples = _samples(
        arguments["x"], validation_split, arguments["validation_data"]
    )
    if keywords.get("steps_per_epoch"):
        samples = None
    run = TrainingRun(
        name,
        epochs=epochs,
        batch_size=(batch_size or DEFAULT_BATCH) if samples is not None else None,
        samples=samples,
        validation_samples=validation_samples,
        initial_epoch=keywords.get("initial_epoch", 0),
    )
    recorder = Recorder(run, displays)
    others = keras.tree.flatten(callbacks) if callbacks else []
    if not any(isinstance(each, keras.callbacks.History) for each in others):
        others.append(keras.callbacks.History())
    try:
        with HeldInterrupt() as interrupts, way:
            everybody = way.callbacks([*others, Watch(recorder, interrupts)])
            run.pipeline = way.way
            model.fit(callbacks=everybody, **way.arguments)
        early = len(run.log) < epochs - run.initial_epoch
        recorder.end("done", "stopped early" if early else "")
    except Stopped:
        try:
            _finish(model, others, run)
        finally:
            recorder.end("stopped")
    except KeyboardInterrupt:
        recorder.end("interrupted")
    except Exception as error:
        recorder.end("failed", essence(error))
        if is_misfit(error):
            raise TrainingError(
                f"{name} cannot be trained on this data: {essence(error)}",
                "Look at the shapes of x and y, at the model's outputs and at its loss.",
            ) from error
        raise
    return run


def _finish(
    model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], run: TrainingRun
) -> None:
    """Do what Keras does at the end of a fit, which a stop leaves out."""
    import keras  # noqa: PLC0415 - takes seconds

    if isinstance(model.optimizer, keras.optimizers.Optimizer):
        model.optimizer.finalize_variable_values(model.trainable_weights)
    logs = dict(run.log[-1].logs) if run.log else {}
    for callback in callbacks:
        callback.on_train_end(logs)


def _samples(x: Any, split: float, validation_data: Any) -> tuple[int | None, int | None]:
    """How many samples are trained on and validated in an epoch; None where only Keras can say."""
    total = _length(x)
    if validation_data is not None:
        held = validation_data[0] if isinstance(validation_data, (tuple, list)) else validation_data
        return total, _length(held)
    if split and total is not None:
        kept = math.floor(total * (1.0 - split))  # as Keras rounds
        return kept, total - kept
    return total, None if split else 0


def _length(x: Any) -> int | None:
    import keras  # noqa: PLC0415 - takes seconds

    leaves = keras.tree.flatten(x)
    shape = getattr(leaves[0], "shape", None) if leaves else None
    return int(shape[0]) if shape is not None and len(shape) else None
