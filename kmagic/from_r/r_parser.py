"""R code to a syntax tree: as much of R's grammar as scripts that build models use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kmagic.language.spec import Span
from kmagic.support.errors import Problem

# --- positions and errors ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextRange:
    """A range of the R code, in characters from its beginning."""

    start: int = 0
    end: int = 0

    def span(self, text: str) -> Span:
        """Its line and column, and its width in that line, at least 1."""
        start = min(self.start, len(text))
        first_line, _, _ = text[start : self.end].partition("\n")
        column = start - text.rfind("\n", 0, start)
        return Span(text.count("\n", 0, start) + 1, column, max(1, len(first_line.rstrip())))


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
        span = self.range.span(text)
        return Problem(self.message, span.line, span.column, span.width, self.remedy)


Note = Callable[[str, TextRange], None]
"""Called with what the reader should know, and its range."""


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

    The operators keep their sign as a name, with these exceptions: assignments are ``<-`` or
    ``<<-``, every pipe ``%>%``, every index ``[`` and every member ``$``.
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
      (?P<blank>   (?:[^\S\n]|\ufeff)+ | \#[^\n]* )
    | (?P<newline> \n | ; )
    | (?P<number>  0[xX][0-9a-fA-F]+L? | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[Li]? )
    | (?P<raw>     [rR](?P<quote>["'])(?P<dashes>-*)\(
                   (?:(?P<inside>.*?)\)(?P=dashes)(?P=quote))? )
    | (?P<string>  "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<quoted>  `[^`\n]+` )
    | (?P<name>    (?:[^\W\d_]|\.(?!\d))[\w.]* )
    | (?P<sign>    %[^%\n]*% | <<-|->>|\|>|<-|->|:::|::|:=|\[\[|==|!=|<=|>=|&&|\|\|
                 | [-+*/^<>=!&|~?:$@(){}\[\],\\] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{1,4})\}?|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
EXACT = 2**53
"""R's numbers are floats: whole numbers are exact up to here."""
_SPECIAL = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_TYPOGRAPHIC_QUOTES = "\u201c\u201d\u201e\u2018\u2019"


@dataclass(frozen=True, slots=True)
class RToken(TextRange):
    """A number, string, name, sign or newline, or the end.

    ``text`` is the value of a string, or a name without its backquotes.
    """

    kind: str = "end"
    text: str = ""


def tokenize_r(text: str) -> list[RToken]:
    """The tokens of R code without its comments; the last one is of kind "end".

    Raises:
        RMistake: A string is not closed, or a character is not valid in R.

    Example:
        >>> [token.text for token in tokenize_r('mod$add(Dense(units = 50))  # one layer')]
        ['mod', '$', 'add', '(', 'Dense', '(', 'units', '=', '50', ')', ')', '']
    """
    tokens: list[RToken] = []
    end = 0
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise _invalid_character(text, end)
        start, end = match.span()
        kind, content = str(match.lastgroup), match[0]
        if kind == "raw":
            if match["inside"] is None:
                raise _invalid_character(text, start + 1)
            kind, content = "string", match["inside"]
        elif kind == "string":
            content = _ESCAPE.sub(_unescaped, content[1:-1])
        elif kind == "quoted":
            kind, content = "name", content[1:-1]
        if kind != "blank":
            tokens.append(RToken(start, end, kind, content))
    return [*tokens, RToken(len(text), len(text))]


def _without_line_breaks(tokens: list[RToken]) -> list[RToken]:
    """The tokens without the line breaks that R ignores: within parentheses, before else."""
    kept: list[RToken] = []
    brackets: list[str] = []
    for token in tokens:
        if token.kind == "sign" and token.text in _CLOSING:
            brackets.append(token.text)
        elif token.kind == "sign" and token.text in _CLOSING.values():
            del brackets[-1:]
        elif token.kind == "name" and token.text == "else" and brackets:
            while kept[-1].kind == "newline":
                kept.pop()
        if token.kind != "newline" or brackets[-1:] in ([], ["{"]):
            kept.append(token)
    return kept


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _SPECIAL.get(match[3], match[3])


def _invalid_character(text: str, start: int) -> RMistake:
    char, mark = text[start], TextRange(start, start + 1)
    if text.startswith("```", start):
        return RMistake("is not R", TextRange(start, start + 3), "Omit the marks of R Markdown.")
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
    plain = text.removesuffix("L")
    if text[-1] == "i":
        raise RMistake("is a complex number", token, "Use a real number.")
    if plain[:2] in ("0x", "0X"):
        number = int(plain, 16)
        return number if number <= EXACT else float(min(number, 1 << 1000))
    value = float(plain)
    is_whole = value.is_integer() and value <= EXACT and (text[-1] == "L" or "." not in plain)
    return int(value) if is_whole else value


