"""What R expressions stand for while a script is translated, and R's own functions on them.

Numbers, strings, ``True``, ``False`` and ``None`` (``NULL``) stand for themselves.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from typing import Any

from kmagic.from_r.r_parser import RFunction, RMistake, TextRange


@dataclass(eq=False, slots=True)
class UnknownValue:
    """Something that only R could compute: data, results."""

    python: str = ""
    """A Python expression for it over the notebook's variables."""
    replacement: str = ""
    """What to use here instead of the function that returned it."""
    function: str = ""
    """The function that returned it, if it is unknown here."""


@dataclass(eq=False, slots=True)
class RVector:
    """``c(3, 3)`` or ``list(a = x)``: values with or without names."""

    items: list[tuple[str | None, Any]]

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def named(self) -> bool:
        """Whether every value has a name."""
        return bool(self.items) and all(name for name, _ in self.items)


@dataclass(eq=False, slots=True)
class CallArg:
    """An evaluated argument."""

    value: Any
    name: str | None
    range: TextRange


@dataclass(eq=False, slots=True)
class KerasObject:
    """What a Keras function returns: a layer, an optimizer, an initializer ...

    The meaning of its name depends on its use: ``Identity()`` is a layer and an initializer.
    """

    name: str
    args: list[CallArg]
    range: TextRange
    variable: str = ""


@dataclass(eq=False, slots=True)
class ModelInput:
    """An input of a model."""

    shape: Any
    range: TextRange
    dtype: Any = None
    batch: Any = None
    name: str = ""


@dataclass(eq=False, slots=True)
class RLayerCall:
    """A layer or model applied to tensors."""

    layer: KerasObject | RModel | UnknownValue | ModelInput
    range: TextRange
    inputs: list[RTensor] = field(default_factory=list)
    named: list[CallArg] = field(default_factory=list)
    variable: str = ""


@dataclass(eq=False, slots=True)
class RTensor:
    """The output of a layer; a path selects one of several."""

    call: RLayerCall
    path: tuple[int, ...] = ()


@dataclass(eq=False, slots=True)
class RModel:
    """A model: its layers in a row, or its inputs and outputs."""

    range: TextRange
    layers: list[KerasObject | RModel | UnknownValue | ModelInput] = field(default_factory=list)
    shape: ModelInput | None = None
    inputs: list[RTensor] | None = None
    outputs: list[RTensor] = field(default_factory=list)
    compiled: list[CallArg] | None = None
    variable: str = ""


