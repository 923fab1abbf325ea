"""One line's tokens to its step, arguments and values."""

from __future__ import annotations

import ast
import math
from typing import NoReturn

from kmagic.language import expressions
from kmagic.language.spec import (
    Arg,
    Expr,
    Index,
    Literal,
    Mapping,
    Object,
    Phrase,
    Ref,
    Sequence,
    Shape,
    Span,
    Value,
    Word,
)
from kmagic.language.syntax_hints import layer_hint, place_hint
from kmagic.language.tokens import Token, has_colon, tokenize
from kmagic.support.errors import Problem

CONSTANTS: dict[str, object] = {
    "true": True,
    "false": False,
    "none": None,
    "True": True,
    "False": False,
    "None": None,
    "inf": math.inf,
    "nan": math.nan,
    "-inf": -math.inf,
    "+inf": math.inf,
    "-nan": math.nan,
    "+nan": math.nan,
}


class ParseError(Exception):
    """A line cannot be read; the parser notes the problem and goes on with the next line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Cursor:
    """A place in a line's tokens, with the readers for values and arguments."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self._at = 0

    # --- moving -------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether all tokens are read."""
        return self._at >= len(self.tokens)

    @property
    def peek(self) -> Token:
        """The next token; fails at the end of the line."""
        try:
            return self.tokens[self._at]
        except IndexError:
            self.fail("the line ends too early")

    def take(self) -> Token:
        """Read one token."""
        token = self.peek
        self._at += 1
        return token

    def coming(self, count: int) -> list[Token]:
        """The next tokens, without reading them."""
        return self.tokens[self._at : self._at + count]

    def ahead(self, count: int) -> Token | None:
        """The token after so many others, without reading it; None behind the end."""
        place = self._at + count
        return self.tokens[place] if place < len(self.tokens) else None

    def rest(self) -> list[Token]:
        """Read all that is left."""
        left = self.tokens[self._at :]
        self._at = len(self.tokens)
        return left

    def next_is(self, text: str, ahead: int = 0) -> bool:
        """Whether a coming token is this sign."""
        return self._is_sign(self._at + ahead, text)

    def at(self, *signs: str) -> bool:
        """Whether the next token is one of these signs."""
        return self._is_sign(self._at, *signs)

    def _is_sign(self, place: int, *signs: str) -> bool:
        if place >= len(self.tokens):
            return False
        token = self.tokens[place]
        return token.kind == "op" and token.text in signs

    def accept(self, text: str) -> bool:
        """Read this sign if it comes next."""
        found = self._is_sign(self._at, text)
        self._at += found
        return found

    def accept_name(self, text: str) -> bool:
        """Read this name if it comes next."""
        token = self.ahead(0)
        found = token is not None and token.kind == "name" and token.text == text
        self._at += found
        return found

    def expect(self, text: str, message: str) -> Token:
        """Read this sign, or fail."""
        if not self.at(text):
            self.fail(message)
        return self.take()

    def name(self, wanted: str) -> Token:
        """Read a name, or fail."""
        if self.done or self.peek.kind != "name":
            self.fail(f"expected {wanted}")
        return self.take()

    def fail(self, message: str, remedy: str = "") -> NoReturn:
        """Report a mistake at the next token, or just behind the last one."""
        if not self.done:
            self.fail_at(self.tokens[self._at].span, message, remedy)
        last = self.tokens[-1].span
        self.fail_at(Span(last.line, last.column + last.width), message, remedy)

    def fail_at(self, span: Span, message: str, remedy: str = "") -> NoReturn:
        """Report a mistake at a given place."""
        raise ParseError(Problem(message, span.line, span.column, span.width, remedy))

    # --- values -------------------------------------------------------------------------------

    def value(self) -> Value:
        """A number, shape, text, name, object, expression, list, tuple or mapping."""
        token = self.peek
        if token.kind == "number":
            self.take()
            return Literal(_number(token.text), span=token.span)
        if token.kind == "shape":
            self.take()
            dims = tuple(None if dim == "?" else int(dim) for dim in token.text.split("x"))
            return Shape(dims, span=token.span)
        if token.kind == "string":
            return Literal(self.string_value(), span=token.span)
        if token.kind == "brace":
            self.take()
            return self._callable_value(_brace(token), token)
        if token.kind == "name":
            self.take()
            if token.text in CONSTANTS:
                return Literal(CONSTANTS[token.text], span=token.span)
            if self.at("[") and not self.peek.spaced:
                return self._index(token)
            return self._callable_value(Word(token.text, span=token.span), token)
        if token.text in ("[", "("):
            return self._sequence()
        if token.text == "...":
            self.take()
            return Literal(..., span=token.span)
        if token.text == "&":
            self.take()
            name = self.name("the name of a layer or model after &")
            return Ref(name.text, span=token.span)
        return self.fail("has no place here", place_hint(token.text))

    def string_value(self) -> str:
        """A quoted text, with Python's escapes."""
        token = self.take()
        try:
            return str(ast.literal_eval(token.text))
        except (SyntaxError, ValueError) as error:
            self.fail_at(token.span, f"is not a text: {error}")

    def _callable_value(self, value: Value, token: Token) -> Value:
        if isinstance(value, Word | Expr) and self.at("(") and not self.peek.spaced:
            return Object(value, self.call_args(), span=token.span)
        return value

    def _index(self, name: Token) -> Value:
        path: list[int | str] = []
        while self.at("[") and not self.peek.spaced:
            self.take()
            key = self.value()
            if not isinstance(key, Literal) or not isinstance(key.value, int | str):
                self.fail_at(key.span, "expected a number or a quoted name")
            path.append(key.value)
            self.expect("]", "expected `]`")
        return Index(name.text, tuple(path), span=name.span)

    def _sequence(self) -> Value:
        opening = self.take()
        closing = "]" if opening.text == "[" else ")"
        items: list[Value] = []
        comma = False
        while not self.accept(closing):
            items.append(self.phrase())
            comma = self.accept(",")
            if not comma and not self.at(closing):
                self.fail(f"expected `,` or `{closing}`")
        if closing == ")" and len(items) == 1 and not comma:
            return items[0]
        kind = "list" if closing == "]" else "tuple"
        return Sequence(kind, tuple(items), span=opening.span)  # type: ignore[arg-type]  # one of two

    def phrase(self) -> Value:
        """A value, or a layer with its arguments: ``lstm 32 return_sequences``."""
        first = self.value()
        if not isinstance(first, Word | Expr):
            return first
        args: list[Arg] = []
        while not self.done and not self.at(",", ")", "]", "=", ":"):
            args.append(self.arg())
        return Phrase(first, tuple(args), span=first.span) if args else first

    # --- arguments ----------------------------------------------------------------------------

    def arg(self) -> Arg:
        """``value``, ``name=value`` or ``!flag``."""
        token = self.peek
        if token.text == "!" and token.kind == "op":
            self.take()
            flag = self.name("the name of a true-or-false argument after !")
            return Arg(Literal(False, span=flag.span), flag.text, span=flag.span)
        if token.kind == "name" and self.next_is("=", 1):
            self.take()
            self.take()
            if self.done or self.at("/") or self.at(","):
                self.fail(f"expected a value for {token.text}")
            return Arg(self.value(), token.text, span=token.span)
        return Arg(self.value(), span=token.span)

    def args(self, *, until: str = "", commas_make_lists: bool = False) -> tuple[Arg, ...]:
        """Arguments up to the step's end, or up to a sign."""
        found: list[Arg] = []
        while not ends_step(self) and not (until and self.at(until)):
            found.append(self.arg())
            if commas_make_lists and found[-1].name and self.at(",") and not self.next_is("=", 2):
                found[-1] = self._comma_list(found[-1])
        return tuple(found)

    def _comma_list(self, first: Arg) -> Arg:
        items = [first.value]
        while self.accept(","):
            items.append(self.value())
        return Arg(Sequence("list", tuple(items), span=first.span), first.name, span=first.span)

    def call_args(self) -> tuple[Arg, ...]:
        """``(a, name=b, lstm 32)`` with its brackets."""
        self.expect("(", "expected `(`")
        found: list[Arg] = []
        while not self.accept(")"):
            token = self.peek
            if token.text == "!" and token.kind == "op":
                found.append(self.arg())
            elif token.kind == "name" and self.next_is("=", 1):
                self.take()
                self.take()
                found.append(Arg(self.phrase(), token.text, span=token.span))
            else:
                found.append(Arg(self.phrase(), span=token.span))
            if not self.accept(",") and not self.at(")"):
                self.fail("expected `,` or `)`")
        return tuple(found)

    def tensors(self) -> tuple[Arg, ...]:
        """What stands right of an arrow: ``a, b, mask=m``."""
        found: list[Arg] = []
        while True:
            if ends_step(self):
                self.fail("expected the name of an output, or _ for what came before")
            found.append(self.arg())
            if not self.accept(","):
                return tuple(found)

    def callee(self, wanted: str) -> Word | Expr:
        """A layer's word or an expression."""
        if self.done:
            self.fail(f"expected {wanted}")
        token = self.peek
        if token.kind == "brace":
            self.take()
            value = _brace(token)
            if isinstance(value, Expr):
                return value
            self.fail_at(token.span, f"expected {wanted}")
        if token.kind != "name":
            plain = layer_hint(token.kind, token.text, spaced=token.spaced)
            self.fail(f"expected {wanted}", plain if wanted == "a layer" else "")
        self.take()
        return Word(token.text, span=token.span)


