"""Runs an R script as far as its models need it, and collects them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kmagic.from_r import r_values, unsupported
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
from kmagic.from_r.r_values import CallArg, KerasObject, RClosure, RModel, RVector, UnknownValue

_MAX_DEPTH = 140
"""How deeply expressions and calls of the script's functions may be nested."""
_MAX_STEPS = 100_000
_MAX_ITERATIONS = 2_000
_MAX_LAYERS = 10_000
_FAILED = object()
"""The value of a variable whose statement contains a mistake."""


class _AlreadyReported(Exception):  # noqa: N818 - ends a statement without a mistake of its own
    pass


class ControlFlow(Exception):  # noqa: N818 - no error
    """R's ``return(value)``, ``break`` and ``next``."""

    def __init__(self, keyword: str, value: Any = None) -> None:
        super().__init__()
        self.keyword, self.value = keyword, value


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
        self._names = r_values.Names({"T": True, "F": False, "pi": 3.141592653589793})
        self._depth = self._steps = 0
        self._exit: tuple[TextRange, int] | None = None
        self._closures: list[RClosure] = []
        self._called: set[RClosure] = set()
        self._used: list[Any] = []
        self._others: dict[TextRange, str] = {}
        self.mistakes: list[RMistake] = []

    @property
    def others(self) -> list[tuple[TextRange, str]]:
        """What is not part of a model: statements, arguments, unused layers and functions."""
        others = list(self._others.items())
        used = r_values.used_by([*self.models, *self._used])
        for item in (*self._calls.created, *self._closures):
            span = item.node.range if isinstance(item, RClosure) else item.range
            inside = any(other.start <= span.start and span.end <= other.end for other, _ in others)
            if item not in used and not inside and item not in self._called:
                others.append((span, _UNUSED.get(type(item), "Not used by a model.")))
        return others

    def run(self, statements: Iterable[RNode]) -> None:
        """Run the statements; a mistake ends only its own statement."""
        for statement in statements:
            try:
                nested = self._nested_statements(statement)
                if nested is None:
                    self._collect_other(statement, self.value(statement))
                self._check_exit(None)
            except (RMistake, _AlreadyReported, ControlFlow) as end:
                if isinstance(end, RMistake):
                    self.mistakes.append(end)
                self._names[_assigned_name(statement)] = _FAILED
            else:
                self.run(nested or ())

    def _nested_statements(self, statement: RNode) -> list[RNode] | None:
        """The statements of a block, or of the branch of an ``if`` whose test is known."""
        match statement.syntax:
            case "if", test, *branches:
                known = self._truth(self.value(test))
                chosen = branches[:1] if known else branches[1:]
                return chosen if known is not None else None
            case "{", *body:
                return body
        return None

    @staticmethod
    def _truth(value: Any) -> bool | None:
        """Whether a condition is true; None if only R knows."""
        return bool(value) if isinstance(value, int | float) else None

    def _collect_other(self, statement: RNode, value: Any) -> None:
        """List a statement whose value nothing uses, and that does nothing for a model."""
        while statement.syntax[:1] == ("{",) and len(statement.syntax) > 1:
            statement = statement.syntax[-1]
        variable = r_values.python_name(_assigned_name(statement))
        is_if = statement.syntax[:1] == ("if",)
        if isinstance(statement, RName | RConstant) or (value is None and (variable or is_if)):
            return
        if isinstance(value, UnknownValue | None):
            create = f"Create {variable} in a Python cell or with %keras_data."
            text = create if variable else "Do this in a Python cell."
            text = getattr(value, "replacement", "") or text
            text = text.replace(unsupported.VARIABLE, variable or self._calls.model_name)
            self._others.setdefault(statement.range, text)

    # --- values -------------------------------------------------------------------------------

    def value(self, node: RNode | None) -> Any:
        """The value of an expression."""
        self._depth += 1
        try:
            if isinstance(node, RCall) and self._depth > _MAX_DEPTH:
                raise RMistake("is nested too deeply, or calls itself without end", node.range)
            value = self._value(node)
        finally:
            self._depth -= 1
        self._steps += 1 + (value.size if isinstance(value, RVector) else 0) // 10
        if node is not None and self._steps > _MAX_STEPS:
            remedy = f"Simplify the code: the limit is {_MAX_STEPS:,} steps."
            raise RMistake("takes too many steps to follow", node.range, remedy)
        return value

    def _value(self, node: RNode | None) -> Any:
        match node:
            case RConstant():
                return node.value
            case RName():
                return self._named(node)
            case RFunction():
                closure = RClosure(node, self._names)
                self._closures.append(closure)
                return closure
            case RCall() if node.syntax:
                return self._syntax(node)
            case RCall():
                return self._call(node, [])
        return None

    def _syntax(self, node: RCall) -> Any:
        """The value of an operator or of control flow."""
        match node.syntax:
            case ("<-" | "<<-") as sign, target, value:
                is_outer = sign == "<<-" and len(self._names.maps) > 1
                names = self._names.parents if is_outer else self._names
                return self._assign(target, self.value(value), names)
            case "%<-%", targets, value:
                return self._unpack(targets, self.value(value), node.range)
            case "{" | "if", *operands:
                nested = self._nested_statements(node)
                return self._unknown_if(*operands) if nested is None else self._block(nested)
            case "for", RName(name), values, body:
                return self._for(name, values, body)
            case "while", test, body:
                return self._while(test, body)
            case ("break" | "next") as keyword, *_:
                raise ControlFlow(keyword)
            case sign, operand if sign != "[":
                return self._prefix(sign, self.value(operand), node.range)
        return self._operators(node)

    def _operators(self, node: RCall) -> Any:
        """The value of an operator and of those in its left operand, however many they are."""
        operators = [node]
        while isinstance(left := operators[-1].syntax[1], RCall) and _is_operator(left):
            operators.append(left)
        is_pipe = operators[-1].syntax[0] in ("%>%", "%T>%")
        value = self._model_value(left) if is_pipe else self.value(left)
        for operator in reversed(operators):
            match operator.syntax:
                case "%>%", left, step:
                    value = self._piped(CallArg(value, None, left.range), step)
                case "%T>%", left, step:
                    self._piped(CallArg(value, None, left.range), step)
                case "[", *_:
                    value = self._index(value, operator)
                case "$", _, RConstant(value=str(name)):
                    names = [key for key, _ in getattr(value, "items", ()) if key]
                    longer = [key for key in names if key.startswith(name)]
                    if name not in names and len(longer) == 1:  # R completes it
                        name = longer[0]
                    value = r_values.get_item(value, name, operator.range)
                case sign, _, right:
                    value = r_values.apply_operator(sign, value, self.value(right), operator.range)
                case _:
                    value = UnknownValue()
        return value

    def _block(self, statements: list[RNode]) -> Any:
        """Run the statements of a block or branch; the last one's value."""
        value: Any = None
        for number, statement in enumerate(statements, 1):
            value = self.value(statement)
            if number < len(statements):
                self._collect_other(statement, value)
        return value

    def _named(self, node: RName) -> Any:
        if self._names.get(node.text) is _FAILED:
            raise _AlreadyReported
        if node.text in self._names:
            return self._names[node.text]
        if is_keras_name(node.text):
            return r_values.FunctionName(node.text)
        return UnknownValue(r_values.python_name(node.text))

    @staticmethod
    def _prefix(sign: str, value: Any, span: TextRange) -> Any:
        if sign == "-" and isinstance(value, RVector | int | float):
            return r_values.apply_operator("*", value, -1, span)
        if sign == "!" and isinstance(value, bool):
            return not value
        return value if sign == "+" else UnknownValue()

    def _index(self, owner: Any, node: RCall) -> Any:
        args = node.args[1:]
        inside = [self.value(arg.value) for arg in args if arg.value is not None]
        if len(inside) != 1 or (len(args) != 1 and not isinstance(owner, r_values.RTensor)):
            return UnknownValue()
        return r_values.get_item(owner, inside[0], node.range)

    def _unknown_if(self, test: RNode, *branches: RNode) -> UnknownValue:
        mistake = RMistake(_UNKNOWN_TEST, test.range, _KEEP_LINES)
        for branch in branches:
            before = self._state()
            try:
                self._collect_other(branch, self.value(branch))
            except ControlFlow:
                self._exit = self._exit or (test.range, self._calls.layer_calls)
            self._forget_since(before, mistake)
        return UnknownValue()

    def _state(self) -> tuple[int, dict[str, Any]]:
        return self._calls.layer_calls, dict(self._names)

    def _forget_since(self, state: tuple[int, dict[str, Any]], mistake: RMistake) -> None:
        """What was run since a state may run in R or not: the variables changed are unknown.

        Raises:
            RMistake: The given one, if layers were added.
        """
        layer_calls, names = state
        if self._calls.layer_calls != layer_calls:
            raise mistake
        self._forget_changes(names)

    def _forget_changes(self, names: dict[str, Any]) -> None:
        for name, value in self._names.items():
            if name not in names or names[name] is not value:
                scope = next(scope for scope in self._names.maps if name in scope)
                scope[name] = UnknownValue(r_values.python_name(name))

    def _check_exit(self, outer: tuple[TextRange, int] | None) -> bool:
        """Whether an ``if`` that only R can evaluate ends what has just been run.

        Raises:
            RMistake: Layers were added after it.
        """
        left, self._exit = self._exit, outer
        if left is not None and left[1] != self._calls.layer_calls:
            raise RMistake(_UNKNOWN_TEST, left[0], _KEEP_LINES)
        return left is not None

    def _for(self, name: str, values: RNode, body: RNode) -> Any:
        known = self.value(values)
        is_known = isinstance(known, RVector | int | float | str)
        items = known if isinstance(known, RVector) else [known]

        def passes() -> Iterator[bool]:
            for item in items:
                self._names[name] = item if is_known else UnknownValue(r_values.python_name(name))
                yield is_known

        reason = getattr(known, "reason", "is not a vector")
        remedy = "Write the values out: for (units in c(64, 32))."
        mistake = RMistake(f"{reason}, and the loop adds layers", values.range, remedy)
        return self._loop(passes(), body, mistake)

    def _while(self, test: RNode, body: RNode) -> Any:
        def passes() -> Iterator[bool]:
            for number in range(1, _MAX_ITERATIONS + 1):
                known = self._truth(self.value(test))
                if known is False:
                    return
                yield known is not None and number < _MAX_ITERATIONS

        message = "is not known to end the loop, which adds layers"
        remedy = "Write how often it runs: for (i in 1:3)."
        return self._loop(passes(), body, RMistake(message, test.range, remedy))

    def _loop(self, passes: Iterable[bool], body: RNode, mistake: RMistake) -> Any:
        """Run the body for each pass, up to the first one that may not take place in R."""
        before, exit_before = self._state(), self._exit
        for is_known in passes:
            try:
                self._collect_other(body, self.value(body))
            except ControlFlow as end:
                if end.keyword == "return":
                    raise
                if end.keyword == "break":
                    return True
            if self._exit is not None and self._exit is not exit_before:
                mistake = RMistake(_UNKNOWN_TEST, self._exit[0], _KEEP_LINES)
                is_known = False  # noqa: PLW2901 - an exit that R alone can decide
            if not is_known:
                self._forget_since(before, mistake)
                return UnknownValue()
        return True

    # --- names --------------------------------------------------------------------------------

    def _assign(self, target: RNode, value: Any, names: r_values.Names) -> Any:
        """Assign to a variable of the function that runs, or with ``<<-`` around it."""
        name = _variable(target)
        if not name:
            return self._assign_part(target, value, names)
        scopes = names.maps if names is not self._names else names.maps[:1]
        scope = next((scope for scope in scopes if name in scope), scopes[-1])
        scope[name] = value
        match value:
            case UnknownValue():
                python = r_values.python_name(name)
                scope[name] = UnknownValue(python, value.replacement, reason=value.reason)
            case r_values.RTensor(path=(), call=named) | (
                KerasObject() | RModel() | RClosure() as named
            ):
                named.variable = named.variable or r_values.python_name(name)
        return value

    def _assign_part(self, target: RNode, value: Any, names: r_values.Names) -> Any:
        """``units[2] <- 64``; what else is changed in part is unknown from then on."""
        self._used.append(value)
        root = target
        while len(root.syntax) > 1:
            root = root.syntax[1]
        known = names.get(_variable(root))
        match target.syntax, known:
            case ("[", RName(), index), RVector(items):
                number = self.value(index)
                if type(number) is int and 0 < number <= len(items) + 1:
                    name = items[number - 1][0] if number <= len(items) else None
                    changed = [*items[: number - 1], (name, value), *items[number:]]
                    return self._assign(root, r_values.vector(changed), names)
        if isinstance(known, RVector | int | float | str):
            self._assign(root, UnknownValue(), names)
        return UnknownValue()

    def _unpack(self, targets: Any, value: Any, span: TextRange) -> Any:
        """``c(a, b) %<-% x``, from the package zeallot."""
        has_items = isinstance(value, RVector | r_values.RTensor)
        for number, arg in enumerate(targets.args if isinstance(targets, RCall) else (), 1):
            if isinstance(arg.value, RName):
                unknown = UnknownValue(r_values.python_name(arg.value.text))
                part = r_values.get_item(value, number, span) if has_items else unknown
                self._names[arg.value.text] = part
            elif isinstance(arg.value, RCall):
                part = r_values.get_item(value, number, span) if has_items else None
                self._unpack(arg.value, part, span)
        if has_items:
            return value
        return UnknownValue("", value.replacement if isinstance(value, UnknownValue) else "")

    # --- pipes and calls ----------------------------------------------------------------------

    def _model_value(self, node: RNode | None) -> Any:
        return self.value(node)

    def _piped(self, left: CallArg, right: RNode) -> Any:
        if isinstance(right, RCall) and not right.syntax:
            return self._call(right, [left])
        name = right.text if isinstance(right, RName) else ""
        if name and self._is_notebook_layer(name) and r_values.accepts_layer(left.value):
            return self._calls.apply(UnknownValue(r_values.python_name(name)), [left], right.range)
        if name or right.syntax[:1] == ("$",):
            return self._call(RCall(right, (), range=right.range), [left])
        if right.syntax[:1] == ("{",):  # magrittr's x %>% {f(a, .)}
            return self._value_with(self._names.new_child({".": left.value}), right)
        if isinstance(right, RFunction) or isinstance(left.value, UnknownValue):
            return UnknownValue()
        raise RMistake("cannot follow a pipe", right.range)

    def _is_notebook_layer(self, name: str) -> bool:
        """Whether a name means nothing here, so that it must be a layer of the notebook."""
        is_known = name in self._names or name in r_values.BASE_FUNCTIONS or is_keras_name(name)
        return not (is_known or unsupported.replacement(name).text or suggest_layer(name))

    def _call(self, node: RCall, piped: list[CallArg]) -> Any:
        self._steps += 10
        args = self._args(node.args, piped)
        value = self._result(node, args)
        closures = [arg.value for arg in args if isinstance(arg.value, RClosure)]
        self._used += closures
        if isinstance(value, UnknownValue):
            self._used += (arg.value for arg in args)  # what is said of the call is said of these
            for closure in closures:
                self._check_unknown_call(closure)
        return value

    def _result(self, node: RCall, args: list[CallArg]) -> Any:
        function = node.function
        span = TextRange(function.range.start, node.range.end)
        if function.syntax[:1] == ("$",):
            _, of, method = function.syntax
            owner = self._model_value(of)
            is_model = isinstance(owner, RModel)
            if not is_model:
                return UnknownValue()
            value = self._calls.method(owner, method.value, args, span)
            if value is not None:
                return value
            return self._replaced(method.value, [CallArg(owner, None, of.range), *args])
        if isinstance(function, RName) and function.text not in self._names:
            return self._named_call(function, args, span)
        called = self.value(function)
        if isinstance(called, RClosure):
            return self._call_closure(called, args)
        is_applicable = isinstance(called, KerasObject | RModel | UnknownValue)
        if is_applicable and args and r_values.accepts_layer(args[0].value):
            return self._calls.apply(called, args, span)
        return UnknownValue()

    def _named_call(self, function: RName, args: list[CallArg], span: TextRange) -> Any:
        name = function.text
        if name == "return":
            raise ControlFlow("return", args[0].value if args else None)
        if name == "keras_available":
            return True
        if name in r_values.BASE_FUNCTIONS:
            return r_values.call_base_function(name, args, span)
        if name in _MAPS or name == "do.call":
            return self._functional_call(name, args)
        value = self._calls.call(name, args, span)
        if value is not None:
            return value
        replaced = self._replaced(name, args)
        if replaced.replacement:
            return replaced
        if unsupported.is_callback(name):
            return self._calls.keras_object(name, args, span)
        if args and r_values.accepts_layer(args[0].value):
            nearest = suggest_layer(name)
            if nearest or r_values.tensors(args[0].value):
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

    def _functional_call(self, name: str, args: list[CallArg]) -> Any:
        """``lapply(values, f)`` and ``do.call(f, arguments)``, as far as both are known."""
        nothing = CallArg(None, None, TextRange())
        first, second, *_ = [*args, nothing, nothing]
        if name == "do.call":
            known = second.value.items if isinstance(second.value, RVector) else ()
            given = [CallArg(value, key, second.range) for key, value in known]
            return self._function_value(first, given) if given else UnknownValue()
        if not isinstance(first.value, RVector | int | float | str):
            return UnknownValue()
        items = first.value if isinstance(first.value, RVector) else [first.value]
        calls = ([CallArg(value, None, first.range), *args[2:]] for value in items)
        values = [self._function_value(second, each) for each in calls]
        if values and all(isinstance(value, UnknownValue) for value in values):
            return UnknownValue("", values[0].replacement)
        return r_values.vector((None, value) for value in values)

    def _function_value(self, function: CallArg, args: list[CallArg]) -> Any:
        """The result of a function that is passed as an argument."""
        if isinstance(function.value, RClosure):
            return self._call_closure(function.value, args)
        value = function.value
        name = getattr(value, "name", "") or getattr(value, "python", "") or value
        if isinstance(name, str):
            return self._named_call(RName(name, range=function.range), args, function.range)
        return UnknownValue()

    def _check_unknown_call(self, closure: RClosure) -> None:
        """Check that a function adds no layer to a model: only R knows whether it is called.

        Raises:
            RMistake: It does.
        """
        models, others, created = list(self.models), dict(self._others), list(self._calls.created)
        sizes = [len(model.layers) for model in models]
        names = dict(self._names)
        params = [param for param in closure.node.params if not param.name]
        with suppress(RMistake, _AlreadyReported, ControlFlow):
            self._call_closure(closure, [CallArg(UnknownValue(), None, p.range) for p in params])
        added = sizes != [len(model.layers) for model in models]
        for model, size in zip(models, sizes, strict=True):
            del model.layers[size:]
        if added:
            message = "adds layers, and only R knows how often it is called"
            raise RMistake(message, closure.node.range, "Write a loop: for (units in c(64, 32)).")
        self._forget_changes(names)
        self.models[:], self._others, self._calls.created[:] = models, others, created

    def _replaced(self, name: str, args: list[CallArg]) -> UnknownValue:
        replacement = unsupported.replacement(name, args, self._calls.model_name)
        for span, text in replacement.lost:
            self._others.setdefault(span, text)
        return UnknownValue("", replacement.text)

    def _args(self, args: Iterable[RArg], piped: list[CallArg]) -> list[CallArg]:
        """The arguments, with the piped value first, or in place of a dot or ``_``."""
        given: list[CallArg] = []
        before = piped
        for arg in args:
            if piped and arg.value in (RName("."), RName("_")):
                given.append(CallArg(piped[0].value, arg.name, arg.range))
                before = []
            elif arg.value == _DOTS:
                given += self._names.get("...", ())
            elif arg.value is not None:
                given.append(CallArg(self.value(arg.value), arg.name, arg.range))
        return [*before, *given]

    def _call_closure(self, closure: RClosure, args: list[CallArg]) -> Any:
        self._called.add(closure)
        params = [param.name or _variable(param.value) for param in closure.node.params]
        bound = r_values.bind_args([param for param in params if param != "..."], args)
        more = [arg for arg in args if arg not in bound.values()]
        if more and "..." not in params:
            remedy = f"Its parameters are: {', '.join(params)}." if params else "It has none."
            raise RMistake("is an argument that the function does not have", more[0].range, remedy)
        defaults = self._args([param for param in closure.node.params if param.name], [])
        names = closure.names.new_child({str(arg.name): arg.value for arg in defaults})
        names |= {name: arg.value for name, arg in bound.items()}
        names["..."] = more
        outer, self._exit = self._exit, None
        try:
            value = self._value_with(names, closure.node.body)
        except ControlFlow as result:
            if result.keyword != "return":
                raise
            value = result.value
        return UnknownValue() if self._check_exit(outer) else value

    def _value_with(self, names: r_values.Names, node: RNode) -> Any:
        outer, self._names = self._names, names
        try:
            return self.value(node)
        finally:
            self._names = outer


