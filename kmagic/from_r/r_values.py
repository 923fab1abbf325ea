"""What R expressions stand for while a script is translated, and R's own functions on them.

Numbers, strings, ``True``, ``False`` and ``None`` (``NULL``) stand for themselves.
"""

from __future__ import annotations

import math
import operator
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain, cycle, islice
from typing import Any, TypeAlias

from kmagic.from_r.r_parser import EXACT, RFunction, RMistake, TextRange


@dataclass(eq=False, slots=True)
class UnknownValue:
    """Something that only R could compute: data, results, vectors too large for a model."""

    python: str = ""
    """A Python expression for it over the notebook's variables."""
    replacement: str = ""
    """What to use here instead of the function that returned it."""
    function: str = ""
    """The function that returned it, if it is unknown here."""
    reason: str = "is known only to R"

    def __post_init__(self) -> None:
        self.python = self.python if is_short(self.python) else ""


@dataclass(eq=False, slots=True)
class RVector:
    """``c(3, 3)`` or ``list(a = x)``: values with or without names."""

    items: list[tuple[str | None, Any]]
    size: int = 0
    """Number of values in it, those of inner vectors included."""

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
    depth: int = field(init=False)
    """How deeply its arguments are nested."""

    def __post_init__(self) -> None:
        self.depth = 1 + max((depth_of(arg.value) for arg in self.args), default=0)


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


Names: TypeAlias = ChainMap[str, Any]
"""The variables of a function that runs, and those around it."""


@dataclass(eq=False, slots=True)
class RClosure:
    """A function that the script defines."""

    node: RFunction
    names: Names
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
        shape = vector(whole.items[1:])
    elif shape is None and given.keys() & {"input_length", "input_dim"}:
        names = ("input_length", "input_dim")
        shape = vector((None, given[name]) for name in names if name in given)
    if shape is None:
        return None
    name = find("name")
    if name is not None and not isinstance(name, str):
        raise RMistake("has a name that only R knows", span, 'Write it as text: name = "image".')
    return ModelInput(shape, span, find("dtype", "input_dtype"), batch, name or "")


def vector(items: Iterable[tuple[str | None, Any]]) -> RVector | UnknownValue:
    """A vector; an ``UnknownValue`` if it is larger than anything that describes a model."""
    known = list(islice(items, MAX_ITEMS + 1))
    size = sum(max(1, value.size) if isinstance(value, RVector) else 1 for _, value in known)
    if size > MAX_ITEMS or max((depth_of(value) for _, value in known), default=0) >= MAX_DEPTH:
        return UnknownValue(reason=f"has more than {MAX_ITEMS:,} values")
    return RVector(known, size)


def depth_of(value: Any) -> int:
    """How deeply vectors and Keras objects are nested in a value."""
    match value:
        case KerasObject():
            return value.depth
        case RVector():
            return 1 + max(map(depth_of, value), default=0)
    return 0


def tensors_in(value: Any) -> list[RTensor]:
    """All tensors in a value."""
    if isinstance(value, RTensor):
        return [value]
    items = value if isinstance(value, RVector) else ()
    return [tensor for item in items for tensor in tensors_in(item)]


def tensors(value: Any) -> list[RTensor]:
    """The tensors of a value that consists of nothing else, otherwise []."""

    def is_whole(value: Any) -> bool:
        if isinstance(value, RVector):
            return bool(value.items) and all(map(is_whole, value))
        return isinstance(value, RTensor)

    return tensors_in(value) if is_whole(value) else []


def calls_before(outputs: Iterable[RTensor]) -> list[RLayerCall]:
    """The calls that lead to the outputs, each after those that it depends on."""
    calls: dict[RLayerCall, None] = {}
    pending = [output.call for output in outputs][::-1]
    while pending:
        call = pending[-1]
        named = (tensor for arg in call.named for tensor in tensors_in(arg.value))
        before = [tensor.call for tensor in (*call.inputs, *named) if tensor.call not in calls]
        if before and call not in calls:
            pending += before[::-1]
        else:
            calls[pending.pop()] = None
    return list(calls)


def models_in(model: RModel) -> set[RModel]:
    """A model and all models inside it."""
    return {item for item in used_by([model]) if isinstance(item, RModel)}


