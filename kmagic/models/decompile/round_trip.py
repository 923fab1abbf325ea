"""Whether a text stands for a model's plan: it is read again and compared step by step."""

from __future__ import annotations

from typing import Any

from kmagic.language import spec
from kmagic.language.expand import expand
from kmagic.language.graph import Graph, Node
from kmagic.language.name_lookup import ExpansionError
from kmagic.language.spec import ModelRef, ModelSpec
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext, bind_arguments
from kmagic.models.decompile.config_values import comparable, function_arguments, shorter
from kmagic.models.decompile.plan import ModelPlan, ModelProgram, PlanStep


def stands_for(spec: ModelSpec, program: ModelProgram) -> bool:
    """Whether a spec's graph has exactly the steps of a program, in the same order."""
    try:
        graph = expand(spec, program.needed)
    except ExpansionError:
        return False
    compared = _Comparison(program)
    nested = list(program.nested.values())
    frozen = frozenset(ModelRef(index) for index, plan in enumerate(nested) if plan.is_frozen)
    return (
        len(graph.models) == len(nested)
        and compared.same_model(graph, program.plan, frozen)
        and all(map(compared.same_model, graph.models, nested))
    )


class _Comparison:
    def __init__(self, program: ModelProgram) -> None:
        self.program = program

    def same_model(
        self, graph: Graph, plan: ModelPlan, frozen: frozenset[ModelRef] = frozenset()
    ) -> bool:
        return (
            len(graph.nodes) == len(plan.steps)
            and graph.frozen_nodes == plan.frozen_nodes
            and set(graph.frozen) == set(frozen)
            and all(map(self._same_step, graph.nodes, plan.steps))
            and self._plain_args(graph.outputs) == self._plain_args(plan.outputs)
            and self._plain_args(graph.inputs or ()) == self._plain_args(plan.inputs or ())
        )

    def _same_step(self, node: Node, step: PlanStep) -> bool:
        if self._plain_args(node.inputs) != self._plain_args(step.inputs):
            return False
        match node.callee:
            case spec.LayerRef():
                return step.kind == "reuse" and node.callee.node == step.target
            case ModelRef():
                return step.kind == "model" and node.callee.model == step.target
            case spec.Word():
                is_same = step.callee == node.callee
            case spec.NotebookValue():
                is_same = step.callee == spec.Expr(node.callee.source)
        if is_same and step.kind == "function":
            args = function_arguments(step.owner, step.values, len(step.inputs))
            return self._plain_args(node.args) == self._plain_args(args)
        return is_same and self._same_arguments(node, step)

    def _same_arguments(self, node: Node, step: PlanStep) -> bool:
        defaults = {
            param.name: comparable(shorter(param.name, param.default))
            for param in catalogue.parameters(step.owner)
            if not param.required
        }
        context = BuildContext("", names=self.program.needed)
        bound = bind_arguments(
            step.owner,
            "",
            node.args,
            spec.NO_SPAN,
            context,
            lambda value, _r, _c: self._plain(value),
        )
        name = bound.kwargs.pop("name", node.name)
        expected = {name: self._plain(value) for name, value in step.values.items()}
        return (
            bound.valid
            and {**defaults, **bound.kwargs} == {**defaults, **expected}
            and (not step.name or name == step.name)
        )

    def _plain_args(self, args: tuple[spec.Arg, ...]) -> tuple[Any, ...]:
        return tuple((arg.name, self._plain(arg.value)) for arg in args)

    def _plain(self, value: Any) -> Any:
        """A value as the layer sees it: words equal strings, and ``{f}`` equals its value."""
        match value:
            case spec.LiteralValue() | spec.NotebookValue() | spec.Word() | spec.Shape():
                return comparable(spec.plain_value(value))
            case spec.SequenceValue():
                items = map(self._plain, value.items)
                return list(items) if value.kind == "list" else tuple(items)
            case spec.MappingValue():
                return tuple((self._plain(key), self._plain(item)) for key, item in value.entries)
            case spec.Object() | spec.InnerLayer():
                return (self._plain(value.callee), self._plain_args(value.args))
            case spec.Expr():
                return self.program.needed.get(value.source)
            case spec.Ref():
                return ModelRef(list(self.program.nested).index(value.name))
            case _:
                return value
