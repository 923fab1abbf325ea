"""Keras's ``fit``, watched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kmagic.support.errors import TrainingError
from kmagic.support.model_registry import set_best, set_run
from kmagic.training.callbacks.callback_set import Crew, best_before, monitor_of, open_store
from kmagic.training.callbacks.confusion_callback import held_back, watching
from kmagic.training.callbacks.stop_request import Stopped
from kmagic.training.fit_inputs import convert_arguments
from kmagic.training.fit_options import Options
from kmagic.training.pipeline.pipeline_choice import (
    DEFAULT_BATCH_SIZE,
    KerasPipeline,
    choose_pipeline,
)
from kmagic.training.retracing import is_rank_error, reset_functions, retrace_for
from kmagic.training.run.provenance import fingerprint, library_versions, set_seed
from kmagic.training.run.training_run import Display, TrainingRun
from kmagic.training.validation.fit_arguments import PLAIN, check_arguments, is_stream
from kmagic.training.validation.fit_errors import essence, in_words, is_misfit, is_refusal, refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import keras

    from kmagic.training.callbacks.confusion_callback import Judge


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
    seed: int | None = None,
    patience: int | None = None,
    reduce_lr: int | bool | None = None,
    restore_best: bool = False,
    csv: str | Path | None = None,
    tensorboard: str | Path | None = None,
    budget: float | str | None = None,
    checkpoint: str | Path | None = None,
    resume: TrainingRun | bool | None = None,
    watch: Judge | None = None,
    notes: Sequence[str] = (),
    text: str = "",
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
        seed: Makes the run repeatable, layers with chance of their own among it.
        patience: Stop after so many epochs in which the validation loss (or the loss, if nothing
            is validated) was no better.
        reduce_lr: Lower the learning rate to a tenth after so many such epochs; True takes 5.
        restore_best: In the end put the weights of the best epoch back.
        csv: A file for each epoch's figures.
        tensorboard: A folder for TensorBoard.
        budget: Seconds, or a text such as "2m": no epoch is begun that would not end in time.
        checkpoint: A folder that keeps the run after each epoch (``state/``, ``best.weights.h5``,
            ``run.json``). What another run left there is moved to its folder ``before/``.
        resume: Go on to ``epochs`` with the run in ``checkpoint``, or else with the model's last
            one: history, epoch numbers, the optimizer and its schedule go on as if there had been
            no break. An epoch that was broken off is trained as a whole. ``patience`` and
            ``reduce_lr`` go on counting, and the best epoch may be an earlier one.
        watch: Counts the confusion matrix of the validation data after each epoch, for
            ``run.confusion``.
        notes: What was found before the training; it stands at the beginning of ``run.messages``.
        text: The model in the layer language, for the record.
        **keywords: Whatever else ``model.fit`` takes: ``class_weight``, ``shuffle``, ...

    Returns:
        The run. ``model.history`` is as Keras leaves it.

    Raises:
        TrainingError: The model is not compiled or does not fit the data, an option has a wrong
            value, or there is nothing to go on with.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> run = fit(model, numpy.ones((64, 2)), numpy.ones((64, 1)), epochs=2)
        >>> run.status, len(run.history["loss"])
        ('done', 2)
    """
    name = name or model.name
    if not model.compiled:
        raise TrainingError(
            f"{name} is not compiled: it has no loss and no optimizer yet.",
            'Compile it first, for example model.compile("adam", loss="mse").',
        )
    options = Options(
        seed=seed,
        patience=patience,
        reduce_lr=reduce_lr,
        restore_best=restore_best,
        csv=csv,
        tensorboard=tensorboard,
        budget=budget,
        checkpoint=checkpoint,
    )
    options.check(model)
    arguments = convert_arguments(
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
    check_arguments(model, name, arguments | {"callbacks": callbacks})
    if is_stream(arguments["x"]):
        arguments["shuffle"] = False  # it is not shuffled anyway, and Keras would warn of that
    held = held_back(arguments, watch) if watch is not None else None
    run = _new_run(name, arguments)
    run.options = {key: value for key, value in arguments.items() if isinstance(value, PLAIN)}
    run.options |= options.asked() | {"plain": plain}
    if watch is not None:
        run.options["watch"] = "confusion"
    run.seed = seed
    run.versions = library_versions()
    run.fingerprint = fingerprint(arguments["x"], arguments["y"])
    run.text = text
    for note in notes:
        run.add_message(note)
    store = open_store(run, model, checkpoint, resume)
    if by_loss := options.by_loss(monitor_of(run)):
        run.add_message(by_loss)
    if run.log:
        arguments["initial_epoch"] = run.log[-1].number
    if seed is not None:
        set_seed(model, seed + run.resumed)
    retrace_for(model, "train", [arguments["x"], arguments["y"], arguments.get("sample_weight")])
    retrace_for(model, "test", _validated(arguments))
    way = choose_pipeline(model, arguments, plain=plain, repeatable=seed is not None)
    before = [watching(run, watch, held)] if watch is not None else []
    known = best_before(run, model, store) if restore_best else None
    crew = Crew(run, displays, options, callbacks, store, before=before, known=known)
    _train(model, way, run, crew, arguments["x"])
    set_run(model, run)
    set_best(model, crew.best)
    return run


def _train(model: keras.Model, way: KerasPipeline, run: TrainingRun, crew: Crew, x: Any) -> None:
    """Call Keras's fit, and bring every way that it may end to a record and a whole model."""
    from kmagic.training.callbacks.nan_guard import NotFinite  # noqa: PLC0415 - needs Keras

    recorder = crew.recorder
    try:
        with crew.interrupts, way:
            crew.joins(way)
            everybody = way.callbacks(crew.callbacks)
            run.pipeline = way.description
            model.fit(callbacks=everybody, **way.arguments)
        recorder.end("done", crew.why_early())
    except Stopped:
        try:
            _finish(model, crew.others, run)
        finally:
            recorder.end("stopped")
    except NotFinite as found:
        words = crew.rescue(model, found, x)
        try:
            _finish(model, crew.others, run, average=False)
        finally:
            recorder.end("failed", words)
    except KeyboardInterrupt:
        crew.put_best_back(model)
        crew.close()
        recorder.end("interrupted")
    except Exception as error:
        crew.close()
        recorder.end("failed", essence(error))
        if run.log:  # what is trained is kept, and a run can go on from there
            set_run(model, run)
        if is_rank_error(error):
            reset_functions(model)
        if is_refusal(error):
            raise TrainingError(*refused(run, error)) from error
        if is_misfit(error):
            why, remedy = in_words(error)
            words = f"{run.model_name} cannot be trained on this data: {why}"
            raise TrainingError(words, remedy) from error
        raise


def _new_run(name: str, arguments: Mapping[str, Any]) -> TrainingRun:
    samples, validation_samples = _samples(
        arguments["x"], arguments["validation_split"], arguments["validation_data"]
    )
    if arguments.get("steps_per_epoch"):
        samples = None
    return TrainingRun(
        name,
        epochs=arguments["epochs"],
        batch_size=(arguments["batch_size"] or DEFAULT_BATCH_SIZE) if samples is not None else None,
        samples=samples,
        validation_samples=validation_samples,
        initial_epoch=arguments.get("initial_epoch", 0),
    )


def _finish(
    model: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    run: TrainingRun,
    *,
    average: bool = True,
) -> None:
    """Do what Keras does at the end of a fit, which a stop leaves out.

    Args:
        model: The model.
        callbacks: Who is told.
        run: The record.
        average: Whether an optimizer that averages the weights puts the averages in.
    """
    import keras  # noqa: PLC0415 - takes seconds

    if average and isinstance(model.optimizer, keras.optimizers.Optimizer):
        model.optimizer.finalize_variable_values(model.trainable_weights)
    logs = dict(run.log[-1].logs) if run.log else {}
    for callback in callbacks:
        callback.on_train_end(logs)


def _validated(arguments: Mapping[str, Any]) -> Any:
    """What is validated, as far as its axes count."""
    held = arguments["validation_data"]
    if held is None and arguments["validation_split"]:
        return [arguments["x"], arguments["y"], arguments.get("sample_weight")]
    return held


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
