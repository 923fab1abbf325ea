"""The words of the layer language itself, which Keras does not document."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class LanguageWord:
    """A word of the language itself; in its usage, CAPITALS are placeholders.

    Its example is a text that builds, after the Python code of ``setup``.
    """

    aliases: ClassVar[tuple[str, ...]] = ()
    shown_alias: ClassVar[str] = ""
    word: str
    usage: str
    summary: str
    example: str
    setup: str = ""


_DATA = tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))
LANGUAGE_WORDS = tuple(LanguageWord(**entry) for entry in _DATA.pop("language"))
WORD_TEXTS: dict[str, dict[str, str]] = _DATA
"""Texts about Keras's words and arguments, by subject."""
LANGUAGE_WORDS_BY_NAME: dict[str, LanguageWord] = {native.word: native for native in LANGUAGE_WORDS}
LANGUAGE_WORDS_BY_NAME |= {
    "[": LANGUAGE_WORDS_BY_NAME["="],
    "{": LANGUAGE_WORDS_BY_NAME["{}"],
    "}": LANGUAGE_WORDS_BY_NAME["{}"],
    "<": LANGUAGE_WORDS_BY_NAME["<-"],
}
