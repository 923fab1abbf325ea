"""The state of one build: its text, the notebook's variables, and the mistakes found so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from kmagic.language.expand import expand
from kmagic.language.foreign_code import merge_foreign_problems
from kmagic.language.graph import BlockTrail, Graph, Iterations, NamedOutputs, Node
from kmagic.language.name_lookup import IMPLICIT, ExpansionError, definition_lines
from kmagic.language.spec import NO_SPAN, ModelSpec, Span, Statement, Value, replace_part
from kmagic.models.binding.memory_limit import WeightCounter
from kmagic.support.caller_names import why_hidden
from kmagic.support.errors import BuildError, DSLError, Problem

END = Span(sys.maxsize, 1)
"""The position after all lines."""
UNRESOLVED: Any = object()
"""Stands for a value with a mistake that is reported already."""
_MAX_VERIFIED = 3
"""Each verified remedy builds the model once; further problems keep their general remedy."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A change of the text that a remedy suggests; it is shown only if the changed text works.

    Attributes:
        remedy: The remedy.
        changes: Statements or values to replace, which are found by their positions, each with
            what to put there: statements for a statement, a value for a value.
    """

    remedy: str
    changes: tuple[tuple[Statement | Value, tuple[Statement, ...] | Value], ...]


@dataclass(slots=True)
class BuildContext:
    """The state of one build.

    Attributes:
        source: The text.
        where: What the text is, for messages: "%%keras_model cnn".
        first_line: Number of its first line in the user's editor.
        names: The notebook's variables.
        problems: Mistakes found so far; all are shown together.
        rejected: Those of them that Keras found when it connected the layers, each with the
            exception of Keras, or of a layer of the user's.
        trail: The blocks around the current step.
        iterations: The iterations of the loops around it.
        params: The parameters of its blocks.
        named_outputs: The named outputs around it, also those further down.
        position: Where it stands.
        definitions: The text's blocks and nested models, each with the line that defines it.
        lost_names: Names that lines with mistakes would have defined.
        spec: The text as it was parsed.
        fixes: Changes of the text that may remove a problem, best first.
        try_spec: Builds a changed text and returns its problems; None if remedies stay as they are.
        weights: Counts the weights of the model.
        argument_names: The callee and the parameter of each value, by its position.
        is_trial: Whether a changed text is built only to see whether it works.
        safe_mode: Whether the text is from a file, and must not run code or read other files.
        without_weights: Whether weights get no values, because only the shapes are wanted.
    """

    source: str
    where: str = ""
    first_line: int = 1
    names: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    rejected: dict[Problem, BaseException | None] = field(default_factory=dict)
    trail: BlockTrail = ()
    iterations: Iterations = ()
    params: frozenset[str] = frozenset()
    named_outputs: NamedOutputs = field(default_factory=dict)
    position: Span = NO_SPAN
    definitions: Mapping[str, int] = field(default_factory=dict)
    lost_names: frozenset[str] = frozenset()
    spec: ModelSpec | None = None
    fixes: dict[Problem, Sequence[Fix]] = field(default_factory=dict)
    try_spec: Callable[[ModelSpec], Sequence[Problem]] | None = None
    weights: WeightCounter = field(default_factory=WeightCounter)
    argument_names: dict[Span, tuple[str, str]] = field(default_factory=dict)
    is_trial: bool = False
    safe_mode: bool = False
    without_weights: bool = False
    _model_outputs: NamedOutputs = field(default_factory=dict)
    _reported: set[tuple[int, int, str]] = field(default_factory=set)

    def enter(self, node: Node) -> None:
        """From here on, problems belong to this step."""
        self.trail, self.iterations, self.params = node.trail, node.iterations, node.params
        self.named_outputs, self.position = node.named_outputs, node.span

    def leave(self) -> None:
        """From here on, problems belong to the whole text."""
        self.trail, self.iterations, self.params = (), (), frozenset()
        self.named_outputs, self.position = self._model_outputs, END

    def is_variable(self, name: str) -> bool:
        """Whether a name is a variable of the notebook, and none of the text's own names."""
        return name in self.names and not self.own_meaning(name)

    def own_meaning(self, name: str) -> str:
        """What a name is in the text itself, for a message; "" if the text does not define it."""
        if name in IMPLICIT:
            return "is an output"
        if name in self.params:
            return "is a parameter or loop variable"
        if name in self.definitions:
            return f"is defined in line {self.editor_line(self.definitions[name])}"
        _, span = self.named_outputs.get(name, (None, NO_SPAN))
        is_above = span != NO_SPAN and (span.line, span.column) < (
            self.position.line,
            self.position.column,
        )
        return f"is the output named in line {self.editor_line(span.line)}" if is_above else ""

    def report_own_name(self, name: str, span: Span) -> bool:
        """Report a name that the text defines, or that it must not use; whether it is one."""
        meaning, remedy = self.own_meaning(name), ""
        if not meaning:
            return self.report_hidden(name, span)
        if name in self.params:
            remedy = f"For its value, write {{{name}}}."
        elif name in self.names and name not in IMPLICIT:
            remedy = "To use the notebook variable of this name, give one of the two another name."
        self.report(meaning, span, remedy)
        return True

    def report_hidden(self, name: str, span: Span) -> bool:
        """Report a variable that the text must not use; whether it is one."""
        reason, remedy = why_hidden(name, self.names)
        if reason:
            self.report(reason, span, remedy)
        return bool(reason)

    def editor_line(self, line: int) -> int:
        """A line's number in the user's editor."""
        return line + self.first_line - 1

    def report(self, message: str, span: Span, remedy: str = "") -> Any:
        """Add a problem; one in a block or loop is added once. Returns UNRESOLVED."""
        self._add(message, span, remedy, self._uses(self.trail))
        return UNRESOLVED

    def expand(self, spec: ModelSpec) -> Graph:
        """The graph of the text; mistakes are added, and what contains them is left out."""
        self.definitions = definition_lines(spec.statements)
        self.lost_names, self.spec = spec.lost_names, spec
        try:
            graph = expand(spec, self.names, first_line=self.first_line, lost_names=self.lost_names)
        except ExpansionError as error:
            for problem, trail in error.problems:
                self.trail = trail
                span = Span(problem.line, problem.column, problem.width)
                self.report(problem.message, span, problem.remedy)
            graph = error.graph
        outer = (node.named_outputs for node in graph.nodes if not node.trail)
        self._model_outputs = next(outer, {})
        self.leave()
        return graph

    def check_layers(self, graph: Graph) -> None:
        """Raise the problems; a text without layers is one."""
        if not graph.nodes:
            remedy = "Start with an input line: `input 28x28x1`."
            self.report("the text has no layers", Span(1, 1), remedy)
        self.raise_problems()

    def report_rejection(
        self,
        message: str,
        span: Span,
        remedy: str = "",
        cause: BaseException | None = None,
        *,
        fixes: Sequence[Fix] = (),
    ) -> Any:
        """Add a problem that Keras found, with the blocks and loops around it.

        The remedy of the first fix that works replaces ``remedy``. Returns UNRESOLVED.
        """
        steps: list[str] = []
        for depth in range(len(self.trail) + 1):
            steps += [text for blocks, text in self.iterations if blocks == depth]
            steps += self._uses(self.trail[depth : depth + 1])
        problem = self._add(message, span, remedy, tuple(steps))
        self.rejected.setdefault(problem, cause)
        self.fixes[problem] = fixes
        return UNRESOLVED

    def _uses(self, trail: BlockTrail) -> tuple[str, ...]:
        return tuple(
            f"block {use.name}, used in line {self.editor_line(use.span.line)}" for use in trail
        )

    def _add(self, message: str, span: Span, remedy: str, trail: tuple[str, ...]) -> Problem:
        line, column = max(span.line, 1), max(span.column, 1)
        problem = Problem(message, line, column, span.width, remedy, trail)
        if (line, column, message) not in self._reported:
            self._reported.add((line, column, message))
            self.problems.append(problem)
        return problem

    def forget_problems(self) -> None:
        """Remove all problems, before the text is read in another way."""
        self.problems.clear()
        self._reported.clear()

    def reject(
        self, message: str, span: Span, remedy: str = "", cause: BaseException | None = None
    ) -> NoReturn:
        """Add a problem that Keras found, and raise all problems."""
        self.report_rejection(message, span, remedy, cause)
        self._raise()

    def raise_problems(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            DSLError: With all of them; a BuildError if Keras found them all.
        """
        if self.problems:
            self._raise()

    def _raise(self) -> NoReturn:
        kind = BuildError if self.rejected.keys() >= set(self.problems) else DSLError
        ordered = sorted(self.problems, key=lambda problem: (problem.line, problem.column))
        tried = [problem for problem in self.problems if self.fixes.get(problem)][:_MAX_VERIFIED]
        ordered = [self._with_verified_remedy(p) if p in tried else p for p in ordered]
        problems = ordered
        if not self.safe_mode:  # nobody pastes Python into a file
            problems = merge_foreign_problems(ordered, self.source, self.names)
        cause = next(filter(None, self.rejected.values()), None)
        raise kind(problems, self.source, self.where, self.first_line) from cause

    def _with_verified_remedy(self, problem: Problem) -> Problem:
        """The problem with the remedy of the first fix that works, if there is one.

        Best is a fix without a new problem elsewhere, which may have been hidden by this one.
        """
        fixes = self.fixes.get(problem, ())
        if self.try_spec is None or self.spec is None:
            return problem
        known = {other.message for other in self.problems}
        second = problem
        for fix in fixes:
            changed = self.spec
            for part, replacement in fix.changes:
                changed = replace_part(changed, part, replacement)
            left = self.try_spec(changed)
            if any((other.line, other.column) == (problem.line, problem.column) for other in left):
                continue
            if all(other.message in known for other in left):
                return replace(problem, remedy=fix.remedy)
            if second is problem:
                second = replace(problem, remedy=fix.remedy)
        return second
