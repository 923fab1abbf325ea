"""Spec to graph: blocks opened, loops run, names bound, expressions evaluated.

Nothing here asks Keras: an unknown layer is found later, an unknown name here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kmagic.language.block_arguments import block_arguments, loop_values
from kmagic.language.graph import Graph, Node, Use
from kmagic.language.name_lookup import ExpandError, Lookup, Mistake, Scope, mentions_current
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    BranchSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    Given,
    HeadSpec,
    InputsSpec,
    LayerOf,
    LayerSpec,
    MergeSpec,
    ModelOf,
    ModelSpec,
    NestedSpec,
    Out,
    OutputSpec,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Span,
    Statement,
    Word,
)


def expand(
    spec: ModelSpec,
    names: Mapping[str, Any],
    *,
    first_line: int = 1,
    lost: Iterable[str] = (),
) -> Graph:
    """The graph that a spec stands for.

    Args:
        spec: From :func:`kmagic.language.parse`.
        names: What the names in braces stand for.
        first_line: Number of the text's first line in the user's editor.
        lost: Names that lines with mistakes would have made.

    Raises:
        ExpandError: An unknown name, a wrong argument of a block, a cycle of blocks ...

    Example:
        >>> from kmagic.language import parse
        >>> graph = expand(parse("input {n} / dense 2 * 3"), {"n": 4})
        >>> len(graph.nodes), graph.is_stack
        (4, True)
    """
    expander = _Expander(Graph(), names, spec.statements, first_line, lost)
    graph = expander.model(spec.statements)
    if expander.found:
        raise ExpandError(expander.found.items(), graph)
    return graph


class _Expander(Lookup):
    """Runs statements, one after the other, into the graph."""

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
            try:
                self._one(statement)
            except Mistake as mistake:
                self._leave_out(statement, mistake)

    def _leave_out(self, statement: Statement, mistake: Mistake) -> None:
        """Note a mistake once, and go on without its statement."""
        self.failures += 1
        if mistake.problem is not None:
            self.found.setdefault(mistake.problem, mistake.trail)
        if isinstance(statement, LayerSpec):
            self.lost.update(each for each in statement.targets if each not in self.scope.taps)

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
                self._loop([None] * self.count(statement.times), statement)
            case ForSpec():
                self._for(statement)
            case ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case CompileSpec():
                self._top_only(statement.span, "compile")
                self.graph.compile = replace(statement, args=self.args(statement.args))
            case FreezeSpec():
                self._freeze(statement)
            case OutputSpec():
                self.scope.outputs = self.entries(statement.entries)
            case InputsSpec():
                self._top_only(statement.span, "inputs")
                self.graph.inputs = self.entries(statement.entries)
            case HeadSpec():
                self._top_only(statement.span, "model")
                self.graph.name, self.graph.kind = statement.name, statement.kind
                self.graph.args, self.graph.span = self.args(statement.args), statement.span
            case BranchSpec():
                self.fail(
                    "stands outside a merge", statement.span, "It belongs below `merge add:`."
                )

    def _step(self, spec: LayerSpec) -> None:
        if spec.times is None:
            self._apply(spec, named=True)
            return
        times = self.count(spec.times)
        if spec.callee == Word("input"):
            remedy = "A shape is written 28x28."
            self.fail("an input is not repeated", spec.times.span, remedy)
        outer = self.scope.turns
        for turn in range(times):
            if times > 1:
                words = f"repetition {turn + 1} of {times}"
                self.scope.turns = (*outer, (len(self.scope.trail), words))
            inputs = spec.inputs
            if turn and inputs is not None and not mentions_current(inputs):
                inputs = (Arg(Word("_", span=spec.span)),)
            targets = spec.targets if turn == times - 1 else ()
            once = replace(spec, inputs=inputs, times=None, targets=targets)
            self._apply(once, named=times == 1)
        self.scope.turns = outer

    def _apply(self, spec: LayerSpec, *, named: bool) -> None:
        callee = spec.callee
        if spec.reuse:
            if spec.args:
                remedy = "It has them from where it is made."
                self.fail(
                    "a layer that is used again takes no arguments", spec.args[0].span, remedy
                )
            self._add(self.known_layer(callee), spec, named=False)
            return
        if isinstance(callee, Word) and callee.text in self.scope.blocks:
            self._use_block(*self.scope.blocks[callee.text], spec)
            return
        if isinstance(callee, Word) and callee.text in self.scope.models:
            if spec.args:
                remedy = f"Its inputs stand behind an arrow: `{callee.text} <- _`."
                self.fail("a nested model takes no arguments", spec.args[0].span, remedy)
            self._add(self.scope.models[callee.text], spec, named=False)
            return
        if isinstance(callee, Word):
            self.miss(callee.text)
        found = self.expr(callee) if isinstance(callee, Expr) else callee
        if not isinstance(found, Word | Given):
            self.fail("is not a layer", callee.span)
        self._add(found, spec, named=named)

    def _add(
        self, callee: Word | Given | LayerOf | ModelOf, spec: LayerSpec, *, named: bool
    ) -> None:
        is_input = isinstance(callee, Word) and callee.text == "input"
        if is_input and spec.inputs is not None:
            remedy = "A layer takes from before; an input is where the model begins."
            self.fail("an input takes nothing from before", spec.inputs[0].span, remedy)
        inputs: tuple[Arg, ...] = ()
        if spec.inputs is not None:
            inputs = self.call(spec.inputs)
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
                self.args(spec.args),
                inputs,
                name,
                spec.span,
                self.scope.trail,
                spec.inputs is not None,
                spec,
                self.scope.params,
                self.scope.turns,
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
                line = self.number(self.scope.taps[target][1].line)
                remedy = "It would name two layers. Take another name."
                self.fail(f"{target} is taken already, in line {line}", span, remedy)
            self.scope.taps[target] = (out, span)

    # --- blocks, models, loops ----------------------------------------------------------------

    def _use_block(self, block: BlockSpec, home: Scope, spec: LayerSpec) -> None:
        if any(use.name == block.name for use in self.scope.trail):
            remedy = "To repeat what it holds: `repeat 3:` inside, or `* 3` where it is used."
            self.fail(f"block {block.name} uses itself", spec.span, remedy)
        values = block_arguments(block, spec, self)
        inputs = self.scope.current
        if spec.inputs is not None:
            inputs = tuple(self._only_output(arg) for arg in self.call(spec.inputs))
        outer = self.scope
        self.scope = Scope(
            {**home.names, **values},
            dict(home.blocks),
            dict(home.models),
            current=inputs,
            entry=inputs,
            trail=(*outer.trail, Use(block.name, spec.span, spec, self.args(spec.args))),
            names_layers=False,
            params=home.params | set(values),
            turns=outer.turns,
        )
        try:
            self._body(block.body)
            inner = self.scope
        finally:
            self.scope = outer
        outs = inner.current
        if inner.outputs:
            outs = tuple(arg.value for arg in inner.outputs if isinstance(arg.value, Out))
        self._finish(spec, outs)

    def _body(self, body: tuple[Statement, ...]) -> None:
        """Run a body whose output is needed: a mistake in it is one of the whole."""
        before = self.failures
        self._all(body)
        if self.failures > before:
            raise Mistake(None)

    def _only_output(self, arg: Arg) -> Out:
        if arg.name is not None or not isinstance(arg.value, Out):
            self.fail("a block takes outputs by their names, nothing else", arg.span)
        return arg.value

    def _finish(self, spec: LayerSpec, outs: tuple[Out, ...]) -> None:
        """Bind a block's outputs to a step's names."""
        if len(spec.targets) > 1 and len(spec.targets) != len(outs):
            remedy = "A block gives what its last line gives, or what its `output a, b` names."
            outputs = f"{len(outs)} outputs" if len(outs) > 1 else "one output"
            self.fail(f"{len(spec.targets)} names for {outputs}", spec.span, remedy)
        self._bind(spec.targets, outs[: len(spec.targets)], spec.span)
        for target, out in zip(spec.targets, outs, strict=False):
            self.scope.layers[target] = out.node
        self.scope.current = outs

    def _nested(self, spec: NestedSpec) -> None:
        self._check_new(spec.name, spec.span, "model")
        inner = _Expander(
            Graph(name=spec.name, kind=spec.kind, span=spec.span),
            self.scope.names,
            self.text,
            self.first_line,
        )
        inner.found, inner.lost, inner.failures = self.found, self.lost, self.failures
        inner.scope.params, inner.owner = self.scope.params, spec.name
        inner.graph.args = self.args(spec.args)
        inner.scope.blocks = dict(self.scope.blocks)
        inner.scope.trail = self.scope.trail
        inner.graph.models = self.graph.models
        inner.scope.models = dict(self.scope.models)
        graph = inner.model(spec.body)
        self.failures = inner.failures
        self.graph.models.append(graph)
        self.scope.models[spec.name] = ModelOf(len(self.graph.models) - 1)

    def _for(self, spec: ForSpec) -> None:
        outer = self.scope.names
        values = loop_values(spec, self)
        turns = [{**outer, spec.name: self.plain(value)} for value in values]
        params, self.scope.params = self.scope.params, self.scope.params | {spec.name}
        self._loop(turns, spec)
        self.scope.names, self.scope.params = outer, params

    def _loop(self, turns: list[Any], spec: ForSpec | RepeatSpec) -> None:
        outer, before = (self.scope.names_layers, self.scope.turns), self.failures
        self.scope.names_layers = False
        for turn, names in enumerate(turns, 1):
            words = f"turn {turn} of the loop in line {self.number(spec.span.line)}"
            if names is not None and isinstance(spec, ForSpec):
                self.scope.names = names
                value = names[spec.name]
                words += f", {spec.name} = {value}" * isinstance(value, int | float | str | tuple)
            self.scope.turns = (*outer[1], (len(self.scope.trail), words))
            self._all(spec.body)
            if self.failures > before:
                break
        self.scope.names_layers, self.scope.turns = outer

    def _residual(self, spec: ResidualSpec) -> None:
        before = self._need_current(spec.span)
        self._inside(spec.body, before)
        if self.scope.current != before:
            add = LayerSpec(Word("add", span=spec.span), span=spec.span)
            self._join(add, (*before, *self.scope.current))
            self.graph.nodes[-1].word = "residual"

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
        try:
            self._body(body)
        finally:
            self.scope.entry = outer

    def _freeze(self, spec: FreezeSpec) -> None:
        if not spec.args:
            self.graph.frozen += [
                LayerOf(number, span=spec.span) for number in range(len(self.graph.nodes))
            ]
        for arg in spec.args:
            if arg.name is not None or not isinstance(arg.value, Word | Ref):
                self.fail("expected the name of a layer or model", arg.span)
            self.graph.frozen.append(self.known_layer(arg.value))

    # --- checks -------------------------------------------------------------------------------

    def _need_current(self, span: Span) -> tuple[Out, ...]:
        if not self.scope.current:
            if self.failures:
                raise Mistake(None)
            remedy = "Begin with a line such as `input 28x28x1`."
            self.fail("nothing came before this", span, remedy)
        return self.scope.current

    def _check_new(self, name: str, span: Span, what: str) -> None:
        if name in self.scope.blocks or name in self.scope.models:
            self.fail(f"a {what} or model is named {name} already", span, "Take another name.")

    def _top_only(self, span: Span, what: str) -> None:
        if self.scope.trail:
            self.fail(f"{what} stands in the model itself, not in a block", span)
