"""What takes more than one room of the house: the fit with its views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kmagic.language.spec import ModelSpec
from kmagic.support.errors import EvaluationError, KmagicError, TrainingError
from kmagic.support.model_registry import set_dataset, set_spreads
from kmagic.support.suggestions import did_you_mean
from kmagic.training.run.training_run import Display, TrainingRun

MOST_LAYERS = 64
"""A model that was not made here is written down for the record up to so many layers."""


def build(text: str | ModelSpec, /, **values: Any) -> Any:
    """Build a Keras model from a text of the layer language.

    Args:
        text: The text, or the spec that :func:`kmagic.parse` returns for it.
        values: Values of the names in braces.

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
        return build_model(text, values)


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    displays: Iterable[Display] | None = None,
    earlier: Iterable[TrainingRun] = (),
    checks: bool = True,
    watch: str | None = None,
    **keywords: Any,
) -> TrainingRun:
    """Train a model with a live view.

    As :func:`kmagic.training.fit.fit`, which says what the arguments are; the views are chosen by
    where it runs: a widget in a notebook, a line an epoch in a terminal, and what
    ``KMAGIC_DISPLAY`` says before all.

    Args:
        model: A ``keras.Model``. Where it is not compiled it gets what suits its output and the
            targets, and ``run.messages`` says what; not with ``checks=False``.
        x: Inputs; or a data set as :func:`kmagic.load_data` gives it, whose training part is taken.
        y: Targets, where ``x`` does not bring them.
        displays: Views to use instead of the chosen ones; an empty list shows nothing.
        earlier: Runs to compare with: the last three of the same model are drawn faintly behind
            this one's curves.
        checks: Look at the data before the training. What cannot be trained is refused; what will
            probably hurt is told in ``run.messages``, at epoch 0.
        watch: "confusion": the confusion matrix of the validation data after each epoch, in the
            view and as ``run.confusion``.
        **keywords: Those of ``model.fit``: ``epochs``, ``batch_size``, ``validation_data`` (also a
            data set, whose test part is taken) ..., and ``seed``, ``patience``, ``reduce_lr``,
            ``restore_best``, ``csv``, ``tensorboard``, ``budget``, ``checkpoint``, ``resume``,
            ``plain``.

    Returns:
        The run: ``run.history``, ``run.status``, ``run.to_frame()``, ``run.plot()``.

    Raises:
        TrainingError: The model does not fit the data, an option has a wrong value, or there is
            nothing to go on with.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> run = fit(model, numpy.ones((64, 2)), numpy.ones((64, 1)), epochs=2, displays=[])
        >>> run.status
        'done'
    """
    from kmagic.data.dataset import find_dataset  # noqa: PLC0415 - not needed before a fit
    from kmagic.data.preparation.scale_drift import input_spreads  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.training.live_view import displays_for  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.training.previous_runs import Behind  # noqa: PLC0415 - not needed before a fit
    from kmagic.training.fit import fit as train  # noqa: PLC0415 - not needed before a fit

    _check_call(model, keywords, train)
    if hasattr(x, "x_train") and y is None:
        x, y = x.x_train, x.y_train
    held: Any = keywords.get("validation_data")
    if hasattr(held, "x_test"):
        keywords["validation_data"] = (held.x_test, held.y_test)
    data = find_dataset(x)
    if watch is not None:
        keywords["watch"] = _judge(model, watch, data)
    keywords["notes"] = _looked_over(model, x, y, keywords, data) if checks else []
    views = list(displays_for()) if displays is None else list(displays)
    run = train(model, x, y, displays=[Behind(earlier), *views], text=_text(model), **keywords)
    if data is not None:
        set_dataset(model, data)
    set_spreads(model, input_spreads(model, x))
    return run


def _check_call(model: Any, keywords: Mapping[str, Any], train: Any) -> None:
    """Refuse what is no model, and an argument that nobody takes."""
    from inspect import signature  # noqa: PLC0415 - not needed before a fit

    if not hasattr(model, "fit") or not hasattr(model, "name"):
        kind = repr(model) if isinstance(model, str) else type(model).__name__
        raise TrainingError(f"fit trains a Keras model, not {kind}.")
    known = {*signature(train).parameters, *signature(model.fit).parameters}
    for word in keywords:
        if word not in known:
            raise TrainingError(f"fit has no argument {word}.", did_you_mean(word, known))


def _judge(model: Any, watch: str, data: Any) -> Any:
    """Who watches a training; raises for what cannot be watched."""
    from kmagic.evaluation.confusion.validation_confusion import ValidationConfusion  # noqa: PLC0415 - not needed before a fit

    if watch != "confusion":
        raise TrainingError(f"watch is 'confusion' or nothing, not {watch!r}.")
    try:
        return ValidationConfusion(model, getattr(data, "classes", None))
    except EvaluationError as error:
        raise TrainingError(error.message, error.remedy) from error


def _looked_over(
    model: Any, x: Any, y: Any, keywords: Mapping[str, Any], data: Any = None
) -> list[str]:
    """What is to be told before a training, in sentences; raises for what cannot be trained."""
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not needed before a fit
    from kmagic.training.validation.data_checks import review_data  # noqa: PLC0415 - as above

    name = keywords.get("name") or model.name
    held, test = keywords.get("validation_data"), getattr(data, "x_test", None)
    columns = getattr(data, "columns", None)
    review = review_data(
        model,
        x,
        y,
        built=origin_of(model),
        validation=held,
        test=test,
        name=name,
        columns=columns if isinstance(columns, tuple) else (),
        class_weight=keywords.get("class_weight"),
    )
    if review.compile_choice is not None:
        review.compile_choice.apply(model)
    return list(review.messages)


def _text(model: Any) -> str:
    """The model in the layer language; "" where no text can say it."""
    from kmagic.language import format_spec  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not needed before a fit
    from kmagic.models.decompile import to_dsl  # noqa: PLC0415 - as above

    built = origin_of(model)
    if built is not None:
        return built.spec.source or format_spec(built.spec)
    if len(model.layers) > MOST_LAYERS:
        return ""
    try:
        return to_dsl(model)
    except (KmagicError, ValueError):  # a class of the user's own; not built yet
        return ""
