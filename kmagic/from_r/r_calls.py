"""The calls and the pipes of an R script."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from kmagic.from_r import base_functions, unsupported
from kmagic.from_r.model_calls import Maker
from kmagic.from_r.r_names import is_keras, is_layer, nearest_layer
from kmagic.from_r.r_nodes import (
    Argument,
    Block,
    Call,
    Function,
    Member,
    Mistake,
    Name,
    Node,
    Pipe,
    Place,
)
from kmagic.from_r.r_values import (
    Broken,
    Closure,
    Given,
    Model,
    Thing,
    Unknown,
    flows,
    python_name,
    tensors,
)

_MOST_CALLS = 50


class Returned(Exception):  # noqa: N818 - R's own way out of a function
    """``return(value)``."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Caller(ABC):
    """What is called, and with what.

    Args:
        maker: Makes the models; it is told of their layers.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._names: dict[str, Any] = {"T": True, "F": False, "pi": 3.141592653589793}
        self._calls = 0

    @abstractmethod
    def _value(self, node: Node) -> Any:
        """What an expression stands for."""

    def _model_of(self, node: Node) -> Any:
        """The value of a pipe's beginning, or of what a method is called on."""
        return self._value(node)

    def _pipe(self, node: Pipe) -> Any:
        steps: list[Node] = []
        first: Node = node
        while isinstance(first, Pipe):
            steps.append(first.right)
            first = first.left
        place, value = first.place, self._model_of(first)
        for step in reversed(steps):
            value = self._piped(Given(value, None, place), step)
            place = Place(place.start, step.place.end)
        return value

    def _piped(self, left: Given, right: Node) -> Any:
        if isinstance(right, Call):
            return self._call(right, [left])
        if isinstance(right, Name) and self._is_the_notebook_s(right.text) and flows(left.value):
            return self._maker.apply(Unknown(python_name(right.text)), [left], right.place)
        if isinstance(right, Name | Member):
            return self._call(Call(right, (), place=right.place), [left])
        if isinstance(right, Block):  # magrittr's x %>% {f(a, .)}
            return self._with_dot(left.value, right)
        if isinstance(right, Function) or isinstance(left.value, Broken | Unknown):
            return Unknown()
        raise Mistake("is nothing that a pipe could lead to", right.place)

    def _with_dot(self, value: Any, node: Node) -> Any:
        outer = self._names
        self._names = {**outer, ".": value}
        try:
            return self._value(node)
        finally:
            self._names = outer

    def _is_the_notebook_s(self, name: str) -> bool:
        """Whether a name means nothing here, so that it must be one of the notebook's layers."""
        known = name in self._names or name in base_functions.NAMES or is_keras(name)
        return not known and not unsupported.is_elsewhere(name) and not nearest_layer(name)

    def _call(self, node: Call, piped: list[Given]) -> Any:
        function = node.function
        place = Place(function.place.start, node.place.end)
        if isinstance(function, Member):
            of = self._model_of(function.of)
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
            given = self._given(node.args)
            raise Returned(given[0].value if given else None)
        if name == "keras_available":
            return True
        if unsupported.is_elsewhere(name) and name in ("library", "require", "source"):
            return Unknown("", unsupported.advice(name, []))
        given = self._piped_into(node.args, piped)
        if name in base_functions.NAMES:
            return base_functions.call(name, given, place)
        known, value = self._maker.call(name, given, place)
        if known:
            return value
        if unsupported.is_elsewhere(name):
            return Unknown("", unsupported.advice(name, given))
        if unsupported.is_callback(name):
            return Thing(name, given, place)
        if given and flows(given[0].value):
            near = nearest_layer(name)
            if near or tensors(given[0].value):
                remedy = "A layer that the notebook holds is written without brackets: x %>% name."
                raise Mistake("is no layer of Keras", function.place, near or remedy)
            return Unknown()
        if name.startswith("layer_"):
            remedy = nearest_layer(name) or "All layers: %keras_layers"
            raise Mistake("is no layer of Keras", function.place, remedy)
        if any(isinstance(each.value, Broken) for each in given):
            return Broken()
        made = [each.value for each in given if isinstance(each.value, Thing)]
        if any(is_layer(each.name) for each in made):
            remedy = f"In R it is written {name.replace('.', '$')}(...)." if "." in name else ""
            raise Mistake("is no function that takes a layer", function.place, remedy)
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
        except Returned as found:
            return found.value
        finally:
            self._names = outer
            self._calls -= 1
