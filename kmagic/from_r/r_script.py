"""Walks the statements of an R script and gathers the models that they make."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kmagic.from_r import base_functions, unsupported
from kmagic.from_r.r_arguments import Told
from kmagic.from_r.r_calls import Caller, Returned
from kmagic.from_r.r_names import is_keras
from kmagic.from_r.r_nodes import (
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
from kmagic.from_r.r_values import (
    Broken,
    Closure,
    Model,
    Symbol,
    Tensor,
    Thing,
    Unknown,
    Vector,
    python_name,
)


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


class Script(Caller):
    """Evaluates R as far as models need it.

    Args:
        maker: Makes the models; it is told of their layers.
    """

    def run(self, statements: tuple[Node, ...]) -> Found:
        """Go through the statements; one with a mistake does not end it."""
        found = Found(models=self._maker.models)
        for statement in statements:
            self._run(statement, found)
        return found

    def _run(self, statement: Node, found: Found) -> None:
        try:
            parts = self._parts(statement)
            if parts is None:
                self._leave(statement, self._value(statement), found)
        except Mistake as mistake:
            found.mistakes.append(mistake)
            self._break(statement)
        except (Told, Returned):
            self._break(statement)
        else:
            for each in parts or ():
                self._run(each, found)

    def _parts(self, statement: Node) -> tuple[Node, ...] | None:
        """The statements within a block, or within an ``if`` that is decided."""
        if isinstance(statement, If):
            test = self._value(statement.test)
            if not isinstance(test, bool):
                return None
            chosen = statement.then if test else statement.other
            return () if chosen is None else (chosen,)
        return statement.body if isinstance(statement, Block) else None

    def _break(self, statement: Node) -> None:
        if isinstance(statement, Assign) and isinstance(statement.target, Name | Text):
            self._bind(_name_of(statement.target), Broken())

    def _leave(self, statement: Node, value: Any, found: Found) -> None:
        target = _target(statement)
        if isinstance(value, Broken) or isinstance(statement, Name | Text | Number | Constant):
            return
        if isinstance(value, Unknown) or (value is None and not target):
            said = value.advice if isinstance(value, Unknown) else ""
            found.left.append(Left(statement.place, said or unsupported.other(target)))

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
                return base_functions.infix(node.sign, left, right, node.place)
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
            return base_functions.infix("*", value, -1, node.place)
        if node.sign == "!" and isinstance(value, bool):
            return not value
        return value if node.sign == "+" or isinstance(value, Broken) else Unknown()

    def _item(self, node: Item) -> Any:
        of = self._value(node.of)
        inside = [self._value(each.value) for each in node.args if each.value is not None]
        if isinstance(of, Tensor) and len(inside) == 1:
            if isinstance(inside[0], int):
                return Tensor(of.node, (*of.path, inside[0] - 1))
            if isinstance(inside[0], Vector):
                picked = [Tensor(of.node, (*of.path, each - 1)) for each in inside[0]]
                return Vector("list", [(None, each) for each in picked])
        if len(inside) != 1 or len(node.args) != 1:
            return Unknown()
        return base_functions.item(of, inside[0], node.place)

    def _member(self, node: Member) -> Any:
        of = self._value(node.of)
        if isinstance(of, Vector):
            return base_functions.item(of, node.name, node.place)
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
                with suppress(Returned):
                    self._value(each)
        if self._maker.steps != before:
            remedy = "Decide it: leave only the lines that hold."
            raise Mistake(
                "changes the model, and only R knows how this turns out", node.test.place, remedy
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
            remedy = "Write the values out: for (units in c(64, 32))."
            raise Mistake(
                "is known to R only, and the loop makes layers", node.values.place, remedy
            )
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
        if isinstance(value, Thing | Model | Closure) and not value.variable:
            value.variable = python

    def _unpack(self, node: Infix) -> Any:
        """Zeallot's ``c(a, b) %<-% x``."""
        value = self._value(node.right)
        names = node.left.args if isinstance(node.left, Call) else ()
        for place, each in enumerate(names):
            if isinstance(each.value, Name):
                part = (
                    base_functions.item(value, place + 1, node.place)
                    if isinstance(value, Vector)
                    else None
                )
                if isinstance(value, Tensor):
                    part = Tensor(value.node, (*value.path, place))
                self._names[each.value.text] = part or Unknown(python_name(each.value.text))
            elif isinstance(each.value, Call):
                self._unpack(Infix("%<-%", each.value, Constant(None), place=node.place))
        return value if isinstance(value, Vector | Tensor) else Unknown("", _said(value))


def _said(value: Any) -> str:
    return value.advice if isinstance(value, Unknown) else ""


def _name_of(target: Name | Text) -> str:
    return target.text if isinstance(target, Name) else target.value


def _target(statement: Node) -> str:
    if isinstance(statement, Assign) and isinstance(statement.target, Name | Text):
        return python_name(_name_of(statement.target))
    return ""
