"""What every step of a build shares: the text for messages, the notebook's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmagic.dsl.graph import Trail
from kmagic.errors import BuildError, DSLError, Problem
from kmagic.spec import Span


@dataclass(slots=True)
class Context:
    """One build.

    Attributes:
        source: The text.
        where: What it is, in the user's words.
        first_line: Number of the text's first line in the user's editor.
        names: The notebook's names.
        problems: Mistakes found so far; all are told together.
        trail: The blocks around the step that is looked at.
    """

    source: str
    where: str = ""
    first_line: int = 1
    names: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    trail: Trail = ()

    def note(self, message: str, span: Span, hint: str = "") -> None:
        """Keep a mistake for the common report."""
        problem = self.problem(message, span, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def problem(self, message: str, span: Span, hint: str = "") -> Problem:
        """A mistake at a place of the text, with the blocks around it."""
        trail = tuple(
            f"block {use.name}, used in line {use.span.line + self.first_line - 1}"
            for use in self.trail
        )
        return Problem(message, max(span.line, 1), max(span.column, 1), span.width, hint, trail)

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            DSLError: If there is anything.
        """
        if self.problems:
            raise self.error()

    def error(self) -> DSLError:
        """The common report of what was noted."""
        ordered = sorted(self.problems, key=lambda each: (each.line, each.column))
        return DSLError(ordered, self.source, self.where, self.first_line)

    def refuse(self, message: str, span: Span, hint: str = "") -> BuildError:
        """The error for a line that Keras refuses."""
        problem = self.problem(message, span, hint)
        return BuildError([problem], self.source, self.where, self.first_line)
