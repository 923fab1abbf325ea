"""Write the list of every word into docs/language.md and words.json, from the installed Keras.

Run it when Keras has gained a word: python scripts/make_language_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path

import keras

from kmagic.magics.completion.candidates import words_to_store
from kmagic.models.reference.language_words import LANGUAGE_WORDS
from kmagic.models.reference.word_families import KINDS, ROLES, KerasWord, families, keras_words
from kmagic.models.reference.word_help import ArgumentHelp, WordHelp, word_help

PAGE = Path(__file__).parents[1] / "docs" / "language.md"
WORDS_FILE = Path(__file__).parents[1] / "kmagic/magics/completion/words.json"
"""What Tab completes with while Keras is not there yet."""
BEGIN = "<!-- Every word: written by scripts/make_language_reference.py; do not edit below. -->"
MOST_OPTIONAL = 4
"""So many optional arguments of a layer are named; the rest are keywords that few need."""


def words_part() -> str:
    """The page's last part: every word by family, in Markdown."""
    lines = [
        BEGIN,
        "",
        "# Every word",
        "",
        f"As Keras {keras.__version__} has them. Arguments stand in the order of positional",
        "values, and those in brackets can be left out; `%keras_layers WORD` shows all there are.",
        "",
        "## The language's own",
        "",
        "| Word | Line | |",
        "|---|---|---|",
    ]
    lines += [
        f"| {_code(each.word)} | {_code(each.usage)} | {_cell(each.summary)} |"
        for each in LANGUAGE_WORDS
    ]
    for title, members in families().items():
        lines += ["", f"## Layers: {title}", "", "| Word | Arguments | |", "|---|---|---|"]
        lines += [_layer(known) for known in members]
    for role in ROLES[1:]:
        lines += ["", f"## {KINDS[role].capitalize()}", ""]
        plain = [known for known in keras_words(role) if not known.summary]
        if plain:
            lines += [", ".join(map(_names, plain)), ""]
        lines += ["| Word | |", "|---|---|"]
        told = [known for known in keras_words(role) if known.summary]
        lines += [f"| {_names(known)} | {_cell(known.summary)} |" for known in told]
    return "\n".join(lines) + "\n"


def _layer(known: KerasWord) -> str:
    found = word_help(known, ())
    return f"| {_names(known)} | {_arguments(found)} | {_cell(found.summary)} |"


def _names(known: KerasWord) -> str:
    return ", ".join(map(_code, (known.word, *known.aliases)))


def _arguments(found: WordHelp) -> str:
    required = [each.name for each in found.arguments if each.default is None]
    optional = [each for each in found.arguments if each.default is not None and each.positional]
    shown = [*required, *map(_optional, optional[:MOST_OPTIONAL])]
    return _code(" ".join(shown)) if shown else ""


def _optional(argument: ArgumentHelp) -> str:
    return f"[{argument.name}={argument.default}]"


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def whole(page: str) -> str:
    """The page with its last part as it is now."""
    return page.split(BEGIN, maxsplit=1)[0].rstrip("\n") + "\n\n" + words_part()


def words_file() -> str:
    """The words of each kind, as JSON."""
    return json.dumps(words_to_store(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(whole(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    WORDS_FILE.write_text(words_file(), encoding="utf-8")
