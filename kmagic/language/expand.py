"""Spec to graph: blocks expanded, loops unrolled, names resolved, expressions evaluated.

Nothing here asks Keras: an unknown layer is reported later, an unknown name here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kmagic.language import spec
from kmagic.language.formatter import format_param, format_value
from kmagic.language.graph import BlockUse, Graph, Node
from kmagic.language.name_lookup import (
    MAX_LAYERS,
    MAX_MODEL_DEPTH,
    MAX_REPETITIONS,
    MAX_STEPS,
    ExpansionError,
    NameResolver,
    Scope,
    StatementError,
)
from kmagic.language.spec import Arg, LayerRef, LayerSpec, ModelSpec, NodeOutput, Statement, Word
from kmagic.language.tokens import MAX_NESTING
from kmagic.language.vocabulary import CONSTANT_FUNCTIONS
from kmagic.support.formatting import describe_error, pluralize, safe_repr
from kmagic.support.suggestions import did_you_mean


def expand(
    spec: ModelSpec,
    names: Mapping[str, Any],
    *,
    first_line: int = 1,
    lost_names: Iterable[str] = (),
) -> Graph:
    """The graph that a spec stands for.

    Args:
        spec: From :func:`kmagic.language.parse`.
        names: What the names in braces stand for.
        first_line: Number of the text's first line in the user's editor.
        lost_names: Names that lines with mistakes would have defined.

    Raises:
        ExpansionError: An unknown name, a wrong argument of a block, a recursive block ...

    Example:
        >>> from kmagic.language import parse
        >>> graph = expand(parse("input {n} / dense 2 * 3"), {"n": 4})
        >>> len(graph.nodes), graph.is_stack
        (4, True)
    """
    expander = _Expander(Graph(), names, spec.statements, first_line, lost_names)
    graph = expander.model(spec.statements)
    if expander.is_exhausted:  # the graph so far is too large to look for other mistakes
        graph.nodes.clear()
        graph.outputs, graph.frozen, graph.frozen_nodes, graph.unfrozen = (), [], 0, []
    if expander.problems:
        raise ExpansionError(expander.problems.items(), graph)
    return graph


class _Expander(NameResolver):
    def model(self, statements: Iterable[Statement]) -> Graph:
        self._all(statements)
        if self.scope.outputs:
            self.graph.outputs = self.scope.outputs
        elif self.scope.current:
            self.graph.outputs = tuple(Arg(output) for output in self.scope.current)
        return self.graph

    def _all(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            if self.is_exhausted:
                return
            try:
                self._one(statement)
            except StatementError as error:
                self.failures += 1
                if error.problem is not None:
                    self.problems.setdefault(error.problem, error.trail)
                if isinstance(statement, LayerSpec):
                    self.lost_names |= set(statement.targets) - self.scope.outputs_by_name.keys()

    def _one(self, statement: Statement) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            message = f"the text expands to more than {MAX_STEPS:,} steps"
            self.stop(message, statement.span, "Repeat it less often.")
        match statement:
            case LayerSpec():
                self._step(statement)
            case spec.BlockSpec():
                self._check_new(statement.name, statement.span)
                self.scope.blocks[statement.name] = (statement, self.scope)
            case spec.NestedSpec():
                self._nested(statement)
            case spec.RepeatSpec():
                self._loop([None] * self.repetitions(statement.times), statement)
            case spec.ForSpec():
                self._for(statement)
            case spec.ResidualSpec():
                self._residual(statement)
            case spec.MergeSpec():
                self._merge(statement)
            case spec.CompileSpec():
                self._check_top_level(statement.span, "compile")
                self.graph.compile = replace(statement, args=self.args(statement.args))
            case spec.FreezeSpec():
                self._freeze(statement)
            case spec.UnfreezeSpec():
                self._unfreeze(statement)
            case spec.OutputSpec():
                self.scope.outputs = self.entries(statement.entries)
            case spec.InputsSpec():
                self._check_top_level(statement.span, "inputs")
                self.graph.inputs = self.entries(statement.entries)
            case spec.HeadSpec():
                self._check_top_level(statement.span, "model")
                self.graph.name, self.graph.kind = statement.name, statement.kind
                self.graph.args, self.graph.span = self.args(statement.args), statement.span
            case spec.BranchSpec():
                remedy = "Put it in the body of a merge, such as `merge add:`."
                self.fail("is only allowed in a merge", statement.span, remedy)

    # --- steps --------------------------------------------------------------------------------

    def _step(self, line: LayerSpec) -> None:
        if line.callee in (Word("_"), Word("_in")):
            self._name_outputs(line, line.callee)
            return
        if line.times is None:
            self._apply(line, named=True)
            return
        times = self.repetitions(line.times)
        if line.callee == Word("input"):
            remedy = "Write a shape as 28x28."
            self.fail("an input cannot be repeated", line.times.span, remedy)
        outer = self.scope.iterations
        for number in range(1, times + 1):
            if times > 1:
                iteration = (len(self.scope.trail), f"repetition {number} of {times}")
                self.scope.iterations = (*outer, iteration)
            inputs = line.inputs
            if number > 1 and inputs is not None and not mentions("_", inputs):
                inputs = (Arg(Word("_", span=line.span)),)
            targets = line.targets if number == times else ()
            once = replace(line, inputs=inputs, times=None, targets=targets)
            self._apply(once, named=times == 1)
        self.scope.iterations = outer

    def _name_outputs(self, line: LayerSpec, sign: Word) -> None:
        """``h = _``: another name for what is there."""
        remedy = f"To name it, write `h = {sign.text}`; to use it, `dense 4 <- {sign.text}`."
        if not line.targets or line.args or line.inputs is not None or line.times or line.reuse:
            self.fail(f"{sign.text} is an output, not a layer", sign.span, remedy)
        outputs = self._implicit(sign.text, sign.span)
        if len(line.targets) != len(outputs):
            names = pluralize(len(line.targets), "name")
            message = f"{names} for {pluralize(len(outputs), 'output')}"
            remedy = f"For one of them, write `{line.targets[0]} = identity <- {sign.text}[0]`."
            if len(outputs) == 1:
                remedy = f"Write `{line.targets[0]} = {sign.text}`."
            self.fail(message, sign.span, remedy)
        self._bind(line.targets, outputs, line.span)
        self.scope.current = outputs

    def _apply(self, line: LayerSpec, *, named: bool) -> None:
        callee = line.callee
        if line.reuse:
            if line.args:
                remedy = "It keeps the arguments of its definition."
                self.fail("a reused layer takes no arguments", line.args[0].span, remedy)
            self._add(self.known_layer(callee), line, named=False)
            return
        if isinstance(callee, Word) and callee.text in self.scope.blocks:
            self._use_block(*self.scope.blocks[callee.text], line)
            return
        if isinstance(callee, Word) and callee.text in self.scope.models:
            if line.args:
                remedy = f"Name its inputs after an arrow: `{callee.text} <- _`."
                self.fail("a nested model takes no arguments", line.args[0].span, remedy)
            self._add(self.scope.models[callee.text], line, named=False)
            return
        if isinstance(callee, Word):
            self.skip_if_lost(callee.text)
        value = self.expr(callee) if isinstance(callee, spec.Expr) else callee
        if not isinstance(value, Word | spec.NotebookValue):
            self.fail("is not a layer", callee.span)
        self._add(value, line, named=named)

    def _add(
        self,
        callee: Word | spec.NotebookValue | LayerRef | spec.ModelRef,
        line: LayerSpec,
        *,
        named: bool,
    ) -> None:
        word = callee.text if isinstance(callee, Word) else ""
        is_input = word == "input"
        inputs: tuple[Arg, ...] = ()
        if line.inputs is not None:
            if is_input:
                remedy = (
                    "The model begins at an input; other layers take the outputs of earlier lines."
                )
                self.fail("an input layer has no inputs", line.inputs[0].span, remedy)
            inputs = self.call_args(line.inputs)
        elif not is_input and word not in CONSTANT_FUNCTIONS:
            inputs = tuple(Arg(output) for output in self.scope.current)
        names_layer = named and self.scope.names_layers and len(line.targets) == 1
        number = len(self.graph.nodes)
        if number >= MAX_LAYERS:
            message = f"the model has more than {MAX_LAYERS:,} layers"
            self.stop(message, line.span, "Repeat it less often.")
        node = Node(
            callee,
            self.args(line.args),
            inputs,
            name=line.targets[0] if names_layer else None,
            span=line.span,
            trail=self.scope.trail,
            spec=line,
            params=self.scope.params,
            named_outputs=self.scope.outputs_by_name,
            iterations=self.scope.iterations,
        )
        self.graph.nodes.append(node)
        outputs: tuple[NodeOutput, ...] = (NodeOutput(number),)
        if len(line.targets) > 1:
            outputs = tuple(NodeOutput(number, (index,)) for index in range(len(line.targets)))
        self._bind(line.targets, outputs, line.span)
        self.scope.current = outputs[:1]

    def _bind(
        self, targets: tuple[str, ...], outputs: tuple[NodeOutput, ...], span: spec.Span
    ) -> None:
        """Give outputs and their layers the names in front of a step."""
        for target, output in zip(targets, outputs, strict=False):
            known = self.scope.outputs_by_name.get(target)
            if known and self.scope.names_layers:
                line = self.line_number(known[1].line)
                remedy = "Two layers cannot have the same name. Choose another name."
                self.fail(f"the name {target} is already used in line {line}", span, remedy)
            if target != "_":
                self.scope.outputs_by_name[target] = (output, span)
            self.scope.layers[target] = output.node

    # --- blocks and nested models -------------------------------------------------------------

    def _use_block(self, block: spec.BlockSpec, home: Scope, line: LayerSpec) -> None:
        if any(use.name == block.name for use in self.scope.trail):
            remedy = "To repeat its lines, write `repeat 3:` inside it, or `* 3` where it is used."
            self.fail(f"block {block.name} uses itself", line.span, remedy)
        if len(self.scope.trail) >= MAX_NESTING:
            message = f"blocks use each other more than {MAX_NESTING} levels deep"
            self.stop(message, line.span, "Write some of them into the blocks that use them.")
        values = self._block_arguments(block, line)
        inputs = self.scope.current
        if line.inputs is not None:
            inputs = tuple(self._block_input(arg) for arg in self.call_args(line.inputs))
        outer = self.scope
        self.scope = inner = Scope(
            {**home.names, **values},
            dict(home.blocks),
            dict(home.models),
            current=inputs,
            entry=inputs,
            trail=(*outer.trail, BlockUse(block.name, line.span, line, self.args(line.args))),
            names_layers=False,
            params=home.params | set(values),
            iterations=outer.iterations,
        )
        try:
            self._body(block.body)
        finally:
            self.scope = outer
        outputs = inner.current
        if inner.outputs:
            values_of = (arg.value for arg in inner.outputs)
            outputs = tuple(value for value in values_of if isinstance(value, NodeOutput))
        if len(line.targets) > 1 and len(line.targets) != len(outputs):
            remedy = "A block's output is its last line, or what its line `output a, b` names."
            message = f"{len(line.targets)} names for {pluralize(len(outputs), 'output')}"
            self.fail(message, line.span, remedy)
        self._bind(line.targets, outputs[: len(line.targets)], line.span)
        self.scope.current = outputs

    def _block_arguments(self, block: spec.BlockSpec, line: LayerSpec) -> dict[str, Any]:
        known = {param.name: param for param in block.params}
        signature = f"{block.name} takes: {' '.join(map(format_param, block.params)) or 'nothing'}"
        values: dict[str, Any] = {}
        for arg in line.args:
            name = arg.name or next((name for name in known if name not in values), "")
            if not name:
                self.fail(f"too many arguments for block {block.name}", arg.span, signature)
            if name not in known:
                remedy = did_you_mean(name, known) or signature
                self.fail(f"block {block.name} has no parameter {name}", arg.span, remedy)
            if name in values:
                self.fail(f"{name} is given twice", arg.span)
            values[name] = spec.plain_value(self.value(arg.value))
        for name, param in known.items():
            if name not in values:
                if param.default is None:
                    self.fail(f"block {block.name} needs {name}", line.span, signature)
                values[name] = spec.plain_value(self.value(param.default))
        return values

    def _block_input(self, arg: Arg) -> NodeOutput:
        if arg.name is not None or not isinstance(arg.value, NodeOutput):
            source = getattr(arg.value, "source", "positions")
            remedy = f"Make it an output first: `h = identity <- {{{source}}}`."
            if arg.name is not None:
                remedy = "Pass it as an argument of the block, before the arrow."
            self.fail("the inputs of a block must be names of outputs", arg.span, remedy)
        return arg.value

    def _body(self, body: tuple[Statement, ...]) -> None:
        """Expand a body whose output is needed: a mistake in it is one of the whole."""
        before = self.failures
        self._all(body)
        if self.failures > before:
            raise StatementError(None)

    def _nested(self, line: spec.NestedSpec) -> None:
        self._check_new(line.name, line.span)
        outer = self.graph, self.scope, self.owner
        graph = Graph(name=line.name, kind=line.kind, span=line.span)
        graph.args, graph.models = self.args(line.args), self.graph.models
        self.graph, self.owner = graph, line.name
        self.scope = Scope(
            self.scope.names,
            dict(self.scope.blocks),
            dict(self.scope.models),
            trail=self.scope.trail,
            params=self.scope.params,
        )
        self.model(line.body)
        self.graph, self.scope, self.owner = outer
        used = (n.callee.model for n in graph.nodes if isinstance(n.callee, spec.ModelRef))
        depth = 1 + max((self.model_depths[model] for model in used), default=0)
        if depth > MAX_MODEL_DEPTH:
            message = f"models contain each other more than {MAX_MODEL_DEPTH} levels deep"
            self.stop(message, line.span, "Use blocks, or fewer nested models.")
        self.model_depths.append(depth)
        self.graph.models.append(graph)
        self.scope.models[line.name] = spec.ModelRef(len(self.graph.models) - 1)

    # --- loops and branches -------------------------------------------------------------------

    def _for(self, line: spec.ForSpec) -> None:
        names, params = self.scope.names, self.scope.params
        values = self._loop_values(line)
        self.scope.params = params | {line.name}
        self._loop(({**names, line.name: value} for value in values), line)
        self.scope.names, self.scope.params = names, params

    def _loop_values(self, line: spec.ForSpec) -> list[Any]:
        items = loop_items(line)
        for item in items:
            if isinstance(item, spec.Object) and item.callee == Word("range"):
                remedy = "Write `repeat 3:`, or the values themselves: `for f in 32 64:`."
                self.fail("range is Python and not available here", item.span, remedy)
        values = [self.value(item) for item in items]
        try:
            size = len(values) if len(values) != 1 else _length(spec.plain_value(values[0]))
            series = series_of(values) if size <= MAX_REPETITIONS else None
        except Exception as error:  # noqa: BLE001 - whatever a class of the notebook raises
            self.fail(f"raised {describe_error(error)}", values[0].span)
        if size > MAX_REPETITIONS:
            message = f"a loop must not have more than {MAX_REPETITIONS:,} iterations"
            self.fail(message, line.span)
        return list(map(spec.plain_value, values)) if series is None else series

    def _loop(self, iterations: Iterable[Any], line: spec.ForSpec | spec.RepeatSpec) -> None:
        outer, before = (self.scope.names_layers, self.scope.iterations), self.failures
        self.scope.names_layers = False
        for number, names in enumerate(iterations, 1):
            text = f"iteration {number} of the loop in line {self.line_number(line.span.line)}"
            if isinstance(line, spec.ForSpec):
                self.scope.names = names
                value = names[line.name]
                if isinstance(value, int | float | str):
                    text += f", {line.name} = {value}"
                elif isinstance(value, tuple):
                    text += f", {line.name} = {safe_repr(value)}"
            self.scope.iterations = (*outer[1], (len(self.scope.trail), text))
            self._all(line.body)
            if self.failures > before:
                break
        self.scope.names_layers, self.scope.iterations = outer

    def _residual(self, line: spec.ResidualSpec) -> None:
        before = self._need_current(line.span)
        self._with_entry(line.body, before)
        if self.scope.current != before:
            self.scope.current = (*before, *self.scope.current)
            self._apply(LayerSpec(Word("add", span=line.span), span=line.span), named=False)
            self.graph.nodes[-1].word = "residual"

    def _merge(self, line: spec.MergeSpec) -> None:
        before = self._need_current(line.span)
        outputs: list[NodeOutput] = []
        for branch in line.body:
            self.scope.current = before
            self._with_entry(branch.body, before)
            outputs += self.scope.current
        self.scope.current = tuple(outputs)
        self._apply(LayerSpec(line.callee, line.args, span=line.callee.span), named=False)

    def _with_entry(self, body: tuple[Statement, ...], entry: tuple[NodeOutput, ...]) -> None:
        """Expand a body in which ``_in`` stands for some outputs."""
        outer, self.scope.entry = self.scope.entry, entry
        try:
            self._body(body)
        finally:
            self.scope.entry = outer

    def _freeze(self, line: spec.FreezeSpec) -> None:
        if self.graph.unfrozen:
            remedy = "Move it above the first `unfreeze` line."
            self.fail("freeze must come before unfreeze", line.span, remedy)
        if not line.args:
            self.graph.frozen_nodes = len(self.graph.nodes)
        for arg in line.args:
            if arg.name is not None or not isinstance(arg.value, Word | spec.Ref):
                self.fail("expected the name of a layer or model", arg.span)
            self.graph.frozen.append(self.known_layer(arg.value))

    def _unfreeze(self, line: spec.UnfreezeSpec) -> None:
        example = "Name it where it is defined, `base = {backbone}`, and write `unfreeze base 20`."
        if not line.args:
            self.fail("expected the name of a layer or model", line.span, example)
        unfrozen: list[tuple[spec.LayerRef | spec.ModelRef, int | None]] = []
        for arg in line.args:
            if arg.name is None and isinstance(arg.value, Word | spec.Ref):
                unfrozen.append((self.known_layer(arg.value), None))
            elif arg.name is not None or not unfrozen or unfrozen[-1][1] is not None:
                self.fail("expected the name of a layer or model", arg.span, example)
            else:
                count = spec.plain_value(self.value(arg.value))
                if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                    message = (
                        f"expected a number of layers, at least 1; got {format_value(arg.value)}"
                    )
                    self.fail(message, arg.span)
                unfrozen[-1] = (unfrozen[-1][0], int(count))
        self.graph.unfrozen += unfrozen

    # --- checks -------------------------------------------------------------------------------

    def _need_current(self, span: spec.Span) -> tuple[NodeOutput, ...]:
        if not self.scope.current:
            if self.failures:
                raise StatementError(None)
            remedy = "Begin with a line such as `input 28x28x1`."
            self.fail("no line before it has an output", span, remedy)
        return self.scope.current

    def _check_new(self, name: str, span: spec.Span) -> None:
        if name in self.scope.blocks or name in self.scope.models:
            message = f"a block or model is already named {name}"
            self.fail(message, span, "Choose another name.")

    def _check_top_level(self, span: spec.Span, statement: str) -> None:
        if self.scope.trail:
            self.fail(f"{statement} must be outside blocks", span, "Move it out of the block.")


def loop_items(line: spec.ForSpec) -> tuple[spec.Value, ...]:
    """The values of a ``for`` line: those of a single list, as in Python."""
    match line.values:
        case (spec.SequenceValue(items=items),):
            return items
    return line.values


def _length(value: Any) -> float:
    """The number of items of a series; infinite if it is unknown, 1 for a single value."""
    if isinstance(value, range):  # its len() must fit into a machine word
        return abs((value.stop - value.start) // value.step) + 1
    try:
        return len(value)
    except (TypeError, OverflowError):
        return math.inf if isinstance(value, Iterator) else 1


def series_of(values: list[Any]) -> list[Any] | None:
    """The values of a series of the notebook, if it is all that a loop runs over."""
    match values:
        case [spec.NotebookValue(only)] if not isinstance(only, str):
            with suppress(TypeError):  # a single value, not a series
                return [*only]
    return None


def mentions(name: str, part: Any) -> bool:
    """Whether an output's name, ``_`` or ``_in`` is in a part of a text.

    Example:
        >>> mentions("_", (Arg(Word("h")), Arg(spec.Index("_", (0,)))))
        True
    """
    return any(
        (found.text if isinstance(found, Word) else found.name) == name
        for found in spec.find_parts(part, Word, spec.Index)
    )