def used_by(roots: Iterable[Any]) -> set[Any]:
    """The layers, calls, models, functions and other Keras objects that values consist of."""
    used: set[Any] = set()
    pending = list(roots)
    while pending:
        value = pending.pop()
        if isinstance(value, RVector | RTensor):
            pending += value if isinstance(value, RVector) else (value.call,)
        elif isinstance(value, KerasObject | RLayerCall | RModel | RClosure) and value not in used:
            used.add(value)
            match value:
                case KerasObject():
                    pending += (arg.value for arg in value.args)
                case RLayerCall():
                    pending += (value.layer, *value.inputs, *(arg.value for arg in value.named))
                case RModel():
                    compiled = value.compiled or ()
                    pending += (*value.layers, *(value.inputs or ()), *value.outputs)
                    pending += (arg.value for arg in compiled)
    return used


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


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def _as_number(value: Any) -> Any:
    if isinstance(value, str):
        value = float(value)
    return value


MAX_ITEMS = 10_000
MAX_DEPTH = 50
"""How deeply vectors and layers may be nested."""
_MAX_CHARACTERS = 2_000
_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+": (operator.add, "+"),
    "-": (operator.sub, "-"),
    "*": (operator.mul, "*"),
    "/": (operator.truediv, "/"),
    "^": (_power, "**"),
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
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "as.integer": lambda value: math.trunc(_as_number(value)),
    **dict.fromkeys(("as.numeric", "as.double"), _as_number),
}
"""Functions that keep a variable of the notebook as it is."""
_ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    **_CONVERSIONS,
    "floor": math.floor,
    "ceiling": math.ceil,
    "abs": abs,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log2": math.log2,
    "log10": math.log10,
}
_IDENTITIES = frozenset(
    {"invisible", "identity", "local", "print", "suppressWarnings", "suppressMessages", "try"}
    | {"tryCatch", "with", "withCallingHandlers"}
)
"""Functions that return their first argument; ``with`` its second."""
_LISTS = frozenset({"append", "c", "list", "tuple", "shape"})
_SHAPE_PARTS = {"dim": "", "nrow": "[0]", "ncol": "[1]"}


def _elements(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda x: _elementwise(function, x)


def _reduction(function: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def reduced(*values: Any) -> Any:
        flat = [item for value in values for _, item in _items(value)]
        if any(isinstance(item, UnknownValue) for item in flat):
            return UnknownValue()
        _check_numbers(flat)
        return _as_int(function(flat))

    return reduced


def _rep(x: Any, times: Any) -> Any:
    if type(times) is not int or times < 0:
        return UnknownValue()
    items = _items(x)
    return vector(islice(cycle(items), min(len(items) * times, MAX_ITEMS + 1)))


def _paste(*values: Any, sep: Any = " ") -> Any:
    text = str(sep).join(map(str, values))
    is_known = all(type(value) in (str, int) for value in values) and is_short(text)
    return text if is_known else UnknownValue()


def _seq_len(x: Any) -> Any:
    is_known = type(x) is int and x >= 0
    return vector((None, number + 1) for number in range(x)) if is_known else UnknownValue()


def _seq(*given: Any, **named: Any) -> Any:
    """``seq`` of whole numbers, by ``from``, ``to`` and ``by``."""
    if len(given) == 1 and not named:
        return _seq_len(*given) if isinstance(given[0], int) else UnknownValue()
    names = [name for name in ("from", "to", "by") if name not in named]
    values = {**dict(zip(names, given, strict=False)), **named}
    is_known = len(given) <= len(names) and values.keys() <= {"from", "to", "by"}
    if not is_known or "to" not in values or any(type(x) is not int for x in values.values()):
        return UnknownValue()
    start, end = values.get("from", 1), values["to"]
    step = values.get("by", 1 if start <= end else -1)
    if (end - start) * step < 0 or (step == 0 and start != end):
        raise ValueError(f"by = {step} does not lead from {start} to {end}")
    numbers = range(start, end + (1 if step > 0 else -1), step or 1)
    return vector((None, number) for number in islice(numbers, MAX_ITEMS + 1))


def _of_vector(function: Callable[[RVector], Any]) -> Callable[[Any], Any]:
    return lambda x: function(x) if isinstance(x, RVector) else UnknownValue()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _elements(function) for name, function in _ELEMENTWISE.items()},
    **{name: _reduction(function) for name, function in (("prod", math.prod), ("sum", sum))},
    **{name: _reduction(function) for name, function in (("max", max), ("min", min))},
    "round": lambda x, digits=0: _elementwise(round, x, digits),
    "log": lambda x, base=math.e: _elementwise(math.log, x, base),
    "rep": _rep,
    "paste": _paste,
    "paste0": lambda *values: _paste(*values, sep=""),
    "is.null": lambda x: x is None,
    "length": _of_vector(len),
    "rev": _of_vector(lambda x: RVector(x.items[::-1], x.size)),
    "seq": _seq,
    "seq_along": _of_vector(lambda x: _seq_len(len(x))),
    "seq_len": _seq_len,
}
"""Functions by their parameters; other arguments make the result unknown."""
BASE_FUNCTIONS = frozenset({*_FUNCTIONS, *_IDENTITIES, *_LISTS, *_SHAPE_PARTS})


