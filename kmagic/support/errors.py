"""The exceptions of kmagic, and how a notebook shows them.

Every exception here is about something that the user can correct, so a notebook shows the message
without a traceback: IPython calls ``_render_traceback_`` on the exception and prints the result.
Any other exception is a bug of kmagic and keeps its full traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from kmagic.support.formatting import escape_control_characters, safe_repr
from kmagic.support.messages import PYTHON, Option, Spelling, Text, render

MAX_SHOWN = 200
"""Characters of a line in a message."""
MAX_PROBLEMS = 50
"""Problems in a message; the others are counted."""
BOLD, RESET = "\x1b[1m", "\x1b[0m"


class KmagicError(Exception):
    """Base of all exceptions that kmagic raises on purpose.

    ::

        KmagicError
        ├── DSLError           the text of a model: a word, an argument, a value
        │   └── BuildError     Keras rejected a line, usually because of its input shape
        ├── DecompileError     a model that the layer language cannot express
        ├── MagicError         the line of a magic: an unknown option, a missing name
        ├── RCodeError         R code that defines no model, or one that Keras 3 cannot build
        ├── DataError          data that is missing, damaged or unsuitable
        ├── TrainingError      a training run that cannot start or continue
        ├── EvaluationError    labels, predictions or images that cannot be evaluated
        ├── ClusterError       a cluster that cannot be reached or used
        └── PersistenceError   a file that cannot be written, read or trusted

    The message is either given, or composed of the fields: "SUBJECT must be EXPECTED; got ACTUAL."

    Args:
        message: What is wrong, with the value, and what was expected.
        remedy: What to do about it, as a sentence of its own.
        subject: What is wrong, where the message is composed; ``option`` if it is left out.
        expected: What was expected, where the message is composed.
        actual: What was received, where the message is composed.
        option: The parameter that is wrong, by its Python name; a magic shows it as its option.

    Attributes:
        spelling: How parameters, functions and the model are written; a magic sets its own.

    Example:
        >>> print(KmagicError(option="patience", expected="at least 1", actual=0))
        patience= must be at least 1; got 0.
    """

    def __init__(
        self,
        message: str | Text = "",
        remedy: str | Text = "",
        *,
        subject: str | Text = "",
        expected: str | Text = "",
        actual: object = None,
        option: str = "",
    ) -> None:
        self.subject = subject or (Text(Option(option)) if option else "")
        self.expected = expected
        self.actual = actual
        self.option = option
        self.spelling: Spelling = PYTHON
        self.message_text = message or self._compose()
        self.remedy_text = remedy
        super().__init__(str(self.message_text))

    def _compose(self) -> Text:
        parts = Text(self.subject, " must be ", self.expected)
        if self.actual is not None:
            shown = self.actual if isinstance(self.actual, Text) else safe_repr(self.actual)
            parts += Text("; got ", shown)
        return parts + "."

    @property
    def message(self) -> str:
        """What is wrong, in the error's spelling."""
        return render(self.message_text, self.spelling)

    @property
    def remedy(self) -> str:
        """What to do about it, in the error's spelling."""
        return render(self.remedy_text, self.spelling)

    def __str__(self) -> str:
        return self.render(colour=False)

    def render(self, *, colour: bool) -> str:  # noqa: ARG002 - subclasses that mark a text use it
        """The whole message, with ANSI colours for a notebook or plain for a log."""
        return "\n\n".join(part for part in (self.message, self.remedy) if part)

    def _render_traceback_(self) -> list[str]:
        name = f"{BOLD}{type(self).__name__}{RESET}"
        return f"{name}: {self.render(colour=True)}".splitlines()


def check_integer(error: type[KmagicError], option: str, value: object, minimum: int) -> None:
    """Raise ``error`` unless the value of an option is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise error(option=option, expected=f"an integer of at least {minimum}", actual=value)


class InputWarning(UserWarning):
    """The inputs of a model are unlike the data that it was trained on."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a text, and its location: line and column are counted from 1."""

    message: str  # continues the line of the caret: "is not an activation"
    line: int
    column: int
    width: int = 1  # number of marked characters
    remedy: str = ""
    trail: tuple[str, ...] = ()  # what leads here, outermost first: "block res, used in line 7"


