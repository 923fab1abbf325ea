"""Names and values of the text, resolved where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn

from kmagic.language import spec
from kmagic.language.expressions import ExpressionError, evaluate, python_integer
from kmagic.language.formatter import format_value
from kmagic.language.graph import BlockTrail, Graph, Iterations
from kmagic.language.spec import Arg, BlockSpec, NodeOutput, Span, Statement, Value, Word
from kmagic.language.tokens import problem_at
from kmagic.language.vocabulary import CALL_ARGUMENTS
from kmagic.support.errors import Problem
from kmagic.support.suggestions import did_you_mean

MAX_REPETITIONS = 100_000
MAX_LAYERS = 20_000
MAX_MODEL_DEPTH = 10
MAX_STEPS = 200_000
"""Statements that a text expands to, with those that create no layer."""
IMPLICIT = ("_", "_in")
"""Names of the previous output, and of the input of a block or body."""


class StatementError(Exception):
    """A statement cannot be expanded; it is left out, and the problem is noted.

    Args:
        problem: What is wrong, and where; None if it only follows from an earlier mistake.
        trail: The blocks around the statement.
    """

    def __init__(self, problem: Problem | None, trail: BlockTrail = ()) -> None:
        super().__init__(problem.message if problem else "")
        self.problem, self.trail = problem, trail


class ExpansionError(Exception):
    """The text does not make a graph.

    Args:
        problems: Each mistake, with the blocks around it.
        graph: The graph of the statements without mistakes.
    """

    def __init__(self, problems: Iterable[tuple[Problem, BlockTrail]], graph: Graph) -> None:
        self.problems, self.graph = tuple(problems), graph
        super().__init__(self.problems[0][0].message)


@dataclass(slots=True)
class Scope:
    """Where names are looked up: one scope for the text, one more for each use of a block.

    Attributes:
        names: What the names in braces stand for.
        blocks: Blocks by name, each with the scope that defines it.
        models: Nested models by name.
        outputs_by_name: Named outputs, each with the position of its name.
        layers: Named layers, as indices of nodes.
        current: Outputs of the line before.
        entry: Inputs of the enclosing block, ``residual:`` or ``branch:``.
        trail: The uses of blocks that led here.
        names_layers: Whether a name in front of a step names its layer, too.
        outputs: What an ``output`` line names.
        params: Names of the block parameters and loop variables that are visible.
        iterations: Iterations of the loops around.
    """

    names: Mapping[str, Any]
    blocks: dict[str, tuple[BlockSpec, Scope]] = field(default_factory=dict)
    models: dict[str, spec.ModelRef] = field(default_factory=dict)
    outputs_by_name: dict[str, tuple[NodeOutput, Span]] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    current: tuple[NodeOutput, ...] = ()
    entry: tuple[NodeOutput, ...] = ()
    trail: BlockTrail = ()
    names_layers: bool = True
    outputs: tuple[Arg, ...] = ()
    params: frozenset[str] = frozenset()
    iterations: Iterations = ()


class NameResolver:
    """Looks up names in the current scope, and evaluates values.

    Args:
        graph: The graph so far.
        names: What the names in braces stand for.
        text: All statements of the text, to find where else a name is defined.
        first_line: Number of the text's first line in the user's editor.
        lost_names: Names that lines with mistakes would have defined; uses of them are not
            reported.
    """

    def __init__(
        self,
        graph: Graph,
        names: Mapping[str, Any],
        text: tuple[Statement, ...],
        first_line: int,
        lost_names: Iterable[str] = (),
    ) -> None:
        self.graph, self.text, self.first_line = graph, text, first_line
        self.scope = Scope(names)
        self.lost_names = set(lost_names)
        self.problems: dict[Problem, BlockTrail] = {}
        self.failures = int(bool(self.lost_names))
        self.owner = ""
        self.steps = 0
        self.model_depths: list[int] = []
        self.is_exhausted = False

    # --- layers and outputs -------------------------------------------------------------------

    def known_layer(self, value: Value) -> spec.LayerRef | spec.ModelRef:
        """The layer or nested model of a name."""
        name = value.name if isinstance(value, spec.Ref) else getattr(value, "text", "")
        if name in self.scope.models:
            return replace(self.scope.models[name], span=value.span)
        if name in self.scope.layers:
            return spec.LayerRef(self.scope.layers[name], span=value.span)
        self.skip_if_lost(name)
        known = {*self.scope.layers, *self.scope.models}
        remedy = did_you_mean(name, known) or "Name the layer where it is defined: `d = dense 4`."
        return self.fail(f"no layer above is named {name}", value.span, remedy)

    def call_args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """What follows an arrow: names are outputs, and ``_`` may stand for several."""
        resolved: list[Arg] = []
        for arg in args:
            if arg.name is None and isinstance(arg.value, Word) and arg.value.text in IMPLICIT:
                outputs = self._implicit(arg.value.text, arg.value.span)
                resolved += [Arg(output, span=arg.span) for output in outputs]
            else:
                resolved.append(replace(arg, value=self._tensor(arg.value)))
        return tuple(resolved)

    def entries(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """What an ``output`` or ``inputs`` line names."""
        return tuple(replace(arg, value=self._tensor(arg.value)) for arg in args)

    def _implicit(self, sign: str, span: Span) -> tuple[NodeOutput, ...]:
        """The outputs that ``_`` or ``_in`` stands for."""
        outputs = self.scope.current if sign == "_" else self.scope.entry
        if outputs:
            return tuple(replace(output, span=span) for output in outputs)
        if self.failures:
            raise StatementError(None)
        if sign == "_in":
            remedy = "Use it inside a block, `residual:` or `branch:`, whose input it is."
            self.fail("_in is not defined here", span, remedy)
        return self.fail("_ is not defined here: no line before it has an output", span)

    def _tensor(self, value: Value) -> Any:
        match value:
            case Word(text="_" | "_in"):
                outputs = self._implicit(value.text, value.span)
                several = spec.SequenceValue("list", outputs, span=value.span)
                return outputs[0] if len(outputs) == 1 else several
            case Word():
                return replace(self._named_output(value.text, value.span), span=value.span)
            case spec.Index():
                return self._indexed(value)
            case spec.SequenceValue():
                return replace(value, items=tuple(self._tensor(item) for item in value.items))
            case spec.MappingValue():
                entries = tuple((key, self._tensor(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case _:
                return self.value(value)

    def _indexed(self, value: spec.Index) -> NodeOutput:
        path = value.path
        if value.name in IMPLICIT:
            outputs = self._implicit(value.name, value.span)
            output, first = outputs[0], path[0]
            if len(outputs) > 1 and isinstance(first, int) and first < len(outputs):
                output, path = outputs[first], path[1:]
        else:
            output = self._named_output(value.name, value.span)
        return replace(output, path=output.path + path, span=value.span)

    def _named_output(self, name: str, span: Span) -> NodeOutput:
        if name in self.scope.outputs_by_name:
            return self.scope.outputs_by_name[name][0]
        self.skip_if_lost(name)
        here = self.scope.trail[-1].name if self.scope.trail else self.owner
        elsewhere: list[str] = []
        for line, owner in self._outputs.get(name, ()):
            if owner != here:
                elsewhere.append(owner)
            elif line > span.line:
                remedy = "Lines are read from top to bottom: move that line up."
                message = f"{name} is defined further down, in line {self.line_number(line)}"
                self.fail(message, span, remedy)
        remedy = did_you_mean(name, self.scope.outputs_by_name)
        if inside := next(filter(None, elsewhere), ""):
            remedy = f"{name} is defined inside {inside}; to use it here, end {inside} in "
            remedy += f"`output {name}`."
        elif elsewhere:
            remedy = f"A block sees only its own inputs: write `{here} <- _, {name}`, and `_in[1]` "
            remedy += "inside."
        if name in CALL_ARGUMENTS:
            remedy = f"A call argument has a value: `{name}={CALL_ARGUMENTS[name]}`."
        if name == "input":
            remedy = "Name the input, `img = input 8`, and write that name after the arrow."
        remedy = remedy or f"Name an output above: `{name} = dense 4`; _ is the previous output."
        return self.fail(f"no output above is named {name}", span, remedy)

    @cached_property
    def _outputs(self) -> dict[str, list[tuple[int, str]]]:
        """The lines of each output's name, and the block or nested model around them."""
        found: dict[str, list[tuple[int, str]]] = {}
        for name, line, owner in _output_names(self.text):
            found.setdefault(name, []).append((line, owner))
        return found

    # --- values -------------------------------------------------------------------------------

    def args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Arguments with all their expressions evaluated."""
        return spec.map_args(args, self._evaluated)

    def value(self, value: Value) -> Any:
        """A value with all its expressions evaluated."""
        return spec.map_value(value, self._evaluated)

    def _evaluated(self, value: Value) -> Any:
        match value:
            case spec.Expr():
                return self.expr(value)
            case spec.Ref():
                return self.known_layer(value)
            case _:
                return value

    def expr(self, expr: spec.Expr) -> Value:
        """What an expression stands for."""
        known = self.scope.names.get(expr.source)
        if isinstance(known, spec.Object | spec.InnerLayer):
            return known
        try:
            result = evaluate(expr.source, self.scope.names, self._why_no_value)
        except ExpressionError as error:
            self.skip_if_lost(expr.source[error.column : error.column + error.width])
            span = Span(expr.span.line, expr.span.column + 1 + error.column, error.width)
            self.fail(error.message, span, error.remedy)
        return spec.NotebookValue(python_integer(result), expr.source, span=expr.span)

    def _why_no_value(self, name: str) -> str:
        """Why a name in braces is not one of the notebook; "" if it is."""
        scope = self.scope
        if name in scope.params:
            return ""
        if name in IMPLICIT or name in scope.outputs_by_name:
            return f"{name} is an output here, not a notebook variable"
        is_defined = name in scope.blocks or name in scope.models
        return f"{name} is defined in this text, not in the notebook" if is_defined else ""

    def repetitions(self, value: Value) -> int:
        """A whole number of repetitions."""
        count = spec.plain_value(self.value(value))
        is_number = isinstance(count, int) and not isinstance(count, bool)
        if is_number and count > MAX_REPETITIONS:
            self.fail(f"at most {MAX_REPETITIONS:,} repetitions are possible", value.span)
        if not is_number or count < 0:
            message = f"expected a whole number of repetitions; got {format_value(value)}"
            is_name = isinstance(count, str) and count in self.scope.names
            remedy = f"To use the notebook's {count}, write {{{count}}}." if is_name else ""
            self.fail(message, value.span, remedy)
        return int(count)  # a subclass of int may not compute as one

    # --- mistakes -----------------------------------------------------------------------------

    def line_number(self, line: int) -> int:
        """A line's number in the user's editor."""
        return line + self.first_line - 1

    def stop(self, message: str, span: Span, remedy: str) -> NoReturn:
        """Leave the rest of the text out, because it expands to too much."""
        self.is_exhausted = True
        self.fail(message, span, remedy)

    def skip_if_lost(self, name: str) -> None:
        """Leave the statement out silently if only a line with a mistake could define a name."""
        if name in self.lost_names:
            raise StatementError(None)

    def fail(self, message: str, span: Span, remedy: str = "") -> NoReturn:
        """Leave the statement out because of a mistake at a span."""
        if span == spec.NO_SPAN and self.scope.trail:
            span = self.scope.trail[-1].span
        raise StatementError(problem_at(span, message, remedy), self.scope.trail)


def _output_names(
    statements: Iterable[Statement], owner: str = ""
) -> Iterator[tuple[str, int, str]]:
    """Every output's name, its line, and the block or nested model around it."""
    for statement in statements:
        if isinstance(statement, spec.LayerSpec):
            yield from ((name, statement.span.line, owner) for name in statement.targets)
        inside = statement.name if isinstance(statement, BlockSpec | spec.NestedSpec) else owner
        yield from _output_names(getattr(statement, "body", ()), inside)


def definition_lines(statements: Iterable[Statement]) -> dict[str, int]:
    """The line of each block and nested model that a text defines."""
    return {
        statement.name: statement.span.line
        for statement in statements
        if isinstance(statement, BlockSpec | spec.NestedSpec)
    }
