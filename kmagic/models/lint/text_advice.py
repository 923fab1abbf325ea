"""Advice on parts of a model's text that do not belong to the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kmagic.language import format_statement
from kmagic.language.graph import Graph
from kmagic.language.spec import (
    BlockSpec,
    Index,
    NestedSpec,
    NodeOutput,
    Ref,
    Statement,
    Word,
    find_parts,
)
from kmagic.models.lint.advice import Advice


def text_advice(
    statements: Iterable[Statement], graph: Graph, *, is_built: bool
) -> Iterator[Advice]:
    """Advice on unused lines, blocks and models, and on a missing input or layer."""
    yield from _unused_lines(graph)
    statements = tuple(statements)
    used = {word.text for word in find_parts(statements, Word)}
    used |= {reference.name for reference in find_parts(statements, Ref, Index)}
    for statement in statements:
        if isinstance(statement, BlockSpec | NestedSpec) and statement.name not in used:
            kind = "block" if isinstance(statement, BlockSpec) else "model"
            yield Advice(
                f"unused-{kind}",
                f"The {kind} {statement.name} was not checked: it is never used.",
                f"Write `{statement.name}` in a line, or remove it.",
                statement.span,
            )
    if is_built or not graph.nodes:
        return
    if all(node.is_input for node in graph.nodes):
        message = "The model cannot learn anything: it has only an input."
        code, remedy = "no-layer", "Add a layer: `dense 10 softmax`."
    else:
        message = "Shapes and parameters are unknown until the first training: there is no input."
        code, remedy = "no-input", "Start with an input line: `input 28x28x1`."
    yield Advice(code, message, remedy, graph.nodes[0].span)


def _unused_lines(graph: Graph) -> Iterator[Advice]:
    sources = [
        {output.node for output in find_parts(node.inputs, NodeOutput)} for node in graph.nodes
    ]
    needed = {output.node for output in find_parts(graph.outputs, NodeOutput)}
    for index in reversed(range(len(graph.nodes))):  # a node's sources come before it
        if index in needed:
            needed |= sources[index]
    seen: set[int] = set()
    # Only the end of an unused branch is reported.
    for index in sorted(set(range(len(graph.nodes))) - needed.union(*sources)):
        node = graph.nodes[index]
        if node.is_input or node.span.line in seen or node.trail:
            continue
        seen.add(node.span.line)
        text = format_statement(node.spec) if node.spec is not None else "this line"
        yield Advice(
            "unused-line",
            f"The model does not contain `{text}`: no output depends on it.",
            "Connect it, name it in `output`, or remove it.",
            node.span,
        )
