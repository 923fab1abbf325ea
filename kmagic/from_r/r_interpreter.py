"""Runs an R script as far as its models need it, and collects them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kmagic.from_r import unsupported
from kmagic.from_r.r_names import is_keras_name, is_layer_name, not_a_layer, suggest_layer
from kmagic.from_r.r_parser import (
    Note,
    RArg,
    RCall,
    RConstant,
    RFunction,
    RMistake,
    RName,
    RNode,
    TextRange,
)
from kmagic.from_r.r_values import (
    BASE_FUNCTIONS,
    CallArg,
    FunctionName,
    KerasObject,
    ModelInput,
    RClosure,
    RLayerCall,
    RModel,
    RTensor,
    RVector,
    UnknownValue,
    accepts_layer,
    apply_operator,
    bind_args,
    call_base_function,
    get_item,
    models_in,
    python_name,
    read_input,
    tensors,
)

_MAX_CALLS = 50
_FAILED = object()
"""The value of a variable whose statement contains a mistake."""


class _AlreadyReported(Exception):  # noqa: N818 - ends a statement without a mistake of its own
    pass


class ReturnedValue(Exception):  # noqa: N818 - control flow
    """R's ``return()``."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Interpreter:
    """Evaluates R code; what depends on data becomes an ``UnknownValue``.

    Attributes:
        models: All models in the order of their creation.
        others: The statements that are not part of a model, and what to do about them here.
        mistakes: The mistakes of the statements.
    """

    def __init__(self, note: Note, model_name: str) -> None:
        self._calls = ModelCalls(note, model_name)
        self.models = self._calls.models
        self._names: dict[str, Any] = {"T": True, "F": False, "pi": 3.141592653589793}
        self._depth = 0
        self.others: list[tuple[TextRange, str]] = []
        self.mistakes: list[RMistake] = []

    def run(self, statements: Iterable[RNode]) -> None:
        """Run the statements; a mistake ends only its own statement."""
        for statement in statements:
            try:
                nested = self._nested_statements(statement)
                if nested is None:
                    self._collect_other(statement, self.value(statement))
            except (RMistake, _AlreadyReported, ReturnedValue) as end:
                if isinstance(end, RMistake):
                    self.mistakes.append(end)
                self._names[_assigned_name(statement)] = _FAILED
            else:
                self.run(nested or ())

    def _nested_statements(self, statement: RNode) -> list[RNode] | None:
        """The statements of a block, or of the branch of an ``if`` whose test is known."""
        match statement.syntax:
            case "if", test, *branches:
                known = self.value(test)
                chosen = branches[:1] if known else branches[1:]
                return chosen if isinstance(known, bool) else None
            case "{", *body:
                return body
        return None

    def _collect_other(self, statement: RNode, value: Any) -> None:
        variable = python_name(_assigned_name(statement))
        if isinstance(statement, RName | RConstant) or (value is None and variable):
            return
        if isinstance(value, UnknownValue | None):
            create = f"Create {variable} in a Python cell or with %keras_data."
            text = create if variable else "Do this in a Python cell."
            self.others.append((statement.range, getattr(value, "replacement", "") or text))

    # --- values -------------------------------------------------------------------------------

    def value(self, node: RNode | None) -> Any:
        """The value of an expression."""
        match node:
            case RConstant():
                return node.value
            case RName():
                return self._named(node)
            case RFunction():
                return RClosure(node, self._names)
            case RCall() if node.syntax:
                return self._syntax(node)
            case RCall():
                return self._call(node, [])
        return None

    def _syntax(self, node: RCall) -> Any:
        """The value of an operator or of control flow."""
        match node.syntax:
            case "%>%", _, _:
                return self._pipe(node)
            case "<-", target, value:
                return self._assign(_variable(target), self.value(value))
            case "%<-%", targets, value:
                return self._unpack(targets, self.value(value), node.range)
            case "[", owner, *_:
                return self._index(self.value(owner), node)
            case "$", owner, RConstant(value=str(name)):
                return get_item(self.value(owner), name, node.range)
            case "{" | "if", *operands:
                nested = self._nested_statements(node)
                if nested is None:
                    return self._unknown_if(*operands)
                return [None, *map(self.value, nested)][-1]
            case "for", RName(name), values, body:
                return self._for(name, values, body)
            case "while", _:
                return UnknownValue()
            case sign, operand:
                return self._prefix(sign, self.value(operand), node.range)
            case sign, left, right:
                return apply_operator(sign, self.value(left), self.value(right), node.range)
        return UnknownValue()

    def _named(self, node: RName) -> Any:
        if self._names.get(node.text) is _FAILED:
            raise _AlreadyReported
        if node.text in self._names:
            return self._names[node.text]
        if is_keras_name(node.text):
            return FunctionName(node.text)
        return UnknownValue(python_name(node.text))

    @staticmethod
    def _prefix(sign: str, value: Any, span: TextRange) -> Any:
        if sign == "-" and isinstance(value, int | float):
            return -value
        if sign == "-" and isinstance(value, RVector):
            return apply_operator("*", value, -1, span)
        if sign == "!" and isinstance(value, bool):
            return not value
        return value if sign == "+" else UnknownValue()

    def _index(self, owner: Any, node: RCall) -> Any:
        args = node.args[1:]
        inside = [self.value(arg.value) for arg in args if arg.value is not None]
        if len(inside) != 1 or (len(args) != 1 and not isinstance(owner, RTensor)):
            return UnknownValue()
        return get_item(owner, inside[0], node.range)

    def _unknown_if(self, test: RNode, *branches: RNode) -> UnknownValue:
        before = self._calls.layer_calls
        for branch in branches:
            with suppress(ReturnedValue):
                self.value(branch)
        if self._calls.layer_calls != before:
            message = "is a condition that only R can evaluate, and the model depends on it"
            raise RMistake(message, test.range, "Keep only the lines that apply.")
        return UnknownValue()

    def _for(self, name: str, values: RNode, body: RNode) -> Any:
        known = self.value(values)
        if isinstance(known, RVector):
            for value in known:
                self._names[name] = value
                self.value(body)
            return True
        before = self._calls.layer_calls
        self._names[name] = 1  # to see whether the body adds layers
        self.value(body)
        if self._calls.layer_calls != before:
            message = "is known only to R, and the loop adds layers"
            remedy = "Write the values out: for (units in c(64, 32))."
            raise RMistake(message, values.range, remedy)
        return UnknownValue()

    # --- names --------------------------------------------------------------------------------

    def _assign(self, name: str, value: Any) -> Any:
        if not name:
            return UnknownValue()
        python = python_name(name)
        self._names[name] = value
        match value:
            case UnknownValue():
                self._names[name] = UnknownValue(python, value.replacement)
            case RTensor(path=(), call=named) | (KerasObject() | RModel() | RClosure() as named):
                named.variable = named.variable or python
        return value

    def _unpack(self, targets: Any, value: Any, span: TextRange) -> Any:
        """``c(a, b) %<-% x``, from the package zeallot."""
        has_items = isinstance(value, RVector | RTensor)
        for number, arg in enumerate(targets.args if isinstance(targets, RCall) else (), 1):
            if isinstance(arg.value, RName):
                name = arg.value.text
                part = get_item(value, number, span) if has_items else None
                self._names[name] = part or UnknownValue(python_name(name))
            elif isinstance(arg.value, RCall):
                self._unpack(arg.value, None, span)
        if has_items:
            return value
        return UnknownValue("", value.replacement if isinstance(value, UnknownValue) else "")

    # --- pipes and calls ----------------------------------------------------------------------

    def _model_value(self, node: RNode | None) -> Any:
        """The value of a pipe's beginning, or of a method's owner."""
        return self.value(node)

    def _pipe(self, node: RCall) -> Any:
        pipes: list[Any] = [node]
        while pipes[-1].syntax[1].syntax[:1] == ("%>%",):
            pipes.append(pipes[-1].syntax[1])
        value = self._model_value(pipes[-1].syntax[1])
        for pipe in reversed(pipes):
            _, left, step = pipe.syntax
            value = self._piped(CallArg(value, None, left.range), step)
        return value

    def _piped(self, left: CallArg, right: RNode) -> Any:
        if isinstance(right, RCall) and not right.syntax:
            return self._call(right, [left])
        name = right.text if isinstance(right, RName) else ""
        if name and self._is_notebook_layer(name) and accepts_layer(left.value):
            return self._calls.apply(UnknownValue(python_name(name)), [left], right.range)
        if name or right.syntax[:1] == ("$",):
            return self._call(RCall(right, (), range=right.range), [left])
        if right.syntax[:1] == ("{",):  # magrittr's x %>% {f(a, .)}
            return self._value_with({**self._names, ".": left.value}, right)
        if isinstance(right, RFunction) or isinstance(left.value, UnknownValue):
            return UnknownValue()
        raise RMistake("cannot follow a pipe", right.range)

    def _is_notebook_layer(self, name: str) -> bool:
        """Whether a name means nothing here, so that it must be a layer of the notebook."""
        is_known = name in self._names or name in BASE_FUNCTIONS or is_keras_name(name)
        return not (is_known or unsupported.replacement(name) or suggest_layer(name))

    def _call(self, node: RCall, piped: list[CallArg]) -> Any:
        function, args = node.function, self._args(node.args, piped)
        span = TextRange(function.range.start, node.range.end)
        if function.syntax[:1] == ("$",):
            _, of, method = function.syntax
            owner = self._model_value(of)
            is_model = isinstance(owner, RModel)
            return self._calls.method(owner, method.value, args) if is_model else UnknownValue()
        if isinstance(function, RName) and function.text not in self._names:
            return self._named_call(function, args, span)
        called = self.value(function)
        if isinstance(called, RClosure):
            return self._call_closure(called, args, span)
        is_applicable = isinstance(called, KerasObject | RModel | UnknownValue)
        if is_applicable and args and accepts_layer(args[0].value):
            return self._calls.apply(called, args, span)
        return UnknownValue()

    def _named_call(self, function: RName, args: list[CallArg], span: TextRange) -> Any:
        name = function.text
        if name == "return":
            raise ReturnedValue(args[0].value if args else None)
        if name == "keras_available":
            return True
        if name in BASE_FUNCTIONS:
            return call_base_function(name, args, span)
        value = self._calls.call(name, args, span)
        if value is not None:
            return value
        replacement = unsupported.replacement(name, args, self._calls.model_name)
        if replacement:
            return UnknownValue("", replacement)
        if unsupported.is_callback(name):
            return KerasObject(name, args, span)
        if args and accepts_layer(args[0].value):
            nearest = suggest_layer(name)
            if nearest or tensors(args[0].value):
                remedy = "Write a layer of the notebook without parentheses: x %>% name."
                raise not_a_layer(function.range, nearest or remedy)
            return UnknownValue()
        if name.startswith("layer_"):
            raise not_a_layer(function.range, suggest_layer(name))
        values = [arg.value for arg in args]
        if any(isinstance(value, KerasObject) and is_layer_name(value.name) for value in values):
            remedy = f"In R, write {name.replace('.', '$')}(...)." if "." in name else ""
            raise RMistake("is not a function that accepts a layer", function.range, remedy)
        return UnknownValue("", "", name)

    def _args(self, args: Iterable[RArg], piped: list[CallArg]) -> list[CallArg]:
        """The arguments, with the piped value first, or in place of a dot or ``_``."""
        given: list[CallArg] = []
        before = piped
        for arg in args:
            if piped and arg.value in (RName("."), RName("_")):
                given.append(CallArg(piped[0].value, arg.name, arg.range))
                before = []
            elif arg.value is not None:
                given.append(CallArg(self.value(arg.value), arg.name, arg.range))
        return [*before, *given]

    def _call_closure(self, closure: RClosure, args: list[CallArg], span: TextRange) -> Any:
        """Call a function that the script defines."""
        if self._depth >= _MAX_CALLS:
            raise RMistake("calls itself without end", span)
        params = [param.name or _variable(param.value) for param in closure.node.params]
        defaults = self._args([param for param in closure.node.params if param.name], [])
        names = closure.names | {str(arg.name): arg.value for arg in defaults}
        names |= {name: arg.value for name, arg in bind_args(params, args).items()}
        try:
            return self._value_with(names, closure.node.body)
        except ReturnedValue as result:
            return result.value

    def _value_with(self, names: dict[str, Any], node: RNode) -> Any:
        """The value of an expression with these variables."""
        outer, self._names = self._names, names
        self._depth += 1
        try:
            return self.value(node)
        finally:
            self._names = outer
            self._depth -= 1


