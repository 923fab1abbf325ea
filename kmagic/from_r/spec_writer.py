"""The models of an R script as graphs, and these as statements of the layer language."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from kmagic.from_r import r_names, r_values
from kmagic.from_r.r_parser import Note, RMistake, TextRange
from kmagic.from_r.r_values import CallArg, KerasObject, RLayerCall, RModel, RTensor, UnknownValue
from kmagic.language import spec
from kmagic.language.graph import Graph, Node
from kmagic.language.graph_statements import GraphStatements, unused_name
from kmagic.language.parser import RESERVED
from kmagic.language.spec import Arg, Expr, LiteralValue, Statement, Value, Word
from kmagic.language.vocabulary import RENAMED_ARGUMENTS, old_argument_remedy
from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role, find_object, parameters
from kmagic.models.decompile.config_values import text_value, written_arguments
from kmagic.support.keras_import import keras
from kmagic.support.suggestions import did_you_mean

# --- layers, arguments and values ---------------------------------------------------------------

_WITHOUT_EFFECT = ("implementation", "sample_weight_mode", "schedule_decay", "input_length")
_R_ARGUMENTS = ("input_shape", "batch_input_shape", "lr", "decay")
"""Arguments in R that no signature of Keras 3 has."""
_SHAPES = frozenset(
    {"input_shape", "batch_input_shape", "input_dim", "input_length", "batch_shape", "batch_size"}
)
_COMPILE_ORDER = ("optimizer", "loss", "metrics", "loss_weights")
"""The parameters of R's ``compile`` in their order."""
_NO_OBJECTS = ("layer", "activation", "dtype", "quantizer", "seed")
_OBJECT_ROLES = tuple(role for role in catalogue.OBJECT_ROLES if role not in _NO_OBJECTS)
"""Roles in which ``l2(0.01)`` may stand in an argument without a role."""
_STRING_ROLES = frozenset[Role]({*_OBJECT_ROLES, "activation"} - {"schedule"})
_KERASR_RATES = {"Adadelta": 1.0, "Adagrad": 0.01, "Adamax": 0.002, "Nadam": 0.002}
"""Default learning rates of kerasR that differ from Keras 3's."""


_WORDS = frozenset({"true", "false", "none", "inf", "nan", "ops", "sequential", "functional"})


class RModelStatements(GraphStatements):
    """Names outputs as R's variables, as far as the language can."""

    uses_underscore = False

    def new_name(self, base: str, taken: set[str]) -> str:
        """A valid name that nothing else has."""
        name = base if base.isidentifier() else "x"
        is_word = name in RESERVED or name in _WORDS or keyword.iskeyword(name)
        name = f"{name}_" if is_word or find_object("layer", name) is not None else name
        return unused_name(name, taken, "")


