"""R tokens to a tree: as much of R's grammar as scripts that make models are written in."""

from __future__ import annotations

from kmagic.from_r.r_nodes import (
    Argument,
    Assign,
    Block,
    Call,
    Constant,
    For,
    Function,
    If,
    Infix,
    Item,
    Member,
    Mistake,
    Name,
    Node,
    Number,
    Pipe,
    Place,
    Prefix,
    Text,
    While,
)
from kmagic.from_r.r_tokens import Token, number, tokenize

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
_POSTFIX = 40
_PIPES = frozenset({"%>%", "|>", "%T>%", "%$%"})
_CONSTANTS: dict[str, bool | None] = {
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
    "NA": None,
    "NA_integer_": None,
    "NA_real_": None,
    "NA_character_": None,
}
_OPENED = {"(": ")", "[": "]", "[[": "]]", "{": "}"}
_MOST_DEEP = 200


def read(text: str) -> tuple[Node, ...]:
    """The statements of an R text.

    Raises:
        Mistake: The text is no R.

    Example:
        >>> read("x <- c(3, 3)")[0].target
        Name(text='x')
    """
    return _Reader(text).statements("end")


def read_value(text: str) -> Node:
    """The value that a text begins with: a number, a name, a call."""
    return _Reader(text).expression(_POSTFIX)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._next = 0
        self._in_brackets: list[bool] = [False]
        self._deep = 0

    # --- tokens -------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        if self._in_brackets[-1]:
            self._skip_lines()
        return self._tokens[self._next]

    def _skip_lines(self) -> None:
        while self._tokens[self._next].kind == "newline":
            self._next += 1

    def _take(self) -> Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _at(self, sign: str) -> bool:
        return self._token.kind == "sign" and self._token.text == sign

    def _expect(self, sign: str, opened: Token) -> Token:
        if self._at(sign):
            return self._take()
        token = self._token
        if token.kind == "end":
            raise Mistake("is not closed", opened.place, f"A {sign} is missing.")
        remedy = f"A comma or {sign} is expected here." if sign in ")]" else f"{sign} is expected."
        raise Mistake("does not belong here", token.place, remedy)

    def _end(self) -> int:
        return self._tokens[self._next - 1].end

    # --- statements ---------------------------------------------------------------------------

    def statements(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while True:
            self._skip_lines()
            token = self._token
            if token.kind == "end" or (token.kind == "sign" and token.text == closing):
                return tuple(found)
            found.append(self.expression(0))
            token = self._token
            if token.kind not in ("newline", "end") and token.text != closing:
                raise Mistake("does not belong here", token.place, _stray(found[-1], token))

    def expression(self, least: int) -> Node:
        self._deep += 1
        if self._deep > _MOST_DEEP:
            raise Mistake("is nested too deeply", self._token.place)
        left = self._beginning()
        while True:
            token = self._token
            if token.kind != "sign":
                break
            if token.text in ("(", "[", "[[", "$", "@", "::", ":::"):
                if least > _POSTFIX:
                    break
                left = self._postfix(left)
                continue
            binds = _SPECIAL_INFIX if token.text.startswith("%") else _INFIX.get(token.text)
            if binds is None or binds[0] < least:
                break
            self._take()
            self._skip_lines()
            left = self._joined(left, token, self.expression(binds[1]))
        self._deep -= 1
        return left

    def _joined(self, left: Node, token: Token, right: Node) -> Node:
        place = Place(left.place.start, right.place.end)
        sign = token.text
        if sign in ("<-", "<<-", "=", ":="):
            return Assign(left, right, place=place)
        if sign in ("->", "->>"):
            return Assign(right, left, place=place)
        if sign in _PIPES:
            return Pipe(left, right, place=place)
        if sign == "%<>%":
            return Assign(left, Pipe(left, right, place=place), place=place)
        return Infix(sign, left, right, place=place)

    def _beginning(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return Number(number(token), place=token.place)
        if token.kind == "string":
            return Text(token.text, place=token.place)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign":
            if token.text in _PREFIX:
                operand = self.expression(_PREFIX[token.text])
                return Prefix(token.text, operand, place=Place(token.start, operand.place.end))
            if token.text == "(":
                return self._within(token)
            if token.text == "{":
                return self._block(token)
            if token.text == "\\":
                return self._function(token)
        if token.kind in ("end", "newline"):
            before = [
                each for each in self._tokens[: self._next] if each.kind not in ("newline", "end")
            ]
            where = before[-1] if before else token
            raise Mistake("is not the end of a line", where.place, "Something is missing after it.")
        remedy = ""
        if token.text in ("%>%", "|>", "+"):
            remedy = (
                f"In R {token.text} stands at the end of the line above, not at a line's beginning."
            )
        raise Mistake("does not belong here", token.place, remedy)

    def _within(self, opened: Token) -> Node:
        self._in_brackets.append(True)
        inner = self.expression(0)
        self._expect(_OPENED[opened.text], opened)
        self._in_brackets.pop()
        return inner

    def _block(self, opened: Token) -> Node:
        self._in_brackets.append(False)
        body = self.statements("}")
        self._in_brackets.pop()
        self._expect("}", opened)
        return Block(body, place=Place(opened.start, self._end()))

    def _named(self, token: Token) -> Node:
        match token.text:
            case "function":
                return self._function(token)
            case "if":
                return self._if(token)
            case "for":
                return self._for(token)
            case "while":
                self._within(self._open("("))
                self._skip_lines()
                body = self.expression(5)
                return While(body, place=Place(token.start, self._end()))
            case "repeat":
                body = self.expression(5)
                return While(body, place=Place(token.start, self._end()))
            case "Inf":
                return Number(float("inf"), place=token.place)
            case text if text in _CONSTANTS:
                return Constant(_CONSTANTS[text], place=token.place)
        return Name(token.text, place=token.place)

    def _open(self, sign: str) -> Token:
        token = self._take()
        if token.text != sign:
            raise Mistake("does not belong here", token.place, f"{sign} is expected.")
        return token

    def _function(self, token: Token) -> Node:
        params = self._arguments(self._open("("))
        self._skip_lines()
        body = self.expression(5)
        return Function(params, body, place=Place(token.start, self._end()))

    def _if(self, token: Token) -> Node:
        test = self._within(self._open("("))
        self._skip_lines()
        then = self.expression(5)
        before = self._next
        if len(self._in_brackets) > 1:
            self._skip_lines()
        other = None
        if self._token.kind == "name" and self._token.text == "else":
            self._take()
            self._skip_lines()
            other = self.expression(5)
        else:
            self._next = before
        return If(test, then, other, place=Place(token.start, self._end()))

    def _for(self, token: Token) -> Node:
        opened = self._open("(")
        self._in_brackets.append(True)
        name = self._take()
        inside = self._take()
        if name.kind != "name" or inside.text != "in":
            raise Mistake("is no loop", token.place, "A loop is written for (i in 1:3) ...")
        values = self.expression(0)
        self._expect(")", opened)
        self._in_brackets.pop()
        self._skip_lines()
        body = self.expression(5)
        return For(name.text, values, body, place=Place(token.start, self._end()))

    # --- what follows a value -----------------------------------------------------------------

    def _postfix(self, left: Node) -> Node:
        token = self._take()
        start = left.place.start
        if token.text == "(":
            args = self._arguments(token)
            return Call(left, args, place=Place(start, self._end()))
        if token.text == "[":
            return Item(left, self._arguments(token), place=Place(start, self._end()))
        if token.text == "[[":
            args = self._arguments(token)
            return Item(left, args, place=Place(start, self._end()))
        self._skip_lines()
        name = self._take()
        if name.kind not in ("name", "string"):
            raise Mistake("is no name", name.place, f"A name is expected after {token.text}.")
        place = Place(start, name.end)
        if token.text in ("::", ":::"):  # keras::layer_dense is layer_dense
            return Name(name.text, place=place)
        return Member(left, name.text, place=place)

    def _arguments(self, opened: Token) -> tuple[Argument, ...]:
        """Up to the closing bracket: ``(a, units = 50)``, ``[ , 1]``, ``[[1]]``."""
        closing = "]" if opened.text == "[[" else _OPENED[opened.text]
        self._in_brackets.append(True)
        found: list[Argument] = []
        while not self._at(closing):
            if self._at(","):
                found.append(Argument(None, place=self._token.place))
                self._take()
                continue
            found.append(self._argument())
            if not self._at(","):
                break
            self._take()
        self._expect(closing, opened)
        if opened.text == "[[":
            self._expect("]", opened)
        self._in_brackets.pop()
        return tuple(found)

    def _argument(self) -> Argument:
        token = self._token
        following = self._tokens[self._next + 1] if token.kind != "end" else token
        if token.kind in ("name", "string") and following.text == "=" and following.kind == "sign":
            self._take()
            self._take()
            if self._at(",") or self._at(")"):  # a parameter that is passed as missing
                return Argument(None, token.text, place=token.place)
            value = self.expression(7)
            return Argument(value, token.text, place=Place(token.start, value.place.end))
        value = self.expression(7)
        return Argument(value, place=value.place)


def _stray(before: Node, token: Token) -> str:
    """What may be meant where two expressions stand side by side."""
    if isinstance(before, Name) and token.kind in ("number", "name", "string"):
        return "Two words side by side are no R. If this is the layer language, leave --from-r out."
    if token.text in (")", "]", "}"):
        return "Nothing that it could close is open."
    return "A statement ends with its line."
