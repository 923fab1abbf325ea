"""Spec to keras.Model, each of Keras's errors tied to the line that caused it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from kmagic.binding.context import Context
from kmagic.build.builder import Step, assemble
from kmagic.build.compiling import compile_model
from kmagic.build.keras_errors import first_words, shape_text
from kmagic.dsl import format_spec, parse
from kmagic.dsl.expand import expand
from kmagic.dsl.graph import Graph
from kmagic.dsl.lookup import ExpandError
from kmagic.spec import ModelSpec, Span

__all__ = [
    "Built",
    "Step",
    "build",
    "build_model",
    "compile_text",
    "first_words",
    "origin",
    "shape_text",
]


@dataclass(frozen=True, slots=True)
class Built:
    """A model together with the text it came from.

    Attributes:
        spec: What the text says.
        graph: What the text stands for.
        steps: Each node's layer and the shape that leaves it.
    """

    spec: ModelSpec
    graph: Graph
    steps: tuple[Step, ...]


_origins: WeakKeyDictionary[Any, Built] = WeakKeyDictionary()


def build(text: str | ModelSpec, /, **values: Any) -> Any:
    """Build a Keras model from a text of the layer language.

    Args:
        text: The text, or a spec that :func:`kmagic.parse` has made of it.
        values: What the names in braces stand for.

    Returns:
        A ``keras.Sequential`` for a plain stack, else a functional ``keras.Model``; compiled if
        the text has a ``compile`` line.

    Raises:
        DSLError: The text holds mistakes; each is shown with its line and a caret.
        BuildError: A layer does not fit the shape that reaches it.

    Example:
        >>> model = build("input 4 / dense {units} relu / dense 2 softmax", units=8)
        >>> model.output_shape
        (None, 2)
    """
    return build_model(text, values)


def build_model(
    text: str | ModelSpec,
    names: Mapping[str, Any],
    *,
    where: str = "",
    first_line: int = 1,
    name: str = "",
) -> Any:
    """Build a model; as :func:`build`, for callers that know where the text stands.

    Args:
        text: The text or spec.
        names: What the names in braces stand for.
        where: What the text is, in the user's words, for messages.
        first_line: Number of its first line in the user's editor.
        name: What Keras is to call the model, if the text does not say.
    """
    spec = parse(text, where=where, first_line=first_line) if isinstance(text, str) else text
    source = spec.source or format_spec(spec)
    if not spec.source:
        spec = parse(source)
    context = Context(source, where, first_line, names)
    graph = _expanded(spec, context)
    if not graph.nodes:
        context.note("the text holds no layer", Span(1, 1), "Begin with `input 28x28x1`.")
        raise context.error()
    graph.name = graph.name or name
    assembled = assemble(graph, context)
    if graph.compile is not None:
        compile_model(assembled.model, graph.compile.args, graph.compile.span, context)
    _origins[assembled.model] = Built(spec, graph, tuple(assembled.steps))
    return assembled.model


def compile_text(model: Any, text: str, names: Mapping[str, Any], *, where: str = "") -> None:
    """Compile a model as a ``compile`` line of the language says.

    Args:
        model: A Keras model.
        text: The line: "compile adam loss=mse".
        names: What the names in braces stand for.
        where: What the text is, in the user's words, for messages.

    Raises:
        DSLError: An unknown optimizer, loss, metric or argument.

    Example:
        >>> model = build("input 4 / dense 2")
        >>> compile_text(model, "compile adam(1e-4) loss=mse metrics=mae", {})
        >>> model.loss
        'mse'
    """
    context = Context(text, where, 1, names)
    graph = _expanded(parse(text, where=where), context)
    if graph.compile is not None:
        compile_model(model, graph.compile.args, graph.compile.span, context)


def _expanded(spec: ModelSpec, context: Context) -> Graph:
    try:
        return expand(spec, context.names)
    except ExpandError as error:
        context.trail = error.trail
        found = error.problem
        context.note(found.message, Span(found.line, found.column, found.width), found.hint)
        raise context.error() from None


def origin(model: Any) -> Built | None:
    """What a model was built from, or None if kmagic did not build it."""
    return _origins.get(model)
