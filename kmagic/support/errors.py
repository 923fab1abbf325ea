"""What can go wrong by the user's hand, and how it is shown.

Every exception here is about something the user can put right, so a notebook shows the message
alone: IPython asks an exception for ``_render_traceback_`` and prints what it returns. A bug of
ours is any other exception, and keeps its full traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BOLD, ORANGE, MUTED, RESET = "\x1b[1m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


class KmagicError(Exception):
    """Base of all that kmagic raises on purpose.

    ::

        KmagicError
        ├── DSLError           the text of a model: a word, an argument, a value
        │   └── BuildError     Keras refused a line, most often for the shape that reached it
        ├── DecompileError     a model that no text of the language builds
        ├── MagicError         the line of a magic: an unknown option, a missing name
        ├── RCodeError         R code that makes no model, or one that Keras 3 cannot make
        ├── DataError          data that is missing, broken or does not fit
        ├── TrainingError      a fit that cannot start or go on
        ├── EvaluationError    labels, predictions or pictures that cannot be judged
        └── PersistenceError   a file that cannot be written, read or trusted

    Args:
        message: What was expected, and what came.
        hint: What to do about it, in a sentence of its own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.render(colour=False)

    def render(self, *, colour: bool) -> str:  # noqa: ARG002 - those that mark a text use it
        """The whole message, with ANSI colours for a notebook or plain for a log."""
        return "\n\n".join(part for part in (self.message, self.hint) if part)

    def _render_traceback_(self) -> list[str]:
        name = f"{BOLD}{type(self).__name__}{RESET}"
        return f"{name}: {self.render(colour=True)}".splitlines()


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a text, and where it is.

    Attributes:
        message: Completes the caret: "is not an activation".
        line: Line within the text, from 1.
        column: Column of the first marked character, from 1.
        width: How many characters are marked.
        hint: What to do about it.
        trail: The chain of blocks that led here, outermost first: "block res, used in line 7".
    """

    message: str
    line: int
    column: int
    width: int = 1
    hint: str = ""
    trail: tuple[str, ...] = ()


class MarkedError(KmagicError):
    """A mistake in a text of the user's, shown as the line with a caret under it.

    Args:
        problems: One or more mistakes, in the order of the text.
        source: The text that they are in.
        where: What the text is, in the user's words: "%%keras_model cnn".
        first_line: Number of the text's first line, as the user's editor counts.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        source: str,
        where: str = "",
        first_line: int = 1,
    ) -> None:
        self.problems = tuple(problems)
        self.source = source
        self.where = where
        self.first_line = first_line
        super().__init__(self.problems[0].message, self.problems[0].hint)

    def render(self, *, colour: bool) -> str:
        """Every mistake with its line, a caret under it, and what to do."""
        parts = [self._mark(problem, colour=colour) for problem in self.problems]
        return "\n\n".join(parts)

    def _mark(self, problem: Problem, *, colour: bool) -> str:
        lines = self.source.splitlines() or [""]
        text = lines[min(problem.line, len(lines)) - 1].replace("\t", " ")
        number = problem.line + self.first_line - 1
        gutter = f"{number:>3} | "
        blank = " " * (len(gutter) - 2) + "| "
        caret = "^" * max(1, min(problem.width, len(text) - problem.column + 1))
        if colour:
            caret = f"{ORANGE}{caret}{RESET}"
        message = problem.message.replace("\n", "\n" + blank + " " * problem.column)
        shown = [
            f"line {number}, column {problem.column}",
            f"{gutter}{text}",
            f"{blank}{' ' * (problem.column - 1)}{caret} {message}",
        ]
        shown += [f"    in {step}" for step in problem.trail]
        if problem.hint:
            shown += ["", problem.hint]
        return "\n".join(shown)

    def _render_traceback_(self) -> list[str]:
        place = f" in {self.where}" if self.where else ""
        heading = f"{BOLD}{type(self).__name__}{RESET}{place}"
        return [heading, "", *self.render(colour=True).splitlines()]


class DSLError(MarkedError):
    """The text of a model holds a mistake."""


class BuildError(DSLError):
    """Keras refused a line of a model's text."""


class DecompileError(KmagicError):
    """A model cannot be written down as text; the message names the layer and says why."""


class MagicError(MarkedError):
    """The line of a magic holds a mistake: an unknown option, a missing name, a bad value."""


class RCodeError(MarkedError):
    """R code holds a mistake, or something that has no counterpart in Keras 3."""


class DataError(KmagicError):
    """Data is missing, broken, or does not fit what it is used for."""


class TrainingError(KmagicError):
    """A fit cannot start, or cannot go on."""


class EvaluationError(KmagicError):
    """Labels, predictions or pictures cannot be judged."""


class PersistenceError(KmagicError):
    """A file cannot be written, read or trusted."""
