"""Statements without loops and blocks, for programs that cannot keep them.

Python has no equivalent for some texts: an input in a loop, a loop whose iterations differ in more
than values, a layer of a block that is used outside it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from typing import Any

from kmagic.language import expressions
from kmagic.language.graph import Graph, Node
from kmagic.language.graph_statements import GraphStatements
from kmagic.language.spec import (
    Expr,
    LayerSpec,
    LiteralValue,
    NestedSpec,
    NotebookValue,
    Statement,
)
from kmagic.models.binding import BuildContext
from kmagic.models.codegen.program_state import Placeholder

_PLAIN = str | int | float | bool | None


class FlatStep(LayerSpec):
    """A step that applies a node's layer; its target is a variable, not always the layer's name."""

    node: Node | None = None


class FlatModel(NestedSpec):
    """A nested model, with its graph."""

    graph: Graph = field(default_factory=Graph)


class FlatStatements(GraphStatements):
    """Statements that mean the same as the text that a graph was made of.

    Args:
        context: Knows the notebook's variables, and collects mistakes.
    """

    def __init__(self, context: BuildContext) -> None:
        self.context = context

    def make_step(self, node: Node, **parts: Any) -> LayerSpec:
        """The step of a node."""
        return FlatStep(**parts, span=node.span, node=node)

    def make_nested(self, name: str, body: tuple[Statement, ...], graph: Graph) -> NestedSpec:
        """The statement of a nested model."""
        return FlatModel(name, body, span=graph.span, graph=graph)

    def expression(self, value: NotebookValue) -> Expr | LiteralValue:
        """An expression, or its value where its names mean something else outside its block."""
        names, given = self.context.names, value.value
        with suppress(expressions.ExpressionError):
            outside = expressions.evaluate(value.source, names)
            is_equal = type(outside) is type(given) and isinstance(given, _PLAIN)
            if outside is given or (is_equal and outside == given):
                return Expr(value.source, span=value.span)
        for name, known in names.items():
            if known is given and not isinstance(known, _PLAIN):
                return Expr(name, span=value.span)
        if not isinstance(given, _PLAIN | tuple | list) or isinstance(given, Placeholder):
            message = f"has no expression outside its block: {{{value.source}}}"
            self.context.report_rejection(message, value.span, "Assign it to a variable first.")
            self.context.raise_problems()
        return LiteralValue(given, span=value.span)
