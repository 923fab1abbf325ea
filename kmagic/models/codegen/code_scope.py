"""What the names of a model's text stand for while its Keras program is written."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

from kmagic.language import expressions
from kmagic.language.graph import BlockTrail
from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    BlockSpec,
    Expr,
    InnerLayer,
    LiteralValue,
    MappingValue,
    NotebookValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.models.catalogue import takes_input_list
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.source_tree import (
    Call,
    Code,
    FunctionDef,
    Item,
    SourceStatement,
    list_of,
)

RESERVED = frozenset({"input", "keras", "layers", "np", "ops", "range", "slice"})
_VARIABLES = ("x", "y", "z", "out", "flow")
_OPERATIONS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)


class Unstructured(Exception):  # noqa: N818 - it ends an attempt, not the work
    """The text's loops and blocks cannot be kept; the program is written layer by layer."""


class Placeholder(int):
    """A notebook variable whose value is unknown; where a number is needed it is 1.

    A program can be written without the values: ``{units // 2}`` stays as it is, and whatever is
    computed from a placeholder is a placeholder.

    Example:
        >>> isinstance(64 // Placeholder().shape[0], Placeholder)
        True
    """

    def __new__(cls) -> Self:  # noqa: D102 - takes no value
        return super().__new__(cls, 1)

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("_"):
            raise AttributeError(name)
        return Placeholder()

    def __getitem__(self, key: object) -> Placeholder:
        return Placeholder()

    def __iter__(self) -> Iterator[Placeholder]:
        yield Placeholder()

    def __call__(self, *_: object, **__: object) -> NoReturn:  # noqa: D102 - makes it callable
        raise TypeError("a placeholder cannot be called")


def _operation(_: object, __: object = None) -> Placeholder:
    return Placeholder()


for _name in _OPERATIONS:
    setattr(Placeholder, f"__{_name}__", _operation)
    setattr(Placeholder, f"__r{_name}__", _operation)
for _name in ("neg", "pos", "invert"):
    setattr(Placeholder, f"__{_name}__", _operation)


def python_name(text: str) -> str:
    """A name of the text as Python accepts it."""
    return f"{text}_" if keyword.iskeyword(text) else text


@dataclass(frozen=True, slots=True)
class SourceValue:
    """A value whose source is known already."""

    code: Code
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A Keras object that was passed through a block's parameter."""

    value: Object | InnerLayer
    source: str
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, eq=False, slots=True)
class TensorCode:
    """An output: how the program reads it, and the names of its parts if it is a dictionary."""

    code: Code
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepCode:
    """What a step applies.

    Attributes:
        code: The call that creates the layer, the variable that holds it, or the function.
        is_new: Whether the layer is created here.
        base_name: What it is, for the name of a variable.
        is_function: Whether this is a function, not a layer.
        args: A function's own arguments, which follow the tensors.
        signature: What tells how several inputs are passed; None if that is unknown.
        adapt: The data that the layer is adapted to.
        outputs: The number of outputs if that is known, else 0.
        keys: The names of its outputs, if it returns a dictionary.
    """

    code: Code
    is_new: bool = False
    base_name: str = "layer"
    is_function: bool = False
    args: tuple[Item, ...] = ()
    signature: Callable[..., Any] | None = None
    adapt: Code | None = None
    outputs: int = 0
    keys: tuple[str, ...] = ()

    def applied(self, inputs: Sequence[Code], named: Sequence[Item]) -> Code:
        """The call on its inputs."""
        as_list = len(inputs) > 1 and (
            not self.is_function
            if self.signature is None
            else takes_input_list(self.signature, len(inputs))
        )
        positional = [Item(list_of(inputs))] if as_list else [*map(Item, inputs)]
        return Call(self.code, (*positional, *self.args, *named))


@dataclass(slots=True)
class CodeFrame:
    """The variables of one Python function, or of the program itself.

    Attributes:
        common: Names that mean the same in every function: the notebook's, blocks, models.
        taken: All names that no new variable may have.
        functions: Functions to be defined at its start.
    """

    common: frozenset[str]
    taken: set[str] = field(default_factory=set)
    functions: list[FunctionDef] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken |= self.common

    def new_name(self, base: str) -> str:
        """A new variable's name, taken until it is released."""
        name = unused_name(python_name(base), self.taken)
        self.taken.add(name)
        return name

    def release(self, *names: str) -> None:
        """Make names available again."""
        self.taken.difference_update(names)

    def define(self, function: FunctionDef) -> str:
        """Define a function unless an equal one exists; returns its name."""
        for known in self.functions:
            if replace(known, name=function.name) == function:
                return known.name
        base = python_name(function.name)
        base = f"{base}_block" if base in RESERVED else base
        name = unused_name(base, {known.name for known in self.functions})
        self.taken.add(name)
        self.functions.append(replace(function, name=name))
        return name


