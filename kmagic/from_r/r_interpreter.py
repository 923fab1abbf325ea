"""Runs an R script as far as its models need it, and collects them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kmagic.from_r import unsupported
from kmagic.from_r.model_calls import NOT_KERAS, ModelCalls
from kmagic.from_r.r_arguments import AlreadyReported, not_a_layer
from kmagic.from_r.r_names import is_keras_name, is_layer_name, suggest_layer
from kmagic.from_r.r_parser import (
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
    FailedValue,
    FunctionName,
    KerasObject,
    RClosure,
    RModel,
    RTensor,
    RVector,
    UnknownValue,
    accepts_layer,
    apply_operator,
    call_base_function,
    get_item,
    python_name,
    tensors,
)

_MAX_CALLS = 50


@dataclass(frozen=True, slots=True)
class OtherStatement:
    """A statement that is not part of a model, and what to do about it here."""

    range: TextRange
    replacement: str


@dataclass(slots=True)
class ScriptResult:
    """The models, other statements and mistakes of a script, each in its order."""

    models: list[RModel] = field(default_factory=list)
    others: list[OtherStatement] = field(default_factory=list)
    mistakes: list[RMistake] = field(default_factory=list)


class _Return(Exception):  # noqa: N818 - R's return() as control flow
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Interpreter:
    """Evaluates R code; what depends on data becomes an ``UnknownValue``."""

    def __init__(self, calls: ModelCalls) -> None:
        self._calls = calls
        self._names: dict[str, Any] = {"T": True, "F": False, "pi": 3.141592653589793}
        self._depth = 0

    def run(self, statements: tuple[RNode, ...]) -> ScriptResult:
        """Run the statements; a mistake ends only its own statement."""
        result = ScriptResult(models=self._calls.models)
        for statement in statements:
            self._run(statement, result)
        return result

    def _run(self, statement: RNode, result: ScriptResult) -> None:
        try:
            nested = self._nested_statements(statement)
            if nested is None:
                self._collect_other(statement, self.value(statement), result)
        except RMistake as mistake:
            result.mistakes.append(mistake)
            self._fail(statement)
        except (AlreadyReported, _Return):
            self._fail(statement)
        else:
            for inner in nested or ():
                self._run(inner, result)

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

    def _fail(self, statement: RNode) -> None:
        name = _assigned_name(statement)
        if name:
            self._bind(name, FailedValue())

    @staticmethod
    def _collect_other(statement: RNode, value: Any, result: ScriptResult) -> None:
        variable = python_name(_assigned_name(statement))
        if isinstance(value, FailedValue) or isinstance(statement, RName | RConstant):
            return
        if isinstance(value, UnknownValue) or (value is None and not variable):
            known = value.replacement if isinstance(value, UnknownValue) else ""
            text = known or unsupported.other_replacement(variable)
            result.others.append(OtherStatement(statement.range, text))

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
                return self._member(self.value(owner), name, node.range)
            case "{", *body:
                return [None, *map(self.value, body)][-1]
            case "if", test, *branches:
                return self._if(test, branches)
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
        return value if sign == "+" or isinstance(value, FailedValue) else UnknownValue()

    def _index(self, owner: Any, node: RCall) -> Any:
        args = node.args[1:]
        inside = [self.value(arg.value) for arg in args if arg.value is not None]
        if isinstance(owner, RTensor) and len(inside) == 1:
            if isinstance(inside[0], int):
                return RTensor(owner.call, (*owner.path, inside[0] - 1))
            if isinstance(inside[0], RVector):
                parts = [RTensor(owner.call, (*owner.path, number - 1)) for number in inside[0]]
                return RVector("list", [(None, part) for part in parts])
        if len(inside) != 1 or len(args) != 1:
            return UnknownValue()
        return get_item(owner, inside[0], node.range)

    @staticmethod
    def _member(owner: Any, name: str, span: TextRange) -> Any:
        if isinstance(owner, RVector):
            return get_item(owner, name, span)
        if isinstance(owner, UnknownValue) and owner.python and name.isidentifier():
            return UnknownValue(f"{owner.python}.{name}")
        if isinstance(owner, RModel) and name in ("output", "input") and not owner.is_stack:
            ends = owner.outputs if name == "output" else owner.inputs
            return ends[0] if ends else UnknownValue()
        return UnknownValue()

    def _if(self, test: RNode, branches: list[RNode]) -> Any:
        known = self.value(test)
        if isinstance(known, bool):
            return [None, *map(self.value, branches[:1] if known else branches[1:])][-1]
        before = self._calls.layer_calls
        for branch in branches:
            with suppress(_Return):
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
            return value if isinstance(value, FailedValue) else UnknownValue()
        is_unknown = isinstance(value, UnknownValue) and not isinstance(value, FailedValue)
        self._bind(
            name, UnknownValue(python_name(name), value.replacement) if is_unknown else value
        )
        return value

    def _bind(self, name: str, value: Any) -> None:
        self._names[name] = value
        python = python_name(name)
        if isinstance(value, RTensor) and not value.path and not value.call.variable:
            value.call.variable = python
        if isinstance(value, KerasObject | RModel | RClosure) and not value.variable:
            value.variable = python

    def _unpack(self, targets: Any, value: Any, span: TextRange) -> Any:
        """``c(a, b) %<-% x``, from the package zeallot."""
        for index, arg in enumerate(targets.args if isinstance(targets, RCall) else ()):
            if isinstance(arg.value, RName):
                part = None
                if isinstance(value, RVector):
                    part = get_item(value, index + 1, span)
                if isinstance(value, RTensor):
                    part = RTensor(value.call, (*value.path, index))
                name = arg.value.text
                self._names[name] = part or UnknownValue(python_name(name))
            elif isinstance(arg.value, RCall):
                self._unpack(arg.value, None, span)
        if isinstance(value, RVector | RTensor):
            return value
        return UnknownValue("", value.replacement if isinstance(value, UnknownValue) else "")

    # --- pipes and calls ----------------------------------------------------------------------

    def _model_value(self, node: RNode | None) -> Any:
        """The value of a pipe's beginning, or of a method's owner."""
        return self.value(node)

    def _pipe(self, node: RCall) -> Any:
        steps: list[RNode] = []
        first: Any = node
        while first.syntax[:1] == ("%>%",):
            _, first, step = first.syntax
            steps.append(step)
        span, value = first.range, self._model_value(first)
        for step in reversed(steps):
            value = self._piped(CallArg(value, None, span), step)
            span = TextRange(span.start, step.range.end)
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
            outer = self._names
            self._names = {**outer, ".": left.value}
            try:
                return self.value(right)
            finally:
                self._names = outer
        if isinstance(right, RFunction) or isinstance(left.value, UnknownValue):
            return UnknownValue()
        raise RMistake("cannot follow a pipe", right.range)

    def _is_notebook_layer(self, name: str) -> bool:
        """Whether a name means nothing here, so that it must be a layer of the notebook."""
        is_known = name in self._names or name in BASE_FUNCTIONS or is_keras_name(name)
        return not is_known and not unsupported.is_unsupported(name) and not suggest_layer(name)

    def _call(self, node: RCall, piped: list[CallArg]) -> Any:
        function = node.function
        span = TextRange(function.range.start, node.range.end)
        if function.syntax[:1] == ("$",):
            _, of, method = function.syntax
            owner = self._model_value(of)
            args = [*piped, *self._args(node.args)]
            if isinstance(owner, RModel):
                return self._calls.method(owner, method.value, args)
            return FailedValue() if isinstance(owner, FailedValue) else UnknownValue()
        if isinstance(function, RName) and function.text not in self._names:
            return self._named_call(function, node, piped, span)
        called = self.value(function)
        if isinstance(called, RClosure):
            return self._call_closure(called, [*piped, *self._args(node.args)], span)
        args = self._args_with_piped(node.args, piped)
        is_applicable = isinstance(called, KerasObject | RModel | UnknownValue)
        if is_applicable and args and accepts_layer(args[0].value):
            return self._calls.apply(called, args, span)
        return called if isinstance(called, FailedValue) else UnknownValue()

    def _named_call(
        self, function: RName, node: RCall, piped: list[CallArg], span: TextRange
    ) -> Any:
        name = function.text
        if name == "return":
            args = self._args(node.args)
            raise _Return(args[0].value if args else None)
        if name == "keras_available":
            return True
        if unsupported.is_import(name):
            return UnknownValue("", unsupported.replacement(name, [], self._calls.model_name))
        args = self._args_with_piped(node.args, piped)
        if name in BASE_FUNCTIONS:
            return call_base_function(name, args, span)
        value = self._calls.call(name, args, span)
        if value is not NOT_KERAS:
            return value
        if unsupported.is_unsupported(name):
            return UnknownValue("", unsupported.replacement(name, args, self._calls.model_name))
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
        if any(isinstance(value, FailedValue) for value in values):
            return FailedValue()
        if any(isinstance(value, KerasObject) and is_layer_name(value.name) for value in values):
            remedy = f"In R, write {name.replace('.', '$')}(...)." if "." in name else ""
            raise RMistake("is not a function that accepts a layer", function.range, remedy)
        return UnknownValue("", "", name)

    def _args_with_piped(self, args: tuple[RArg, ...], piped: list[CallArg]) -> list[CallArg]:
        """The arguments, with the piped value first, or in place of a dot or ``_``."""
        dots = [arg for arg in args if arg.value in (RName("."), RName("_"))]
        if not piped or not dots:
            return [*piped, *self._args(args)]
        return [
            CallArg(piped[0].value, arg.name, arg.range) if arg in dots else self._args((arg,))[0]
            for arg in args
            if arg.value is not None
        ]

    def _args(self, args: tuple[RArg, ...]) -> list[CallArg]:
        return [
            CallArg(self.value(arg.value), arg.name, arg.range)
            for arg in args
            if arg.value is not None
        ]

    def _call_closure(self, closure: RClosure, args: list[CallArg], span: TextRange) -> Any:
        """Call a function that the script defines."""
        self._depth += 1
        if self._depth > _MAX_CALLS:
            raise RMistake("calls itself without end", span)
        outer, inner = self._names, dict(closure.names)
        free = []
        for param in closure.node.params:
            name = param.name or (param.value.text if isinstance(param.value, RName) else "")
            if param.name is not None and param.value is not None:
                inner[name] = self.value(param.value)
            free.append(name)
        for arg in args:
            if arg.name in free:
                free.remove(str(arg.name))
                inner[str(arg.name)] = arg.value
        positional = [arg.value for arg in args if arg.name is None]
        self._names = inner | dict(zip(free, positional, strict=False))
        try:
            return self.value(closure.node.body)
        except _Return as result:
            return result.value
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
