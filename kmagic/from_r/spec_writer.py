"""The models of an R script as graphs, and these as statements of the layer language."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

from kmagic.from_r.r_arguments import ArgumentTranslator, Note, source_of, stated_input
from kmagic.from_r.r_names import to_word
from kmagic.from_r.r_parser import RMistake, TextRange
from kmagic.from_r.r_values import (
    CallArg,
    KerasObject,
    ModelInput,
    RLayerCall,
    RModel,
    RTensor,
    RVector,
    UnknownValue,
    calls_before,
    tensors_in,
)
from kmagic.language.graph import Graph, Node
from kmagic.language.graph_statements import GraphStatements
from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    CompileSpec,
    Expr,
    LayerRef,
    LiteralValue,
    ModelRef,
    NodeOutput,
    NotebookValue,
    SequenceValue,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.models.catalogue import find_object

_WORDS = frozenset({"true", "false", "none", "inf", "nan", "ops", "sequential", "functional"})


class RModelStatements(GraphStatements):
    """Names outputs as R's variables, as far as the language can."""

    uses_underscore = False

    def new_name(self, base: str, taken: set[str]) -> str:
        """A valid name that nothing else has."""
        name = base if base.isidentifier() else "x"
        is_word = name in RESERVED or name in _WORDS or keyword.iskeyword(name)
        name = f"{name}_" if is_word or find_object("layer", name) is not None else name
        unused, number = name, 2
        while unused in taken:
            unused, number = f"{name}{number}", number + 1
        return unused


