"""Spec to keras.Model, each of Keras's errors tied to the line that caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from kmagic.language import format_spec
from kmagic.language.expand import expand
from kmagic.language.graph import Graph
from kmagic.language.name_lookup import ExpansionError, definition_lines
from kmagic.language.parser import ParseResult, parse_partial
from kmagic.language.portable_text import PortableText, make_portable
from kmagic.language.spec import ModelSpec, Span
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.builder import BuiltStep, assemble, note_mistakes
from kmagic.models.build.compile_line import compile_arguments, compile_model
from kmagic.models.build.keras_errors import error_summary
from kmagic.models.build.new_weights import is_fresh
from kmagic.models.build.restored_text import read_steps, write_steps
from kmagic.support.model_registry import mark_untrained

__all__ = [
    "BuiltStep",
    "ModelOrigin",
    "build",
    "build_model",
    "compile_text",
    "error_summary",
    "origin_of",
    "restore_origin",
    "serialize_steps",
    "shape_text",
]


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """A model together with the text it came from.

    Attributes:
        spec: What the text says.
        graph: What the text stands for.
        steps: Each node's layer and the shape that leaves it.
        nested: Those of the nested models.
        portable: The text and the values of its expressions, as a file stores them.
    """

    spec: ModelSpec
    graph: Graph
    steps: tuple[BuiltStep, ...]
    nested: tuple[BuiltStep, ...] = ()
    portable: PortableText = field(default_factory=lambda: PortableText(""))


_origins: WeakKeyDictionary[Any, ModelOrigin] = WeakKeyDictionary()


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
    if isinstance(text, ModelSpec) and text.source:
        reading = ParseResult(text)
    else:
        reading = parse_partial(text if isinstance(text, str) else format_spec(text))
    context = BuildContext(reading.spec.source, where, first_line, names)
    graph = _expanded(reading, context)
    if not graph.nodes:
        remedy = "Begin with a line such as `input 28x28x1`."
        context.report("the text holds no layer", Span(1, 1), remedy)
        context.raise_problems()
    graph.name = graph.name or name
    compiling = graph.compile
    arguments = (
        compile_arguments(compiling.args, compiling.span, context) if compiling is not None else {}
    )
    assembled = assemble(graph, context)
    if compiling is not None:
        compile_model(assembled.model, arguments, compiling.span, context)
    _origins[assembled.model] = ModelOrigin(
        reading.spec,
        graph,
        tuple(assembled.steps),
        tuple(assembled.nested),
        make_portable(reading.spec, names),
    )
    if is_fresh(graph, [*assembled.steps, *assembled.nested], names):
        mark_untrained(assembled.model)
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
    reading = parse_partial(text)
    context = BuildContext(text, where, 1, names)
    graph = _expanded(reading, context)
    if graph.compile is not None:
        arguments = compile_arguments(graph.compile.args, graph.compile.span, context)
        compile_model(model, arguments, graph.compile.span, context)


def _expanded(reading: ParseResult, context: BuildContext) -> Graph:
    """The graph of a text; if there is a mistake, all that can be found are told at once."""
    context.definitions = definition_lines(reading.spec.statements)
    context.broken_names = reading.lost_names
    context.problems += reading.problems
    try:
        graph = expand(
            reading.spec, context.names, first_line=context.first_line, lost_names=reading.lost_names
        )
        if not context.problems:
            return graph
    except ExpansionError as error:
        graph = context.report_expansion(error)
    note_mistakes(graph, context)
    if graph.compile is not None:
        compile_arguments(graph.compile.args, graph.compile.span, context)
    context.raise_problems()
    return graph


def origin_of(model: Any) -> ModelOrigin | None:
    """What a model was built from, or None if kmagic did not build it."""
    return _origins.get(model)


def serialize_steps(model: Any) -> list[list[list[Any]]]:
    """Where the layers of a model's steps are, fit for JSON; [] if it has no origin."""
    built = origin_of(model)
    if built is None:
        return []
    return [write_steps(model, built.graph, steps) for steps in (built.steps, built.nested)]


def restore_origin(
    model: Any,
    text: str,
    names: Mapping[str, Any],
    written: Sequence[Sequence[Sequence[Any]]],
    portable: PortableText,
) -> bool:
    """Take a model out of a file as one that was built from its text.

    Args:
        model: The model.
        text: Its text.
        names: What the names in braces stand for.
        written: From :func:`serialize_steps`, when it was saved.
        portable: The text with the values of its expressions.

    Returns:
        Whether text and model are of one piece; if not, the model has no origin.
    """
    found = read_steps(model, text, names, written)
    if found is None:
        return False
    spec, graph, (steps, nested) = found
    _origins[model] = ModelOrigin(spec, graph, steps, nested, portable)
    return True
