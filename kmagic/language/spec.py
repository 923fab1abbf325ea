"""The structure of a model's text: frozen values, without Keras or IPython.

A :class:`ModelSpec` is a tree of statements. Stacks and graphs of layers have the same form: a
statement without an arrow takes the output of the statement before it.

Spans are positions in the text. They do not count when two specs are compared, so
``parse(format_spec(spec)) == spec``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a line of text; line and column count from 1."""

    line: int = 0
    column: int = 0
    width: int = 1


NO_SPAN = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Positioned:
    """Something in the text, with its position."""

    span: Span = field(default=NO_SPAN, compare=False, repr=False)


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LiteralValue(_Positioned):
    """A number, a quoted string, ``true``, ``false``, ``none``, ``inf``, ``nan`` or ``...``."""

    value: object


@dataclass(frozen=True, slots=True)
class Word(_Positioned):
    """A bare name, perhaps dotted; its meaning depends on its position."""

    text: str


@dataclass(frozen=True, slots=True)
class Shape(_Positioned):
    """``28x28x1`` or ``?x64``; an unknown dimension is None."""

    dims: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Expr(_Positioned):
    """``{units // 2}``: a Python expression over notebook variables and block parameters."""

    source: str


@dataclass(frozen=True, slots=True)
class Object(_Positioned):
    """``l2(1e-4)``: a class or function with arguments; the argument it is for tells which."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class InnerLayer(_Positioned):
    """``lstm 32 return_sequences`` as an argument: a layer within a layer."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class SequenceValue(_Positioned):
    """``[a, b]`` or ``(a, b)``."""

    kind: Literal["list", "tuple"]
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class MappingValue(_Positioned):
    """``{cls: crossentropy, box: mse}``."""

    entries: tuple[tuple[Value, Value], ...]


@dataclass(frozen=True, slots=True)
class Ref(_Positioned):
    """``&name``: the layer or model itself, not its output."""

    name: str


@dataclass(frozen=True, slots=True)
class Index(_Positioned):
    """``h[0]``: one of several outputs, after an arrow."""

    name: str
    path: tuple[int | str, ...]


# Values that are not written in a text: a graph has them in place of names and expressions.


@dataclass(frozen=True, slots=True)
class NotebookValue(_Positioned):
    """A value from the notebook, and its expression."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class NodeOutput(_Positioned):
    """The output of a node of a graph; a path selects one of several."""

    node: int
    path: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerRef(_Positioned):
    """The layer of a node, not its output."""

    node: int


@dataclass(frozen=True, slots=True)
class ModelRef(_Positioned):
    """A nested model itself."""

    model: int


Value: TypeAlias = (
    LiteralValue
    | Word
    | Shape
    | Expr
    | Object
    | InnerLayer
    | SequenceValue
    | MappingValue
    | Ref
    | Index
    | NotebookValue
    | NodeOutput
    | LayerRef
    | ModelRef
)


@dataclass(frozen=True, slots=True)
class Arg(_Positioned):
    """One argument; without a name it is positional. ``!flag`` is ``flag=false``."""

    value: Value
    name: str | None = None


# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerSpec(_Positioned):
    """One layer applied to one or more values: ``h = conv2d 32 3x3 relu <- x``.

    Attributes:
        callee: The layer's word, or an expression for a layer or model.
        args: Arguments of the constructor (left of the arrow).
        inputs: Arguments of the call (right of the arrow); None stands for the previous output.
        targets: Names of the outputs.
        reuse: Whether ``callee`` names a layer that exists already.
        times: Number of repetitions, if the line has one.
    """

    callee: Word | Expr
    args: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] | None = None
    targets: tuple[str, ...] = ()
    reuse: bool = False
    times: Value | None = None


@dataclass(frozen=True, slots=True)
class CompileSpec(_Positioned):
    """``compile adam loss=mse``: arguments of ``Model.compile``."""

    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class FreezeSpec(_Positioned):
    """``freeze`` everything so far, or ``freeze backbone`` by name."""

    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputSpec(_Positioned):
    """``output a, b`` or ``output cls=a, box=b``."""

    entries: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class InputsSpec(_Positioned):
    """``inputs b, a``: order or structure of the model's inputs, if not that of the text."""

    entries: tuple[Arg, ...]


ModelKind: TypeAlias = Literal["", "sequential", "functional"]


@dataclass(frozen=True, slots=True)
class HeadSpec(_Positioned):
    """``model resnet functional`` without a body: name and kind of the whole model."""

    name: str
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class NestedSpec(_Positioned):
    """``model encoder:`` and its body: a nested model, whose weights all its uses share."""

    name: str
    body: tuple[Statement, ...]
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class Param(_Positioned):
    """A parameter of a block, with its default if it has one."""

    name: str
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class BlockSpec(_Positioned):
    """``block res(f, s=1):`` and its body: a template; each use creates new layers."""

    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class RepeatSpec(_Positioned):
    """``repeat 3:`` and its body."""

    times: Value
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ForSpec(_Positioned):
    """``for f in 32 64:`` and its body."""

    name: str
    values: tuple[Value, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ResidualSpec(_Positioned):
    """``residual:`` adds the input of its body to the output."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class BranchSpec(_Positioned):
    """``branch:`` and its body: one input of a merge."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class MergeSpec(_Positioned):
    """``merge add:`` and its branches, which take the same value and are merged by a layer."""

    callee: Word | Expr
    args: tuple[Arg, ...]
    branches: tuple[BranchSpec, ...]


Statement: TypeAlias = (
    LayerSpec
    | CompileSpec
    | FreezeSpec
    | OutputSpec
    | InputsSpec
    | HeadSpec
    | NestedSpec
    | BlockSpec
    | RepeatSpec
    | ForSpec
    | ResidualSpec
    | BranchSpec
    | MergeSpec
)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A whole model's text.

    Attributes:
        statements: In the order of the text.
        source: The text itself, for messages; it does not count in comparisons.
    """

    statements: tuple[Statement, ...]
    source: str = field(default="", compare=False, repr=False)

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
    elif is_dataclass(part) and not isinstance(part, type):
        for item in fields(part):
            yield from find_parts(getattr(part, item.name), *kinds)


def map_value(value: Any, replace_leaf: Callable[[Any], Any]) -> Any:
    """A value with its innermost parts replaced; objects, sequences and mappings are rebuilt.

    Example:
        >>> pair = SequenceValue("list", (Word("a"), Word("b")))
        >>> map_value(pair, lambda word: Word(word.text.upper())).items
        (Word(text='A'), Word(text='B'))
    """
    match value:
        case Object() | InnerLayer():
            args = map_args(value.args, replace_leaf)
            return replace(value, callee=replace_leaf(value.callee), args=args)
        case SequenceValue():
            return replace(
                value, items=tuple(map_value(item, replace_leaf) for item in value.items)
            )
        case MappingValue():
            entries = (
                (map_value(key, replace_leaf), map_value(item, replace_leaf))
                for key, item in value.entries
            )
            return replace(value, entries=tuple(entries))
        case _:
            return replace_leaf(value)


def map_args(args: tuple[Arg, ...], replace_leaf: Callable[[Any], Any]) -> tuple[Arg, ...]:
    """Arguments with the innermost parts of their values replaced."""
    return tuple(replace(arg, value=map_value(arg.value, replace_leaf)) for arg in args)


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
