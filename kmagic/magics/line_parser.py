"""The line of a magic: its words, their values, and what is wrong with them.

argparse knows which options there are and writes the help; the words are cut here, because a
value may be ``{an expression}`` or a quoted text, and because a mistake is shown with a caret.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from keyword import iskeyword
from typing import Any, NoReturn

from kmagic.language import expressions
from kmagic.language.tokens import has_colon
from kmagic.support.errors import MagicError, Problem
from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

_WORD = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[[^\]]*\])*")
_OPENING, _CLOSING = "{[(", "}])"


@dataclass(frozen=True, slots=True)
class Piece:
    """One word of a line; ``column`` counts from 0 within the arguments."""

    text: str
    column: int


def split(line: str) -> list[Piece]:
    """Cut a line at its white space; quotes and brackets hold together.

    Example:
        >>> [piece.text for piece in split("cnn {x[:8] + 1} 'my photo.jpg' --top 3")]
        ['cnn', '{x[:8] + 1}', "'my photo.jpg'", '--top', '3']
    """
    pieces: list[Piece] = []
    start, depth, quote = -1, 0, ""
    for place, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char.isspace() and depth == 0:
            if start >= 0:
                pieces.append(Piece(line[start:place], start))
            start = -1
            continue
        elif char in "\"'":
            quote = char
        else:
            depth = max(0, depth + (char in _OPENING) - (char in _CLOSING))
        start = place if start < 0 else start
    if start >= 0:
        pieces.append(Piece(line[start:], start))
    return pieces


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a magic, as far as Tab needs to know it."""

    takes_value: bool
    choices: tuple[str, ...] = ()


