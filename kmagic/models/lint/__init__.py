"""Advice on a model before it is trained: what Keras takes in silence, and what will hurt.

Nothing here stops anybody: every advice has a code, and a comment with the code behind the line of
the text, or ``silent=``, silences it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from kmagic.language.spec import NO_SPAN, Span
from kmagic.models.lint.advice import Advice, filter_advice
from kmagic.models.lint.layer_advice import layer_advice
from kmagic.models.lint.model_graph import read_model_graph
from kmagic.models.lint.output_advice import output_advice
from kmagic.models.lint.text_advice import text_advice

if TYPE_CHECKING:
    from kmagic.models.build import ModelOrigin

__all__ = ["Advice", "advise"]


def advise(
    model: Any,
    built: ModelOrigin | None = None,
    *,
    silent: Collection[str] = (),
    hints: bool = False,
) -> tuple[Advice, ...]:
    """Look a model over.

    Args:
        model: A Keras model; of a subclassed one little can be told.
        built: What it was built from, if that is known: then advice has lines.
        silent: Codes of advice that is not wanted.
        hints: Whether to tell also what is not wrong, but could be better.

    Returns:
        In the order of the text; nothing for a model that is as it should be.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> model.compile(loss="sparse_categorical_crossentropy")
        >>> [each.code for each in advise(model)]
        ['no-softmax']
    """
    facts = read_model_graph(model, built)
    found: list[Advice] = []
    if built is not None:
        found += text_advice(built.spec.statements, built.graph)
        if facts.opaque and built.graph.nodes:
            none = all(node.is_input for node in built.graph.nodes)
            found.append((_no_layer if none else _no_input)(built.graph.nodes[0].span))
    compile_span = built.graph.compile.span if built and built.graph.compile else NO_SPAN
    found += layer_advice(facts)
    found += output_advice(facts, compile_span)
    return filter_advice(found, built.spec.source if built else "", silent, hints=hints)


def _no_layer(span: Span) -> Advice:
    return Advice(
        "no-layer", "an input alone learns nothing.", "Write a layer: `dense 10 softmax`.", span
    )


def _no_input(span: Span) -> Advice:
    return Advice(
        "no-input",
        "without an input line, shapes and parameters are not known before the first training.",
        "Begin with a line such as `input 28x28x1`.",
        span,
    )