# --- grammar ----------------------------------------------------------------------------------

_LEVELS = (
    *("?", "=", "<- <<- :=", "-> ->>", "~", "| ||", "& &&", "(!)", "== != < > <= >="),
    *("+ -", "* /", "%% |>", ":", "(-)", "^", "( [ [[ $ @ :: :::"),
)
"""The operators as in R's ``?Syntax``, the weakest first; ``%%`` stands for all ``%operators%``,
and those in parentheses precede their operand."""
_LEVEL = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs.split()}
_RIGHT_TO_LEFT = frozenset({"=", "<-", "<<-", ":=", "^"})
_PREFIX = {"?": _LEVEL["="], "~": _LEVEL["|"], "!": _LEVEL["(!)"]}
_PREFIX |= dict.fromkeys("-+", _LEVEL["(-)"])
"""Sign before its operand -> the level of the weakest operator within the operand."""
_LOWEST, _BODY, _ARGUMENT, _POSTFIX = 0, _LEVEL["="], _LEVEL["<-"], _LEVEL["$"]
PIPES = frozenset({"%>%", "|>", "%T>%", "%$%"})
_SAME_SIGN = {"|>": "%>%", "=": "<-", ":=": "<-"}
"""Sign -> the sign of the same meaning that the tree contains."""
_SYNTAX = frozenset({*_LEVEL, *_PREFIX, "{", "if", "for", "while", "break", "next"})
"""Names of calls that are written with an operator or a keyword, besides ``%operators%``."""
_CONSTANTS: dict[str, float | bool | None] = {
    "TRUE": True,
    "FALSE": False,
    "Inf": float("inf"),
    **dict.fromkeys(("NULL", "NA", "NA_integer_", "NA_real_", "NA_character_")),
}
_CLOSING = {"(": ")", "[": "]", "[[": "]", "{": "}"}
_MAX_DEPTH = 120
_TOO_DEEP = f"Give parts of it names: the limit is {_MAX_DEPTH} levels."


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
        self._tokens = _without_line_breaks(tokenize_r(text))
        self._next = 0
        self._depth = 0

    # --- tokens -------------------------------------------------------------------------------

    @property
    def _token(self) -> RToken:
        return self._tokens[self._next]

    @property
    def _end(self) -> int:
        return self._tokens[self._next - 1].end

    def _skip_lines(self) -> None:
        while self._token.kind == "newline":
            self._next += 1

    def _take(self) -> RToken:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _at(self, *signs: str) -> bool:
        return self._token.kind == "sign" and self._token.text in signs

    def _open(self) -> RToken:
        token = self._take()
        if token.text != "(":
            raise RMistake("is unexpected here", token, "Write ( here.")
        return token

    def _close(self, opened: RToken) -> None:
        sign, token = _CLOSING[opened.text], self._token
        if self._at(sign):
            self._take()
        elif token.kind == "end":
            raise RMistake("is never closed", opened, f"Add the missing {sign}.")
        else:
            remedy = f"Write a comma or {sign} here." if sign in ")]" else f"Write {sign} here."
            raise RMistake("is unexpected here", token, remedy)

    # --- statements ---------------------------------------------------------------------------

    def statements(self, closing: str) -> tuple[RNode, ...]:
        statements: list[RNode] = []
        while True:
            self._skip_lines()
            if self._token.kind == "end" or self._at(closing):
                return tuple(statements)
            statements.append(self.expression(_LOWEST))
            token = self._token
            if token.kind not in ("newline", "end") and not self._at(closing):
                raise RMistake("is unexpected here", token, _remedy(statements[-1], token))

    def expression(self, lowest: int) -> RNode:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RMistake("is nested too deeply", self._token, _TOO_DEEP)
        left = self._operand()
        calls = 0
        while self._token.kind == "sign":
            sign = self._token.text
            level = _LEVEL.get("%%" if sign[0] == "%" else sign, -1)
            if level < lowest:
                break
            token = self._take()
            if level == _POSTFIX:
                calls += 1
                if self._depth + calls > _MAX_DEPTH:
                    raise RMistake("is nested too deeply", token, _TOO_DEEP)
                left = self._postfix(left, token)
            else:
                right = self.expression(level if sign in _RIGHT_TO_LEFT else level + 1)
                left = _binary(sign, left, right)
        self._depth -= 1
        return left

    def _operand(self) -> RNode:
        self._skip_lines()
        token = self._take()
        match token.kind, token.text:
            case "number", _:
                return RConstant(_number(token), range=token)
            case "string", text:
                return RConstant(text, range=token)
            case ("name", "function") | ("sign", "\\"):
                params = self._arguments(self._open())
                body = self.expression(_BODY)
                return RFunction(params, body, range=TextRange(token.start, self._end))
            case "name", "if":
                return self._if(token)
            case "name", "for":
                return self._for(token)
            case "name", "while" | "repeat" as keyword:
                always = RConstant(value=True, range=token)
                test = self._within(self._open()) if keyword == "while" else always
                body = self.expression(_BODY)
                return _operation("while", token.start, self._end, test, body)
            case "name", "break" | "next" as keyword:
                return _operation(keyword, token.start, token.end)
            case "name", text if text in _CONSTANTS:
                return RConstant(_CONSTANTS[text], range=token)
            case "name", text:
                return RName(text, range=token)
            case "sign", "(":
                return self._within(token)
            case "sign", "{":
                body_statements = self.statements("}")
                self._close(token)
                return _operation("{", token.start, self._end, *body_statements)
            case "sign", sign if sign in _PREFIX:
                operand = self.expression(_PREFIX[sign])
                if sign == "~":  # a formula, which purrr takes as a function
                    span = TextRange(token.start, operand.range.end)
                    params = (RArg(RName(".x")), RArg(RName("...")))
                    return RFunction(params, operand, range=span)
                return _operation(sign, token.start, operand.range.end, operand)
            case "end", _:
                before = reversed(self._tokens[: self._next])
                last = next((known for known in before if known.kind != "newline"), token)
                raise RMistake("needs something after it", last, "Complete the expression.")
        move = f"Move {token.text} to the end of the line above: a line break ends a statement."
        remedy = move if token.text in ("%>%", "|>", "+") else ""
        if token.text == ">":
            remedy = "Remove the prompts of the R console, > and +."
        raise RMistake("is unexpected here", token, remedy)

    def _within(self, opened: RToken) -> RNode:
        inner = self.expression(_LOWEST)
        self._close(opened)
        return inner

    def _if(self, token: RToken) -> RNode:
        operands = [self._within(self._open()), self.expression(_BODY)]
        if self._token.kind == "name" and self._token.text == "else":
            self._take()
            operands.append(self.expression(_BODY))
        return _operation("if", token.start, self._end, *operands)

    def _for(self, token: RToken) -> RNode:
        opened = self._open()
        name, keyword = self._take(), self._take()
        if name.kind != "name" or keyword.text != "in":
            raise RMistake("is not a valid loop", token, "Write for (i in 1:3) ...")
        values, body = self._within(opened), self.expression(_BODY)
        variable = RName(name.text, range=name)
        return _operation("for", token.start, self._end, variable, values, body)

    # --- calls, indices and members -----------------------------------------------------------

    def _postfix(self, left: RNode, token: RToken) -> RNode:
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
            raise RMistake("is not a name", name, f"Write a name after {token.text}.")
        if token.text in ("::", ":::"):  # keras::layer_dense is layer_dense
            return RName(name.text, range=TextRange(start, name.end))
        member = RConstant(name.text, range=name)
        return _operation("$", start, name.end, left, member)

    def _arguments(self, opened: RToken) -> tuple[RArg, ...]:
        """Up to the closing bracket: ``(a, units = 50)``, ``[ , 1]``, ``[[1]]``."""
        args: list[RArg] = []
        while not self._at(_CLOSING[opened.text]):
            if self._at(","):
                args.append(RArg(None, range=self._take()))
                continue
            args.append(self._argument())
            if not self._at(","):
                break
            self._take()
        self._close(opened)
        if opened.text == "[[":
            self._close(opened)
        return tuple(args)

    def _argument(self) -> RArg:
        token = self._token
        following = self._tokens[self._next + 1] if token.kind != "end" else token
        if token.kind in ("name", "string") and following.text == "=" and following.kind == "sign":
            self._next += 2
            if self._at(",", ")"):  # a parameter that is passed as missing
                return RArg(None, token.text, range=token)
            value = self.expression(_ARGUMENT)
            return RArg(value, token.text, range=TextRange(token.start, value.range.end))
        value = self.expression(_ARGUMENT)
        return RArg(value, range=value.range)


def _binary(sign: str, left: RNode, right: RNode) -> RCall:
    start, end = left.range.start, right.range.end
    if sign in ("->", "->>"):
        sign, left, right = "<-" if sign == "->" else "<<-", right, left
    elif sign == "%<>%":
        sign, right = "<-", _operation("%>%", start, end, left, right)
    return _operation(_SAME_SIGN.get(sign, sign), start, end, left, right)


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
