"""Spec to graph: blocks opened, loops run, names bound, expressions evaluated.

Nothing here asks Keras: an unknown layer is found later, an unknown name here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from kmagic.dsl import expressions
from kmagic.dsl.graph import Graph, Node, Trail
from kmagic.errors import Problem
from kmagic.spec import (
    NOWHERE,
    Arg,
    BlockSpec,
    BranchSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    Given,
    HeadSpec,
    Index,
    InputsSpec,
    LayerOf,
    LayerSpec,
    Literal,
    MergeSpec,
    ModelOf,
    ModelSpec,
    NestedSpec,
    Object,
    Out,
    OutputSpec,
    Phrase,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Sequence,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.spec import Mapping as MappingValue
from kmagic.suggest import did_you_mean

MOST_REPEATS = 100_000
CALL_WORDS = frozenset({"training", "mask"})


class ExpandError(Exception):
    """The text does not make a graph.

    Args:
        problem: What is wrong, and where.
        trail: The blocks it stands in.
    """

    def __init__(self, problem: Problem, trail: Trail = ()) -> None:
        super().__init__(problem.message)
        self.problem, self.trail = problem, trail


def expand(spec: ModelSpec, names: Mapping[str, Any]) -> Graph:
    """The graph that a spec stands for.

    Args:
        spec: From :func:`kmagic.dsl.parse`.
        names: What the names in braces stand for.

    Raises:
        ExpandError: An unknown name, a wrong argument of a block, a cycle of blocks ...

    Example:
        >>> from kmagic.dsl import parse
        >>> graph = expand(parse("input {n} / dense 2 * 3"), {"n": 4})
        >>> len(graph.nodes), graph.is_stack
        (4, True)
    """
    return _Expander(Graph(), names).model(spec.statements)


@dataclass(slots=True)
class _Scope:
    """Where a name is looked up: one for the text, one more for each use of a block."""

    names: Mapping[str, Any]
    blocks: dict[str, tuple[BlockSpec, _Scope]] = field(default_factory=dict)
    models: dict[str, ModelOf] = field(default_factory=dict)
    taps: dict[str, tuple[Out, Span]] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    current: tuple[Out, ...] = ()
    entry: tuple[Out, ...] = ()
    trail: Trail = ()
    names_layers: bool = True
    outputs: tuple[Arg, ...] = ()


class _Expander:
    def __init__(self, graph: Graph, names: Mapping[str, Any]) -> None:
        self.graph = graph
        self.scope = _Scope(names)

    # --- statements ---------------------------------------------------------------------------

    def model(self, statements: Iterable[Statement]) -> Graph:
        self._all(statements)
        if self.scope.outputs:
            self.graph.outputs = self.scope.outputs
        elif self.scope.current:
            self.graph.outputs = tuple(Arg(out) for out in self.scope.current)
        return self.graph

    def _all(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self._one(statement)

    def _one(self, statement: Statement) -> None:
        match statement:
            case LayerSpec():
                self._step(statement)
            case BlockSpec():
                self._check_new(statement.name, statement.span, "block")
                self.scope.blocks[statement.name] = (statement, self.scope)
            case NestedSpec():
                self._nested(statement)
            case RepeatSpec():
                self._loop([None] * self._count(statement.times), statement.body)
            case ForSpec():
                self._for(statement)
            case ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case CompileSpec():
                self._top_only(statement.span, "compile")
                self.graph.compile = replace(statement, args=self._args(statement.args))
            case FreezeSpec():
                self._freeze(statement)
            case OutputSpec():
                self.scope.outputs = self._entries(statement.entries)
            case InputsSpec():
                self._top_only(statement.span, "inputs")
                self.graph.inputs = self._entries(statement.entries)
            case HeadSpec():
                self._top_only(statement.span, "model")
                self.graph.name, self.graph.kind = statement.name, statement.kind
                self.graph.args, self.graph.span = self._args(statement.args), statement.span
            case BranchSpec():
                self._fail(
                    "stands outside a merge", statement.span, "It belongs below `merge add:`."
                )

    def _step(self, spec: LayerSpec) -> None:
        times = 1 if spec.times is None else self._count(spec.times)
        for turn in range(times):
            inputs = spec.inputs
            if turn and inputs is not None and not _mentions_current(inputs):
                inputs = (Arg(Word("_", span=spec.span)),)
            self._apply(replace(spec, inputs=inputs, times=None), named=times == 1)

    def _apply(self, spec: LayerSpec, *, named: bool) -> None:
        callee = spec.callee
        if spec.reuse:
            self._add(self._known_layer(callee), spec, named=False)
            return
        if isinstance(callee, Word) and callee.text in self.scope.blocks:
            self._use_block(*self.scope.blocks[callee.text], spec)
            return
        if isinstance(callee, Word) and callee.text in self.scope.models:
            if spec.args:
                self._fail("a nested model takes no arguments here", spec.args[0].span)
            self._add(self.scope.models[callee.text], spec, named=False)
            return
        found = self._expr(callee) if isinstance(callee, Expr) else callee
        if not isinstance(found, Word | Given):
            self._fail("is not a layer", callee.span)
        self._add(found, spec, named=named)

    def _add(
        self, callee: Word | Given | LayerOf | ModelOf, spec: LayerSpec, *, named: bool
    ) -> None:
        is_input = isinstance(callee, Word) and callee.text == "input"
        if is_input and spec.inputs is not None:
            self._fail("an input takes nothing from before", spec.span)
        inputs: tuple[Arg, ...] = ()
        if spec.inputs is not None:
            inputs = self._call(spec.inputs)
        elif not is_input:
            inputs = tuple(Arg(out) for out in self.scope.current)
        name = (
            spec.targets[0]
            if named and self.scope.names_layers and len(spec.targets) == 1
            else None
        )
        number = len(self.graph.nodes)
        self.graph.nodes.append(
            Node(
                callee,
                self._args(spec.args),
                inputs,
                name,
                spec.span,
                self.scope.trail,
                spec.inputs is not None,
            )
        )
        outs: tuple[Out, ...] = (Out(number),)
        if len(spec.targets) > 1:
            outs = tuple(Out(number, (place,)) for place in range(len(spec.targets)))
        self._bind(spec.targets, outs, spec.span)
        for target in spec.targets:
            self.scope.layers[target] = number
        self.scope.current = outs[:1]

    def _bind(self, targets: tuple[str, ...], outs: tuple[Out, ...], span: Span) -> None:
        for target, out in zip(targets, outs, strict=False):
            if target == "_":
                continue
            if target in self.scope.taps and self.scope.names_layers:
                line = self.scope.taps[target][1].line
                hint = "It would name two layers. Take another name."
                self._fail(f"{target} is taken already, in line {line}", span, hint)
            self.scope.taps[target] = (out, span)

    # --- blocks, models, loops ----------------------------------------------------------------

    def _use_block(self, block: BlockSpec, home: _Scope, spec: LayerSpec) -> None:
        if any(name == block.name for name, _ in self.scope.trail):
            self._fail(f"block {block.name} uses itself", spec.span)
        values = self._block_arguments(block, spec)
        inputs = self.scope.current
        if spec.inputs is not None:
            inputs = tuple(self._only_output(arg) for arg in self._call(spec.inputs))
        outer = self.scope
        self.scope = _Scope(
            {**home.names, **values},
            dict(home.blocks),
            dict(home.models),
            current=inputs,
            entry=inputs,
            trail=(*outer.trail, (block.name, spec.span)),
            names_layers=False,
        )
        try:
            self._all(block.body)
            inner = self.scope
        finally:
            self.scope = outer
        outs = inner.current
        if inner.outputs:
            outs = tuple(arg.value for arg in inner.outputs if isinstance(arg.value, Out))
        self._finish(spec, outs)

    def _only_output(self, arg: Arg) -> Out:
        if arg.name is not None or not isinstance(arg.value, Out):
            self._fail("a block takes outputs by their names, nothing else", arg.span)
        return arg.value

    def _finish(self, spec: LayerSpec, outs: tuple[Out, ...]) -> None:
        """Bind a block's outputs to a step's names."""
        if len(spec.targets) > 1 and len(spec.targets) != len(outs):
            hint = "A block gives what its last line gives, or what its `output a, b` names."
            self._fail(f"{len(spec.targets)} names for {len(outs)} outputs", spec.span, hint)
        self._bind(spec.targets, outs[: len(spec.targets)], spec.span)
        for target, out in zip(spec.targets, outs, strict=False):
            self.scope.layers[target] = out.node
        self.scope.current = outs

    def _block_arguments(self, block: BlockSpec, spec: LayerSpec) -> dict[str, Any]:
        known = {param.name: param for param in block.params}
        values: dict[str, Any] = {}
        free = iter(block.params)
        for arg in spec.args:
            if arg.name is None:
                param = next((each for each in free if each.name not in values), None)
                if param is None:
                    shape = ", ".join(known) or "none"
                    self._fail(
                        f"block {block.name} takes no more arguments",
                        arg.span,
                        f"It takes: {shape}.",
                    )
                name = param.name
            else:
                name = arg.name
                if name not in known:
                    hint = did_you_mean(name, known) or f"It takes: {', '.join(known) or 'none'}."
                    self._fail(f"block {block.name} has no parameter {name}", arg.span, hint)
            if name in values:
                self._fail(f"{name} is given twice", arg.span)
            values[name] = self._plain(self._value(arg.value))
        for param in block.params:
            if param.name not in values:
                if param.default is None:
                    self._fail(
                        f"block {block.name} needs {param.name}",
                        spec.span,
                        f"Write {param.name}=...",
                    )
                values[param.name] = self._plain(self._value(param.default))
        return values

    def _nested(self, spec: NestedSpec) -> None:
        self._check_new(spec.name, spec.span, "model")
        inner = _Expander(Graph(name=spec.name, kind=spec.kind, span=spec.span), self.scope.names)
        inner.graph.args = self._args(spec.args)
        inner.scope.blocks = dict(self.scope.blocks)
        inner.scope.trail = self.scope.trail
        inner.graph.models = self.graph.models
        inner.scope.models = dict(self.scope.models)
        graph = inner.model(spec.body)
        self.graph.models.append(graph)
        self.scope.models[spec.name] = ModelOf(len(self.graph.models) - 1)

    def _for(self, spec: ForSpec) -> None:
        outer = self.scope.names
        values = [self._value(value) for value in spec.values]
        if (
            len(values) == 1
            and isinstance(values[0], Given)
            and not isinstance(values[0].value, str)
        ):
            with suppress(TypeError):  # one value, not a series of them
                values = [Given(each, spec.name, span=spec.span) for each in values[0].value]
        turns = [{**outer, spec.name: self._plain(value)} for value in values]
        self._loop(turns, spec.body)
        self.scope.names = outer

    def _loop(self, turns: list[Any], body: tuple[Statement, ...]) -> None:
        outer = self.scope.names_layers
        self.scope.names_layers = False
        for names in turns:
            if names is not None:
                self.scope.names = names
            self._all(body)
        self.scope.names_layers = outer

    def _residual(self, spec: ResidualSpec) -> None:
        before = self._need_current(spec.span)
        self._inside(spec.body, before)
        if self.scope.current != before:
            add = LayerSpec(Word("add", span=spec.span), span=spec.span)
            self._join(add, (*before, *self.scope.current))

    def _merge(self, spec: MergeSpec) -> None:
        before = self._need_current(spec.span)
        outs: list[Out] = []
        for branch in spec.branches:
            self.scope.current = before
            self._inside(branch.body, before)
            outs += self.scope.current
        step = LayerSpec(spec.callee, spec.args, span=spec.callee.span)
        self._join(step, tuple(outs))

    def _join(self, spec: LayerSpec, outs: tuple[Out, ...]) -> None:
        self.scope.current = outs
        self._apply(spec, named=False)
        self.graph.nodes[-1].explicit = True

    def _inside(self, body: tuple[Statement, ...], entry: tuple[Out, ...]) -> None:
        outer, self.scope.entry = self.scope.entry, entry
        self._all(body)
        self.scope.entry = outer

    def _freeze(self, spec: FreezeSpec) -> None:
        if not spec.args:
            self.graph.frozen += [
                LayerOf(number, span=spec.span) for number in range(len(self.graph.nodes))
            ]
        for arg in spec.args:
            if arg.name is not None or not isinstance(arg.value, Word | Ref):
                self._fail("expected the name of a layer or model", arg.span)
            self.graph.frozen.append(self._known_layer(arg.value))

    # --- names and values ---------------------------------------------------------------------

    def _known_layer(self, value: Value) -> LayerOf | ModelOf:
        name = value.name if isinstance(value, Ref) else getattr(value, "text", "")
        if name in self.scope.models:
            return replace(self.scope.models[name], span=value.span)
        if name in self.scope.layers:
            return LayerOf(self.scope.layers[name], span=value.span)
        return self._fail_layer(name, value)

    def _fail_layer(self, name: str, value: Value) -> NoReturn:
        known = {*self.scope.layers, *self.scope.models}
        hint = did_you_mean(name, known) or "Name it where it is made: `d = dense 4`."
        self._fail(f"there is no layer named {name} above", value.span, hint)

    def _call(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Right of an arrow: names are outputs, ``_`` may stand for several."""
        found: list[Arg] = []
        for arg in args:
            several = self._several(arg.value) if arg.name is None else None
            if several is not None:
                found += [Arg(out, span=arg.span) for out in several]
            else:
                found.append(replace(arg, value=self._tensor(arg.value)))
        return tuple(found)

    def _entries(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        return tuple(replace(arg, value=self._tensor(arg.value)) for arg in args)

    def _several(self, value: Value) -> tuple[Out, ...] | None:
        if isinstance(value, Word) and value.text in ("_", "_in"):
            outs = self.scope.current if value.text == "_" else self.scope.entry
            if not outs:
                self._fail(f"nothing came before that {value.text} could stand for", value.span)
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
                return self._value(value)

    def _indexed(self, value: Index) -> Out:
        if value.name in ("_", "_in"):
            outs = self.scope.current if value.name == "_" else self.scope.entry
            first = value.path[0]
            if len(outs) > 1 and isinstance(first, int) and first < len(outs):
                return replace(outs[first], path=outs[first].path + value.path[1:], span=value.span)
            if not outs:
                self._fail(f"nothing came before that {value.name} could stand for", value.span)
            out = outs[0]
        else:
            out = self._tap(value.name, value.span)
        return replace(out, path=out.path + value.path, span=value.span)

    def _tap(self, name: str, span: Span) -> Out:
        if name not in self.scope.taps:
            hint = did_you_mean(name, self.scope.taps)
            hint = hint or f"Name an output above: `{name} = dense 4`; _ is what came before."
            self._fail(f"no output above is named {name}", span, hint)
        return self.scope.taps[name][0]

    def _args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        return tuple(replace(arg, value=self._value(arg.value)) for arg in args)

    def _value(self, value: Value) -> Any:
        match value:
            case Expr():
                return self._expr(value)
            case Object() | Phrase():
                callee = (
                    self._expr(value.callee) if isinstance(value.callee, Expr) else value.callee
                )
                return replace(value, callee=callee, args=self._args(value.args))
            case Sequence():
                return replace(value, items=tuple(self._value(item) for item in value.items))
            case MappingValue():
                entries = tuple(
                    (self._value(key), self._value(item)) for key, item in value.entries
                )
                return replace(value, entries=entries)
            case Ref():
                return self._known_layer(value)
            case _:
                return value

    def _expr(self, expr: Expr) -> Value:
        known = self.scope.names.get(expr.source)
        if isinstance(known, Object | Phrase):
            return known
        try:
            found = expressions.evaluate(expr.source, self.scope.names)
        except expressions.ExpressionError as error:
            where = Span(expr.span.line, expr.span.column + 1 + error.column, error.width)
            self._fail(error.message, where, error.hint)
        return Given(found, expr.source, span=expr.span)

    @staticmethod
    def _plain(value: Value) -> Any:
        """A block's argument as its expressions see it."""
        match value:
            case Literal() | Given():
                return value.value
            case Word():
                return value.text
            case Shape():
                return value.dims
            case Sequence():
                items = (_Expander._plain(item) for item in value.items)
                return list(items) if value.kind == "list" else tuple(items)
            case _:
                return value

    def _count(self, value: Value) -> int:
        found = self._plain(self._value(value))
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= MOST_REPEATS:
            self._fail(f"expected a whole number of repetitions, not {found!r}", value.span)
        return found

    # --- checks -------------------------------------------------------------------------------

    def _need_current(self, span: Span) -> tuple[Out, ...]:
        if not self.scope.current:
            self._fail(
                "nothing came before this", span, "Begin with a line such as `input 28x28x1`."
            )
        return self.scope.current

    def _check_new(self, name: str, span: Span, what: str) -> None:
        if name in self.scope.blocks or name in self.scope.models:
            self._fail(f"there is a {what} or model named {name} already", span)

    def _top_only(self, span: Span, what: str) -> None:
        if self.scope.trail:
            self._fail(f"{what} stands in the model itself, not in a block", span)

    def _fail(self, message: str, span: Span, hint: str = "") -> NoReturn:
        if span == NOWHERE and self.scope.trail:
            span = self.scope.trail[-1][1]
        raise ExpandError(
            Problem(message, span.line, span.column, span.width, hint), self.scope.trail
        )


def _mentions_current(args: tuple[Arg, ...]) -> bool:
    return any(
        (isinstance(arg.value, Word) and arg.value.text == "_")
        or (isinstance(arg.value, Index) and arg.value.name == "_")
        or (isinstance(arg.value, Sequence) and "_" in str(arg.value.items))
        for arg in args
    )