@dataclass(eq=False, slots=True)
class RClosure:
    """A function that the script defines."""

    node: RFunction
    names: dict[str, Any]
    variable: str = ""


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A Keras function that is passed, not called: ``loss_mean_squared_error``."""

    name: str


def read_input(args: list[CallArg], span: TextRange) -> ModelInput | None:
    """The input that arguments such as ``batch_shape`` describe; None if they state no shape."""
    given = {arg.name or "shape": arg.value for arg in args if arg.value is not None}

    def find(*names: str) -> Any:
        return next((given[name] for name in names if name in given), None)

    shape, batch = find("shape", "input_shape"), find("batch_size", "input_batch_size")
    whole = find("batch_shape", "batch_input_shape", "input_batch_shape")
    if isinstance(whole, RVector):
        batch = next(iter(whole), None)
        shape = RVector(whole.items[1:])
    elif shape is None and given.keys() & {"input_length", "input_dim"}:
        names = ("input_length", "input_dim")
        shape = RVector([(None, given[name]) for name in names if name in given])
    if shape is None:
        return None
    return ModelInput(shape, span, find("dtype", "input_dtype"), batch, str(find("name") or ""))


def tensors_in(value: Any) -> list[RTensor]:
    """All tensors in a value."""
    if isinstance(value, RTensor):
        return [value]
    items = value if isinstance(value, RVector) else ()
    return [tensor for item in items for tensor in tensors_in(item)]


def tensors(value: Any) -> list[RTensor]:
    """The tensors of a value that consists of nothing else, otherwise []."""
    is_whole = not isinstance(value, RVector) or all(map(tensors, value))
    return tensors_in(value) if is_whole else []


def calls_before(outputs: Iterable[RTensor]) -> list[RLayerCall]:
    """The calls that lead to the outputs, each after those that it depends on."""
    calls: dict[RLayerCall, None] = {}

    def visit(call: RLayerCall) -> None:
        if call not in calls:
            named = (tensor for arg in call.named for tensor in tensors_in(arg.value))
            for tensor in (*call.inputs, *named):
                visit(tensor.call)
            calls[call] = None

    for output in outputs:
        visit(output.call)
    return list(calls)


def models_in(model: RModel) -> set[RModel]:
    """A model and all models inside it."""
    layers = [*model.layers, *(call.layer for call in calls_before(model.outputs))]
    return {model}.union(*(models_in(layer) for layer in layers if isinstance(layer, RModel)))


def bind_args(names: Sequence[str], args: Iterable[CallArg]) -> dict[str, CallArg]:
    """Arguments by parameter: first those with names, then the others in order."""
    bound = {str(arg.name): arg for arg in args if arg.name in names}
    free = (name for name in names if name not in bound)
    positional = (arg for arg in args if arg.name is None)
    return bound | dict(zip(free, positional, strict=False))


def accepts_layer(value: Any) -> bool:
    """Whether a layer can be applied to a value, or added to it."""
    return isinstance(value, RModel) or bool(tensors(value))


def python_name(name: str) -> str:
    """A variable's name in Python: ``x.train`` is ``x_train``."""
    plain = re.sub(r"\W", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


# --- R's own functions ------------------------------------------------------------------------

_MAX_ITEMS = 10_000
_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+": (operator.add, "+"),
    "-": (operator.sub, "-"),
    "*": (operator.mul, "*"),
    "/": (operator.truediv, "/"),
    "^": (operator.pow, "**"),
    "%%": (operator.mod, "%"),
    "%/%": (operator.floordiv, "//"),
    "==": (operator.eq, "=="),
    "!=": (operator.ne, "!="),
    "<": (operator.lt, "<"),
    ">": (operator.gt, ">"),
    "<=": (operator.le, "<="),
    ">=": (operator.ge, ">="),
}
"""Sign -> its function, and how Python writes it."""
_ELEMENTWISE: dict[str, Callable[[float], float]] = {
    "as.integer": int,
    "as.numeric": lambda value: value,
    "as.double": lambda value: value,
    "round": round,
    "floor": math.floor,
    "ceiling": math.ceil,
    "abs": abs,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
}
_REDUCTIONS: dict[str, Callable[[list[Any]], Any]]
_REDUCTIONS = {"prod": math.prod, "sum": sum, "max": max, "min": min}
_IDENTITIES = frozenset({"invisible", "identity", "print", "suppressWarnings", "suppressMessages"})
_LISTS = frozenset({"c", "list", "tuple", "shape"})
_SHAPE_PARTS = {"dim": "", "nrow": "[0]", "ncol": "[1]"}
BASE_FUNCTIONS = frozenset(
    {*_ELEMENTWISE, *_REDUCTIONS, *_IDENTITIES, *_LISTS, *_SHAPE_PARTS, "length", "rev", "rep"}
    | {"seq_len", "seq_along", "paste0", "paste", "is.null"}
)


def call_base_function(name: str, args: list[CallArg], span: TextRange) -> Any:
    """The result of one of BASE_FUNCTIONS; an ``UnknownValue`` where it depends on data.

    Raises:
        RMistake: It cannot be computed.
    """
    if name in _LISTS:
        is_flat = name in ("c", "shape")  # c(c(1, 2), 3) has three values
        parts = (
            _items(arg.value) if is_flat and arg.name is None else [(arg.name, arg.value)]
            for arg in args
        )
        return RVector(list(chain.from_iterable(parts)))
    try:
        return _result(name, [arg.value for arg in args])
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RMistake(f"cannot be computed: {error}", span) from error


