"""What layers do to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_graph import (
    TRAINING_ONLY,
    TRANSPARENT,
    LayerCall,
    ModelGraph,
    ancestors,
    previous_call,
)

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
"""Layers that never let one place of a picture or sequence see another."""
_FLOATS = ("BatchNormalization", "Conv", "Dense", "LayerNormalization", "Normalization")


def layer_advice(facts: ModelGraph) -> Iterator[Advice]:
    """Advice about every layer."""
    for call in facts.calls:
        yield from _dense_after_dense(call)
        yield from _hidden_softmax(call)
        yield from _broadcast(call)
        yield from _embedding(call)
        yield from _bias(call)
    for end in facts.ends:
        yield from _no_mixing(end)
        if getattr(facts.model, "compiled", False):
            yield from _after_output(end)
    for call in facts.unused:
        message = "no output depends on this input, so the model never sees it."
        yield _at("unused-input", call, message, "Join it, or leave it out.")


def _at(code: str, call: LayerCall, message: str, remedy: str, *, is_hint: bool = False) -> Advice:
    return Advice(code, message, remedy, call.span, call.name, is_hint)


def _dense_after_dense(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "Dense":
        return
    first = previous_call(call, *TRAINING_ONLY, *TRANSPARENT)
    if first is None or first.kind != "Dense" or first.activation != "linear":
        return
    if len(first.children) == 1 and first.rank == call.rank:
        yield _at(
            "no-activation",
            first,
            "dense without activation feeds another dense: two such layers are one.",
            f"Give it one: `dense {first.units} relu`.",
        )


def _hidden_softmax(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "Dense" and call.activation != "softmax":
        return
    first = previous_call(call, *TRAINING_ONLY, *TRANSPARENT)
    if first is None or first.activation != "softmax" or len(first.children) > 1:
        return
    if call.activation == "softmax" and call.kind != "Dense":
        message = "softmax comes twice, one on the other, and makes all classes nearly equal."
        yield _at("softmax-twice", call, message, "Leave one out.")
    elif first.kind in ("Dense", "Activation", "Softmax") and call.kind == "Dense":
        message = "softmax inside the model lets little through to the dense behind it."
        yield _at("hidden-softmax", first, message, "relu is the usual activation there.")


def _broadcast(call: LayerCall) -> Iterator[Advice]:
    if call.kind not in _ADDING:
        return
    shapes = {tuple(shape[1:]) for shape in call.shapes if isinstance(shape, tuple)}
    known = [shape for shape in shapes if None not in shape]
    if len(known) > 1:
        shown = " and ".join(_shape(each) for each in call.shapes)
        yield _at(
            "broadcast",
            call,
            f"{call.word} stretches one input over the other: {shown} have no common shape.",
            "Let both end in one shape; `concatenate` joins unequal ones.",
        )


def _embedding(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "Embedding" or not call.parents:
        return
    source = previous_call(call, *TRAINING_ONLY, *TRANSPARENT)
    if source is not None and source.is_any(*_FLOATS):
        yield _at(
            "embedding-floats",
            call,
            f"embedding takes whole numbers, and {source.word} gives others, which are cut off.",
            "An embedding stands first, behind `input 80 int32`.",
        )


def _bias(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "BatchNormalization" or not getattr(call.layer, "center", False):
        return
    source = previous_call(call)
    if source is None or len(source.children) > 1 or source.activation != "linear":
        return
    if source.is_any("Conv", "Dense", "DepthwiseConv", "SeparableConv") and getattr(
        source.layer, "use_bias", False
    ):
        message = "its bias is taken out again by the batch normalization behind it."
        yield _at("bias", source, message, "Write !use_bias.", is_hint=True)


def _after_output(end: LayerCall) -> Iterator[Advice]:
    if end.is_any(*TRAINING_ONLY):
        message = "the last layer is dropout, which sets outputs to 0 in training."
        yield _at("after-output", end, message, "Move it before the output.")
    elif end.kind == "BatchNormalization":
        message = "the last layer normalises the outputs over each batch."
        yield _at("after-output", end, message, "Move it before the output.")


def _no_mixing(end: LayerCall) -> Iterator[Advice]:
    """Dense layers alone on rows or pictures answer for each place by itself."""
    least = 3
    if end.kind != "Dense" or end.rank < least:
        return
    calls = list(ancestors(end))
    if all(call.is_any(*_POINTWISE) for call in calls):
        places = _shape(end.shape[:-1])
        yield _at(
            "no-flatten",
            end,
            f"dense works along the last dimension only: it answers for each of {places} places.",
            "Write `flatten` before the first dense.",
        )


def _shape(shape: Any) -> str:
    return (
        " x ".join("?" if each is None else str(each) for each in tuple(shape)[1:]) or "one number"
    )
