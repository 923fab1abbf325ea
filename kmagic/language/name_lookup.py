"""What a name or a value of the text stands for, where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from kmagic.language import expressions
from kmagic.language.formatter import format_value
from kmagic.language.graph import Graph, Trail, Turns
from kmagic.language.spec import (
    NOWHERE,
    Arg,
    BlockSpec,
    Expr,
    Given,
    Index,
    LayerOf,
    LayerSpec,
    Literal,
    ModelOf,
    NestedSpec,
    Object,
    Out,
    Phrase,
    Ref,
    Sequence,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.language.spec import Mapping as MappingValue
from kmagic.support.errors import Problem
from kmagic.support.suggestions import did_you_mean

MOST_REPEATS = 100_000


class Mistake(Exception):  # noqa: N818 - it ends one statement, and is told with the others later
    """A statement cannot go into the graph.

    Args:
        problem: What is wrong, and where; None if it is only what an earlier mistake entails.
        trail: The blocks it stands in.
    """

    def __init__(self, problem: Problem | None, trail: Trail = ()) -> None:
        super().__init__(problem.message if problem else "")
        self.problem, self.trail = problem, trail


class ExpandError(Exception):
    """The text does not make a graph.

    Args:
        found: What is wrong, and the blocks that each mistake stands in.
        graph: Of the statements without mistakes.
    """

    def __init__(self, found: Iterable[tuple[Problem, Trail]], graph: Graph) -> None:
        self.found, self.graph = tuple(found), graph
        super().__init__(self.found[0][0].message)


@dataclass(slots=True)
class Scope:
    """Where a name is looked up: one for the text, one more for each use of a block."""

    names: Mapping[str, Any]
    blocks: dict[str, tuple[BlockSpec, Scope]] = field(default_factory=dict)
    models: dict[str, ModelOf] = field(default_factory=dict)
    taps: dict[str, tuple[Out, Span]] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    current: tuple[Out, ...] = ()
    entry: tuple[Out, ...] = ()
    trail: Trail = ()
    names_layers: bool = True
    outputs: tuple[Arg, ...] = ()
    params: frozenset[str] = frozenset()
    turns: Turns = ()


class Lookup:
    """Looks names up in the scope that is open, and evaluates values.

    Args:
        graph: What is made so far.
        names: What the names in braces stand for.
        text: The whole text's statements, to tell where else a name is made.
        first_line: Number of the text's first line in the user's editor.
        lost: Names that lines with mistakes would have made; nobody is told that they are missing.
    """

    def __init__(
        self,
        graph: Graph,
        names: Mapping[str, Any],
        text: tuple[Statement, ...] = (),
        first_line: int = 1,
        lost: Iterable[str] = (),
    ) -> None:
        self.graph, self.text, self.first_line = graph, text, first_line
        self.scope = Scope(names)
        self.lost = set(lost)
        self.found: dict[Problem, Trail] = {}
        self.failures = int(bool(self.lost))
        self.owner = ""

    def known_layer(self, value: Value) -> LayerOf | ModelOf:
        """The layer or nested model of a name."""
        name = value.name if isinstance(value, Ref) else getattr(value, "text", "")
        if name in self.scope.models:
            return replace(self.scope.models[name], span=value.span)
        if name in self.scope.layers:
            return LayerOf(self.scope.layers[name], span=value.span)
        return self._fail_layer(name, value)

    def _fail_layer(self, name: str, value: Value) -> NoReturn:
        self.miss(name)
        known = {*self.scope.layers, *self.scope.models}
        remedy = did_you_mean(name, known) or "Name it where it is made: `d = dense 4`."
        self.fail(f"there is no layer named {name} above", value.span, remedy)

    def call(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Right of an arrow: names are outputs, ``_`` may stand for several."""
        found: list[Arg] = []
        for arg in args:
            several = self._several(arg.value) if arg.name is None else None
            if several is not None:
                found += [Arg(out, span=arg.span) for out in several]
            else:
                found.append(replace(arg, value=self._tensor(arg.value)))
        return tuple(found)

    def entries(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """What an ``output`` or ``inputs`` line names."""
        return tuple(replace(arg, value=self._tensor(arg.value)) for arg in args)

    def _several(self, value: Value) -> tuple[Out, ...] | None:
        if isinstance(value, Word) and value.text in ("_", "_in"):
            outs = self.scope.current if value.text == "_" else self.scope.entry
            if not outs:
                self._fail_empty(value.text, value.span)
            return tuple(replace(out, span=value.span) for out in outs)
        return None

    def _tensor(self, value: Value) -> Any:
        match value:
            case Word(text="_" | "_in"):
                outs = self._several(value) or ()
                return outs[0] if len(outs) == 1 else Sequence("list", outs, span=value.span)
            case Word():
                return replace(self._tap(value.text, value.span), span=value.span)
            case Index():
                return self._indexed(value)
            case Sequence():
                items = tuple(self._tensor(item) for item in value.items)
                return replace(value, items=items)
            case MappingValue():
                entries = tuple((key, self._tensor(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case _:
                return self.value(value)

    def _indexed(self, value: Index) -> Out:
        if value.name in ("_", "_in"):
            outs = self.scope.current if value.name == "_" else self.scope.entry
            first = value.path[0]
            if len(outs) > 1 and isinstance(first, int) and first < len(outs):
                return replace(outs[first], path=outs[first].path + value.path[1:], span=value.span)
            if not outs:
                self._fail_empty(value.name, value.span)
            out = outs[0]
        else:
            out = self._tap(value.name, value.span)
        return replace(out, path=out.path + value.path, span=value.span)

    def _tap(self, name: str, span: Span) -> Out:
        if name not in self.scope.taps:
            self._fail_tap(name, span)
        return self.scope.taps[name][0]

    def _fail_empty(self, sign: str, span: Span) -> NoReturn:
        if self.failures:
            raise Mistake(None)
        if sign == "_in":
            remedy = "_in is what entered a block, `residual:` or `branch:`, and stands only there."
            self.fail("nothing entered that _in could stand for", span, remedy)
        self.fail("nothing came before that _ could stand for", span)

    def _fail_tap(self, name: str, span: Span) -> NoReturn:
        self.miss(name)
        here = self.scope.trail[-1].name if self.scope.trail else self.owner
        made = list(_names_made(self.text))
        for other, line, owner in made:
            if other == name and owner == here and line > span.line:
                remedy = "A model runs from its first line to its last: move that line up."
                self.fail(f"{name} is made further down, in line {self.number(line)}", span, remedy)
        remedy = did_you_mean(name, self.scope.taps)
        elsewhere = [owner for other, _, owner in made if other == name and owner != here]
        if any(elsewhere):
            inside = next(filter(None, elsewhere))
            remedy = (
                f"{name} is inside {inside}, which gives it only if it ends in `output {name}`."
            )
        elif elsewhere:
            remedy = (
                f"A block sees only what it is given: `{here} <- _, {name}`, as `_in[1]` inside."
            )
        if name == "input":
            remedy = "Give the input a name, `img = input 8`, and write that behind the arrow."
        remedy = remedy or f"Name an output above: `{name} = dense 4`; _ is what came before."
        self.fail(f"no output above is named {name}", span, remedy)

    def args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """A step's arguments, evaluated."""
        values = [self.value(arg.value) for arg in args]
        return tuple(
            arg if value is arg.value else replace(arg, value=value)
            for arg, value in zip(args, values, strict=True)
        )

    def value(self, value: Value) -> Any:
        """A value with all its expressions evaluated."""
        match value:
            case Expr():
                return self.expr(value)
            case Object() | Phrase():
                callee: Any = value.callee
                callee = self.expr(callee) if isinstance(value.callee, Expr) else callee
                return replace(value, callee=callee, args=self.args(value.args))
            case Sequence():
                return replace(value, items=tuple(self.value(item) for item in value.items))
            case MappingValue():
                entries = tuple((self.value(key), self.value(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case Ref():
                return self.known_layer(value)
            case _:
                return value

    def expr(self, expr: Expr) -> Value:
        """What an expression stands for."""
        known = self.scope.names.get(expr.source)
        if isinstance(known, Object | Phrase):
            return known
        try:
            found = expressions.evaluate(expr.source, self.scope.names)
        except expressions.ExpressionError as error:
            where = Span(expr.span.line, expr.span.column + 1 + error.column, error.width)
            self.fail(error.message, where, error.remedy)
        return Given(found, expr.source, span=expr.span)

    @staticmethod
    def plain(value: Value) -> Any:
        """A block's argument as its expressions see it."""
        match value:
            case Literal() | Given():
                return value.value
            case Word():
                return value.text
            case Shape():
                return value.dims
            case Sequence():
                items = (Lookup.plain(item) for item in value.items)
                return list(items) if value.kind == "list" else tuple(items)
            case _:
                return value

    def count(self, value: Value) -> int:
        """A whole number of repetitions."""
        found = self.plain(self.value(value))
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= MOST_REPEATS:
            remedy = f"For the notebook's {found} write {{{found}}}." * (found in self.scope.names)
            shown = format_value(value)
            self.fail(f"expected a whole number of repetitions, not {shown}", value.span, remedy)
        return found

    def number(self, line: int) -> int:
        """A line's number in the user's editor."""
        return line + self.first_line - 1

    def miss(self, name: str) -> None:
        """Say nothing about a name that only a line with a mistake could have made."""
        if name in self.lost:
            raise Mistake(None)

    def fail(self, message: str, span: Span, remedy: str = "") -> NoReturn:
        """Stop here: the text is wrong at this place."""
        if span == NOWHERE and self.scope.trail:
            span = self.scope.trail[-1].span
        raise Mistake(
            Problem(message, span.line, span.column, span.width, remedy), self.scope.trail
        )


def _names_made(statements: Iterable[Statement], owner: str = "") -> Iterator[tuple[str, int, str]]:
    """Every output's name, its line, and the block or nested model it is in."""
    for each in statements:
        if isinstance(each, LayerSpec):
            yield from ((name, each.span.line, owner) for name in each.targets)
        inside = each.name if isinstance(each, BlockSpec | NestedSpec) else owner
        yield from _names_made(getattr(each, "body", ()), inside)
        yield from _names_made(getattr(each, "branches", ()), owner)


def definitions(statements: Iterable[Statement]) -> dict[str, int]:
    """The blocks and nested models that a text defines, each with its line."""
    return {
        each.name: each.span.line for each in statements if isinstance(each, BlockSpec | NestedSpec)
    }


def mentions_current(args: tuple[Arg, ...]) -> bool:
    """Whether a step's inputs name what came before, by `_`."""
    return any(
        (isinstance(arg.value, Word) and arg.value.text == "_")
        or (isinstance(arg.value, Index) and arg.value.name == "_")
        or (isinstance(arg.value, Sequence) and "_" in str(arg.value.items))
        for arg in args
    )