def _assigned_name(statement: RNode) -> str:
    """The variable that a statement assigns, or ""."""
    return _variable(statement.syntax[1]) if statement.syntax[:1] == ("<-",) else ""


def _variable(target: Any) -> str:
    match target:
        case RName(text) | RConstant(value=str(text)):
            return text
    return ""


# --- Keras's functions ------------------------------------------------------------------------

_SEQUENTIAL = ("Sequential", "keras_model_sequential")
_FUNCTIONAL = ("keras_model", "Model")
_INPUTS = ("layer_input", "keras_input", "Input")
_METHODS = ("compile", "keras_compile", "freeze_weights", "pop_layer")
_TENSOR_PARAMETERS = ("object", "inputs", "x")
_ADD_A_LAYER = "Add a layer: mod$add(Dense(units = 50))."
_INPUT_PARAMETERS = frozenset(
    {"shape", "batch_shape", "batch_input_shape", "dtype", "batch_size", "name"}
    | {"input_shape", "input_batch_shape", "input_dtype", "input_batch_size"}
)


class ModelCalls:
    """Does what Keras's functions do in R.

    Attributes:
        layer_calls: How often a layer was added or applied.
    """

    def __init__(self, note: Note, model_name: str) -> None:
        self._note, self.model_name = note, model_name
        self.models: list[RModel] = []
        self.layer_calls = 0

    def call(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        """What a function returns; None if it is none of Keras's."""
        first = args[0].value if args else None
        if name in _SEQUENTIAL:
            return self._sequential(args, span)
        if name in _FUNCTIONAL:
            return self._functional(args, span)
        if name in _INPUTS:
            return RTensor(RLayerCall(self._input(args, span), span))
        if isinstance(first, RModel) and name in _METHODS:
            return self.method(first, name.removeprefix("keras_"), args[1:])
        if not is_keras_name(name):
            return None
        if not is_layer_name(name):
            return KerasObject(name, args, span)
        return self._layer(name, args, span)

    def _layer(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        layer = KerasObject(name, args, span)
        target = next((arg for arg in args if arg.name in _TENSOR_PARAMETERS), None)
        if target is None and args and args[0].name is None:
            target = args[0]
        if target is None or not accepts_layer(target.value):
            return layer
        if isinstance(target.value, RModel) and target.value.inputs is not None:
            remedy = "Apply the layer to its output: model$output %>% ..."
            raise RMistake("cannot be added to a functional model", span, remedy)
        given = [arg for arg in args if arg is not target and tensors(arg.value)]
        layer.args = [arg for arg in args if arg is not target and arg not in given]
        return self.apply(layer, [replace(target, name=None), *given], span)

    def method(self, model: RModel, name: str, args: list[CallArg]) -> Any:
        """``mod$add(...)`` and the like."""
        if name == "add":
            for arg in args[:1]:
                self._add(model, arg.value, arg.range)
            return model
        if name == "compile":
            model.compiled = args
            return model
        if name in ("pop", "pop_layer") and model.layers:
            model.layers.pop()
            return model
        if name == "freeze_weights":
            return UnknownValue("", "Add a line `freeze` to the text: it freezes the layers above.")
        return UnknownValue("", unsupported.replacement(name, args, self.model_name))

    def apply(self, layer: Any, args: list[CallArg], span: TextRange) -> Any:
        """A layer or model in a variable, applied: ``encoder(x)``, ``x %>% encoder``."""
        first = args[0].value
        if isinstance(first, RModel):
            return self._add(first, layer, span)
        self.layer_calls += 1
        inputs = [tensor for arg in args if arg.name is None for tensor in tensors(arg.value)]
        return RTensor(RLayerCall(layer, span, inputs, [arg for arg in args if arg.name]))

    # --- models -------------------------------------------------------------------------------

    def _sequential(self, args: list[CallArg], span: TextRange) -> RModel:
        model = RModel(span)
        self.models.append(model)
        shapes = [arg for arg in args if arg.name and arg.name not in ("layers", "name")]
        for arg in args:
            if arg in shapes or arg.name == "name":
                continue
            value = arg.value
            if isinstance(value, RVector | KerasObject | RModel) and not _is_shape(value):
                for layer in value if isinstance(value, RVector) else [value]:
                    self._add(model, layer, arg.range)
            elif value is not None:
                shapes.append(CallArg(value, "input_shape", arg.range))
        if shapes:
            model.shape = self._input(shapes, span)
        return model

    def _functional(self, args: list[CallArg], span: TextRange) -> RModel:
        bound = bind_args(("inputs", "outputs"), args)
        ends: list[list[RTensor]] = []
        for name in ("inputs", "outputs"):
            arg = bound.get(name, CallArg(None, name, span))
            ends.append(tensors(arg.value))
            if not ends[-1]:
                remedy = "Pass inputs from layer_input(), and outputs of layers applied to them."
                raise RMistake(f"has no {name}", arg.range, remedy)
        model = RModel(span, inputs=ends[0], outputs=ends[1])
        self.models.append(model)
        return model

    def _input(self, args: list[CallArg], span: TextRange) -> ModelInput:
        known = [arg for arg in args if arg.name is None or arg.name in _INPUT_PARAMETERS]
        for arg in args:
            if arg not in known and arg.value is not None and arg.value is not False:
                self._note(f"{arg.name} of an input is not supported; omitted", arg.range)
        model_input = read_input(known, span)
        if model_input is None:
            remedy = "Pass the shape without the batch size: shape = c(28, 28, 1)."
            raise RMistake("has no shape", span, remedy)
        return model_input

    def _add(self, model: RModel, layer: Any, span: TextRange) -> RModel:
        if isinstance(layer, RTensor) and isinstance(layer.call.layer, ModelInput):
            model.shape = layer.call.layer
            return model
        if isinstance(layer, KerasObject) and not is_layer_name(layer.name):
            raise RMistake("is not a layer", layer.range, _ADD_A_LAYER)
        if not isinstance(layer, KerasObject | RModel) and not getattr(layer, "python", ""):
            called = getattr(layer, "function", "")
            remedy = suggest_layer(called) if called else _ADD_A_LAYER
            raise RMistake("is not a layer", span, remedy)
        if isinstance(layer, RModel) and model in models_in(layer):
            raise RMistake("is added to itself", span)
        self.layer_calls += 1
        model.layers.append(layer)
        return model


def _is_shape(value: Any) -> bool:
    return isinstance(value, RVector) and all(
        item is None or isinstance(item, int) for item in value
    )
