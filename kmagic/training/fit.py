"""Keras's ``fit`` with a record, an early end without loss, and a faster pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kmagic.data.inspection import PART_COUNTS, Inspection, inspect_data, sample_count, stream_kind
from kmagic.data.preparation.scale_drift import input_spreads
from kmagic.data.stream_length import unknown_length_note
from kmagic.language import format_spec
from kmagic.models.build import origin_of
from kmagic.models.decompile import optimizer_text, to_dsl
from kmagic.models.model_variables import precisions
from kmagic.support.errors import KmagicError, TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.model_registry import record_for, set_last_call
from kmagic.training.callbacks.callback_set import CallbackSet
from kmagic.training.callbacks.nan_guard import NotFiniteError
from kmagic.training.callbacks.recording_callbacks import (
    ConfusionCallback,
    StopTraining,
    confusion_data,
)
from kmagic.training.callbacks.resuming import open_checkpoint
from kmagic.training.compiled_state import remember_state, stale_notes, traceable_state
from kmagic.training.continuation import Continuation, FitCall, RowSample
from kmagic.training.distributed.distributed_pipeline import choose_distributed
from kmagic.training.fit_inputs import convert_arguments, split_validation, time_gap
from kmagic.training.fit_options import FitOptions, check_learning_rate
from kmagic.training.pipeline.pipeline_choice import (
    DEFAULT_BATCH_SIZE,
    KerasPipeline,
    choose_pipeline,
)
from kmagic.training.retracing import is_rank_error, reset_functions, retrace_for
from kmagic.training.run.provenance import fingerprint, library_versions, set_seed
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.run_history import previous_curves
from kmagic.training.run.run_list import list_run
from kmagic.training.run.training_run import Display, Message, TrainingRun
from kmagic.training.schedule_length import check_cycle, follow_schedule
from kmagic.training.starting_weights import count_run, start_again, trained_note
from kmagic.training.validation.data_checks import BuiltModelCheck, DataReview, review_data
from kmagic.training.validation.fit_arguments import (
    balanced_class_weight,
    check_fit_arguments,
    class_weight_by_index,
    complete_class_weight,
    reject_several_targets,
)
from kmagic.training.validation.fit_errors import (
    explain_stream_errors,
    main_sentence,
    training_error,
)

if TYPE_CHECKING:
    from kmagic.data.dataset import Dataset
    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion

SEED_OF_FIRST_BATCHES = 2**31
"""Combined with the seed of a run for the batches of a generator that are read before it."""
MAX_DECOMPILED_LAYERS = 64
"""A model that kmagic has not built is recorded as text only up to this size."""


def train(
    model: keras.Model,
    x: Any,
    y: Any,
    options: FitOptions,
    *,
    dataset: Dataset | None = None,
    displays: Sequence[Display] = (),
    earlier: Iterable[TrainingRun] = (),
    confusion: ValidationConfusion | None = None,
    continuation: Continuation | None = None,
) -> TrainingRun:
    """Train a model in place and return the record of the run.

    The training is ``model.fit``, but faster: dense arrays reach the model through kmagic's
    pipeline, several batches per execution of at most about a tenth of a second, and callbacks are
    called once per execution. If a callback needs each batch, an execution is a single batch. For
    everything else plain Keras is used; ``run.pipeline`` says why.

    ``run.stop()`` or an interrupt may end it at any time: the model keeps what it has learned, the
    record its finished epochs, and the function returns as if the run had been planned to end
    there.

    The arguments are those of :func:`kmagic.fit`; ``dataset`` is where the data is from, if it is
    known, ``confusion`` computes the confusion matrix after each epoch, and ``continuation`` is the
    run to continue.

    Raises:
        TrainingError: The model does not fit the data, or there is nothing to continue.
    """
    name = options.name or model.name
    arguments = convert_arguments(model, {"x": x, "y": y, **options.keras_arguments()})
    options = with_class_weight(options, arguments, dataset)
    run = TrainingRun(name, epochs=options.epochs, initial_epoch=options.initial_epoch)
    recorder = Recorder(run, displays)
    with recorder.discarding():
        if any(stream_kind(arguments.get(part)) for part in ("x", "validation_data")):
            recorder.prepare()  # reading the first batches may take long
        training, review = inspect_and_check(model, name, arguments, options, dataset)
        parts = split_validation(arguments)
        watched = None if confusion is None else confusion_data(parts, confusion)
        if review.compile_choice is not None:
            review.compile_choice.apply(model)
        check_learning_rate(model, options)
        _complete_record(run, model, arguments, parts, options)
        steps = check_cycle(model, run, options.steps_per_epoch or training.batches)
        gap = time_gap(arguments["x"]) if parts["x"] is not arguments["x"] else 0
        notes = [*review.messages, *_length_notes(arguments, parts, gap)]
        run.messages += [Message(0, text) for text in notes]
        if continuation is not None:
            continuation.check_split(run, parts)
        call = FitCall(run, options, x, y, parts)
        _prepare_weights(model, run, options)
        with open_checkpoint(run, model, options) as checkpoint:
            run.earlier = previous_curves(run, earlier)
            if note := options.monitor_note(run.monitor):
                run.add_message(note)
            if run.log:
                arguments["initial_epoch"] = parts["initial_epoch"] = run.log[-1].number
            if options.seed is not None:
                set_seed(model, options.seed + run.resumed)
            retrace_for(model, "train", [parts["x"], parts["y"], parts.get("sample_weight")])
            retrace_for(model, "test", parts.get("validation_data"))
            follow_schedule(model, run, steps)
            _report_changes(model, run)
            recorder.prepare()  # a pipeline copies the data
            run.optimizer = ", ".join([optimizer_text(model.optimizer), *precisions(model)])
            pipeline = choose_distributed(model, parts, options, run) or choose_pipeline(
                *(model, parts if gap else arguments, parts),
                plain=options.plain,
                repeatable=options.seed is not None,
            )
            check = BuiltModelCheck(name, training)
            before: list[Any] = [check] if options.checks and not model.built else []
            if confusion is not None:
                before.append(ConfusionCallback(run, confusion, watched, options.budget_seconds))
            callbacks = CallbackSet(model, recorder, options, checkpoint, before=before)
            _fit_and_remember(model, pipeline, callbacks, call, arguments["x"])
            _report_changes(model, run)  # a callback may have made some
            record = record_for(model)
            if dataset is not None:
                record.dataset = dataset
            record.spreads = input_spreads(model, training.x)
    return run


def with_class_weight(
    options: FitOptions, arguments: dict[str, Any], dataset: Dataset | None
) -> FitOptions:
    """The options, and the arguments, with the weights of classes by their index."""
    if options.class_weight is not None:
        reject_several_targets(arguments["y"])
    if (
        options.class_weight is not None
        and dataset is not None
        and dataset.is_multilabel
        and _share_memory(arguments["y"], dataset.y_train)
    ):
        several = f" needs one class per sample; samples of {dataset.name} can have several labels."
        per_sample = "numpy.where(y == 1, 2.5, 1.0).mean(axis=1)"
        how = Text(
            f"Pass a weight per sample, such as {per_sample}, as ", Option("sample_weight"), "."
        )
        raise TrainingError(Text(Option("class_weight"), several), how)
    weights = class_weight_by_index(options.class_weight, class_names_of(dataset))
    if isinstance(weights, str) and weights == "balanced":
        weights = balanced_class_weight(split_validation(arguments)["y"])
    if weights is not None:
        arguments["class_weight"] = weights
    return replace(options, class_weight=weights)


def inspect_and_check(
    model: keras.Model,
    name: str,
    arguments: dict[str, Any],
    options: FitOptions,
    dataset: Dataset | None,
) -> tuple[Inspection, DataReview]:
    """Inspect and check the data; in the arguments, generators are replaced, as they were read."""
    if not model.compiled and not options.checks:
        raise not_compiled(name)
    given, validation = arguments["x"], None
    if options.seed is not None and stream_kind(given) == "generator":
        keras.utils.set_random_seed(options.seed ^ SEED_OF_FIRST_BATCHES)
    parts = (given, arguments["y"], arguments.get("sample_weight"))
    with explain_stream_errors(name):
        training = inspect_data(*parts, steps=options.steps_per_epoch)
        if isinstance(options.validation_data, tuple | list):
            validation = inspect_data(*(arguments["validation_data"][: max(PART_COUNTS)] or [None]))
        elif options.validation_data is not None:
            validation = inspect_data(options.validation_data, steps=options.validation_steps)
            arguments["validation_data"] = validation.data
    arguments["x"] = training.data
    checked = arguments | {"callbacks": options.callbacks}
    check_fit_arguments(model, name, checked, training, validation)
    if training.is_stream and options.class_weight is not None:
        arguments["class_weight"] = complete_class_weight(model, options.class_weight)
    if stream_kind(given) not in ("", "PyDataset") or training.is_endless:
        arguments["shuffle"] = False  # it is not shuffled anyway, and Keras would warn
    if not options.checks:
        return training, DataReview()
    columns = getattr(dataset, "columns", None)
    classes = is_multilabel = None
    if dataset is not None and _share_memory(training.y, dataset.y_train):  # not other labels
        classes, is_multilabel = class_names_of(dataset), dataset.is_multilabel
    review = review_data(
        model,
        training,
        built=origin_of(model),
        validation=validation,
        validation_split=options.validation_split,
        test=getattr(dataset, "x_test", None),
        name=name,
        columns=columns if isinstance(columns, tuple) else (),
        classes=classes or (),
        is_multilabel=is_multilabel,
        class_weight=options.class_weight,
    )
    return training, review


def class_names_of(dataset: Dataset | None) -> tuple[str, ...] | None:
    """The names of the classes, of which each sample has one; None if there are none."""
    has_classes = dataset is not None and not dataset.is_multilabel
    return dataset.classes if dataset is not None and has_classes else None


def not_compiled(name: str) -> TrainingError:
    """The error for a model without a loss and an optimizer."""
    return TrainingError(
        f"{name} is not compiled: it has no loss and no optimizer yet.",
        'Compile it first, for example model.compile("adam", loss="mse").',
    )


def _share_memory(values: Any, other: Any) -> bool:
    are_arrays = isinstance(values, np.ndarray) and isinstance(other, np.ndarray)
    return are_arrays and np.may_share_memory(values, other)


def _report_changes(model: keras.Model, run: TrainingRun) -> None:
    """Add new messages about changes of the model that Keras ignores."""
    for note in stale_notes(model):
        if note not in {text for _, text in run.messages}:
            run.add_message(note)


def _prepare_weights(model: keras.Model, run: TrainingRun, options: FitOptions) -> None:
    """Give the model new weights if requested; otherwise report trained ones."""
    if options.fresh:
        if options.seed is not None:
            keras.utils.set_random_seed(options.seed)
        message = start_again(model)
    else:
        message = trained_note(model)
    if message and not options.resume:
        run.add_message(message)


def _fit_and_remember(
    model: keras.Model, pipeline: KerasPipeline, callbacks: CallbackSet, call: FitCall, x: Any
) -> None:
    """Train the model, and keep in its record what a later run needs."""
    run, record, state = call.run, record_for(model), traceable_state(model)
    list_run(run)
    try:
        _run_fit(model, pipeline, run, callbacks, x)
    finally:
        if run.log or run.status != "failed":  # what is trained can be continued
            record.run, record.best = run, callbacks.best
            set_last_call(model, call)
        count_run(model, run)
        remember_state(model, state)


def _run_fit(
    model: keras.Model, pipeline: KerasPipeline, run: TrainingRun, callbacks: CallbackSet, x: Any
) -> None:
    """Call Keras's fit; however it ends, complete the record and leave the model intact."""
    recorder, was_traced = callbacks.recorder, model.train_function is not None
    try:
        with callbacks.interrupts, pipeline, warnings.catch_warnings():
            if not (stream_kind(x) and pipeline.arguments.get("steps_per_epoch")):
                # The end of a stream ends the epoch, or the validation.
                warnings.filterwarnings("ignore", "Your input ran out of data")
            callbacks.guard.is_exact = pipeline.stops_at_nan
            keras_callbacks = pipeline.callbacks(callbacks.callbacks)
            run.pipeline = pipeline.description
            pipeline.fit(model, keras_callbacks, callbacks.interrupts)
        recorder.end("done", callbacks.early_end())
    except StopTraining as stop:
        try:
            callbacks.finish()
        finally:
            recorder.end("stopped", "" if run.stopping else str(stop) or callbacks.early_end())
    except NotFiniteError as error:
        reason = callbacks.recover(error, x)
        try:
            callbacks.finish(average=False)
        finally:
            recorder.end("failed", reason)
    except KeyboardInterrupt:
        callbacks.restore_best()
        callbacks.close_files()
        recorder.end("interrupted")
    except Exception as error:
        callbacks.close_files()
        recorder.end("failed", main_sentence(error))
        if is_rank_error(error):
            reset_functions(model)
        clear_error = training_error(run, error, model, was_traced=was_traced)
        if clear_error is not None:
            raise clear_error from error
        raise