def unused_name(base: str, taken: set[str]) -> str:
    """The name, numbered from 2 if it is taken."""
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


@dataclass(slots=True)
class CodeScope:
    """One for the text, one more for each nested model and each use of a block.

    Attributes:
        frame: The Python function that is being written.
        env: What the names in braces stand for.
        flow: The variable that holds the current tensor.
        renames: Names of parameters and loop variables in the program.
        variables: Variables of the scope's own outputs.
        layer_variables: Variables of layers that are used again, by the names of their outputs.
        tensors: Named outputs so far.
        layers: Layers that are used again, by the names of their outputs.
        current: The previous step's outputs.
        entry: What entered the body.
        body: The statements written so far.
        names_layers: Whether a step's name is also its layer's.
        in_model: Whether this is a model's own scope, not a block's.
        input_base: The name of inputs that have none.
    """

    frame: CodeFrame
    env: Mapping[str, Any]
    flow: str = "x"
    renames: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    layer_variables: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, tuple[BlockSpec, CodeScope]] = field(default_factory=dict)
    models: dict[str, StepCode] = field(default_factory=dict)
    tensors: dict[str, TensorCode] = field(default_factory=dict)
    layers: dict[str, StepCode] = field(default_factory=dict)
    current: tuple[TensorCode, ...] = ()
    entry: tuple[TensorCode, ...] = ()
    body: list[SourceStatement] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] = ()
    model_inputs: list[TensorCode] = field(default_factory=list)
    trail: BlockTrail = ()
    names_layers: bool = True
    in_model: bool = True
    input_base: str = "inputs"

    def declare(self, statements: tuple[Statement, ...]) -> None:
        """Give the names of the scope's own statements unique variables."""
        names = spec_survey.output_names(statements)
        for name in sorted(names):
            base = name if python_name(name) not in self.frame.taken else f"{name}_out"
            self.variables[name] = self.frame.new_name(base)
        for name in sorted(names & spec_survey.reused_layers(statements)):
            self.layer_variables[name] = self.frame.new_name(f"{name}_layer")

    def choose_flow(self, prefix: str = "") -> None:
        """Choose the variable that holds the current tensor."""
        names = [name for name in _VARIABLES if name not in self.frame.taken]
        self.flow = self.frame.new_name(f"{prefix}{names[0] if names else _VARIABLES[0]}")

    def layer(self, name: str) -> StepCode:
        """The layer or model of that name."""
        if name in self.models:
            return self.models[name]
        if name not in self.layers:
            raise Unstructured  # it is local to a block's function
        return self.layers[name]

    def value(self, value: Value) -> Any:
        """A value with its expressions evaluated, as in the graph."""
        match value:
            case Expr():
                known = self.env.get(value.source)
                if isinstance(known, Object | InnerLayer):
                    return ParameterValue(known, value.source, value.span)
                result = expressions.evaluate(value.source, self.env)
                return NotebookValue(result, value.source, span=value.span)
            case Object() | InnerLayer():
                callee = value.callee
                callee = self.value(callee) if isinstance(callee, Expr) else callee
                return replace(value, callee=callee, args=self.args(value.args))
            case SequenceValue():
                return replace(value, items=tuple(map(self.value, value.items)))
            case MappingValue():
                entries = tuple((self.value(key), self.value(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case Ref():
                return SourceValue(self.layer(value.name).code, value.span)
            case _:
                return value

    def args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Arguments with their expressions evaluated."""
        return tuple(replace(arg, value=self.value(arg.value)) for arg in args)


def plain_value(value: Any) -> Any:
    """A block's argument as the expressions in the block see it."""
    match value:
        case LiteralValue() | NotebookValue() | ParameterValue():
            return value.value
        case Word():
            return value.text
        case Shape():
            return value.dims
        case SequenceValue():
            items = [plain_value(item) for item in value.items]
            return items if value.kind == "list" else tuple(items)
        case _:
            return value
