"""A graph as statements, one for each node: without blocks, loops and default values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from typing import Any

from kmagic.language import spec
from kmagic.language.graph import Graph, Node
from kmagic.language.spec import Arg, LayerRef, ModelRef, NodeOutput, NotebookValue, Statement, Word


class GraphStatements:
    """Turns a graph into statements; subclasses choose names and how values are written.

    Attributes:
        uses_underscore: Whether an arrow may name the previous output ``_``.
    """

    uses_underscore = True

    def write(self, graph: Graph) -> tuple[Statement, ...]:
        """The statements of a graph: its nested models, its steps, its inputs and outputs.

        There is one step for each node, in the order of ``graph.models``, then the graph.
        """
        nodes = [node for model in (graph, *graph.models) for node in model.nodes]
        taken = {node.callee.text for node in nodes if isinstance(node.callee, Word)}
        self._model_names: list[str] = []
        for model in graph.models:
            base = model.name if model.name.isidentifier() else "model"
            self._model_names.append(self.new_name(base, taken))
            taken.add(self._model_names[-1])
        nested = [
            spec.NestedSpec(name, self._body(model), span=model.span)
            for name, model in zip(self._model_names, graph.models, strict=True)
        ]
        return (*nested, *self._body(graph))

    def new_name(self, base: str, taken: set[str]) -> str:
        """A name for an output or a model."""
        return unused_name(base, taken)

    def expression(self, value: NotebookValue) -> spec.Value:
        """A value of the notebook."""
        return spec.Expr(value.source, span=value.span)

    # --- one model ----------------------------------------------------------------------------

    def _body(self, graph: Graph) -> tuple[Statement, ...]:
        self._graph = graph
        self._targets = self._choose_targets()
        steps: list[Statement] = list(map(self._step, range(len(graph.nodes))))
        if graph.frozen_nodes:
            steps.insert(graph.frozen_nodes, spec.FreezeSpec())
        ends: list[Statement] = []
        if graph.frozen:
            names = (Arg(Word(self._name_of(ref))) for ref in graph.frozen)
            ends.append(spec.FreezeSpec(tuple(names)))
        for ref, count in graph.unfrozen:
            given = () if count is None else (Arg(spec.LiteralValue(count)),)
            ends.append(spec.UnfreezeSpec((Arg(Word(self._name_of(ref))), *given)))
        if graph.inputs:
            ends.append(spec.InputsSpec(self._args(graph.inputs), span=graph.span))
        if graph.outputs != (Arg(NodeOutput(len(graph.nodes) - 1)),):
            ends.append(spec.OutputSpec(self._args(graph.outputs), span=graph.span))
        return (*steps, *ends)

    def _choose_targets(self) -> list[str]:
        """The name of each node's output, "" where only the next node uses it."""
        nodes = self._graph.nodes
        users: dict[int, set[int]] = defaultdict(set)
        for index, node in enumerate(nodes):
            for output in spec.find_parts(node.inputs, NodeOutput):
                users[output.node].add(index)
        ends = (*self._graph.outputs, *(self._graph.inputs or ()))
        for output in spec.find_parts(ends, NodeOutput):
            is_last = output == NodeOutput(len(nodes) - 1) and len(self._graph.outputs) == 1
            users[output.node].add(output.node + 1 if is_last else -1)
        references = [(node.callee, node.args) for node in nodes]
        named = (*references, *self._graph.named_layers)
        kept = {ref.node for ref in spec.find_parts(named, LayerRef)}
        has_several_inputs = sum(node.is_input for node in nodes) > 1
        targets: list[str] = []
        taken = {node.name or "" for node in nodes} | {*self._model_names}
        for index, node in enumerate(nodes):
            is_named = node.name or index in kept or users[index] != {index + 1}
            is_named = is_named or (node.is_input and has_several_inputs)
            is_named = is_named or not (self.uses_underscore or self._follows(index + 1))
            target = node.name or (self.new_name(self._word(node), taken) if is_named else "")
            targets.append(target)
            taken.add(target)
        return targets

    def _follows(self, index: int) -> bool:
        """Whether a node's inputs mention the previous output only as its single tensor."""
        inputs = self._graph.nodes[index].inputs if index < len(self._graph.nodes) else ()
        previous = [output.node == index - 1 for output in spec.find_parts(inputs, NodeOutput)]
        positional = [arg.value for arg in inputs if arg.name is None]
        return not any(previous) or (
            positional == [NodeOutput(index - 1)] and previous.count(True) == 1
        )

    def _word(self, node: Node) -> str:
        """What a node's output is called, if it needs a name and has none."""
        word = node.word
        match node.callee:
            case _ if word:
                pass
            case Word():
                word = "inputs" if node.is_input else node.callee.text.rpartition(".")[2]
            case NotebookValue():
                word = node.callee.source
            case ModelRef():
                word = f"{self._model_names[node.callee.model]}_out"
            case LayerRef():
                word = self._word(self._graph.nodes[node.callee.node])
        return word if word.isidentifier() else "layer"

    def _step(self, index: int) -> spec.LayerSpec:
        node = self._graph.nodes[index]
        callee: Any = node.callee
        if isinstance(callee, LayerRef | ModelRef):
            callee = Word(self._name_of(callee))
        elif isinstance(callee, NotebookValue):
            callee = self.expression(callee)
        is_default = not node.inputs or node.inputs == (Arg(NodeOutput(index - 1)),)
        return spec.LayerSpec(
            callee,
            self._args(node.args),
            None if is_default else self._args(node.inputs),
            (self._targets[index],) if self._targets[index] else (),
            reuse=isinstance(node.callee, LayerRef),
            span=node.span,
        )

    def _name_of(self, ref: LayerRef | ModelRef) -> str:
        return (
            self._targets[ref.node] if isinstance(ref, LayerRef) else self._model_names[ref.model]
        )

    def _args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        return spec.map_args(args, self._value)

    def _value(self, value: Any) -> Any:
        match value:
            case NodeOutput(path=()):
                return Word(self._targets[value.node] or "_")
            case NodeOutput():
                return spec.Index(self._targets[value.node] or "_", value.path)
            case LayerRef() | ModelRef():
                return spec.Ref(self._name_of(value), span=value.span)
            case NotebookValue():
                return self.expression(value)
            case _:
                return value


def unused_name(base: str, taken: Container[str], separator: str = "_") -> str:
    """The name, numbered from 2 if it is taken.

    Example:
        >>> unused_name("x", {"x", "x_2"}), unused_name("res", {"res"}, "")
        ('x_3', 'res2')
    """
    name, number = base, 2
    while name in taken:
        name, number = f"{base}{separator}{number}", number + 1
    return name
