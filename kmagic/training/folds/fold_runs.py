"""The runs of a cross-validation: each with new weights, on a part of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from kmagic.data.dataset import Dataset
from kmagic.data.inspection import sample_count, stream_kind
from kmagic.models.fixed_batches import is_stateful
from kmagic.models.keras_history import nested_layers
from kmagic.models.model_arrays import match_arrays, model_tensors
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import TrainingError, check_integer
from kmagic.support.formatting import join_with_and
from kmagic.support.memory import require_memory
from kmagic.support.messages import Function, Option, Part, Text
from kmagic.support.model_registry import (
    last_call,
    mark_untrained,
    record_for,
    set_last_call,
)
from kmagic.training.fit import inspect_and_check, train, with_class_weight
from kmagic.training.fit_inputs import convert_arguments, split_validation, take_rows
from kmagic.training.fit_options import MAX_SEED, FitOptions
from kmagic.training.folds.fold_preparation import preparation_notes, prepare_fold
from kmagic.training.folds.fold_splits import Fold, FoldPlan, plan_folds
from kmagic.training.model_state import model_kept
from kmagic.training.run.cross_validation import CrossValidation, FoldScore
from kmagic.training.run.run_history import MAX_PREVIOUS_RUNS, downsampled_curves
from kmagic.training.run.training_run import VALIDATION, Display, TrainingRun
from kmagic.training.starting_weights import starting_point
from kmagic.training.validation.fit_errors import training_error

KEEPS_RUNS: Part = "Remove it: a cross-validation that is stopped keeps its finished runs."
REMEDIES: dict[str, Part] = {
    "resume": KEEPS_RUNS,
    "checkpoint": KEEPS_RUNS,
    "initial_epoch": KEEPS_RUNS,
    "budget": Text("Use fewer ", Option("epochs"), ", or ", Option("patience"), "."),
    "csv": "Remove it, and write the result: `cv.to_frame().to_csv(...)`.",
    "tensorboard": "Remove it: the card shows the curves of all runs.",
    "watch": Text("Remove it: ", Function("confusion"), " takes the result."),
    "steps_per_epoch": "Remove it: the folds are made of arrays.",
    "validation_steps": "Remove it: each fold is validated on all rows that it holds out.",
    "validation_freq": "Remove it: each epoch is validated.",
}
"""Options of ``fit`` that several runs cannot have -> what to do."""


def run_folds(
    model: keras.Model,
    x: Any,
    y: Any,
    options: FitOptions,
    *,
    folds: int | None,
    repeat: int,
    groups: str | ArrayLike | None,
    chronological: bool | None,
    dataset: Dataset | None,
    displays: Sequence[Display],
) -> CrossValidation:
    """Train a model once per fold and repetition; :func:`kmagic.cross_validate` documents it."""
    _check_options(options, folds, repeat, groups=groups, chronological=chronological)
    if kind := stream_kind(x):
        raise TrainingError(
            f"Several runs need arrays, whose rows can be selected; got a {kind}.",
            Text("Read it first: ", Function("load_data"), " makes arrays of a tf.data.Dataset."),
        )
    data, notes = _checked_data(model, x, y, options, dataset=dataset, folds=folds)
    if folds is None:
        plan = FoldPlan([[None]] * repeat)
        data = split_validation(data)
    else:
        notes += preparation_notes(dataset, data["x"])
        plan = plan_folds(
            model,
            data["x"],
            data["y"],
            sample_count(data["x"]) or 0,
            folds=folds,
            repeat=repeat,
            groups=groups,
            chronological=chronological,
            shuffle=bool(options.shuffle),
            seed=options.seed or 0,
            dataset=dataset,
        )
    result = CrossValidation(
        options.name or model.name, folds=folds or 0, repeat=repeat, kind=plan.kind
    )
    result.messages = [*notes, *plan.notes, *_notes(model, options)]
    result.classes = getattr(dataset, "classes", None)
    result.is_multilabel = bool(getattr(dataset, "is_multilabel", False))
    held_out = data.get("validation_data", (data["x"], data["y"]))
    result.x, result.y_true = held_out[:2] if isinstance(held_out, tuple) else (None, None)
    if len(getattr(model, "outputs", None) or ()) > 1:
        known = getattr(dataset, "by_target", None)
        result.classes, result.is_multilabel = (
            known and {name: own[field] for name, own in known.items()}
            for field in ("classes", "is_multilabel")
        )
        targets = match_arrays(model, result.y_true, "outputs")
        result.y_true = {part.name: part.values for part in targets}
    try:
        with _record_kept(model), model_kept(model):
            for number, parts in enumerate(fold for each in plan.repeats for fold in each):
                _train(
                    model,
                    data,
                    options,
                    dataset=dataset,
                    result=result,
                    number=number,
                    parts=parts,
                    displays=displays,
                )
                if result.runs[-1].status in ("stopped", "interrupted"):
                    break
    except KeyboardInterrupt:
        pass  # between two runs: those that are finished are kept
    return result


def _check_options(
    options: FitOptions, folds: Any, repeat: Any, *, groups: Any, chronological: bool | None
) -> None:
    if folds is not None:
        check_integer(TrainingError, "folds", folds, 2)
    check_integer(TrainingError, "repeat", repeat, 1)
    if options.epochs < 1:
        raise TrainingError(option="epochs", expected="at least 1", actual=options.epochs)

    def refused(option: str, message: Sequence[Part], *remedy: Part) -> TrainingError:
        return TrainingError(Text(Option(option), *message), Text(*remedy), option=option)

    changed = _switched_on(options)
    for option, remedy in REMEDIES.items():
        if option in changed:
            raise refused(option, [" cannot be used for several runs."], remedy)
    validation = next((n for n in ("validation_split", "validation_data") if n in changed), "")
    with_folds = Option("folds", 5)
    message: list[Part]
    if folds is not None:
        if validation:
            message = [" cannot be used with ", Option("folds"), ", which hold out other rows."]
            raise refused(validation, message, "Remove ", Option(validation), ".")
    elif groups is not None or chronological:
        given = "chronological" if groups is None else "groups"
        message = [" says how rows are divided into folds."]
        raise refused(given, message, "Add ", with_folds, ", or remove ", Option(given), ".")
    elif repeat == 1:
        message = [" must be at least 2 without ", Option("folds"), "; got 1."]
        raise refused("repeat", message, "Add ", with_folds, ", or use ", Function("fit"), ".")
    elif not validation:
        message = [" compares validation metrics; there is no validation data."]
        split = Option("validation_split", 0.1)
        raise refused("repeat", message, "Hold out a part: ", split, ", or add ", with_folds, ".")


def _switched_on(options: FitOptions) -> set[str]:
    return {name for name, value in options.changed().items() if value is not False}


def _checked_data(
    model: keras.Model,
    x: Any,
    y: Any,
    options: FitOptions,
    *,
    dataset: Dataset | None,
    folds: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """The checked arguments of ``fit``, and advice; compiles and builds the model."""
    name = options.name or model.name
    arguments = convert_arguments(model, {"x": x, "y": y, **options.keras_arguments()})
    checked = with_class_weight(options, arguments, dataset)
    if folds is not None:
        size = sum(part.nbytes for part in keras.tree.flatten(arguments["x"]) if is_on_disk(part))
        remedy = Text("Take a part of the data, or train once: ", Option("validation_split", 0.1))
        require_memory(size, "The rows of a fold, which are copied,", remedy + ".")
        if is_stateful(model):
            raise TrainingError(
                f"{name} is stateful: it takes full batches only, and the parts of a fold are not.",
                "Build it without stateful=true.",
            )
        arguments["validation_split"] = 1 / folds  # for the checks: callbacks may monitor it
    _, review = inspect_and_check(model, name, arguments, checked, dataset)
    if review.compile_choice is not None:
        review.compile_choice.apply(model)
    if not model.built:
        try:
            model.predict_on_batch(take_rows(arguments["x"], slice(0, 1)))
        except Exception as error:
            clear_error = training_error(TrainingRun(name), error, model, was_traced=False)
            if clear_error is not None:
                raise clear_error from error
            raise
        mark_untrained(model)
    if isinstance(x, np.ndarray):
        arguments["x"] = x  # the rows of a dataset are recognised
    return arguments, list(review.messages)


def _notes(model: keras.Model, options: FitOptions) -> Iterator[str]:
    """What a reader of the scores should know: where something of the held-out rows is used."""
    changed = _switched_on(options)
    uses: list[str] = [n for n in ("patience", "restore_best", "reduce_lr") if n in changed]
    callbacks = keras.tree.flatten(options.callbacks) if options.callbacks else []
    monitors = [(type(each).__name__, str(getattr(each, "monitor", ""))) for each in callbacks]
    uses += [name for name, monitor in monitors if monitor.startswith(VALIDATION)]
    if uses:
        verb = "uses" if len(uses) == 1 else "use"
        listed = join_with_and(uses)
        yield f"{listed} {verb} the held-out rows, which makes the scores slightly too good."
    adapting = [layer.name for layer in nested_layers(model) if hasattr(layer, "adapt")]
    if adapting:
        verb = "keeps" if len(adapting) == 1 else "keep"
        yield f"{join_with_and(adapting)} {verb} what was learned before, perhaps from all rows."
    if record_for(model).is_loaded:
        yield "Each run starts with the weights that were loaded."
    elif starting_point(model).weights is not None:
        yield (
            "Each run starts with the weights that the model had, because it is unknown whether "
            "they are trained. A model that kmagic builds gets new weights for each run."
        )


def _train(
    model: keras.Model,
    data: dict[str, Any],
    options: FitOptions,
    *,
    dataset: Dataset | None,
    result: CrossValidation,
    number: int,
    parts: Fold | None,
    displays: Sequence[Display],
) -> None:
    """Train one run, and add its score and its predictions to the result."""
    repeat, fold = (1 + part for part in divmod(number, result.folds or 1))
    where = [f"fold {fold} of {result.folds}"] if result.folds else []
    where += [f"repeat {repeat} of {result.repeat}"] if result.repeat > 1 else []
    x, y, weights = (data.get(name) for name in ("x", "y", "sample_weight"))
    held_out, share = data.get("validation_data"), 0.0
    rows: Any = slice(None)
    if parts is not None:
        prepared = prepare_fold(dataset, x, *parts)
        x, x_held = prepared or (take_rows(x, part) for part in parts)
        (y, weights), others = (take_rows((y, weights), part) for part in parts)
        held_out = (x_held, *(others if weights is not None else others[:1]))
        rows, share = parts[1], len(parts[1]) / len(parts[0])
    own = replace(
        options,
        name=f"{result.name} {', '.join(where)}",
        fresh=True,
        checks=False,
        seed=None if options.seed is None else (options.seed + number) % (MAX_SEED + 1),
        sample_weight=weights,
        validation_split=0.0,
        validation_data=held_out,
    )
    all_displays = [_EarlierRuns(result), *displays]
    run = train(model, x, y, own, dataset=dataset, displays=all_displays)
    run.options = options.recorded()
    score = FoldScore(run, fold if result.folds else 0, repeat, share)
    result.results.append(score)
    if run.status == "done":
        if repeat == 1 and isinstance(held_out, tuple):
            values = convert_arguments(model, {"x": held_out[0]})["x"]
            size: Any = options.validation_batch_size or options.batch_size
            predicted = model.predict(values, batch_size=size, verbose=0)
            _add_predictions(result, predicted, rows, model_tensors(model, "outputs"))
        uses_best = options.restore_best and run.best is not None
        epoch = run.best.epoch if uses_best and run.best else run.log[-1].number
        logs = next(dict(each.logs) for each in run.log if each.number == epoch)
        result.results[-1] = replace(score, epoch=epoch, logs=logs)


class _EarlierRuns(Display):
    """Adds the curves of the runs before to each run, which its other displays draw in grey."""

    def __init__(self, result: CrossValidation) -> None:
        self._result = result

    def begin(self, run: TrainingRun) -> None:
        """Add them to a run that begins."""
        before = [result.run for result in self._result.finished[-MAX_PREVIOUS_RUNS:]]
        run.earlier = [downsampled_curves(other) for other in before]


def _add_predictions(
    result: CrossValidation, predicted: Any, rows: Any, names: Iterable[str]
) -> None:
    """Write the predictions of a run into those of all rows."""
    if isinstance(predicted, list | tuple):  # of several outputs
        predicted = dict(zip(names, predicted, strict=True))
    if result.predictions is None:
        count = sample_count(result.x) or 0
        result.predictions = keras.tree.map_structure(
            lambda part: np.full((count, *part.shape[1:]), np.nan, part.dtype), predicted
        )
        result.predicted = np.zeros(count, bool)
    assert result.predicted is not None  # noqa: S101 - for the type checker: set above
    for whole, part in zip(*map(keras.tree.flatten, (result.predictions, predicted)), strict=True):
        whole[rows] = part
    result.predicted[rows] = True


@contextmanager
def _record_kept(model: keras.Model) -> Iterator[None]:
    """Restore what is known about a model: its last run, its data, its starting point."""
    start, call, record = starting_point(model), last_call(model), record_for(model)
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    before = {key: dict(value) if type(value) is dict else value for key, value in values.items()}
    before["start"] = replace(start)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(record, name, value)
        set_last_call(model, call)
