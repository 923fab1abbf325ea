"""What is known of a program while it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from kmagic.language.graph import Graph
from kmagic.language.spec import LayerRef, NestedSpec, NotebookValue, Span
from kmagic.models.binding import BuildContext
from kmagic.models.codegen.brace_source import python
from kmagic.models.codegen.code_scope import Scope
from kmagic.models.codegen.source_tree import Atom, Code, Join, literal
from kmagic.models.codegen.step_source import Steps
from kmagic.models.codegen.value_source import Values


@dataclass(frozen=True, slots=True)
class Count:
    """How often something is repeated, and the number if it is known."""

    code: Code
    known: int | None

    def fewer(self) -> Count:
        """One time less."""
        if self.known is not None:
            return Count(literal(self.known - 1), self.known - 1)
        return Count(Join((self.code, Atom(" - 1"))), None)


class State:
    """The state of one program's writing.

    Args:
        context: Mistakes are noted there.
        graphs: The graph of each nested model, by the place of its line.
        scope: The scope to begin with.
        write_model: Writes a nested model into the scope's body.

    Attributes:
        frozen: How many layers each ``freeze`` line freezes.
    """

    def __init__(
        self,
        context: BuildContext,
        graphs: Mapping[Span, Graph],
        scope: Scope,
        write_model: Callable[[State, NestedSpec], None],
    ) -> None:
        self.context, self.graphs, self.scope = context, graphs, scope
        self.write_model = write_model
        self.frozen = {
            span: count for graph in graphs.values() for span, count in _frozen(graph).items()
        }
        self.values = Values(context, self.expression)
        self.steps = Steps(context, self.values)

    def refuse(self, message: str, span: Span, remedy: str = "") -> NoReturn:
        """Stop here: there is no program for this text."""
        self.context.report_rejection(message, span, remedy)
        self.context.raise_problems()
        raise AssertionError(message)

    def expression(self, given: NotebookValue, *, primary: bool = False) -> Code:
        """An expression in braces, its names as the program calls them."""
        return python(given.source, self._rename, primary=primary)

    def _rename(self, name: str) -> str:
        if name in self.scope.renames:
            return self.scope.renames[name]
        return self.values.notebook(name).text


def _frozen(graph: Graph) -> Counter[Span]:
    return Counter(
        reference.span
        for reference in graph.frozen
        if not (isinstance(reference, LayerRef) and graph.nodes[reference.node].is_input)
    )
