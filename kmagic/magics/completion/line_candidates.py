"""What can be written on the line of a magic."""

from __future__ import annotations

import sys
from argparse import Action
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.magics.completion.candidates import (
    Completion,
    as_line,
    complete,
    completions,
    matching,
    words_of,
)
from kmagic.magics.line_parser import LineParser, split_line
from kmagic.magics.session import MAGICS, Session, is_model
from kmagic.models.model_arrays import model_tensors
from kmagic.models.reference import language_words, word_families
from kmagic.support.errors import KmagicError

TABLE_FILES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".npz", ".tfrecord")
MODEL_FILES = (".keras", ".h5", ".hdf5", ".json", ".kmagic")
MAX_FILES = 200  # files of a folder that are listed
_COLUMN_OPTIONS = frozenset({"--target", "--features", "--drop", "--by"})
_FIXED_VALUES = {
    "--scale": ("standard", "255", "none"),
    "--task": ("classification", "multilabel", "regression"),
}
_VARIABLE_OPTIONS = frozenset({"--val", "--class-names"})
"""Options that can be a variable, besides those that are declared as a value."""
_PARTS = ("x_train", "y_train", "x_test", "y_test")


def complete_line(magic: str, before: str, session: Session) -> list[Completion]:
    """What can be written at the end of the line of a magic, given what follows its name."""
    words = [word.text for word in split_line(before)]
    fragment = "" if not before or before[-1].isspace() else words.pop()
    if magic not in MAGICS:
        return []
    parser, _ = MAGICS[magic]
    option = parser.options.get(words[-1]) if words else None
    if fragment.startswith("-"):
        # Only long options: a short one is typed faster than chosen.
        found = _option_names(parser)
    elif magic == "keras_compile":
        found = _compile_candidates(words, fragment, session)
    elif option is not None and words[-1] == "--output":
        found = completions("keyword", _outputs(words, session))
    elif option is not None and option.nargs != 0:
        found = _option_values(parser, option, words, fragment, session.names)
    else:
        found = _argument_words(magic, words, fragment, session)
    return matching(found, fragment, len(before) - len(fragment))


def _option_names(parser: LineParser) -> Iterator[Completion]:
    for flag, action in parser.options.items():
        if flag.startswith("--"):
            yield Completion(flag, "param", summary=as_line(action.help or ""))


def _compile_candidates(words: list[str], fragment: str, session: Session) -> Iterator[Completion]:
    """A line of ``%keras_compile`` is a ``compile`` line of the language, with dashes."""
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


def _option_values(
    parser: LineParser, option: Action, words: list[str], fragment: str, names: Mapping[str, Any]
) -> Iterator[Completion]:
    flag = words[-1]
    yield from completions("keyword", option.choices or _FIXED_VALUES.get(flag) or ())
    if flag == "--weights-from":
        yield from completions("instance", (name for name in names if is_model(names[name])))
    if flag in {"--data", "--val"}:
        datasets = [name for name, value in names.items() if hasattr(value, "x_train")]
        yield from completions("instance", (name for name in datasets if name[0] != "_"))
    if parser.readings[option.dest] in ("value", "class names") or flag in _VARIABLE_OPTIONS:
        yield from completions("instance", _data_variables(names))
    if flag in _COLUMN_OPTIONS and parser.name == "%keras_data":
        # Of the table that the line begins with, several with commas.
        written, comma, _ = fragment.rpartition(",")
        given = dict(pairwise(words))
        delimiter = given.get("--delimiter") or given.get("--sep") or ""
        for column in table_columns(words[0], names, delimiter.strip("\"'")):
            if column not in written.split(","):
                text = f"{written}{comma}{column}" if " " not in column else f"'{column}'"
                yield Completion(text, "keyword")


def _outputs(words: list[str], session: Session) -> list[str]:
    """The outputs of the model that a line means, or the targets that a cross-validation has."""
    value = session.names.get(words[0])
    predictions = getattr(value, "predictions", None)
    if isinstance(predictions, Mapping):
        return list(predictions)
    current = session.current_model()
    model = value if is_model(value) else current[1] if current else None
    names = list(model_tensors(model, "outputs"))
    return names if len(names) > 1 else []


def _argument_words(
    magic: str, words: list[str], fragment: str, session: Session
) -> Iterator[Completion]:
    """What can be written where no option is being written."""
    models, names = session.models(), session.names
    match magic:
        case "keras_model" | "keras_tune":
            yield from completions("instance", models)
        case "keras_data":
            yield from completions("keyword", KNOWN_DATASETS)
            yield from completions("instance", _frames(names))
            if fragment:
                yield from completions("instance", _data_variables(names))
            yield from completions("path", complete_path(fragment, TABLE_FILES))
        case "keras_save" | "keras_load":
            if bool(words) == (magic == "keras_load"):
                yield from completions("instance", models)
            if magic == "keras_save" or not words:
                yield from completions("path", complete_path(fragment, MODEL_FILES))
        case "keras_layers":
            yield from _reference_words()
        case _:
            yield from completions("instance", models)
            if fragment or models.keys() & set(words):
                yield from completions("instance", _data_variables(names))
                yield from completions("instance", _frames(names))


def _reference_words() -> Iterator[Completion]:
    """Everything that ``%keras_layers`` can show."""
    kinds = (kind for kind in word_families.KINDS.values() if kind != "layers")
    yield from completions("keyword", kinds)
    own = (word.word for word in language_words.LANGUAGE_WORDS if word.word[0].isalpha())
    yield from completions("keyword", own)
    for role in word_families.ROLES:
        yield from completions("class", words_of(role))


def _frames(names: Mapping[str, Any]) -> list[str]:
    """Variables that are pandas data frames."""
    frame = getattr(sys.modules.get("pandas"), "DataFrame", ())
    return [
        name for name, value in list(names.items()) if isinstance(value, frame) and name[0] != "_"
    ]


def _data_variables(names: Mapping[str, Any]) -> Iterator[str]:
    """Variables that can be data: arrays, lists, dictionaries, datasets and their parts."""
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


def table_columns(source: str, names: Mapping[str, Any], delimiter: str = "") -> list[str]:
    """The column names of a table: of a text file, or of a data frame of the notebook."""
    frame = names.get(source)
    if frame is not None and hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return [str(column) for column in frame.columns]
    from kmagic.data.table_file import header_names  # noqa: PLC0415 - imports NumPy

    try:
        return header_names(Path(source.strip("\"'")).expanduser(), delimiter)
    except (KmagicError, OSError, RuntimeError):
        return []
