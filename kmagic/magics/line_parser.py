"""The line of a magic: its words, their values, and the mistakes in it.

argparse knows the options and writes the help. The words are split here, because a value may be
``{an expression}`` or a quoted string, and because a mistake is shown with a caret.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from keyword import iskeyword
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

from kmagic.language.expressions import ExpressionError, evaluate
from kmagic.language.portable_text import setting_values
from kmagic.language.tokens import has_colon, top_level
from kmagic.magics.option_hints import option_remedy
from kmagic.support.caller_names import why_hidden
from kmagic.support.errors import ClusterError, MagicError, Problem, TrainingError
from kmagic.support.formatting import safe_repr
from kmagic.support.messages import MagicSpelling
from kmagic.support.suggestions import IPYTHON_NAMES, did_you_mean

Reading: TypeAlias = Literal[
    "text",  # it may be quoted, or an expression
    "value",  # of the notebook
    "value or text",
    "class names",
]

MAX_NUMBER = 2**32 - 1
"""Of an option: no training, batch or seed is larger, and Keras's counters end there."""
_VARIABLE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[[^\]]*\])*")
_FLAG = re.compile(r"--?[a-zA-Z]")
_NEGATIVE = re.compile(r"-|-\d+|-\d*\.\d+")
"""What argparse does not take for an option."""


@dataclass(frozen=True, slots=True)
class LineWord:
    """One word of a line; ``column`` counts from 0 within the arguments."""

    text: str
    column: int


def split_line(line: str) -> list[LineWord]:
    """Split a line at white space outside quotes and brackets.

    Example:
        >>> [word.text for word in split_line("cnn {x[:8] + 1} 'my photo.jpg' --top 3")]
        ['cnn', '{x[:8] + 1}', "'my photo.jpg'", '--top', '3']
    """
    spaces = [index for index, char in top_level(line, escapes=False) if char.isspace()]
    bounds = pairwise([-1, *spaces, len(line)])
    return [LineWord(line[a + 1 : b], a + 1) for a, b in bounds if b > a + 1]


