"""Functions that need several layers of the package: ``build`` from any language, and ``fit``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from kmagic.language.spec import ModelSpec
from kmagic.support.caller_names import caller_names
from kmagic.support.errors import EvaluationError, TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion
    from kmagic.evaluation.labels.label_errors import LabelErrors
    from kmagic.training.fit_options import FitOptions
    from kmagic.training.run.cross_validation import CrossValidation
    from kmagic.training.run.training_run import Display, TrainingRun


@explain_special_methods
def build(text: str | ModelSpec, /, **values: Any) -> Any:
    """Build a Keras model from a text of the layer language.

    Args:
        text: The text, or the spec that :func:`kmagic.parse` returns for it.
        values: Values of names in the text. All other names are variables of the calling code,
            local ones first.

    Returns:
        A ``keras.Sequential`` for a plain stack, otherwise a functional ``keras.Model``; compiled
        if the text has a ``compile`` line.

    Raises:
        DSLError: The text contains mistakes; each is shown with its line and a caret.
        BuildError: A layer does not accept the shape of its input.

    Example:
        >>> model = build("input 4 / dense {units} relu / dense 2 softmax", units=8)
        >>> model.output_shape
        (None, 2)
    """
    from kmagic.from_r.translation import translate_pasted_r  # noqa: PLC0415 - not needed for a fit
    from kmagic.models.build import build_model  # noqa: PLC0415 - as above

    with translate_pasted_r():
        return build_model(text, caller_names(**values))


@explain_special_methods
def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation_split: float | None = None,
    validation_data: Any = None,
    callbacks: Any = None,
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    sample_weight: Any = None,
    shuffle: bool | str | None = None,
    seed: int | None = None,
    patience: int | None = None,
    reduce_lr: int | bool | None = None,
    restore_best: bool | None = None,
    csv: str | Path | None = None,
    tensorboard: str | Path | None = None,
    budget: float | str | None = None,
    checkpoint: str | Path | None = None,
    resume: TrainingRun | bool | None = None,
    fresh: bool | None = None,
    plain: bool | None = None,
    watch: str | None = None,
    output: str | None = None,
    checks: bool | None = None,
    displays: Iterable[Display] | None = None,
    earlier: Iterable[TrainingRun] = (),
    name: str | None = None,
    initial_epoch: int | None = None,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | None = None,
    verbose: int | str | None = None,
    on: str | None = None,
    workers: int | None = None,
    gpus: int | str | None = None,
    **others: Any,
) -> TrainingRun:
    """Train a model with a live view.

    The training is ``model.fit``, usually faster. ``run.stop()``, the view's stop button or an
    interrupt ends it at any time without losing what the model has learned.

    Args:
        model: A ``keras.Model``; it is trained in place. If it is not compiled, it is compiled with
            a suitable loss, and ``run.messages`` says with which; not with ``checks=False``.
        x: Inputs: anything that ``model.fit`` accepts, lists of numbers or texts, or a dataset of
            :func:`kmagic.load_data`, whose training part is used.
        y: Targets, if ``x`` does not contain them.
        epochs: Number of epochs; 1 by default.
        batch_size: Samples per batch; Keras's default is 32.
        validation_split: Fraction at the end of ``x`` that is kept for validation; 0 by default.
        validation_data: A pair (x, y), a triple with sample weights, or a dataset, whose test part
            is used.
        callbacks: Keras callbacks, one or several.
        class_weight: Weight by class index, or by class name for a dataset of
            :func:`kmagic.load_data`; "balanced" gives each class the same influence. One class per
            sample is needed.
        sample_weight: One weight per sample.
        shuffle: Whether to shuffle the samples in each epoch; True by default.
        seed: Makes the run repeatable, including layers with random state.
        patience: Stop after this many epochs in which the validation loss (without validation the
            loss) did not improve.
        reduce_lr: Divide the learning rate by ten after this many such epochs; True means 5.
        restore_best: Restore the best epoch's weights at the end.
        csv: File for each epoch's metrics.
        tensorboard: Folder for TensorBoard logs.
        budget: Time limit in seconds, or as text such as "2m". No epoch is started that would not
            end in time; one that takes longer is ended, and ``run.note`` says where.
        checkpoint: Folder that keeps the run after each epoch (``state/``, ``best.weights.h5``,
            ``run.json``). An earlier run there is moved to its folder ``before/``. A process may
            end while it writes, or a file be damaged: at most one epoch is lost. The folder is
            locked for other processes.
        resume: Continue the run in ``checkpoint``, or else the model's last one, up to ``epochs``:
            history, epoch numbers, optimizer, ``patience`` and ``reduce_lr`` continue as if there
            had been no break. An unfinished epoch is trained again from its start. Every argument
            that is not given is that of the earlier run, and in the same process so are ``x`` and
            ``y``. Rows that the earlier run held out are not trained on, unless ``checks=False``.
        fresh: Start with new weights and a new state of the optimizer, for example for each fold of
            a cross-validation. Weights that kmagic did not see created, such as pre-trained ones,
            get the values that they had before the model's first run; layers that were adapted to
            data keep what they learned. Without it, a model that was trained before continues from
            its weights, and ``run.messages`` says so.
        plain: Use plain Keras without kmagic's pipeline.
        watch: "confusion": compute the confusion matrix of the validation data after each epoch,
            for the view and ``run.confusion``.
        output: With ``watch`` and several outputs the one that is watched; by default the only one
            with classes.
        checks: Check the data before training: unsuitable data raises an error, advice goes to
            ``run.messages``; True by default.
        displays: Views to use instead of the default: a widget in a notebook, one line per epoch
            in a terminal, or as ``KMAGIC_DISPLAY`` says. An empty list shows nothing.
        earlier: Previous runs: the last three of the same model are drawn in grey.
        name: The model's name in the record.
        initial_epoch: As in ``model.fit``.
        steps_per_epoch: Batches per epoch. Required for data without a known end: a dataset with
            ``repeat()``, or a generator that does not end soon.
        validation_steps: Batches of the validation data, likewise.
        validation_batch_size: As in ``model.fit``.
        validation_freq: As in ``model.fit``.
        verbose: As in ``model.fit``, but 0 by default.
        on: The Ray cluster that trains: "local" (this machine), "auto", "HOST:PORT" or
            "ray://HOST:PORT". Needs ``pip install "kmagic[cluster]"``.
        workers: Number of processes that train the model together, each a part of every batch.
            Without ``on``, they run on the cluster of :func:`connect`, or on this machine. Default
            with ``on``: one for each machine. The result is that of one process, up to rounding.
            Dense arrays and Keras's own training step are needed. ``run.pipeline`` says how a batch
            is divided.
        gpus: "all" or a number. GPUs of this machine, each with a copy of the model, or with
            ``on`` those of the cluster, one worker for each.
        **others: Further arguments of a model with its own ``fit``.

    Returns:
        The record: ``run.history``, ``run.status``, ``run.to_frame()``, ``run.plot()``.

    Raises:
        TrainingError: The model does not fit the data, an option has a wrong value, or there is
            nothing to continue.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> run = fit(model, numpy.ones((64, 2)), numpy.ones((64, 1)), epochs=2, displays=[])
        >>> run.status
        'done'
    """
    _check_call(model, others)
    from kmagic.data.dataset import find_dataset  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.training.run_displays import displays_for  # noqa: PLC0415 - as above
    from kmagic.training.continuation import continue_run  # noqa: PLC0415 - imports Keras
    from kmagic.training.fit import train  # noqa: PLC0415 - imports Keras
    from kmagic.training.fit_inputs import dataset_parts  # noqa: PLC0415 - as above
    from kmagic.training.fit_options import FitOptions  # noqa: PLC0415 - as above

    x, y, validation_data = dataset_parts(model, x, y, validation_data)
    values = locals()
    names = [option.name for option in fields(FitOptions) if option.name != "others"]
    given = {name: values[name] for name in names if values[name] is not None}
    continuation = continue_run(model, x, y, given, others) if resume else None
    if continuation is None:
        options = FitOptions(**given, others=others)
    else:
        x, y, options = continuation.x, continuation.y, continuation.options
    dataset = find_dataset(x, y)
    return train(
        model,
        x,
        y,
        options,
        dataset=dataset,
        displays=list(displays_for() if displays is None else displays),
        earlier=earlier,
        confusion=None if options.watch is None else _validation_confusion(model, dataset, options),
        continuation=continuation,
    )


@explain_special_methods
def cross_validate(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    folds: int | None = 5,
    repeat: int = 1,
    groups: Any = None,
    chronological: bool | None = None,
    displays: Iterable[Display] | None = None,
    **options: Any,
) -> CrossValidation:
    """Train a model once per fold, with new weights, and compare what the runs reach.

    Each fold is held out by one run, which is validated on it. The rows are divided by the
    splitters of scikit-learn: classes keep their proportions, other rows are drawn at random.
    Samples in the order of time, from a dataset that was loaded with ``chronological`` or as
    overlapping windows, are never shuffled: each fold is held out after the rows that are trained
    on. What a dataset has learned from its rows (standardization, categories, values of empty
    cells) is learned again from the training rows of each fold.

    Afterwards the model has the weights, the optimizer and the last run that it had before. A model
    that was not compiled is compiled. An interrupt, or the view's stop button, ends it and keeps
    the finished runs.

    Args:
        model: A ``keras.Model``. Each run begins as with ``fresh`` in :func:`fit`: a model that
            :func:`build` made gets new weights, any other the weights that it had before its first
            run, and ``result.messages`` says so.
        x: Inputs: arrays, a data frame, lists, or a dataset of :func:`kmagic.load_data`, whose
            training part is used.
        y: Targets, if ``x`` does not contain them.
        folds: Number of folds; None for runs that differ in their seeds only, which need
            ``validation_split`` or ``validation_data``.
        repeat: Number of repetitions, with other folds and seeds: ``folds=5, repeat=3`` are 15
            runs.
        groups: One value per row, or for a table the name of a column, also of one that is not a
            feature: rows of a group are never in both parts of a fold.
        chronological: Whether the rows are in the order of time. Default: as the dataset, or the
            overlap of the windows, says.
        displays: Views of each run to use instead of the default, one view of all runs and a card
            at the end. An empty list shows nothing.
        **options: Further arguments of :func:`fit`, such as ``epochs``, ``batch_size`` or
            ``patience``. With ``seed``, the folds and all runs are repeatable: run i, from 0, has
            the seed ``seed + i``. Without it the folds are the same in each call, but the weights
            are not.

    Returns:
        The result: ``result.scores``, ``result.mean``, ``result.std``, ``result.interval``,
        ``result.predictions`` (out-of-fold), ``result.runs``, ``result.to_frame()``.
        :func:`kmagic.confusion` takes it.

    Raises:
        TrainingError: The rows cannot be divided in this way, an option cannot be used for several
            runs, or the model does not fit the data.

    Example:
        >>> import numpy
        >>> model = build("input 2 / dense 1 / compile sgd mse")
        >>> x = numpy.ones((60, 2))
        >>> result = cross_validate(model, x, x[:, 0], folds=3, epochs=2, displays=[])
        >>> len(result.runs), list(result.scores), result.predictions.shape
        (3, ['val_loss'], (60, 1))
    """
    from kmagic.data.dataset import find_dataset  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.training.folds_view import FoldsView  # noqa: PLC0415 - as above
    from kmagic.training.fit_inputs import dataset_parts  # noqa: PLC0415 - imports Keras
    from kmagic.training.fit_options import FitOptions  # noqa: PLC0415 - as above
    from kmagic.training.folds.fold_runs import run_folds  # noqa: PLC0415 - as above

    names = [option.name for option in fields(FitOptions) if option.name != "others"]
    given = {name: options.pop(name) for name in names if name in options}
    _check_call(model, options)
    x, y, given["validation_data"] = dataset_parts(model, x, y, given.get("validation_data"))
    view = FoldsView(displays)
    try:
        result = run_folds(
            model,
            x,
            y,
            FitOptions(**{k: v for k, v in given.items() if v is not None}, others=options),
            folds=folds,
            repeat=repeat,
            groups=groups,
            chronological=chronological,
            dataset=find_dataset(x, y),
            displays=view.displays,
        )
    except BaseException:
        view.discard()
        raise
    view.show(result)
    return result


@explain_special_methods
def find_label_errors(
    model: Any = None,
    x: Any = None,
    y: Any = None,
    *,
    folds: int = 5,
    part: str = "train",
    probabilities: Any = None,
    class_names: Any = None,
    score: str = "self_confidence",
    epochs: int | None = None,
    name: str | None = None,
    **options: Any,
) -> LabelErrors:
    """Find samples whose label is probably wrong, by confident learning.

    Each sample is predicted by a model that was not trained on it: :func:`cross_validate` trains
    the model once per fold, and restores it afterwards. A label is probably wrong if the model is
    as sure of another class as it is, on average, for the samples of that class (Northcutt, Jiang
    and Chuang, 2021). The candidates are those of cleanlab's ``find_label_issues`` for the same
    probabilities. With a weak model many of them are false: look before you change anything.

    Args:
        model: A compiled Keras model of classes, or the result of :func:`cross_validate`; not
            needed with ``probabilities``.
        x: A dataset of :func:`kmagic.load_data`, or inputs. With ``probabilities``, and with a
            result, they may be left out.
        y: Labels, one class for each sample, if ``x`` does not contain them.
        folds: Number of folds.
        part: The part of a dataset to search: "train", "test" or "all". For the test part, models
            are trained on rows of both parts.
        probabilities: Out-of-sample probabilities instead of a training, (n, classes), or of the
            second of two classes, (n,).
        class_names: Names of the classes, if ``x`` is not a dataset.
        score: How candidates are sorted: "self_confidence" (the probability of the given class) or
            "normalized_margin" (that, less the probability of the best other class).
        epochs: Number of epochs. Default: as many as the last run of the model has trained; its
            batch size, class weights, shuffling and seed are used too where they are not given.
        name: The model's name in the record.
        **options: Further arguments of :func:`cross_validate`, such as ``batch_size``, ``groups``,
            ``seed`` or ``displays``.

    Returns:
        The candidates, with ``to_frame()``, ``indices`` and ``noise``. Decide with ``keep(i)``,
        ``relabel(i)``, ``drop(i)`` and ``undo()``, or in the card; ``data`` is then a new dataset,
        for arrays there are ``y`` and ``mask``.

    Raises:
        TrainingError: The model cannot be trained on the data, or the epochs are unknown.
        EvaluationError: There are no classes, or no probabilities.

    Example:
        >>> odds = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]]
        >>> found = find_label_errors(y=[0, 0, 0, 1], probabilities=odds, class_names=["a", "b"])
        >>> found.to_frame()[["index", "given", "suggested"]].values.tolist()
        [[2, 'a', 'b']]
    """
    from kmagic.evaluation.labels.label_errors import label_errors  # noqa: PLC0415 - not before it is needed
    from kmagic.evaluation.labels.label_rows import (  # noqa: PLC0415 - as above
        class_probabilities,
        predicted_rows,
        rows_to_search,
    )
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - as above

    result = model if isinstance(model, CrossValidation) else None
    if result is not None and x is None:
        x, y = result.x, result.y_true
    is_given = probabilities is not None or result is not None
    rows = rows_to_search(x, y, part, alone=is_given)
    class_names = rows.classes if class_names is None else class_names
    checked, method = rows.checked, "given probabilities"
    messages: list[str] = []
    if probabilities is None:
        if result is None:
            _check_classifier(model, rows, class_names)
            used, messages = _as_in_last_run(model, options | {"epochs": epochs})
            result = cross_validate(model, rows.x, rows.y, folds=folds, name=name, **used)
            messages += result.messages
        predicted = predicted_rows(result, rows)
        if not isinstance(model, CrossValidation):
            probabilities = class_probabilities(
                model, result.predictions, rows.dataset, class_names
            )
        else:
            probabilities = result.predictions
        method = f"out-of-fold probabilities of {result.describe()}"
        if count := int((checked & ~predicted).sum()):
            messages.append(f"{count:,} rows have no out-of-fold prediction and were not searched.")
        checked = checked & predicted
    return label_errors(
        rows.y,
        probabilities,
        inputs=rows.x,
        sizes=rows.sizes,
        checked=checked,
        dataset=rows.dataset,
        class_names=class_names,
        score=score,
        name=name or str(getattr(model, "name", "")),
        method=method,
        messages=messages,
    )


def _check_classifier(model: Any, rows: Any, class_names: Any) -> None:
    """Refuse models whose folds would be trained in vain: without a loss, or without classes."""
    from kmagic.evaluation.labels.label_rows import class_probabilities  # noqa: PLC0415 - as above
    from kmagic.training.fit import not_compiled  # noqa: PLC0415 - imports Keras
    from kmagic.training.fit_inputs import convert_arguments, take_rows  # noqa: PLC0415 - as above

    if not hasattr(model, "fit") or not hasattr(model, "name"):
        actual = "nothing" if model is None else type(model).__name__
        raise EvaluationError(
            f"Expected a Keras model, or the result of a cross-validation; got {actual}.",
            Text("Without one, pass ", Option("probabilities"), "."),
        )
    if not model.compiled:
        raise not_compiled(model.name)
    if model.built:
        few = take_rows(convert_arguments(model, {"x": rows.x})["x"], slice(0, 1))
        class_probabilities(model, model.predict_on_batch(few), rows.dataset, class_names)


def _as_in_last_run(model: Any, options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options, those of the model's last run where none are given; and which these are."""
    from kmagic.support.model_registry import last_call, record_for  # noqa: PLC0415 - as above

    given = {name: value for name, value in options.items() if value is not None}
    call = last_call(model)
    run = call.run if call is not None else record_for(model).run
    if run is None or not run.log:
        if "epochs" not in given:
            raise TrainingError(
                f"How many epochs {model.name} needs is unknown: it has no training run.",
                Text("Pass ", Option("epochs", 10), ", or train it first."),
                option="epochs",
            )
        return given, []
    last = call.options if call is not None else None
    uses_best = getattr(last, "restore_best", False) and run.best is not None
    known = {"epochs": run.best.epoch if uses_best else run.log[-1].number}
    for option in ("batch_size", "class_weight", "seed"):
        known[option] = getattr(last, option, None)
    if last is not None and not last.shuffle:
        known["shuffle"] = False
    taken = {k: v for k, v in known.items() if v is not None and k not in given}
    texts = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in taken.items() if name != "epochs"
    )
    epochs = [pluralize(taken["epochs"], "epoch")] if "epochs" in taken else []
    said = ", ".join([*epochs, *([texts] if texts else [])])
    return given | taken, [f"As in the last run of {model.name}: {said}."] if said else []


