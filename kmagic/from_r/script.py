"""Walks the statements of an R script and gathers the models that they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kmagic.from_r import base_r, elsewhere
from kmagic.from_r.arguments import Told
from kmagic.from_r.making import Maker
from kmagic.from_r.names import is_keras, is_layer, nearest_layer
from kmagic.from_r.nodes import (
    Argument,
    Assign,
    Block,
    Call,
    Constant,
    For,
    Function,
    If,
    Infix,
    Item,
    Member,
    Mistake,
    Name,
    Node,
    Number,
    Pipe,
    Place,
    Prefix,
    Text,
    While,
)
from kmagic.from_r.values import (
    Broken,
    Closure,
    Given,
    Model,
    Symbol,
    Tensor,
    Thing,
    Unknown,
    Vector,
    flows,
    python_name,
    tensors,
)

_MOST_CALLS = 50


@dataclass(frozen=True, slots=True)
class Left:
    """A statement that is no part of a model."""

    place: Place
    advice: str


@dataclass(slots=True)
class Found:
    """What a script holds.

    Attributes:
        models: All that it makes, in its order.
        left: The statements that make none.
        mistakes: What is wrong.
    """

    models: list[Model] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


class Script:
    """Evaluates R as far as models need it.

    Args:
        maker: Makes the models; it is told of their layers.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._names: dict[str, Any] = {"T": True, "F": False, "pi": 3.141592653589793}
        self._calls = 0

    def run(self, statements: tuple[Node, ...]) -> Found:
        """Go through the statements; one with a mistake does not end it."""
        found = Found(models=self._maker.models)
        for statement in statements:
            try:
                value = self._value(statement)
            except Mistake as mistake:
                found.mistakes.append(mistake)
                self._break(statement)
            except Told:
                self._break(statement)
            else:
                self._leave(statement, value, found)
        return found

    def _break(self, statement: Node) -> None:
        if isinstance(statement, Assign) and isinstance(statement.target, Name | Text):
            self._bind(_name_of(statement.target), Broken())

    def _leave(self, statement: Node, value: Any, found: Found) -> None:
        target = _target(statement)
        if isinstance(value, Broken) or isinstance(statement, Name | Text | Number | Constant):
            return
        if isinstance(value, Unknown) or (value is None and not target):
            said = value.advice if isinstance(value, Unknown) else ""
            found.left.append(Left(statement.place, said or elsewhere.other(target)))

    # --- values -------------------------------------------------------------------------------

    def _value(self, node: Node) -> Any:
        match node:
            case Number(value) | Text(value) | Constant(value):
                return value
            case Name():
                return self._named(node)
            case Call():
                return self._call(node, [])
            case Pipe():
                return self._pipe(node)
            case Assign():
                return self._assign(node)
            case Infix():
                if node.sign == "%<-%":
                    return self._unpack(node)
                left, right = self._value(node.left), self._value(node.right)
                return base_r.infix(node.sign, left, right, node.place)
            case Prefix():
                return self._prefix(node)
            case Item():
                return self._item(node)
            case Member():
                return self._member(node)
            case Function():
                return Closure(node, self._names)
            case Block():
                value = None
                for each in node.body:
                    value = self._value(each)
                return value
            case If():
                return self._if(node)
            case For():
                return self._for(node)
            case While():
                return Unknown()

    def _named(self, node: Name) -> Any:
        if node.text in self._names:
            return self._names[node.text]
        return Symbol(node.text) if is_keras(node.text) else Unknown(python_name(node.text))

    def _prefix(self, node: Prefix) -> Any:
        value = self._value(node.operand)
        if node.sign == "-" and isinstance(value, int | float):
            return -value
        if node.sign == "-" and isinstance(value, Vector):
            return base_r.infix("*", value, -1, node.place)
        if node.sign == "!" and isinstance(value, bool):
            return not value
        return value if node.sign == "+" or isinstance(value, Broken) else Unknown()

    def _item(self, node: Item) -> Any:
        of = self._value(node.of)
        inside = [self._value(each.value) for each in node.args if each.value is not None]
        if isinstance(of, Tensor) and len(inside) == 1 and isinstance(inside[0], int):
            return Tensor(of.node, (*of.path, inside[0] - 1))
        if len(inside) != 1 or len(node.args) != 1:
            return Unknown()
        return base_r.item(of, inside[0], node.place)

    def _member(self, node: Member) -> Any:
        of = self._value(node.of)
        if isinstance(of, Vector):
            return base_r.item(of, node.name, node.place)
        if isinstance(of, Unknown) and of.python and node.name.isidentifier():
            return Unknown(f"{of.python}.{node.name}")
        if isinstance(of, Model) and node.name in ("output", "input") and not of.is_stack:
            ends = of.outputs if node.name == "output" else of.inputs
            return ends[0] if ends else Unknown()
        return Unknown()

    def _if(self, node: If) -> Any:
        test = self._value(node.test)
        if isinstance(test, bool):
            chosen = node.then if test else node.other
            return None if chosen is None else self._value(chosen)
        before = self._maker.steps
        for each in (node.then, node.other):
            if each is not None:
                self._value(each)
        if self._maker.steps != before:
            hint = "Decide it: leave only the lines that hold."
            raise Mistake(
                "changes the model, and only R knows how this turns out", node.test.place, hint
            )
        return Unknown()

    def _for(self, node: For) -> Any:
        values = self._value(node.values)
        if isinstance(values, Vector):
            for each in values:
                self._names[node.name] = each
                self._value(node.body)
            return True
        before = self._maker.steps
        self._names[node.name] = 1  # to see whether the body makes layers
        self._value(node.body)
        if self._maker.steps != before:
            hint = "Write the values out: for (units in c(64, 32))."
            raise Mistake("is known to R only, and the loop makes layers", node.values.place, hint)
        return Unknown()

    # --- names --------------------------------------------------------------------------------

    def _assign(self, node: Assign) -> Any:
        value = self._value(node.value)
        if not isinstance(node.target, Name | Text):
            return value if isinstance(value, Broken) else Unknown()
        name = _name_of(node.target)
        if isinstance(value, Unknown) and not isinstance(value, Broken):
            self._bind(name, Unknown(python_name(name), value.advice))
            return value
        self._bind(name, value)
        return value

    def _bind(self, name: str, value: Any) -> None:
        self._names[name] = value
        python = python_name(name)
        if isinstance(value, Tensor) and not value.path and not value.node.variable:
            value.node.variable = python
        if isinstance(value, Thing | Model) and not value.variable:
            value.variable = python

    def _unpack(self, node: Infix) -> Any:
        """Zeallot's ``c(a, b) %<-% x``."""
        value = self._value(node.right)
        names = node.left.args if isinstance(node.left, Call) else ()
        for place, each in enumerate(names):
            if isinstance(each.value, Name):
                part = (
                    base_r.item(value, place + 1, node.place) if isinstance(value, Vector) else None
                )
                if isinstance(value, Tensor):
                    part = Tensor(value.node, (*value.path, place))
                self._names[each.value.text] = part or Unknown(python_name(each.value.text))
            elif isinstance(each.value, Call):
                self._unpack(Infix("%<-%", each.value, Constant(None), place=node.place))
        return value if isinstance(value, Vector | Tensor) else Unknown("", _said(value))

    # --- calls --------------------------------------------------------------------------------

    def _pipe(self, node: Pipe) -> Any:
        left = Given(self._value(node.left), None, node.left.place)
        right = node.right
        if isinstance(right, Call):
            return self._call(right, [left])
        if isinstance(right, Name) and self._is_the_notebook_s(right.text) and flows(left.value):
            return self._maker.apply(Unknown(python_name(right.text)), [left], right.place)
        if isinstance(right, Name | Member):
            return self._call(Call(right, (), place=right.place), [left])
        if isinstance(right, Function) or isinstance(left.value, Broken | Unknown):
            return Unknown()
        raise Mistake("is nothing that a pipe could lead to", right.place)

    def _is_the_notebook_s(self, name: str) -> bool:
        """Whether a name means nothing here, so that it must be one of the notebook's layers."""
        known = name in self._names or name in base_r.NAMES or is_keras(name)
        return not known and not elsewhere.is_elsewhere(name) and not nearest_layer(name)

    def _call(self, node: Call, piped: list[Given]) -> Any:
        function = node.function
        place = Place(function.place.start, node.place.end)
        if isinstance(function, Member):
            of = self._value(function.of)
            given = [*piped, *self._given(node.args)]
            if isinstance(of, Model):
                return self._maker.method(of, function.name, given)
            return Broken() if isinstance(of, Broken) else Unknown()
        if isinstance(function, Name) and function.text not in self._names:
            return self._function(function, node, piped, place)
        called = self._value(function)
        if isinstance(called, Closure):
            return self._enter(called, [*piped, *self._given(node.args)], place)
        given = self._piped_into(node.args, piped)
        if isinstance(called, Thing | Model | Unknown) and given:
            flow = tensors(given[0].value)
            if flow or isinstance(given[0].value, Model):
                return self._maker.apply(called, given, place)
        return called if isinstance(called, Broken) else Unknown()

    def _function(self, function: Name, node: Call, piped: list[Given], place: Place) -> Any:
        name = function.text
        if name == "return":
            return self._value(node.args[0].value) if node.args and node.args[0].value else None
        if elsewhere.is_elsewhere(name) and name in ("library", "require", "source"):
            return Unknown("", elsewhere.advice(name, []))
        given = self._piped_into(node.args, piped)
        if name in base_r.NAMES:
            return base_r.call(name, given, place)
        known, value = self._maker.call(name, given, place)
        if known:
            return value
        if elsewhere.is_elsewhere(name):
            return Unknown("", elsewhere.advice(name, given))
        if elsewhere.is_callback(name):
            return Thing(name, given, place)
        if given and flows(given[0].value):
            near = nearest_layer(name)
            if near or tensors(given[0].value):
                hint = "A layer that the notebook holds is written without brackets: x %>% name."
                raise Mistake("is no layer of Keras", function.place, near or hint)
            return Unknown()
        if name.startswith("layer_"):
            hint = nearest_layer(name) or "All layers: %keras_layers"
            raise Mistake("is no layer of Keras", function.place, hint)
        if any(isinstance(each.value, Broken) for each in given):
            return Broken()
        made = [each.value for each in given if isinstance(each.value, Thing)]
        if any(is_layer(each.name) for each in made):
            hint = f"In R it is written {name.replace('.', '$')}(...)." if "." in name else ""
            raise Mistake("is no function that takes a layer", function.place, hint)
        return Unknown("", "", name)

    def _piped_into(self, args: tuple[Argument, ...], piped: list[Given]) -> list[Given]:
        """The arguments, with what the pipe brings first, or where a dot or ``_`` stands."""
        dots = [
            each for each in args if isinstance(each.value, Name) and each.value.text in (".", "_")
        ]
        if not piped or not dots:
            return [*piped, *self._given(args)]
        return [
            Given(piped[0].value, each.name, each.place)
            if each in dots
            else self._given((each,))[0]
            for each in args
            if each.value is not None
        ]

    def _given(self, args: tuple[Argument, ...]) -> list[Given]:
        return [
            Given(self._value(each.value), each.name, each.place)
            for each in args
            if each.value is not None
        ]

    def _enter(self, closure: Closure, given: list[Given], place: Place) -> Any:
        """Run a function of the script's own."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise Mistake("calls functions without an end", place)
        outer = self._names
        inner = dict(closure.names)
        free = []
        for param in closure.node.params:
            name = param.name or (param.value.text if isinstance(param.value, Name) else "")
            if param.name is not None and param.value is not None:
                inner[name] = self._value(param.value)
            free.append(name)
        for each in given:
            if each.name in free:
                free.remove(str(each.name))
                inner[str(each.name)] = each.value
        for each, name in zip((each for each in given if each.name is None), free, strict=False):
            inner[name] = each.value
        self._names = inner
        try:
            return self._value(closure.node.body)
        finally:
            self._names = outer
            self._calls -= 1


def _said(value: Any) -> str:
    return value.advice if isinstance(value, Unknown) else ""


def _name_of(target: Name | Text) -> str:
    return target.text if isinstance(target, Name) else target.value


def _target(statement: Node) -> str:
    if isinstance(statement, Assign) and isinstance(statement.target, Name | Text):
        return python_name(_name_of(statement.target))
    return ""
