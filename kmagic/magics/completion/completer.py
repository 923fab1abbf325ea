"""Tab in cells of the layer language and on the lines of our magics.

IPython asks a matcher what can be written at the cursor. Ours answers only in our cells and
lines, and suppresses the guesses about Python there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kmagic.magics.editor.model_cell import model_cell
from kmagic.magics.session import Session, names_of_caller

_LINE = re.compile(r"(?:\s*[^\W\d][\w, ]*=)?\s*%{1,2}(keras_\w+)\s(.*)", re.DOTALL)


def register(shell: Any, session: Session) -> None:
    """Add our matcher to a shell, if it has a completer."""
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return
    in_terminal = getattr(shell, "kernel", None) is None
    from IPython.core.completer import context_matcher  # noqa: PLC0415 - not with a bare shell

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types
    def kmagic_matcher(context: Any) -> dict[str, Any]:
        with names_of_caller(_visible_names(completer, session)):
            where = context.cursor_line, context.cursor_position
            return match(context.full_text, *where, session, documented=in_terminal)

    completer.custom_matchers.insert(0, kmagic_matcher)


def unregister(shell: Any) -> None:
    """Remove our matcher from a shell."""
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers[:] = [
            matcher for matcher in completer.custom_matchers if matcher.__name__ != "kmagic_matcher"
        ]


def _visible_names(completer: Any, session: Session) -> dict[str, Any]:
    """The names that IPython completes: in a debugger and an embedded shell those of a function."""
    names, own = session.notebook, completer.namespace
    is_notebook = own is names
    return names if is_notebook else {**names, **completer.global_namespace, **own}


def match(
    text: str, row: int, column: int, session: Session, *, documented: bool = False
) -> dict[str, Any]:
    """The answer to IPython, for a cell's text and the cursor's row and column in it, from 0.

    With ``documented``, the type of a completion is a line of documentation: a terminal shows it
    beside the text, but JupyterLab would break it.
    """
    from kmagic.magics.completion.candidates import complete  # noqa: PLC0415 - not before the first Tab
    from kmagic.magics.completion.line_candidates import complete_line  # noqa: PLC0415 - as above

    lines = text.split("\n")
    cell = model_cell(text)
    in_cell = cell is not None and row >= cell.first_line
    if row and re.match(r"\s*%%keras_model\b.*\s--from-r\b", text):
        return _no_completions()
    if cell is not None and in_cell:
        end = sum(len(line) + 1 for line in lines[cell.first_line : row]) + column
        found = complete(cell.body, end, session.names, ranges=cell.ranges)
    else:
        line = _LINE.fullmatch(lines[row][:column] if row < len(lines) else "")
        if line is None:
            return _completions([], "")
        end = len(line[2])
        found = complete_line(line[1], line[2], session)
        in_cell = line[1] in ("keras_model", "keras_tune")
    if not found:
        return _no_completions() if in_cell else _completions([], "")
    fragment = lines[row][column - end + found[0].start : column]
    return _completions(found, fragment, documented=documented)


def _no_completions() -> dict[str, Any]:
    """Nothing, also from Python: its guesses would be wrong, and Jedi takes seconds for some."""
    return {"completions": _NoCompletions(), "matched_fragment": "", "suppress": True}


def _completions(found: list[Any], fragment: str, *, documented: bool = False) -> dict[str, Any]:
    from IPython.core.completer import SimpleCompletion  # noqa: PLC0415 - not before the first Tab

    typed = [
        SimpleCompletion(text=item.text, type=item.summary * documented or item.kind)
        for item in found
    ]
    return {
        "completions": typed,
        "matched_fragment": fragment,
        "suppress": bool(found),
        "ordered": True,
    }


class _NoCompletions:
    """Empty, but with a length: IPython lets only a matcher with results suppress others."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter(())