class LineParser(argparse.ArgumentParser):
    """The options of one magic.

    Args:
        name: With its percent signs: "%keras_fit".
        about: What it does, in one sentence.
        examples: Valid lines, shown in the help.
        option_names: Options by the name of their Python parameter, where that is not the
            option's name with underscores.
    """

    all_parsers: ClassVar[list[LineParser]] = []
    takes_file = False
    """Whether ``-o`` may also name a .parquet file."""

    def __init__(
        self,
        name: str,
        about: str,
        examples: str = "",
        option_names: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.option_names = option_names or {}
        self.readings: dict[str, Reading | float | None] = {}
        shown = "examples:\n" + "\n".join(f"  {line}" for line in examples.splitlines())
        super().__init__(
            prog=name,
            description=about,
            epilog=shown if examples else None,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.option("-h --help", "show this help")
        self.all_parsers.append(self)

    def argument(
        self,
        metavar: str,
        about: str,
        *,
        name: str = "arguments",
        nargs: str | None = "*",
        default: str | None = None,
    ) -> None:
        """Add what is written without an option; by default all of it."""
        self.add_argument(name, metavar=metavar, help=about, nargs=nargs, default=default)

    def option(
        self,
        usage: str,
        about: str = "",
        *,
        read: Reading | None = None,
        minimum: float | None = None,
        **settings: Any,
    ) -> LineParser:
        """Add an option.

        Args:
            usage: As the help shows it: "-o --out NAME", "--scale {linear,log}", or without a
                value for a flag.
            about: What it does.
            read: How its text is read; None leaves it as it is.
            minimum: The smallest value of a number; if it is an ``int``, the number must be, too.
            settings: For ``argparse.ArgumentParser.add_argument``.
        """
        *flags, last = usage.split()
        if last.startswith("-"):
            flags.append(last)
            settings["action"] = "store_true"
        elif last.startswith("{"):
            settings["choices"] = tuple(last.strip("{}").split(","))
        else:
            settings["metavar"] = last
        action = self.add_argument(*flags, help=about, **settings)
        self.readings[action.dest] = minimum if read is None else read
        return self

    def result_options(self) -> LineParser:
        """Add ``-o`` and ``-q``, which every magic with a result has."""
        self.option("-o --out NAME", "also assign the result to this variable")
        return self.option("-q --quiet", "show nothing")

    def on_option(self, verb: str = "run") -> LineParser:
        """Add ``--on``; the verb says what is done on the cluster."""
        return self.option(
            "--on ADDRESS",
            f"{verb} on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT (default: that of "
            "%%keras_cluster); off: on this machine",
            read="text",
        )

    def cluster_options(self, unit: str = "process") -> LineParser:
        """Add ``--on``, and what a process on a cluster needs."""
        self.on_option()
        self.option("--cpus N", f"on a cluster: cores of each {unit} (default: 1)", minimum=0.0)
        return self.option(
            "--gpus N", f"on a cluster: GPUs of each {unit}, also a part: 0.5", minimum=0.0
        )

    @property
    def options(self) -> dict[str, argparse.Action]:
        """The options by their flags."""
        return self._option_string_actions

    def error(self, message: str) -> NoReturn:
        """Called by argparse."""
        raise argparse.ArgumentError(None, message)

    def parse(self, line: str, names: Mapping[str, Any]) -> ParsedLine:
        """Parse what follows the magic's name; ``names`` are the notebook's variables."""
        parsed = ParsedLine(self, line, names)
        previous = ""
        for word in parsed.all_words:
            if re.match(r"#(?!\d)", word.text) and not previous.startswith("-"):
                message = "comments are not allowed on the line of a magic"
                parsed.fail(message, word.text, "Put the comment on the line above.")
            if word.text[0] == "{" and word.text.count("{") > word.text.count("}"):
                parsed.fail("{ is never closed", word.text, width=1)
            previous = word.text
        texts = self._checked(parsed)
        try:
            parsed.options, extra = self.parse_known_args(texts)
        except argparse.ArgumentError:  # a required argument is missing
            required = (action for action in self._actions if action.required)
            missing = " ".join(str(action.metavar) for action in required)
            parsed.fail(f"expected {missing}", "", f"Help: {self.name} -h")
        if extra:
            parsed.fail_unexpected(extra[0])
        parsed.arguments = list(getattr(parsed.options, "arguments", ()))
        out = getattr(parsed.options, "out", None)
        is_file = self.takes_file and out is not None and Path(out).suffix == ".parquet"
        if out is not None and not is_file and (not out.isidentifier() or iskeyword(out)):
            remedy = "Use letters, digits and _, such as `-o result`."
            if self.takes_file:
                remedy += " A file of predictions ends in .parquet."
            parsed.fail(f"-o must be a variable name; got {out}", out, remedy)
        return parsed

    def _checked(self, parsed: ParsedLine) -> list[str]:
        """The words of a line for argparse, once every option and its value are valid."""
        options, texts = self.options, [word.text for word in parsed.all_words]
        given_before: set[str] = set()
        for index, text in enumerate(texts):
            flag, equals, value = text.partition("=")
            if not _FLAG.match(flag) or "{" in flag:
                continue
            if flag not in options:
                following = "".join(texts[index + 1 : index + 2])
                remedy = self._option_remedy(parsed, flag, value if equals else following)
                parsed.fail(f"{self.name} has no option {flag}", text, remedy)
            action = options[flag]
            if action.dest in given_before:
                parsed.fail(f"{flag} is given twice", text, "Remove one of the two.")
            given_before.add(action.dest)
            if action.nargs == 0:
                if equals:
                    parsed.fail(f"{flag} takes no value", text, f"Write `{flag}` alone.")
                continue
            given = [value] if equals else texts[index + 1 : index + 2]
            if action.nargs == "?" and (not given or given[0].startswith("-")):
                continue
            self._check_option(parsed, flag, given, action)
        return texts

    def _option_remedy(self, parsed: ParsedLine, flag: str, value: str) -> str:
        def accepts(option: str, value: str) -> bool:
            """Whether a line with this option and value is valid."""
            try:
                line = self.parse(f"X {option} {value}", parsed.names)
                getattr(line, self.options[option].dest)
            except MagicError:
                return False
            return bool(value) and "`" not in value

        first = parsed.all_words[0].text
        model = parsed.names.get(first)
        return option_remedy(
            flag,
            value,
            magic=self.name,
            options={name: _value_text(action) for name, action in self.options.items()},
            others={parser.name: parser.options for parser in LineParser.all_parsers},
            accepts=accepts,
            arguments=next((str(a.metavar) for a in self._actions if a.dest == "arguments"), ""),
            model=(first, model) if hasattr(model, "compile") else ("MODEL", None),
        )

    def _check_option(
        self, parsed: ParsedLine, flag: str, given: list[str], action: argparse.Action
    ) -> None:
        remedy = f"Help: {self.name} -h"
        if not given or given[0] in self.options:
            parsed.fail(f"{flag} needs a value", flag, remedy)
        (value,) = given
        if value.startswith("-") and " " not in value and not _NEGATIVE.fullmatch(value):
            parsed.fail(f"is not a valid value of {flag}", value, remedy)
        if action.choices is not None and value not in action.choices:
            choices = ", ".join(map(str, action.choices))
            message = f"{flag} must be one of {choices}; got {value}"
            parsed.fail(message, value, did_you_mean(value, action.choices))


def _value_text(action: argparse.Action) -> str:
    """An option's value as the help shows it; "" for a flag."""
    if action.nargs == 0:
        return ""
    return "|".join(map(str, action.choices)) if action.choices else str(action.metavar or "")


class ParsedLine:
    """A magic's line, parsed; options are attributes, converted as the parser declares."""

    def __init__(self, parser: LineParser, text: str, names: Mapping[str, Any]) -> None:
        self.parser, self.text, self.names = parser, text, names
        self.magic = parser.name
        self.all_words = split_line(text)
        self.options = argparse.Namespace()  # as argparse gives them: strings, or flags
        self.arguments: list[str] = []  # words without an option that no one has taken yet
        self.settings: dict[str, Any] = {}  # values of the expressions that were read
        self.model_variable = ""  # the notebook variable of the model that the line means

    def __getattr__(self, name: str) -> Any:
        text = getattr(self.options, name)
        match None if text is None else self.parser.readings.get(name):
            case "text":
                return self.text_or_value(text)
            case "value":
                return self.value(text) if text else None
            case "value or text":
                return self.value_or_text(text)
            case "class names":
                return self._class_names(text) if text else None
            case int() | float() as minimum:
                return self._number(text, f"--{name.replace('_', '-')}", minimum)
        return text

    def keywords(self, *names: str) -> dict[str, Any]:
        """Some options as keyword arguments."""
        return {name: getattr(self, name) for name in names}

    @property
    def spelling(self) -> MagicSpelling:
        """How messages for this line write options, functions and the model."""
        return MagicSpelling(self.model_variable, self.parser.option_names)

    # --- values -------------------------------------------------------------------------------

    def value(self, text: str) -> Any:
        """The value of a word: a number, a quoted string, a variable or ``{expr}``."""
        value, known = self.try_value(text)
        if not known:
            variable = re.split(r"[.\[]", text)[0]
            names = [name for name in self.names if name[0] != "_" and name not in IPYTHON_NAMES]
            remedy = "Write a number, a quoted string, a variable, or an expression in braces."
            remedy = did_you_mean(variable, names) or remedy
            self.fail("is neither a value nor a variable of this notebook", text, remedy)
        return value

    def try_value(self, text: str) -> tuple[Any, bool]:
        """Like :meth:`value`, and whether the word has a value."""
        if text.startswith("{") and text.endswith("}"):
            inset = 0 if has_colon(text[1:-1]) else 1  # the braces of a dictionary belong to it
            return self._expression(text[inset : len(text) - inset], text, inset), True
        name = re.split(r"[.\[]", text)[0]
        reason, remedy = why_hidden(name, self.names)
        if reason:
            self.fail(reason, text, remedy)
        if _VARIABLE.fullmatch(text) and name in self.names:
            return self._expression(text, text, 0), True
        try:
            return ast.literal_eval(text), True
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None, False

    def value_or_text(self, text: str) -> Any:
        """The value of a word, or the word itself if it has none."""
        value, known = self.try_value(text)
        return value if known else text

    def _expression(self, source: str, text: str, inset: int) -> Any:
        try:
            value = evaluate(source, self.names)
        except ExpressionError as error:
            inset += error.column
            self.fail(error.message, text, error.remedy, inset=inset, width=error.width)
        self.settings |= setting_values(source, self.names)
        return value

    def text_or_value(self, text: str) -> Any:
        """A word as it is written; the value of a quoted string or ``{expr}``."""
        if not text or text[0] not in "{\"'":
            return text
        if text[0] == "{":
            return self.value(text)
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):  # such as a Windows path with its backslashes
            return text.strip("\"'")

    def _number(self, text: str, flag: str, minimum: float) -> Any:
        """A number, literal or from the notebook."""
        value, whole = self.value_or_text(text), isinstance(minimum, int)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or value < minimum:
            wanted = "a whole number" if whole else "a number"
            found = safe_repr(value)
            self.fail(f"{flag} must be {wanted} of at least {minimum:g}; got {found}", text)
        if value > MAX_NUMBER:
            self.fail(f"{flag} must be at most {MAX_NUMBER:,}; got {safe_repr(value)}", text)
        return value

    def _class_names(self, text: str) -> Any:
        """A variable, a value, or words with commas."""
        value, known = self.try_value(text)
        if not known and "," in text:
            return [name.strip("'\" ") for name in text.split(",")]
        return value if known else self.value(text)

    # --- mistakes -----------------------------------------------------------------------------

    def fail(
        self, message: str, text: str, remedy: str = "", *, inset: int = 0, width: int = 0
    ) -> NoReturn:
        """Raise an error that shows the line with a caret under one of its words, or at its end."""
        column = len(self.magic) + 1 + self._column(text) + inset + 1
        source = f"{self.magic} {self.text}".rstrip()
        width = width or max(len(text) - inset, 1)
        raise MagicError([Problem(message, 1, column, width, remedy)], source, self.magic)

    @contextmanager
    def marking_options(self) -> Iterator[None]:
        """Show an error that is about an option with a caret at its value."""
        try:
            yield
        except (ClusterError, TrainingError) as error:
            word = getattr(self.options, error.option, None) if error.option else None
            if not isinstance(word, str):
                raise
            error.spelling = self.spelling
            self.fail(error.message, word, error.remedy)

    def _column(self, text: str) -> int:
        """Where a word stands, or a part of one; an empty word stands at the end."""
        if not text:
            return len(self.text.rstrip()) + bool(self.text.strip())
        words = self.all_words
        whole = (word.column for word in words if word.text == text)
        part = (word.column + word.text.find(text) for word in words if text in word.text)
        return next(whole, next(part, len(self.text)))

    def fail_unexpected(self, text: str, remedy: str = "") -> NoReturn:
        """Reject a word that no option and no position takes."""
        name, equals, value = text.partition("=")
        words = pairwise(self.all_words)
        if any(one.text.endswith(",") and two.text == text for one, two in words):
            remedy = "Write a pair without a space: X,Y."
        elif f"--{name.replace('_', '-')}" in self.parser.options:
            remedy = f"Did you mean --{name.replace('_', '-')}{equals and ' '}{value}?"
        elif text.endswith(","):
            remedy = "Separate words by spaces, without commas."
        else:
            remedy = remedy or f"Help: {self.magic} -h"
        self.fail("unexpected argument", text, remedy)
