"""Tab in ``%%keras_model`` cells and on the lines of our magics.

IPython asks a matcher for what can stand at the cursor; ours answers in our cells only, and there
it keeps Python's own guesses away.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kmagic.magics.line_parser import Arguments, split
from kmagic.magics.session import Session, is_model

if TYPE_CHECKING:
    from kmagic.magics.completion import Completion

MODULES = ("classification", "confusion", "data", "evaluation", "language", "model", "training")
CELL = "%%keras_model"
_LINE = re.compile(r"(?:\s*[^\W\d][\w, ]*=)?\s*%{1,2}(keras_\w+)\s(.*)", re.DOTALL)
Matcher = Callable[[Any], dict[str, Any]]


def register(shell: Any, session: Session) -> Matcher | None:
    """Teach a shell's Tab our cells and lines; None in a shell without a completer."""
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return None
    from IPython.core.completer import context_matcher  # noqa: PLC0415 - not with a bare shell

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types
    def kmagic_matcher(context: Any) -> dict[str, Any]:
        return match(context.full_text, context.cursor_line, context.cursor_position, session)

    completer.custom_matchers.insert(0, kmagic_matcher)
    found: Matcher = kmagic_matcher
    return found


def unregister(shell: Any) -> None:
    """Take our matcher out of a shell."""
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers[:] = [
            each for each in completer.custom_matchers if each.__name__ != "kmagic_matcher"
        ]


def match(text: str, row: int, column: int, session: Session) -> dict[str, Any]:
    """The answer to IPython, for a cell's text and the cursor in it.

    Args:
        text: The whole cell.
        row: The cursor's line, from 0.
        column: The cursor's place in its line, from 0.
        session: What the notebook remembers.
    """
    from kmagic.magics.completion import complete  # noqa: PLC0415 - not before the first Tab

    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    in_cell = lines[first].lstrip().startswith(CELL) and row > first
    if in_cell and "--from-r" in lines[first].split():
        return _silence()
    if in_cell:
        body = lines[first + 1 :]
        cursor = sum(len(line) + 1 for line in lines[first + 1 : row]) + column
        found = complete("\n".join(body), cursor, session.names)
        written = cursor - found[0].start if found else 0
    else:
        before = lines[row][:column] if row < len(lines) else ""
        line = _LINE.fullmatch(before)
        if line is None:
            return _answer([], "")
        found = complete_line(line[1], line[2], session)
        written = len(line[2]) - found[0].start if found else 0
        in_cell = line[1] == CELL.lstrip("%")
    fragment = lines[row][column - written : column]
    if in_cell and not found:
        return _silence()
    return _answer(found, fragment)


def _silence() -> dict[str, Any]:
    """Nothing: Python's guesses would be wrong, and Jedi takes seconds for some of them."""
    return {"completions": _Silence(), "matched_fragment": "", "suppress": True}


def _answer(found: list[Completion], fragment: str) -> dict[str, Any]:
    from IPython.core.completer import SimpleCompletion  # noqa: PLC0415 - as above

    return {
        "completions": [SimpleCompletion(text=each.text, type=each.kind) for each in found],
        "matched_fragment": fragment,
        "suppress": bool(found),
        "ordered": True,
    }