_DOTS = RName("...")
_MAPS = ("lapply", "sapply", "walk", "map")
_UNUSED = {
    RClosure: "Not called. Define it in a Python cell if you need it.",
    r_values.RLayerCall: "Not connected to an output of a model.",
}
_UNKNOWN_TEST = "is a condition that only R can evaluate, and the model depends on it"
_KEEP_LINES = "Keep only the lines that apply."
_ASSIGN = (("<-",), ("<<-",))
_CONTROL = frozenset({"<-", "<<-", "%<-%", "{", "if", "for", "while", "break", "next"})


def _is_operator(node: RCall) -> bool:
    """Whether a call is an operator after its first operand."""
    sign, *operands = node.syntax or ("",)
    return sign == "[" or (len(operands) > 1 and sign not in _CONTROL)


def _assigned_name(statement: RNode) -> str:
    """The variable that a statement assigns, or ""."""
    return _variable(statement.syntax[1]) if statement.syntax[:1] in _ASSIGN else ""


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
        self.created: list[KerasObject | r_values.RLayerCall] = []

    def call(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        """What a function returns; None if it is none of Keras's."""
        first = args[0].value if args else None
        if name in _SEQUENTIAL:
            return self._sequential(args, span)
        if name in _FUNCTIONAL:
            return self._functional(args, span)
        if name in _INPUTS:
            return r_values.RTensor(r_values.RLayerCall(self._input(args, span), span))
        if isinstance(first, RModel) and name in _METHODS:
            return self.method(first, name.removeprefix("keras_"), args[1:], span)
        if not is_keras_name(name):
            return None
        if not is_layer_name(name):
            return self.keras_object(name, args, span)
        return self._layer(name, args, span)

    def keras_object(self, name: str, args: list[CallArg], span: TextRange) -> KerasObject:
        """A layer, optimizer, callback ..."""
        created = KerasObject(name, args, span)
        if created.depth > r_values.MAX_DEPTH:
            raise RMistake(
                "is nested too deeply", span, f"The limit is {r_values.MAX_DEPTH} levels."
            )
        self.created.append(created)
        return created

    def _layer(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        layer = self.keras_object(name, args, span)
        target = next((arg for arg in args if arg.name in _TENSOR_PARAMETERS), None)
        if target is None and args and args[0].name is None:
            target = args[0]
        if target is None or not r_values.accepts_layer(target.value):
            return layer
        given = [arg for arg in args if arg is not target and r_values.tensors(arg.value)]
        layer.args = [arg for arg in args if arg is not target and arg not in given]
        return self.apply(layer, [replace(target, name=None), *given], span)

    def method(self, model: RModel, name: str, args: list[CallArg], span: TextRange) -> Any:
        """``mod$add(...)`` and the like; None for what is not part of a model."""
        if name == "compile":
            model.compiled = args
            return model
        if name == "add" and args:
            self._add(model, args[0].value, args[0].range)
        elif name in ("pop", "pop_layer") and model.layers:
            model.layers.pop()
            self.layer_calls += 1
        elif name == "freeze_weights":
            self._note("add a line `freeze` to the text: it freezes the layers above", span)
        else:
            return None
        for arg in args[1:] if name == "add" else args:
            if not isinstance(arg.value, RModel):
                self._note(f"{arg.name or 'an argument'} of {name} is not translated", arg.range)
        return model

    def apply(self, layer: Any, args: list[CallArg], span: TextRange) -> Any:
        """A layer or model in a variable, applied: ``encoder(x)``, ``x %>% encoder``."""
        first = args[0].value
        if isinstance(first, RModel):
            if len(args) > 1:
                remedy = "Create the layer in a Python cell, and write its name: x %>% name."
                raise RMistake("is not translated for a layer in a variable", args[1].range, remedy)
            return self._add(first, layer, span)
        self._count_layer(span)
        inputs = [
            tensor for arg in args if arg.name is None for tensor in r_values.tensors(arg.value)
        ]
        for arg in args:
            if arg.name is None and arg.value is not None and not r_values.tensors(arg.value):
                remedy = "Pass it by name: layer(x, training = TRUE)."
                raise RMistake("is not the output of a layer", arg.range, remedy)
        call = r_values.RLayerCall(layer, span, inputs, [arg for arg in args if arg.name])
        self.created.append(call)
        return r_values.RTensor(call)

    def _count_layer(self, span: TextRange) -> None:
        self.layer_calls += 1
        if self.layer_calls > _MAX_LAYERS:
            raise RMistake(f"is more than {_MAX_LAYERS:,} layers", span, "Use fewer layers.")

    # --- models -------------------------------------------------------------------------------

    def _sequential(self, args: list[CallArg], span: TextRange) -> RModel:
        model = RModel(span)
        self.models.append(model)
        shapes = [arg for arg in args if arg.name in _INPUT_PARAMETERS - {"name"}]
        for arg in args:
            if arg in shapes:
                continue
            if arg.name not in (None, "layers"):
                self._note(f"{arg.name} of a model is not translated", arg.range)
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
        bound = r_values.bind_args(("inputs", "outputs"), args)
        ends: list[list[r_values.RTensor]] = []
        for name in ("inputs", "outputs"):
            arg = bound.get(name, CallArg(None, name, span))
            ends.append(r_values.tensors(arg.value))
            if not ends[-1]:
                remedy = "Pass inputs from layer_input(), and outputs of layers applied to them."
                message = f"has no {name}"
                if isinstance(arg.value, UnknownValue):
                    message = f"is known only to R, and the model's {name} must be known here"
                    remedy += (
                        " A network of the notebook is a layer: x %>% base %>% layer_dense(1)."
                    )
                raise RMistake(message, arg.range, remedy)
        for arg in args:
            if arg not in bound.values():
                self._note(f"{arg.name or 'an argument'} of a model is not translated", arg.range)
        model = RModel(span, inputs=ends[0], outputs=ends[1])
        self.models.append(model)
        return model

    def _input(self, args: list[CallArg], span: TextRange) -> r_values.ModelInput:
        known = [arg for arg in args if arg.name is None or arg.name in _INPUT_PARAMETERS]
        for arg in args:
            if arg not in known and arg.value is not None and arg.value is not False:
                self._note(f"{arg.name} of an input is not supported; omitted", arg.range)
        model_input = r_values.read_input(known, span)
        if model_input is None:
            remedy = "Pass the shape without the batch size: shape = c(28, 28, 1)."
            raise RMistake("has no shape", span, remedy)
        return model_input

    def _add(self, model: RModel, layer: Any, span: TextRange) -> RModel:
        if model.inputs is not None:
            remedy = "Apply the layer to its output: model$output %>% ..."
            raise RMistake("cannot be added to a functional model", span, remedy)
        if isinstance(layer, r_values.RTensor) and isinstance(
            layer.call.layer, r_values.ModelInput
        ):
            model.shape = layer.call.layer
            return model
        if isinstance(layer, KerasObject) and not is_layer_name(layer.name):
            raise RMistake("is not a layer", layer.range, _ADD_A_LAYER)
        if not isinstance(layer, KerasObject | RModel) and not getattr(layer, "python", ""):
            called = getattr(layer, "function", "")
            remedy = suggest_layer(called) if called else _ADD_A_LAYER
            raise RMistake("is not a layer", span, remedy)
        if isinstance(layer, RModel) and model in r_values.models_in(layer):
            raise RMistake("is added to itself", span)
        self._count_layer(span)
        model.layers.append(layer)
        return model


def _is_shape(value: Any) -> bool:
    return isinstance(value, RVector) and all(
        item is None or isinstance(item, int) for item in value
    )
