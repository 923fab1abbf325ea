"""The models of an R script as statements of the layer language."""

from __future__ import annotations

import keyword
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from kmagic.from_r.r_arguments import (
    AlreadyReported,
    ArgumentTranslator,
    LayerLine,
    Note,
    source_of,
)
from kmagic.from_r.r_parser import RMistake, TextRange
from kmagic.from_r.r_values import (
    CallArg,
    FailedValue,
    KerasObject,
    LayerCall,
    ModelInput,
    RModel,
    RTensor,
    RVector,
    UnknownValue,
)
from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    CompileSpec,
    Expr,
    Index,
    InputsSpec,
    LayerSpec,
    LiteralValue,
    NestedSpec,
    OutputSpec,
    SequenceValue,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.models.catalogue import find_object, parameters

_WORDS = frozenset({"true", "false", "none", "inf", "nan", "ops", "sequential", "functional"})


class SpecWriter:
    """Writes one model, and the models that it contains.

    Args:
        note: Called with what the reader should know, and its range.
        spans: From a range of the R code to a span.
        axes_from_one: Whether the code counts axes from 1.
    """

    def __init__(
        self, note: Note, spans: Callable[[TextRange], Span], *, axes_from_one: bool = False
    ) -> None:
        self._note, self._spans = note, spans
        self._translator = ArgumentTranslator(note, self._model_name, axes_from_one=axes_from_one)
        self._taken: set[str] = set()
        self._model_names: dict[int, str] = {}
        self._layer_names: dict[int, str] = {}
        self._nested: list[Statement] = []

    def write(self, model: RModel, *, is_part: bool = False) -> tuple[Statement, ...]:
        """The statements of a model and its compilation; a part may have no layers."""
        body = self._body(model) if model.layers or model.outputs or not is_part else []
        statements = [*self._nested, *body]
        if model.compiled is not None:
            statements.append(self._compile(model.compiled, model.range))
        return tuple(statements)

    # --- graphs -------------------------------------------------------------------------------

    def _body(self, model: RModel, *, is_nested: bool = False) -> list[Statement]:
        inputs, outputs = model.inputs, model.outputs
        if inputs is None:
            inputs, outputs = self._stack(model, is_nested=is_nested)
        calls = calls_before(outputs)
        calls = [*(tensor.call for tensor in inputs if tensor.call not in calls), *calls]
        input_calls = [tensor.call for tensor in inputs]
        for call in calls:
            if isinstance(call.layer, ModelInput) and call not in input_calls:
                message = "is needed for the outputs, but is not among the inputs"
                raise RMistake(message, call.range, "Add it to the model's inputs.")
        lines = {
            id(call): self._translator.layer_line(call.layer)
            for call in calls
            if isinstance(call.layer, KerasObject)
        }
        names = self._names(calls, outputs, lines)
        statements: list[Statement] = []
        before: LayerCall | None = None
        for call in calls:
            statements.append(self._statement(call, before, lines.get(id(call)), names))
            before = call
        order = [names.get(id(call), "") for call in input_calls]
        text_order = [
            names.get(id(call), "") for call in calls if isinstance(call.layer, ModelInput)
        ]
        if len(order) > 1 and order != text_order:
            statements.append(InputsSpec(tuple(Arg(Word(name)) for name in order)))
        if len(outputs) > 1 or (outputs and (outputs[0].call is not before or outputs[0].path)):
            entries = tuple(Arg(_tensor(tensor, names)) for tensor in outputs)
            statements.append(OutputSpec(entries, span=self._spans(model.range)))
        return statements

    def _stack(self, model: RModel, *, is_nested: bool) -> tuple[list[RTensor], list[RTensor]]:
        """The ends of a row of layers, each applied to the one before."""
        if not model.layers:
            raise RMistake("has no layers", model.range, "Add one: mod$add(Dense(units = 50)).")
        quiet = ArgumentTranslator(lambda *_: None, self._model_name, axes_from_one=True)
        first, shape = model.layers[0], model.shape
        for layer in model.layers:
            line = quiet.layer_line(layer) if isinstance(layer, KerasObject) else None
            if line is not None and layer is first:
                shape = shape or line.shape
                if shape is not None and shape.dtype is None and line.word.text == "embedding":
                    shape.dtype = "int32"
            elif line is not None and line.shape is not None:
                message = "input_shape applies to the first layer only; omitted"
                self._note(message, line.shape.range)
        chain: list[RTensor] = []
        if shape is not None:
            chain.append(RTensor(LayerCall(shape, shape.range)))
        elif isinstance(first, KerasObject) and not is_nested:
            message = "no input_shape: the model is built when it first receives data"
            self._note(message, first.range)
        for layer in model.layers:
            span = model.range if isinstance(layer, UnknownValue) else layer.range
            chain.append(RTensor(LayerCall(layer, span, chain[-1:])))
        return chain[: shape is not None], chain[-1:]

    def _names(
        self, calls: list[LayerCall], outputs: list[RTensor], lines: dict[int, LayerLine]
    ) -> dict[int, str]:
        """The names of the calls whose output needs one."""
        wanted: set[int] = set()
        uses: dict[int, list[LayerCall]] = defaultdict(list)
        before: LayerCall | None = None
        for call in calls:
            if not _follows(call, before):
                wanted |= {id(tensor.call) for tensor in call.inputs}
            for arg in call.named:
                wanted |= {id(tensor.call) for tensor in _tensors_in(arg.value)}
            uses[id(call.layer)].append(call)
            before = call
        inputs = [call for call in calls if isinstance(call.layer, ModelInput)]
        if len(inputs) > 1:
            wanted |= set(map(id, inputs))
        if len(outputs) > 1 or (outputs and outputs[0].call is not before):
            wanted |= {id(tensor.call) for tensor in outputs}
        if outputs and outputs[0].path:
            wanted.add(id(outputs[0].call))
        names: dict[int, str] = {}
        for call in calls:
            layer, line = call.layer, lines.get(id(call))
            is_first_use = uses[id(layer)][0] is call
            is_shared = isinstance(layer, KerasObject) and len(uses[id(layer)]) > 1
            own = layer.name if isinstance(layer, ModelInput) else line.name if line else ""
            if own and (not is_shared or is_first_use):
                names[id(call)] = self._unused_name(own)
            elif isinstance(layer, KerasObject) and is_shared and is_first_use:
                names[id(call)] = self._unused_name(layer.variable or "shared")
            elif id(call) in wanted:
                base = f"{line.word.text}_out" if line is not None else "x"
                names[id(call)] = self._unused_name(call.variable or base)
        return names

    def _unused_name(self, name: str) -> str:
        """A valid name in the language that nothing else has."""
        name = name if name.isidentifier() else "x"
        is_word = name in RESERVED or name in _WORDS or keyword.iskeyword(name)
        is_word = is_word or find_object("layer", name) is not None
        name = f"{name}_" if is_word and name != "_" else name
        unused, number = name, 2
        while unused in self._taken:
            unused, number = f"{name}{number}", number + 1
        self._taken.add(unused)
        return unused

    # --- statements ---------------------------------------------------------------------------

    def _statement(
        self,
        call: LayerCall,
        before: LayerCall | None,
        line: LayerLine | None,
        names: dict[int, str],
    ) -> Statement:
        span, layer = self._spans(call.range), call.layer
        targets = (names[id(call)],) if id(call) in names else ()
        if isinstance(layer, ModelInput):
            return LayerSpec(Word("input"), _input_args(layer), None, targets, span=span)
        inputs: tuple[Arg, ...] | None = None
        if not _follows(call, before) or call.named:
            inputs = tuple(Arg(_tensor(tensor, names)) for tensor in call.inputs)
            if _follows(call, before) and id(call.inputs[0].call) not in names:
                inputs = (Arg(Word("_")),)
            inputs += tuple(self._call_argument(arg, names) for arg in call.named)
        if id(layer) in self._layer_names:
            word = Word(self._layer_names[id(layer)])
            return LayerSpec(word, (), inputs, targets, reuse=True, span=span)
        if isinstance(layer, RModel):
            word = Word(self._model_name(layer, call.range))
            return LayerSpec(word, (), inputs, targets, span=span)
        if isinstance(layer, UnknownValue):
            callee = Expr(source_of(layer, call.range))
            return LayerSpec(callee, (), inputs, targets, span=span)
        assert line is not None  # noqa: S101 - every other layer has one
        if targets:
            self._layer_names[id(layer)] = targets[0]
        return LayerSpec(line.word, line.args, inputs, targets, span=span)

    def _call_argument(self, arg: CallArg, names: dict[int, str]) -> Arg:
        if isinstance(arg.value, RTensor):
            return Arg(_tensor(arg.value, names), arg.name)
        inner = _tensors_in(arg.value)
        if inner:
            items = tuple(_tensor(tensor, names) for tensor in inner)
            return Arg(SequenceValue("list", items), arg.name)
        return Arg(self._translator.value(arg.value, "any", arg.range), arg.name)

    def _model_name(self, model: RModel, span: TextRange) -> str:
        """The name of a model inside this one, which is written above it."""
        if id(model) not in self._model_names:
            name = self._unused_name(model.variable or "part")
            self._model_names[id(model)] = name
            outer = self._taken, self._layer_names
            self._taken, self._layer_names = set(), {}
            body = tuple(self._body(model, is_nested=True))
            self._taken, self._layer_names = outer
            self._nested.append(NestedSpec(name, body, span=self._spans(span)))
        return self._model_names[id(model)]

    def _compile(self, given: list[CallArg], span: TextRange) -> Statement:
        import keras  # noqa: PLC0415 - takes seconds

        if any(isinstance(arg.value, FailedValue) for arg in given):
            raise AlreadyReported
        args = self._translator.args(keras.Model.compile, given)
        names = [param.name for param in parameters(keras.Model.compile)]
        args = tuple(Arg(arg.value) if arg.name == names[0] else arg for arg in args)
        ordered = sorted(args, key=lambda arg: -1 if arg.name is None else names.index(arg.name))
        return CompileSpec(tuple(ordered), span=self._spans(given[0].range if given else span))


def calls_before(outputs: Iterable[RTensor]) -> list[LayerCall]:
    """The calls that lead to the outputs, each after those that it depends on."""
    calls: list[LayerCall] = []
    seen: set[int] = set()

    def visit(tensor: RTensor) -> None:
        if id(tensor.call) in seen:
            return
        seen.add(id(tensor.call))
        named = [each for arg in tensor.call.named for each in _tensors_in(arg.value)]
        for each in (*tensor.call.inputs, *named):
            visit(each)
        calls.append(tensor.call)

    for output in outputs:
        visit(output)
    return calls


def _tensors_in(value: Any) -> list[RTensor]:
    if isinstance(value, RTensor):
        return [value]
    if isinstance(value, RVector):
        return [tensor for item in value for tensor in _tensors_in(item)]
    return []


def _tensor(tensor: RTensor, names: dict[int, str]) -> Value:
    name = names[id(tensor.call)]
    return Index(name, tensor.path) if tensor.path else Word(name)


def _follows(call: LayerCall, before: LayerCall | None) -> bool:
    """Whether a call takes exactly the output of the line above, so that it needs no arrow."""
    if not call.inputs:
        return True
    return len(call.inputs) == 1 and call.inputs[0].call is before and not call.inputs[0].path


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