class _Silence:
    """No completions, but a length: IPython lets only who has something keep others silent."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter(())


# --- lines --------------------------------------------------------------------------------------


def complete_line(magic: str, before: str, session: Session) -> list[Completion]:
    """What can stand at the end of a magic's line.

    Args:
        magic: The magic's name without its percent signs.
        before: What stands between the name and the cursor.
        session: What the notebook remembers.
    """
    from kmagic.magics.completion.candidates import fits  # noqa: PLC0415 - not before the first Tab

    pieces = [piece.text for piece in split(before)]
    fragment = "" if not before or before[-1].isspace() else pieces.pop()
    start = len(before) - len(fragment)
    arguments = _known().get(magic)
    if arguments is None:
        return []
    if magic == "keras_compile" and not fragment.startswith("-"):
        found = list(_of_compile(pieces, fragment, session))
    else:
        found = list(_candidates(magic, arguments, pieces, fragment, session))
    unique = {each.text: each for each in reversed(found) if fits(each.text, fragment)}
    return [each.at(each.start or start) for each in reversed(unique.values())]


def _candidates(
    magic: str, arguments: Arguments, pieces: list[str], fragment: str, session: Session
) -> Iterator[Completion]:
    options = arguments.options()
    if fragment.startswith("-"):
        # Long ones only: a short one is quicker typed than chosen.
        yield from _as("param", (flag for flag in options if flag.startswith("--")))
        return
    option = options.get(pieces[-1]) if pieces else None
    if option is not None and option.takes_value:
        yield from _as("keyword", option.choices or _WORDS.get(pieces[-1], ()))
        if pieces[-1] in {"--data", "--val"}:
            yield from _as("instance", _datasets(session.names))
        if pieces[-1] in _FROM_NOTEBOOK:
            yield from _as("instance", _values(session.names))
        if pieces[-1] in _COLUMNS and magic == "keras_data":
            yield from _as("keyword", _columns(pieces, fragment, session.names))
        return
    if magic == "keras_model":
        yield from _as("instance", session.models())
    elif magic == "keras_data":
        yield from _as("keyword", _dataset_names())
        yield from _as("instance", _frames(session.names))
        if fragment:
            yield from _as("instance", _values(session.names))
        yield from _as("path", _paths(fragment))
    elif magic in ("keras_save", "keras_load"):
        if bool(pieces) == (magic == "keras_load"):
            yield from _as("instance", session.models())
        if magic == "keras_save" or not pieces:
            yield from _as("path", _paths(fragment, models=True))
    elif magic == "keras_layers":
        yield from _words()
    else:
        yield from _as("instance", session.models())
        if fragment or session.models().keys() & set(pieces):
            yield from _as("instance", _values(session.names))
            yield from _as("instance", _frames(session.names))


def _of_compile(pieces: list[str], fragment: str, session: Session) -> Iterator[Completion]:
    """The line of ``%keras_compile`` is a ``compile`` line of the language, with dashes."""
    from kmagic.magics.completion import Completion, complete  # noqa: PLC0415 - not before the first Tab

    if pieces and pieces[-1] in {"--loss", "--metrics"}:
        text = f"compile adam {pieces[-1][2:]}={fragment}"
    else:
        if not pieces:
            yield from _as("instance", session.models())
        word_families = [each for each in pieces if each not in session.models()]
        text = " ".join(["compile", *word_families, fragment])
    for each in complete(text, len(text), session.names):
        if each.kind != "param" or "(" in fragment:
            written = len(text) - each.start
            yield Completion(fragment[: len(fragment) - written] + each.text, each.kind)


def _known() -> Mapping[str, Arguments]:
    """The magics' options, by the magics' names."""
    from kmagic.magics import FAMILIES  # noqa: PLC0415 - which imports this module

    modules = [sys.modules[family.__module__] for family in FAMILIES]
    values = [value for module in modules for value in vars(module).values()]
    return {each.name.lstrip("%"): each for each in values if isinstance(each, Arguments)}


def _words() -> Iterator[Completion]:
    """Everything that ``%keras_layers`` can be asked for."""
    from kmagic.magics.completion import completion_words  # noqa: PLC0415 - only when it is asked for
    from kmagic.models.reference import language_words, word_families  # noqa: PLC0415 - as above

    yield from _as("keyword", (kind for kind in word_families.KINDS.values() if kind != "layers"))
    yield from _as(
        "keyword", (each.word for each in language_words.LANGUAGE_WORDS if each.word[0].isalpha())
    )
    for role in word_families.ROLES:
        yield from _as("class", (word.text for word in completion_words.words(role)))


def _dataset_names() -> list[str]:
    from kmagic.data.known_datasets import KNOWN_DATASETS  # noqa: PLC0415 - only when it is asked for

    return list(KNOWN_DATASETS)


def _paths(fragment: str, *, models: bool = False) -> Iterator[str]:
    from kmagic.magics.completion.file_completion import ENDINGS, MODELS, paths  # noqa: PLC0415 - as above

    return paths(fragment, MODELS if models else ENDINGS)


def _columns(pieces: list[str], fragment: str, names: Mapping[str, Any]) -> Iterator[str]:
    """Columns of the table that a line of ``%keras_data`` begins with; several with commas."""
    from kmagic.magics.completion.file_completion import columns  # noqa: PLC0415 - only when it is asked for

    written, comma, _ = fragment.rpartition(",")
    sep = pieces[pieces.index("--sep") + 1].strip("\"'") if "--sep" in pieces[:-1] else None
    for each in columns(pieces[0], names, sep):
        if each not in written.split(","):
            yield f"{written}{comma}{each}" if " " not in each else f"'{each}'"


def _frames(names: Mapping[str, Any]) -> list[str]:
    """Names of pandas data frames."""
    frame = getattr(sys.modules.get("pandas"), "DataFrame", ())
    return [
        name for name, value in list(names.items()) if isinstance(value, frame) and name[0] != "_"
    ]


def _datasets(names: Mapping[str, Any]) -> list[str]:
    return [name for name, value in names.items() if hasattr(value, "x_train") and name[0] != "_"]


def _values(names: Mapping[str, Any]) -> Iterator[str]:
    """Names of arrays, frames, lists: what can be data."""
    array = getattr(sys.modules.get("numpy"), "ndarray", ())
    for name, value in list(names.items()):
        if name.startswith("_") or name in {"In", "Out"} or is_model(value):
            continue
        if isinstance(value, (array, list, tuple, dict)):
            yield name
        elif hasattr(value, "x_train"):
            yield from (name, *(f"{name}.{part}" for part in _PARTS))


_COLUMNS = frozenset({"--target", "--features", "--drop"})
_WORDS = {"--scale": ("standard", "255", "none")}
_FROM_NOTEBOOK = frozenset(
    {"--val", "--callbacks", "--class-weight", "--sample-weight", "--true", "--pred", "--labels"}
)
_PARTS = ("x_train", "y_train", "x_test", "y_test")


def _as(kind: str, found: Iterable[str]) -> Iterator[Completion]:
    from kmagic.magics.completion import Completion  # noqa: PLC0415 - not before the first Tab

    return (Completion(each, kind) for each in found)
