"""Advice on a model before it is trained: mistakes that Keras accepts silently.

Advice never stops anything. Each piece has a code; a comment with the code in the line of the
text, or ``silent=``, hides it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kmagic.language.spec import NO_SPAN
from kmagic.models.build import ModelOrigin
from kmagic.models.lint.advice import Advice, filter_advice
from kmagic.models.lint.model_advice import layer_advice, output_advice, text_advice
from kmagic.models.lint.model_graph import read_model_graph

__all__ = ["Advice", "advise"]


def advise(
    model: Any,
    origin: ModelOrigin | None = None,
    *,
    silent: Collection[str] = (),
    hints: bool = False,
) -> tuple[Advice, ...]:
    """Advice on a model, in the order of its text.

    Args:
        model: A Keras model; of a subclassed one, little is known.
        origin: The text that it was built from, if any: then advice has lines.
        silent: Codes of advice to leave out.
        hints: Whether to include possible improvements of correct models.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> model.compile(loss="sparse_categorical_crossentropy")
        >>> [advice.code for advice in advise(model)]
        ['no-softmax']
    """
    graph = read_model_graph(model, origin)
    source, compile_span, advice = "", NO_SPAN, list[Advice]()
    if origin is not None:
        source = origin.spec.source
        compile_span = origin.graph.compile.span if origin.graph.compile else NO_SPAN
        advice += text_advice(origin.spec.statements, origin.graph, is_built=not graph.opaque)
    advice += layer_advice(graph)
    advice += output_advice(graph, compile_span)
    return filter_advice(advice, source, silent, hints=hints)
