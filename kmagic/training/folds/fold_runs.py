"""The runs of a cross-validation: each with new weights, on a part of the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import ArrayLike

from kmagic.data.dataset import Dataset
from kmagic.data.inspection import sample_count, stream_kind
from kmagic.models.fixed_batches import is_stateful
from kmagic.models.keras_history import nested_layers
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import join_with_and
from kmagic.support.messages import Function, Option, Part, Text
from kmagic.support.model_registry import (
    last_call,
    mark_untrained,
    record_for,
    set_last_call,
)
from kmagic.training.fit import inspect_and_check, train, with_class_weight
from kmagic.training.fit_inputs import convert_arguments, split_index, take_rows
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


class FoldsDisplay(Protocol):
    """Shows a cross-validation while it runs."""

    def displays(self) -> list[Display]:
        """The displays of the next run."""

    def show(self, result: CrossValidation) -> None:
        """Replace them by the card of the result."""

    def discard(self) -> None:
        """Remove them, because an error ends the cross-validation."""


class SilentFolds:
    """Shows the runs in displays of the user, or nothing."""

    def __init__(self, displays: list[Display]) -> None:
        self._displays = displays

    def displays(self) -> list[Display]:
        """The same for all runs."""
        return self._displays

    def show(self, result: CrossValidation) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Data:
    """Inputs, targets and weights of all rows, and validation data that is not among them."""

    x: Any
    y: Any
    weights: Any
    rows: int
    validation: Any = None
    dataset: Dataset | None = None


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
    view: FoldsDisplay,
) -> CrossValidation:
    """Train a model once per fold and repetition; :func:`kmagic.cross_validate` documents it.

    Raises:
        TrainingError: The options contradict each other, the rows cannot be divided, or the model
            does not fit the data.
    """
    _check_options(options, folds, repeat, groups=groups, chronological=chronological)
    if kind := stream_kind(x):
        raise TrainingError(
            f"Several runs need arrays, whose rows can be selected; got a {kind}.",
            Text("Read it first: ", Function("load_data"), " makes arrays of a tf.data.Dataset."),
        )
    data, notes = _checked_data(model, x, y, options, dataset=dataset, folds=folds)
    plan = FoldPlan([[_validation_rows(data, options)]] * repeat)
    if folds is not None:
        plan = plan_folds(
            model,
            data.x,
            data.y,
            data.rows,
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
    result.messages = [*notes, *plan.notes, *_notes(model, data, options)]
    result.classes = getattr(dataset, "classes", None)
    result.x, result.y_true = data.x, data.y
    if data.validation is not None:
        is_pair = isinstance(data.validation, tuple)
        result.x, result.y_true = data.validation[:2] if is_pair else (None, None)
    try:
        with _record_kept(model), model_kept(model):
            for number, parts in _runs(plan):
                _train(model, data, options, result=result, number=number, parts=parts, view=view)
                if result.runs[-1].status in ("stopped", "interrupted"):
                    break
    except KeyboardInterrupt:
        pass  # between two runs: those that are finished are kept
    except BaseException:
        view.discard()
        raise
    view.show(result)
    return result


def _check_options(
    options: FitOptions, folds: Any, repeat: Any, *, groups: Any, chronological: bool | None
) -> None:
    for option, value, least in (("folds", folds, 2), ("repeat", repeat, 1)):
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not (value is None and option == "folds") and not (is_integer and value >= least):
            expected = f"an integer of at least {least}"
            raise TrainingError(option=option, expected=expected, actual=value)
    changed = {name: value for name, value in options.changed().items() if value is not False}
    for option, remedy in REMEDIES.items():
        if option in changed:
            message = Text(Option(option), " cannot be used for several runs.")
            raise TrainingError(message, Text(remedy), option=option)
    if options.epochs < 1:
        raise TrainingError(option="epochs", expected="at least 1", actual=options.epochs)
    validation = next((n for n in ("validation_split", "validation_data") if n in changed), "")
    with_folds = Option("folds", 5)
    if folds is not None:
        if validation:
            own = Option(validation)
            raise TrainingError(
                Text(own, " cannot be used with ", Option("folds"), ", which hold out other rows."),
                Text("Remove ", own, "."),
                option=validation,
            )
    elif groups is not None or chronological:
        given = "chronological" if groups is None else "groups"
        raise TrainingError(
            Text(Option(given), " says how rows are divided into folds."),
            Text("Add ", with_folds, ", or remove ", Option(given), "."),
            option=given,
        )
    elif repeat == 1:
        raise TrainingError(
            Text(Option("repeat"), " must be at least 2 without ", Option("folds"), "; got 1."),
            Text("Add ", with_folds, ", or use ", Function("fit"), "."),
            option="repeat",
        )
    elif not validation:
        held_out = Option("validation_split", 0.1)
        raise TrainingError(
            Text(Option("repeat"), " compares validation metrics; there is no validation data."),
            Text("Hold out a part: ", held_out, ", or add ", with_folds, "."),
            option="repeat",
        )


def _checked_data(
    model: keras.Model,
    x: Any,
    y: Any,
    options: FitOptions,
    *,
    dataset: Dataset | None,
    folds: int | None,
) -> tuple[_Data, list[str]]:
    """All rows, after the checks of ``fit``, and their advice; compiles and builds the model."""
    name = options.name or model.name
    arguments = convert_arguments(model, {"x": x, "y": y, **options.keras_arguments()})
    checked = with_class_weight(options, arguments, dataset)
    if folds is not None:
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
    return _Data(
        x if isinstance(x, np.ndarray) else arguments["x"],
        arguments["y"],
        arguments.get("sample_weight"),
        sample_count(arguments["x"]) or 0,
        arguments.get("validation_data"),
        dataset,
    ), list(review.messages)


def _validation_rows(data: _Data, options: FitOptions) -> Fold | None:
    """The rows of a ``validation_split``, without folds; None with validation data."""
    if data.validation is not None:
        return None
    index = split_index(data.rows, options.validation_split)
    rows = np.arange(data.rows)
    return rows[:index], rows[index:]


def _notes(model: keras.Model, data: _Data, options: FitOptions) -> Iterator[str]:
    """What a reader of the scores should know: where something of the held-out rows is used."""
    yield from preparation_notes(data.dataset, data.x) if data.validation is None else ()
    changed = {name for name, value in options.changed().items() if value is not False}
    uses: list[str] = [n for n in ("patience", "restore_best", "reduce_lr") if n in changed]
    callbacks = keras.tree.flatten(options.callbacks) if options.callbacks else []
    uses += [type(each).__name__ for each in callbacks if _monitors_validation(each)]
    if uses:
        verb = "uses" if len(uses) == 1 else "use"
        listed = join_with_and(uses)
        yield f"{listed} {verb} the held-out rows, which makes the scores slightly too good."
    adapting = [layer.name for layer in nested_layers(model) if hasattr(layer, "adapt")]
    if adapting:
        verb = "keeps" if len(adapting) == 1 else "keep"
        yield f"{join_with_and(adapting)} {verb} what was learned before, perhaps from all rows."
    start = starting_point(model)
    if record_for(model).is_loaded:
        yield "Each run starts with the weights that were loaded."
    elif start.weights is not None:
        yield (
            "Each run starts with the weights that the model had, because it is unknown whether "
            "they are trained. A model that kmagic builds gets new weights for each run."
        )


def _monitors_validation(callback: Any) -> bool:
    return str(getattr(callback, "monitor", "")).startswith(VALIDATION)


def _runs(plan: FoldPlan) -> Iterator[tuple[tuple[int, int], Any]]:
    """The runs as (repetition, fold), both from 1, each with its rows."""
    for repeat, folds in enumerate(plan.repeats, 1):
        for fold, parts in enumerate(folds, 1):
            yield (repeat, fold), parts


def _train(
    model: keras.Model,
    data: _Data,
    options: FitOptions,
    *,
    result: CrossValidation,
    number: tuple[int, int],
    parts: Fold | None,
    view: FoldsDisplay,
) -> None:
    """Train one run, and add its score and its predictions to the result."""
    repeat, fold = number
    where = [f"fold {fold} of {result.folds}"] if result.folds else []
    where += [f"repeat {repeat} of {result.repeat}"] if result.repeat > 1 else []
    x, y, weights, held_out = data.x, data.y, data.weights, data.validation
    rows: Any = slice(None)
    share = 0.0
    if parts is not None:
        rows = parts[1] if result.folds else rows
        prepared = prepare_fold(data.dataset, x, *parts)
        x, x_held = prepared or (take_rows(x, part) for part in parts)
        y, y_held = (take_rows(y, part) for part in parts)
        weights, weights_held = (take_rows(weights, part) for part in parts)
        held_out = (x_held, y_held) if weights is None else (x_held, y_held, weights_held)
        share = len(parts[1]) / len(parts[0])
        if not result.folds:
            result.x, result.y_true = take_rows(data.x, slice(parts[1][0], None)), y_held
    index = (repeat - 1) * max(result.folds, 1) + fold - 1
    own = replace(
        options,
        name=f"{result.name} {', '.join(where)}",
        fresh=True,
        checks=False,
        seed=None if options.seed is None else (options.seed + index) % (MAX_SEED + 1),
        sample_weight=weights,
        validation_split=0.0,
        validation_data=held_out,
    )
    displays = [_EarlierRuns(result), *view.displays()]
    run = train(model, x, y, own, dataset=data.dataset, displays=displays)
    run.options = options.recorded()
    score = FoldScore(run, fold if result.folds else 0, repeat, share)
    result.results.append(score)
    if run.status == "done":
        if repeat == 1 and isinstance(held_out, tuple):
            values = convert_arguments(model, {"x": held_out[0]})["x"]
            size: Any = options.validation_batch_size or options.batch_size
            predicted = model.predict(values, batch_size=size, verbose=0)
            _add_predictions(result, predicted, rows, data.rows if result.folds else 0)
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


def _add_predictions(result: CrossValidation, predicted: Any, rows: Any, count: int) -> None:
    """Write the predictions of a run into those of all rows; ``count`` is 0 without folds."""
    if result.predictions is None:
        count = count or len(keras.tree.flatten(predicted)[0])
        result.predictions = keras.tree.map_structure(
            lambda part: np.full((count, *part.shape[1:]), np.nan, part.dtype), predicted
        )
        result.predicted = np.zeros(count, bool)
    pairs = zip(keras.tree.flatten(result.predictions), keras.tree.flatten(predicted), strict=True)
    for whole, part in pairs:
        whole[rows] = part
    assert result.predicted is not None  # noqa: S101 - for the type checker: set above
    result.predicted[rows] = True


@contextmanager
def _record_kept(model: keras.Model) -> Iterator[None]:
    """Restore what is known about a model: its last run, its data, its starting point."""
    start, call, record = starting_point(model), last_call(model), record_for(model)
    names = [each.name for each in fields(record)]
    values = {name: getattr(record, name) for name in names}
    before = {key: dict(value) if type(value) is dict else value for key, value in values.items()}
    before["start"] = replace(start)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(record, name, value)
        set_last_call(model, call)