def _length_notes(arguments: Mapping[str, Any], parts: Mapping[str, Any], gap: int) -> list[str]:
    """Notes on data of unknown length, unless steps are given, and on windows that are left out."""
    streams = (("x", "steps_per_epoch"), ("validation_data", "validation_steps"))
    notes = [
        unknown_length_note(parts.get(name), name, option)
        for name, option in streams
        if arguments.get(option) is None
    ]
    if gap:
        left_out = f"{pluralize(gap, 'window')} left out before the validation part"
        notes.append(f"{left_out}, because they share rows with it.")
    return [note for note in notes if note]


def _complete_record(
    run: TrainingRun,
    model: keras.Model,
    arguments: Mapping[str, Any],
    parts: Mapping[str, Any],
    options: FitOptions,
) -> None:
    """Record what was checked; ``parts`` are the arguments with the validation data split off."""
    run.options, run.described, run.seed = options.recorded(), options.described(), options.seed
    held_out = parts.get("validation_data")
    x_val = held_out[0] if isinstance(held_out, tuple | list) else held_out
    run.samples = None if options.steps_per_epoch else sample_count(parts["x"])
    if run.samples is not None:
        run.batch_size = arguments.get("batch_size") or DEFAULT_BATCH_SIZE
    run.validation_samples = 0 if held_out is None else sample_count(x_val)
    rows = None if options.checkpoint is None else RowSample.of(parts)
    run.rows = None if rows is None else rows.to_dict()
    run.variables = _variables(model)
    run.versions = {**library_versions()}
    run.fingerprint = fingerprint(arguments["x"], arguments["y"])
    run.text = _model_text(model)


def _variables(model: keras.Model) -> dict[str, Any]:
    """Those of the model's text, and of the line that compiled it last."""
    record = record_for(model)
    optimizer, values = record.compile_values
    return record.values | (values if optimizer is model.optimizer else {})


def _model_text(model: keras.Model) -> str:
    """The model in the layer language; "" if it cannot be expressed."""
    built = origin_of(model)
    if built is not None:
        return built.spec.source or format_spec(built.spec)
    if len(model.layers) > MAX_DECOMPILED_LAYERS:
        return ""
    try:
        return to_dsl(model)
    except (KmagicError, ValueError):  # a class of the user, or not built yet
        return ""