def _result(name: str, values: list[Any]) -> Any:
    first = values[0] if values else None
    if name in _IDENTITIES:
        return first
    if name == "is.null":
        return UnknownValue() if isinstance(first, UnknownValue) else first is None
    if name in _ELEMENTWISE:
        is_unknown = isinstance(first, UnknownValue)
        return first if is_unknown else _elementwise(_ELEMENTWISE[name], first)
    if name in _REDUCTIONS:
        flat = [item for value in values for _, item in _items(value)]
        if any(isinstance(item, UnknownValue) for item in flat):
            return UnknownValue()
        return _as_int(_REDUCTIONS[name](flat))
    if name in _SHAPE_PARTS and isinstance(first, UnknownValue) and first.python:
        return UnknownValue(f"{first.python}.shape{_SHAPE_PARTS[name]}")
    if name in ("length", "seq_along") and isinstance(first, RVector):
        return len(first) if name == "length" else _sequence(1, len(first))
    if name == "seq_len" and isinstance(first, int):
        return _sequence(1, first)
    if name == "rev" and isinstance(first, RVector):
        return RVector(first.items[::-1])
    if name == "rep" and len(values) > 1 and isinstance(values[1], int) and values[1] < _MAX_ITEMS:
        return RVector(_items(first) * values[1])
    if name in ("paste0", "paste") and all(isinstance(value, str | int) for value in values):
        return ("" if name == "paste0" else " ").join(map(str, values))
    return UnknownValue()


def apply_operator(sign: str, left: Any, right: Any, span: TextRange) -> Any:
    """``left sign right``.

    Raises:
        RMistake: It cannot be computed.
    """
    if sign == ":" and isinstance(left, int) and isinstance(right, int):
        return _sequence(left, right)
    if isinstance(left, bool) and isinstance(right, bool):
        if sign in ("&&", "&"):
            return left and right
        if sign in ("||", "|"):
            return left or right
    if sign not in _OPERATORS:
        return UnknownValue()
    function, python = _OPERATORS[sign]
    if isinstance(left, UnknownValue) or isinstance(right, UnknownValue):
        sides = [_operand_source(left), _operand_source(right)]
        return UnknownValue(f"{sides[0]} {python} {sides[1]}" if all(sides) else "")
    try:
        return _elementwise(function, left, right)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RMistake(f"cannot be computed: {error}", span) from error


def _elementwise(function: Callable[..., Any], *operands: Any) -> Any:
    """The function of numbers, or of each element of vectors; the shorter one is repeated."""
    if not any(isinstance(operand, RVector) for operand in operands):
        return _as_int(function(*operands))
    columns = list(map(_items, operands))
    rows = islice(zip(*map(cycle, columns), strict=False), max(map(len, columns)))
    values = ((row[0][0], function(*(value for _, value in row))) for row in rows)
    return RVector([(name, _as_int(value)) for name, value in values])


def _items(value: Any) -> list[tuple[str | None, Any]]:
    return value.items if isinstance(value, RVector) else [(None, value)]


def get_item(owner: Any, index: Any, span: TextRange) -> Any:
    """``owner[index]``, counted from 1 as in R; a negative index leaves one out.

    Raises:
        RMistake: There is no such element.
    """
    match owner, index:
        case (RModel(inputs=[end, *_]), "input") | (RModel(outputs=[end, *_]), "output"):
            return end
        case RTensor(), int():
            return RTensor(owner.call, (*owner.path, index - 1))
        case RTensor(), RVector():
            parts = [get_item(owner, number, span) for number in index]
            return RVector([(None, part) for part in parts])
        case RVector(), str():
            return next((value for key, value in owner.items if key == index), None)
        case RVector(), int() if 0 < index <= len(owner):
            return owner.items[index - 1][1]
        case RVector(), int() if 0 < -index <= len(owner):
            return RVector(owner.items[: -index - 1] + owner.items[-index:])
        case RVector(), int():
            raise RMistake(f"has no element {index}: its length is {len(owner)}", span)
        case UnknownValue(python=str(python)), int() if python and (index > 0 or index == -1):
            return UnknownValue(f"{python}[{index - 1 if index > 0 else '1:'}]")
        case UnknownValue(python=str(python)), str() if python and index.isidentifier():
            return UnknownValue(f"{python}.{index}")
    return UnknownValue()


def _as_int(value: Any) -> Any:
    """A number as R prints it: 32, not 32.0."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def _sequence(first: int, last: int) -> RVector:
    step = 1 if last >= first else -1
    if abs(last - first) > _MAX_ITEMS:
        return RVector([])
    return RVector([(None, number) for number in range(first, last + step, step)])


def _operand_source(value: Any) -> str:
    if isinstance(value, UnknownValue):
        is_simple = re.fullmatch(r"[\w.\[\]]*", value.python)
        return value.python if is_simple else f"({value.python})"
    return repr(value) if isinstance(value, int | float) else ""
