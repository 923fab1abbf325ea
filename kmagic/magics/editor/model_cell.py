"""A cell of the layer language as an editor sees it, while it is being written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kmagic.language.pygments_lexer import DEFINITION
from kmagic.support.errors import Problem
from kmagic.support.suggestions import Suggestion

_CELL = re.compile(rf"{DEFINITION['cell']}[^\n]*(?:\n|$)")
_LARGE = 100_000
"""Parameters of a line from which on their number is shown beside the shape."""


@dataclass(frozen=True, slots=True)
class ModelCell:
    """A cell that starts with ``%%keras_model`` or ``%%keras_tune``.

    Attributes:
        body: The text of the model.
        first_line: The number of its first line in the cell, from 0.
        ranges: Whether it is a search, whose text may contain ranges.
    """

    body: str
    first_line: int
    ranges: bool = False


def model_cell(code: str) -> ModelCell | None:
    r"""The model that a cell defines; None for any other cell, and for R code.

    Example:
        >>> model_cell("%%time\n%%keras_model cnn -q\ninput 4")
        ModelCell(body='input 4', first_line=2, ranges=False)
        >>> model_cell("%%html\n%%keras_model") is model_cell("x = 1") is None
        True
    """
    match = _CELL.match(code)
    if match is None:
        return None
    first_line = match[0].removesuffix("\n").count("\n") + 1
    return ModelCell(code[match.end() :], first_line, "%%keras_tune" in match[0])


def check_cell(code: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The shapes and mistakes of a cell, for the page; lines and columns count from 0.

    Args:
        code: The cell.
        names: The notebook's variables.
    """
    from kmagic.from_r.translation import translate_problems  # noqa: PLC0415 - loads the parser
    from kmagic.models.build.line_shapes import check_text  # noqa: PLC0415 - not before a model cell

    cell = model_cell(code)
    if cell is None or not cell.body.strip():
        return {"lines": [], "problems": []}
    check = check_text(cell.body, names, ranges=cell.ranges)
    lines = [
        {
            "line": line.line - 1 + cell.first_line,
            "shape": line.shape,
            "parameters": f"{line.parameters:,} parameters" if line.parameters >= _LARGE else "",
        }
        for line in check.shapes
    ]
    problems = [
        _marked(problem, cell, "error") | {"fix": _fix(problem, cell, names)}
        for problem in translate_problems(check.problems)
    ]
    for advice in check.advice:
        span = advice.span
        if span.line:
            hide = f"To hide this, add `# {advice.code}` to the line."
            problem = Problem(
                advice.message, span.line, span.column, span.width, f"{advice.remedy}\n{hide}"
            )
            problems.append(_marked(problem, cell, "advice") | {"fix": None})
    return {"lines": lines, "problems": problems}


def _marked(problem: Problem, cell: ModelCell, severity: str) -> dict[str, Any]:
    message = "\n".join([problem.message, *(f"in {step}" for step in problem.trail)])
    return {
        **_range(problem.line, problem.column, problem.width, cell),
        "severity": severity,
        "message": message,
        "remedy": problem.remedy,
    }


def _range(line: int, column: int, width: int, cell: ModelCell) -> dict[str, int]:
    row = line - 1 + cell.first_line
    return {
        "line": row,
        "column": column - 1,
        "end_line": row,
        "end_column": column - 1 + max(width, 1),
    }


def _fix(problem: Problem, cell: ModelCell, names: Mapping[str, Any]) -> dict[str, Any] | None:
    """The change that a remedy suggests, if it replaces a word and removes the problem."""
    from kmagic.models.build.line_shapes import text_problems  # noqa: PLC0415 - as above

    remedy, rows = problem.remedy, cell.body.splitlines()
    if not isinstance(remedy, Suggestion):
        return None
    row = rows[problem.line - 1]
    words = re.finditer(rf"(?<!\w){re.escape(remedy.word)}\b", row)
    columns = [match.start() + 1 for match in words]
    if problem.column in columns:
        columns = [problem.column]
    if len(columns) != 1:
        return None
    before, after = row[: columns[0] - 1], row[columns[0] - 1 + len(remedy.word) :]
    rows[problem.line - 1] = before + remedy.replacement + after
    left = text_problems("\n".join(rows), names, ranges=cell.ranges)
    if any((other.line, other.column) == (problem.line, problem.column) for other in left):
        return None
    where = _range(problem.line, columns[0], len(remedy.word), cell)
    return {**where, "text": remedy.replacement}
