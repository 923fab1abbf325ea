"""Advice on the last layer, the loss and the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmagic.language.spec import Span
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
_SQUASHING = ("softmax", "sigmoid")


def output_advice(graph: ModelGraph, compile_span: Span) -> Iterator[Advice]:
    """Advice on every output and its loss.

    Args:
        graph: The model's graph.
        compile_span: The position of the ``compile`` line.
    """
    model = graph.model
    if not getattr(model, "compiled", False):
        return
    if model.loss is None and compile_span.line and not model.losses:
        yield Advice(
            "no-loss",
            "The model cannot be trained: it has no loss.",
            "For classes: loss=sparse_categorical_crossentropy; for numbers: loss=mse.",
            compile_span,
        )
    losses = losses_of(model, len(graph.ends))
    for end, loss in zip(graph.ends, losses, strict=False):
        problem = _loss_problem(end, loss)
        if problem:
            yield Advice(*problem, end.span if end.span.line else compile_span, end.name)
    is_regression = losses and all(loss_name(loss) in REGRESSION for loss in losses)
    is_squashed = any(end.activation in _SQUASHING for end in graph.ends)
    if is_regression and not is_squashed and _has_accuracy(model):
        yield Advice(
            "accuracy",
            "Accuracy will be close to 0: it counts the outputs that equal the target exactly.",
            "Use metrics=mae.",
            compile_span,
        )


def losses_of(model: Any, count: int) -> list[Any]:
    """The loss of each output; None where there is none, or where it is unknown."""
    loss = model.loss
    if isinstance(loss, Mapping):
        names = list(getattr(model, "output_names", []))
        keys = names if set(loss) <= set(names) else list(loss)
        losses = [loss.get(name) for name in keys]
    elif isinstance(loss, list | tuple):
        losses = list(loss)
    else:
        losses = [loss] * count
    return losses if len(losses) == count else [None] * count


def loss_name(loss: Any) -> str:
    """The word of a loss, given as a string, function or object; "" if there is none."""
    if loss is None:
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "") or type(loss).__name__
    name = snake_case(name)
    return _SHORT.get(name, name)


def _has_accuracy(model: Any) -> bool:
    """Whether a model is compiled with accuracy for all outputs."""
    try:
        metrics = (model.get_compile_config() or {}).get("metrics")
    except Exception:  # noqa: BLE001 - a metric of the user's without a configuration
        return False
    metrics = metrics if isinstance(metrics, list | tuple) else [metrics]
    return any(metric in {"accuracy", "acc"} for metric in metrics if isinstance(metric, str))


def _loss_problem(end: LayerCall, loss: Any) -> tuple[str, str, str] | None:
    """The code, message and remedy of what is wrong with an output and its loss."""
    name, activation = loss_name(loss), end.activation
    if activation == "softmax" and end.units == 1:
        remedy = "Write `dense 1 sigmoid` with loss=binary_crossentropy."
        if name in REGRESSION:
            remedy = "To predict a number, write `dense 1`."
        return "one-softmax", "The output is always 1: softmax has a single unit.", remedy
    if getattr(loss, "from_logits", False):
        if activation not in _SQUASHING:
            return None
        message = f"{activation.capitalize()} is applied twice: in the last layer, and again by "
        return "logits", message + "from_logits=true.", f"Remove {activation}, or from_logits."
    if name in CATEGORICAL and end.units == 1:
        return (
            "one-class",
            f"{name} chooses between several units, but there is only one.",
            "Write `dense 1 sigmoid` with loss=binary_crossentropy.",
        )
    if name in CATEGORICAL and activation == "sigmoid":
        return (
            "sigmoid-categorical",
            f"{name} expects probabilities that sum to 1, but sigmoid computes each unit alone.",
            "For one class of several, use softmax; for several at once, loss=binary_crossentropy.",
        )
    if name in BINARY and activation == "softmax":
        return (
            "binary-softmax",
            (
                f"{name} treats each unit as a separate decision, but softmax makes all units one "
                "choice."
            ),
            "For one class of several, use a categorical loss; for several at once, sigmoid.",
        )
    if name in (*CATEGORICAL, *BINARY) and activation not in _PROBABILITIES:
        usual, logits = ("softmax", name) if name in CATEGORICAL else ("sigmoid", BINARY[0])
        return (
            f"no-{usual}",
            f"{name} expects probabilities, but the last layer ({activation}) returns any number.",
            f"Add {usual} there, or write loss={logits}(from_logits=true).",
        )
    if name in REGRESSION and activation == "softmax":
        return (
            "regression-softmax",
            f"The model will learn slowly, and its outputs sum to 1: {name} is used with softmax.",
            "For classes: loss=categorical_crossentropy; for numbers: no activation.",
        )
    if name in REGRESSION and activation == "relu" and end.rank < 4:  # noqa: PLR2004 - pixels are not negative
        return (
            "relu-output",
            "Outputs are never negative, and a unit at 0 stops learning: the last layer is relu.",
            "Remove the activation, or use softplus for numbers above 0.",
        )
    return None
