"""Tab in ``%%keras_model`` cells and on the lines of our magics.

IPython asks a matcher what can be written at the cursor. Ours answers only in our cells and
lines, and suppresses the guesses about Python there.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmagic.magics.line_parser import LineParser, split_line
from kmagic.magics.session import Session, is_model

if TYPE_CHECKING:
    from kmagic.magics.completion.candidates import Completion

CELL = "%%keras_model"
TABLE_FILES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".npz")
MODEL_FILES = (".keras", ".h5", ".hdf5", ".json", ".kmagic")
MAX_FILES = 200  # files of a folder that are listed
SEPARATORS = {".tsv": "\t", ".tab": "\t"}

_LINE = re.compile(r"(?:\s*[^\W\d][\w, ]*=)?\s*%{1,2}(keras_\w+)\s(.*)", re.DOTALL)
_COLUMN_OPTIONS = frozenset({"--target", "--features", "--drop"})
_FIXED_VALUES = {"--scale": ("standard", "255", "none")}
_VARIABLE_OPTIONS = frozenset(
    {
        "--val",
        "--callbacks",
        "--class-weight",
        "--sample-weight",
        "--true",
        "--pred",
        "--class-names",
    }
)
_PARTS = ("x_train", "y_train", "x_test", "y_test")
Matcher = Callable[[Any], dict[str, Any]]


def register(shell: Any, session: Session) -> Matcher | None:
    """Add our matcher to a shell; None in a shell without a completer."""
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return None
    from IPython.core.completer import context_matcher  # noqa: PLC0415 - not with a bare shell

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types
    def kmagic_matcher(context: Any) -> dict[str, Any]:
        return match(context.full_text, context.cursor_line, context.cursor_position, session)

    matcher: Matcher = kmagic_matcher
    completer.custom_matchers.insert(0, matcher)
    return matcher


def unregister(shell: Any) -> None:
    """Remove our matcher from a shell."""
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers[:] = [
            matcher for matcher in completer.custom_matchers if matcher.__name__ != "kmagic_matcher"
        ]


def match(text: str, row: int, column: int, session: Session) -> dict[str, Any]:
    """The answer to IPython, for a cell's text and the cursor in it.

    Args:
        text: The whole cell.
        row: The cursor's line, from 0.
        column: The cursor's column, from 0.
        session: The state of the notebook.
    """
    from kmagic.magics.completion.candidates import complete  # noqa: PLC0415 - not before the first Tab

    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    in_cell = lines[first].lstrip().startswith(CELL) and row > first
    if in_cell and "--from-r" in lines[first].split():
        return _no_completions()
    if in_cell:
        body = lines[first + 1 :]
        cursor = sum(len(line) + 1 for line in lines[first + 1 : row]) + column
        found = complete("\n".join(body), cursor, session.names)
        written = cursor - found[0].start if found else 0
    else:
        line = _LINE.fullmatch(lines[row][:column] if row < len(lines) else "")
        if line is None:
            return _completions([], "")
        found = complete_line(line[1], line[2], session)
        written = len(line[2]) - found[0].start if found else 0
        in_cell = line[1] == CELL.lstrip("%")
    if in_cell and not found:
        return _no_completions()
    return _completions(found, lines[row][column - written : column])


def _no_completions() -> dict[str, Any]:
    """Nothing, also from Python: its guesses would be wrong, and Jedi takes seconds for some."""
    return {"completions": _NoCompletions(), "matched_fragment": "", "suppress": True}


def _completions(found: list[Completion], fragment: str) -> dict[str, Any]:
    from IPython.core.completer import SimpleCompletion  # noqa: PLC0415 - not before the first Tab

    return {
        "completions": [SimpleCompletion(text=item.text, type=item.kind) for item in found],
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


# --- lines ----------------------------------------------------------------------------------------


def complete_line(magic: str, before: str, session: Session) -> list[Completion]:
    """What can be written at the end of a magic's line.

    Args:
        magic: The magic's name without its percent signs.
        before: The text between the name and the cursor.
        session: The state of the notebook.
    """
    from kmagic.magics.completion.candidates import matching  # noqa: PLC0415 - not before the first Tab

    words = [word.text for word in split_line(before)]
    fragment = "" if not before or before[-1].isspace() else words.pop()
    parser = _line_parsers().get(magic)
    if parser is None:
        return []
    if magic == "keras_compile" and not fragment.startswith("-"):
        found = _compile_candidates(words, fragment, session)
    else:
        found = _LineCandidates(magic, words, fragment, session).all(parser)
    return matching(found, fragment, len(before) - len(fragment))


def _line_parsers() -> Mapping[str, LineParser]:
    """The magics' parsers by the magics' names."""
    from kmagic.magics import MAGIC_CLASSES  # noqa: PLC0415 - which imports this module

    modules = [sys.modules[magics.__module__] for magics in MAGIC_CLASSES]
    values = [value for module in modules for value in vars(module).values()]
    return {value.name.lstrip("%"): value for value in values if isinstance(value, LineParser)}


def _compile_candidates(words: list[str], fragment: str, session: Session) -> Iterator[Completion]:
    """A line of ``%keras_compile`` is a ``compile`` line of the language, with dashes."""
    from kmagic.magics.completion.candidates import Completion, complete, completions  # noqa: PLC0415 - not before the first Tab

    if words and words[-1] in {"--loss", "--metrics"}:
        text = f"compile adam {words[-1][2:]}={fragment}"
    else:
        if not words:
            yield from completions("instance", session.models())
        text = " ".join(["compile", *(w for w in words if w not in session.models()), fragment])
    for item in complete(text, len(text), session.names):
        if item.kind != "param" or "(" in fragment:
            written = len(text) - item.start
            yield Completion(fragment[: len(fragment) - written] + item.text, item.kind)


class _LineCandidates:
    """What can be written at the end of a line, before what is written already counts."""

    def __init__(self, magic: str, words: list[str], fragment: str, session: Session) -> None:
        self.magic, self.words, self.fragment, self.session = magic, words, fragment, session

    def all(self, parser: LineParser) -> Iterator[Completion]:
        from kmagic.magics.completion.candidates import completions  # noqa: PLC0415 - not before the first Tab

        if self.fragment.startswith("-"):
            # Only long options: a short one is typed faster than chosen.
            flags = (flag for flag in parser.options if flag.startswith("--"))
            return completions("param", flags)
        option = parser.options.get(self.words[-1]) if self.words else None
        if option is not None and option.nargs != 0:
            return self._option_values(self.words[-1], tuple(option.choices or ()))
        return self._words()

    def _option_values(self, flag: str, choices: tuple[str, ...]) -> Iterator[Completion]:
        from kmagic.magics.completion.candidates import completions  # noqa: PLC0415 - as above

        names = self.session.names
        yield from completions("keyword", choices or _FIXED_VALUES.get(flag, ()))
        if flag in {"--data", "--val"}:
            datasets = [name for name, value in names.items() if hasattr(value, "x_train")]
            yield from completions("instance", (name for name in datasets if name[0] != "_"))
        if flag in _VARIABLE_OPTIONS:
            yield from completions("instance", _data_variables(names))
        if flag in _COLUMN_OPTIONS and self.magic == "keras_data":
            yield from completions("keyword", self._columns())

    def _words(self) -> Iterator[Completion]:
        from kmagic.magics.completion.candidates import completions  # noqa: PLC0415 - as above

        models, names, words = self.session.models(), self.session.names, self.words
        match self.magic:
            case "keras_model":
                yield from completions("instance", models)
            case "keras_data":
                from kmagic.data.known_datasets import KNOWN_DATASETS  # noqa: PLC0415 - only for this magic

                yield from completions("keyword", KNOWN_DATASETS)
                yield from completions("instance", _frames(names))
                if self.fragment:
                    yield from completions("instance", _data_variables(names))
                yield from completions("path", complete_path(self.fragment, TABLE_FILES))
            case "keras_save" | "keras_load":
                if bool(words) == (self.magic == "keras_load"):
                    yield from completions("instance", models)
                if self.magic == "keras_save" or not words:
                    yield from completions("path", complete_path(self.fragment, MODEL_FILES))
            case "keras_layers":
                yield from _reference_words()
            case _:
                yield from completions("instance", models)
                if self.fragment or models.keys() & set(words):
                    yield from completions("instance", _data_variables(names))
                    yield from completions("instance", _frames(names))

    def _columns(self) -> Iterator[str]:
        """Columns of the table that a line of ``%keras_data`` begins with, several with commas."""
        words = self.words
        written, comma, _ = self.fragment.rpartition(",")
        sep = words[words.index("--sep") + 1].strip("\"'") if "--sep" in words[:-1] else None
        for column in table_columns(words[0], self.session.names, sep):
            if column not in written.split(","):
                yield f"{written}{comma}{column}" if " " not in column else f"'{column}'"


def _reference_words() -> Iterator[Completion]:
    """Everything that ``%keras_layers`` can show."""
    from kmagic.magics.completion.candidates import completions  # noqa: PLC0415 - not before the first Tab
    from kmagic.magics.completion.completion_words import words_of  # noqa: PLC0415 - as above
    from kmagic.models.reference import language_words, word_families  # noqa: PLC0415 - as above

    kinds = (kind for kind in word_families.KINDS.values() if kind != "layers")
    yield from completions("keyword", kinds)
    own = (word.word for word in language_words.LANGUAGE_WORDS if word.word[0].isalpha())
    yield from completions("keyword", own)
    for role in word_families.ROLES:
        yield from completions("class", (word.text for word in words_of(role)))


def _frames(names: Mapping[str, Any]) -> list[str]:
    """Variables that are pandas data frames."""
    frame = getattr(sys.modules.get("pandas"), "DataFrame", ())
    return [
        name for name, value in list(names.items()) if isinstance(value, frame) and name[0] != "_"
    ]


def _data_variables(names: Mapping[str, Any]) -> Iterator[str]:
    """Variables that can be data: arrays, lists, dictionaries, data sets and their parts."""
    array = getattr(sys.modules.get("numpy"), "ndarray", ())
    for name, value in list(names.items()):
        if name.startswith("_") or name in {"In", "Out"} or is_model(value):
            continue
        if isinstance(value, (array, list, tuple, dict)):
            yield name
        elif hasattr(value, "x_train"):
            yield from (name, *(f"{name}.{part}" for part in _PARTS))


# --- files ----------------------------------------------------------------------------------------


def complete_path(fragment: str, extensions: tuple[str, ...]) -> Iterator[str]:
    """Folders, and files with some extensions, that continue a path.

    Names with spaces are left to IPython.
    """
    folder, slash, start = fragment.rpartition("/")
    before = folder + slash
    try:
        files = sorted(Path(before or ".").expanduser().iterdir())[:MAX_FILES]
    except (OSError, RuntimeError):
        return
    for file in files:
        hidden = file.name.startswith(".") and not start.startswith(".")
        if hidden or " " in file.name or not file.name.startswith(start):
            continue
        if file.is_dir():
            yield f"{before}{file.name}/"
        elif file.suffix.lower() in extensions:
            yield f"{before}{file.name}"


def table_columns(source: str, names: Mapping[str, Any], separator: str | None = None) -> list[str]:
    """The column names of a table: of a text file, or of a data frame of the notebook."""
    frame = names.get(source)
    if frame is not None and hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return [str(column) for column in frame.columns]
    path = Path(source.strip("\"'"))
    delimiter = separator or SEPARATORS.get(path.suffix.lower(), ",")
    try:
        with path.expanduser().open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream, delimiter=delimiter), [])
    except (OSError, ValueError, csv.Error, RuntimeError, TypeError):
        return []