class SpecWriter:
    """Writes one model, and the models that it contains; in keras3, axes are counted from 1."""

    def __init__(
        self, note: Note, spans: Callable[[TextRange], spec.Span], *, axes_from_one: bool = False
    ) -> None:
        self._note, self._spans, self._axes_from_one = note, spans, axes_from_one
        self._models: list[Graph] = []
        self._parts: list[RModel] = []
        self._depth = 0

    def write(self, model: RModel, *, is_part: bool = False) -> tuple[Statement, ...]:
        """The statements of a model and its compilation; a part may have no layers."""
        statements: tuple[Statement, ...] = ()
        if model.layers or model.outputs or not is_part:
            statements = RModelStatements().write(self._graph(model, self._spans(model.range)))
        if model.compiled is None:
            return statements
        return (*statements, self._compile(model.compiled, model.range))

    # --- graphs -------------------------------------------------------------------------------

    def _graph(self, model: RModel, span: spec.Span, *, is_nested: bool = False) -> Graph:
        inputs, outputs = model.inputs, model.outputs
        if inputs is None:
            inputs, outputs = self._stack(model, is_nested=is_nested)
        calls = r_values.calls_before(outputs)
        calls = [*(tensor.call for tensor in inputs if tensor.call not in calls), *calls]
        input_calls = [tensor.call for tensor in inputs]
        text_inputs = [call for call in calls if isinstance(call.layer, r_values.ModelInput)]
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
                    node.callee, node.args, node.name = spec.LayerRef(first), (), None
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
        word = Word("input")
        node = Node(word, (), inputs, None, self._spans(call.range), spec.LayerSpec(word))
        node.word = call.variable or "x"
        match layer:
            case r_values.ModelInput():
                node.args, node.name = self._input_args(layer), layer.name or None
            case RModel():
                node.callee = self.model_ref(layer, call.range)
            case UnknownValue():
                node.callee = spec.NotebookValue(None, _source_of(layer, call.range))
            case KerasObject():
                word, node.args, name = self.layer_line(layer)
                node.callee, node.name = word, name or None
                node.word = call.variable or f"{word.text}_out"
        return node

    def _input_args(self, model_input: r_values.ModelInput) -> tuple[Arg, ...]:
        span = model_input.range
        args = [Arg(_shape(model_input.shape, span))]
        if isinstance(model_input.dtype, str):
            args.append(Arg(Word(model_input.dtype)))
        elif model_input.dtype is not None:
            args.append(Arg(self.value(model_input.dtype, "any", span), "dtype"))
        if model_input.batch is not None:
            args.append(Arg(self.value(model_input.batch, "any", span), "batch_size"))
        return tuple(args)

    def _stack(self, model: RModel, *, is_nested: bool) -> tuple[list[RTensor], list[RTensor]]:
        """The ends of a row of layers, each applied to the one before."""
        if not model.layers:
            raise RMistake("has no layers", model.range, "Add one: mod$add(Dense(units = 50)).")
        first, shape = model.layers[0], model.shape
        for layer in model.layers:
            stated = None
            if isinstance(layer, KerasObject):
                stated = r_values.read_input(_shape_args(layer), layer.range)
            if layer is first:
                shape = shape or stated
            elif stated is not None:
                message = "input_shape applies to the first layer only; omitted"
                self._note(message, stated.range)
        chain: list[RTensor] = []
        if shape is not None:
            if isinstance(first, KerasObject) and r_names.to_word(first.name) == "embedding":
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
        items = tuple(_output(tensor, index) for tensor in r_values.tensors_in(arg.value))
        if not items:
            return Arg(self.value(arg.value, "any", arg.range), arg.name)
        is_one = isinstance(arg.value, RTensor)
        return Arg(items[0] if is_one else spec.SequenceValue("list", items), arg.name)

    def model_ref(self, model: RModel, span: TextRange) -> spec.ModelRef:
        """A model inside this one, which is written above it."""
        if model not in self._parts:
            self._depth += 1
            if self._depth > r_values.MAX_DEPTH:
                raise RMistake(
                    "is nested too deeply", span, f"The limit is {r_values.MAX_DEPTH} models."
                )
            self._models.append(self._graph(model, self._spans(span), is_nested=True))
            self._parts.append(model)
            self._depth -= 1
        return spec.ModelRef(self._parts.index(model))

    def _compile(self, given: list[CallArg], span: TextRange) -> Statement:
        by_name = r_values.bind_args(_COMPILE_ORDER, given)
        names = {arg: name for name, arg in by_name.items()}
        given = [replace(arg, name=names.get(arg, arg.name)) for arg in given]
        args = self.args(keras.Model.compile, given)
        return spec.CompileSpec(args, span=self._spans(given[0].range if given else span))

    # --- layers -------------------------------------------------------------------------------

    def layer_line(self, layer: KerasObject) -> tuple[Word, tuple[Arg, ...], str]:
        """Translate a layer: its word, its arguments and its name, if it has a valid one.

        Raises:
            RMistake: Keras 3 does not have it, or not with these arguments.
        """
        layer = self._current_layer(layer)
        cls = r_names.find_by_r_name(layer.name, "layer")
        if cls is None:
            remedy = r_names.suggest_layer(layer.name) if r_names.is_layer_name(layer.name) else ""
            raise r_names.not_a_layer(layer.range, remedy)
        shapes = _shape_args(layer)
        args = [arg for arg in layer.args if arg not in shapes]
        name = next((arg.value for arg in args if arg.name == "name"), "")
        if isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w*", name):
            args = [arg for arg in args if arg.name != "name"]
        else:
            name = ""
        word = catalogue.word_for(cls)
        is_recurrent = layer.name in ("GRU", "LSTM")
        if is_recurrent and all(arg.name != "recurrent_activation" for arg in args):
            message = f"{word} uses recurrent_activation=sigmoid; kerasR used hard_sigmoid"
            self._note(message, layer.range)
        return Word(word), self.args(cls, args), name

    def _current_layer(self, layer: KerasObject) -> KerasObject:
        """A layer that Keras 3 has removed as its successor."""
        word = catalogue.normalize_word(r_names.to_word(layer.name))
        if word == "thresholdedrelu":
            args = [
                replace(arg, name="threshold") if arg.name in (None, "theta") else arg
                for arg in layer.args
            ]
            if not any(arg.name == "threshold" for arg in args):
                args.insert(0, CallArg(1, "threshold", layer.range))
            self._note("ThresholdedReLU is now relu with a threshold", layer.range)
            return replace(layer, name="ReLU", args=args)
        if word in ("cudnnlstm", "cudnngru"):
            current = word.removeprefix("cudnn")
            message = f"{layer.name} is now {current}, which uses the GPU automatically"
            self._note(message, layer.range)
            return replace(layer, name=current.upper())
        if r_names.find_by_r_name(layer.name, "layer") is not None:
            return layer
        remedy = r_names.removed_layer_remedy(layer.name)
        if remedy:
            raise RMistake("does not exist in Keras 3", layer.range, remedy)
        known = r_names.split_prefix(layer.name)
        if known and layer.name.startswith("layer_activation_"):
            function = CallArg(known[1], "activation", layer.range)
            return replace(layer, name="Activation", args=[function, *layer.args])
        return layer

    # --- calls --------------------------------------------------------------------------------

    def args(self, function: Any, given: Iterable[CallArg]) -> tuple[Arg, ...]:
        """The arguments of a Keras class or function, from those in R."""
        params = {param.name: param for param in parameters(function)}
        bound = self._bound(function, params, given)
        values = {
            name: self._value_unless_default(param, bound[name])
            for name, param in params.items()
            if name in bound
        }
        known = {name: value for name, value in values.items() if value is not None}
        return written_arguments(function, known)

    def _value_unless_default(self, param: Parameter, arg: CallArg) -> Value | None:
        if arg.value is None:  # R's NULL: Keras's default
            return LiteralValue(None) if param.required else None
        value = arg.value
        if param.name in ("axis", "axes"):
            value = self._axes(value, arg.range)
        return self.value(value, param.role, arg.range, param)

    def _axes(self, value: Any, span: TextRange) -> Any:
        """Axes as Keras counts them: from 0, the batch."""
        if isinstance(value, r_values.RVector):
            return r_values.vector((key, self._axes(item, span)) for key, item in value.items)
        if not isinstance(value, int) or value <= 0:
            return value
        if self._axes_from_one:
            self._note("axis converted: keras3 counts from 1, Keras from 0", span)
            return value - 1
        self._note("axis unchanged: Keras counts from 0, the batch axis", span)
        return value

    def _bound(
        self, function: Any, params: dict[str, Parameter], given: Iterable[CallArg]
    ) -> dict[str, CallArg]:
        bound: dict[str, CallArg] = {}
        positional: list[CallArg] = []
        for arg in given:
            if arg.name is None:
                positional.append(arg)
                continue
            name = self._parameter_name(function, params, arg)
            if name in bound:
                raise RMistake(f"passes {name} a second time", arg.range, "Keep one of the two.")
            if name:
                bound[name] = arg
        free = [name for name, param in params.items() if param.positional and name not in bound]
        for arg in positional:
            if not free:
                word = catalogue.word_for(function)
                raise RMistake(f"is one argument too many for {word}", arg.range)
            bound[free.pop(0)] = arg
        return bound

    def _parameter_name(self, function: Any, params: dict[str, Parameter], arg: CallArg) -> str:
        """The parameter that R's name means; "" where Keras 3 has none and needs none."""
        name = str(arg.name)
        if name in params:
            return name
        if RENAMED_ARGUMENTS.get(name) in params:
            return RENAMED_ARGUMENTS[name]
        if name == "l" and params:  # kerasR's l1(l = 0.01)
            return next(iter(params))
        if name in _WITHOUT_EFFECT:
            if arg.value is not None:
                self._note(f"{name} has no effect in Keras 3; omitted", arg.range)
            return ""
        completions = [param for param in params if param.startswith(name)]
        if len(completions) == 1:  # R completes the names of arguments
            return completions[0]
        word = catalogue.word_for(function)
        remedy = did_you_mean(name, [*params, *_R_ARGUMENTS]) or old_argument_remedy(name, params)
        some = ", ".join(list(params)[:12])
        raise RMistake(
            f"is not an argument of {word}", arg.range, remedy or f"Arguments of {word}: {some} ..."
        )

    # --- values -------------------------------------------------------------------------------

    def value(
        self, value: Any, role: Role, span: TextRange, param: Parameter | None = None
    ) -> Value:
        """A value in this role.

        Raises:
            RMistake: It has no equivalent.
        """
        match value:
            case None | bool() | int() | float():
                return LiteralValue(value)
            case str():
                return self._string(value, role, span, param)
            case r_values.FunctionName():
                return _function_word(value, role, span)
            case r_values.RVector():
                return self._vector(value, role, span, param)
            case KerasObject():
                return self.keras_object(value, role)
            case UnknownValue():
                return Expr(_source_of(value, span))
            case RModel() if role in _STRING_ROLES:
                raise RMistake(f"is a model, not {catalogue.with_article(role)}", span)
            case RModel():
                return self.model_ref(value, span)
            case r_values.RClosure(variable=name) if name:
                self._note(f"{name} is an R function: define it in a Python cell", span)
                return Expr(name)
            case r_values.RClosure():
                remedy = "Define it in a Python cell, and use its name here without quotes."
                raise RMistake("is an R function, which Keras cannot call", span, remedy)
            case RTensor():
                raise RMistake("is the output of a layer; a layer's argument must be a value", span)
            case _:
                raise RMistake("has no equivalent in the layer language", span)

    def keras_object(self, item: KerasObject, role: Role) -> Value:
        """``l2(0.01)``, or a layer inside a layer."""
        roles = _OBJECT_ROLES if role == "any" else (role,)
        found = next(
            filter(None, (r_names.find_by_r_name(item.name, name) for name in roles)), None
        )
        if found is None and role == "any":
            raise RMistake("cannot be used as an argument here", item.range)
        if found is None:
            remedy = did_you_mean(r_names.to_word(item.name), catalogue.words_for_role(role))
            raise RMistake(f"is not {catalogue.with_article(role)}", item.range, remedy)
        word = Word(catalogue.word_for(found))
        if role == "layer":
            return spec.InnerLayer(word, self.args(found, item.args))
        given = self._optimizer_args(found, item) if role == "optimizer" else item.args
        args = self.args(found, given)
        return spec.Object(word, args) if args else word

    def _optimizer_args(self, cls: Any, optimizer: KerasObject) -> list[CallArg]:
        """An optimizer's arguments in Keras 3: no ``lr``, ``decay`` or ``clipnorm = -1``."""
        named = {arg.name: arg for arg in optimizer.args if arg.name is not None}
        positional = [arg for arg in optimizer.args if arg.name is None]
        for clip in ("clipnorm", "clipvalue"):
            given = named.get(clip)
            if given is not None and isinstance(given.value, int | float) and given.value <= 0:
                del named[clip]  # kerasR's way to disable it
        old = named.pop("lr", named.pop("learning_rate", None))
        rate = positional.pop(0) if positional else old
        decay = named.pop("decay", None)
        span = rate.range if rate is not None else optimizer.range
        value = rate.value if rate is not None else _KERASR_RATES.get(optimizer.name)
        default = next(param.default for param in parameters(cls) if param.name == "learning_rate")
        if rate is None and value is not None:
            self._note(
                f"learning rate {value:g}: the default of {optimizer.name}() in kerasR; "
                f"Keras 3 uses {default:g}",
                span,
            )
        if decay is not None and decay.value not in (0, None):
            initial = default if value is None else value
            args = [CallArg(number, None, decay.range) for number in (initial, 1, decay.value)]
            value = KerasObject("inverse_time_decay", args, decay.range)
            message = "decay is now a schedule, inverse_time_decay, with the same rates"
            self._note(message, decay.range)
        first = [] if value is None else [CallArg(value, "learning_rate", span)]
        return [*first, *positional, *named.values()]

    def _string(self, text: str, role: Role, span: TextRange, param: Parameter | None) -> Value:
        if role in _STRING_ROLES:
            word = r_names.string_word(text, role)
            if not word:
                remedy = did_you_mean(text, catalogue.words_for_role(role))
                raise RMistake(f"is not a Keras {role}", span, remedy)
            return Word(word)
        if param is not None and param.name == "padding":
            text = text.lower()
        is_name = param is not None and param.name == "name"
        return LiteralValue(text) if is_name else text_value(text, "any")

    def _vector(
        self, vector: r_values.RVector, role: Role, span: TextRange, param: Parameter | None
    ) -> Value:
        items = list(vector)
        if vector.named:
            entries = (
                (text_value(str(name), "any"), self.value(item, role, span))
                for name, item in vector.items
            )
            return spec.MappingValue(tuple(entries))
        if items and all(item is None or (type(item) is int and item >= 0) for item in items):
            is_single = len(items) == 1 and items[0] is not None
            return LiteralValue(items[0]) if is_single else spec.Shape(tuple(items))
        if len(items) == 1 and role in ("metric", "loss"):
            return self.value(items[0], role, span, param)
        return spec.SequenceValue("list", tuple(self.value(item, role, span) for item in items))


