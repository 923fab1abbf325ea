"""R code to a syntax tree: as much of R's grammar as scripts that build models use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from typing import Literal as OneOf

from kmagic.support.errors import Problem

# --- positions and errors ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextRange:
    """A range of the R code, in characters from its beginning."""

    start: int = 0
    end: int = 0

    def line(self, text: str) -> int:
        """The line on which it begins, from 1."""
        return text.count("\n", 0, self.start) + 1

    def column(self, text: str) -> int:
        """The column at which it begins, from 1."""
        start = min(self.start, len(text))
        return start - text.rfind("\n", 0, start)

    def width(self, text: str) -> int:
        """The number of characters in its first line, at least one."""
        end = text.find("\n", self.start)
        stop = min(self.end, len(text) if end < 0 else end)
        return max(1, len(text[self.start : stop].rstrip()))


class RMistake(Exception):  # noqa: N818 - internal to this package; users see RCodeError
    """R code that is wrong, or that Keras 3 has no equivalent for.

    Args:
        message: Continues the line of the caret: "is not a Keras layer".
        range: What is marked.
        remedy: What to do about it.
    """

    def __init__(self, message: str, range: TextRange, remedy: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.message, self.range, self.remedy = message, range, remedy

    def problem(self, text: str) -> Problem:
        """The mistake with its line and column."""
        mark = self.range
        return Problem(
            self.message, mark.line(text), mark.column(text), mark.width(text), self.remedy
        )


# --- tree -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RNode:
    """An expression; the range does not count when two are compared."""

    range: TextRange = field(default=TextRange(), compare=False, repr=False, kw_only=True)

    @property
    def syntax(self) -> tuple[Any, ...]:
        """The sign or keyword and the operands of an operator or of control flow, else ()."""
        return ()


@dataclass(frozen=True, slots=True)
class RConstant(RNode):
    """A number, a string, ``TRUE``, ``FALSE``; ``NULL`` and ``NA`` are None."""

    value: int | float | str | bool | None


@dataclass(frozen=True, slots=True)
class RName(RNode):
    """A variable, or a function that is not called: ``loss_mean_squared_error``."""

    text: str


@dataclass(frozen=True, slots=True)
class RArg(RNode):
    """An argument of a call; ``x[ , 1]`` has one without a value."""

    value: RNode | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RFunction(RNode):
    """``function(units = 64) ...``."""

    params: tuple[RArg, ...]
    body: RNode


@dataclass(frozen=True, slots=True)
class RCall(RNode):
    """``f(x, units = 50)``; as in R, operators and control flow are calls, too.

    The operators keep their sign as a name, with these exceptions: every assignment is ``<-``,
    every pipe ``%>%``, every index ``[`` and every member ``$``.
    """

    function: RNode
    args: tuple[RArg, ...] = ()

    @property
    def syntax(self) -> tuple[Any, ...]:
        """The sign or keyword and its operands; () for an ordinary call."""
        name = self.function.text if isinstance(self.function, RName) else ""
        is_syntax = name in _SYNTAX or name.startswith("%")
        return (name, *(arg.value for arg in self.args)) if is_syntax else ()


def _operation(sign: str, start: int, end: int, *operands: RNode) -> RCall:
    args = tuple(RArg(operand, range=operand.range) for operand in operands)
    return RCall(RName(sign), args, range=TextRange(start, end))


# --- tokens -----------------------------------------------------------------------------------

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
_TYPOGRAPHIC_QUOTES = "\u201c\u201d\u201e\u2018\u2019"


@dataclass(frozen=True, slots=True)
class RToken:
    """A token; ``text`` is the value of a string, or a name without its backquotes."""

    kind: OneOf["number", "string", "name", "sign", "newline", "end"]
    text: str
    start: int
    end: int

    @property
    def range(self) -> TextRange:
        """Its range of the code."""
        return TextRange(self.start, self.end)


def tokenize_r(text: str) -> list[RToken]:
    """The tokens of R code without its comments; the last one is of kind "end".

    Raises:
        RMistake: A string is not closed, or a character is not valid in R.

    Example:
        >>> [token.text for token in tokenize_r('mod$add(Dense(units = 50))  # one layer')]
        ['mod', '$', 'add', '(', 'Dense', '(', 'units', '=', '50', ')', ')', '']
    """
    return [*_tokens(text), RToken("end", "", len(text), len(text))]


def _tokens(text: str) -> Iterator[RToken]:
    start = 0
    while start < len(text):
        match = _TOKEN.match(text, start)
        if match is None:
            raise _invalid_character(text, start)
        end = match.end()
        if match["raw"] is not None:
            yield RToken("string", match["inside"], start, end)
        elif match["string"] is not None:
            yield RToken("string", _ESCAPE.sub(_unescaped, match[0][1:-1]), start, end)
        elif match["quoted"] is not None:
            yield RToken("name", match[0][1:-1], start, end)
        elif match["blank"] is None:
            kinds: tuple[OneOf["number", "name", "newline", "sign"], ...]
            kinds = ("number", "name", "newline", "sign")
            kind = next(kind for kind in kinds if match[kind] is not None)
            yield RToken(kind, match[0], start, end)
        start = end


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _SPECIAL.get(match[3], match[3])


def _invalid_character(text: str, start: int) -> RMistake:
    char, mark = text[start], TextRange(start, start + 1)
    if char in "\"'`":
        end = text.find("\n", start)
        rest = TextRange(start, len(text) if end < 0 else end)
        return RMistake("has no closing quote", rest, f"Close it with {char}.")
    if char in _TYPOGRAPHIC_QUOTES:
        return RMistake("is a typographic quote", mark, "Use a plain quote: \" or '.")
    if char == "_":
        return RMistake("cannot start a name", mark, "Names in R start with a letter or a dot.")
    remedy = "Put the magic into a cell of its own." if char == "%" else ""
    return RMistake("is not valid in R", mark, remedy)


def _number(token: RToken) -> int | float:
    """The value of a number: an int where it is whole and has no decimal point."""
    text = token.text
    if text.endswith("i"):
        raise RMistake("is a complex number", token.range, "Use a real number.")
    plain = text.removesuffix("L")
    if plain[:2] in ("0x", "0X"):
        return int(plain, 16)
    if plain.isdigit():
        return int(plain)
    value = float(plain)
    return int(value) if value.is_integer() and (text[-1] == "L" or "." not in plain) else value


# --- grammar ----------------------------------------------------------------------------------

_INFIX: dict[str, tuple[int, int]] = {
    "?": (1, 2),
    "=": (6, 5),
    "<-": (8, 7),
    "<<-": (8, 7),
    ":=": (8, 7),
    "->": (9, 10),
    "->>": (9, 10),
    "~": (11, 12),
    "|": (13, 14),
    "||": (13, 14),
    "&": (15, 16),
    "&&": (15, 16),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), (19, 20)),
    "+": (21, 22),
    "-": (21, 22),
    "*": (23, 24),
    "/": (23, 24),
    "|>": (25, 26),
    ":": (27, 28),
    "^": (32, 29),
}
"""Sign -> how strongly it binds to its left and to its right."""
_SPECIAL_INFIX = (25, 26)
_PREFIX = {"~": 12, "!": 17, "-": 29, "+": 29, "?": 2}
_LOWEST, _BODY, _ARGUMENT, _POSTFIX = 0, 5, 7, 40
PIPES = frozenset({"%>%", "|>", "%T>%", "%$%"})
_SYNTAX = frozenset({*_INFIX, *_PREFIX, "[", "$", "{", "if", "for", "while"})
"""Names of calls that are written with an operator or a keyword, besides ``%operators%``."""
_CONSTANTS: dict[str, float | bool | None] = {
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
    "NA": None,
    "NA_integer_": None,
    "NA_real_": None,
    "NA_character_": None,
    "Inf": float("inf"),
}
_CLOSING = {"(": ")", "[": "]", "[[": "]", "{": "}"}
_MAX_DEPTH = 200


def parse_r(text: str) -> tuple[RNode, ...]:
    """The statements of R code.

    Raises:
        RMistake: The code is not valid R.

    Example:
        >>> parse_r("x <- 3")[0].syntax
        ('<-', RName(text='x'), RConstant(value=3))
    """
    return _RParser(text).statements("end")


def parse_r_value(text: str) -> RNode:
    """The value that R code begins with: a constant, a name or a call."""
    return _RParser(text).expression(_POSTFIX)


class _RParser:
    def __init__(self, text: str) -> None:
        self._tokens = tokenize_r(text)
        self._next = 0
        self._in_brackets: list[bool] = [False]
        self._depth = 0

    # --- tokens -------------------------------------------------------------------------------

    @property
    def _token(self) -> RToken:
        if self._in_brackets[-1]:
            self._skip_lines()
        return self._tokens[self._next]

    def _skip_lines(self) -> None:
        while self._tokens[self._next].kind == "newline":
            self._next += 1

    def _take(self) -> RToken:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _at(self, sign: str) -> bool:
        return self._token.kind == "sign" and self._token.text == sign

    def _open(self, sign: str) -> RToken:
        token = self._take()
        if token.text != sign:
            raise RMistake("is unexpected here", token.range, f"Write {sign} here.")
        return token

    def _close(self, opened: RToken) -> None:
        sign, token = _CLOSING[opened.text], self._token
        if self._at(sign):
            self._take()
        elif token.kind == "end":
            raise RMistake("is never closed", opened.range, f"Add the missing {sign}.")
        else:
            remedy = f"Write a comma or {sign} here." if sign in ")]" else f"Write {sign} here."
            raise RMistake("is unexpected here", token.range, remedy)

    @property
    def _end(self) -> int:
        return self._tokens[self._next - 1].end

    # --- statements ---------------------------------------------------------------------------

    def statements(self, closing: str) -> tuple[RNode, ...]:
        statements: list[RNode] = []
        while True:
            self._skip_lines()
            token = self._token
            if token.kind == "end" or (token.kind == "sign" and token.text == closing):
                return tuple(statements)
            statements.append(self.expression(_LOWEST))
            token = self._token
            if token.kind not in ("newline", "end") and token.text != closing:
                raise RMistake("is unexpected here", token.range, _remedy(statements[-1], token))

    def expression(self, precedence: int) -> RNode:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RMistake("is nested too deeply", self._token.range)
        left = self._operand()
        while self._token.kind == "sign":
            token = self._token
            if token.text in ("(", "[", "[[", "$", "@", "::", ":::"):
                if precedence > _POSTFIX:
                    break
                left = self._postfix(left)
                continue
            binds = _SPECIAL_INFIX if token.text.startswith("%") else _INFIX.get(token.text)
            if binds is None or binds[0] < precedence:
                break
            self._take()
            self._skip_lines()
            left = _binary(token.text, left, self.expression(binds[1]))
        self._depth -= 1
        return left

    def _operand(self) -> RNode:
        token = self._take()
        if token.kind == "number":
            return RConstant(_number(token), range=token.range)
        if token.kind == "string":
            return RConstant(token.text, range=token.range)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign":
            if token.text in _PREFIX:
                operand = self.expression(_PREFIX[token.text])
                return _operation(token.text, token.start, operand.range.end, operand)
            if token.text == "(":
                return self._within(token)
            if token.text == "{":
                return self._block(token)
            if token.text == "\\":
                return self._function(token)
        if token.kind in ("end", "newline"):
            before = [
                known
                for known in self._tokens[: self._next]
                if known.kind not in ("newline", "end")
            ]
            last = before[-1] if before else token
            raise RMistake("needs something after it", last.range, "Complete the expression.")
        remedy = ""
        if token.text in ("%>%", "|>", "+"):
            remedy = (
                f"Move {token.text} to the end of the line above: a line break ends a statement."
            )
        raise RMistake("is unexpected here", token.range, remedy)

    def _within(self, opened: RToken) -> RNode:
        self._in_brackets.append(True)
        inner = self.expression(_LOWEST)
        self._close(opened)
        self._in_brackets.pop()
        return inner

    def _block(self, opened: RToken) -> RNode:
        self._in_brackets.append(False)
        body = self.statements("}")
        self._in_brackets.pop()
        self._close(opened)
        return _operation("{", opened.start, self._end, *body)

    def _named(self, token: RToken) -> RNode:
        match token.text:
            case "function":
                return self._function(token)
            case "if":
                return self._if(token)
            case "for":
                return self._for(token)
            case "while" | "repeat":
                if token.text == "while":
                    self._within(self._open("("))
                    self._skip_lines()
                body = self.expression(_BODY)
                return _operation("while", token.start, self._end, body)
            case text if text in _CONSTANTS:
                return RConstant(_CONSTANTS[text], range=token.range)
        return RName(token.text, range=token.range)

    def _function(self, token: RToken) -> RNode:
        params = self._arguments(self._open("("))
        self._skip_lines()
        body = self.expression(_BODY)
        return RFunction(params, body, range=TextRange(token.start, self._end))

    def _if(self, token: RToken) -> RNode:
        test = self._within(self._open("("))
        self._skip_lines()
        then = self.expression(_BODY)
        before = self._next
        if len(self._in_brackets) > 1:
            self._skip_lines()
        branches = [then]
        if self._token.kind == "name" and self._token.text == "else":
            self._take()
            self._skip_lines()
            branches.append(self.expression(_BODY))
        else:
            self._next = before
        return _operation("if", token.start, self._end, test, *branches)

    def _for(self, token: RToken) -> RNode:
        opened = self._open("(")
        self._in_brackets.append(True)
        name, keyword = self._take(), self._take()
        if name.kind != "name" or keyword.text != "in":
            raise RMistake("is not a valid loop", token.range, "Write for (i in 1:3) ...")
        values = self.expression(_LOWEST)
        self._close(opened)
        self._in_brackets.pop()
        self._skip_lines()
        body = self.expression(_BODY)
        variable = RName(name.text, range=name.range)
        return _operation("for", token.start, self._end, variable, values, body)

    # --- calls, indices and members -----------------------------------------------------------

    def _postfix(self, left: RNode) -> RNode:
        token = self._take()
        start = left.range.start
        if token.text in _CLOSING:
            args = self._arguments(token)
            span = TextRange(start, self._end)
            if token.text == "(":
                return RCall(left, args, range=span)
            return RCall(RName("["), (RArg(left, range=left.range), *args), range=span)
        self._skip_lines()
        name = self._take()
        if name.kind not in ("name", "string"):
            raise RMistake("is not a name", name.range, f"Write a name after {token.text}.")
        span = TextRange(start, name.end)
        if token.text in ("::", ":::"):  # keras::layer_dense is layer_dense
            return RName(name.text, range=span)
        member = RConstant(name.text, range=name.range)
        return _operation("$", start, name.end, left, member)

    def _arguments(self, opened: RToken) -> tuple[RArg, ...]:
        """Up to the closing bracket: ``(a, units = 50)``, ``[ , 1]``, ``[[1]]``."""
        self._in_brackets.append(True)
        args: list[RArg] = []
        while not self._at(_CLOSING[opened.text]):
            if self._at(","):
                args.append(RArg(None, range=self._take().range))
                continue
            args.append(self._argument())
            if not self._at(","):
                break
            self._take()
        self._close(opened)
        if opened.text == "[[":
            self._close(opened)
        self._in_brackets.pop()
        return tuple(args)

    def _argument(self) -> RArg:
        token = self._token
        following = self._tokens[self._next + 1] if token.kind != "end" else token
        if token.kind in ("name", "string") and following.text == "=" and following.kind == "sign":
            self._take()
            self._take()
            if self._at(",") or self._at(")"):  # a parameter that is passed as missing
                return RArg(None, token.text, range=token.range)
            value = self.expression(_ARGUMENT)
            return RArg(value, token.text, range=TextRange(token.start, value.range.end))
        value = self.expression(_ARGUMENT)
        return RArg(value, range=value.range)


def _binary(sign: str, left: RNode, right: RNode) -> RCall:
    start, end = left.range.start, right.range.end
    if sign in ("<-", "<<-", "=", ":="):
        return _operation("<-", start, end, left, right)
    if sign in ("->", "->>"):
        return _operation("<-", start, end, right, left)
    if sign in PIPES:
        return _operation("%>%", start, end, left, right)
    if sign == "%<>%":
        return _operation("<-", start, end, left, _operation("%>%", start, end, left, right))
    return _operation(sign, start, end, left, right)


def _remedy(before: RNode, token: RToken) -> str:
    """What to do where two expressions are next to each other."""
    if isinstance(before, RName) and token.kind in ("number", "name", "string"):
        return (
            "R has no operator between these two words. "
            "If the cell is in the layer language, omit --from-r."
        )
    if token.text in (")", "]", "}"):
        return "Remove it: no bracket is open here."
    return "Start a new line: a statement ends at the line break."
