"""The state of one build: its text, the notebook's variables, and the mistakes found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kmagic.language.expand import expand
from kmagic.language.foreign_code import merge_foreign_problems
from kmagic.language.graph import BlockTrail, Graph, Iterations, Node
from kmagic.language.name_lookup import ExpansionError, definition_lines
from kmagic.language.spec import ModelSpec, Span
from kmagic.support.errors import BuildError, DSLError, Problem

UNRESOLVED: Any = object()
"""Stands for a value with a mistake that is reported already."""


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
        definitions: The text's blocks and nested models, each with the line that defines it.
        lost_names: Names that lines with mistakes would have defined.
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
    definitions: Mapping[str, int] = field(default_factory=dict)
    lost_names: frozenset[str] = frozenset()

    def enter(self, node: Node) -> None:
        """From here on, problems belong to this step."""
        self.trail, self.iterations, self.params = node.trail, node.iterations, node.params

    def leave(self) -> None:
        """From here on, problems belong to the whole text."""
        self.trail, self.iterations, self.params = (), (), frozenset()

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
        self.lost_names = spec.lost_names
        try:
            return expand(spec, self.names, first_line=self.first_line, lost_names=self.lost_names)
        except ExpansionError as error:
            for problem, trail in error.problems:
                self.trail = trail
                span = Span(problem.line, problem.column, problem.width)
                self.report(problem.message, span, problem.remedy)
            self.leave()
            return error.graph

    def report_rejection(
        self, message: str, span: Span, remedy: str = "", cause: BaseException | None = None
    ) -> Any:
        """Add a problem that Keras found, with the blocks and loops around it, as in `report`."""
        steps: list[str] = []
        for depth in range(len(self.trail) + 1):
            steps += [text for blocks, text in self.iterations if blocks == depth]
            steps += self._uses(self.trail[depth : depth + 1])
        self.rejected.setdefault(self._add(message, span, remedy, tuple(steps)), cause)
        return UNRESOLVED

    def _uses(self, trail: BlockTrail) -> tuple[str, ...]:
        return tuple(
            f"block {use.name}, used in line {self.editor_line(use.span.line)}" for use in trail
        )

    def _add(self, message: str, span: Span, remedy: str, trail: tuple[str, ...]) -> Problem:
        line, column = max(span.line, 1), max(span.column, 1)
        problem = Problem(message, line, column, span.width, remedy, trail)
        known = {(other.line, other.column, other.message) for other in self.problems}
        if (line, column, message) not in known:
            self.problems.append(problem)
        return problem

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
        problems = merge_foreign_problems(ordered, self.source, self.names)
        cause = next(filter(None, self.rejected.values()), None)
        raise kind(problems, self.source, self.where, self.first_line) from cause