def _source_of(value: UnknownValue, span: TextRange) -> str:
    """The Python expression of a value that only R knows.

    Raises:
        RMistake: There is none.
    """
    if not value.python:
        remedy = "Write the number, or compute it in a Python cell and use its name here."
        raise RMistake("is a value that only R can compute", span, remedy)
    return value.python


def _function_word(function: r_values.FunctionName, role: Role, span: TextRange) -> Value:
    found = r_names.find_by_r_name(function.name, role) if role != "any" else None
    if found is not None:
        return Word(catalogue.word_for(found))
    word = (
        r_names.string_word(r_names.to_word(function.name), role) if role in _STRING_ROLES else ""
    )
    if not word:
        what = catalogue.with_article(role) if role != "any" else "a value"
        raise RMistake(f"is not {what}", span)
    return Word(word)


def _shape_args(layer: KerasObject) -> list[CallArg]:
    """The arguments of a layer that describe the model's input, not the layer."""
    cls = r_names.find_by_r_name(layer.name, "layer")
    own = {param.name for param in parameters(cls)} if cls is not None else set()
    return [arg for arg in layer.args if arg.name in _SHAPES - own]


def _output(tensor: RTensor, index: dict[RLayerCall, int]) -> spec.NodeOutput:
    return spec.NodeOutput(index[tensor.call], tensor.path)


def _shape(value: Any, span: TextRange) -> Value:
    sides = list(value) if isinstance(value, r_values.RVector) else [value]
    known = [side for side in sides if not isinstance(side, UnknownValue)]
    is_shape = all(side is None or (type(side) is int and side > 0) for side in known)
    if value is None or not sides or not is_shape:
        raise RMistake("is not a shape", span, "Write a shape as c(28, 28, 1) or 13.")
    if len(known) == len(sides):
        is_number = len(sides) == 1 and sides[0] is not None
        return LiteralValue(sides[0]) if is_number else spec.Shape(tuple(sides))
    words = [str(side) if side in known else _source_of(side, span) for side in sides]
    return Expr(words[0] if len(words) == 1 else f"({', '.join(words)})")
