"""Graph to model: layers made, then connected, each failure tied to its line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kmagic.language import format_value
from kmagic.language.graph import Graph, Node
from kmagic.language.spec import (
    Arg,
    NotebookValue,
    LayerRef,
    LiteralValue,
    ModelRef,
    NodeOutput,
    MappingValue,
    SequenceValue,
    Shape,
    Span,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding.argument_binding import UNRESOLVED, BoundArguments, bind_arguments
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.binding.word_lookup import find_layer
from kmagic.models.build.adapt import adapt
from kmagic.models.build.keras_errors import Reached, explain, explain_model
from kmagic.models.build.layer_calls import FunctionCall, call_layer, takes
from kmagic.models.build.object_values import ValueResolver, construct
from kmagic.models.build.tensors import is_broken, pick, reached_from, shapes_of, word_of
from kmagic.models.keras_history import is_connected
from kmagic.support.errors import DSLError

DEEP = 400
"""From this many nodes on, Keras's recursions outgrow Python's usual limit."""


@dataclass(slots=True)
class BuiltStep:
    """What became of one node: its layer, and the shape that leaves it."""

    node: Node
    layer: Any
    shape: Any = None


@dataclass(slots=True)
class Assembled:
    """A model, its steps, and those of its nested models, in the order of the text."""

    model: Any
    steps: list[BuiltStep] = field(default_factory=list)
    nested: list[BuiltStep] = field(default_factory=list)


def note_mistakes(graph: Graph, context: BuildContext) -> None:
    """Note what is wrong with the words of a graph that cannot be built."""
    for each in (graph, *graph.models):
        each.nodes = [node for node in each.nodes if isinstance(node.callee, Word | NotebookValue)]
        assembly = _Assembly(each, context, [], {})
        assembly.values = ValueResolver(lambda _: UNRESOLVED)
        assembly.make()


def assemble(graph: Graph, context: BuildContext) -> Assembled:
    """Make the model that a graph stands for.

    Raises:
        DSLError: A word or an argument is wrong; all such mistakes together.
        BuildError: A layer does not fit what reaches it.
    """
    with _room_for(len(graph.nodes)):
        return _Assembly(graph, context, graph.models, {}).run()


@contextmanager
def _room_for(nodes: int) -> Iterator[None]:
    limit = sys.getrecursionlimit()
    if nodes > DEEP:
        sys.setrecursionlimit(max(limit, 1000 + 20 * nodes))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


class _Assembly:
    """One model's making; nested models are made by assemblies of their own."""

    def __init__(
        self, graph: Graph, context: BuildContext, models: list[Graph], made: dict[int, Any]
    ) -> None:
        self.graph, self.context, self.models, self.made = graph, context, models, made
        self.layers: list[Any] = []
        self.named: dict[str, Node] = {}
        self.nested: list[BuiltStep] = []
        self.values = ValueResolver(self._layer_of)

    def run(self) -> Assembled:
        self.make()
        if self.context.problems:
            self._connect()  # where the words are right, the shapes may be wrong
        self._freeze()
        model, shapes = self._stack() if self._is_stack() else self._connect()
        steps = [
            BuiltStep(node, layer, shape)
            for node, layer, shape in zip(self.graph.nodes, self.layers, shapes, strict=True)
        ]
        return Assembled(model, steps, self.nested)

    def make(self) -> None:
        """Make the layers; mistakes in their words and arguments are noted."""
        for node in self.graph.nodes:
            self.context.enter(node)
            self.layers.append(self._layer(node))
        self.context.leave()

    # --- layers -------------------------------------------------------------------------------

    def _layer(self, node: Node) -> Any:
        match node.callee:
            case LayerRef() | ModelRef():
                return self._layer_of(node.callee)
            case NotebookValue():
                word, found = node.callee.source, node.callee.value
            case Word():
                word, found = node.callee.text, find_layer(node.callee, self.context)
        if found is UNRESOLVED:
            return UNRESOLVED
        if inspect.isclass(found) or word == "input":
            return self._made(found, word, node)
        if isinstance(found, catalogue.layer_class()):
            if node.args:
                message = f"{{{word}}} is a layer already, and takes no arguments"
                self.context.report(message, node.args[0].span)
            return found
        if callable(found):
            return self._function(found, word, node)
        self.context.report("is neither a layer, a model nor a function", node.callee.span)
        return UNRESOLVED

    def _made(self, cls: Any, word: str, node: Node) -> Any:
        args = node.args
        if node.name and not any(arg.name == "name" for arg in args):
            params = catalogue.parameters(cls)
            if any(each.name == "name" for each in params) or catalogue.takes_any_keyword(cls):
                args = (*args, Arg(LiteralValue(node.name, span=node.span), "name", span=node.span))
        span = node.callee.span
        if word == "input" and not _is_one_shape(node, self.context):
            return UNRESOLVED
        bound = bind_arguments(cls, word, args, span, self.context, self.values.resolve)
        if not bound.sound or not self._is_new_name(bound, node):
            return UNRESOLVED
        layer = construct(cls, word, bound, span, self.context)
        if "adapt" in bound.spans and bound.adapt is not UNRESOLVED and layer is not UNRESOLVED:
            adapt(layer, word, bound.adapt, bound.spans["adapt"], self.context)
        return layer

    def _is_new_name(self, bound: BoundArguments, node: Node) -> bool:
        """Whether no layer before has the name that the text gives to this one."""
        name = bound.kwargs.get("name")
        if not isinstance(name, str):
            return True
        before = self.named.setdefault(name, node)
        if before is node:
            return True
        message = f"{name} is taken already, in line {self.context.editor_line(before.span.line)}"
        if before.span == node.span:
            message = f"{name} would be the name of several layers"
        remedy = "Each layer has a name of its own, or none."
        self.context.report(message, bound.spans["name"], remedy)
        return False

    def _function(self, function: Any, word: str, node: Node) -> Any:
        import keras  # noqa: PLC0415 - takes seconds

        is_activation = isinstance(node.callee, Word) and catalogue.accepts_string(
            "activation", word
        )
        if is_activation and not node.args and function is keras.activations.get(word):
            return keras.layers.Activation(word)
        positional = [
            self.values.resolve(arg.value, "any", self.context)
            for arg in node.args
            if arg.name is None
        ]
        named = {
            arg.name: self.values.resolve(arg.value, "any", self.context)
            for arg in node.args
            if arg.name is not None
        }
        if is_activation and not takes(function, positional, named):
            units = format_value(node.args[0].value)
            remedy = f"For a layer with so many units: `dense {units}`." * units.isdigit()
            message = f"{word} is an activation, and takes no such value"
            self.context.report(message, node.args[0].span, remedy)
            return UNRESOLVED
        return FunctionCall(function, tuple(positional), named)

    def _layer_of(self, reference: LayerRef | ModelRef) -> Any:
        if isinstance(reference, LayerRef):
            return self.layers[reference.node]
        if reference.model not in self.made:
            inner = _Assembly(self.models[reference.model], self.context, self.models, self.made)
            place = self.context.trail, self.context.iterations, self.context.params
            try:
                made = inner.run()
                self.made[reference.model] = made.model
                self.nested += [*made.steps, *made.nested]
            except DSLError:  # told with all others
                self.made[reference.model] = UNRESOLVED
            self.context.trail, self.context.iterations, self.context.params = place
        return self.made[reference.model]

    def _freeze(self) -> None:
        for reference in self.graph.frozen:
            layer = self._layer_of(reference)
            if isinstance(layer, catalogue.layer_class()):
                layer.trainable = False

    # --- connections --------------------------------------------------------------------------

    def _is_stack(self) -> bool:
        if self.graph.kind == "functional" or not self.graph.is_stack:
            if self.graph.kind == "sequential":
                self._refuse_sequential()
            return False
        start = bool(self.graph.nodes) and self.graph.nodes[0].is_input
        return all(isinstance(each, catalogue.layer_class()) for each in self.layers[start:]) and (
            self.graph.kind == "sequential"
            or len({id(each) for each in self.layers}) == len(self.layers)
        )

    def _refuse_sequential(self) -> None:
        """Show the first line that is no part of a stack."""
        line = self.context.editor_line(self.graph.span.line)
        for place, node in enumerate(self.graph.nodes):
            before = (Arg(NodeOutput(place - 1)),) if place else ()
            if node.inputs != before or isinstance(node.callee, LayerRef):
                message = "does not simply take what came before, as a sequential model must"
                remedy = f"Leave out `sequential` in line {line}."
                self.context.report_rejection(message, node.span, remedy)
                break
        else:
            self.context.report_rejection("a sequential model is a plain stack", self.graph.span)
        self.context.raise_problems()

    def _stack(self) -> tuple[Any, list[Any]]:
        import keras  # noqa: PLC0415 - takes seconds

        try:
            model = keras.Sequential(list(self.layers), **self._model_arguments())
        except Exception as error:
            # Made anew, since a layer that failed once may pass the second time.
            again = _Assembly(self.graph, self.context, self.models, {})
            again.make()
            again._connect()  # tells the line, if a line is at fault
            self._refuse_model(error)
            raise
        return model, [self._shape_after(layer, model) for layer in self.layers]

    @staticmethod
    def _shape_after(layer: Any, model: Any) -> Any:
        if not isinstance(layer, catalogue.layer_class()):
            return layer.shape
        return layer.output.shape if model.built and is_connected(layer) else None

    def _connect(self) -> tuple[Any, list[Any]]:
        import keras  # noqa: PLC0415 - takes seconds

        outs: list[Any] = []
        for node, layer in zip(self.graph.nodes, self.layers, strict=True):
            self.context.enter(node)
            outs.append(layer if node.is_input else self._applied(node, layer, outs))
        self.context.leave()
        self.context.raise_problems()
        if not self.graph.outputs or not any(node.is_input for node in self.graph.nodes):
            span = self.graph.nodes[0].span if self.graph.nodes else self.graph.span
            remedy = "Begin with a line such as `input 28x28x1`."
            self.context.report_rejection("the model has no input", span, remedy)
        self.context.raise_problems()
        made = [out for node, out in zip(self.graph.nodes, outs, strict=True) if node.is_input]
        inputs = made[0] if len(made) == 1 else made
        if self.graph.inputs is not None:
            inputs = self._ends(self.graph.inputs, outs)
        outputs = self._ends(self.graph.outputs, outs)
        self.context.raise_problems()
        try:
            model = keras.Model(inputs, outputs, **self._model_arguments())
        except Exception as error:
            self._refuse_model(error)
            raise
        return model, [getattr(out, "shape", None) or shapes_of(out) for out in outs]

    def _applied(self, node: Node, layer: Any, outs: list[Any]) -> Any:
        if layer is UNRESOLVED:
            return UNRESOLVED
        word = word_of(node) or layer.name
        if not node.inputs:
            remedy = "Begin with a line such as `input 28x28x1`."
            self.context.report_rejection(f"nothing reaches {word}", node.span, remedy)
            return UNRESOLVED
        positional = [self._tensor(arg, outs) for arg in node.inputs if arg.name is None]
        named = {arg.name: self._tensor(arg, outs) for arg in node.inputs if arg.name is not None}
        if self.context.problems and is_broken([positional, named]):
            return UNRESOLVED
        try:
            out = call_layer(layer, positional, named)
        except Exception as error:  # noqa: BLE001 - whatever a layer raises, its line is at fault
            refusal = explain(error, word, layer, self._sources(node, positional))
            spans = {arg.name: arg.span for arg in node.inputs if arg.name is not None}
            span = spans.get(refusal.argument, node.span)
            self.context.report_rejection(refusal.message, span, refusal.remedy, error)
            return UNRESOLVED
        return out if self._is_enough(node, word, out) else UNRESOLVED

    def _is_enough(self, node: Node, word: str, out: Any) -> bool:
        """Whether a layer gives an output for each name in front of it."""
        names = node.spec.targets if node.spec is not None else ()
        if len(names) < 2:  # noqa: PLR2004 - one name takes whatever comes
            return True
        import keras  # noqa: PLC0415 - takes seconds

        count = len(keras.tree.flatten(out))
        if count < len(names):
            gives = "one output" if count == 1 else f"{count} outputs"
            self.context.report_rejection(
                f"{len(names)} names, but {word} gives {gives}", node.span
            )
        return count >= len(names)

    def _refuse_model(self, error: Exception) -> None:
        self.context.report_rejection(explain_model(error), self.graph.nodes[-1].span, cause=error)
        self.context.raise_problems()

    def _sources(self, node: Node, tensors: list[Any]) -> list[Reached]:
        args = [arg for arg in node.inputs if arg.name is None]
        found: list[Reached] = []
        for arg, tensor in zip(args, tensors, strict=True):
            shape = getattr(tensor, "shape", None) or shapes_of(tensor)
            if isinstance(arg.value, NodeOutput):
                number = arg.value.node
                found.append(
                    reached_from(self.graph.nodes[number], self.layers[number], shape, self.context)
                )
            else:
                found.append(Reached(shape))
        return found

    def _tensor(self, arg: Arg, outs: list[Any]) -> Any:
        return self._structure(arg.value, outs, arg.span)

    def _structure(self, value: Any, outs: list[Any], span: Span) -> Any:
        match value:
            case NodeOutput():
                return pick(outs[value.node], value, self.context)
            case SequenceValue():
                items = [self._structure(item, outs, span) for item in value.items]
                return items if value.kind == "list" else tuple(items)
            case MappingValue():
                return {
                    self._key(key): self._structure(item, outs, span) for key, item in value.entries
                }
            case _:
                return self.values.resolve(value, "any", self.context)

    def _key(self, key: Any) -> Any:
        return key.text if isinstance(key, Word) else self.values.resolve(key, "any", self.context)

    def _ends(self, entries: tuple[Arg, ...], outs: list[Any]) -> Any:
        named = {arg.name: self._tensor(arg, outs) for arg in entries if arg.name is not None}
        if named:
            return named
        found = [self._tensor(arg, outs) for arg in entries]
        return found[0] if len(found) == 1 else found

    def _model_arguments(self) -> Mapping[str, Any]:
        import keras  # noqa: PLC0415 - takes seconds

        args = self.graph.args
        if self.graph.name and not any(arg.name == "name" for arg in args):
            args = (*args, Arg(LiteralValue(self.graph.name), "name"))
        bound = bind_arguments(
            keras.Sequential, "model", args, self.graph.span, self.context, self.values.resolve
        )
        self.context.raise_problems()
        return bound.kwargs


def _is_one_shape(node: Node, context: BuildContext) -> bool:
    """Whether an input's shape is written in one piece; else that is noted."""
    sizes = [
        arg
        for arg in node.args
        if arg.name is None and isinstance(arg.value, LiteralValue) and type(arg.value.value) is int
    ]
    if len(sizes) > 1:
        shape = "x".join(format_value(arg.value) for arg in sizes)
        context.report(
            "is a second number", sizes[1].span, f"A shape is one word: `input {shape}`."
        )
        return False
    for arg in node.args:
        if (isinstance(arg.value, Shape) and 0 in arg.value.dims) or arg.value == LiteralValue(0):
            context.report("has a dimension of 0, which holds nothing", arg.value.span)
            return False
    return True
