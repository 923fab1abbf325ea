"""What a model's text means: frozen values that know neither Keras nor IPython.

A :class:`ModelSpec` is a tree of statements. A stack of layers and a graph of them are the same
thing here: a statement without an arrow takes what came before it, and that default edge is all
that a stack needs.

Spans tell where a value stands in the text. They do not count when two specs are compared, so
``parse(format_spec(spec)) == spec``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias
from typing import Literal as OneOf


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line of text: line and column count from 1."""

    line: int = 0
    column: int = 0
    width: int = 1


NO_SPAN = Span()


def _span() -> Any:
    return field(default=NO_SPAN, compare=False, repr=False, kw_only=True)


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LiteralValue:
    """A number, a quoted string, ``true``, ``false``, ``none``, ``inf``, ``nan`` or ``...``."""

    value: object
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Word:
    """A bare name, perhaps dotted: what it means depends on the place where it stands."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Shape:
    """``28x28x1`` or ``?x64``; an unknown dimension is None."""

    dims: tuple[int | None, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Expr:
    """``{units // 2}``: a Python expression over names from the notebook and block parameters."""

    source: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Object:
    """``l2(1e-4)``: something with arguments, looked up where its place implies."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class InnerLayer:
    """``lstm 32 return_sequences`` as an argument: a layer inside a layer."""

    callee: Word | Expr | NotebookValue
    args: tuple[Arg, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """``[a, b]`` or ``(a, b)``."""

    kind: OneOf["list", "tuple"]
    items: tuple[Value, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class MappingValue:
    """``{cls: crossentropy, box: mse}``."""

    entries: tuple[tuple[Value, Value], ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Ref:
    """``&name``: the layer or model itself, not its output."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index:
    """``h[0]``: one of several outputs; only right of an arrow."""

    name: str
    path: tuple[int | str, ...]
    span: Span = _span()


# Values that no text holds, but that a graph puts in the place of names and expressions.


@dataclass(frozen=True, slots=True)
class NotebookValue:
    """A value from the notebook, and the expression that gave it."""

    value: Any
    source: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """The output of a node of a graph; a path picks one of several."""

    node: int
    path: tuple[int | str, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class LayerRef:
    """The layer that a node applies, not its output."""

    node: int
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A nested model itself."""

    model: int
    span: Span = _span()


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
class Arg:
    """One argument; without a name it is positional. ``!flag`` is ``flag=false``."""

    value: Value
    name: str | None = None
    span: Span = _span()


# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer applied to one or more values: ``h = conv2d 32 3x3 relu <- x``.

    Attributes:
        callee: The layer's word, or an expression that gives a layer or model.
        args: Arguments of the constructor (left of the arrow).
        inputs: Arguments of the call (right of the arrow); None stands for "what came before".
        targets: Names for the outputs.
        reuse: True if ``callee`` names a layer that exists already.
        times: How often the line is repeated, if not once.
    """

    callee: Word | Expr
    args: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] | None = None
    targets: tuple[str, ...] = ()
    reuse: bool = False
    times: Value | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """``compile adam loss=mse``: arguments of ``Model.compile``."""

    args: tuple[Arg, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class FreezeSpec:
    """``freeze`` everything so far, or ``freeze backbone`` by name."""

    args: tuple[Arg, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """``output a, b`` or ``output cls=a, box=b``."""

    entries: tuple[Arg, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class InputsSpec:
    """``inputs b, a``: order or structure of the model's inputs, where the text's is not it."""

    entries: tuple[Arg, ...]
    span: Span = _span()


ModelKind: TypeAlias = OneOf["", "sequential", "functional"]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """``model resnet functional`` without a body: name and kind of the model itself."""

    name: str
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NestedSpec:
    """``model encoder:`` and its body: one nested model, whose weights all its uses share."""

    name: str
    body: tuple[Statement, ...]
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a block, with its default if it has one."""

    name: str
    default: Value | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """``block res(f, s=1):`` and its body: a template, fresh layers at each use."""

    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RepeatSpec:
    """``repeat 3:`` and its body."""

    times: Value
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ForSpec:
    """``for f in 32 64:`` and its body."""

    name: str
    values: tuple[Value, ...]
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ResidualSpec:
    """``residual:`` adds what entered its body to what leaves it."""

    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BranchSpec:
    """``branch:`` one way from the merge's input to its merge."""

    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class MergeSpec:
    """``merge add:`` several branches of the same value, brought together by a layer."""

    callee: Word | Expr
    args: tuple[Arg, ...]
    branches: tuple[BranchSpec, ...]
    span: Span = _span()


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
        source: The text itself, kept for messages; it does not count in comparisons.
    """

    statements: tuple[Statement, ...]
    source: str = field(default="", compare=False, repr=False)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)

    @property
    def compile(self) -> CompileSpec | None:
        """The last ``compile`` line, or None."""
        found = [each for each in self.statements if isinstance(each, CompileSpec)]
        return found[-1] if found else None

    @property
    def head(self) -> HeadSpec | None:
        """The line that names the model itself, or None."""
        return next((each for each in self.statements if isinstance(each, HeadSpec)), None)


def find_parts(part: Any, *kinds: type) -> Iterator[Any]:
    """All of some kinds that stand in a part of a text, in its order; within them none is sought.

    Example:
        >>> line = LayerSpec(Word("dense"), (Arg(Expr("n")), Arg(LiteralValue(3))))
        >>> [each.source for each in find_parts(line, Expr)]
        ['n']
    """
    if isinstance(part, kinds):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from find_parts(each, *kinds)
    elif is_dataclass(part) and not isinstance(part, type):
        for each in fields(part):
            yield from find_parts(getattr(part, each.name), *kinds)
