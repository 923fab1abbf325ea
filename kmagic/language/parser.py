"""Text to spec: which statements a model's text holds, and how they nest.

A line with a mistake is left out and the rest goes on, so that all mistakes of a cell are told
together. Lines and their values are read by :mod:`kmagic.language.steps`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from kmagic.language.foreign_code import gather
from kmagic.language.phrases import Cursor, ParseError
from kmagic.language.spec import (
    BlockSpec,
    BranchSpec,
    CompileSpec,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    InputsSpec,
    MergeSpec,
    ModelKind,
    ModelSpec,
    NestedSpec,
    OutputSpec,
    Param,
    RepeatSpec,
    ResidualSpec,
    Span,
    Statement,
    Value,
)
from kmagic.language.steps import read_step
from kmagic.language.tokens import Line, Token, tokenize
from kmagic.support.errors import DSLError, Problem

HEADS = ("model", "block", "repeat", "for", "residual", "merge", "branch")
DIRECTIVES = ("compile", "freeze", "output", "inputs")
RESERVED = frozenset({*HEADS, *DIRECTIVES, "reuse", "input", "_", "_in"})


def parse(text: str, *, where: str = "", first_line: int = 1) -> ModelSpec:
    """Read a model's text.

    Args:
        text: In the layer language; see ``docs/language.md``.
        where: What the text is, for messages: "%%keras_model cnn".
        first_line: Number of its first line in the user's editor.

    Returns:
        The spec; it says what the text says, not whether Keras will have it.

    Raises:
        DSLError: With every mistake of the text.

    Example:
        >>> spec = parse("input 4 / dense 2 softmax")
        >>> [statement.callee.text for statement in spec]
        ['input', 'dense']
    """
    found = read(text)
    if found.problems:
        raise DSLError(gather(found.problems, text), text, where, first_line)
    return found.spec


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a text.

    Attributes:
        spec: The lines without mistakes.
        problems: The mistakes, in the order of the text.
        lost: Names that the lines with mistakes may have made.
    """

    spec: ModelSpec
    problems: tuple[Problem, ...] = ()
    lost: frozenset[str] = frozenset()


def read(text: str) -> Reading:
    """Read what can be read of a model's text; as :func:`parse`, but it raises nothing."""
    lines, broken = tokenize(text)
    reader = _Statements(lines, has_tabs="\t" in text)
    statements = reader.block(at_top=True)
    problems = sorted({*broken, *reader.problems}, key=lambda each: (each.line, each.column))
    return Reading(ModelSpec(statements, source=text), tuple(problems), frozenset(reader.lost))