class _UsageError(Exception):
    """argparse has found something wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


class Arguments:
    """The options of one magic.

    Args:
        name: With its percent signs: "%keras_fit".
        about: What it does, in one sentence.
        examples: Lines that work, shown in the help.
    """

    def __init__(self, name: str, about: str, examples: str = "") -> None:
        self.name = name
        shown = "examples:\n" + "\n".join(f"  {line}" for line in examples.splitlines())
        self._parser = _Parser(
            prog=name,
            description=about,
            epilog=shown if examples else None,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.option("-h", "--help", action="store_true", help="show this help")

    def option(self, *flags: str, **settings: Any) -> Arguments:
        """Add an option, as ``argparse.ArgumentParser.add_argument`` does; returns self."""
        self._parser.add_argument(*flags, **settings)
        return self

    def result_options(self) -> Arguments:
        """Add ``-o`` and ``-q``, which every magic with a result has."""
        self.option("-o", "--out", metavar="NAME", help="also bind the result to this name")
        return self.option("-q", "--quiet", action="store_true", help="show nothing")

    @property
    def help(self) -> str:
        """The help text."""
        return self._parser.format_help()

    def options(self) -> dict[str, Option]:
        """The options by their flags."""
        return {
            flag: Option(action.nargs != 0, tuple(map(str, action.choices or ())))
            for action in self._parser._actions  # noqa: SLF001 - argparse has no public list
            for flag in action.option_strings
        }

    def parse(self, line: str, names: Mapping[str, Any]) -> Line:
        """Read a line.

        Args:
            line: What stands behind the magic's name.
            names: The notebook's names, for values.

        Raises:
            MagicError: An unknown option, a missing or a bad value.
        """
        pieces = split(line)
        read = Line(self.name, line, names, pieces)
        known = list(self.options())
        read.flags = frozenset(known)
        before = ""
        for piece in pieces:
            if re.match(r"#(?!\d)", piece.text) and not before.startswith("-"):
                read.fail("a comment is not for a magic's line", piece.text, "Put it above.")
            before = piece.text
            if piece.text[0] == "{" and piece.text.count("{") > piece.text.count("}"):
                read.fail("{ is never closed", piece.text, width=1)
            flag = piece.text.split("=")[0]
            if re.match(r"--?[a-zA-Z]", flag) and flag not in known and "{" not in flag:
                options = ", ".join(each for each in known if each.startswith("--"))
                remedy = did_you_mean(flag, known) or f"{self.name} knows {options}."
                read.fail(f"{self.name} has no option {flag}", piece.text, remedy)
        try:
            read.options = self._parser.parse_args([piece.text for piece in pieces])
        except _UsageError as error:
            read.fail_usage(str(error))
        out = getattr(read.options, "out", None)
        if out is not None and (not out.isidentifier() or iskeyword(out)):
            read.fail("-o takes a name for the result, such as `found`", out)
        return read


class Line:
    """A magic's line, read.

    Attributes:
        options: By name, as argparse gives them: texts, or what their ``type`` made of them.
        flags: What the magic's options are called.
    """

    def __init__(
        self, magic: str, text: str, names: Mapping[str, Any], pieces: list[Piece]
    ) -> None:
        self.magic, self.text, self.names, self.pieces = magic, text, names, pieces
        self.options = argparse.Namespace()
        self.flags: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.options, name)

    def value(self, text: str) -> Any:
        """The value of a word: a number, a quoted text, a name, a dotted name or ``{expr}``.

        Raises:
            MagicError: It is none of them, or a name that is not known.
        """
        found, known = self.try_value(text)
        if not known:
            self.fail("is neither a value nor a known name", text, self._name_hint(text))
        return found

    def try_value(self, text: str) -> tuple[Any, bool]:
        """As :meth:`value`; the second item tells whether the word means anything."""
        if text.startswith("{") and text.endswith("}"):
            if has_colon(text[1:-1]):  # a dictionary
                return self._expression(text, text, 0), True
            return self._expression(text[1:-1], text, 1), True
        word = _WORD.fullmatch(text)
        if word and re.split(r"[.\[]", text)[0] in self.names:
            return self._expression(text, text, 0), True
        try:
            return ast.literal_eval(text), True
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None, False

    def _expression(self, source: str, text: str, inset: int) -> Any:
        try:
            return expressions.evaluate(source, self.names)
        except expressions.ExpressionError as error:
            self.fail(
                error.message, text, error.remedy, inset=inset + error.column, width=error.width
            )

    def _name_hint(self, text: str) -> str:
        names = [name for name in self.names if name[0] != "_" and name not in IPYTHON_NAMES]
        remedy = did_you_mean(re.split(r"[.\[]", text)[0], names)
        return remedy or "Values are a number, a quoted text, a name, or an expression in braces."

    def number(self, text: str, option: str, *, least: float = 0, whole: bool = True) -> Any:
        """A number, literal or from the notebook, that is at least so much."""
        found, known = self.try_value(text)
        found = found if known else text
        kind = int if whole else (int, float)
        if isinstance(found, bool) or not isinstance(found, kind) or found < least:
            wanted = "a whole number" if whole else "a number"
            self.fail(f"{option} takes {wanted} of at least {least:g}, not {found!r}", text)
        return found

    def fail(
        self, message: str, text: str, remedy: str = "", *, inset: int = 0, width: int = 0
    ) -> NoReturn:
        """Show the line with a caret under a word of it.

        Raises:
            MagicError: Always.
        """
        column = self._column(text)
        before = len(self.magic) + 1
        source = f"{self.magic} {self.text}".rstrip()
        problem = Problem(
            message, 1, before + column + inset + 1, width or max(len(text) - inset, 1), remedy
        )
        raise MagicError([problem], source, self.magic)

    def _column(self, text: str) -> int:
        """Where a word stands, or a part of one; nothing is missing at the end."""
        if not text:
            return len(self.text.rstrip()) + bool(self.text.strip())
        whole = (piece.column for piece in self.pieces if piece.text == text)
        part = (piece.column + piece.text.find(text) for piece in self.pieces if text in piece.text)
        return next(whole, next(part, len(self.text)))

    def fail_usage(self, message: str) -> NoReturn:
        """Put argparse's words in ours."""
        missing = re.fullmatch(r"argument (.+?): expected (.+)", message)
        if missing:
            flag = next(
                (name for name in missing[1].split("/") if name in self.text.split()), missing[1]
            )
            texts = [piece.text for piece in self.pieces]
            after = "".join(texts[texts.index(flag) + 1 :][:1]) if flag in texts else ""
            if after.startswith("-") and after not in self.flags:
                self.fail(f"{flag} does not take this", after, f"Help: {self.magic} -h")
            self.fail(f"{flag} needs a value", flag, f"Help: {self.magic} -h")
        bad = re.fullmatch(r"argument (.+?): invalid (.+?) value: '(.*)'", message)
        if bad:
            self.fail(f"{bad[1]} takes {bad[2]}, not this", bad[3], f"Help: {self.magic} -h")
        choice = re.fullmatch(
            r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message
        )
        if choice:
            known = re.findall(r"\w+", choice[3])
            remedy = did_you_mean(choice[2], known) or f"Choose from {', '.join(known)}."
            self.fail(f"{choice[1]} does not take this", choice[2], remedy)
        extra = re.fullmatch(r"unrecognized arguments: (.*)", message)
        if extra:
            first = extra[1].split()[0]
            parted = any(
                one.text.endswith(",") and two.text == first for one, two in pairwise(self.pieces)
            )
            name, sign, value = first.partition("=")
            remedy = "Write a pair without a blank: X,Y." if parted else f"Help: {self.magic} -h"
            if sign and f"--{name}" in self.flags:
                remedy = f"Did you mean --{name} {value}?"
            self.fail(f"{self.magic} has no place for this", first, remedy)
        required = re.fullmatch(r"the following arguments are required: (.*)", message)
        if required:
            message = f"expected {required[1]}"
        self.fail(message, "", f"Help: {self.magic} -h")