def ends_step(cursor: Cursor) -> bool:
    """Whether the step ends here: at the line's end, at ``/``, an arrow or a repetition."""
    token = cursor.ahead(0)
    return token is None or (token.kind == "op" and token.text in ("/", "<-", "*"))


def _brace(token: Token) -> Value:
    """``{expr}`` is an expression, ``{key: value}`` a mapping."""
    inner = token.text[1:-1]
    if inner.strip() and not has_colon(inner):
        _check_expression(inner, token)
        return Expr(inner.strip(), span=token.span)
    row, column = token.span.line, token.span.column
    lines, problems = tokenize(" " + inner.replace("\n", " ") + " ")
    for problem in problems:
        raise ParseError(
            Problem(
                problem.message, row, problem.column + column - 1, problem.width, problem.remedy
            )
        )
    tokens = [
        Token(
            each.kind,
            each.text,
            Span(row, each.span.column + column - 1, each.span.width),
            each.spaced,
        )
        for line in lines
        for each in line.tokens
    ]
    cursor = Cursor(tokens)
    entries: list[tuple[Value, Value]] = []
    while not cursor.done:
        key = cursor.value()
        cursor.expect(":", "expected `:` and a value")
        entries.append((key, cursor.phrase()))
        if not cursor.done:
            cursor.expect(",", "expected `,` or `}`")
    return Mapping(tuple(entries), span=token.span)


def _check_expression(inner: str, token: Token) -> None:
    try:
        expressions.parse(inner)
    except expressions.ExpressionError as error:
        raise ParseError(
            Problem(
                error.message,
                token.span.line,
                token.span.column + 1 + error.column,
                error.width,
                error.remedy,
            )
        ) from None


def _number(text: str) -> int | float:
    if text in CONSTANTS:
        return float(text)
    plain = text.replace("_", "")
    return float(plain) if any(sign in plain for sign in ".eE") else int(plain)