class SpecWriter:
    """Writes one model, and the models that it contains."""

    def __init__(
        self, note: Note, spans: Callable[[TextRange], Span], *, axes_from_one: bool = False
    ) -> None:
        self._note, self._spans = note, spans
        self._translator = ArgumentTranslator(note, self._model_ref, axes_from_one=axes_from_one)
        self._models: list[Graph] = []
        self._model_index: dict[RModel, int] = {}

    def write(self, model: RModel, *, is_part: bool = False) -> tuple[Statement, ...]:
        """The statements of a model and its compilation; a part may have no layers."""
        statements: tuple[Statement, ...] = ()
        if model.layers or model.outputs or not is_part:
            statements = RModelStatements().write(self._graph(model, self._spans(model.range)))
        if model.compiled is None:
            return statements
        return (*statements, self._compile(model.compiled, model.range))

    # --- graphs -------------------------------------------------------------------------------

    def _graph(self, model: RModel, span: Span, *, is_nested: bool = False) -> Graph:
        inputs, outputs = model.inputs, model.outputs
        if inputs is None:
            inputs, outputs = self._stack(model, is_nested=is_nested)
        calls = calls_before(outputs)
        calls = [*(tensor.call for tensor in inputs if tensor.call not in calls), *calls]
        input_calls = [tensor.call for tensor in inputs]
        text_inputs = [call for call in calls if isinstance(call.layer, ModelInput)]
        for call in text_inputs:
            if call not in input_calls:
                message = "is needed for the outputs, but is not among the inputs"
                raise RMistake(message, call.range, "Add it to the model's inputs.")
        index = {call: number for number, call in enumerate(calls)}
        graph = Graph(name=model.variable or "part", models=self._models, span=span)
        first_use: dict[KerasObject, int] = {}
        for number, call in enumerate(calls):
            node = self._node(call, index)
            if isinstance(call.layer, KerasObject):
                first = first_use.setdefault(call.layer, number)
                if first != number:
                    graph.nodes[first].word = call.layer.variable or "shared"
                    node.callee, node.args, node.name = LayerRef(first), (), None
            if node.name:
                taken = {other.name for other in graph.nodes if other.name}
                node.name = RModelStatements().new_name(node.name, taken)
            graph.nodes.append(node)
        if len(inputs) > 1 and input_calls != text_inputs:
            graph.inputs = tuple(Arg(_output(tensor, index)) for tensor in inputs)
        graph.outputs = tuple(Arg(_output(tensor, index)) for tensor in outputs)
        return graph

    def _node(self, call: RLayerCall, index: dict[RLayerCall, int]) -> Node:
        layer = call.layer
        inputs = tuple(Arg(_output(tensor, index)) for tensor in call.inputs)
        inputs += tuple(self._call_argument(arg, index) for arg in call.named)
        node = Node(Word("input"), (), inputs, None, self._spans(call.range))
        node.word = call.variable or "x"
        match layer:
            case ModelInput():
                node.args, node.name = _input_args(layer), layer.name or None
            case RModel():
                node.callee = self._model_ref(layer, call.range)
            case UnknownValue():
                node.callee = NotebookValue(None, source_of(layer, call.range))
            case KerasObject():
                word, node.args, name = self._translator.layer_line(layer)
                node.callee, node.name = word, name or None
                node.word = call.variable or f"{word.text}_out"
        return node

    def _stack(self, model: RModel, *, is_nested: bool) -> tuple[list[RTensor], list[RTensor]]:
        """The ends of a row of layers, each applied to the one before."""
        if not model.layers:
            raise RMistake("has no layers", model.range, "Add one: mod$add(Dense(units = 50)).")
        first, shape = model.layers[0], model.shape
        for layer in model.layers:
            stated = stated_input(layer) if isinstance(layer, KerasObject) else None
            if layer is first:
                shape = shape or stated
            elif stated is not None:
                message = "input_shape applies to the first layer only; omitted"
                self._note(message, stated.range)
        chain: list[RTensor] = []
        if shape is not None:
            if isinstance(first, KerasObject) and to_word(first.name) == "embedding":
                shape.dtype = shape.dtype or "int32"
            chain.append(RTensor(RLayerCall(shape, shape.range)))
        elif isinstance(first, KerasObject) and not is_nested:
            message = "no input_shape: the model is built when it first receives data"
            self._note(message, first.range)
        for layer in model.layers:
            span = model.range if isinstance(layer, UnknownValue) else layer.range
            chain.append(RTensor(RLayerCall(layer, span, chain[-1:])))
        return chain[: shape is not None], chain[-1:]

    def _call_argument(self, arg: CallArg, index: dict[RLayerCall, int]) -> Arg:
        items = tuple(_output(tensor, index) for tensor in tensors_in(arg.value))
        if isinstance(arg.value, RTensor):
            return Arg(items[0], arg.name)
        if items:
            return Arg(SequenceValue("list", items), arg.name)
        return Arg(self._translator.value(arg.value, "any", arg.range), arg.name)

    def _model_ref(self, model: RModel, span: TextRange) -> ModelRef:
        """A model inside this one, which is written above it."""
        if model not in self._model_index:
            graph = self._graph(model, self._spans(span), is_nested=True)
            self._models.append(graph)
            self._model_index[model] = len(self._models) - 1
        return ModelRef(self._model_index[model])

    def _compile(self, given: list[CallArg], span: TextRange) -> Statement:
        import keras  # noqa: PLC0415 - takes seconds

        args = self._translator.args(keras.Model.compile, given)
        args = tuple(Arg(arg.value) if arg.name == "optimizer" else arg for arg in args)
        return CompileSpec(args, span=self._spans(given[0].range if given else span))


def _output(tensor: RTensor, index: dict[RLayerCall, int]) -> NodeOutput:
    return NodeOutput(index[tensor.call], tensor.path)


def _input_args(model_input: ModelInput) -> tuple[Arg, ...]:
    args = [Arg(_shape(model_input.shape, model_input.range))]
    if isinstance(model_input.dtype, str):
        args.append(Arg(Word(model_input.dtype)))
    if isinstance(model_input.batch, int):
        args.append(Arg(LiteralValue(model_input.batch), "batch_size"))
    return tuple(args)


def _shape(value: Any, span: TextRange) -> Value:
    sides = list(value) if isinstance(value, RVector) else [value]
    unknown = [side for side in sides if isinstance(side, UnknownValue)]
    known = [side for side in sides if not isinstance(side, UnknownValue)]
    is_missing = value is None or not sides
    if is_missing or not all(side is None or _is_dimension(side) for side in known):
        raise RMistake("is not a shape", span, "Write a shape as c(28, 28, 1) or 13.")
    if len(sides) == 1 and sides[0] is not None:
        return Expr(source_of(sides[0], span)) if unknown else LiteralValue(sides[0])
    if not unknown:
        return Shape(tuple(sides))
    words = [source_of(side, span) if side in unknown else str(side) for side in sides]
    return Expr(f"({', '.join(words)})")


def _is_dimension(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