class MarkedError(KmagicError):
    """One or more mistakes in a text of the user, each shown as its line with a caret below.

    ``where`` is what the text is, such as "%%keras_model cnn", and ``first_line`` the number of
    its first line in the editor of the user.
    """

    @staticmethod
    def colour_line(line: str) -> str:
        """The line as a terminal shows it. In a notebook no colour is legible in both themes."""
        return line

    def __init__(
        self, problems: Sequence[Problem], source: str, where: str = "", first_line: int = 1
    ) -> None:
        self.problems = tuple(problems)
        self.source = source
        self.where = where
        self.first_line = first_line
        super().__init__(self.problems[0].message, self.problems[0].remedy)

    def render(self, *, colour: bool) -> str:
        """The mistakes with their lines, a caret under each, and what to do."""
        lines = self.source.splitlines() or [""]
        shown = [self._mark(problem, lines, colour) for problem in self.problems[:MAX_PROBLEMS]]
        if (more := len(self.problems) - MAX_PROBLEMS) > 0:
            shown.append(f"and {more:,} more")
        return "\n\n".join(shown)

    def _mark(self, problem: Problem, lines: list[str], colour: bool) -> str:
        line = lines[min(problem.line, len(lines)) - 1].replace("\t", " ")
        line, start = _excerpt(line, problem.column - 1)
        text, before, marked = (
            escape_control_characters(part, "")
            for part in (line, line[:start].ljust(start), line[start : start + problem.width])
        )
        number = problem.line + self.first_line - 1
        gutter = f"{number:>3} | "
        blank = " " * (len(gutter) - 2) + "| "
        caret = "^" * max(1, len(marked))
        if colour:
            caret, text = f"{BOLD}{caret}{RESET}", self.colour_line(text)
        indent = "\n" + blank + " " * (len(before) + 1)
        message = escape_control_characters(problem.message).replace("\n", indent)
        shown = [
            f"line {number}, column {problem.column}",
            f"{gutter}{text}",
            f"{blank}{' ' * len(before)}{caret} {message}",
        ]
        shown += [f"    in {escape_control_characters(step)}" for step in problem.trail]
        if problem.remedy:
            shown += ["", escape_control_characters(problem.remedy)]
        return "\n".join(shown)

    def _render_traceback_(self) -> list[str]:
        place = f" in {escape_control_characters(self.where)}" if self.where else ""
        heading = f"{BOLD}{type(self).__name__}{RESET}{place}"
        return [heading, "", *self.render(colour=True).splitlines()]


def _excerpt(line: str, start: int) -> tuple[str, int]:
    """A long line cut around the start of a mark, and the start within it."""
    first = max(0, min(start - MAX_SHOWN // 2, len(line) - MAX_SHOWN))
    if len(line) <= MAX_SHOWN:
        return line, start
    before, after = "..." * (first > 0), "..." * (first + MAX_SHOWN < len(line))
    return before + line[first : first + MAX_SHOWN] + after, start - first + len(before)


class DSLError(MarkedError):
    """The text of a model contains a mistake."""


class BuildError(DSLError):
    """Keras rejected a line of a model's text."""


class DecompileError(KmagicError):
    """A model cannot be written as text; the message names the layer and the reason."""


class MagicError(MarkedError):
    """The line of a magic contains a mistake: an unknown option, a missing name, a bad value."""


class RCodeError(MarkedError):
    """R code contains a mistake, or something that Keras 3 does not have."""


class DataError(KmagicError):
    """Data is missing, damaged, or unsuitable for its use."""


class TrainingError(KmagicError):
    """A training run cannot start or continue."""


class EvaluationError(KmagicError):
    """Labels, predictions or images cannot be evaluated."""


class ClusterError(KmagicError):
    """A cluster cannot be reached or used."""


class PersistenceError(KmagicError):
    """A file cannot be written, read or trusted."""
