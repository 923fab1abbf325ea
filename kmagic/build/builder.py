"""Graph to model: layers made, then connected, each failure tied to its line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kmagic import catalogue
from kmagic.binding.arguments import UNRESOLVED, bind
from kmagic.binding.context import Context
from kmagic.binding.lookup import layer_of
from kmagic.build.calls import FunctionCall, call_layer
from kmagic.build.keras_errors import explain
from kmagic.build.values import Values, construct
from kmagic.dsl.graph import Graph, Node
from kmagic.spec import Arg, Given, LayerOf, Literal, ModelOf, Out, Sequence, Span, Word
from kmagic.spec import Mapping as MappingValue

DEEP = 400
"""From this many nodes on, Keras's recursions outgrow Python's usual limit."""


@dataclass(slots=True)
class Step:
    """What became of one node: its layer, and the shape that leaves it."""

    node: Node
    layer: Any
    shape: Any = None


@dataclass(slots=True)
class Assembled:
    """A model and its steps, in the order of the text."""

    model: Any
    steps: list[Step] = field(default_factory=list)


def assemble(graph: Graph, context: Context) -> Assembled:
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
        self, graph: Graph, context: Context, models: list[Graph], made: dict[int, Any]
    ) -> None:
        self.graph, self.context, self.models, self.made = graph, context, models, made
        self.layers: list[Any] = []
        self.values = Values(self._layer_of)

    def run(self) -> Assembled:
        for node in self.graph.nodes:
            self.context.trail = node.trail
            self.layers.append(self._layer(node))
        self.context.trail = ()
        self.context.check()
        self._freeze()
        model, shapes = self._stack() if self._is_stack() else self._connect()
        steps = [
            Step(node, layer, shape)
            for node, layer, shape in zip(self.graph.nodes, self.layers, shapes, strict=True)
        ]
        return Assembled(model, steps)

    # --- layers -------------------------------------------------------------------------------

    def _layer(self, node: Node) -> Any:
        match node.callee:
            case LayerOf() | ModelOf():
                return self._layer_of(node.callee)
            case Given():
                word, found = node.callee.source, node.callee.value
            case Word():
                word, found = node.callee.text, layer_of(node.callee, self.context)
        if found is UNRESOLVED:
            return UNRESOLVED
        if inspect.isclass(found) or word == "input":
            return self._made(found, word, node)
        if isinstance(found, catalogue.layer_class()):
            if node.args:
                self.context.note(
                    f"{word} is a layer already, and takes no arguments here", node.args[0].span
                )
            return found
        if callable(found):
            return self._function(found, word, node)
        self.context.note("is neither a layer, a model nor a function", node.callee.span)
        return UNRESOLVED

    def _made(self, cls: Any, word: str, node: Node) -> Any:
        args = node.args
        if node.name and not any(arg.name == "name" for arg in args):
            params = catalogue.parameters(cls)
            if any(each.name == "name" for each in params) or catalogue.takes_any_keyword(cls):
                args = (*args, Arg(Literal(node.name, span=node.span), "name", span=node.span))
        bound = bind(cls, word, args, node.span, self.context, self.values.resolve)
        if not bound.sound:
            return UNRESOLVED
        layer = construct(cls, word, bound, node.span, self.context)
        if bound.adapt is not None and layer is not UNRESOLVED:
            try:
                layer.adapt(bound.adapt)
            except Exception as error:  # noqa: BLE001 - the data are the user's
                self.context.note(f"cannot adapt to these data: {error}", node.span)
        return layer

    def _function(self, function: Any, word: str, node: Node) -> Any:
        import keras  # noqa: PLC0415 - takes seconds

        is_activation = isinstance(node.callee, Word) and catalogue.understands("activation", word)
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
        return FunctionCall(function, tuple(positional), named)

    def _layer_of(self, reference: LayerOf | ModelOf) -> Any:
        if isinstance(reference, LayerOf):
            return self.layers[reference.node]
        if reference.model not in self.made:
            inner = _Assembly(self.models[reference.model], self.context, self.models, self.made)
            self.made[reference.model] = inner.run().model
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
                raise self.context.refuse(
                    "a sequential model is a plain stack, and this is not", self.graph.span
                )
            return False
        start = bool(self.graph.nodes) and self.graph.nodes[0].is_input
        return all(isinstance(each, catalogue.layer_class()) for each in self.layers[start:]) and (
            len({id(each) for each in self.layers}) == len(self.layers)
        )

    def _stack(self) -> tuple[Any, list[Any]]:
        import keras  # noqa: PLC0415 - takes seconds

        try:
            model = keras.Sequential(list(self.layers), **self._model_arguments())
        except Exception:
            self._connect()  # tells the line, if a line is at fault
            raise
        return model, [self._shape_after(layer, model) for layer in self.layers]

    @staticmethod
    def _shape_after(layer: Any, model: Any) -> Any:
        if not isinstance(layer, catalogue.layer_class()):
            return layer.shape
        return layer.output.shape if model.built and layer._inbound_nodes else None  # noqa: SLF001 - Keras has no public "is connected"

    def _connect(self) -> tuple[Any, list[Any]]:
        import keras  # noqa: PLC0415 - takes seconds

        outs: list[Any] = []
        for node, layer in zip(self.graph.nodes, self.layers, strict=True):
            outs.append(layer if node.is_input else self._applied(node, layer, outs))
        if not self.graph.outputs or not any(node.is_input for node in self.graph.nodes):
            span = self.graph.nodes[0].span if self.graph.nodes else self.graph.span
            raise self.context.refuse(
                "the model has no input", span, "Begin with a line such as `input 28x28x1`."
            )
        inputs = (
            self._ends(self.graph.inputs, outs)
            if self.graph.inputs
            else [out for node, out in zip(self.graph.nodes, outs, strict=True) if node.is_input]
        )
        if isinstance(inputs, list) and len(inputs) == 1:
            inputs = inputs[0]
        outputs = self._ends(self.graph.outputs, outs)
        try:
            model = keras.Model(inputs, outputs, **self._model_arguments())
        except Exception as error:
            message, hint = explain(error, "the model", [], [])
            span = self.graph.nodes[-1].span
            raise self.context.refuse(message, span, hint) from error
        return model, [getattr(out, "shape", None) or _shapes(out) for out in outs]

    def _applied(self, node: Node, layer: Any, outs: list[Any]) -> Any:
        self.context.trail = node.trail
        word = getattr(node.callee, "text", "") or getattr(node.callee, "source", "") or layer.name
        if not node.inputs:
            raise self.context.refuse(
                f"nothing reaches {word}", node.span, "Begin with a line such as `input 28x28x1`."
            )
        positional = [self._tensor(arg, outs) for arg in node.inputs if arg.name is None]
        named = {arg.name: self._tensor(arg, outs) for arg in node.inputs if arg.name is not None}
        try:
            return call_layer(layer, positional, named)
        except Exception as error:
            shapes = [getattr(each, "shape", None) or _shapes(each) for each in positional]
            message, hint = explain(error, word, shapes, self._names(node))
            raise self.context.refuse(message, node.span, hint) from error

    def _names(self, node: Node) -> list[str]:
        found: list[str] = []
        for arg in node.inputs:
            if arg.name is None:
                made = self.graph.nodes[arg.value.node] if isinstance(arg.value, Out) else None
                found.append(str((made.name or getattr(made.callee, "text", "")) if made else ""))
        return found

    def _tensor(self, arg: Arg, outs: list[Any]) -> Any:
        return self._structure(arg.value, outs, arg.span)

    def _structure(self, value: Any, outs: list[Any], span: Span) -> Any:
        match value:
            case Out():
                return _pick(outs[value.node], value, self.context)
            case Sequence():
                items = [self._structure(item, outs, span) for item in value.items]
                return items if value.kind == "list" else tuple(items)
            case MappingValue():
                return {
                    self._key(key): self._structure(item, outs, span) for key, item in value.entries
                }
            case _:
                found = self.values.resolve(value, "any", self.context)
                self.context.check()
                return found

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
            args = (*args, Arg(Literal(self.graph.name), "name"))
        bound = bind(
            keras.Sequential, "model", args, self.graph.span, self.context, self.values.resolve
        )
        self.context.check()
        return bound.kwargs


def _pick(out: Any, reference: Out, context: Context) -> Any:
    """One of several outputs; a number counts through nested structures."""
    import keras  # noqa: PLC0415 - takes seconds

    for key in reference.path:
        if isinstance(out, dict) and key in out:
            out = out[key]
            continue
        flat = keras.tree.flatten(out)
        if not isinstance(key, int) or not -len(flat) <= key < len(flat):
            known = f"It has {len(flat)}." if len(flat) > 1 else "It has only one output."
            raise context.refuse(f"there is no output {key!r}", reference.span, known)
        out = flat[key]
    return out


def _shapes(out: Any) -> Any:
    if isinstance(out, dict):
        return {key: _shapes(item) for key, item in out.items()}
    if isinstance(out, list | tuple):
        return [_shapes(item) for item in out]
    return getattr(out, "shape", None)
