"""What every step of a build shares: the text for messages, the notebook's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kmagic.language.foreign_code import merge_foreign_problems
from kmagic.language.graph import BlockTrail, Iterations, Node
from kmagic.language.spec import Span
from kmagic.support.errors import BuildError, DSLError, Problem

if TYPE_CHECKING:
    from kmagic.language.graph import Graph
    from kmagic.language.name_lookup import ExpansionError


@dataclass(slots=True)
class BuildContext:
    """One build.

    Attributes:
        source: The text.
        where: What it is, in the user's words.
        first_line: Number of the text's first line in the user's editor.
        names: The notebook's names.
        problems: Mistakes found so far; all are told together.
        refused: Those of them that Keras found when the layers were connected.
        trail: The blocks around the step that is looked at.
        iterations: The iterations of the loops around it.
        params: The parameters of its blocks.
        below: Blocks and nested models of the text, and the line that each is defined in.
        lost: Names that lines with mistakes would have made.
        cause: What Keras or a layer of the user's raised first; it is kept behind the report.
    """

    source: str
    where: str = ""
    first_line: int = 1
    names: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[Problem] = field(default_factory=set)
    trail: BlockTrail = ()
    iterations: Iterations = ()
    params: frozenset[str] = frozenset()
    below: Mapping[str, int] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    cause: BaseException | None = None

    def enter(self, node: Node) -> None:
        """From now on, mistakes are this step's."""
        self.trail, self.iterations, self.params = node.trail, node.iterations, node.params

    def leave(self) -> None:
        """From now on, mistakes are the whole text's."""
        self.trail, self.iterations, self.params = (), (), frozenset()

    def number(self, line: int) -> int:
        """A line's number in the user's editor."""
        return line + self.first_line - 1

    def note(self, message: str, span: Span, remedy: str = "") -> None:
        """Keep a mistake for the common report, once however often its line is used."""
        uses = tuple(
            f"block {use.name}, used in line {self.number(use.span.line)}" for use in self.trail
        )
        self._keep(self._problem(message, span, remedy, uses))

    def note_all(self, error: ExpansionError) -> Graph:
        """Keep what could not be expanded, each with its blocks; what could be is given back."""
        for found, trail in error.problems:
            self.trail = trail
            self.note(found.message, Span(found.line, found.column, found.width), found.remedy)
        self.leave()
        return error.graph

    def refuse(
        self, message: str, span: Span, remedy: str = "", cause: BaseException | None = None
    ) -> None:
        """Keep what Keras refused, with the blocks and the loops' turns that led there."""
        self.cause = self.cause or cause
        steps: list[str] = []
        for depth in range(len(self.trail) + 1):
            steps += [words for blocks, words in self.iterations if blocks == depth]
            steps += [
                f"block {use.name}, used in line {self.number(use.span.line)}"
                for use in self.trail[depth : depth + 1]
            ]
        problem = self._problem(message, span, remedy, tuple(steps))
        self._keep(problem)
        self.refused.add(problem)

    @staticmethod
    def _problem(message: str, span: Span, remedy: str, trail: tuple[str, ...]) -> Problem:
        return Problem(message, max(span.line, 1), max(span.column, 1), span.width, remedy, trail)

    def _keep(self, problem: Problem) -> None:
        known = {(each.line, each.column, each.message) for each in self.problems}
        if (problem.line, problem.column, problem.message) not in known:
            self.problems.append(problem)

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            DSLError: If there is anything; BuildError if it is all for shapes.
        """
        if not self.problems:
            return
        kind = BuildError if self.refused.issuperset(self.problems) else DSLError
        ordered = sorted(self.problems, key=lambda each: (each.line, each.column))
        found = merge_foreign_problems(ordered, self.source, self.names)
        raise kind(found, self.source, self.where, self.first_line) from self.cause


def value_text(value: Any) -> str:
    """A value as the text would have it, as near as can be."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and len(value) > 1 and all(type(each) is int for each in value):
        return "x".join(map(str, value))
    if isinstance(value, str):
        return value if value.isidentifier() else f'"{value}"'
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int | list | tuple | dict):
        return str(value)
    return f"a {type(value).__name__}"