def call_base_function(name: str, args: list[CallArg], span: TextRange) -> Any:
    """The result of one of BASE_FUNCTIONS; an ``UnknownValue`` where it depends on data.

    Raises:
        RMistake: It cannot be computed.
    """
    values = [arg.value for arg in args]
    first = values[0] if values else None
    if name in _LISTS:
        is_flat = name in ("append", "c", "shape")  # c(c(1, 2), 3) has three values
        parts = (
            _items(arg.value) if is_flat and arg.name is None else [(arg.name, arg.value)]
            for arg in args
        )
        return vector(chain.from_iterable(parts))
    if name in _IDENTITIES:
        return values[1] if name == "with" and len(values) > 1 else first
    if isinstance(first, UnknownValue):
        if name in _SHAPE_PARTS and first.python:
            return UnknownValue(f"{first.python}.shape{_SHAPE_PARTS[name]}")
        return first if name in _CONVERSIONS else UnknownValue()
    if name not in _FUNCTIONS or any(isinstance(value, UnknownValue) for value in values):
        return UnknownValue()
    function = _FUNCTIONS[name]
    named = {arg.name: arg.value for arg in args if arg.name is not None}
    positional = [arg.value for arg in args if arg.name is None]
    try:
        call = signature(function).bind(*positional, **named)
    except TypeError:
        return UnknownValue()
    try:
        return function(*call.args, **call.kwargs)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RMistake(f"cannot be computed: {error}", span) from error


def is_short(text: str) -> bool:
    """Whether a text is short enough to be part of a model."""
    return len(text) <= _MAX_CHARACTERS


def _check_numbers(values: Iterable[Any]) -> None:
    if not all(isinstance(value, int | float) for value in values):
        raise TypeError("an operand is not a number")


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
        source = f"{sides[0]} {python} {sides[1]}"
        return UnknownValue(source if all(sides) else "")
    try:
        if sign not in _COMPARISONS:
            _check_numbers(value for side in (left, right) for _, value in _items(side))
        return _elementwise(function, left, right)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RMistake(f"cannot be computed: {error}", span) from error


def _elementwise(function: Callable[..., Any], *operands: Any) -> Any:
    """The function of numbers, or of each element of vectors; the shorter one is repeated."""
    if not any(isinstance(operand, RVector) for operand in operands):
        return _as_int(function(*operands))
    columns = list(map(_items, operands))
    if not all(columns):
        return RVector([])
    rows = islice(zip(*map(cycle, columns), strict=False), max(map(len, columns)))
    values = ((row[0][0], function(*(value for _, value in row))) for row in rows)
    return vector((name, _as_int(value)) for name, value in values)


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
            return vector((None, get_item(owner, number, span)) for number in index)
        case RVector(), str():
            return next((value for key, value in owner.items if key == index), None)
        case RVector(), int() if 0 < index <= len(owner):
            return owner.items[index - 1][1]
        case RVector(), int() if 0 < -index <= len(owner):
            return vector(owner.items[: -index - 1] + owner.items[-index:])
        case RVector(), int():
            raise RMistake(f"has no element {index}: its length is {len(owner)}", span)
        case UnknownValue(python=str(python)), int() if python and (index > 0 or index == -1):
            return UnknownValue(f"{python}[{index - 1 if index > 0 else '1:'}]")
        case UnknownValue(python=str(python)), str() if python and index.isidentifier():
            return UnknownValue(f"{python}.{index}")
    return UnknownValue()


def _as_int(value: Any) -> Any:
    """A number as R prints it: 32, not 32.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    if isinstance(value, int) and abs(value) > EXACT:
        return float(value)
    return value


def _sequence(first: int, last: int) -> RVector | UnknownValue:
    step = 1 if last >= first else -1
    return vector((None, number) for number in range(first, last + step, step))


def _operand_source(value: Any) -> str:
    if isinstance(value, UnknownValue):
        is_simple = re.fullmatch(r"[\w.\[\]]*", value.python)
        return value.python if is_simple else f"({value.python})"
    return repr(value) if isinstance(value, int | float) else ""
