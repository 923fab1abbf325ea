"""Whether the last layer, the loss and the metrics go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmagic.language.spec import NO_SPAN, Span
from kmagic.language.vocabulary import snake_case
from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_graph import LayerCall, ModelGraph

_SHORT = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
CATEGORICAL = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
)
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
REGRESSION = (
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
)
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "log_softmax", "")
_SQUASHED = ("softmax", "sigmoid")


def output_advice(facts: ModelGraph, compile_span: Span) -> Iterator[Advice]:
    """Advice about every output and its loss.

    Args:
        facts: The model's.
        compile_span: Where the text compiles it.
    """
    if not getattr(facts.model, "compiled", False):
        return
    if facts.model.loss is None and compile_span.line and not facts.model.losses:
        yield Advice(
            "no-loss",
            "without a loss there is nothing to train for.",
            "For classes: loss=sparse_categorical_crossentropy; for numbers: loss=mse.",
            compile_span,
        )
    losses = losses_of(facts.model, len(facts.ends))
    for end, loss in zip(facts.ends, losses, strict=False):
        place = end.span if end.span.line else compile_span
        yield from _of_output(end, loss, place)
    yield from _of_metrics(facts, losses, compile_span)


def losses_of(model: Any, count: int) -> list[Any]:
    """The loss of each output; None where there is none, or where it cannot be told."""
    loss = model.loss
    if isinstance(loss, Mapping):
        names = list(getattr(model, "output_names", []))
        keys = names if set(loss) <= set(names) else list(loss)
        found = [loss.get(name) for name in keys]
    elif isinstance(loss, list | tuple):
        found = list(loss)
    else:
        found = [loss] * count
    return found if len(found) == count else [None] * count


def loss_name(loss: Any) -> str:
    """A loss's word, however it was given; "" if there is none."""
    if loss is None:
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "") or type(loss).__name__
    name = snake_case(name)
    return _SHORT.get(name, name)


def takes_logits(loss: Any) -> bool:
    """Whether a loss applies softmax or sigmoid itself."""
    return bool(getattr(loss, "from_logits", False))


def _of_output(end: LayerCall, loss: Any, span: Span) -> Iterator[Advice]:
    name, activation, units = loss_name(loss), end.activation, end.units

    def advice(code: str, message: str, remedy: str) -> Advice:
        return Advice(code, message, remedy, span, end.name)

    if activation == "softmax" and units == 1:
        yield advice(
            "one-softmax",
            "softmax over one unit is always 1, whatever the model learns.",
            "For a number to predict: `dense 1`."
            if name in REGRESSION
            else "Write `dense 1 sigmoid` with loss=binary_crossentropy.",
        )
        return
    if takes_logits(loss):
        if activation in _SQUASHED:
            yield advice(
                "logits",
                f"the last layer is {activation} already, and from_logits=true applies it again.",
                f"Leave out {activation}, or from_logits.",
            )
        return
    if name in CATEGORICAL:
        yield from _of_categorical(advice, name, activation, units)
    elif name in BINARY:
        if activation == "softmax":
            yield advice(
                "binary-softmax",
                f"{name} judges each unit by itself, and softmax makes them one choice.",
                "For one class of several: a categorical loss; for many at once: sigmoid.",
            )
        elif activation not in _PROBABILITIES:
            yield advice(
                "no-sigmoid",
                f"{name} takes probabilities, and the last layer ({activation}) gives any number.",
                "Write sigmoid there, or loss=binary_crossentropy(from_logits=true).",
            )
    elif name in REGRESSION:
        yield from _of_regression(advice, end, name)


def _of_categorical(advice: Any, name: str, activation: str, units: int) -> Iterator[Advice]:
    if units == 1:
        yield advice(
            "one-class",
            f"{name} chooses among several units, and there is only one.",
            "Write `dense 1 sigmoid` with loss=binary_crossentropy.",
        )
    elif activation == "sigmoid":
        yield advice(
            "sigmoid-categorical",
            f"{name} expects shares that sum to 1, and sigmoid gives each unit its own.",
            "For one class of several: softmax; for several at once: loss=binary_crossentropy.",
        )
    elif activation not in _PROBABILITIES:
        yield advice(
            "no-softmax",
            f"{name} takes probabilities, and the last layer ({activation}) gives any number.",
            f"Write softmax there, or loss={name}(from_logits=true).",
        )


def _of_regression(advice: Any, end: LayerCall, name: str) -> Iterator[Advice]:
    picture = 4
    if end.activation == "softmax":
        yield advice(
            "regression-softmax",
            f"{name} on softmax learns slowly, and sums to 1.",
            "For classes: loss=categorical_crossentropy; for numbers: no activation.",
        )
    elif end.activation == "relu" and end.rank < picture:
        yield advice(
            "relu-output",
            "relu on the output never gives a number below 0, and a unit at 0 learns no more.",
            "Leave the activation out, or take softplus for numbers above 0.",
        )


def _of_metrics(facts: ModelGraph, losses: list[Any], span: Span) -> Iterator[Advice]:
    is_regression = losses and all(loss_name(loss) in REGRESSION for loss in losses)
    squashed = any(end.activation in _SQUASHED for end in facts.ends)
    if is_regression and not squashed and "accuracy" in _metric_names(facts.model):
        yield Advice(
            "accuracy",
            "accuracy counts outputs that equal the target exactly, which numbers hardly ever do.",
            "Write metrics=mae.",
            span if span.line else NO_SPAN,
        )


def _metric_names(model: Any) -> set[str]:
    """The names of the metrics that a model is compiled with, for all outputs alike."""
    try:
        metrics = (model.get_compile_config() or {}).get("metrics")
    except Exception:  # noqa: BLE001 - a metric of the user's own that cannot be described is no accuracy
        return set()
    metrics = metrics if isinstance(metrics, list | tuple) else [metrics]
    found = {each for each in metrics if isinstance(each, str)}
    return found | ({"accuracy"} if "acc" in found else set())