class _Statements:
    """Reads lines into statements, and indented lines into the bodies of their heads."""

    def __init__(self, lines: list[Line], *, has_tabs: bool = False) -> None:
        self.lines = lines
        self._has_tabs = has_tabs  # one mistake, which explains all that is wrong with indentation
        self.problems: list[Problem] = []
        self.lost: set[str] = set()
        self._next = 0

    def block(self, *, at_top: bool = False) -> tuple[Statement, ...]:
        """All lines of the next line's indentation."""
        statements: list[Statement] = []
        indent = self.lines[self._next].indent if self._next < len(self.lines) else 0
        while self._next < len(self.lines):
            line = self.lines[self._next]
            if line.indent < indent:
                if not at_top:
                    break
                indent = line.indent
            if line.indent > indent:
                first = line.tokens[0].span if line.tokens else Span(line.number, 1)
                if not self._has_tabs:
                    remedy = (
                        "Only the body of a line that ends in `:` is indented, all of it alike."
                    )
                    self._note("this line is indented, but belongs to no block", first, remedy)
                statements += self.block()
                continue
            self._next += 1
            statements += self._statements(line)
        return tuple(statements)

    def _statements(self, line: Line) -> list[Statement]:
        if line.broken:
            self._lose(line)
            return []
        cursor = Cursor(line.tokens)
        found: list[Statement] = []
        try:
            if _opens_body(cursor):
                return [self._head(cursor, line)]
            while True:
                found.append(self._simple(cursor))
                if cursor.done:
                    break
                cursor.expect("/", "expected ` / ` or the end of the line")
                if cursor.done:
                    cursor.fail("expected a layer after /")
        except ParseError as error:
            self.problems.append(error.problem)
            self._lose(line)
        return found

    def _body(self, cursor: Cursor, line: Line) -> tuple[Statement, ...]:
        """The indented lines below a head, or the rest of its own line."""
        colon = cursor.expect(":", "expected `:` here, and an indented body below")
        if not cursor.done:
            inline = Line(line.indent, line.number, cursor.rest())
            return tuple(self._statements(inline))
        if self._next >= len(self.lines) or self.lines[self._next].indent <= line.indent:
            remedy = "Indent the lines that belong to it."
            cursor.fail_at(colon.span, "expected an indented body below this line", remedy)
        return self.block()

    def _lose(self, line: Line) -> None:
        """Leave a line out, with its body; names that they make are not missed later."""
        first = self._next
        if first < len(self.lines) and self.lines[first].indent > line.indent:
            self.block()
        for each in (line, *self.lines[first : self._next]):
            self.lost |= _names_made(each)

    def _head(self, cursor: Cursor, line: Line) -> Statement:
        word = cursor.take()
        readers: dict[str, Callable[[Cursor, Line, Span], Statement]] = {
            "model": self._nested,
            "block": self._block_definition,
            "repeat": self._repeat,
            "for": self._for,
            "residual": lambda cursor, line, span: ResidualSpec(
                self._body(cursor, line), span=span
            ),
            "branch": lambda cursor, line, span: BranchSpec(self._body(cursor, line), span=span),
            "merge": self._merge,
        }
        return readers[word.text](cursor, line, word.span)

    def _nested(self, cursor: Cursor, line: Line, span: Span) -> Statement:
        name = _new_name(cursor, "a name for the model")
        kind = _kind(cursor)
        args = cursor.args(until=":")
        return NestedSpec(name, self._body(cursor, line), kind, args, span=span)

    def _block_definition(self, cursor: Cursor, line: Line, span: Span) -> Statement:
        name = _new_name(cursor, "a name for the block")
        params: list[Param] = []
        if not cursor.done and cursor.peek.kind == "name":
            cursor.fail("expected `(` or `:`", "Parameters stand in brackets: `block res(f, s=1):`")
        if cursor.accept("("):
            while not cursor.accept(")"):
                token = cursor.name("a parameter's name")
                default: Value | None = cursor.phrase() if cursor.accept("=") else None
                if default is None and params and params[-1].default is not None:
                    cursor.fail_at(
                        token.span, "a parameter without a default after one that has one"
                    )
                if any(each.name == token.text for each in params):
                    cursor.fail_at(token.span, "this parameter is there already")
                params.append(Param(token.text, default, span=token.span))
                if not cursor.at(")"):
                    cursor.expect(",", "expected `,` or `)`")
        return BlockSpec(name, tuple(params), self._body(cursor, line), span=span)

    def _repeat(self, cursor: Cursor, line: Line, span: Span) -> Statement:
        if cursor.at(":"):
            cursor.fail("expected how often, as in `repeat 3:`")
        return RepeatSpec(cursor.value(), self._body(cursor, line), span=span)

    def _for(self, cursor: Cursor, line: Line, span: Span) -> Statement:
        name = _new_name(cursor, "a name, as in `for f in 32 64:`")
        if not cursor.accept_name("in"):
            cursor.fail("expected `in`, as in `for f in 32 64:`")
        values: list[Value] = []
        while not cursor.done and not cursor.at(":"):
            values.append(cursor.value())
            cursor.accept(",")
        if not values:
            cursor.fail("expected values, as in `for f in 32 64:`")
        return ForSpec(name, tuple(values), self._body(cursor, line), span=span)

    def _merge(self, cursor: Cursor, line: Line, span: Span) -> Statement:
        callee = cursor.callee("a layer that merges, as in `merge add:`")
        args = cursor.args(until=":")
        body = self._body(cursor, line)
        branches = tuple(each for each in body if isinstance(each, BranchSpec))
        for each in body:
            if not isinstance(each, BranchSpec):
                remedy = "Each way to the merge is a `branch:` with a body of its own."
                cursor.fail_at(each.span, "only `branch:` stands in a merge", remedy)
        if not branches:
            cursor.fail_at(span, "expected at least one `branch:` below")
        return MergeSpec(callee, args, branches, span=span)

    def _simple(self, cursor: Cursor) -> Statement:
        token = cursor.peek
        if token.kind == "name" and not cursor.next_is("=", 1) and not cursor.next_is(",", 1):
            if token.text in ("compile", "freeze"):
                cursor.take()
                args = cursor.args(commas_make_lists=True)
                kind = CompileSpec if token.text == "compile" else FreezeSpec
                return kind(args, span=token.span)
            if token.text in ("output", "inputs"):
                cursor.take()
                after = cursor.ahead(0)
                if token.text == "inputs" and after and after.kind in ("number", "shape"):
                    remedy = f"Where data comes in is `input {after.text}`."
                    cursor.fail("is no name of an input", remedy)
                entries = cursor.tensors()
                if not cursor.done and cursor.peek.kind == "name":
                    remedy = f"Names are separated by commas: `{token.text} a, b`."
                    cursor.fail("has no place here", remedy)
                kind_of = OutputSpec if token.text == "output" else InputsSpec
                return kind_of(entries, span=token.span)
            if token.text == "model":
                cursor.take()
                name = "" if _is_nameless(cursor) else _head_name(cursor)
                return HeadSpec(name, _kind(cursor), cursor.args(), span=token.span)
            if token.text in HEADS:
                example = {
                    "block": "block res(f):",
                    "for": "for f in 32 64:",
                    "merge": "merge add:",
                    "repeat": "repeat 3:",
                }
                shown = example.get(token.text, f"{token.text}:")
                remedy = "Outputs are joined by a layer: `add <- a, b`." * (token.text == "merge")
                message = f"opens a body, and its line ends in `:`, as in `{shown}`"
                cursor.fail_at(token.span, message, remedy)
        return read_step(cursor)

    def _note(self, message: str, span: Span, remedy: str = "") -> None:
        self.problems.append(Problem(message, span.line, span.column, span.width, remedy))


