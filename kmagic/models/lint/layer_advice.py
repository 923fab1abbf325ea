"""Advice on layers and their neighbours."""

from __future__ import annotations

from collections.abc import Iterator

from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_graph import (
    TRAINING_ONLY,
    TRANSPARENT,
    LayerCall,
    ModelGraph,
    ancestors,
    previous_call,
)
from kmagic.support.formatting import format_output_shape

_ADDING = ("Add", "Average", "Maximum", "Minimum", "Subtract")
_POINTWISE = (
    "Activation",
    "BatchNormalization",
    "Dense",
    "InputLayer",
    "LayerNormalization",
    "Normalization",
    "Rescaling",
    *TRAINING_ONLY,
)
"""Layers that compute each position of an image or sequence from that position alone."""
_DECIMAL = ("BatchNormalization", "Conv", "Dense", "LayerNormalization", "Normalization")


def layer_advice(graph: ModelGraph) -> Iterator[Advice]:
    """Advice on every layer of a model."""
    for call in graph.calls:
        source = previous_call(call, *TRAINING_ONLY, *TRANSPARENT)
        if source is not None:
            yield from _advice_on_pair(source, call)
        yield from _broadcast(call)
        yield from _useless_bias(call)
    for end in graph.ends:
        yield from _missing_flatten(end)
        if getattr(graph.model, "compiled", False):
            yield from _after_output(end)
    for call in graph.unused:
        message = "The model ignores this input: no output depends on it."
        yield _at("unused-input", call, message, "Connect it, or remove it.")


def _at(code: str, call: LayerCall, message: str, remedy: str, *, is_hint: bool = False) -> Advice:
    return Advice(code, message, remedy, call.span, call.name, is_hint)


def _advice_on_pair(first: LayerCall, call: LayerCall) -> Iterator[Advice]:
    """Advice on a layer and the one before it, which may also have other uses."""
    is_dense = call.kind == "Dense"
    activation = first.activation if len(first.children) == 1 else ""
    if is_dense and first.kind == "Dense" and activation == "linear" and first.rank == call.rank:
        message = "Two dense layers act as one when there is no activation between them."
        yield _at("no-activation", first, message, f"Add one: `dense {first.units} relu`.")
    elif activation == "softmax" and not is_dense and call.activation == "softmax":
        message = "All classes become nearly equal: softmax is applied twice in a row."
        yield _at("softmax-twice", call, message, "Remove one of the two.")
    elif activation == "softmax" and is_dense and first.kind in ("Dense", "Activation", "Softmax"):
        message = "Little information reaches the next dense layer: softmax comes before it."
        yield _at("hidden-softmax", first, message, "Use relu, the usual activation there.")
    elif call.kind == "Embedding" and first.is_any(*_DECIMAL):
        yield _at(
            "embedding-floats",
            call,
            f"Decimals are cut off: embedding takes integers, but gets decimals of {first.word}.",
            "Put the embedding first, after `input 80 int32`.",
        )


def _broadcast(call: LayerCall) -> Iterator[Advice]:
    if call.kind not in _ADDING:
        return
    shapes = {tuple(shape[1:]) for shape in call.shapes if isinstance(shape, tuple)}
    if len([shape for shape in shapes if None not in shape]) > 1:
        shown = " and ".join(map(format_output_shape, call.shapes))
        yield _at(
            "broadcast",
            call,
            f"{call.word} repeats one input along the other: {shown} differ in shape.",
            "Give both the same shape; `concatenate` joins different shapes.",
        )


def _useless_bias(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "BatchNormalization" or not getattr(call.layer, "center", False):
        return
    source = previous_call(call)
    if source is None or len(source.children) > 1 or source.activation != "linear":
        return
    if source.is_any("Conv", "Dense", "DepthwiseConv", "SeparableConv") and getattr(
        source.layer, "use_bias", False
    ):
        message = "The bias has no effect: the batch normalization after it subtracts the mean."
        yield _at("bias", source, message, "Write !use_bias.", is_hint=True)


def _after_output(end: LayerCall) -> Iterator[Advice]:
    if end.is_any(*TRAINING_ONLY):
        message = f"Outputs change at random in training: the last layer is {end.word}."
    elif end.kind == "BatchNormalization":
        message = f"Outputs are normalized over each batch: the last layer is {end.word}."
    else:
        return
    yield _at("after-output", end, message, "Move it before the output layer.")


def _missing_flatten(end: LayerCall) -> Iterator[Advice]:
    """Dense layers alone, on rows or images, compute each position by itself."""
    if end.kind != "Dense" or end.rank < 3:  # noqa: PLR2004 - samples of at least two dimensions
        return
    if all(call.is_any(*_POINTWISE) for call in ancestors(end)):
        positions = format_output_shape(end.shape[:-1])
        yield _at(
            "no-flatten",
            end,
            f"The model predicts at each of {positions} positions: dense only uses the last "
            "dimension.",
            "Write `flatten` before the first dense.",
        )
