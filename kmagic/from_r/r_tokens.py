"""R code to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias

from kmagic.from_r.r_nodes import Mistake, Place

Kind: TypeAlias = OneOf["number", "string", "name", "sign", "newline", "end"]

_TOKEN = re.compile(
    r"""
      (?P<blank>   [^\S\n]+ | \#[^\n]* )
    | (?P<newline> \n | ; )
    | (?P<number>  0[xX][0-9a-fA-F]+L? | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[Li]? )
    | (?P<raw>     [rR](?P<quote>["'])(?P<dashes>-*)\((?P<inside>.*?)\)(?P=dashes)(?P=quote) )
    | (?P<string>  "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<quoted>  `[^`\n]+` )
    | (?P<name>    (?:[^\W\d_]|\.(?!\d))[\w.]* )
    | (?P<sign>    %[^%\n]*% | <<-|->>|\|>|<-|->|:::|::|:=|\[\[|==|!=|<=|>=|&&|\|\|
                 | [-+*/^<>=!&|~?:$@(){}\[\],\\] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{1,4})\}?|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_SPECIAL = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_TYPOGRAPHIC = "\u201c\u201d\u201e\u2018\u2019"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``text`` is what a string says, or a name without its back quotes."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.start, self.end)


def tokenize(text: str) -> list[Token]:
    """The tokens of an R text, comments left out; the last one is of kind "end".

    Raises:
        Mistake: A string without its end, or a sign that R does not have.

    Example:
        >>> [token.text for token in tokenize('mod$add(Dense(units = 50))  # one layer')]
        ['mod', '$', 'add', '(', 'Dense', '(', 'units', '=', '50', ')', ')', '']
    """
    return [*_tokens(text), Token("end", "", len(text), len(text))]


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unreadable(text, place)
        kind, end = found.lastgroup, found.end()
        if found["raw"] is not None:
            yield Token("string", found["inside"], place, end)
        elif kind == "string":
            yield Token("string", _ESCAPE.sub(_unescaped, found[0][1:-1]), place, end)
        elif kind == "quoted":
            yield Token("name", found[0][1:-1], place, end)
        elif kind == "number":
            yield Token("number", found[0], place, end)
        elif kind == "name":
            yield Token("name", found[0], place, end)
        elif kind == "newline":
            yield Token("newline", found[0], place, end)
        elif kind == "sign":
            yield Token("sign", found[0], place, end)
        place = end


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _SPECIAL.get(found[3], found[3])


def _unreadable(text: str, place: int) -> Mistake:
    char = text[place]
    if char in "\"'`":
        end = text.find("\n", place)
        where = Place(place, len(text) if end < 0 else end)
        return Mistake("has no closing quote", where, f"Close it with {char}.")
    if char in _TYPOGRAPHIC:
        return Mistake("is a typographic quote", Place(place, place + 1), 'Write plain quotes: "".')
    if char == "_":
        return Mistake(
            "cannot begin a name", Place(place, place + 1), "R's names begin with a letter."
        )
    remedy = "A magic stands in a cell of its own." if char == "%" else ""
    return Mistake("has no meaning in R", Place(place, place + 1), remedy)


def number(token: Token) -> int | float:
    """The value of a number: an int where it is whole and has no point.

    Raises:
        Mistake: It is a complex number.
    """
    text = token.text
    if text.endswith("i"):
        raise Mistake("is a complex number", token.place, "Models are made of real ones.")
    plain = text.removesuffix("L")
    if plain[:2] in ("0x", "0X"):
        return int(plain, 16)
    if plain.isdigit():
        return int(plain)
    value = float(plain)
    return int(value) if value.is_integer() and (text[-1] == "L" or "." not in plain) else value