def _opens_body(cursor: Cursor) -> bool:
    first = cursor.tokens[0] if cursor.tokens else None
    if first is None or first.kind != "name" or first.text not in HEADS:
        return False
    depth = 0
    for token in cursor.tokens:
        if token.kind == "op":
            depth += (token.text in "([") - (token.text in ")]")
            if token.text == ":" and depth == 0:
                return True
    return False


def _names_made(line: Line) -> set[str]:
    """Names that a line may give to outputs, blocks or models."""
    tokens = line.tokens
    if tokens and tokens[0].text in HEADS:
        return {each.text for each in tokens[1:2]}
    made: set[str] = set()
    for each in tokens:
        if each.text == "=":
            return made
        if each.kind == "name":
            made.add(each.text)
        elif each.text != ",":
            break
    return set()


def _kind(cursor: Cursor) -> ModelKind:
    if cursor.accept_name("sequential"):
        return "sequential"
    return "functional" if cursor.accept_name("functional") else ""


def _is_nameless(cursor: Cursor) -> bool:
    """Whether a head gives only a kind or arguments: ``model functional``."""
    if cursor.done or cursor.at("!"):
        return not cursor.done
    kinds = ("sequential", "functional")
    texts = [each.text for each in cursor.coming(2)]
    return texts[0] in kinds and not (len(texts) > 1 and texts[1] in kinds)


def _head_name(cursor: Cursor) -> str:
    return _new_name(cursor, "a name for the model", anything=True)


def _new_name(cursor: Cursor, wanted: str, *, anything: bool = False) -> str:
    if anything and not cursor.done and cursor.peek.kind == "string":
        return str(cursor.string_value())
    token: Token = cursor.name(wanted)
    if token.text in RESERVED or "." in token.text:
        _taken(cursor, token)
    return token.text


def _taken(cursor: Cursor, token: Token) -> NoReturn:
    cursor.fail_at(token.span, f"{token.text} is a word of the language, not a name")