def _check_call(model: Any, others: Mapping[str, Any]) -> None:
    if not hasattr(model, "fit") or not hasattr(model, "name"):
        actual = repr(model) if isinstance(model, str) else type(model).__name__
        raise TrainingError(f"fit expects a Keras model; got {actual}.")
    known = signature(model.fit).parameters
    for argument in others:
        if argument not in known:
            names = dict.fromkeys([*signature(fit).parameters, *known])
            longer = [name for name in names if name.startswith(argument)]
            remedy = f"Did you mean {' or '.join(longer)}?" if longer else ""
            raise TrainingError(
                f"fit has no argument {argument}.", remedy or did_you_mean(argument, names)
            )


def _validation_confusion(
    model: Any, dataset: Any, options: FitOptions
) -> ValidationConfusion | None:
    if options.watch is None:
        return None
    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion  # noqa: PLC0415 - as above
    from kmagic.evaluation.prediction.model_outputs import data_of_output, only_output_with_classes  # noqa: PLC0415 - as above

    try:
        output = options.output or only_output_with_classes(model, dataset)
        data = dataset if output is None else data_of_output(dataset, output)
        names, is_multilabel = (getattr(data, name, None) for name in ("classes", "is_multilabel"))
        several = bool(is_multilabel)
        return ValidationConfusion(model, names, is_multilabel=several, output=output)
    except EvaluationError as error:
        raise TrainingError(error.message_text, error.remedy_text) from error
