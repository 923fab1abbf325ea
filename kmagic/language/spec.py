"""The structure of a model's text: frozen values, without Keras or IPython.

A :class:`ModelSpec` is a tree of statements. Stacks and graphs of layers have the same form: a
statement without an arrow takes the output of the statement before it.

Spans are positions in the text. They do not count when two specs are compared, so
``parse(format_spec(spec)) == spec``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias, dataclass_transform

from kmagic.support.errors import Problem


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a line of text; line and column count from 1."""

    line: int = 0
    column: int = 0
    width: int = 1


NO_SPAN = Span()


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class _Frozen:
    """Makes its subclasses frozen dataclasses."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


class Positioned(_Frozen):
    """Something in the text, with its position."""

    span: Span = field(default=NO_SPAN, compare=False, repr=False, kw_only=True)


class Value(Positioned):
    """A value of an argument."""


class Statement(Positioned):
    """A line of the text, with its body if it has one."""


# --- values -----------------------------------------------------------------------------------


class LiteralValue(Value):
    """A number, a quoted string, ``true``, ``false``, ``none``, ``inf``, ``nan`` or ``...``."""

    value: object


class Word(Value):
    """A bare name, perhaps dotted; its meaning depends on its position."""

    text: str


class Shape(Value):
    """``28x28x1`` or ``?x64``; an unknown dimension is None."""

    dims: tuple[int | None, ...]


class Expr(Value):
    """``{units // 2}``: a Python expression over notebook variables and block parameters."""

    source: str


class Object(Value):
    """``l2(1e-4)``: a class or function with arguments; the argument it is for tells which."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...] = ()


class InnerLayer(Value):
    """``lstm 32 return_sequences`` as an argument: a layer within a layer."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...]


class SequenceValue(Value):
    """``[a, b]`` or ``(a, b)``."""

    kind: Literal["list", "tuple"]
    items: tuple[Value, ...]


class MappingValue(Value):
    """``{cls: crossentropy, box: mse}``."""

    entries: tuple[tuple[Value, Value], ...]


class Ref(Value):
    """``&name``: the layer or model itself, not its output."""

    name: str


class Range(Value):
    """``32..256:32`` or ``1e-4..1e-2~log``: numbers that a search tries, with both ends."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


class Choice(Value):
    """``relu|gelu``: values of which a search tries each."""

    items: tuple[Value, ...]


class Index(Value):
    """``h[0]``: one of several outputs, after an arrow."""

    name: str
    path: tuple[int | str, ...]


# Values that are not written in a text: a graph has them in place of names and expressions.


class NotebookValue(Value):
    """A value from the notebook, and its expression."""

    value: Any
    source: str


class NodeOutput(Value):
    """The output of a node of a graph; a path selects one of several."""

    node: int
    path: tuple[int | str, ...] = ()


class LayerRef(Value):
    """The layer of a node, not its output."""

    node: int


class ModelRef(Value):
    """A nested model itself."""

    model: int


class Arg(Positioned):
    """One argument; without a name it is positional. ``!flag`` is ``flag=false``."""

    value: Value
    name: str | None = None


# --- statements -------------------------------------------------------------------------------


class LayerSpec(Statement):
    """One layer applied to one or more values: ``h = conv2d 32 3x3 relu <- x``.

    Attributes:
        callee: The layer's word, or an expression for a layer or model.
        args: Arguments of the constructor (left of the arrow).
        inputs: Arguments of the call (right of the arrow); None stands for the previous output.
        targets: Names of the outputs.
        reuse: Whether ``callee`` names a layer that exists already.
        times: Number of repetitions, if the line has one.
    """

    callee: Word | Expr | Choice
    args: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] | None = None
    targets: tuple[str, ...] = ()
    reuse: bool = False
    times: Value | None = None


class CompileSpec(Statement):
    """``compile adam loss=mse``: arguments of ``Model.compile``."""

    args: tuple[Arg, ...] = ()


class FreezeSpec(Statement):
    """``freeze`` everything so far, or ``freeze backbone`` by name."""

    args: tuple[Arg, ...] = ()


class UnfreezeSpec(Statement):
    """``unfreeze backbone 20``: layers and models by name, each perhaps with a number of layers."""

    args: tuple[Arg, ...] = ()


class OutputSpec(Statement):
    """``output a, b`` or ``output cls=a, box=b``."""

    entries: tuple[Arg, ...]


class InputsSpec(Statement):
    """``inputs b, a``: order or structure of the model's inputs, if not that of the text."""

    entries: tuple[Arg, ...]


ModelKind: TypeAlias = Literal["", "sequential", "functional"]


class HeadSpec(Statement):
    """``model resnet functional`` without a body: name and kind of the whole model."""

    name: str
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()


class NestedSpec(Statement):
    """``model encoder:`` and its body: a nested model, whose weights all its uses share."""

    name: str
    body: tuple[Statement, ...]
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()


class Param(Positioned):
    """A parameter of a block, with its default if it has one."""

    name: str
    default: Value | None = None


class BlockSpec(Statement):
    """``block res(f, s=1):`` and its body: a template; each use creates new layers."""

    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]


class RepeatSpec(Statement):
    """``repeat 3:`` and its body."""

    times: Value
    body: tuple[Statement, ...]


class ForSpec(Statement):
    """``for f in 32 64:`` and its body."""

    name: str
    values: tuple[Value, ...]
    body: tuple[Statement, ...]


class ResidualSpec(Statement):
    """``residual:`` adds the input of its body to the output."""

    body: tuple[Statement, ...]


