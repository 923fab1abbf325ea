"""A graph as statements without loops and blocks, each of which applies one layer.

Python has no equivalent for some texts: an input in a loop, a loop whose turns differ in more than
values, a layer of a block that is used outside it. Their program is written from these statements.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from kmagic.language import expressions
from kmagic.language.graph import Graph, Node
from kmagic.language.spec import (
    Arg,
    Expr,
    FreezeSpec,
    Index,
    InnerLayer,
    InputsSpec,
    LayerRef,
    LayerSpec,
    LiteralValue,
    MappingValue,
    ModelRef,
    NestedSpec,
    NodeOutput,
    NotebookValue,
    Object,
    OutputSpec,
    Ref,
    SequenceValue,
    Statement,
    Word,
    find_parts,
)
from kmagic.models.binding import BuildContext
from kmagic.models.codegen.code_scope import Placeholder, unused_name

_PLAIN = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FlatStep(LayerSpec):
    """A step that applies a node's layer; its target is a variable, not always the layer's name."""

    node: Node | None = None


@dataclass(frozen=True, slots=True)
class FlatModel(NestedSpec):
    """A nested model, with its graph."""

    graph: Graph | None = None


def flat_statements(graph: Graph, context: BuildContext) -> tuple[Statement, ...]:
    """Statements that mean the same as the text that a graph was made of.

    Raises:
        DSLError: A value has no expression outside its block.
    """
    nodes = [node for each in (graph, *graph.models) for node in each.nodes]
    taken = {node.callee.text for node in nodes if isinstance(node.callee, Word)}
    names: list[str] = []
    for model in graph.models:
        names.append(unused_name(model.name if model.name.isidentifier() else "model", taken))
        taken.add(names[-1])
    nested = (
        FlatModel(name, _Flattener(model, context, names).statements(), graph=model)
        for name, model in zip(names, graph.models, strict=True)
    )
    return (*nested, *_Flattener(graph, context, names).statements())


class _Flattener:
    """Turns the nodes of one model into steps.

    Args:
        graph: The model.
        context: Knows the notebook's variables.
        model_names: Names of the nested models, by their index.
    """

    def __init__(self, graph: Graph, context: BuildContext, model_names: list[str]) -> None:
        self.graph, self.context, self.model_names = graph, context, model_names
        self.freezes = _freezes(graph)
        self.targets = self._choose_targets()

    def _choose_targets(self) -> list[str]:
        """The name of each node's output, "" where only the next node uses it."""
        users: dict[int, set[int]] = defaultdict(set)
        for index, node in enumerate(self.graph.nodes):
            for out in find_parts(node.inputs, NodeOutput):
                users[out.node].add(index)
        last = len(self.graph.nodes) - 1
        for out in find_parts((*self.graph.outputs, *(self.graph.inputs or ())), NodeOutput):
            users[out.node].add(last + 1)
        references = [(node.callee, node.args) for node in self.graph.nodes]
        by_name = (group for group in self.freezes if not _freezes_all(group))
        kept = {ref.node for ref in find_parts((*references, *by_name), LayerRef)}
        targets: list[str] = []
        taken = {node.name or "" for node in self.graph.nodes} | {*self.model_names}
        for index, node in enumerate(self.graph.nodes):
            is_named = node.name or index in kept or users[index] != {index + 1}
            target = node.name or (unused_name(self._word(node), taken) if is_named else "")
            targets.append(target)
            taken.add(target)
        return targets

    def _word(self, node: Node) -> str:
        match node.callee:
            case Word():
                word = "inputs" if node.is_input else node.callee.text.rpartition(".")[2]
            case NotebookValue():
                word = node.callee.source
            case ModelRef():
                word = f"{self.model_names[node.callee.model]}_out"
            case LayerRef():
                word = self._word(self.graph.nodes[node.callee.node])
        return word if word.isidentifier() else "layer"

    def statements(self) -> tuple[Statement, ...]:
        """The steps, and what the model's inputs, outputs and frozen layers are."""
        steps: list[Statement] = list(map(self._step, range(len(self.graph.nodes))))
        named: list[Statement] = []
        for refs in sorted(self.freezes, key=len, reverse=True):
            if _freezes_all(refs):
                steps.insert(len(refs), FreezeSpec(span=refs[0].span))
            else:
                named.append(FreezeSpec(tuple(Arg(Word(self._reference(ref))) for ref in refs)))
        if self.graph.inputs:
            named.append(InputsSpec(self._args(self.graph.inputs)))
        if self.graph.outputs != (Arg(NodeOutput(len(self.graph.nodes) - 1)),):
            named.append(OutputSpec(self._args(self.graph.outputs)))
        return (*steps, *named)

    def _step(self, index: int) -> FlatStep:
        node = self.graph.nodes[index]
        target = self.targets[index]
        callee: Any = node.callee
        is_reused = isinstance(callee, LayerRef)
        if isinstance(callee, LayerRef | ModelRef):
            callee = Word(self._reference(callee))
        is_default = node.is_input or node.inputs == (Arg(NodeOutput(index - 1)),)
        return FlatStep(
            self._value(callee) if isinstance(callee, NotebookValue) else callee,
            self._args(node.args),
            None if is_default else self._args(node.inputs),
            (target,) if target else (),
            reuse=is_reused,
            span=node.span,
            node=node,
        )

    def _reference(self, ref: LayerRef | ModelRef) -> str:
        return self.targets[ref.node] if isinstance(ref, LayerRef) else self.model_names[ref.model]

    def _args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        return tuple(replace(arg, value=self._value(arg.value)) for arg in args)

    def _value(self, value: Any) -> Any:
        match value:
            case NodeOutput(path=()):
                return Word(self.targets[value.node] or "_")
            case NodeOutput():
                return Index(self.targets[value.node] or "_", value.path)
            case LayerRef() | ModelRef():
                return Ref(self._reference(value), span=value.span)
            case NotebookValue():
                return self._expression(value)
            case Object() | InnerLayer():
                return replace(value, callee=self._value(value.callee), args=self._args(value.args))
            case SequenceValue():
                return replace(value, items=tuple(map(self._value, value.items)))
            case MappingValue():
                entries = ((self._value(key), self._value(item)) for key, item in value.entries)
                return replace(value, entries=tuple(entries))
            case _:
                return value

    def _expression(self, given: NotebookValue) -> Expr | LiteralValue:
        """An expression, or its value where its names mean something else outside its block."""
        names = self.context.names
        with suppress(expressions.ExpressionError):
            outside = expressions.evaluate(given.source, names)
            if outside is given.value or _is_same(outside, given.value):
                return Expr(given.source, span=given.span)
        for name, value in names.items():
            if value is given.value and not isinstance(value, _PLAIN):
                return Expr(name, span=given.span)
        if not isinstance(given.value, _PLAIN | tuple | list) or isinstance(
            given.value, Placeholder
        ):
            message = f"the program cannot say what {{{given.source}}} is here"
            self.context.report_rejection(message, given.span, "Assign it to a variable first.")
            self.context.raise_problems()
        return LiteralValue(given.value, span=given.span)


def _freezes(graph: Graph) -> list[tuple[LayerRef | ModelRef, ...]]:
    """The layers and models that each ``freeze`` line freezes."""
    groups: list[tuple[LayerRef | ModelRef, ...]] = []
    for ref in graph.frozen:
        last = groups[-1] if groups else ()
        if (
            isinstance(ref, LayerRef)
            and last
            and last[-1] == LayerRef(ref.node - 1)
            and (last[-1].span == ref.span)
        ):
            groups[-1] += (ref,)
        else:
            groups.append((ref,))
    return groups


def _freezes_all(refs: tuple[LayerRef | ModelRef, ...]) -> bool:
    """Whether these are all layers up to a place."""
    return refs[0] == LayerRef(0)


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)
