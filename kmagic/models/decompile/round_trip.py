"""Whether a text stands for a model's plan: it is read again, and compared step by step."""

from __future__ import annotations

from typing import Any

from kmagic.language.expand import expand
from kmagic.language.graph import Graph, Node
from kmagic.language.name_lookup import ExpansionError
from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    Expr,
    InnerLayer,
    LayerRef,
    LiteralValue,
    MappingValue,
    ModelRef,
    ModelSpec,
    NodeOutput,
    NotebookValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext, bind_arguments
from kmagic.models.decompile.plan import Plan, Program, Step
from kmagic.models.decompile.shortest_arguments import function_arguments, shorter


def stands_for(spec: ModelSpec, program: Program) -> bool:
    """Whether a spec's graph has just the steps of the program."""
    try:
        graph = expand(spec, program.needs)
    except ExpansionError:
        return False
    return _Comparison(program).agrees(graph)


class _Comparison:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.places = {name: place for place, name in enumerate(program.names)}

    def agrees(self, graph: Graph) -> bool:
        """Whether a graph has the steps of the program, in the same order."""
        models = self.program.models
        if len(graph.models) != len(models):
            return False
        frozen = {ModelRef(place) for place, plan in enumerate(models) if plan.frozen}
        return self._model(graph, self.program.plan, frozen) and all(
            self._model(one, plan, set()) for one, plan in zip(graph.models, models, strict=True)
        )

    def _model(self, graph: Graph, plan: Plan, frozen: set[ModelRef]) -> bool:
        if len(graph.nodes) != len(plan.steps):
            return False
        if set(graph.frozen) != {*frozen, *map(LayerRef, range(plan.freeze))}:
            return False
        if not all(map(self._step, graph.nodes, plan.steps)):
            return False
        return self._entries(graph.outputs) == self._entries(plan.outputs) and (
            self._entries(graph.inputs or ()) == self._entries(plan.inputs or ())
        )

    def _step(self, node: Node, step: Step) -> bool:
        if self._entries(node.inputs) != self._entries(step.inputs):
            return False
        match node.callee:
            case LayerRef():
                return step.kind == "reuse" and node.callee.node == step.of
            case ModelRef():
                return step.kind == "model" and node.callee.model == step.of
            case Word():
                same = step.callee == node.callee
            case NotebookValue():
                same = step.callee == Expr(node.callee.source)
        if not same or step.kind == "function":
            args = function_arguments(step.owner, step.values, len(step.inputs)) if same else ()
            return same and self._entries(node.args) == self._entries(args)
        return self._arguments(node, step)

    def _arguments(self, node: Node, step: Step) -> bool:
        defaults = {
            each.name: _typed(shorter(each.name, each.default))
            for each in catalogue.parameters(step.owner)
            if not each.required
        }
        context = BuildContext("", names=self.program.needs)
        bound = bind_arguments(
            step.owner, "", node.args, NO_SPAN, context, lambda value, _r, _c: self._plain(value)
        )
        name = bound.kwargs.pop("name", node.name)
        wanted = {name: self._plain(value) for name, value in step.values.items()}
        return (
            bound.sound
            and {**defaults, **bound.kwargs} == {**defaults, **wanted}
            and (not step.name or name in (step.name, _typed(step.name)))
        )

    def _entries(self, args: tuple[Arg, ...]) -> tuple[Any, ...]:
        return tuple((arg.name, self._plain(arg.value)) for arg in args)

    def _plain(self, value: Any) -> Any:
        """A value as the layer sees it: words and texts are one, and so are ``4`` and ``{f}``."""
        match value:
            case LiteralValue() | NotebookValue():
                return _typed(value.value)
            case Word():
                return _typed(value.text)
            case Shape():
                return _typed(value.dims)
            case SequenceValue():
                return (value.kind, *map(self._plain, value.items))
            case MappingValue():
                return ("map", *((self._plain(key), self._plain(it)) for key, it in value.entries))
            case Object() | InnerLayer():
                return ("object", self._plain(value.callee), self._entries(value.args))
            case NodeOutput():
                return ("out", value.node, value.path)
            case Expr():
                return ("given", value.source)
            case Ref():
                return ("model", self.places.get(value.name))
            case ModelRef():
                return ("model", value.model)
            case _:
                return value


def _typed(value: Any) -> Any:
    """Python finds 1, 1.0 and true equal; a layer does not."""
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return (kind, *map(_typed, value))
    if callable(value):
        return ("given", getattr(value, "__name__", ""))
    return (type(value).__name__, repr(value))