class BranchSpec(Statement):
    """``branch:`` and its body: one input of a merge."""

    body: tuple[Statement, ...]


class MergeSpec(Statement):
    """``merge add:`` and its branches, which take the same value and are merged by a layer."""

    callee: Word | Expr | Choice
    args: tuple[Arg, ...]
    body: tuple[BranchSpec, ...]


class AlternativesSpec(Statement):
    """``dense 64 relu | identity``: steps of which a search uses one at a time."""

    steps: tuple[LayerSpec, ...]


class VarySpec(Statement):
    """``vary width = 32..256:32``: a range or choice for all braces with its name."""

    name: str
    value: Range | Choice


VARIED = (Range, Choice, AlternativesSpec, VarySpec)
"""What only the text of a search contains."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A whole model's text.

    Attributes:
        statements: In the order of the text; lines with mistakes are left out.
        source: The text itself, for messages.
        problems: The mistakes, in the order of the text.
        lost_names: Names that the lines with mistakes may have defined.
    """

    statements: tuple[Statement, ...]
    source: str = field(default="", compare=False, repr=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False, repr=False)
    lost_names: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)

    @property
    def compile(self) -> CompileSpec | None:
        """The last ``compile`` line, or None."""
        lines = (item for item in reversed(self.statements) if isinstance(item, CompileSpec))
        return next(lines, None)

    @property
    def head(self) -> HeadSpec | None:
        """The line that names the model itself, or None."""
        return next((item for item in self.statements if isinstance(item, HeadSpec)), None)


def find_parts(part: Any, *kinds: type) -> Iterator[Any]:
    """All values of some types in a part of a spec, in order, but none within another.

    Example:
        >>> line = LayerSpec(Word("dense"), (Arg(Expr("n")), Arg(LiteralValue(3))))
        >>> [expr.source for expr in find_parts(line, Expr)]
        ['n']
    """
    if isinstance(part, kinds):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from find_parts(item, *kinds)
    else:
        for name in _field_names(type(part)):  # type: ignore[arg-type]  # classes are hashable
            yield from find_parts(getattr(part, name), *kinds)


@lru_cache(256)
def _field_names(kind: Hashable) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()


def statements_in(statements: Iterable[Statement], *, inner: bool = False) -> Iterator[Statement]:
    """The statements of a scope, also in loops and branches; with those of inner scopes, all."""
    for statement in statements:
        yield statement
        if inner or not isinstance(statement, BlockSpec | NestedSpec):
            yield from statements_in(getattr(statement, "body", ()), inner=inner)


def replace_part(part: Any, old: Positioned, new: Any) -> Any:
    """A part of a spec with a statement or value in it replaced, which is found by its position.

    Args:
        part: The part.
        old: The statement or value.
        new: Statements in place of a statement, a value in place of a value.

    Example:
        >>> word = Word("rleu", span=Span(1, 9, 4))
        >>> replace_part((Arg(word),), word, Word("relu"))
        (Arg(value=Word(text='relu'), name=None),)
        >>> replace_part(MappingValue(((Word("box"), word),)), word, Word("relu")).entries
        ((Word(text='box'), Word(text='relu')),)
    """
    if isinstance(part, tuple):
        items: list[Any] = []
        for item in part:
            changed = replace_part(item, old, new)
            is_spliced = isinstance(changed, tuple) and not isinstance(item, tuple)
            items += changed if is_spliced else [changed]
        return tuple(items)
    if not is_dataclass(part) or isinstance(part, type | Span):
        return part
    if isinstance(part, type(old)) and getattr(part, "span", None) == old.span:
        return new
    values = {item.name: getattr(part, item.name) for item in fields(part)}
    changes = {
        name: replace_part(value, old, new)
        for name, value in values.items()
        if isinstance(value, tuple) or is_dataclass(value)
    }
    return replace(part, **changes)


_INNER_PARTS: dict[type, tuple[str, ...]] = {
    Arg: ("value",),
    Object: ("callee", "args"),
    InnerLayer: ("callee", "args"),
    SequenceValue: ("items",),
    MappingValue: ("entries",),
}


def map_value(value: Any, replace_leaf: Callable[[Any], Any]) -> Any:
    """A value, an argument, or a tuple of these, with its innermost values replaced.

    Example:
        >>> pair = SequenceValue("list", (Word("a"), Word("b")))
        >>> map_value(pair, lambda word: Word(word.text.upper())).items
        (Word(text='A'), Word(text='B'))
    """
    if isinstance(value, tuple):
        return tuple(map_value(item, replace_leaf) for item in value)
    names = _INNER_PARTS.get(type(value))
    if names is None:
        return replace_leaf(value)
    parts = {name: map_value(getattr(value, name), replace_leaf) for name in names}
    return replace(value, **parts)


def map_args(args: tuple[Arg, ...], replace_leaf: Callable[[Any], Any]) -> tuple[Arg, ...]:
    """Arguments with the innermost parts of their values replaced."""
    return tuple(map_value(arg, replace_leaf) for arg in args)


def plain_value(value: Any) -> Any:
    """A block's argument as the block's expressions see it.

    Example:
        >>> plain_value(SequenceValue("tuple", (LiteralValue(3), Word("relu"))))
        (3, 'relu')
    """
    match value:
        case LiteralValue() | NotebookValue():
            return value.value
        case Word():
            return value.text
        case Shape():
            return value.dims
        case SequenceValue():
            items = map(plain_value, value.items)
            return list(items) if value.kind == "list" else tuple(items)
        case _:
            return value
